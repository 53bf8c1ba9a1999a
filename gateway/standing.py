"""What may stand alone, and which pairs stop: read off the intents under way, for the last look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.memory import Memory
from shm_layout import E6, FLAG_UNWIND

if TYPE_CHECKING:
    from gateway.ledger import Work


def lone_cost_e6(work: Work) -> int:
    """What the contracts one leg has alone did cost, with the dearer leg's price."""
    excess = abs(work.excess_e6)
    unit = max(
        -(-cost * E6 // leg.size_e6) for cost, leg in zip(work.costs_e6, work.orders, strict=True)
    )
    return -(-excess * unit // E6)


def unhedged_e6(under_way: Sequence[Work]) -> int:
    """Worst cost of what may stand alone: the dearer leg of each intent under way, and what is
    lone.
    """
    total_e6 = 0
    for work in under_way:
        if work.intent.flags & FLAG_UNWIND:
            continue
        if not work.ended:
            total_e6 += max(work.costs_e6)
        elif work.is_lone:
            total_e6 += lone_cost_e6(work)
    return total_e6


def tell(memory: Memory, under_way: Sequence[Work], open_intents: int) -> None:
    """Put it where the last look finds it. A pair stops while an outcome of it is unknown, or a
    leg of it alone.
    """
    memory.pause({w.intent.pair for w in under_way if w.is_lone or w.is_unknown})
    memory.standing(unhedged_e6=unhedged_e6(under_way), open_intents=open_intents)
