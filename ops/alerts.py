"""What processes have to tell people, read from the run's log as it grows, and the samples kept.

A process marks such a line; the supervisor shows it as an event, once. The log is the one way that
works from every process, and keeps what was told for whoever looks later.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ops.console import err

MARK: Final = b"alert: "
READ_MAX: Final = 1 << 16  # bytes of one look
SAMPLES: Final = "samples"  # folder beside the log: emptied when a run starts, as the log is


class Alerts:
    """Reads from the end of what is there on."""

    def __init__(self, log: Path) -> None:
        self._fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._part = b""

    def new(self) -> list[str]:
        """Alerts written since the last look, without their mark. Cheap if there is nothing."""
        read = os.read(self._fd, READ_MAX)
        if not read:
            return []
        *whole, self._part = (self._part + read).split(b"\n")
        return [
            line[len(MARK) :].decode("utf-8", "replace") for line in whole if line.startswith(MARK)
        ]

    def close(self) -> None:
        """Nothing is read any more."""
        os.close(self._fd)


def samples_of(log: Path) -> Path:
    """The folder of raw samples that belong to a log."""
    return log.parent / SAMPLES


def empty_samples(log: Path) -> None:
    """A run keeps only its own."""
    folder = samples_of(log)
    folder.mkdir(exist_ok=True, mode=0o700)
    for each in folder.iterdir():
        each.unlink()


def tell(name: str, lines: Sequence[str], samples: Sequence[tuple[str, bytes]], log: Path) -> None:
    """Of a feed process: mark these lines, keep these samples (name, what came). A sample that
    cannot be written is told, never raised: it is not what the process is there for."""
    venue = name.removeprefix("feed ")
    for line in lines:
        err(f"{MARK.decode()}{name}: {line.removeprefix(f'{venue}: ')}")
    for title, content in samples:
        path = samples_of(log) / title
        try:
            path.write_bytes(content)
        except OSError as error:
            err(f"{name}: sample {path}: {error.strerror}")
        else:
            err(f"{name}: sample kept: {path}")
