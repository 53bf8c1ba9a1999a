"""The step-and-size rule: the venue's own cases, and the twin."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sizes import (
    bucket,
    common_step,
    legal_limit,
    legal_size_e6,
    step_at,
    tick_at,
    token_price,
    token_size_e6,
)
from shm_layout import BUY, E6, SELL, text_to_int
from tests.conftest import reference
from tests.twins import sizes as twin

GRIDS = [
    (E6, 10_000, 0, 0, 0, 0),  # linear cent
    (100_000, 1_000, 900_000, 10_000, E6, 1_000),  # tapered deci cent (Kalshi crypto)
    (E6, 1_000, 0, 0, 0, 0),
    (E6, 2_500, 0, 0, 0, 0),
    (40_000, 1_000, E6, 10_000, 0, 0),
]


@pytest.mark.parametrize(
    "price, shares",
    [("0.45", "0.2"), ("0.37", "1"), ("0.973", "10"), ("0.50", "0.02"), ("0.56", "0.25"),
     ("0.01", "1"), ("0.0056", "12.5")],
)  # fmt: skip
def test_a_fak_buy_steps_in_whole_cents_of_its_price(price: str, shares: str) -> None:
    assert step_at(text_to_int(price, 6), 10_000, 10_000) == text_to_int(shares, 6)


def test_the_rule_agrees_with_the_venues_precision_cases() -> None:
    path = reference("fixtures/polymarket/amounts_fees_books.json")
    cases = json.loads(path.read_text())["amounts"]
    limits = [each for each in cases if each["kind"] == "limit" and each["side"] == "BUY"]
    assert len(limits) >= 10
    for case in limits:
        price, size = text_to_int(case["price"], 6), int(case["takerAmount"])
        legal = legal_size_e6(size, price, 10_000, 10_000, 10_000, 0) == size
        assert legal == case["venue_precision_ok_if_fak_or_fok"], case


def test_a_venue_without_the_rule_steps_in_lots() -> None:
    assert step_at(370_000, 10_000, 0) == 10_000
    assert legal_size_e6(1_239_999, 370_000, 10_000, 0, 10_000, 0) == 1_230_000


def test_a_marketable_buy_needs_a_dollar() -> None:
    assert legal_size_e6(2 * E6, 450_000, 10_000, 10_000, 10_000, E6) == 0
    assert legal_size_e6(int(2.4 * E6), 450_000, 10_000, 10_000, 10_000, E6) == 2_400_000


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-5, E6 + 5),
    st.sampled_from([0, 1, 10_000, 20_000, E6, 10**12, 10**12 + 1]),
    st.sampled_from([0, 1, 10_000, 12_500, E6]),
)
def test_a_step_equals_the_twin(price: int, step: int, notional: int) -> None:
    assert step_at(price, step, notional) == twin.step_at(price, step, notional)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**12), st.integers(1, E6 - 1))
def test_a_legal_size_is_legal_and_the_largest(wanted: int, price: int) -> None:
    size = legal_size_e6(wanted, price, 10_000, 10_000, 10_000, E6)
    assert size <= wanted
    if size:
        assert size % 10_000 == 0 and price * size % 10**10 == 0 and price * size >= 10**12
        step = twin.step_at(price, 10_000, 10_000)
        assert wanted - size < step
        # what is bought as NO instead is legal there too: judged at 1−p the step is the same
        assert step_at(E6 - price, 10_000, 10_000) == step


@pytest.mark.parametrize(
    "price, wanted, sold",
    [("0.48", "4.12", "4.12"),  # 1.9776 dollars: four decimals, no smallest notional
     ("0.487", "1.01", "1"),  # 0.49187 has five
     ("0.487", "1.1", "1.1"), ("0.13", "4.129", "4.12"), ("0.0005", "1.01", "1")],
)  # fmt: skip
def test_held_tokens_are_sold_in_hundredths_for_four_decimals(
    price: str, wanted: str, sold: str
) -> None:
    numbers = [text_to_int(text, 6) for text in (wanted, price)]
    assert token_size_e6(*numbers, False, 10_000, 10_000, 10_000, E6) == text_to_int(sold, 6)
    bought = token_size_e6(*numbers, True, 10_000, 10_000, 10_000, 0)
    assert bought % 10_000 == 0 and bought * numbers[1] % 10**10 == 0 and bought < numbers[0]


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-5, 2 * 10**12),
    st.integers(-5, E6 + 5),
    st.booleans(),
    st.tuples(
        st.sampled_from([0, 1, 10_000, 10**12, 10**12 + 1]),
        st.sampled_from([0, 1, 100, 10_000, E6]),
        st.sampled_from([0, 10_000, 5 * E6]),
        st.sampled_from([0, E6, 10**12]),
    ),
)
def test_a_size_of_a_token_bought_or_sold_equals_the_twin(
    wanted: int, price: int, is_buy: bool, facts: tuple[int, int, int, int]
) -> None:
    lot, notional_step, least, least_notional = facts
    found = token_size_e6(wanted, price, is_buy, lot, notional_step, least, least_notional)
    assert found == twin.one(wanted, price, is_buy, facts)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_a_common_step_is_a_multiple_of_both_or_none(a: int, b: int) -> None:
    step = common_step(a, b)
    if step:
        assert step % a == 0 and step % b == 0 and step <= 10**12
    assert common_step(0, b) == 0 and common_step(a, -1) == 0
    assert common_step(10**12 - 1, 10**12) == 0  # coarser than any size


@pytest.mark.parametrize("grid", GRIDS)
def test_prices_on_the_grid_and_no_others_are_legal(grid: tuple[int, ...]) -> None:
    legal = twin.legal_prices(grid)
    for price in [*range(0, 120_000, 500), *range(880_000, E6 + 1, 500), 455_000, 460_000, -10_000]:
        assert (tick_at(price, *grid) > 0) == (price in legal), price


@pytest.mark.parametrize("grid", GRIDS)
def test_a_limit_is_rounded_to_the_grid_in_our_favour(grid: tuple[int, ...]) -> None:
    legal = sorted(twin.legal_prices(grid))
    for price in range(-5_000, E6 + 5_000, 777):
        below = [each for each in legal if each <= price]
        above = [each for each in legal if each >= price]
        assert legal_limit(price, BUY, *grid) == (below[-1] if below else 0), price
        assert legal_limit(price, SELL, *grid) == (above[0] if above else 0), price


def test_a_sell_is_judged_where_it_is_bought_as_no() -> None:
    assert token_price(300_000, BUY) == 300_000
    assert token_price(300_000, SELL) == 700_000


@pytest.mark.parametrize("start", [0, 90, 990, 9_990, 10**9])
def test_a_kept_number_of_steps_is_the_twins_and_loses_at_most_a_quarter(start: int) -> None:
    for count in range(start, start + 60):
        assert bucket(count) == twin.bucket(count)
        assert bucket(count) <= count < 1 or 4 * bucket(count) >= 3 * count
