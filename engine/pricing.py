"""Fair value of one market in the detector: the model's slow terms and the newest price.

Everything read came from ring entries (engine/market.py keeps them) or stands in the step, so the
same steps give the same fair values, live and in replay. Each kept figure is a float in `out`, by
the names below; what is not known is NaN, and NaN never becomes a price. Money is rounded against
us by who asks: `fair_e6` of engine/fair.py, or the strategies' judge.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from math import isnan, nan, sqrt

import numpy as np
import numpy.typing as npt
from numba import njit

from engine import cells as c
from engine import memory as m
from engine.fair import CAP, average_error, average_terms, capped, fair_yes, widening
from engine.fair_rules import AT_MOST, BELOW, BETWEEN, EXACT, MEAN, POINT, TWAP
from shm_layout import BODY, FEEDS_MAX, INSTRUMENTS_MAX, LAYOUT_HASH, PRODUCTS_MAX, Words

Floats = npt.NDArray[np.float64]
SPOT_MAX_NS = 3_000_000_000  # an older price says nothing of now; an index ticks once a second
# what leads an index may be off it by so many of its errors and standard deviations since
STRAY_ERRORS, STRAY_SIGMAS = 3.0, 4.0
(
    O_SPOT,  # dollars of the index: the newest price, moved by the basis
    O_STRIKE,  # NaN where YES does not ask for more than it
    O_MEAN,  # the settling value as expected now
    O_VARIANCE,  # of its logarithm in σ², seconds
    O_LEFT,  # seconds from now to the close
    O_LENGTH,  # of the window, seconds
    O_SIGMA,  # per √second
    O_FAIR,  # chance of YES, widened and capped
    O_ERROR,  # share of it that the settling value may be off whatever the price does
) = range(9)
OUT_CELLS = 9


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def is_price_usable(mem: Words, slot: int) -> bool:
    """The newest price of a slot of the block `spot` may be priced with: trusted, its feed alive
    and of the epoch that wrote it, and not old."""
    if slot < 0 or slot >= PRODUCTS_MAX:
        return False
    at = m.SPOT_AT + slot * m.SPOT_CELLS
    feed = mem[at + m.SP_FEED]
    if mem[at + m.SP_VALUE] <= 0 or mem[at + m.SP_TRUST] != 0 or not 0 <= feed < FEEDS_MAX:
        return False
    if mem[m.META + m.M_ALIVE] >> feed & 1 == 0:
        return False
    if mem[at + m.SP_EPOCH] != mem[m.FEED_EPOCH + feed]:
        return False
    return mem[m.META + m.M_NOW] - mem[at + m.SP_RECV] <= SPOT_MAX_NS


@njit(cache=True, _nrt=False)
def are_terms_usable(mem: Words, instrument: int) -> bool:
    """The model has spoken of this very market, of late, and knows its strike."""
    terms, row = m.MARKET_AT + instrument * BODY, m.INSTRUMENT_AT + instrument * BODY
    if mem[terms + c.MT_NUMBER] <= 0 or mem[row + c.I_LIVE] != 1:
        return False
    if mem[terms + c.MT_GENERATION] != mem[row + c.I_GENERATION]:
        return False
    return mem[terms + c.MT_VALID] >= mem[m.META + m.M_NOW] and mem[terms + c.MT_STRIKE] > 0


@njit(cache=True, _nrt=False)
def price_market(mem: Words, instrument: int, out: Floats) -> bool:
    """Fill `out` for a market. False: no fair value now, and every cell is NaN. A price that its
    row does not name (another exchange that leads the composite) is none here: the last gate takes
    no bet on it.
    """
    for i in range(OUT_CELLS):
        out[i] = nan
    if instrument < 0 or instrument >= INSTRUMENTS_MAX or not are_terms_usable(mem, instrument):
        return False
    terms, row = m.MARKET_AT + instrument * BODY, m.INSTRUMENT_AT + instrument * BODY
    slot, rule = mem[terms + c.MT_SPOT_SLOT], mem[row + c.I_RULE]
    close = mem[terms + c.MT_CLOSE]
    if slot != mem[row + c.I_INDEX_SLOT] and slot != mem[row + c.I_SPOT_SLOT]:
        return False
    if not is_price_usable(mem, slot) or mem[m.META + m.M_RUN] >= close:
        return False
    at = m.SPOT_AT + slot * m.SPOT_CELLS
    value, stamp, cap = mem[at + m.SP_VALUE], mem[at + m.SP_EVENT], mem[row + c.I_CAP]
    if slot != mem[row + c.I_INDEX_SLOT] and strays(mem, terms, mem[row + c.I_INDEX_SLOT], at):
        return False
    if not value_market(mem, terms, rule, cap, value, stamp, out):
        return False
    out[O_LEFT] = (close - mem[m.META + m.M_RUN]) / 1e9
    out[O_LENGTH] = (close - mem[row + c.I_OPEN]) / 1e9
    return not isnan(out[O_FAIR])


@njit(cache=True, _nrt=False)
def strays(mem: Words, terms: int, index: int, lead: int) -> bool:
    """Whether the price that leads (cells `lead`) is further from the newest tick of its index than
    what it was off till now and the coin's own move since explain: one exchange alone was swept.
    An index that is not heard says nothing; then the model holds the exchanges against each other.
    """
    if not is_price_usable(mem, index):
        return False
    told = m.SPOT_AT + index * m.SPOT_CELLS
    price, tick = mem[lead + m.SP_VALUE] + mem[terms + c.MT_BASIS], mem[told + m.SP_VALUE]
    seconds = 1.0 + max(mem[lead + m.SP_EVENT] - mem[told + m.SP_EVENT], 0) / 1e9
    usual = STRAY_ERRORS * mem[terms + c.MT_BASIS_SD] / tick
    usual += STRAY_SIGMAS * mem[terms + c.MT_SIGMA] / 1e12 * sqrt(seconds)
    return abs(price - tick) / tick > usual


@njit(cache=True, _nrt=False)
def value_market(
    rows: Words, terms: int, rule: int, cap_e8: int, price_e8: int, stamp: int, out: Floats
) -> bool:
    """Fill `out` but for its times from a price of that `stamp` (run time): what the slow terms at
    cell `terms` of `rows` make of it under this rule. False: nothing, and `out` is as it was.
    """
    kind, compare, digits, n = rule & 15, rule >> 4 & 15, rule >> 8 & 255, rule >> 16
    spot = (price_e8 + rows[terms + c.MT_BASIS]) / 1e8
    sigma, strike = rows[terms + c.MT_SIGMA] / 1e12, rows[terms + c.MT_STRIKE] / 1e8
    seconds = (rows[terms + c.MT_CLOSE] - stamp) / 1e9
    known_sum, known_count = rows[terms + c.MT_SUM] / 1e8, rows[terms + c.MT_COUNT]
    hole_s = max((stamp - rows[terms + c.MT_SUMMED]) / 1e9, 1.0)
    half_tick = 0.0 if digits == EXACT else 0.5 * 10.0 ** (-digits)
    if spot <= 0 or sigma <= 0 or seconds <= 0:
        return False
    mean, variance, error = spot, seconds, rows[terms + c.MT_BASIS_SD] / 1e8 / spot
    off = error
    if kind in (MEAN, TWAP) and n > 0:
        last_s = seconds - 1.0 if kind == MEAN else seconds
        mean, deviation = average_terms(spot, sigma, last_s, known_sum, known_count, n, hole_s)
        variance = (deviation / (spot * sigma)) ** 2
        off = average_error(kind, spot, mean, error, n, known_count) / spot
    elif kind != POINT:
        return False
    out[O_FAIR] = fair_yes(
        kind, compare, half_tick, n, spot, sigma, seconds, strike, cap_e8 / 1e8,
        known_sum, known_count, hole_s, 0, error, widening(seconds), CAP,
    )  # fmt: skip
    if rows[terms + c.MT_SLOPE] != 0:  # engine/tilt.py
        tilted = out[O_FAIR] * rows[terms + c.MT_SLOPE] + rows[terms + c.MT_LIFT]
        out[O_FAIR] = capped(tilted / 1e6, CAP)
    if compare in (BELOW, AT_MOST, BETWEEN):
        strike = nan  # to be far above it is not what YES asks: who looks at distance sees none
    out[O_SPOT], out[O_STRIKE], out[O_MEAN], out[O_VARIANCE] = spot, strike, mean, variance
    out[O_SIGMA], out[O_ERROR] = sigma, off
    return True
