# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Compiled loops of the race tests, right ones and wrong ones (the negative controls).

Every loop ends after its count of turns or when the stop word is set, whichever comes first. The
cells of a body are all a function of its number, so that a mixture of two bodies is seen.
"""

from __future__ import annotations

import numpy as np
from numba import njit

import shm_layout as shm
from shm_layout import BODY, ENTRY, LINE

LAYOUT = shm.Layout(
    "stress",
    (
        shm.Block("header", "test", "cells", 1, shm.HEADER, 16),
        shm.Block("words", "one each", "cells", 16, shm.BELL, 16),  # one word a 128-byte unit
        shm.Block("slot", "writer", "slots", 1, shm.QUOTE),
        shm.Block("ring", "writer", "ring", 64, shm.QUOTE),
    ),
)
ENTRIES = 64
WORDS, SLOT, RING = LAYOUT.at["words"], LAYOUT.at["slot"], LAYOUT.at["ring"]
(STOP, READY, BELL, ACK, LEFT, RIGHT, WORD, LEFT_BELL, RIGHT_BELL) = (
    WORDS + 16 * i for i in range(9)
)
MIX = 0x9E3779B97F4A7C15 - (1 << 64)  # odd: consecutive numbers differ in every cell
ACCEPTED, TORN, BUSY, BACKWARDS, LOST, VALUES = range(6)


@njit(cache=True)
def fill(body, number):
    """The body of that number."""
    for i in range(BODY):
        body[i] = number * MIX + i


@njit(cache=True)
def is_whole(body, at):
    """True if every cell belongs to the same number."""
    for i in range(1, BODY):  # noqa: SIM110 - compiled
        if body[at + i] != body[at] + i:
            return False
    return True


@njit(cache=True)
def write_slot(words, first, count):
    """Store bodies `first`, `first` + 1, …; the next number."""
    body = np.empty(BODY, np.int64)
    for number in range(first, first + count):
        fill(body, number)
        shm.slot_store(words, SLOT, body, BODY)
        if shm.load_relaxed(words, STOP) != 0:
            return number + 1
    return first + count


@njit(cache=True)
def write_slot_plain(words, first, count):
    """The control: the same with plain stores, which LLVM reorders and merges."""
    for number in range(first, first + count):
        words[SLOT] = 2 * number + 1
        for i in range(BODY):
            words[SLOT + LINE + i] = number * MIX + i
        words[SLOT] = 2 * number + 2
        if shm.load_relaxed(words, STOP) != 0:
            return number + 1
    return first + count


@njit(cache=True)
def read_slot(words, counts, count):
    """Load `count` times and judge each: accepted, torn, busy, sequence going backwards, values."""
    out = np.empty(BODY, np.int64)
    last, before = 0, 0
    for _ in range(count):
        sequence = shm.slot_load(words, SLOT, out, BODY)
        if sequence <= 0:
            counts[BUSY] += 1
            continue
        counts[ACCEPTED] += 1
        counts[TORN] += not is_whole(out, 0)
        counts[BACKWARDS] += sequence < last
        counts[VALUES] += out[0] != before
        last, before = sequence, out[0]


@njit(cache=True)
def write_ring(words, count):
    """Append `count` entries, each a function of its position."""
    body = np.empty(BODY, np.int64)
    for _ in range(count):
        position = shm.ring_tail(words, RING)
        fill(body, position)
        shm.ring_append(words, RING, ENTRIES, position + 1, body, BODY)
        if shm.load_relaxed(words, STOP) != 0:
            return


@njit(cache=True)
def read_ring(words, counts, position, count, pauses):
    """Read on from `position`, count what was lost, pause `pauses` turns after each; next place."""
    out = np.empty(ENTRY, np.int64)
    for _ in range(count):
        found = shm.ring_read(words, RING, ENTRIES, position, out, BODY)
        if found == shm.READ:
            counts[ACCEPTED] += 1
            right = out[0] == position + 1 and out[LINE] == position * MIX
            counts[TORN] += not (right and is_whole(out, LINE))
            position += 1
        elif found == shm.LAPPED:
            fresh = shm.ring_tail(words, RING) - ENTRIES // 2
            counts[BACKWARDS] += fresh <= position
            counts[LOST] += fresh - position
            position = fresh
        else:
            counts[BUSY] += 1
            if shm.load_relaxed(words, STOP) != 0 and shm.ring_tail(words, RING) <= position:
                break
        for _ in range(pauses):
            shm.pause()
    return position


@njit(cache=True)
def watch(words, at, count):
    """Changes of a word seen by `count` relaxed loads."""
    changes, last = 0, shm.load_relaxed(words, at)
    for _ in range(count):
        now = shm.load_relaxed(words, at)
        changes += now != last
        last = now
    return changes


@njit(cache=True)
def watch_plain(words, at, count):
    """The control: the same with plain loads, which LLVM hoists out of the loop."""
    changes, last = 0, words[at]
    for _ in range(count):
        now = words[at]
        changes += now != last
        last = now
    return changes


@njit(cache=True)
def count_up(words, at, count):
    """Store 1, 2, … in a word."""
    for number in range(count):
        shm.store_relaxed(words, at, number)
        if shm.load_relaxed(words, STOP) != 0:
            return


@njit(cache=True)
def flip(words, at, stop, count):
    """Store all zeros and all ones in turn."""
    for i in range(count):
        shm.store_relaxed(words, at, -(i & 1))
        if i & 1023 == 0 and shm.load_relaxed(stop, STOP) != 0:
            return


@njit(cache=True)
def foreign(words, at, count, one, other):
    """Loads that saw neither of two values."""
    seen = 0
    for _ in range(count):
        value = shm.load_relaxed(words, at)
        seen += value not in (one, other)
    return seen


@njit(cache=True)
def meet(words, mine, theirs, turn, until_ns):
    """Two processes leave here together, as near as a spin can bring them. False: gave up."""
    shm.store_release(words, mine, turn)
    turns = 0
    while shm.load_acquire(words, theirs) < turn:
        turns += 1
        if turns & 1023 == 0 and (shm.load_relaxed(words, STOP) != 0 or shm.now_ns() > until_ns):
            return False
    return True


@njit(cache=True)
def arm_unfenced(words, bell):
    """The control: `bell_arm` with its fence left out."""
    shm.store_relaxed(words, bell, 1)


@njit(cache=True)
def consumer_turns(words, saw, fenced, until_ns):
    """Arm and look, once a turn: saw[turn] = the entry was there. Turns done."""
    for turn in range(1, len(saw)):
        if not meet(words, LEFT, RIGHT, turn, until_ns):
            return turn
        for _ in range(turn * 7 % 13):
            shm.pause()
        if fenced:
            shm.bell_arm(words, LEFT_BELL)
        else:
            arm_unfenced(words, LEFT_BELL)
        saw[turn] = shm.load_relaxed(words, RIGHT_BELL) == turn
        if not meet(words, LEFT + 1, RIGHT + 1, turn, until_ns):
            return turn
        shm.bell_disarm(words, LEFT_BELL)
    return len(saw)


@njit(cache=True)
def producer_turns(words, saw, fenced, until_ns):
    """Publish and look at the bell, once a turn: saw[turn] = the consumer had armed. Turns done.

    `bell_ring` clears the bell it finds, which the consumer's next turn sets again.
    """
    for turn in range(1, len(saw)):
        if not meet(words, RIGHT, LEFT, turn, until_ns):
            return turn
        for _ in range(turn * 5 % 11):
            shm.pause()
        shm.store_relaxed(words, RIGHT_BELL, turn)
        if fenced:
            saw[turn] = shm.bell_ring(words, LEFT_BELL, -1)
        else:
            saw[turn] = shm.load_relaxed(words, LEFT_BELL) == 1
        if not meet(words, RIGHT + 1, LEFT + 1, turn, until_ns):
            return turn
    return len(saw)


@njit(cache=True)
def publish_turns(words, seed, eventfd, rings, count, until_ns):
    """Publish a stamped entry each time the last was taken, after a varying pause; ring the bell.

    `rings` False is the control: it forgets the bell. Entries published (bells that found it armed
    in the upper half).
    """
    body = np.zeros(BODY, np.int64)
    done, armed, chance = 0, 0, seed
    while done < count:
        turns = 0
        while shm.load_acquire(words, ACK) < done:
            turns += 1
            if turns & 255 == 0 and (shm.load_relaxed(words, STOP) != 0 or shm.now_ns() > until_ns):
                return armed << 32 | done
        chance = (chance * 6364136223846793005 + 1442695040888963407) & 0x7FFFFFFFFFFFFFFF
        longest = (0, 30, 300, 3000)[chance >> 40 & 3]  # at once … long after it fell asleep
        for _ in range((chance >> 20) % (longest + 1)):
            shm.pause()
        body[0] = shm.now_ns()
        shm.ring_append(words, RING, ENTRIES, 1, body, BODY)
        if rings:
            armed += shm.bell_ring(words, BELL, eventfd)
        done += 1
    return armed << 32 | done


@njit(cache=True)
def consume_turns(words, rings, entries, spin_ns, block_ns, count, until_ns):
    """Take entries, blocking for each. (taken, longest wait of a published entry in ns)"""
    out = np.empty(ENTRY, np.int64)
    cursors = np.zeros(1, np.int64)
    taken, longest = 0, 0
    while taken < count:
        there = shm.rings_wait(words, rings, entries, cursors, 1, BELL, spin_ns, block_ns)
        now = shm.now_ns()
        if there:
            shm.ring_read(words, RING, ENTRIES, cursors[0], out, BODY)
            longest = max(longest, now - out[LINE])
            cursors[0] += 1
            taken += 1
            shm.store_release(words, ACK, taken)
        if now > until_ns:
            break
    return taken, longest


def warm(words):
    """Compile what the reading side calls, before a worker runs and a clock with it."""
    counts, one = np.zeros(6, np.int64), np.ones(1, np.int64)
    read_slot(words, counts, 0)
    read_ring(words, counts, 0, 0, 0)
    consume_turns(words, one * RING, one * ENTRIES, 0, 0, 0, 0)
    consumer_turns(words, np.zeros(1, np.int64), True, 0)
    watch(words, WORD, 0)
    watch_plain(words, WORD, 0)
    foreign(words, WORD, 0, 0, 0)
