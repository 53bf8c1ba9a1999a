"""Run time in the segment: begun by the supervisor, rewritten wherever the timeline jumps."""

from __future__ import annotations

from collections.abc import Callable

from ops.venues.script import Timeline

Write = Callable[[int, int, int], None]  # begin_epoch_ns, mono_base_ns, speed_e6


class RunClock:
    """`start_ns` 0: run time stands at its first moment."""

    def __init__(self, timeline: Timeline, write: Write) -> None:
        self._timeline = timeline
        self._write = write
        self._left = list(timeline.segments)
        self.start_ns = 0
        write(timeline.begin_epoch_ns, 0, timeline.speed_e6)

    def start(self, start_ns: int) -> None:
        """Run time begins to pass at this machine stamp."""
        self.start_ns = start_ns
        self.follow(start_ns)

    def follow(self, now_ns: int) -> None:
        """Write every segment that has begun."""
        while self.start_ns and self._left and now_ns >= self.start_ns + self._left[0][0]:
            offset_ns, epoch_ns = self._left.pop(0)
            self._write(epoch_ns, self.start_ns + offset_ns, self._timeline.speed_e6)

    def due_ns(self, epoch_ns: int) -> int:
        """The machine time at which run time reaches `epoch_ns`."""
        return self.start_ns + self._timeline.offset_ns(epoch_ns)
