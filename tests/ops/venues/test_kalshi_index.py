"""Kalshi's relay of CF Benchmarks: both channels, the means, and the minute before a quarter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.venues.kalshi_index import KalshiIndices
from ops.venues.numerals import MS_NS, SECOND_NS
from ops.venues.script import IndexTick
from tests.conftest import reference
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.kalshi_ear import Wire
from tests.ops.venues.rig import shape

QUARTER_S = 1_791_158_400
SLOW, QUICK = "cfbenchmarks_value", "cfbenchmarks_value_5hz"


def wire() -> Wire:
    desk = Desk()
    names = ("BRTI", "ETHUSD_RTI", "LTCUSD_RTI", "btcusd")
    desk.venue.indices = KalshiIndices(desk.venue.hub, names)
    return Wire(desk)


def ticks(wire: Wire, start_ms: int, values: list[int], index: str = "BRTI") -> None:
    """One a second in cents, and a further one that lets the last of them out."""
    for at, cents in enumerate(values):
        wire.venue.apply(IndexTick(start_ms * MS_NS + at * SECOND_NS, index, cents * 10**6))
    end_ns = start_ms * MS_NS + len(values) * SECOND_NS
    wire.venue.apply(IndexTick(end_ns, "btcusd", 1))


def subscribe(wire: Wire, channel: str, *indices: str) -> None:
    params: dict[str, Any] = {"channels": [channel]}
    if indices:
        params["index_ids"] = list(indices)
    wire.say({"id": 1, "cmd": "subscribe", "params": params})
    assert wire.take()[0]["type"] == "subscribed"


def fixtures() -> list[tuple[str, Any]]:
    """Frames of both files that the venue sends, by type."""
    path = reference("fixtures/spot/kalshi_cfbenchmarks.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    found = [json.loads(row["raw"]) for row in rows if row["dir"] == "in"]
    other = reference("fixtures/kalshi/ws/cfbenchmarks_examples.jsonl")
    found += [json.loads(line) for line in other.read_text().splitlines()]
    return [(frame["type"], frame) for frame in found]


def test_frames_have_the_keys_and_kinds_of_the_fixtures() -> None:
    ear = wire()
    subscribe(ear, SLOW, "BRTI")
    subscribe(ear, QUICK, "BRTI")
    start_ms = (QUARTER_S - 30) * 1000
    ticks(ear, start_ms, [6_800_012] * 3)
    ours = {frame["type"]: frame for frame in ear.take()}
    checked = 0
    for kind, theirs in fixtures():
        if kind in ours:
            late = {"sending_ts_ms": 0, "last_60s_windowed_average_15min": None}
            mine = json.loads(json.dumps(ours[kind]))
            for key in late:  # what the venue may leave out
                for frame in (mine, mine["msg"]):
                    if key not in theirs and key not in theirs["msg"]:
                        frame.pop(key, None)
            assert shape(mine) == shape(theirs), kind
            assert shape(json.loads(mine["msg"]["data"])) == shape(
                json.loads(theirs["msg"]["data"])
            )
            checked += 1
    assert checked >= 5


def test_the_reference_tape_comes_out_frame_for_frame() -> None:
    """Ticks of the tape in, its frames out: every mean, size and bound (but for its second tick
    before the first: the tape's averages begin one earlier)."""
    path = reference("fixtures/spot/kalshi_brti_close_derived.jsonl")
    frames = [json.loads(json.loads(line)["raw"]) for line in path.read_text().splitlines()]
    ear = wire()
    subscribe(ear, SLOW, "BRTI")
    data = [json.loads(frame["msg"]["data"]) for frame in frames]
    first = round(float(frames[0]["msg"]["avg_60s_data"]["value"]) * 100)
    cents = [first, *(round(float(row["value"]) * 100) for row in data)]
    ticks(ear, data[0]["time"] - 1000, cents)
    heard = ear.take()[1:]
    assert len(heard) == len(frames) == 68
    for mine, theirs in zip(heard, frames, strict=True):
        assert mine["msg"]["avg_60s_data"] == theirs["msg"]["avg_60s_data"]
        name = "last_60s_windowed_average_15min"
        assert mine["msg"].get(name) == theirs["msg"].get(name)
        assert mine["msg"]["data"] == theirs["msg"]["data"]
        assert mine["msg"]["received_at"] == theirs["msg"]["received_at"]


def test_the_mean_on_the_closing_tick_is_the_settlement_mean_and_the_windowed_one_is_not() -> None:
    ear = wire()
    subscribe(ear, SLOW, "BRTI")
    values = [8_000_000 + second for second in range(61)]  # close-60 … close
    ticks(ear, (QUARTER_S - 60) * 1000, values)
    last = ear.take()[-1]["msg"]
    assert last["avg_60s_data"]["window_end_ts_exclusive"] == QUARTER_S * 1000
    assert last["avg_60s_data"]["window_size"] == 60
    assert last["avg_60s_data"]["value"] == "80000.29500000"
    assert last["last_60s_windowed_average_15min"]["value"] == "80000.30500000"


def test_before_any_second_there_is_no_average_yet() -> None:
    ear = wire()
    subscribe(ear, SLOW, "BRTI")
    ticks(ear, QUARTER_S * 1000 + 300_000, [1])
    (frame,) = ear.take()
    assert frame["msg"]["avg_60s_data"]["window_size"] == 0
    assert "last_60s_windowed_average_15min" not in frame["msg"]


def test_indices_come_as_asked_and_five_a_second_only_where_they_do() -> None:
    ear = wire()
    subscribe(ear, QUICK, "all")
    for name in ("BRTI", "LTCUSD_RTI", "ETHUSD_RTI"):
        ticks(ear, QUARTER_S * 1000, [1, 2], name)
    heard = {frame["msg"]["index_id"] for frame in ear.take()}
    assert heard == {"BRTI", "ETHUSD_RTI"}
    params = {"sid": 1, "action": "indexlist"}
    ear.say({"id": 2, "cmd": "update_subscription", "params": params})
    (answer,) = ear.take()
    assert answer["msg"] == {"index_ids": ["BRTI", "ETHUSD_RTI"]}


@pytest.mark.parametrize("channel", [SLOW, QUICK])
def test_no_index_ids_is_no_data(channel: str) -> None:
    ear = wire()
    subscribe(ear, channel)
    ticks(ear, QUARTER_S * 1000, [1, 2])
    assert ear.take() == []
