"""`fire` sees what it is for: a lost frame, and anything that grows."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from bench import fire, fire_sustained
from bench.fire_sender import framed
from bench.fire_stand import Sample
from bench.fire_streams import BEGIN_MS, STREAMS

COUNT = 600
BUSY = "behind"  # of a feed that had no processor, too


def test_a_dropped_frame_turns_its_feed_red_and_no_other() -> None:
    found = asyncio.run(
        fire.fire(2.0, COUNT, feeds=("kalshi", "polymarket", "binance"), drop="kalshi")
    )
    rows = found["feeds"]
    sent = {feed: row["sent"] for feed, row in rows.items()}
    assert sent == dict.fromkeys(rows, 2 * COUNT // 3)
    kalshi = rows.pop("kalshi")
    assert kalshi["applied"] == kalshi["sent"] - 1 and kalshi["gaps"] == 1
    assert not kalshi["shows_the_senders_books"]
    assert fire.verdict(found | {"feeds": {"kalshi": kalshi}}, COUNT).startswith("fail: kalshi: ")
    for feed, row in rows.items():
        assert row["applied"] == row["sent"] and row["shows_the_senders_books"], feed
        told = {name: row[name] for name in fire.FAULTS if name != BUSY}
        assert not any(told.values()), (feed, row)


WELL = {
    "sent": 10, "applied": 10, "shows_the_senders_books": True, **dict.fromkeys(fire.FAULTS, 0),
    "cpu_ns_a_frame_first": 100, "cpu_ns_a_frame_last": 110, "rss_kib_first": 9_000,
    "rss_kib_last": 9_100, "unread_p90_bytes_first": 500, "unread_p90_bytes_last": 4_000,
    "unsent_p90_bytes_first": 0, "unsent_p90_bytes_last": 9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"applied": 9}, "applied"),
        ({"shows_the_senders_books": False}, "books"),
        ({"gaps": 1}, "gaps"),
        ({"behind": 1}, "behind"),
        ({"cpu_ns_a_frame_last": 130}, "CPU"),
        ({"rss_kib_last": 11_000}, "memory"),
        ({"unread_p90_bytes_last": 90_000}, "unread"),
        ({"unsent_p90_bytes_last": 90_000}, "unsent"),
    ],
)
def test_each_thing_that_is_not_as_it_must_be_is_named(change: dict[str, Any], named: str) -> None:
    assert fire.faults_of("kalshi", WELL) == []
    (line,) = fire.faults_of("kalshi", WELL | change)
    assert line.startswith("kalshi: ") and named in line


def test_growth_is_the_last_third_beside_the_first() -> None:
    samples = [
        Sample(at, applied=10 * at, cpu_ns=at * at, rss_bytes=1024 * at, unread=at, unsent=0)
        for at in range(1, 100)
    ]
    found = fire.figures_of(samples)
    assert found["cpu_ns_a_frame_first"] < found["cpu_ns_a_frame_last"]
    assert (found["rss_kib_first"], found["rss_kib_last"]) == (17, 83)
    assert found["unread_max_bytes"] == 99


@pytest.mark.parametrize("feed", STREAMS)
def test_a_stream_goes_on_where_it_was_and_is_json(feed: str) -> None:
    whole, parted = STREAMS[feed](), STREAMS[feed]()
    frames = list(whole.frames(20, BEGIN_MS, 1_000.0))
    first = list(parted.frames(20, BEGIN_MS, 1_000.0))
    assert frames == first and whole.left() == parted.left()
    assert all(isinstance(orjson.loads(frame), dict) for frame in frames)
    assert next(iter(parted.frames(1, BEGIN_MS, 1_000.0))) not in frames


def test_only_a_wire_held_up_by_others_is_not_judged() -> None:
    others = f"{fire_sustained.OTHERS}: it had 0.30 of its core"
    wire, handler = "over_tls 40,000/s, wanted 60,000/s", "offline 90,000/s, wanted 150,000/s"
    assert fire_sustained.verdict([], others).startswith("pass")
    assert fire_sustained.verdict([wire], others).startswith("no verdict")
    assert fire_sustained.verdict([wire], fire_sustained.OWN_LIMIT) == f"fail: {wire}"
    assert fire_sustained.verdict([handler, wire], others).startswith("fail: offline")


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_of_any_length_names_it(size: int) -> None:
    frame = framed(b"x" * size)
    head = frame[: len(frame) - size]
    told = head[1] if head[1] < 126 else int.from_bytes(head[2:], "big")
    assert head[0] == 0x81 and told == size
