"""The kill word, set from outside the run: no supervisor, event loop, kernel cache or disk is
asked.

The lock file of the state folder says where the word lies (`Lock.note`, written by the supervisor
from the table of the segment); here the page is mapped and eight aligned bytes are stored. That is
one store of the processor, and any value but 0 means "nothing may leave", so no order between the
cells matters. Imports nothing heavy: a command sets the word in the time Python takes to start.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.control import LOCK, NotRunning, read_note

SHM = Path("/dev/shm")
FIELDS = (  # of the note
    "segment", "run_id", "run_at", "word_at", "set_ns_at", "set_pid_at", "reason", "venues",
    "cancels_at", "failures_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KillWord:
    """The mapped word of one run. `note`: byte offsets, as FIELDS names them, and what is there."""

    cells: memoryview
    note: Mapping[str, Any]

    def __getitem__(self, name: str) -> int:
        """A cell by the name of its place."""
        return int(self.cells[int(self.note[name]) // 8])

    def set(self, now_ns: int, pid: int) -> None:
        """Nothing leaves any more. Again: the canceller cancels again."""
        for name, value in (("set_pid_at", pid), ("set_ns_at", now_ns)):
            self.cells[int(self.note[name]) // 8] = value
        self.cells[int(self.note["word_at"]) // 8] = int(self.note["reason"])

    @property
    def venues(self) -> int:
        """At how many venues the canceller cancels."""
        return int(self.note["venues"])

    @property
    def told(self) -> tuple[int, int]:
        """Venue-side cancels so far that were confirmed, and that were not."""
        return self["cancels_at"], self["failures_at"]


def open_word(state_dir: Path) -> KillWord:
    """The kill word of the run in this state folder. Raises NotRunning: there is none."""
    note = read_note(state_dir / LOCK).get("kill")
    if not isinstance(note, dict) or any(name not in note for name in FIELDS):
        raise NotRunning(f"no engine is running in {state_dir}")
    try:
        fd = os.open(SHM / str(note["segment"]), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise NotRunning(
            f"no engine is running in {state_dir}: its segment {note['segment']} is gone"
        ) from error
    try:
        length = max(int(note[name]) for name in note if name.endswith("_at")) + 8
        found = os.fstat(fd)
        if found.st_uid != os.geteuid() or found.st_size < length:
            raise NotRunning(f"{SHM / note['segment']}: found a foreign file, wanted a segment")
        mapped = mmap.mmap(fd, -(-length // mmap.PAGESIZE) * mmap.PAGESIZE)
    finally:
        os.close(fd)
    word = KillWord(memoryview(mapped).cast("q"), note)
    if word["run_at"] != note["run_id"]:
        raise NotRunning(
            f"{SHM / note['segment']}: run_id: found {word['run_at']}, wanted {note['run_id']}"
        )
    return word
