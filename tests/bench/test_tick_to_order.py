"""A small run of the bench over real sockets: its figures, and what it refuses."""

from __future__ import annotations

import os

import pytest

from bench import tick_to_order
from bench.path_samples import BenchError

SLOW_NS = 150_000_000  # between gaps: nothing is missed on a machine that does other things too

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="the venues need a core of their own"
)


def test_the_stepped_path_and_its_floor_trade_the_same_gaps() -> None:
    figures = tick_to_order.figures(*tick_to_order.measure(12, period_ns=SLOW_NS))
    assert [name for name in figures if name.endswith("_ratio")] == ["stepped_p50_ratio"]
    assert {"stepped_ns", "floor_ns", "verdict", "stepped_stages_ns"} <= figures.keys()


def test_a_busy_machine_gets_no_verdict() -> None:
    assert tick_to_order._verdict(1.0, 0.06).startswith("no verdict: 6%")
    assert tick_to_order._verdict(1.0, 0.01).startswith("pass")
    assert tick_to_order._verdict(2.0, 0.01).startswith("fail")


def test_a_floor_that_sends_one_leg_is_refused() -> None:
    bench, rows = tick_to_order.measure(12, period_ns=SLOW_NS, legs=1)
    with pytest.raises(BenchError, match="never read at its venue"):
        tick_to_order.figures(bench, rows)
