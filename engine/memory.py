"""The detector's private memory: one int64 array, laid out by this table. No other process sees it.

Live and replay run the same kernels over the same table, so two runs that saw the same entries hold
the same words. Plain indexing is allowed here and nowhere else.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.flow import FLOW_CELLS
from engine.strategies.table import COUNT, ROW_CELLS
from shm_layout import (
    ACCOUNTS_MAX,
    BODY,
    COUNTERS,
    COUNTERS_MAX,
    CURSORS,
    FEEDS_MAX,
    INSTRUMENTS_MAX,
    LAYOUT_HASH,
    LEGS_MAX,
    PAIRS_MAX,
    PRODUCTS_MAX,
    VENUES,
    Words,
)

i64 = np.int64  # around a constant argument: numba compiles one more copy for each bare literal
# intents written and not yet ended; below the intents ring's length, so none is lapped unread
FLIGHTS_MAX = 256
EVENTS_MAX = 1024  # an event's number beyond it shares a row, and so its limit, with another
ASSETS_MAX = 1024  # of an asset likewise
VENUES_MAX = 16
FLIGHT_CELLS = 64
POSITION_CELLS = 4
CASH_CELLS = 4
MARKET_ORDERS_CELLS = 4
PAIR_STATE_CELLS = 16
SPOT_CELLS = 16
BET_CELLS = 128  # the choice on one market, as engine/strategies/select.py puts it
LEGS_CELLS = 64  # its leg, as engine/basket.py walks it
HOUSE_CELLS = 48
LINKS = LEGS_MAX  # of a row of the pairs: each hangs in a list of an instrument (or of a price)
WORK_CELLS = 256  # view, case, parameters and more of one choice
SHOWN_CELLS = 24
META_CELLS = 32

_BLOCKS = (
    ("meta", META_CELLS),
    ("counters", COUNTERS_MAX),
    ("cursors", CURSORS),
    ("feed_epoch", FEEDS_MAX),
    ("parameters", BODY),
    ("venue_sum", VENUES_MAX),
    ("event_sum", EVENTS_MAX),
    ("asset_sum", ASSETS_MAX),
    ("asset_staked", ASSETS_MAX),  # by bets, where asset_sum is of all that is held
    ("cash", ACCOUNTS_MAX * CASH_CELLS),
    ("flight_id", FLIGHTS_MAX),
    ("flight", FLIGHTS_MAX * FLIGHT_CELLS),
    ("position", INSTRUMENTS_MAX * POSITION_CELLS),
    ("market_orders", INSTRUMENTS_MAX * MARKET_ORDERS_CELLS),
    ("pair_state", PAIRS_MAX * PAIR_STATE_CELLS),
    ("head", INSTRUMENTS_MAX),
    ("next", LINKS * PAIRS_MAX),
    ("touched", PAIRS_MAX),
    ("timers", PAIRS_MAX),
    ("instrument", INSTRUMENTS_MAX * BODY),
    ("pair", PAIRS_MAX * BODY),
    ("terms", PAIRS_MAX * BODY),
    ("market_terms", INSTRUMENTS_MAX * BODY),
    ("spot", PRODUCTS_MAX * SPOT_CELLS),
    ("spot_head", PRODUCTS_MAX),
    ("bet", BET_CELLS),
    ("legs", LEGS_CELLS),
    ("quote", INSTRUMENTS_MAX * BODY),
    ("strategies", COUNT * ROW_CELLS),
    ("spent", COUNT),
    ("work", WORK_CELLS),
    ("house", INSTRUMENTS_MAX * HOUSE_CELLS),
    ("flow", PRODUCTS_MAX * FLOW_CELLS),
    ("had", INSTRUMENTS_MAX * BODY),
    ("shown", INSTRUMENTS_MAX * SHOWN_CELLS),
)


def _places() -> dict[str, int]:
    at, places = 0, {}
    for name, cells in _BLOCKS:
        places[name] = at
        at += -(-cells // 8) * 8
    places["end"] = at
    return places


AT = _places()
MEMORY_CELLS = AT["end"]
META, COUNTS, CURSORS_AT, FEED_EPOCH = AT["meta"], AT["counters"], AT["cursors"], AT["feed_epoch"]
PARAMETERS_AT, VENUE_SUM, EVENT_SUM, CASH_AT = (
    AT["parameters"],
    AT["venue_sum"],
    AT["event_sum"],
    AT["cash"],
)
FLIGHT_ID, FLIGHT, POSITION_AT, PAIR_STATE = (
    AT["flight_id"],
    AT["flight"],
    AT["position"],
    AT["pair_state"],
)
ASSET_SUM, ASSET_STAKED, MARKET_ORDERS = (
    AT[name] for name in ("asset_sum", "asset_staked", "market_orders")
)
HEAD, NEXT, TOUCHED, TIMERS = AT["head"], AT["next"], AT["touched"], AT["timers"]
INSTRUMENT_AT, PAIR_AT, TERMS_AT, QUOTE_AT = AT["instrument"], AT["pair"], AT["terms"], AT["quote"]
MARKET_AT, SPOT_AT, SPOT_HEAD, BET_AT, LEGS_AT = (
    AT[name] for name in ("market_terms", "spot", "spot_head", "bet", "legs")
)
STRATEGIES_AT, SPENT_AT, WORK_AT, HOUSE_AT, FLOW_AT = (
    AT[name] for name in ("strategies", "spent", "work", "house", "flow")
)
HAD_AT, SHOWN_AT = AT["had"], AT["shown"]

# meta cells
(
    M_NOW,
    M_RUN,
    M_STATE,
    M_ALIVE,
    M_EPOCH,
    M_COUNTER,
    M_STEP,
    M_DIRTY,
    M_TOUCHED,
    M_TIMERS,
    M_NEXT_DUE,
    M_FLYING,
    M_TOTAL,
    M_DAY,
    M_UNHEDGED,
    M_SECOND,
    M_SECOND_ORDERS,
    M_MINUTE,
    M_MINUTE_ORDERS,
    M_DAY_ORDERS,
    M_RETRY,
    M_SEEN_STATE,
    M_SEEN_ALIVE,
    M_INTENTS,
    M_PUBLISH,
    M_BINDING,
    M_HAD,
) = range(27)

# cells of a pair's state; SINCE of direction 1 follows that of 0: 0 while it does not pay, else the
# run time + 1 at which its episode began. REFUSED likewise: why the edge there is now was refused.
# PAYS: a bit for each direction that paid when last decided
(
    PS_FLYING,
    PS_PAUSED,
    PS_TOUCHED,
    PS_DUE,
    PS_LIMITED,
    PS_SINCE,
    PS_SINCE_1,
    PS_COOL,
    PS_COOL_1,
    PS_TIMER,
    PS_KNOWN,
    PS_UNKNOWN,
    PS_REFUSED,
    PS_REFUSED_1,
    PS_PAYS,
) = range(15)
TOUCHED_TIMER, TOUCHED_QUOTE = 1, 2

PO_POSITION, PO_COST, PO_RESERVED, PO_EXPOSURE = range(4)
CA_FREE, CA_RESERVED = range(2)
MO_DAY, MO_COUNT, MO_LAST = range(3)  # orders in a market: run day, how many then, time of the last
# newest entry of a slot of the block `spot`: price (0: none), whose ring, its own cells, and the
# price at which markets were last decided for it, and its receipt
(
    SP_VALUE,
    SP_FEED,
    SP_EPOCH,
    SP_TRUST,
    SP_RECV,
    SP_EVENT,
    SP_NUMBER,
    SP_PUBLISH,
    SP_TOLD,
    SP_TOLD_AT,
) = range(10)
# a flight: the intent's body, then a bit for each leg whose result was reported, and the run day
# its orders count on
FL_BODY, FL_REPORTED, FL_DAY = 0, BODY, BODY + 1
assert FL_DAY < FLIGHT_CELLS

# of a market that strategies look at: quote, price and terms (their numbers, and the price's slot)
# it was last decided on; σ that its own middle implied (1e-12 per √second) with seconds of variance
# (1e-9) and when; then SEEN_CELLS of engine/strategies/select.py, what each strategy has at stake
# here in 1e-6 dollars, the prices of the touch and our own chance (1e-12) when they became that
H_QUOTE, H_SLOT, H_SPOT, H_TERMS, H_IMPLIED, H_SECONDS, H_IMPLIED_AT = range(7)
H_SEEN, H_SPENT = 8, 8 + 2 * COUNT
H_BID, H_ASK, H_PRICED = range(H_SPENT + COUNT, H_SPENT + COUNT + 3)
assert H_PRICED < HOUSE_CELLS

COUNTER_NAMES = COUNTERS["detector"]
(
    C_ENTRIES,
    C_QUOTES,
    C_SPOTS,
    C_LAPS,
    C_LOST,
    C_DECISIONS,
    C_INTENTS,
    C_EDGES,
    C_CASH,
    C_LIMIT,
    C_STATE,
    C_TRUST,
    C_SIZE,
    C_DEBOUNCED,
    C_COOLDOWN,
    C_SLOT_BUSY,
    C_STEPS,
    C_REPORTS,
    C_TAKEN,
    C_OVERFLOW,
    C_IN_FLIGHT,
    C_ALIVE,
    C_DELAY,
    C_BAND,
    C_RATE,
    C_PAUSED,
    C_TIMERS,
    C_ORPHANS,
    C_PAIR,
    C_EDGES_OF_PAIR,
    C_EDGES_UNTRUSTED,
    C_TERMS,
    C_INDICES,
    C_MARKET_TERMS,
    C_FAIRS,
    C_SPREAD,
    C_THIN,
    C_SMALL,
    C_ORDERS,
    C_GAP,
    C_CUT_ORDER,
    C_CUT_MARKET,
    C_CUT_EVENT,
    C_CUT_ASSET,
    C_CUT_VENUE,
    C_CUT_TOTAL,
    C_CUT_DAY,
    C_CUT_UNHEDGED,
    C_CUT_VOLATILITY,
    C_BETS,
    C_MODEL_EDGES,
    C_WINDOW,
) = range(len(COUNTER_NAMES))
assert COUNTER_NAMES[C_FAIRS] == "fairs" and COUNTER_NAMES[C_TERMS] == "refused_terms"
assert COUNTER_NAMES[C_CUT_VOLATILITY] == "cut_volatility" and COUNTER_NAMES[C_GAP] == "refused_gap"
assert COUNTER_NAMES[C_MODEL_EDGES] == "model_edges"
assert COUNTER_NAMES[C_WINDOW] == "refused_window"
assert COUNTER_NAMES[C_PAIR] == "refused_pair" and COUNTER_NAMES[C_IN_FLIGHT] == "in_flight"
assert len(VENUES) <= VENUES_MAX


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


def fresh() -> Words:
    """Memory of a detector that has seen nothing."""
    mem = np.zeros(MEMORY_CELLS, np.int64)
    mem[META + M_SEEN_STATE] = mem[META + M_SEEN_ALIVE] = -1
    return mem
