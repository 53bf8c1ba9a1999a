"""Real processes that do little: start, watch, restart, stop, and nothing is left.

Each test runs the command itself with a session of fakes (tests/ops/fakes.py).
"""

from __future__ import annotations

import os
import signal
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from ops import clock, control
from ops.summary import KEYS
from shm_layout import (
    ACTIVE,
    FEED_ROLE,
    GATE,
    HALTED,
    LIVE_EPOCH_AT,
    Segment,
    cell,
    word_load,
    word_store,
)
from tests.ops.rig import Engine, alive, engine, one_object, until
from tests.session.held import Held

WAIT_S = 60  # for what must come, however busy the machine is


def told(made: Engine, text: str) -> bool:
    """Whether the status tells of it."""
    return any(event["text"].startswith(text) for event in made.status()["events"])


def is_replaced(made: Engine, killed: int) -> bool:
    """Whether another canceller runs."""
    return made.pid("canceller") not in (0, killed)


def test_a_run_ends_with_one_object_on_standard_output_and_leaves_nothing(tmp_path: Path) -> None:
    with engine(tmp_path) as made:
        began_ns = clock.mono_ns()
        made.start("--for", "0.3", "--json", "--seed", "7")
        everyone: dict[int, psutil.Process] = {}  # all ever seen: it may end between two looks

        def is_over() -> bool:
            with suppress(psutil.NoSuchProcess):
                everyone.update((one.pid, one) for one in made.everyone())
            return made.process is not None and made.process.poll() is not None

        until(is_over, 180, "its end")
        assert len(everyone) >= 8  # supervisor, tracker, nursery, five children
        code, out, err = made.end()
        assert code == 0, err
        found = one_object(out)
        assert tuple(found) == KEYS
        assert (found["mode"], found["seed"], found["exit_reason"]) == ("sim", 7, "0.3 s are over")
        assert 0.3 <= found["seconds"] < (clock.mono_ns() - began_ns) / clock.SECOND_NS
        assert set(found["venues"]) == {"kalshi", "polymarket"}
        assert alive([*everyone.values()]) == []
        assert made.leftovers() == []


def resumes_only_with_the_gate(made: Engine) -> None:
    """The lower of the supervisor's state and the gate's is in force."""
    segment = Segment.attach(made.name, writable=True)
    gate = segment.at("gate") + cell(GATE, "state")
    word_store(segment.words, gate, HALTED)
    found = made.status()
    assert (found["state"], found["supervisor"][:6]) == ("HALTED", "ACTIVE")
    resumed = made.run("resume")
    assert (resumed.returncode, resumed.stderr.count("\n")) == (6, 1)
    word_store(segment.words, gate, ACTIVE)
    assert made.run("resume").returncode == 0


def test_the_commands_act_and_a_second_start_is_refused(tmp_path: Path) -> None:
    with engine(tmp_path) as made:
        made.start()
        found = made.wait_until_trading()
        assert found["state"] == "ACTIVE"
        assert {row["name"] for row in found["processes"]} == {
            "supervisor", "nursery", "canceller", "gateway", "detector",
            "feed kalshi", "feed polymarket",
        }  # fmt: skip
        for row in found["processes"]:
            assert psutil.pid_exists(row["pid"])
            assert row["rss_mib"] > 1
        titles = {
            Path(f"/proc/{made.pid(name)}/cmdline").read_text() for name in ("detector", "nursery")
        }
        assert {title.rstrip("\0") for title in titles} == {"arb: detector", "arb: nursery"}
        socket = tmp_path / control.SOCKET
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600

        second = made.run("start", "--for", "1")
        assert second.returncode == 4
        assert second.stderr.count("\n") == 1
        assert f"already running, pid {found['pid']}" in second.stderr
        assert second.stdout == ""

        assert control.ask(tmp_path, "halt")["state"] == "HALTED"
        assert control.ask(tmp_path, "resume")["state"] == "ACTIVE"
        assert "error" in control.ask(tmp_path, "dance")
        resumes_only_with_the_gate(made)
        everyone = made.everyone()
        stopped = made.run("stop")
        assert (stopped.returncode, stopped.stderr) == (0, "")
        code, out, _ = made.end()
        assert code == 0
        assert "stopped by command" in out
        assert alive(everyone) == []
        assert made.leftovers() == []
        assert made.run("status").returncode == 4


def test_a_dead_child_counts_no_more_at_once_and_comes_back_by_its_row(tmp_path: Path) -> None:
    with engine(tmp_path, settings={"ARB_PROCESSES_BACKOFF_MS": "1500"}) as made:
        made.start()
        made.wait_until_trading()
        segment = Segment.attach(made.name)
        live_at = LIVE_EPOCH_AT + FEED_ROLE
        assert word_load(segment.words, live_at) == 1
        held = Held([made.pid("supervisor"), made.pid("feed kalshi")])
        made.kill("feed kalshi")
        spent = until(lambda: word_load(segment.words, live_at) != 1, WAIT_S, "epoch withdrawn")
        assert spent < 0.2 + held.seconds()
        assert word_load(segment.words, live_at) == 0, "withdrawn when it died, not when it is back"
        assert control.ask(tmp_path, "status")["state"] == "ACTIVE"  # the rest goes on
        until(lambda: word_load(segment.words, live_at) == 2, WAIT_S, "a new epoch")
        until(lambda: told(made, "feed kalshi trusted again"), WAIT_S, "trusted again")

        made.kill("detector")
        until(lambda: made.status()["state"] == "REDUCING", WAIT_S, "REDUCING without a detector")
        until(lambda: made.status()["state"] == "ACTIVE", WAIT_S, "ACTIVE with a detector")
        made.kill("gateway")
        until(lambda: made.status()["state"] == "HALTED", WAIT_S, "HALTED without a gateway")
        until(lambda: made.status()["state"] == "ACTIVE", WAIT_S, "ACTIVE once reconciled")
        rows = {row["name"]: row["restarts"] for row in made.status()["processes"]}
        assert (rows["feed kalshi"], rows["detector"], rows["gateway"], rows["canceller"]) == (
            1,
            1,
            1,
            0,
        )


def test_a_killed_supervisor_leaves_nothing_but_the_canceller_and_that_not_for_long(
    tmp_path: Path,
) -> None:
    with engine(tmp_path) as made:
        made.start()
        made.wait_until_trading()
        canceller = made.pid("canceller")
        everyone = made.everyone()
        others = [process for process in everyone if process.pid != canceller]
        assert made.process is not None
        made.process.kill()
        made.process.communicate()
        until(lambda: alive(others) == [], WAIT_S, "all but the canceller gone")
        until(lambda: alive(everyone) == [], WAIT_S, "the canceller gone")
        assert made.leftovers() == []


def test_a_dead_nursery_ends_the_run(tmp_path: Path) -> None:
    with engine(tmp_path) as made:
        made.start()
        made.wait_until_trading()
        everyone = made.everyone()
        made.kill("nursery")
        code, out, _ = made.end()
        assert code == 5
        assert "nursery died: every child dies with it" in out
        assert alive(everyone) == []
        assert made.leftovers() == []


def test_what_hangs_is_killed_and_what_dies_too_often_ends_the_run(tmp_path: Path) -> None:
    settings = {"ARB_PROCESSES_HANG_MAX_MS": "5000", "ARB_PROCESSES_RESTARTS_MAX": "2"}
    with engine(tmp_path, settings=settings, faults="feed kalshi=hang,detector=crash") as made:
        made.start()
        made.wait_until_trading()
        until(lambda: told(made, "feed kalshi does not beat for 5000 ms"), WAIT_S, "a hang")
        until(lambda: told(made, "feed kalshi trusted again"), WAIT_S, "trusted again")
        assert told(made, "detector died (died of an error"), made.status()["events"]
        assert "told to crash" in (tmp_path / "log" / "engine.log").read_text()
        for _ in range(2):
            killed = made.pid("canceller")
            os.kill(killed, signal.SIGKILL)
            until(partial(is_replaced, made, killed), WAIT_S, "the canceller back")
        made.kill("canceller")
        code, out, _ = made.end()
        assert code == 5
        assert "canceller died 3 times within 60 s (limit 2)" in out
        assert made.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with engine(tmp_path) as made:
        made.start("--json")
        made.wait_until_trading()
        everyone = made.everyone()
        assert made.process is not None
        made.process.send_signal(number)
        code, out, _ = made.end()
        assert code == 0
        assert one_object(out)["exit_reason"] == f"interrupted by {number.name}"
        assert alive(everyone) == []
        assert made.leftovers() == []
