"""Coinbase Advanced Trade's frames through the venue's file, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from feeds.coinbase_advanced import CHANNELS, CoinbaseAdvanced
from shm_layout import BUY, E8, NO_ASK_E6, NO_SNAPSHOT, SELL, VENUES
from tests.feeds.spot_line import Line, recorded

STAMP = "2026-04-07T14:30:02.789012Z"
STAMP_NS = 1_775_572_202_789_012_000


def line() -> Line:
    return Line(CoinbaseAdvanced, ("BTC-USD",), VENUES.index("coinbase"))


def trade(number: int, **rest: Any) -> dict[str, Any]:
    return {"trade_id": str(number), "product_id": "BTC-USD", "price": "68900.50",
            "size": "0.00150000", "side": "BUY", "time": STAMP, **rest}  # fmt: skip


def frame(sequence: int, *trades: dict[str, Any]) -> dict[str, Any]:
    events = [{"type": "update", "trades": list(trades)}]
    return {"channel": "market_trades", "timestamp": STAMP, "sequence_num": sequence,
            "events": events}  # fmt: skip


def test_each_channel_is_a_subscription_of_its_own_heartbeats_among_them() -> None:
    made = line()
    assert [message["channel"] for message in made.said()] == list(CHANNELS)
    for at, name in enumerate(CHANNELS):
        assert not made.venue.is_subscribed
        held = {channel: ["BTC-USD"] for channel in CHANNELS[: at + 1]}
        made.give({"channel": "subscriptions", "sequence_num": at,
                   "events": [{"subscriptions": held}]})  # fmt: skip
        assert name in held
    assert made.venue.is_subscribed


@pytest.mark.parametrize(("maker", "taker"), [("SELL", BUY), ("BUY", SELL)])
def test_a_trade_is_an_entry_with_the_takers_side(maker: str, taker: int) -> None:
    made = line()
    assert made.trust() == NO_SNAPSHOT
    made.give(frame(0, trade(7, side=maker)))
    names = ("trust", "last_e8", "size_e8", "taker_side", "trade_id", "event_epoch_ns")
    assert made.cells(*names) == [0, 6_890_050 * E8 // 100, 150_000, taker, 7, STAMP_NS]


def test_the_trades_of_a_batch_are_told_in_the_order_they_happened() -> None:
    made = line()
    made.give(frame(0, trade(9), trade(8), trade(7)))
    made.give(frame(1, trade(9), trade(11)))
    assert [int(entry["trade_id"]) for entry in made.entries()] == [7, 8, 9, 11]
    assert made.counted("gaps") == 1 and not made.venue.must_reconnect


def test_a_lost_message_of_any_channel_ends_the_session_and_an_older_one_is_dropped() -> None:
    made = line()
    made.give(frame(4, trade(7)))
    made.give({"channel": "heartbeats", "sequence_num": 5, "events": []})
    made.give(frame(5, trade(8)))
    assert made.counted("duplicates") == 1 and not made.venue.must_reconnect
    made.give(frame(7, trade(9)))
    assert made.counted("gaps") >= 1 and made.venue.must_reconnect
    made.venue.closed(50)
    made.venue.opened(60)
    made.give(frame(0, trade(10)))
    assert not made.venue.must_reconnect, "each connection counts for itself"


def test_a_ticker_is_the_touch_and_one_without_prices_no_market() -> None:
    made = line()
    ticker = {"type": "ticker", "product_id": "BTC-USD", "best_bid": "10.5", "best_ask": "11",
              "best_bid_quantity": "1", "best_ask_quantity": "2"}  # fmt: skip
    told = {"channel": "ticker", "timestamp": STAMP, "sequence_num": 0}
    made.give({**told, "events": [{"tickers": [ticker]}]})
    assert made.cells("bid_e8", "ask_e8", "ask_size_e8", "event_epoch_ns") == [
        1_050_000_000, 11 * E8, 2 * E8, STAMP_NS,
    ]  # fmt: skip
    made.give({**told, "sequence_num": 1, "events": [{"tickers": [{"product_id": "BTC-USD"}]}]})
    assert made.cells("ask_e8") == [NO_ASK_E6]


@pytest.mark.parametrize(
    "rest",
    [{"price": "x"}, {"price": "0"}, {"size": "-1"}, {"side": "up"}, {"trade_id": "x"},
     {"trade_id": "9" * 30}, {"trade_id": 7}, {"time": "noon"}],
)  # fmt: skip
def test_an_odd_trade_is_dropped_and_counted(rest: dict[str, Any]) -> None:
    made = line()
    made.give(frame(0, {**trade(7), **rest}))
    assert made.entries() == [] and made.counted("bad_frames") == 1


@pytest.mark.parametrize("raw", [b"{", b"{}", b"[]", b"\xff", b"[" * 5_000])
def test_what_is_no_frame_is_counted(raw: bytes) -> None:
    made = line()
    made.give(raw)
    assert made.counted("bad_frames") == 1 and not made.venue.must_reconnect


def test_every_frame_of_the_archive_comes_out_as_expected() -> None:
    errors = 0
    for row in recorded("coinbase_advanced.jsonl"):
        if row["dir"] != "in":
            continue
        made = line()
        made.give(row["raw"].encode())
        errors += row["kind"] == "error"
        assert made.counted("bad_frames") == (row["kind"] == "error"), row["id"]
        assert made.counted("unknown_keys") == 0, row["id"]
        assert made.venue.must_reconnect is (row["kind"] == "error")
        if row["id"] == "cba-trades":
            assert [int(entry["trade_id"]) for entry in made.entries()] == [995098700, 995098701]
        if row["id"] == "cba-ticker":
            assert made.cells("bid_e8") == [6_509_336_000_000]
    assert errors == 1
