"""What a run stands on and must leave nothing of: run folder, segments, descriptors, nursery. Made
in order, undone in reverse.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import selectors
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ops import clock
from ops.alerts import Alerts, empty_samples
from ops.children import Children
from ops.control import AlreadyRunning
from ops.helpers import Helpers
from ops.inspector import MODES
from ops.run_folder import RunFolder
from shm_layout import (
    BODY,
    CHANNEL,
    COMMAND,
    GATEWAY,
    K_COMMAND,
    RUN_CLOCK,
    LayoutError,
    Segment,
    bell_ring,
    cell,
    ring_append,
)

BELLS = ("gateway",)  # consumers woken by an eventfd, which the supervisor makes and holds


class GroundError(Exception):
    """The machine or a foreign file is in the way. `code` is the command's exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Ground:
    """Everything of a run but its session. `close` may be called at any point: nothing is left."""

    def __init__(self, state_dir: Path, folder: RunFolder, name: str, helpers: Helpers) -> None:
        self.folder = folder
        self.leftovers = folder.leftovers
        self.name = name
        self.run_id = secrets.randbits(62) | 1
        self.selector = selectors.DefaultSelector()
        self.children = Children(self.selector, helpers, _nothing, _nothing)
        self.fds: dict[str, int] = {}
        self.segment: Segment
        self._channels: list[Segment] = []
        self._has_segment = False
        self._commands = 0
        (state_dir / "log").mkdir(exist_ok=True, mode=0o700)
        self.log_path = state_dir / "log" / "engine.log"
        self._log = os.open(
            self.log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        empty_samples(self.log_path)
        self.alerts = Alerts(self.log_path)

    def make(self, channels: tuple[str, ...], mode: str) -> None:
        """Segments and doorbells. Raises GroundError or AlreadyRunning."""
        with _explained():
            self.segment = Segment.create(self.name, run_id=self.run_id, mode=MODES.index(mode))
            self._has_segment = True
            for suffix in channels:
                channel = Segment.create(f"{self.name}-{suffix}", CHANNEL, run_id=self.run_id)
                self._channels.append(channel)
        for bell in BELLS:
            self.fds[bell] = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def write_clock(self, begin_epoch_ns: int, mono_base_ns: int, speed_e6: int) -> None:
        """The run clock from now on."""
        body = np.zeros(BODY, np.int64)
        cells = {
            "begin_epoch_ns": begin_epoch_ns,
            "mono_base_ns": mono_base_ns,
            "speed_e6": speed_e6,
        }
        for name, value in cells.items():
            body[cell(RUN_CLOCK, name)] = value
        self.segment.write("run_clock", 0, body)

    def tell(self, command: int) -> int:
        """Ask the gateway for something (gateway/commands.py). The command's number."""
        self._commands += 1
        body = np.zeros(BODY, np.int64)
        body[cell(COMMAND, "number")] = self._commands
        body[cell(COMMAND, "command")] = command
        body[cell(COMMAND, "at_ns")] = clock.mono_ns()
        ring = self.segment.at("control_ring")
        ring_append(
            self.segment.words, ring, self.segment.entries("control_ring"), K_COMMAND, body, BODY
        )
        bell_ring(self.segment.words, self.segment.at("bells", GATEWAY), self.fds["gateway"])
        return self._commands

    def log(self, text: str) -> None:
        """One line in the run's log, beside what the children print. A full disk stops nothing."""
        now = datetime.fromtimestamp(clock.epoch_ns() / clock.SECOND_NS, UTC)
        stamp = now.isoformat(timespec="milliseconds")
        with contextlib.suppress(OSError):
            os.write(self._log, f"{stamp} supervisor: {text}\n".encode())

    def last_words(self, name: str) -> str:
        """The last line a process wrote into the log under its name."""
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            said = [line.strip() for line in file if line.startswith(f"{name}: ")]
        return said[-1].removeprefix(f"{name}: ") if said else f"see {self.log_path}"

    def close(self) -> None:
        """Kill what still runs, end the nursery, remove every name."""
        for child in list(self.children.by_name.values()):
            self.children.kill(child)
        until_ns = clock.mono_ns() + 5 * clock.SECOND_NS
        while self.children.by_name and clock.mono_ns() < until_ns:
            for key, _ in self.selector.select(0.1):
                key.data()
        for fd in self.fds.values():
            os.close(fd)
        self.fds.clear()
        for channel in self._channels:
            channel.unlink()
        if self._has_segment:
            self.segment.unlink()
            self._has_segment = False
        self.children.close()
        self.selector.close()
        self.alerts.close()
        os.close(self._log)


def _nothing(_: Any) -> None:
    """Before a supervisor listens, a death is seen when the next start fails."""


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """A layout error as what the command line says and exits with."""
    try:
        yield
    except LayoutError as error:
        cause = error.__cause__
        if isinstance(cause, BlockingIOError):
            raise AlreadyRunning(str(error)) from error
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            raise GroundError(
                f"{error} (/dev/shm is full; free some or mount it larger)", 75
            ) from error
        raise GroundError(str(error), 3) from error
    except OSError as error:
        code = 75 if error.errno == errno.ENOSPC else 3
        raise GroundError(f"/dev/shm: {error.strerror}", code) from error
