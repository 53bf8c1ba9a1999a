"""Limits, rates and timers: what cuts an intent and what lets it go later."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.fees import fee_e6
from shm_layout import BUY, E6, ROUND_DOWN
from tests.engine.world import (
    KALSHI,
    MS,
    SECOND,
    World,
    detector_of,
    edge_down,
    edge_up,
    field_of,
    two_venues,
)


@pytest.mark.parametrize(
    "limit",
    [
        "size_max_e6",
        "order_max_e6",
        "market_max_e6",
        "event_max_e6",
        "venue_max_e6",
        "total_max_e6",
        "day_max_e6",
        "unhedged_max_e6",
        "orders_per_second",
        "orders_per_minute",
        "orders_per_day",
        "price_high_e6",
        "beat_max_ns",
    ],
)
def test_a_limit_of_zero_means_none(limit: str) -> None:
    world = two_venues(**{limit: 0 if limit != "beat_max_ns" else -1})
    detector = detector_of(world)
    edge_up(world)
    assert world.step(detector) == []


@pytest.mark.parametrize(
    "limit, dollars, contracts",
    [
        ("order_max_e6", 20, 30.0),  # the dearer leg costs 0.5125: 38 fit, 30 are kept
        ("market_max_e6", 20, 30.0),
        ("venue_max_e6", 20, 30.0),
        ("unhedged_max_e6", 20, 30.0),
        ("day_max_e6", 20, 30.0),  # what could be left alone may be lost today
        ("event_max_e6", 40, 40.0),  # both legs: 0.41 + 0.50 + fees: 42 fit, 40 are kept
        ("total_max_e6", 40, 40.0),
    ],
)
def test_a_limit_cuts_the_size_to_what_it_leaves(
    limit: str, dollars: int, contracts: float
) -> None:
    world = two_venues(**{limit: dollars * E6})
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    size = field_of(intent, "size_e6_0")
    cash = [field_of(intent, f"cash_e6_{leg}") for leg in (0, 1)]
    spent = sum(cash) if limit in ("event_max_e6", "total_max_e6") else max(cash)
    assert spent <= dollars * E6
    assert contracts * E6 <= size < (contracts + 2) * E6


def test_cooldown_is_run_time_and_passes_by_timer() -> None:
    world = two_venues(cooldown_ns=SECOND)
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, "stale")
    assert world.step(detector) == [] and detector.counter("cooldown") == 1
    assert world.step(detector, 900 * MS) == []
    assert len(world.step(detector, 100 * MS)) == 1


def test_orders_a_second_are_counted_and_the_next_window_lets_the_edge_go() -> None:
    world = two_venues(orders_per_second=2)
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, "stale")
    assert world.step(detector) == [] and detector.counter("refused_rate") == 1
    assert len(world.step(detector, SECOND)) == 1


def test_a_refusal_for_money_is_looked_at_again_when_money_comes() -> None:
    world = two_venues()
    world.cash(KALSHI, 0)
    detector = detector_of(world)
    edge_up(world)
    assert world.step(detector) == []
    world.cash(KALSHI, 100 * E6)
    assert len(world.step(detector)) == 1


@pytest.mark.parametrize("move", [edge_up, edge_down])
def test_cash_covers_a_budget_that_is_spent_at_any_better_price(
    move: Callable[[World], None],
) -> None:
    """A FAK BUY spends price × size: at half the price it brings twice the contracts."""
    world = two_venues()
    move(world)
    (intent,) = world.step(detector_of(world))
    limit, size = field_of(intent, "limit_e6_1"), field_of(intent, "size_e6_1")
    at_most = limit if field_of(intent, "side_1") == BUY else E6 - limit
    budget, cash = at_most * size // E6, field_of(intent, "cash_e6_1")
    worst = 0
    for price in range(1_000, at_most + 1, 1_000):
        charged = fee_e6(price, budget * E6 // price, 50_000, 1, 10, ROUND_DOWN)
        worst = max(worst, budget + charged)
    assert worst <= cash <= worst + E6 // 100
