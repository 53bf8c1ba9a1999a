"""The last gates every strategy shares: is there a price, what is left of the edge, is it enough.

A strategy names the side it wants and the probability that the token it would buy pays. One rule
serves both sides: a SELL in YES terms is buying NO at 1 − bid, so the mirrored market gets the
mirrored answer to the unit. The edge is per contract at the touch, after the taker fee of one
contract (rounded up) and `off_e6`; what an order of a size earns is `select.py`'s.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

import math

from numba import njit

from engine import cells as c
from engine.delay import ALONE, delay_cost_e6
from engine.edge import fee_terms
from engine.fair import CAP, capped
from engine.fees import raw_fee_of_one
from engine.memory import i64
from engine.sizes import token_price
from engine.strategies.table import (
    FAIR_OURS,
    G_CONFIDENCE,
    G_DELAY,
    G_EDGE,
    G_FIRES,
    G_NO_QUOTE,
    G_UNKNOWN,
    S_CONFIDENCE_MIN,
    S_EDGE_MIN,
    S_FAIR,
)
from engine.strategies.view import (
    V_FAIR,
    V_MIDDLE,
    V_SECONDS,
    V_SHARE,
    V_Z,
    Floats,
    with_market,
)
from shm_layout import BUY, E6, LAYOUT_HASH, NO_BID_E6, SELL, Words

CAP_SLACK = 1e-9  # 1 − (1 − CAP) is not CAP to the last bit


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def blocked(gate: int) -> tuple[int, int, int, int, int]:
    """No side, and why."""
    return -1, 0, NO_BID_E6, 0, gate


@njit(cache=True)
def side_of(signed: float) -> int:
    """The side that gains where distance, z or the like is positive (BUY) or negative."""
    return BUY if signed > 0.0 else SELL


@njit(cache=True)
def token_of(side: int, yes: float) -> float:
    """Probability of the token that a side buys."""
    return yes if side == BUY else 1.0 - yes


@njit(cache=True, _nrt=False)
def is_ours(params: Words, at: int) -> bool:
    """Our model's probability counts, not the strategy's own figure."""
    return params[at + S_FAIR] == FAIR_OURS


@njit(cache=True, _nrt=False)
def chance_of(view: Floats, params: Words, at: int, side: int, theirs: float) -> float:
    """Chance of the token that a side buys: our model's, or the strategy's own figure. The market's
    middle has the same share in both: who shows nothing beside it gets no more weight by a cruder
    formula."""
    if is_ours(params, at):
        return token_of(side, view[V_FAIR])
    return with_market(capped(theirs, CAP), view[V_SHARE], token_of(side, view[V_MIDDLE]))


@njit(cache=True, _nrt=False)
def token_touch(rows: Words, quote: int, side: int) -> int:
    """Price of the token a side buys, at the touch; -1 without one."""
    at = quote + (c.Q_ASKS if side == BUY else c.Q_BIDS)
    price = token_price(rows[at], side)
    return price if 0 < price < E6 and rows[at + 1] > 0 else -1


@njit(cache=True)
def floor_e6(share: float) -> int:
    """A probability or confidence in 1e-6, rounded down; -1 if it is none."""
    return math.floor(share * E6) if 0.0 <= share <= 1.0 else -1


@njit(cache=True)
def worth_e6(token: float) -> int:
    """What a token with this chance is worth to its buyer, in 1e-6, rounded down; -1 if that is no
    chance. At the cap of our chances nothing: they end there, the truth need not.
    """
    return i64(0) if 0.0 <= token < CAP + CAP_SLACK else floor_e6(token)


@njit(cache=True, _nrt=False)
def edge_of(rows: Words, quote: int, side: int, worth_e6: int, off_e6: int) -> int:
    """What a contract leaves at the touch if its token is worth `worth_e6`; NO_BID_E6 without a
    price."""
    price = token_touch(rows, quote, side)
    return NO_BID_E6 if price < 0 else edge_at(rows, quote, price, worth_e6, off_e6)


@njit(cache=True, _nrt=False)
def edge_at(rows: Words, quote: int, price: int, worth_e6: int, off_e6: int) -> int:
    """The same at any price of the token."""
    rate, exponent, _, _ = fee_terms(rows, quote)
    hi, lo = raw_fee_of_one(price, rate, exponent)
    return worth_e6 - price - hi - (1 if lo > 0 else 0) - off_e6


@njit(cache=True, _nrt=False)
def taker_delay_e6(view: Floats, delay_ns: int) -> int:
    """What a contract loses because the venue holds takers back (engine/delay.py), rounded up; -1:
    unknown. The view's seconds count the whole move of spot, also inside an averaging window, where
    less of it counts: against us.
    """
    if delay_ns <= 0:
        return i64(0)
    seconds = view[V_SECONDS]
    if not seconds > 0.0:
        return i64(-1)
    return delay_cost_e6(view[V_Z], math.sqrt(delay_ns / 1e9 / seconds), ALONE)


@njit(cache=True, _nrt=False)
def judge(
    rows: Words,
    quote: int,
    side: int,
    token: float,
    confidence: float,
    off_e6: int,
    params: Words,
    at: int,
) -> tuple[int, int, int, int, int]:
    """The answer of a strategy whose own gates passed."""
    worth, sure = worth_e6(token), floor_e6(confidence)
    if worth < 0 or sure < 0:
        return blocked(G_UNKNOWN)
    if off_e6 < 0:
        return blocked(G_DELAY)
    edge = edge_of(rows, quote, side, worth, off_e6)
    fair = worth if side == BUY else E6 - worth
    if edge == NO_BID_E6:
        return -1, fair, edge, sure, G_NO_QUOTE
    if edge < params[at + S_EDGE_MIN] or edge <= 0:
        return -1, fair, edge, sure, G_EDGE
    if sure < params[at + S_CONFIDENCE_MIN]:
        return -1, fair, edge, sure, G_CONFIDENCE
    return side, fair, edge, sure, G_FIRES


@njit(cache=True, _nrt=False)
def judge_both(
    rows: Words, quote: int, yes: float, confidence: float, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """The better of both sides at one probability of YES; at most one can pay."""
    buy = judge(rows, quote, BUY, yes, confidence, off_e6, params, at)
    sell = judge(rows, quote, SELL, 1.0 - yes, confidence, off_e6, params, at)
    return buy if buy[2] >= sell[2] else sell
