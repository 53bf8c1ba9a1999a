"""A supervisor of fake processes in a state folder of its own, and what must be true afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ops import cache, clock, control

ROOT = Path(__file__).resolve().parent.parent.parent
FAKES = [sys.executable, "-m", "tests.ops.fakes"]
REAL = [sys.executable, "-m", "ops.supervisor_cli"]
PATIENT = {  # a busy machine is slow: no late signal, slow unwind, start or beat ends a test's run
    "ARB_EDGE_SIGNAL_AGE_MAX_MS": "500",
    "ARB_PROCESSES_READY_MAX_S": "180",
    "ARB_PROCESSES_HANG_MAX_MS": "60000",
    "ARB_EDGE_BEAT_MAX_MS": "5000",
    "ARB_LIMITS_UNWIND_TIME_MAX_MS": "10000",
    "ARB_LIMITS_MISMATCHES_MAX": "10000",
}
_BREATH = threading.Event()


def until(holds: Callable[[], bool], seconds: float, what: str) -> float:
    """Look again and again until it holds; the seconds that took. Fails when time is up."""
    began_ns = clock.mono_ns()
    while not holds():
        spent = (clock.mono_ns() - began_ns) / clock.SECOND_NS
        assert spent < seconds, f"{what}: not within {seconds} s"
        _BREATH.wait(0.002)
    return (clock.mono_ns() - began_ns) / clock.SECOND_NS


@dataclass
class Engine:
    """One engine under test: its names are its own, its kernels are everybody's."""

    state_dir: Path
    name: str
    command: list[str] = field(default_factory=lambda: list(FAKES))
    faults: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Of every command: own state, own segment, own place for temporary files."""
        runtime = self.state_dir / "tmp"
        runtime.mkdir(exist_ok=True, mode=0o700)
        return os.environ | PATIENT | self.settings | {
            "ARB_STATE_DIR": str(self.state_dir), "ARB_NAME": self.name,
            "ARB_TEST_FAKE": self.faults, "XDG_RUNTIME_DIR": str(runtime),
        }  # fmt: skip

    def start(self, *flags: str) -> None:
        """In the background."""
        self.process = subprocess.Popen(
            [*self.command, "start", *flags], cwd=ROOT, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def wait_until_trading(self) -> dict[str, Any]:
        """Until time counts. Its status."""
        found: dict[str, Any] = {}

        def is_trading() -> bool:
            found.update(self.status())
            return bool(found.get("counts_from"))

        until(is_trading, 180, "trading")
        return found

    def status(self) -> dict[str, Any]:
        """As the socket tells it; {} while nobody answers."""
        try:
            return control.ask(self.state_dir, "status")
        except control.NotRunning:
            assert self.process is not None
            assert self.process.poll() is None, self.process.communicate()
            return {}

    def pid(self, name: str) -> int:
        """Of one of its processes; 0 while it is dead."""
        rows = {row["name"]: row["pid"] for row in self.status().get("processes", [])}
        return int(rows.get(name) or 0)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """A signal to one of its processes; never to a pid of 0, which is our whole group."""
        pid = self.pid(name)
        assert pid > 0, f"{name} does not run"
        os.kill(pid, number)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A whole command."""
        return subprocess.run(
            [*self.command, *words], cwd=ROOT, env=self.environment, text=True, capture_output=True,
            timeout=180, check=False,
        )  # fmt: skip

    def end(self) -> tuple[int, str, str]:
        """Wait for the background start: exit code, standard output, standard error."""
        assert self.process is not None
        out, err = self.process.communicate(timeout=180)
        return self.process.returncode, out, err

    def everyone(self) -> list[psutil.Process]:
        """Every process of it, the helpers of multiprocessing among them."""
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def leftovers(self) -> list[str]:
        """Names that a run makes and must not leave."""
        found = [str(p) for p in Path("/dev/shm").iterdir() if p.name.startswith(self.name)]
        found += [str(p) for p in (self.state_dir / "tmp").iterdir()]
        socket = self.state_dir / control.SOCKET
        return found + ([str(socket)] if socket.exists() else [])


def alive(processes: list[psutil.Process]) -> list[str]:
    """Those that still run."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:60]}")
        except psutil.NoSuchProcess:
            continue
    return found


@contextmanager
def engine(tmp_path: Path, **more: Any) -> Iterator[Engine]:
    """An engine that is gone afterwards, whatever the test did."""
    kernels = cache.state_dir() / "kernels"  # compiled once for all tests
    kernels.mkdir(parents=True, exist_ok=True)
    (tmp_path / "kernels").symlink_to(kernels)
    folder = cache.use()
    if not cache.is_warm(folder):
        cache.start_warming(folder).communicate(timeout=900)
    made = Engine(tmp_path, f"arbtest{os.getpid()}-{tmp_path.name[-8:]}", **more)
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.send_signal(signal.SIGTERM)
            made.process.communicate(timeout=180)


def one_object(text: str) -> dict[str, Any]:
    """Standard output that is exactly one JSON object in one line."""
    assert text.count("\n") == 1, text
    found: dict[str, Any] = json.loads(text)
    return found
