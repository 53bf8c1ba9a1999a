"""The kill word under the worst of circumstances (issue: "Kill and halt"): whoever is stuck, with
intents waiting, the last opening byte is read at a venue within 100 ms after the word was set, none
afterwards, and the canceller's cancels are seen at both venues.

The supervisor is frozen in every case, so that nothing but the word itself stops anything.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops import clock
from ops.kill_word import open_word
from shm_layout import MAIN, REASONS, word_load
from tests.ops.rig import alive, engine, until
from tests.session.deaths import Scene
from tests.session.rogue import BLOCK_S
from tests.session.witness import Witness

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

TIMES = 1 if os.environ.get("ARB_TEST_SHORT") else 10
LATE_NS = 100 * clock.MS_NS
TRIES = 5  # of what needs an edge at the right moment
CALM_NS = 10 * clock.SECOND_NS
WAITING = 1  # intents that must be in the ring when the word is set
SETTINGS = {
    "ARB_PROCESSES_HANG_MAX_MS": "60000",  # nobody is put out of his misery
    "ARB_PROCESSES_READY_MAX_S": "120",
    "ARB_EDGE_SIGNAL_AGE_MAX_MS": "10000",  # what waits does not die of old age
    "ARB_EDGE_COOLDOWN_MS": "100",
    "ARB_SPOT_BINANCE": "0",  # fewer processes: the machine is small
    "ARB_SPOT_KRAKEN": "0",
    "ARB_SPOT_COINGECKO": "0",
}


@dataclass
class Told:
    """What the venues say that they read: (kind, venue, stamp, key or path), as it comes."""

    path: Path

    def rows(self, kind: str, since_ns: int) -> list[tuple[str, int, str]]:
        """(venue, stamp, what) after a stamp."""
        if not self.path.exists():
            return []
        split = (line.split(" ", 3) for line in self.path.read_text().splitlines())
        return [
            (venue, int(at), what) for found, venue, at, what in split
            if found == kind and int(at) > since_ns
        ]  # fmt: skip

    def lag_ns(self, since_ns: int) -> int:
        """How late the venues themselves were at most, from a second before a stamp."""
        rows = self.rows("late", since_ns - clock.SECOND_NS)
        return max((int(lag) for _, _, lag in rows), default=0)


@dataclass
class Stage:
    """An engine of rogues, its venues' words, and what each kill came to."""

    scene: Scene
    told: Told
    last_ms: list[float] = field(default_factory=list)  # after the word; 0: nothing came
    lag_ms: list[float] = field(default_factory=list)  # how late the venues themselves were then

    @property
    def witness(self) -> Witness:
        """A reader of the rings."""
        return self.scene.witness

    def send(self, name: str, number: signal.Signals) -> None:
        """A signal to one of its processes."""
        os.kill(self.scene.engine.pid(name) if name != "supervisor" else self.top, number)

    @property
    def top(self) -> int:
        """The supervisor's pid."""
        assert self.scene.engine.process is not None
        return self.scene.engine.process.pid

    def gate(self) -> str:
        """Why the gateway has lowered its gate; "done": it has not."""
        return REASONS[int(self.witness.segment.table("gate")[0]["reason"])]

    def trade_again(self) -> None:
        """Resume, until a venue reads both legs."""
        self.scene.command("resume")
        self.until_read(2)

    def until_read(self, orders: int = 1) -> None:
        """Until a venue has read so many orders from now on; the operator resumes as often as the
        gateway finds a reason of its own to halt.
        """
        now_ns = since_ns = clock.mono_ns()

        def reads() -> bool:
            nonlocal since_ns
            if self.gate() != "done" and clock.mono_ns() - since_ns > clock.SECOND_NS:
                since_ns = clock.mono_ns()
                self.scene.command("resume")
            return len(self.told.rows("order", now_ns)) >= orders

        try:
            self.witness.until(reads, 60, "orders at a venue")
        except AssertionError as late:
            late.add_note(f"{self.scene.why_not()}")
            raise

    def waiting(self) -> int:
        """Intents in the ring that the gateway has not answered."""
        self.witness.poll()
        done = int(word_load(self.witness.segment.words, MAIN.at["gate"] + 3))
        return sum(number > done for number in self.witness.intents)

    def is_cancelled(self, since_ns: int) -> bool:
        """Both venues have read a cancel."""
        rows = self.told.rows("cancel", since_ns)
        return {venue for venue, _, _ in rows} == {"kalshi", "polymarket"}

    def killed(self, since: int) -> int:
        """Intents that were refused by the kill word, of the reports since."""
        self.witness.poll()
        return sum(why == "killed" for why in list(self.witness.ends.values())[since:])


@contextmanager
def stage(tmp_path: Path, speed: str, **more: str) -> Iterator[Stage]:
    """A world that trades, at so many times its pace."""
    told = Told(tmp_path / "told")
    command = [sys.executable, "-m", "tests.session.rogue"]
    settings = SETTINGS | {"ARB_TEST_TOLD": str(told.path)} | more
    with engine(tmp_path, command=command, settings=settings) as made:
        made.start("--seed", "11", "--speed", speed, "--json")
        scene = Scene(made, Witness.of(made))
        until(lambda: bool(made.status().get("counts_from")), 120, "trading")
        found = Stage(scene, told)
        scene.until_trading(60)
        try:
            yield found
        finally:
            if made.process is not None and made.process.poll() is None:
                made.process.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Case:
    """`stick` before the word is set, `free` after; each is told the stage and the pids by name."""

    stick: Callable[[Stage, dict[str, int]], None]
    free: Callable[[Stage, dict[str, int]], None]


def loop_detector(stage: Stage, pids: dict[str, int]) -> None:
    os.kill(pids["detector"], signal.SIGUSR1)
    before = len(stage.witness.intents)
    stage.witness.until(
        lambda: len(stage.witness.intents) >= before + 16, 10, "intents without end"
    )


def end_detector(stage: Stage, pids: dict[str, int]) -> None:
    os.kill(pids["detector"], signal.SIGKILL)


def block_gateway(stage: Stage, pids: dict[str, int]) -> None:
    for _ in range(TRIES):
        os.kill(pids["gateway"], signal.SIGUSR1)
        until_ns = clock.mono_ns() + int((BLOCK_S - 0.5) * clock.SECOND_NS)
        while clock.mono_ns() < until_ns:
            if stage.waiting() >= WAITING:
                return
        stage.trade_again()  # a gate that had just fallen
    raise AssertionError("no intents to wait in the ring")


def stop_gateway(stage: Stage, pids: dict[str, int]) -> None:
    for _ in range(TRIES):
        os.kill(pids["gateway"], signal.SIGSTOP)
        until_ns = clock.mono_ns() + CALM_NS
        while clock.mono_ns() < until_ns:
            if stage.waiting() >= WAITING:
                return
        os.kill(pids["gateway"], signal.SIGCONT)  # a calm world, or a gate that had just fallen
        stage.trade_again()
    raise AssertionError("no intents to wait in the ring")


def go_on(stage: Stage, pids: dict[str, int]) -> None:
    os.kill(pids["gateway"], signal.SIGCONT)


def fill_disk(stage: Stage, pids: dict[str, int]) -> None:
    """No file of ours grows any more, and the journal must, with intents waiting. Stopped first: a
    journal that has no room left by itself would halt it before any wait.
    """
    stop_gateway(stage, pids)
    for name, pid in pids.items():
        if name != "venues":
            limit(pid, 0)
    os.kill(pids["gateway"], signal.SIGUSR2)


def free_disk(stage: Stage, pids: dict[str, int]) -> None:
    """It sees that its journal has failed, and a successor finds room again."""
    go_on(stage, pids)
    stage.witness.until(lambda: stage.gate() == "journal", 10, "the journal's failure seen")
    for pid in pids.values():
        limit(pid, resource.RLIM_INFINITY)
    os.kill(pids["gateway"], signal.SIGKILL)


def limit(pid: int, most_bytes: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, hard))


CASES = {
    "detector in an endless loop": Case(loop_detector, end_detector),
    "event loop blocked": Case(block_gateway, lambda stage, pids: None),
    "gateway stopped": Case(stop_gateway, go_on),
    "disk full": Case(fill_disk, free_disk),
}


def complaints(stage: Stage, set_ns: int, free_ns: int) -> list[str]:
    """What must not be after the word: orders read late, or at all once what was stuck is free
    (`free_ns`); a venue without a cancel. A venue that was itself late to read is allowed that.
    """
    orders, lag_ns = stage.told.rows("order", set_ns), stage.told.lag_ns(set_ns)
    stage.last_ms.append(max((at - set_ns for _, at, _ in orders), default=0) / 1e6)
    stage.lag_ms.append(lag_ns / 1e6)
    most_ns = min(set_ns + LATE_NS, max(free_ns, set_ns)) + lag_ns
    found = [
        f"{venue}: order read {(at - set_ns) / 1e6:.1f} ms after the word, the venues were"
        f" {lag_ns / 1e6:.1f} ms late"
        for venue, at, _ in orders if at > most_ns
    ]  # fmt: skip
    cancelled = {venue for venue, _, _ in stage.told.rows("cancel", set_ns)}
    found += [f"{venue}: no cancel" for venue in ("kalshi", "polymarket") if venue not in cancelled]
    return found


def kill(stage: Stage) -> tuple[int, int]:
    """By the command: when the word was set, and when the command had ended."""
    told = stage.scene.engine.run("kill", "--json")
    assert told.returncode in (0, 6), told.stderr  # 6: a busy machine's venue was late to confirm
    found = json.loads(told.stdout)
    assert found["killed"] and not found["was_killed"]
    return found["set_ns"], clock.mono_ns()


def kill_in(stage: Stage, case: Case) -> list[str]:
    """One kill by the command, with the supervisor frozen; complaints. Trading again afterwards."""
    scene = stage.scene
    pids = {row["name"]: row["pid"] for row in scene.engine.status()["processes"] if row["pid"]}
    case.stick(stage, pids)
    os.kill(stage.top, signal.SIGSTOP)
    ends = len(stage.witness.ends)
    set_ns, free_ns = kill(stage)
    case.free(stage, pids)
    stage.witness.until(lambda: stage.killed(ends) >= WAITING, BLOCK_S + 10, "intents refused")
    stage.witness.until(lambda: clock.mono_ns() > free_ns + clock.SECOND_NS, 60, "a second")
    stage.witness.until(lambda: stage.is_cancelled(set_ns), 60, "cancels at both venues")
    found = complaints(stage, set_ns, free_ns)
    os.kill(stage.top, signal.SIGCONT)
    until(lambda: bool(scene.engine.status().get("killed")), 60, "the supervisor sees the word")
    stage.trade_again()
    return found


def test_whoever_is_stuck_nothing_leaves_after_the_kill_word(tmp_path: Path) -> None:
    with stage(tmp_path, "6") as found:
        for name, case in CASES.items():
            for turn in range(TIMES):
                assert kill_in(found, case) == [], f"{name}, kill {turn + 1}"
        sys.stdout.write(f"last order read after the word, ms: {found.last_ms}\n")
        sys.stdout.write(f"how late the venues were, ms: {found.lag_ms}\n")
        die_with_supervisor(found)


def die_with_supervisor(stage: Stage) -> None:
    """Dead, it needs no word: everything ends, and the canceller cancels at both venues.

    The gateway dies of it as soon as the machine has a core for that; then nothing can leave, and
    what had left is read at once.
    """
    pid, sender = (stage.scene.engine.pid(name) for name in ("venues", "gateway"))
    everyone, now_ns = stage.scene.engine.everyone(), clock.mono_ns()
    os.kill(stage.top, signal.SIGKILL)
    assert stage.scene.engine.process is not None
    stage.scene.engine.process.communicate()
    last = [process for process in everyone if process.pid == sender]
    until(lambda: alive(last) == [], 60, "the gateway gone")
    gone_ns = clock.mono_ns()
    others = [process for process in everyone if process.pid != pid]
    until(lambda: alive(others) == [], 60, "all but the venues gone")
    cancelled = {venue for venue, _, _ in stage.told.rows("cancel", now_ns)}
    assert cancelled == {"kalshi", "polymarket"}
    told = stage.scene.engine.run("kill")
    assert told.returncode == 4 and "no engine is running" in told.stderr
    most_ns = gone_ns + LATE_NS + stage.told.lag_ns(now_ns)
    assert [at - now_ns for _, at, _ in stage.told.rows("order", most_ns)] == []
    until(lambda: alive(everyone) == [], 20, "the venues gone")


def test_a_gateway_that_does_not_look_at_the_kill_word_is_caught(tmp_path: Path) -> None:
    # at the world's own pace, and at once: what waits is still good when it is read
    with stage(tmp_path, "1", ARB_TEST_DEAF="1") as found:
        word, witness = open_word(found.scene.engine.state_dir), found.witness
        for _ in range(TRIES):
            pids = {r["name"]: r["pid"] for r in found.scene.engine.status()["processes"]}
            stop_gateway(found, pids)
            os.kill(found.top, signal.SIGSTOP)
            set_ns = clock.mono_ns()
            word.set(set_ns, os.getpid())
            go_on(found, pids)
            witness.until(lambda: set(witness.intents) <= set(witness.ends), 30, "intents ended")
            told = complaints(found, set_ns, set_ns)
            os.kill(found.top, signal.SIGCONT)
            if any("order read" in line for line in told):
                return
            found.trade_again()
        raise AssertionError(f"no order in spite of the word: {Counter(witness.ends.values())}")
