"""What each strategy has at stake: dollars in all markets and in each, its orders, its last one;
and what all of them have on one asset, whatever the window: one price decides its markets.

An order counts at its worst cash when it is written. Its terminal report gives back what was not
filled, and the order too if it never went out; what was filled stays until no market of the event
holds anything any more (settled or sold): where a pair's leg has closed a bet, the pair's other leg
stands alone in its place. The detector counts from its own start: what a predecessor held is under
the money limits, but of no strategy here.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.strategies.select import N_ORDERS, SEEN_CELLS, note_order
from engine.strategies.table import COUNT, ROW_CELLS
from engine.wide import mul_div_floor
from shm_layout import BODY, INSTRUMENTS_MAX, LAYOUT_HASH, REASONS, Words

assert m.H_SEEN + SEEN_CELLS <= m.H_SPENT
_UNKNOWN = REASONS.index("unknown_outcome")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def house_of(instrument: int) -> int:
    """First cell of what is kept of a market."""
    return m.HOUSE_AT + instrument * m.HOUSE_CELLS


@njit(cache=True)
def asset_of(mem: Words, instrument: int) -> int:
    """Cell of what bets have at stake on the asset of a market."""
    asset = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_ASSET]
    return m.ASSET_STAKED + asset % m.ASSETS_MAX


@njit(cache=True)
def at_stake(mem: Words, instrument: int) -> int:
    """Dollars at stake in a market, and by bets in the others of its asset. Its own are what it
    holds, or what bets have there if that is more: one that was closed by a pair's leg."""
    own, house = 0, house_of(instrument) + m.H_SPENT
    for strategy in range(COUNT):
        own += mem[house + strategy]
    held = mem[m.POSITION_AT + instrument * m.POSITION_CELLS + m.PO_EXPOSURE]
    return mem[asset_of(mem, instrument)] - own + max(held, own)


@njit(cache=True)
def stake(mem: Words, instrument: int, strategy: int, dollars_e6: int) -> None:
    """An order of a strategy goes out in a market."""
    if not 0 <= strategy < COUNT:
        return
    house = house_of(instrument)
    seen = mem[house + m.H_SEEN : house + m.H_SEEN + SEEN_CELLS]
    spent = mem[m.SPENT_AT : m.SPENT_AT + COUNT]
    note_order(seen, spent, strategy, mem[m.META + m.M_RUN], dollars_e6)
    mem[house + m.H_SPENT + strategy] += dollars_e6
    mem[asset_of(mem, instrument)] += dollars_e6


@njit(cache=True)
def take_back(mem: Words, instrument: int, strategy: int, dollars_e6: int) -> None:
    """Lower what a strategy has at stake in a market, never below nothing."""
    house = house_of(instrument) + m.H_SPENT + strategy
    less = min(dollars_e6, mem[house])
    mem[house] -= less
    mem[m.SPENT_AT + strategy] -= less
    mem[asset_of(mem, instrument)] -= less


@njit(cache=True)
def take_all_back(mem: Words, instrument: int) -> None:
    """No strategy has anything at stake in a market."""
    house = house_of(instrument) + m.H_SPENT
    for strategy in range(COUNT):
        take_back(mem, instrument, strategy, mem[house + strategy])


@njit(cache=True)
def end_stake(
    mem: Words,
    instrument: int,
    strategy: int,
    cash_e6: int,
    size_e6: int,
    reason: int,
    filled: int,
    was_sent: bool,
) -> None:
    """The order of `cash_e6` at worst for `size_e6` contracts has ended. An unknown outcome counts
    as filled; what was filled is rounded up."""
    if not 0 <= strategy < COUNT or reason == _UNKNOWN:
        return
    unfilled = max(size_e6 - abs(filled), 0)
    if size_e6 > 0:
        take_back(mem, instrument, strategy, mul_div_floor(cash_e6, unfilled, size_e6))
    orders = house_of(instrument) + m.H_SEEN + 2 * strategy + N_ORDERS
    if not was_sent and mem[orders] > 0:
        mem[orders] -= 1


@njit(cache=True)
def settle_stakes(mem: Words, instrument: int) -> None:
    """If no market of its event holds anything or has anything in flight, no strategy has anything
    in any of them. Follows reports, not quotes."""
    event = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_EVENT] % m.EVENTS_MAX
    if mem[m.EVENT_SUM + event] != 0 or mem[asset_of(mem, instrument)] == 0:
        return
    for other in range(INSTRUMENTS_MAX):
        if mem[m.INSTRUMENT_AT + other * BODY + c.I_EVENT] % m.EVENTS_MAX == event:
            take_all_back(mem, other)


@njit(cache=True)
def forget_market(mem: Words, instrument: int) -> None:
    """The slot becomes another market's: nothing of the one before, whose row is still there, holds
    for it."""
    take_all_back(mem, instrument)
    house = house_of(instrument)
    for i in range(m.HOUSE_CELLS):
        mem[house + i] = 0


@njit(cache=True)
def apply_strategy(mem: Words, row: Words) -> None:
    """A strategy's parameters; they hold from the next decision on."""
    which = row[c.G_WHICH]
    if 0 <= which < COUNT:
        for i in range(ROW_CELLS):
            mem[m.STRATEGIES_AT + which * ROW_CELLS + i] = row[c.G_VALUES + i]
