"""What ends a process whose event loop would go on: an error in a callback, a protocol or a task.

A loop logs such an error and runs the next callback. A role that trades, or that others trust, must
not: its state is not what it thinks, and the supervisor's table knows what to do with a death.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

# What uvloop's TLS says when it would write to a socket that is closed already: the other side
# reset it while bytes of ours were on their way (seen with a venue that resets every connection).
TLS_END = "the handler is closed"
CLEAN_UP_S = 2.0  # after a fault, for what a role closes


class Faults:
    """The exception handler of a loop: the first fault cancels `main`; what hangs then is ended."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, main: asyncio.Task[None], end: Callable[[], None]
    ) -> None:
        self.first: BaseException | None = None
        self._main, self._end = main, end
        loop.set_exception_handler(self._told)

    def _told(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        if self.first is None and (error := fault_of(context)) is not None:
            self.first = error
            self._main.cancel()
            loop.call_later(CLEAN_UP_S, self._end)


def fault_of(context: dict[str, Any]) -> BaseException | None:
    """The error of one of our own callbacks, protocols or tasks in what a loop's exception handler
    is told. None: a connection's end, or a future that nobody waited for.
    """
    error: BaseException | None = context.get("exception")
    if isinstance(error, OSError | asyncio.CancelledError) and "transport" in context:
        return None
    if isinstance(error, RuntimeError) and TLS_END in str(error) and "transport" in context:
        return None
    future = context.get("future")
    if future is not None and not isinstance(future, asyncio.Task):
        return None
    return error
