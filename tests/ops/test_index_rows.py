"""Index rows of `status`, as a feed's slots say."""

from __future__ import annotations

import numpy as np

from ops.index_rows import index_rows
from shm_layout import BODY, INDEX, NO_SNAPSHOT, NONE_NS, Segment


def write(segment: Segment, slot: int, **values: int) -> None:
    body = np.zeros(BODY, np.int64)
    for name, value in values.items():
        body.view(INDEX)[0][name] = value
    segment.write("spot", slot, body)


def test_a_row_says_value_mean_and_trust_and_nothing_that_is_unknown() -> None:
    segment = Segment.private()
    write(segment, 3, value_e8=8_585_305_583_333, mean_e8=8_585_340_533_333, mean_count=60,
          event_epoch_ns=1_791_159_300_000_000_000)  # fmt: skip
    write(segment, 4, trust=NO_SNAPSHOT, mean_e8=NONE_NS, mean_count=NONE_NS)
    products = {
        "coinbase": {"BTC-USD": 0},
        "cfbenchmarks": {"BRTI": 3, "ETHUSD_RTI": 4},
        "polybolt": {"btcusd": 5},  # never written
    }
    first, second = index_rows(segment, products)
    assert first == {
        "feed": "cfbenchmarks", "index": "BRTI", "value": "85853.05583333",
        "mean": "85853.40533333", "mean_count": 60, "stamp_ms": 1_791_159_300_000,
        "trusted": True,
    }  # fmt: skip
    assert (second["value"], second["mean"], second["mean_count"]) == (None, None, 0)
    assert second["trusted"] is False
