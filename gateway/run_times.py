"""Run time of past moments: venues stamp what they keep in run time, and in a replay run time jumps
where the recording was cut. What was sent before a cut must be asked for in the time of before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shm_layout import Segment, word_load

Mapping = tuple[int, int, int]  # machine time it holds from, run time there, speed in 1e-6
PARTS_MAX = 1024  # jumps of one run that are remembered


@dataclass(slots=True)
class RunTimes:
    """Every mapping of machine time to run time that was in force, oldest first."""

    segment: Segment
    sequence: int = -1
    parts: list[Mapping] = field(default_factory=list)

    def look(self) -> Mapping | None:
        """The mapping in the segment, if it is new; cheap if it is not."""
        sequence = int(word_load(self.segment.words, self.segment.at("run_clock")))
        if sequence == self.sequence:
            return None
        row = self.segment.read("run_clock", 0)
        if row is None:
            return None
        self.sequence = sequence
        part = int(row["mono_base_ns"]), int(row["begin_epoch_ns"]), int(row["speed_e6"])
        return part if self.know(part) else None

    def know(self, part: Mapping) -> bool:
        """Remember a mapping. False: known already."""
        if part in self.parts:
            return False
        self.parts.append(part)
        self.parts.sort()
        del self.parts[:-PARTS_MAX]
        return True

    def at(self, machine_ns: int) -> int:
        """Run time at a machine time, by the mapping in force then; 0: none is known."""
        found = None
        for part in self.parts:
            if found is None or part[0] <= machine_ns:
                found = part
        if found is None:
            return 0
        base_ns, begin_ns, speed_e6 = found
        return begin_ns + (machine_ns - base_ns) * speed_e6 // 1_000_000 if base_ns else begin_ns
