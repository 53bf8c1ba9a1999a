"""The gateway of `lone_world` with three outcomes of one question at one venue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from engine.unwind import plan_lone
from gateway.params import DeskParams
from gateway.ports import Held, PlanLone
from gateway.recovery import past_of, recover
from gateway.transport import Answer
from shm_layout import BUY, E6, KIND_COMPLEMENT, SELL
from tests.gateway.lone_world import SIZE, Clock, World
from tests.gateway.plain_venue import MS, PlainVenue
from tests.gateway.scene import KALSHI, POLY, SET


@dataclass(slots=True)
class Hall(PlainVenue):
    """A venue of several markets: each order goes to its own. `sent_max`: after so many orders the
    desk dies (RuntimeError) before the next one leaves.
    """

    markets: dict[int, PlainVenue] | None = None
    sent_max: int = 1_000

    def send(self, wire: bytes, then: Callable[[Answer], None]) -> int:
        """To the market that it names."""
        assert self.markets is not None
        if sum(len(market.orders) for market in self.markets.values()) >= self.sent_max:
            raise RuntimeError("the desk dies here")
        found = orjson.loads(wire.split(b"\r\n\r\n", 1)[1])
        name = found["instrument"] if self.number == POLY else int(found["ticker"].split("-")[1])
        return self.markets[name].send(wire, then)

    def _read_of(self, path: str) -> tuple[int, Any]:
        """The rows of all markets."""
        assert self.markets is not None
        told: list[tuple[int, Any]] = [x._read_of(path) for x in self.markets.values()]
        status, first = told[0]
        names = [name for name, value in first.items() if isinstance(value, list)]
        return status, first | {
            name: [row for _, each in told for row in each[name]] for name in names
        }


class SetWorld(World):
    """`fire` sends ten of each outcome."""

    def __init__(
        self, folder: Path, params: DeskParams, venue: int, direction: int,
        plan: PlanLone = plan_lone,
    ) -> None:  # fmt: skip
        self.venue, self.direction = venue, direction
        self.side = SELL if direction else BUY
        super().__init__(folder, params, plan)

    def _open(self) -> dict[int, PlainVenue]:
        self.scene = Clock(self.venue)
        self.venues = {n: PlainVenue(self.venue, self.scene.clock) for n in SET}
        self.hall = Hall(self.venue, self.scene.clock, markets=self.venues)
        other = 1 - self.venue
        return {self.venue: self.hall, other: PlainVenue(other, self.scene.clock)}

    def fire_set(self, limit_e6: int) -> int:
        """All three at one limit."""
        legs = [self.scene.leg(number, self.side, limit_e6, SIZE) for number in SET]
        more = {"pair": 1, "kind": KIND_COMPLEMENT, "direction": self.direction}
        return self.scene.intent(*legs, flags=0, **more)

    async def succeed(self) -> None:
        """The desk is gone, with every answer that was on its way; another finds the orders, then
        what the venue says is held.
        """
        for market in self.venues.values():
            market.due.clear()
        self.desk.close()
        self.hall.sent_max = 1_000
        self.begin()
        desk, clock = self.desk, self.scene.clock
        past = past_of(desk._journal.recovered, desk.intake.run_id, desk.intake.quote)
        recover(past, desk.ledger, desk.unwinder.take_up, desk.unwinder.stand, clock())
        while list(desk.ledger.unresolved()):
            await self.run(10 * MS, 10 * MS)
        held = [self._held(number) for number in SET]
        desk.accounts.start({KALSHI: 500 * E6, POLY: 500 * E6}, held, {})
        desk.opening.is_done = True
        desk.unwinder.begin(clock())
        desk.gate.open(clock())

    def _held(self, number: int) -> Held:
        net_e6 = self.venues[number].net_e6
        return Held(number, max(net_e6, 0), max(-net_e6, 0))


assert KALSHI not in SET and POLY not in SET
