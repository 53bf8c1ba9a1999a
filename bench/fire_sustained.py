"""How many Kalshi deltas a second one feed process sustains: offline through its handler, through a
socket with TLS, and how that compares with taking the frames and doing nothing.

One feed process on one core, the sender on the other. The rate is raised step by step; one is
sustained if every frame is applied within a tenth of a second of the last being sent, on schedule,
without a slow-reader alarm, and the slots then show, trusted, what the sender's books end in. Each
step has a second try, and what ended the climb is told: other work on the machine must not pass
for our limit. `frames_a_cpu_second` is what a core of its own would allow by CPU time alone.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

from bench import harness
from bench.fire_feed import CONNECTED, write_clock
from bench.fire_stand import Stand
from bench.fire_streams import BEGIN_MS, Kalshi, Left, tickers
from feeds import kalshi
from feeds.publisher import Publisher
from feeds.update import Instrument, MarketFacts
from ops import clock
from shm_layout import COUNTERS, E6, ST_ACTIVE, Segment

OFFLINE_GOAL, WIRE_GOAL = 150_000, 60_000  # frames/s
STEPS = (40_000, 60_000, 80_000, 100_000, 120_000, 150_000, 180_000, 220_000, 260_000, 300_000)
STEP_S, TRIES = 2.0, 2
FLOOR_RATE = 60_000
BUSY_MIN = 0.85  # of its core: a feed that fell behind so busy was too slow
OWN_LIMIT, OTHERS = "its own CPU time", "other work on the machine"
SETTLE_NS, LEAD_NS, STARTED_S = 100 * clock.MS_NS, 200 * clock.MS_NS, 60.0
FEED = "kalshi"
_MINUTES = itertools.count()  # of run time: each step begins in a later one


def offline(count: int) -> dict[str, Any]:
    """Bytes in, published quote out, in this process: each frame ends its buffer."""
    segment = Segment.private()
    instruments = [
        Instrument(local=place, index=place, generation=1, ticker=ticker, condition=0,
                   token_yes=0, token_no=0)
        for place, ticker in enumerate(tickers())
    ]  # fmt: skip
    publisher = Publisher(segment, feed=0, epoch=1, now_ns=1, instruments=instruments)
    for each in instruments:
        facts = MarketFacts(status=ST_ACTIVE, grid=((E6, 10_000),))
        publisher.set_facts(each.local, facts, 1)
    venue, stream = kalshi.Kalshi(publisher), Kalshi()
    venue.opened(1)
    for message in venue.outbox:
        for reply in stream.answer(message):
            venue.frame(memoryview(reply), 1, True)
    took = []
    for _ in range(6):  # the first warms up
        views = [memoryview(each) for each in stream.frames(count, BEGIN_MS, 1_000.0)]
        frame, now = venue.frame, harness.now
        start = now()
        for view in views:
            frame(view, now(), True)
        took.append((now() - start) / count)
    for place, cells in stream.left().items():
        row = segment.read("quotes", place)
        assert row is not None and int(row["trust"]) == 0
        assert [int(each) for each in (*row["bids"], *row["asks"])] == cells
    frame_ns = sorted(took[1:])[2]
    return {
        "frame_ns": round(frame_ns), "frames_a_second": round(1e9 / frame_ns), "goal": OFFLINE_GOAL,
    }  # fmt: skip


async def _step(stand: Stand, rate: int, counter: str) -> dict[str, Any]:
    """One rate for STEP_S: what came of it."""
    count, begin_ms = int(rate * STEP_S), BEGIN_MS + next(_MINUTES) * 60_000
    await stand.ask("make", count, begin_ms, float(rate))
    left: dict[str, dict[str, Left]] = await stand.ask("seal", "")
    before = stand.sample(counter)[FEED]
    behind = stand.counted(FEED, "behind")
    start_ns = clock.mono_ns() + LEAD_NS
    write_clock(stand.segment, begin_ms, start_ns)
    work = asyncio.create_task(stand.ask("go", start_ns, float(rate)))
    unread = 0
    while not work.done():
        unread = max(unread, stand.sample(counter)[FEED].unread)
        await asyncio.wait([work], timeout=0.02)
    told = work.result()
    while clock.mono_ns() < told["ended_ns"] + SETTLE_NS:
        await asyncio.sleep(0.01)
    after = stand.sample(counter)[FEED]
    applied = after.applied - before.applied
    took_ns = told["ended_ns"] - start_ns
    is_kept = (
        applied == told["sent"][FEED] == count
        and took_ns < STEP_S * 1.05e9
        and stand.counted(FEED, "behind") == behind
    )
    return {
        "is_kept": is_kept, "cpu_ns_a_frame": (after.cpu_ns - before.cpu_ns) / max(applied, 1),
        "unread_max": unread, "left": left, "sender_cpu": told["cpu_ns"] / took_ns,
        "cpu_share": (after.cpu_ns - before.cpu_ns) / took_ns,
    }  # fmt: skip


async def _climb(stand: Stand, steps: tuple[int, ...]) -> dict[str, Any]:
    """The highest step that was kept, CPU a frame at each, and what ended the climb: a feed that
    fell behind without having used its core was held up by others."""
    best, costs, queue, ended = 0, {}, 0, "the last step"
    for rate in steps:
        for _ in range(TRIES):
            found = await _step(stand, rate, "changes")
            is_kept = found["is_kept"] and stand.shows(FEED, found["left"][FEED])
            if is_kept:
                break
            await stand.end_feeds()  # what was too much for it has left its mark
            await stand.start()
        if not is_kept:
            share = found["cpu_share"]
            ended = OWN_LIMIT if share > BUSY_MIN else f"{OTHERS}: it had {share:.2f} of its core"
            break
        best, queue = rate, found["unread_max"]
        costs[str(rate)] = round(found["cpu_ns_a_frame"])
    return {
        "frames_a_second": best, "goal": WIRE_GOAL, "cpu_ns_a_frame_at": costs,
        "frames_a_cpu_second": round(1e9 / min(costs.values())) if costs else 0,
        "unread_max_bytes": queue, "sender_cpu_share": round(found["sender_cpu"], 3),
        "ended_by": ended,
    }  # fmt: skip


async def _floor(stand: Stand) -> float:
    """CPU ns a frame of a process that only takes frames, as often as ours is measured."""
    await stand.start("floor")
    name = COUNTERS["feed"][CONNECTED]
    await stand.until(lambda: stand.counted(FEED, name) == 1, STARTED_S)
    costs = await _costs(stand, "frames")
    await stand.end_feeds()
    return costs[1]


async def _costs(stand: Stand, counter: str) -> list[float]:
    """CPU ns a frame at FLOOR_RATE, three times, in order of size."""
    steps = [await _step(stand, FLOOR_RATE, counter) for _ in range(3)]
    return sorted(float(step["cpu_ns_a_frame"]) for step in steps)


async def _wire(quick: bool) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))
    steps = STEPS[:2] if quick else STEPS
    feed_core, sender_core = (cores[0], cores[1]) if len(cores) > 1 else (-1, -1)
    async with Stand((FEED,), feed_core=feed_core, sender_core=sender_core) as stand:
        await stand.start()
        found = await _climb(stand, steps)
        ours_ns = (await _costs(stand, "changes"))[1]
    async with Stand((FEED,), feed_core=feed_core, sender_core=sender_core) as stand:
        floor_ns = await _floor(stand)
    found |= {
        "at_a_second": FLOOR_RATE, "ours_ns": round(ours_ns), "floor_ns": round(floor_ns),
        "ours_to_floor_ratio": round(ours_ns / floor_ns, 2),
    }  # fmt: skip
    return found


def measured(quick: bool) -> dict[str, Any]:
    """Both rates, and what falls short of the goals."""
    found = {
        "offline": offline(20_000 if quick else 100_000), "over_tls": asyncio.run(_wire(quick)),
    }  # fmt: skip
    short = [
        f"{name} {row['frames_a_second']:,}/s, wanted {row['goal']:,}/s"
        for name, row in found.items()
        if row["frames_a_second"] < row["goal"]
    ]
    return {**found, "verdict": verdict(short, found["over_tls"]["ended_by"])}


def verdict(short: list[str], ended_by: str) -> str:
    """`short`: what falls short of its goal. A wire that others' work held up is not judged."""
    if not short:
        return "pass: both goals met"
    if all(line.startswith("over_tls") for line in short) and ended_by.startswith(OTHERS):
        return f"no verdict: over TLS: {ended_by}"
    return "fail: " + "; ".join(short)
