"""A gateway without sockets between two plain venues and a clock that only moves when told: what
becomes of one intent of ten contracts, whatever the venues do with its legs.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from engine.unwind import plan_lone
from gateway.desk import Desk, DeskParams, VenueLine
from gateway.journal import Journal
from gateway.kalshi import KalshiVenue
from gateway.polymarket import PolymarketVenue
from gateway.ports import PlanLone
from gateway.throttle import Bucket
from ops.last_look import last_look, take
from shm_layout import ACTIVE, BUY, E6, GATE, POSITION, REASONS, SELL, cell, word_load
from tests.gateway.plain_venue import MS, Order, PlainVenue
from tests.gateway.scene import KALSHI, POLY, SECRETS, Scene, Signer, fee_of

SIZE = 10 * E6


class Clock(Scene):
    """A scene whose time stands still until `now_ns` is moved."""

    def __init__(self, set_at: int = -1) -> None:
        self.now_ns = 10**15
        super().__init__(set_at)

    def clock(self) -> int:
        return self.now_ns


class World:
    """The desk on its two venues. `gate`, `slot`: what everybody else sees of it."""

    def __init__(self, folder: Path, params: DeskParams, plan: PlanLone = plan_lone) -> None:
        self.params, self.folder, self.plan = params, folder, plan
        self.pools = self._open()
        self.begin()
        self.desk.accounts.start({KALSHI: 500 * E6, POLY: 500 * E6}, [], {})
        self.desk.opening.is_done = True
        self.desk.gate.open(self.scene.now_ns)

    def begin(self) -> None:
        """A desk on the journal as it is."""
        signer = Signer()
        files = {
            KALSHI: KalshiVenue(signer, "localhost"),
            POLY: PolymarketVenue(signer, "localhost", SECRETS, signature_type=0, wall_s=lambda: 1),
        }
        lines = {
            number: VenueLine(
                venue=files[number],
                pool=self.pools[number],  # type: ignore[arg-type]
                bucket=Bucket(rate=1_000, burst=1_000, reserve=10),
            )
            for number in (KALSHI, POLY)
        }
        self.desk = Desk(
            self.scene.segment, self.params, eventfd=-1, clock=self.scene.clock,
            journal=Journal(self.folder), lines=lines, pump=lambda _now: 0, fee=fee_of, take=take,
            last_look=last_look, plan_lone=self.plan,
        )  # fmt: skip
        for venue in self.venues.values():
            venue.frame = partial(self.desk.dispatcher.take_frame, venue.number)

    def _open(self) -> dict[int, PlainVenue]:
        """Scene and markets (`venues`, by instrument); what the desk takes for its connections."""
        self.scene = Clock()
        self.venues = {n: PlainVenue(n, self.scene.clock) for n in (KALSHI, POLY)}
        return self.venues

    @property
    def gate(self) -> tuple[int, str]:
        """State and reason."""
        at = self.scene.segment.at("gate")
        state, why = (
            word_load(self.scene.segment.words, at + cell(GATE, n)) for n in ("state", "reason")
        )
        return int(state), REASONS[why]

    def slot(self, instrument: int, name: str) -> int:
        """A field of a market's position slot."""
        row = self.scene.segment.read("positions", instrument)
        assert row is not None and POSITION.names is not None
        return int(row[name])

    @property
    def orders(self) -> list[tuple[int, Order]]:
        """Every order in the order of their coming, with its venue."""
        found = [(n, order) for n, venue in self.venues.items() for order in venue.orders]
        return sorted(found, key=lambda item: item[1].at_ns)

    def fire(self, buy: int, first: int, limits: dict[int, int]) -> int:
        """Ten contracts: BUY at venue `buy`, SELL at the other; leg 0 is at venue `first`, as in
        the row of the pair.
        """
        scene, direction = self.scene, int(buy != first)
        self.desk.memory.pair(0, 1, 1, 0, ((first, 1), (1 - first, 1)))
        legs = [
            scene.leg(number, BUY if number == buy else SELL, limits[number], SIZE)
            for number in (first, 1 - first)
        ]
        return scene.intent(*legs, flags=0, direction=direction)

    async def run(self, for_ns: int, step_ns: int = MS) -> None:
        """Let time pass."""
        end_ns = self.scene.now_ns + for_ns
        while self.scene.now_ns < end_ns:
            self.scene.now_ns += step_ns
            self.scene.beat()
            self.desk.step(self.scene.now_ns)
            for venue in self.venues.values():
                venue.step()
            for _ in range(4):
                await asyncio.sleep(0)

    @property
    def is_quiet(self) -> bool:
        """Nothing under way."""
        desk, now = self.desk, any(venue.due for venue in self.venues.values())
        return not (desk.ledger.open or desk.unwinder.cases or now)

    async def settle(self, most_ns: int = 30_000 * MS) -> None:
        """Until nothing is under way: a millisecond at a time, later ten."""
        await self.run(5 * MS)
        began_ns = self.scene.now_ns
        while not self.is_quiet and self.scene.now_ns - began_ns < most_ns:
            is_early = self.scene.now_ns - began_ns < 600 * MS or self.desk.unwinder.cases
            await self.run(MS if is_early else 10 * MS, MS if is_early else 10 * MS)
        await self.run(20 * MS)

    def close(self) -> None:
        """No file is left."""
        self.desk.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def is_active(world: World) -> bool:
    """Nothing halted."""
    return world.gate[0] == ACTIVE


def play_all(
    folder: Path,
    cases: Sequence[object],
    places: Iterable[int],
    whole: Callable[[Path, int], Awaitable[None]],
) -> None:
    """Every place of a table; one that does not hold is named with its case."""

    async def all_of_them() -> None:
        for place in places:
            try:
                await whole(folder, place)
            except AssertionError as error:
                raise AssertionError(f"{cases[place]}: {error}") from error

    asyncio.run(all_of_them())
