"""The relay of CF Benchmarks: fixtures, means and what is wrong with them, gaps, errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feeds.cfbenchmarks import CfBenchmarks
from feeds.indices import CF_FIFTH, CF_SECOND
from shm_layout import NO_SNAPSHOT, NONE_NS
from tests.feeds.index_rig import IndexRig, fixtures, index_rig, running

CLOSE_MS = 1_791_159_300_000


def made(*products: str) -> tuple[IndexRig, CfBenchmarks]:
    rig = index_rig(*(products or ("BRTI", "ETHUSD_RTI")))
    handler = CfBenchmarks(rig.publisher, rig.products)
    handler.opened(1)
    return rig, handler


def slow(stamp_ms: int, value: str, *, index: str = "BRTI", seq: int = 1, **msg: Any) -> bytes:
    data = {"type": "value", "time": stamp_ms, "id": index, "value": value}
    mean = {"value": value, "window_size": 1, "window_start_ts_ms": stamp_ms - 60_000,
            "window_end_ts_exclusive": stamp_ms}  # fmt: skip
    body = {"index_id": index, "received_at": stamp_ms + 231, "data": json.dumps(data),
            "avg_60s_data": mean, **msg}  # fmt: skip
    frame = {"type": "cfbenchmarks_value", "sid": 1, "seq": seq, "msg": body}
    return json.dumps(frame).encode()


def test_both_channels_are_asked_for_each_by_itself() -> None:
    _, handler = made()
    asked = [json.loads(message) for message in handler.outbox]
    wanted = [json.loads(row["raw"]) for row in
              fixtures("spot/kalshi_cfbenchmarks.jsonl", "out")[:2]]  # fmt: skip
    assert asked[0] == wanted[0]
    assert asked[1]["params"]["channels"] == wanted[1]["params"]["channels"]
    assert not handler.is_subscribed
    handler.frame(b'{"id":1,"type":"subscribed","sid":1}\n', 2, True)
    handler.frame(
        b'{"type":"subscribed","id":2,"msg":{"channel":"cfbenchmarks_value_5hz","sid":2}}', 2, True
    )
    assert handler.is_subscribed


@pytest.mark.parametrize("name", ["spot/kalshi_cfbenchmarks.jsonl",
                                  "spot/kalshi_brti_close_derived.jsonl",
                                  "kalshi/ws/cfbenchmarks_examples.jsonl"])  # fmt: skip
def test_every_fixture_frame_is_understood(name: str) -> None:
    for row in fixtures(name):
        rig, handler = made()
        raw = row.get("raw") or json.dumps(row)
        frame = json.loads(raw)
        handler.frame(raw.encode(), 5, True)
        is_error = frame["type"] == "error"
        assert rig.counted("bad_frames") == int(is_error), row
        assert rig.counted("unknown_keys") == rig.counted("mismatch") == 0, row
        assert handler.must_reconnect is is_error
        entries = rig.entries()
        if "received_at" not in frame.get("msg", {}):
            assert entries == []
            continue
        (entry,) = entries
        data = json.loads(frame["msg"]["data"])
        assert entry["value_e8"] == round(float(data["value"]) * 100) * 10**6
        assert entry["event_epoch_ns"] == data["time"] * 10**6
        assert entry["sequence"] == frame["seq"]
        assert entry["trust"] == 0
        mean = frame["msg"].get("avg_60s_data")
        assert entry["source"] == (CF_FIFTH if mean is None else CF_SECOND)
        assert entry["mean_count"] == (NONE_NS if mean is None else mean["window_size"])
        if mean is not None:
            assert entry["mean_end_ns"] == mean["window_end_ts_exclusive"] * 10**6
        close = frame["msg"].get("last_60s_windowed_average_15min")
        assert bool(entry["close_mean_e8"] == NONE_NS) is (close is None)


def test_the_tape_over_a_close_gives_the_settlement_mean_and_no_second_is_missing() -> None:
    rig, handler = made()
    rows = fixtures("spot/kalshi_brti_close_derived.jsonl")
    for row in rows:
        handler.frame(row["raw"].encode(), 5, True)
    entries = rig.entries()
    assert len(entries) == rig.counted("index_ticks") == len(rows) == 68
    (closing,) = [each for each in entries if each["event_epoch_ns"] == CLOSE_MS * 10**6]
    assert (closing["mean_count"], closing["mean_end_ns"]) == (60, CLOSE_MS * 10**6)
    assert closing["mean_e8"] == 8_585_305_583_333
    assert closing["close_mean_e8"] == 8_585_340_533_333  # one tick off: not the settlement
    assert rig.counted("index_missing") == rig.counted("gaps") == rig.counted("mismatch") == 0


def test_a_lost_second_is_counted_and_not_invented() -> None:
    rig, handler = made()
    rows = fixtures("spot/kalshi_brti_close_derived.jsonl")
    for place, row in enumerate(rows):
        if place not in (20, 21, 40):
            handler.frame(row["raw"].encode(), 5, True)
    assert len(rig.entries()) == 65
    assert rig.counted("index_missing") == 3
    assert rig.counted("gaps") == 2


def test_a_mean_that_is_not_that_of_the_ticks_we_have_is_not_told() -> None:
    rig, handler = made()
    rows = fixtures("spot/kalshi_brti_close_derived.jsonl")
    for row in rows[:-1]:
        handler.frame(row["raw"].encode(), 5, True)
    last = json.loads(rows[-1]["raw"])
    last["msg"]["avg_60s_data"]["value"] = "85853.78"
    rig.entries()
    handler.frame(json.dumps(last).encode(), 6, True)
    (entry,) = rig.entries()
    assert entry["mean_e8"] == entry["mean_count"] == NONE_NS
    assert entry["value_e8"] > 0
    assert rig.counted("mismatch") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_end_ts_exclusive": CLOSE_MS + 1000},
        {"window_start_ts_ms": CLOSE_MS - 59_000},
        {"window_size": 61},
    ],
)
def test_a_mean_of_another_window_is_not_told(wrong: dict[str, int]) -> None:
    rig, handler = made()
    mean = {"value": "1.00", "window_size": 60, "window_start_ts_ms": CLOSE_MS - 60_000,
            "window_end_ts_exclusive": CLOSE_MS}  # fmt: skip
    handler.frame(slow(CLOSE_MS, "1.00", avg_60s_data=mean), 5, True)
    assert rig.entries()[0]["mean_count"] == 60
    handler.frame(slow(CLOSE_MS + 1, "1.00", avg_60s_data={**mean, **wrong}), 5, True)
    assert rig.entries()[0]["mean_count"] == NONE_NS
    assert rig.counted("mismatch") == 1


def test_a_window_of_none_is_no_average_yet() -> None:
    rig, handler = made()
    mean = {"value": "", "window_size": 0, "window_start_ts_ms": 0, "window_end_ts_exclusive": 0}
    handler.frame(slow(CLOSE_MS, "85000.00", avg_60s_data=mean), 5, True)
    (entry,) = rig.entries()
    assert (entry["value_e8"], entry["mean_e8"]) == (8_500_000_000_000, NONE_NS)
    assert rig.counted("mismatch") == 0


def test_aliases_are_one_index_and_unknown_names_are_refused() -> None:
    rig, handler = made()
    handler.frame(slow(CLOSE_MS, "3000.00", index="ERTI"), 5, True)
    (entry,) = rig.entries()
    assert entry["product"] == 1
    handler.frame(slow(CLOSE_MS, "1.00", index="GOLD"), 5, True)
    assert rig.counted("bad_frames") == 1
    handler.frame(slow(CLOSE_MS, "1.00", index="SOLUSD_RTI"), 5, True)  # known, not ours
    assert rig.counted("bad_frames") == 1
    assert rig.entries() == []


@pytest.mark.parametrize(
    "text",
    [
        b"{", b"[]", b"{}", b'{"type":1}', b'{"type":"cfbenchmarks_value"}',
        b'{"type":"cfbenchmarks_value_5hz","sid":1,"seq":1,"msg":{"index_id":"BRTI"}}',
        slow(CLOSE_MS, "-1"), slow(CLOSE_MS, "1e9"), slow(0, "1.00"),
        slow(CLOSE_MS, "1.00", data="{"), slow(CLOSE_MS, "1.00", data='{"id":"X","time":1}'),
        slow(CLOSE_MS, "1.00", data='{"id":"ERTI","time":1,"value":"1"}'),
        slow(CLOSE_MS, "1.00", avg_60s_data=None), b"\xff\xfe", b"[" * 5000,
    ],
)  # fmt: skip
def test_nonsense_is_counted_and_publishes_nothing(text: bytes) -> None:
    rig, handler = made()
    rig.refuses(handler, text)


def test_without_five_a_second_we_live_on_the_one() -> None:
    rig, handler = made()
    handler.frame(b'{"id":2,"type":"error","msg":{"code":8,"msg":"Unknown channel"}}', 5, True)
    assert not handler.must_reconnect
    handler.frame(b'{"id":1,"type":"subscribed","msg":{"channel":"cfbenchmarks_value"}}', 5, True)
    assert handler.is_subscribed
    handler.frame(b'{"type":"error","sid":1,"seq":3,"msg":{"code":25,"msg":"overflow"}}', 5, True)
    assert handler.must_reconnect
    assert [line[:12] for line in rig.publisher.notices.take()[0]] == ["cfbenchmarks"] * 2


def test_a_lost_link_takes_the_trust_and_the_means() -> None:
    rig, handler = made()
    handler.frame(slow(CLOSE_MS, "85000.00"), 5, True)
    assert rig.slot()["trust"] == 0
    handler.closed(6)
    assert rig.slot()["trust"] == NO_SNAPSHOT
    handler.opened(7)
    rig.entries()
    quick = {"type": "cfbenchmarks_value_5hz", "sid": 2, "seq": 9, "msg": {
        "index_id": "BRTI", "value_usd": "85001.00000000", "source_ts_ms": CLOSE_MS + 9_200,
        "received_at": CLOSE_MS + 9_218}}  # fmt: skip
    handler.frame(json.dumps(quick).encode(), 8, True)
    (entry,) = rig.entries()
    assert (entry["mean_e8"], entry["trust"]) == (NONE_NS, 0)
    handler.frame(slow(CLOSE_MS + 10_000, "85000.00"), 9, True)
    assert rig.counted("index_missing") == 9


def test_ticks_of_the_past_are_not_published_twice() -> None:
    rig, handler = made()
    for _ in range(3):
        handler.frame(slow(CLOSE_MS, "85000.00"), 5, True)
    handler.frame(slow(CLOSE_MS - 1000, "84000.00"), 5, True)
    assert len(rig.entries()) == 1
    assert rig.counted("duplicates") == 3


def test_one_tick_from_the_future_does_not_freeze_the_index() -> None:
    rig, handler = made("BRTI")
    running(rig.segment, CLOSE_MS * 1_000_000)
    handler.frame(slow(CLOSE_MS, "64000.00"), 5, True)
    handler.frame(slow(CLOSE_MS + 3_600_000, "64001.00"), 6, True)
    handler.frame(slow(CLOSE_MS + 1_000, "64002.00"), 7, True)
    assert rig.slot()["value_e8"] == 6_400_200_000_000 and rig.counted("bad_frames") == 1


def test_a_new_connection_begins_without_the_stamps_of_the_one_before() -> None:
    rig, handler = made("BRTI")
    handler.frame(slow(CLOSE_MS, "64000.00"), 5, True)
    handler.closed(6)
    handler.opened(7)
    handler.frame(slow(CLOSE_MS, "64000.00"), 8, True)
    assert rig.counted("duplicates") == 0 and not rig.publisher.trust(0) & NO_SNAPSHOT


def test_subscriptions_whose_numbers_are_followed_are_bounded() -> None:
    rig = index_rig("BRTI")
    handler = CfBenchmarks(rig.publisher, ("BRTI",))
    handler.opened(1)
    for seq in (1, 5):  # the second time each has a hole
        for sid in range(100, 200):
            handler.frame(b'{"type":"ok","sid":%d,"seq":%d}' % (sid, seq), 5, True)
    assert 0 < rig.counted("gaps") < 20
