"""An operator's commands against a trading engine and its venues: reconcile finds our books and
theirs equal, flatten ends with nothing at the venues, a kill can be looked at halted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shm_layout import CANCELLER
from tests.session.deaths import Scene, trading

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

TIMES = 4  # what the first order does not find in the book, the next command does


def said(scene: Scene, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the one JSON object of a command."""
    told = scene.engine.run(*words, "--json")
    assert told.stdout.count("\n") == 1, told.stderr
    return told.returncode, json.loads(told.stdout)


def test_books_agree_and_flatten_ends_with_nothing_at_the_venues(tmp_path: Path) -> None:
    with trading(tmp_path, seed=11) as scene:
        scene.command("halt")
        code, found = said(scene, "reconcile")
        assert (code, found["differences"]) == (0, 0), found
        code, plan = said(scene, "flatten", "--plan")
        assert code == 0 and plan["rows"] and not plan["killed"]
        for _ in range(TIMES):
            code, found = said(scene, "flatten", "--yes")
            held = {row["instrument"]: row["size_e6"] for row in found["plan"]["rows"]}
            sold: dict[int, int] = {}
            for order in found["orders"]:
                sold[order["instrument"]] = sold.get(order["instrument"], 0) + order["filled_e6"]
            assert all(sold[one] <= held.get(one, 0) for one in sold), (held, sold)
            if code == 0:
                break
        assert found["flat"], found
        assert scene.engine.status()["state"] == "HALTED"
        assert said(scene, "reconcile")[1]["differences"] == 0
        kill_and_look(scene)


def kill_and_look(scene: Scene) -> None:
    """Killed, it flattens nothing; lifted, it is halted; resumed, it trades."""
    done = scene.witness.counter(CANCELLER, "cancels")
    code, found = said(scene, "kill")
    assert code in (0, 6) and found["venues"] == 2  # 6: a busy machine's venue confirms it later
    scene.witness.until(
        lambda: scene.witness.counter(CANCELLER, "cancels") == done + 2, 60, "both cancels"
    )
    scene.witness.until(lambda: bool(scene.engine.status()["killed"]), 60, "the word seen")
    told = scene.engine.run("flatten", "--yes")
    assert told.returncode == 3 and "resume --halted" in told.stderr
    told = scene.engine.run("resume", "--halted")
    assert told.returncode == 0 and "HALTED" in told.stdout
    assert not scene.engine.status()["killed"]
    scene.command("resume")
    scene.until_trading(60)
