"""The run folder: 0700, for certificates, keys and the nursery's socket; short, because socket
paths are.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ops.control import LOCK, SOCKET, Lock, read_note


class RunFolder:
    """Made at the start, after what a killed run left was removed. `leftovers`: what this one would
    leave.
    """

    def __init__(self, state_dir: Path, lock: Lock) -> None:
        for path in map(Path, lock.leftovers):
            _remove(path)
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        place = runtime if runtime and os.access(runtime, os.W_OK) else None
        self.path = Path(tempfile.mkdtemp(prefix="arb-", dir=place))
        self.leftovers = (str(self.path), str(state_dir / SOCKET))
        me: Any = multiprocessing.current_process()
        me._config["tempdir"] = str(self.path)  # where multiprocessing puts the forkserver's socket
        self._lock = lock
        lock.note(list(self.leftovers))

    def note_kill(self, place: dict[str, Any]) -> None:
        """Where the kill word of the run lies, for who must set it without us."""
        self._lock.note(list(self.leftovers), kill=place)

    def remove(self) -> None:
        """It and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def sweep(supervisor_pid: int, leftovers: Iterable[str]) -> None:
    """If the supervisor was killed, remove the files it could not; not the socket of the next run,
    which is in its place."""
    if is_alive(supervisor_pid):
        return
    for path in map(Path, leftovers):
        if path.name != SOCKET or read_note(path.with_name(LOCK)).get("pid") == supervisor_pid:
            _remove(path)


def is_alive(pid: int) -> bool:
    """Whether it runs. One whose exit code nobody has asked for yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _remove(path: Path) -> None:
    """A leftover of a killed run; only what such a run makes."""
    if path.name == SOCKET:
        path.unlink(missing_ok=True)
    elif path.name.startswith("arb-") and path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
