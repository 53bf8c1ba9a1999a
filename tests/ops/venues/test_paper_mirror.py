"""What the feeds publish becomes the paper venues' books, and what they doubt is not matched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ops.venues.paper_mirror import Mirror
from ops.venues.script import BookSet, StatusChange
from shm_layout import (
    BEAT_CELL,
    BODY,
    CROSSED,
    FEED_ROLE,
    INSTRUMENT,
    LIVE_EPOCH_AT,
    NO_ASK_E6,
    NO_BID_E6,
    NONE_NS,
    QUOTE,
    ROLE_CELLS,
    ROLES_AT,
    ST_ACTIVE,
    ST_CLOSED,
    ST_SETTLED,
    VENUES,
    Segment,
    text_to_cells,
    word_store,
)
from tests.ops.venues.rig import ASKS, BIDS, MARKETS, K, P

RUN_NS = 1_790_000_000_000_000_000
BEAT_MAX_NS = 250_000_000
EPOCH = 3
SLOT = {K: 5, P: 2}  # other numbers than the script's
FEED = {K: VENUES.index("kalshi"), P: VENUES.index("polymarket")}


class Stage:
    """A segment with two instruments and two living feeds."""

    def __init__(self) -> None:
        self.segment = Segment.private()
        self.now_ns = 10**12
        for market in SLOT:
            self.name(market)
            self.live(market, EPOCH)
        self.mirror = Mirror(
            self.segment, MARKETS, clock=lambda: self.now_ns, beat_max_ns=BEAT_MAX_NS
        )

    def name(self, market: int, generation: int = 1, ticker: str = "") -> None:
        spec = MARKETS[market]
        body = np.zeros(BODY, np.int64)
        row = body.view(INSTRUMENT)[0]
        row["index"], row["generation"], row["live"] = SLOT[market], generation, 1
        row["venue"] = row["feed"] = FEED[market]
        row["ticker"] = text_to_cells(ticker or spec.ticker, 8)
        self.segment.write("instruments", SLOT[market], body)

    def live(self, market: int, epoch: int) -> None:
        role = FEED_ROLE + FEED[market]
        word_store(self.segment.words, LIVE_EPOCH_AT + role, epoch)
        word_store(self.segment.words, ROLES_AT + role * ROLE_CELLS + BEAT_CELL, self.now_ns)

    def quote(self, market: int, **changed: Any) -> None:
        """One quote: the rig's books, less what `changed` says."""
        body = np.zeros(BODY, np.int64)
        row = body.view(QUOTE)[0]
        told = {"instrument": SLOT[market], "generation": 1, "epoch": EPOCH, "status": ST_ACTIVE,
                "settlement_e6": NONE_NS, "bids": BIDS, "asks": ASKS} | changed  # fmt: skip
        for side, nothing in (("bids", NO_BID_E6), ("asks", NO_ASK_E6)):
            levels = [*told[side], *([(nothing, 0)] * 5)][:5]
            told[side] = [cell for level in levels for cell in level]
        for name, value in told.items():
            row[name] = value
        self.segment.write("quotes", SLOT[market], body)

    def news(self) -> list[Any]:
        return list(self.mirror.news(RUN_NS))


def test_a_trusted_quote_is_a_book_of_the_market_by_that_name() -> None:
    stage = Stage()
    stage.quote(K)
    assert stage.news() == [BookSet(RUN_NS, K, BIDS, ASKS)]
    assert stage.mirror.is_seen(K) and not stage.mirror.is_seen(P)
    assert stage.news() == [], "nothing is told twice"
    stage.quote(P, bids=BIDS[:1], asks=())
    assert stage.news() == [BookSet(RUN_NS, P, BIDS[:1], ())]


def test_a_doubted_quote_changes_no_book_and_is_not_matched_against() -> None:
    stage = Stage()
    stage.quote(K)
    stage.news()
    stage.quote(K, trust=CROSSED, bids=())
    assert stage.news() == []
    assert not stage.mirror.is_seen(K)
    stage.quote(K)
    assert stage.news() == [BookSet(RUN_NS, K, BIDS, ASKS)]
    assert stage.mirror.is_seen(K)


@pytest.mark.parametrize("how", ["gone", "silent", "another"])
def test_what_a_dead_feed_left_is_not_matched_against(how: str) -> None:
    stage = Stage()
    stage.quote(K)
    stage.news()
    assert stage.mirror.is_seen(K)
    if how == "silent":
        stage.now_ns += BEAT_MAX_NS
        assert stage.mirror.is_seen(K), "as old as it may be"
        stage.now_ns += 1
    else:
        stage.live(K, 0 if how == "gone" else EPOCH + 1)
    assert not stage.mirror.is_seen(K)


def test_a_status_is_told_once_and_a_settlement_when_its_value_is_there() -> None:
    stage = Stage()
    stage.quote(K)
    stage.news()
    stage.quote(K, trust=CROSSED, status=ST_CLOSED)
    assert stage.news() == [StatusChange(RUN_NS, K, "closed")]
    stage.quote(K, trust=CROSSED, status=ST_SETTLED)
    assert stage.news() == [StatusChange(RUN_NS, K, "finalized")]
    for _ in range(2):
        stage.quote(K, trust=CROSSED, status=ST_SETTLED, settlement_e6=1_000_000)
        told = stage.news()
    assert told == []
    stage.quote(K, trust=CROSSED, status=ST_SETTLED, settlement_e6=0)
    assert stage.news() == [StatusChange(RUN_NS, K, "finalized", 0)]


def test_a_number_that_another_market_got_tells_nothing_of_the_first() -> None:
    stage = Stage()
    stage.quote(K)
    stage.news()
    stage.name(K, generation=2, ticker="KXNEXT-26JAN")
    stage.quote(K, generation=2)
    assert stage.news() == []
    assert not stage.mirror.is_seen(K)
    stage.name(K, generation=3)
    assert stage.news() == [], "its quote is still the other's"
    assert not stage.mirror.is_seen(K)
    stage.quote(K, generation=3)
    assert stage.news() == [BookSet(RUN_NS, K, BIDS, ASKS)]


@pytest.mark.parametrize(("market", "status"), [(K, "closed"), (P, None)])
def test_kalshi_closes_by_the_clock_and_polymarket_when_it_says_so(
    market: int, status: str | None
) -> None:
    stage = Stage()
    stage.quote(market, close_epoch_ns=RUN_NS + 5)
    assert [type(told) for told in stage.news()] == [BookSet]
    wanted = [] if status is None else [StatusChange(RUN_NS + 5, market, status)]
    assert list(stage.mirror.news(RUN_NS + 4)) == []
    assert list(stage.mirror.news(RUN_NS + 5)) == wanted
    stage.quote(market, close_epoch_ns=RUN_NS + 5)
    assert [type(told) for told in stage.mirror.news(RUN_NS + 6)] == [BookSet], "not opened again"
    stage.quote(market, close_epoch_ns=RUN_NS + 9)
    later = [told for told in stage.mirror.news(RUN_NS + 7) if isinstance(told, StatusChange)]
    assert [told.status for told in later] == (["active"] if status else []), "its close has moved"


def test_slots_that_nobody_has_written_are_not_looked_at() -> None:
    stage = Stage()
    stage.quote(K)
    stage.mirror.add(replace(MARKETS[K], ticker="KXNEXT-26JAN"))
    assert stage.mirror._written("instruments") == sorted(SLOT.values())
    stage.news()
    for block in ("instruments", "quotes"):
        assert stage.mirror._written(block) == []


def test_a_market_that_is_added_later_is_found_under_its_name() -> None:
    stage = Stage()
    spec = replace(MARKETS[K], ticker="KXNEXT-26JAN")
    stage.name(K, generation=2, ticker=spec.ticker)
    stage.quote(K, generation=2)
    assert stage.news() == []
    stage.mirror.add(spec)
    assert stage.news() == [BookSet(RUN_NS, len(MARKETS), BIDS, ASKS)]
    assert stage.mirror.is_seen(len(MARKETS))
