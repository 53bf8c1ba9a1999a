"""Coinbase's frames through the venue's file to the spot slot and ring, without a socket."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from feeds import spot_scan
from feeds.coinbase import CHANNELS, Coinbase
from feeds.publisher import Publisher
from shm_layout import (
    BUY,
    CROSSED,
    E8,
    GAP,
    LINK_SILENT,
    NO_ASK_E6,
    NO_BID_E6,
    NO_SNAPSHOT,
    SELL,
    Segment,
    word_store,
)
from tests.conftest import reference
from tests.feeds.rig import Clock, Rig

PRODUCT, SLOT, FEED = "BTC-USD", 2, 3
STAMP = "2026-05-13T21:51:32.145616Z"
STAMP_NS = 1_778_709_092_145_616_000
MATCH = {"type": "match", "trade_id": 1, "maker_order_id": "m", "taker_order_id": "t",
         "side": "sell", "size": "0.5", "price": "100.1", "product_id": PRODUCT, "sequence": 5,
         "time": STAMP}  # fmt: skip
TICKER = {"type": "ticker", "product_id": PRODUCT, "best_bid": "99", "best_bid_size": "1",
          "best_ask": "101", "best_ask_size": "1", "time": STAMP}  # fmt: skip
BEAT = {"type": "heartbeat", "product_id": PRODUCT, "sequence": 1, "time": STAMP}


class Line:
    def __init__(self, segment: Segment | None = None) -> None:
        segment = segment or Segment.private()
        publisher = Publisher(segment, feed=FEED, epoch=4, now_ns=1, products=(SLOT, SLOT + 1))
        self.rig = Rig(segment, publisher, Clock(), FEED)
        self.rig.entries()
        self.venue = Coinbase(publisher, (PRODUCT, "ETH-USD"))
        self.recv_ns = 10
        self.venue.opened(self.recv_ns)

    def give(self, frame: Any) -> None:
        self.recv_ns += 1
        payload = frame if isinstance(frame, bytes) else orjson.dumps(frame)
        self.venue.frame(memoryview(payload), self.recv_ns, True)

    def match(self, trade_id: int, price: str = "80000.25", **rest: Any) -> None:
        self.give({"type": "match", "trade_id": trade_id, "maker_order_id": "m", "side": "sell",
                   "size": "0.97133855", "price": price, "product_id": PRODUCT, "sequence": 5,
                   "time": STAMP, **rest})  # fmt: skip

    def spot(self, slot: int = SLOT) -> Any:
        row = self.rig.segment.read("spot", slot)
        assert row is not None
        return row


def test_the_subscription_names_every_product_and_channel() -> None:
    (message,) = Line().venue.outbox
    assert orjson.loads(message) == {
        "type": "subscribe",
        "product_ids": ["BTC-USD", "ETH-USD"],
        "channels": ["matches", "ticker", "heartbeat"],
    }


def test_a_session_is_subscribed_with_the_acknowledgement() -> None:
    made = Line()
    assert not made.venue.is_subscribed
    rows = [{"name": name, "product_ids": made.venue._products} for name in CHANNELS]
    made.give({"type": "subscriptions", "channels": rows})
    assert made.venue.is_subscribed and not made.venue.must_reconnect


@pytest.mark.parametrize("held", [[], ["ETH-USD"]])
def test_a_product_that_is_no_longer_subscribed_is_not_trusted(held: list[str]) -> None:
    made = Line()
    made.match(5)
    rows = [{"name": name, "product_ids": held} for name in CHANNELS]
    made.give({"type": "subscriptions", "channels": rows})
    assert int(made.spot()["trust"]) == GAP
    assert made.venue.must_reconnect and not made.venue.is_subscribed


@pytest.mark.parametrize(("maker", "taker"), [("sell", BUY), ("buy", SELL)])
def test_a_trade_is_a_slot_and_a_ring_entry_with_the_takers_side(maker: str, taker: int) -> None:
    made = Line()
    made.match(7, side=maker)
    (entry,) = made.rig.entries()
    assert entry.tobytes() == made.spot().tobytes()
    wanted = {"product": SLOT, "epoch": 4, "trust": 0, "last_e8": 8_000_025 * E8 // 100,
              "size_e8": 97_133_855, "taker_side": taker, "trade_id": 7,
              "event_epoch_ns": STAMP_NS, "recv_ns": made.recv_ns}  # fmt: skip
    assert {name: int(entry[name]) for name in wanted} == wanted


def test_spot_is_untrusted_until_the_first_trade_and_after_the_link_is_lost() -> None:
    made = Line()
    assert int(made.spot()["trust"]) == NO_SNAPSHOT
    made.match(7)
    assert int(made.spot()["trust"]) == 0
    made.rig.publisher.silence(True, 50)
    assert int(made.spot()["trust"]) == LINK_SILENT
    made.rig.publisher.silence(False, 51)
    made.venue.closed(52)
    assert int(made.spot()["trust"]) == NO_SNAPSHOT


def test_each_trade_of_a_buffer_is_an_entry_of_its_own() -> None:
    made = Line()
    for trade_id in (7, 8, 9):
        made.match(trade_id)
    assert [int(entry["trade_id"]) for entry in made.rig.entries()] == [7, 8, 9]


def test_a_ticker_changes_bid_and_ask_and_repeats_the_trade() -> None:
    made = Line()
    made.match(7)
    made.rig.entries()
    made.give({"type": "ticker", "product_id": PRODUCT, "price": "9", "best_bid": "79999.5",
               "best_ask": "80000.5", "best_bid_size": "1", "best_ask_size": "2.5",
               "trade_id": 7, "time": STAMP})  # fmt: skip
    (entry,) = made.rig.entries()
    cells = [int(entry[n]) for n in ("bid_e8", "bid_size_e8", "ask_e8", "ask_size_e8", "trade_id")]
    assert cells == [7_999_950 * E8 // 100, E8, 8_000_050 * E8 // 100, 5 * E8 // 2, 7]
    assert int(entry["last_e8"]) == 8_000_025 * E8 // 100


def test_a_ticker_without_sizes_and_with_an_empty_side_is_harmless() -> None:
    made = Line()
    made.give({"type": "ticker", "product_id": PRODUCT, "best_bid": "5", "best_ask": "0"})
    assert int(made.spot()["ask_e8"]) == NO_ASK_E6 and int(made.spot()["bid_size_e8"]) == 0
    assert int(made.spot()["trust"]) == NO_SNAPSHOT


def test_a_lost_trade_is_counted_and_a_repeat_is_dropped() -> None:
    made = Line()
    made.match(7)
    made.match(7)
    made.match(9)
    assert made.rig.counted("duplicates") == 1 and made.rig.counted("gaps") == 1
    assert len(made.rig.entries()) == 2


def test_a_heartbeat_shows_a_trade_that_never_came_but_not_one_on_its_way() -> None:
    made = Line()
    made.match(7)
    beat = {"type": "heartbeat", "product_id": PRODUCT, "sequence": 1, "last_trade_id": 8,
            "time": STAMP}  # fmt: skip
    made.give(beat)
    made.match(8)
    made.give(beat)
    assert made.rig.counted("gaps") == 0
    for last in (9, 9, 9):
        made.give({**beat, "last_trade_id": last})
    assert made.rig.counted("gaps") == 1
    made.match(10)
    assert made.rig.counted("gaps") == 1, "the loss of 9 is counted already"


def test_the_trade_before_the_subscription_is_the_baseline_of_a_new_link() -> None:
    made = Line()
    made.match(900)
    made.venue.closed(20)
    made.venue.opened(21)
    made.match(5, type="last_match")
    made.match(6)
    assert made.rig.counted("gaps") == 0 and int(made.spot()["trade_id"]) == 6


@pytest.mark.parametrize(
    "rest",
    [{"size": "0.-10000"}, {"price": "NaN"}, {"price": "0"}, {"size": "0"}, {"price": "-1"},
     {"trade_id": "x"}, {"trade_id": 2**60}, {"side": "up"}, {"time": "noon"}],
)  # fmt: skip
def test_an_odd_trade_is_dropped_and_counted(rest: dict[str, Any]) -> None:
    made = Line()
    made.match(7, **rest) if "trade_id" not in rest else made.match(rest.pop("trade_id"))
    assert not any(entry["trade_id"] for entry in made.rig.entries())
    assert made.rig.counted("bad_frames") == 1


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00.000000Z", ""])
def test_a_time_that_is_none_is_replaced_by_ours_in_run_time(time: str) -> None:
    segment = Segment.private()
    at = segment.at("run_clock")
    for place, value in ((8, 10**18), (9, 1), (10, 1_000_000), (0, 2)):
        word_store(segment.words, at + place, value)
    made = Line(segment)
    made.match(7, time=time)
    assert int(made.spot()["event_epoch_ns"]) == 10**18 + made.recv_ns - 1


@pytest.mark.parametrize("digits", ["", ".1", ".145616", ".145616789"])
def test_a_stamp_is_exact_whatever_its_digits(digits: str) -> None:
    made = Line()
    made.match(7, time=f"2026-05-13T21:51:32{digits}Z")
    wanted = 1_778_709_092 * 10**9 + int(digits[1:].ljust(9, "0"))
    assert int(made.spot()["event_epoch_ns"]) == wanted


def test_products_and_types_that_are_not_ours_are_ignored() -> None:
    made = Line()
    made.match(7, product_id="DOGE-USD")
    made.give({"type": "l2update", "product_id": PRODUCT, "changes": []})
    made.give(b"{")
    assert made.rig.entries() == []
    assert made.rig.counted("unknown_keys") == 1 and made.rig.counted("bad_frames") == 1


def test_an_error_frame_ends_the_session() -> None:
    made = Line()
    made.give({"type": "error", "message": "Failed to subscribe"})
    assert made.venue.must_reconnect


def test_every_frame_of_the_archive_is_taken_without_raising() -> None:
    made = Line()
    errors = 0
    for text in reference("fixtures/spot/coinbase_exchange.jsonl").read_bytes().splitlines():
        entry = orjson.loads(text)
        if entry["dir"] == "in":
            errors += entry["kind"] == "error"
            made.give(entry["raw"].encode())
    assert made.rig.counted("bad_frames") == errors


def test_bytes_that_are_no_utf8_are_a_bad_frame() -> None:
    made = Line()
    made.give(b'{"type":"match","trade_id":1,"product_id":"\xff","price":"1","size":"1"}')
    assert made.rig.counted("bad_frames") == 1


def test_after_a_cut_the_touch_of_before_is_gone() -> None:
    made = Line()
    made.match(10)
    made.give({**TICKER, "best_bid": "99", "best_ask": "101"})
    assert made.spot()["bid_e8"] == 99 * E8
    made.venue.closed(made.recv_ns)
    made.venue.opened(made.recv_ns)
    made.match(5_000)
    row = made.spot()
    assert (row["trust"], row["bid_e8"], row["ask_e8"]) == (0, NO_BID_E6, NO_ASK_E6)


def test_a_touch_that_is_crossed_is_not_to_be_used() -> None:
    made = Line()
    made.match(10)
    made.give({**TICKER, "best_bid": "210", "best_ask": "190"})
    assert made.spot()["trust"] == CROSSED
    made.give({**TICKER, "best_bid": "190", "best_ask": "210"})
    assert made.spot()["trust"] == 0


def test_a_trade_number_that_never_was_one_does_not_freeze_the_price() -> None:
    for payload in (memoryview, bytes):  # scanned, decoded
        made = Line()
        made.match(10)
        made.match(2**52, price="100.1")
        for number in range(11, 12 + spot_scan.OLD_MAX):
            made.recv_ns += 1
            frame = orjson.dumps({**MATCH, "trade_id": number, "price": "150.00"})
            made.venue.frame(payload(frame), made.recv_ns, True)
        assert made.spot()["last_e8"] == 150 * E8, payload
        assert made.rig.counted("duplicates") == spot_scan.OLD_MAX


def test_trades_named_by_heartbeats_that_never_come_end_the_connection() -> None:
    made = Line()
    made.match(10)
    for number in (100, 150, 200):
        made.give({**BEAT, "last_trade_id": number})
    assert made.spot()["trust"] == 0 and not made.venue.must_reconnect, "they may be on their way"
    made.give({**BEAT, "last_trade_id": 250})
    assert made.spot()["trust"] == GAP and made.venue.must_reconnect
