"""What a feed has to tell people, one line each, with samples of what it could not read; and what
its connections know of the venue together: its clock, and whether it has drifted.

Bounded: a venue that sends nonsense for a day fills neither a log nor a disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

ALERTS_MAX = 64  # lines until the feed starts anew; the counters go on
SAMPLES_MAX = 16
SAMPLE_MAX_BYTES = 64 << 10
TEXT_MAX = 80  # of anything a venue named


def clean(text: str) -> str:
    """A venue's own word, fit for a line and for a file's name."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "?" for c in text)
    return kept[:TEXT_MAX] or "?"


@dataclass(slots=True)
class Drift:
    """Schema drift of the venue, on whichever connection it was seen (feeds/sentinel.py)."""

    is_on: bool = False
    number: int = 0
    last_ns: int = 0
    relapses: int = 0
    kinds: set[str] = field(default_factory=set)


class Notices:
    """Lines and samples until someone takes them away. `floor_ns`: of the venue's clock, None until
    a connection has estimated it."""

    def __init__(self) -> None:
        self.drift = Drift()
        self.floor_ns: int | None = None
        self.alerts: list[str] = []
        self.samples: list[tuple[str, bytes]] = []
        self._told: Final[set[str]] = set()
        self._kept = 0

    def alert(self, line: str) -> bool:
        """Tell it, unless it was told before. True if it is new."""
        if line in self._told or len(self._told) >= ALERTS_MAX:
            return False
        self._told.add(line)
        self.alerts.append(line)
        return True

    def sample(self, name: str, payload: bytes | memoryview) -> None:
        """Keep what was sent, cut to a length; `name` is for a file."""
        if self._kept < SAMPLES_MAX:
            self._kept += 1
            kept = bytes(payload[:SAMPLE_MAX_BYTES])
            self.samples.append((f"{self._kept:02}-{clean(name).replace('?', '_')}.json", kept))

    def take(self) -> tuple[list[str], list[tuple[str, bytes]]]:
        """What has come since the last call."""
        found = self.alerts, self.samples
        self.alerts, self.samples = [], []
        return found
