"""What the desk plans on: the book that its venue shows, less what paper orders had of it."""

from __future__ import annotations

from gateway.facts import levels_of
from gateway.intake import Intake
from shm_layout import BUY, E6, SELL
from tests.engine.world import CHEAP, KALSHI, World


def test_a_lone_leg_is_planned_on_what_is_left() -> None:
    """Else it would be completed, or given back, on contracts that the venue gives nobody twice."""
    world = World()
    asks = (*CHEAP[1], (420_000, 5 * E6))
    world.quote(0, KALSHI, CHEAP[0], asks)
    intake = Intake(world.segment, -1)

    def seen(side: int) -> tuple[tuple[int, int], ...]:
        quote = intake.quote(0)
        assert quote is not None
        return levels_of(quote, side)

    assert (seen(SELL), seen(BUY)) == (CHEAP[0], asks), "nothing was had"
    world.had(0, bids=((400_000, 60 * E6),), asks=((410_000, 100 * E6), (430_000, E6)))
    assert (seen(SELL), seen(BUY)) == (((400_000, 40 * E6),), asks[1:])
    world.had(0, asks=((410_000, 100 * E6),), generation=2)
    assert seen(BUY) == asks, "that was another market"
