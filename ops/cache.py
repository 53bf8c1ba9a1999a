"""The compiled-kernel cache: where it lies, when it is valid, who fills it.

Numba's cache does not see changes in imported files, so a cached kernel can keep an old offset and read a wrong cell in
silence. The folder is therefore named by everything that enters a kernel; `warm` compiles all of them in one process
before any other starts, and deletes the folder and compiles again if a damaged file stops it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNEL_ROOMS = ("engine", "feeds")
_DONE = "complete"


def state_dir() -> Path:
    """Where this user's engine keeps its state: $ARB_STATE_DIR, $XDG_STATE_HOME/arb or ~/.local/state/arb."""
    if found := os.environ.get("ARB_STATE_DIR"):
        return Path(found)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "arb"


def kernel_files() -> list[Path]:
    """Every file a kernel may be compiled from."""
    files = [ROOT / "shm_layout.py"]
    for room in KERNEL_ROOMS:
        files += sorted((ROOT / room).rglob("*.py"))
    return [file for file in files if file.name == "shm_layout.py" or "njit" in file.read_text()]


def key() -> str:
    """Name of the cache: kernel files, numba, llvmlite, numpy, Python and CPU."""
    digest = hashlib.sha256()
    for file in kernel_files():
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    versions = [importlib.metadata.version(name) for name in ("numba", "llvmlite", "numpy")]
    digest.update(repr([*versions, sys.version, platform.machine(), _cpu()]).encode())
    return digest.hexdigest()[:24]


def _cpu() -> str:
    """Model and flags: compiled code is for this processor."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if line.startswith(("model name", "flags", "Features"))]
    return "".join(sorted(set(lines)))


def use() -> Path:
    """Point numba at the cache of this build. Call before numba is imported; harmless twice."""
    assert "numba" not in sys.modules or "NUMBA_CACHE_DIR" in os.environ, "numba came before its cache"
    folder = state_dir() / "kernels" / key()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return folder


def is_warm(folder: Path) -> bool:
    """True once every kernel has been compiled into it."""
    return (folder / _DONE).exists()


def start_warming(folder: Path) -> subprocess.Popen[bytes]:
    """Compile every kernel in a process of its own; its exit code tells (0: done)."""
    for other in folder.parent.iterdir():
        if other != folder and other.is_dir():
            shutil.rmtree(other, ignore_errors=True)  # builds that are gone
    return subprocess.Popen([sys.executable, "-m", "ops.warm"], cwd=ROOT, env=dict(os.environ))


def mark_warm(folder: Path) -> None:
    """Called by the warming process, last."""
    (folder / _DONE).touch()


def clear(folder: Path) -> None:
    """Throw a damaged cache away."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
