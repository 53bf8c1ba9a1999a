"""What the relays of indices have in common: names, exact values, where a tick came from, a watch
on the newest stamp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from feeds.index import CELLS, index_tick
from feeds.seat import Seat
from feeds.update import MS_NS, SECOND_NS, STAMP_MAX_MS, FeedError
from shm_layout import LINK_SILENT, NONE_NS, Words, run_epoch_ns

# INDEX.source: what an entry brings. A mean's entry repeats the newest value, with its stamp.
(CF_SECOND, CF_FIFTH, POLYBOLT_CHAINLINK, POLYBOLT_PYTH, POLYBOLT_TWAP, RTDS_CHAINLINK,
 RTDS_TWAP) = range(1, 8)  # fmt: skip

# Its series, and how often that ticks (0: what is left out is not missed).
_SERIES: Final = {
    CF_SECOND: (1, SECOND_NS), CF_FIFTH: (0, 0), POLYBOLT_CHAINLINK: (0, SECOND_NS),
    POLYBOLT_PYTH: (0, SECOND_NS), POLYBOLT_TWAP: (1, SECOND_NS), RTDS_CHAINLINK: (0, SECOND_NS),
    RTDS_TWAP: (1, SECOND_NS),
}  # fmt: skip

# Names of one index in rules texts and on the wires (spot.md 5 and 6.2, autumn 2026).
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "BRTI": ("BRTI",),
    "ETHUSD_RTI": ("ETHUSD_RTI", "ETHUSDRTI", "ERTI"),
    "SOLUSD_RTI": ("SOLUSD_RTI", "SOLUSDRTI"),
    "XRPUSD_RTI": ("XRPUSD_RTI", "XRPUSDRTI"),
    "DOGEUSD_RTI": ("DOGEUSD_RTI", "DOGEUSDRTI"),
    **{
        f"{coin}usd": (f"{coin}usd", f"{coin}/usd")
        for coin in ("btc", "eth", "sol", "xrp", "doge", "hype", "bnb", "zec")
    },
}
_CANONICAL: Final = {name: index for index, names in ALIASES.items() for name in names}
_DECIMAL = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,30}))?", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,30}", re.ASCII)
_E10 = 10**10
VALUE_MAX_E8 = 10**18  # beyond it, the text is wrong

SILENT_NS = 5 * SECOND_NS  # no newer stamp for so long: not to be used
DEAD_NS = 15 * SECOND_NS  # … and a new connection
AHEAD_NS = 5 * SECOND_NS  # of our clock: no relay's is that far off, its stamp is none


def canonical(name: str) -> str:
    """The one name of an index. Raises FeedError for a name that is not known: no index is guessed
    from its looks."""
    found = _CANONICAL.get(name)
    if found is None:
        raise FeedError(f"index: found {name[:40]!r}, wanted one of {sorted(_CANONICAL)}")
    return found


def decimal_e8(text: str) -> int:
    """A plain decimal as whole 1e-8; digits beyond are rounded, a half up. Raises FeedError."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise FeedError(f"value: found {text[:40]!r}, wanted a decimal such as 64126.5")
    return _checked(int(match[1] + (match[2] or "")[:18].ljust(18, "0")), text)


def e18_e8(text: str) -> int:
    """The integer text in 1e-18 of the Chainlink topics, as whole 1e-8. Raises FeedError."""
    if not _WHOLE.fullmatch(text):
        raise FeedError(f"value: found {text[:40]!r}, wanted a whole number in 1e-18")
    return _checked(int(text), text)


def _checked(value_e18: int, text: str) -> int:
    value_e8 = (value_e18 + _E10 // 2) // _E10
    if not 0 < value_e8 <= VALUE_MAX_E8:
        raise FeedError(f"value: found {text[:40]!r}, wanted more than 0, less than 1e10")
    return value_e8


def stamp_ns(stamp_ms: int) -> int:
    """A stamp in ms as ns. Raises FeedError for one that cannot be."""
    if not 0 < stamp_ms <= STAMP_MAX_MS:
        raise FeedError(f"stamp: found {stamp_ms}, wanted ms since 1970, before 2100")
    return stamp_ms * MS_NS


@dataclass(slots=True, kw_only=True)
class Mean:
    """A mean as its relay tells it; NONE_NS: not told. Times in epoch ns, the end is not in it."""

    value_e8: int = NONE_NS
    count: int = NONE_NS
    start_ns: int = NONE_NS
    end_ns: int = NONE_NS
    close_e8: int = NONE_NS  # Kalshi's last_60s_windowed_average_15min, one tick off the settlement


@dataclass(slots=True)
class _State:
    """One index as the handler knows it."""

    value_e8: int = NONE_NS
    event_ns: int = NONE_NS
    mean: Mean = field(default_factory=Mean)


class Board:
    """The indices of one connection: their places, their newest content, and the one way out."""

    def __init__(self, seat: Seat, products: Sequence[str]) -> None:
        self.seat = seat
        self.locals = {canonical(name): local for local, name in enumerate(products)}
        self._states = [_State() for _ in products]
        self._told: Words = np.zeros(CELLS, np.int64)

    def check(self, event_ns: int, recv_ns: int) -> None:
        """A stamp from the future would make every later tick an old one. Raises FeedError."""
        run_ns = int(run_epoch_ns(self.seat.words, recv_ns))
        if run_ns > 0 and event_ns > run_ns + AHEAD_NS:
            raise FeedError(f"stamp: found {event_ns - run_ns} ns ahead of us, wanted {AHEAD_NS}")

    def place(self, name: str) -> int | None:
        """The place of an index by any of its names; None: not ours. Raises FeedError."""
        return self.locals.get(canonical(name))

    def value(
        self,
        local: int,
        value_e8: int,
        event_ns: int,
        recv_ns: int,
        *,
        relay_ns: int,
        sequence: int,
        source: int,
    ) -> None:
        """A new value, published unless its second is known. What is known of the mean goes with
        it."""
        state = self._states[local]
        state.value_e8, state.event_ns = value_e8, event_ns
        self._send(local, state, event_ns, recv_ns, relay_ns, sequence, source)

    def mean(
        self, local: int, mean: Mean, recv_ns: int, *, relay_ns: int, sequence: int, source: int
    ) -> None:
        """A mean that comes by itself, published with the newest value (0 before the first)."""
        self.set_mean(local, mean)
        state = self._states[local]
        self._send(local, state, mean.end_ns, recv_ns, relay_ns, sequence, source)

    def set_mean(self, local: int, mean: Mean) -> None:
        """A mean that the next value brings along."""
        self._states[local].mean = mean

    def _send(
        self,
        local: int,
        state: _State,
        series_ns: int,
        recv_ns: int,
        relay_ns: int,
        sequence: int,
        source: int,
    ) -> None:
        mean, seat = state.mean, self.seat
        self._told[:] = (
            max(state.value_e8, 0), mean.value_e8, mean.count, mean.start_ns, mean.end_ns,
            mean.close_e8, relay_ns, sequence, source,
        )  # fmt: skip
        series, every_ns = _SERIES[source]
        index_tick(
            seat.words, seat.state, local, self._told, max(state.event_ns, 0), series, series_ns,
            every_ns, recv_ns,
        )  # fmt: skip

    def lose(self, now_ns: int) -> None:
        """The connection is gone: nothing of it may be used."""
        self._states = [_State() for _ in self._states]
        self.seat.lose(now_ns)


class TickWatch:
    """Whether stamps still grow, of each index and each of its series. Pings prove nothing about
    data, and so does a repeated stamp.

    An index of which one series has fallen silent is LINK_SILENT, whatever the others do. Machine
    time; it stands while run time does, because then there is nothing to be heard.
    """

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._run_ns = 0
        self._grew_ns: int | None = None  # anything; None: not connected
        self._series: dict[tuple[int, int], tuple[int, int]] = {}  # newest stamp, when it came
        self._silent: set[int] = set()

    def opened(self, now_ns: int) -> None:
        """A new connection: its time starts now."""
        self._grew_ns = now_ns
        self._series.clear()
        self._silent.clear()

    def closed(self) -> None:
        """Nothing to watch."""
        self._grew_ns = None

    def heard(self, local: int, series: int, event_ns: int, recv_ns: int) -> None:
        """A tick of a series with this stamp."""
        if event_ns <= self._series.get((local, series), (0, 0))[0]:
            return
        self._series[local, series] = event_ns, recv_ns
        self._grew_ns = recv_ns
        if local in self._silent and local not in self._silent_at(recv_ns):
            self._silent.discard(local)
            self._seat.mark(local, lowered=LINK_SILENT, now_ns=recv_ns)

    def _silent_at(self, now_ns: int) -> set[int]:
        series = self._series.items()
        return {local for (local, _), (_, grew_ns) in series if now_ns - grew_ns > SILENT_NS}

    def is_dead(self, now_ns: int) -> bool:
        """Every tick: raises LINK_SILENT when it is time. True: only a new connection helps, on
        which a series counts from its first tick on."""
        run_ns = int(run_epoch_ns(self._seat.words, now_ns))
        stands, self._run_ns = run_ns == self._run_ns, run_ns
        if self._grew_ns is None:
            return False
        if stands:
            self._grew_ns = now_ns
            self._series = {key: (newest, now_ns) for key, (newest, _) in self._series.items()}
            return False
        for local in self._silent_at(now_ns):
            if not self._seat.trust(local) & LINK_SILENT:  # a link that speaks again lowers it
                self._seat.mark(local, raised=LINK_SILENT, now_ns=now_ns)
            if local not in self._silent:
                self._silent.add(local)
                self._seat.count("link_silent")
        grew_ns = min((at_ns for _, at_ns in self._series.values()), default=self._grew_ns)
        return now_ns - grew_ns > DEAD_NS
