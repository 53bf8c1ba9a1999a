"""`audit verify`: what it says of whole, torn and damaged journals, and which ones are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway import journal as j
from ops import journals, supervisor_cli
from ops.clock import SECOND_NS

SMALL = 2 * j.RECORD_MAX_BYTES
BEGAN_NS = 1_790_000_000 * SECOND_NS


def made(state_dir: Path, count: int) -> Path:
    """The folder of a closed journal, as a run leaves it."""
    folder = journals.fresh(state_dir, BEGAN_NS)
    journal = j.Journal(folder, file_bytes=SMALL)
    for number in range(count):
        assert journal.append({"k": "end", "intent": number, "why": 0, "ns": SECOND_NS + number})
    journal.close()
    return folder


def verify(*flags: str) -> int:
    return supervisor_cli.main(["audit", "verify", *flags])


def test_a_whole_journal_of_several_files_is_found_and_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARB_STATE_DIR", str(tmp_path))
    folder = made(tmp_path, 3_000)
    assert verify("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["journal"], found["whole"], found["damage"]) == (str(folder), True, None)
    assert (found["records"], found["last_sequence"], found["files_not_read"]) == (3_000, 3_000, 0)
    first, second, *_ = found["files"]
    assert first["last_sequence"] + 1 == second["first_sequence"]
    assert verify() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + len(found["files"]) and lines[2].endswith("whole")
    assert lines[-1] == "whole: 3,000 records, 0 orders, last sequence 3,000"


def test_damage_is_named_with_its_place_and_what_stands_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, 3_000)
    path = j.files(folder)[0]
    raw = bytearray(path.read_bytes())
    at = raw.index(b'"intent":7,')
    raw[at] ^= 1
    path.write_bytes(raw)
    assert verify(str(folder), "--json") == 7
    found = json.loads(capsys.readouterr().out)
    assert not found["whole"] and found["records"] == found["last_sequence"] == 7
    assert f"{path} at byte " in found["damage"] and "check" in found["damage"]
    assert found["files_not_read"] == len(j.files(folder)) - 1 >= 1
    assert found["files"][0]["frames_behind"] > 100
    assert verify(str(path)) == 7, "the file alone says the same"
    assert "DAMAGED: " in capsys.readouterr().out


def test_a_frame_never_finished_at_the_end_is_told_and_is_no_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path, 5)
    path = j.files(folder)[0]
    raw, end = bytearray(path.read_bytes()), j.read(path).end
    raw[end + 8 : end + 40] = b"x" * 32
    path.write_bytes(raw)
    assert verify(str(folder)) == 0
    assert "ends in a frame never finished (40 bytes)" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["nothing", "empty", "elsewhere"])
def test_what_is_no_journal_is_refused_in_one_line(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARB_STATE_DIR", str(tmp_path))
    paths = {"nothing": [], "empty": [str(tmp_path)], "elsewhere": [str(tmp_path / "none")]}
    assert verify(*paths[what]) == 3
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "arb-supervisor: " in err


def test_the_last_runs_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    other = tmp_path / journals.FOLDER / "notes"
    other.mkdir(parents=True)
    for run in range(journals.KEPT + 3):
        journals.fresh(tmp_path, BEGAN_NS + run * SECOND_NS // 4).mkdir()
    names = [path.name for path in journals.kept(tmp_path)]
    assert len(names) == journals.KEPT and names[-1] == "20260921T141322500Z"
    assert other.exists()
