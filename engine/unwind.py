"""One leg filled more than the other: what is done about the rest. Pure, and handed to the desk.

Either the missing leg is completed at today's price, if that still pays or loses less, or the lone
contracts are given back where they were filled. The loss of all tries together stays within a cap
in
dollars; each further try reaches a step further towards it. What no price within the cap cures is a
halt that names its cost. Prices and sides are in YES terms, money in 1e-6 dollars; a loss below
zero
is a gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.facts import Facts
from engine.fees import FEE_REFUSED_E6, fee
from engine.sizes import legal_limit, legal_size, token_price
from shm_layout import BUY, E6, SELL

STEPS = 4  # tries until a limit may reach the whole of the cap
WORST_PRICE_E6 = 500_000  # where a fee of rate·p·(1−p) is highest
COMPLETE, GIVE_BACK, HALT = "complete", "give_back", "halt"
Levels = Sequence[tuple[int, int]]


class Lone(Protocol):
    """Contracts that one leg holds and the other does not.

    `side` is that of the filled leg, `price_e6` its average fill, `levels` the opposite side of its
    market, best first; empty: nothing trusted is shown. `spent_e6`: lost by earlier tries.
    """

    @property
    def side(self) -> int: ...
    @property
    def size_e6(self) -> int: ...
    @property
    def price_e6(self) -> int: ...
    @property
    def levels(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def loss_cap_e6(self) -> int: ...
    @property
    def spent_e6(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def facts(self) -> Facts: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The leg that did not fill: its side and what its market shows to it, best first (trusted
    only)."""

    side: int
    levels: tuple[tuple[int, int], ...]
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send: on the missing leg's market (COMPLETE), on the filled leg's (GIVE_BACK), or
    nothing (HALT).

    `loss_e6`: what it loses at the limit, fees included, against the price of the filled leg; for
    HALT
    what the contracts cost.
    """

    action: str
    side: int
    size_e6: int
    limit_e6: int
    loss_e6: int


def plan_unwind(lone: Lone) -> tuple[int, int] | None:
    """(size, limit) of the next order that gives a lone leg back in its own market, on the
    opposite side.

    None: nothing within the loss cap, or too little for an order.
    """
    plan = give_back(lone)
    return None if plan is None else (plan.size_e6, plan.limit_e6)


def plan_lone(lone: Lone, missing: Missing | None = None) -> Plan:
    """The better of completing the pair and giving back; HALT if neither stays within the cap."""
    found = [give_back(lone), complete(lone, missing) if missing is not None else None]
    plans = [plan for plan in found if plan is not None]
    if plans:
        return min(plans, key=lambda plan: (plan.loss_e6 * E6 // plan.size_e6, plan.action))
    cost = -(-token_price(lone.price_e6, lone.side) * lone.size_e6 // E6)
    return Plan(action=HALT, side=lone.side, size_e6=lone.size_e6, limit_e6=0, loss_e6=cost)


def give_back(lone: Lone) -> Plan | None:
    """Sell what was bought (a BUY in YES terms sells the NO token), down to the cap."""
    side = SELL if lone.side == BUY else BUY
    sign = 1 if lone.side == BUY else -1

    def loss(price_e6: int) -> int:
        return sign * (lone.price_e6 - price_e6)

    return _within_cap(lone, GIVE_BACK, side, lone.levels, lone.facts, loss, is_buy=False)


def complete(lone: Lone, missing: Missing) -> Plan | None:
    """Take the missing leg after all. Where the venue spends a budget only the touch is used."""
    levels = missing.levels[:1] if missing.facts.notional_step_e6 else missing.levels
    paid = token_price(lone.price_e6, lone.side)

    def loss(price_e6: int) -> int:
        return int(paid + token_price(price_e6, missing.side) - E6)  # together they pay $1

    return _within_cap(lone, COMPLETE, missing.side, levels, missing.facts, loss, is_buy=True)


class _Loss(Protocol):
    def __call__(self, price_e6: int) -> int: ...


def _within_cap(
    lone: Lone, action: str, side: int, levels: Levels, facts: Facts, loss: _Loss, *, is_buy: bool
) -> Plan | None:
    """Walk the levels while the loss of all contracts taken stays within the cap."""
    room = lone.loss_cap_e6 - lone.spent_e6
    wanted, limit, price_used = 0, 0, 0
    for price, size in levels:
        take = min(size, lone.size_e6 - wanted)
        if take <= 0:
            break
        fitting = _fitting(room, wanted, take, loss(price), price, facts)
        if fitting <= 0:
            break
        wanted, price_used = wanted + fitting, price
        room -= -(-loss(price) * fitting // E6) + fee(price, fitting, facts)
        if fitting < take:
            break
    if wanted == 0:
        return None
    limit = price_used
    if action == GIVE_BACK:
        limit = _stepped(price_used, side, room, wanted, lone.attempt, facts)
    size = legal_size(
        wanted, token_price(limit, side) if is_buy else _sold(limit, side), is_buy, facts
    )
    if size == 0:
        return None
    lost = -(-loss(price_used) * size // E6) + fee(price_used, size, facts)
    return Plan(action=action, side=side, size_e6=size, limit_e6=limit, loss_e6=lost)


def _sold(limit_e6: int, side: int) -> int:
    """Price of the token that a give-back sells: YES at p for a SELL, NO at 1−p for a BUY."""
    return limit_e6 if side == SELL else E6 - limit_e6


def _fitting(room: int, taken: int, take: int, unit_loss: int, price: int, facts: Facts) -> int:
    """How many of `take` contracts at `price` the room still covers."""
    charged = fee(price, take, facts)
    if charged >= FEE_REFUSED_E6:
        return 0
    if -(-unit_loss * take // E6) + charged <= room:
        return take
    unit = unit_loss + fee(price, E6, facts)
    left = room - facts.fee_unit_e6
    return min(take, left * E6 // unit) if unit > 0 and left > 0 else 0


def _stepped(price: int, side: int, room: int, size: int, attempt: int, facts: Facts) -> int:
    """A limit `attempt` steps beyond the shown price, at most as far as the room reaches; on the
    grid."""
    slack = max(room - fee(WORST_PRICE_E6, size, facts), 0) * E6 // size
    slack = slack * min(attempt, STEPS) // STEPS
    wanted = price - slack if side == SELL else price + slack
    found = int(legal_limit(wanted, side, *facts.grid))
    return found if found else price
