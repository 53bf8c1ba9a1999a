"""Slow terms as people read them: of each market its fair value, of each pair what comes off."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ops.clock import MS_NS
from ops.identity import Identity
from ops.inspector_fair import fair_of
from shm_layout import (
    INSTRUMENT,
    NO_INSTRUMENT,
    PAIR,
    VENUES,
    Segment,
    cells_to_text,
    run_epoch_ns,
)


def fair_rows(segment: Segment, identity: Identity, now_ns: int) -> list[dict[str, Any]]:
    """A row per market whose settlement rule is known (ops/inspector_fair.py has the fields)."""
    rows, run_ns = [], int(run_epoch_ns(segment.words, now_ns))
    for index, body in enumerate(identity.instruments):
        known = body.view(INSTRUMENT)[0]
        if not (known["live"] and known["settlement_rule"]):
            continue
        label = VENUES[int(known["venue"])], cells_to_text(known["ticker"])
        terms, quote = segment.read("market_terms", index), segment.read("quotes", index)
        rows.append(dataclasses.asdict(fair_of(known, label, terms, quote, now_ns, run_ns)))
    return rows


def terms_rows(segment: Segment, identity: Identity, now_ns: int) -> list[dict[str, Any]]:
    """A row per pair of which the model has spoken, or that needs its terms: dead zone of both
    directions and delay cost in 1e-6 dollars a contract, the basis of the indices in 1e-8."""
    rows: list[dict[str, Any]] = []
    said: Sequence[Any] = identity.said
    for index, body in enumerate(identity.pairs):
        pair, terms = body.view(PAIR)[0], segment.read("terms", index)
        if terms is not None and terms["generation"] != pair["generation"]:
            terms = None
        if terms is None and (pair["b"] == NO_INSTRUMENT or not pair["needs_terms"]):
            continue
        row = {"pair": index, "a": said[index].a, "b": said[index].b, "valid": False}
        if terms is not None:
            left_ns = int(terms["valid_until_ns"]) - now_ns
            row |= {
                "valid": left_ns >= 0, "left_ms": left_ns // MS_NS,
                "dead_zone_e6": [int(zone) for zone in terms["dead_zone_e6"]],
                "delay_cost_e6": int(terms["delay_cost_e6"]), "basis_e8": int(terms["basis_e8"]),
                "basis_sd_e8": int(terms["basis_sd_e8"]),
            }  # fmt: skip
        rows.append(row)
    return rows
