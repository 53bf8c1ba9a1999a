"""Races over real processes: a slot never tears, a ring never lies, a bell never sleeps through.

Each has a negative control that the same harness finds broken, so that a pass means something.
"""

from __future__ import annotations

import json
import os
import platform
import select
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import shm_layout as shm
from tests.stress import kernels as k
from tests.stress.workers import now_ns, straddling, until, worker

SECONDS = 1.5
LITMUS_SECONDS = 8  # at most: in step, it needs both cores at once, and takes 0.1 s if it has them
TWO_CORES = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="a race needs two cores at once"
)
X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="what x86-64 does")


@pytest.fixture
def segment() -> Iterator[shm.Segment]:
    """A real segment of the stress layout."""
    made = shm.Segment.create(f"arb-stress-{uuid.uuid4().hex[:12]}", k.LAYOUT)
    k.warm(made.words)
    yield made
    made.unlink()


def read_slots(segment: shm.Segment) -> dict[str, int]:
    """Judge loads for SECONDS."""
    counts, end_ns = np.zeros(6, np.int64), until(SECONDS)
    while now_ns() < end_ns:
        k.read_slot(segment.words, counts, 2_000)
    names = ("accepted", "torn", "busy", "backwards", "lost", "values")
    return dict(zip(names, counts.tolist(), strict=True))


@TWO_CORES
def test_a_slot_under_a_writer_at_full_speed_is_never_torn(segment: shm.Segment) -> None:
    with worker(segment, "slot", "fenced"):
        found = read_slots(segment)
    assert found["torn"] == 0 and found["backwards"] == 0, found
    assert found["values"] > 1_000, found  # really raced


@TWO_CORES
@X86
def test_control_plain_stores_tear_the_slot(segment: shm.Segment) -> None:
    with worker(segment, "slot", "plain"):
        found = read_slots(segment)
    assert found["torn"] > 0, found


@TWO_CORES
def test_a_slow_reader_is_lapped_counts_its_gaps_and_reads_only_what_was_written(
    segment: shm.Segment,
) -> None:
    counts = [np.zeros(6, np.int64) for _ in range(2)]
    places, pauses = [0, 0], (0, 40)
    with worker(segment, "ring"):
        end_ns = until(SECONDS)
        while now_ns() < end_ns:
            for i in (0, 1):  # both lag while the other reads
                places[i] = k.read_ring(segment.words, counts[i], places[i], 2_000, pauses[i])
    for i in (0, 1):
        places[i] = k.read_ring(segment.words, counts[i], places[i], 10_000, 0)
        tail = shm.ring_tail(segment.words, k.RING)
        read, lost = int(counts[i][k.ACCEPTED]), int(counts[i][k.LOST])
        assert counts[i][k.TORN] == 0 and counts[i][k.BACKWARDS] == 0, counts[i]
        assert read + lost == places[i] == tail
        assert read > 1_000 and lost > 0, counts[i]


def test_killed_writers_leave_nothing_torn_and_a_successor_goes_on(segment: shm.Segment) -> None:
    """Readers give up within their tries; the ring continues without a hole or a double."""
    with worker(segment, "kills", "200") as process:
        out, _ = process.communicate(timeout=60)
    found = json.loads(out)
    assert found["kills"] == 200 and found["torn"] == 0, found
    assert found["odd_slots"] > 0 and found["busy"] == found["odd_slots"], found
    assert found["begun"] > 0, found  # some died in the middle of an entry
    assert found["seen"] + found["lost"] == found["position"], found
    assert found["seen"] > 200


# -------------------------------------------------------------------------------------- doorbell


def consume(
    segment: shm.Segment, *, spin_ns: int, block_ns: int, seconds: float = SECONDS
) -> tuple[int, int]:
    """(entries taken, longest wait of a published entry)."""
    rings, entries = np.array([k.RING]), np.array([k.ENTRIES])
    args = (segment.words, rings, entries, spin_ns, block_ns)
    taken, longest = k.consume_turns(*args, 10**7, until(seconds))
    return int(taken), int(longest)


BLOCK_NS = 1_000_000_000


@pytest.mark.parametrize("spin_ns", [0, 3_000])
def test_no_wake_up_is_lost_between_a_spinning_producer_and_a_sleeping_consumer(
    segment: shm.Segment, spin_ns: int
) -> None:
    with worker(segment, "publish", "-1", "rings") as process:
        taken, longest = consume(segment, spin_ns=spin_ns, block_ns=BLOCK_NS)
        shm.word_store(segment.words, k.STOP, 1)
        found = json.loads(process.communicate(timeout=30)[0])
    assert longest < BLOCK_NS * 0.9, f"an entry waited {longest} ns: its wake-up was lost"
    assert taken > 500 and found["armed"] > 100, (taken, found)  # it really slept and was woken


def test_control_a_forgotten_bell_shows_as_a_wait_to_the_end_of_the_block(
    segment: shm.Segment,
) -> None:
    block_ns = 30_000_000
    with worker(segment, "publish", "-1", "silent"):
        taken, longest = consume(segment, spin_ns=0, block_ns=block_ns, seconds=0.5)
    assert taken > 0 and longest > block_ns * 0.5, (taken, longest)


def test_no_wake_up_is_lost_through_an_eventfd(segment: shm.Segment) -> None:
    """The gateway's way: bell armed, a last look, then epoll on an eventfd beside the sockets."""
    eventfd = os.eventfd(0, os.EFD_NONBLOCK)
    poll = select.epoll()
    poll.register(eventfd, select.EPOLLIN)
    words, out = segment.words, np.zeros(shm.ENTRY, np.int64)
    rings, entries, cursors = np.array([k.RING]), np.array([k.ENTRIES]), np.zeros(1, np.int64)
    taken = longest = slept = 0
    try:
        with worker(segment, "publish", str(eventfd), "rings", fds=(eventfd,)):
            end_ns = until(SECONDS)
            while now_ns() < end_ns:
                shm.bell_arm(words, k.BELL)
                if not shm.rings_pending(words, rings, entries, cursors, 1):
                    slept += 1
                    if poll.poll(BLOCK_NS / 1e9):
                        os.eventfd_read(eventfd)
                shm.bell_disarm(words, k.BELL)
                while shm.ring_read(words, k.RING, k.ENTRIES, cursors[0], out, 56) == shm.READ:
                    longest = max(longest, now_ns() - int(out[shm.LINE]))
                    cursors[0] += 1
                    taken += 1
                    shm.word_store(words, k.ACK, taken)
    finally:
        poll.close()
        os.close(eventfd)
    assert longest < BLOCK_NS * 0.9, f"an entry waited {longest} ns: its wake-up was lost"
    assert taken > 500 and slept > 100, (taken, slept)


def litmus(segment: shm.Segment, how: str, folder: Path) -> tuple[int, int]:
    """(turns in which consumer and producer both missed the other, turns)."""
    turns, answer = 20_000, folder / "saw.npy"
    saw = np.zeros(turns, np.int64)
    with worker(segment, "litmus", how, str(turns), str(answer)) as process:
        done = k.consumer_turns(segment.words, saw, how == "fenced", until(LITMUS_SECONDS))
        shm.word_store(segment.words, k.STOP, 1)
        process.wait(timeout=30)
    other = np.load(answer)
    common = min(done, len(other))
    missed = (saw[1:common] == 0) & (other[1:common] == 0)
    return int(missed.sum()), common


@TWO_CORES
def test_armed_and_published_at_once_at_least_one_sees_the_other(
    segment: shm.Segment, tmp_path: Path
) -> None:
    missed, turns = litmus(segment, "fenced", tmp_path)
    assert turns > 500
    assert missed == 0, f"{missed} of {turns} turns both missed: a lost wake-up"


@TWO_CORES
@X86
def test_control_without_the_fences_both_miss(segment: shm.Segment, tmp_path: Path) -> None:
    missed, turns = litmus(segment, "unfenced", tmp_path)
    assert turns > 500
    assert missed > 0, f"0 of {turns}: this processor hides it; see test_emitted_code.py"


# ------------------------------------------------------------------------ what a word may not be


@TWO_CORES
def test_control_plain_loads_never_see_another_process_s_store(segment: shm.Segment) -> None:
    with worker(segment, "count"):
        fenced = plain = 0
        end_ns = until(SECONDS)
        while now_ns() < end_ns and fenced <= 100:
            fenced += k.watch(segment.words, k.WORD, 1_000_000)
            plain += k.watch_plain(segment.words, k.WORD, 1_000_000)
    assert fenced > 100, fenced
    assert plain == 0, plain


def foreign_values(segment: shm.Segment, words: shm.Words, at: int, one: int, other: int) -> int:
    """Loads in SECONDS that saw neither value."""
    seen, end_ns = 0, until(SECONDS)
    while now_ns() < end_ns and seen == 0:
        seen += k.foreign(words, at, 200_000, one, other)
    return int(seen)


@TWO_CORES
@pytest.mark.parametrize(("how", "broken"), [("store", False), ("pack_into", True)])
def test_pack_into_shows_zeros_where_one_store_does_not(
    segment: shm.Segment, how: str, broken: bool
) -> None:
    with worker(segment, "pack", how):
        seen = foreign_values(segment, segment.words, k.WORD, 5, 5)
    assert (seen > 0) == broken, seen


@TWO_CORES
@X86
@pytest.mark.parametrize(("offset", "broken"), [(56, False), (64, False), (60, True)])
def test_a_word_across_two_lines_tears_and_an_aligned_one_does_not(
    segment: shm.Segment, offset: int, broken: bool
) -> None:
    view = straddling(segment.words, offset)
    k.foreign(view, 0, 1, 0, -1)
    with worker(segment, "flip", str(offset)):
        seen = foreign_values(segment, view, 0, 0, -1)
    assert (seen > 0) == broken, seen
