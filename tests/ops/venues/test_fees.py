"""The venues charge what the recorded fills and the reference's tables say."""

from __future__ import annotations

import json
from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.venues.fees import KalshiFeeTerms, KalshiOrderFee, polymarket_fee_e6
from tests.conftest import reference
from tests.ops.venues.rig import e6

TERMS = KalshiFeeTerms()


def bid_fee(price: str, size: str, terms: KalshiFeeTerms = TERMS, *, is_taker: bool = True) -> int:
    value_e6 = -e6(price) * e6(size) // 1_000_000
    return KalshiOrderFee(terms).charge_e6(e6(price), e6(size), value_e6, is_taker=is_taker)


@pytest.mark.parametrize(
    ("size", "price", "fee"),
    [
        ("1", "0.50", "0.0175"),
        ("1", "0.01", "0.0007"),
        ("1", "0.05", "0.0034"),
        ("100", "0.05", "0.3325"),
        ("100", "0.50", "1.75"),
        ("0.5", "0.50", "0.0088"),
        ("100", "0.005", "0.0349"),
        ("1", "0.52", "0.0175"),  # real fills, demo 2026-06-11
        ("1", "0.99", "0.0007"),
        ("5", "0.43", "0.0858"),  # production
    ],
)
def test_kalshi_takers_pay_the_table(size: str, price: str, fee: str) -> None:
    assert bid_fee(price, size) == e6(fee)


def test_kalshi_fees_agree_with_the_recorded_fills() -> None:
    fills = json.loads(reference("fixtures/kalshi/rest/fills.json").read_text())["fills"]
    assert fills
    for fill in fills:
        assert bid_fee(fill["yes_price_dollars"], fill["count_fp"]) == e6(fill["fee_cost"])


@pytest.mark.parametrize(
    ("kind", "fee"),
    [
        ("quadratic", "0"),
        ("quadratic_with_maker_fees", "0.4375"),
        ("quadratic_with_combo_maker_fees", "0.875"),
        ("something_new", "1.75"),
    ],
)
def test_kalshi_makers_pay_by_fee_type_and_an_unknown_type_pays_all(kind: str, fee: str) -> None:
    assert bid_fee("0.50", "100", KalshiFeeTerms(kind=kind), is_taker=False) == e6(fee)


def test_a_multiplier_of_zero_is_free() -> None:
    assert bid_fee("0.50", "100", KalshiFeeTerms(multiplier_e6=0)) == 0


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 50_000)), min_size=1, max_size=12))
def test_an_order_in_many_fills_pays_its_raw_fee_rounded_up_once(
    fills: list[tuple[int, int]],
) -> None:
    fee = KalshiOrderFee(TERMS)
    paid_e6, raw = 0, Decimal(0)
    for cents, hundredths in fills:
        price_e6, size_e6 = cents * 10_000, hundredths * 10_000
        charge_e6 = fee.charge_e6(
            price_e6, size_e6, -price_e6 * size_e6 // 1_000_000, is_taker=True
        )
        assert charge_e6 >= 0
        paid_e6 += charge_e6
        price = Decimal(cents) / 100
        raw += Decimal("0.07") * Decimal(hundredths) / 100 * price * (1 - price)
    rounded = (raw / Decimal("0.0001")).to_integral_value(ROUND_CEILING) * Decimal("0.0001")
    # What a fill below $0.0001 was charged too much can only be given back by a later fill.
    assert rounded <= Decimal(paid_e6) / 1_000_000 <= rounded + Decimal("0.0001") * len(fills)
    if all(cents * hundredths >= 100 for cents, hundredths in fills):
        assert Decimal(paid_e6) / 1_000_000 <= rounded + Decimal("0.0001")


def test_kalshi_balances_stay_on_the_grid_with_prices_off_it() -> None:
    fee = KalshiOrderFee(TERMS)
    for size in ("0.01", "0.37", "2.11"):
        value_e6 = -e6("0.035") * e6(size) // 1_000_000
        charge_e6 = fee.charge_e6(e6("0.035"), e6(size), value_e6, is_taker=True)
        assert (value_e6 - charge_e6) % 100 == 0


def test_polymarket_fees_agree_with_the_recorded_transactions() -> None:
    path = reference("fixtures/polymarket/amounts_fees_books.json")
    rows = json.loads(path.read_text())["taker_fees"]
    assert sum(row["kind"] == "real" for row in rows) == 2
    for row in rows:
        shares_e6 = e6(row["shares"])
        found = polymarket_fee_e6(
            shares_e6=shares_e6,
            cost_e6=shares_e6 * e6(row["price"]) // 1_000_000,
            rate_e6=e6(row["rate"]),
            exponent=row["exponent"],
        )
        assert found == row["fee_base_units"], row


def test_polymarket_makers_pay_nothing() -> None:
    def paid(*, is_taker: bool) -> int:
        return polymarket_fee_e6(
            shares_e6=e6("100"),
            cost_e6=e6("50"),
            rate_e6=e6("0.07"),
            exponent=1,
            is_taker=is_taker,
        )

    assert paid(is_taker=False) == 0
    assert paid(is_taker=True) == e6("1.75")


def test_a_fee_over_several_levels_uses_the_average_price_once() -> None:
    shares_e6, cost_e6 = e6("20"), e6("10") * 4 // 10 + e6("10") * 6 // 10
    fee = polymarket_fee_e6(shares_e6=shares_e6, cost_e6=cost_e6, rate_e6=e6("0.07"), exponent=1)
    assert fee == e6("0.35")
