"""A match's fee from its amounts is the venue's own, to the last unit."""

from __future__ import annotations

import random

import pytest

from engine.charge import fee_of
from engine.fees import fee
from gateway.ports import Facts
from ops.venues.fees import polymarket_fee_e6
from shm_layout import E6, FEE_NONE, FEE_QUADRATIC, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP


def facts(
    rate_e6: int = 70_000, *, exponent: int = 1, kind: int = FEE_QUADRATIC, unit_e6: int = 10,
    mode: int = ROUND_DOWN,
) -> Facts:  # fmt: skip
    return Facts(rate_e6, exponent, kind, unit_e6, mode, 0, 0, 0, 0, ())


def test_two_levels_are_charged_at_their_exact_average() -> None:
    """Seen when gateways were killed: 1e-5 dollars between our books and the venue's."""
    amounts = 59_570_000, 164_297_297
    assert fee_of(*amounts, facts()) == 2_658_000
    assert fee(amounts[0] * E6 // amounts[1], amounts[1], facts()) == 2_657_990, "a price cut off"


@pytest.mark.parametrize("seed", range(5))
def test_it_is_what_the_simulated_venue_charges(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(2_000):
        size_e6 = chance.randrange(1, 5_000 * E6)
        notional_e6 = chance.randrange(0, size_e6 + 1)
        rate_e6, exponent = chance.choice((0, 25_000, 70_000)), chance.choice((1, 1, 2))
        theirs_e6 = polymarket_fee_e6(
            shares_e6=size_e6, cost_e6=notional_e6, rate_e6=rate_e6, exponent=exponent
        )
        ours_e6 = fee_of(notional_e6, size_e6, facts(rate_e6, exponent=exponent))
        assert ours_e6 == theirs_e6, (notional_e6, size_e6)


@pytest.mark.parametrize("mode", [ROUND_UP, ROUND_DOWN, ROUND_HALF_EVEN])
@pytest.mark.parametrize("unit_e6", [10, 100, 10_000])
def test_at_one_price_it_is_the_fee_that_decisions_use(unit_e6: int, mode: int) -> None:
    chance = random.Random(f"{unit_e6}/{mode}")
    for _ in range(500):
        price_e6, size_e6 = chance.randrange(1, 100) * 10_000, chance.randrange(1, 10**5) * 10_000
        told = facts(unit_e6=unit_e6, mode=mode)
        assert fee_of(price_e6 * size_e6 // E6, size_e6, told) == fee(price_e6, size_e6, told)


def test_nothing_filled_and_no_fees_cost_nothing_and_an_unknown_kind_the_most() -> None:
    assert fee_of(0, 0, facts()) == 0
    assert fee_of(5 * E6, 10 * E6, facts(kind=FEE_NONE)) == 0
    assert fee_of(5 * E6, 10 * E6, facts(10_000, kind=99)) == 180_000, "7 %, up to a whole cent"
