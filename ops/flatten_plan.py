"""What `flatten` would order, and what it would cost, from what the segment shows now. Reads only;
the gateway makes its own plan anew for each order (gateway/flatten.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.fees import FEE_REFUSED_E6, fee
from engine.unwind import plan_unwind
from gateway.facts import facts_of, levels_of
from gateway.flatten import back, lone_of
from gateway.ports import NO, YES
from ops.had import cells_of, less
from ops.tally import matched_e6
from shm_layout import E6, INSTRUMENT, QUOTE, VENUES, cell, cells_to_text

if TYPE_CHECKING:
    from ops.supervisor import Supervisor

TOKENS = {YES: "YES", NO: "NO"}
_TRUST = cell(QUOTE, "trust")


def plan(run: Supervisor) -> dict[str, Any]:
    """`rows`, one a token that is held, and sums; money and contracts in 1e-6.

    `cash_e6`: what selling at what is shown brings, fees taken off. `worst_e6`: what it brings at
    the loss cap; orders at a worse price are not sent. `worth_e6`: what is held pays at least this
    if it is kept to settlement. `cost_e6`: what is given up against that, below 0: a gain.
    """
    cap_e6 = run.request.settings.limits.loss_cap_e6
    segment, rows = run.ground.segment, []
    held = {}
    for index in range(len(run.session.identity.instruments)):
        position, quote = segment.read("positions", index), segment.read("quotes", index)
        if position is None:
            continue
        held[index] = int(position["position_e6"])
        for token, name in ((YES, "yes_e6"), (NO, "no_e6")):
            if int(position[name]) > 0:
                shown = quote if quote is None else less(quote, segment.read("had", index))
                cells = None if shown is None else cells_of(shown)
                row = _row(token, int(position[name]), cells, cap_e6)
                rows.append({**_market(run, index), **row})
    cash_e6 = sum(row["cash_e6"] for row in rows)
    worth_e6 = matched_e6(run.watch.pairs, held)
    return {
        "mode": run.session.mode, "rows": rows,
        "cash_e6": cash_e6, "worst_e6": sum(row["worst_e6"] for row in rows),
        "worth_e6": worth_e6, "cost_e6": worth_e6 - cash_e6,
    }  # fmt: skip


def _market(run: Supervisor, index: int) -> dict[str, Any]:
    row = run.session.identity.instruments[index].view(INSTRUMENT)[0]
    return {
        "instrument": index, "venue": VENUES[int(row["venue"])],
        "ticker": cells_to_text(row["ticker"]),
    }  # fmt: skip


def _row(token: int, size_e6: int, quote: list[int] | None, unit_cap_e6: int) -> dict[str, Any]:
    """One token: the first order that would be sent, and what all of it would bring. `why`: why
    nothing can be ordered now, empty if something can.
    """
    found: dict[str, Any] = {
        "holds": TOKENS[token], "size_e6": size_e6, "order_e6": 0, "limit_e6": None,
        "touch_e6": None, "cash_e6": 0, "worst_e6": 0, "fee_e6": 0, "unshown_e6": size_e6,
        "why": "",
    }  # fmt: skip
    levels = () if quote is None else levels_of(quote, back(token))
    if quote is None or not levels:
        return found | {"why": "no book is shown"}
    touch_e6 = levels[0][0]
    cap_e6 = unit_cap_e6 * size_e6 // E6
    order = plan_unwind(lone_of(token, size_e6, quote, touch_e6=touch_e6, cap_e6=cap_e6))
    facts, left_e6, got_e6, fee_e6 = facts_of(quote), size_e6, 0, 0
    for price_e6, depth_e6 in levels:
        part_e6 = min(depth_e6, left_e6)
        if not part_e6:
            break
        unit_e6 = price_e6 if token == YES else E6 - price_e6
        charged_e6 = fee(E6 - unit_e6, part_e6, facts)  # sold: as if the other were bought
        got_e6 += unit_e6 * part_e6 // E6
        fee_e6 += charged_e6 if charged_e6 < FEE_REFUSED_E6 else 0
        left_e6 -= part_e6
    first_e6 = (touch_e6 if token == YES else E6 - touch_e6) * size_e6 // E6
    why = "" if order else "too little for an order, or nothing within the loss cap"
    why = "not trusted now: waited for" if quote[_TRUST] else why
    return found | {
        "order_e6": order[0] if order else 0, "limit_e6": order[1] if order else None,
        "touch_e6": touch_e6, "cash_e6": got_e6 - fee_e6, "fee_e6": fee_e6,
        "worst_e6": max(first_e6 - cap_e6, 0), "unshown_e6": left_e6, "why": why,
    }  # fmt: skip
