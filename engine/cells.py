"""Places of the cells that decisions read and write, by record. Derived from the layout's table,
never counted by hand.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from engine.memory import PARAMETERS_AT
from shm_layout import (
    BET,
    HAD,
    INDEX,
    INSTRUMENT,
    INTENT,
    LAYOUT_HASH,
    LEG,
    MARKET_TERMS,
    PAIR,
    PARAMETERS,
    QUOTE,
    REPORT,
    SPOT,
    STEP,
    STRATEGY,
    TERMS,
    cell,
)


def places(record: np.dtype[np.void], names: str) -> tuple[int, ...]:
    """Places of the named fields in their record."""
    return tuple(cell(record, name) for name in names.split())


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


# a quote
Q_INSTRUMENT, Q_GENERATION, Q_NUMBER, Q_EPOCH, Q_TRUST, Q_STATUS, Q_TICK_EPOCH = places(
    QUOTE, "instrument generation number epoch trust status tick_epoch"
)
Q_EVENT, Q_RECV, Q_PUBLISH, Q_DELAY, Q_CLOSE, Q_STRIKE = places(
    QUOTE, "event_epoch_ns recv_ns publish_ns taker_delay_ns close_epoch_ns strike_e8"
)
Q_FEE_KIND, Q_FEE_RATE, Q_FEE_EXPONENT, Q_FEE_UNIT, Q_FEE_MODE = places(
    QUOTE, "fee_kind fee_rate_e6 fee_exponent fee_unit_e6 fee_mode"
)
Q_SIZE_MIN, Q_SIZE_STEP, Q_NOTIONAL_MIN, Q_NOTIONAL_STEP, Q_GRID, Q_BIDS, Q_ASKS = places(
    QUOTE, "size_min_e6 size_step_e6 notional_min_e6 notional_step_e6 grid bids asks"
)

# what paper orders hold of a quote's levels
D_INSTRUMENT, D_GENERATION, D_BIDS, D_ASKS = places(HAD, "instrument generation bids asks")
D_SIDE = D_ASKS - D_BIDS

# identity, pair, slow terms
I_INDEX, I_GENERATION, I_VENUE, I_FEED, I_EVENT, I_LIVE, I_ACCOUNT, I_ASSET = places(
    INSTRUMENT, "index generation venue feed event live account asset"
)
I_RULE, I_OPEN, I_INDEX_SLOT, I_SPOT_SLOT, I_CAP = places(
    INSTRUMENT, "settlement_rule open_epoch_ns index_slot spot_slot cap_e8"
)
P_INDEX, P_GENERATION, P_A, P_B, P_A_GENERATION, P_B_GENERATION, P_SAME, P_APPROVED = places(
    PAIR, "index generation a b a_generation b_generation same approved"
)
P_EDGE_MIN, P_HURDLE, P_DELAY, P_NEEDS = places(
    PAIR, "edge_min_e6 hurdle_e6 delay_max_ns needs_terms"
)
P_MORE, P_C, P_D, P_C_GENERATION, P_D_GENERATION, P_BARRED = places(
    PAIR, "more c d c_generation d_generation barred"
)
T_PAIR, T_GENERATION, T_NUMBER, T_VALID, T_DEAD_ZONE, T_DELAY_COST = places(
    TERMS, "pair generation number valid_until_ns dead_zone_e6 delay_cost_e6"
)
MT_INSTRUMENT, MT_GENERATION, MT_NUMBER, MT_VALID, MT_STRIKE, MT_CLOSE, MT_SPOT_SLOT = places(
    MARKET_TERMS,
    "instrument generation number valid_until_ns strike_e8 close_epoch_ns spot_slot",
)
MT_BASIS, MT_BASIS_SD, MT_SIGMA, MT_SUM, MT_COUNT, MT_SUMMED, MT_MEAN, MT_FAIR = places(
    MARKET_TERMS,
    "basis_e8 basis_sd_e8 sigma_e12 sum_e8 count summed_epoch_ns mean_e8 fair_e6",
)
MT_SLOPE, MT_LIFT, MT_MARKET, MT_USUAL = places(
    MARKET_TERMS, "slope_e6 lift_e6 market_e6 usual_e12"
)

# spot and index entries: the same head
X_PRODUCT, X_NUMBER, X_EPOCH, X_TRUST, X_EVENT, X_RECV, X_PUBLISH = places(
    SPOT, "product number epoch trust event_epoch_ns recv_ns publish_ns"
)
X_LAST, X_BID, X_ASK, X_TRADE = places(SPOT, "last_e8 bid_e8 ask_e8 trade_id")
X_SIZE, X_TAKER = places(SPOT, "size_e8 taker_side")
(X_VALUE,) = places(INDEX, "value_e8")
# a strategy's parameters
G_WHICH, G_VALUES = places(STRATEGY, "which values")

# parameters, already at their place in private memory
(A_EDGE_MIN, A_SIZE, A_ORDER, A_MARKET, A_EVENT, A_VENUE, A_TOTAL, A_DAY, A_UNHEDGED) = (
    PARAMETERS_AT + place
    for place in places(
        PARAMETERS,
        "edge_min_e6 size_max_e6 order_max_e6 market_max_e6 event_max_e6 venue_max_e6"
        " total_max_e6 day_max_e6 unhedged_max_e6",
    )
)
A_DEBOUNCE, A_COOLDOWN, A_BEAT, A_AGE, A_DELAY, A_SECOND, A_MINUTE, A_PER_DAY = (
    PARAMETERS_AT + place
    for place in places(
        PARAMETERS,
        "debounce_ns cooldown_ns beat_max_ns signal_age_max_ns delay_max_ns orders_per_second"
        " orders_per_minute orders_per_day",
    )
)
A_LOW, A_HIGH, A_SWITCHES, A_HURDLE_YEAR, A_FAIR_MOVE, A_FAIR_EVERY = (
    PARAMETERS_AT + place
    for place in places(
        PARAMETERS,
        "price_low_e6 price_high_e6 switches hurdle_year_e6 fair_move_e6 fair_every_ns",
    )
)

A_HURDLE, A_ASSET, A_SPREAD, A_LIQUIDITY, A_INTENT_MIN = (
    PARAMETERS_AT + place
    for place in places(
        PARAMETERS, "hurdle_e6 asset_max_e6 spread_max_e6 liquidity_min_e6 intent_min_e6"
    )
)
A_PER_MARKET, A_GAP, A_SIGMA_HIGH, A_SIGMA_CUT, A_SIGMA_FACTOR = (
    PARAMETERS_AT + place
    for place in places(
        PARAMETERS,
        "orders_per_market market_gap_ns sigma_high_e12 sigma_cut_e6 sigma_factor_e6",
    )
)

# an intent and its legs
N_ID, N_KIND, N_PAIR, N_DIRECTION, N_LEGS, N_FLAGS, N_TRIGGER = places(
    INTENT, "id kind pair direction leg_count flags trigger"
)
N_DECIDE, N_RECV, N_EVENT, N_EXPIRES, N_EDGE, N_PROFIT, N_FEES, N_PUBLISH, N_LEG = places(
    INTENT,
    "decide_ns recv_ns event_epoch_ns expires_ns edge_e6 profit_e6 fees_e6 publish_ns venue_0",
)
LEG_CELLS = len(LEG)
(
    L_VENUE,
    L_INSTRUMENT,
    L_GENERATION,
    L_SIDE,
    L_LIMIT,
    L_SIZE,
    L_CASH,
    L_NUMBER,
    L_EPOCH,
    L_TICK_EPOCH,
) = range(LEG_CELLS)
assert LEG[L_SIDE] == "side" and LEG[L_CASH] == "cash_e6" and LEG[L_TICK_EPOCH] == "tick_epoch"

# what an intent of the model was decided on, in the room of its other legs
BET_STRATEGY, BET_FAIR, BET_SURE, BET_OFF = places(BET, "strategy fair_e6 sure_e6 off_e6")
BET_SLOT, BET_NUMBER, BET_EPOCH, BET_PRICE = places(BET, "spot_slot spot_number spot_epoch spot_e8")
assert BET_STRATEGY == N_LEG + LEG_CELLS

# a report
R_INTENT, R_LEG, R_REASON, R_INSTRUMENT, R_GENERATION, R_PLACED, R_FILLED, R_PAIR, R_STAMP = places(
    REPORT, "intent leg reason instrument generation placed filled_e6 pair report_ns"
)
R_POSITION, R_COST, R_ACCOUNT, R_CASH_FREE, R_SEND = places(
    REPORT, "position_e6 position_cost_e6 account cash_free_e6 send_ns"
)

# a step
S_NUMBER, S_KIND, S_NOW, S_RUN, S_STATE, S_ALIVE, S_TIMER, S_COUNTER, S_EPOCH = places(
    STEP, "number kind now_ns run_epoch_ns state alive timer intent_counter epoch"
)
S_DRAINED, S_LAP_RING, S_LAP_TO, S_CURSORS = places(STEP, "drained lap_ring lap_to cursors")
