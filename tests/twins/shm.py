"""The kernels of shm_layout.py in plain Python: what they mean, without fences.

One process, one thread: a twin says what ends up in which cell, not in which order others see it
(that is tests/stress/). `words` is any list of ints.
"""

from __future__ import annotations

from collections.abc import Sequence

LINE, ENTRY, RING_ENTRIES = 8, 64, 16
SUB, BUCKETS = 32, 32 * 37
READ, EMPTY, LAPPED = 1, 0, -1

Cells = list[int]


def slot_store(words: Cells, at: int, body: Sequence[int], cells: int) -> None:
    """Odd, body, even."""
    odd = words[at] if words[at] % 2 else words[at] + 1
    words[at + LINE : at + LINE + cells] = list(body[:cells])
    words[at] = odd + 1


def slot_load(words: Cells, at: int, out: Cells, cells: int) -> int:
    """The sequence, or -1 while it is odd (nobody will finish it here)."""
    if words[at] % 2:
        return -1
    out[:cells] = words[at + LINE : at + LINE + cells]
    return words[at]


def _entry(ring: int, entries: int, position: int) -> int:
    return ring + RING_ENTRIES + position % entries * ENTRY


def ring_tail(words: Cells, ring: int) -> int:
    """Entries ever completed."""
    return words[ring]


def ring_adopt(words: Cells, ring: int, entries: int) -> int:
    """Count in an entry that was completed without moving the tail."""
    tail = words[ring]
    if words[_entry(ring, entries, tail)] == 2 * tail + 2:
        words[ring] = tail + 1
    return words[ring]


def ring_append(
    words: Cells, ring: int, entries: int, kind: int, body: Sequence[int], cells: int
) -> int:
    """The next entry over the oldest."""
    position = words[ring]
    at = _entry(ring, entries, position)
    words[at] = 2 * position + 2
    words[at + 1] = kind
    words[at + LINE : at + LINE + cells] = list(body[:cells])
    words[ring] = position + 1
    return position


def ring_read(words: Cells, ring: int, entries: int, position: int, out: Cells, cells: int) -> int:
    """READ with kind and body, EMPTY before it is written, LAPPED after it was overwritten."""
    at = _entry(ring, entries, position)
    generation = words[at] - (2 * position + 2)
    if generation:
        return EMPTY if generation < 0 else LAPPED
    out[0] = words[at + 1]
    out[LINE : LINE + cells] = words[at + LINE : at + LINE + cells]
    return READ


def rings_pending(
    words: Cells, rings: Sequence[int], entries: Sequence[int], cursors: Sequence[int], count: int
) -> bool:
    """An entry at or past any cursor."""
    return any(
        words[_entry(rings[i], entries[i], cursors[i])] >= 2 * cursors[i] + 2 for i in range(count)
    )


def bell_ring(words: Cells, bell: int) -> bool:
    """True if the consumer had armed; then it no longer has."""
    armed = words[bell] == 1
    if armed:
        words[bell] = 0
    return armed


def edges() -> list[tuple[int, int]]:
    """(least, most) duration of every bucket, written down octave by octave."""
    found = [(value, value) for value in range(SUB)]
    width, start = 1, SUB
    while len(found) < BUCKETS:
        for _ in range(SUB):
            found.append((start, start + width - 1))
            start += width
        width *= 2
    return found


def bucket_of(value: int, table: Sequence[tuple[int, int]]) -> int:
    """By search in the table of `edges`; below 0 the first, above all the last."""
    for index, (_, most) in enumerate(table):
        if value <= most:
            return index
    return BUCKETS - 1


class Histogram:
    """Every duration kept: what the compiled one can only answer to 3 %."""

    def __init__(self) -> None:
        self.values: list[int] = []

    def add(self, value: int) -> None:
        """Keep it."""
        self.values.append(value)

    def cells(self, table: Sequence[tuple[int, int]]) -> Cells:
        """What the words must hold."""
        buckets = [0] * BUCKETS
        for value in self.values:
            buckets[bucket_of(value, table)] += 1
        ends = [min(self.values), max(self.values)] if self.values else [0, 0]
        return [len(self.values), sum(self.values), *ends, 0, 0, 0, 0, *buckets]

    def percentile(self, per_mille: int) -> int:
        """The exact nearest-rank percentile."""
        rank = max(-(-len(self.values) * per_mille // 1000), 1)
        return sorted(self.values)[rank - 1]


def run_epoch_ns(begin: int, base: int, speed_e6: int, now: int) -> int:
    """begin + elapsed × speed, floored at each millisecond and rest as the kernel does."""
    if base == 0:
        return begin
    whole, rest = divmod(now - base, 10**6)
    return begin + whole * speed_e6 + rest * speed_e6 // 10**6
