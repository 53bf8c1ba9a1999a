"""The one place that asks the machine for time. All others are handed a number or one of these."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

Clock = Callable[[], int]
SECOND_NS = 1_000_000_000
MS_NS = 1_000_000


def mono_ns() -> int:
    """CLOCK_MONOTONIC in ns: stamps, timeouts, heartbeats; comparable between processes."""
    return time.monotonic_ns()


def epoch_ns() -> int:
    """The wall clock in ns since 1970: logs and venue fields only."""
    return time.time_ns()


def epoch_s() -> int:
    """The same in whole seconds: the stamp of Polymarket's HMAC."""
    return int(time.time())


def sleep_ns(duration_ns: int) -> None:
    """Give the processor away for a while; for commands and cold loops."""
    time.sleep(max(duration_ns, 0) / SECOND_NS)


def process_start_ns() -> int:
    """When this process began, on the monotonic clock (10 ms steps: the kernel counts in ticks)."""
    with open("/proc/self/stat", encoding="ascii") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    since_boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    age_ns = since_boot - ticks * SECOND_NS // os.sysconf("SC_CLK_TCK")
    return time.monotonic_ns() - max(age_ns, 0)
