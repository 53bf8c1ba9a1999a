"""The last gate for a bet: each rule refuses what breaks it, alone, by the plain rules and by the
compiled look.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gateway.guard_bet import PRICE_MAX_NS
from gateway.ledger import Work
from gateway.order import Order
from gateway.ports import YES, Placing
from gateway.standing import unhedged_e6
from shm_layout import (
    BODY,
    BUY,
    E6,
    FLAG_REDUCE,
    HAD,
    HALTED,
    KIND_CROSS_VENUE,
    KIND_MODEL,
    NO_INSTRUMENT,
    QUOTE,
    REASONS,
    REDUCING,
    SELL,
    cell,
)
from tests.gateway.guard_case import (
    CLOSE_NS,
    INDEX_SLOT,
    NOW,
    PRICE,
    SEGMENT,
    SIZE,
    Case,
    Row,
    bet,
    case,
)
from tests.gateway.scene import EPOCH, KALSHI, POLY
from tests.gateway.test_guard import (
    Break,
    cash,
    decided,
    expired,
    held,
    look,
    lost,
    moved,
    params,
    rates,
    spent_bucket,
    spent_rate,
    standing,
)

COST = 4_370_600  # 10 × 0.42 and 10 × 0.07 × 0.42 × 0.58, up to a hundredth of a cent
MOVE = PRICE // E6 * 20  # what the price may have moved by


def price(alive: int = EPOCH, *, is_read: bool = True) -> Break:
    def apply(c: Case) -> None:
        assert c.standing.price is not None
        cells = c.standing.price.cells if is_read else None
        found = c.standing.price._replace(cells=cells, alive_epoch=alive)
        c.standing = c.standing._replace(price=found)

    return apply


def of_kind(kind: int) -> Break:
    def apply(c: Case) -> None:
        c.intent = c.intent._replace(kind=kind)

    return apply


def lost_part(c: Case, dollars_e6: int) -> None:
    c.accounts.realized_day_e6 = -dollars_e6


def without_terms(c: Case) -> None:
    assert c.standing.price is not None
    c.standing = c.standing._replace(price=c.standing.price._replace(terms=None))


def of_rule(rule: int) -> Break:
    def apply(c: Case) -> None:
        market = c.looks[0].market
        assert market is not None
        c.looks[0] = c.looks[0]._replace(market=replace(market, rule=rule))
        c.accounts.add_market(replace(market, rule=rule))

    return apply


def of_index(c: Case) -> None:
    """Valued with the index itself, where that stands for an old mean too."""
    c.told(spot_slot=INDEX_SLOT)
    c.terms(spot_slot=INDEX_SLOT)
    c.price(last_e8=PRICE, bid_e8=PRICE * 3, ask_e8=PRICE * 4)  # value_e8 lies where last_e8 does


def by_formula(fair_e6: int) -> Break:
    """Its strategy counts with a formula of its own, and so it comes to this."""

    def apply(c: Case) -> None:
        assert c.standing.price is not None
        c.standing = c.standing._replace(price=c.standing.price._replace(is_formula=True))
        c.told(fair_e6=fair_e6)

    return apply


def of_share(share_e6: int, fair_e6: int) -> Break:
    """The market's middle, 0.41, has this share in a chance that the bet says is so much."""

    def apply(c: Case) -> None:
        c.terms(market_e6=share_e6)
        c.told(fair_e6=fair_e6)

    return apply


def staked(instrument: int, cost: int, in_flight: int = 0) -> Break:
    """Another bet is held, and one more under way."""

    def apply(c: Case) -> None:
        position = c.accounts.position(instrument)
        position.cost_yes_e6 = position.bet_e6 = cost
        if in_flight:
            placing = Placing(YES, BUY, 500_000)
            order = Order(7, 0, KALSHI, instrument, 1, BUY, 500_000, SIZE, placing, is_bet=True)
            c.accounts.reserve(order, in_flight, is_ours=False)

    return apply


BREAKS: list[tuple[str, Break]] = [
    ("killed", standing(state=-1)),
    ("halted", standing(state=HALTED)),
    ("reduce_only", standing(state=REDUCING)),
    ("journal", standing(journal_failed=True)),
    ("paused_pair", standing(is_paused=True)),
    ("paused_pair", standing(pair=None)),
    ("paused_pair", standing(pair=Row(approved=0, b=NO_INSTRUMENT))),
    ("duplicate", standing(is_duplicate=True)),
    ("stale", expired),
    ("stale", look(KALSHI, quote=None)),
    ("stale", lambda c: decided(c, NOW - 50_000_001)),
    ("blocked", look(KALSHI, is_blocked=True)),
    ("generation", lambda c: c.leg(KALSHI, generation=2)),
    ("epoch", look(KALSHI, alive_epoch=0)),
    ("untrusted", lambda c: c.quote(KALSHI, trust=1)),
    ("moved", moved),
    ("band", lambda c: c.leg(KALSHI, limit_e6=5_000)),
    ("tick", lambda c: c.leg(KALSHI, limit_e6=415_000)),
    ("lot", lambda c: c.leg(KALSHI, size_e6=SIZE + 1)),
    ("minimum", lambda c: c.leg(KALSHI, size_e6=9_999)),
    # what makes it a bet
    ("edge_gone", standing(pair=Row())),
    ("edge_gone", standing(pair=Row(a=POLY, b=NO_INSTRUMENT))),
    ("edge_gone", of_kind(KIND_CROSS_VENUE)),
    ("edge_gone", of_kind(0)),
    ("edge_gone", lambda c: c.told(fair_e6=437_060)),
    ("edge_gone", lambda c: c.told(fair_e6=0)),
    ("edge_gone", lambda c: c.told(fair_e6=E6)),
    ("edge_gone", lambda c: c.told(fair_e6=-(10**15))),
    ("edge_gone", params(edge_min_e6=62_941)),
    # the price behind it
    ("untrusted", lambda c: c.told(spot_slot=9)),
    ("untrusted", lambda c: c.told(spot_slot=-1)),
    ("stale", price(is_read=False)),
    ("epoch", price(alive=0)),
    ("epoch", price(alive=EPOCH + 1)),
    ("epoch", lambda c: c.told(spot_epoch=EPOCH - 1)),
    ("epoch", lambda c: c.price(epoch=EPOCH - 1)),
    ("untrusted", lambda c: c.price(trust=1)),
    ("untrusted", lambda c: c.price(bid_e8=0, last_e8=0)),
    ("stale", lambda c: c.price(recv_ns=NOW - PRICE_MAX_NS - 1)),
    ("stale", lambda c: c.price(recv_ns=NOW + 1_000_000_001)),
    ("moved", lambda c: c.told(spot_e8=PRICE + MOVE + 4_000)),
    ("moved", lambda c: c.told(spot_e8=PRICE - MOVE - 200_000)),
    ("moved", lambda c: c.told(spot_e8=0)),
    ("moved", lambda c: c.price(bid_e8=0, last_e8=PRICE - MOVE - 1)),
    # what the model makes of it
    ("stale", without_terms),
    ("stale", lambda c: c.terms(valid_until_ns=NOW - 1)),
    ("generation", lambda c: c.terms(generation=2)),
    ("generation", lambda c: c.terms(instrument=POLY)),
    ("untrusted", lambda c: c.terms(spot_slot=INDEX_SLOT)),
    ("off_model", lambda c: c.told(fair_e6=560_000)),
    ("off_model", by_formula(760_000)),
    ("off_model", lambda c: (params(fair_off_e6=40_000)(c), c.told(fair_e6=550_000))),
    ("off_model", lambda c: (params(formula_off_e6=240_000)(c), by_formula(750_000)(c))),
    ("off_model", of_share(200_000, 531_000)),
    ("off_model", of_share(500_000, 500_000)),
    ("off_model", lambda c: (of_share(500_000, 0)(c), by_formula(590_000)(c))),
    ("off_model", lambda c: c.terms(strike_e8=-1)),
    ("off_model", lambda c: c.terms(strike_e8=PRICE + 10**11)),
    ("off_model", lambda c: c.terms(sigma_e12=0)),
    ("off_model", lambda c: c.terms(close_epoch_ns=0)),
    ("off_model", lambda c: c.price(event_epoch_ns=CLOSE_NS)),
    ("off_model", of_rule(0)),
    # money
    ("cash", cash(KALSHI, COST + 100 - 1)),
    ("limit_day", lost),
    ("limit_day", params(day_max_e6=COST + 99)),
    ("limit_day", held(KALSHI, 20 * E6 - COST)),
    ("limit_day", staked(9, 20 * E6 - COST - 99)),
    ("limit_day", staked(9, 10 * E6, 10 * E6 - COST - 99)),
    ("limit_day", lambda c: (staked(9, 10 * E6)(c), held(KALSHI, 10 * E6 - COST - 99)(c))),
    ("limit_day", lambda c: (staked(9, 10 * E6)(c), lost_part(c, 10 * E6 - COST - 99))),
    ("limit_day", standing(unhedged_e6=20 * E6 - COST - 99)),
    ("limit_order", params(order_max_e6=COST + 99)),
    ("limit_market", params(market_max_e6=COST + 99, order_max_e6=COST + 99 - 1)),
    ("limit_event", params(event_max_e6=COST + 99)),
    ("limit_asset", params(asset_max_e6=COST + 99)),
    ("limit_venue", params(venue_max_e6=COST + 99)),
    ("limit_rate", standing(open_intents=32)),
    ("limit_rate", lambda c: (spent_rate(c), setattr(c, "sent", 10))),
    ("limit_rate", lambda c: (rates((1_000, 10, 1_000), 1)(c), setattr(c, "sent", 10))),
    ("limit_rate", spent_bucket),
]  # fmt: skip


def test_a_bet_that_breaks_no_rule_passes() -> None:
    assert bet().reason() == "done"


@pytest.mark.parametrize(
    ("wanted", "breaks"), BREAKS, ids=lambda x: x if isinstance(x, str) else ""
)
def test_each_rule_refuses_alone(wanted: str, breaks: Break) -> None:
    subject = bet()
    breaks(subject)
    if wanted == "limit_market":
        subject.params = replace(subject.params, order_max_e6=COST + 100, market_max_e6=COST + 100)
        subject.accounts.position(KALSHI).cost_yes_e6 = 1
    assert subject.reason() == wanted


@pytest.mark.parametrize(
    "passes",
    [
        lambda c: c.told(fair_e6=437_080),  # a fifth of a cent more than it costs
        params(edge_min_e6=62_930),
        of_index,
        lambda c: c.price(bid_e8=0, last_e8=PRICE),
        lambda c: c.price(number=1_000),  # another price of the same value
        lambda c: c.price(recv_ns=NOW - PRICE_MAX_NS),
        lambda c: c.told(spot_e8=PRICE + MOVE // 2),
        lambda c: c.told(fair_e6=550_000),  # a little more than the model makes of it now
        of_share(200_000, 520_000),
        of_share(500_000, 475_000),
        lambda c: (of_share(500_000, 0)(c), by_formula(570_000)(c)),
        by_formula(740_000),
        lambda c: (params(formula_off_e6=270_000)(c), by_formula(760_000)(c)),
        lambda c: c.terms(strike_e8=PRICE // 2),  # worth more than it claims
        params(day_max_e6=COST + 100),
        lambda c: (  # no leg of it can be alone
            standing(unhedged_e6=20 * E6 - COST - 100)(c),
            params(unhedged_max_e6=1)(c),
        ),
        staked(9, 10 * E6, 10 * E6 - COST - 100),
        held(9, 100 * E6),  # a leg of a pair: it is hedged
        cash(KALSHI, COST + 100),
    ],
)
def test_at_the_edge_it_still_passes(passes: Break) -> None:
    subject = bet()
    passes(subject)
    assert subject.reason() == "done"


def test_the_middle_is_that_of_what_paper_orders_left() -> None:
    subject = bet()
    of_share(500_000, 500_000)(subject)
    quote = subject.looks[0].quote
    assert quote is not None
    quote[cell(QUOTE, "asks") + 2 : cell(QUOTE, "asks") + 4] = [600_000, 100 * E6]
    row = np.zeros(BODY, np.int64)
    view = row.view(HAD)[0]
    view["instrument"], view["asks"][:2] = KALSHI, (420_000, quote[cell(QUOTE, "asks") + 1])
    for generation, wanted in ((1, "done"), (2, "off_model")):  # the market's, and another's
        view["generation"] = generation
        SEGMENT.write("had", KALSHI, row)
        assert REASONS[subject.compiled(SEGMENT)] == wanted


def test_a_sale_is_worth_what_the_other_token_is() -> None:
    subject = bet()
    subject.leg(KALSHI, side=SELL, limit_e6=400_000)
    subject.looks[0] = subject.looks[0]._replace(placing=Placing(YES, SELL, 400_000))
    subject.terms(strike_e8=PRICE + 55 * 10**8)
    subject.told(fair_e6=380_000)  # NO costs 0.60 with 0.0168 of fees and is worth 0.62
    assert subject.reason() == "done"
    subject.told(fair_e6=384_000)
    assert subject.reason() == "edge_gone"
    subject.told(fair_e6=320_000)
    assert subject.reason() == "off_model"


def test_two_legs_are_no_bet_and_a_row_of_one_market_no_pair() -> None:
    subject = case()
    subject.intent = subject.intent._replace(kind=KIND_MODEL)
    assert subject.reason() == "edge_gone"
    for kind in (0, KIND_CROSS_VENUE):
        subject = case()
        subject.intent = subject.intent._replace(kind=kind)
        subject.standing = subject.standing._replace(pair=Row(b=NO_INSTRUMENT))
        assert subject.reason() == "edge_gone"


def test_a_bet_that_only_shrinks_what_is_held_needs_no_fair_value() -> None:
    subject = bet()
    subject.accounts.position(KALSHI).no_e6 = SIZE
    subject.intent = subject.intent._replace(flags=FLAG_REDUCE)
    subject.standing = subject.standing._replace(state=REDUCING)
    subject.told(fair_e6=0)
    assert subject.looks[0].leg.side == BUY and subject.reason() == "done"


def test_a_bet_under_way_is_no_leg_that_may_stand_alone() -> None:
    subject = bet()
    work = Work(subject.intent, [], [COST], [], NOW)
    assert unhedged_e6([work]) == 0
    work.intent, work.costs_e6 = work.intent._replace(kind=KIND_CROSS_VENUE), [COST, 7]
    assert unhedged_e6([work]) == COST
