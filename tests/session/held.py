"""How long a busy machine has held processes up: what a claim in seconds leaves out.

What is counted is the time in which a process could have run and had no processor (the second
number of /proc/PID/task/TID/schedstat), and what the machine below took from all of them (`steal`
in /proc/stat). On a quiet machine that is next to nothing, and the claim is as sharp as it reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
_STEAL = 8  # its place in the first line of /proc/stat


def waited_ns(pid: int) -> int:
    """All its threads since each began; 0: it is gone, or the kernel does not count."""
    found = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            found += int(path.read_text().split()[1])
        except (OSError, IndexError):
            continue
    return found


def stolen_ns() -> int:
    """Of all processors, since the machine began."""
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[_STEAL]) * _TICK_NS


class Held:
    """From its making on, of these processes and of the one that asks."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._before = {pid: waited_ns(pid) for pid in {os.getpid(), *pids}}
        self._after = dict(self._before)
        self._stolen_ns = stolen_ns()

    def seconds(self, *born: int) -> float:
        """Until now, or, of a process that is gone, until this was last asked; with those that were
        not there at the beginning."""
        for pid in {*self._after, *born}:
            self._after[pid] = max(waited_ns(pid), self._after.get(pid, 0))
        waits_ns = sum(self._after.values()) - sum(self._before.values())
        return (waits_ns + stolen_ns() - self._stolen_ns) / 10**9
