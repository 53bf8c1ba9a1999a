"""Limits, rates and timers: what cuts an intent and what lets it go later."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.detector import Detector
from engine.fees import fee_e6
from engine.replay import replay
from shm_layout import BUY, E6, NONE_NS, ROUND_DOWN
from tests.engine.bets import LAGS, one_market
from tests.engine.world import (
    DEAR,
    KALSHI,
    MS,
    POLYMARKET,
    SECOND,
    World,
    detector_of,
    edge_down,
    edge_up,
    field_of,
    two_venues,
)
from tests.twins import detector as twin


@pytest.mark.parametrize(
    "limit",
    [
        "size_max_e6",
        "order_max_e6",
        "market_max_e6",
        "event_max_e6",
        "asset_max_e6",
        "venue_max_e6",
        "total_max_e6",
        "day_max_e6",
        "unhedged_max_e6",
        "spread_max_e6",
        "orders_per_market",
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
        ("asset_max_e6", 40, 40.0),
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
    spent = sum(cash) if limit[:5] in ("event", "total", "asset") else max(cash)
    assert spent <= dollars * E6
    assert detector.counter(f"cut_{limit.removesuffix('_max_e6')}") == 1
    assert contracts * E6 <= size < (contracts + 2) * E6


def test_a_limit_that_leaves_nothing_and_cash_that_pays_nothing_are_told_apart() -> None:
    for limit, counter in (("market_max_e6", "refused_limit"), ("", "refused_cash")):
        world = two_venues(**({limit: 0} if limit else {}))
        if not limit:
            world.cash(KALSHI, 0)
        detector = detector_of(world)
        edge_up(world)
        assert world.step(detector) == []
        told = {name: detector.counter(name) for name in ("refused_limit", "refused_cash")}
        assert told == dict.fromkeys(told, 0) | {counter: 1}


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


SIGMA = {"sigma_high_e12": 200_000_000, "sigma_factor_e6": 1_500_000, "sigma_cut_e6": 300_000}
WHOLE, CUT = 80 * E6, 50 * E6  # 56 is left, 50 is the next size that is kept signed
QUIET, WILD = 71_230_000, 222_593_000  # 40 % and 125 % a year; the mark, 200, is 112 %
SAID: dict[str, tuple[dict[str, int], int]] = {
    "as it always is": ({"sigma_e12": QUIET, "usual_e12": QUIET}, WHOLE),
    "at the factor": ({"sigma_e12": QUIET * 3 // 2, "usual_e12": QUIET}, WHOLE),
    "above it": ({"sigma_e12": QUIET * 3 // 2 + 1, "usual_e12": QUIET}, CUT),
    "2.75 times, below the mark": ({"sigma_e12": QUIET * 11 // 4, "usual_e12": QUIET}, CUT),
    "always above the mark": ({"sigma_e12": WILD, "usual_e12": WILD}, WHOLE),
    "no history, at the mark": ({"sigma_e12": 200_000_000}, WHOLE),
    "no history, above it": ({"sigma_e12": 200_000_001}, CUT),
    "only assumed": ({"sigma_e12": QUIET, "usual_e12": NONE_NS}, CUT),
    "not known": ({"sigma_e12": 0, "usual_e12": QUIET}, CUT),
    "no longer said": ({"sigma_e12": QUIET, "usual_e12": QUIET, "valid_until_ns": 1}, CUT),
    "of another market": ({"sigma_e12": QUIET, "usual_e12": QUIET, "generation": 2}, CUT),
    "of no round": ({"sigma_e12": QUIET, "usual_e12": QUIET, "number": 0}, CUT),
}


def on_an_index(**parameters: int) -> tuple[World, Detector]:
    """Both legs settle on an index; of the first the model says that it is calm."""
    world = two_venues(**(SIGMA | parameters))
    for index, venue in ((0, KALSHI), (1, POLYMARKET)):
        world.instrument(index, venue, settlement_rule=1, index_slot=1)
    detector = detector_of(world)
    world.market_terms(instrument=0, sigma_e12=QUIET, usual_e12=QUIET)
    return world, detector


def opened_size(world: World, detector: Detector) -> int:
    """Contracts of the one intent; the plain twin writes the same."""
    edge_up(world)
    (intent,) = world.step(detector)
    world.record()
    assert twin.run(world.tape) == [one.tobytes() for one in world.intents]
    return field_of(intent, "size_e6_0")


@pytest.mark.parametrize("name", SAID)
def test_a_size_is_cut_where_an_asset_moves_more_than_is_usual_for_it_or_nobody_knows(
    name: str,
) -> None:
    told, left = SAID[name]
    world, detector = on_an_index()
    world.market_terms(instrument=1, **told)
    assert opened_size(world, detector) == left
    assert detector.counter("cut_volatility") == (left == CUT)


def test_a_market_on_an_index_of_which_nothing_was_said_is_cut() -> None:
    assert opened_size(*on_an_index()) == CUT


def test_a_market_on_no_index_has_no_volatility_and_without_a_mark_nothing_is_cut() -> None:
    world = two_venues(**SIGMA)
    assert opened_size(world, detector_of(world)) == WHOLE
    world, detector = on_an_index(sigma_high_e12=0)
    world.market_terms(instrument=1, sigma_e12=10**9, usual_e12=QUIET)
    assert opened_size(world, detector) == WHOLE


@pytest.mark.parametrize(
    "limit, counter, just, too_much",
    [
        ("spread_max_e6", "refused_spread", 10_000, 9_999),
        ("liquidity_min_e6", "refused_thin", 40 * E6, 40 * E6 + 1),  # 80 at 1 - 0.50
        ("intent_min_e6", "refused_small", 72_800_000, 72_800_001),  # 80 of 0.41 + 0.50
    ],
)
def test_a_book_too_wide_or_too_thin_and_an_intent_too_small_are_refused(
    limit: str, counter: str, just: int, too_much: int
) -> None:
    for value, opened in ((just, 1), (too_much, 0)):
        world = two_venues(**{limit: value})
        detector = detector_of(world)
        edge_up(world)
        assert len(world.step(detector)) == opened, value
        assert detector.counter(counter) == 1 - opened


def test_a_book_with_one_side_is_as_wide_as_can_be() -> None:
    for spread_max, opened in ((E6, 1), (E6 - 1, 0)):
        world = two_venues(spread_max_e6=spread_max)
        world.quote(0, KALSHI, (), ((410_000, 100 * E6),))
        world.quote(1, 1, ((500_000, 80 * E6),), ((510_000, 80 * E6),))
        detector = detector_of(world)
        assert len(world.step(detector)) == opened
        assert detector.counter("refused_spread") == 1 - opened


def test_a_limit_that_cuts_below_the_least_intent_is_looked_at_again() -> None:
    world = two_venues(intent_min_e6=10 * E6)
    world.cash(KALSHI, 4 * E6)
    detector = detector_of(world)
    edge_up(world)
    assert world.step(detector) == [] and detector.counter("refused_small") == 1
    world.cash(KALSHI, 100 * E6)
    assert len(world.step(detector)) == 1


def test_orders_of_a_market_are_counted_by_run_day_and_a_new_market_starts_anew() -> None:
    world = two_venues(orders_per_market=2)
    detector = detector_of(world)
    edge_up(world)
    for _ in range(2):
        (intent,) = world.step(detector)
        world.end(intent, "nothing_filled")
    assert world.step(detector) == [] and detector.counter("refused_orders") == 1
    assert world.step(detector, 3_600 * SECOND) == []
    assert len(world.step(detector, 21 * 3_600 * SECOND)) == 1  # the run day began at 02:40


@pytest.mark.parametrize(
    ("why", "send_ns", "count"),
    [("moved", 0, 0), ("off_model", 0, 0), ("limit_rate", 0, 0), ("killed", 0, 0),
     ("limit_rate", 1, 1), ("nothing_filled", 0, 1), ("venue_rejected", 0, 1)],
)  # fmt: skip
@pytest.mark.parametrize("is_bet", [False, True])
def test_what_the_gateway_refused_is_no_order_of_its_markets(
    why: str, send_ns: int, count: int, *, is_bet: bool
) -> None:
    """Ten refusals closed a market for the day that had not had one order."""
    limits = {"orders_per_market": 1, "market_gap_ns": SECOND}
    if is_bet:
        world, detector = one_market(**limits)
        world.quote(0, KALSHI, *LAGS)
    else:
        world = two_venues(**limits)
        detector = detector_of(world)
        edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, why, send_ns=send_ns)
    assert world.step(detector) == []
    if not count:
        assert detector.counter("refused_gap") == 1, "the gap stays"
    assert len(world.step(detector, SECOND)) == 1 - count
    assert detector.counter("refused_orders") >= count
    bodies = [intent.tobytes() for intent in world.intents]
    assert replay(world.tape) == bodies == twin.run(world.tape)


@pytest.mark.parametrize(("epoch", "hours"), [(2, 0), (1, 22)])
def test_an_order_that_another_day_or_detector_counted_is_not_taken_off(
    epoch: int, hours: int
) -> None:
    world = two_venues(orders_per_market=1)
    world.instrument(2, POLYMARKET)
    world.pair(1, 0, 2)
    before = later = detector_of(world)
    edge_up(world)
    (old,) = world.step(before)
    if epoch > 1:
        later = detector_of(world, epoch=epoch)
    world.step(later, hours * 3_600 * SECOND)
    edge_up(world)
    world.quote(2, POLYMARKET, *DEAR)
    assert world.step(later) == [] and later.counter("in_flight") > 0, "the old one still is"
    world.end(old, "stale")
    (own,) = world.step(later)
    world.end(own, "nothing_filled")
    assert world.step(later) == [] and later.counter("refused_orders") >= 1
    assert twin.run(world.tape) == [intent.tobytes() for intent in world.intents]


def test_a_market_that_just_had_an_order_has_none_until_the_gap_is_over() -> None:
    world = two_venues(market_gap_ns=60 * SECOND)
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, "stale")
    assert world.step(detector) == [] and detector.counter("refused_gap") == 1
    assert world.step(detector, 59 * SECOND - MS) == []
    assert len(world.step(detector, SECOND)) == 1


def test_a_gap_is_a_market_s_and_not_a_pair_s() -> None:
    world = two_venues(market_gap_ns=60 * SECOND)
    world.instrument(2, 1)
    world.pair(1, 0, 2)
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, "stale")
    world.quote(2, 1, ((500_000, 80 * E6),), ((510_000, 80 * E6),))
    assert world.step(detector) == [] and detector.counter("refused_gap") >= 1


def test_a_pair_without_a_hurdle_of_its_own_takes_the_parameters() -> None:
    for own, opened in ((-1, 0), (0, 1)):
        world = two_venues(hurdle_e6=100_000)
        world.pair(0, 0, 1, hurdle_e6=own)
        edge_up(world)
        assert len(world.step(detector_of(world))) == opened
