"""What an operator has to do on the chain, for positions that together are worth a dollar: merge
YES and NO of one market, redeem what a settled one pays. Only told; nothing here moves money.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shm_layout import INSTRUMENT, VENUES, Segment, Words, cells_to_text


def todo_rows(segment: Segment, instruments: Sequence[Words]) -> list[dict[str, Any]]:
    """A row for each: `do`, contracts and dollars in 1e-6. Of venues that hold YES and NO apart
    (their markets have a condition): elsewhere the venue does both by itself.
    """
    found = []
    for index, body in enumerate(instruments):
        row, known = segment.read("positions", index), body.view(INSTRUMENT)[0]
        if row is None or not known["condition"].any():
            continue
        if row["generation"] != known["generation"]:
            continue  # of the market that had the number before
        market = {"venue": VENUES[known["venue"]], "market": cells_to_text(known["ticker"])}
        if size_e6 := min(int(row["yes_e6"]), int(row["no_e6"])):
            found.append({"do": "merge", **market, "size_e6": size_e6, "worth_e6": size_e6})
        if paid_e6 := int(row["redeem_e6"]):
            found.append({"do": "redeem", **market, "size_e6": None, "worth_e6": paid_e6})
    return found
