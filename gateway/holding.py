"""What is held of one instrument, and what a fill makes of it: tokens apart, or one signed position
where a venue nets. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.ports import YES
from shm_layout import E6


@dataclass(slots=True)
class Position:
    """Holdings of one instrument. `cost_e6` of each token: what was paid for what is still held;
    `open_fee_e6`: what opening that cost in fees, not yet in any result. `bet_e6`: what bets opened
    of it, fees with it, at most what is left of all.
    """

    yes_e6: int = 0
    no_e6: int = 0
    cost_yes_e6: int = 0
    cost_no_e6: int = 0
    fees_e6: int = 0
    open_fee_e6: int = 0
    bet_e6: int = 0

    @property
    def net_e6(self) -> int:
        """Signed, in YES terms."""
        return self.yes_e6 - self.no_e6

    @property
    def cost_e6(self) -> int:
        """What all of it cost."""
        return self.cost_yes_e6 + self.cost_no_e6

    @property
    def staked_e6(self) -> int:
        """What bets have at risk in it: nothing hedges them. Where a pair's leg is held too, what
        is given back counts as the leg's, so not too little is left here.
        """
        return min(self.bet_e6, self.cost_e6 + self.open_fee_e6)

    def paid_e6(self, value_e6: int) -> int:
        """What it pays once YES is worth so much, rounded down."""
        return (self.yes_e6 * value_e6 + self.no_e6 * (E6 - value_e6)) // E6

    @property
    def best_e6(self) -> int:
        """The most it can still bring: a dollar for each contract of the token it has more of."""
        return max(self.yes_e6, self.no_e6) - self.cost_e6 - self.open_fee_e6


def counted_e6(settled_e6: int, left: Sequence[Position]) -> int:
    """What counts today of an event's result so far: all of it once nothing of it is left, before
    only the loss that the rest cannot make good. The legs of a pair settle at different moments,
    and one of them alone is no loss.
    """
    if not left:
        return settled_e6
    return min(settled_e6 + sum(position.best_e6 for position in left), 0)


def fill(
    position: Position, nets: bool, token: int, buys: bool, amounts: Sequence[int], is_bet: bool
) -> tuple[int, int]:
    """Book contracts, notional and fee, all negative if a trade failed: (cash moved without fees,
    result with the fees that go into it). `is_bet`: a bet's, which stakes what it opens.
    """
    size_e6, notional_e6, fee_e6 = amounts
    held_e6, position.bet_e6 = position.yes_e6 + position.no_e6, position.staked_e6
    was = position.cost_yes_e6, position.cost_no_e6, position.open_fee_e6
    position.fees_e6 += fee_e6
    if nets:
        moved_e6, realized_e6, closed_e6 = netted(position, buys, size_e6, notional_e6)
    else:
        moved_e6, realized_e6, closed_e6 = held_apart(position, token, buys, size_e6, notional_e6)
    realized_e6 -= fees_of(position, held_e6, size_e6, closed_e6, fee_e6)
    now = position.cost_yes_e6, position.cost_no_e6, position.open_fee_e6
    if is_bet:
        position.bet_e6 += sum(max(to - before, 0) for before, to in zip(was, now, strict=True))
    position.bet_e6 = position.staked_e6
    return moved_e6, realized_e6


def fees_of(position: Position, before_e6: int, size_e6: int, closed_e6: int, fee_e6: int) -> int:
    """Fees that go into a result now: of what closes, its own and its share of those that opening
    cost. Those of what opens wait in the position. `before_e6`: contracts held before.
    """
    own_e6 = fee_e6 * closed_e6 // size_e6 if size_e6 > 0 else 0
    if size_e6 <= 0 and not position.cost_e6:
        own_e6 = fee_e6  # a correction of what is closed already
    share_e6 = position.open_fee_e6 * closed_e6 // before_e6 if before_e6 else 0
    position.open_fee_e6 += fee_e6 - own_e6 - share_e6
    return own_e6 + share_e6


def held_apart(
    position: Position, token: int, buys: bool, size_e6: int, notional_e6: int
) -> tuple[int, int, int]:
    """Tokens: (cash moved, realised, closed). A negative size takes a failed trade back. What was
    not known to be held is sold without a result.
    """
    held_e6 = position.yes_e6 if token == YES else position.no_e6
    cost_e6 = position.cost_yes_e6 if token == YES else position.cost_no_e6
    closed_e6 = 0
    if buys:
        held_e6, cost_e6 = held_e6 + size_e6, cost_e6 + notional_e6
        moved_e6, realized_e6 = -notional_e6, 0
    else:
        closed_e6 = max(min(size_e6, held_e6), 0)
        part_e6 = notional_e6 * closed_e6 // size_e6 if size_e6 > 0 else notional_e6
        released_e6 = _released(cost_e6, size_e6, held_e6)
        held_e6, cost_e6 = held_e6 - size_e6, cost_e6 - released_e6
        moved_e6, realized_e6 = notional_e6, part_e6 - released_e6
    if token == YES:
        position.yes_e6, position.cost_yes_e6 = held_e6, max(cost_e6, 0)
    else:
        position.no_e6, position.cost_no_e6 = held_e6, max(cost_e6, 0)
    return moved_e6, realized_e6, closed_e6


def netted(position: Position, buys: bool, size_e6: int, notional_e6: int) -> tuple[int, int, int]:
    """One signed position, price in YES terms: (cash moved, realised, closed). Closes first, then
    opens.
    """
    closing_held_e6 = position.no_e6 if buys else position.yes_e6
    closed_e6 = max(min(size_e6, closing_held_e6), 0)
    opened_e6 = size_e6 - closed_e6
    part_e6 = notional_e6 * closed_e6 // size_e6 if size_e6 else 0
    rest_e6 = notional_e6 - part_e6
    if buys:
        got_e6, paid_e6 = closed_e6 - part_e6, rest_e6  # closing NO at yes price p brings 1−p
        released_e6 = _released(position.cost_no_e6, closed_e6, position.no_e6)
        position.no_e6, position.cost_no_e6 = (
            position.no_e6 - closed_e6,
            position.cost_no_e6 - released_e6,
        )
        position.yes_e6, position.cost_yes_e6 = (
            position.yes_e6 + opened_e6,
            max(position.cost_yes_e6 + paid_e6, 0),
        )
    else:
        got_e6, paid_e6 = part_e6, opened_e6 - rest_e6
        released_e6 = _released(position.cost_yes_e6, closed_e6, position.yes_e6)
        position.yes_e6, position.cost_yes_e6 = (
            position.yes_e6 - closed_e6,
            position.cost_yes_e6 - released_e6,
        )
        position.no_e6, position.cost_no_e6 = (
            position.no_e6 + opened_e6,
            max(position.cost_no_e6 + paid_e6, 0),
        )
    realized_e6 = got_e6 - released_e6 if closed_e6 else 0
    return got_e6 - paid_e6, realized_e6, closed_e6


def _released(cost_e6: int, size_e6: int, held_e6: int) -> int:
    """The cost that goes with `size_e6` of `held_e6`, at the average."""
    if held_e6 <= 0:
        return 0
    return cost_e6 * min(size_e6, held_e6) // held_e6
