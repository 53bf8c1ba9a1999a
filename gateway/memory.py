"""The desk's numbers in one private int64 array, laid out by this table: what the last look at an
intent needs, so that one kernel call judges it. No other process sees it.

Whoever changes a number writes it here at once, off the hot path (`Accounts`, `Ledger`, the
buckets); the kernels (gateway/kernels.py) read it, and write what they found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.order_record import HASH_CELLS
from gateway.params import DeskParams
from gateway.ports import Market
from gateway.throttle import RATE_CELLS, Bucket, OrderRate
from shm_layout import (
    ACCOUNTS_MAX,
    BET,
    BODY,
    E6,
    ENTRY,
    FEEDS_MAX,
    INDEX,
    INSTRUMENTS_MAX,
    INTENT,
    LEG,
    LEGS_MAX,
    LINE,
    MARKET_TERMS,
    NO_INSTRUMENT,
    PAIRS_MAX,
    PRODUCTS_MAX,
    QUOTE,
    SPOT,
    VENUES,
    Words,
    cell,
)

EVENTS_MAX = 1024  # an event's number beyond it shares a row, and so its limit, with another
ASSETS_MAX = 1024  # of an asset likewise
VENUES_MAX = 16
INSTRUMENT_CELLS, VENUE_CELLS, LOOK_CELLS, FOUND_CELLS = 16, 16, BODY + 24, 8
LEG_CELLS = len(LEG)
SENT_CELLS = 2 + LEGS_MAX * LEG_CELLS  # of one direction: when, how many legs, their cells
PRICE_CELLS, TERMS_CELLS = BODY + 8, 2 * BODY + 8
DIRECTIONS = 2
PAIR_CELLS = 6 + 2 * LEGS_MAX + DIRECTIONS * SENT_CELLS

_BLOCKS = (
    ("meta", 32),
    ("found", FOUND_CELLS * (1 + LEGS_MAX)),
    ("ids", LINE * LEGS_MAX),
    ("params", 32),
    ("entry", ENTRY),
    ("looks", LEGS_MAX * LOOK_CELLS),
    ("venues", VENUES_MAX * VENUE_CELLS),
    ("accounts", ACCOUNTS_MAX),
    ("instruments", INSTRUMENTS_MAX * INSTRUMENT_CELLS),
    ("pairs", PAIRS_MAX * PAIR_CELLS),
    ("events", EVENTS_MAX),
    ("assets", ASSETS_MAX),
    ("rate", RATE_CELLS),
    ("slots", PRODUCTS_MAX),
    ("price", PRICE_CELLS),
    ("terms", TERMS_CELLS),
    ("staked", INSTRUMENTS_MAX),
)


def _places() -> dict[str, int]:
    at, places = 0, {}
    for name, cells in _BLOCKS:
        places[name] = at
        at += -(-cells // LINE) * LINE
    places["end"] = at
    return places


AT = _places()
META_AT, FOUND_AT, PARAMS_AT, ENTRY_AT = AT["meta"], AT["found"], AT["params"], AT["entry"]
IDS_AT = AT["ids"]  # a line for each leg: the id its order goes by where the venue takes ours
INTENT_AT = ENTRY_AT + LINE  # body of the entry taken last
LOOKS_AT, VENUES_AT, ACCOUNTS_AT = AT["looks"], AT["venues"], AT["accounts"]
INSTRUMENTS_AT, PAIRS_AT, EVENTS_AT, ASSETS_AT, RATE_AT, SLOTS_AT, PRICE_AT = (
    AT[name] for name in ("instruments", "pairs", "events", "assets", "rate", "slots", "price")
)  # `slots`: the feed that writes a slot of the block `spot`, plus 1; `price`: one as just read
STAKED_AT = AT["staked"]  # by instrument: what bets have at risk there; M_STAKED: everywhere
TERMS_AT = AT["terms"]  # what the model last said of a bet's market, as just read

# meta: cursors stand side by side, as rings_wait wants them
(
    M_INTENTS, M_CONTROL, M_LAPS, M_RUN, M_STATE, M_TOTAL, M_DAY_LOSS, M_UNHEDGED, M_OPEN,
    M_JOURNAL, M_STAKED,
) = range(META_AT, META_AT + 11)  # fmt: skip

# what was found: head, then a row for each leg as its venue will see it
F_ID, F_FLAGS, F_LEGS, F_EXPIRES, F_PAIR = range(5)
FL_VENUE, FL_INSTRUMENT, FL_TOKEN, FL_SIDE, FL_PRICE, FL_SIZE, FL_TICK_EPOCH = range(7)

_LIMITS = (
    "order_max_e6", "market_max_e6", "event_max_e6", "venue_max_e6", "total_max_e6", "day_max_e6",
    "unhedged_max_e6", "edge_min_e6", "price_low_e6", "price_high_e6", "beat_max_ns",
    "quote_age_max_ns", "duplicate_ns", "intents_open_max", "asset_max_e6", "signal_age_max_ns",
    "price_move_e6", "fair_off_e6", "formula_off_e6",
)  # fmt: skip
(
    P_ORDER, P_MARKET, P_EVENT, P_VENUE, P_TOTAL, P_DAY, P_UNHEDGED, P_EDGE, P_LOW, P_HIGH, P_BEAT,
    P_AGE, P_DUPLICATE, P_OPEN, P_ASSET, P_SIGNAL, P_MOVE, P_FAIR_OFF,
    P_FORMULA_OFF,
) = range(PARAMS_AT, PARAMS_AT + len(_LIMITS))  # fmt: skip

# cells of an instrument, a venue, a pair
(
    I_KNOWN, I_GENERATION, I_VENUE, I_FEED, I_EVENT, I_ACCOUNT, I_YES_FREE, I_NO_FREE, I_NET,
    I_EXPOSURE, I_ASSET, I_BLOCKED, I_INDEX_SLOT, I_SPOT_SLOT, I_RULE, I_CAP,
) = range(16)  # fmt: skip
V_KNOWN, V_NETS, V_COST, V_EXPOSURE, V_RATE, V_BURST, V_RESERVE, V_LEVEL, V_FILLED = range(9)
PR_KNOWN, PR_APPROVED, PR_SAME, PR_PAUSED, PR_BARRED, PR_LEGS, PR_LEG = range(7)
PR_SENT = PR_LEG + 2 * LEGS_MAX  # from PR_LEG on: instrument and generation of each leg
S_AT, S_LEGS, S_CELLS = range(3)

# a look: the quote's cells, then what follows from them
(
    K_KNOWN, K_READ, K_ALIVE, K_TOKEN, K_SIDE, K_PRICE, K_PRICED, K_FEE, K_LEGAL, K_COST, K_HASH,
) = range(BODY, BODY + 11)  # fmt: skip
K_WORST = K_HASH + HASH_CELLS  # a leg's highest fee; K_FEE: its fee at the limit
KP_READ, KP_ALIVE = BODY, BODY + 1  # of the price: the slot was read; live epoch of its feed
# of the terms: the slot was read; YES by them at the price decided on, 0: none; the bet's strategy
# counts with a formula of its own; cells to work in
KT_READ, KT_FAIR, KT_FORMULA, KT_WORK = BODY, BODY + 1, BODY + 2, BODY + 8
assert K_WORST < LOOK_CELLS and len(VENUES) <= VENUES_MAX

# places in the records
N_ID, N_KIND, N_PAIR, N_DIRECTION, N_LEGS, N_FLAGS, N_EXPIRES, N_DECIDE, N_LEG = (
    cell(INTENT, name)
    for name in (
        *("id", "kind", "pair", "direction", "leg_count", "flags", "expires_ns", "decide_ns"),
        f"{LEG[0]}_0",
    )
)
(
    L_VENUE, L_INSTRUMENT, L_GENERATION, L_SIDE, L_LIMIT, L_SIZE, L_CASH, L_NUMBER, L_EPOCH,
    L_TICK_EPOCH,
) = range(LEG_CELLS)  # fmt: skip
assert LEG[L_SIDE] == "side" and LEG[L_NUMBER] == "quote_number" and LEG[L_SIZE] == "size_e6"
Q_INSTRUMENT, Q_GENERATION, Q_NUMBER, Q_EPOCH, Q_TRUST, Q_TICK_EPOCH, Q_RECV, Q_GRID = (
    cell(QUOTE, name)
    for name in (
        "instrument", "generation", "number", "epoch", "trust", "tick_epoch", "recv_ns", "grid",
    )
)  # fmt: skip
Q_BIDS, Q_ASKS, Q_SIZE_MIN, Q_SIZE_STEP, Q_NOTIONAL_MIN, Q_NOTIONAL_STEP = (
    cell(QUOTE, name)
    for name in (
        "bids", "asks", "size_min_e6", "size_step_e6", "notional_min_e6", "notional_step_e6",
    )
)  # fmt: skip
B_FAIR, B_SLOT, B_EPOCH, B_PRICE, B_STRATEGY = (
    cell(BET, name) for name in ("fair_e6", "spot_slot", "spot_epoch", "spot_e8", "strategy")
)
X_EPOCH, X_TRUST, X_RECV, X_LAST, X_BID, X_ASK = (
    cell(SPOT, name) for name in ("epoch", "trust", "recv_ns", "last_e8", "bid_e8", "ask_e8")
)
X_VALUE, X_EVENT = cell(INDEX, "value_e8"), cell(SPOT, "event_epoch_ns")
MT_INSTRUMENT, MT_GENERATION, MT_VALID, MT_SLOT, MT_MARKET = (
    cell(MARKET_TERMS, name)
    for name in ("instrument", "generation", "valid_until_ns", "spot_slot", "market_e6")
)
Q_FEE_KIND, Q_FEE_RATE, Q_FEE_EXPONENT, Q_FEE_UNIT, Q_FEE_MODE = (
    cell(QUOTE, name)
    for name in ("fee_kind", "fee_rate_e6", "fee_exponent", "fee_unit_e6", "fee_mode")
)


class Memory:
    """The array and its writers in Python. `words` for kernels; `cells` and `raw` are the same
    memory, quick to reach from Python one cell or one run of bytes at a time.
    """

    def __init__(self, params: DeskParams | None = None) -> None:
        self.words: Words = np.zeros(AT["end"], np.int64)
        self.cells = self.words.data
        self.raw = self.cells.cast("B")
        told = params or DeskParams()
        self.mismatches_max = told.mismatches_max
        self._limits(told)
        self._paused: set[int] = set()
        self.rate = OrderRate(
            told.orders_per_second,
            told.orders_per_minute,
            told.orders_per_day,
            cells=self.cells[RATE_AT : RATE_AT + RATE_CELLS],
        )

    def _limits(self, told: DeskParams) -> None:
        for place, name in enumerate(_LIMITS):
            self.cells[PARAMS_AT + place] = getattr(told, name)
        self.cells[P_EDGE] = min(told.edge_min_e6, E6)  # no contract earns a dollar

    def adopt(self, told: DeskParams) -> None:
        """Other limits from the next look on; what was counted still counts."""
        self._limits(told)
        self.rate.limit(told.orders_per_second, told.orders_per_minute, told.orders_per_day)

    # ---- who and what

    def run(self, run_id: int) -> None:
        """The run that journal records name."""
        self.cells[M_RUN] = run_id

    def market(self, market: Market) -> None:
        """An instrument's identity. Its exposure moves to the sums of its new event, asset and
        venue.
        """
        row = self.row(market.instrument)
        self.exposure(market.instrument, 0)
        venue = VENUES.index(market.venue)
        inside = 0 <= market.feed < FEEDS_MAX and 0 <= market.account < ACCOUNTS_MAX
        self.cells[row + I_GENERATION], self.cells[row + I_VENUE] = market.generation, venue
        self.cells[row + I_FEED], self.cells[row + I_ACCOUNT] = market.feed, market.account
        self.cells[row + I_EVENT] = market.event % EVENTS_MAX
        self.cells[row + I_ASSET] = market.asset % ASSETS_MAX
        self.cells[row + I_INDEX_SLOT] = market.index_slot
        self.cells[row + I_SPOT_SLOT] = market.spot_slot
        self.cells[row + I_RULE], self.cells[row + I_CAP] = market.rule, market.cap_e8
        self.cells[row + I_KNOWN] = int(inside and market.is_live)

    @staticmethod
    def row(instrument: int) -> int:
        """First cell of an instrument."""
        assert 0 <= instrument < INSTRUMENTS_MAX, instrument
        return INSTRUMENTS_AT + instrument * INSTRUMENT_CELLS

    def venue(self, number: int, *, nets: bool, order_cost: int, bucket: Bucket) -> None:
        """A venue we have a line to, and what it lets us send."""
        row = self.venue_row(number)
        self.cells[row + V_NETS], self.cells[row + V_COST] = int(nets), order_cost
        self.bucket(number, bucket)
        self.cells[row + V_KNOWN] = 1

    @staticmethod
    def venue_row(number: int) -> int:
        """First cell of a venue."""
        assert 0 <= number < VENUES_MAX, number
        return VENUES_AT + number * VENUE_CELLS

    def bucket(self, number: int, bucket: Bucket) -> None:
        """A venue's bucket as it stands."""
        cells, row = self.cells, self.venue_row(number)
        cells[row + V_RATE], cells[row + V_BURST] = bucket.rate, bucket.burst
        cells[row + V_RESERVE] = bucket.reserve
        cells[row + V_LEVEL], cells[row + V_FILLED] = bucket.level_n, bucket.at_ns

    def pair(
        self, index: int, same: int, approved: int, barred: int, legs: Sequence[tuple[int, int]]
    ) -> None:
        """A row of the pairs: instrument and generation of each leg (of one alone: it may be bet
        on), and a bit for each direction that is never opened.
        """
        cells, row = self.cells, self.pair_row(index)
        for place in range(LEGS_MAX):
            leg = legs[place] if place < len(legs) else (NO_INSTRUMENT, 0)
            cells[row + PR_LEG + 2 * place], cells[row + PR_LEG + 2 * place + 1] = leg
        cells[row + PR_LEGS], cells[row + PR_BARRED] = len(legs), barred
        cells[row + PR_SAME], cells[row + PR_APPROVED] = same, approved
        cells[row + PR_KNOWN] = 1

    def slot(self, number: int, feed: int) -> None:
        """Which feed writes a slot of the block `spot`."""
        assert 0 <= number < PRODUCTS_MAX and 0 <= feed < FEEDS_MAX, (number, feed)
        self.cells[SLOTS_AT + number] = feed + 1

    @staticmethod
    def pair_row(index: int) -> int:
        """First cell of a pair."""
        assert 0 <= index < PAIRS_MAX, index
        return PAIRS_AT + index * PAIR_CELLS

    # ---- what changes

    def exposure(self, instrument: int, cost_e6: int) -> None:
        """Worst cost of what is held and in flight of an instrument; the sums follow."""
        cells, row = self.cells, self.row(instrument)
        moved_e6 = cost_e6 - cells[row + I_EXPOSURE]
        if moved_e6:
            cells[row + I_EXPOSURE] = cost_e6
            cells[EVENTS_AT + cells[row + I_EVENT]] += moved_e6
            cells[ASSETS_AT + cells[row + I_ASSET]] += moved_e6
            cells[VENUES_AT + cells[row + I_VENUE] * VENUE_CELLS + V_EXPOSURE] += moved_e6
            cells[M_TOTAL] += moved_e6

    def staked(self, instrument: int, cost_e6: int) -> None:
        """Worst cost of what bets hold and have in flight of an instrument; the sum follows."""
        assert 0 <= instrument < INSTRUMENTS_MAX, instrument
        self.cells[M_STAKED] += cost_e6 - self.cells[STAKED_AT + instrument]
        self.cells[STAKED_AT + instrument] = cost_e6

    def exposures(self, instrument: int) -> tuple[int, int, int, int]:
        """Exposure of an instrument, its event, its venue, and of everything."""
        cells, row = self.cells, self.row(instrument)
        venue = VENUES_AT + cells[row + I_VENUE] * VENUE_CELLS
        event_e6 = cells[EVENTS_AT + cells[row + I_EVENT]]
        return cells[row + I_EXPOSURE], event_e6, cells[venue + V_EXPOSURE], cells[M_TOTAL]

    def held(self, instrument: int, *, yes_free_e6: int, no_free_e6: int, net_e6: int) -> None:
        """Tokens of an instrument that are not being sold, and its net position."""
        row = self.row(instrument)
        self.cells[row + I_YES_FREE], self.cells[row + I_NO_FREE] = yes_free_e6, no_free_e6
        self.cells[row + I_NET] = net_e6

    def cash(self, account: int, free_e6: int) -> None:
        """Cash of an account that no order in flight may still need."""
        assert 0 <= account < ACCOUNTS_MAX, account
        self.cells[ACCOUNTS_AT + account] = free_e6

    def pause(self, pairs: set[int]) -> None:
        """These pairs stop, and no others."""
        for pair in self._paused ^ pairs:
            if 0 <= pair < PAIRS_MAX:
                self.cells[self.pair_row(pair) + PR_PAUSED] = int(pair in pairs)
        self._paused = pairs

    def block(self, instrument: int, blocked: bool) -> None:
        """Nothing is opened in this market until an operator resumes; or again."""
        self.cells[self.row(instrument) + I_BLOCKED] = int(blocked)

    def is_paused(self, pair: int) -> bool:
        """Whether a pair stops."""
        return bool(self.cells[self.pair_row(pair) + PR_PAUSED])

    def standing(self, *, unhedged_e6: int, open_intents: int) -> None:
        """What may stand alone, and how many intents are under way."""
        self.cells[M_UNHEDGED], self.cells[M_OPEN] = unhedged_e6, open_intents

    def day_loss(self, loss_e6: int) -> None:
        """Realised loss of the run day."""
        self.cells[M_DAY_LOSS] = loss_e6

    def journal(self, failed: bool) -> None:
        """A journal that failed lets nothing through."""
        self.cells[M_JOURNAL] = int(failed)

    def sent(self, pair: int, direction: int, legs: Sequence[int], count: int, now_ns: int) -> None:
        """The legs that left last for a pair and direction: the same again at once is refused."""
        if not 0 <= pair < PAIRS_MAX:
            return
        at = self.pair_row(pair) + PR_SENT + (direction & 1) * SENT_CELLS
        cells = self.cells
        cells[at + S_AT], cells[at + S_LEGS] = now_ns, count
        for place, value in enumerate(legs):
            cells[at + S_CELLS + place] = value

    def intent(self, cells: Sequence[int]) -> None:
        """An intent that does not come from the ring, to be judged next."""
        self.words[INTENT_AT : INTENT_AT + BODY] = cells
