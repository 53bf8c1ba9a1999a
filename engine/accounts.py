"""Money and exposure as the detector counts them: what reports say is held, and what its own
intents reserve.

An intent reserves its worst cash when it is written and gives it back with exactly one terminal
report. If that report comes before the account update of a leg that may have filled, the leg counts
as filled at its worst until the update says otherwise: the same money is never spent twice.
Exposure is gross: cost of what is held plus what is reserved, in dollars; a hedge does not lower
it.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.legs import count_of
from engine.market import copy_row, touch, touch_pairs_of
from engine.risk import DAY_NS, uncount_in_market
from engine.stakes import end_stake, forget_market, settle_stakes
from shm_layout import (
    ACCOUNTS_MAX,
    BODY,
    BUY,
    INSTRUMENTS_MAX,
    K_LEG,
    K_TERMINAL,
    KIND_MODEL,
    LAYOUT_HASH,
    LEGS_MAX,
    ORIGIN_DETECTOR,
    P_DONE,
    P_REJECTED,
    P_UNKNOWN,
    PAIRS_MAX,
    REASONS,
    Words,
)

UNKNOWN_OUTCOME = REASONS.index("unknown_outcome")
ALL_LEGS = (1 << LEGS_MAX) - 1
MAY_HAVE_FILLED = tuple(
    REASONS.index(name) for name in ("done", "partial", "one_legged", "unknown_outcome")
)
_DONE, _PARTIAL, _ONE_LEGGED, _UNKNOWN = MAY_HAVE_FILLED
_NOTHING, _REJECTED = REASONS.index("nothing_filled"), REASONS.index("venue_rejected")
ENDS_OF_SENT = (*MAY_HAVE_FILLED, _NOTHING, _REJECTED)


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def weigh(mem: Words, instrument: int, sign: int) -> None:
    """Take an instrument's exposure out of the sums (sign −1) or put its present one in (sign
    1)."""
    at = m.POSITION_AT + instrument * m.POSITION_CELLS
    if sign > 0:
        held, cost = abs(mem[at + m.PO_POSITION]), mem[at + m.PO_COST]
        worst = (
            cost if 0 < cost < held else held
        )  # a contract loses at most $1, and no cost told means that
        mem[at + m.PO_EXPOSURE] = worst + mem[at + m.PO_RESERVED]
    moved = sign * mem[at + m.PO_EXPOSURE]
    row = m.INSTRUMENT_AT + instrument * BODY
    mem[m.EVENT_SUM + mem[row + c.I_EVENT] % m.EVENTS_MAX] += moved
    mem[m.ASSET_SUM + mem[row + c.I_ASSET] % m.ASSETS_MAX] += moved
    mem[m.VENUE_SUM + mem[row + c.I_VENUE] % m.VENUES_MAX] += moved
    mem[m.META + m.M_TOTAL] += moved


@njit(cache=True)
def set_position(mem: Words, instrument: int, position_e6: int, cost_e6: int) -> None:
    """What is held now, in signed YES terms."""
    weigh(mem, instrument, m.i64(-1))
    at = m.POSITION_AT + instrument * m.POSITION_CELLS
    mem[at + m.PO_POSITION] = position_e6
    mem[at + m.PO_COST] = cost_e6
    weigh(mem, instrument, m.i64(1))


@njit(cache=True)
def apply_instrument(mem: Words, row: Words) -> None:
    """An identity row. A new generation in the same slot is another market: it holds nothing
    yet."""
    instrument = row[c.I_INDEX]
    inside = 0 <= row[c.I_ACCOUNT] < ACCOUNTS_MAX
    if instrument < 0 or instrument >= INSTRUMENTS_MAX or not inside:
        return
    held = m.INSTRUMENT_AT + instrument * BODY
    known = mem[held + c.I_GENERATION]
    weigh(mem, instrument, m.i64(-1))
    is_another = known not in (0, row[c.I_GENERATION])
    if is_another:
        forget_market(mem, instrument)
    copy_row(mem, held, row)
    if is_another:
        place = m.POSITION_AT + instrument * m.POSITION_CELLS
        mem[place + m.PO_POSITION] = 0
        mem[place + m.PO_COST] = 0
        for i in range(m.MARKET_ORDERS_CELLS):
            mem[m.MARKET_ORDERS + instrument * m.MARKET_ORDERS_CELLS + i] = 0
    weigh(mem, instrument, m.i64(1))
    touch_pairs_of(mem, instrument, m.i64(m.TOUCHED_TIMER))


@njit(cache=True)
def reserve_leg(mem: Words, instrument: int, cash_e6: int) -> None:
    """Hold (or with a negative sum: give back) the worst cash of a leg, in its account and in every
    limit.
    """
    account = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_ACCOUNT]
    mem[m.CASH_AT + account * m.CASH_CELLS + m.CA_RESERVED] += cash_e6
    weigh(mem, instrument, m.i64(-1))
    mem[m.POSITION_AT + instrument * m.POSITION_CELLS + m.PO_RESERVED] += cash_e6
    weigh(mem, instrument, m.i64(1))


@njit(cache=True)
def free_flight(mem: Words) -> int:
    """A free place for an intent in flight, or -1."""
    for i in range(m.FLIGHTS_MAX):
        if mem[m.FLIGHT_ID + i] == 0:
            return i
    return -1


@njit(cache=True)
def flight_of(mem: Words, intent: int) -> int:
    """Place of an intent in flight, or -1: it is not ours or has ended."""
    if intent == 0 or mem[m.META + m.M_FLYING] == 0:
        return -1
    for i in range(m.FLIGHTS_MAX):
        if mem[m.FLIGHT_ID + i] == intent:
            return i
    return -1


@njit(cache=True)
def is_sound(row: Words) -> bool:
    """An intent row that names existing places."""
    if not (0 <= row[c.N_PAIR] < PAIRS_MAX and 1 <= row[c.N_LEGS] <= LEGS_MAX and row[c.N_ID] != 0):
        return False
    for leg in range(row[c.N_LEGS]):
        instrument = row[c.N_LEG + leg * c.LEG_CELLS + c.L_INSTRUMENT]
        if instrument < 0 or instrument >= INSTRUMENTS_MAX:
            return False
    return True


@njit(cache=True)
def alone_e6(row: Words) -> int:
    """What an intent costs if all its legs but the cheapest fill: of two, the dearer. A bet has no
    leg to be without.
    """
    total, least = 0, row[c.N_LEG + c.L_CASH]
    for leg in range(row[c.N_LEGS]):
        cash = row[c.N_LEG + leg * c.LEG_CELLS + c.L_CASH]
        total, least = total + cash, min(least, cash)
    return total - least


@njit(cache=True)
def reserve(mem: Words, row: Words) -> bool:
    """Enter an intent as in flight. False: no place (the caller has looked) or not an intent
    row."""
    place = free_flight(mem)
    if place < 0 or not is_sound(row) or flight_of(mem, row[c.N_ID]) >= 0:
        return False
    mem[m.FLIGHT_ID + place] = row[c.N_ID]
    flight = m.FLIGHT + place * m.FLIGHT_CELLS
    copy_row(mem, flight, row)
    mem[flight + m.FL_REPORTED] = 0
    mem[flight + m.FL_DAY] = mem[m.META + m.M_RUN] // DAY_NS
    for leg in range(row[c.N_LEGS]):
        leg_at = c.N_LEG + leg * c.LEG_CELLS
        reserve_leg(mem, row[leg_at + c.L_INSTRUMENT], row[leg_at + c.L_CASH])
    mem[m.META + m.M_UNHEDGED] += alone_e6(row)
    mem[m.META + m.M_FLYING] += 1
    mem[m.PAIR_STATE + row[c.N_PAIR] * m.PAIR_STATE_CELLS + m.PS_FLYING] += 1
    return True


@njit(cache=True)
def count_as_filled(mem: Words, flight: int, leg: int) -> None:
    """Book a leg whose account update has not come as filled at its worst; the update will say what
    is.
    """
    at = flight + c.N_LEG + leg * c.LEG_CELLS
    instrument, size, cash = mem[at + c.L_INSTRUMENT], mem[at + c.L_SIZE], mem[at + c.L_CASH]
    account = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_ACCOUNT]
    mem[m.CASH_AT + account * m.CASH_CELLS + m.CA_FREE] -= cash
    place = m.POSITION_AT + instrument * m.POSITION_CELLS
    signed = size if mem[at + c.L_SIDE] == BUY else -size
    set_position(
        mem, instrument, mem[place + m.PO_POSITION] + signed, abs(mem[place + m.PO_COST]) + cash
    )


@njit(cache=True)
def was_sent(row: Words) -> bool:
    """Whether a venue was sent an order of the intent that this report ends. The gateway refuses
    with the venues' own words too, so the stamp says it; a successor has no stamps, but ends.
    """
    return row[c.R_SEND] != 0 or row[c.R_FILLED] != 0 or row[c.R_REASON] in ENDS_OF_SENT


@njit(cache=True)
def uncount(mem: Words, flight: int) -> None:
    """The intent went nowhere: it is no order of its markets. A predecessor's was not counted."""
    intent = mem[flight + c.N_ID]
    if intent >> 40 != ORIGIN_DETECTOR << 20 | mem[m.META + m.M_EPOCH]:
        return
    for leg in range(mem[flight + c.N_LEGS]):
        at = flight + c.N_LEG + leg * c.LEG_CELLS
        number, generation = mem[at + c.L_INSTRUMENT], mem[at + c.L_GENERATION]
        uncount_in_market(mem, number, generation, mem[flight + m.FL_DAY])


@njit(cache=True)
def release(mem: Words, place: int, reason: int, filled_e6: int, was_sent: bool) -> None:
    """End of an intent in flight: give back what it reserved, once."""
    flight = m.FLIGHT + place * m.FLIGHT_CELLS
    known = reason in (_DONE, _PARTIAL, _ONE_LEGGED, _UNKNOWN) or filled_e6 != 0
    for leg in range(mem[flight + c.N_LEGS]):
        at = flight + c.N_LEG + leg * c.LEG_CELLS
        cash = mem[at + c.L_CASH]
        reserve_leg(mem, mem[at + c.L_INSTRUMENT], -cash)
        if known and mem[flight + m.FL_REPORTED] >> leg & 1 == 0:
            count_as_filled(mem, flight, leg)
    mem[m.META + m.M_UNHEDGED] -= alone_e6(mem[flight : flight + BODY])
    if mem[flight + c.N_KIND] == KIND_MODEL:
        at = flight + c.N_LEG
        end_stake(
            mem,
            mem[at + c.L_INSTRUMENT],
            mem[flight + c.BET_STRATEGY],
            mem[at + c.L_CASH],
            mem[at + c.L_SIZE],
            reason,
            filled_e6,
            was_sent,
        )
    mem[m.FLIGHT_ID + place] = 0
    mem[m.META + m.M_FLYING] -= 1
    pair = mem[flight + c.N_PAIR]
    mem[m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_FLYING] -= 1
    touch(mem, pair, m.i64(m.TOUCHED_TIMER))
    if reason != _UNKNOWN:  # what it reserved kept the stakes of its events till now
        for leg in range(mem[flight + c.N_LEGS]):
            settle_stakes(mem, mem[flight + c.N_LEG + leg * c.LEG_CELLS + c.L_INSTRUMENT])


@njit(cache=True)
def apply_holding(mem: Words, row: Words) -> None:
    """Position and cash as a report leaves them: absolute, so the newest holds."""
    instrument, account = row[c.R_INSTRUMENT], row[c.R_ACCOUNT]
    if 0 <= instrument < INSTRUMENTS_MAX:
        generation = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_GENERATION]
        if generation == row[c.R_GENERATION]:
            set_position(mem, instrument, row[c.R_POSITION], row[c.R_COST])
            settle_stakes(mem, instrument)
    if 0 <= account < ACCOUNTS_MAX:
        mem[m.CASH_AT + account * m.CASH_CELLS + m.CA_FREE] = row[c.R_CASH_FREE]
    mem[m.META + m.M_RETRY] = 1


@njit(cache=True)
def pause(mem: Words, pair: int, intent: int, legs: int) -> None:
    """Stop a pair until the outcome of these legs (a bit each) of `intent` is known, or the pair is
    published again.
    """
    state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    if mem[state + m.PS_PAUSED] != intent:
        mem[state + m.PS_UNKNOWN] = 0
    mem[state + m.PS_PAUSED] = intent
    mem[state + m.PS_UNKNOWN] |= legs


@njit(cache=True)
def resolve(mem: Words, pair: int, intent: int, legs: int) -> None:
    """The outcome of these legs of `intent` is known; with the last one the pair goes on."""
    state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    if mem[state + m.PS_PAUSED] != intent:
        return
    mem[state + m.PS_UNKNOWN] &= ~legs
    if mem[state + m.PS_UNKNOWN] == 0:
        mem[state + m.PS_PAUSED] = 0
        touch(mem, pair, m.i64(m.TOUCHED_TIMER))


@njit(cache=True)
def apply_terminal(mem: Words, row: Words, place: int, pair: int) -> None:
    """The end of an intent. One of unknown outcome stops its pair until every leg not yet reported
    is known; if all are, the order of unknown outcome turned out not to exist, and nothing stops.

    Of an intent that is not in flight here its own leg reports have said which are unknown (all
    there is to know of the desk's orders); of a predecessor's that has none, every leg is.
    """
    unknown = 0
    if place >= 0:
        flight = m.FLIGHT + place * m.FLIGHT_CELLS
        unknown = (1 << mem[flight + c.N_LEGS]) - 1 & ~mem[flight + m.FL_REPORTED]
        sent = was_sent(row)
        if not sent:
            uncount(mem, flight)
        release(mem, place, row[c.R_REASON], row[c.R_FILLED], sent)
    elif row[c.R_INTENT] >> 60 == ORIGIN_DETECTOR:
        mem[m.COUNTS + m.C_ORPHANS] += 1  # ended twice, or before our time
        paused = mem[m.PAIR_STATE + max(pair, 0) * m.PAIR_STATE_CELLS + m.PS_PAUSED]
        is_ours = row[c.R_INTENT] >> 40 == ORIGIN_DETECTOR << 20 | mem[m.META + m.M_EPOCH]
        if not is_ours and paused != row[c.R_INTENT]:
            unknown = (1 << count_of(mem, max(pair, 0))) - 1
    mem[m.META + m.M_RETRY] = 1
    if pair < 0:
        return
    if row[c.R_REASON] == UNKNOWN_OUTCOME:
        if unknown != 0:
            pause(mem, pair, row[c.R_INTENT], unknown)
    else:
        resolve(mem, pair, row[c.R_INTENT], m.i64(ALL_LEGS))


@njit(cache=True)
def apply_report(mem: Words, row: Words, kind: int) -> None:
    """One report: holdings, an end, or an unknown outcome."""
    mem[m.COUNTS + m.C_REPORTS] += 1
    intent, pair = row[c.R_INTENT], row[c.R_PAIR]
    place = flight_of(mem, intent)
    if place >= 0:
        pair = mem[m.FLIGHT + place * m.FLIGHT_CELLS + c.N_PAIR]
    if intent == 0 or pair < 0 or pair >= PAIRS_MAX:
        pair = -1
    if kind == K_TERMINAL:
        apply_terminal(mem, row, place, pair)
        return
    apply_holding(mem, row)
    placed, leg = row[c.R_PLACED], row[c.R_LEG]
    if kind != K_LEG or leg < 0 or leg >= LEGS_MAX:
        return
    if placed == P_UNKNOWN and pair >= 0:
        pause(mem, pair, intent, 1 << leg)
    if placed in (P_DONE, P_REJECTED):
        if pair >= 0:
            resolve(mem, pair, intent, 1 << leg)
        if place >= 0:
            mem[m.FLIGHT + place * m.FLIGHT_CELLS + m.FL_REPORTED] |= 1 << leg


@njit(cache=True)
def pause_flights(mem: Words) -> None:
    """Reports were lost: every pair with an intent in flight stops."""
    for i in range(m.FLIGHTS_MAX):
        if mem[m.FLIGHT_ID + i]:
            flight = m.FLIGHT + i * m.FLIGHT_CELLS
            legs = (1 << mem[flight + c.N_LEGS]) - 1
            pause(mem, mem[flight + c.N_PAIR], mem[m.FLIGHT_ID + i], legs)


@njit(cache=True)
def feed_of(mem: Words, instrument: int) -> int:
    """The feed that writes an instrument's quotes."""
    return mem[m.INSTRUMENT_AT + instrument * BODY + c.I_FEED]
