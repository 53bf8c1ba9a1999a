"""Trades of one spot product over the last 30 and 60 seconds: one ring in an int64 array, its sums
kept up with each trade that comes or leaves.

Velocity, net taker volume and the share of the dominant direction are over 30 s, the mean price
is over 60 s and weighted by volume (reference strategies). All sums are integers, and what a
trade added is what is taken off when it leaves, so nothing drifts however long it runs. Memory is
bounded: of more than TRADES_MAX trades in 60 s the oldest leave early, counted; the windows are
then shorter.

`flow` is any int64 array, `at` the first of FLOW_CELLS cells that belong to one product; all zeros
is an empty buffer. Stamps and `now_ns` are on one clock; a stamp ahead of `now_ns`, or behind the
trade before it, counts as that.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.wide import product, wide_add
from shm_layout import BUY, LAYOUT_HASH, SELL, Words

NEAR_NS = 30 * 10**9
FAR_NS = 60 * 10**9
SPAN_MIN_NS = 10**9  # two trades of one instant are no infinite velocity
TRADES_MAX = 8192  # a power of two: 130 trades a second for a minute
TRADE_CELLS = 4  # stamp, price_e8, size_e8, sign of the taker
PRICE_MAX_E8 = 10**18
SIZE_MAX_E8 = 10**15  # ten million coins: sums of TRADES_MAX of them fit one cell
_WHOLE = 10**18

(
    F_HEAD,  # trades ever taken in; the newest lies before it
    F_NEAR,  # the oldest within 30 s
    F_FAR,  # the oldest within 60 s
    F_UPS,  # changes of price between trades within 30 s, upward
    F_DOWNS,
    F_NET,  # taker bought minus taker sold within 30 s, 1e-8
    F_SIZE,  # traded within 60 s, 1e-8
    F_PAID,  # Σ price·size within 60 s in 1e-16 dollars, a wide number (hi, lo)
    F_PAID_LO,
    F_STAMP,  # of the newest trade
    F_TRADE,  # its id
    F_EARLY,  # trades that left before their time
    F_ODD,  # trades not taken in: a price or size that cannot be
) = range(13)
FLOW_HEAD = 16
FLOW_CELLS = FLOW_HEAD + TRADES_MAX * TRADE_CELLS


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def place(at: int, trade: int) -> int:
    """First cell of a trade by its number."""
    return at + FLOW_HEAD + (trade & (TRADES_MAX - 1)) * TRADE_CELLS


@njit(cache=True, _nrt=False)
def count_change(flow: Words, at: int, trade: int, by: int) -> None:
    """Count the change of price from a trade to the next one `by` times."""
    before, after = flow[place(at, trade) + 1], flow[place(at, trade + 1) + 1]
    if after > before:
        flow[at + F_UPS] += by
    elif after < before:
        flow[at + F_DOWNS] += by


@njit(cache=True, _nrt=False)
def leave_near(flow: Words, at: int) -> None:
    """The oldest trade within 30 s is that no more."""
    oldest = flow[at + F_NEAR]
    row = place(at, oldest)
    flow[at + F_NET] -= flow[row + 3] * flow[row + 2]
    if oldest + 1 < flow[at + F_HEAD]:
        count_change(flow, at, oldest, -1)
    flow[at + F_NEAR] = oldest + 1


@njit(cache=True, _nrt=False)
def leave_far(flow: Words, at: int) -> None:
    """The oldest trade within 60 s is that no more; its place is free."""
    row = place(at, flow[at + F_FAR])
    hi, lo = product(flow[row + 1], flow[row + 2])
    flow[at + F_SIZE] -= flow[row + 2]
    flow[at + F_PAID] -= hi
    flow[at + F_PAID_LO] -= lo
    if flow[at + F_PAID_LO] < 0:
        flow[at + F_PAID_LO] += _WHOLE
        flow[at + F_PAID] -= 1
    flow[at + F_FAR] += 1


@njit(cache=True, _nrt=False)
def expire(flow: Words, at: int, now_ns: int) -> None:
    """Let go of trades older than their windows: as much work as trades leave."""
    head = flow[at + F_HEAD]
    while flow[at + F_NEAR] < head and flow[place(at, flow[at + F_NEAR])] < now_ns - NEAR_NS:
        leave_near(flow, at)
    while flow[at + F_FAR] < head and flow[place(at, flow[at + F_FAR])] < now_ns - FAR_NS:
        leave_far(flow, at)


@njit(cache=True, _nrt=False)
def add_trade(
    flow: Words,
    at: int,
    trade_id: int,
    stamp_ns: int,
    price_e8: int,
    size_e8: int,
    taker_side: int,
    now_ns: int,
) -> bool:
    """Take in one spot entry. False: not a trade (its id is not newer: bid or ask changed), or one
    that cannot be. A side that is neither BUY nor SELL moves no net volume.
    """
    if trade_id <= flow[at + F_TRADE]:
        return False
    flow[at + F_TRADE] = trade_id
    if price_e8 < 1 or price_e8 > PRICE_MAX_E8 or size_e8 < 0 or size_e8 > SIZE_MAX_E8:
        flow[at + F_ODD] += 1
        return False
    expire(flow, at, now_ns)
    head = flow[at + F_HEAD]
    if head - flow[at + F_FAR] == TRADES_MAX:
        if flow[at + F_NEAR] == flow[at + F_FAR]:
            leave_near(flow, at)
        leave_far(flow, at)
        flow[at + F_EARLY] += 1
    stamp = max(min(stamp_ns, now_ns), flow[at + F_STAMP])
    sign = 1 if taker_side == BUY else -1 if taker_side == SELL else 0
    row = place(at, head)
    flow[row], flow[row + 1], flow[row + 2], flow[row + 3] = stamp, price_e8, size_e8, sign
    flow[at + F_HEAD] = head + 1
    flow[at + F_STAMP] = stamp
    flow[at + F_NET] += sign * size_e8
    flow[at + F_SIZE] += size_e8
    hi, lo = product(price_e8, size_e8)
    flow[at + F_PAID], flow[at + F_PAID_LO] = wide_add(
        flow[at + F_PAID], flow[at + F_PAID_LO], hi, lo
    )
    if head > flow[at + F_NEAR]:
        count_change(flow, at, head - 1, 1)
    return True


@njit(cache=True, _nrt=False)
def forget(flow: Words, at: int) -> None:
    """Empty the buffer: trades were missed (a gap, a lap, a new epoch). The counters stay."""
    early, odd = flow[at + F_EARLY], flow[at + F_ODD]
    for i in range(FLOW_HEAD):
        flow[at + i] = 0
    flow[at + F_EARLY], flow[at + F_ODD] = early, odd


@njit(cache=True, _nrt=False)
def trades_near(flow: Words, at: int) -> int:
    """Trades within 30 s, as of the last `expire`."""
    return flow[at + F_HEAD] - flow[at + F_NEAR]


@njit(cache=True, _nrt=False)
def velocity(flow: Words, at: int, strike_e8: int) -> float:
    """(newest − oldest price) / span / strike per second over 30 s; 0.0 without two trades."""
    if trades_near(flow, at) < 2 or strike_e8 < 1:
        return 0.0
    oldest = place(at, flow[at + F_NEAR])
    newest = place(at, flow[at + F_HEAD] - 1)
    span = max(flow[newest] - flow[oldest], SPAN_MIN_NS)
    return (flow[newest + 1] - flow[oldest + 1]) / strike_e8 / (span / 1e9)


@njit(cache=True, _nrt=False)
def dominant_share(flow: Words, at: int) -> float:
    """Share of the more frequent direction among changes of price within 30 s: 0.5 to 1; 0.0
    without any."""
    ups, downs = flow[at + F_UPS], flow[at + F_DOWNS]
    return max(ups, downs) / (ups + downs) if ups + downs > 0 else 0.0


@njit(cache=True, _nrt=False)
def mean_price(flow: Words, at: int) -> float:
    """Volume-weighted price of 60 s in dollars; 0.0 where nothing with a size was traded."""
    size = flow[at + F_SIZE]
    if size < 1:
        return 0.0
    return (flow[at + F_PAID] * 1e18 + flow[at + F_PAID_LO]) / size / 1e8
