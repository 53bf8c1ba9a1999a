"""A child's own line, its ties to its parent, and which role is which."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.config import load
from ops.control import LOCK, SOCKET
from ops.identity import identify
from ops.process import (
    BEAT_NS,
    EXITS,
    CallRole,
    Heart,
    LoopRole,
    RoleSpec,
    StepRole,
)
from ops.run_folder import sweep
from ops.watch import Watch
from shm_layout import (
    ACTIVE,
    DETECTOR,
    FEED_ROLE,
    GATE,
    HALTED,
    ROLE,
    Segment,
    cell,
    cells_to_text,
    word_store,
)
from tests.ops.fakes import FakeScript
from tests.ops.rig import ROOT, until

SPEC = RoleSpec(
    name="feed kalshi", role=FEED_ROLE, epoch=3, segment="", run_id=1, supervisor_pid=1, log="",
    cores=(5,), is_alone=True, restarts=2,
)  # fmt: skip


def row(segment: Segment, role: int) -> Any:
    return segment.table("roles")[role]


def test_a_heart_says_who_beats_and_touches_no_other_line() -> None:
    segment = Segment.private()
    heart = Heart(segment, FEED_ROLE)
    heart.begin(SPEC, 1_000)
    found = row(segment, FEED_ROLE)
    assert cells_to_text(found["name"]) == "feed kalshi"
    assert (found["pid"], found["epoch"], found["core"], found["restarts"]) == (
        os.getpid(),
        3,
        5,
        2,
    )
    assert (found["started_ns"], found["beat_ns"], found["ready_ns"]) == (1_000, 1_000, 0)
    heart.ready(1_500)
    assert row(segment, FEED_ROLE)["ready_ns"] == 1_500
    others = [i for i in range(len(segment.table("roles"))) if i != FEED_ROLE]
    assert not segment.table("roles")[others].view("i8").any()


def test_a_beat_tells_loops_and_the_worst_of_them() -> None:
    segment = Segment.private()
    heart = Heart(segment, DETECTOR)
    for spent in (10, 700, 30):
        heart.turn(spent)
    heart.beat(2_000)
    found = row(segment, DETECTOR)
    assert (found["loops"], found["worst_loop_ns"], found["beat_ns"]) == (3, 700, 2_000)
    assert heart.next_ns <= 2_000 + BEAT_NS


def test_a_successor_keeps_the_counters_and_begins_its_own_loops() -> None:
    segment = Segment.private()
    heart = Heart(segment, DETECTOR)
    heart.turn(5)
    heart.beat(1)
    at = segment.at("roles", DETECTOR) + ROLE.fields["counters"][1] // 8  # type: ignore[index]
    segment.words[at] = 9
    Heart(segment, DETECTOR).begin(SPEC, 2)
    found = row(segment, DETECTOR)
    assert (found["loops"], found["counters"][0]) == (0, 9)


class _Step:
    def step(self, now_ns: int) -> int:
        return 0

    def idle(self) -> None: ...

    def close(self) -> None: ...


class _Loop:
    async def main(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class _Call:
    def run(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("role", "kind"), [(_Step(), StepRole), (_Loop(), LoopRole), (_Call(), CallRole)]
)
def test_the_three_kinds_of_role_are_told_apart(role: object, kind: type) -> None:
    assert [isinstance(role, k) for k in (StepRole, LoopRole, CallRole)].count(True) == 1
    assert isinstance(role, kind)


def test_every_exit_code_has_words() -> None:
    assert len(set(EXITS.values())) == len(EXITS)


TIED = """
import os, sys, ctypes
from ops import cache
cache.use()
from ops.process import tie_to_parent
parent = os.getpid()
pid = os.fork()
if pid == 0:
    tie_to_parent(parent if sys.argv[1] == "parent" else 1)
    os.write(1, b"tied %d\\n" % os.getpid())
    os.read(0, 1)
    os._exit(0)
os.waitpid(pid, 0)
"""


def test_a_tied_process_dies_with_its_parent() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", TIED, "parent"], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert parent.stdout is not None
    child = int(parent.stdout.readline().split()[1])
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not _runs(child), 60, "the child gone")
    assert parent.stdin is not None
    parent.stdin.close()
    parent.stdout.close()


def test_a_process_whose_parent_is_another_ends_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TIED, "stranger"], cwd=ROOT, capture_output=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert ended.stdout == b""


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_watch_reads_what_the_heart_wrote() -> None:
    segment = Segment.private()
    Heart(segment, FEED_ROLE).begin(SPEC, 42)
    watch = Watch(segment, identify(FakeScript(), load("testing")))
    assert watch.role(FEED_ROLE, "beat_ns") == 42
    assert watch.counter(FEED_ROLE, "frames") == 0
    assert watch.counter(FEED_ROLE, "no such counter") == 0


def test_watch_tells_what_the_gateway_made_of_its_state_once_it_was_active() -> None:
    segment = Segment.private()
    watch = Watch(segment, identify(FakeScript(), load("testing")))
    at = segment.at("gate") + cell(GATE, "state")
    assert watch.gate_news() == []  # HALTED is how it begins
    word_store(segment.words, at, ACTIVE)
    assert watch.gate_news() == []
    word_store(segment.words, at, HALTED)
    assert [line.partition(" (")[0] for line in watch.gate_news()] == [
        "gateway: trading state HALTED"
    ]
    assert watch.gate_news() == []
    word_store(segment.words, at, ACTIVE)
    assert watch.gate_news()[0].startswith("gateway: trading state ACTIVE")


def test_files_of_a_killed_supervisor_are_removed_before_anybody_asked_how_it_ended(
    tmp_path: Path,
) -> None:
    """Its parent may be busy, or never ask: a zombie still has its place in /proc."""
    folder, single, note = tmp_path / "arb-run", tmp_path / SOCKET, tmp_path / LOCK
    folder.mkdir()
    single.touch()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as supervisor:
        note.write_text(json.dumps({"pid": supervisor.pid}))
        leftovers = str(folder), str(single)
        sweep(supervisor.pid, leftovers)
        assert folder.exists() and single.exists(), "it lives"
        supervisor.kill()
        os.waitid(os.P_PID, supervisor.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{supervisor.pid}").exists()
        sweep(supervisor.pid, leftovers)
        assert not folder.exists() and not single.exists()
    folder.mkdir()
    single.touch()
    note.write_text(json.dumps({"pid": supervisor.pid + 1}))
    sweep(supervisor.pid, leftovers)
    assert not folder.exists() and single.exists(), "and after; not the socket of the next run"
