"""A price that leads an index, and the index itself: when the detector does not believe it."""

from __future__ import annotations

import pytest

from tests.engine.bets import INDEX_SLOT, LAGS, one_market, spot
from tests.engine.world import KALSHI, SECOND
from tests.twins import detector as twin


@pytest.mark.parametrize(("dollars", "bets"), [(80_095, 1), (80_130, 1), (80_145, 0), (79_900, 0)])
def test_a_lead_that_strays_from_its_index_is_not_bet_on(dollars: float, bets: int) -> None:
    """One exchange alone was swept: at a basis point a root second and a second since, 4 basis
    points ($32) are the coin's own move."""
    world, detector = one_market()
    spot(world, dollars, product=INDEX_SLOT)
    world.quote(0, KALSHI, *LAGS)
    assert len(world.step(detector)) == bets
    for _ in range(4):  # an index that falls silent says nothing: the model has the exchanges then
        assert world.step(detector, SECOND) == [] or not bets
        spot(world)
    world.quote(0, KALSHI, *LAGS)
    assert world.step(detector) or bets
    world.record()
    assert twin.run(world.tape) == [intent.tobytes() for intent in world.intents]
