"""The matching engine of one market: recorded size, what our orders took of it, and our own
resting orders.

Everything is in YES terms and in 1e-6. A level shows `exogenous - taken + own`. `taken` is the
overlay: it is cleared by the next exogenous event of that level, and wholly by a new book, so the
script stays what it is whatever is traded. Our resting orders stand behind the exogenous size that
was there before them (`ahead_e6`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ops.venues.numerals import ONE_E6
from ops.venues.script import ASK, BID, Level


@dataclass(slots=True, eq=False)
class Resting:
    """One order of ours in the book. `leaves_e6` falls as it fills; `ahead_e6` is the exogenous
    size before it.
    """

    key: str
    side: int
    price_e6: int
    leaves_e6: int
    ahead_e6: int = 0


@dataclass(frozen=True, slots=True)
class Take:
    """One step of a taker through the book. `maker` None: exogenous size."""

    price_e6: int
    size_e6: int
    maker: Resting | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a level showed and shows."""

    side: int
    price_e6: int
    old_e6: int
    new_e6: int


@dataclass(slots=True)
class Plan:
    """What a taker would get now. `own` are our own orders met on the way; `stopped`: matching
    ended at one of them.
    """

    side: int
    takes: list[Take] = field(default_factory=list)
    own: list[Resting] = field(default_factory=list)
    stopped: bool = False
    is_full: bool = False

    @property
    def size_e6(self) -> int:
        return sum(take.size_e6 for take in self.takes)


@dataclass(frozen=True, slots=True)
class Budget:
    """A taker that spends money instead of asking for a size. `is_no`: it pays 1 - p of a level at
    YES price p.
    """

    money_e6: int
    is_no: bool


def unit_cost_e6(price_e6: int, is_no: bool) -> int:
    """What one contract costs its buyer at YES price `price_e6`: p for YES, 1 - p for NO."""
    return ONE_E6 - price_e6 if is_no else price_e6


def cost_up_e6(size_e6: int, unit_e6: int) -> int:
    """size x price, rounded up: against the taker."""
    return -(-size_e6 * unit_e6 // ONE_E6)


class MarketBook:
    """One market's book. Mutators return the changes of what is shown, in the order they
    happened.
    """

    __slots__ = ("_exo", "_own", "_prices", "_shown", "_taken", "orders")

    def __init__(self) -> None:
        self._exo: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._taken: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._own: tuple[dict[int, list[Resting]], dict[int, list[Resting]]] = ({}, {})
        self._shown: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._prices: tuple[list[int], list[int]] = ([], [])
        self.orders: dict[str, Resting] = {}

    # ---- what is shown

    def levels(self, side: int) -> list[Level]:
        """The shown levels, best first."""
        prices = self._prices[side]
        shown = self._shown[side]
        ordered = reversed(prices) if side == BID else iter(prices)
        return [(price, shown[price]) for price in ordered]

    def shown_e6(self, side: int, price_e6: int) -> int:
        return self._shown[side].get(price_e6, 0)

    def best_e6(self, side: int) -> int | None:
        """The touch, None: the side is empty."""
        prices = self._prices[side]
        if not prices:
            return None
        return prices[-1] if side == BID else prices[0]

    def _exogenous_e6(self, side: int, price_e6: int) -> int:
        left = self._exo[side].get(price_e6, 0) - self._taken[side].get(price_e6, 0)
        return max(left, 0)

    def _refresh(self, side: int, price_e6: int) -> list[Change]:
        shown = self._shown[side]
        old_e6 = shown.get(price_e6, 0)
        new_e6 = self._exogenous_e6(side, price_e6)
        own = self._own[side].get(price_e6)
        if own:
            new_e6 += sum(order.leaves_e6 for order in own)
        if new_e6 == old_e6:
            return []
        if new_e6 == 0:
            del shown[price_e6]
            prices = self._prices[side]
            del prices[bisect_left(prices, price_e6)]
        else:
            if old_e6 == 0:
                insort(self._prices[side], price_e6)
            shown[price_e6] = new_e6
        return [Change(side, price_e6, old_e6, new_e6)]

    # ---- the script's events

    def set_book(self, bids: Sequence[Level], asks: Sequence[Level]) -> list[Take]:
        """Replace the exogenous book and drop the overlay. Returns the fills of our resting orders
        that it crosses.
        """
        for side, levels in ((BID, bids), (ASK, asks)):
            self._exo[side].clear()
            self._exo[side].update((price, size) for price, size in levels if size > 0)
            self._forget(side, list(self._taken[side]))
            self._shown[side].clear()
            self._prices[side].clear()
            for price in self._exo[side].keys() | self._own[side].keys():
                self._cap_ahead(side, price)
                self._refresh(side, price)
        fills: list[Take] = []
        for side in (BID, ASK):
            for price, _ in sorted(self._exo[side].items(), reverse=side == BID):
                fills += self._meet_own(side, price)[0]
        return fills

    def set_level(
        self, side: int, price_e6: int, size_e6: int
    ) -> tuple[list[Change], list[Change], list[Take]]:
        """One level's exogenous total. Returns its own change, later changes, and fills of our
        resting orders.

        The first list is the recorded event as a change of what is shown; the second what our
        orders then made of it.
        """
        exo = self._exo[side]
        if size_e6 > 0:
            exo[price_e6] = size_e6
        else:
            exo.pop(price_e6, None)
        self._forget(side, (price_e6,))
        self._cap_ahead(side, price_e6)
        first = self._refresh(side, price_e6)
        if not self.orders:
            return first, [], []
        fills, later = self._meet_own(side, price_e6)
        return first, later, fills

    def _forget(self, side: int, prices: Iterable[int]) -> None:
        """These levels were just told anew: what our orders took of them is forgotten."""
        for price in prices:
            self._taken[side].pop(price, None)

    def _cap_ahead(self, side: int, price_e6: int) -> None:
        own = self._own[side].get(price_e6)
        if own:
            size_e6 = self._exo[side].get(price_e6, 0)
            for order in own:
                order.ahead_e6 = min(order.ahead_e6, size_e6)

    def _meet_own(self, side: int, price_e6: int) -> tuple[list[Take], list[Change]]:
        """New exogenous size on `side` trades with our resting orders that it crosses, at their
        prices.
        """
        fills: list[Take] = []
        changes: list[Change] = []
        other = 1 - side
        for order in self._crossed(other, price_e6):
            size_e6 = min(order.leaves_e6, self._exogenous_e6(side, price_e6))
            if size_e6 == 0:
                break
            taken = self._taken[side]
            taken[price_e6] = taken.get(price_e6, 0) + size_e6
            changes += self._refresh(side, price_e6)
            changes += self._fill_own(order, size_e6)
            fills.append(Take(order.price_e6, size_e6, order))
        return fills, changes

    def _crossed(self, own_side: int, price_e6: int) -> list[Resting]:
        own = self._own[own_side]
        if own_side == ASK:
            prices = sorted(price for price in own if price <= price_e6)
        else:
            prices = sorted((price for price in own if price >= price_e6), reverse=True)
        return [order for price in prices for order in own[price]]

    def trade(
        self, price_e6: int, size_e6: int, taker_side: int
    ) -> tuple[list[Take], list[Change]]:
        """A print between others. Our resting orders with a better price, or first in the queue,
        have a share in it.
        """
        fills: list[Take] = []
        changes: list[Change] = []
        left_e6 = size_e6
        for order in self._crossed(1 - taker_side, price_e6):
            if order.price_e6 == price_e6:
                before_e6 = order.ahead_e6
                order.ahead_e6 = max(0, before_e6 - left_e6)
                share_e6 = left_e6 - before_e6
            else:
                share_e6 = left_e6
            share_e6 = min(share_e6, order.leaves_e6)
            if share_e6 <= 0:
                continue
            changes += self._fill_own(order, share_e6)
            fills.append(Take(order.price_e6, share_e6, order))
            left_e6 -= share_e6
        return fills, changes

    # ---- our orders

    def plan(
        self,
        side: int,
        limit_e6: int,
        size_e6: int,
        *,
        budget: Budget | None = None,
        cancel_own: bool = False,
    ) -> Plan:
        """What a taker on `side` would get at `limit_e6` or better. Changes nothing.

        `size_e6` bounds the size; with a budget the money does, and `size_e6` is ignored. An own
        order met on the way ends the matching, unless `cancel_own`: then it is noted in `own` and
        passed over.
        """
        plan = Plan(side)
        other = 1 - side
        money_e6 = budget.money_e6 if budget else 0
        for price, _ in self.levels(other):
            if price > limit_e6 if side == BID else price < limit_e6:
                break
            want_e6 = size_e6
            if budget:
                unit_e6 = unit_cost_e6(price, budget.is_no)
                want_e6 = money_e6 * ONE_E6 // unit_e6
            if want_e6 <= 0:
                break
            take_e6 = min(want_e6, self._exogenous_e6(other, price))
            if take_e6:
                plan.takes.append(Take(price, take_e6))
                size_e6 -= take_e6
                if budget:
                    money_e6 -= min(money_e6, cost_up_e6(take_e6, unit_e6))
            if take_e6 == want_e6:
                plan.is_full = True
                break
            own = self._own[other].get(price)
            if own:
                plan.own += own
                if not cancel_own:
                    plan.stopped = True
                    break
        return plan

    def take(self, plan: Plan) -> list[Change]:
        """Carry out a plan made on the present book."""
        other = 1 - plan.side
        taken = self._taken[other]
        changes: list[Change] = []
        for step in plan.takes:
            assert step.size_e6 <= self._exogenous_e6(other, step.price_e6), "plan of another book"
            taken[step.price_e6] = taken.get(step.price_e6, 0) + step.size_e6
            changes += self._refresh(other, step.price_e6)
        return changes

    def rest(self, order: Resting) -> list[Change]:
        """Add one of our orders behind what is there."""
        assert order.key not in self.orders and order.leaves_e6 > 0
        order.ahead_e6 = self._exogenous_e6(order.side, order.price_e6)
        self.orders[order.key] = order
        self._own[order.side].setdefault(order.price_e6, []).append(order)
        return self._refresh(order.side, order.price_e6)

    def cancel(self, key: str) -> list[Change]:
        """Take one of our orders out. Its `leaves_e6` stays readable."""
        order = self.orders.pop(key)
        queue = self._own[order.side][order.price_e6]
        queue.remove(order)
        if not queue:
            del self._own[order.side][order.price_e6]
        return self._refresh(order.side, order.price_e6)

    def shrink(self, key: str, leaves_e6: int) -> list[Change]:
        """Make one of our orders smaller in its place; never to nothing."""
        order = self.orders[key]
        assert 0 < leaves_e6 <= order.leaves_e6
        order.leaves_e6 = leaves_e6
        return self._refresh(order.side, order.price_e6)

    def queue_e6(self, key: str) -> int:
        """What must trade at its price before one of our orders does."""
        order = self.orders[key]
        own_e6 = 0
        for other in self._own[order.side][order.price_e6]:
            if other is order:
                break
            own_e6 += other.leaves_e6
        return order.ahead_e6 + own_e6

    def _fill_own(self, order: Resting, size_e6: int) -> list[Change]:
        order.leaves_e6 -= size_e6
        assert order.leaves_e6 >= 0
        if order.leaves_e6 == 0:
            return self.cancel(order.key)
        return self._refresh(order.side, order.price_e6)
