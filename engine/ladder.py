"""Ladders: the ranges of one event, from the tail below to the tail above, of which one pays.

Their chances sum to one, whatever the price does, if the bounds join: a hole or an overlap is a
bound that was told or read wrong. Chances here are not capped, for caps alone would lift the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from engine.fair_rules import ABOVE, AT_LEAST, AT_MOST, BELOW

OFF = 1e-3  # from one: as far as rounding may bring it


class Rung(NamedTuple):
    """How a market compares (engine/fair_rules.py) and the chance of its YES, not capped."""

    compare: int
    chance: float


def ladder_sum(rungs: Sequence[Rung]) -> float | None:
    """What the chances of an event with ranges sum to. None: markets of it are not ours, and it is
    not too much already."""
    compares = [rung.compare for rung in rungs]
    total = sum(rung.chance for rung in rungs)
    is_whole = any(one in compares for one in (BELOW, AT_MOST)) and any(
        one in compares for one in (ABOVE, AT_LEAST)
    )
    return total if is_whole or total > 1 + OFF else None
