"""Under fire: 20,000 frames/s on four feeds for a minute on 2 cores, and nothing is lost or grows.

Topology: four feed processes of the engine (its own loop, its own segment), each with one TLS
WebSocket on loopback; one sender process for the four venues with all it will send made, framed and
encrypted ahead, a TLS record a frame, written every millisecond on a fixed schedule; this process
answers REST and looks on. Kalshi deltas and Polymarket changes over 8 markets each, Coinbase and
Binance trades over 2 products each, a quarter of the rate each. Judged: what a feed applied is what
its venue sent, and its slots show, trusted, what the sender's own books end in; no gap, repeat, bad
frame, reconnect or slow-reader alarm; bytes unread and unsent, CPU a frame and memory of the last
third are those of the first. Then how much one feed process sustains (bench/fire_sustained.py).
Cores: 2.
What would make it lie: nobody reads the rings and no detector runs; sizes repeat more than real
ones; the sender writes in steps of a millisecond, so each feed is woken at most a thousand times a
second; message age has a step of a millisecond, as stamps have.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from bench import fire_sustained, harness
from bench.fire_feed import write_clock
from bench.fire_stand import Sample, Stand
from bench.fire_streams import BEGIN_MS, STREAMS, Left
from ops import clock

SECONDS, RATE = 60.0, 20_000
CPU_GROWTH_MAX = 1.2  # CPU a frame, last third beside first: other work on the machine is in it
RSS_GROWTH_MAX_BYTES = 1 << 20
QUEUE_GROWTH_MAX_BYTES = 64 << 10  # of the 90th percentile
SAMPLE_S, DRAIN_S, LEAD_NS = 0.1, 60.0, 300 * clock.MS_NS
FAULTS = ("gaps", "duplicates", "bad_frames", "reconnects", "resyncs", "behind", "negative")
COUNTED = (*FAULTS, "changes", "trusted_ns", "instrument_ns")


def thirds(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The first and the last third, by time."""
    began, ended = samples[0].at_ns, samples[-1].at_ns
    part_ns = (ended - began) / 3
    first = [each for each in samples if each.at_ns <= began + part_ns]
    return first, [each for each in samples if each.at_ns >= ended - part_ns]


def cpu_of(samples: list[Sample]) -> float:
    """CPU ns a frame over these."""
    frames = samples[-1].applied - samples[0].applied
    return (samples[-1].cpu_ns - samples[0].cpu_ns) / max(frames, 1)


def figures_of(samples: list[Sample]) -> dict[str, Any]:
    """CPU, memory and queue of one feed, first third beside last."""
    first, last = thirds(samples)
    cpu, rss, unread, unsent = (
        [act(part) for part in (first, last)]
        for act in (
            cpu_of,
            lambda part: float(np.mean([each.rss_bytes for each in part])),
            lambda part: float(np.percentile([each.unread for each in part], 90)),
            lambda part: float(np.percentile([each.unsent for each in part], 90)),
        )
    )
    wall_ns = samples[-1].at_ns - samples[0].at_ns
    return {
        "cpu_ns_a_frame_first": round(cpu[0]), "cpu_ns_a_frame_last": round(cpu[1]),
        "cpu_share": round((samples[-1].cpu_ns - samples[0].cpu_ns) / wall_ns, 3),
        "rss_kib_first": round(rss[0] / 1024), "rss_kib_last": round(rss[1] / 1024),
        "unread_p90_bytes_first": round(unread[0]), "unread_p90_bytes_last": round(unread[1]),
        "unsent_p90_bytes_first": round(unsent[0]), "unsent_p90_bytes_last": round(unsent[1]),
        "unread_max_bytes": max(each.unread for each in samples),
    }  # fmt: skip


def faults_of(feed: str, row: dict[str, Any]) -> list[str]:
    """What of one feed is not as it must be."""
    found = []
    if row["applied"] != row["sent"]:
        found.append(f"{feed}: {row['applied']:,} applied of {row['sent']:,} sent")
    if not row["shows_the_senders_books"]:
        found.append(f"{feed}: its slots are not what the sender's books end in")
    found += [f"{feed}: {name} {row[name]}" for name in FAULTS if row[name]]
    if row["cpu_ns_a_frame_last"] > CPU_GROWTH_MAX * row["cpu_ns_a_frame_first"]:
        found.append(f"{feed}: CPU a frame grew beyond {CPU_GROWTH_MAX} times")
    if (row["rss_kib_last"] - row["rss_kib_first"]) * 1024 > RSS_GROWTH_MAX_BYTES:
        found.append(f"{feed}: memory grew")
    for queue in ("unread", "unsent"):
        first, last = (row[f"{queue}_p90_bytes_{part}"] for part in ("first", "last"))
        if last - first > QUEUE_GROWTH_MAX_BYTES:
            found.append(f"{feed}: {queue} bytes grew")
    return found


class Watch:
    """Samples of each feed while the sender sends."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self.samples: dict[str, list[Sample]] = {feed: [] for feed in stand.feeds}

    def look(self) -> None:
        """One more of each."""
        for feed, sample in self._stand.sample().items():
            self.samples[feed].append(sample)

    async def beside(self, start_ns: int, work: asyncio.Task[Any]) -> None:
        """From the start until the sender is done; once at each of them, however busy the machine
        is."""
        await asyncio.sleep(max(start_ns - clock.mono_ns(), 0) / clock.SECOND_NS)
        self.look()
        while not work.done():
            await asyncio.wait([work], timeout=SAMPLE_S)
            self.look()


async def fire(
    seconds: float, rate: int, *, feeds: tuple[str, ...] = tuple(STREAMS), drop: str = ""
) -> dict[str, Any]:
    """The run. `drop`: the feed that is not given one of its frames (negative control)."""
    per_s = rate / len(feeds)
    count = int(per_s * seconds)
    async with Stand(feeds) as stand:
        await stand.start()
        made_bytes = await stand.ask("make", count, BEGIN_MS, per_s)
        left: dict[str, Left] = await stand.ask("seal", drop)
        before = {feed: {name: stand.counted(feed, name) for name in COUNTED} for feed in feeds}
        start_ns = clock.mono_ns() + LEAD_NS
        write_clock(stand.segment, BEGIN_MS, start_ns)
        watch = Watch(stand)
        work = asyncio.create_task(stand.ask("go", start_ns, per_s))
        await watch.beside(start_ns, work)
        told = work.result()
        applied = {
            feed: before[feed]["changes"] + told["sent"][feed] - (feed == drop) for feed in feeds
        }
        until_ns = told["ended_ns"] + int(DRAIN_S * clock.SECOND_NS)
        while clock.mono_ns() < until_ns and any(
            stand.counted(feed, "changes") < applied[feed] for feed in feeds
        ):
            await asyncio.sleep(0.01)
        rows = {}
        for feed in feeds:
            since = {name: stand.counted(feed, name) - before[feed][name] for name in COUNTED}
            rows[feed] = {
                "sent": told["sent"][feed], "applied": since["changes"],
                "shows_the_senders_books": stand.shows(feed, left[feed]),
                **{name: since[name] for name in FAULTS}, **figures_of(watch.samples[feed]),
                "message_age_us": stand.age_us(feed),
                "trusted_share": round(since["trusted_ns"] / max(since["instrument_ns"], 1), 4),
            }  # fmt: skip
    return {"feeds": rows, **_sender(told, made_bytes, start_ns, feeds)}


def _sender(told: dict[str, Any], made_bytes: int, start_ns: int, feeds: tuple[str, ...]) -> Any:
    took_ns = told["ended_ns"] - start_ns
    sent = sum(told["sent"].values())
    return {
        "frames_a_second": round(sent * 1e9 / took_ns),
        "sender": {
            "cpu_share": round(told["cpu_ns"] / took_ns, 3),
            "cpu_ns_a_frame": round(told["cpu_ns"] / max(sent, 1)),
            "late_max_ms": round(told["late_ns"] / 1e6, 1), "held_back": told["held"],
            "bytes_a_frame": round(made_bytes / max(sent, 1)),
        },
        "reconnected": told["connects"] - len(feeds),
    }  # fmt: skip


def verdict(found: dict[str, Any], rate: int) -> str:
    """pass, or everything that is not as it must be."""
    faults = [line for feed, row in found["feeds"].items() for line in faults_of(feed, row)]
    if found["frames_a_second"] < 0.98 * rate:
        faults.append(f"{found['frames_a_second']} frames/s sent, wanted {rate}")
    if found["reconnected"]:
        faults.append(f"{found['reconnected']} connections anew")
    if faults:
        return "fail: " + "; ".join(faults)
    if harness.cores() < 2:
        return f"no verdict: {harness.cores()} cores, 2 wanted"
    return "pass: all applied, nothing grows"


def run(quick: bool, *, seconds: float | None = None, rate: int | None = None) -> dict[str, object]:
    """The fire, then what one feed process sustains."""
    wanted = rate or RATE
    found = asyncio.run(fire(seconds or (6.0 if quick else SECONDS), wanted))
    found["verdict"] = verdict(found, wanted)
    return {"fire": found, "sustained": fire_sustained.measured(quick)}
