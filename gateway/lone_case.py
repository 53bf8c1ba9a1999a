"""What is alone of one intent: of a pair one leg, of a set perhaps several, and what closing all of
it may lose and how long it may take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.ledger import Work
from gateway.order import Order
from gateway.ports import LonePlan
from shm_layout import BUY, E6, FLAG_TRUE_UP, SELL


@dataclass(slots=True, eq=False)
class Purse:
    """The legs of one intent that became alone together, in `cases`. The time cap counts from
    `since_ns`; `cap_e6` is for all of them, `spent_e6` what their tries have lost. `missed`: epoch
    and number of the quote that the leg without contracts missed on; `gives_back`: of a set some
    leg went back already.
    """

    parent: Work
    since_ns: int
    cap_e6: int
    cases: list[Case] = field(default_factory=list)
    spent_e6: int = 0
    completes: int = 0
    missed: tuple[int, int] | None = None
    gives_back: bool = False

    @property
    def is_set(self) -> bool:
        """Of more than two legs."""
        return len(self.parent.orders) > 2

    @property
    def holding(self) -> list[Case]:
        """Those that still have contracts alone."""
        return [case for case in self.cases if case.left_e6 > 0]

    @property
    def missing(self) -> Order | None:
        """The one leg that has none of what all others have; None: it is not one."""
        has = {case.leg for case in self.holding}
        rest = [order for order in self.parent.orders if order.leg not in has]
        return rest[0] if len(rest) == 1 else None

    @property
    def is_completing(self) -> bool:
        """An order on the missing leg is under way: no leg may go back meanwhile."""
        children = [case.child for case in self.cases if case.child is not None]
        return any(child.intent.flags & FLAG_TRUE_UP for child in children)

    def of(self, child: Work) -> Case:
        """The case a predecessor's try was made for: what completes counts for all, and stands with
        the first.
        """
        holding = self.holding or self.cases
        if not child.intent.flags & FLAG_TRUE_UP:
            instrument = child.orders[0].instrument
            holding = [case for case in holding if case.order.instrument == instrument] or holding
        return holding[0]

    def room_e6(self, case: Case) -> int:
        """What the next order of a case may lose: its share of what those under way leave."""
        held_e6 = sum(other.risk_e6 for other in self.cases if other.child is not None)
        waiting = sum(other is case or other.child is None for other in self.cases)
        return (self.cap_e6 - self.spent_e6 - held_e6) // max(waiting, 1)


@dataclass(slots=True, eq=False)
class Case:
    """One lone leg until its pair is complete, it is given back, or trading halts: place `leg` of
    the parent, filled on `side` at `price_e6` (YES terms). `risk_e6`: the most that the try under
    way loses.
    """

    purse: Purse
    leg: int
    side: int
    price_e6: int
    left_e6: int
    tries: int = 0
    plan: LonePlan | None = None
    plan_ns: int = 0
    next_ns: int = 0
    child: Work | None = None
    risk_e6: int = 0

    @property
    def parent(self) -> Work:
        """The intent."""
        return self.purse.parent

    @property
    def order(self) -> Order:
        """The leg that is alone."""
        return self.parent.orders[self.leg]

    @property
    def token_e6(self) -> int:
        """What a contract did cost as a token."""
        return token_e6(self.price_e6, self.side)

    @property
    def cost_e6(self) -> int:
        """What the contracts cost, rounded up."""
        return -(-self.token_e6 * self.left_e6 // E6)


def missing_side(cases: Sequence[Case], missing: Order) -> int:
    """The side that completes in the market of the missing leg."""
    is_turned = any(case.side != case.order.side for case in cases)
    return other_side(missing.side) if is_turned else missing.side


def other_side(side: int) -> int:
    """BUY for SELL."""
    return SELL if side == BUY else BUY


def token_e6(price_e6: int, side: int) -> int:
    """What a contract of a leg costs as a token: YES at p if bought, NO at 1−p if sold."""
    return price_e6 if side == BUY else E6 - price_e6
