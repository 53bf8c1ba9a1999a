"""All strategies on one market: what each says, one house view, the best of it, and its size.

Strategies that take a side must agree within one market, else Up and Down are bought together at a
sure loss: the side we hold, or else the side with the highest sum of edge × confidence, silences
the other. Of what is left the highest edge × confidence is taken, half-Kelly under its caps, no
more than the book shows to the last profitable level.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine.basket import B_FEE, B_LIMIT, basket, put_leg
from engine.edge import fee_terms
from engine.fees import fee_e6
from engine.memory import i64
from engine.risk import size_in
from engine.sizes import token_price
from engine.strategies.certainty import certainty, tier_cap_e6
from engine.strategies.convexity_fade import convexity_fade
from engine.strategies.cross_timeframe import cross_timeframe
from engine.strategies.distance_fade import distance_fade
from engine.strategies.extreme_buyer import extreme_buyer
from engine.strategies.judge import blocked, edge_at, taker_delay_e6, token_touch
from engine.strategies.latency import latency
from engine.strategies.misalignment import misalignment
from engine.strategies.model_edge import model_edge
from engine.strategies.momentum import momentum
from engine.strategies.settlement_sniper import settlement_sniper
from engine.strategies.table import (
    CERTAINTY,
    CONVEXITY_FADE,
    COUNT,
    CROSS_TIMEFRAME,
    DISTANCE_FADE,
    EXTREME_BUYER,
    G_COOLDOWN,
    G_FIRES,
    G_HOUSE_VIEW,
    G_LIMIT,
    G_OFF,
    G_ORDERS,
    G_SIZE,
    LATENCY,
    MISALIGNMENT,
    MOMENTUM,
    ROW_CELLS,
    S_CAP,
    S_COOLDOWN,
    S_EDGE_MIN,
    S_ON,
    S_ORDERS,
    S_TOTAL,
    SETTLEMENT_SNIPER,
)
from engine.strategies.view import Floats
from engine.wide import mul_div_floor
from shm_layout import BUY, E6, LAYOUT_HASH, ROUND_UP, SELL, Words

# `case`: what the caller knows of this moment
(
    C_OFF,  # dollars off each contract: hurdle, cost of capital; below 0: unknown, no trade
    C_RUN,  # run time, ns
    C_HELD,  # BUY if we hold YES here, SELL if NO, -1 nothing
    C_BANKROLL,  # dollars that the strategies' shares are of
    C_ROOM,  # dollars left under the market's cap
    C_CAP,  # contracts that all other limits leave
    C_WALK_BUDGET,  # budget orders may take more than the touch
    C_STAKED,  # dollars at stake here, orders under way with them, and of bets on the same asset
) = range(8)
CASE_CELLS = 8
# `seen`: what a strategy did in this market before
N_LAST, N_ORDERS = range(2)  # run time of its last order, orders
SEEN_CELLS = 2 * COUNT
# `out`: the choice, then a row for each strategy's answer
(
    X_STRATEGY,
    X_SIDE,
    X_FAIR,
    X_SIZE,
    X_LIMIT,
    X_FEE,
    X_EDGE,  # a contract, after fees and X_OFF
    X_PROFIT,  # of the whole at fair value, after fees
    X_CONFIDENCE,
    X_DELAY,  # what the taker delay takes off a contract; -1: unknown
    X_OFF,  # that and C_OFF; -1: unknown
) = range(11)
D_SIDE, D_FAIR, D_EDGE, D_CONFIDENCE, D_GATE = range(5)
ANSWERS, ANSWER_CELLS = 16, 8
OUT_CELLS = ANSWERS + ANSWER_CELLS * COUNT


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def ask(
    which: int, view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """One strategy's answer."""
    if params[at + S_ON] != 1:
        return blocked(G_OFF)
    if which == DISTANCE_FADE:
        return distance_fade(view, rows, quote, off_e6, params, at)
    if which == MOMENTUM:
        return momentum(view, rows, quote, off_e6, params, at)
    if which == SETTLEMENT_SNIPER:
        return settlement_sniper(view, rows, quote, off_e6, params, at)
    if which == LATENCY:
        return latency(view, rows, quote, off_e6, params, at)
    if which == CERTAINTY:
        return certainty(view, rows, quote, off_e6, params, at)
    if which == CONVEXITY_FADE:
        return convexity_fade(view, rows, quote, off_e6, params, at)
    if which == MISALIGNMENT:
        return misalignment(view, rows, quote, off_e6, params, at)
    if which == EXTREME_BUYER:
        return extreme_buyer(view, rows, quote, off_e6, params, at)
    if which == CROSS_TIMEFRAME:
        return cross_timeframe(view, rows, quote, off_e6, params, at)
    return model_edge(view, rows, quote, off_e6, params, at)


@njit(cache=True)
def answer_of(which: int) -> int:
    """First cell of a strategy's answer in `out`."""
    return ANSWERS + which * ANSWER_CELLS


@njit(cache=True, _nrt=False)
def weight(out: Words, which: int) -> int:
    """Edge × confidence of an answer that fires, in 1e-12: at most 10**12."""
    return out[answer_of(which) + D_EDGE] * out[answer_of(which) + D_CONFIDENCE]


@njit(cache=True, _nrt=False)
def waits(seen: Words, which: int, run_ns: int, params: Words, at: int) -> int:
    """The gate on a strategy's orders in this market that blocks now; G_FIRES: none."""
    orders = seen[2 * which + N_ORDERS]
    if orders >= params[at + S_ORDERS]:
        return G_ORDERS
    if orders > 0 and run_ns - seen[2 * which + N_LAST] < params[at + S_COOLDOWN]:
        return G_COOLDOWN
    return G_FIRES


@njit(cache=True, _nrt=False)
def ask_all(
    view: Floats, rows: Words, quote: int, case: Words, params: Words, seen: Words, out: Words
) -> int:
    """Every strategy's answer into `out`, cooldowns and counts applied. How many fire."""
    firing, off = 0, case[C_OFF]
    out[X_DELAY] = taker_delay_e6(view, rows[quote + c.Q_DELAY])
    out[X_OFF] = off + out[X_DELAY] if off >= 0 and out[X_DELAY] >= 0 else -1
    for which in range(COUNT):
        at, row = which * ROW_CELLS, answer_of(which)
        side, fair, edge, sure, gate = ask(which, view, rows, quote, out[X_OFF], params, at)
        if gate == G_FIRES:
            gate = waits(seen, which, case[C_RUN], params, at)
        out[row + D_SIDE] = side if gate == G_FIRES else -1
        out[row + D_FAIR], out[row + D_EDGE] = fair, edge
        out[row + D_CONFIDENCE], out[row + D_GATE] = sure, gate
        firing += gate == G_FIRES
    return firing


@njit(cache=True, _nrt=False)
def house_view(out: Words, held_side: int) -> int:
    """The side this market is traded on: the one we hold, or that of the higher sum of edge ×
    confidence; -1: none, or both sums are equal. The other side's strategies are silenced."""
    sums_buy, sums_sell = 0, 0
    for which in range(COUNT):
        if out[answer_of(which) + D_SIDE] == BUY:
            sums_buy += weight(out, which)
        elif out[answer_of(which) + D_SIDE] == SELL:
            sums_sell += weight(out, which)
    side = held_side
    if held_side < 0 and sums_buy != sums_sell:
        side = BUY if sums_buy > sums_sell else SELL
    for which in range(COUNT):
        row = answer_of(which)
        if out[row + D_SIDE] >= 0 and out[row + D_SIDE] != side:
            out[row + D_SIDE], out[row + D_GATE] = -1, G_HOUSE_VIEW
    return side


@njit(cache=True, _nrt=False)
def best_of(out: Words) -> int:
    """The strategy that fires with the highest edge × confidence, the first of equals; -1: none."""
    best, most = -1, 0
    for which in range(COUNT):
        if out[answer_of(which) + D_SIDE] >= 0 and weight(out, which) > most:
            best, most = which, weight(out, which)
    return best


@njit(cache=True)
def kelly_e6(edge_e6: int, price_e6: int, cap_e6: int) -> int:
    """Half-Kelly share, min(0.5·edge/(1 − price), cap), rounded down."""
    if edge_e6 <= 0 or not 0 < price_e6 < E6:
        return 0
    return min(edge_e6 * (E6 // 2) // (E6 - price_e6), cap_e6)


@njit(cache=True, _nrt=False)
def unit_cost(rows: Words, quote: int, side: int, limit: int) -> int:
    """Dollars a contract takes from a limit, fee included, rounded up."""
    rate, exponent, _, _ = fee_terms(rows, quote)
    charged = fee_e6(limit, i64(E6), rate, exponent, i64(1), i64(ROUND_UP))
    return token_price(limit, side) + charged


@njit(cache=True, _nrt=False)
def size_order(
    rows: Words,
    quote: int,
    side: int,
    fair: int,
    edge_min: int,
    off: int,
    most: int,
    walk_budget: int,
    dollars_e6: int,
    legs: Words,
) -> tuple[int, int, int]:
    """(size, edge a contract, profit at fair value) of `most` contracts that `dollars_e6` with its
    fee and the book allow; limit and fee stand in `legs`."""
    put_leg(legs, i64(0), quote, side)
    pays, spare = token_price(fair, side), 2 * fee_terms(rows, quote)[2] + 2
    cap = min(most, size_in(dollars_e6, token_touch(rows, quote, side), spare))
    found = basket(rows, legs, i64(1), pays, edge_min, off, cap, walk_budget)
    if found[0] == 0:
        return found
    paid = size_in(dollars_e6, unit_cost(rows, quote, side, legs[B_LIMIT]), spare)
    if paid >= found[0]:
        return found
    return basket(rows, legs, i64(1), pays, edge_min, off, paid, walk_budget)


@njit(cache=True, _nrt=False)
def dollars_for(
    which: int, view: Floats, touch: int, edge: int, case: Words, params: Words, spent: Words
) -> int:
    """Dollars of one order. Half-Kelly is of the position, and all bets on an asset are one: of
    bankroll and stake together, less what is at stake; then the strategy's cap on one order, its
    total, and the market's."""
    at = which * ROW_CELLS
    cap = tier_cap_e6(view, params, at) if which == CERTAINTY else params[at + S_CAP]
    whole = mul_div_floor(case[C_BANKROLL] + case[C_STAKED], kelly_e6(edge, touch, E6), i64(E6))
    order = min(whole - case[C_STAKED], mul_div_floor(case[C_BANKROLL], cap, i64(E6)))
    total = mul_div_floor(case[C_BANKROLL], params[at + S_TOTAL], i64(E6)) - spent[which]
    return max(min(min(order, total), case[C_ROOM]), 0)


@njit(cache=True, _nrt=False)
def size_bet(
    which: int,
    view: Floats,
    rows: Words,
    quote: int,
    out: Words,
    case: Words,
    dollars: int,
    params: Words,
    spent: Words,
    legs: Words,
) -> tuple[int, int, int]:
    """`size_order` of an answer in `out`, of which the worst price it takes deserves the whole;
    else the better of what that price deserves and of what the touch alone shows."""
    row, off, most = answer_of(which), out[X_OFF], case[C_CAP]
    side, fair, walks = out[row + D_SIDE], out[row + D_FAIR], case[C_WALK_BUDGET]
    edge_min, touch = params[which * ROW_CELLS + S_EDGE_MIN], token_touch(rows, quote, side)
    found = size_order(rows, quote, side, fair, edge_min, off, most, walks, dollars, legs)
    limit = token_price(legs[B_LIMIT], side)
    if found[0] == 0 or limit == touch:
        return found
    last = edge_at(rows, quote, limit, token_price(fair, side), off)
    deserved = dollars_for(which, view, limit, last, case, params, spent)
    if deserved >= dollars:
        return found
    shown = min(most, rows[quote + (c.Q_ASKS if side == BUY else c.Q_BIDS) + 1])
    near = size_order(rows, quote, side, fair, edge_min, off, shown, walks, dollars, legs)
    deep = size_order(rows, quote, side, fair, edge_min, off, most, walks, deserved, legs)
    if deep[0] > 0 and deep[2] >= near[2]:
        return deep
    return size_order(rows, quote, side, fair, edge_min, off, shown, walks, dollars, legs)


@njit(cache=True, _nrt=False)
def choose(
    view: Floats,
    rows: Words,
    quote: int,
    case: Words,
    params: Words,
    seen: Words,
    spent: Words,
    out: Words,
    legs: Words,
) -> int:
    """Decide one market: the strategy that trades now, -1: none.

    `params`: the rows of all strategies; `seen`: SEEN_CELLS of this market, `spent`: dollars of
    each strategy in all markets, both kept by `note_order` and the caller. `out` holds the choice
    (X_ cells) and every answer; `legs` is work. A strategy that no size fits says so in its answer,
    and the next best is tried.
    """
    for i in range(ANSWERS):
        out[i] = 0
    out[X_STRATEGY] = -1
    if ask_all(view, rows, quote, case, params, seen, out) == 0:
        return -1
    house_view(out, case[C_HELD])
    for _ in range(COUNT):
        which = best_of(out)
        if which < 0:
            return -1
        row = answer_of(which)
        side, fair, edge = out[row + D_SIDE], out[row + D_FAIR], out[row + D_EDGE]
        touch = token_touch(rows, quote, side)
        dollars = dollars_for(which, view, touch, edge, case, params, spent)
        size, left, profit = size_bet(
            which, view, rows, quote, out, case, dollars, params, spent, legs
        )
        if size > 0:
            out[X_STRATEGY], out[X_SIDE], out[X_FAIR], out[X_SIZE] = which, side, fair, size
            out[X_LIMIT], out[X_FEE], out[X_EDGE] = legs[B_LIMIT], legs[B_FEE], left
            out[X_PROFIT], out[X_CONFIDENCE] = profit, out[row + D_CONFIDENCE]
            return which
        out[row + D_SIDE] = -1
        out[row + D_GATE] = G_SIZE if dollars > 0 and case[C_CAP] > 0 else G_LIMIT
    return -1


@njit(cache=True, _nrt=False)
def note_order(seen: Words, spent: Words, which: int, run_ns: int, dollars_e6: int) -> None:
    """An order of this strategy went out in this market."""
    seen[2 * which + N_LAST] = run_ns
    seen[2 * which + N_ORDERS] += 1
    spent[which] += dollars_e6
