"""The kill word from outside: found through the lock file, set in memory, never in a foreign
file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.commands import kill_place
from ops.control import LOCK, Lock, NotRunning
from ops.identity import Account, Identity
from ops.kill_word import open_word
from shm_layout import CANCELLER, COUNTERS, KILL, KILL_AT, Segment, cell, word_add, word_load
from tests.ops.rig import ROOT

RUN = 77


class Ground:
    """What the note is made of."""

    run_id = RUN

    def __init__(self, segment: Segment) -> None:
        self.segment = segment


@pytest.fixture(name="segment")
def _segment() -> Iterator[Segment]:
    segment = Segment.create(f"arbtest{os.getpid()}-word", run_id=RUN)
    yield segment
    segment.unlink()


def noted(folder: Path, segment: Segment, changes: dict[str, Any] | None = None) -> Lock:
    accounts = (Account(0, 0, 0), Account(1, 0, 2), Account(2, 1, 0))
    identity: Any = Identity((), (), None, accounts, {}, {})  # type: ignore[arg-type]
    ground: Any = Ground(segment)
    lock = Lock(folder)
    lock.note([], kill=kill_place(ground, identity) | (changes or {}))
    return lock


def test_the_word_is_set_with_its_stamp_and_pid_where_every_process_looks(
    tmp_path: Path, segment: Segment
) -> None:
    noted(tmp_path, segment)
    word = open_word(tmp_path)
    assert word["word_at"] == 0 and word.venues == 2
    word.set(123, 45)
    found = segment.table("kill")[0]
    assert int(word_load(segment.words, KILL_AT)) == int(found["word"]) != 0
    assert (int(found["set_ns"]), int(found["set_pid"])) == (123, 45)
    assert cell(KILL, "word") == 0


def test_what_the_canceller_did_is_read(tmp_path: Path, segment: Segment) -> None:
    noted(tmp_path, segment)
    word = open_word(tmp_path)
    at = segment.at("roles", CANCELLER) + cell(segment.layout.blocks["roles"].record, "counters")
    for name in ("cancels", "cancels", "failures"):
        word_add(segment.words, at + COUNTERS["canceller"].index(name), 1)
    assert word.told == (2, 1)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"segment": "arbtest-nowhere"}, "its segment arbtest-nowhere is gone"),
        ({"run_id": 78}, "run_id: found 77, wanted 78"),
        ({"word_at": 1 << 40}, "found a foreign file"),
    ],
)
def test_another_runs_memory_is_not_touched(
    tmp_path: Path, segment: Segment, changes: dict[str, Any], text: str
) -> None:
    noted(tmp_path, segment, changes)
    with pytest.raises(NotRunning, match=text):
        open_word(tmp_path)


@pytest.mark.parametrize("raw", [b"", b"\xff nonsense", b"[]", b'{"pid": 1}', b'{"kill": {}}'])
def test_a_lock_that_names_no_word_means_that_nothing_runs(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / LOCK).write_bytes(raw)
    with pytest.raises(NotRunning, match="no engine is running"):
        open_word(tmp_path)


def test_the_command_needs_no_supervisor_no_kernels_and_no_disk(
    tmp_path: Path, segment: Segment
) -> None:
    noted(tmp_path, segment)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "from ops import operator_cli; operator_cli.CONFIRM_NS = 0;"
        "from ops.supervisor_cli import main; code = main(['kill', '--json']);"
        "assert not {'numba', 'numpy', 'psutil'} & set(sys.modules); sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"ARB_STATE_DIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 6, ended.stderr
    assert "cancels not confirmed at 2 of 2 venues" in ended.stderr
    found = json.loads(ended.stdout)
    assert found["killed"] and not found["was_killed"] and found["cancelled"] == 0
    assert int(segment.table("kill")[0]["set_ns"]) == found["set_ns"]
