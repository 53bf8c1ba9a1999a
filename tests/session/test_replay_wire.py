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

pytestmark = pytest.mark.timeout(900)  # kernels may have to be compiled first

EDGE_MIN_E6 = 5_000  # the profile's: Shai leaves 0.0080 a contract, Jokic 0.0103
STAMP_NS = 10**6  # what a venue's stamp is cut to
LENGTH_NS = 5 * 10**9  # episodes shorter than this may be missed
IS_SHORT = bool(os.environ.get("ARB_TEST_SHORT"))


def play(tmp_path: Path, speed: int, seconds: float) -> tuple[dict[str, Any], Witness]:
    """The whole command. Its summary, and what was seen; nothing of it is left."""
    assert load("testing").edge.edge_min_e6 == EDGE_MIN_E6
    with engine(tmp_path, command=list(REAL)) as made:
        made.start(
            "--replay", str(recorded(NBA)), "--from", NBA_FROM, "--gap-max", str(GAP_MAX_S),
            "--speed", str(speed), "--for", "600", "--profile", "testing", "--json",
        )  # fmt: skip
        witness = Witness.of(made)
        summary = witness.to_the_end(made, seconds)
    assert witness.lost == 0
    return summary, witness


def seen(script: RecordedScript, witness: Witness, intent: np.void) -> tuple[int, int]:
    """Run time of the older and of the newer of the two books that an intent was decided on, as
    their venues stamped them: however late a busy machine was to decide."""
    begin_ns = script.timeline.begin_epoch_ns
    quotes = [
        witness.quotes[int(intent[f"instrument_{leg}"]), int(intent[f"quote_number_{leg}"])]
        for leg in range(2)
    ]
    old, new = sorted(max(int(quote["event_epoch_ns"]), begin_ns) for quote in quotes)
    return old, new


def of_episode(
    script: RecordedScript, witness: Witness, episode: Episode, direction: int
) -> list[np.void]:
    """Intents of an episode by the books they were decided on."""
    return [
        intent
        for intent in witness.intents.values()
        if (intent["pair"], intent["direction"]) == (episode.pair, direction)
        and episode.start_epoch_ns - STAMP_NS
        < seen(script, witness, intent)[1]
        <= episode.end_epoch_ns
    ]


def sizes_shown(script: RecordedScript, episode: Episode, since: int, until: int) -> set[int]:
    """Sizes in 1e-6 that the offline computation sees in an episode between two moments of its
    books."""
    until_epoch_ns = until + STAMP_NS - 1
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
        books = seen(script, witness, first)
        assert int(first["size_e6_0"]) in sizes_shown(script, episode, *books)
    assert summary["orders"] >= 2 * len(long) and summary["fills"] >= 2 * len(long)
    assert summary["fees_e6"] > 0


def test_directions_and_first_sizes_are_those_of_the_offline_computation(tmp_path: Path) -> None:
    """At 200 times the recorded speed: faster, and on a busy machine the venues are behind."""
    check(nba(200_000_000), *play(tmp_path, 200, 400))


@pytest.mark.books
@pytest.mark.skipif(IS_SHORT, reason="the ordinary tests play it at three times this speed")
def test_the_same_at_the_speed_of_the_issue(tmp_path: Path) -> None:
    """At 60 times the recorded speed, 43 seconds."""
    check(nba(60_000_000), *play(tmp_path, 60, 400))
