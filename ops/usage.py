"""Processor and memory of processes, by pid."""

from __future__ import annotations

from dataclasses import dataclass, field

import psutil

from ops import clock

MIB = 1 << 20
SPAN_NS = clock.SECOND_NS
OWN_NS = 10 * clock.SECOND_NS  # the kernel walks every page for it


@dataclass(frozen=True, slots=True)
class Used:
    """Percent of one core, resident memory, the part no other process shares. None: gone."""

    cpu_percent: float | None = None
    rss_mib: float | None = None
    own_mib: float | None = None


@dataclass(slots=True)
class _Known:
    process: psutil.Process
    at_ns: int
    spent_s: float
    own_ns: int
    used: Used


@dataclass(slots=True)
class Usage:
    """Measures each process at most once a second: a share of processor time needs a span."""

    _known: dict[int, _Known] = field(default_factory=dict)

    def of(self, pid: int, now_ns: int) -> Used:
        """What it used since it was last measured; the first time, since its start."""
        known = self._known.get(pid)
        if known is not None and now_ns - known.at_ns < SPAN_NS:
            return known.used
        try:
            found = self._measure(pid, known, now_ns)
        except psutil.Error:
            self._known.pop(pid, None)
            return Used()
        self._known[pid] = found
        return found.used

    def _measure(self, pid: int, known: _Known | None, now_ns: int) -> _Known:
        process = known.process if known else psutil.Process(pid)
        times = process.cpu_times()
        spent_s = times.user + times.system
        if known:
            span_s = (now_ns - known.at_ns) / clock.SECOND_NS
            share = (spent_s - known.spent_s) / span_s
        else:
            age_s = clock.epoch_ns() / clock.SECOND_NS - process.create_time()
            share = spent_s / max(age_s, 0.01)
        is_fresh = known is not None and now_ns - known.own_ns < OWN_NS
        used = Used(
            cpu_percent=round(100 * share, 1),
            rss_mib=round(process.memory_info().rss / MIB, 1),
            own_mib=known.used.own_mib if known and is_fresh else _own_mib(process),
        )
        return _Known(
            process, now_ns, spent_s, known.own_ns if known and is_fresh else now_ns, used
        )


def _own_mib(process: psutil.Process) -> float | None:
    """What it does not share with the nursery it was forked from. None: not ours to see."""
    try:
        return round(float(process.memory_full_info().uss) / MIB, 1)
    except psutil.AccessDenied:
        return None
