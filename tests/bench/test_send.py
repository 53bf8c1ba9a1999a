"""A small run of the bench over real sockets: its figures, and what it refuses."""

from __future__ import annotations

import os
from typing import Any

import pytest

from bench import send
from bench.path_samples import BenchError

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="the venues need a core of their own"
)


@pytest.mark.timeout(900)
def test_both_sides_send_orders_that_their_venues_take() -> None:
    bench, rows, stores = send.measure(4, 200)
    found: dict[str, Any] = send.figures(bench, rows, stores)
    for kind in send.KINDS:
        assert set(found[kind]) == {"ours_ns", "floor_ns", "p50_ratio", "stages_ns"}
        assert set(found[kind]["stages_ns"]) == set(send.STAGES)
    assert set(found["journal_store_ns"]) == {"synced", "not_synced"}
    key = bench.floors[0].shots[0].keys[0]
    others = [row for row in rows if not row[1].startswith(key)]
    with pytest.raises(BenchError, match="never read at its venue"):
        send.figures(bench, others, stores)
