"""What an operator must look at: legs that stand alone since trading halted over them, and markets
that are blocked after too many of them. From the position slots of the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shm_layout import INSTRUMENT, VENUES, Segment, Words, cells_to_text

Rows = dict[str, list[dict[str, Any]]]


def standing_rows(segment: Segment, instruments: Sequence[Words]) -> Rows:
    """`standing`: a row for each market with lone contracts (1e-6, signed in YES terms; all of a
    market in one row, with the newest intent); `blocked`: for each blocked market.
    """
    standing, blocked = [], []
    for index, body in enumerate(instruments):
        row, known = segment.read("positions", index), body.view(INSTRUMENT)[0]
        if row is None or not (row["lone_e6"] or row["blocked"]):
            continue
        if row["generation"] != known["generation"]:
            continue  # of the market that had the number before
        market = {"venue": VENUES[known["venue"]], "market": cells_to_text(known["ticker"])}
        if row["lone_e6"]:
            standing.append(
                market
                | {
                    "lone_e6": int(row["lone_e6"]),
                    "cost_e6": int(row["lone_cost_e6"]),
                    "intent": int(row["lone_intent"]),
                }
            )
        if row["blocked"]:
            blocked.append(market | {"mismatches": int(row["mismatches"])})
    return {"standing": standing, "blocked": blocked}
