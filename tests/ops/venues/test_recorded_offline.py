"""What two recorded venues offered each other, computed offline: the reference for the engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction

import pytest

from ops.venues.recorded import load
from ops.venues.recorded_script import RecordedScript
from ops.venues.script import BookSet, MarketSpec
from tests.conftest import recorded
from tests.offline_edges import (
    A_YES,
    B_YES,
    Episode,
    Rules,
    episodes,
    kalshi_fee,
    look,
    polymarket_fee,
    size_step,
)

F = Fraction
MILLE = Rules(edge_min=F(1, 1000))
SECOND = 10**9


def _epoch_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


@pytest.fixture(scope="module")
def script() -> RecordedScript:
    return load(
        [recorded("dual_nba_mvp_l2")],
        from_epoch_ns=_epoch_ns("2026-01-03T20:40:00+00:00"),
        gap_max_ns=5 * SECOND,
        speed_e6=60_000_000,
    )


def named(script: RecordedScript, found: list[Episode]) -> dict[tuple[str, str], list[Episode]]:
    by: dict[tuple[str, str], list[Episode]] = {}
    for each in found:
        by.setdefault((script.pairs[each.pair].a_ticker[-4:], each.direction), []).append(each)
    return by


@pytest.mark.parametrize("edge_min", [F(1, 1000), F(5, 1000)])
def test_jokic_pays_by_kalshi_yes_shai_by_polymarket_yes_and_luka_never(
    script: RecordedScript, edge_min: Fraction
) -> None:
    by = named(script, episodes(script, Rules(edge_min=edge_min)))
    assert set(by) == {("NJOK", A_YES), ("SGIL", B_YES)}
    (jokic,) = by["NJOK", A_YES]
    long, short = by["SGIL", B_YES]
    begin = script.timeline.begin_epoch_ns
    assert [each.start_epoch_ns - begin for each in (jokic, long)] == [0, 0]
    assert [each.length_ns // 10**6 for each in (jokic, long, short)] == [9350982, 9338812, 548]
    assert [each.first.size for each in (jokic, long, short)] == [150, 40, 30]
    assert jokic.first.edge == F(2587, 250000)  # 0.10 − 0.08 − 0.005152 − 0.00450
    assert long.first.edge == F(3193, 400000)
    assert short.first.edge == F(399, 50000)


def test_the_session_is_43_minutes_of_run_time_after_its_cuts(script: RecordedScript) -> None:
    played = script.timeline.offset_ns(script.end_epoch_ns or 0) * 60
    assert played // SECOND == 2573
    assert len(script.timeline.cuts) == 190


def test_without_a_threshold_jokic_pays_to_the_end(script: RecordedScript) -> None:
    by = named(script, episodes(script, Rules()))
    (jokic,) = by["NJOK", A_YES]
    assert jokic.end_epoch_ns == script.end_epoch_ns
    assert set(by) == {("NJOK", A_YES), ("SGIL", B_YES)}


def test_a_wrong_fee_changes_the_answer(script: RecordedScript) -> None:
    """The reference can tell right from wrong: with twice the fees Shai never pays."""
    dear = replace(
        script,
        markets=tuple(replace(spec, fee_rate_e6=2 * spec.fee_rate_e6) for spec in script.markets),
    )
    assert {key for key, _ in named(script, episodes(dear, MILLE))} == set()


KALSHI = MarketSpec(venue="kalshi", ticker="K", title="", event="")
POLYMARKET = MarketSpec(
    venue="polymarket", ticker="P", title="", event="", fee_kind="polymarket", fee_rate_e6=50_000
)


@pytest.mark.parametrize(
    ("price", "size", "fee"),
    [  # reference/kalshi.md section 11
        ("0.50", "1", "0.0175"),
        ("0.01", "1", "0.0007"),
        ("0.05", "1", "0.0034"),
        ("0.05", "100", "0.3325"),
        ("0.50", "100", "1.75"),
        ("0.50", "0.5", "0.0088"),
        ("0.005", "100", "0.0349"),
        ("0.43", "5", "0.0858"),
    ],
)
def test_kalshi_fees_are_those_of_the_venue(price: str, size: str, fee: str) -> None:
    assert kalshi_fee(KALSHI, [(F(price), F(size))]) == F(fee)


def test_polymarket_fees_are_cut() -> None:
    assert polymarket_fee(POLYMARKET, [(F("0.1"), F("180.2"))]) == F("0.8109")
    assert polymarket_fee(POLYMARKET, [(F("0.37"), F("0.01"))]) == F("0.00011")


@pytest.mark.parametrize(
    ("limit", "step"),
    [("0.45", "0.2"), ("0.37", "1"), ("0.973", "10"), ("0.90", "0.1"), ("0.50", "0.02")],
)
def test_a_budget_in_whole_cents_steps_the_size(limit: str, step: str) -> None:
    assert size_step(F(limit)) == F(step)


def test_both_books_are_walked_and_the_last_level_sets_the_step() -> None:
    asks = [(400_000, 10_000_000), (410_000, 10_000_000), (480_000, 10_000_000)]
    bids = [(500_000, 15_000_000), (490_000, 100_000_000)]
    found = look((KALSHI, asks), (POLYMARKET, bids), Rules(edge_min=F(1, 100)))
    assert found is not None
    # 10 at .40/.50, 5 at .41/.50, 5 at .41/.49; NO limit 0.51: whole contracts
    assert found.size == 20
    cost = 10 * F("0.40") + 10 * F("0.41") + 15 * F("0.50") + 5 * F("0.51")
    fees = kalshi_fee(KALSHI, [(F("0.40"), F(10)), (F("0.41"), F(10))]) + polymarket_fee(
        POLYMARKET, [(F("0.50"), F(15)), (F("0.49"), F(5))]
    )
    assert found.edge == (20 - cost - fees) / 20
    touch = look((KALSHI, asks), (POLYMARKET, bids), Rules(edge_min=F(1, 100), levels=1))
    assert touch is not None
    assert touch.size == 10


def test_what_costs_less_than_a_dollar_at_polymarket_is_no_edge() -> None:
    asks, bids = [(50_000, 1_000_000)], [(300_000, 1_420_000)]
    rules = Rules()
    assert look((KALSHI, asks), (POLYMARKET, bids), rules) is None  # 1 contract at 0.70
    assert look((KALSHI, [(50_000, 2_000_000)]), (POLYMARKET, bids), rules) is None  # 1.4 × 0.70
    more = [(300_000, 1_500_000)]
    found = look((KALSHI, [(50_000, 2_000_000)]), (POLYMARKET, more), rules)
    assert found is not None
    assert found.size == F("1.5")


def test_the_first_book_of_each_market_is_there_at_the_beginning(script: RecordedScript) -> None:
    begun = {
        event.market
        for event in script.events()
        if isinstance(event, BookSet) and event.at_epoch_ns == script.timeline.begin_epoch_ns
    }
    assert begun == set(range(6))
