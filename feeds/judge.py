"""Watches what the compiled book judges frame by frame: the venue's clock and prices that jump.

One per connection, called with every tick. It keeps the floor the kernels compare stamps with,
raises TIME_SKEW on the whole venue when nothing fits any more and lowers it when stamps fit again
(a single market ends its own with its next fitting frame), and confirms jumps that stand although
no frame comes. See feeds/skew.py, feeds/offset.py, feeds/outlier.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feeds.levels import (
    BAD_AT_NS,
    BAD_LOW,
    BADS,
    BAND_E6,
    BAND_TICKS,
    CONFIRM_FRAMES,
    CONFIRM_NS,
    EARLY,
    FLOOR,
    GOOD_LOW,
    GOODS,
    JUDGED,
    LATE,
    NO_SAMPLE,
    OFFSET_MAX,
    PENDING,
    SPEED_E6,
)
from feeds.offset import MS_NS, SECOND_NS, ClockBand, ClockOffset, Found
from feeds.seat import Seat
from shm_layout import BODY, RUN_CLOCK, RUN_CLOCK_AT, TIME_SKEW, cell, slot_load

_BASE, _SPEED = cell(RUN_CLOCK, "mono_base_ns"), cell(RUN_CLOCK, "speed_e6")
RAISE_NS = 200 * MS_NS  # nothing has fitted for so long: it is the venue, not one market
HOLD_NS = SECOND_NS  # TIME_SKEW ends so long after the last stamp that did not fit
RETRY_NS, RETRY_MAX_NS = 2 * SECOND_NS, 60 * SECOND_NS  # between connections given up for it


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpBand:
    """How far a best price may jump before it must be confirmed: `ticks` of the market's grid or
    `share_e6` of the dollar (of the price, for spot), whichever is more. It is confirmed by
    `frames` further frames of the market or after `confirm_ns`. `confirm_ns` 0: not watched."""

    ticks: int
    share_e6: int
    confirm_ns: int = 300 * MS_NS
    frames: int = 2


CONTRACT = JumpBand(ticks=20, share_e6=100_000)
SPOT = JumpBand(ticks=0, share_e6=10_000)


class Judge:
    """Of one connection's books. `name` is the venue's, for the alerts."""

    def __init__(
        self,
        publisher: Seat,
        name: str,
        *,
        jumps: JumpBand,
        clock: ClockBand = ClockBand(),  # noqa: B008  frozen
    ) -> None:
        self._publisher, self._name, self._band = publisher, name, clock
        self._words, self._state = publisher.words, publisher.state
        self._run_clock = np.zeros(BODY, np.int64)
        self._is_raised = self._is_off = False
        self._off_ns = self._asked_ns = 0
        self._retry_ns = RETRY_NS
        self.offset = ClockOffset(clock)
        self.wants_reconnect = False
        state = self._state
        state[BAND_TICKS], state[BAND_E6] = jumps.ticks, jumps.share_e6
        state[CONFIRM_NS], state[CONFIRM_FRAMES] = jumps.confirm_ns, jumps.frames

    def opened(self) -> None:
        """A new connection. The clock is the venue's: what is known of it stays."""
        self.wants_reconnect = False
        self._is_raised = self._is_off = False
        self.offset.opened()
        self._forget()

    def step(self, now_ns: int) -> None:
        """Every tick: take what the kernels saw since the last."""
        state, known = self._state, self._publisher.notices
        if self.offset.floor_ns is None and known.floor_ns is not None:
            self.offset.start(now_ns, known.floor_ns, known.before_ns)
        self._set_bands(now_ns)
        if state[GOODS] or state[BADS]:
            self._look(now_ns)
        if self._is_raised and state[JUDGED] == 0:  # run time stands: nothing can be said
            self._lower(now_ns)
        if state[PENDING]:
            self._publisher.mark(now_ns=now_ns)

    def _look(self, now_ns: int) -> None:
        state, offset = self._state, self.offset
        goods, bads = int(state[GOODS]), int(state[BADS])
        if goods:
            offset.fits(now_ns, int(state[GOOD_LOW]))
            known = self._publisher.notices
            known.floor_ns, known.before_ns = offset.floor_ns, offset.before_ns
            self._is_off, self._retry_ns = False, RETRY_NS
            if self._is_raised and now_ns - int(state[BAD_AT_NS]) >= HOLD_NS:
                self._lower(now_ns)
        else:
            self._misfit(offset.misfits(now_ns, int(state[BAD_LOW])), now_ns)
        self._is_raised |= bads > 0
        self._forget()
        self._set_bands(now_ns)

    def _misfit(self, found: Found, now_ns: int) -> None:
        if found is Found.STEPPED:
            assert self.offset.floor_ns is not None
            self._say(f"{found.value}, now {self.offset.floor_ns // MS_NS} ms behind ours")
            self._lower(now_ns)
            return
        if not self._is_off:
            self._is_off, self._off_ns = True, now_ns
        if now_ns - self._off_ns >= RAISE_NS:
            self._publisher.mark(raised=TIME_SKEW, now_ns=now_ns)
        if found is not Found.NOTHING and now_ns - self._asked_ns >= self._retry_ns:
            self._asked_ns = now_ns
            self._retry_ns = min(2 * self._retry_ns, RETRY_MAX_NS)
            self._say(found.value)
            if found is Found.BEHIND:
                self._publisher.count("behind")
            self.wants_reconnect = True

    def _say(self, text: str) -> None:
        self._publisher.notices.alert(f"{self._name}: time: {text}")

    def _lower(self, now_ns: int) -> None:
        self._is_raised = self._is_off = False
        self._publisher.mark(lowered=TIME_SKEW, now_ns=now_ns)

    def _forget(self) -> None:
        state = self._state
        state[GOODS] = state[BADS] = 0
        state[GOOD_LOW] = state[BAD_LOW] = NO_SAMPLE

    def _set_bands(self, now_ns: int) -> None:
        """Stamps are run time, and so are the bands the kernels hold them to."""
        state, band, clock = self._state, self._band, self._run_clock
        is_read = slot_load(self._words, RUN_CLOCK_AT, clock, BODY) > 0
        speed_e6 = int(clock[_SPEED])
        state[JUDGED] = is_read and clock[_BASE] > 0 and speed_e6 > 0
        if not state[JUDGED]:
            return
        state[SPEED_E6] = speed_e6
        self.offset.spread_ns = band.spread_ns * speed_e6 // 1_000_000
        state[LATE] = band.late_ns * speed_e6 // 1_000_000
        state[OFFSET_MAX] = max(band.offset_max_ns, int(state[LATE]))
        is_proven = self.offset.is_proven(now_ns)
        early_ns = band.early_ns * speed_e6 // 1_000_000
        state[EARLY] = early_ns if is_proven else 2 * int(state[OFFSET_MAX])
        if self.offset.floor_ns is not None:
            state[FLOOR] = self.offset.floor_ns
