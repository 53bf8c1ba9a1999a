"""The last gate: each rule refuses what breaks it, alone, and lets the same intent through without
that one break. Every case is judged by the plain rules and by the compiled last look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.facts import facts_of
from gateway.order import Order
from gateway.params import DeskParams
from gateway.ports import NO, YES, Placing
from shm_layout import (
    BUY,
    E6,
    FLAG_REDUCE,
    FLAG_TRUE_UP,
    FLAG_UNWIND,
    HALTED,
    POLLED,
    QUOTE,
    REDUCING,
    SELL,
    cell,
)
from tests.gateway.guard_case import NOW, SIZE, Case, Row, case, fresh
from tests.gateway.scene import EPOCH, KALSHI, POLY, fee
from tests.twins.guard import cost_e6, is_on_grid

Break = Callable[[Case], object]
SECOND_NS = 10**9


def standing(**changed: object) -> Break:
    def apply(c: Case) -> None:
        c.standing = c.standing._replace(**changed)  # type: ignore[arg-type]

    return apply


def params(**changed: int) -> Break:
    def apply(c: Case) -> None:
        c.params = replace(c.params, **changed)

    return apply


def look(place: int, **changed: object) -> Break:
    def apply(c: Case) -> None:
        c.looks[place] = c.looks[place]._replace(**changed)  # type: ignore[arg-type]

    return apply


def cash(account: int, amount: int) -> Break:
    def apply(c: Case) -> None:
        c.accounts.cash[account].cash_e6 = amount

    return apply


def held(instrument: int, cost: int) -> Break:
    def apply(c: Case) -> None:
        c.accounts.position(instrument).cost_yes_e6 = cost

    return apply


def expired(c: Case) -> None:
    c.intent = c.intent._replace(expires_ns=NOW - 1)


def lost(c: Case) -> None:
    c.accounts.realized_day_e6 = -DeskParams().day_max_e6


def one_leg(c: Case) -> None:
    c.drop(POLY)


def moved(c: Case) -> None:
    c.quote(KALSHI, number=2)
    c.quote(KALSHI, asks=430_000)


def shallow(c: Case) -> None:
    c.quote(POLY, number=2)
    quote = list(c.looks[POLY].quote or [])
    quote[cell(QUOTE, "bids") + 1] = SIZE - 10_000
    c.looks[POLY] = c.looks[POLY]._replace(quote=quote)


def decided(c: Case, decide_ns: int) -> None:
    c.intent = c.intent._replace(decide_ns=decide_ns)


def rates(most: tuple[int, int, int], ago_ns: int) -> Break:
    """Nine orders so long ago, with this many allowed a second, a minute and a day."""

    def apply(c: Case) -> None:
        c.rates, c.sent, c.sent_ns = most, 9, NOW - ago_ns

    return apply


def spent_bucket(c: Case) -> None:
    bucket = c.looks[KALSHI].bucket
    assert bucket is not None
    bucket.take(75, NOW)


def spent_rate(c: Case) -> None:
    c.sent = 9


BREAKS: list[tuple[str, Break]] = [
    ("killed", standing(state=-1)),
    ("halted", standing(state=HALTED)),
    ("reduce_only", standing(state=REDUCING)),
    ("journal", standing(journal_failed=True)),
    ("paused_pair", standing(is_paused=True)),
    ("paused_pair", standing(pair=None)),
    ("paused_pair", standing(pair=Row(approved=0))),
    ("duplicate", standing(is_duplicate=True)),
    ("stale", expired),
    ("stale", look(KALSHI, quote=None)),
    ("stale", lambda c: c.quote(KALSHI, recv_ns=NOW - DeskParams().quote_age_max_ns - 1)),
    ("stale", lambda c: c.quote(KALSHI, recv_ns=NOW + SECOND_NS + 1)),
    ("stale", lambda c: decided(c, NOW - DeskParams().signal_age_max_ns - 1)),
    ("stale", lambda c: decided(c, NOW + SECOND_NS + 1)),
    ("blocked", look(POLY, is_blocked=True)),
    ("generation", look(POLY, market=None)),
    ("generation", lambda c: c.leg(POLY, generation=2)),
    ("generation", lambda c: c.quote(KALSHI, generation=2)),
    ("tick", lambda c: c.quote(POLY, tick_epoch=2)),
    ("epoch", look(KALSHI, alive_epoch=0)),
    ("epoch", look(KALSHI, alive_epoch=EPOCH + 1)),
    ("epoch", lambda c: c.leg(KALSHI, quote_epoch=EPOCH - 1)),
    ("untrusted", lambda c: c.quote(POLY, trust=1)),
    ("untrusted", lambda c: c.quote(KALSHI, trust=POLLED)),
    ("moved", moved),
    ("moved", shallow),
    ("band", lambda c: c.leg(KALSHI, limit_e6=5_000)),
    ("band", lambda c: c.leg(KALSHI, limit_e6=995_000)),
    ("tick", lambda c: c.leg(KALSHI, limit_e6=415_000)),
    ("tick", lambda c: c.quote(KALSHI, grid=0)),
    ("lot", lambda c: c.leg(KALSHI, size_e6=SIZE + 1)),
    ("lot", lambda c: c.leg(POLY, limit_e6=490_000, size_e6=SIZE + 10_000)),
    ("minimum", lambda c: c.leg(KALSHI, size_e6=9_999)),
    ("minimum", lambda c: c.leg(POLY, size_e6=1_000_000)),
    ("edge_gone", lambda c: c.leg(KALSHI, limit_e6=490_000)),
    ("edge_gone", lambda c: c.leg(KALSHI, size_e6=SIZE // 2)),
    ("edge_gone", lambda c: c.leg(POLY, side=BUY)),
    ("edge_gone", standing(pair=Row(same=0))),
    ("edge_gone", one_leg),
    ("edge_gone", params(edge_min_e6=60_000)),
    ("cash", cash(KALSHI, 4_370_700 - 1)),
    ("cash", cash(POLY, 5_250_010 - 1)),
    ("limit_day", lost),
    ("limit_order", params(order_max_e6=5_000_000)),
    ("limit_market", held(POLY, 95_000_000)),
    ("limit_event", params(event_max_e6=9_000_000)),
    ("limit_asset", params(asset_max_e6=9_000_000)),
    ("limit_venue", params(venue_max_e6=5_000_000)),
    ("limit_total", params(total_max_e6=500_000_000)),
    ("limit_unhedged", standing(unhedged_e6=45_000_000)),
    ("limit_rate", standing(open_intents=32)),
    ("limit_rate", spent_rate),
    ("limit_rate", rates((1_000, 10, 1_000), 60 * SECOND_NS - 1)),
    ("limit_rate", rates((1_000, 1_000, 10), 86_400 * SECOND_NS - 1)),
    ("limit_rate", spent_bucket),
    ("limit_rate", look(POLY, bucket=None)),
]


def test_an_intent_that_breaks_no_rule_passes() -> None:
    assert case().reason() == "done"


@pytest.mark.parametrize(
    ("wanted", "breaks"), BREAKS, ids=lambda x: x if isinstance(x, str) else ""
)
def test_each_rule_refuses_alone(wanted: str, breaks: Break) -> None:
    subject = case()
    if wanted == "limit_total":
        subject.accounts.position(9).cost_yes_e6 = 495_000_000
    breaks(subject)
    assert subject.reason() == wanted


def test_a_newer_quote_is_fine_while_the_limit_still_holds_the_size() -> None:
    subject = case()
    subject.quote(KALSHI, number=7, asks=410_000)
    subject.quote(POLY, number=9)
    assert subject.reason() == "done"


def test_a_pair_of_opposites_needs_equal_sides() -> None:
    subject = case()
    subject.standing = subject.standing._replace(pair=Row(same=0))
    subject.leg(POLY, side=BUY, limit_e6=500_000)
    subject.looks[POLY] = subject.looks[POLY]._replace(placing=Placing(YES, BUY, 500_000))
    assert subject.reason() == "done", "YES of one is NO of the other: both are bought"


def unwind(c: Case) -> Case:
    c.drop(POLY)
    c.leg(KALSHI, side=SELL, limit_e6=400_000)
    c.intent = c.intent._replace(flags=FLAG_UNWIND | FLAG_REDUCE, expires_ns=0)
    return c


def test_an_unwind_passes_on_an_untrusted_book_a_dead_feed_and_in_halted() -> None:
    subject = unwind(case())
    subject.quote(KALSHI, trust=1)
    subject.looks[0] = subject.looks[0]._replace(alive_epoch=0)
    subject.standing = subject.standing._replace(state=HALTED, is_paused=True)
    assert subject.reason() == "done"


def test_an_unwind_stops_at_the_kill_word_and_the_journal() -> None:
    for wanted, breaks in (
        ("killed", standing(state=-1)),
        ("journal", standing(journal_failed=True)),
    ):
        subject = unwind(case())
        breaks(subject)
        assert subject.reason() == wanted


def completed(c: Case) -> Case:
    c.drop(KALSHI)
    flags = FLAG_UNWIND | FLAG_TRUE_UP
    c.looks[0] = c.looks[0]._replace(placing=Placing(NO, BUY, 500_000))
    c.intent = c.intent._replace(flags=flags, expires_ns=0, decide_ns=0)
    c.standing = c.standing._replace(state=HALTED, is_paused=True)
    return c


def test_what_completes_a_pair_passes_in_halted_but_needs_a_book_to_trust() -> None:
    assert completed(case()).reason() == "done"
    for wanted, trust, alive in (("untrusted", 1, EPOCH), ("epoch", 0, 0)):
        subject = completed(case())
        quote = list(subject.looks[0].quote or [])
        quote[cell(QUOTE, "trust")] = trust
        subject.looks[0] = subject.looks[0]._replace(quote=quote, alive_epoch=alive)
        assert subject.reason() == wanted


@pytest.mark.parametrize("limit_e6", [5_000, 995_000])
def test_the_band_keeps_nothing_that_shrinks_from_the_wire(limit_e6: int) -> None:
    fine = [E6, 1_000, 0, 0, 0, 0]
    for flags in (FLAG_UNWIND | FLAG_REDUCE, FLAG_REDUCE):
        subject = case()
        subject.drop(POLY)
        subject.leg(KALSHI, side=SELL, limit_e6=limit_e6)
        quote = list(subject.looks[0].quote or [])
        quote[cell(QUOTE, "grid") : cell(QUOTE, "grid") + 6] = fine
        subject.looks[0] = fresh(subject.looks[0]._replace(quote=quote, is_blocked=True))
        subject.accounts.position(KALSHI).yes_e6 = SIZE
        subject.intent = subject.intent._replace(flags=flags)
        assert subject.reason() == "done"


def test_a_frame_that_came_after_the_look_is_not_stale() -> None:
    subject = case()
    subject.quote(KALSHI, recv_ns=NOW + 1, number=7)
    subject.quote(POLY, recv_ns=NOW + SECOND_NS)
    assert subject.reason() == "done"


def test_an_unwind_may_use_the_reserve_that_an_opening_intent_may_not() -> None:
    subject, other = case(), unwind(case())
    spent_bucket(subject)
    spent_bucket(other)
    assert (subject.reason(), other.reason()) == ("limit_rate", "done")


def test_in_reducing_only_what_shrinks_passes() -> None:
    subject = case()
    subject.intent = subject.intent._replace(flags=FLAG_REDUCE)
    subject.standing = subject.standing._replace(state=REDUCING)
    assert subject.reason() == "reduce_only"
    subject.accounts.position(KALSHI).no_e6 = SIZE
    subject.accounts.position(POLY).yes_e6 = SIZE
    assert subject.reason() == "done"


def test_what_is_in_flight_counts_at_its_worst() -> None:
    subject = case()
    order = Order(1, 0, KALSHI, KALSHI, 1, BUY, 420_000, SIZE, Placing(YES, BUY, 420_000))
    subject.accounts.cash[KALSHI].cash_e6 = 8_000_000
    subject.accounts.reserve(order, 4_370_700, is_ours=False)
    assert subject.reason() == "cash"
    assert subject.accounts.release(order) and not subject.accounts.release(order)
    assert subject.reason() == "done"


def test_cost_is_the_dearer_form_with_its_fee() -> None:
    subject = case()
    for place, wanted in ((KALSHI, 4_200_000 + 170_600), (POLY, 5_000_000 + 125_000)):
        found = subject.looks[place]
        assert found.quote is not None
        assert cost_e6(found.leg, fee, facts_of(found.quote)) == wanted


@pytest.mark.parametrize(
    ("price", "wanted"),
    [(50_000, True), (55_000, True), (55_500, False), (100_000, True), (105_000, False), (900_000,
    True),
     (905_000, True), (1_000_000, True)],
)  # fmt: skip
def test_a_grid_of_three_ranges(price: int, wanted: bool) -> None:
    assert is_on_grid(price, [100_000, 1_000, 900_000, 10_000, 1_000_000, 1_000]) is wanted


def test_no_grid_admits_no_price() -> None:
    assert not is_on_grid(500_000, [0, 0, 0, 0, 0, 0]) and not is_on_grid(500_000, [])


@pytest.mark.parametrize(
    "changed",
    [{"order_max_e6": 0}, {"order_max_e6": 10**15}, {"orders_per_second": -1}, {"market_max_e6": 1},
     {"price_high_e6": 1_000_000}, {"kalshi_reserve": 101}, {"day_max_e6": True}],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused(changed: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed)).split("_")[0]):
        DeskParams(**changed)


def test_params_cannot_change() -> None:
    with pytest.raises(AttributeError):
        DeskParams().order_max_e6 = 1  # type: ignore[misc]
