"""RTDS: fixtures, scale by topic, and the traps of the wire."""

from __future__ import annotations

import json

import pytest

from feeds.indices import RTDS_CHAINLINK, RTDS_TWAP, decimal_e8
from feeds.rtds import PING_NS, Rtds
from tests.feeds.index_rig import IndexRig, fixtures, index_rig

FILE = "spot/polymarket_rtds.jsonl"


def made() -> tuple[IndexRig, Rtds]:
    rig = index_rig("btcusd", "ethusd")
    handler = Rtds(rig.publisher, rig.products)
    handler.opened(1)
    return rig, handler


def test_it_asks_without_filters_and_pings_in_text() -> None:
    _, handler = made()
    (asked,) = map(json.loads, handler.outbox)
    assert asked["action"] == "subscribe"
    assert all("filters" not in row for row in asked["subscriptions"])
    handler.outbox.clear()
    handler.tick(PING_NS)
    assert handler.outbox == []
    handler.tick(1 + PING_NS)
    assert handler.outbox == [b"PING"]


def frames() -> list[tuple[str, str]]:
    """(raw, expected price) of both fixture files."""
    found = [(row["raw"], row.get("expect_price", "")) for row in fixtures(FILE)]
    rows = [row for row in fixtures("polymarket/rtds.jsonl") if row.get("direction") != "client"]
    return found + [(json.dumps(row["frame"]), "") for row in rows]


def test_every_fixture_frame_is_understood() -> None:
    taken = 0
    for raw, price in frames():
        rig, handler = made()
        handler.frame(raw.encode(), 5, True)
        frame = json.loads(raw) if raw else {}
        is_error = "statusCode" in frame
        assert rig.counted("bad_frames") == int(is_error), raw
        assert handler.must_reconnect is is_error
        assert handler.is_subscribed is not is_error
        entries = rig.entries()
        wanted = {"crypto_prices_chainlink": RTDS_CHAINLINK, "crypto_prices_twap_sixty": RTDS_TWAP}
        source = wanted.get(frame.get("topic", ""))
        if source is None or frame["type"] != "update":
            assert entries == []
            continue
        (entry,) = entries
        taken += 1
        assert (entry["source"], entry["trust"]) == (source, 0)
        stamp_ns = frame["payload"]["timestamp"] * 10**6
        if source == RTDS_TWAP:
            assert (entry["mean_count"], entry["mean_end_ns"]) == (60, stamp_ns)
        else:
            assert entry["event_epoch_ns"] == stamp_ns
        if price:
            shown = entry["mean_e8" if source == RTDS_TWAP else "value_e8"]
            assert shown == decimal_e8(price)
    assert taken == 4


def chainlink(second: int, value: str, **more: object) -> bytes:
    payload = {"full_accuracy_value": value, "symbol": "btc/usd",
               "timestamp": 1_788_600_388_000 + 1000 * second, "value": 1.0, **more}  # fmt: skip
    frame = {"payload": payload, "timestamp": 1_788_600_389_451 + 1000 * second,
             "topic": "crypto_prices_chainlink", "type": "update"}  # fmt: skip
    return json.dumps(frame).encode()


@pytest.mark.parametrize(
    "frame",
    [
        chainlink(1, "79697.73000000"),  # a plain decimal is another topic's: never scaled by looks
        chainlink(1, ""), chainlink(1, "0"), chainlink(1, "1", timestamp=0),
        chainlink(1, "1" * 23, symbol="btcusdt"), b"{", b"[]", b"PONG", b'{"topic":"x"}',
    ],
)  # fmt: skip
def test_nonsense_is_counted_and_publishes_nothing(frame: bytes) -> None:
    rig, handler = made()
    rig.refuses(handler, frame)


def test_holes_are_counted_and_repeats_left_out() -> None:
    rig, handler = made()
    for second in (1, 2, 2, 10, 11):
        handler.frame(chainlink(second, "79697575317474428059648"), 5, True)
    assert len(rig.entries()) == 4
    assert rig.counted("index_missing") == 7
    assert rig.counted("duplicates") == 1
