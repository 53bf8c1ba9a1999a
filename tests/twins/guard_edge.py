"""The last gate's rules for a hedge in plain Python: what its legs pay, outcome by outcome."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.intent import Intent
from gateway.params import DeskParams
from shm_layout import BUY, E6, REASONS, SELL
from tests.twins.guard_bet import Look, Pair

R = {name: place for place, name in enumerate(REASONS)}


def is_barred(intent: Intent, pair: Pair | None) -> bool:
    """A direction there is none of, or that is never opened."""
    if intent.direction not in (0, 1):
        return True
    return pair is not None and pair.barred >> intent.direction & 1 != 0


def pays_for_sure(
    intent: Intent, looks: Sequence[Look], pair: Pair | None, params: DeskParams
) -> int:
    """The markets of the row, on the sides of the direction, for less with fees than they pay in
    the worst outcome.
    """
    if pair is None or len(looks) < 2 or len(pair.legs) != len(looks):
        return R["edge_gone"]
    legs = [look.leg for look in looks]
    if (pair.same and len(legs) > 2) or len({number for number, _ in pair.legs}) < len(legs):
        return R["edge_gone"]
    if [(leg.instrument, leg.generation) for leg in legs] != list(pair.legs):
        return R["edge_gone"]
    first, second = ((BUY, SELL), (SELL, BUY))[intent.direction]
    wanted = [first, second] if pair.same else [first] * len(legs)
    sizes = {leg.size_e6 for leg in legs}
    if [leg.side for leg in legs] != wanted or len(sizes) != 1:
        return R["edge_gone"]
    (size_e6,) = sizes
    paid_e6 = sum(look.cost_e6 for look in looks)
    left_e6 = worst_e6(wanted, is_same=bool(pair.same)) * size_e6 - paid_e6
    needed_e6 = params.edge_min_e6 * size_e6 // E6
    return 0 if left_e6 > 0 and left_e6 >= needed_e6 else R["edge_gone"]


def worst_e6(sides: Sequence[int], *, is_same: bool) -> int:
    """Dollars that a contract of each leg pays at least: the same question wins everywhere or
    nowhere; of a set one outcome wins, and where only NO is held perhaps none.
    """
    count = len(sides)
    if is_same:
        outcomes = [[1] * count, [0] * count]
    else:
        outcomes = [[int(i == winner) for i in range(count)] for winner in range(count)]
    return min(
        sum(won if side == BUY else 1 - won for won, side in zip(outcome, sides, strict=True))
        for outcome in outcomes
    )
