"""The bench command and what benches share: one object of figures, ratios named by the contract."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shm_layout as shm
from bench import harness

ROOT = Path(shm.__file__).parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )


def keys(found: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every (path, value) below."""
    for name, value in found.items():
        yield f"{path}{name}", value
        if isinstance(value, dict):
            yield from keys(value, f"{path}{name}.")


def test_without_a_name_the_benches_are_listed_with_their_claims() -> None:
    found = json.loads(bench("--json").stdout)["benches"]
    assert {"slot", "ring"} <= found.keys()
    assert "the same protocol in C11" in found["slot"]


def test_an_unknown_bench_is_one_line_and_exit_2() -> None:
    done = bench("slott")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("bench: no bench named slott; there are: ")


@pytest.mark.parametrize(
    ("name", "ratios"), [("slot", {"store", "load"}), ("ring", {"append", "read"})]
)
def test_slot_and_ring_report_ratios_and_what_is_only_informative(
    name: str, ratios: set[str]
) -> None:
    done = bench(name, "--quick", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"cpu", "cores", "kernel", "python", "date"} <= found["machine"].keys()
    judged = {key for key in found[name] if key.endswith("_ratio")}
    if shutil.which("gcc") is None:
        assert not judged and "no gcc" in found[name]["verdict"]
    else:
        assert judged == {f"{ratio}_ratio" for ratio in ratios}
        assert all(isinstance(found[name][key], float) for key in judged)
        assert found[name]["verdict"].startswith(("pass", "fail"))
    assert any(key.endswith("_informative") for key in found[name])
    assert not [key for key, _ in keys(found) if key.endswith("_ratio") and "." not in key]


def test_percentiles_are_those_of_the_samples() -> None:
    found = harness.spread(range(1, 100_001))
    assert found == {"count": 100_000, "p50": 50_001, "p99": 99_001, "p999": 99_901, "max": 100_000}
    assert harness.spread([]) == {"count": 0}
    assert harness.spread([1.26])["p50"] == 1.3


def test_a_verdict_needs_the_cores_and_every_ratio() -> None:
    assert harness.verdict({"a": 1.19, "b": 1.2}, 1.2, 1).startswith("pass")
    assert harness.verdict({"a": 1.19, "b": 1.21}, 1.2, 1) == "fail: b 1.21 above 1.2"
    assert harness.verdict({"a": 1.0}, 1.2, 100_000).startswith("no verdict: ")


def test_without_gcc_there_is_no_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert harness.compile_c("slot.c", tmp_path) is None
