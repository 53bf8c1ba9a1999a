"""The last gate before the wire: every rule judged again on our own reading of both slots and our
own numbers (gateway/memory.py). Compiled and pure; the plain twin is tests/twins/guard.py.

Each check answers 0 or an index of REASONS; the first that is not 0 refuses the whole intent.
Comparisons are written as "accept only if". An opening intent must be a hedge (its two to four legs
together pay for sure whatever happens, and after exact fees at the limits something must be left),
or a bet of the model on one market (gateway/guard_bet.py). A reducing one (the detector in
REDUCING) need not earn, but must shrink what we hold. An unwind of the desk gives a lone leg back,
or (FLAG_TRUE_UP) completes its pair: its loss was capped where it was planned, and no band, limit
or trading state but the kill word keeps it from the wire.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from gateway import memory as m
from gateway.guard_bet import at_risk, check_bet
from gateway.order_record import put_id
from gateway.throttle import DAY_NS, MINUTE_NS, R_MOST, R_STAMPS, R_TOTAL, SECOND_NS, STAMPS_MAX
from shm_layout import (
    ACTIVE,
    BUY,
    E6,
    FLAG_REDUCE,
    FLAG_TRUE_UP,
    FLAG_UNWIND,
    HALTED,
    KIND_MODEL,
    LAYOUT_HASH,
    LEVELS,
    LINE,
    PAIRS_MAX,
    REASONS,
    REDUCING,
    SELL,
    Words,
)

AHEAD_MAX_NS = SECOND_NS  # a frame may come after the look began; further ahead no clock is right
NOTIONAL_MAX_E6 = 10**12  # a venue that asks for more than a million dollars is misread
(
    R_STALE, R_HALTED, R_KILLED, R_UNTRUSTED, R_MOVED, R_EPOCH, R_EDGE, R_TICK, R_LOT, R_MINIMUM,
    R_BAND, R_CASH, R_ORDER, R_MARKET, R_EVENT, R_VENUE, R_SUM, R_DAY, R_UNHEDGED, R_RATE,
    R_DUPLICATE, R_REDUCE, R_PAUSED, R_GENERATION, R_JOURNAL, R_ASSET, R_BLOCKED,
) = (
    REASONS.index(name)
    for name in (
        "stale", "halted", "killed", "untrusted", "moved", "epoch", "edge_gone", "tick", "lot",
        "minimum", "band", "cash", "limit_order", "limit_market", "limit_event", "limit_venue",
        "limit_total", "limit_day", "limit_unhedged", "limit_rate", "duplicate", "reduce_only",
        "paused_pair", "generation", "journal", "limit_asset", "blocked",
    )
)  # fmt: skip


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def judge(mem: Words, now: int) -> int:
    """0: every rule holds now; else the reason of the first that does not. `look` has read, and
    fee and legal size of each priced leg stand in its look."""
    flags, legs = mem[m.INTENT_AT + m.N_FLAGS], mem[m.INTENT_AT + m.N_LEGS]
    unwinds, opens = flags & FLAG_UNWIND != 0, flags & (FLAG_UNWIND | FLAG_REDUCE) == 0
    why = check_state(mem, flags, legs, now)
    if why == 0 and not unwinds:
        why = check_age(mem, now)
    for leg in range(legs):
        if why == 0:
            why = check_quote(mem, leg, unwinds and flags & FLAG_TRUE_UP == 0, now)
        if why == 0:
            why = check_form(mem, leg, opens)
    if why == 0 and not unwinds:
        why = check_reduces(mem, legs) if flags & FLAG_REDUCE else check_edge(mem, legs, now)
    if why == 0:
        why = check_cash(mem, legs)
    if why == 0 and opens:
        why = check_limits(mem, legs)
    if why == 0:
        why = check_room(mem, legs, unwinds, now)
    if why == 0:
        tell(mem, legs)
    return why


@njit(cache=True)
def tell(mem: Words, legs: int) -> None:
    """What Python needs to know of an intent that may go, side by side."""
    at = m.FOUND_AT
    mem[at + m.F_ID], mem[at + m.F_FLAGS] = mem[m.INTENT_AT + m.N_ID], mem[m.INTENT_AT + m.N_FLAGS]
    mem[at + m.F_LEGS], mem[at + m.F_PAIR] = legs, mem[m.INTENT_AT + m.N_PAIR]
    mem[at + m.F_EXPIRES] = mem[m.INTENT_AT + m.N_EXPIRES]
    for leg in range(legs):
        at += m.FOUND_CELLS
        row, seen = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS, m.LOOKS_AT + leg * m.LOOK_CELLS
        mem[at + m.FL_VENUE], mem[at + m.FL_INSTRUMENT] = mem[row + m.L_VENUE], mem[row + 1]
        mem[at + m.FL_TOKEN], mem[at + m.FL_SIDE] = mem[seen + m.K_TOKEN], mem[seen + m.K_SIDE]
        mem[at + m.FL_PRICE], mem[at + m.FL_SIZE] = mem[seen + m.K_PRICE], mem[row + m.L_SIZE]
        mem[at + m.FL_TICK_EPOCH] = mem[row + m.L_TICK_EPOCH]
        put_id(mem, m.IDS_AT + leg * LINE, mem[m.M_RUN], mem[m.INTENT_AT + m.N_ID], leg)


@njit(cache=True)
def check_state(mem: Words, flags: int, legs: int, now: int) -> int:
    """Kill word, journal, trading state, pair, shape, the same legs again."""
    if mem[m.M_STATE] < HALTED:
        return R_KILLED
    if mem[m.M_JOURNAL]:
        return R_JOURNAL
    if flags & FLAG_UNWIND:
        return 0 if legs == 1 else R_EDGE
    if not mem[m.M_STATE] >= (REDUCING if flags & FLAG_REDUCE else ACTIVE):
        return R_HALTED if mem[m.M_STATE] == HALTED else R_REDUCE
    pair = mem[m.INTENT_AT + m.N_PAIR]
    if not 0 <= pair < PAIRS_MAX:
        return R_PAUSED
    row = m.PAIRS_AT + pair * m.PAIR_CELLS
    if mem[row + m.PR_PAUSED] or not mem[row + m.PR_KNOWN] or not mem[row + m.PR_APPROVED]:
        return R_PAUSED
    sent = row + m.PR_SENT + (mem[m.INTENT_AT + m.N_DIRECTION] & 1) * m.SENT_CELLS
    if mem[sent + m.S_LEGS] == legs and now - mem[sent + m.S_AT] < mem[m.P_DUPLICATE]:
        for cell in range(legs * m.LEG_CELLS):
            if mem[sent + m.S_CELLS + cell] != mem[m.INTENT_AT + m.N_LEG + cell]:
                return 0
        return R_DUPLICATE
    return 0


@njit(cache=True)
def check_age(mem: Words, now: int) -> int:
    """Its own word on how long it holds, and ours on how old a decision may be."""
    if not now <= mem[m.INTENT_AT + m.N_EXPIRES]:
        return R_STALE
    age = now - mem[m.INTENT_AT + m.N_DECIDE]
    return 0 if -AHEAD_MAX_NS <= age <= mem[m.P_SIGNAL] else R_STALE


@njit(cache=True)
def check_quote(mem: Words, leg: int, gives_back: bool, now: int) -> int:
    """The slot as it is now against the one decided on."""
    at = m.LOOKS_AT + leg * m.LOOK_CELLS
    row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
    instrument, generation = mem[row + m.L_INSTRUMENT], mem[row + m.L_GENERATION]
    if not mem[at + m.K_KNOWN]:
        return R_GENERATION
    if mem[m.INSTRUMENTS_AT + instrument * m.INSTRUMENT_CELLS + m.I_GENERATION] != generation:
        return R_GENERATION
    if not mem[at + m.K_READ] or mem[at + m.Q_INSTRUMENT] != instrument:
        return R_STALE
    if mem[at + m.Q_GENERATION] != generation:
        return R_GENERATION
    if mem[at + m.Q_TICK_EPOCH] != mem[row + m.L_TICK_EPOCH]:
        return R_TICK
    if gives_back:
        return 0  # on whatever is shown, within the loss cap (DESIGN section 4)
    alive = mem[at + m.K_ALIVE]
    if not (alive == mem[at + m.Q_EPOCH] and alive == mem[row + m.L_EPOCH]):
        return R_EPOCH
    if mem[at + m.Q_TRUST] != 0:
        return R_UNTRUSTED
    if not -AHEAD_MAX_NS <= now - mem[at + m.Q_RECV] <= mem[m.P_AGE]:
        return R_STALE
    if mem[at + m.Q_NUMBER] == mem[row + m.L_NUMBER]:
        return 0
    return check_depth(mem, at, row)


@njit(cache=True)
def check_depth(mem: Words, at: int, row: int) -> int:
    """Whether a newer quote still shows the whole size at the limit or better."""
    buys = mem[row + m.L_SIDE] == BUY
    limit, left = mem[row + m.L_LIMIT], mem[row + m.L_SIZE]
    first = at + (m.Q_ASKS if buys else m.Q_BIDS)
    for level in range(LEVELS):
        price, size = mem[first + 2 * level], mem[first + 2 * level + 1]
        if size > 0 and 0 < price < E6 and (price <= limit if buys else price >= limit):
            if size >= left:
                return 0
            left -= size
    return R_MOVED


@njit(cache=True)
def is_on_grid(mem: Words, grid: int, price: int) -> bool:
    """Whether a price lies on up to three (end_e6, step_e6) ranges ascending from 0. No grid:
    no."""
    start = 0
    for i in range(3):
        end, step = mem[grid + 2 * i], mem[grid + 2 * i + 1]
        if end <= start or step <= 0:
            return False
        if start <= price <= end and (price - start) % step == 0:
            return True
        start = end
    return False


@njit(cache=True)
def check_form(mem: Words, leg: int, opens: bool) -> int:
    """Band (of what opens: what is held must go at any price), grid, lots and minimums, in terms
    of the token that will be traded; and whether the market is blocked for what opens."""
    at = m.LOOKS_AT + leg * m.LOOK_CELLS
    row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
    limit, size = mem[row + m.L_LIMIT], mem[row + m.L_SIZE]
    known = m.INSTRUMENTS_AT + mem[row + m.L_INSTRUMENT] * m.INSTRUMENT_CELLS
    if opens and mem[known + m.I_BLOCKED]:
        return R_BLOCKED
    if opens and not mem[m.P_LOW] <= limit <= mem[m.P_HIGH]:
        return R_BAND
    if not is_on_grid(mem, at + m.Q_GRID, limit):
        return R_TICK
    if not 0 < mem[at + m.Q_SIZE_MIN] <= size:
        return R_MINIMUM
    if not mem[at + m.K_PRICED]:
        return R_LOT
    if mem[at + m.K_SIDE] == BUY:
        least = mem[at + m.Q_NOTIONAL_MIN]
        if least > NOTIONAL_MAX_E6 or mem[at + m.K_PRICE] * size < max(least, 0) * E6:
            return R_MINIMUM
    return 0 if mem[at + m.K_LEGAL] == size else R_LOT


@njit(cache=True)
def cost_of(mem: Words, leg: int, fee_cell: int) -> int:
    """What a leg costs in cash at its limit with a fee, rounded up: the dearer form (BUY p, SELL
    1−p). `fee_cell` K_FEE: that of the limit; K_WORST: the most that can be charged. Only of a leg
    whose form was checked."""
    row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
    limit = mem[row + m.L_LIMIT]
    unit = limit if mem[row + m.L_SIDE] == BUY else E6 - limit
    cost = (unit * mem[row + m.L_SIZE] + E6 - 1) // E6
    return cost + mem[m.LOOKS_AT + leg * m.LOOK_CELLS + fee_cell]


@njit(cache=True)
def check_reduces(mem: Words, legs: int) -> int:
    """Whether every leg only shrinks the net position of its instrument."""
    for leg in range(legs):
        row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
        net = mem[m.INSTRUMENTS_AT + mem[row + m.L_INSTRUMENT] * m.INSTRUMENT_CELLS + m.I_NET]
        if not (net if mem[row + m.L_SIDE] == SELL else -net) >= mem[row + m.L_SIZE]:
            return R_REDUCE
    return 0


@njit(cache=True)
def check_edge(mem: Words, legs: int, now: int) -> int:
    """The row's own markets, each in its place and on the side its direction says, all of one size,
    for less with fees than they pay together whatever happens; or a bet.

    One contract of each pays a dollar; where n outcomes of which at most one can win are sold, n−1.
    """
    row = m.PAIRS_AT + mem[m.INTENT_AT + m.N_PAIR] * m.PAIR_CELLS
    direction, same = mem[m.INTENT_AT + m.N_DIRECTION], mem[row + m.PR_SAME] != 0
    if not 0 <= direction < m.DIRECTIONS or mem[row + m.PR_BARRED] >> direction & 1:
        return R_EDGE
    if mem[m.INTENT_AT + m.N_KIND] == KIND_MODEL:
        return check_bet(mem, cost_of(mem, 0, m.K_FEE), now)
    if legs < 2 or mem[row + m.PR_LEGS] != legs or (same and legs > 2):
        return R_EDGE
    size = mem[m.INTENT_AT + m.N_LEG + m.L_SIZE]
    left = size if direction == 0 else (legs - 1) * size
    for leg in range(legs):
        at, own = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS, row + m.PR_LEG + 2 * leg
        if mem[at + m.L_INSTRUMENT] != mem[own] or mem[at + m.L_GENERATION] != mem[own + 1]:
            return R_EDGE
        for before in range(row + m.PR_LEG, own, 2):
            if mem[before] == mem[own]:
                return R_EDGE
        buys = (direction == 0) != (same and leg == 1)
        if mem[at + m.L_SIDE] != (BUY if buys else SELL) or mem[at + m.L_SIZE] != size:
            return R_EDGE
        left -= cost_of(mem, leg, m.K_FEE)
    return 0 if left > 0 and left >= mem[m.P_EDGE] * size // E6 else R_EDGE


@njit(cache=True)
def check_cash(mem: Words, legs: int) -> int:
    """Cash of each account for all legs it pays; selling what is held and free brings cash in."""
    for leg in range(legs):
        mem[m.LOOKS_AT + leg * m.LOOK_CELLS + m.K_COST] = cost_of(mem, leg, m.K_WORST)
    for leg in range(legs):
        account = account_of(mem, leg)
        need = 0
        for other in range(legs):
            if account_of(mem, other) == account and not closes(mem, other):
                need += mem[m.LOOKS_AT + other * m.LOOK_CELLS + m.K_COST]
        if need > 0 and not mem[m.ACCOUNTS_AT + account] >= need:
            return R_CASH
    return 0


@njit(cache=True)
def account_of(mem: Words, leg: int) -> int:
    """The account that pays for a leg."""
    instrument = mem[m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS + m.L_INSTRUMENT]
    return mem[m.INSTRUMENTS_AT + instrument * m.INSTRUMENT_CELLS + m.I_ACCOUNT]


@njit(cache=True)
def closes(mem: Words, leg: int) -> bool:
    """Whether a leg only sells what is held and not already being sold."""
    row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
    known = m.INSTRUMENTS_AT + mem[row + m.L_INSTRUMENT] * m.INSTRUMENT_CELLS
    free = m.I_YES_FREE if mem[row + m.L_SIDE] == SELL else m.I_NO_FREE
    return mem[known + free] >= mem[row + m.L_SIZE]


@njit(cache=True)
def check_limits(mem: Words, legs: int) -> int:
    """Every cap, counting what is in flight as filled."""
    total, least = 0, mem[m.LOOKS_AT + m.K_COST]
    for leg in range(legs):
        cost = mem[m.LOOKS_AT + leg * m.LOOK_CELLS + m.K_COST]
        least, total = min(least, cost), total + cost
    if not mem[m.M_DAY_LOSS] < mem[m.P_DAY]:
        return R_DAY
    if not mem[m.M_OPEN] < mem[m.P_OPEN]:
        return R_RATE
    if mem[m.INTENT_AT + m.N_KIND] == KIND_MODEL:  # it has no leg to be without, and may lose all
        if not at_risk(mem) + total <= mem[m.P_DAY]:
            return R_DAY
    elif not mem[m.M_UNHEDGED] + total - least <= mem[m.P_UNHEDGED]:  # all but one may fill
        return R_UNHEDGED
    for leg in range(legs):
        cost = mem[m.LOOKS_AT + leg * m.LOOK_CELLS + m.K_COST]
        row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
        own = m.INSTRUMENTS_AT + mem[row + m.L_INSTRUMENT] * m.INSTRUMENT_CELLS
        event, asset, venue = mem[own + m.I_EVENT], mem[own + m.I_ASSET], mem[own + m.I_VENUE]
        in_event = in_asset = in_venue = 0
        for other in range(legs):
            row = m.INTENT_AT + m.N_LEG + other * m.LEG_CELLS
            beside = m.INSTRUMENTS_AT + mem[row + m.L_INSTRUMENT] * m.INSTRUMENT_CELLS
            adds = mem[m.LOOKS_AT + other * m.LOOK_CELLS + m.K_COST]
            in_event += adds if mem[beside + m.I_EVENT] == event else 0
            in_asset += adds if mem[beside + m.I_ASSET] == asset else 0
            in_venue += adds if mem[beside + m.I_VENUE] == venue else 0
        if not cost <= mem[m.P_ORDER]:
            return R_ORDER
        if not mem[own + m.I_EXPOSURE] + cost <= mem[m.P_MARKET]:
            return R_MARKET
        if not mem[m.EVENTS_AT + event] + in_event <= mem[m.P_EVENT]:
            return R_EVENT
        if not mem[m.ASSETS_AT + asset] + in_asset <= mem[m.P_ASSET]:
            return R_ASSET
        if not mem[m.VENUES_AT + venue * m.VENUE_CELLS + m.V_EXPOSURE] + in_venue <= mem[m.P_VENUE]:
            return R_VENUE
        if not mem[m.M_TOTAL] + total <= mem[m.P_TOTAL]:
            return R_SUM
    return 0


@njit(cache=True)
def check_room(mem: Words, legs: int, unwinds: bool, now: int) -> int:
    """Rate budgets of all legs, before any is sent. Unwinds may use the reserves."""
    if not unwinds and not rate_has(mem, legs, now):
        return R_RATE
    for leg in range(legs):
        venue = mem[m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS + m.L_VENUE]
        count = 0
        for other in range(legs):
            if mem[m.INTENT_AT + m.N_LEG + other * m.LEG_CELLS + m.L_VENUE] == venue:
                count += 1
        if not bucket_has(mem, venue, count, unwinds, now):
            return R_RATE
    return 0


@njit(cache=True)
def rate_has(mem: Words, count: int, now: int) -> bool:
    """Whether so many more orders are allowed a second, a minute and a day."""
    total = mem[m.RATE_AT + R_TOTAL]
    for place, span in ((0, SECOND_NS), (1, MINUTE_NS), (2, DAY_NS)):
        back = mem[m.RATE_AT + R_MOST + place] - count
        if back < 0:
            return False
        oldest = total - 1 - back
        if oldest >= 0 and mem[m.RATE_AT + R_STAMPS + oldest % STAMPS_MAX] > now - span:
            return False
    return True


@njit(cache=True)
def bucket_has(mem: Words, venue: int, orders: int, unwinds: bool, now: int) -> bool:
    """Whether a venue lets so many orders through now; only unwinds may use its reserve."""
    row = m.VENUES_AT + venue * m.VENUE_CELLS
    rate, full = mem[row + m.V_RATE], mem[row + m.V_BURST] * SECOND_NS
    level, filled = mem[row + m.V_LEVEL], mem[row + m.V_FILLED]
    if filled > 0 and now > filled and rate > 0:
        # so long that it is full, compared before a product could be too long for a cell
        level = full if now - filled > (full - level) // rate else level + (now - filled) * rate
    needed = orders * mem[row + m.V_COST] + (0 if unwinds else mem[row + m.V_RESERVE])
    return level >= needed * SECOND_NS
