"""Token buckets and sliding counts."""

from __future__ import annotations

import pytest

from gateway.throttle import SECOND_NS, Bucket, OrderRate, Window

T0 = 10**15


def test_a_bucket_refills_by_time_up_to_its_burst() -> None:
    bucket = Bucket(rate=100, burst=100, reserve=0)
    for _ in range(10):
        assert bucket.has(10, T0)
        bucket.take(10, T0)
    assert not bucket.has(10, T0)
    assert not bucket.has(10, T0 + SECOND_NS // 10 - 1)
    assert bucket.has(10, T0 + SECOND_NS // 10)
    assert not bucket.has(101, T0 + 100 * SECOND_NS)


def test_the_reserve_is_for_unwinds() -> None:
    bucket = Bucket(rate=100, burst=100, reserve=20)
    bucket.take(75, T0)
    assert not bucket.has(10, T0)
    assert bucket.has(10, T0, urgent=True)


def test_too_many_requests_empties_it() -> None:
    bucket = Bucket(rate=100, burst=100, reserve=0)
    bucket.empty(T0)
    assert not bucket.has(1, T0, urgent=True)
    assert bucket.has(100, T0 + SECOND_NS)


def test_a_bucket_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="reserve"):
        Bucket(rate=1, burst=1, reserve=1)


def test_a_window_counts_exactly_its_span() -> None:
    window = Window(span_ns=SECOND_NS, count_max=2)
    window.add(2, T0)
    assert not window.has(1, T0 + SECOND_NS - 1)
    assert window.has(2, T0 + SECOND_NS)
    assert not window.has(3, T0 + SECOND_NS)


def test_all_three_rates_hold_at_once() -> None:
    rate = OrderRate(10, 12, 1_000)
    rate.add(10, T0)
    assert not rate.has(1, T0)
    assert rate.has(2, T0 + SECOND_NS) and not rate.has(3, T0 + SECOND_NS)
