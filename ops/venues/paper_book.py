"""The book of one market as paper orders meet it: what the venue itself shows, less what paper
orders have taken of it.

The venue does not know of our takes, so its levels do not shrink by them. What was taken of a level
is remembered while the level stands: no contract is had twice. When it shrinks below what was
taken, what is left of it counts as ours; when it goes, all is forgotten; when it grows, only what
is new is free. So the fills on a level are never more than what it showed at first and what came
to it later. Levels worse than the last of the shown ones are out of sight: they may stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ops.venues.book import Budget, Change, MarketBook, Plan, Take, cost_up_e6, unit_cost_e6
from ops.venues.numerals import ONE_E6
from ops.venues.script import ASK, BID, Level

Sides = tuple[list[Level], list[Level]]  # bids and asks, best first


@dataclass(slots=True)
class Arrival:
    """One order on its way, and what a book said of it. Contracts in 1e-6.

    `sides`: the book when the order was sent. `claimed_e6`: what it would have got of that at once,
    which is what an engine without delays claims. `standing_e6`: what it could have got of the book
    when it was matched, had paper orders taken nothing (0 if no book is known then). `left_e6`:
    what they left of that. `got_e6`: what it got: nothing, if the venue then refused it. `is_full`:
    all that it asked for.
    """

    sides: Sides
    claimed_e6: int = 0
    standing_e6: int = 0
    left_e6: int = 0
    got_e6: int = 0
    is_full: bool = False
    is_blind: bool = False

    def figures(self) -> dict[str, int]:
        """What is counted of it: claimed + gained - moved - unknown - taken - refused is got."""
        moved_e6 = max(self.claimed_e6 - self.standing_e6, 0)
        return {
            "orders": 1,
            "full": int(self.is_full and self.got_e6 > 0),
            "partial": int(not self.is_full and self.got_e6 > 0),
            "claimed_e6": self.claimed_e6,
            "moved_e6": 0 if self.is_blind else moved_e6,
            "unknown_e6": moved_e6 if self.is_blind else 0,
            "gained_e6": max(self.standing_e6 - self.claimed_e6, 0),
            "taken_e6": self.standing_e6 - self.left_e6,
            "refused_e6": self.left_e6 - self.got_e6,
            "got_e6": self.got_e6,
        }


class PaperBook(MarketBook):
    """Its exogenous levels are the `depth` best that the venue shows. `is_blind`: they are not to
    be trusted, and nothing is matched. `arrival`: the order that is being handled. `tell`
    hears what paper orders hold of it, before anybody hears of a fill.
    """

    __slots__ = ("_depth", "_tell", "arrival", "is_blind")

    def __init__(self, depth: int, tell: Callable[[Sides], None] = lambda _: None) -> None:
        super().__init__()
        self._depth = depth
        self._tell = tell
        self.is_blind = True
        self.arrival: Arrival | None = None

    def whole(self) -> Sides:
        """What the venue shows, whatever paper orders took."""
        bids, asks = (sorted(self._exo[side].items()) for side in (BID, ASK))
        return bids[::-1], asks

    def had(self) -> Sides:
        """What paper orders hold of each level, of those out of sight too."""
        bids, asks = (sorted(self._taken[side].items()) for side in (BID, ASK))
        return bids[::-1], asks

    def taken_e6(self, side: int, price_e6: int) -> int:
        """What paper orders hold of a level."""
        return self._taken[side].get(price_e6, 0)

    def _forget(self, side: int, prices: Iterable[int]) -> None:
        exo, taken = self._exo[side], self._taken[side]
        for price in prices:
            if price not in exo and self._is_beyond(side, price):
                continue
            taken[price] = min(taken.get(price, 0), exo.get(price, 0))
            if not taken[price]:
                del taken[price]

    def _is_beyond(self, side: int, price_e6: int) -> bool:
        """Whether a level of that price could stand and not be shown."""
        exo = self._exo[side]
        if len(exo) < self._depth:
            return False
        return price_e6 < min(exo) if side == BID else price_e6 > max(exo)

    def plan(
        self,
        side: int,
        limit_e6: int,
        size_e6: int,
        *,
        budget: Budget | None = None,
        cancel_own: bool = False,
    ) -> Plan:
        """What a taker gets now: nothing of a book that is not to be trusted."""
        plan = Plan(side)
        if not self.is_blind:
            plan = super().plan(side, limit_e6, size_e6, budget=budget, cancel_own=cancel_own)
        if self.arrival is not None:
            told, other = self.arrival, 1 - side
            wanted = side, limit_e6, size_e6, budget
            told.claimed_e6 = reach_e6(told.sides[other], *wanted)
            told.standing_e6 = 0 if self.is_blind else reach_e6(self.whole()[other], *wanted)
            told.left_e6, told.got_e6 = plan.size_e6, 0
            told.is_full, told.is_blind = plan.is_full, self.is_blind
        return plan

    def take(self, plan: Plan) -> list[Change]:
        """Only now anything is had."""
        if self.arrival is not None:
            self.arrival.got_e6 = plan.size_e6
        changes = super().take(plan)
        self._tell(self.had())
        return changes

    def set_book(self, bids: Sequence[Level], asks: Sequence[Level]) -> list[Take]:
        """What the venue shows now."""
        fills = super().set_book(bids, asks)
        self._tell(self.had())
        return fills


def reach_e6(
    levels: Sequence[Level], side: int, limit_e6: int, size_e6: int, budget: Budget | None
) -> int:
    """Contracts that a taker on `side` gets of `levels`, best first, at `limit_e6` or better."""
    got_e6, money_e6 = 0, budget.money_e6 if budget else 0
    for price_e6, shown_e6 in levels:
        if price_e6 > limit_e6 if side == BID else price_e6 < limit_e6:
            break
        want_e6 = size_e6 - got_e6
        if budget:
            unit_e6 = unit_cost_e6(price_e6, budget.is_no)
            want_e6 = money_e6 * ONE_E6 // unit_e6
        take_e6 = min(want_e6, shown_e6)
        if take_e6 <= 0:
            break
        got_e6 += take_e6
        if budget:
            money_e6 -= min(money_e6, cost_up_e6(take_e6, unit_e6))
    return got_e6
