"""Edges that were seen and refused, pair by pair, and why: the pair's markets differ, or a quote
proved nothing.
"""

from __future__ import annotations

from typing import Any

from ops.identity import Identity
from shm_layout import REFUSAL, TRUST, Segment


def refused_pairs(segment: Segment, identity: Identity) -> list[dict[str, Any]]:
    """A row for every pair whose markets differ, or of which an edge was refused.

    `edges`: refused because the pair is not approved, each counted once from when it first paid
    until it no longer did; `untrusted`: because a quote could not be trusted, for the reasons in
    `trust` (empty: its feed was dead). `best_e6`: the most that one contract of them left after
    fees, None if there was none; `last_epoch_ms` run time at which the last began. `differs`: what
    a and b say, by field.
    """
    block = segment.layout.blocks["refusals"]
    at, cells = segment.at("refusals"), block.cells_each
    words = segment.words[at : at + block.count * cells].reshape(block.count, cells)
    rows = []
    for index, (a, b, is_approved, differs) in enumerate(identity.said):
        told = words[index, : REFUSAL.itemsize // 8].copy().view(REFUSAL)[0]
        count = int(told["edges"]) + int(told["untrusted"])
        if not differs and not count:
            continue
        trust = int(told["trust"])
        rows.append({
            "pair": index,
            "a": a,
            "b": b,
            "approved": is_approved,
            "differs": {each.field: [each.a, each.b] for each in differs},
            "edges": int(told["edges"]),
            "untrusted": int(told["untrusted"]),
            "trust": [name for bit, name in enumerate(TRUST) if trust >> bit & 1],
            "best_e6": int(told["best_e6"]) if count else None,
            "last_epoch_ms": int(told["last_epoch_ns"]) // 10**6 if count else None,
        })  # fmt: skip
    return rows
