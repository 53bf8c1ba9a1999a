"""A spot exchange's handler on a private segment: frames in, slots and ring entries out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson

from feeds.publisher import Publisher
from feeds.seat import Seat
from feeds.update import Venue
from shm_layout import BODY, ENTRY, LINE, SPOT, Segment, ring_read, ring_tail
from tests.conftest import reference

SLOT = 2


def recorded(file: str) -> list[dict[str, Any]]:
    """The rows of a fixture file of the spot venues."""
    text = reference(f"fixtures/spot/{file}").read_bytes()
    return [orjson.loads(line) for line in text.splitlines() if line.strip()]


class Line:
    """`products[i]` has slot SLOT + i."""

    def __init__(
        self, make: Callable[[Seat, Sequence[str]], Venue], products: Sequence[str], feed: int
    ) -> None:
        self.segment = Segment.private()
        slots = tuple(range(SLOT, SLOT + len(products)))
        self.publisher = Publisher(self.segment, feed=feed, epoch=4, now_ns=1, products=slots)
        self.venue = make(self.publisher, products)
        self._feed, self._cursor, self.recv_ns = feed, 0, 10
        self.entries()
        self.venue.opened(self.recv_ns)

    def give(self, frame: Any) -> None:
        """One frame: bytes as they are, anything else as JSON."""
        self.recv_ns += 1
        payload = frame if isinstance(frame, bytes) else orjson.dumps(frame)
        self.venue.frame(memoryview(payload), self.recv_ns, True)

    def said(self) -> list[Any]:
        """What went back to the venue since the last call."""
        out = [orjson.loads(message) for message in self.venue.outbox]
        self.venue.outbox.clear()
        return out

    def spot(self, slot: int = SLOT) -> Any:
        row = self.segment.read("spot", slot)
        assert row is not None
        return row

    def cells(self, *names: str, slot: int = SLOT) -> list[int]:
        row = self.spot(slot)
        return [int(row[name]) for name in names]

    def trust(self, slot: int = SLOT) -> int:
        return int(self.spot(slot)["trust"])

    def counted(self, name: str) -> int:
        return self.publisher.counted(name)

    def entries(self) -> list[Any]:
        """Ring entries since the last call."""
        block = f"changes_{self._feed}"
        ring, size = self.segment.at(block), self.segment.entries(block)
        out, found = np.zeros(ENTRY, np.int64), []
        tail = ring_tail(self.segment.words, ring)
        while self._cursor < tail:
            assert ring_read(self.segment.words, ring, size, self._cursor, out, BODY) == 1
            found.append(out[LINE:].copy().view(SPOT)[0])
            self._cursor += 1
        return found
