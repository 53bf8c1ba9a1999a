"""When the kernel cache counts as whole, and that one process fills it for all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops import cache

COMPILED = {
    "a.kernel-1.nbi": b"index.",
    "a.kernel-1.1.nbc": b"machine code",
    "b.kernel-2.nbi": b".",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cache as a warming process leaves it."""
    for name, raw in COMPILED.items():
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / "sub" / name).write_bytes(raw)
    cache.mark_warm(tmp_path)
    return tmp_path


def test_what_was_warmed_is_warm(folder: Path, tmp_path: Path) -> None:
    assert cache.is_warm(folder)
    (folder / "sub" / "c.kernel-9.nbi").write_bytes(b"another specialisation.")
    (folder / "sub" / "a.kernel-1.nbi").write_bytes(b"index with one more.")
    assert cache.is_warm(folder)


def test_an_empty_folder_is_not_warm(tmp_path: Path) -> None:
    assert not cache.is_warm(tmp_path)
    (tmp_path / "complete").write_text("")
    assert not cache.is_warm(tmp_path)
    (tmp_path / "complete").write_text("[1]")
    assert not cache.is_warm(tmp_path)


DAMAGE = {
    "truncated code": ("a.kernel-1.1.nbc", b"machine"),
    "changed code": ("a.kernel-1.1.nbc", b"machine c0de"),
    "truncated index": ("a.kernel-1.nbi", b"ind."),
    "index without its end": ("a.kernel-1.nbi", b"index with one mo"),
    "empty index": ("b.kernel-2.nbi", b""),
}


@pytest.mark.parametrize("case", sorted(DAMAGE))
def test_damage_is_seen(case: str, folder: Path) -> None:
    name, raw = DAMAGE[case]
    (folder / "sub" / name).write_bytes(raw)
    assert not cache.is_warm(folder)


def test_a_lost_file_is_seen_and_clearing_makes_an_empty_folder(folder: Path) -> None:
    (folder / "sub" / "b.kernel-2.nbi").unlink()
    assert not cache.is_warm(folder)
    cache.clear(folder)
    assert list(folder.iterdir()) == []


def test_a_touched_source_means_compiling_again(folder: Path) -> None:
    manifest = json.loads((folder / "complete").read_text())
    name = next(iter(manifest["sources"]))
    manifest["sources"][name][0] += 1
    (folder / "complete").write_text(json.dumps(manifest))
    assert not cache.is_warm(folder)


def test_tables_that_kernels_are_compiled_with_count_as_kernel_files() -> None:
    """Their constants are frozen into machine code: a changed offset must be another cache."""
    found = {file.relative_to(cache.ROOT).as_posix() for file in cache.kernel_files()}
    wanted = {
        "gateway/memory.py", "gateway/throttle.py", "gateway/order_record.py", "engine/memory.py",
        "engine/cells.py", "ops/last_look.py", "shm_layout.py",
    }  # fmt: skip
    assert wanted <= found
    assert "gateway/desk.py" not in found, "a change without kernels compiles nothing anew"


def test_a_new_kernel_file_is_another_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache.key()
    assert cache.key() == before
    monkeypatch.setattr(cache, "kernel_files", list)
    assert cache.key() != before


OTHER = """
import sys
from pathlib import Path
from ops import cache
folder = Path(sys.argv[1])
print("asks", flush=True)
with cache.warming(folder):
    sys.exit(7 if (folder / "done").exists() else 8)
"""


def test_only_one_warms_at_a_time(tmp_path: Path) -> None:
    with cache.warming(tmp_path):
        other = subprocess.Popen(
            [sys.executable, "-c", OTHER, str(tmp_path)], cwd=cache.ROOT, stdout=subprocess.PIPE
        )
        assert other.stdout is not None
        assert other.stdout.readline() == b"asks\n"
        (tmp_path / "done").touch()
    assert other.wait(timeout=280) == 7
    other.stdout.close()


def test_the_state_folder_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARB_STATE_DIR", "/a/b")
    assert cache.state_dir() == Path("/a/b")
    monkeypatch.delenv("ARB_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", "/c")
    assert cache.state_dir() == Path("/c/arb")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/d")
    assert cache.state_dir() == Path("/d/.local/state/arb")
