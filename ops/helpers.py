"""What runs beside the children: nursery, resource tracker, and processes that load early. Imports
nothing heavy.

They are started before the supervisor itself has loaded numba, and ended after everything else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from ops import early, nursery
from ops.cache import ROOT


class Helpers:
    """Starts the forkserver, which loads while the caller goes on. From the main thread only."""

    def __init__(self) -> None:
        told = {nursery.SUPERVISOR: str(os.getpid()), "PYTHONPATH": _search_path()}
        multiprocessing.get_context("forkserver").set_forkserver_preload(["ops.nursery"])
        with _environment(**told):
            forkserver.ensure_running()
        server: Any = forkserver._forkserver
        self.nursery_pid: int = server._forkserver_pid
        self.nursery_fd = os.pidfd_open(self.nursery_pid)
        self.early: dict[str, tuple[BaseProcess, Connection]] = {}

    def open_early(self, name: str, module: str) -> None:
        """Start a process that loads `module` and waits for its spec (ops/early.py)."""
        ours, theirs = multiprocessing.Pipe()
        made = multiprocessing.get_context("spawn").Process(
            target=early.main, args=(theirs, os.getpid(), name, module), name=name
        )
        with _environment(PYTHONPATH=_search_path()):
            made.start()
        theirs.close()
        self.early[name] = (made, ours)

    def close(self) -> None:
        """Every child is gone: end what is left, and wait for it."""
        for made, conn in self.early.values():
            conn.close()
            made.kill()
            made.join()
        self.early.clear()
        with contextlib.suppress(ProcessLookupError):  # it may still be loading
            signal.pidfd_send_signal(self.nursery_fd, signal.SIGKILL)
        os.close(self.nursery_fd)
        server: Any = forkserver._forkserver
        server._stop()
        tracker: Any = resource_tracker._resource_tracker
        tracker._stop()


def _search_path() -> str:
    """Where children find this program, wherever they are started."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))


@contextlib.contextmanager
def _environment(**more: str) -> Iterator[None]:
    """Variables that only the process started inside gets."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
