"""What the pool keeps: for each market the keys around its touch, nearest first. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import count, zip_longest

from gateway.order_amounts import SIZES_MAX, next_down, next_up
from shm_layout import BUY, E6, INSTRUMENT, LEVELS, QUOTE, SELL, cell, cells_to_uint256

TABLE_MAX = 4096
NEXT = 3  # levels of which one is, or is next, the touch: deeper ones often show more
SMALL = 8  # a size below this part of what is shown is wanted at the touch only

_I = {name: cell(INSTRUMENT, name) for name in INSTRUMENT.names or ()}
_Q = {name: cell(QUOTE, name) for name in QUOTE.names or ()}

Key = tuple[int, int, int, int, int]  # instrument, token, side, price, size
Facts = tuple[int, int, int, int]  # notional step, size step, size minimum, notional minimum
SizeRule = Callable[[int, int, int, int], int]  # price, wanted size, notional step, size step


def room_for(size_e6: int) -> int:
    """The size shown at a level, rounded up to 1, 2, 3, 4, 6, 8, 12 … contracts, so that a plan
    does not begin anew with every change of it. 0 for none.
    """
    if size_e6 <= 0:
        return 0
    whole_e6 = E6 << (-(-size_e6 // E6) - 1).bit_length()
    return whole_e6 * 3 // 4 if whole_e6 > 2 * E6 and size_e6 <= whole_e6 * 3 // 4 else whole_e6


class KeptSizes:
    """Every size kept at a token's price: those of the rule between the venue's minimum and the
    largest notional kept (`order_max_e6`), or, where a level of the book shows more, as much as
    that and at most `shown_max_e6`: the level that pays is often one that was not there before.
    In a set the size fits every leg's price, so it is one of the rule for a step that all of them
    have: nearly always whole contracts. Remembered by price, facts and what is shown."""

    def __init__(self, rule: SizeRule, order_max_e6: int, shown_max_e6: int) -> None:
        self._rule, self._order_max_e6, self._shown_max_e6 = rule, order_max_e6, shown_max_e6
        self._table: dict[tuple[int, Facts, int, bool], tuple[int, ...]] = {}

    def at(
        self, price_e6: int, facts: Facts, room_e6: int = 0, *, is_in_set: bool = False
    ) -> tuple[int, ...]:
        """Smallest first."""
        key = price_e6, facts, room_e6, is_in_set
        known = self._table.get(key)
        if known is None:
            if len(self._table) >= TABLE_MAX:
                self._table.clear()
            found = set(self._list(price_e6, facts, room_e6))
            if is_in_set:
                step_e6 = math.lcm(facts[1], E6)
                found.update(self._list(price_e6, (facts[0], step_e6, *facts[2:]), room_e6))
            known = self._table[key] = tuple(sorted(found))
        return known

    def _list(self, price_e6: int, facts: Facts, room_e6: int) -> list[int]:
        notional_step_e6, size_step_e6, size_min_e6, notional_min_e6 = facts
        found: list[int] = []
        shown_e6 = min(room_e6, self._shown_max_e6 * E6 // price_e6)
        size_e6 = max(self._order_max_e6 * E6 // price_e6, shown_e6)
        for _ in range(SIZES_MAX):
            size_e6 = self._rule(price_e6, size_e6, notional_step_e6, size_step_e6)
            is_enough = size_e6 >= size_min_e6 and size_e6 * price_e6 >= notional_min_e6 * E6
            if size_e6 <= 0 or not is_enough:
                break
            found.append(size_e6)
            size_e6 -= 1
        return found


class PlannedMarket:
    """One Polymarket instrument as the pool sees it, and where its plan stands."""

    def __init__(self, row: list[int]) -> None:
        self.instrument, self.generation = row[_I["index"]], row[_I["generation"]]
        names = ("token_yes", "token_no")
        self.tokens = [cells_to_uint256(row[_I[n] : _I[n] + 4]) for n in names]
        self.tick_epoch = -1
        self.seen: list[int] = []  # what the plan depends on
        self.bid_e6 = self.ask_e6 = 0
        self.facts: Facts = (0, 0, 0, 0)
        self.grid: list[int] = []
        self.rooms_e6: tuple[int, ...] = (0, 0)  # of the largest of the best asks, and bids
        self.held_e6 = (0, 0)  # YES, NO
        self.plan: Iterator[Key] | None = None
        self.is_ready = False  # every order that its touch may ask for now has been asked for
        self.rounds = 0  # turns in which its plan went on beyond the touch
        self.is_planned = False  # a plan of it has come to its end
        self.is_paired = False  # in a pair that may be traded
        self.is_in_set = False  # one of several legs of this venue
        self.gap_e6 = -E6
        self.hold_until_ns = 0
        self.signed_e6 = [0, 0]  # per token, signed and not known to be used up
        self.keys: set[Key] = set()
        self.bad: set[Key] = set()  # refused for good while tick epoch and facts are these

    def observe(self, row: list[int], held_e6: tuple[int, int] = (0, 0)) -> bool:
        """Take touch, grid, sizes shown and size facts from a QUOTE body, and what we hold of both
        tokens. True if the plan must start anew.
        """
        grid = row[_Q["grid"] : _Q["grid"] + 6]
        facts = (
            row[_Q["notional_step_e6"]], row[_Q["size_step_e6"]],
            row[_Q["size_min_e6"]], row[_Q["notional_min_e6"]],
        )  # fmt: skip
        asks, bids = (row[_Q[name] : _Q[name] + 2 * LEVELS] for name in ("asks", "bids"))
        rooms_e6 = tuple(room_for(max(side[1 : 2 * NEXT : 2])) for side in (asks, bids))
        seen = [bids[0], asks[0], *rooms_e6, *held_e6, *facts, *grid]
        if seen == self.seen:
            return False
        if facts != self.facts or grid != self.grid:
            self.bad.clear()
        self.bid_e6, self.ask_e6, self.held_e6 = bids[0], asks[0], held_e6
        self.rooms_e6 = rooms_e6
        self.seen, self.facts, self.grid = seen, facts, grid
        return True

    def new_plan(self, levels: int, reach_e6: int, kept: KeptSizes) -> Iterator[Key]:
        """Keys to keep: BUYs of both tokens, NO mirrored; and where the other token is held, the
        SELL of it that the same leg is then (gateway/look.py, place). At every price the largest
        size comes first.

        First the touch, with every size: what is left of a level that was taken is soon wanted,
        and that is a small one; then `is_ready`. A market in no pair ends there. Then the prices
        to which the touch can go in one step, nearest first: `levels` ticks on both sides, and on
        the side where it begins to pay `reach_e6`, because news moves it by more; there the sizes
        near what is shown.
        """
        self.is_ready = False
        return self._walk(levels, reach_e6, kept)

    def _walk(self, levels: int, reach_e6: int, kept: KeptSizes) -> Iterator[Key]:
        yield from self.touch_keys(kept)
        self.is_ready, self.rounds = True, 0
        if not self.is_paired:
            return
        around = [self._around(token, levels, reach_e6) for token in (0, 1)]
        for both in zip_longest(*around, fillvalue=0):
            for token, yes_e6 in enumerate(both):
                yield from self._keys(token, yes_e6, kept, is_touch=False)

    def is_at_touch(self, key: Key) -> bool:
        """True for one of `touch_keys`, of whatever size."""
        _, token, side, price_e6, _ = key
        yes_e6 = E6 - price_e6 if token else price_e6
        return yes_e6 == (self.ask_e6 if (token == 0) == (side == BUY) else self.bid_e6)

    def touch_keys(self, kept: KeptSizes) -> Iterator[Key]:
        """All that the touch may ask for."""
        for token, yes_e6 in enumerate((self.ask_e6, self.bid_e6)):
            yield from self._keys(token, yes_e6, kept, is_touch=True)

    def _around(self, token: int, levels: int, reach_e6: int) -> Iterator[int]:
        """YES prices beside the touch at which a token is bought, nearest first."""
        start = pays = other = self.bid_e6 if token else self.ask_e6
        to_pay, away = (next_up, next_down) if token else (next_down, next_up)
        for distance in count(1):
            is_near = distance <= levels
            pays = to_pay(pays, self.grid) if 0 < pays < E6 else 0
            other = away(other, self.grid) if is_near and 0 < other < E6 else 0
            if not is_near and abs(pays - start) > reach_e6:
                pays = 0
            if not pays and not other:
                return
            yield from (price for price in (pays, other) if price)

    def _keys(
        self, token: int, yes_e6: int, kept: KeptSizes, *, is_touch: bool
    ) -> Iterator[Key]:
        """All of one price at which a token is bought; beside the touch without those that are
        small for what is shown."""
        if not 0 < yes_e6 < E6:
            return
        price_e6, room_e6 = E6 - yes_e6 if token else yes_e6, self.rooms_e6[token]
        sizes = kept.at(price_e6, self.facts, room_e6, is_in_set=self.is_in_set)
        held_e6 = self.held_e6[1 - token]
        least_e6 = 0 if is_touch else min(room_e6, max(sizes, default=0)) // SMALL
        for size_e6 in reversed(sizes):
            if size_e6 < least_e6:
                return
            if is_touch or size_e6 > held_e6:
                yield self.instrument, token, BUY, price_e6, size_e6
            if size_e6 <= held_e6:
                yield self.instrument, 1 - token, SELL, E6 - price_e6, size_e6
