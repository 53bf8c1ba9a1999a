# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Ring and doorbell: append and read from numba cost at most 1.2 × the same protocol in C11.

Topology: append and read: one process, one core, both sides in turn, 56 cells (a whole quote) an
entry. Wake-up: a consumer process that never spins (arms its doorbell, looks, blocks on the futex)
and a producer that publishes one stamped entry every 200 µs; store to handler, numba then C.
Cores: 1 for append and read; 2 for the wake-up, which is shown and not judged.
What would make it lie: batches are means over warm lines; the wake-up is mostly the kernel's
scheduler and the processor's idle state, so it differs between machines far more than between the
two codes; a consumer that was not yet asleep is faster (the pause is long so that it sleeps).
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
from pathlib import Path

import numpy as np
from numba import njit

import shm_layout as shm
from bench import harness
from bench.reference import Reference

LIMIT = 1.2
PAUSE_NS = 200_000  # the consumer is asleep again by then
ENTRIES = 4096
LAYOUT = shm.Layout(
    "bench-ring",
    (
        shm.Block("header", "bench", "cells", 1, shm.HEADER, 16),
        shm.Block("bells", "consumer", "cells", 2, shm.BELL, 16),
        shm.Block("ring", "bench", "ring", ENTRIES, shm.QUOTE),
    ),
)
_RING, _BELL, _READY = LAYOUT.at["ring"], LAYOUT.at["bells"], LAYOUT.at["bells"] + 16


@njit(cache=True)
def append_many(words, ring, entries, body, cells, count):
    """Append `count` entries whose first body word is their number."""
    for i in range(count):
        body[0] = i
        shm.ring_append(words, ring, entries, 1, body, cells)


@njit(cache=True)
def read_many(words, ring, entries, first, out, cells, count):
    """Sum of the first and last body words of `count` entries from `first` on; -1 if one lacks."""
    total = 0
    for i in range(count):
        if shm.ring_read(words, ring, entries, first + i, out, cells) != shm.READ:
            return -1
        total += out[shm.LINE] + out[shm.LINE + cells - 1]
    return total


@njit(cache=True)
def consume(words, rings, entries, cursors, bell, out, took, until_ns):
    """Block for each entry in turn: seen − the stamp in it. Entries seen, -1 if one was lost."""
    for position in range(len(took)):
        cursors[0] = position
        while not shm.rings_wait(words, rings, entries, cursors, 1, bell, 0, 100_000_000):
            if shm.now_ns() > until_ns:
                return position
        seen = shm.now_ns()
        if shm.ring_read(words, rings[0], entries[0], position, out, shm.BODY) != shm.READ:
            return -1
        took[position] = seen - out[shm.LINE]
    return len(took)


@njit(cache=True)
def publish(words, ring, entries, bell, body):
    """One stamped entry, then the doorbell."""
    body[0] = shm.now_ns()
    shm.ring_append(words, ring, entries, 1, body, shm.BODY)
    shm.bell_ring(words, bell, -1)


def _in_one_process(
    reference: Reference | None, words: shm.Words, quick: bool
) -> dict[str, object]:
    batch, batches = 2_000, 60 if quick else 600
    body, out = np.arange(shm.BODY, dtype=np.int64), np.zeros(shm.ENTRY, np.int64)
    last = shm.BODY - 1

    def append(count: int) -> None:
        before = shm.ring_tail(words, _RING)
        append_many(words, _RING, ENTRIES, body, shm.BODY, count)
        assert shm.ring_tail(words, _RING) == before + count

    def append_c(count: int) -> None:
        assert reference is not None
        before = shm.ring_tail(words, _RING)
        at = reference.place(_RING)
        reference.call("append_many", at, ENTRIES, body, shm.BODY, count)
        assert shm.ring_tail(words, _RING) == before + count

    def read(count: int) -> None:
        first = shm.ring_tail(words, _RING) - count
        total = read_many(words, _RING, ENTRIES, first, out, shm.BODY, count)
        assert total == count * (count - 1) // 2 + count * last, total

    def read_c(count: int) -> None:
        assert reference is not None
        first = shm.ring_tail(words, _RING) - count
        at = reference.place(_RING)
        total = reference.call("read_many", at, ENTRIES, first, out, shm.BODY, count)
        assert total == count * (count - 1) // 2 + count * last, total

    figures: dict[str, object] = {}
    ratios = {}
    for name, ours, theirs in (("append", append, append_c), ("read", read, read_c)):
        mine, other = harness.side_by_side(ours, theirs if reference else ours, batch, batches)
        figures[f"{name}_ns"] = harness.spread(mine)
        if reference is not None:
            figures[f"{name}_c_ns"] = harness.spread(other)
            ratios[name] = figures[f"{name}_ratio"] = harness.ratio(mine, other)
    figures["verdict"] = harness.verdict(ratios, LIMIT, 1) if ratios else "no verdict: no gcc"
    return figures


def _consumer(name: str, library: str, count: int, until_ns: int, answer: str) -> None:
    """The consuming process: C if a library is given, else numba. Its times go to `answer`."""
    words = shm.Segment.attach(name, LAYOUT, writable=True).words
    rings, entries = np.array([_RING]), np.array([ENTRIES])
    cursors, out = np.zeros(1, np.int64), np.zeros(shm.ENTRY, np.int64)
    took = np.zeros(count, np.int64)
    consume(words, rings, entries, cursors, _BELL, out, took[:0], 0)
    reference = Reference(ctypes.CDLL(library), words) if library else None
    shm.word_store(words, _READY, 1)
    if reference is None:
        done = consume(words, rings, entries, cursors, _BELL, out, took, until_ns)
    else:
        ring, bell = reference.place(_RING), reference.place(_BELL)
        args = (ring, ENTRIES, bell, out, shm.BODY, took, count, until_ns)
        done = reference.call("consume", *args)
    np.save(answer, took[: max(done, 0)])


def _wake_up(library: str, count: int, folder: str) -> dict[str, float]:
    segment = shm.Segment.create(f"arb-bench-{os.getpid()}", LAYOUT)
    words, body = segment.words, np.zeros(shm.BODY, np.int64)
    spare = shm.Segment.private(LAYOUT).words
    publish(spare, _RING, ENTRIES, _BELL, body)  # compiled before the clock runs
    answer = str(Path(folder) / "took.npy")
    until_ns = harness.now() + 20 * 10**9
    args = (segment.name, library, count, until_ns, answer)
    partner = multiprocessing.get_context("spawn").Process(target=_consumer, args=args)
    reference = Reference(ctypes.CDLL(library), words) if library else None
    try:
        partner.start()
        while harness.now() < until_ns and shm.word_load(words, _READY) == 0 and partner.is_alive():
            shm.word_wait(words, _READY, 0, 1_000_000)
        for _ in range(count):
            shm.word_wait(words, _READY, 1, PAUSE_NS)
            if reference is None:
                publish(words, _RING, ENTRIES, _BELL, body)
            else:
                ring, bell = reference.place(_RING), reference.place(_BELL)
                reference.call("publish", ring, ENTRIES, bell, body, shm.BODY)
        partner.join(5)
    finally:
        partner.kill()
        segment.unlink()
    took = np.load(answer)
    assert len(took) == count, f"{len(took)} of {count} entries reached the consumer"
    return harness.spread(took[count // 10 :])


def run(quick: bool) -> dict[str, object]:
    """Append and read beside C; the wake-up of a sleeping consumer for information."""
    count = 500 if quick else ENTRIES - 1  # never laps: every entry is checked
    with harness.build_folder() as folder:
        library = harness.compile_c("ring.c", Path(folder))
        words = shm.Segment.private(LAYOUT).words
        reference = Reference(library, words) if library is not None else None
        figures = _in_one_process(reference, words, quick)
        if library is None:
            figures["reference"] = "no gcc: nothing to compare with"
        if harness.cores() < 2:
            figures["wake_up_informative"] = "not measured: 1 core"
            return figures
        figures["wake_up_ns_informative"] = _wake_up("", count, folder)
        if library is not None:
            figures["wake_up_c_ns_informative"] = _wake_up(str(library._name), count, folder)
    figures["noise_floor_informative"] = harness.noise_floor()
    return figures
