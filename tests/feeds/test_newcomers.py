"""Windows come and go while a feed runs: new books on the connection that there is, old ones left,
places and slots used again under another generation."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from feeds.newcomers import ROWS_MAX, Newcomers, instruments_of
from feeds.polymarket import Polymarket
from feeds.publisher import Publisher
from feeds.update import FeedError, Instrument, MarketFacts
from shm_layout import (
    BODY,
    E6,
    GAP,
    INSTRUMENT,
    K_COMMAND,
    K_INSTRUMENT,
    NO_SNAPSHOT,
    NONE_NS,
    NOT_OPEN,
    ST_ACTIVE,
    ST_CLOSED,
    ST_SETTLED,
    TICK_EPOCH,
    Segment,
    Words,
    ring_append,
    text_to_cells,
    uint256_to_cells,
)
from tests.feeds.kalshi_line import SID, Line
from tests.feeds.rig import OPEN, Clock, Market, Rig, write_instrument

SETTLED = MarketFacts(
    status=ST_SETTLED, grid=((E6, 100),), strike_e8=90, close_epoch_ns=7, settlement_e6=E6
)


def row_of(market: Market) -> Words:
    body = np.zeros(BODY, np.int64)
    row = body.view(INSTRUMENT)[0]
    for name in ("index", "generation", "feed", "live"):
        row[name] = getattr(market, name)
    row["ticker"] = text_to_cells(market.ticker, 8)
    for name in ("condition", "token_yes", "token_no"):
        row[name] = uint256_to_cells(getattr(market, name))
    return body


def announce(segment: Segment, market: Market) -> None:
    """The supervisor's part: the slot, then the ring."""
    body = row_of(market)
    segment.write("instruments", market.index, body)
    ring = segment.at("control_ring")
    ring_append(segment.words, ring, segment.entries("control_ring"), K_INSTRUMENT, body, BODY)


class Stage(Rig):
    """A rig whose feed learns."""

    def __init__(self, *markets: Market, spare: int = 2, lanes: int = 1, most: int = 0) -> None:
        segment, clock = Segment.private(), Clock()
        for index, market in enumerate(markets):
            market.index = index
            write_instrument(segment, market)
        self.newcomers = Newcomers(segment, 0)
        publisher = Publisher(
            segment, feed=0, epoch=7, now_ns=1, instruments=instruments_of(segment, 0),
            spare=spare, lanes=lanes, markets_max=most,
        )  # fmt: skip
        super().__init__(segment, publisher, clock)
        for each in publisher.all_instruments:
            publisher.set_facts(each.local, OPEN, 1)

    def learn(self, *markets: Market) -> list[bool]:
        """Announced and learned; whether each was news."""
        for market in markets:
            announce(self.segment, market)
        told = self.newcomers.take()
        return [self.publisher.learn(one, is_live, 5) for one, is_live in told]

    def local(self, ticker: str) -> int:
        return next(o.local for o in self.publisher.all_instruments if o.ticker == ticker)

    def open(self, ticker: str) -> None:
        self.publisher.set_facts(self.local(ticker), OPEN, 6)


# ------------------------------------------------------------------------------- what it is told


def test_only_rows_of_this_feed_are_taken_and_each_once() -> None:
    segment = Segment.private()
    announce(segment, Market("before", index=0))
    newcomers = Newcomers(segment, 0)
    ring, size = segment.at("control_ring"), segment.entries("control_ring")
    ring_append(segment.words, ring, size, K_COMMAND, np.zeros(BODY, np.int64), BODY)
    announce(segment, Market("ours", index=1))
    announce(segment, Market("theirs", index=2, feed=1))
    announce(segment, Market("ours", index=1, live=0))
    found = [(one.ticker, one.index, is_live) for one, is_live in newcomers.take()]
    assert found == [("ours", 1, True), ("ours", 1, False)]
    assert newcomers.take() == []


def test_a_burst_is_read_in_parts_and_a_lap_reads_the_table() -> None:
    segment = Segment.private()
    newcomers = Newcomers(segment, 0)
    for _ in range(ROWS_MAX + 3):
        announce(segment, Market("ours", index=1))
    assert [len(newcomers.take()) for _ in range(3)] == [ROWS_MAX, 3, 0]
    announce(segment, Market("second", index=2))
    for _ in range(segment.entries("control_ring") + 9):
        announce(segment, Market("ours", index=1))
    assert [one.ticker for one, _ in newcomers.take()] == ["ours", "second"]
    assert newcomers.take() == []


# ------------------------------------------------------------------------------------- the books


def test_a_new_market_is_untrusted_until_it_has_book_and_facts_and_disturbs_no_other() -> None:
    made = Stage(Market("A"))
    before = int(made.quote(0)["number"])
    assert made.learn(Market("B", index=1)) == [True]
    assert made.trust(1) == NO_SNAPSHOT | NOT_OPEN | TICK_EPOCH
    assert int(made.quote(1)["epoch"]) == 7 and int(made.quote(1)["generation"]) == 1
    made.open("B")
    assert made.trust(1) == NO_SNAPSHOT
    assert int(made.quote(0)["number"]) == before
    assert [one.ticker for one in made.publisher.instruments] == ["A", "B"]
    assert made.learn(Market("B", index=1)) == [False], "told twice"


def test_a_slot_that_is_used_again_has_nothing_of_the_market_before() -> None:
    made = Stage(Market("A"), Market("B"))
    line = Line(made)
    line.snapshot("B")
    made.publisher.set_facts(1, SETTLED, 4)
    assert made.learn(Market("B", index=1, live=0)) == [True]
    assert made.levels(1) == ([], []) and int(made.quote(1)["settlement_e6"]) == E6
    number, ticks = int(made.quote(1)["number"]), int(made.quote(1)["tick_epoch"])
    assert made.learn(Market("C", index=1, generation=2)) == [True]
    quote = made.quote(1)
    assert int(quote["generation"]) == 2 and int(quote["number"]) > number
    assert int(quote["tick_epoch"]) == ticks
    for name in ("strike_e8", "close_epoch_ns", "settlement_e6"):
        assert int(quote[name]) == NONE_NS, name
    assert made.trust(1) == NO_SNAPSHOT | NOT_OPEN | TICK_EPOCH
    made.open("C")
    line.kalshi.tick(10)
    line.snapshot("C")
    assert made.trust(1) == 0 and made.levels(1)[0] == [(470_000, 3 * E6)]
    assert int(made.quote(1)["tick_epoch"]) == ticks + 1, "what was signed for B is void"


def test_an_older_generation_and_a_foreign_end_are_no_news() -> None:
    made = Stage(Market("A", generation=3))
    told = [Market("A", index=0, generation=2), Market("X", index=5, live=0)]
    assert made.learn(*told) == [False, False]
    assert [one.ticker for one in made.publisher.all_instruments] == ["A"]


def test_a_market_that_is_forgotten_while_open_is_closed_and_asked_for_no_more() -> None:
    made = Stage(Market("A"), Market("B"))
    made.learn(Market("B", index=1, live=0))
    assert int(made.quote(1)["status"]) == ST_CLOSED and made.trust(1) & NO_SNAPSHOT
    assert made.publisher.open_having(NO_SNAPSHOT) == [0]


def test_where_there_is_no_place_left_it_is_said_and_nothing_breaks() -> None:
    made = Stage(Market("A"), spare=1)
    assert made.learn(Market("B", index=1), Market("C", index=2)) == [True, False]
    assert made.publisher.notices.take()[0] == ["no place is left for C"]
    assert made.learn(Market("B", index=1, live=0), Market("D", index=1, generation=2)) == [
        True, True,
    ]  # fmt: skip


def test_newcomers_fill_the_emptiest_connection_and_keep_their_place_there() -> None:
    made = Stage(*(Market(f"m{i}") for i in range(3)), spare=3, most=3)
    assert made.learn(Market("new", index=9), Market("more", index=8)) == [True, True]
    rows = [[one.ticker for one in row[0].instruments] for row in made.publisher.seats]
    assert sorted(map(len, rows)) == [2, 3] and sum(row.count("new") for row in rows) == 1
    local = made.local("new")
    seat, place = made.publisher.leader(local)
    assert seat.first + place == local and seat.instruments[place].ticker == "new"
    made.open("new")
    assert made.trust(9) == NO_SNAPSHOT and made.quote(9)["status"] == ST_ACTIVE


def test_every_rival_of_a_place_is_emptied() -> None:
    made = Stage(Market("A"), Market("B"), lanes=2)
    first, second = (row for row in made.publisher.seats[0])
    for seat in (first, second):
        seat.mark(1, raised=GAP, now_ns=3)
    made.learn(Market("C", index=1, generation=2))
    assert [seat.trust(1) for seat in (first, second)] == [NO_SNAPSHOT | TICK_EPOCH] * 2
    assert [seat.count_max for seat in (first, second)] == [2, 2]


def test_what_was_asked_for_the_market_before_is_known_to_be_late() -> None:
    made = Stage(Market("A"), Market("B"))
    asked = made.publisher.all_instruments[1]
    assert made.publisher.follows(asked)
    made.learn(Market("C", index=1, generation=2))
    assert not made.publisher.follows(asked)
    assert isinstance(asked, Instrument) and asked.ticker == "B"


# ------------------------------------------------------------------------- told on the connection


def test_kalshi_is_told_of_both_on_the_connection_that_there_is() -> None:
    made = Stage(Market("A"), Market("B"))
    line = Line(made)
    line.snapshot("A")
    line.snapshot("B")
    line.sent()
    made.learn(Market("B", index=1, live=0), Market("C", index=2))
    line.kalshi.tick(10)
    sent = [each["params"] for each in line.sent()]
    channels = ("orderbook_delta", "ticker", "trade")
    assert sent == [
        {"sids": [SID[channel]], "action": action, "market_tickers": [ticker]}
        for action, ticker in (("add_markets", "C"), ("delete_markets", "B"))
        for channel in channels
    ]
    for channel in channels:
        if channel == "orderbook_delta":
            line.numbered("ok", {}, id=9)
        else:
            line.give({"type": "ok", "id": 9, "sid": SID[channel], "seq": 1})
    made.open("C")
    line.snapshot("C")
    line.delta("yes", "0.4600", "1.00", ticker="C")
    line.delta("yes", "0.4600", "1.00", ticker="B")  # on its way when it was left
    line.delta("yes", "0.4600", "1.00", ticker="A")
    assert made.trust(2) == 0 and made.trust(0) == 0 and made.counted("gaps") == 0
    assert made.trust(1) & NO_SNAPSHOT and made.levels(1) == ([], [])
    line.kalshi.tick(20)
    assert line.sent() == []


def test_the_numbers_of_an_answer_on_another_channel_are_no_hole() -> None:
    made = Stage(Market("A"))
    line = Line(made)
    trade = {"market_ticker": "A", "yes_price_dollars": "0.5", "count_fp": "1.00", "ts": 1,
             "taker_side": "yes", "trade_id": "x", "no_price_dollars": "0.5"}  # fmt: skip
    for seq, kind in ((1, "trade"), (2, "ok"), (3, "trade")):
        frame: dict[str, Any] = {"type": kind, "sid": SID["trade"], "seq": seq}
        line.give(frame | ({"msg": trade} if kind == "trade" else {"id": 1}))
    assert made.counted("gaps") == 0


def test_before_every_channel_is_acknowledged_kalshi_is_told_nothing() -> None:
    made = Stage(Market("A"))
    line = Line(made)
    line.kalshi.closed(5)
    line.kalshi.opened(6)
    line.sent()
    made.learn(Market("B", index=1))
    line.kalshi.tick(10)
    assert line.sent() == []
    for channel in ("orderbook_delta", "ticker", "trade"):
        line.give({"type": "subscribed", "id": 1, "msg": {"channel": channel, "sid": SID[channel]}})
    line.kalshi.tick(20)
    assert [each["params"]["market_tickers"] for each in line.sent()] == [["B"]] * 3
    line.kalshi.closed(30)
    line.kalshi.opened(40)
    assert line.sent()[0]["params"]["market_tickers"] == ["A", "B"]


def polymarket(made: Stage) -> Any:
    venue = Polymarket(made.publisher)
    venue.opened(1_000)
    return venue


def sent(venue: Any) -> list[Any]:
    found = [orjson.loads(message) for message in venue.outbox]
    venue.outbox.clear()
    return found


def book(token: str, bid: str, stamp: int) -> memoryview:
    told = {"event_type": "book", "market": "0x1", "asset_id": token, "timestamp": str(stamp),
            "bids": [{"price": bid, "size": "10"}], "asks": [{"price": "0.9", "size": "10"}],
            "hash": "h", "tick_size": "0.01"}  # fmt: skip
    return memoryview(orjson.dumps(told))


def test_polymarket_is_told_of_both_on_the_connection_that_there_is() -> None:
    made = Stage(Market("A", token_yes=11, token_no=12), Market("B", token_yes=21, token_no=22))
    venue = polymarket(made)
    assert sent(venue)[0]["assets_ids"] == ["11", "12", "21", "22"]
    for token in ("11", "21"):
        venue.frame(book(token, "0.4", 5_000), 2_000, True)
    made.learn(
        Market("B", index=1, live=0, token_yes=21, token_no=22),
        Market("C", index=1, generation=2, token_yes=31, token_no=32),
    )
    venue.tick(3_000)
    common = {"custom_feature_enabled": True}
    assert sent(venue) == [
        {"operation": "unsubscribe", "assets_ids": ["21", "22"], **common},
        {"operation": "subscribe", "assets_ids": ["31", "32"], **common},
    ]
    made.open("C")
    venue.frame(book("21", "0.7", 6_000), 4_000, True)  # on its way when it was left
    assert made.levels(1) == ([], [])
    venue.frame(book("31", "0.2", 4_000), 5_000, True)  # its clock is its own
    assert made.levels(1)[0] == [(200_000, 10 * E6)] and made.trust(1) == 0
    assert made.levels(0)[0] == [(400_000, 10 * E6)] and made.trust(0) == 0
    venue.tick(6_000)
    assert sent(venue) == []
    venue.closed(7_000)
    venue.opened(8_000)
    assert sent(venue)[0]["assets_ids"] == ["11", "12", "31", "32"]


def test_polymarket_refuses_more_places_than_the_venue_sends_books_for() -> None:
    made = Stage(Market("A", token_yes=11, token_no=12), spare=250)
    with pytest.raises(FeedError, match="found 251"):
        polymarket(made)


def test_book_frames_of_a_market_that_nobody_named_are_counted_only() -> None:
    made = Stage(Market("A"))
    line = Line(made)
    line.snapshot("A")
    line.snapshot("ZZZ")
    line.delta("yes", "0.4600", "1.00", ticker="A")
    assert made.trust(0) == 0 and made.counted("gaps") == 0
