"""Sets from quotes to money in one process: the detector decides, the gateway judges and sends, the
venue of the one-leg table fills, and what is held pays the same whichever outcome wins.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.detector import Detector
from ops.config import load
from ops.identity import announce, parameters_row, row
from ops.tally import RingReader
from shm_layout import (
    BODY,
    CASH,
    DETECTOR,
    E6,
    INTENT,
    K_INSTRUMENT,
    K_PAIR,
    K_PARAMETERS,
    KIND_COMPLEMENT,
    LIVE_EPOCH_AT,
    REASONS,
    RUN_CLOCK,
    word_store,
)
from tests.gateway.lone_world import is_active
from tests.gateway.plain_venue import MS
from tests.gateway.scene import EPOCH, KALSHI, POLY, SET
from tests.gateway.set_world import SetWorld
from tests.gateway.test_lone import PARAMS
from tests.gateway.test_set_table import spent, worth

DEEP = 40 * E6
BOOKS = {0: (280_000, 300_000), 1: (400_000, 420_000)}  # (bid, ask) of each outcome


def detector_of(world: SetWorld) -> Detector:
    """On what the segment shows now."""
    segment, found = world.scene.segment, load("testing")
    edge = replace(found.edge, edge_min_e6=1_000, hurdle_e6=0, debounce_ns=0, cooldown_ns=0)
    settings = replace(found, edge=edge)
    word_store(segment.words, LIVE_EPOCH_AT + DETECTOR, EPOCH)
    for block, kind, numbers in (("instruments", K_INSTRUMENT, SET), ("pairs", K_PAIR, (1,))):
        for number in numbers:
            found = segment.read(block, number)
            assert found is not None
            announce(segment, kind, np.frombuffer(found.tobytes(), np.int64)[:BODY])
    announce(segment, K_PARAMETERS, parameters_row(settings, number=1))
    clock = {"begin_epoch_ns": 10**18, "mono_base_ns": world.scene.now_ns, "speed_e6": E6}
    segment.write("run_clock", 0, row(RUN_CLOCK, **clock))
    for account in (KALSHI, POLY):
        segment.write("cash", account, row(CASH, account=account, cash_e6=20 * E6))
    return Detector(segment, EPOCH, gateway_eventfd=-1)


@pytest.mark.parametrize("venue", [KALSHI, POLY])
@pytest.mark.parametrize("direction", [0, 1])
def test_a_set_that_pays_is_decided_judged_sent_filled_and_hedged(
    tmp_path: Path, venue: int, direction: int
) -> None:
    async def story(world: SetWorld) -> None:
        bid, ask = BOOKS[direction]
        for number in SET:
            market = world.venues[number]
            market.bids, market.asks = [(bid, DEEP)], [(ask, DEEP)]
            world.scene.quote(number, bid=bid, ask=ask, size=DEEP)
        detector, intents = detector_of(world), RingReader(world.scene.segment, "intents")
        world.scene.beat()
        detector.step(world.scene.now_ns)
        (body,) = [body for _, body in intents.drain()]
        intent = body.view(INTENT)[0]
        assert (intent["kind"], intent["pair"], intent["leg_count"]) == (KIND_COMPLEMENT, 1, 3)
        assert intent["direction"] == direction
        await world.run(20 * MS)
        ends = [int(r["reason"]) for r in world.scene.reports() if r["intent"] == intent["id"]]
        assert REASONS[ends[-1]] == "done" and is_active(world)
        size_e6 = int(intent["size_e6_0"])
        nets = [world.venues[number].net_e6 for number in SET]
        assert size_e6 > E6 and nets == [size_e6 if direction == 0 else -size_e6] * 3
        ends_e6 = [worth(world, winner) - spent(world) for winner in SET]
        assert min(ends_e6) == max(ends_e6) >= int(intent["profit_e6"]) > 0

    world = SetWorld(tmp_path / "journal", PARAMS, venue, direction)
    try:
        asyncio.run(story(world))
    finally:
        world.close()
