"""A thousand markets on each venue, whole: start, trust, steady state, end (`pytest -m books`).

ARB_TEST_SHORT: fewer, yet enough that Polymarket's tokens need two connections.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from bench.scale import VENUES, all_trusted, books, measure
from feeds.venues import VENUES as ROWS
from ops.identity import identify, publish, row
from ops.venues.world import make_world
from shm_layout import BODY, NO_SNAPSHOT, QUOTE, ST_ACTIVE, ST_INITIALIZED, Segment
from tests.ops.rig import PATIENT
from tests.ops.test_identity import SETTINGS

IS_SHORT = bool(os.environ.get("ARB_TEST_SHORT"))
MARKETS, STEADY_S = (300, 5.0) if IS_SHORT else (1_000, 30.0)
# a feed: two books a market of 35 KiB, what is beside them (18 MiB), what came while it was stalled
OWN_MAX_MIB = 48 + MARKETS * 0.12
CPU_MAX = 60.0  # percent of a core: of any process of the engine, of which the busiest needs 8


@pytest.mark.books
@pytest.mark.timeout(400)
def test_a_thousand_markets_a_venue_start_are_trusted_trade_and_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in PATIENT.items():
        monkeypatch.setenv(name, value)
    assert ROWS["polymarket"].markets_max < MARKETS, "its tokens need two connections"
    found = measure(MARKETS, STEADY_S)  # asserts trust of every open market, and that nothing stays
    assert all(count >= MARKETS for count in found["trusted"].values())
    assert found["trading"]["orders"] > 0 and found["gaps"] == dict.fromkeys(VENUES, 0)
    for venue in VENUES:
        assert found["processes"][f"feed {venue}"]["own_mib"] < OWN_MAX_MIB
        assert found["feeds"][venue]["frames_per_s"] > MARKETS / 10
    ours = {name: one for name, one in found["processes"].items() if name != "venues"}
    assert max(one["cpu_percent"] for one in ours.values()) < CPU_MAX, ours


def quoted(segment: Segment, index: int, **cells: int) -> None:
    """One quote of a market, trusted and open unless told otherwise."""
    values = {"instrument": index, "generation": 1, "number": 1, "status": ST_ACTIVE} | cells
    segment.write("quotes", index, row(QUOTE, **values))


def test_the_count_of_trusted_markets_sees_what_is_missing() -> None:
    script, segment = make_world(1, begin_epoch_ns=0, windows=0), Segment.private()
    publish(segment, identify(script, SETTINGS))
    assert not all_trusted(segment, 7), "no quote yet"
    for index in range(14):
        quoted(segment, index)
    assert all_trusted(segment, 7) and not all_trusted(segment, 8)
    quoted(segment, 1, trust=NO_SNAPSHOT)
    assert not all_trusted(segment, 7)
    assert (books(segment, "polymarket").is_open, books(segment, "polymarket").trusted) == (7, 6)
    quoted(segment, 1, status=ST_INITIALIZED)
    assert not all_trusted(segment, 7) and all_trusted(segment, 6), "not open: not counted"
    segment.write("quotes", 1, np.zeros(BODY, np.int64))
    assert not all_trusted(segment, 7)
