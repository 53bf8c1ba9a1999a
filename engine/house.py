"""All strategies on one market, from what the detector knows: its fair value, the trades of the
last minute, what we hold, what each strategy has done there before.

Everything read came from ring entries or stands in the step, so live and replay choose alike.
Nothing is chosen without a fair value (price and terms trusted and fresh); trades that may have
gaps are forgotten, and what is not known is NaN, which passes no gate. Floats lie bit-cast in the
same private memory and are written anew for each choice.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

import numpy as np
from numba import njit

from engine import cells as c
from engine import memory as m
from engine.basket import BASKET_CELLS
from engine.flow import F_TRADE, FLOW_CELLS, add_trade, forget
from engine.pricing import (
    O_ERROR,
    O_FAIR,
    O_LEFT,
    O_LENGTH,
    O_MEAN,
    O_SIGMA,
    O_SPOT,
    O_STRIKE,
    O_VARIANCE,
    OUT_CELLS,
    is_price_usable,
    price_market,
)
from engine.risk import cash_room
from engine.stakes import at_stake, house_of, stake
from engine.strategies import select as s
from engine.strategies.cross_timeframe import fit, implied_sigma
from engine.strategies.table import (
    COUNT,
    CROSS_TIMEFRAME,
    G_UNKNOWN,
    GATE_BITS,
    ROW_CELLS,
    S_EDGE_MIN,
    S_ON,
)
from engine.strategies.view import (
    TRIGGER_MODEL,
    TRIGGER_QUOTE,
    TRIGGER_SPOT,
    V_MIDDLE,
    V_MOVED,
    V_SECONDS,
    V_SHARE,
    V_SIGMA,
    V_SIGMA_FITTED,
    V_SIGMA_IMPLIED,
    V_TRIGGER,
    V_Z,
    VIEW_CELLS,
    Floats,
    is_by,
    middle_of,
    show_flow,
    show_market,
    spread,
    with_market,
)
from shm_layout import (
    BODY,
    BUY,
    E6,
    LAYOUT_HASH,
    MAIN,
    NO_ASK_E6,
    PRODUCTS_MAX,
    REFUSAL,
    SELL,
    TALLY,
    Words,
    cell,
    store_relaxed,
    word_add,
)

SWITCH_WALK_BUDGET = 1  # PARAMETERS.switches
NO_PRICE = -1  # of a touch: none was seen at this price of the coin
WINDOWS_MAX = 8  # windows of one asset that are compared
IMPLIED_NS = 2_000_000_000  # what a market implied longer ago says nothing of now
# work, cell by cell: price, view, two rows of floats for the windows, case, parameters that hold
PRICE_AT = m.WORK_AT
VIEW_AT = PRICE_AT + OUT_CELLS
SECONDS_AT = VIEW_AT + VIEW_CELLS
SIGMAS_AT = SECONDS_AT + WINDOWS_MAX
CASE_AT = SIGMAS_AT + WINDOWS_MAX
PARAMS_AT = CASE_AT + s.CASE_CELLS
PARAMS_CELLS = COUNT * ROW_CELLS
assert PARAMS_AT + PARAMS_CELLS <= m.WORK_AT + m.WORK_CELLS

TALLIES_AT, TALLY_CELLS = MAIN.at["tallies"], MAIN.blocks["tallies"].cells_each
T_GATES, T_ORDERS, T_SPENT, T_EXPECTED = (
    cell(TALLY, name) for name in ("gates", "orders", "spent_e6", "expected_e6")
)
REFUSALS_AT, REFUSAL_CELLS = MAIN.at["refusals"], MAIN.blocks["refusals"].cells_each
R_GATES, R_AT = cell(REFUSAL, "gates"), cell(REFUSAL, "at_ns")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def floats(mem: Words, at: int, count: int) -> Floats:
    """Cells of private memory as floats."""
    return mem[at : at + count].view(np.float64)


@njit(cache=True)
def keep_trade(mem: Words, row: Words, is_whole: bool) -> None:
    """Take in the trade that a spot entry tells of. `is_whole` false: trades may have been missed
    before it (an untrusted entry, a feed that began anew), so that nothing known before holds; nor
    does it where a number was left out.
    """
    flow = m.FLOW_AT + row[c.X_PRODUCT] * FLOW_CELLS
    if not is_whole or row[c.X_TRUST] != 0 or row[c.X_EVENT] <= 0:
        forget(mem, flow)
        mem[flow + F_TRADE] = row[c.X_TRADE]
        return
    if 0 < mem[flow + F_TRADE] < row[c.X_TRADE] - 1:  # numbers grow by one
        forget(mem, flow)
    stamp = row[c.X_EVENT]
    add_trade(
        mem, flow, row[c.X_TRADE], stamp, row[c.X_LAST], row[c.X_SIZE], row[c.X_TAKER], stamp
    )


@njit(cache=True)
def forget_trades(mem: Words, ring: int) -> None:
    """Entries of a feed's ring were lost: so may be trades of every product that it writes."""
    for product in range(PRODUCTS_MAX):
        spot = m.SPOT_AT + product * m.SPOT_CELLS
        if mem[spot + m.SP_VALUE] != 0 and mem[spot + m.SP_FEED] == ring:
            forget(mem, m.FLOW_AT + product * FLOW_CELLS)


@njit(cache=True)
def trigger_of(mem: Words, instrument: int) -> int:
    """What is new since this market was last decided: bits of TRIGGER_*."""
    house, terms = house_of(instrument), m.MARKET_AT + instrument * BODY
    slot = mem[terms + c.MT_SPOT_SLOT]
    spot = mem[m.SPOT_AT + slot * m.SPOT_CELLS + m.SP_NUMBER]
    quote, told = mem[m.QUOTE_AT + instrument * BODY + c.Q_NUMBER], mem[terms + c.MT_NUMBER]
    found = 0
    if mem[house + m.H_QUOTE] != quote:
        found |= TRIGGER_QUOTE
    if mem[house + m.H_SLOT] != slot:  # another price's word is no move of it
        mem[house + m.H_BID] = mem[house + m.H_ASK] = NO_PRICE
    elif mem[house + m.H_SPOT] != spot:
        found |= TRIGGER_SPOT
    if mem[house + m.H_TERMS] != told:
        found |= TRIGGER_MODEL
    mem[house + m.H_QUOTE], mem[house + m.H_TERMS] = quote, told
    mem[house + m.H_SLOT], mem[house + m.H_SPOT] = slot, spot
    return found


@njit(cache=True)
def moved_since_priced(mem: Words, instrument: int, chance: float) -> float:
    """What our chance of YES has moved by since we saw the touch change its price, or the model
    took another price of the coin; nothing if that is now. Sizes may change: a maker who only
    counts anew stands by its price."""
    house, quote = house_of(instrument), m.QUOTE_AT + instrument * BODY
    bid, ask = mem[quote + c.Q_BIDS], mem[quote + c.Q_ASKS]
    if mem[house + m.H_BID] != bid or mem[house + m.H_ASK] != ask:
        mem[house + m.H_BID], mem[house + m.H_ASK] = bid, ask
        mem[house + m.H_PRICED] = int(chance * 1e12)
    return chance - mem[house + m.H_PRICED] * 1e-12


@njit(cache=True)
def show(mem: Words, instrument: int) -> bool:
    """Fill the view of a market. False: it has no fair value now."""
    price, view = floats(mem, PRICE_AT, OUT_CELLS), floats(mem, VIEW_AT, VIEW_CELLS)
    if not price_market(mem, instrument, price):
        return False
    terms, quote = m.MARKET_AT + instrument * BODY, m.QUOTE_AT + instrument * BODY
    middle = middle_of(mem[quote + c.Q_BIDS], mem[quote + c.Q_ASKS])
    share = mem[terms + c.MT_MARKET] / E6
    show_market(
        view,
        price[O_SPOT],
        price[O_STRIKE],
        price[O_MEAN],
        price[O_VARIANCE],
        price[O_LEFT],
        price[O_LENGTH],
        price[O_SIGMA],
        price[O_ERROR],
        with_market(price[O_FAIR], share, middle),
        trigger_of(mem, instrument),
    )
    view[V_MIDDLE], view[V_SHARE] = middle, share
    view[V_MOVED] = moved_since_priced(mem, instrument, price[O_FAIR])
    slot = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_SPOT_SLOT]
    if is_price_usable(mem, slot):
        strike, level = mem[terms + c.MT_STRIKE], 0
        if mem[terms + c.MT_SPOT_SLOT] == slot:  # the basis told is of this product
            level = strike - mem[terms + c.MT_BASIS]
        flow = m.FLOW_AT + slot * FLOW_CELLS
        show_flow(view, mem, flow, mem[m.META + m.M_RUN], strike, level)
    return True


@njit(cache=True)
def imply(mem: Words, instrument: int) -> None:
    """Note what the market's own middle implies for σ; 0: nothing."""
    view, house = floats(mem, VIEW_AT, VIEW_CELLS), house_of(instrument)
    quote = m.QUOTE_AT + instrument * BODY
    bid, ask = mem[quote + c.Q_BIDS], mem[quote + c.Q_ASKS]
    sigma = math.nan
    if 0 < bid < ask < NO_ASK_E6:
        off = view[V_Z] * spread(view, view[V_SIGMA])
        sigma = implied_sigma((bid + ask) / (2.0 * E6), off, view[V_SECONDS])
    is_known = 1e-9 < sigma < 1.0 and 1e-3 < view[V_SECONDS] < 1e9
    mem[house + m.H_IMPLIED] = int(sigma * 1e12) if is_known else 0
    mem[house + m.H_SECONDS] = int(view[V_SECONDS] * 1e9) if is_known else 0
    mem[house + m.H_IMPLIED_AT] = mem[m.META + m.M_NOW]


@njit(cache=True)
def compare_windows(mem: Words, pair: int, instrument: int) -> None:
    """Show what this market implies for σ, and, if among the windows of its asset at its venue it
    is the one that is off their common line, what the line says."""
    view, house = floats(mem, VIEW_AT, VIEW_CELLS), house_of(instrument)
    imply(mem, instrument)
    if mem[house + m.H_IMPLIED] == 0:
        return
    view[V_SIGMA_IMPLIED] = mem[house + m.H_IMPLIED] * 1e-12
    seconds, sigmas = floats(mem, SECONDS_AT, WINDOWS_MAX), floats(mem, SIGMAS_AT, WINDOWS_MAX)
    venue = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_VENUE]
    count, own = 0, -1
    link = mem[m.SPOT_HEAD + mem[m.MARKET_AT + instrument * BODY + c.MT_SPOT_SLOT]]
    while link and count < WINDOWS_MAX:
        other = mem[m.PAIR_AT + (link - 1) // m.LINKS * BODY + c.P_A]
        link = mem[m.NEXT + link - 1]
        at = house_of(other)
        is_new = mem[m.META + m.M_NOW] - mem[at + m.H_IMPLIED_AT] <= IMPLIED_NS
        if mem[at + m.H_IMPLIED] == 0 or not is_new:
            continue
        if mem[m.INSTRUMENT_AT + other * BODY + c.I_VENUE] != venue:
            continue
        if other == instrument:
            own = count
        seconds[count], sigmas[count] = (
            mem[at + m.H_SECONDS] * 1e-9,
            mem[at + m.H_IMPLIED] * 1e-12,
        )
        count += 1
    worst, fitted, _ = fit(seconds[:count], sigmas[:count])
    if own >= 0 and worst == own:
        view[V_SIGMA_FITTED] = fitted


@njit(cache=True)
def held_side(mem: Words, instrument: int) -> int:
    """BUY if YES is held here, SELL if NO, -1 nothing."""
    held = mem[m.POSITION_AT + instrument * m.POSITION_CELLS + m.PO_POSITION]
    return BUY if held > 0 else SELL if held < 0 else -1


@njit(cache=True)
def hold_parameters(mem: Words, edge_min_e6: int) -> Words:
    """The strategies' parameters, each edge raised to the least that is asked of any."""
    params = mem[PARAMS_AT : PARAMS_AT + PARAMS_CELLS]
    for i in range(PARAMS_CELLS):
        params[i] = mem[m.STRATEGIES_AT + i]
    for which in range(COUNT):
        least = which * ROW_CELLS + S_EDGE_MIN
        params[least] = max(params[least], edge_min_e6)
    return params


@njit(cache=True)
def choose_bet(
    mem: Words, pair: int, off_e6: int, edge_min_e6: int, cap_e6: int, out: Words
) -> int:
    """The number of the strategy that trades in the one market of this row now, -1: none; the
    choice and every answer stand in `out` (cells of engine/strategies/select.py). `off_e6` comes
    off each contract beside fees and taker delay, at least `edge_min_e6` must be left of it;
    `cap_e6`: contracts at most. The caller has
    checked trust, epoch, heartbeat and approval.
    """
    instrument = mem[m.PAIR_AT + pair * BODY + c.P_A]
    for i in range(s.OUT_CELLS):
        out[i] = 0
    out[s.X_STRATEGY] = -1
    if not show(mem, instrument):
        for which in range(COUNT):
            row = s.answer_of(which)
            out[row + s.D_SIDE], out[row + s.D_GATE] = -1, G_UNKNOWN
        return -1
    mem[m.COUNTS + m.C_FAIRS] += 1
    view = floats(mem, VIEW_AT, VIEW_CELLS)
    is_on = mem[m.STRATEGIES_AT + CROSS_TIMEFRAME * ROW_CELLS + S_ON] == 1
    if is_on and is_by(view[V_TRIGGER], TRIGGER_MODEL):
        compare_windows(mem, pair, instrument)
    at = m.POSITION_AT + instrument * m.POSITION_CELLS
    case = mem[CASE_AT : CASE_AT + s.CASE_CELLS]
    case[s.C_OFF], case[s.C_RUN] = off_e6, mem[m.META + m.M_RUN]
    case[s.C_HELD], case[s.C_CAP] = held_side(mem, instrument), cap_e6
    case[s.C_BANKROLL] = max(cash_room(mem, instrument), 0)
    case[s.C_STAKED] = at_stake(mem, instrument)
    case[s.C_ROOM] = max(min(mem[c.A_MARKET] - mem[at + m.PO_EXPOSURE], mem[c.A_ORDER]), 0)
    case[s.C_WALK_BUDGET] = mem[c.A_SWITCHES] & SWITCH_WALK_BUDGET
    house = house_of(instrument) + m.H_SEEN
    return s.choose(
        view,
        mem,
        m.QUOTE_AT + instrument * BODY,
        case,
        hold_parameters(mem, edge_min_e6),
        mem[house : house + s.SEEN_CELLS],
        mem[m.SPENT_AT : m.SPENT_AT + COUNT],
        out,
        mem[m.LEGS_AT : m.LEGS_AT + BASKET_CELLS],
    )


@njit(cache=True)
def tell_gates(words: Words, mem: Words, pair: int, out: Words) -> None:
    """Count at which gate each strategy stopped, and show those of this market now."""
    packed = 0
    for which in range(COUNT):
        gate = out[s.answer_of(which) + s.D_GATE]
        packed |= gate << which * GATE_BITS
        word_add(words, TALLIES_AT + which * TALLY_CELLS + T_GATES + gate, m.i64(1))
    told = REFUSALS_AT + pair * REFUSAL_CELLS
    store_relaxed(words, told + R_GATES, packed)
    store_relaxed(words, told + R_AT, mem[m.META + m.M_NOW])


@njit(cache=True)
def note_bet(
    words: Words, mem: Words, instrument: int, strategy: int, cash_e6: int, profit_e6: int
) -> None:
    """An order of this strategy goes out in this market: `cash_e6` at worst, `profit_e6` at fair
    value."""
    stake(mem, instrument, strategy, cash_e6)
    told = TALLIES_AT + strategy * TALLY_CELLS
    word_add(words, told + T_ORDERS, m.i64(1))
    word_add(words, told + T_EXPECTED, profit_e6)


@njit(cache=True)
def tell_stakes(words: Words, mem: Words) -> None:
    """Show what each strategy has at stake."""
    for which in range(COUNT):
        store_relaxed(words, TALLIES_AT + which * TALLY_CELLS + T_SPENT, mem[m.SPENT_AT + which])


