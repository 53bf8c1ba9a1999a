"""Recorded books of two venues through real processes, sockets, TLS and signatures.

Which way each pair pays, and the size of an episode's first order, are those of the offline
computation (tests/offline_edges.py) with the same threshold. Our own orders take from the books, so
only the first order of an episode meets them as they were recorded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.config import load
from ops.venues.recorded import RecordedScript
from tests.conftest import recorded
from tests.offline_edges import A_YES, Episode, episodes, looks
from tests.ops.rig import REAL, engine
from tests.session.recordings import (
    GAP_MAX_S,
    JOKIC,
    KALSHI_YES,
    NBA,
    NBA_FROM,
    POLYMARKET_YES,
    SHAI,
    nba,
    rules,
)
from tests.session.witness import Witness

pytestmark = pytest.mark.timeout(300)  # kernels may have to be compiled first

EDGE_MIN_E6 = 5_000  # the profile's: Shai leaves 0.0080 a contract, Jokic 0.0103
LAG_NS = 10**9  # machine time: by how much the engine's view may be behind
LENGTH_NS = 5 * 10**9  # episodes shorter than this may be missed
IS_SHORT = bool(os.environ.get("ARB_SHORT"))


def play(tmp_path: Path, speed: int, seconds: float) -> tuple[dict[str, Any], Witness]:
    """The whole command. Its summary, and what was seen; nothing of it is left."""
    assert load("testing").edge.edge_min_e6 == EDGE_MIN_E6
    with engine(tmp_path, command=list(REAL)) as made:
        made.start(
            "--replay", str(recorded(NBA)), "--from", NBA_FROM, "--gap-max", str(GAP_MAX_S),
            "--speed", str(speed), "--for", "90", "--profile", "testing", "--json",
        )  # fmt: skip
        witness = Witness.of(made)
        summary = witness.to_the_end(made, seconds)
    assert witness.lost == 0
    return summary, witness


def run_time(script: RecordedScript, witness: Witness, mono_ns: int) -> int:
    """Run time at a machine stamp; it stands at the script's start until all feeds are trusted."""
    timeline = script.timeline
    return timeline.epoch_ns(max(mono_ns - witness.clock_start_ns(timeline.segments), 0))


def of_episode(
    script: RecordedScript, witness: Witness, episode: Episode, direction: int
) -> list[np.void]:
    """Intents of an episode by the time they were decided."""
    late_ns = LAG_NS * script.timeline.speed_e6 // 10**6
    return [
        intent
        for intent in witness.intents.values()
        if (intent["pair"], intent["direction"]) == (episode.pair, direction)
        and episode.start_epoch_ns
        <= run_time(script, witness, int(intent["decide_ns"]))
        <= episode.end_epoch_ns + late_ns
    ]


def sizes_shown(script: RecordedScript, episode: Episode, until_epoch_ns: int) -> set[int]:
    """Sizes in 1e-6 that the offline computation sees in an episode up to a moment, newest LAG_NS
    of machine time."""
    since = until_epoch_ns - LAG_NS * script.timeline.speed_e6 // 10**6
    found: list[tuple[int, int]] = []
    for at, pair, direction, look in looks(script, rules(EDGE_MIN_E6)):
        if at > until_epoch_ns:
            break
        if (pair, direction) == (episode.pair, episode.direction) and look is not None:
            found.append((at, int(look.size * 10**6)))
    before = [size for at, size in found if at <= since][-1:]
    return {*before, *(size for at, size in found if at > since)}


def check(script: RecordedScript, summary: dict[str, Any], witness: Witness) -> None:
    """The claims of this file about one run."""
    assert summary["exit_reason"] == "the recorded data ended"
    assert summary["script_hash"] == script.digest
    assert all(venue["gaps"] == 0 for venue in summary["venues"].values())
    assert summary["intents"] == len(witness.intents)
    ways = {(int(each["pair"]), int(each["direction"])) for each in witness.intents.values()}
    assert ways == {(SHAI, POLYMARKET_YES), (JOKIC, KALSHI_YES)}  # and of Luka never
    long = [
        each for each in episodes(script, rules(EDGE_MIN_E6)) if each.length_ns >= LENGTH_NS
    ]  # fmt: skip
    assert {each.pair for each in long} == {SHAI, JOKIC}
    for episode in long:
        found = of_episode(script, witness, episode, int(episode.direction != A_YES))
        assert found, f"not found: {episode}"
        first = min(found, key=lambda intent: int(intent["decide_ns"]))
        decided = run_time(script, witness, int(first["decide_ns"]))
        assert int(first["size_e6_0"]) in sizes_shown(script, episode, decided)
    assert summary["orders"] >= 2 * len(long) and summary["fills"] >= 2 * len(long)
    assert summary["fees_e6"] > 0


def test_directions_and_first_sizes_are_those_of_the_offline_computation(tmp_path: Path) -> None:
    """At 600 times the recorded speed."""
    check(nba(600_000_000), *play(tmp_path, 600, 120))


@pytest.mark.books
@pytest.mark.skipif(IS_SHORT, reason="the ordinary tests play it at ten times this speed")
def test_the_same_at_the_speed_of_the_issue(tmp_path: Path) -> None:
    """At 60 times the recorded speed, 43 seconds."""
    check(nba(60_000_000), *play(tmp_path, 60, 180))
