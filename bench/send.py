"""Send: from an intent in the ring to both legs' bytes handed to the sockets, beside two bare
writes of ready requests (goal: 1.5 ×).

Topology: the simulated venues on one core (TLS, signatures checked, orders matched); on another
this process: the engine of the stepped path (`path_engine.py`) with its feeds, signer and desk, but
no detector: the bench puts an intent into the ring, as the detector would, and steps the desk. The
floor writes two ready requests of its own markets to two TLS connections of its own. In turn,
three ways: the second of two in a row (caches hold what it needs, as on a core of its own), one as
soon as the answers to the last are in, and one after a pause of 5 ms (other code has had the
caches, and a core that others share is never warm).
Stages come from rounds of their own, with stamps between the dispatcher's steps.
The journal's thread syncs as in a run; what one record costs is shown apart, with and without it.
Cores: 2.
An intent's time begins when the desk looks into the ring; the hop before it is `tick_to_order`'s.
What would make it lie: an order that its venue did not take (each must have been read there, else
there are no figures); a pool that runs dry (misses must be 0); requests of other lengths (both are
made by the same code); stamps inside the path (only in the rounds for stages).
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import uvloop

from bench import harness
from bench.floor import Floor, Ready
from bench.path_engine import EPOCH, SteppedEngine
from bench.path_samples import FILLED, BenchError, Flights, outcomes
from bench.path_script import (
    ENGINE_KALSHI,
    ENGINE_POLYMARKET,
    FLOOR_KALSHI,
    FLOOR_POLYMARKET,
    MS_NS,
    SIZE_E6,
    RoundsScript,
)
from bench.path_venues import LogRow, Venues, venues
from bench.tick_to_order import alone
from gateway.dispatch import Dispatcher
from gateway.journal import Journal, files, read
from gateway.ledger import Work
from gateway.link import Link
from gateway.memory import Memory
from gateway.ports import NO, YES, Placing, Request
from gateway.reports import KEY_BYTES
from ops import clock, warm
from ops.venues.script import BookSet, Event
from shm_layout import (
    BODY,
    BUY,
    INTENT,
    K_INTENT,
    LEG,
    ORIGIN_DETECTOR,
    QUOTE,
    SELL,
    VENUES,
    Segment,
    Words,
    cell,
    intent_id,
    ring_append,
)

GOAL = 1.5
WARM_UP = 0.1  # share of the rounds that is not counted
ROUNDS, ROUNDS_QUICK = 400, 30  # of each kind, on each side
PAUSE_S = 0.005
READY_S, ROUND_S = 120.0, 30.0
RECORDS, RECORDS_QUICK = 4_000, 400
RECORD_GAP_NS = 500_000  # between records: ten of them a sync
BUY_E6, SELL_E6 = 400_000, 500_000
WITHIN_NS = 10_000_000_000  # an intent's life: what is held up is measured, not refused
DEEP_E6 = 10**12
KALSHI, POLYMARKET = VENUES.index("kalshi"), VENUES.index("polymarket")
_NUMBER, _EPOCH, _TICK = (cell(QUOTE, name) for name in ("number", "epoch", "tick_epoch"))
_LEG_AT = tuple(cell(INTENT, f"{LEG[0]}_{leg}") for leg in (0, 1))


@dataclass(frozen=True, kw_only=True)
class SteadyScript(RoundsScript):
    """The same four markets with deep books that pay all the time."""

    def events(self) -> Iterator[Event]:
        """The books alone."""
        for kalshi, polymarket in (
            (ENGINE_KALSHI, ENGINE_POLYMARKET), (FLOOR_KALSHI, FLOOR_POLYMARKET),
        ):  # fmt: skip
            at_ns = self.begin_epoch_ns
            yield BookSet(at_ns, kalshi, ((380_000, DEEP_E6),), ((BUY_E6, DEEP_E6),))
            yield BookSet(at_ns, polymarket, ((SELL_E6, DEEP_E6),), ((520_000, DEEP_E6),))


class SendEngine(SteppedEngine):
    """Without a detector's turn: who puts intents into the ring is the bench."""

    def _turn(self) -> None:
        self.desk.step(clock.mono_ns())


class Timed(Dispatcher):
    """The dispatcher with a stamp after each of its steps."""

    def __init__(self, whole: Dispatcher) -> None:
        told = {one.name: getattr(whole, one.name) for one in fields(whole) if one.init}
        super().__init__(**told)
        self.stamps: list[int] = []

    def fire(self, taken_ns: int) -> tuple[Work | None, int]:
        """As it is, with when it began."""
        self.stamps = [clock.mono_ns()]
        return super().fire(taken_ns)

    def _links(self, rows: Sequence[Sequence[int]]) -> list[Link] | None:
        found = super()._links(rows)
        self.stamps.append(clock.mono_ns())
        return found

    def _sign(
        self, found: Sequence[int], rows: Sequence[Sequence[int]], now_ns: int
    ) -> list[Request] | None:
        made = super()._sign(found, rows, now_ns)
        self.stamps.append(clock.mono_ns())
        return made

    def _journal(self, requests: Sequence[Request], taken_ns: int) -> int:
        why = super()._journal(requests, taken_ns)
        self.stamps.append(clock.mono_ns())
        return why


KINDS = {  # a round: pause before it, how many in a row; the last is counted
    "second_of_two": (0.0, 2), "back_to_back": (0.0, 1), "after_a_pause": (PAUSE_S, 1),
}  # fmt: skip
STAGES = ("look", "connections", "requests", "journal", "first_write", "second_write")


@dataclass(slots=True)
class Seen:
    """What one kind of round gave, on both sides."""

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=lambda: {n: [] for n in STAGES})


class Bench:
    """One run of both sides."""

    def __init__(self, script: SteadyScript, beside: Venues, engine: SendEngine) -> None:
        self.script, self.venues, self.engine = script, beside, engine
        self.floors = (Floor(clock.mono_ns, b""), Floor(clock.mono_ns, b""))
        self.flights = Flights(engine.segment)
        self.seen = {name: Seen() for name in KINDS}
        self._count = 0
        engine.each_tick = lambda _: self.flights.poll()
        known = engine.desk.accounts.markets
        self._polymarket = known[FLOOR_POLYMARKET]
        self._kalshi = dataclasses.replace(
            known[ENGINE_KALSHI], instrument=FLOOR_KALSHI,
            ticker=script.markets[FLOOR_KALSHI].ticker,
        )  # fmt: skip
        self._timed, self._plain = Timed(engine.desk.dispatcher), engine.desk.dispatcher

    async def run(self, rounds: int) -> None:
        """Get ready, then all rounds."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.engine.run(stop))
        try:
            async with asyncio.timeout(READY_S):
                while not self.engine.is_ready:
                    await _still(running, 0.01)
                context = ssl.create_default_context(cafile=str(self.venues.tls.ca))
                for floor in self.floors:
                    await floor.connect(context, self.venues.ports)
            start_ns = clock.mono_ns()
            self.engine.start_clock(start_ns)
            self.venues.start(start_ns)
            await _still(running, 0.5)
            for name, (pause_s, count) in KINDS.items():
                for number in range(rounds):
                    await self._shoot(self.seen[name], pause_s, count, running)
                    is_timed = number % 2 == 1
                    await self._send(self.seen[name], pause_s, count, running, is_timed=is_timed)
        finally:
            stop.set()
            for floor in self.floors:
                floor.close()
            await running

    async def _shoot(
        self, seen: Seen, pause_s: float, count: int, running: asyncio.Task[None]
    ) -> None:
        """The floor's turn."""
        floors = self.floors[:count]
        for number, floor in enumerate(floors):
            floor.ready = self._requests(SIZE_E6 // (count - number))
        await _still(running, pause_s)
        for floor in floors:
            floor.fire(clock.mono_ns())
        shot = floors[-1].shots[-1]
        seen.floor.append(float(shot.send_ns - shot.recv_ns))

        def answered() -> bool:
            return all(w.answered == len(floor.shots) for floor in floors for w in floor.wires)

        await self._calm(running, answered)

    async def _send(
        self, seen: Seen, pause_s: float, count: int, running: asyncio.Task[None], *,
        is_timed: bool,
    ) -> None:  # fmt: skip
        """The desk's turn."""
        desk, segment = self.engine.desk, self.engine.segment
        desk.dispatcher = desk.reception.dispatcher = self._timed if is_timed else self._plain
        await _still(running, pause_s)
        made = [self._intent(SIZE_E6 // (count - number)) for number in range(count)]
        for _, cells in made:
            _stamp(cells)
            at, entries = segment.at("intents"), segment.entries("intents")
            ring_append(segment.words, at, entries, K_INTENT, cells, BODY)
        desk.step(clock.mono_ns())
        self.flights.poll()
        flights = [self.flights.by_intent.get(number) for number, _ in made]
        flight = flights[-1]
        if flight is None or not all(one and one.is_sent for one in flights):
            raise BenchError(f"an intent was not sent: {flights}")
        sent = [flight.send_ns[leg] for leg in (0, 1)]
        if is_timed:
            stamps = [flight.taken_ns, *self._timed.stamps, *sent]
            steps = [after - before for before, after in itertools.pairwise(stamps)]
            for name, took in zip(STAGES, steps, strict=True):
                seen.stages[name].append(float(took))
        else:
            seen.ours.append(float(sent[1] - flight.taken_ns))
        await self._calm(running, lambda: all(one.reason for one in flights if one))
        if any(one.reason != "done" for one in flights if one):
            raise BenchError(f"an intent did not end well: {flights}")

    def _requests(self, size_e6: int) -> Ready:
        """What the desk would send, made by its own venue files."""
        made = []
        self._count += 1
        for number, market, placing in (
            (KALSHI, self._kalshi, Placing(YES, BUY, BUY_E6)),
            (POLYMARKET, self._polymarket, Placing(NO, BUY, 1_000_000 - SELL_E6)),
        ):
            quote = self.engine.desk.intake.quote(FLOOR_POLYMARKET)
            assert quote is not None
            request = self.engine.desk.lines[number].venue.prepare(
                market=market, placing=placing, size_e6=size_e6, now_ns=clock.mono_ns(),
                urgent=False, order_id=f"floor-{self._count:010d}-{0:026d}",
                tick_epoch=quote[_TICK],
            )  # fmt: skip
            if request is None:
                raise BenchError(f"no ready request for the floor, round {self._count}")
            made.append((request.key[:KEY_BYTES], request.wire))
        return Ready(0, *made)

    def _intent(self, size_e6: int) -> tuple[int, Words]:
        """Both legs as the detector would want them, on the newest quotes."""
        self._count += 1
        number = intent_id(ORIGIN_DETECTOR, EPOCH, self._count)
        cells = np.zeros(BODY, np.int64)
        for name, value in (("id", number), ("leg_count", 2)):
            cells[cell(INTENT, name)] = value
        legs = (
            (KALSHI, ENGINE_KALSHI, BUY, BUY_E6),
            (POLYMARKET, ENGINE_POLYMARKET, SELL, SELL_E6),
        )
        for at, (venue, instrument, side, limit_e6) in zip(_LEG_AT, legs, strict=True):
            quote = self.engine.desk.intake.quote(instrument)
            assert quote is not None
            generation = self.engine.desk.accounts.markets[instrument].generation
            cells[at : at + len(LEG)] = (
                venue, instrument, generation, side, limit_e6, size_e6, 0, quote[_NUMBER],
                quote[_EPOCH], quote[_TICK],
            )  # fmt: skip
        return number, cells

    async def _calm(self, running: asyncio.Task[None], holds: Callable[[], bool]) -> None:
        """Until an answer is there and everything it changes has been read."""
        async with asyncio.timeout(ROUND_S):
            while not holds():
                await _still(running, 0.0)
        for _ in range(3):
            await _still(running, 0.0005)


def _stamp(cells: Words) -> None:
    """Decided now."""
    now_ns = clock.mono_ns()
    for name in ("decide_ns", "recv_ns", "publish_ns"):
        cells[cell(INTENT, name)] = now_ns
    cells[cell(INTENT, "expires_ns")] = now_ns + WITHIN_NS


async def _still(running: asyncio.Task[None], seconds: float) -> None:
    """A moment; an error of the engine comes out here."""
    await asyncio.wait({running}, timeout=seconds)
    if running.done():
        running.result()
        raise BenchError("the engine ended by itself")


def journal_store(memory: Memory, folder: Path, count: int, *, is_synced: bool) -> list[float]:
    """ns of one record of two orders, the journal's thread syncing beside it or not."""
    journal = Journal(folder)
    segment = Segment.private()
    if is_synced:
        journal.start()
    took = []
    for _ in range(count):
        until_ns = clock.mono_ns() + RECORD_GAP_NS
        while clock.mono_ns() < until_ns:
            pass
        start = clock.mono_ns()
        why = journal.put_order(segment.words, memory.words, start)
        took.append(float(clock.mono_ns() - start))
        assert why == 0, why
        journal.link()
    if is_synced and not journal.syncs:
        raise BenchError("the journal was never synced")
    journal.close()
    if len(files(folder)) != 1 or len(read(files(folder)[0]).records) != count:
        raise BenchError("the journal does not hold what was written")
    return took[count // 10 :]


def measure(rounds: int, records: int) -> tuple[Bench, list[LogRow], dict[str, list[float]]]:
    """Both sides, the venues' log, and the journal's stores by name."""
    warm.call_all()
    begin_epoch_ns = clock.epoch_ns() // MS_NS * MS_NS
    script = SteadyScript(begin_epoch_ns=begin_epoch_ns, rounds=4_000)
    with alone() as core, venues(script, core) as (beside, folder):
        bench = Bench(script, beside, SendEngine(script, beside, folder))
        uvloop.run(bench.run(rounds))
        rows, _ = beside.stop()
        memory = bench.engine.desk.memory
        stores = {
            name: journal_store(memory, folder / name, records, is_synced=name == "synced")
            for name in ("synced", "not_synced")
        }
    return bench, rows, stores


def figures(
    bench: Bench, rows: Sequence[LogRow], stores: dict[str, list[float]]
) -> dict[str, object]:
    """Checked and put together. Raises BenchError if a side did not do what it was timed for."""
    log = outcomes(rows)
    keys = [key for floor in bench.floors for shot in floor.shots for key in shot.keys]
    keys += [key for flight in bench.flights.by_intent.values() for key in flight.keys.values()]
    for key in keys:
        if log.get(key, (0, "never read"))[1] not in FILLED:
            raise BenchError(f"order {key}: {log.get(key, (0, 'never read'))[1]} at its venue")
    if missed := bench.engine.desk.reports.counted("pool_misses"):
        raise BenchError(f"{missed} orders were not ready when they were wanted")
    found: dict[str, object] = {}
    ratios = {}
    for name, seen in bench.seen.items():
        ours, floor = (_warm(side) for side in (seen.ours, seen.floor))
        ratios[name] = harness.ratio(ours, floor)
        found[name] = {
            "ours_ns": harness.spread(ours),
            "floor_ns": harness.spread(floor),
            "p50_ratio": ratios[name],
            "stages_ns": {at: harness.spread(_warm(took)) for at, took in seen.stages.items()},
        }
    found["verdict"] = harness.verdict(ratios, GOAL, 2)
    found["journal_store_ns"] = {name: harness.spread(took) for name, took in stores.items()}
    return found


def _warm(took: list[float]) -> list[float]:
    return took[int(len(took) * WARM_UP) :]


def run(quick: bool) -> dict[str, object]:
    """Both sides in turn, hot and cold, and the journal's store."""
    return figures(*measure(*((ROUNDS_QUICK, RECORDS_QUICK) if quick else (ROUNDS, RECORDS))))
