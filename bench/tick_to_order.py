"""Tick-to-order: the whole path in one process beside two bare writes on a frame (goal: 1.3 ×).

Topology: the simulated venues on one core (real sockets, TLS, signatures checked, orders matched);
on another this process with one uvloop: both feeds, detector and desk stepped in turn at the end of
each received buffer, signer and heartbeats between frames, the journal's own thread; and the floor
(`floor.py`): a picows listener that writes two ready requests to two TLS connections on a frame.
Both trade gaps of one script against the same venues, in turn, so that noise hits both. Measured:
receipt of the frame to after the last leg's write, from the engine's reports and the floor's
stamps; every order must have been read and filled by its venue, else there are no figures.
On real processes: a run of `arb-supervisor` with its own world; service time per stage and hop.
Cores: 2 for the stepped path. The real processes get no verdict on fewer cores than hot processes.
What would make it lie: the floor's frame alone holds no ticker behind the delta, which the feed
must read before the buffer ends (that is part of the path); a floor of unequal requests (both are
made by the same code and sizes are shown); a pool that runs dry would sign on the path (counted:
misses must be 0); a neighbour on either core. Gaps are rare, as in life, so caches are cold: one
Kalshi delta with its ticker took 8 µs in a hot loop, 36 after 1 ms of sleep and 50 to 80 after 5 ms
(2026-11, AMD EPYC, a busy VM). Python suffers from that more than the kernel, whose share is most
of the floor: on a shared machine the ratio is worse than on cores of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import os
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import uvloop

from bench import harness
from bench.floor import Floor, Ready, Shot
from bench.path_engine import SteppedEngine
from bench.path_live import live
from bench.path_samples import BenchError, Flight, Flights, outcomes, whole_flights, whole_shots
from bench.path_script import (
    ENGINE_KALSHI,
    FLOOR_KALSHI,
    FLOOR_POLYMARKET,
    KALSHI_ASK_E6,
    MS_NS,
    PERIOD_NS,
    POLYMARKET_BID_E6,
    SIZE_E6,
    RoundsScript,
)
from bench.path_venues import LogRow, Venues, venues
from gateway.ports import NO, YES, Placing
from gateway.reports import KEY_BYTES
from ops import clock, warm
from ops.sim import KALSHI_WS
from shm_layout import BUY, QUOTE, VENUES, cell

LIMIT = 1.3
WARM_UP = 0.1  # share of the rounds that is not counted
ROUNDS, ROUNDS_QUICK = 1_600, 160
LIVE_S, LIVE_QUICK_S = 12, 2
READY_S = 120.0
CALM = 0.05  # share of gaps missed above which the machine was too busy for a verdict
ARM_NS = 6 * MS_NS  # before the gap opens, the floor's requests are made
KALSHI, POLYMARKET = VENUES.index("kalshi"), VENUES.index("polymarket")
TRIGGER = b'"delta_fp":"%d.00"' % (SIZE_E6 // 1_000_000)  # of the level that opens a gap
_TICK_EPOCH = cell(QUOTE, "tick_epoch")


class Bench:
    """One run of both sides over one script."""

    def __init__(self, script: RoundsScript, beside: Venues, engine: SteppedEngine) -> None:
        self.script, self.venues, self.engine = script, beside, engine
        self.floor = Floor(clock.mono_ns, TRIGGER)
        self.flights = Flights(engine.segment)
        self.start_ns = 0
        self._next, self._armed = 1, -1  # the floor's rounds are the odd ones
        engine.each_tick = self._tick
        known = engine.desk.accounts.markets
        self._polymarket = known[FLOOR_POLYMARKET]
        ticker = script.markets[FLOOR_KALSHI].ticker
        self._kalshi = dataclasses.replace(
            known[ENGINE_KALSHI], instrument=FLOOR_KALSHI, ticker=ticker
        )

    def _tick(self, now_ns: int) -> None:
        """Between frames: read reports; make the floor's requests shortly before its gap opens. A
        gap that is over unanswered is missed."""
        self.flights.poll()
        if self.start_ns == 0:
            return
        while self._next < self.script.rounds and now_ns > self._due_ns() + self.script.open_ns:
            self._next += 2
            self.floor.ready = None
        is_near = self._next < self.script.rounds and now_ns >= self._due_ns() - ARM_NS
        if is_near and self._armed < self._next:
            self._armed = self._next
            self.floor.ready = self._requests(self.script.opens_epoch_ns(self._next), now_ns)

    def _due_ns(self) -> int:
        """When the floor's next gap opens, machine time."""
        return self.start_ns + self.script.opens_epoch_ns(self._next) - self.script.begin_epoch_ns

    def _requests(self, event_epoch_ns: int, now_ns: int) -> Ready:
        """What the desk would send, made by its own venue files."""
        made = []
        for number, market, placing in (
            (KALSHI, self._kalshi, Placing(YES, BUY, KALSHI_ASK_E6)),
            (POLYMARKET, self._polymarket, Placing(NO, BUY, 1_000_000 - POLYMARKET_BID_E6)),
        ):
            quote = self.engine.desk.intake.quote(FLOOR_POLYMARKET)
            assert quote is not None
            request = self.engine.desk.lines[number].venue.prepare(
                market=market, placing=placing, size_e6=SIZE_E6, now_ns=now_ns, urgent=False,
                order_id=f"floor-{self._next:010d}-{0:026d}", tick_epoch=quote[_TICK_EPOCH],
            )  # fmt: skip
            if request is None:
                raise BenchError(f"no ready request for the floor, round {self._next}")
            made.append((request.key[:KEY_BYTES], request.wire))
        return Ready(event_epoch_ns, *made)

    async def run(self) -> None:
        """Get ready, let run time pass, wait for the end of the script."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.engine.run(stop))
        try:
            async with asyncio.timeout(READY_S):
                while not self.engine.is_ready:
                    await self._still(running)
                context = ssl.create_default_context(cafile=str(self.venues.tls.ca))
                headers = await self.engine.client.headers("GET", KALSHI_WS)
                ticker = self.script.markets[FLOOR_KALSHI].ticker
                await self.floor.open(context, self.venues.ports, headers, ticker)
            self.start_ns = clock.mono_ns() + 20 * MS_NS
            self.engine.start_clock(self.start_ns)
            self.venues.start(self.start_ns)
            lasts_ns = self.script.end_epoch_ns - self.script.begin_epoch_ns
            while clock.mono_ns() < self.start_ns + lasts_ns:
                await self._still(running)
        finally:
            stop.set()
            self.floor.close()
            await running

    @staticmethod
    async def _still(running: asyncio.Task[None]) -> None:
        """A moment; an error of the engine comes out here."""
        await asyncio.wait({running}, timeout=0.01)
        if running.done():
            running.result()
            raise BenchError("the engine ended by itself")


@contextmanager
def alone() -> Iterator[int]:
    """This process on the last core, its collector as in a role; yields the venues' core or -1."""
    cores = sorted(os.sched_getaffinity(0))
    thresholds = gc.get_threshold()
    log = logging.getLogger("gateway")
    level = log.level
    log.setLevel(logging.ERROR)  # the floor's orders are not the desk's: it would warn of a drift
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    try:
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[-1]})
        yield cores[-2] if len(cores) > 1 else -1
    finally:
        os.sched_setaffinity(0, cores)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        log.setLevel(level)


def measure(
    rounds: int, *, period_ns: int = PERIOD_NS, legs: int = 2
) -> tuple[Bench, list[LogRow]]:
    """Both sides over `rounds` gaps: everything they saw. `legs` of the floor: see there."""
    warm.call_all()
    begin_epoch_ns = clock.epoch_ns() // MS_NS * MS_NS
    script = RoundsScript(begin_epoch_ns=begin_epoch_ns, rounds=rounds, period_ns=period_ns)
    with alone() as core, venues(script, core) as (beside, folder):
        engine = SteppedEngine(script, beside, folder)
        bench = Bench(script, beside, engine)
        bench.floor.legs = legs
        uvloop.run(bench.run())
        rows, _ = beside.stop()
    return bench, rows


def _stages(flights: Sequence[Flight]) -> dict[str, object]:
    """Where the time of the path goes, each stage from the stamp before it."""
    steps: dict[str, Callable[[Flight], int]] = {
        "frame_to_published": lambda f: f.publish_ns - f.recv_ns,
        "hop_to_detector": lambda f: f.decide_ns - f.publish_ns,
        "decide_and_hop_to_desk": lambda f: f.taken_ns - f.decide_ns,
        "guard_journal_first_send": lambda f: min(f.send_ns.values()) - f.taken_ns,
        "second_send": lambda f: max(f.send_ns.values()) - min(f.send_ns.values()),
    }
    return {name: harness.spread([step(f) for f in flights]) for name, step in steps.items()}


def _floor_stages(shots: Sequence[Shot]) -> dict[str, object]:
    return {
        "first_send": harness.spread([shot.first_ns - shot.recv_ns for shot in shots]),
        "second_send": harness.spread([shot.send_ns - shot.first_ns for shot in shots]),
    }


def _wire(
    bench: Bench,
    sent: Sequence[tuple[int, tuple[str, ...]]],
    log: Mapping[str, tuple[int, str]],
) -> dict[str, float]:
    """Both requests read at their venues − the scheduled send time of the frame."""
    shift_ns = bench.start_ns - bench.script.begin_epoch_ns
    return harness.spread(
        [max(log[key][0] for key in keys) - (due_ns + shift_ns) for due_ns, keys in sent]
    )


def figures(bench: Bench, rows: Sequence[LogRow]) -> dict[str, object]:
    """Checked and put together. Raises BenchError if a side did not do what it was timed for."""
    script, log = bench.script, outcomes(rows)
    opens = [script.opens_epoch_ns(number) for number in range(script.rounds)]
    flights, missed = whole_flights(bench.flights.by_intent.values(), opens[::2], SIZE_E6, log)
    shots, late = whole_shots(bench.floor.shots, len(opens[1::2]), log)
    counted = bench.engine.desk.reports.counted
    if counted("pool_misses") > counted("unwinds"):
        raise BenchError(f"{counted('pool_misses')} orders were not ready when they were wanted")
    if bench.engine.buffers < len(flights):
        raise BenchError(f"{bench.engine.buffers} buffers handed on, {len(flights)} gaps taken")
    flights = flights[int(len(flights) * WARM_UP) :]
    kept = int(len(shots) * WARM_UP)
    shots = shots[kept:]
    ours = [float(flight.took_ns) for flight in flights]
    floor = [float(shot.send_ns - shot.recv_ns) for shot in shots]
    ratio = harness.ratio(ours, floor)
    return {
        "stepped_ns": harness.spread(ours),
        "floor_ns": harness.spread(floor),
        "stepped_p50_ratio": ratio,
        "stepped_above_floor_p50_ns": round(_median(ours) - _median(floor)),
        "verdict": _verdict(ratio, (missed + late) / script.rounds),
        "stepped_stages_ns": _stages(flights),
        "floor_stages_ns": _floor_stages(shots),
        "stepped_wire_to_order_ns": _wire(
            bench, [(f.event_epoch_ns, tuple(f.keys.values())) for f in flights], log
        ),
        "floor_wire_to_order_ns": _wire(bench, [(s.event_epoch_ns, s.keys) for s in shots], log),
        "gaps_missed": {"stepped": missed, "floor": late},
        "floor_request_bytes": {"kalshi": shots[0].bytes[0], "polymarket": shots[0].bytes[1]},
    }  # fmt: skip


def _verdict(ratio: float, missed: float) -> str:
    if missed > CALM:
        return f"no verdict: {missed:.0%} of the gaps were missed, this machine is busy"
    return harness.verdict({"stepped_p50": ratio}, LIMIT, 2)


def _median(samples_ns: Sequence[float]) -> float:
    return sorted(samples_ns)[len(samples_ns) // 2]


def run(quick: bool) -> dict[str, object]:
    """Stepped beside its floor; then real processes, for information."""
    bench, rows = measure(ROUNDS_QUICK if quick else ROUNDS)
    found = figures(bench, rows)
    found["real_processes"] = live(LIVE_QUICK_S if quick else LIVE_S)
    found["noise_floor_informative"] = harness.noise_floor()
    return found
