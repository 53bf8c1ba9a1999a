"""The compiled-kernel cache: where it lies, when it is valid, who fills it.

Numba's cache does not see changes in imported files, so a cached kernel can keep an old offset and
read a wrong cell in silence. The folder is therefore named by everything that enters a kernel; one
process compiles all of them before any other starts; a damaged folder is deleted and made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNEL_ROOMS = ("engine", "feeds", "gateway")
KERNEL_FILES = ("shm_layout.py", "ops/last_look.py")  # of no room
_ROOM = "|".join(KERNEL_ROOMS)
_IMPORTS = re.compile(
    rf"^from ({_ROOM})(?:\.(\w+) import|(?: import \(([^)]*)\)| import (.*)))", re.MULTILINE
)
_DONE = "complete"
_LOCK = "lock"
_KEEP_NS = 14 * 86_400 * 10**9


def state_dir() -> Path:
    """Where this user's engine keeps its state: $ARB_STATE_DIR, $XDG_STATE_HOME/arb or
    ~/.local/state/arb.
    """
    if found := os.environ.get("ARB_STATE_DIR"):
        return Path(found)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "arb"


def kernel_files() -> list[Path]:
    """Every file a kernel may be compiled from: those with kernels, and the modules of the rooms
    that they import, whose constants are compiled in.
    """
    found = {ROOT / name: (ROOT / name).read_text() for name in KERNEL_FILES}
    for room in KERNEL_ROOMS:
        texts = {file: file.read_text() for file in sorted((ROOT / room).rglob("*.py"))}
        found |= {file: text for file, text in texts.items() if "njit" in text}
    imported = {file for text in found.values() for file in _imported(text)}
    return [*found, *sorted(imported - found.keys())]


def _imported(text: str) -> set[Path]:
    """Files of the rooms that a module imports."""
    files = set()
    for room, module, *names in _IMPORTS.findall(text):
        words = [module] if module else re.findall(r"(\w+)(?: as \w+)?", "".join(names))
        files |= {ROOT / room / f"{word}.py" for word in words}
    return {file for file in files if file.exists()}


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
    assert "numba" not in sys.modules or "NUMBA_CACHE_DIR" in os.environ, (
        "numba came before its cache"
    )
    folder = state_dir() / "kernels" / key()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return folder


def is_warm(folder: Path) -> bool:
    """True if every kernel was compiled into it from the files as they are, and nothing was damaged
    since.

    Later runs may add files; what the warming process wrote must be there. An index may be
    rewritten, so of it only the size and the last byte are known.
    """
    try:
        manifest = json.loads((folder / _DONE).read_text())
        if manifest["sources"] != _sources():
            return False
        return all(_is_whole(folder / name, *known) for name, known in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sources() -> dict[str, list[int]]:
    """What numba itself compares: a touched file makes it compile again, in every process."""
    stats = ((file, file.stat()) for file in kernel_files())
    return {str(file): [stat.st_mtime_ns, stat.st_size] for file, stat in stats}


def _is_whole(file: Path, size: int, digest: str) -> bool:
    raw = file.read_bytes()
    if file.suffix == ".nbi":
        return len(raw) >= size and raw.endswith(b".")
    return _digest(raw) == digest


def _digest(raw: bytes) -> str:
    return hashlib.blake2b(raw, digest_size=16).hexdigest()


@contextlib.contextmanager
def warming(folder: Path) -> Iterator[None]:
    """One process compiles, others wait for it."""
    with open(folder / _LOCK, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start_warming(folder: Path) -> subprocess.Popen[str]:
    """Compile every kernel in a process of its own: a line a room on stdout, exit code 0: done."""
    _forget_old(folder)
    command = [sys.executable, "-m", "ops.warm"]
    return subprocess.Popen(
        command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True, process_group=0
    )


def _forget_old(folder: Path) -> None:
    """Builds that nobody compiled for two weeks."""
    newest_ns = folder.stat().st_mtime_ns
    for other in folder.parent.iterdir():
        if other.is_dir() and newest_ns - other.stat().st_mtime_ns > _KEEP_NS:
            shutil.rmtree(other, ignore_errors=True)


def mark_warm(folder: Path) -> None:
    """Called by the warming process, last."""
    files = {
        str(file.relative_to(folder)): [file.stat().st_size, _digest(file.read_bytes())]
        for file in sorted(folder.rglob("*.nb?"))
    }
    text = json.dumps({"sources": _sources(), "files": files})
    (folder / (_DONE + ".new")).write_text(text)
    (folder / (_DONE + ".new")).rename(folder / _DONE)


def clear(folder: Path) -> None:
    """Throw a damaged cache away."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
