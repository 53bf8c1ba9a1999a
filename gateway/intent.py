"""What the engine wants, read from the cells of an INTENT entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shm_layout import INTENT, LEG, LEGS_MAX, cell

_AT = {name: cell(INTENT, name) for name in INTENT.names or ()}
_LEG_AT = tuple(_AT[f"{LEG[0]}_{leg}"] for leg in range(LEGS_MAX))
_HEAD = (
    "id", "parent", "kind", "pair", "direction", "flags", "trigger", "decide_ns", "recv_ns",
    "event_epoch_ns", "expires_ns", "edge_e6", "publish_ns",
)  # fmt: skip
_HEAD_AT = tuple(_AT[name] for name in _HEAD)


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


def from_cells(cells: Sequence[int]) -> Intent:
    """An INTENT body. Raises ValueError if the number of legs cannot be."""
    count = cells[_AT["leg_count"]]
    if not 1 <= count <= LEGS_MAX:
        raise ValueError(f"leg_count: found {count}, wanted 1 to {LEGS_MAX}")
    width = len(LEG)
    legs = tuple([Leg._make(cells[at : at + width]) for at in _LEG_AT[:count]])
    return Intent._make((*[cells[at] for at in _HEAD_AT], legs))
