"""What the engine wants, read from the cells of an INTENT entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.order_record import INTENT_HEAD, INTENT_HEAD_AT
from shm_layout import BET, BODY, INTENT, KIND_MODEL, LEG, LEGS_MAX, cell

REASONED = (
    "strategy", "fair_e6", "sure_e6", "off_e6", "spot_slot", "spot_number", "spot_epoch", "spot_e8",
)  # fmt: skip
_COUNT_AT, _KIND_AT = cell(INTENT, "leg_count"), cell(INTENT, "kind")
_REASONED_AT = tuple(cell(BET, name) for name in REASONED)
_PROFIT_AT, _FEES_AT = cell(INTENT, "profit_e6"), cell(INTENT, "fees_e6")
_LEG_AT = tuple(cell(INTENT, f"{LEG[0]}_{leg}") for leg in range(LEGS_MAX))


class Leg(NamedTuple):
    """LEG cells: side, limit and size in YES terms."""

    venue: int
    instrument: int
    generation: int
    side: int
    limit_e6: int
    size_e6: int
    cash_e6: int
    quote_number: int
    quote_epoch: int
    tick_epoch: int


class Intent(NamedTuple):
    """INTENT cells that the desk uses. `flags` FLAG_*; stamps are machine time."""

    id: int
    parent: int
    kind: int
    pair: int
    direction: int
    flags: int
    trigger: int
    decide_ns: int
    recv_ns: int
    event_epoch_ns: int
    expires_ns: int
    edge_e6: int
    publish_ns: int
    legs: tuple[Leg, ...]
    profit_e6: int = 0  # these are for whoever explains it: the order's record is without them
    fees_e6: int = 0
    reasons: tuple[int, ...] = ()  # of a bet: REASONED


def from_cells(cells: Sequence[int]) -> Intent:
    """An INTENT body. Raises ValueError if the number of legs cannot be."""
    count = cells[_COUNT_AT]
    if not 1 <= count <= LEGS_MAX:
        raise ValueError(f"leg_count: found {count}, wanted 1 to {LEGS_MAX}")
    width = len(LEG)
    legs = tuple([Leg._make(cells[at : at + width]) for at in _LEG_AT[:count]])
    head = [cells[at] for at in INTENT_HEAD_AT]
    is_bet = cells[_KIND_AT] == KIND_MODEL
    reasons = tuple([cells[at] for at in _REASONED_AT]) if is_bet else ()
    return Intent._make((*head, legs, cells[_PROFIT_AT], cells[_FEES_AT], reasons))


def to_cells(intent: Intent) -> list[int]:
    """The INTENT body of an intent of our own."""
    cells = [0] * BODY
    for at, value in zip(INTENT_HEAD_AT, intent, strict=False):
        assert isinstance(value, int)
        cells[at] = value
    cells[_COUNT_AT] = len(intent.legs)
    cells[_PROFIT_AT], cells[_FEES_AT] = intent.profit_e6, intent.fees_e6
    for at, leg in zip(_LEG_AT, intent.legs, strict=False):
        cells[at : at + len(leg)] = leg
    for at, value in zip(_REASONED_AT, intent.reasons, strict=False):
        cells[at] = value
    return cells


assert Intent._fields[: len(INTENT_HEAD)] == INTENT_HEAD and Leg._fields == LEG
