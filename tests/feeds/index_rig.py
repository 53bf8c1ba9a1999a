"""An index handler on a private segment: frames in, slots and ring entries out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feeds.publisher import Publisher
from feeds.update import Venue
from shm_layout import BODY, ENTRY, INDEX, K_INDEX, LINE, Segment, ring_read, ring_tail, word_store
from tests.conftest import reference
from tests.feeds.rig import Clock

FEED = 6


@dataclass
class IndexRig:
    """Segment, publisher, and readers of what it published."""

    segment: Segment
    publisher: Publisher
    products: tuple[str, ...]
    clock: Clock = field(default_factory=Clock)
    cursor: int = 0

    def slot(self, place: int = 0) -> np.void:
        return index_slot(self.segment, place)

    def refuses(self, handler: Venue, frame: bytes) -> None:
        """A frame of nonsense: counted as one, and nothing is published."""
        before = self.counted("bad_frames")
        handler.frame(frame, 5, True)
        assert self.counted("bad_frames") == before + 1
        assert self.entries() == []

    def entries(self) -> list[np.void]:
        """Ring entries since the last call, all of kind INDEX."""
        ring, size = self.segment.at(f"changes_{FEED}"), self.segment.entries(f"changes_{FEED}")
        out, found = np.zeros(ENTRY, np.int64), []
        while self.cursor < ring_tail(self.segment.words, ring):
            assert ring_read(self.segment.words, ring, size, self.cursor, out, BODY) == 1
            assert out[0] == K_INDEX
            found.append(out[LINE:].copy().view(INDEX)[0])
            self.cursor += 1
        return found

    def counted(self, name: str) -> int:
        return self.publisher.counted(name)


def index_slot(segment: Segment, place: int) -> np.void:
    """What a slot says of its index."""
    body = segment.read("spot", place)
    assert body is not None
    row: np.void = np.asarray(body).reshape(1).view(INDEX)[0]
    return row


def index_rig(*products: str, segment: Segment | None = None, lanes: int = 1) -> IndexRig:
    """A publisher for these indices in slots 0 and on, its first entries read. `lanes`: seats."""
    segment = segment or Segment.private()
    clock = Clock()
    publisher = Publisher(
        segment, feed=FEED, epoch=7, now_ns=clock.now_ns,
        products=tuple(range(len(products))), kind=K_INDEX, lanes=lanes,
    )  # fmt: skip
    made = IndexRig(segment, publisher, products, clock)
    made.entries()
    return made


def fixtures(name: str, direction: str = "in") -> list[dict[str, Any]]:
    """Rows of a fixture file that come in (or go out), with their `raw` text."""
    path = reference(f"fixtures/{name}")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if row.get("dir", "in") == direction]


def running(segment: Segment, run_ns: int, speed_e6: int = 1_000_000) -> None:
    """The run clock stands at `run_ns`."""
    clock = segment.at("run_clock")
    for place, value in ((8, run_ns), (10, speed_e6), (0, 2)):
        word_store(segment.words, clock + place, value)
