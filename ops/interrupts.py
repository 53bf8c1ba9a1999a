"""SIGINT and SIGTERM as calls inside the supervisor's selector loop."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
from collections.abc import Callable, Iterator

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """`told(name, times)` runs for each signal; `times` counts all of them."""

    def __init__(self, told: Callable[[str, int], None]) -> None:
        self.times = 0
        self._told = told

    def _handle(self, number: int, _: object) -> None:
        self.times += 1
        self._told(signal.Signals(number).name, self.times)

    @contextlib.contextmanager
    def caught(self, selector: selectors.BaseSelector) -> Iterator[None]:
        """While inside, signals come here and wake the selector; afterwards all is as before."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = {number: signal.signal(number, self._handle) for number in CAUGHT}
        old = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        selector.register(reader, selectors.EVENT_READ, lambda: os.read(reader, 64))
        try:
            yield
        finally:
            selector.unregister(reader)
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)
