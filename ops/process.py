"""One child process from its first act to its last: ties to its parent, title, cores, signals,
heartbeat, exit code.

A role is what `RoleSpec.build` returns, one of three kinds:

- `StepRole`: `step(now_ns) -> int` (work done), `idle()` waits a bounded time, `close()`.
- `LoopRole`: `async main()` under uvloop, `stop()` asks it to end, `close()`.
- `CallRole`: `run()` blocks until `stop()` is called; beats from a thread; nothing hot.

Exit codes of children stand in `EXITS`; what they mean is decided in ops/restarts.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import forkserver, reduction, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Protocol, runtime_checkable

from ops import clock
from ops.console import err
from ops.faults import Faults
from ops.run_folder import sweep
from shm_layout import (
    FEED_ROLE,
    HISTOGRAM_CELLS,
    MAIN,
    ROLE,
    LayoutError,
    Segment,
    cell,
    text_to_cells,
    word_load,
    word_store,
)

STOPPED, CRASHED, REFUSED, ORPHANED, STUCK = 0, 1, 3, 6, 7
EXITS = {
    STOPPED: "stopped as asked",
    CRASHED: "died of an error, see the log",
    REFUSED: "refused to start, see the log",
    ORPHANED: "its parent was gone",
    STUCK: "did not end when asked",
}
BEAT_NS = 40 * clock.MS_NS  # DESIGN: every 50 ms
_PR_SET_PDEATHSIG = 1


class Fd:
    """A descriptor handed to a child explicitly. Pickled only while a process is being started."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __reduce__(self) -> tuple[Callable[[Any], Fd], tuple[Any]]:
        return _received, (reduction.DupFd(self.fd),)


def _received(duplicate: Any) -> Fd:
    return Fd(duplicate.detach())


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSpec:
    """What a child is told. `role` is its row in the segment, `epoch` the one granted to it.

    `build`: "module:function", called with this spec and the attached segment. `cores`: where it
    may run (empty: anywhere); `is_alone`: it has a core of its own and may spin for ever.
    `does_outlive`: it survives the supervisor for a moment and then removes `leftovers`.
    `conn`: its pipe to the supervisor, if it was started early (ops/early.py).
    """

    name: str
    role: int
    epoch: int
    segment: str
    run_id: int
    supervisor_pid: int
    log: str
    build: str = "ops.roles:build"
    cores: tuple[int, ...] = ()
    is_alone: bool = False
    is_hot: bool = False
    does_outlive: bool = False
    restarts: int = 0
    leftovers: tuple[str, ...] = ()
    fds: dict[str, Fd] = field(default_factory=dict)
    params: Any = None
    conn: Connection | None = None


@runtime_checkable
class StepRole(Protocol):
    def step(self, now_ns: int, /) -> int: ...

    def idle(self) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class LoopRole(Protocol):
    def main(self) -> Coroutine[Any, Any, None]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class CallRole(Protocol):
    def run(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class Heart:
    """A process's own line: pid, epoch, heartbeat, loops, worst loop."""

    def __init__(self, segment: Segment, role: int) -> None:
        self._words = segment.words
        self._at = segment.at("roles", role)
        self._beat_at = self._at + cell(ROLE, "beat_ns")
        self._loops = 0
        self._worst_ns = 0
        self.next_ns = 0

    def begin(self, spec: RoleSpec, now_ns: int) -> None:
        """First stores of a process: who it is. Its counters go on from its predecessor's."""
        core = spec.cores[0] if spec.is_alone else -1
        name = text_to_cells(spec.name[:32], 4)
        for offset, value in enumerate(name):
            word_store(self._words, self._at + offset, value)
        for key, value in (
            ("pid", os.getpid()), ("epoch", spec.epoch), ("core", core), ("exit_code", -1),
            ("started_ns", now_ns), ("ready_ns", 0), ("loops", 0), ("worst_loop_ns", 0),
            ("connected", 0), ("restarts", spec.restarts),
        ):  # fmt: skip
            self._store(key, value)
        self.beat(now_ns)

    def ready(self, now_ns: int) -> None:
        """It is built and about to loop."""
        self._store("ready_ns", now_ns)

    def beat(self, now_ns: int) -> None:
        """Store the heartbeat with what was counted since the last one."""
        word_store(self._words, self._beat_at, now_ns)
        self._store("loops", self._loops)
        self._store("worst_loop_ns", self._worst_ns)
        self.next_ns = now_ns + BEAT_NS // 4

    def turn(self, spent_ns: int) -> None:
        """One turn of the loop took so long."""
        self._loops += 1
        if spent_ns > self._worst_ns:
            self._worst_ns = spent_ns

    def end(self, code: int) -> None:
        """Last store."""
        self._store("exit_code", code)

    def _store(self, key: str, value: int) -> None:
        word_store(self._words, self._at + cell(ROLE, key), value)


def tie_to_parent(parent_pid: int) -> None:
    """Die with the parent (the kernel sends SIGKILL when the thread that made us ends); checks it
    still lives.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        os._exit(ORPHANED)


def child_main(spec: RoleSpec, nursery_pid: int) -> None:
    """Target of every child. Ends the process."""
    if not spec.does_outlive:
        tie_to_parent(nursery_pid)
    _title(spec.name)
    become(spec)


def become(spec: RoleSpec) -> None:
    """Be that role until the end of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = _StopFlag()
    _separate(spec)
    code = REFUSED
    try:
        if spec.conn is None:
            _check_nursery()
        segment = Segment.attach(spec.segment, writable=True, run_id=spec.run_id)
        code = _run(spec, segment, stop)
    except LayoutError as error:
        err(f"{spec.name}: {error}")
    finally:
        if spec.does_outlive:
            sweep(spec.supervisor_pid, spec.leftovers)
    sys.stderr.flush()
    os._exit(code)


def _separate(spec: RoleSpec) -> None:
    """Own standard streams and cores; who outlives the supervisor also lets go of what keeps its
    helpers alive.
    """
    log = os.open(spec.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    if spec.cores:
        with contextlib.suppress(OSError):  # a cpuset changed under us: run where we may
            os.sched_setaffinity(0, spec.cores)
    if spec.does_outlive:
        os.setsid()
        # The tracker removes the segment's name, and the nursery ends, once all let go of these.
        for holder, name in (
            (resource_tracker._resource_tracker, "_fd"),
            (forkserver._forkserver, "_forkserver_alive_fd"),
        ):
            held = getattr(holder, name)
            if held is not None:
                os.close(held)
                setattr(holder, name, None)


def _title(name: str) -> None:
    from setproctitle import setproctitle

    setproctitle(f"arb: {name}")


def _check_nursery() -> None:
    """The preload swallows ImportErrors: did this process get what it expects?"""
    nursery = sys.modules.get("ops.nursery")
    if nursery is None or not getattr(nursery, "READY", False):
        raise LayoutError(f"nursery: preload: found {nursery}, wanted ops.nursery, ready")


def _run(spec: RoleSpec, segment: Segment, stop: _StopFlag) -> int:
    heart = Heart(segment, spec.role)
    heart.begin(spec, clock.mono_ns())
    module, _, function = spec.build.partition(":")
    role = getattr(importlib.import_module(module), function)(spec, segment)
    _still(spec)
    heart.ready(clock.mono_ns())
    if isinstance(role, LoopRole):
        code = _run_loop(role, heart, stop)
    elif isinstance(role, StepRole):
        code = _run_step(role, heart, stop)
    else:
        assert isinstance(role, CallRole), f"{spec.build}: found {type(role)}, wanted a role"
        code = _run_call(role, heart, stop)
    role.close()
    heart.end(code)
    return code


def _still(spec: RoleSpec) -> None:
    """What was built so far is never looked at by the collector again; a spinning process has none
    at all.
    """
    gc.collect()
    gc.freeze()
    if spec.is_hot:
        gc.disable()
    else:
        gc.set_threshold(50_000, 50, 100)


class _StopFlag:
    """SIGTERM as a flag; loops look at it each turn, event loops are told."""

    def __init__(self) -> None:
        self.is_set = False
        self.tell: Callable[[], None] = lambda: None
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        self.is_set = True
        self.tell()


def _run_step(role: StepRole, heart: Heart, stop: _StopFlag) -> int:
    step, idle, now_ns = role.step, role.idle, clock.mono_ns
    while not stop.is_set:
        began = now_ns()
        worked = step(began)
        ended = now_ns()
        heart.turn(ended - began)
        if ended >= heart.next_ns:
            heart.beat(ended)
        if not worked:
            idle()
    return STOPPED


def _run_loop(role: LoopRole, heart: Heart, stop: _StopFlag) -> int:
    import uvloop

    async def body() -> int:
        loop = asyncio.get_running_loop()
        due = loop.time()

        def beat() -> None:
            nonlocal due
            late_ns = int((loop.time() - due) * 1e9)
            heart.turn(max(late_ns, 0))
            heart.beat(clock.mono_ns())
            due = loop.time() + BEAT_NS / 1e9
            loop.call_at(due, beat)

        main = loop.create_task(role.main())
        faults = Faults(loop, main, partial(os._exit, CRASHED))
        beat()
        loop.add_signal_handler(signal.SIGTERM, role.stop)
        if stop.is_set:
            role.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await main
        return STOPPED if faults.first is None else CRASHED

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(body())


def _run_call(role: CallRole, heart: Heart, stop: _StopFlag) -> int:
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_NS / 1e9):
            heart.turn(0)
            heart.beat(clock.mono_ns())

    stop.tell = role.stop
    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    role.run()
    done.set()
    thread.join()
    return STOPPED


def counters_at(segment: Segment, role: int) -> int:
    """First counter cell of a role's row."""
    return segment.at("roles", role) + cell(ROLE, "counters")


def role_cell(segment: Segment, role: int, field_name: str) -> int:
    """One cell of a role's row, read with acquire."""
    return int(word_load(segment.words, segment.at("roles", role) + cell(ROLE, field_name)))


def histogram_at(role: int, index: int) -> int:
    """First cell of histogram `index` of a role, within the main layout."""
    from shm_layout import HISTOGRAMS_MAX

    spec = MAIN.blocks["histograms"]
    assert spec.cells_each >= HISTOGRAM_CELLS
    return MAIN.at["histograms"] + (role * HISTOGRAMS_MAX + index) * spec.cells_each


def is_feed(role: int) -> bool:
    """Whether a row belongs to a feed."""
    return role >= FEED_ROLE
