"""What a running engine knows beside its journal: the gateway's own books, and intents that were
refused before anything was sent. Reads shared memory and writes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops import cache
from ops.control import LOCK, read_note
from ops.explain.account import GATEWAY_SAYS, Books
from ops.explain.past import name_of
from ops.tally import RingReader
from shm_layout import (
    ACCOUNTS_MAX,
    HEADER,
    INSTRUMENTS_MAX,
    INTENT,
    K_INTENT,
    K_TERMINAL,
    LEGS_MAX,
    REASONS,
    REPORT,
    VENUES,
    LayoutError,
    Segment,
    cell,
    cells_to_text,
    cells_to_uint256,
    word_load,
)


def attached(state_dir: Path, run_id: int) -> Segment | None:
    """The segment of the run, if it is the one that runs here."""
    name = (read_note(state_dir / LOCK).get("kill") or {}).get("segment")
    if not name or state_dir != cache.state_dir():
        return None
    try:
        segment = Segment.attach(name)
    except LayoutError:
        return None
    found = int(word_load(segment.words, segment.at("header") + cell(HEADER, "run_id")))
    return segment if found == run_id else None


def books(segment: Segment) -> Books:
    """Cash and holdings as the gateway last told them."""
    cash_e6, held_e6 = {}, {}
    for account in range(ACCOUNTS_MAX):
        row = segment.read("cash", account)
        if row is not None and row["used"]:
            cash_e6[VENUES[int(row["venue"])], int(row["exchange_index"])] = int(row["cash_e6"])
    for index in range(INSTRUMENTS_MAX):
        identity, row = segment.read("instruments", index), segment.read("positions", index)
        if identity is None:
            break
        if row is None:
            continue
        venue, yes_e6, no_e6 = VENUES[int(identity["venue"])], int(row["yes_e6"]), int(row["no_e6"])
        if identity["condition"].any():
            tokens = {"token_yes": yes_e6, "token_no": no_e6}
            for name, size_e6 in tokens.items():
                if size_e6:
                    held_e6[venue, str(cells_to_uint256(identity[name].tolist()))] = size_e6
        elif yes_e6 != no_e6:
            held_e6[venue, cells_to_text(identity["ticker"].tolist())] = yes_e6 - no_e6
    return Books(GATEWAY_SAYS, cash_e6, held_e6)


def refused(segment: Segment, number: int) -> dict[str, Any] | None:
    """An intent of which nothing was sent, as long as its rings hold it. None: they do not."""
    found: dict[str, Any] | None = None
    for kind, body in RingReader(segment, "intents").drain():
        row = body.view(INTENT)[0]
        if kind == K_INTENT and int(row["id"]) == number:
            found = {
                "intent": number, "name": name_of(number), "pair": int(row["pair"]),
                "direction": int(row["direction"]), "edge_e6": int(row["edge_e6"]),
                "profit_e6": int(row["profit_e6"]), "fees_e6": int(row["fees_e6"]),
                "decided_ns": int(row["decide_ns"]), "end": None,
                "legs": [_leg(segment, row, leg) for leg in range(int(row["leg_count"]))],
            }  # fmt: skip
    if found is None:
        return None
    for kind, body in RingReader(segment, "reports").drain():
        row = body.view(REPORT)[0]
        if kind == K_TERMINAL and int(row["intent"]) == number:
            found["end"] = REASONS[int(row["reason"])]
    return found


def _leg(segment: Segment, row: Any, leg: int) -> dict[str, Any]:
    assert leg < LEGS_MAX
    instrument = int(row[f"instrument_{leg}"])
    known = segment.read("instruments", instrument)
    return {
        "venue": VENUES[int(row[f"venue_{leg}"])],
        "market": cells_to_text(known["ticker"].tolist()) if known is not None else None,
        "side": ("buy", "sell")[int(row[f"side_{leg}"])],
        "limit_e6": int(row[f"limit_e6_{leg}"]),
        "size_e6": int(row[f"size_e6_{leg}"]),
    }
