"""Markets of one venue whose outcomes depend on each other, so that a basket of them pays for sure.

| way | legs | pays at least | needs |
|---|---|---|---|
| ALL_YES | YES of every outcome | $1 | the set is complete: one of them must win |
| ALL_NO | NO of each of n outcomes | n − 1 dollars | at most one of them can win |
| IMPLIES | YES of what follows, NO of what it follows from | $1 | a registry that says so |
| LADDER | YES above the lower strike, NO above the higher | $1 | one close, lower < higher strike |

The two tickers of a game are a set of two. A neg-risk set that is augmented (outcomes, or what
"Other" means, may change later) is never complete, and its placeholder outcomes are no legs at all.
YES against NO of one market is one book seen twice: refused. So is a set of more outcomes than an
intent has legs. Pure; the caller has checked trust, epoch, heartbeat and approval of every leg.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine.basket import B_QUOTE, B_SIDE, LEG_CELLS
from engine.memory import i64
from shm_layout import BUY, E6, LAYOUT_HASH, LEGS_MAX, SELL, Words

ALL_YES, ALL_NO, IMPLIES, LADDER = range(4)  # ways; the legs of the last two: weaker, stronger
EXCLUSIVE, EXHAUSTIVE, AUGMENTED, PLACEHOLDER = 1, 2, 4, 8  # what the registry says of a set
REFUSALS = (
    "none", "nothing", "legs", "same_market", "not_exclusive", "not_complete", "augmented",
    "placeholder", "strikes", "closes",
)  # fmt: skip
(
    R_NONE, R_NOTHING, R_LEGS, R_SAME_MARKET, R_NOT_EXCLUSIVE, R_NOT_COMPLETE, R_AUGMENTED,
    R_PLACEHOLDER, R_STRIKES, R_CLOSES,
) = range(len(REFUSALS))  # fmt: skip


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def order_refusal(rows: Words, weaker: int, stronger: int, way: int) -> int:
    """Why one leg does not follow from the other; R_NONE: it does."""
    if way == IMPLIES:
        return R_NONE
    if rows[weaker + c.Q_CLOSE] != rows[stronger + c.Q_CLOSE] or rows[weaker + c.Q_CLOSE] <= 0:
        return R_CLOSES
    return R_NONE if 0 < rows[weaker + c.Q_STRIKE] < rows[stronger + c.Q_STRIKE] else R_STRIKES


@njit(cache=True, _nrt=False)
def is_in_order(rows: Words, legs: Words) -> bool:
    """Whether the strikes that the venue itself tells do not say otherwise: the first leg must
    follow from the second. Either may be untold."""
    weaker = rows[legs[B_QUOTE] + c.Q_STRIKE]
    stronger = rows[legs[LEG_CELLS + B_QUOTE] + c.Q_STRIKE]
    return weaker <= 0 or stronger <= 0 or weaker <= stronger


@njit(cache=True)
def refusal_of(rows: Words, legs: Words, count: int, way: int, told: int) -> int:
    """Why these quotes (B_QUOTE of each leg) are no sure basket; R_NONE: they are one."""
    if not 2 <= count <= LEGS_MAX or (way >= IMPLIES and count != 2):
        return R_LEGS
    for i in range(count):
        for j in range(i):
            a, b = legs[i * LEG_CELLS + B_QUOTE], legs[j * LEG_CELLS + B_QUOTE]
            if a == b or rows[a + c.Q_INSTRUMENT] == rows[b + c.Q_INSTRUMENT]:
                return R_SAME_MARKET
    if told & PLACEHOLDER:
        return R_PLACEHOLDER
    if way == ALL_YES:
        if told & AUGMENTED:
            return R_AUGMENTED
        return R_NONE if told & EXHAUSTIVE else R_NOT_COMPLETE
    if way == ALL_NO:
        return R_NONE if told & EXCLUSIVE else R_NOT_EXCLUSIVE
    return order_refusal(rows, legs[B_QUOTE], legs[LEG_CELLS + B_QUOTE], way)


@njit(cache=True)
def lay(legs: Words, count: int, same: int, direction: int) -> int:
    """Set the side of each leg of a row's direction; what a contract of each pays at least.
    Direction 0 buys YES of leg 0, 1 sells it; `same`: of two legs the other is sold for it and
    bought for it, else every leg has one side: YES of all (one wins), or NO (one wins at most).
    """
    side = i64(BUY) if direction == 0 else i64(SELL)
    for leg in range(count):
        legs[leg * LEG_CELLS + B_SIDE] = side
    if same:
        legs[LEG_CELLS + B_SIDE] = BUY + SELL - side
    return E6 if same or direction == 0 else (count - 1) * E6
