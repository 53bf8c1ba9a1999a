"""One leg filled more than the other: what is done about the rest. Pure, and handed to the desk.

Either the missing leg is completed at today's price, if that still pays or loses less, or the lone
contracts are given back where they were filled. The loss of all tries together stays within a cap
in dollars, each counted as filled at its limit; each further try reaches a step further towards it.
What no price within the cap cures is a halt that names its cost. Prices and sides are in YES terms,
money in 1e-6 dollars; a loss below zero is a gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.facts import Facts
from engine.fees import FEE_REFUSED_E6, charged_as, fee
from engine.sizes import legal_limit, legal_size, token_price
from shm_layout import BUY, E6, SELL

STEPS = 4  # tries until a limit may reach the whole of the cap
WORST_PRICE_E6 = 500_000  # where a fee of rate·p·(1−p) is highest
COMPLETE, GIVE_BACK, HALT = "complete", "give_back", "halt"
Levels = Sequence[tuple[int, int]]


class Lone(Protocol):
    """Contracts that one leg holds and the other does not.

    `side` is that of the filled leg, `price_e6` its average fill, `levels` the opposite side of its
    market, best first; `is_blind`: no book of it is to be trusted. `spent_e6`: lost by earlier
    tries.
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
    def is_blind(self) -> bool: ...
    @property
    def facts(self) -> Facts: ...


class Missing(Protocol):
    """The leg that did not fill: its side and what its market shows to it, best first (trusted
    only)."""

    @property
    def side(self) -> int: ...
    @property
    def levels(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def facts(self) -> Facts: ...


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
    """(size, limit) of the next order that gives contracts back in their own market, on the
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
    """Sell what was bought (a BUY in YES terms sells the NO token), down to the cap.

    With no book to trust the fill itself is the last price known: the first tries go at once as far
    from it as the cap reaches (the order still fills at the best price there is), the others wait
    for a book. A book that shows nobody is waited for.
    """
    side = SELL if lone.side == BUY else BUY
    sign = 1 if lone.side == BUY else -1
    blind = ((lone.price_e6, lone.size_e6),) if lone.is_blind and lone.attempt < STEPS else ()

    def loss(price_e6: int) -> int:
        return sign * (lone.price_e6 - price_e6)

    levels = blind if lone.is_blind else lone.levels
    return _within_cap(lone, GIVE_BACK, side, levels, lone.facts, loss, is_buy=False)


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
    """The most contracts that one order may take, at the best limit that takes them.

    All of them may fill at the limit (better levels can be gone when the order comes), and nothing
    costs more than that: so their loss is counted there.
    """
    room = lone.loss_cap_e6 - lone.spent_e6
    shown = size = limit = 0
    for price, depth in levels:
        shown = min(shown + depth, lone.size_e6)
        fitting = _fitting(room, shown, loss(price), token_price(price, side), facts)
        if fitting > size:
            size, limit = fitting, price
        if fitting < shown or shown == lone.size_e6:
            break
    if size == 0:
        return None
    if action == GIVE_BACK:
        attempt = STEPS if lone.is_blind else lone.attempt
        limit = _stepped(limit, side, room, size, attempt, facts, loss)
    bought = token_price(limit, side)
    size = legal_size(
        _fitting(room, size, loss(limit), bought, facts),
        bought if is_buy else _sold(limit, side),
        is_buy,
        facts,
    )
    if size == 0:
        return None
    lost = _lost(size, loss(limit), bought, facts)
    return Plan(action=action, side=side, size_e6=size, limit_e6=limit, loss_e6=lost)


def _sold(limit_e6: int, side: int) -> int:
    """Price of the token that a give-back sells: YES at p for a SELL, NO at 1−p for a BUY."""
    return limit_e6 if side == SELL else E6 - limit_e6


def _lost(size: int, unit_loss: int, price: int, facts: Facts) -> int:
    """What `size` contracts lose at one price (of the bought form), fee included, rounded up; below
    zero: a gain."""
    return -(-unit_loss * size // E6) + fee(price, size, facts)


def _fitting(room: int, wanted: int, unit_loss: int, price: int, facts: Facts) -> int:
    """How many of `wanted` contracts the room covers at one price. What gains needs no room."""
    if wanted <= 0 or not 0 < price < E6 or fee(price, wanted, facts) >= FEE_REFUSED_E6:
        return 0
    whole = _lost(wanted, unit_loss, price, facts)
    if whole <= max(room, 0):
        return wanted
    unit = _unit(facts)
    left = room - unit - 1  # a part is rounded as well
    return wanted * left // (whole + unit) if left > 0 else 0


def _unit(facts: Facts) -> int:
    """What the rounding of a fee may add or take."""
    terms = facts.fee_kind, facts.rate_e6, facts.exponent, facts.fee_unit_e6, facts.fee_mode
    return int(charged_as(*terms)[2])


def _stepped(
    price: int, side: int, room: int, size: int, attempt: int, facts: Facts, loss: _Loss
) -> int:
    """A limit `attempt` steps beyond the shown price, at most as far as the room reaches; on the
    grid."""
    reach = (room - fee(WORST_PRICE_E6, size, facts)) * E6 // size - loss(price)
    slack = max(reach, 0) * min(attempt, STEPS) // STEPS
    wanted = price - slack if side == SELL else price + slack
    found = int(legal_limit(wanted, side, *facts.grid))
    return found if found else price
