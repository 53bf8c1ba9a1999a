"""PolyBolt: fixtures, numbers, what was dropped, refusals and close codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from feeds.indices import POLYBOLT_CHAINLINK, POLYBOLT_PYTH, POLYBOLT_TWAP, decimal_e8
from feeds.polybolt import DRAIN_NS, Credentials, Polybolt, credentials_of
from feeds.update import NEVER_NS, Ends, FeedError
from shm_layout import NO_SNAPSHOT, NONE_NS
from tests.feeds.index_rig import IndexRig, fixtures, index_rig

FILE = "spot/polymarket_polybolt.jsonl"
KEYS = Credentials(api_key="key", secret="secret", passphrase="phrase")
STAMP_MS = 1_788_973_000_000


def made(*products: str, seed: int = 1) -> tuple[IndexRig, Polybolt]:
    rig = index_rig(*(products or ("btcusd", "zecusd")))
    handler = Polybolt(rig.publisher, rig.products, KEYS, seed=seed)
    handler.opened(1)
    return rig, handler


def update(second: int, value: str, *, twap: bool = False, **more: Any) -> bytes:
    channel = "price.crypto.twap" if twap else "price.crypto"
    payload = {"symbol": "btcusd", "value": 1.5, "full_accuracy_value": value,
               "timestamp": STAMP_MS + 1000 * second, "source": "chainlink"}  # fmt: skip
    if twap:
        payload["window_seconds"] = 60
    frame = {"v": 1, "channel": channel, "seq": second, "ts": STAMP_MS + 1000 * second + 1400}
    payload.update(more.pop("payload", {}))
    return json.dumps({**frame, **more, "payload": payload}).encode()


def say(handler: Polybolt, frame: Any) -> None:
    handler.frame(json.dumps(frame).encode(), 5, True)


def test_credentials_first_then_one_frame_with_every_subscription() -> None:
    _, handler = made()
    wanted = {row["id"]: json.loads(row["raw"]) for row in fixtures(FILE, "out")}
    (auth,) = map(json.loads, handler.outbox)
    assert auth.keys() == wanted["pb-auth"].keys()
    assert auth["auth"] == {"apiKey": "key", "secret": "secret", "passphrase": "phrase"}
    handler.outbox.clear()
    say(handler, {"op": "authed", "rid": "a1"})
    (subscribe,) = map(json.loads, handler.outbox)
    assert subscribe.keys() == wanted["pb-sub"].keys()
    rows = subscribe["subscriptions"]
    assert [row["channel"] for row in rows] == ["price.crypto", "price.crypto.twap"] * 2
    assert rows[1] == wanted["pb-sub"]["subscriptions"][1]
    assert rows[0]["filter"] == {"symbol": "btcusd", "provider": "chainlink"}
    for _ in range(4):
        assert not handler.is_subscribed
        say(handler, {"op": "subscribed", "channel": "price.crypto", "rid": "s1"})
    assert handler.is_subscribed


def test_every_fixture_frame_is_understood() -> None:
    sources = {"chainlink": POLYBOLT_CHAINLINK, "pyth": POLYBOLT_PYTH}
    for row in fixtures(FILE):
        rig, handler = made()
        handler.frame(row["raw"].encode(), 5, True)
        frame = json.loads(row["raw"])
        assert rig.counted("bad_frames") == int(frame.get("op") == "error"), row
        entries, payload = rig.entries(), frame.get("payload")
        if payload is None:
            assert entries == []
            continue
        points = payload.get("data", [payload])
        assert len(entries) == rig.counted("index_ticks") == len(points)
        for entry, point in zip(entries, points, strict=True):
            value_e8 = decimal_e8(point["full_accuracy_value"])
            assert entry["trust"] == 0
            if "window_seconds" in payload:
                assert (entry["mean_e8"], entry["mean_count"]) == (value_e8, 60)
                assert entry["mean_end_ns"] == point["timestamp"] * 10**6
                assert (entry["value_e8"], entry["source"]) == (0, POLYBOLT_TWAP)
            else:
                assert (entry["value_e8"], entry["mean_e8"]) == (value_e8, NONE_NS)
                assert entry["event_epoch_ns"] == point["timestamp"] * 10**6
                assert entry["source"] == sources[payload["source"]]
        assert rig.counted("dropped") == frame.get("dropped", 0)
        if "expect_price" in row:
            shown = entries[-1]["mean_e8" if "window_seconds" in payload else "value_e8"]
            assert shown == decimal_e8(row["expect_price"])


def test_value_and_twap_stand_side_by_side() -> None:
    rig, handler = made()
    handler.frame(update(1, "64126.00000000"), 5, True)
    handler.frame(update(1, "64120.70000000", twap=True), 6, True)
    slot = rig.slot()
    assert (slot["value_e8"], slot["mean_e8"]) == (6_412_600_000_000, 6_412_070_000_000)
    assert slot["event_epoch_ns"] == (STAMP_MS + 1000) * 10**6
    assert slot["mean_end_ns"] - slot["mean_start_ns"] == 60 * 10**9


def test_numbers_missing_without_a_word_are_a_gap_and_dropped_ones_are_told() -> None:
    rig, handler = made()
    handler.frame(update(1, "1.0"), 5, True)
    handler.frame(update(4, "1.0", dropped=2), 5, True)
    assert (rig.counted("gaps"), rig.counted("dropped")) == (0, 2)
    handler.frame(update(6, "1.0"), 5, True)
    handler.frame(update(6, "1.0", twap=True), 5, True)  # a channel counts by itself
    assert (rig.counted("gaps"), rig.counted("dropped")) == (1, 2)
    assert rig.counted("index_missing") == 3


def test_a_value_carried_forward_is_no_observation() -> None:
    rig, handler = made()
    handler.frame(update(1, "1.0"), 5, True)
    handler.frame(update(2, "1.0", payload={"is_carried_forward": True}), 5, True)
    handler.frame(update(3, "1.0"), 5, True)
    assert len(rig.entries()) == 2
    assert rig.counted("index_missing") == 1


@pytest.mark.parametrize(
    "frame",
    [
        update(1, "79697575317474428059648"),  # E18 is RTDS's
        update(1, "1.0", v=2), update(1, "1.0", channel="price.equity"),
        update(1, "1.0", payload={"symbol": "btcusdt"}),
        update(1, "1.0", payload={"symbol": "pepeusd"}),
        update(1, "1.0", payload={"source": "binance"}),
        update(1, "1.0", twap=True, payload={"window_seconds": 30}),
        update(1, "1.0", payload={"window_seconds": 60}),
        update(1, "0"), update(1, ""), update(1, "1.0", payload={"timestamp": 0}),
        update(1, "1.0", payload={"full_accuracy_value": 5}),
        b'{"op":"dance"}', b"{", b"[]", b"1", b"\xff",
    ],
)  # fmt: skip
def test_nonsense_is_counted_and_publishes_nothing(frame: bytes) -> None:
    rig, handler = made()
    rig.refuses(handler, frame)


def test_another_symbol_is_let_pass() -> None:
    rig, handler = made()
    handler.frame(update(1, "1.0", payload={"symbol": "ethusd"}), 5, True)
    assert rig.counted("bad_frames") == 0
    assert rig.entries() == []


@pytest.mark.parametrize(
    ("code", "op_error", "away"),
    [
        (1006, "", 0), (0, "", 0), (4002, "", 0), (1000, "rate_limited", 0),
        (4001, "", NEVER_NS), (4008, "", NEVER_NS), (1000, "auth_invalid", NEVER_NS),
        (1000, "auth_attempts", NEVER_NS), (1000, "auth_unavailable", 0),
    ],
)  # fmt: skip
def test_a_close_says_whether_to_come_back(code: int, op_error: str, away: int) -> None:
    rig, handler = made()
    if op_error:
        say(handler, {"op": "error", "rid": "a1", "code": op_error})
        assert handler.must_reconnect is (away == 0)
    handler.closed(6)
    assert isinstance(handler, Ends)
    assert handler.ended(code) == away
    assert bool(rig.publisher.notices.take()[0]) is (away == NEVER_NS or bool(op_error))


def test_who_is_drained_comes_back_after_a_while_of_its_own() -> None:
    delays = {made(seed=seed)[1].ended(4003) for seed in range(20)}
    assert len(delays) == 20
    assert all(0 < delay <= DRAIN_NS for delay in delays)
    assert max(delays) > DRAIN_NS // 2 > min(delays)


def test_a_bad_filter_costs_one_index_and_not_the_link() -> None:
    rig, handler = made("zecusd")
    say(handler, {"op": "authed"})
    say(handler, {"op": "error", "code": "bad_filter", "channel": "price.crypto", "rid": "s1"})
    assert not handler.must_reconnect
    say(handler, {"op": "subscribed", "channel": "price.crypto.twap"})
    assert handler.is_subscribed
    assert rig.publisher.trust(0) == NO_SNAPSHOT


def test_credentials_come_from_a_file_and_do_not_print(tmp_path: Path) -> None:
    path = tmp_path / "api"
    path.write_text('{"api_key":"k","secret":"hush","passphrase":"p","address":"0x"}')
    found = credentials_of(path)
    assert (found.api_key, found.secret) == ("k", "hush")
    assert "hush" not in repr(found)
    for text in ("{", "[]", '{"api_key":"k"}'):
        path.write_text(text)
        with pytest.raises(FeedError, match="wanted API credentials"):
            credentials_of(path)
    with pytest.raises(FeedError, match="wanted API credentials"):
        credentials_of(tmp_path / "none")
