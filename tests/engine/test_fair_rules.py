"""Which rule a market has, and what the recorded markets paid by it."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fair_rules import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    BETWEEN,
    EXACT,
    MEAN,
    NO_RULE,
    POINT,
    TIE_HALVES,
    TWAP,
    Rule,
    kalshi_rule,
    pays_e6,
    polymarket_rule,
    rule_from,
    settled_e8,
    stamps,
)
from shm_layout import E6, E8, text_to_int
from tests.conftest import recorded, reference

AUGUST_7, AUGUST_17, JUNE_8 = 1_786_060_800, 1_786_924_800, 1_780_876_800
KALSHI = Rule(kind=MEAN, compare=AT_LEAST, digits=2, n=60)


# ---- which rule


@pytest.mark.parametrize(
    "series, strike_type, digits, wanted",
    [
        ("KXBTC15M", "greater_or_equal", 2, KALSHI),
        ("KXETH15M", "greater_or_equal", 2, KALSHI),
        ("KXDOGE15M", "greater_or_equal", 7, Rule(kind=MEAN, compare=AT_LEAST, digits=7, n=60)),
        ("KXBTCD", "greater", 2, Rule(kind=MEAN, compare=ABOVE, digits=2, n=60)),
        ("KXBTC", "between", 2, Rule(kind=MEAN, compare=BETWEEN, digits=2, n=60)),
        ("KXBTC", "less", 2, Rule(kind=MEAN, compare=BELOW, digits=2, n=60)),
        ("KXBTC15M", "greater_or_equal", None, NO_RULE),  # digits are read, never assumed
        ("KXBTC15M", "functional", 2, NO_RULE),
        ("KXBTC15M", "", 2, NO_RULE),
        ("KXBTCMAXY", "greater", 2, NO_RULE),  # a barrier all year
        ("KXBTCMAX150", "greater", 2, NO_RULE),  # a trimmed mean
        ("KXNBAGAME", "greater", 2, NO_RULE),
    ],
)
def test_a_kalshi_market_tells_its_rule(
    series: str, strike_type: str, digits: int | None, wanted: Rule
) -> None:
    assert kalshi_rule(series, strike_type, digits) == wanted


POINT_RULE = Rule(kind=POINT, compare=AT_LEAST)
TWAP_60 = Rule(kind=TWAP, compare=AT_LEAST, n=60)


@pytest.mark.parametrize(
    "interval, open_s, told, wanted",
    [
        ("5m", JUNE_8, None, POINT_RULE),
        ("15m", AUGUST_7 - 900, None, POINT_RULE),
        ("5m", AUGUST_7, None, NO_RULE),  # 30 or 60 s: asked, not guessed
        ("5m", AUGUST_7, 30, Rule(kind=TWAP, compare=AT_LEAST, n=30)),
        ("15m", AUGUST_7, 60, TWAP_60),
        ("5m", AUGUST_17 - 300, None, NO_RULE),
        ("5m", AUGUST_17, None, TWAP_60),
        ("15m", AUGUST_17, None, TWAP_60),
        ("4h", AUGUST_17, None, TWAP_60),
        ("5m", AUGUST_17, 0, POINT_RULE),  # what the market says wins over the date
        ("hourly", AUGUST_17, None, POINT_RULE),
        ("daily", AUGUST_17, None, Rule(kind=POINT, compare=TIE_HALVES)),
        ("1w", AUGUST_17, None, NO_RULE),
    ],
)
def test_a_polymarket_window_has_the_rule_of_its_date(
    interval: str, open_s: int, told: int | None, wanted: Rule
) -> None:
    assert polymarket_rule(interval, open_s, told) == wanted


rules = st.builds(
    Rule, kind=st.integers(1, 3), compare=st.integers(1, 6),
    digits=st.integers(0, 12) | st.just(EXACT), n=st.integers(1, 4095),
)  # fmt: skip


@given(rule=rules)
def test_a_rule_fits_a_cell_and_comes_back(rule: Rule) -> None:
    assert rule_from(rule.cell) == rule and 0 < rule.cell < 1 << 31
    assert rule_from(NO_RULE.cell) == NO_RULE and NO_RULE.cell == 0


@pytest.mark.parametrize("cell", [-1, 4, 1, 1 << 4, 1 | 7 << 4 | 1 << 16, 1 | 1 << 4 | 13 << 8])
def test_a_cell_that_is_no_rule_is_refused(cell: int) -> None:
    with pytest.raises(ValueError, match=f"settlement_rule: found {cell}, wanted"):
        rule_from(cell)


# ---- what is paid


def test_only_the_sixty_ticks_before_the_close_settle_kalshi() -> None:
    assert list(stamps(KALSHI, 1000)) == list(range(940, 1000))
    assert list(stamps(TWAP_60, 1000)) == list(range(941, 1001))
    assert list(stamps(POINT_RULE, 1000)) == [1000]


@pytest.mark.parametrize("missing", [940, 999])
def test_a_mean_with_a_tick_missing_is_none(missing: int) -> None:
    ticks = {second: 100 * E8 for second in range(930, 1010) if second != missing}
    assert settled_e8(KALSHI, 1000, ticks) is None
    assert settled_e8(KALSHI, 1001 if missing == 940 else 999, ticks) == 100 * E8


@pytest.mark.parametrize(
    "compare, value, pays",
    [
        (AT_LEAST, 100, E6), (AT_LEAST, 99, 0), (ABOVE, 100, 0), (ABOVE, 101, E6),
        (BELOW, 100, 0), (BELOW, 99, E6), (AT_MOST, 100, E6), (AT_MOST, 101, 0),
        (BETWEEN, 100, E6), (BETWEEN, 110, E6), (BETWEEN, 111, 0), (BETWEEN, 99, 0),
        (TIE_HALVES, 100, E6 // 2), (TIE_HALVES, 101, E6), (TIE_HALVES, 99, 0),
    ],
)  # fmt: skip
def test_ties_and_bounds_pay_as_the_comparison_says(compare: int, value: int, pays: int) -> None:
    rule = Rule(kind=POINT, compare=compare)
    assert pays_e6(rule, value * E8, 100 * E8, 110 * E8) == pays


@pytest.mark.parametrize(
    "mean, strike, settled",
    [  # reference spot 6.2
        ("2492.8158", "2492.82", "2492.82"),
        ("79199.0060", "79199.01", "79199.01"),
        ("79199.3023", "79199.01", "79199.30"),  # the close-inclusive mean: another value
    ],
)
def test_the_mean_is_rounded_before_it_is_compared(mean: str, strike: str, settled: str) -> None:
    ticks = {second: text_to_int(mean, 8) for second in range(940, 1000)}
    value = settled_e8(KALSHI, 1000, ticks)
    assert value == text_to_int(settled, 8)
    assert (value == text_to_int(strike, 8)) == (settled == strike)
    if settled == strike:
        assert pays_e6(KALSHI, value, text_to_int(strike, 8)) == E6


def test_the_derived_tape_of_brti_settles_as_expected() -> None:
    folder = reference("fixtures/spot")
    expected = json.loads((folder / "kalshi_brti_close_expected.json").read_text())
    ticks = {}
    for line in (folder / "kalshi_brti_close_derived.jsonl").read_text().splitlines():
        data = json.loads(json.loads(json.loads(line)["raw"])["msg"]["data"])
        ticks[data["time"] // 1000] = text_to_int(data["value"], 8)
    close_s = expected["close_ts_ms"] // 1000
    exact = Decimal(sum(ticks[second] for second in stamps(KALSHI, close_s))) / 60 / E8
    assert exact == pytest.approx(Decimal(expected["settlement_mean_exact"]), rel=Decimal("1e-15"))
    value = settled_e8(KALSHI, close_s, ticks)
    assert value == text_to_int(expected["settlement_rounded_2"], 8)
    inclusive = settled_e8(Rule(kind=TWAP, compare=AT_LEAST, n=60), close_s, ticks)
    assert inclusive is not None
    wrong = Decimal(expected["mean_of_close_inclusive_window"])
    assert Decimal(inclusive) / E8 == pytest.approx(wrong, rel=Decimal("1e-12"))
    for example in expected["examples"]:
        rule = kalshi_rule("KXBTC15M", example["strike_type"], 2)
        paid = pays_e6(rule, value, round(example["strike"] * 100) * 10**6)
        assert paid == (E6 if example["outcome"] == "yes" else 0)
    del ticks[close_s - 30]
    assert settled_e8(KALSHI, close_s, ticks) is None


def test_a_recorded_day_of_five_minute_windows_settles_by_the_rule_of_that_day() -> None:
    folder = recorded("polymarket_btc5m_day")
    ticks: dict[int, int] = {}
    with gzip.open(folder / "BTCUSD-prices-2026-06-08.csv.gz", "rt") as file:
        names = file.readline().strip().split(",")
        for line in file:
            row = dict(zip(names, line.strip().split(","), strict=True))
            second = int(row["feed_ts_ms"]) // 1000
            ticks[second] = int(row["full_accuracy_value"]) // 10**10
    rule = polymarket_rule("5m", JUNE_8, None)
    agreed, later, unknown = 0, 0, 0
    with gzip.open(folder / "BTC-5m-markets-2026-06-08.jsonl.gz", "rt") as file:
        for line in file:
            market = json.loads(line)
            close_s = market["end_sec"]
            value = settled_e8(rule, close_s, ticks)
            if market["strike_value"] is None or value is None:
                unknown += 1
                continue
            strike = int(market["strike_value"]) // 10**10
            up = market["outcome_prices"] == ["1", "0"]
            agreed += pays_e6(rule, value, strike) == (E6 if up else 0)
            after = settled_e8(TWAP_60, close_s, ticks)
            later += after is not None and (pays_e6(TWAP_60, after, strike) > 0) != up
    assert (agreed, unknown) == (280, 12), "12 have no strike or no tick at their close"
    assert later == 7, "so many would a minute's mean have paid otherwise"
