# ruff: noqa: E402, I001  (the kernel cache comes before numba)
"""`python -m tests.session.rolling` is `arb-supervisor` in a world of small windows alone.

Kalshi and Polymarket have windows of one minute that pair, Polymarket has some of two as well; the
world begins 20 s before a minute, leaves out what moves beside the windows, and Polymarket's are
worth less there than Kalshi's: a gap that pays, in every window that may be traded. A settled
window rests for half a minute. What the feeds ask the two venues for is written down, a line for
each word of theirs: everything that is subscribed at that moment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops import cache

cache.use()

import dataclasses
import json
import re

from ops import clock, roll, series, settles
from ops.process import RoleSpec
from ops.series import Pairing, Series, Table
from ops.session import Plan, Request
from ops.sim import SimSession
from ops.venues import polymarket_series, world_window_motion, world_windows
from ops.venues.kalshi_ws import KalshiHub
from ops.venues.polymarket_ws import PolymarketHub
from ops.venues.script import BookSet, Event, LevelSet, MarketTrade, Script, SpotTrade
from ops.venues.wire import Link
from ops.venues.world import WorldScript, make_world
from ops.venues.world_cast import BTC
from shm_layout import Segment

LENGTHS_S = {"1m": 60, "2m": 120}
LEAD_S, REST_S = 20, 30
LESS_E6 = 300_000  # that Polymarket's windows are worth: more than spreads, fees and dead zone
SPOT_ONE_IN = 5
ASKED = "asked.jsonl"
BUILD = "tests.session.rolling:build"


def _of(venue: str, interval: str, ticker: str, index: str) -> Series:
    is_kalshi = venue == "kalshi"
    return Series(
        venue=venue, asset="btc", interval=interval, find="series" if is_kalshi else "slug",
        grid="utc", strike="venue" if is_kalshi else "tick", ticker=ticker, index=index,
    )  # fmt: skip


KALSHI = _of("kalshi", "1m", "KX{ASSET}15M", "BRTI")
POLYMARKET, LONGER = (
    _of("polymarket", length, "{asset}-updown-{interval}-{open_s}", "btcusd")
    for length in LENGTHS_S
)
TABLE = Table(
    (KALSHI, POLYMARKET, LONGER),
    (Pairing(a=KALSHI, b=POLYMARKET, has_dead_zone=True, is_approved=True),),
)


def learn_small_windows() -> None:
    """Of this process: lengths that no venue has, with the rules of a quarter of an hour."""
    series.LENGTHS_S.update(LENGTHS_S)
    settles._INTERVALS.update(dict.fromkeys(LENGTHS_S.values(), "15m"))
    names = polymarket_series._WINDOW.pattern.replace("5m|", "1m|2m|5m|", 1)
    polymarket_series._WINDOW = re.compile(names)
    polymarket_series.Series.is_twap = property(lambda _: True)  # type: ignore[assignment]
    roll.Roll.__init__.__kwdefaults__["rest_ns"] = REST_S * clock.SECOND_NS


class Windows(WorldScript):
    """The seeded world without what moves in its other markets."""

    def events(self) -> Iterator[Event]:
        """Books that stand, windows, indices, some of the trades."""
        others, trades = 2 * self.plays, 0
        with_gap = world_window_motion._Window.fair_e6
        world_window_motion._Window.fair_e6 = _less(with_gap)  # type: ignore[method-assign]
        for event in WorldScript.events(self):
            if isinstance(event, LevelSet | MarketTrade) and event.market < others:
                continue
            if isinstance(event, BookSet) and event.market < others:
                yield BookSet(event.at_epoch_ns, event.market, (), ())
                continue
            trades += isinstance(event, SpotTrade)
            if not isinstance(event, SpotTrade) or trades % SPOT_ONE_IN == 0:
                yield event


def _less(fair_e6: Any) -> Any:
    def found(window: Any, spot_e8: int, seen_s: int) -> int:
        worth_e6 = int(fair_e6(window, spot_e8, seen_s))
        return worth_e6 if window.is_kalshi else max(worth_e6 - LESS_E6, 15_000)

    return found


class RollingSession(SimSession):
    """The simulated session with this world, and venues that tell what they are asked for."""

    def __init__(self, request: Request, folder: Path) -> None:
        super().__init__(request, folder)
        self.identity = dataclasses.replace(self.identity, series=TABLE)

    @staticmethod
    def make_script(request: Request) -> Script:
        """Begun before a minute that is past."""
        minutes = clock.epoch_s() // 120 * 120
        world = make_world(
            request.seed,
            begin_epoch_ns=(minutes - LEAD_S) * clock.SECOND_NS,
            speed_e6=request.speed_e6,
            windows=2,
            series=tuple(
                world_windows.Series(venue=one.venue, product=BTC, length_s=one.length_s)
                for one in TABLE.series
            ),
        )
        assert isinstance(world, WorldScript)
        return Windows(**{f.name: getattr(world, f.name) for f in dataclasses.fields(world)})

    @property
    def venues(self) -> Plan:
        """The same process with hubs that tell."""
        return dataclasses.replace(super().venues, build=BUILD)

    def plans(self, ports: Any, segment: str) -> tuple[Plan, ...]:
        """Those of a run; the catalog knows the small windows."""
        return tuple(
            dataclasses.replace(plan, build=BUILD) if plan.kind == "catalog" else plan
            for plan in super().plans(ports, segment)
        )


def build(spec: RoleSpec, segment: Segment) -> Any:
    """The venues' process and the catalog's."""
    from ops import roles

    learn_small_windows()
    path = Path(spec.log).parent / ASKED
    taken = KalshiHub.on_text, PolymarketHub.on_text

    def kalshi(hub: KalshiHub, link: Link, text: str) -> None:
        taken[0](hub, link, text)
        names: set[str] = set()
        for sub in hub._subs["orderbook_delta"]:
            names |= sub.names
        _write(path, "kalshi", names)

    def polymarket(hub: PolymarketHub, link: Link, text: str) -> None:
        taken[1](hub, link, text)
        _write(path, "polymarket", {t for each in hub._listeners.values() for t in each.tokens})

    KalshiHub.on_text = kalshi  # type: ignore[method-assign]
    PolymarketHub.on_text = polymarket  # type: ignore[method-assign]
    return roles.build(spec, segment)


def _write(path: Path, venue: str, names: set[str]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"venue": venue, "names": sorted(names)}) + "\n")


if __name__ == "__main__":
    from ops import sim
    from ops.supervisor_cli import main

    learn_small_windows()
    sim.SimSession = RollingSession  # type: ignore[misc]
    sys.exit(main())
