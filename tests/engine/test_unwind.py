"""A lone leg: completed or given back, in the right market, on the right side, within the cap."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace

import pytest

from engine.fees import fee
from engine.unwind import COMPLETE, GIVE_BACK, HALT, STEPS, Plan, plan_lone, plan_unwind
from shm_layout import BUY, E6, FEE_QUADRATIC, ROUND_DOWN, ROUND_UP, SELL

Levels = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Market:
    """Facts of a market, as the desk has them."""

    fee_kind: int = FEE_QUADRATIC
    rate_e6: int = 70_000
    exponent: int = 1
    fee_unit_e6: int = 100
    fee_mode: int = ROUND_UP
    size_min_e6: int = 10_000
    size_step_e6: int = 10_000
    notional_min_e6: int = 0
    notional_step_e6: int = 0
    grid: tuple[int, ...] = (E6, 10_000, 0, 0, 0, 0)


KALSHI = Market()
POLYMARKET = Market(
    rate_e6=50_000, fee_unit_e6=10, fee_mode=ROUND_DOWN, notional_min_e6=E6, notional_step_e6=10_000
)


@dataclass(frozen=True)
class Missing:
    """What the desk hands in of the other leg."""

    side: int
    levels: Levels
    facts: Market


@dataclass(frozen=True)
class LoneLeg:
    """What the desk hands in."""

    side: int = BUY
    size_e6: int = 40 * E6
    price_e6: int = 450_000
    levels: Levels = ((440_000, 100 * E6),)
    loss_cap_e6: int = 5 * E6
    spent_e6: int = 0
    attempt: int = 0
    is_blind: bool = False
    facts: Market = KALSHI


def other(side: int) -> int:
    return SELL if side == BUY else BUY


def value(side: int, price_e6: int, pays_yes: int) -> int:
    """What one contract of a leg in YES terms leaves at settlement, before fees."""
    pays = E6 * pays_yes
    return pays - price_e6 if side == BUY else price_e6 - pays


@pytest.mark.parametrize(
    "missing_leg, missing_side, same", list(itertools.product((0, 1), repeat=3))
)
@pytest.mark.parametrize("still_there", [True, False])
def test_each_combination_of_leg_side_and_polarity(
    missing_leg: int, missing_side: int, same: int, still_there: bool
) -> None:
    """Completed, both outcomes pay the same; given back, nothing is left; never the wrong market
    or side."""
    filled_side = other(missing_side) if same else missing_side
    facts = [KALSHI, POLYMARKET]
    if missing_leg == 0:
        facts.reverse()
    filled_facts, missing_facts = facts
    entry = 450_000 if filled_side == BUY else 550_000
    # At its own price of the decision (3 cents of edge) or gone by 10 cents.
    shift = 0 if still_there else 100_000
    missing_price = 520_000 + shift if missing_side == BUY else 480_000 - shift
    back = entry - 10_000 if filled_side == BUY else entry + 10_000
    lone = LoneLeg(side=filled_side, price_e6=entry, levels=((back, 100 * E6),), facts=filled_facts)
    missing = Missing(side=missing_side, levels=((missing_price, 100 * E6),), facts=missing_facts)
    plan = plan_lone(lone, missing)
    assert plan.size_e6 == 40 * E6
    if still_there:
        assert (plan.action, plan.side, plan.limit_e6) == (COMPLETE, missing_side, missing_price)
        ends = []
        for yes_filled in (0, 1):
            yes_missing = yes_filled if same else 1 - yes_filled
            ends.append(
                value(filled_side, entry, yes_filled)
                + value(missing_side, missing_price, yes_missing)
            )
        assert ends[0] == ends[1]
        charged = fee(missing_price, plan.size_e6, missing_facts)
        assert plan.loss_e6 == -ends[0] * 40 + charged
    else:
        assert (plan.action, plan.side, plan.limit_e6) == (GIVE_BACK, other(filled_side), back)
        left = value(filled_side, entry, 1) + value(other(filled_side), back, 1)
        assert left == value(filled_side, entry, 0) + value(other(filled_side), back, 0) == -10_000
        assert plan.loss_e6 == 40 * 10_000 + fee(back, plan.size_e6, filled_facts)


def test_the_desk_gets_size_and_limit_on_the_other_side() -> None:
    assert plan_unwind(LoneLeg()) == (40 * E6, 440_000)
    bought_back = LoneLeg(side=SELL, price_e6=450_000, levels=((460_000, 100 * E6),))
    assert plan_unwind(bought_back) == (40 * E6, 460_000)


def test_depth_is_walked_to_the_level_that_holds_the_size() -> None:
    lone = LoneLeg(levels=((440_000, 10 * E6), (430_000, 10 * E6), (420_000, 100 * E6)))
    assert plan_unwind(lone) == (40 * E6, 420_000)


def test_the_loss_of_all_tries_together_stays_within_the_cap() -> None:
    deep = LoneLeg(levels=((400_000, 100 * E6),), loss_cap_e6=E6)
    found = plan_unwind(deep)
    assert found is not None
    size, limit = found
    loss = (450_000 - limit) * size // E6 + fee(limit, size, KALSHI)
    assert size < 40 * E6 and loss <= E6 and loss > E6 * 9 // 10
    assert plan_unwind(replace(deep, spent_e6=E6)) is None
    assert plan_unwind(replace(deep, loss_cap_e6=0)) is None


@pytest.mark.parametrize("side, step", [(BUY, -1), (SELL, 1)])
def test_each_try_reaches_further_and_never_beyond_the_cap(side: int, step: int) -> None:
    at = 450_000 + step * 10_000
    limits = []
    for attempt in range(STEPS + 3):
        lone = LoneLeg(side=side, levels=((at, 100 * E6),), attempt=attempt, loss_cap_e6=4 * E6)
        found = plan_unwind(lone)
        assert found is not None
        size, limit = found
        limits.append(limit)
        assert abs(limit - 450_000) * size // E6 + fee(limit, size, KALSHI) <= 4 * E6
    assert limits[0] == at and limits == sorted(limits, reverse=step < 0)
    assert limits[-1] == limits[STEPS] != limits[0]


@pytest.mark.parametrize("side, step", [(BUY, -1), (SELL, 1)])
def test_without_a_book_to_trust_the_first_tries_reach_the_cap(side: int, step: int) -> None:
    assert plan_unwind(LoneLeg(side=side, levels=())) is None, "an empty book is waited for"
    blind = LoneLeg(side=side, is_blind=True, loss_cap_e6=2 * E6)
    found = plan_unwind(blind)
    assert found is not None
    size, limit = found
    loss = abs(limit - 450_000) * size // E6 + fee(limit, size, KALSHI)
    assert size == 40 * E6 and (limit - 450_000) * step >= 20_000 and loss <= 2 * E6
    last = replace(blind, attempt=STEPS - 1)
    assert plan_unwind(last) == found
    assert plan_unwind(replace(blind, attempt=STEPS)) is None  # the other tries wait for a book
    assert plan_unwind(replace(blind, loss_cap_e6=0)) is None


def test_too_little_for_an_order_is_no_plan() -> None:
    assert plan_unwind(LoneLeg(size_e6=9_999)) is None


def test_the_cap_holds_when_only_the_limit_is_left_of_the_levels() -> None:
    """Ten at 0.45 and thirty at 0.40 lose $1.50 and fees; all forty at 0.40 lose two."""
    lone = LoneLeg(levels=((450_000, 10 * E6), (400_000, 90 * E6)), loss_cap_e6=22 * E6 // 10)
    found = plan_unwind(lone)
    assert found is not None
    size, limit = found
    assert limit == 400_000 and 30 * E6 < size < 40 * E6
    assert 50_000 * size // E6 + fee(limit, size, KALSHI) <= 22 * E6 // 10
    # Little beyond the touch: more contracts fit at its price than at the next.
    assert plan_unwind(replace(lone, levels=((450_000, 39 * E6), (400_000, E6)))) == (
        39 * E6,
        450_000,
    )


@pytest.mark.parametrize("seed", range(60))
def test_no_plan_costs_more_at_its_limit_than_the_cap_leaves(seed: int) -> None:
    rng = random.Random(seed)
    side, facts = (
        rng.choice([BUY, SELL]),
        rng.choice([KALSHI, POLYMARKET, replace(KALSHI, fee_kind=0)]),
    )
    entry = rng.randrange(20, 980) * 1_000
    prices = sorted({rng.randrange(1, 99) * 10_000 for _ in range(5)}, reverse=side == BUY)
    lone = LoneLeg(
        side=side, price_e6=entry, size_e6=rng.randrange(1, 5_000) * 100_000, facts=facts,
        levels=tuple((price, rng.randrange(1, 300) * E6) for price in prices[rng.randrange(5):]),
        loss_cap_e6=rng.randrange(1, 60) * 500_000, spent_e6=rng.randrange(10) * 250_000,
        attempt=rng.randrange(2 * STEPS), is_blind=rng.random() < 0.2,
    )  # fmt: skip
    shown = [price for price, _ in lone.levels]
    missing = Missing(
        side=rng.choice([BUY, SELL]), levels=((rng.randrange(1, 99) * 10_000, 80 * E6),),
        facts=KALSHI,
    )  # fmt: skip
    plan = plan_lone(lone, missing)
    if plan.action == HALT:
        return
    limit, size = plan.limit_e6, plan.size_e6
    if plan.action == GIVE_BACK:
        unit = entry - limit if side == BUY else limit - entry
        shown = [] if lone.is_blind else shown
        assert not shown or (limit <= shown[0] if side == BUY else limit >= shown[0])
    else:
        facts = missing.facts
        paid = entry if side == BUY else E6 - entry
        unit = paid + (limit if missing.side == BUY else E6 - limit) - E6
    lost = -(-unit * size // E6) + fee(limit, size, facts)
    assert lost == plan.loss_e6 and lost <= max(lone.loss_cap_e6 - lone.spent_e6, 0)


def test_a_halt_names_what_the_contracts_cost() -> None:
    assert plan_lone(LoneLeg(levels=(), attempt=STEPS)) == Plan(
        action=HALT, side=BUY, size_e6=40 * E6, limit_e6=0, loss_e6=18 * E6
    )
    sold = plan_lone(LoneLeg(side=SELL, levels=(), attempt=STEPS))
    assert sold.loss_e6 == 22 * E6


def test_a_sold_token_needs_no_dollar_but_a_completion_does() -> None:
    lone = LoneLeg(size_e6=E6, facts=POLYMARKET)
    assert plan_unwind(lone) == (E6, 440_000)
    missing = Missing(side=SELL, levels=((480_000, 100 * E6),), facts=POLYMARKET)
    gone = replace(lone, levels=(), attempt=STEPS)
    assert plan_lone(gone, missing).action == HALT  # NO at 0.52: 52 cents


def test_a_completion_at_a_budget_venue_takes_its_touch_only() -> None:
    missing = Missing(side=SELL, levels=((500_000, 10 * E6), (490_000, 100 * E6)), facts=POLYMARKET)
    plan = plan_lone(LoneLeg(), missing)
    assert (plan.action, plan.size_e6, plan.limit_e6) == (COMPLETE, 10 * E6, 500_000)


def test_a_limit_stays_on_the_grid() -> None:
    tapered = replace(KALSHI, grid=(100_000, 1_000, 900_000, 10_000, E6, 1_000))
    for attempt in range(STEPS + 1):
        lone = LoneLeg(
            price_e6=105_000, levels=((99_000, 100 * E6),), attempt=attempt, facts=tapered,
            loss_cap_e6=10 * E6,
        )  # fmt: skip
        found = plan_unwind(lone)
        assert found is not None and found[1] % 1_000 == 0 and 0 < found[1] <= 99_000
