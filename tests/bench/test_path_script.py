"""The script of the bench: what both sides trade on."""

from __future__ import annotations

from bench.path_script import (
    ENGINE_KALSHI,
    FLOOR_KALSHI,
    FLOOR_POLYMARKET,
    KALSHI_ASK_E6,
    POLYMARKET_BID_E6,
    SIZE_E6,
    RoundsScript,
)
from gateway.order_amounts import pool_size_e6
from ops.venues.script import LevelSet

BEGIN_NS = 1_790_000_000_000_000_000


def script(rounds: int = 6) -> RoundsScript:
    return RoundsScript(begin_epoch_ns=BEGIN_NS, rounds=rounds)


def test_events_ascend_and_fall_on_whole_milliseconds() -> None:
    stamps = [event.at_epoch_ns for event in script().events()]
    assert stamps == sorted(stamps)
    assert not any(stamp % 1_000_000 for stamp in stamps)


def test_gaps_open_for_the_engine_and_the_floor_in_turn_and_each_closes() -> None:
    made = script()
    changes = [e for e in made.events() if isinstance(e, LevelSet) and e.price_e6 == KALSHI_ASK_E6]
    opened = [(e.at_epoch_ns, e.market) for e in changes if e.size_e6]
    closed = [(e.at_epoch_ns, e.market) for e in changes if not e.size_e6]
    assert [market for _, market in opened] == [ENGINE_KALSHI, FLOOR_KALSHI] * 3
    assert closed == [(at_ns + made.open_ns, market) for at_ns, market in opened]
    assert [at_ns for at_ns, _ in opened] == [made.opens_epoch_ns(i) for i in range(6)]


def test_the_size_of_a_gap_is_one_the_pool_keeps() -> None:
    assert pool_size_e6(1_000_000 - POLYMARKET_BID_E6, SIZE_E6, 10_000, 10_000) == SIZE_E6


def test_the_engine_is_not_told_of_the_floors_kalshi_market() -> None:
    shown = RoundsScript(begin_epoch_ns=BEGIN_NS, rounds=2, markets_shown=3)
    assert [market.venue for market in shown.markets] == ["kalshi", "polymarket", "polymarket"]
    assert shown.markets[FLOOR_POLYMARKET] == script().markets[FLOOR_POLYMARKET]
