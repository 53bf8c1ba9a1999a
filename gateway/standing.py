"""What stands alone, which pairs stop and which markets are blocked: for the last look, and for
whoever asks (the position slots).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from gateway.balance import lone_cost_e6
from gateway.memory import Memory
from shm_layout import FLAG_UNWIND, KIND_MODEL

if TYPE_CHECKING:
    from gateway.ledger import Work


class Left(NamedTuple):
    """A lone leg left to an operator: signed contracts in YES terms, what they cost, the intent."""

    size_e6: int = 0
    cost_e6: int = 0
    intent: int = 0


@dataclass(slots=True)
class Standing:
    """Lone legs by market. A market of so many intents that ended with a leg alone
    (`mismatches_max`) is blocked: which of its markets was to blame nobody can say, so it counts
    for all. An operator's `resume` clears everything.
    """

    memory: Memory
    mismatches: Counter[int] = field(default_factory=Counter)
    left: dict[tuple[int, int], Left] = field(default_factory=dict)  # by intent and market

    def mismatch(self, instruments: Sequence[int]) -> None:
        """Count one; block what has had too many."""
        self.mismatches.update(instruments)
        for number in instruments:
            self.memory.block(number, self.is_blocked(number))

    def is_blocked(self, instrument: int) -> bool:
        """Whether nothing is opened in this market."""
        return self.mismatches[instrument] >= self.memory.mismatches_max

    def leave(self, instrument: int, left: Left) -> None:
        """A leg stands there, or (size 0) does no more."""
        key = left.intent, instrument
        if left.size_e6:
            self.left[key] = left
        else:
            self.left.pop(key, None)

    def left_in(self, instrument: int) -> Left:
        """All that stands in a market: sums, and the newest intent."""
        found = [left for (_, number), left in self.left.items() if number == instrument]
        size_e6, cost_e6 = sum(x.size_e6 for x in found), sum(x.cost_e6 for x in found)
        return Left(size_e6, cost_e6, max((x.intent for x in found), default=0))

    def forget(self, instrument: int) -> None:
        """Another market has its number now."""
        self.mismatches.pop(instrument, None)
        self.memory.block(instrument, False)
        for key in [key for key in self.left if key[1] == instrument]:
            del self.left[key]

    def clear(self) -> set[int]:
        """An operator has looked. Returns the markets this changes."""
        changed = set(self.mismatches) | {number for _, number in self.left}
        for number in self.mismatches:
            self.memory.block(number, False)
        self.mismatches.clear()
        self.left.clear()
        return changed


def unhedged_e6(under_way: Sequence[Work]) -> int:
    """Worst cost of what may stand alone: all but the cheapest leg of each intent under way, and
    what is lone. A bet stands for itself: its market's limits count it, and the day's.
    """
    total_e6 = 0
    for work in under_way:
        if work.intent.flags & FLAG_UNWIND or work.intent.kind == KIND_MODEL:
            continue
        if not work.ended:
            total_e6 += sum(work.costs_e6) - min(work.costs_e6)
        elif work.is_lone:
            total_e6 += lone_cost_e6(work)
    return total_e6


def tell(memory: Memory, under_way: Sequence[Work], open_intents: int) -> None:
    """Put it where the last look finds it. A pair stops while an outcome of it is unknown, or a
    leg of it alone.
    """
    memory.pause({w.intent.pair for w in under_way if w.is_lone or w.is_unknown})
    memory.standing(unhedged_e6=unhedged_e6(under_way), open_intents=open_intents)
