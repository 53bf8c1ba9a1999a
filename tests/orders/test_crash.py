"""The gateway is killed again and again while it trades, at every place where an order is half
done: what the checker asks of every order holds afterwards, and the journal is whole.

`pytest -m crash` kills 500 gateways, a continuous integration (ARB_TEST_SHORT) ten of them. One run
of the engine lives through many.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ops import clock
from shm_layout import ACTIVE, GATEWAY, HALTED, REASONS
from tests.ops.rig import Engine, engine
from tests.orders.checker import violations
from tests.orders.crash_session import ANY, PEACE, POINTS, Life, life
from tests.orders.evidence import Evidence, Keeper, gather
from tests.session.deaths import Scene
from tests.session.witness import Witness

KILLS = 10 if os.environ.get("ARB_TEST_SHORT") else 50
SEEDS = range(1, 2) if os.environ.get("ARB_TEST_SHORT") else range(1, 11)
COMMAND = [sys.executable, "-m", "tests.orders.crash_session"]
SETTINGS = {
    "ARB_PROCESSES_RESTARTS_MAX": "1000", "ARB_PROCESSES_BACKOFF_MS": "1",
    "ARB_PROCESSES_BACKOFF_MAX_MS": "1", "ARB_EDGE_COOLDOWN_MS": "0",
    "ARB_SPOT_BINANCE": "0", "ARB_SPOT_KRAKEN": "0", "ARB_SPOT_COINGECKO": "0",
    "ARB_FEEDS_LANES": "1",
}  # fmt: skip
LIFE_S = 60  # a gateway that does not come to the place where it is to die is killed from outside
QUIET_NS = 3 * clock.SECOND_NS  # longer than any question waits for its answer
LIFTED = ("one_legged", "unknown_outcome")  # the second by a venue too busy to answer in time
BACK_S = 120  # at most, on a busy machine, from a death until the successor has asked both venues


@dataclass
class Killing:
    """One engine whose gateways die. `down_ns`: when none was there that knew what it holds."""

    engine: Engine
    scene: Scene
    seed: int
    down_ns: list[tuple[int, int]] = field(default_factory=list)
    died: Counter[str] = field(default_factory=Counter)
    halts: Counter[str] = field(default_factory=Counter)

    @property
    def witness(self) -> Witness:
        return self.scene.witness

    def epoch(self) -> int:
        """Of the gateway that lives; 0: none."""
        self.witness.poll()
        return self.witness.live_epoch(GATEWAY)

    def is_back(self, began_ns: int) -> bool:
        """A gateway that lives has asked both venues since then."""
        asked_ns = int(self.witness.segment.table("gate")[0]["reconciled_ns"])
        return self.epoch() != 0 and asked_ns > began_ns

    def lift(self) -> None:
        """As an operator who has looked: what a lone leg beyond its caps has halted, or an order
        that its venue, too busy to answer, told of late.
        """
        gate = self.witness.segment.table("gate")[0]
        why = REASONS[int(gate["reason"])]
        if gate["state"] != HALTED or why in ("ok", "halted", "done"):  # read while it changed
            return
        assert why in LIFTED, f"halted for {why}"
        if self.witness.trading_state() == ACTIVE:  # it has reconciled: it can be lifted
            self.halts[why] += 1
            self.scene.command("resume")
            self.witness.until(
                lambda: gate["state"] != HALTED or not self.epoch(), BACK_S, f"no HALT for {why}"
            )

    def kill_one(self) -> None:
        """The gateway that lives dies where it is to die; its successor may still be on its way."""
        self.witness.until(lambda: self.epoch() != 0, BACK_S, "a gateway")
        epoch, began_ns = self.epoch(), clock.mono_ns()
        alive_ns = began_ns  # when it was last seen: a successor can be back while one lifts a HALT
        told: Life = life(self.seed, epoch)
        limit_ns = told.after_ms * clock.MS_NS if told.point == ANY else LIFE_S * clock.SECOND_NS

        def is_over() -> bool:
            nonlocal alive_ns
            now_ns = clock.mono_ns()
            if self.epoch() != epoch:
                return True
            alive_ns = now_ns
            self.lift()
            return now_ns - began_ns > limit_ns

        self.witness.until(is_over, LIFE_S + 60, f"the end of {told}")
        point = told.point
        if self.epoch() == epoch:
            alive_ns = clock.mono_ns()
            self.scene.kill("gateway")
            self.witness.until(lambda: self.epoch() != epoch, BACK_S, "its death")
            point = ANY
        self.died[point] += 1
        self.down_ns.append((alive_ns, 0))

    def until_told(self) -> None:
        """Until the gateway has had nothing to tell for a while: exact amounts come last."""
        told, since_ns = 0, clock.mono_ns()

        def is_told() -> bool:
            nonlocal told, since_ns
            if len(self.witness.legs) != told:
                told, since_ns = len(self.witness.legs), clock.mono_ns()
            return clock.mono_ns() - since_ns > QUIET_NS

        self.witness.until(is_told, 120, "nothing more to tell")

    def come_back(self) -> None:
        """Wait until a gateway has reconciled; the time without one is over."""
        died_ns = self.down_ns[-1][0]
        self.witness.until(lambda: self.is_back(died_ns), BACK_S, "a gateway that has reconciled")
        self.down_ns[-1] = (died_ns, clock.mono_ns())


def run(tmp_path: Path, seed: int) -> tuple[Evidence, Killing]:
    """One engine through so many deaths, then in peace to its end in order."""
    with engine(tmp_path, command=COMMAND, settings=SETTINGS) as made:
        made.start("--seed", str(seed), "--speed", "10", "--json")
        witness, keeper = Witness.of(made), Keeper(tmp_path)
        killing = Killing(made, Scene(made, witness, lifted=LIFTED), seed)
        made.wait_until_trading()
        keeper.poll()
        for _ in range(KILLS):
            killing.kill_one()
        (tmp_path / "log" / PEACE).touch()
        killing.come_back()
        killing.scene.until_trading()
        killing.scene.until_quiet(120)
        killing.until_told()
        ended_ns = clock.mono_ns()
        killing.scene.command("stop")
        witness.to_the_end(made, 180)
        told = made.run("audit", "verify", "--json")
        assert told.returncode == 0, told.stdout + told.stderr
    keeper.poll()
    evidence = gather(tmp_path, keeper, witness, ended_ns, whole(killing.down_ns))
    assert json.loads(told.stdout)["records"] == len(evidence.records)
    return evidence, killing


def whole(down_ns: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Who died before it had reconciled was never there."""
    found, since_ns = [], 0
    for died_ns, back_ns in down_ns:
        since_ns = since_ns or died_ns
        if back_ns:
            found.append((since_ns, back_ns))
            since_ns = 0
    return found


@pytest.mark.crash
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_death_leaves_an_order_that_nobody_knows(tmp_path: Path, seed: int) -> None:
    evidence, killing = run(tmp_path, seed)
    assert violations(evidence) == []
    assert set(killing.died) == set(POINTS), killing.died
    assert len(evidence.sent) > KILLS


def test_every_place_is_in_every_sample() -> None:
    for seed in range(1, 11):
        points = Counter(life(seed, epoch).point for epoch in range(1, 11))
        assert points == dict.fromkeys(POINTS, 2)
