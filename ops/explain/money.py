"""What each order was meant to bring and what it brought, so that the sum is what the venues paid.

An order moves money (price × size, and its fee) and contracts. Contracts are worth what their
market settled at; of what has not settled, the outcome that is worst for all that is held counts,
the same for every market that was ever one leg of a pair with another, and of the outcomes of a set
at most one wins. So a matched pair or set is worth what it pays for sure, what stands alone
nothing, and orders add up to the cent, whatever belongs to whom.

Where a venue keeps one signed position a market, a contract sold short counts as −1 at the price it
was sold for: the dollar the venue keeps for it is in the sum of the cash (`collateral_e6`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.fees import add_raw, charge, charged_as, raw_of_match
from gateway.order import Order
from ops.explain.past import Market, Run
from shm_layout import BUY, E6, ROUND_DOWN


@dataclass(frozen=True, slots=True)
class Plan:
    """What one order would do to a book: price × size and fee of `size_e6` contracts."""

    size_e6: int
    notional_e6: int
    fee_e6: int


def planned(order: Order, book: Mapping[str, Any]) -> Plan:
    """The order against a book's levels within its limit (YES terms); rounded against us."""
    buys_yes, flips = order.side == BUY, order.placing.token == 1
    left_e6, cost_e12, hi, lo = order.size_e6, 0, 0, 0
    rate, exponent, unit, mode = charged_as(
        *(book[f"fee_{name}"] for name in ("kind", "rate_e6", "exponent", "unit_e6", "mode"))
    )
    for price_e6, size_e6 in book["asks"] if buys_yes else book["bids"]:
        is_within = price_e6 <= order.limit_e6 if buys_yes else price_e6 >= order.limit_e6
        take_e6 = min(left_e6, size_e6) if is_within else 0
        cost_e12 += take_e6 * (E6 - price_e6 if flips else price_e6)
        hi, lo = add_raw(hi, lo, price_e6, take_e6, rate, exponent)
        left_e6 -= take_e6
    pays = order.placing.side == BUY
    notional_e6 = -(-cost_e12 // E6) if pays else cost_e12 // E6
    filled_e6 = order.size_e6 - left_e6
    if mode == ROUND_DOWN:
        hi, lo = raw_of_match(cost_e12, filled_e6, rate, exponent)
    bought_e12 = cost_e12 if pays else filled_e6 * E6 - cost_e12
    return Plan(filled_e6, notional_e6, int(charge(hi, lo, bought_e12, unit, mode)))


def contracts_e6(order: Order, size_e6: int) -> int:
    """Signed, of the token it trades."""
    return size_e6 if order.placing.side == BUY else -size_e6


def flow_e6(order: Order, notional_e6: int, fee_e6: int) -> int:
    """Money that came in, the fee paid."""
    return (-notional_e6 if order.placing.side == BUY else notional_e6) - fee_e6


def collateral_e6(market: Market, net_e6: int) -> int:
    """What a venue that nets keeps for contracts sold short."""
    return max(-net_e6, 0) if market.nets else 0


@dataclass(slots=True)
class Marks:
    """What a YES of each instrument is worth; `settled` those that have settled."""

    yes_e6: dict[int, int] = field(default_factory=dict)
    settled: frozenset[int] = frozenset()

    def token_e6(self, instrument: int, token: int) -> int:
        """What a token is worth."""
        return E6 - self.yes_e6[instrument] if token == 1 else self.yes_e6[instrument]

    def worth_e6(self, instrument: int, token: int, size_e6: int) -> int:
        """Of signed contracts, down to 1e-6."""
        return size_e6 * self.token_e6(instrument, token) // E6


Held = dict[tuple[int, int], int]  # (instrument, token) -> signed contracts in 1e-6


def held_of(run: Run) -> tuple[Held, Held]:
    """What was held at the start, and what all orders made of it; nothing of settled markets is
    taken away.
    """
    start: Held = {}
    for instrument, yes_e6, no_e6 in run.opened[0]["held"] if run.opened else ():
        market = run.markets.get(instrument)
        if market is None or market.nets:
            start[instrument, 0] = yes_e6 - no_e6
        else:
            start[instrument, 0], start[instrument, 1] = yes_e6, no_e6
    held = dict(start)
    for _, order in run.orders():
        size_e6 = order.booked().filled_e6
        if size_e6:
            place = order.instrument, order.placing.token
            held[place] = held.get(place, 0) + contracts_e6(order, size_e6)
    return start, held


def marks_of(run: Run, held: Held) -> Marks:
    """What everything is worth."""
    settled_e6 = settled_of(run)
    same = _alike(run)
    weight: dict[int, int] = {}
    for (instrument, token), size_e6 in held.items():
        if instrument not in settled_e6:
            root, polarity = same.get(instrument, (instrument, 1))
            weight[root] = weight.get(root, 0) + (size_e6 if token == 0 else -size_e6) * polarity
    yes_e6, chosen = {}, _winners(run, same, weight, settled_e6)
    for instrument in {*run.markets, *(instrument for instrument, _ in held)}:
        root, polarity = same.get(instrument, (instrument, 1))
        worst_e6 = chosen.get(root, 0 if weight.get(root, 0) > 0 else E6)
        yes_e6[instrument] = settled_e6.get(
            instrument, worst_e6 if polarity > 0 else E6 - worst_e6
        )
    return Marks(yes_e6, frozenset(settled_e6))


def settled_of(run: Run) -> dict[int, int]:
    """What YES of each settled market paid: as booked, else as its venue says."""
    found = dict(run.settled_e6)
    for market in run.markets.values():
        told = ((run.told or {}).get(market.venue) or {}).get("settled_e6", {})
        _, name = market.holding(0)
        if name in told:
            found.setdefault(market.instrument, told[name])
    return found


def _alike(run: Run) -> dict[int, tuple[int, int]]:
    """Markets that were legs of one pair: each one's root, and 1 if YES means the same there."""
    root: dict[int, tuple[int, int]] = {}
    for work in run.works.values():
        if len(work.orders) != 2:
            continue
        one, other = work.orders
        polarity = 1 if one.side != other.side else -1
        root_one, sign_one = root.setdefault(one.instrument, (one.instrument, 1))
        root_other, sign_other = root.setdefault(other.instrument, (other.instrument, 1))
        if root_one == root_other:
            continue
        turn = sign_one * sign_other * polarity
        for instrument, (of, sign) in list(root.items()):
            if of == root_other:
                root[instrument] = root_one, sign * turn
    return root


def _winners(
    run: Run, same: Mapping[int, tuple[int, int]], weight: Mapping[int, int],
    settled_e6: Mapping[int, int],
) -> dict[int, int]:  # fmt: skip
    """What YES of each outcome of the sets is worth, by root: the one whose winning is worst for
    what is held wins; none, if that is worse and no run of it was ever bought whole.
    """
    whole: dict[tuple[int, ...], bool] = {}
    for work in run.works.values():
        if len(work.orders) > 2:
            legs = tuple(order.instrument for order in work.orders)
            is_bought = all(order.side == BUY for order in work.orders)
            whole[legs] = whole.get(legs, False) or is_bought
    found: dict[int, int] = {}
    for legs, must_win in whole.items():
        roots = [same.get(leg, (leg, 1)) for leg in legs if leg not in settled_e6]
        if any(sign < 0 for _, sign in roots):
            continue  # beside another of which it is the opposite: each at its own worst
        is_won = any(settled_e6.get(leg) == E6 for leg in legs)
        is_won = is_won or any(found.get(root) == E6 for root, _ in roots)
        free = [root for root, _ in roots if root not in found]
        found |= dict.fromkeys(free, 0)
        if free and not is_won:
            worst = min(free, key=lambda root: weight.get(root, 0))
            if must_win or weight.get(worst, 0) < 0:
                found[worst] = E6
    return found
