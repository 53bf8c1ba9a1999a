"""`arb-supervisor start` after its flags were read: warm the kernels, make the ground, run, sum up,
undo everything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops import cache, clock
from ops.config import Settings
from ops.console import err, out
from ops.control import AlreadyRunning, Lock

if TYPE_CHECKING:
    from ops.ground import Ground, RunFolder
    from ops.screen import Shown
    from ops.session import Request
    from ops.supervisor import Ending, Supervisor
    from ops.supervisor_cli import SessionFactory

REFUSED, RUNNING, FAILED, NO_ROOM = 3, 4, 5, 75
WARM_TRIES = 2


class LaunchError(Exception):
    """The run could not be started: one line and an exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def launch(
    asked: argparse.Namespace,
    settings: Settings,
    make_session: SessionFactory | None,
    began_ns: int,
) -> int:
    """Run it. Returns the exit code."""
    from ops.supervisor_cli import fail

    name = os.environ.get("ARB_NAME", "arb")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
        return fail(f"ARB_NAME: found {name!r}, wanted letters, digits, '_' or '-'", REFUSED)
    try:
        state_dir = _state_dir()
        cache.use()  # before anything imports numba
        shown = _shown(asked)
        with _locked(state_dir) as lock:
            _warm(shown)
            ending = _session(asked, settings, make_session, began_ns, name, state_dir, lock, shown)
    except AlreadyRunning as error:
        return fail(str(error), RUNNING)
    except LaunchError as error:
        return fail(str(error), error.code)
    return ending.code


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
        raise LaunchError(
            f"{error.filename}: cannot be opened: {error.strerror}", REFUSED
        ) from error
    try:
        yield lock
    finally:
        lock.release()


def _shown(asked: argparse.Namespace) -> Shown:
    """A screen at a terminal, else lines; on standard error: standard output is for results."""
    from ops.screen import Lines, Screen

    if sys.stderr.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") != "dumb":
        from rich.console import Console

        return Screen(Console(stderr=True))
    return Lines(lambda text: err(f"arb: {text}"))


def _warm(shown: Shown) -> None:
    """Compile the kernels if that was not done for this build; a damaged cache is deleted and made
    again.
    """
    folder = cache.use()
    if cache.is_warm(folder):
        return
    shown.say("compiling the kernels, once for this build (up to a minute)")
    for _ in range(WARM_TRIES):
        began_ns = clock.mono_ns()
        process = cache.start_warming(folder)
        assert process.stdout is not None
        for line in process.stdout:
            spent = (clock.mono_ns() - began_ns) / clock.SECOND_NS
            shown.say(f"compiling {line.strip()} ({spent:.0f} s)")
        if process.wait() == 0 and cache.is_warm(folder):
            shown.say(f"compiled in {(clock.mono_ns() - began_ns) / clock.SECOND_NS:.0f} s")
            return
        cache.clear(folder)
    raise LaunchError(f"{folder}: the kernels could not be compiled (see above)", 1)


def _session(
    asked: argparse.Namespace,
    settings: Settings,
    make_session: SessionFactory | None,
    began_ns: int,
    name: str,
    state_dir: Path,
    lock: Lock,
    shown: Shown,
) -> Ending:
    """From an empty machine to an empty machine."""
    from ops.ground import Ground, RunFolder
    from ops.session import Request

    request = Request(
        settings=settings,
        name=name,
        state_dir=state_dir,
        seconds=asked.seconds,
        seed=asked.seed,
        replay=tuple(asked.replay or ()),
        speed_e6=asked.speed_e6,
        from_epoch_ns=asked.from_epoch_ns,
        gap_max_ns=asked.gap_max_ns,
    )
    folder = RunFolder(state_dir, lock)
    ground = Ground(state_dir, folder, name)
    try:
        ground.children.open_nursery()
        run = _prepared(request, ground, folder, lock, make_session, shown, began_ns)
        try:
            ending = run.run()
            found = _summed(run)
        finally:
            run.control.close()
    finally:
        shown.close()
        ground.close()
    _print(asked, found)
    return ending


def _prepared(
    request: Request,
    ground: Ground,
    folder: RunFolder,
    lock: Lock,
    make_session: SessionFactory | None,
    shown: Shown,
    began_ns: int,
) -> Supervisor:
    """Script, keys, segment and tables, while the nursery loads."""
    from ops.ground import GroundError
    from ops.identity import publish
    from ops.session import SessionError
    from ops.supervisor import Supervisor

    if make_session is None:
        from ops.sim import SimSession

        make_session = SimSession
    try:
        session = make_session(request, folder.path)
        ground.make(session.channels)
    except SessionError as error:
        raise LaunchError(str(error), REFUSED) from error
    except GroundError as error:
        raise LaunchError(str(error), error.code) from error
    publish(ground.segment, session.identity)
    run = Supervisor(request, session, ground, lock, say=shown.say, began_ns=began_ns)
    run.tick = shown.tick
    return run


def _summed(run: Supervisor) -> dict[str, Any]:
    from ops.summary import summary

    return summary(run)


def _print(asked: argparse.Namespace, found: dict[str, Any]) -> None:
    if asked.json:
        out(json.dumps(found))
        return
    from ops.summary import lines

    rows = lines(found)
    width = max(len(title) for title, _ in rows)
    for title, text in rows:
        out(f"{title:<{width}}  {text}")
