"""What a fault makes of one message."""

from __future__ import annotations

import zlib

import orjson
import pytest

from ops.venues import faults_frames as frames

DELTA = (
    b'{"type":"orderbook_delta","sid":2,"seq":7,"msg":{"market_ticker":"A","price_dollars":"0.4700"'
    b',"delta_fp":"3.00","side":"yes","ts":"2026-09-06T14:00:00.250000Z","ts_ms":1788703200250}}\n'
)
CHANGE = (
    b'{"market":"0x1","price_changes":[{"asset_id":"1","price":"0.47","size":"3","best_bid":"0.47"'
    b'}],"timestamp":"1788703200250","event_type":"price_change"}'
)
MATCH = b'{"type":"match","price":"60123.45","time":"2026-09-06T14:00:00Z","trade_id":7}'


def msg(text: bytes | None) -> dict[str, object]:
    assert text is not None
    found: dict[str, object] = orjson.loads(text)["msg"]
    return found


@pytest.mark.parametrize(
    ("how", "field", "wanted"),
    [
        ("renamed", "delta_fp", {"delta_fp_v2": "3.00"}),
        ("missing", "delta_fp", {}),
        ("retyped", "delta_fp", {"delta_fp": 3.0}),
        ("retyped", "ts_ms", {"ts_ms": "1788703200250"}),
        ("rescaled", "price_dollars", {"price_dollars": "47.0000"}),
        ("rescaled", "ts_ms", {"ts_ms": 178870320025000}),
        ("zero", "delta_fp", {"delta_fp": "0"}),
        ("zero", "side", {"side": ""}),
        ("added", "side", {"side": "yes", "side_new": "yes"}),
    ],
)
def test_a_field_drifts(how: str, field: str, wanted: dict[str, object]) -> None:
    text = frames.drifted(DELTA, field, how, 100)
    assert text is not None and text.endswith(b"\n"), "the venue's line end stays"
    before = msg(DELTA)
    before.pop(field)
    assert msg(text) == {**before, **wanted}


def test_a_message_without_the_field_is_not_spoiled() -> None:
    assert frames.drifted(DELTA, "best_bid", "missing", 100) is None
    assert frames.drifted(b"PONG", "price", "missing", 100) is None
    assert frames.off_grid(b'{"type":"subscribed"}', 300) is None
    assert frames.stale(b'{"type":"subscribed","sid":3}', 300) is None


def test_stamps_of_every_kind_are_moved_alike() -> None:
    found = msg(frames.stale(DELTA, -1_300))
    assert found["ts_ms"] == 1788703198950
    assert found["ts"] == "2026-09-06T13:59:58.950000Z"
    text = frames.stale(CHANGE, 2_000)
    assert text is not None and orjson.loads(text)["timestamp"] == "1788703202250"
    text = frames.stale(MATCH, 2_000)
    assert text is not None
    assert orjson.loads(text) == {**orjson.loads(MATCH), "time": "2026-09-06T14:00:02Z"}


def test_a_price_leaves_the_grid_and_nothing_else_changes() -> None:
    found = msg(frames.off_grid(DELTA, 300))
    assert found == {**msg(DELTA), "price_dollars": "0.4703"}
    text = frames.off_grid(CHANGE, 300)
    assert text is not None
    assert text == orjson.dumps(
        orjson.loads(CHANGE.replace(b'"price":"0.47"', b'"price":"0.4703"'))
    )
    ladder = b'{"msg":{"yes_dollars_fp":[["0.9999","1.00"],["0.2","1"]]}}'
    assert msg(frames.off_grid(ladder, 300)) == {
        "yes_dollars_fp": [["0.9996", "1.00"], ["0.2", "1"]]
    }


def test_bombs_and_oversize_frames_are_what_they_say() -> None:
    assert len(frames.padded(DELTA, 5_000)) == 5_000
    assert orjson.loads(frames.padded(DELTA, 5_000)) == orjson.loads(DELTA)
    deep = frames.nested(DELTA, 50)
    assert orjson.loads(deep)["seq"] == 7
    assert frames.nested(DELTA, 100_000).count(b"[") == 100_000
    assert zlib.decompress(frames.deflated(100_001, is_http=True), wbits=31) == bytes(100_001)
    frame = frames.deflated(5_000_000, is_http=False)
    assert frame[0] == 0b1100_0001, "text, whole, compressed"
    assert len(frame) < 10_000
