"""Clocks, buckets, ids and the log, with time handed in."""

from __future__ import annotations

import pytest

from ops.venues import session
from ops.venues.script import Timeline
from ops.venues.session import Bucket, Ids, RunClock, VenueLog

SECOND = 1_000_000_000


def test_run_time_stands_until_the_start_and_then_follows_the_speed() -> None:
    now = [5 * SECOND]
    timeline = Timeline(begin_epoch_ns=1000 * SECOND, speed_e6=60_000_000)
    clock = RunClock(timeline, mono=lambda: now[0], wall=lambda: 0)
    assert clock.run_ns() == 1000 * SECOND
    clock.start(7 * SECOND)
    assert clock.run_ns() == 1000 * SECOND, "a start in the future has not come yet"
    now[0] = 8 * SECOND
    assert clock.run_ns() == 1060 * SECOND
    assert clock.due_ns(1060 * SECOND) == 8 * SECOND


def test_a_bucket_pays_its_burst_refuses_and_refills() -> None:
    bucket = Bucket(tokens_per_s=10, burst=20, now_ns=0)
    assert bucket.pay(20, 0)
    assert not bucket.pay(1, SECOND // 20)
    assert bucket.pay(1, SECOND // 10)
    assert bucket.left(100 * SECOND) == 20


def test_a_refusal_costs_nothing() -> None:
    bucket = Bucket(tokens_per_s=10, burst=20, now_ns=0)
    assert not bucket.pay(21, 0)
    assert bucket.pay(20, 0)


def test_ids_are_the_same_in_every_run() -> None:
    first, second = Ids("kalshi"), Ids("kalshi")
    assert [first.new("order") for _ in range(3)] == [second.new("order") for _ in range(3)]
    assert first.new("order") != Ids("other").new("order")


def test_a_full_log_counts_what_it_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOG_ROWS_MAX", 1)
    log = VenueLog()
    for _ in range(3):
        log.order("kalshi", "c", 1, 2, "filled")
    assert len(log.rows) == 1
    assert log.counts["kalshi"] == {"orders": 3, "order_filled": 3, "log_rows_dropped": 2}
