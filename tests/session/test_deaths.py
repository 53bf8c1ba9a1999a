"""kill -9 of each process of a trading engine in turn (DESIGN section 1, "Dying").

The quick form kills the three that matter most and the supervisor. The long form (`pytest -m kill`)
kills every process, twice in each of several worlds; its short form (ARB_TEST_SHORT) once in one,
and those that the quick form leaves.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from ops import clock
from shm_layout import ACTIVE, HALTED, REDUCING
from tests.ops.rig import alive, one_object, until
from tests.session.deaths import ROLES, WAIT_S, Scene, doubled, too_late, trading, untrusted
from tests.session.held import Held

pytestmark = pytest.mark.timeout(900)  # kernels may have to be compiled first

TRUSTED_AGAIN_S, GONE_S, CANCELLER_S = 2, 0.25, 5
BESIDE = ("supervisor", "nursery", "venues")  # who has a part in a feed's return
LOWERS = {"detector": REDUCING, "signer": REDUCING, "gateway": HALTED}  # others leave it as it is
QUICK = ("feed kalshi", "detector", "gateway")
IS_SHORT = bool(os.environ.get("ARB_TEST_SHORT"))
WORLDS, TIMES = ((11,), 1) if IS_SHORT else ((11, 12, 13, 14), 2)
KILLED = tuple(name for name in ROLES if not (IS_SHORT and name in QUICK))


def kill_feed(scene: Scene, name: str) -> None:
    """The rest goes on; what was trusted of it is trusted again within 2 s of its death, and
    nothing of it counts a quarter of a second after it: of the time that the machine gives.
    """
    witness, venue = scene.witness, name.removeprefix("feed ")
    times = scene.times(name) + 1
    before = witness.trusted(venue)
    held = Held(map(scene.engine.pid, BESIDE))
    scene.kill(name)
    dead = scene.deaths[-1].epoch
    row = ROLES[name]
    gone_s = witness.until(lambda: witness.live_epoch(row) != dead, WAIT_S, "its epoch gone")
    assert gone_s < GONE_S + held.seconds()
    assert witness.trading_state() == ACTIVE

    def is_trusted_again() -> bool:
        return before <= witness.trusted(venue) | witness.closed(before)

    witness.until(is_trusted_again, WAIT_S, f"trust of {venue}")
    scene.until_told(f"{name} died (killed by SIGKILL)", times=times)
    told = scene.until_told(f"{name} trusted again after ", times=times)
    spent_s = float(told.removeprefix(f"{name} trusted again after ").removesuffix(" s"))
    assert spent_s < TRUSTED_AGAIN_S + held.seconds(scene.engine.pid(name)), told


def kill_role(scene: Scene, name: str) -> None:
    """The trading state falls as its row says, and is lifted once it is back."""
    times = scene.times(name) + 1
    scene.kill(name)
    if name in LOWERS:
        scene.until_lowered(name, LOWERS[name], times=times)
    scene.until_told(f"{name} died (killed by SIGKILL)", times=times)
    scene.until_told(f"{name} is back: trading state ACTIVE", times=times)


def kill_any(scene: Scene, name: str) -> None:
    """Either of the two, and trading goes on afterwards."""
    if name.startswith("feed "):
        kill_feed(scene, name)
    else:
        kill_role(scene, name)
    scene.until_trading()


def check(scene: Scene) -> None:
    """What must hold whatever died when."""
    told = scene.engine.run("status", "--json")
    assert told.returncode == 0, told.stderr
    rows = {row["name"]: row["restarts"] for row in json.loads(told.stdout)["processes"]}
    killed = Counter(death.name for death in scene.deaths)
    assert {name: rows[name] for name in killed} == dict(killed)
    scene.until_quiet()
    assert scene.witness.lost == 0
    last_ns = max(death.at_ns for death in scene.deaths)
    assert len([leg for leg in scene.witness.opened() if leg["decide_ns"] > last_ns]) >= 2
    assert too_late(scene) == []
    assert untrusted(scene) == []
    assert doubled(scene) == []


def kill_supervisor(scene: Scene) -> None:
    """Nothing but the canceller is left, and that for 5 s at most."""
    canceller = scene.engine.pid("canceller")
    everyone = scene.engine.everyone()
    others = [process for process in everyone if process.pid != canceller]
    assert scene.engine.process is not None
    held = Held([canceller])
    scene.engine.process.kill()
    began_ns = clock.mono_ns()
    scene.engine.process.communicate()
    until(lambda: alive(others) == [], WAIT_S, "all but the canceller gone")
    until(lambda: held.seconds() >= 0 and alive(everyone) == [], WAIT_S, "the canceller gone")
    assert (clock.mono_ns() - began_ns) / clock.SECOND_NS < CANCELLER_S + held.seconds()
    assert scene.engine.leftovers() == []


def test_feed_detector_gateway_and_supervisor_may_die_under_load(tmp_path: Path) -> None:
    with trading(tmp_path, seed=3) as scene:
        for name in QUICK:
            kill_any(scene, name)
        check(scene)
        kill_supervisor(scene)


@pytest.mark.kill
@pytest.mark.parametrize("world", WORLDS)
def test_every_process_may_die_under_load_and_the_supervisor_last(
    tmp_path: Path, world: int
) -> None:
    with trading(tmp_path, seed=world) as scene:
        for _ in range(TIMES):
            for name in KILLED:
                kill_any(scene, name)
        check(scene)
        kill_supervisor(scene)


@pytest.mark.kill
def test_two_may_die_at_once_and_one_that_hangs_counts_as_dead(tmp_path: Path) -> None:
    with trading(tmp_path, seed=5, ARB_PROCESSES_HANG_MAX_MS="5000") as scene:
        for both in (("detector", "gateway"), ("feed kalshi", "feed polymarket"),
                     ("gateway", "signer")):  # fmt: skip
            for name in both:
                scene.kill(name)
            for name in both:
                times = scene.times(name)
                scene.until_told(f"{name} is back: trading state", times=times)
            scene.until_trading()
        scene.freeze("feed kalshi")
        scene.until_told("feed kalshi does not beat for 5000 ms: killed")
        scene.until_told("feed kalshi trusted again", times=scene.times("feed kalshi"))
        scene.until_trading()
        check(scene)
        kill_supervisor(scene)


@pytest.mark.kill
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("venues", "venues died: a simulated world cannot be resumed"),
        ("nursery", "nursery died: every child dies with it"),
    ],
)
def test_a_death_that_cannot_be_mended_ends_the_run_in_order(
    tmp_path: Path, name: str, why: str
) -> None:
    with trading(tmp_path, seed=21) as scene:
        everyone = scene.engine.everyone()
        scene.kill(name)
        code, out, _ = scene.engine.end()
        assert code == 5
        assert one_object(out)["exit_reason"] == why
        assert alive(everyone) == [] and scene.engine.leftovers() == []
        scene.witness.poll()
        assert untrusted(scene) == [] and doubled(scene) == []
