"""The other process of a race: `python -m tests.stress.workers WORKER SEGMENT [ARGUMENT…]`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ops import cache

cache.use()

import numpy as np  # noqa: E402

import shm_layout as shm  # noqa: E402
from tests.stress import kernels as k  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT_NS = 20_000_000_000  # no worker outlives a test by more


def until(seconds: float) -> int:
    """The monotonic moment `seconds` from now."""
    return now_ns() + int(seconds * 1e9)


def now_ns() -> int:
    """CLOCK_MONOTONIC."""
    import time

    return time.monotonic_ns()


def stopped(words: shm.Words, end_ns: int) -> bool:
    """The test set the stop word, or everything took too long."""
    return shm.word_load(words, k.STOP) != 0 or now_ns() > end_ns


def _slot(words: shm.Words, plain: str) -> None:
    write = k.write_slot_plain if plain == "plain" else k.write_slot
    number, end_ns = write(words, 1, 1), until(20)
    shm.word_store(words, k.READY, 1)
    while not stopped(words, end_ns):
        number = write(words, number, 100_000)


def _ring(words: shm.Words) -> None:
    k.write_ring(words, 1)
    end_ns = until(20)
    shm.word_store(words, k.READY, 1)
    while not stopped(words, end_ns):
        k.write_ring(words, 10_000)


def _count(words: shm.Words) -> None:
    k.count_up(words, k.WORD, 1)
    end_ns = until(20)
    shm.word_store(words, k.READY, 1)
    while not stopped(words, end_ns):
        k.count_up(words, k.WORD, 1_000_000)


def _pack(words: shm.Words, how: str) -> None:
    """Write one and the same value over and over, by `struct.pack_into` or by one 8-byte store."""
    view = memoryview(words.view(np.uint8).data)
    cells = view.cast("q")
    cells[k.WORD] = 5
    end_ns = until(20)
    shm.word_store(words, k.READY, 1)
    while not stopped(words, end_ns):
        for _ in range(1000):
            if how == "pack_into":
                struct.pack_into("<q", view, 8 * k.WORD, 5)
            else:
                cells[k.WORD] = 5


def straddling(words: shm.Words, offset: int) -> shm.Words:
    """An int64 view of the slot's block that starts `offset` bytes into a line."""
    raw = words.view(np.uint8)[k.SLOT * 8 + offset :][:8]
    return raw.view(np.int64)


def _flip(words: shm.Words, offset: str) -> None:
    odd = straddling(words, int(offset))
    k.flip(odd, 0, words, 1)
    end_ns = until(20)
    shm.word_store(words, k.READY, 1)
    while not stopped(words, end_ns):
        k.flip(odd, 0, words, 1_000_000)


def _litmus(words: shm.Words, fenced: str, turns: str, answer: str) -> None:
    saw = np.zeros(int(turns), np.int64)
    fence = fenced == "fenced"
    k.producer_turns(words, saw[:1], fence, 0)
    shm.word_store(words, k.READY, 1)
    done = k.producer_turns(words, saw, fence, until(15))
    np.save(answer, saw[:done])


def _publish(words: shm.Words, eventfd: str, rings: str) -> None:
    k.publish_turns(words, 1, -1, True, 0, 0)
    shm.word_store(words, k.READY, 1)
    found = k.publish_turns(words, 12345, int(eventfd), rings == "rings", 10**7, until(20))
    shm.word_store(words, k.READY, 2)
    sys.stdout.write(json.dumps({"armed": found >> 32, "done": found & 0xFFFFFFFF}))


def _kills(words: shm.Words, kills: str) -> None:
    """Fork a writer, kill it at a varying moment, look at what it left; again and again."""
    counts = {"kills": 0, "odd_slots": 0, "torn": 0, "busy": 0, "begun": 0, "adopted": 0, "seen": 0}
    position, found = 0, np.zeros(6, np.int64)
    out, number = np.zeros(shm.BODY, np.int64), 1
    k.write_slot(words, 1, 1)
    k.write_ring(words, 1)
    k.read_ring(words, found, 0, 1, 0)
    position = 1
    for turn in range(int(kills)):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            shm.ring_adopt(words, k.RING, k.ENTRIES)
            shm.word_store(words, k.ACK, turn + 1)
            while True:
                number = k.write_slot(words, number, 50)
                k.write_ring(words, 50)
        while shm.word_load(words, k.ACK) <= turn:
            shm.word_wait(words, k.WORD, 0, 20_000)
        shm.word_wait(words, k.WORD, 0, 1 + turn * 7919 % 300_000)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        counts["kills"] += 1
        sequence = shm.word_load(words, k.SLOT)
        loaded = shm.slot_load(words, k.SLOT, out, shm.BODY)
        counts["odd_slots"] += sequence & 1
        counts["busy"] += loaded == -1
        counts["torn"] += loaded > 0 and not k.is_whole(out, 0)
        assert (loaded == -1) == bool(sequence & 1), (loaded, sequence)
        tail = shm.ring_tail(words, k.RING)
        at = k.RING + shm.RING_ENTRIES + (tail & (k.ENTRIES - 1)) * shm.ENTRY
        stamp = shm.word_load(words, at)
        counts["begun"] += stamp == 2 * tail + 1
        counts["adopted"] += stamp == 2 * tail + 2
        while position < tail:
            position = k.read_ring(words, found, position, 1, 0)
        number += 1_000_000
    counts["torn"] += int(found[k.TORN] + found[k.BACKWARDS])
    counts["seen"] = int(found[k.ACCEPTED])
    counts["lost"] = int(found[k.LOST])
    counts["position"] = position
    sys.stdout.write(json.dumps(counts))


WORKERS: dict[str, Callable[..., None]] = {
    "slot": _slot, "ring": _ring, "count": _count, "pack": _pack, "flip": _flip,
    "litmus": _litmus, "publish": _publish, "kills": _kills,
}  # fmt: skip


@contextlib.contextmanager
def worker(
    segment: shm.Segment, name: str, *arguments: str, fds: tuple[int, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """The worker, running and ready; stopped and gone afterwards."""
    command = [sys.executable, "-m", "tests.stress.workers", name, segment.name, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, pass_fds=fds)
    end_ns = until(60)  # the first run compiles
    try:
        while shm.word_load(segment.words, k.READY) == 0 and process.poll() is None:
            assert now_ns() < end_ns, f"worker {name} is not ready"
            shm.word_wait(segment.words, k.READY, 0, 5_000_000)
        yield process
    finally:
        shm.word_store(segment.words, k.STOP, 1)
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def main() -> None:
    """Attach and work."""
    name, segment, *arguments = sys.argv[1:]
    words = shm.Segment.attach(segment, k.LAYOUT, writable=True).words
    WORKERS[name](words, *arguments)


if __name__ == "__main__":
    main()
