"""The journal: what was appended is there after a SIGKILL, and nothing behind damage is ever
read.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import journal as j

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = 2 * j.RECORD_MAX_BYTES
WRITER = """
import sys
from pathlib import Path
from gateway.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.start()
number = 0
while True:
    number += 1
    assert journal.append({"number": number, "text": "x" * (number % 300)})
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def written(folder: Path, count: int, **options: int) -> Path:
    """A closed journal of `count` records; its last file."""
    journal = j.Journal(folder, **options)
    for number in range(count):
        assert journal.append({"number": number})
    journal.close()
    return journal.path


def test_records_come_back_in_order_and_writing_goes_on(tmp_path: Path) -> None:
    written(tmp_path, 5)
    again = j.Journal(tmp_path)
    assert [record["number"] for record in again.recovered] == [0, 1, 2, 3, 4]
    assert again.append({"number": 5})
    again.close()
    assert [record["number"] for record in j.read(again.path).records] == [0, 1, 2, 3, 4, 5]
    assert len(j.files(tmp_path)) == 1


def test_every_record_that_was_announced_survives_a_sigkill(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert child.stdout is not None
    announced = 0
    for line in child.stdout:
        announced = int(line)
        if announced >= 2_000:
            os.kill(child.pid, signal.SIGKILL)
            break
    announced = max([announced, *(int(line) for line in child.stdout if line.endswith("\n"))])
    child.wait()
    child.stdout.close()
    journal = j.Journal(tmp_path)
    numbers = [record["number"] for record in journal.recovered]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= announced
    journal.close()


def test_a_flipped_byte_ends_the_prefix_there_and_nothing_is_appended_behind(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, 9)
    raw = bytearray(path.read_bytes())
    whole = j.read(path)
    assert len(whole.records) == 9 and not whole.damage
    at = raw.index(b'{"number":4}')
    raw[at + 3] ^= 1
    path.write_bytes(raw)
    found = j.read(path)
    assert [record["number"] for record in found.records] == [0, 1, 2, 3]
    assert "check" in found.damage
    journal = j.Journal(tmp_path)
    assert journal.damage and [record["number"] for record in journal.recovered] == [0, 1, 2, 3]
    assert not journal.append({"number": 99}) and journal.damage in journal.failed
    journal.sync()
    journal.close()
    assert path.read_bytes() == bytes(raw), "the damaged file is left as it was found"
    assert j.files(tmp_path) == [path]


@pytest.mark.parametrize("cut", [8, 9, 16, 31, 33, 40])
def test_a_record_whose_first_cell_is_not_there_yet_is_the_end_and_is_written_over(
    tmp_path: Path, cut: int
) -> None:
    """A process died in the middle of a store: payload first, the frame's first cell last."""
    path = written(tmp_path, 3)
    raw = bytearray(path.read_bytes())
    at = raw.index(b'{"number":2}') - j.FRAME.size
    raw[at:] = bytes(8) + raw[at + 8 : at + cut] + bytes(len(raw) - at - cut)
    path.write_bytes(raw)
    journal = j.Journal(tmp_path)
    assert not journal.damage and not journal.failed
    assert [record["number"] for record in journal.recovered] == [0, 1]
    assert journal.append({"n": 5})
    journal.close()
    again = j.read(path)
    assert again.records == [{"number": 0}, {"number": 1}, {"n": 5}]
    assert not again.damage and not again.torn_bytes, "nothing of it is left behind the end"


def test_a_long_record_that_lost_a_sector_is_the_end(tmp_path: Path) -> None:
    """A machine died: its disk has the frame's first sector and not the last."""
    journal = j.Journal(tmp_path)
    for text in ("a" * 100, "b" * 2_000):
        assert journal.append({"text": text})
    journal.close()
    raw = bytearray(journal.path.read_bytes())
    end = j.read(journal.path).end // 512 * 512
    raw[end:] = bytes(len(raw) - end)
    journal.path.write_bytes(raw)
    found = j.read(journal.path)
    assert len(found.records) == 1 and found.torn_bytes and not found.damage


def test_a_file_is_whole_or_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that dies while it makes a file leaves nothing that its successor stumbles over."""

    def dies(_fd: int) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dies)
        with pytest.raises(MemoryError):
            j.Journal(tmp_path / "x")
    assert not j.files(tmp_path / "x") and (tmp_path / "x" / "journal-000001.new").exists()
    (tmp_path / "x").rename(tmp_path / "y")  # the lock is still held there
    (tmp_path / "y" / "lock").unlink()
    journal = j.Journal(tmp_path / "y")
    assert journal.append({"number": 1}) and not journal.damage
    journal.close()
    assert not list((tmp_path / "y").glob("*.new"))


def test_a_closed_journal_gives_back_what_it_did_not_use(tmp_path: Path) -> None:
    path = written(tmp_path, 5)
    assert path.stat().st_size == j.FILE_BYTES
    assert path.stat().st_blocks * 512 <= 16 * j.PAGE
    journal = j.Journal(tmp_path)
    assert path.stat().st_blocks * 512 >= j.FILE_BYTES, "and reserves it again to go on"
    journal.close()


def test_a_frame_of_another_past_does_not_fit(tmp_path: Path) -> None:
    """Negative control of the chain: length, check and sequence of the moved frame are right."""
    one, other = written(tmp_path / "a", 3), written(tmp_path / "b", 1)
    theirs = j.Journal(tmp_path / "b")
    for number in (7, 8):
        theirs.append({"number": number})
    theirs.close()
    mine, raw = bytearray(one.read_bytes()), other.read_bytes()
    at = mine.index(b'{"number":2}') - j.FRAME.size
    start = raw.index(b'{"number":8}') - j.FRAME.size
    assert at == start
    mine[at : at + 48] = raw[start : start + 48]
    one.write_bytes(mine)
    found = j.read(one)
    assert len(found.records) == 2 and "chain" in found.damage


def test_a_full_file_goes_on_in_the_next(tmp_path: Path) -> None:
    path = written(tmp_path, 5_000, file_bytes=SMALL)
    assert path.name != "journal-000001.bin"
    journal = j.Journal(tmp_path, file_bytes=SMALL)
    assert [record["number"] for record in journal.recovered] == list(range(5_000))
    assert not journal.damage
    journal.close()


@pytest.mark.parametrize("place", [0, 1])
def test_a_missing_file_is_damage(tmp_path: Path, place: int) -> None:
    written(tmp_path, 8_000, file_bytes=SMALL)
    paths = j.files(tmp_path)
    assert len(paths) >= 3
    paths[place].unlink()
    journal = j.Journal(tmp_path, file_bytes=SMALL)
    assert "missing" in journal.damage
    journal.close()


def test_a_file_that_ends_early_is_damage_if_another_follows(tmp_path: Path) -> None:
    """Its lost records would be an end, were it the last: the next file's head knows better."""
    written(tmp_path, 4_000, file_bytes=SMALL)
    first, *others = j.files(tmp_path)
    raw, found = bytearray(first.read_bytes()), j.read(first)
    raw[found.end - 48 : found.end] = bytes(48)
    first.write_bytes(raw)
    journal = j.Journal(tmp_path, file_bytes=SMALL)
    assert others and "ends early" in journal.damage
    assert len(journal.recovered) == len(found.records) - 1
    journal.close()


def test_a_failed_sync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = j.Journal(tmp_path)
    assert journal.append({"number": 1})

    def broken(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        journal.sync()
    assert "Input/output error" in journal.failed
    assert not journal.append({"number": 2})
    journal.sync()
    assert journal.failed, "it is never tried again"
    journal.close()


def test_a_change_of_file_that_failed_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the file is: what came meanwhile stands behind it, in its order."""
    journal = j.Journal(tmp_path, file_bytes=SMALL)
    number = 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full_disk)
        while journal.append({"number": number}):
            number += 1
        assert "cannot reserve" in journal.failed
        before = journal.path
        assert not journal.append({"number": number + 1}) and not journal.again()
        assert journal.failed and journal.path == before
    assert journal.again() and not journal.failed and journal.path != before
    assert journal.append({"number": number + 2}) and journal.again()
    journal.close()
    found = j.Journal(tmp_path, file_bytes=SMALL)
    assert [record["number"] for record in found.recovered] == list(range(number + 3))
    assert not found.damage
    found.close()


def full_disk(_fd: int, _at: int, _size: int) -> None:
    raise OSError(28, "No space left on device")


def test_what_waits_for_the_next_file_has_a_limit_and_a_failed_sync_no_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(j, "KEPT_MAX", 3)
    journal = j.Journal(tmp_path, file_bytes=SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full_disk)
        for number in range(100_000):
            if not journal.append({"number": number}):
                break
        assert not journal.append({}) and not journal.append({})
    assert not journal.again(), "records are lost: it stays as it is"
    journal.close()
    synced = j.Journal(tmp_path / "other")
    synced.failed = "fdatasync: Input/output error"
    assert not synced.again()
    synced.close()


def test_two_gateways_cannot_write_one_journal(tmp_path: Path) -> None:
    journal = j.Journal(tmp_path)
    with pytest.raises(j.JournalError, match="another gateway"):
        j.Journal(tmp_path)
    journal.close()
    j.Journal(tmp_path).close()


def test_the_thread_syncs_behind_the_writer(tmp_path: Path) -> None:
    journal = j.Journal(tmp_path)
    journal.start()
    assert journal.append({"number": 1})
    journal.close()
    assert journal.syncs >= 1 and not journal.failed


def test_a_file_that_is_no_journal_is_damage(tmp_path: Path) -> None:
    (tmp_path / "journal-000001.bin").write_bytes(b"NOTOURS!" + bytes(SMALL))
    journal = j.Journal(tmp_path)
    assert "wanted b'ARBJRNL2'" in journal.failed and not journal.append({"number": 1})
    journal.close()
