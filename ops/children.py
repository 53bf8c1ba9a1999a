"""The children of a run: started from the nursery, watched by pidfd, stopped in order.

All of this happens on the supervisor's main thread: PR_SET_PDEATHSIG follows the thread that made a
process. The nursery is multiprocessing's forkserver; it is started once and never again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import selectors
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ops import clock, process
from ops.helpers import Helpers
from ops.process import RoleSpec

NURSERY = "nursery"


class NurseryDied(Exception):
    """The forkserver ended; nothing can be started any more."""


@dataclass(slots=True)
class Child:
    """One running process."""

    spec: RoleSpec
    kind: str
    process: BaseProcess
    pid: int
    pidfd: int
    started_ns: int
    is_stopping: bool = False
    is_killed: bool = False


@dataclass(frozen=True, slots=True)
class Death:
    """What a process left. `code` < 0: killed by that signal."""

    name: str
    kind: str
    code: int
    at_ns: int
    was_asked: bool

    @property
    def how(self) -> str:
        """In words."""
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        return process.EXITS.get(self.code, f"exit code {self.code}")


@dataclass(slots=True)
class Children:
    """Every process of a run. `on_gone` runs as soon as a pidfd fires, `on_death` once it is known
    how.
    """

    selector: selectors.BaseSelector
    helpers: Helpers
    on_gone: Callable[[RoleSpec], None]
    on_death: Callable[[Death], None]
    by_name: dict[str, Child] = field(default_factory=dict)
    _is_nursery_dead: bool = False

    def __post_init__(self) -> None:
        self.selector.register(self.helpers.nursery_fd, selectors.EVENT_READ, self._on_nursery)

    def start_early(self, kind: str, spec: RoleSpec) -> Connection:
        """Tell the process of that name what it is. Our end of its pipe."""
        made, conn = self.helpers.early.pop(spec.name)
        with contextlib.suppress(BrokenPipeError):  # it died: its pidfd tells
            conn.send(spec)
        self._take_in(kind, spec, made)
        return conn

    def start(self, kind: str, spec: RoleSpec) -> Child:
        """Start one child. Raises NurseryDied."""
        if self.is_nursery_dead():
            raise NurseryDied("nursery: died, nothing can be started")
        made = multiprocessing.get_context("forkserver").Process(
            target=process.child_main, args=(spec, self.helpers.nursery_pid), name=spec.name
        )
        try:
            made.start()
        except (EOFError, OSError) as error:
            raise NurseryDied(f"nursery: died while it started {spec.name}") from error
        return self._take_in(kind, spec, made)

    def _take_in(self, kind: str, spec: RoleSpec, made: BaseProcess) -> Child:
        assert made.pid is not None
        child = Child(spec, kind, made, made.pid, -1, clock.mono_ns())
        self.by_name[spec.name] = child
        try:
            child.pidfd = os.pidfd_open(child.pid)
        except ProcessLookupError:
            self._gone(child)
            return child
        self.selector.register(child.pidfd, selectors.EVENT_READ, lambda: self._gone(child))
        return child

    def _gone(self, child: Child) -> None:
        at_ns = clock.mono_ns()
        if child.pidfd >= 0:
            self.selector.unregister(child.pidfd)
            os.close(child.pidfd)
        if self.by_name.get(child.spec.name) is child:
            del self.by_name[child.spec.name]
        child.pidfd = -1
        self.on_gone(child.spec)  # first: to learn the exit code may take the nursery a moment
        self.on_death(
            Death(child.spec.name, child.kind, _code(child.process), at_ns, child.is_stopping)
        )

    def _on_nursery(self) -> None:
        self._is_nursery_dead = True
        self.selector.unregister(self.helpers.nursery_fd)
        self.on_death(Death(NURSERY, NURSERY, -signal.SIGKILL, clock.mono_ns(), False))

    def is_nursery_dead(self) -> bool:
        """Whether the forkserver has ended, be it told yet or not."""
        return self._is_nursery_dead or _is_over(self.helpers.nursery_fd)

    def ask_to_stop(self, child: Child) -> None:
        """SIGTERM; its death is then no accident."""
        child.is_stopping = True
        self.kill(child, signal.SIGTERM)

    def kill(self, child: Child, number: int = signal.SIGKILL) -> None:
        """Send a signal to exactly this process (never to a reused pid)."""
        if child.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(child.pidfd, number)

    def close(self) -> None:
        """Every child is gone: the nursery is listened to no more."""
        assert not self.by_name, list(self.by_name)
        if not self._is_nursery_dead:
            self._is_nursery_dead = True
            self.selector.unregister(self.helpers.nursery_fd)


def _is_over(pidfd: int) -> bool:
    poll = selectors.DefaultSelector()
    poll.register(pidfd, selectors.EVENT_READ)
    is_over = bool(poll.select(0))
    poll.close()
    return is_over


def _code(ended: BaseProcess) -> int:
    ended.join(1.0)  # the nursery reports it; a dead nursery does at once, as 255
    code = ended.exitcode
    return -signal.SIGKILL if code is None else code
