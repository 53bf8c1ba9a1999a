"""One intent told whole: books, edge, stages, every change of its orders, expected and realised.

Plain data, ready for JSON: money, prices and contracts in 1e-6, `_ns` machine time, `_epoch_ns` run
time; None where a gateway died before it wrote it down, or nothing of it is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.balance import beyond
from gateway.ledger import Work
from gateway.order import Order
from ops.explain.money import Marks, Plan, contracts_e6, flow_e6, planned
from ops.explain.past import Run, name_of
from shm_layout import (
    BUY,
    E6,
    FLAG_REDUCE,
    FLAG_TRUE_UP,
    FLAG_UNWIND,
    KIND_COMPLEMENT,
    KIND_MODEL,
    ORIGIN_OPERATOR,
    PLACED,
    REASONS,
    S_FAILED,
    SETTLED_AXIS,
    VENUES,
    intent_parts,
)

SIDES = ("buy", "sell")
_SUMMED = ("size_e6", "paid_e6", "given_back_e6")  # of legs alone
TOKENS = ("YES", "NO")


def story(run: Run, number: int, marks: Marks) -> dict[str, Any]:
    """One intent, its unwinds named. Raises KeyError for one that is not in the journal."""
    work = run.works[number]
    intent, end, seen = work.intent, run.ends.get(number), run.seen.get(number)
    orders = [_order(run, work, order, marks) for order in work.orders]
    expected = [row["expected_e6"] for row in orders]
    return {
        "intent": number,
        "name": name_of(number),
        "parent": run.parent(work),
        "unwinds": run.children.get(number, []),
        "what": _what(number, intent.flags, intent.kind),
        "bet": seen.get("bet") if seen else None,
        "pair": intent.pair,
        "direction": intent.direction,
        "decided_epoch_ns": run.epoch_ns(intent.decide_ns),
        "books": _books(run, work),
        "edge": _edge(work, seen),
        "stages": _stages(work, seen),
        "orders": orders,
        "end": REASONS[end["why"]] if end else None,
        "ended_ns": end["ns"] if end else None,
        "is_left_standing": number in run.left,
        "expected_e6": None if None in expected else sum(expected),
        "fees_e6": sum(row["fee_e6"] for row in orders),
        "realised_e6": sum(row["realised_e6"] for row in orders),
        "lone": _lone(run, work, marks),
    }


def _what(number: int, flags: int, kind: int) -> str:
    if intent_parts(number)[0] == ORIGIN_OPERATOR:
        return "flattens"
    if kind == KIND_MODEL and not flags & (FLAG_UNWIND | FLAG_REDUCE):
        return "bets"
    if not flags & FLAG_UNWIND:
        return "reduces" if flags & FLAG_REDUCE else "opens"
    if flags & FLAG_TRUE_UP:
        return "completes a set" if kind == KIND_COMPLEMENT else "completes a pair"
    return "gives a leg back"


# ---- what it was decided on


def _books(run: Run, work: Work) -> list[dict[str, Any]]:
    """A row a leg: the quote that was decided on and the one the last look read."""
    seen = run.seen.get(work.intent.id)
    rows = []
    for order in work.orders:
        market, leg = run.markets[order.instrument], seen["legs"][order.leg] if seen else None
        decided, looked = _quotes(work, order.leg, leg)
        rows.append({
            "leg": order.leg, "venue": market.venue, "market": market.ticker,
            "decided": decided, "looked": looked, "is_same": decided == looked,
        })  # fmt: skip
    return rows


def _quotes(
    work: Work, leg: int, seen: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """(decided on, read by the last look). A journalled order carries no quote number of its own:
    without a book of its own the two were the same, or the decided one was gone.
    """
    if seen is None:
        return None, None
    looked: dict[str, Any] = seen["look"]
    return (looked if seen["same"] else seen["book"]), looked


def _edge(work: Work, seen: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Each term of what an opening intent was to leave; per contract but for size and sums. A pair
    or set pays what it pays for sure, a bet its fair value. None: it reduces, or its books are not
    known.
    """
    if seen is None or work.intent.flags & (FLAG_UNWIND | FLAG_REDUCE):
        return None
    is_bet = len(work.orders) == 1
    pays_e6 = _fair_e6(seen, _token(work.orders[0])) if is_bet else work.pays_e6
    if pays_e6 is None:
        return None
    legs: list[dict[str, Any]] = []
    for order in work.orders:
        plan = _planned(work, order, seen)
        if plan is None or not plan.size_e6:
            return None
        legs.append({
            "leg": order.leg, "venue": VENUES[order.venue], "token": TOKENS[_token(order)],
            "price_e6": _price_e6(order, plan), "cost_e6": _cost_e6(order, plan),
            "fee_e6": plan.fee_e6,
        })  # fmt: skip
    size_e6 = work.orders[0].size_e6
    worth_e6 = pays_e6 * size_e6 // E6
    left_e6 = worth_e6 - sum(leg["cost_e6"] + leg["fee_e6"] for leg in legs)
    return {
        "size_e6": size_e6,
        "pays_e6": pays_e6,
        "legs": legs,
        "gross_e6": (worth_e6 - sum(leg["cost_e6"] for leg in legs)) * E6 // size_e6,
        "fees_e6": seen["fees"],
        "taken_off_e6": max(left_e6 * E6 // size_e6 - work.intent.edge_e6, 0),
        "edge_e6": work.intent.edge_e6,
        "profit_e6": seen["profit"],
    }


def _fair_e6(seen: Mapping[str, Any] | None, token: int) -> int | None:
    """What a token was worth by the model when a bet was decided on; None: it is none."""
    if seen is None or "bet" not in seen:
        return None
    fair_e6: int = seen["bet"]["fair_e6"]
    return fair_e6 if token == 0 else E6 - fair_e6


def _token(order: Order) -> int:
    """What it leaves us with a dollar's chance on: YES sold is NO bought."""
    token = order.placing.token
    return token if order.placing.side == BUY else 1 - token


def _price_e6(order: Order, plan: Plan) -> int:
    """What a contract costs: as a token bought, or 1 − what one sold brings."""
    return _cost_e6(order, plan) * E6 // plan.size_e6


def _cost_e6(order: Order, plan: Plan) -> int:
    """Dollars that come back as one a contract at settlement: the dearer form of the leg."""
    pays = order.placing.side == BUY
    return plan.notional_e6 if pays else plan.size_e6 - plan.notional_e6


def _planned(work: Work, order: Order, seen: Mapping[str, Any] | None) -> Plan | None:
    if seen is None:
        return None
    decided, looked = _quotes(work, order.leg, seen["legs"][order.leg])
    return planned(order, decided or looked or {})


# ---- when


def _stages(work: Work, seen: Mapping[str, Any] | None) -> dict[str, Any]:
    """Machine stamps in the order they are passed; 0 and None: not passed, or not known."""
    intent = work.intent
    return {
        "frame_ns": intent.recv_ns,
        "published_ns": intent.publish_ns,
        "decided_ns": intent.decide_ns,
        "taken_ns": work.taken_ns,
        "journal_ns": seen["put"] if seen else None,
    }


def _order(run: Run, work: Work, order: Order, marks: Marks) -> dict[str, Any]:
    """One order with everything that was heard of it."""
    seen, notes, market = run.seen.get(work.intent.id), run.notes[order.key], run.markets
    booked = order.booked()
    plan = _planned(work, order, seen)
    is_unwind = bool(work.intent.flags & FLAG_UNWIND)
    token_e6 = marks.token_e6(order.instrument, order.placing.token)
    size_e6 = contracts_e6(order, booked.filled_e6)
    sent = seen["sent"] if seen else []
    finals = [note["ns"] for note in notes if note["k"] == "out" and _is_final(note)]
    trades = [note["ns"] for note in notes if note["k"] == "trade"]
    realised_e6 = flow_e6(order, booked.notional_e6, booked.fee_e6) + size_e6 * token_e6 // E6
    fair_e6 = _fair_e6(seen, order.placing.token)  # of a bet, else by the mark
    worth_e6 = token_e6 if fair_e6 is None else fair_e6
    expected_e6 = None if plan is None else _expected_e6(order, plan, worth_e6)
    return {
        "order": order.key,
        "venue_order": order.venue_id or None,
        "intent": work.intent.id,
        "leg": order.leg,
        "venue": VENUES[order.venue],
        "market": market[order.instrument].ticker,
        "side": SIDES[order.side],
        "limit_e6": order.limit_e6,
        "size_e6": order.size_e6,
        "placing": f"{SIDES[order.placing.side]} {TOKENS[order.placing.token]}",
        "placing_price_e6": order.placing.price_e6,
        "placed": PLACED[order.placed],
        "settled": SETTLED_AXIS[order.settled],
        "reason": REASONS[order.reason] if order.reason else None,
        "sent_ns": sent[order.leg] if order.leg < len(sent) else None,
        "reply_ns": next((note["ack"] for note in notes if note.get("ack")), None),
        "known_ns": min(finals, default=None),
        "settled_ns": max(trades, default=None),
        "planned_e6": asdict(plan) if plan else None,
        "filled_e6": booked.filled_e6,
        "notional_e6": booked.notional_e6,
        "fee_e6": booked.fee_e6,
        "mark_e6": token_e6,
        "is_settled": order.instrument in marks.settled,
        "expected_e6": 0 if is_unwind else expected_e6,
        "realised_e6": realised_e6,
        "changes": _changes(notes),
    }  # fmt: skip


def _expected_e6(order: Order, plan: Plan, token_e6: int) -> int:
    """What the plan is worth by the same mark as what came of it; a bet by its fair value."""
    size_e6 = contracts_e6(order, plan.size_e6)
    return flow_e6(order, plan.notional_e6, plan.fee_e6) + size_e6 * token_e6 // E6


def _is_final(note: Mapping[str, Any]) -> bool:
    return PLACED[note["placed"]] in ("done", "rejected")


def _changes(notes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every state an order and its trades were in, in the order it was heard; the same heard again
    is counted.
    """
    found: list[dict[str, Any]] = []
    for note in notes:
        if note["k"] == "out":
            cum = note["cum"] or [None] * 3
            row = {
                "ns": note["ns"], "state": PLACED[note["placed"]],
                "reason": REASONS[note["why"]] if note["why"] else None, "trade": None,
                "filled_e6": cum[0], "notional_e6": cum[1], "fee_e6": cum[2],
                "said": note["text"] or None,
            }  # fmt: skip
        else:
            row = {
                "ns": note["ns"], "state": SETTLED_AXIS[note["settled"]], "reason": None,
                "trade": note["trade"], "filled_e6": note["size"],
                "notional_e6": note["notional"], "fee_e6": note["fee"],
                "said": "taken back" if note["settled"] == S_FAILED else None,
            }  # fmt: skip
        if found and {**found[-1], "ns": 0, "times": 0} == {**row, "ns": 0, "times": 0}:
            found[-1]["times"] += 1
            continue
        found.append({**row, "times": 1})
    return found


# ---- legs alone


def _lone(run: Run, work: Work, marks: Marks) -> dict[str, Any] | None:
    """What legs filled beyond the one that filled least and what became of it: `legs`, then their
    sums, under the name of the first; `completed_e6` of the legs that had nothing. None: nothing.
    """
    children = [run.works[number] for number in run.children.get(work.intent.id, ())]
    if len(work.orders) < 2:
        return None
    alone = beyond([order.booked().filled_e6 for order in work.orders])
    if not any(alone) and not children:
        return None
    tries = [child.orders[0] for child in children]
    legs = [order for order in work.orders if alone[order.leg]] or work.orders[-1:]
    short = [order for order in work.orders if order not in legs]
    more_e6 = sum(_toward_e6(x, order, turns=False) for order in short for x in tries)
    rows = [_lone_leg(run, order, alone[order.leg], tries) for order in legs]
    own_e6 = sum(
        _own_e6(order, row["paid_e6"], row["size_e6"], marks)
        for order, row in zip(legs, rows, strict=True)
    )
    return {
        **rows[0],
        **{name: sum(row[name] for row in rows) for name in _SUMMED},
        "completed_e6": more_e6,
        "left_e6": sum(row["size_e6"] - row["given_back_e6"] - more_e6 for row in rows),
        "tries": len(tries),
        "result_e6": own_e6 + sum(_realised_e6(x, marks) for x in tries),
        "legs": rows,
    }


def _lone_leg(run: Run, order: Order, size_e6: int, tries: list[Order]) -> dict[str, Any]:
    booked = order.booked()
    return {
        "leg": order.leg,
        "venue": VENUES[order.venue],
        "market": run.markets[order.instrument].ticker,
        "size_e6": size_e6,
        "paid_e6": _part_e6(booked.notional_e6, size_e6, booked.filled_e6),
        "given_back_e6": sum(_toward_e6(x, order, turns=True) for x in tries),
    }


def _own_e6(order: Order, paid_e6: int, size_e6: int, marks: Marks) -> int:
    """What the contracts alone would have come to, had nothing been done about them."""
    booked = order.booked()
    fee_e6 = _part_e6(booked.fee_e6, size_e6, booked.filled_e6)
    token_e6 = marks.token_e6(order.instrument, order.placing.token)
    return flow_e6(order, paid_e6, fee_e6) + contracts_e6(order, size_e6) * token_e6 // E6


def _toward_e6(one: Order, leg: Order, *, turns: bool) -> int:
    """Contracts by which a try gave this leg back (`turns`) or added to it; negative: the opposite,
    after a try that filled more than was alone.
    """
    if one.instrument != leg.instrument:
        return 0
    is_same = one.side == leg.side
    return one.booked().filled_e6 if is_same != turns else -one.booked().filled_e6


def _part_e6(whole_e6: int, size_e6: int, filled_e6: int) -> int:
    return whole_e6 * size_e6 // filled_e6 if filled_e6 else 0


def _realised_e6(order: Order, marks: Marks) -> int:
    booked = order.booked()
    token_e6 = marks.token_e6(order.instrument, order.placing.token)
    size_e6 = contracts_e6(order, booked.filled_e6)
    return flow_e6(order, booked.notional_e6, booked.fee_e6) + size_e6 * token_e6 // E6
