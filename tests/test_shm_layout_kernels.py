"""Slot, ring, doorbell and histogram kernels do to the words exactly what their plain twins do."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import shm_layout as shm
from tests.twins import shm as twin

CELLS = st.integers(-(2**63), 2**63 - 1)
EDGES = twin.edges()
ENTRIES = 4
RING = 16  # not at 0, so that a forgotten base shows
SIZE = RING + shm.RING_ENTRIES + ENTRIES * shm.ENTRY + 32


class Both:
    """Words and their twin, compared cell by cell after every step."""

    def __init__(self) -> None:
        self.words = np.zeros(SIZE, np.int64)
        self.cells = [0] * SIZE

    def agree(self) -> bool:
        return self.words.tolist() == self.cells


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.lists(CELLS, min_size=56, max_size=56), st.integers(0, 56))))
def test_slot_store_and_load_do_what_their_twins_do(
    bodies: list[tuple[list[int], int]],
) -> None:
    both = Both()
    for body, cells in bodies:
        shm.slot_store(both.words, RING, np.array(body, np.int64), cells)
        twin.slot_store(both.cells, RING, body, cells)
        assert both.agree()
        out, wanted = np.full(shm.BODY, 5, np.int64), [5] * shm.BODY
        sequence = shm.slot_load(both.words, RING, out, cells)
        assert sequence == twin.slot_load(both.cells, RING, wanted, cells)
        assert out.tolist() == wanted


def test_a_slot_left_odd_is_given_up_on_and_taken_over_by_the_next_store() -> None:
    both = Both()
    both.words[RING] = both.cells[RING] = 7
    out = np.zeros(shm.BODY, np.int64)
    assert shm.slot_load(both.words, RING, out, 56) == -1
    assert twin.slot_load(both.cells, RING, [], 56) == -1
    body = np.arange(shm.BODY, dtype=np.int64)
    shm.slot_store(both.words, RING, body, 56)
    twin.slot_store(both.cells, RING, body.tolist(), 56)
    assert both.agree() and shm.slot_load(both.words, RING, out, 56) == 8


def test_a_store_touches_no_cell_beyond_its_body() -> None:
    words = np.full(SIZE, 9, np.int64)
    words[RING] = 2
    shm.slot_store(words, RING, np.zeros(shm.BODY, np.int64), 3)
    changed = np.flatnonzero(words != 9).tolist()
    assert changed == [RING, *range(RING + shm.LINE, RING + shm.LINE + 3)]


def moves(seed: int) -> Iterator[tuple[str, int]]:
    """A seeded mixture of what a ring's writer and readers do."""
    chance, all_moves = random.Random(seed), ["append", "append", "read", "pending", "adopt", "die"]
    for _ in range(300):
        yield chance.choice(all_moves), chance.randrange(40)


@pytest.mark.parametrize("seed", range(5))
def test_ring_kernels_do_what_their_twins_do_lap_after_lap(seed: int) -> None:
    both, chance = Both(), random.Random(seed)
    for move, number in moves(seed):
        if move == "append":
            body = [chance.randrange(-(2**63), 2**63) for _ in range(shm.BODY)]
            args = (RING, ENTRIES, number)
            ours = shm.ring_append(both.words, *args, np.array(body, np.int64), 56)
            assert ours == twin.ring_append(both.cells, *args, body, 56)
        elif move == "read":
            position = max(both.cells[RING] - number % 8, 0)
            out, wanted = np.zeros(shm.ENTRY, np.int64), [0] * shm.ENTRY
            found = shm.ring_read(both.words, RING, ENTRIES, position, out, 56)
            assert found == twin.ring_read(both.cells, RING, ENTRIES, position, wanted, 56)
            assert out.tolist() == wanted
        elif move == "pending":
            cursors = [both.cells[RING] - number % 3 + 1]
            rings, entries = np.array([RING]), np.array([ENTRIES])
            ours = shm.rings_pending(both.words, rings, entries, np.array(cursors), 1)
            assert ours == twin.rings_pending(both.cells, [RING], [ENTRIES], cursors, 1)
        elif move == "die":  # the entry complete, the tail not moved: then the successor adopts
            body = [number] * shm.BODY
            shm.ring_append(both.words, RING, ENTRIES, 1, np.array(body, np.int64), 56)
            twin.ring_append(both.cells, RING, ENTRIES, 1, body, 56)
            both.words[RING] -= 1
            both.cells[RING] -= 1
            tail = shm.ring_adopt(both.words, RING, ENTRIES)
            assert tail == twin.ring_adopt(both.cells, RING, ENTRIES) == both.cells[RING]
        else:
            tail = shm.ring_adopt(both.words, RING, ENTRIES)
            assert tail == twin.ring_adopt(both.cells, RING, ENTRIES)
        assert shm.ring_tail(both.words, RING) == twin.ring_tail(both.cells, RING)
        assert both.agree(), (seed, move, number)


def test_an_entry_left_half_written_is_empty_to_readers_and_rewritten_by_the_successor() -> None:
    words, out = np.zeros(SIZE, np.int64), np.zeros(shm.ENTRY, np.int64)
    body = np.arange(shm.BODY, dtype=np.int64)
    shm.ring_append(words, RING, ENTRIES, 1, body, 56)
    at = RING + shm.RING_ENTRIES + shm.ENTRY
    words[at] = 3  # stamp of a begun entry 1
    assert shm.ring_read(words, RING, ENTRIES, 1, out, 56) == shm.EMPTY
    assert shm.ring_adopt(words, RING, ENTRIES) == 1
    assert shm.ring_append(words, RING, ENTRIES, 1, body, 56) == 1
    assert shm.ring_read(words, RING, ENTRIES, 1, out, 56) == shm.READ


def test_a_bell_rings_once_per_arming() -> None:
    both = Both()
    for armed in (False, True, True, False, True):
        if armed:
            shm.bell_arm(both.words, RING)
            both.cells[RING] = 1
        assert shm.bell_ring(both.words, RING, -1) == twin.bell_ring(both.cells, RING) == armed
        assert both.agree()
    shm.bell_arm(both.words, RING)
    shm.bell_disarm(both.words, RING)
    assert not shm.bell_ring(both.words, RING, -1)


def test_waiting_returns_at_once_if_an_entry_is_there_and_after_its_time_if_not() -> None:
    words, cursors = np.zeros(SIZE, np.int64), np.zeros(1, np.int64)
    rings, entries, bell = np.array([RING]), np.array([ENTRIES]), SIZE - 8
    assert not shm.rings_wait(words, rings, entries, cursors, 1, bell, 0, 0)
    assert words[bell] == 0
    assert not shm.rings_wait(words, rings, entries, cursors, 1, bell, 10, 1000)
    assert words[bell] == 0  # disarmed on the way out
    shm.ring_append(words, RING, ENTRIES, 1, np.zeros(56, np.int64), 56)
    assert shm.rings_wait(words, rings, entries, cursors, 1, bell, 0, 10**10)
    cursors[0] = 1
    assert not shm.rings_wait(words, rings, entries, cursors, 1, bell, 0, 0)


def test_a_word_wait_does_not_block_on_another_value() -> None:
    words = np.zeros(8, np.int64)
    assert shm.word_wait(words, 0, 1, 10**12) == -1  # EAGAIN at once, not after 1000 s


def test_an_add_counts_on() -> None:
    words = np.zeros(8, np.int64)
    for step in (5, -2, 0):
        shm.word_add(words, 3, step)
    assert words.tolist() == [0, 0, 0, 3, 0, 0, 0, 0]


# ----------------------------------------------------------------------------------- histograms


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.integers(-5, 200), st.integers(-(2**63), 2**63 - 1)))
@example(2**41 - 1)
@example(2**41)
def test_the_bucket_is_the_one_a_search_of_the_table_finds(value: int) -> None:
    assert shm.bucket_of(value) == twin.bucket_of(value, EDGES)


def test_buckets_join_without_gaps_and_are_3_percent_wide() -> None:
    assert len(EDGES) == shm.BUCKETS
    for index, (least, most) in enumerate(EDGES):
        assert index == 0 or least == EDGES[index - 1][1] + 1
        assert (most - least) * shm.SUB <= max(least, shm.SUB)
        assert shm.bucket_of(least) == shm.bucket_of(most) == index


DURATIONS = st.integers(0, 10**13) | st.integers(0, 100)


@settings(deadline=None)
@given(st.lists(DURATIONS, min_size=1, max_size=60), st.integers(0, 1000))
def test_a_histogram_holds_what_its_twin_holds(values: list[int], per_mille: int) -> None:
    words, kept = np.zeros(4 + shm.HISTOGRAM_CELLS + 4, np.int64), twin.Histogram()
    for value in values:
        shm.histogram_add(words, 4, value)
        kept.add(value)
    assert words[4:-4].tolist() == kept.cells(EDGES)
    assert not words[:4].any() and not words[-4:].any()
    found, exact = shm.percentile(words, 4, per_mille), kept.percentile(per_mille)
    assert found is not None
    assert exact <= found <= max(values)
    if exact < 2**41:  # the last bucket has no upper edge
        assert found - exact <= exact // shm.SUB + 1


def test_an_empty_histogram_has_no_percentile() -> None:
    assert shm.percentile(np.zeros(shm.HISTOGRAM_CELLS, np.int64), 0, 500) is None
