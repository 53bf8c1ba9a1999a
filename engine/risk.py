"""What the limits leave for one more intent. No limit is "unlimited": 0 means none.

Money limits are dollars at worst (cash of the legs, fees included, in the dearer form): per order,
market, venue, account cash, event, asset, total, and unhedged (all legs but the cheapest of every
intent in flight, so of two the dearer; plus what the row already holds of some legs without the
others), which also stays below the loss allowed a day, as does a bet with what all bets have at
stake in any market. What was lost the gateway alone counts, and what bets of a detector before this
one hold. Legs that share an account, a venue or an event share what is left there. Each limit that
bound has its counter (`cut_…`). Order rates are fixed windows of run time; they and the orders of a
market start at zero with the detector. The gateway counts again on its own numbers.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.basket import B_INSTRUMENT, B_SIDE, B_UNIT, LEG_CELLS
from engine.fees import SIZE_MAX_E6
from engine.legs import count_of, market_of
from engine.sizes import token_price
from engine.strategies.table import COUNT
from engine.wide import mul_div_floor
from shm_layout import BODY, BUY, E6, LAYOUT_HASH, Words

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS
ROOM_MAX_E6 = 10**13  # ten million dollars: more room than the largest size can use
PRICE_LEAST_E6 = 100  # finest tick either venue has


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def roll_windows(mem: Words) -> None:
    """Start the windows of the present run time anew where they have passed."""
    run = mem[m.META + m.M_RUN]
    if run // SECOND_NS != mem[m.META + m.M_SECOND]:
        mem[m.META + m.M_SECOND] = run // SECOND_NS
        mem[m.META + m.M_SECOND_ORDERS] = 0
    if run // MINUTE_NS != mem[m.META + m.M_MINUTE]:
        mem[m.META + m.M_MINUTE] = run // MINUTE_NS
        mem[m.META + m.M_MINUTE_ORDERS] = 0
    if run // DAY_NS != mem[m.META + m.M_DAY]:
        mem[m.META + m.M_DAY] = run // DAY_NS
        mem[m.META + m.M_DAY_ORDERS] = 0


@njit(cache=True)
def rate_opens_at(mem: Words, orders: int) -> int:
    """0 if `orders` more may go now, else the run time at which the window that is full ends."""
    roll_windows(mem)
    if mem[m.META + m.M_DAY_ORDERS] + orders > mem[c.A_PER_DAY]:
        return (mem[m.META + m.M_DAY] + 1) * DAY_NS
    if mem[m.META + m.M_MINUTE_ORDERS] + orders > mem[c.A_MINUTE]:
        return (mem[m.META + m.M_MINUTE] + 1) * MINUTE_NS
    if mem[m.META + m.M_SECOND_ORDERS] + orders > mem[c.A_SECOND]:
        return (mem[m.META + m.M_SECOND] + 1) * SECOND_NS
    return 0


@njit(cache=True)
def count_orders(mem: Words, orders: int) -> None:
    """Orders that go out now."""
    mem[m.META + m.M_SECOND_ORDERS] += orders
    mem[m.META + m.M_MINUTE_ORDERS] += orders
    mem[m.META + m.M_DAY_ORDERS] += orders


@njit(cache=True)
def market_closed_until(mem: Words, instrument: int) -> tuple[int, int]:
    """(counter, run time) of what keeps an order out of one market, and until when; (0, 0): nothing
    does. Orders of a market are counted by run day; from one to the next a gap must pass.
    """
    at = m.MARKET_ORDERS + instrument * m.MARKET_ORDERS_CELLS
    day, run = mem[m.META + m.M_RUN] // DAY_NS, mem[m.META + m.M_RUN]
    if mem[at + m.MO_DAY] != day:
        mem[at + m.MO_DAY] = day
        mem[at + m.MO_COUNT] = 0
    if mem[at + m.MO_COUNT] >= mem[c.A_PER_MARKET]:
        return m.C_ORDERS, (day + 1) * DAY_NS
    if mem[at + m.MO_LAST] > 0 and run < mem[at + m.MO_LAST] + mem[c.A_GAP]:
        return m.C_GAP, mem[at + m.MO_LAST] + mem[c.A_GAP]
    return 0, 0


@njit(cache=True)
def closed_until(mem: Words, pair: int) -> tuple[int, int]:
    """The same for an intent with a leg in every market of a row, the order rates among it."""
    orders = count_of(mem, pair)
    for leg in range(orders):
        counter, opens = market_closed_until(mem, market_of(mem, pair, leg))
        if opens > 0:
            return counter, opens
    opens = rate_opens_at(mem, orders)
    return (m.C_RATE, opens) if opens > 0 else (0, 0)


@njit(cache=True)
def count_in_market(mem: Words, instrument: int) -> None:
    """An order goes out to a market now; `market_closed_until` has begun its day."""
    at = m.MARKET_ORDERS + instrument * m.MARKET_ORDERS_CELLS
    mem[at + m.MO_COUNT] += 1
    mem[at + m.MO_LAST] = mem[m.META + m.M_RUN]


@njit(cache=True)
def uncount_in_market(mem: Words, instrument: int, generation: int, day: int) -> None:
    """An order that was counted on that run day was never sent. The gap since it stays."""
    at = m.MARKET_ORDERS + instrument * m.MARKET_ORDERS_CELLS
    is_its = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_GENERATION] == generation
    if is_its and mem[at + m.MO_DAY] == day and mem[at + m.MO_COUNT] > 0:
        mem[at + m.MO_COUNT] -= 1


@njit(cache=True)
def touch_refusal(mem: Words, quote: int, side: int) -> int:
    """0, or the counter of why the book at `quote` is not to be opened in: the spread is too wide
    (an absent side counts as $1), or what lies at the touch to be taken costs too little.
    """
    bid, ask = mem[quote + c.Q_BIDS], mem[quote + c.Q_ASKS]
    if min(ask - bid, E6) > mem[c.A_SPREAD]:
        return m.C_SPREAD
    place = quote + (c.Q_ASKS if side == BUY else c.Q_BIDS)
    size = min(mem[place + 1], SIZE_MAX_E6)
    if token_price(mem[place], side) * size // E6 < mem[c.A_LIQUIDITY]:
        return m.C_THIN
    return 0


@njit(cache=True)
def is_calm(mem: Words, instrument: int) -> bool:
    """Whether the volatility of a market's asset is known, and no more than the parameters' factor
    times what is usual for that asset. Usual is its own history; where there is none (MT_USUAL 0),
    the parameters' mark counts. What is not known is not calm: no terms of this market that still
    hold, σ 0, or one that is only assumed (MT_USUAL below 0). A market on no index, of which the
    model never speaks, always is; so is every one where the mark is 0.
    """
    terms, row = m.MARKET_AT + instrument * BODY, m.INSTRUMENT_AT + instrument * BODY
    mark = mem[c.A_SIGMA_HIGH]
    if mark <= 0 or mem[row + c.I_RULE] == 0:
        return True
    if mem[terms + c.MT_NUMBER] <= 0 or mem[terms + c.MT_VALID] < mem[m.META + m.M_NOW]:
        return False
    sigma, usual = mem[terms + c.MT_SIGMA], mem[terms + c.MT_USUAL]
    is_of_it = mem[terms + c.MT_GENERATION] == mem[row + c.I_GENERATION]
    if not is_of_it or sigma <= 0 or usual < 0:
        return False
    return sigma <= (usual * mem[c.A_SIGMA_FACTOR] // E6 if usual > 0 else mark)


@njit(cache=True)
def calm_size(mem: Words, calm: bool, size: int) -> int:
    """What volatility leaves of a size: all of it where every market of it is calm, else a share
    less.
    """
    return size if calm else size * (E6 - mem[c.A_SIGMA_CUT]) // E6


@njit(cache=True)
def size_in(room_e6: int, unit_e6: int, spare_e6: int) -> int:
    """Contracts that a room in dollars holds at `unit_e6` each, after `spare_e6` for rounding."""
    room = min(room_e6 - spare_e6, ROOM_MAX_E6)
    if room <= 0:
        return 0
    return min(max(mul_div_floor(room, E6, max(unit_e6, PRICE_LEAST_E6)), 0), SIZE_MAX_E6)


@njit(cache=True)
def cash_room(mem: Words, instrument: int) -> int:
    """Dollars of an instrument's account that nothing in flight holds."""
    at = m.CASH_AT + mem[m.INSTRUMENT_AT + instrument * BODY + c.I_ACCOUNT] * m.CASH_CELLS
    return mem[at + m.CA_FREE] - mem[at + m.CA_RESERVED]


@njit(cache=True)
def venue_room(mem: Words, instrument: int) -> int:
    """Dollars left at an instrument's venue."""
    venue = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_VENUE] % m.VENUES_MAX
    return mem[c.A_VENUE] - mem[m.VENUE_SUM + venue]


@njit(cache=True)
def event_room(mem: Words, instrument: int) -> int:
    """Dollars left in an instrument's event."""
    event = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_EVENT] % m.EVENTS_MAX
    return mem[c.A_EVENT] - mem[m.EVENT_SUM + event]


@njit(cache=True)
def asset_room(mem: Words, instrument: int) -> int:
    """Dollars left in all that hangs on an instrument's asset."""
    asset = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_ASSET] % m.ASSETS_MAX
    return mem[c.A_ASSET] - mem[m.ASSET_SUM + asset]


@njit(cache=True)
def lower(mem: Words, size: int, left: int, counter: int) -> int:
    """The smaller of two sizes. The limit that `counter` belongs to binds if it left less."""
    if left < size:
        mem[m.META + m.M_BINDING] = counter
        return left
    return size


@njit(cache=True)
def leg_size(mem: Words, size: int, instrument: int, unit_e6: int, spare_e6: int) -> int:
    """Contracts at most `size` that order and market limit leave to one leg."""
    exposure = mem[m.POSITION_AT + instrument * m.POSITION_CELLS + m.PO_EXPOSURE]
    left = size_in(mem[c.A_ORDER], unit_e6, spare_e6)
    size = lower(mem, size, left, m.i64(m.C_CUT_ORDER))
    left = size_in(mem[c.A_MARKET] - exposure, unit_e6, spare_e6)
    return lower(mem, size, left, m.i64(m.C_CUT_MARKET))


@njit(cache=True)
def room_of(mem: Words, instrument: int, field: int) -> int:
    """Dollars left in what an instrument shares with others: account, venue, event or asset."""
    if field == c.I_ACCOUNT:
        return cash_room(mem, instrument)
    if field == c.I_VENUE:
        return venue_room(mem, instrument)
    return event_room(mem, instrument) if field == c.I_EVENT else asset_room(mem, instrument)


@njit(cache=True)
def shared_size(mem: Words, legs: Words, count: int, field: int, spare: int) -> int:
    """Contracts of each leg that its room leaves; legs that share a room share what is in it."""
    size = m.i64(SIZE_MAX_E6)
    for leg in range(count):
        own = legs[leg * LEG_CELLS + B_INSTRUMENT]
        place = mem[m.INSTRUMENT_AT + own * BODY + field]
        unit, sharers = 0, 0
        for other in range(count):
            beside = legs[other * LEG_CELLS + B_INSTRUMENT]
            if mem[m.INSTRUMENT_AT + beside * BODY + field] == place:
                unit += legs[other * LEG_CELLS + B_UNIT]
                sharers += 1
        size = min(size, size_in(room_of(mem, own, field), unit, sharers * spare))
    return size


@njit(cache=True)
def lone_e6(mem: Words, legs: Words, count: int) -> int:
    """Contracts of these legs that are held without as many of every other, at $1 each."""
    least = most = held_e6(mem, legs, m.i64(0))
    for leg in range(1, count):
        held = held_e6(mem, legs, leg)
        least, most = min(least, held), max(most, held)
    whole = min(max(least, 0), most)  # what all hold, of these tokens or of their opposites
    alone = 0
    for leg in range(count):
        alone += abs(held_e6(mem, legs, leg) - whole)
    return alone


@njit(cache=True)
def held_e6(mem: Words, legs: Words, leg: int) -> int:
    """What is held of the leg's own token, below 0: of its opposite."""
    row = leg * LEG_CELLS
    held = mem[m.POSITION_AT + legs[row + B_INSTRUMENT] * m.POSITION_CELLS + m.PO_POSITION]
    return held if legs[row + B_SIDE] == BUY else -held


@njit(cache=True)
def limit_size(mem: Words, legs: Words, count: int, spare: int) -> int:
    """Contracts of each leg that every limit but cash leaves at what they cost (B_UNIT). The
    counter of the limit that left least stands in M_BINDING.
    """
    roll_windows(mem)
    size, total = m.i64(SIZE_MAX_E6), 0
    least = legs[B_UNIT]
    for leg in range(count):
        row = leg * LEG_CELLS
        size = leg_size(mem, size, legs[row + B_INSTRUMENT], legs[row + B_UNIT], spare)
        total, least = total + legs[row + B_UNIT], min(least, legs[row + B_UNIT])
    left = shared_size(mem, legs, count, m.i64(c.I_VENUE), spare)
    size = lower(mem, size, left, m.i64(m.C_CUT_VENUE))
    left = shared_size(mem, legs, count, m.i64(c.I_EVENT), spare)
    size = lower(mem, size, left, m.i64(m.C_CUT_EVENT))
    left = shared_size(mem, legs, count, m.i64(c.I_ASSET), spare)
    size = lower(mem, size, left, m.i64(m.C_CUT_ASSET))
    left = size_in(mem[c.A_TOTAL] - mem[m.META + m.M_TOTAL], total, count * spare)
    size = lower(mem, size, left, m.i64(m.C_CUT_TOTAL))
    alone = mem[m.META + m.M_UNHEDGED] + lone_e6(mem, legs, count)
    unit, spares = total - least, (count - 1) * spare  # all but the cheapest leg
    left = size_in(mem[c.A_UNHEDGED] - alone, unit, spares)
    size = lower(mem, size, left, m.i64(m.C_CUT_UNHEDGED))
    left = size_in(mem[c.A_DAY] - alone, unit, spares)  # what is left alone may be lost today
    return lower(mem, size, left, m.i64(m.C_CUT_DAY))


@njit(cache=True)
def at_risk_e6(mem: Words, a: int) -> int:
    """Dollars that may be lost on the day of one more bet on market `a`: what may stand alone, what
    bets have at stake in any market, and what else this one holds. All bets may lose at once; what
    is hedged elsewhere may not.
    """
    own = beside = 0
    for strategy in range(COUNT):
        staked = mem[m.HOUSE_AT + a * m.HOUSE_CELLS + m.H_SPENT + strategy]
        own += staked
        beside += mem[m.SPENT_AT + strategy] - staked
    here = max(own, mem[m.POSITION_AT + a * m.POSITION_CELLS + m.PO_EXPOSURE])
    return mem[m.META + m.M_UNHEDGED] + beside + here


@njit(cache=True)
def bet_size(mem: Words, a: int, unit: int, spare: int) -> int:
    """`limit_size` of one leg alone, which can lose what it costs and has nothing to be without."""
    roll_windows(mem)
    size = leg_size(mem, m.i64(SIZE_MAX_E6), a, unit, spare)
    size = lower(mem, size, size_in(venue_room(mem, a), unit, spare), m.i64(m.C_CUT_VENUE))
    size = lower(mem, size, size_in(event_room(mem, a), unit, spare), m.i64(m.C_CUT_EVENT))
    size = lower(mem, size, size_in(asset_room(mem, a), unit, spare), m.i64(m.C_CUT_ASSET))
    left = size_in(mem[c.A_TOTAL] - mem[m.META + m.M_TOTAL], unit, spare)
    size = lower(mem, size, left, m.i64(m.C_CUT_TOTAL))
    left = size_in(mem[c.A_DAY] - at_risk_e6(mem, a), unit, spare)
    return lower(mem, size, left, m.i64(m.C_CUT_DAY))


@njit(cache=True)
def refusal(cash_e6: int, limits_e6: int) -> int:
    """Which counter a size that became too small belongs to."""
    return m.C_CASH if cash_e6 < limits_e6 else m.C_LIMIT
