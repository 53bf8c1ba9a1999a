"""Create, attach, reclaim: only what is ours and whole is mapped, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shm_layout as shm

SHM = Path("/dev/shm")
ROOT = Path(shm.__file__).parent
LIMIT_S = 100  # of waiting for another process: a busy machine is slow
LIMIT_NS = LIMIT_S * 10**9


@pytest.fixture
def name() -> Iterator[str]:
    """A name nobody else has; whatever stands there afterwards is removed."""
    made = f"arb-test-{uuid.uuid4().hex[:12]}"
    yield made
    (SHM / made).unlink(missing_ok=True)


def run(
    source: str, *arguments: str, prefix: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """A process of its own that imports shm_layout from here."""
    command = [*prefix, sys.executable, "-c", textwrap.dedent(source), *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def set_cell(name: str, field: str, value: int) -> None:
    """Spoil one header cell of the file."""
    with (SHM / name).open("r+b") as file:
        file.seek(8 * shm.cell(shm.HEADER, field))
        file.write(value.to_bytes(8, "little", signed=True))


def test_what_the_creator_writes_a_reader_sees_and_cannot_change(name: str) -> None:
    made = shm.Segment.create(name, shm.CHANNEL, run_id=42, mode=1)
    found = shm.Segment.attach(name, shm.CHANNEL, run_id=42)
    assert found.table("header")[0]["mode"] == 1
    assert found.table("header")[0]["creator_pid"] == os.getpid()
    shm.ring_append(made.words, made.at("requests"), 512, 16, np.arange(56, dtype=np.int64), 56)
    out = np.zeros(shm.ENTRY, np.int64)
    assert shm.ring_read(found.words, found.at("requests"), 512, 0, out, 56) == shm.READ
    with pytest.raises(ValueError):
        found.words[0] = 1
    made.unlink()
    assert out.tolist()[8:] == list(range(56))
    assert not (SHM / name).exists()


def test_a_writer_attaches_writable_and_the_name_may_go_while_it_is_mapped(name: str) -> None:
    made = shm.Segment.create(name, shm.CHANNEL)
    other = shm.Segment.attach(name, shm.CHANNEL, writable=True)
    made.unlink()
    made.unlink()  # twice is harmless
    at = other.at("replies")
    shm.word_store(other.words, at, 5)
    assert shm.word_load(made.words, at) == 5


def test_the_file_is_private_whole_and_reserved(name: str) -> None:
    made = shm.Segment.create(name, shm.CHANNEL)
    state = (SHM / name).stat()
    assert state.st_mode & 0o777 == 0o600
    assert state.st_size == shm.CHANNEL.bytes
    assert state.st_blocks * 512 >= shm.CHANNEL.bytes  # no SIGBUS when it is touched later
    made.unlink()


HEADER_FAULTS = {
    "magic": 0, "layout_version": 2, "layout_hash": 1, "segment_bytes": 8, "boot_id": 3,
    "run_id": 43,
}  # fmt: skip


@pytest.mark.parametrize("field", HEADER_FAULTS)
def test_a_header_cell_that_differs_is_named_and_the_segment_left_alone(
    name: str, field: str
) -> None:
    made = shm.Segment.create(name, shm.CHANNEL, run_id=42)
    set_cell(name, field, HEADER_FAULTS[field])
    with pytest.raises(shm.LayoutError, match=rf"{name}: {field}: found .*wanted"):
        shm.Segment.attach(name, shm.CHANNEL, run_id=42)
    assert (SHM / name).exists()
    made.unlink()


def test_another_layout_s_segment_is_refused(name: str) -> None:
    made = shm.Segment.create(name, shm.MAIN)
    with pytest.raises(shm.LayoutError, match="layout_hash: found"):
        shm.Segment.attach(name, shm.CHANNEL)
    made.unlink()
    made = shm.Segment.create(name, shm.CHANNEL)
    with pytest.raises(shm.LayoutError, match="size: found"):
        shm.Segment.attach(name, shm.MAIN)
    made.unlink()


def make_plain(path: Path, mode: int = 0o600, size: int = shm.CHANNEL.bytes) -> None:
    path.touch(mode=mode)
    path.chmod(mode)
    os.truncate(path, size)


def test_a_file_others_may_read_is_refused(name: str) -> None:
    make_plain(SHM / name, mode=0o640)
    with pytest.raises(shm.LayoutError, match="mode: wanted 0600, found 0640"):
        shm.Segment.attach(name, shm.CHANNEL)
    with pytest.raises(shm.LayoutError, match="mode: wanted 0600, found 0640"):
        shm.Segment.create(name, shm.CHANNEL)
    assert (SHM / name).exists()


def test_a_symlink_is_refused_and_its_target_untouched(name: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    (SHM / name).symlink_to(target)
    for call in (shm.Segment.attach, shm.Segment.create):
        with pytest.raises(shm.LayoutError, match="cannot open: Too many levels of symbolic links"):
            call(name, shm.CHANNEL)
    assert target.read_bytes() == b"mine" and (SHM / name).is_symlink()


def test_a_hard_link_is_refused(name: str) -> None:
    made = shm.Segment.create(name, shm.CHANNEL)
    other = SHM / f"{name}-2"
    try:
        other.hardlink_to(SHM / name)
        with pytest.raises(shm.LayoutError, match="links: wanted 1, found 2"):
            shm.Segment.attach(name, shm.CHANNEL)
    finally:
        other.unlink(missing_ok=True)
        made.unlink()


def test_a_folder_or_a_pipe_is_refused_without_hanging(name: str) -> None:
    (SHM / name).mkdir()
    try:
        with pytest.raises(shm.LayoutError, match="type: wanted a regular file"):
            shm.Segment.attach(name, shm.CHANNEL)
    finally:
        (SHM / name).rmdir()
    os.mkfifo(SHM / name, 0o600)
    with pytest.raises(shm.LayoutError, match="type: wanted a regular file"):
        shm.Segment.attach(name, shm.CHANNEL)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_file_of_another_user_is_refused(name: str) -> None:
    make_plain(SHM / name)
    os.chown(SHM / name, 65534, -1)
    for call in (shm.Segment.attach, shm.Segment.create):
        with pytest.raises(shm.LayoutError, match="owner: wanted uid 0, found 65534"):
            call(name, shm.CHANNEL)
    assert (SHM / name).exists()


@pytest.mark.parametrize("first", [b"\0" * 8, b"SOMEBODY"])
def test_a_foreign_file_of_our_name_is_refused_and_left_alone(name: str, first: bytes) -> None:
    make_plain(SHM / name)
    with (SHM / name).open("r+b") as file:
        file.write(first)
    with pytest.raises(shm.LayoutError, match=r"magic: found 0x.*: not ours, left alone"):
        shm.Segment.create(name, shm.CHANNEL)
    assert (SHM / name).read_bytes()[:8] == first


@pytest.mark.parametrize("bad", ["", "a/b", "../x", "x" * 65, "naïve", "a b", "a\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(bad: str) -> None:
    with pytest.raises(shm.LayoutError, match="segment name: found"):
        shm.Segment.attach(bad, shm.CHANNEL)


def test_nothing_to_attach_is_one_clear_line(name: str) -> None:
    with pytest.raises(shm.LayoutError, match=f"/dev/shm/{name}: cannot open: No such file"):
        shm.Segment.attach(name)


def test_a_second_creator_is_told_who_has_it(name: str) -> None:
    made = shm.Segment.create(name, shm.CHANNEL, run_id=1)
    text = f"owner: in use by a running supervisor, pid {os.getpid()}"
    with pytest.raises(shm.LayoutError, match=text):
        shm.Segment.create(name, shm.CHANNEL, run_id=2)
    assert shm.Segment.attach(name, shm.CHANNEL).table("header")[0]["run_id"] == 1
    made.unlink()


DIE = """
    import os, sys, signal
    import shm_layout as shm
    from multiprocessing import resource_tracker
    shm.Segment.create(sys.argv[1], shm.CHANNEL, run_id=7)
    os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)  # the whole group dies
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_leftover_of_a_killed_group_is_reclaimed(name: str) -> None:
    assert run(DIE, name).returncode == -9
    assert (SHM / name).exists()
    made = shm.Segment.create(name, shm.CHANNEL, run_id=8)
    assert made.table("header")[0]["run_id"] == 8
    made.unlink()
    assert not shm.reclaim(name)


def test_a_maker_that_died_before_the_last_word_leaves_what_the_next_one_removes(
    name: str,
) -> None:
    assert run(DIE, name).returncode == -9
    set_cell(name, "magic", shm.MAKING)
    with pytest.raises(shm.LayoutError, match="magic: found"):
        shm.Segment.attach(name, shm.CHANNEL)
    assert shm.reclaim(name)
    assert not (SHM / name).exists()


def test_the_name_goes_when_the_creator_alone_is_killed(name: str) -> None:
    done = run(
        """
        import os, sys, signal
        import shm_layout as shm
        shm.Segment.create(sys.argv[1], shm.CHANNEL)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        name,
    )
    assert done.returncode == -9
    assert gone_within(SHM / name, LIMIT_NS)


def gone_within(path: Path, limit_ns: int) -> bool:
    """Poll through the kernel's wait on a word: no sleep, bounded."""
    words = np.zeros(8, np.int64)
    for _ in range(limit_ns // 10_000_000):
        if not path.exists():
            return True
        shm.word_wait(words, 0, 0, 10_000_000)
    return False


@pytest.mark.parametrize("writable", ["", "writable"])
def test_a_reader_that_ends_does_not_unlink_the_segment(name: str, writable: str) -> None:
    made = shm.Segment.create(name, shm.CHANNEL)
    source = """
        import sys
        import shm_layout as shm
        shm.Segment.attach(sys.argv[1], shm.CHANNEL, writable=bool(sys.argv[2]))
    """
    done = run(source, name, writable)
    assert done.returncode == 0 and done.stderr == ""
    assert (SHM / name).exists()
    made.unlink()


def test_the_same_reader_through_sharedmemory_does_unlink_it(name: str) -> None:
    """The negative control of the recipe: why attach never goes through SharedMemory (gh-82300)."""
    if sys.version_info >= (3, 13):
        pytest.skip("Python 3.13 has track=False; the recipe is for all versions")
    made = shm.Segment.create(name, shm.CHANNEL)
    source = """
        import sys
        from multiprocessing.shared_memory import SharedMemory
        SharedMemory(sys.argv[1])
    """
    run(source, name)
    assert gone_within(SHM / name, LIMIT_NS)
    made.unlink()  # the name was taken away: still harmless
    assert made._owned is None


FULL = """
    import os, subprocess, sys
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", "/dev/shm"])
    if mounted.returncode:
        sys.exit(77)
    import shm_layout as shm
    try:
        shm.Segment.create(sys.argv[1], shm.CHANNEL)
    except shm.LayoutError as error:
        print(error)
    print(os.listdir("/dev/shm"))
"""


def test_a_full_dev_shm_is_one_clear_line_and_leaves_nothing(name: str) -> None:
    done = run(FULL, name, prefix=("unshare", "-m"))
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("a private mount of /dev/shm is not permitted here")
    bytes_wanted = shm.CHANNEL.bytes
    line = f"/dev/shm/{name}: cannot reserve {bytes_wanted} bytes: No space left on device"
    assert done.stdout.splitlines() == [line, "[]"], done.stderr


def test_a_kernel_of_another_layout_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = shm.Segment.create(name, shm.CHANNEL)
    monkeypatch.setattr(shm, "LAYOUT_HASH", shm.LAYOUT_HASH ^ 1)
    with pytest.raises(shm.LayoutError, match="kernels: layout_hash: found"):
        shm.Segment.attach(name, shm.CHANNEL)
    monkeypatch.undo()
    made.unlink()


MOVED = """
    import sys
    from pathlib import Path
    source = Path("shm_layout.py").read_text()
    moved = source.replace("status tick_epoch venue_seq", "status venue_seq tick_epoch", 1)
    assert moved != source
    module = type(sys)("shm_layout")
    module.__file__ = str(Path("shm_layout.py").resolve())
    sys.modules["shm_layout"] = module
    exec(compile(moved, module.__file__, "exec"), module.__dict__)
    try:
        module.Segment.attach(sys.argv[1], module.MAIN)
    except module.LayoutError as error:
        print(error)
"""


def test_a_build_whose_table_has_one_field_moved_is_refused(name: str) -> None:
    made = shm.Segment.create(name)
    done = run(MOVED, name)
    made.unlink()
    assert "layout_hash: found" in done.stdout, (done.stdout, done.stderr)


def test_two_makers_at_once_leave_one_owner_and_its_file(name: str) -> None:
    """Each tries to make, holds what it got until both have tried, and says who won."""
    source = """
        import sys
        import shm_layout as shm
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            made = shm.Segment.create(sys.argv[1], shm.CHANNEL, run_id=int(sys.argv[2]))
        except shm.LayoutError as error:
            print("refused", error, flush=True)
        else:
            print("made", flush=True)
        sys.stdin.readline()
    """
    command = [sys.executable, "-c", textwrap.dedent(source), name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    both: list[Any]
    both = [subprocess.Popen([*command, str(i)], **pipes) for i in (1, 2)]
    try:
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.stdout.readline() for process in both]
        assert sorted(line.split()[0] for line in said) == ["made", "refused"], said
        winner = 1 if said[0].startswith("made") else 2
        assert shm.Segment.attach(name, shm.CHANNEL, run_id=winner)
    finally:
        for process in both:
            process.communicate("go\n", timeout=LIMIT_S)
    assert gone_within(SHM / name, LIMIT_NS)
