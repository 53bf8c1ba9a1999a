"""What the last look counts a leg at is never less than what the venue takes: against the
simulated venues' own matcher and fee code, over random orders and books. And no unwind comes out
of the ring: it would pass every limit.
"""

from __future__ import annotations

import random

import pytest

from engine.fees import fee_e6
from engine.sizes import token_size_e6
from gateway import memory as m
from ops.last_look import take, worst_fee
from ops.venues.book import Budget, MarketBook, cost_up_e6, unit_cost_e6
from ops.venues.fees import KalshiFeeTerms, KalshiOrderFee, polymarket_fee_e6
from ops.venues.script import ASK, BID
from shm_layout import (
    BUY,
    E6,
    FLAG_REDUCE,
    FLAG_UNWIND,
    REASONS,
    ROUND_DOWN,
    ROUND_UP,
    SELL,
)
from tests.gateway.scene import KALSHI, Scene

CASES = 3_000
AT = m.LOOKS_AT
MEMORY = m.Memory()


def counted_e6(
    limit_e6: int, price_e6: int, side: int, size_e6: int, step_e6: int,
    fees: tuple[int, int, int, int],
) -> int:  # fmt: skip
    """Cost in cash that the last look counts, highest fee included."""
    cells = MEMORY.cells
    cells[AT + m.Q_NOTIONAL_STEP], cells[AT + m.K_SIDE], cells[AT + m.K_PRICE] = (
        step_e6, side, price_e6,
    )  # fmt: skip
    cost_e6 = -(-price_e6 * size_e6 // E6)
    return cost_e6 + int(worst_fee(MEMORY.words, AT, limit_e6, size_e6, *fees))


def book(chance: random.Random, limit_e6: int, side: int) -> MarketBook:
    """A few levels at the limit or better for a taker on `side`, in YES terms."""
    found = MarketBook()
    span = range(10_000, limit_e6 + 1, 10_000) if side == BID else range(limit_e6, E6, 10_000)
    prices = chance.sample(list(span), min(len(span), chance.randrange(1, 7)))
    levels = [(price, chance.choice((1, 7, 90, 2_000, 10**6)) * 10_000) for price in prices]
    found.set_book([] if side == BID else levels, levels if side == BID else [])
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_a_budget_never_spends_more_than_the_last_look_counts(seed: int, exponent: int) -> None:
    chance, seen, better = random.Random(seed), 0, 0
    for _ in range(CASES // 9):
        rate_e6, is_no = chance.choice((0, 20_000, 50_000, 70_000, E6)), chance.random() < 0.5
        price_e6 = chance.randrange(1, 100) * 10_000
        size_e6 = int(token_size_e6(chance.randrange(10**9), price_e6, True, 10_000, 10_000, 0, E6))
        if not size_e6:
            continue
        limit_e6, side = (E6 - price_e6, ASK) if is_no else (price_e6, BID)
        budget_e6 = price_e6 * size_e6 // E6
        plan = book(chance, limit_e6, side).plan(
            side, limit_e6, size_e6, budget=Budget(budget_e6, is_no)
        )
        money_e6 = sum(
            cost_up_e6(take.size_e6, unit_cost_e6(take.price_e6, is_no)) for take in plan.takes
        )
        charged_e6 = polymarket_fee_e6(
            shares_e6=plan.size_e6, cost_e6=money_e6, rate_e6=rate_e6, exponent=exponent
        )
        fees = rate_e6, exponent, 10, ROUND_DOWN
        counted = counted_e6(limit_e6, price_e6, BUY, size_e6, 10_000, fees)
        assert money_e6 + charged_e6 <= counted, (price_e6, size_e6, plan)
        at_limit_e6 = -(-price_e6 * size_e6 // E6) + fee_e6(limit_e6, size_e6, *fees)
        seen += plan.size_e6 > size_e6
        better += money_e6 + charged_e6 > at_limit_e6
    assert seen > 20 and (better or exponent == 2), "no budget bought more than was asked"


@pytest.mark.parametrize("side", [BUY, SELL])
def test_kalshi_never_takes_more_than_the_last_look_counts(side: int) -> None:
    chance = random.Random(side)
    for _ in range(CASES):
        limit_e6, size_e6 = chance.randrange(1, 100) * 10_000, chance.randrange(1, 5_000) * 10_000
        terms = KalshiFeeTerms()
        order, taken_e6 = KalshiOrderFee(terms), 0
        shown = book(chance, limit_e6, BID if side == BUY else ASK)
        for take_ in shown.plan(BID if side == BUY else ASK, limit_e6, size_e6).takes:
            unit_e6 = unit_cost_e6(take_.price_e6, side == SELL)
            cost_e6 = cost_up_e6(take_.size_e6, unit_e6)
            taken_e6 += cost_e6 + order.charge_e6(
                take_.price_e6, take_.size_e6, -cost_e6, is_taker=True
            )
        price_e6 = limit_e6 if side == BUY else E6 - limit_e6
        fees = 70_000, 1, 100, ROUND_UP
        assert taken_e6 <= counted_e6(limit_e6, price_e6, side, size_e6, 0, fees)


@pytest.mark.parametrize("flags", [FLAG_UNWIND, FLAG_UNWIND | FLAG_REDUCE])
def test_an_unwind_out_of_the_ring_is_refused(flags: int) -> None:
    scene, memory = Scene(), m.Memory()
    accounts = scene.tell(memory)
    accounts.position(KALSHI).yes_e6 = 10 * E6
    accounts.refresh()
    scene.intent(scene.leg(KALSHI, SELL, 400_000), flags=flags)
    words = scene.segment.words
    assert REASONS[take(words, memory.words, scene.clock())] == "reduce_only"
