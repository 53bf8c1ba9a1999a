"""The dead man's switch of each venue, kept armed: what cancels there when we fall silent or run
away.

What it is, only the venue's file knows (`Venue.stay_alive`): an order group at Kalshi, heartbeats
at Polymarket. Nothing is traded before every venue's is armed; one that fails later is tried again
and told once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.ports import Market, Venue, VenueError
from gateway.transport import Pool

if TYPE_CHECKING:
    from gateway.desk import Desk

RETRY_S = 0.25
log = logging.getLogger("gateway")


@dataclass(slots=True, kw_only=True)
class DeadMan:
    """`lines`: venue and connections by number; `markets`: those traded, asked for anew each
    time; `on_bad` counts a failure."""

    lines: Mapping[int, tuple[Venue, Pool]]
    markets: Callable[[], Sequence[Market]]
    on_bad: Callable[[], None]
    _armed: set[int] = field(default_factory=set)
    _all: asyncio.Event = field(default_factory=asyncio.Event)
    _again: dict[int, asyncio.Event] = field(default_factory=dict)

    async def armed(self) -> None:
        """Until every venue's switch is armed for the first time."""
        if self.lines:
            await self._all.wait()

    def renew(self) -> None:
        """An operator resumes: what has been triggered is armed anew."""
        for event in self._again.values():
            event.set()

    async def run(self, number: int) -> None:
        """Keep one venue's armed until cancelled."""
        venue, pool = self.lines[number]
        again = self._again.setdefault(number, asyncio.Event())
        is_failing = False
        while True:
            try:
                gap_ns = await venue.stay_alive(pool.request, self.markets(), anew=again.is_set())
            except VenueError as error:
                if not is_failing:
                    log.warning("dead man's switch: %s", error)
                is_failing = True
                self.on_bad()
                await asyncio.sleep(RETRY_S)
                continue
            if is_failing:
                log.warning("dead man's switch: %s: armed again", venue.name)
            is_failing = False
            again.clear()
            self._armed.add(number)
            if len(self._armed) == len(self.lines):
                self._all.set()
            try:
                await asyncio.wait_for(again.wait(), gap_ns / 1e9 if gap_ns else None)
            except TimeoutError:
                continue


def deadman_of(desk: Desk) -> DeadMan:
    """Of every venue that a desk has a line to."""
    return DeadMan(
        lines={number: (line.venue, line.pool) for number, line in desk.lines.items()},
        markets=lambda: desk.accounts.known,
        on_bad=lambda: desk.reports.count("bad_replies"),
    )
