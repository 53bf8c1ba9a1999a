"""The strike of a window whose venue tells none, where its relay was lost around the start."""

from __future__ import annotations

import pytest

from shm_layout import NONE_NS
from tests.engine.test_model import BTCUSD, E8, POLYMARKET_RULE, SPOT_SLOT, Desk
from tests.engine.world import POLYMARKET, RUN_0, SECOND

LOSSES = {  # seconds around the start that are lost, and what history brings of them; the strike
    "none": ((), (), 1),
    "before the start": (range(-30, -8), (), 1),
    "over the start": (range(-30, 4), (), None),
    "over the start, and told later": (range(-30, 4), range(-29, 4), 1),
    "over the start, and told later from after it": (range(-30, 4), range(2, 4), None),
    "after it was taken": (range(4, 9), (), 1),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_strike_is_the_mean_at_the_start_only_if_the_relay_was_heard_until_then(
    name: str,
) -> None:
    """Of the start itself no mean is told: the first after it counts, if we listened."""
    lost, told_later, strike = LOSSES[name]
    desk, start_ns = Desk(), RUN_0 + 40 * SECOND
    desk.world.instrument(1, POLYMARKET, generation=2, settlement_rule=POLYMARKET_RULE.cell,
                          open_epoch_ns=start_ns, index_slot=BTCUSD,
                          spot_slot=SPOT_SLOT)  # fmt: skip
    desk.quotes(generation=2)
    last = -40
    for at in range(-39, 20):
        if at in lost:
            desk.twap(80_000 + last, start_ns + last * SECOND, trust=1)
        elif at != 0:
            if at - 1 in lost:  # trust comes back: first what was there is told again
                desk.twap(80_000 + last, start_ns + last * SECOND)
                for missed in (one for one in told_later if one != 0):
                    desk.twap(80_000 + missed, start_ns + missed * SECOND)
            desk.twap(80_000 + at, start_ns + at * SECOND)
            last = at
        desk.go(1)
    found = desk.market(1)
    assert found is not None
    wanted = NONE_NS if strike is None else (80_000 + strike) * E8
    assert found["generation"] == 2 and found["strike_e8"] == wanted
