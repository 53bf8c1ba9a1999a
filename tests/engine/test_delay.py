"""What a held-back order costs, alone and in a pair: one rule, against a drawn market; and a pair
that is held back pays it."""

from __future__ import annotations

from math import erf, inf, nan, sqrt

import numpy as np
import pytest

from engine.delay import ALONE, HEDGED, delay_cost_e6
from shm_layout import E6
from tests.engine.world import SECOND, detector_of, edge_up, field_of, two_venues


def test_at_the_money_by_hand() -> None:
    """Deviation $50, the market moves $2 while the order waits: fair value by φ(0)·2/50 = 0.01596 a
    deviation, and the size of a move is √(2/π) of it: 1.2732 cents."""
    assert delay_cost_e6(0.0, 2 / 50, ALONE) == pytest.approx(12_733, abs=1)
    assert delay_cost_e6(0.0, 2 / 50, HEDGED) == pytest.approx(6_367, abs=1)
    assert delay_cost_e6(10.0, 2 / 50, ALONE) == 1  # rounded up, not nothing
    assert delay_cost_e6(0.0, 0.0, ALONE) == 0
    assert delay_cost_e6(0.0, inf, ALONE) == E6 and delay_cost_e6(0.0, inf, HEDGED) == E6 // 2
    assert delay_cost_e6(nan, 1.0, ALONE) == delay_cost_e6(0.0, nan, HEDGED) == -1


@pytest.mark.parametrize("z", [-1.2, 0.0, 0.7])
def test_it_is_what_a_market_costs_whose_makers_cancel(z: float) -> None:
    """An order at fair value that is filled only when the market moved against it; and a pair of
    which the leg that missed is bought at the new fair value."""
    way = 0.05
    moves = np.random.default_rng(5).normal(size=200_000)
    moves = np.concatenate([moves, -moves]) * way
    fair = 0.5 * (1 + np.vectorize(erf)((z + moves) / sqrt(2)))
    moved = fair - 0.5 * (1 + erf(z / sqrt(2)))
    alone = -moved[moved < 0].mean()
    pair = np.where(moved > 0, moved, 0.0).mean()
    assert delay_cost_e6(z, way, ALONE) / E6 == pytest.approx(alone, rel=0.06)
    assert delay_cost_e6(z, way, HEDGED) / E6 == pytest.approx(pair, rel=0.06)
    # the control: neither is the other's
    assert delay_cost_e6(z, way, ALONE) / E6 != pytest.approx(pair, rel=0.5)


@pytest.mark.parametrize(
    ("delay_ns", "cost_e6", "count"),
    [(0, None, 1), (1, None, 0), (1, 0, 1), (1, 1_000, 1), (1, 90_000, 0)],
)
def test_takers_that_are_held_back_pay_for_it_and_what_nobody_has_priced_is_not_done(
    delay_ns: int, cost_e6: int | None, count: int
) -> None:
    """None: the pair is on no index, so the model never speaks of it."""
    world = two_venues()
    world.parameters(delay_max_ns=SECOND)
    world.pair(0, 0, 1, delay_max_ns=SECOND)
    detector = detector_of(world)
    assert world.step(detector) == []  # knows the pair before the model speaks of it
    if cost_e6 is not None:
        until_ns = world.now + SECOND
        world.terms(pair=0, number=1, valid_until_ns=until_ns, delay_cost_e6=cost_e6)
    edge_up(world, taker_delay_ns=delay_ns)
    intents = world.step(detector)
    assert len(intents) == count and detector.counter("refused_delay") == 0
    assert (detector.counter("refused_terms") > 0) == (delay_ns > 0 and cost_e6 is None)
    for intent in intents:
        fees_e6 = 1_354_700 + 1_000_000
        assert field_of(intent, "edge_e6") == (80 * (90_000 - (cost_e6 or 0)) - fees_e6) // 80
