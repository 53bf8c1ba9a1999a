"""Processor and memory of processes, by pid."""

from __future__ import annotations

from dataclasses import dataclass, field

import psutil

from ops import clock

MIB = 1 << 20


@dataclass(slots=True)
class Usage:
    """Remembers processes between calls, so that a share of processor time has a span it is of."""

    _known: dict[int, psutil.Process] = field(default_factory=dict)

    def of(self, pid: int) -> tuple[float | None, float | None, float | None]:
        """(percent of one core since the last call, RSS, and its private part in MiB); None: it is
        gone.
        """
        try:
            process = self._known.get(pid)
            if process is None or not process.is_running():
                process = self._known[pid] = psutil.Process(pid)
                spent = process.cpu_times()
                age_s = max(clock.epoch_ns() / clock.SECOND_NS - process.create_time(), 0.01)
                share = 100 * (spent.user + spent.system) / age_s
                process.cpu_percent(None)
            else:
                share = process.cpu_percent(None)
            memory = process.memory_info()
            return (
                round(share, 1),
                round(memory.rss / MIB, 1),
                round((memory.rss - memory.shared) / MIB, 1),
            )
        except psutil.Error:
            self._known.pop(pid, None)
            return None, None, None
