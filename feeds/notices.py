"""What a feed has to tell people, one line each, with samples of what it could not read; and what
its connections know of the venue together: its clock, and whether it has drifted.

Bounded: a venue that sends nonsense for a day fills neither a log nor a disk, nor hides what is
grave (drift, a refusal for good, a fault of ours), for which there is room of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

ALERTS_MAX = 64  # lines at once; of the counters nothing is lost
ALERTS_KEPT = 16  # of them for what is grave
ALERT_AGAIN_NS = 60 * 1_000_000_000  # room for one more line
TOLD_MAX = 1_024  # lines remembered, so that each is told once
SAMPLES_MAX = 16  # until the feed starts anew
SAMPLES_KEPT = 8  # of them for what is grave
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
    a connection has estimated it; `before_ns`: see ClockOffset. `is_mirrored`: see Scale."""

    def __init__(self) -> None:
        self.drift = Drift()
        self.floor_ns: int | None = None
        self.before_ns: int | None = None
        self.is_mirrored = False
        self.alerts: list[str] = []
        self.samples: list[tuple[str, bytes]] = []
        self._told: Final[set[str]] = set()
        self._room, self._filled_ns = ALERTS_MAX, 0
        self._kept = 0

    def step(self, now_ns: int) -> None:
        """Every step: as time passes there is room for more lines."""
        if now_ns - self._filled_ns >= ALERT_AGAIN_NS:
            self._filled_ns = now_ns
            self._room = min(self._room + 1, ALERTS_MAX)

    def alert(self, line: str, *, is_grave: bool = False) -> bool:
        """Tell it, unless it was told before. True if it is new, and there is room."""
        if line in self._told or self._room <= (0 if is_grave else ALERTS_KEPT):
            return False
        if len(self._told) >= TOLD_MAX:
            self._told.clear()
        self._told.add(line)
        self._room -= 1
        self.alerts.append(line)
        return True

    def sample(self, name: str, payload: bytes | memoryview, *, is_grave: bool = False) -> None:
        """Keep what was sent, cut to a length; `name` is for a file."""
        if self._kept < SAMPLES_MAX - (0 if is_grave else SAMPLES_KEPT):
            self._kept += 1
            kept = bytes(payload[:SAMPLE_MAX_BYTES])
            self.samples.append((f"{self._kept:02}-{clean(name).replace('?', '_')}.json", kept))

    def take(self) -> tuple[list[str], list[tuple[str, bytes]]]:
        """What has come since the last call."""
        found = self.alerts, self.samples
        self.alerts, self.samples = [], []
        return found
