"""`arb-supervisor start` after its flags were read: warm the kernels, start what loads long, run,
undo everything.

Imports nothing heavy before the nursery has been started (ops/running.py does the rest).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ops import cache, clock
from ops.config import Source
from ops.console import err
from ops.control import AlreadyRunning, Lock
from ops.helpers import Helpers
from ops.run_folder import RunFolder
from ops.screen import Lines, Screen, Shown

if TYPE_CHECKING:
    from ops.session import Request, Session

    SessionFactory = Callable[[Request, Path], Session]

REFUSED, RUNNING, INTERRUPTED = 3, 4, 130
WARM_TRIES = 2
VENUES = ("venues", "ops.venues.serve")  # loads while the session is made
PAPER = ("paper", "ops.venues.paper")
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class LaunchError(Exception):
    """The run could not be started: one line and an exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a start was told and found. `make_session` None: that of the mode."""

    asked: argparse.Namespace
    source: Source
    make_session: SessionFactory | None
    began_ns: int
    name: str
    state_dir: Path
    shown: Shown


def launch(
    asked: argparse.Namespace,
    source: Source,
    make_session: SessionFactory | None,
    began_ns: int,
) -> int:
    """Run it. Returns the exit code."""
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        told = Launch(
            asked=asked,
            source=source,
            make_session=make_session,
            began_ns=began_ns,
            name=_name(),
            state_dir=_state_dir(),
            shown=_shown(),
        )
        for name in BLAS_THREADS:
            os.environ[name] = "1"  # the nursery must have one thread
        with _locked(told.state_dir) as lock:
            _warm(told.shown)
            return _with_helpers(told, lock)
    except AlreadyRunning as error:
        return _fail(str(error), RUNNING)
    except LaunchError as error:
        return _fail(str(error), error.code)
    except KeyboardInterrupt:
        return _fail("interrupted before it ran; nothing is left", INTERRUPTED)


def _interrupted(_number: int, _frame: object) -> None:
    """Until the supervisor listens to signals itself, SIGTERM undoes everything as Ctrl-C does."""
    raise KeyboardInterrupt


def _fail(text: str, code: int) -> int:
    err(f"arb-supervisor: {text}")
    return code


def _with_helpers(told: Launch, lock: Lock) -> int:
    """From an empty machine to an empty machine."""
    folder = RunFolder(told.state_dir, lock)
    try:
        helpers = Helpers()
        try:
            if told.make_session is None:
                helpers.open_early(*VENUES)
                if told.asked.mode == "paper":
                    helpers.open_early(*PAPER)
            from ops.running import run

            return run(told, folder, helpers)
        finally:
            told.shown.close()
            helpers.close()
    finally:
        folder.remove()


def _name() -> str:
    name = os.environ.get("ARB_NAME", "arb")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
        text = f"ARB_NAME: found {name!r}, wanted letters, digits, '_' or '-'"
        raise LaunchError(text, REFUSED)
    return name


def _state_dir() -> Path:
    state_dir = cache.state_dir()
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LaunchError(f"{state_dir}: cannot be made: {error.strerror}", REFUSED) from error
    return state_dir


@contextlib.contextmanager
def _locked(state_dir: Path) -> Iterator[Lock]:
    try:
        lock = Lock(state_dir)
    except OSError as error:
        text = f"{error.filename}: cannot be opened: {error.strerror}"
        raise LaunchError(text, REFUSED) from error
    try:
        yield lock
    finally:
        lock.release()


def _shown() -> Shown:
    """A screen at a terminal, else lines; on standard error: standard output is for results."""
    if sys.stderr.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") != "dumb":
        from rich.console import Console

        return Screen(Console(stderr=True))
    return Lines(lambda text: err(f"arb: {text}"))


def _warm(shown: Shown) -> None:
    """Compile the kernels if that was not done for this build; a damaged cache is made again."""
    folder = cache.use()
    if cache.is_warm(folder):
        return
    shown.say("compiling the kernels, once for this build (two to five minutes)")
    for _ in range(WARM_TRIES):
        began_ns = clock.mono_ns()
        process = cache.start_warming(folder)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                spent = (clock.mono_ns() - began_ns) / clock.SECOND_NS
                shown.say(f"compiling {line.strip()} ({spent:.0f} s)")
        except KeyboardInterrupt:
            process.kill()
            process.wait()
            raise
        if process.wait() == 0 and cache.is_warm(folder):
            shown.say(f"compiled in {(clock.mono_ns() - began_ns) / clock.SECOND_NS:.0f} s")
            return
        cache.clear(folder)
    raise LaunchError(f"{folder}: the kernels could not be compiled (see above)", 1)
