"""Whether Kalshi trades now: the weekly pause, the status and the schedule that REST shows.

24/7 except Thursday 03:00 to 05:00 US Eastern: no create and no amend (409 trading_is_paused, seen
2026-07-23), cancels work, what rests stays unless it said `cancel_order_on_pause` (kalshi.md 12).
Told by the run clock. An operator's own pause (`is_halted`) does the same at any time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ops.venues.numerals import SECOND_NS, iso_s
from ops.venues.script import BookSet, LevelSet
from ops.venues.session import RunClock

EASTERN = ZoneInfo("America/New_York")
THURSDAY = 3
PAUSE_FROM_H, PAUSE_TO_H = 3, 5
SHARDS = {0: "Default", 1: "Combos", 2: "Crypto & Commodities", 3: "Tennis, Baseball, Basketball"}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def is_weekly_pause(epoch_ns: int) -> bool:
    """Thursday 03:00 to 05:00 in New York, summer time included."""
    local = datetime.fromtimestamp(epoch_ns // SECOND_NS, UTC).astimezone(EASTERN)
    return local.weekday() == THURSDAY and PAUSE_FROM_H <= local.hour < PAUSE_TO_H


class KalshiExchange:
    """The exchange's state. `has_pause` False: it never pauses by itself."""

    def __init__(self, *, clock: RunClock, has_pause: bool) -> None:
        self._clock = clock
        self._has_pause = has_pause
        self._minute: tuple[int, bool] = (-1, False)
        self.is_halted = False

    def is_trading(self, run_ns: int) -> bool:
        """Whether orders are taken at this run time."""
        if self.is_halted:
            return False
        if not self._has_pause:
            return True
        minute = run_ns // (60 * SECOND_NS)
        if self._minute[0] != minute:
            self._minute = minute, is_weekly_pause(run_ns)
        return not self._minute[1]

    def status_json(self) -> dict[str, Any]:
        """GET /exchange/status, shape of 2026-09-26."""
        run_ns = self._clock.run_ns()
        trades = self.is_trading(run_ns)
        on = {
            "exchange_active": True,
            "trading_active": trades,
            "intra_exchange_transfers_active": True,
        }
        shards = [
            {"exchange_index": shard, "description": name, **on} for shard, name in SHARDS.items()
        ]
        body: dict[str, Any] = {**on, "exchange_index_statuses": shards}
        if not trades and not self.is_halted:
            body["exchange_estimated_resume_time"] = iso_s(_resume_ns(run_ns))
        return body

    def schedule_json(self) -> dict[str, Any]:
        """GET /exchange/schedule: hours in Eastern time, the weekly pause as maintenance."""
        whole = [{"open_time": "00:00", "close_time": "00:00"}]
        short = [
            {"open_time": "00:00", "close_time": f"{PAUSE_FROM_H:02d}:00"},
            {"open_time": f"{PAUSE_TO_H:02d}:00", "close_time": "00:00"},
        ]
        week = {day: short if at == THURSDAY else whole for at, day in enumerate(_DAYS)}
        begin = _next_pause(self._clock.run_ns())
        window = {
            "start_datetime": _iso(begin),
            "end_datetime": _iso(begin.replace(hour=PAUSE_TO_H)),
        }
        hours = {"start_time": "2025-01-01T05:00:00Z", "end_time": "2030-01-01T05:00:00Z", **week}
        return {"schedule": {"standard_hours": [hours], "maintenance_windows": [window]}}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _resume_ns(run_ns: int) -> int:
    local = datetime.fromtimestamp(run_ns // SECOND_NS, UTC).astimezone(EASTERN)
    end = local.replace(hour=PAUSE_TO_H, minute=0, second=0)
    return int(end.timestamp()) * SECOND_NS


def _next_pause(run_ns: int) -> datetime:
    """The beginning of the pause that is on or comes next."""
    local = datetime.fromtimestamp(run_ns // SECOND_NS, UTC).astimezone(EASTERN)
    ahead = (THURSDAY - local.weekday()) % 7
    day = (local + timedelta(days=ahead)).replace(hour=PAUSE_FROM_H, minute=0, second=0)
    return day if day.replace(hour=PAUSE_TO_H) > local else day + timedelta(days=7)


class PausedBooks:
    """What the script does to books while nobody may trade: the last word of each level, for the
    moment trading goes on.
    """

    def __init__(self) -> None:
        self._books: dict[int, BookSet] = {}
        self._levels: dict[tuple[int, int, int], LevelSet] = {}

    def keep(self, event: BookSet | LevelSet) -> None:
        """Remember an event instead of applying it."""
        if isinstance(event, BookSet):
            self._books[event.market] = event
            for key in [key for key in self._levels if key[0] == event.market]:
                del self._levels[key]
        else:
            self._levels[event.market, event.side, event.price_e6] = event

    def take(self) -> list[BookSet | LevelSet]:
        """Everything kept, whole books first."""
        kept: list[BookSet | LevelSet] = [*self._books.values(), *self._levels.values()]
        self._books, self._levels = {}, {}
        return kept
