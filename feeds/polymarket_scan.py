# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""Polymarket's `price_change` and `book` from their bytes into the book, one call (scan.py).

Only the forms of the wire of autumn 2026 (polymarket.md 12). A frame is read whole before anything
is applied.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from feeds.book import replace
from feeds.levels import NO_CLAIM
from feeds.scan import (
    CLOSE_BRACE,
    CLOSE_BRACKET,
    FALL,
    OPEN_BRACE,
    OPEN_BRACKET,
    address,
    after,
    at,
    byte_of,
    decimal,
    digits,
    find,
    is_end,
    is_key,
    key,
    member,
    name,
    names_of,
    put_cell,
    skip_space,
    text_value,
)
from feeds.update import MS_NS, STAMP_MAX_MS
from shm_layout import ASK, BID, Words

# beside the bits that `replace` returns: not of one of our YES tokens; a whole book
NOTHING, BOOK = 32, 64
ROWS_MAX = 32  # of a change; more is decoded with types
LEVELS_MAX = 1_000  # of a book, both sides
TICK_MAX = 9
# the scanner's memory: what it tells, scratch, and the table of tokens
OUT_LOCAL, OUT_TICK, _TRIPLES = range(3)
_NAMES = _TRIPLES + 3 * LEVELS_MAX

_ASSET, _PRICE, _SIZE, _SIDE = key("asset_id"), key("price"), key("size"), key("side")
_HASH, _BID, _ASK, _MARKET = key("hash"), key("best_bid"), key("best_ask"), key("market")
_STAMP, _TYPE, _BIDS, _ASKS = key("timestamp"), key("event_type"), key("bids"), key("asks")
_CHANGES, _TICK, _LAST = key("price_changes"), key("tick_size"), key("last_trade_price")
_CHANGE, _BOOK, _BUY, _SELL = key("price_change"), key("book"), key("BUY"), key("SELL")
_ROW: Final = 0b111111  # every member of a row but its hash, which may be absent
_FRAME: Final = 0b1001  # of a change: timestamp and rows; of a book: with asset and both sides
_WHOLE: Final = 0b1110001


def memory_of(tokens: list[tuple[str, str]]) -> Words:
    """What `scan` works with. `tokens`: (YES, NO) of each local number."""
    sides = {text: 2 * local + no for local, pair in enumerate(tokens)
             for no, text in enumerate(pair)}  # fmt: skip
    names = names_of(sides)
    found = np.zeros(_NAMES + len(names), np.int64)
    found[_NAMES:] = names
    return found


@njit(cache=True)
def _row(payload, place, size, mem, count):
    """One row of a change, its `{` at `place`. Returns the place behind it, the token it is of (2 x
    local + 1 for NO; FALL: none of ours), and the touch; its triple goes to `count` in the
    scratch, where the next row of YES overwrites one that is not."""
    fall = (FALL, FALL, NO_CLAIM, NO_CLAIM)
    if at(payload, place, size) != OPEN_BRACE:
        return fall
    place += 1
    seen, token, bid, ask = 0, FALL, NO_CLAIM, NO_CLAIM
    triple = _TRIPLES + 3 * count
    closed = False
    while not closed:
        start, end, value = member(payload, place, size)
        if start == FALL:
            return fall
        found = name(payload, start, end, size)
        first, last = text_value(payload, value, size)
        if first == FALL:
            return fall
        bit, number = 0, np.int64(0)
        if is_key(found, _ASSET):
            bit, token = 1, find(mem, _NAMES, payload, first, last, size)
        elif is_key(found, _PRICE):
            bit, number = 2, decimal(payload, first, last, 6)
            put_cell(mem, triple + 1, number)
        elif is_key(found, _SIZE):
            bit, number = 4, decimal(payload, first, last, 6)
            put_cell(mem, triple + 2, number)
        elif is_key(found, _SIDE):
            bit = 8
            put_cell(mem, triple, BID)
            side = name(payload, first, last, size)
            if is_key(side, _SELL):
                put_cell(mem, triple, ASK)
            elif not is_key(side, _BUY):
                return fall
        elif is_key(found, _BID):
            bit, number = 16, decimal(payload, first, last, 6)
            bid = number
        elif is_key(found, _ASK):
            bit, number = 32, decimal(payload, first, last, 6)
            ask = number
        elif is_key(found, _HASH):
            bit = 64
        if bit == 0 or seen & bit or number == FALL:
            return fall
        seen |= bit
        place, closed = after(payload, last + 1, size, CLOSE_BRACE)
        if place == FALL:
            return fall
    return (place, token, bid, ask) if seen & _ROW == _ROW else fall


@njit(cache=True)
def _rows(payload, place, size, mem):
    """The rows of a change. Returns the place behind them, the YES token's local number (FALL: none
    of ours), how many rows are its, and its touch after the last."""
    fall = (FALL, FALL, 0, NO_CLAIM, NO_CLAIM)
    if at(payload, place, size) != OPEN_BRACKET:
        return fall
    place = skip_space(payload, place + 1, size)
    local, count, bid, ask, closed = FALL, 0, NO_CLAIM, NO_CLAIM, False
    while not closed:
        if count == ROWS_MAX:
            return fall
        place, token, row_bid, row_ask = _row(payload, place, size, mem, count)
        if place == FALL:
            return fall
        if token != FALL and token & 1 == 0:
            if count > 0 and token >> 1 != local:
                return fall
            local, bid, ask = token >> 1, row_bid, row_ask
            count += 1
        place, closed = after(payload, place, size, CLOSE_BRACKET)
        if place == FALL:
            return fall
        place = skip_space(payload, place, size)
    return place, local, count, bid, ask


@njit(cache=True)
def _level(payload, place, size, mem, count, side):
    """One level of a book, its `{` at `place`: the place behind it; FALL."""
    if at(payload, place, size) != OPEN_BRACE:
        return FALL
    place, seen, closed = place + 1, 0, False
    triple = _TRIPLES + 3 * count
    put_cell(mem, triple, side)
    while not closed:
        start, end, value = member(payload, place, size)
        if start == FALL:
            return FALL
        found = name(payload, start, end, size)
        first, last = text_value(payload, value, size)
        if first == FALL:
            return FALL
        number = decimal(payload, first, last, 6)
        bit = 0
        if is_key(found, _PRICE):
            bit = 1
            put_cell(mem, triple + 1, number)
        elif is_key(found, _SIZE):
            bit = 2
            put_cell(mem, triple + 2, number)
        if bit == 0 or seen & bit or number == FALL:
            return FALL
        seen |= bit
        place, closed = after(payload, last + 1, size, CLOSE_BRACE)
        if place == FALL:
            return FALL
    return place if seen == 3 else FALL


@njit(cache=True)
def _levels(payload, place, size, mem, count, side):
    """One side of a book: the place behind it (FALL), and how many triples there are now."""
    if at(payload, place, size) != OPEN_BRACKET:
        return FALL, count
    place = skip_space(payload, place + 1, size)
    if at(payload, place, size) == CLOSE_BRACKET:
        return place + 1, count
    closed = False
    while not closed:
        if count == LEVELS_MAX:
            return FALL, count
        place = _level(payload, place, size, mem, count, side)
        if place == FALL:
            return FALL, count
        count += 1
        place, closed = after(payload, place, size, CLOSE_BRACKET)
        if place == FALL:
            return FALL, count
        place = skip_space(payload, place, size)
    return place, count


@njit(cache=True)
def scan(words, state, memory, frame, recv_ns, last):
    """One frame into the book of its YES token.

    Returns FALL (nothing was done), NOTHING (not one of our YES tokens), or the bits of
    `book.replace`, with BOOK for a whole book: then memory[OUT_LOCAL] is whose, [OUT_TICK] its
    tick in 1e-6, 0 if it names none; it is not published yet, whatever `last` says: the caller
    looks at it first.
    """
    size, payload, mem = len(frame), address(frame), address(memory)
    if at(payload, 0, size) != OPEN_BRACE:
        return FALL
    place, seen, closed = 1, 0, False
    stamp_ms, tick, token, local, count = 0, 0, FALL, FALL, 0
    bid, ask, is_book = NO_CLAIM, NO_CLAIM, False
    while not closed:
        start, end, value = member(payload, place, size)
        if start == FALL:
            return FALL
        found = name(payload, start, end, size)
        bit, number = 0, np.int64(0)
        if is_key(found, _CHANGES):
            bit = 1 << 3
            place, local, count, bid, ask = _rows(payload, value, size, mem)
            token = 2 * local if local != FALL else FALL
        elif is_key(found, _BIDS) or is_key(found, _ASKS):
            side = BID if byte_of(payload, start) == 98 else ASK
            bit = 1 << (4 + side)
            if seen & 8:
                return FALL
            place, count = _levels(payload, value, size, mem, count, side)
        else:
            first, stop = text_value(payload, value, size)
            if first == FALL:
                return FALL
            place = stop + 1
            if is_key(found, _STAMP):
                bit, number = 1, digits(payload, first, stop, 15)
                stamp_ms = number
            elif is_key(found, _TYPE):
                kind = name(payload, first, stop, size)
                bit, is_book = 2, is_key(kind, _BOOK)
                if not is_book and not is_key(kind, _CHANGE):
                    return FALL
            elif is_key(found, _MARKET):
                bit = 4
            elif is_key(found, _ASSET):
                bit = 1 << 6
                token = find(mem, _NAMES, payload, first, stop, size)
            elif is_key(found, _HASH):
                bit = 1 << 7
            elif is_key(found, _LAST):
                bit = 1 << 8
            elif is_key(found, _TICK):
                bit, number = 1 << TICK_MAX, decimal(payload, first, stop, 6)
                tick = number
        if bit == 0 or seen & bit or number == FALL or place == FALL:
            return FALL
        seen |= bit
        place, closed = after(payload, place, size, CLOSE_BRACE)
        if place == FALL:
            return FALL
    if not is_end(payload, place, size) or seen & 2 == 0 or stamp_ms > STAMP_MAX_MS:
        return FALL
    known = _WHOLE | 0b1110000110 if is_book else 0b1111
    needed = _WHOLE if is_book else _FRAME
    if seen & needed != needed or seen & ~known:
        return FALL
    if token == FALL or token & 1:
        return NOTHING
    local, stamp_ns = token >> 1, stamp_ms * MS_NS
    levels = memory[_TRIPLES : _TRIPLES + 3 * count]
    memory[OUT_LOCAL], memory[OUT_TICK] = local, tick
    ends = last and not is_book
    told = replace(
        words, state, local, levels, is_book, bid, ask, np.int64(0), stamp_ns, recv_ns, ends
    )
    return told | BOOK if is_book else told
