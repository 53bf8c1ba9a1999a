"""Sizes and amounts: exact, legal at the venue, kept by the pool; the detector's rule agrees."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sizes import legal_size_e6
from gateway.order_amounts import amounts_e6, bucket, next_down, next_up, pool_size_e6
from gateway.policy import is_on_grid
from shm_layout import E6, text_to_int
from tests.gateway.signing_kit import GRID_CENT, GRID_FINE, rows_of, vectors

FOUND = vectors("polymarket/amounts_fees_books.json")
CENT = 10_000


@pytest.mark.parametrize("row", rows_of(FOUND, "amounts"))
def test_amounts_are_the_official_ones_and_only_legal_faks_pass(row: dict[str, Any]) -> None:
    if row["kind"] == "market" and row["side"] == "BUY":
        pytest.skip("a market BUY of the official clients rounds its shares; ours are exact")
    side = ("BUY", "SELL").index(row["side"])
    wanted = int(row["makerAmount"]), int(row["takerAmount"])
    size_e6 = wanted[1 - side]  # the official clients cut the size to hundredths first
    is_ok = row.get("venue_precision_ok_if_fak_or_fok", row.get("venue_precision_ok"))
    found = amounts_e6(side, text_to_int(row["price"], 6), size_e6)
    assert found == (wanted if is_ok is True else None)


@pytest.mark.parametrize(
    ("side", "price_e6", "size_e6", "wanted"),
    [
        (0, 450_000, 200_000, (90_000, 200_000)),  # 0.2 shares for 9 cents
        (0, 450_000, 100_000, None),  # 4.5 cents
        (0, 370_000, E6, (370_000, E6)),
        (0, 973_000, 10 * E6, (9_730_000, 10 * E6)),
        (0, 973_000, E6, None),
        (1, 973_000, E6, (E6, 973_000)),  # a SELL: shares in hundredths, pUSD to 4 decimals
        (1, 973_000, 10_000, None),
        (0, 333_333, E6, None),
        (0, 0, E6, None),
        (0, 500_000, 0, None),
        (0, -500_000, -E6, None),
    ],
)
def test_nothing_is_rounded(
    side: int, price_e6: int, size_e6: int, wanted: tuple[int, int] | None
) -> None:
    assert amounts_e6(side, price_e6, size_e6) == wanted


@given(st.integers(1, 999_999), st.integers(0, 10**12))
def test_a_pooled_size_is_legal_and_never_more_than_wanted(price_e6: int, size_e6: int) -> None:
    found = pool_size_e6(price_e6, size_e6, CENT, CENT)
    assert 0 <= found <= size_e6
    if found:
        maker_e6, taker_e6 = amounts_e6(0, price_e6, found) or (0, 0)
        assert maker_e6 * E6 == price_e6 * found and taker_e6 == found
    assert pool_size_e6(price_e6, found, CENT, CENT) == found


@settings(deadline=None)  # the first call compiles
@given(st.integers(1, 999_999), st.integers(0, 10**12))
def test_it_is_the_engines_legal_size_put_into_a_bucket(price_e6: int, size_e6: int) -> None:
    legal = int(legal_size_e6(size_e6, price_e6, CENT, CENT, CENT, 0))
    whole = CENT * E6
    step = math.lcm(CENT, whole // math.gcd(whole, price_e6))
    found = pool_size_e6(price_e6, size_e6, CENT, CENT)
    assert found == bucket(legal // step) * step
    assert legal < step or 4 * found >= 3 * (legal // step * step)  # at most a quarter is lost


@pytest.mark.parametrize(
    ("price_e6", "step_e6"), [(450_000, 200_000), (370_000, E6), (973_000, 10 * E6)]
)
def test_the_steps_of_the_design_are_the_smallest_sizes(price_e6: int, step_e6: int) -> None:
    assert pool_size_e6(price_e6, step_e6, CENT, CENT) == step_e6
    assert pool_size_e6(price_e6, step_e6 - 1, CENT, CENT) == 0


@pytest.mark.parametrize(
    ("count", "wanted"),
    [(0, 0), (-3, 0), (1, 1), (7, 6), (9, 8), (11, 10), (14, 12), (99, 80), (100, 100),
     (119, 100), (120, 120), (249, 200), (999, 800), (123_456, 120_000)],
)  # fmt: skip
def test_a_bucket_is_a_step_of_the_ladder(count: int, wanted: int) -> None:
    assert bucket(count) == wanted


@pytest.mark.parametrize("wrong", [(0, E6, CENT), (E6, E6, CENT), (450_000, -1, CENT)])
def test_what_makes_no_sense_has_no_size(wrong: tuple[int, int, int]) -> None:
    price_e6, size_e6, step = wrong
    assert pool_size_e6(price_e6, size_e6, step, CENT) == 0
    assert pool_size_e6(450_000, E6, CENT, 0) == pool_size_e6(450_000, E6, -1, CENT) == 0


@pytest.mark.parametrize("grid", [GRID_CENT, GRID_FINE, [*GRID_CENT, 0, 0, 0, 0]])
def test_walking_up_the_grid_and_down_again_meets_the_same_ticks(grid: list[int]) -> None:
    ups, price_e6 = [], 0
    while price_e6 := next_up(price_e6, grid):
        ups.append(price_e6)
    downs, price_e6 = [], E6
    while price_e6 := next_down(price_e6, grid):
        downs.append(price_e6)
    assert ups == downs[::-1] and len(ups) == len(set(ups))
    assert len(ups) == (99 if grid[0] == E6 else 39 + 92 + 40)
    assert all(is_on_grid(price_e6, grid) for price_e6 in ups)
    assert not any(is_on_grid(price_e6 + 500, grid) for price_e6 in ups)
