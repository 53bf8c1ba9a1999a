"""Indices as people read them: newest value and mean, from the slots their feeds write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shm_layout import INDEX, Segment, int_to_text

FEEDS = ("cfbenchmarks", "polybolt")


def index_rows(segment: Segment, products: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """A row per index: `value` and `mean` as dollars, None before the first; `mean_count` of how
    many seconds, `trusted` whether its trust word is 0. `products`: slots by feed and name.
    """
    rows = []
    for feed in FEEDS:
        for name, slot in products.get(feed, {}).items():
            body = segment.read("spot", slot)
            if body is None:
                continue
            row = np.asarray(body).reshape(1).view(INDEX)[0]
            value_e8, mean_e8 = int(row["value_e8"]), int(row["mean_e8"])
            rows.append(
                {
                    "feed": feed,
                    "index": name,
                    "value": int_to_text(value_e8, 8) if value_e8 > 0 else None,
                    "mean": int_to_text(mean_e8, 8) if mean_e8 > 0 else None,
                    "mean_count": max(int(row["mean_count"]), 0),
                    "stamp_ms": int(row["event_epoch_ns"]) // 1_000_000,
                    "trusted": int(row["trust"]) == 0,
                }
            )
    return rows
