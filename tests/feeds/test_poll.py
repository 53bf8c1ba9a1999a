"""Books over REST while no connection is whole: when, how often, and what they are good for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pytest

from feeds import book
from feeds.kalshi_books import KalshiBooks
from feeds.levels import NO_CLAIM
from feeds.newcomers import instruments_of
from feeds.poll import FAST_NS, SLOW_NS, STALE_NS, Bucket, Pace, Poll, PolledBook
from feeds.polymarket_books import PolymarketBooks
from feeds.publisher import Publisher
from feeds.update import FeedError, Instrument
from shm_layout import ASK, BID, E6, NO_SNAPSHOT, POLLED, ST_CLOSED, Segment
from tests.feeds.rig import OPEN, Clock, Market, Rig, write_instrument

SECOND_NS = 10**9


@dataclass
class Down:
    """A shard whose connections are all lost."""

    down_since_ns: int | None = 0
    is_live: bool = False


@dataclass
class Books:
    """A venue's REST that answers one book for every market."""

    bid_e6: int = 300_000
    fails: bool = False
    batch_max: int = 2
    asked: list[list[str]] = field(default_factory=list)
    then: Callable[[], None] = lambda: None

    async def read(
        self, instruments: Sequence[Instrument]
    ) -> tuple[dict[int, PolledBook], list[str]]:
        self.asked.append([one.ticker for one in instruments])
        self.then()
        if self.fails:
            raise FeedError("GET /books: status: found 503, wanted 200")
        levels = [BID, self.bid_e6, E6, ASK, 900_000, E6]
        return {one.local: PolledBook(levels, 0) for one in instruments}, []


@dataclass
class Scene:
    """Three markets, one stream seat, the poll."""

    rig: Rig
    shard: Down
    books: Books
    poll: Poll

    def turn(self, *, after_ns: int = 0) -> list[str]:
        self.rig.clock.now_ns += after_ns
        return asyncio.run(self.poll.turn())


def scene() -> Scene:
    segment, clock, shard, books = Segment.private(), Clock(), Down(), Books()
    for index, name in enumerate("ABC"):
        write_instrument(segment, Market(name, index=index))
    publisher = Publisher(
        segment, feed=0, epoch=7, now_ns=1, instruments=instruments_of(segment, 0), has_poll=True
    )
    for local in range(3):
        publisher.set_facts(local, OPEN, 1)
    shard.down_since_ns = clock.now_ns
    poll = Poll(
        [(shard, publisher.seats[0][-1])], books, clock, after_ns=2 * SECOND_NS,
        bucket=Bucket(1_000, 1_000),
    )  # fmt: skip
    return Scene(Rig(segment, publisher, clock), shard, books, poll)


def test_nothing_is_asked_while_a_connection_is_whole_or_was_a_moment_ago() -> None:
    on = scene()
    on.turn(after_ns=SECOND_NS)
    on.shard.down_since_ns, on.shard.is_live = None, True
    on.turn(after_ns=60 * SECOND_NS)
    assert on.books.asked == [] and on.rig.counted("polls") == 0


def test_polled_books_show_but_can_never_open_a_trade() -> None:
    on = scene()
    assert on.turn(after_ns=2 * SECOND_NS) == []
    assert on.books.asked == [["A", "B"], ["C"]] and on.rig.counted("polls") == 2
    for index in range(3):
        assert on.rig.trust(index) == POLLED
        assert on.rig.levels(index)[0] == [(300_000, E6)]


def test_only_open_markets_are_asked_for() -> None:
    on = scene()
    on.rig.publisher.set_status(1, ST_CLOSED, 1)
    on.turn(after_ns=2 * SECOND_NS)
    assert on.books.asked == [["A", "C"]]


def test_polled_quotes_end_the_moment_a_stream_is_whole() -> None:
    on = scene()
    on.turn(after_ns=2 * SECOND_NS)
    levels = np.array([BID, 310_000, E6, ASK, 900_000, E6], np.int64)
    words, state = on.rig.publisher.words, on.rig.publisher.state
    book.replace(words, state, 0, levels, True, NO_CLAIM, NO_CLAIM, 1, 0, 5, True)
    assert on.rig.trust(0) == 0 and on.rig.levels(0)[0] == [(310_000, E6)]
    assert on.rig.trust(1) == POLLED  # the negative control: no stream has that one yet
    on.shard.down_since_ns, on.shard.is_live = None, True
    on.turn()
    assert on.rig.trust(0) == 0 and on.rig.trust(1) & NO_SNAPSHOT


def test_an_answer_that_comes_after_the_stream_is_thrown_away() -> None:
    on = scene()

    def lives() -> None:
        on.shard.is_live = True

    on.books.then = lives
    on.turn(after_ns=2 * SECOND_NS)
    assert on.rig.counted("polls") == 1 and on.rig.trust(0) & NO_SNAPSHOT


def test_what_was_read_long_ago_is_not_shown() -> None:
    on = scene()
    on.turn(after_ns=2 * SECOND_NS)
    on.books.fails = True
    assert "503" in on.turn(after_ns=STALE_NS)[0] and on.rig.trust(0) == POLLED
    on.turn(after_ns=1)
    assert on.rig.trust(0) & NO_SNAPSHOT


def test_rounds_come_faster_while_prices_move_and_slower_while_they_do_not() -> None:
    on = scene()
    on.turn(after_ns=2 * SECOND_NS)
    for _ in range(3):
        on.books.bid_e6 += 10_000
        on.turn(after_ns=SECOND_NS)
    moving = len(on.books.asked)
    on.turn(after_ns=FAST_NS)
    assert len(on.books.asked) == moving + 2
    for _ in range(6):
        on.turn(after_ns=SLOW_NS)
    quiet = len(on.books.asked)
    on.turn(after_ns=SLOW_NS - 1)
    assert len(on.books.asked) == quiet
    on.turn(after_ns=1)
    assert len(on.books.asked) == quiet + 2


def test_the_pace_has_two_ends() -> None:
    pace = Pace()
    for _ in range(20):
        pace.took(moved=True)
    assert pace.every_ns == FAST_NS
    for _ in range(20):
        pace.took(moved=False)
    assert pace.every_ns == SLOW_NS


@pytest.mark.parametrize(("per_s", "burst"), [(2, 2), (10, 1), (5, 20)])
def test_the_bucket_never_gives_more_than_its_rate_and_burst(per_s: int, burst: int) -> None:
    bucket, now_ns, taken = Bucket(per_s, burst), 100 * SECOND_NS, 0
    for _ in range(30 * per_s):
        now_ns += SECOND_NS // (3 * per_s)
        while bucket.wait_ns(now_ns) == 0:
            bucket.take(now_ns)
            taken += 1
    assert 7 * per_s <= taken <= 10 * per_s + burst
    wait_ns = bucket.wait_ns(now_ns)
    assert bucket.wait_ns(now_ns + wait_ns) == 0
    with pytest.raises(AssertionError):
        bucket.take(now_ns)


class Answer:
    """Stands in for feeds.rest.Rest: one body, and what was asked."""

    def __init__(self, body: object) -> None:
        self.body, self.asked = orjson.dumps(body), list[Any]()

    async def get(self, path: str, params: object = None) -> bytes:
        self.asked.append((path, params))
        return self.body

    async def ask(self, path: str, body: bytes) -> bytes:
        self.asked.append((path, orjson.loads(body)))
        return self.body


def one(local: int, ticker: str, token: int = 0) -> Instrument:
    return Instrument(
        local=local, index=local, generation=1, ticker=ticker, condition=0, token_yes=token,
        token_no=0,
    )  # fmt: skip


def test_kalshi_is_asked_with_repeated_names_and_its_no_bids_become_yes_asks() -> None:
    sides = {"yes_dollars": [["0.4600", "1.00"], ["0.4700", "3.50"]],
             "no_dollars": [["0.5200", "1.00"]]}  # fmt: skip
    empty: dict[str, Any] = {"yes_dollars": [], "no_dollars": None}
    rest = Answer({"orderbooks": [{"ticker": "B", "orderbook_fp": sides},
                                  {"ticker": "A", "orderbook_fp": empty},
                                  {"ticker": "X", "orderbook_fp": empty}]})  # fmt: skip
    reader = KalshiBooks(rest)  # type: ignore[arg-type]
    found, errors = asyncio.run(reader.read([one(0, "A"), one(1, "B"), one(2, "X")]))
    assert rest.asked == [("/trade-api/v2/markets/orderbooks", {"tickers": ["A", "B", "X"]})]
    assert errors == [] and found[0].levels == []
    assert found[1].levels == [BID, 460_000, E6, BID, 470_000, 3_500_000, ASK, 480_000, E6]


def test_polymarket_is_asked_for_yes_tokens() -> None:
    told = {
        "asset_id": "71",
        "market": "0x1",
        "timestamp": "1788702600000",
        "hash": "h",
        "bids": [{"price": "0.47", "size": "3"}],
        "asks": [{"price": "0.48", "size": "1.5"}],
    }
    rest = Answer([told, told | {"asset_id": "9"}])
    reader = PolymarketBooks(rest)  # type: ignore[arg-type]
    found, errors = asyncio.run(reader.read([one(4, "m", 71), one(5, "n", 72)]))
    assert rest.asked == [("/books", [{"token_id": "71"}, {"token_id": "72"}])] and errors == []
    assert found == {
        4: PolledBook([BID, 470_000, 3 * E6, ASK, 480_000, 1_500_000], 1_788_702_600 * SECOND_NS)
    }


_GOOD = {
    KalshiBooks: b'{"ticker":"A","orderbook_fp":{"yes_dollars":[["0.47","1"]]}}',
    PolymarketBooks: b'{"asset_id":"1","bids":[{"price":"0.47","size":"1"}],"asks":[]}',
}


@pytest.mark.parametrize("reader", _GOOD)
@pytest.mark.parametrize("odd", [b"null", b'{"ticker":"\xff","asset_id":"\xff"}', b'"0.47"-"x"'])
def test_one_odd_row_costs_its_own_market_and_one_line(
    reader: type[KalshiBooks] | type[PolymarketBooks], odd: bytes
) -> None:
    good = _GOOD[reader]
    if b"-" in odd:  # a price that is no number, of the other market
        odd = good.replace(b'"A"', b'"B"').replace(b'"1",', b'"2",').replace(b'"0.47"', b'"x"')
    rows = b"[" + odd + b"," + good + b"]"
    rest = Answer(None)
    rest.body = b'{"orderbooks":' + rows + b"}" if reader is KalshiBooks else rows
    made = reader(rest)  # type: ignore[arg-type]
    found, errors = asyncio.run(made.read([one(0, "A", 1), one(1, "B", 2)]))
    assert found == {0: PolledBook([BID, 470_000, E6], 0)}
    assert len(errors) == 1 and "books" in errors[0]


@pytest.mark.parametrize("reader", [KalshiBooks, PolymarketBooks])
@pytest.mark.parametrize("body", [{"x": 1}, [{}, {}], "text"])  # more rows than asked for
def test_an_answer_of_another_shape_is_one_clear_error(
    reader: type[KalshiBooks] | type[PolymarketBooks], body: object
) -> None:
    with pytest.raises(FeedError, match="books"):
        asyncio.run(reader(Answer(body)).read([one(0, "A", 1)]))  # type: ignore[arg-type]


def test_a_book_that_no_answer_tells_of_any_more_is_not_shown_for_ever() -> None:
    """One request of several fails for good, the others do not."""
    made = scene()
    made.turn(after_ns=3 * SECOND_NS)
    assert [made.rig.trust(local) for local in range(3)] == [POLLED] * 3
    read = made.books.read

    async def partly(instruments: Sequence[Instrument]) -> dict[int, PolledBook]:
        if instruments[0].ticker == "C":
            raise FeedError("GET /books: status: found 503, wanted 200")
        return await read(instruments)

    made.poll._reader.read = partly  # type: ignore[method-assign]
    for _ in range(STALE_NS // SECOND_NS + 1):
        made.turn(after_ns=SECOND_NS)
    assert [made.rig.trust(local) for local in range(3)] == [POLLED, POLLED, POLLED | NO_SNAPSHOT]
    assert made.rig.levels(2) == ([], [])
