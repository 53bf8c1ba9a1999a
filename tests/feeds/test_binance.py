"""Binance's frames through the venue's file to the spot slot and ring, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from feeds.binance import Binance
from shm_layout import BUY, DRIFT, E8, NO_BID_E6, NO_SNAPSHOT, SELL, VENUES
from tests.feeds.spot_line import SLOT, Line, recorded

STAMP_MS = 1_787_315_652_707
FRAMES = {row["id"]: row["raw"].encode() for row in recorded("binance_spot.jsonl")}


def line() -> Line:
    return Line(Binance, ("BTCUSDT", "ETHUSDT"), VENUES.index("binance"))


def trade(number: int, **rest: Any) -> dict[str, Any]:
    data = {"e": "trade", "E": STAMP_MS + 1, "s": "BTCUSDT", "t": number, "p": "76650.00000000",
            "q": "0.00040000", "T": STAMP_MS, "m": True, "M": True, **rest}  # fmt: skip
    return {"stream": f"{data['s'].lower()}@trade", "data": data}


def ticker(update_id: int, **rest: Any) -> dict[str, Any]:
    data = {"u": update_id, "s": "BTCUSDT", "b": "76649.5", "B": "1.5", "a": "76650.5",
            "A": "2", **rest}  # fmt: skip
    return {"stream": "btcusdt@bookTicker", "data": data}


def test_one_message_subscribes_to_trade_and_touch_of_every_product() -> None:
    made = line()
    (message,) = made.said()
    assert message["method"] == "SUBSCRIBE"
    assert message["params"] == [
        "btcusdt@trade", "btcusdt@bookTicker", "ethusdt@trade", "ethusdt@bookTicker",
    ]  # fmt: skip
    made.give({"result": None, "id": message["id"] + 7})
    assert not made.venue.is_subscribed, "another request's answer"
    made.give({"result": None, "id": message["id"]})
    assert made.venue.is_subscribed


@pytest.mark.parametrize(("is_maker", "taker"), [(True, SELL), (False, BUY)])
def test_a_trade_is_a_slot_and_an_entry_with_the_takers_side(is_maker: bool, taker: int) -> None:
    made = line()
    assert made.trust() == NO_SNAPSHOT
    made.give(trade(7, m=is_maker))
    (entry,) = made.entries()
    assert entry.tobytes() == made.spot().tobytes()
    names = ("trust", "last_e8", "size_e8", "taker_side", "trade_id", "event_epoch_ns", "recv_ns")
    wanted = [0, 76_650 * E8, 40_000, taker, 7, STAMP_MS * 10**6, made.recv_ns]
    assert made.cells(*names) == wanted


def test_a_raw_frame_is_read_like_a_combined_one() -> None:
    made = line()
    made.give(FRAMES["bn-trade-2026-05"])
    assert made.cells("trade_id", "last_e8") == [6268487624, 7_853_040_000_000]


def test_the_touch_has_no_time_and_keeps_the_trades() -> None:
    made = line()
    made.give(trade(7))
    made.give(ticker(3))
    assert made.cells("bid_e8", "bid_size_e8", "ask_e8", "ask_size_e8", "trade_id") == [
        7_664_950_000_000, 3 * E8 // 2, 7_665_050_000_000, 2 * E8, 7,
    ]  # fmt: skip
    assert made.cells("event_epoch_ns", "recv_ns") == [STAMP_MS * 10**6, made.recv_ns]


def test_an_older_touch_is_dropped_and_an_empty_side_is_none() -> None:
    made = line()
    made.give(ticker(3))
    made.give(ticker(3, b="1"))
    assert made.counted("duplicates") == 1
    made.give(ticker(4, b="0.00000000", B="0.00000000"))
    assert made.cells("bid_e8", "bid_size_e8") == [NO_BID_E6, 0]


def test_a_lost_trade_is_counted_and_a_repeat_is_dropped() -> None:
    made = line()
    for number in (7, 7, 9, 10):
        made.give(trade(number))
    assert made.counted("duplicates") == made.counted("gaps") == 1
    assert [int(entry["trade_id"]) for entry in made.entries()] == [7, 9, 10]


def test_a_lost_link_loses_the_products_and_every_answer() -> None:
    made = line()
    made.give(trade(7))
    made.venue.closed(50)
    assert made.trust() == NO_SNAPSHOT and not made.venue.is_subscribed
    made.venue.opened(60)
    made.give(trade(8))
    assert made.trust() == 0 and made.counted("gaps") == 0


def test_each_product_has_its_slot_and_strangers_none() -> None:
    made = line()
    made.give(trade(7, s="ETHUSDT", p="2500.01"))
    made.give(trade(8, s="DOGEUSDT"))
    assert made.trust(SLOT + 1) == 0 and made.trust() == NO_SNAPSHOT
    assert len(made.entries()) == 1 and made.counted("bad_frames") == 0


@pytest.mark.parametrize(
    "rest",
    [{"p": "NaN"}, {"p": "0"}, {"q": "0.-10000"}, {"q": "-1"}, {"t": "7"}, {"t": 2**60},
     {"T": -1}, {"T": 1 << 53}, {"m": 1}, {"s": None}, {"p": 1.5}],
)  # fmt: skip
def test_an_odd_trade_is_dropped_and_counted(rest: dict[str, Any]) -> None:
    made = line()
    bad = trade(7)
    bad["data"].update(rest)
    made.give(bad)
    assert made.entries() == [] and made.counted("bad_frames") == 1


@pytest.mark.parametrize("raw", [b"{", b"[]", b"1", b"\xff", b"[" * 5_000, b'{"u":1}'])
def test_what_is_no_frame_is_counted(raw: bytes) -> None:
    made = line()
    made.give(raw)
    assert made.entries() == [] and made.counted("bad_frames") == 1


def test_an_error_ends_the_session_and_so_does_the_notice_of_the_end() -> None:
    for name in ("bn-err", "bn-shutdown-raw", "bn-shutdown-comb"):
        made = line()
        made.give(FRAMES[name])
        assert made.venue.must_reconnect, name


def test_an_unknown_stream_is_counted_as_new() -> None:
    made = line()
    made.give({"stream": "btcusdt@somethingNew", "data": {}})
    assert (made.counted("unknown_keys"), made.counted("bad_frames")) == (1, 0)


def test_every_frame_of_the_archive_comes_out_as_expected() -> None:
    made = Line(Binance, ("BTCUSDT", "BNBBTC", "BNBUSDT"), VENUES.index("binance"))
    for row in recorded("binance_spot.jsonl"):
        if row["dir"] == "in":
            made.give(row["raw"].encode())
    assert made.counted("bad_frames") == 2, "the error, and a stamp of microseconds not asked for"
    assert made.counted("trades") == 3
    assert made.counted("unknown_keys") == 0, made.publisher.notices.alerts
    assert made.cells("ask_size_e8", slot=SLOT + 2) == [4_066_000_000]


def test_fields_that_drift_are_told_and_end_trust() -> None:
    made = line()
    made.give(trade(7))
    renamed = trade(8)
    renamed["data"]["price"] = renamed["data"].pop("p")
    for _ in range(2):
        made.give(renamed)
    assert made.trust() == 0, "single ones occur"
    made.give(renamed)
    assert made.trust() == DRIFT
    told = made.publisher.notices.alerts
    assert [line for line in told if "schema drift: trade: p" in line], told


def test_an_additive_key_is_told_once() -> None:
    made = line()
    for number in (7, 8):
        frame = trade(number)
        frame["data"]["new"] = 1
        made.give(frame)
    assert made.publisher.notices.alerts == ["binance: unknown key new in trade"]
    assert made.trust() == 0 and made.counted("trades") == 2
