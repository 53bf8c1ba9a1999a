"""Sleeps until an exact machine stamp. uvloop's own timers count in milliseconds; a timerfd does
not.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable

from ops.venues.numerals import SECOND_NS

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class _ItimerSpec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Calls `ring` once CLOCK_MONOTONIC has reached the stamp of the last `set`; never early.

    Linux: a timerfd (exact to some 50 µs on a busy machine). Elsewhere: the loop's timer.
    """

    has_timerfd = hasattr(ctypes.CDLL(None), "timerfd_create")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None], clock: Callable[[], int]
    ) -> None:
        self._loop = loop
        self._ring = ring
        self._clock = clock
        self._handle: asyncio.TimerHandle | None = None
        self._fd = -1
        self._libc = ctypes.CDLL(None, use_errno=True)
        if self.has_timerfd:
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_FLAGS)
        if self._fd >= 0:
            loop.add_reader(self._fd, self._expired)

    def set(self, mono_ns: int) -> None:
        """Ring at this stamp; at once if it has passed. Replaces the stamp set before."""
        if self._fd >= 0:
            seconds, rest = divmod(max(1, mono_ns), SECOND_NS)
            spec = _ItimerSpec(0, 0, seconds, rest)
            done = self._libc.timerfd_settime(
                self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None
            )
            assert done == 0, f"timerfd_settime: errno {ctypes.get_errno()}"
            return
        if self._handle:
            self._handle.cancel()
        delay_ns = mono_ns - self._clock()
        self._handle = self._loop.call_later(max(0.0, delay_ns / SECOND_NS), self._later, mono_ns)

    def close(self) -> None:
        if self._handle:
            self._handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _expired(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
            self._ring()

    def _later(self, mono_ns: int) -> None:
        if self._clock() < mono_ns:
            self.set(mono_ns)
        else:
            self._ring()
