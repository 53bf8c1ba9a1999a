"""What the limits leave for one more intent. No limit is "unlimited": 0 means none.

Money limits are dollars at worst (cash of the legs, fees included, in the dearer form): per order,
market, venue, account cash, event, total, and unhedged (the dearer leg of every intent in flight,
plus
what the pair already holds one-sided), which also stays below the loss allowed a day; what was lost
the gateway alone counts. Order rates are fixed windows of run time and start at zero with the
detector; the gateway counts again on its own numbers.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.fees import SIZE_MAX_E6
from engine.wide import mul_div_floor
from shm_layout import BODY, E6, LAYOUT_HASH, Words

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
def leg_size(mem: Words, instrument: int, unit_e6: int, spare_e6: int) -> int:
    """Contracts one leg may have by order and market limit."""
    exposure = mem[m.POSITION_AT + instrument * m.POSITION_CELLS + m.PO_EXPOSURE]
    room = min(mem[c.A_ORDER], mem[c.A_MARKET] - exposure)
    return size_in(room, unit_e6, spare_e6)


@njit(cache=True)
def is_shared(mem: Words, a: int, b: int, field: int) -> bool:
    """Both instruments draw on one venue, event or account."""
    return mem[m.INSTRUMENT_AT + a * BODY + field] == mem[m.INSTRUMENT_AT + b * BODY + field]


@njit(cache=True)
def lone_e6(mem: Words, a: int, b: int, same: int) -> int:
    """Contracts a pair already holds on one side alone, at $1 each."""
    held_a = mem[m.POSITION_AT + a * m.POSITION_CELLS + m.PO_POSITION]
    held_b = mem[m.POSITION_AT + b * m.POSITION_CELLS + m.PO_POSITION]
    return abs(held_a + held_b if same else held_a - held_b)


@njit(cache=True)
def cash_size(mem: Words, a: int, unit_a: int, b: int, unit_b: int, spare: int) -> int:
    """Contracts that the accounts of both legs can pay."""
    if is_shared(mem, a, b, m.i64(c.I_ACCOUNT)):
        return size_in(cash_room(mem, a), unit_a + unit_b, 2 * spare)
    return min(size_in(cash_room(mem, a), unit_a, spare), size_in(cash_room(mem, b), unit_b, spare))


@njit(cache=True)
def limit_size(mem: Words, a: int, unit_a: int, b: int, unit_b: int, same: int, spare: int) -> int:
    """Contracts that every limit but cash leaves for both legs at these costs a contract."""
    roll_windows(mem)
    both, twice = unit_a + unit_b, 2 * spare
    size = min(leg_size(mem, a, unit_a, spare), leg_size(mem, b, unit_b, spare))
    if is_shared(mem, a, b, m.i64(c.I_VENUE)):
        size = min(size, size_in(venue_room(mem, a), both, twice))
    else:
        size = min(size, size_in(venue_room(mem, a), unit_a, spare))
        size = min(size, size_in(venue_room(mem, b), unit_b, spare))
    if is_shared(mem, a, b, m.i64(c.I_EVENT)):
        size = min(size, size_in(event_room(mem, a), both, twice))
    else:
        size = min(size, size_in(event_room(mem, a), unit_a, spare))
        size = min(size, size_in(event_room(mem, b), unit_b, spare))
    size = min(size, size_in(mem[c.A_TOTAL] - mem[m.META + m.M_TOTAL], both, twice))
    alone = min(mem[c.A_UNHEDGED], mem[c.A_DAY])  # what could be left alone may be lost today
    unhedged = alone - mem[m.META + m.M_UNHEDGED] - lone_e6(mem, a, b, same)
    return min(size, size_in(unhedged, max(unit_a, unit_b), spare))


@njit(cache=True)
def refusal(cash_e6: int, limits_e6: int) -> int:
    """Which counter a size that became too small belongs to."""
    return m.C_CASH if cash_e6 < limits_e6 else m.C_LIMIT
