"""Fees against the venues' own figures and against plain Python up to the size limit."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.fees import (
    FEE_REFUSED_E6,
    SIZE_MAX_E6,
    UNIT_FEE_REFUSED_E18,
    add_raw,
    charge,
    charged_as,
    fee_e6,
    raw_fee,
    raw_fee_of_one,
    raw_of_match,
    round_fee,
    unit_fee_e18,
)
from shm_layout import (
    E6,
    FEE_HALF,
    FEE_NONE,
    FEE_QUADRATIC,
    FEE_QUARTER,
    FEE_UNKNOWN,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_UP,
    text_to_int,
)
from tests.conftest import reference
from tests.twins import fees as twin

WHOLE = 10**18
prices = st.integers(0, E6) | st.sampled_from([0, 1, 500_000, E6 - 1, E6])
sizes = st.integers(0, SIZE_MAX_E6) | st.sampled_from([0, 1, 37_000_000, SIZE_MAX_E6])
rates = st.integers(0, E6) | st.sampled_from([0, 40_000, 50_000, 70_000])
units = st.sampled_from([1, 7, 10, 100, 10_000, E6])


@pytest.mark.parametrize(
    "contracts, price, direct, cent",
    [  # reference kalshi 11, taker, M 1: direct member / through a broker
        ("1", "0.50", "0.0175", "0.02"),
        ("1", "0.01", "0.0007", "0.01"),
        ("1", "0.05", "0.0034", "0.01"),
        ("100", "0.05", "0.3325", "0.34"),
        ("100", "0.50", "1.75", "1.75"),
        ("0.5", "0.50", "0.0088", "0.01"),
        ("100", "0.005", "0.0349", "0.04"),
        ("1", "0.52", "0.0175", "0.02"),  # a real fill: fee_cost 0.017500
        ("1", "0.99", "0.0007", "0.01"),  # a real fill (demo)
        ("5", "0.43", "0.0858", "0.09"),  # a real fill: 5 NO
    ],
)
def test_kalshi_fees_are_those_of_its_check_table(
    contracts: str, price: str, direct: str, cent: str
) -> None:
    args = text_to_int(price, 6), text_to_int(contracts, 6), 70_000, 1
    assert fee_e6(*args, 100, ROUND_UP) == text_to_int(direct, 6)
    assert fee_e6(*args, 10_000, ROUND_UP) == text_to_int(cent, 6)


def test_polymarket_fees_are_those_of_settled_trades() -> None:
    path = reference("fixtures/polymarket/amounts_fees_books.json")
    cases = json.loads(path.read_text())["taker_fees"]
    assert sum(case["kind"] == "real" for case in cases) == 2
    for case in cases:
        price, size = text_to_int(case["price"], 6), text_to_int(case["shares"], 6)
        rate = text_to_int(case["rate"], 6)
        found = fee_e6(price, size, rate, case["exponent"], 10, ROUND_DOWN)
        assert found == case["fee_base_units"], case


def test_a_rounded_fee_would_miss_the_settled_trade() -> None:
    """Negative control: 0.373527 was charged as 0.37352."""
    assert fee_e6(990_000, 539 * E6, 70_000, 1, 10, ROUND_DOWN) == 373_520
    assert fee_e6(990_000, 539 * E6, 70_000, 1, 10, ROUND_UP) == 373_530


@settings(max_examples=400, deadline=None)
@given(prices, sizes, rates, st.integers(0, 1), units, st.integers(0, 2))
def test_fees_equal_the_twin_to_the_size_limit(
    price: int, size: int, rate: int, exponent: int, unit: int, mode: int
) -> None:
    assert fee_e6(price, size, rate, exponent, unit, mode) == twin.fee(
        price, size, rate, exponent, unit, mode
    )


@settings(max_examples=300, deadline=None)
@given(prices, sizes, rates, st.integers(2, 3))
def test_higher_exponents_are_rounded_up_to_1e_24(
    price: int, size: int, rate: int, exponent: int
) -> None:
    hi, lo = raw_fee(price, size, rate, exponent)
    exact, found = twin.raw(price, size, rate, exponent), hi + Fraction(lo, WHOLE)
    assert exact <= found < exact + Fraction(exponent, WHOLE)


@settings(max_examples=400, deadline=None)
@given(prices, sizes, rates, st.integers(0, 3), st.data())
def test_a_match_is_charged_at_its_average_price(
    price: int, size: int, rate: int, exponent: int, data: st.DataObject
) -> None:
    cost = price * size - data.draw(st.integers(0, min(price * size, E6 - 1)))
    hi, lo = raw_of_match(cost, size, rate, exponent)
    found = hi + Fraction(lo, WHOLE)
    average = Fraction(cost, size * E6) if size else Fraction(0)
    exact = Fraction(rate, E6) * size * (average * (1 - average)) ** exponent
    slack = Fraction(1, WHOLE) if exponent < 2 else Fraction(exponent * size, 10**11)
    assert exact <= found < exact + slack or found == exact == 0
    if cost == price * size:
        assert (hi, lo) == raw_fee(price, size, rate, exponent)


@settings(max_examples=200, deadline=None)
@given(prices, rates, st.integers(0, 3))
def test_the_fee_of_one_contract_is_that_of_a_million_a_millionth(
    price: int, rate: int, exponent: int
) -> None:
    exact = twin.raw(price, E6, rate, exponent) * 10**12
    assert exact <= unit_fee_e18(price, rate, exponent) < exact + 1
    assert unit_fee_e18(price, rate, exponent) <= WHOLE < UNIT_FEE_REFUSED_E18
    for wrong in ((E6 + 1, rate, exponent), (price, E6 + 1, exponent), (price, rate, 4)):
        assert unit_fee_e18(*wrong) == UNIT_FEE_REFUSED_E18


@pytest.mark.parametrize(
    "price, size, rate, exponent",
    [
        (-1, E6, 70_000, 1),
        (E6 + 1, E6, 70_000, 1),
        (500_000, SIZE_MAX_E6 + 1, 70_000, 1),
        (500_000, -1, 70_000, 1),
        (500_000, E6, E6 + 1, 1),
        (500_000, E6, -1, 1),
        (500_000, E6, 70_000, 4),
        (500_000, E6, 70_000, -1),
        (2**62, 2**62, 2**62, 1),
    ],
)
def test_out_of_range_is_dearer_than_any_edge(
    price: int, size: int, rate: int, exponent: int
) -> None:
    for mode in (ROUND_UP, ROUND_DOWN, ROUND_HALF_EVEN):
        assert fee_e6(price, size, rate, exponent, 100, mode) >= FEE_REFUSED_E6
    assert fee_e6(500_000, E6, 70_000, 1, 0, ROUND_UP) == FEE_REFUSED_E6


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(prices, st.integers(0, 10**11)), min_size=1, max_size=5), rates, units)
def test_an_order_that_walks_levels_is_rounded_once(
    levels: list[tuple[int, int]], rate: int, unit: int
) -> None:
    hi, lo = 0, 0
    for price, size in levels:
        hi, lo = add_raw(hi, lo, price, size, rate, 1)
    cost, whole = sum(price * size for price, size in levels), sum(size for _, size in levels)
    for mode in (ROUND_UP, ROUND_HALF_EVEN):
        found = charge(hi, lo, cost, unit, mode)
        assert found == twin.order(levels, rate, 1, unit, mode)
    each = sum(twin.fee(price, size, rate, 1, unit, ROUND_UP) for price, size in levels)
    assert charge(hi, lo, cost, unit, ROUND_UP) <= each
    average = charge(*raw_of_match(cost, whole, rate, 1), cost, unit, ROUND_DOWN)
    assert average == twin.order(levels, rate, 1, unit, ROUND_DOWN)
    assert average >= round_fee(hi, lo, unit, ROUND_DOWN)  # p·(1−p) is concave


def test_what_is_moved_is_rounded_not_the_fee_alone() -> None:
    """0.01 contracts at 0.055 cost $0.00055 and have a fee of $0.000036...: $0.0006 are moved."""
    assert fee_e6(55_000, 10_000, 70_000, 1, 100, ROUND_UP) == 50
    assert round_fee(*raw_fee(55_000, 10_000, 70_000, 1), 100, ROUND_UP) == 100


def test_a_sum_with_a_refused_level_stays_refused() -> None:
    hi, lo = add_raw(*raw_fee(500_000, E6, 70_000, 1), 500_000, SIZE_MAX_E6 + 1, 70_000, 1)
    assert round_fee(hi, lo, 100, ROUND_DOWN) == FEE_REFUSED_E6


def test_an_unknown_kind_counts_as_the_worst_known() -> None:
    known = (70_000, 1, 100, ROUND_UP)
    for kind in (FEE_QUADRATIC, FEE_QUARTER, FEE_HALF):
        assert charged_as(kind, *known) == known
    assert fee_e6(500_000, E6, *charged_as(FEE_NONE, *known)) == 0
    for kind in (FEE_UNKNOWN, 99, -1):
        for rate in (0, 20_000, 90_000):
            worst = fee_e6(500_000, E6, *charged_as(kind, rate, 1, 10, ROUND_DOWN))
            assert worst >= fee_e6(500_000, E6, max(rate, 70_000), 1, 100, ROUND_UP)


@settings(max_examples=500, deadline=None)
@given(prices | st.integers(-5, E6 + 5), rates | st.integers(-5, E6 + 5), st.integers(-1, 4))
def test_the_fee_of_one_is_that_of_any_number(price: int, rate: int, exponent: int) -> None:
    assert raw_fee_of_one(price, rate, exponent) == raw_fee(price, E6, rate, exponent)
