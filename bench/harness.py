# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""What every bench shares: machine, percentiles, noise floor, a C reference built in the same run.

A bench is a module of this package with a docstring head (claim, topology, cores needed, what would
make it lie) and

    def run(quick: bool) -> dict[str, object]

which verifies its own answer (`assert`), warms up, and returns its figures: plain numbers, texts
and dicts of them. Units last (`_ns`); distributions by `spread`. A key that ends in `_ratio` is
ours ÷ the named reference, lower is better, and nothing else ends so; what is shown but not judged
ends in `_informative`. `quick` means seconds, for tests. `python -m bench` finds every such module
by itself.
"""

from __future__ import annotations

import ctypes
import datetime
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numba import njit

import shm_layout as shm

SOURCES = Path(__file__).resolve().parent / "csource"
GAP_NS = 5_000  # a spinning loop that is away longer than this was interrupted


def machine() -> dict[str, object]:
    """CPU, cores this process may use, kernel, Python, load and date: stated with every figure."""
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0))


def verdict(ratios: dict[str, float], limit: float, cores_wanted: int) -> str:
    """ "pass" or "fail" of every ratio against `limit`; no verdict on too few cores."""
    if cores() < cores_wanted:
        return f"no verdict: {cores()} cores, {cores_wanted} wanted"
    missed = [f"{name} {ratio:.2f}" for name, ratio in ratios.items() if ratio > limit]
    return f"fail: {', '.join(missed)} above {limit}" if missed else f"pass: all within {limit}"


def spread(samples_ns: Iterable[float]) -> dict[str, float]:
    """count, p50, p99, p999, max of the samples (one decimal below 100). Empty: count 0 alone."""
    values = np.sort(np.asarray(list(samples_ns), dtype=np.float64))
    if len(values) == 0:
        return {"count": 0}
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    found = {name: values[min(int(len(values) * q), len(values) - 1)] for name, q in shares.items()}
    found["max"] = values[-1]
    rounded = {name: round(float(v), 1 if v < 100 else 0) for name, v in found.items()}
    return {"count": len(values), **rounded}


@njit(cache=True)
def _gaps(duration_ns, out):
    """Spin and note every absence longer than GAP_NS; how many."""
    last = shm.now_ns()
    until, count = last + duration_ns, 0
    while last < until:
        now = shm.now_ns()
        if now - last > GAP_NS and count < len(out):
            out[count] = now - last
            count += 1
        last = now
    return count


def noise_floor(seconds: float = 0.2) -> dict[str, float]:
    """Absences of a spinning loop above 5 µs: no latency claim of this run is finer than these."""
    out = np.zeros(1 << 16, np.int64)
    _gaps(1, out)
    count = int(_gaps(int(seconds * 1e9), out))
    absent = float(out[:count].sum())
    worst = int(out[:count].max()) if count else 0
    return {"gaps_per_s": round(count / seconds, 1), "away_share": round(absent / seconds / 1e9, 5),
            "worst_ns": worst}  # fmt: skip


def compile_c(
    source: str, folder: Path, defines: Mapping[str, int] | None = None
) -> ctypes.CDLL | None:
    """bench/csource/`source`, built with gcc -O2 in `folder` (with these names defined) and loaded.
    None: there is no gcc.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    target = folder / (Path(source).stem + ".so")
    command = [compiler, "-O2", "-std=c11", "-shared", "-fPIC", "-o", str(target)]
    command += [f"-D{name}={value}" for name, value in (defines or {}).items()]
    subprocess.run([*command, str(SOURCES / source)], check=True, capture_output=True)
    return ctypes.CDLL(str(target))


def build_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for the built reference; goes with the `with` block."""
    return tempfile.TemporaryDirectory(prefix="arb-bench-")


def side_by_side(
    ours: Callable[[int], None], theirs: Callable[[int], None], batch: int, batches: int
) -> tuple[list[float], list[float]]:
    """ns per operation of each batch, both sides in turn so that noise hits both. The first tenth
    is warm-up and dropped; a batch is a mean, as one operation of a nanosecond has no stamp."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(batches):
        for side, times in zip((ours, theirs), took, strict=True):
            start = now()
            side(batch)
            times.append((now() - start) / batch)
    keep = batches // 10
    return took[0][keep:], took[1][keep:]


@njit(cache=True)
def _now():
    return shm.now_ns()


def now() -> int:
    """CLOCK_MONOTONIC, ns."""
    return int(_now())


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Ours ÷ theirs, of the medians."""
    return round(float(np.median(ours) / np.median(theirs)), 3)
