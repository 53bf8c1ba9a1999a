"""The run folder: 0700, for certificates, keys and the nursery's socket; short, because socket
paths are.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ops.control import SOCKET, Lock


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


def _remove(path: Path) -> None:
    """A leftover of a killed run; only what such a run makes."""
    if path.name == SOCKET:
        path.unlink(missing_ok=True)
    elif path.name.startswith("arb-") and path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
