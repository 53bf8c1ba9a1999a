"""The one writer of a feed's blocks: restarts, facts, closes by the clock, accounting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from feeds import book
from feeds.facts import STATUS_HOLD_NS
from feeds.levels import NO_CLAIM
from feeds.newcomers import instruments_of
from feeds.publisher import Publisher
from feeds.update import FeedError, MarketFacts
from shm_layout import (
    ASK,
    BID,
    COUNTERS,
    DRIFT,
    E6,
    FEE_QUADRATIC,
    GAP,
    LINK_SILENT,
    NO_SNAPSHOT,
    NONE_NS,
    NOT_OPEN,
    ROLE,
    ROUND_UP,
    ST_ACTIVE,
    ST_CLOSED,
    ST_DETERMINED,
    ST_INACTIVE,
    ST_INITIALIZED,
    ST_SETTLED,
    ST_UNKNOWN,
    TICK_EPOCH,
    Segment,
    cell,
)
from tests.feeds.rig import OPEN, Market, Rig, rig, write_instrument

TAPERED = ((100_000, 1_000), (900_000, 10_000), (E6, 1_000))


def two_sided(made: Rig, local: int = 0) -> None:
    levels = np.array([BID, 300_000, E6, ASK, 400_000, E6], np.int64)
    words, state = made.publisher.words, made.publisher.state
    book.replace(words, state, local, levels, True, NO_CLAIM, NO_CLAIM, 1, 0, 1, True)


def again(made: Rig, epoch: int = 8) -> Rig:
    """The feed's process died and another took its place."""
    publisher = Publisher(
        made.segment, feed=0, epoch=epoch, now_ns=5, instruments=instruments_of(made.segment, 0)
    )
    return Rig(made.segment, publisher, made.clock)


def test_only_live_instruments_of_this_feed_are_taken() -> None:
    segment = Segment.private()
    for index, (feed, live) in enumerate([(0, 1), (1, 1), (0, 0), (0, 1)]):
        write_instrument(segment, Market(f"M{index}", index=index, feed=feed, live=live))
    assert [(i.local, i.index) for i in instruments_of(segment, 0)] == [(0, 0), (1, 3)]


def test_a_long_token_id_and_ticker_survive_the_segment() -> None:
    segment = Segment.private()
    token = 2**256 - 1
    write_instrument(segment, Market("KXBTC15M-26MAY131800-00", index=0, token_yes=token))
    (found,) = instruments_of(segment, 0)
    assert found.token_yes == token and found.ticker == "KXBTC15M-26MAY131800-00"


def test_every_quote_is_published_untrusted_at_the_start() -> None:
    made = rig(Market("A"), Market("B"), facts=None)
    for index in (0, 1):
        quote = made.quote(index)
        assert int(quote["trust"]) == NO_SNAPSHOT | NOT_OPEN
        assert int(quote["epoch"]) == 7 and int(quote["number"]) == 1
        assert int(quote["strike_e8"]) == int(quote["settlement_e6"]) == NONE_NS


def test_a_restarted_feed_goes_on_from_numbers_and_facts_and_trusts_nothing() -> None:
    made = rig(Market("A"))
    two_sided(made)
    before = made.quote(0)
    assert int(before["trust"]) == 0
    quote = again(made).quote(0)
    assert int(quote["number"]) == int(before["number"]) + 1
    assert int(quote["epoch"]) == 8 and int(quote["trust"]) == NO_SNAPSHOT | NOT_OPEN
    assert int(quote["tick_epoch"]) == int(before["tick_epoch"])
    assert list(quote["grid"]) == list(before["grid"])
    assert int(quote["bids"][1]) == 0 and int(quote["status"]) == ST_UNKNOWN


def test_the_same_grid_after_a_restart_is_no_new_tick_epoch_another_one_is() -> None:
    made = again(rig(Market("A")))
    before = int(made.quote(0)["tick_epoch"])
    made.publisher.set_facts(0, OPEN, 6)
    assert int(made.quote(0)["tick_epoch"]) == before
    made = again(made, epoch=9)
    made.publisher.set_facts(0, replace(OPEN, grid=TAPERED), 6)
    assert int(made.quote(0)["tick_epoch"]) == before + 1
    assert list(made.quote(0)["grid"]) == [100_000, 1_000, 900_000, 10_000, E6, 1_000]


def test_another_generation_inherits_the_number_but_no_fact() -> None:
    made = rig(Market("A"), facts=replace(OPEN, strike_e8=5, settlement_e6=E6))
    before = made.quote(0)
    write_instrument(made.segment, Market("NEXT", index=0, generation=2))
    quote = again(made).quote(0)
    assert int(quote["generation"]) == 2 and int(quote["strike_e8"]) == NONE_NS
    assert int(quote["settlement_e6"]) == NONE_NS and list(quote["grid"]) == [0] * 6
    assert int(quote["number"]) == int(before["number"]) + 1
    assert int(quote["tick_epoch"]) == int(before["tick_epoch"])


def test_counters_go_on_after_a_restart() -> None:
    made = rig(Market("A"))
    made.publisher.count("gaps", 3)
    made.publisher.account(0)
    assert again(made).counted("gaps") == 3


def test_facts_stand_beside_the_quotes() -> None:
    facts = MarketFacts(
        status=ST_ACTIVE, grid=TAPERED, close_epoch_ns=10**18, strike_e8=7_980_071_000_000,
        taker_delay_ns=150, size_min_e6=10_000, size_step_e6=10_000, notional_min_e6=E6,
        notional_step_e6=10_000, fee_kind=FEE_QUADRATIC, fee_rate_e6=70_000, fee_exponent=1,
        fee_unit_e6=100, fee_mode=ROUND_UP,
    )  # fmt: skip
    quote = rig(Market("A"), facts=facts).quote(0)
    for name in ("status", "close_epoch_ns", "strike_e8", "taker_delay_ns", "size_min_e6",
                 "size_step_e6", "notional_min_e6", "notional_step_e6", "fee_kind",
                 "fee_rate_e6", "fee_exponent", "fee_unit_e6", "fee_mode"):  # fmt: skip
        assert int(quote[name]) == getattr(facts, name), name


def test_the_same_facts_again_publish_nothing() -> None:
    made = rig(Market("A"))
    made.publisher.set_facts(0, OPEN, 9)
    assert made.entries() == []


def test_a_grid_that_does_not_fit_is_refused_and_nothing_changes() -> None:
    made = rig(Market("A"))
    with pytest.raises(FeedError, match="grid"):
        made.publisher.set_facts(0, replace(OPEN, grid=((100_000, 1_000),) * 2), 9)
    assert made.entries() == []


@pytest.mark.parametrize(
    ("was", "facts", "wanted"),
    [
        (ST_UNKNOWN, ST_ACTIVE, ST_ACTIVE),
        (ST_INITIALIZED, ST_ACTIVE, ST_ACTIVE),
        (ST_ACTIVE, ST_INACTIVE, ST_INACTIVE),
        (ST_INACTIVE, ST_ACTIVE, ST_ACTIVE),
        (ST_ACTIVE, ST_CLOSED, ST_CLOSED),
        (ST_CLOSED, ST_SETTLED, ST_SETTLED),
        (ST_CLOSED, ST_ACTIVE, ST_CLOSED),
        (ST_DETERMINED, ST_CLOSED, ST_DETERMINED),
        (ST_SETTLED, ST_ACTIVE, ST_SETTLED),
    ],
)
def test_rest_never_undoes_the_end_of_a_market(was: int, facts: int, wanted: int) -> None:
    made = rig(Market("A"), facts=None)
    made.publisher.set_status(0, was, 1)
    made.publisher.set_facts(0, replace(OPEN, status=facts), 1 + STATUS_HOLD_NS)
    assert made.publisher.status(0) == wanted


def test_a_status_heard_on_the_wire_outranks_a_cached_answer_for_a_while() -> None:
    made = rig(Market("A"))
    made.publisher.set_status(0, ST_INACTIVE, 100)
    made.publisher.set_facts(0, OPEN, 100 + STATUS_HOLD_NS - 1)
    assert made.trust(0) & NOT_OPEN
    made.publisher.set_facts(0, OPEN, 100 + STATUS_HOLD_NS)
    assert not made.trust(0) & NOT_OPEN


def test_a_settlement_value_is_published_and_kept() -> None:
    made = rig(Market("A"))
    made.publisher.set_status(0, ST_DETERMINED, 5, settlement_e6=E6)
    assert int(made.quote(0)["settlement_e6"]) == E6
    made.publisher.set_facts(0, replace(OPEN, status=ST_SETTLED), 6)
    assert int(made.quote(0)["settlement_e6"]) == E6


def test_a_market_closes_by_the_clock_and_stays_closed() -> None:
    facts = replace(OPEN, close_epoch_ns=1_000)
    made = rig(Market("A"), facts=facts)
    two_sided(made)
    made.publisher.close_due(999, 5)
    assert made.trust(0) == 0
    made.publisher.close_due(1_000, 6)
    assert made.trust(0) == NOT_OPEN and int(made.quote(0)["status"]) == ST_CLOSED
    made.publisher.set_facts(0, facts, 7)  # a cached answer
    assert int(made.quote(0)["status"]) == ST_CLOSED
    made.publisher.set_facts(0, replace(facts, close_epoch_ns=2_000), 8)  # the close was moved
    assert int(made.quote(0)["status"]) == ST_ACTIVE


def test_an_opening_that_is_due_is_noticed() -> None:
    made = rig(Market("A"), facts=replace(OPEN, status=ST_INITIALIZED, open_epoch_ns=500))
    assert not made.publisher.is_open_due(499)
    assert made.publisher.is_open_due(500)
    made.publisher.set_facts(0, replace(OPEN, open_epoch_ns=500), 9)
    assert not made.publisher.is_open_due(501)


def test_a_lost_link_empties_the_books_and_a_silent_one_does_not() -> None:
    made = rig(Market("A"))
    two_sided(made)
    made.publisher.silence(True, 5)
    assert made.trust(0) == LINK_SILENT and made.levels(0)[0]
    made.publisher.silence(False, 6)
    assert made.trust(0) == 0
    made.publisher.mark(raised=GAP | DRIFT, now_ns=7)
    made.publisher.lose(8)
    assert made.trust(0) == NO_SNAPSHOT and made.levels(0) == ([], [])


def test_a_tick_epoch_in_doubt_is_trusted_again_with_the_next_facts() -> None:
    made = rig(Market("A"))
    two_sided(made)
    made.publisher.mark(0, raised=TICK_EPOCH, now_ns=5)
    assert made.trust(0) == TICK_EPOCH
    made.publisher.set_facts(0, OPEN, 6)
    assert made.trust(0) == 0


def test_trusted_time_counts_open_markets_only() -> None:
    made = rig(Market("A"), Market("B"), Market("C"))
    two_sided(made, 0)
    made.publisher.set_status(2, ST_CLOSED, 1)
    assert made.publisher.account(100) == 1  # B is open and has no book
    assert made.counted("instrument_ns") == 200 and made.counted("trusted_ns") == 100


def test_counters_and_connected_reach_the_role_row() -> None:
    made = rig(Market("A"))
    made.publisher.count("gaps", 2)
    made.publisher.account(0)
    made.publisher.connected(True)
    at = made.segment.at("roles", 12) + cell(ROLE, "counters") + COUNTERS["feed"].index("gaps")
    assert made.segment.words[at] == 2 and made.role("connected") == 1
    made.publisher.connected(False)
    assert made.role("connected") == 0


def test_an_end_that_is_no_close_is_only_when_to_ask() -> None:
    """Polymarket may take orders after `endDate`: nothing is traded until it has said so."""
    made = rig(Market("m"), facts=None)
    facts = replace(OPEN, close_epoch_ns=1_000, is_end_close=False)
    publisher = made.publisher
    publisher.set_facts(0, facts, 5)
    publisher.mark(0, lowered=NO_SNAPSHOT, now_ns=5)
    before = made.trust(0)
    assert not publisher.close_due(999, 6) and publisher.close_due(1_000, 7)
    assert made.trust(0) == before | TICK_EPOCH
    assert int(made.quote(0)["status"]) == ST_ACTIVE and not publisher.close_due(1_001, 8)
    publisher.set_facts(0, facts, 9)
    assert made.trust(0) == before and not publisher.close_due(1_002, 10)
    publisher.set_facts(0, replace(facts, status=ST_CLOSED), 11)
    assert int(made.quote(0)["status"]) == ST_CLOSED
