"""Our fees beside those of the simulated venues (Decimal, written apart) over 100,000 random
orders, and beside every fill of the reference that really happened."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from engine.charge import OrderFees, fee_of
from engine.fees import add_raw, charge, charged_as, fee, raw_of_match
from gateway.ports import Facts
from ops.venues.fees import KalshiFeeTerms, KalshiOrderFee, polymarket_fee_e6
from shm_layout import (
    E6,
    FEE_HALF,
    FEE_QUADRATIC,
    FEE_QUARTER,
    FEE_UNKNOWN,
    ROUND_DOWN,
    ROUND_UP,
    text_to_int,
)
from tests.conftest import reference

ORDERS = 50_000  # at each venue
KINDS = {
    "quadratic": FEE_QUADRATIC,
    "quadratic_with_maker_fees": FEE_QUARTER,
    "quadratic_with_combo_maker_fees": FEE_HALF,
    "flat": FEE_UNKNOWN,
    "a_new_one": FEE_UNKNOWN,
}
GRID_E6 = 100
Fills = list[tuple[int, int]]


def kalshi_facts(kind: str, multiplier_e6: int) -> Facts:
    rate_e6 = 70_000 * multiplier_e6 // E6
    return Facts(rate_e6, 1, KINDS[kind], GRID_E6, ROUND_UP, 10_000, 10_000, 0, 0, ())


def polymarket_facts(rate_e6: int, exponent: int = 1) -> Facts:
    return Facts(rate_e6, exponent, FEE_QUADRATIC, 10, ROUND_DOWN, 0, 10_000, E6, 10_000, ())


def fills_of(chance: random.Random, tick_e6: int) -> Fills:
    """One to five fills of an order (price, size), in lots of a hundredth."""
    price_e6 = chance.randrange(tick_e6, E6, tick_e6)
    fills = []
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        lots = chance.choice((chance.randrange(1, 20), chance.randrange(1, 10**6)))
        fills.append((price_e6, lots * 10_000))
        price_e6 = min(price_e6 + tick_e6 * chance.randrange(1, 9), E6 - tick_e6)
    return fills


def ours_e6(fills: Fills, facts: Facts) -> int:
    """What the decisions' kernels count for a whole order of a token bought."""
    terms = facts.fee_kind, facts.rate_e6, facts.exponent, facts.fee_unit_e6, facts.fee_mode
    rate, exponent, unit, mode = charged_as(*terms)
    hi, lo = 0, 0
    for price_e6, size_e6 in fills:
        hi, lo = add_raw(hi, lo, price_e6, size_e6, rate, exponent)
    cost_e12 = sum(price_e6 * size_e6 for price_e6, size_e6 in fills)
    if mode == ROUND_DOWN:
        hi, lo = raw_of_match(cost_e12, sum(size_e6 for _, size_e6 in fills), rate, exponent)
    return int(charge(hi, lo, cost_e12, unit, mode))


def test_kalshi_charges_a_taker_what_decisions_count() -> None:
    """In whole cents always; off them a fill with a fee below $0.0001 cannot give rounding back."""
    chance, seen = random.Random(11), Counter[str]()
    for _ in range(ORDERS):
        kind, multiplier_e6 = (
            chance.choice(list(KINDS)),
            chance.choice((0, 250_000, E6, E6, 1_500_000)),
        )
        tick_e6 = chance.choice((10_000, 10_000, 1_000, 100))
        fills, facts = fills_of(chance, tick_e6), kalshi_facts(kind, multiplier_e6)
        venue = KalshiOrderFee(KalshiFeeTerms(kind=kind, multiplier_e6=multiplier_e6))
        closes = chance.random() < 0.3  # YES sold at 1 − p moves the balance as NO bought at p
        theirs, is_small = 0, False
        for price_e6, size_e6 in fills:
            cost_e6 = price_e6 * size_e6 // E6
            moved_e6 = size_e6 - cost_e6 if closes else -cost_e6
            charged_e6 = venue.charge_e6(price_e6, size_e6, moved_e6, is_taker=True)
            is_small |= charged_e6 < GRID_E6
            theirs += charged_e6
        found = ours_e6(fills, facts)
        if KINDS[kind] == FEE_UNKNOWN:
            assert found >= theirs, (kind, fills)
            seen["unknown"] += 1
        elif tick_e6 == 10_000 or not is_small:
            assert found == theirs, (kind, multiplier_e6, fills)
            seen["exact"] += 1
        else:
            assert found <= theirs < found + len(fills) * GRID_E6, (kind, fills)
            seen["small"] += found != theirs
    assert seen["exact"] > 25_000 and seen["unknown"] > 10_000, seen
    assert 0 < seen["small"] < 2_000, seen  # half of the fills are below 0.2 contracts here


def test_kalshi_charges_each_fill_of_takers_and_makers_as_we_do() -> None:
    chance, makers = random.Random(12), 0
    for _ in range(ORDERS // 2):
        kind, multiplier_e6 = (
            chance.choice(list(KINDS)[:3]),
            chance.choice((0, 250_000, E6, 2 * E6)),
        )
        facts = kalshi_facts(kind, multiplier_e6)
        venue = KalshiOrderFee(KalshiFeeTerms(kind=kind, multiplier_e6=multiplier_e6))
        ours = OrderFees(facts)
        for price_e6, size_e6 in fills_of(chance, chance.choice((10_000, 1_000, 100))):
            is_taker = chance.random() < 0.6
            cost_e6 = price_e6 * size_e6 // E6
            moved_e6 = chance.choice((-cost_e6, size_e6 - cost_e6))
            theirs = venue.charge_e6(price_e6, size_e6, moved_e6, is_taker=is_taker)
            assert ours.next(moved_e6, cost_e6, size_e6, is_taker=is_taker) == theirs
            makers += not is_taker and theirs > 0
    assert makers > 5_000


def test_polymarket_charges_what_decisions_and_books_count() -> None:
    chance = random.Random(13)
    for _ in range(ORDERS):
        rate_e6, exponent = chance.choice((0, 40_000, 50_000, 70_000)), chance.choice((1, 1, 1, 2))
        fills = fills_of(chance, chance.choice((10_000, 1_000)))
        size_e6 = sum(size for _, size in fills)
        cost_e6 = sum(price * size // E6 for price, size in fills)
        facts = polymarket_facts(rate_e6, exponent)
        theirs = polymarket_fee_e6(
            shares_e6=size_e6, cost_e6=cost_e6, rate_e6=rate_e6, exponent=exponent
        )
        assert fee_of(cost_e6, size_e6, facts) == theirs, (fills, rate_e6, exponent)
        assert ours_e6(fills, facts) == theirs, (fills, rate_e6, exponent)
        assert OrderFees(facts).next(-cost_e6, cost_e6, size_e6, is_taker=False) == 0


@pytest.mark.parametrize("cut", ["sum of levels", "fee rounded alone", "flat type at its word"])
def test_another_rule_would_be_seen(cut: str) -> None:
    """Negative controls: each is what an earlier version did, and is told apart."""
    if cut == "sum of levels":
        fills = [(100_000, 100 * E6), (500_000, 100 * E6)]
        each = sum(fee(price, size, polymarket_facts(70_000)) for price, size in fills)
        theirs = polymarket_fee_e6(shares_e6=200 * E6, cost_e6=60 * E6, rate_e6=70_000, exponent=1)
        assert each < ours_e6(fills, polymarket_facts(70_000)) == theirs
    elif cut == "fee rounded alone":
        venue = KalshiOrderFee(KalshiFeeTerms())
        theirs = venue.charge_e6(55_000, 10_000, -550, is_taker=True)
        assert fee(55_000, 10_000, kalshi_facts("quadratic", E6)) == theirs == 50
    else:
        assert fee(500_000, E6, kalshi_facts("flat", 0)) == 20_000
        assert fee(500_000, E6, kalshi_facts("quadratic", 0)) == 0


def test_real_kalshi_fills_and_the_documents_example() -> None:
    rows = json.loads(reference("fixtures/kalshi/rest/fills.json").read_text())["fills"]
    rows.append(json.loads(reference("fixtures/kalshi/composed/fill_current.json").read_text()))
    assert len(rows) == 4
    for row in rows:
        row = row.get("fill", row.get("msg", row.get("fills", [row])[0]))
        size_e6 = text_to_int(row["count_fp"], 6)
        is_no = row["outcome_side"] == "no"
        price_e6 = text_to_int(row["no_price_dollars" if is_no else "yes_price_dollars"], 6)
        wanted = text_to_int(row["fee_cost"], 6)
        facts = kalshi_facts("quadratic", E6)
        assert row["is_taker"] and fee(price_e6, size_e6, facts) == wanted, row
        assert fee_of(price_e6 * size_e6 // E6, size_e6, facts) == wanted


def test_real_fills_on_chain() -> None:
    found = json.loads(reference("fixtures/polymarket/onchain_fills.json").read_text())
    takers = []
    for row in found["match_orders"]:
        taker = row["taker"]
        size_e6 = taker["fill"] * taker["takerAmount"] // taker["makerAmount"]
        takers.append((taker["fill"], size_e6, taker["fee"]))
        assert all(maker["fee"] == 0 for maker in row["makers"])
    takers += [
        (row["taker_fill"]["makerAmt"], row["taker_fill"]["takerAmt"], row["taker_fill"]["fee"])
        for row in found["order_filled"]
    ]
    assert len(takers) == 3
    for notional_e6, size_e6, charged_e6 in takers:
        assert fee_of(notional_e6, size_e6, polymarket_facts(70_000)) == charged_e6
        price_e6 = notional_e6 * E6 // size_e6
        assert fee(price_e6, size_e6, polymarket_facts(70_000)) == charged_e6
