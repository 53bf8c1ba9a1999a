"""Calls every kernel of this room once with the types it is used with: compiled or loaded then."""

from __future__ import annotations

import numpy as np

from feeds import book, kalshi_scan, spot_scan
from feeds.indices import Board
from feeds.levels import NO_CLAIM
from feeds.polymarket_scan import memory_of, scan
from feeds.publisher import Publisher
from feeds.update import Instrument, MarketFacts
from shm_layout import BID, K_INDEX, NO_SNAPSHOT, ST_ACTIVE, Segment, run_epoch_ns

_PRICE_E6, _SIZE_E6 = 500_000, 1_000_000


def warm(segment: Segment) -> None:
    """On a private segment: it is written to."""
    one = Instrument(
        local=0, index=0, generation=1, ticker="WARM", condition=0, token_yes=0, token_no=0
    )
    books = Publisher(segment, feed=0, epoch=1, now_ns=1, instruments=(one,), lanes=2)
    words, state = books.words, books.state
    run_epoch_ns(words, 1)
    levels = np.array([BID, _PRICE_E6, _SIZE_E6], np.int64)
    book.replace(words, state, 0, levels, True, NO_CLAIM, NO_CLAIM, 1, 1, 1, True)
    book.change(words, state, 0, BID, _PRICE_E6, _SIZE_E6, True, 2, 2, 2, True)
    books.flush()
    deltas = kalshi_scan.Subscription({"WARM": 0}).memory
    kalshi_scan.scan(words, state, deltas, memoryview(b"{}"), 1, True)
    scan(words, state, memory_of({0: ("1", "2")}), memoryview(b"{}"), 1, True)
    books.set_facts(0, MarketFacts(status=ST_ACTIVE), 3)
    books.account(1)
    books.lose(4)
    spots = Publisher(segment, feed=3, epoch=1, now_ns=1, products=(0,))
    spots.trade(0, price_e8=1, size_e8=1, side=BID, trade_id=1, event_epoch_ns=1, recv_ns=1)
    spots.quote(0, bid=(1, 1), ask=(2, 1), event_epoch_ns=1, recv_ns=1)
    spots.mark(raised=NO_SNAPSHOT, now_ns=2)
    spots.account(1)
    products = spot_scan.memory_of(("WARM",))
    for scanner in (spot_scan.binance, spot_scan.coinbase):
        scanner(spots.words, spots.state, products, memoryview(b"{}"), 3)
    indices = Publisher(segment, feed=6, epoch=1, now_ns=1, products=(1,), kind=K_INDEX)
    board = Board(indices, ("BRTI",))
    board.value(0, 1, 1, 1, relay_ns=1, sequence=1, source=1)
    indices.mark(raised=NO_SNAPSHOT, now_ns=2)
    indices.account(1)
