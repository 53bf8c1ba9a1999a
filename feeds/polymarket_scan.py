# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""Polymarket's `price_change` and `book` from their bytes into the book, one call (scan.py).

Only the forms of the wire of autumn 2026 (polymarket.md 12). A frame is read whole before anything
is applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numba import njit

from feeds.book import flush, replace
from feeds.levels import (
    BEST_ASK,
    BEST_BID,
    BOOK_CELLS,
    BOOKS_AT,
    COUNTER,
    GRID_AT,
    NO_CLAIM,
    TRUST,
)
from feeds.scan import FALL, address, at, cell_of, is_key, key, name, names_of, put_cell, skip_space
from feeds.scan_object import (
    CLOSE_BRACE,
    CLOSE_BRACKET,
    DECIMAL_6,
    DIGITS,
    NAME,
    NESTED,
    OPEN_BRACE,
    OPEN_BRACKET,
    TEXT,
    Members,
    after,
    is_end,
    read,
)
from feeds.update import MS_NS, STAMP_MAX_MS
from shm_layout import ASK, BID, E6, Words

# beside the bits that `replace` returns: not of one of our YES tokens; a whole book that the caller
# must look at; one that needs no look
NOTHING, BOOK, PLAIN = 32, 64, 512
_SNAPSHOTS = COUNTER["snapshots"]
ROWS_MAX = 32  # of a change; more is decoded with types
LEVELS_MAX = 1_000  # of a book, both sides

_FRAME: Final = Members(
    market=TEXT, price_changes=NESTED, asset_id=NAME, timestamp=DIGITS, hash=TEXT, bids=NESTED,
    asks=NESTED, tick_size=DECIMAL_6, event_type=TEXT, last_trade_price=TEXT,
)  # fmt: skip
_ROW: Final = Members(
    asset_id=NAME, price=DECIMAL_6, size=DECIMAL_6, side=TEXT, hash=TEXT, best_bid=DECIMAL_6,
    best_ask=DECIMAL_6,
)  # fmt: skip
_LEVEL: Final = Members(price=DECIMAL_6, size=DECIMAL_6)
_FRAME_TABLE, _ROW_TABLE, _LEVEL_TABLE = _FRAME.table, _ROW.table, _LEVEL.table
_BUY, _SELL, _CHANGE, _BOOK = key("BUY"), key("SELL"), key("price_change"), key("book")

_CHANGE_KEYS: Final = _FRAME.bits("price_changes", "timestamp", "event_type")
_CHANGE_KNOWN: Final = _CHANGE_KEYS | _FRAME.bits("market")
_BOOK_KEYS: Final = _FRAME.bits("asset_id", "bids", "asks", "timestamp", "event_type")
_BOOK_KNOWN: Final = _BOOK_KEYS | _FRAME.bits("market", "hash", "tick_size", "last_trade_price")
_ROW_KEYS: Final = _ROW.bits("asset_id", "price", "size", "side", "best_bid", "best_ask")
_LEVEL_KEYS: Final = _LEVEL.bits("price", "size")
_TICK_BIT: Final = _FRAME.bits("tick_size")
_CHANGES, _BIDS = _FRAME.places["price_changes"], _FRAME.places["bids"]

# the scanner's memory: what it tells, the cells of each table, triples of levels, names
OUT_LOCAL, OUT_TICK, _TOP = 0, 1, 2
_PART = _TOP + _FRAME.cells
_TRIPLES = _PART + _ROW.cells
_NAMES = _TRIPLES + 3 * LEVELS_MAX
_ASSET, _STAMP = _TOP + _FRAME.at("asset_id"), _TOP + _FRAME.at("timestamp")
_TICK, _TYPE = _TOP + _FRAME.at("tick_size"), _TOP + _FRAME.at("event_type")
_ROW_ASSET, _ROW_SIDE = _PART + _ROW.at("asset_id"), _PART + _ROW.at("side")
_ROW_PRICE, _ROW_SIZE = _PART + _ROW.at("price"), _PART + _ROW.at("size")
_ROW_BID, _ROW_ASK = _PART + _ROW.at("best_bid"), _PART + _ROW.at("best_ask")
_LEVEL_PRICE, _LEVEL_SIZE = _PART + _LEVEL.at("price"), _PART + _LEVEL.at("size")


def memory_of(tokens: Mapping[int, tuple[str, str]], before: Words | None = None) -> Words:
    """What `scan` works with. `tokens`: (YES, NO) of each local number; `before`: what it worked
    with until now, where these are others."""
    sides = {text: 2 * local + no for local, pair in tokens.items()
             for no, text in enumerate(pair)}  # fmt: skip
    names = names_of(sides)
    found = np.zeros(_NAMES + len(names), np.int64)
    found[_NAMES:] = names
    if before is not None:
        found[:_NAMES] = before[:_NAMES]
    return found


@njit(cache=True)
def _put_triple(mem, count, side, price_at, size_at):
    triple = _TRIPLES + 3 * count
    put_cell(mem, triple, side)
    put_cell(mem, triple + 1, cell_of(mem, price_at))
    put_cell(mem, triple + 2, cell_of(mem, size_at))


@njit(cache=True)
def _row(payload, place, size, mem, count):
    """One row of a change: the place behind it (FALL), and its token, 2 x local + 1 for NO (FALL:
    none of ours). Its level becomes triple `count` if it is of a YES token of ours."""
    if at(payload, place, size) != OPEN_BRACE:
        return FALL, FALL
    table, out, names = address(_ROW_TABLE), mem + 8 * _PART, mem + 8 * _NAMES
    place, seen, _ = read(payload, place + 1, size, table, out, names, 0)
    if place == FALL or seen & _ROW_KEYS != _ROW_KEYS:
        return FALL, FALL
    first, end = cell_of(mem, _ROW_SIDE), cell_of(mem, _ROW_SIDE + 1)
    text = name(payload, first, end, size)
    is_buy = is_key(text, _BUY)
    if not is_buy and not is_key(text, _SELL):
        return FALL, FALL
    token = cell_of(mem, _ROW_ASSET)
    if token != FALL and token & 1 == 0:
        _put_triple(mem, count, BID if is_buy else ASK, _ROW_PRICE, _ROW_SIZE)
    return place, token


@njit(cache=True)
def _rows(payload, place, size, mem):
    """The rows of a change: the place behind them (FALL), the local number they are of (FALL: none
    of ours), how many are, and that token's touch after the last."""
    fall = (FALL, FALL, 0, NO_CLAIM, NO_CLAIM)
    if at(payload, place, size) != OPEN_BRACKET:
        return fall
    place = skip_space(payload, place + 1, size)
    local, count, bid, ask, closed = FALL, 0, NO_CLAIM, NO_CLAIM, False
    mirror = FALL  # the market whose NO token has rows
    while not closed:
        if count == ROWS_MAX:
            return fall
        place, token = _row(payload, place, size, mem, count)
        if place == FALL:
            return fall
        if token != FALL and token & 1 == 0:
            if count > 0 and token >> 1 != local:
                return fall
            local, count = token >> 1, count + 1
            bid, ask = cell_of(mem, _ROW_BID), cell_of(mem, _ROW_ASK)
        if token != FALL and token & 1 == 1:
            if mirror != FALL and token >> 1 != mirror:
                return fall
            mirror = token >> 1
        place, closed = after(payload, place, size, CLOSE_BRACKET)
        if place == FALL:
            return fall
        place = skip_space(payload, place, size)
    if mirror != FALL and mirror != local:  # a NO token without its YES: for the decoder
        return fall
    return place, local, count, bid, ask


@njit(cache=True)
def _levels(payload, place, size, mem, count, side):
    """One side of a book: the place behind it (FALL), and how many triples there are now."""
    if at(payload, place, size) != OPEN_BRACKET:
        return FALL, count
    place = skip_space(payload, place + 1, size)
    if at(payload, place, size) == CLOSE_BRACKET:
        return place + 1, count
    table, out, closed = address(_LEVEL_TABLE), mem + 8 * _PART, False
    while not closed:
        if count == LEVELS_MAX or at(payload, place, size) != OPEN_BRACE:
            return FALL, count
        place, seen, _ = read(payload, place + 1, size, table, out, 0, 0)
        if place == FALL or seen != _LEVEL_KEYS or cell_of(mem, _LEVEL_SIZE) <= 0:
            return FALL, count
        _put_triple(mem, count, side, _LEVEL_PRICE, _LEVEL_SIZE)
        count += 1
        place, closed = after(payload, place, size, CLOSE_BRACKET)
        if place == FALL:
            return FALL, count
        place = skip_space(payload, place, size)
    return place, count


@njit(cache=True)
def _whole(payload, size, mem):
    """Every member of a frame: what was seen (FALL), the local number of a change (FALL: none of
    ours), how many triples, and the touch."""
    fall = (FALL, FALL, 0, NO_CLAIM, NO_CLAIM)
    if at(payload, 0, size) != OPEN_BRACE:
        return fall
    table, out, names = address(_FRAME_TABLE), mem + 8 * _TOP, mem + 8 * _NAMES
    place, seen, closed = 1, 0, False
    local, count, bid, ask = FALL, 0, NO_CLAIM, NO_CLAIM
    while not closed:
        place, seen, nested = read(payload, place, size, table, out, names, seen)
        if place == FALL:
            return fall
        if nested < 0:
            break
        if nested == _CHANGES:
            place, local, count, bid, ask = _rows(payload, place, size, mem)
        else:
            side = BID if nested == _BIDS else ASK
            place, count = _levels(payload, place, size, mem, count, side)
        if place == FALL:
            return fall
        place, closed = after(payload, place, size, CLOSE_BRACE)
        if place == FALL:
            return fall
    return (seen, local, count, bid, ask) if is_end(payload, place, size) else fall


@njit(cache=True)
def _is_plain(state, book, tick):
    """Not crossed, not locked, and the tick (0: unsaid) is that of the whole known grid."""
    if state[book + BEST_BID] >= state[book + BEST_ASK]:
        return False
    first, second = state[book + GRID_AT + 1], state[book + GRID_AT + 2]
    return tick == 0 or (state[book + GRID_AT] == E6 and first == tick and second == 0)


@njit(cache=True)
def scan(words, state, memory, frame, recv_ns, last):
    """One frame into the book of its YES token.

    Returns FALL (nothing was done), NOTHING (not one of our YES tokens), or the bits of
    `book.replace`, with BOOK for a whole book that the caller must look at, as it is not published
    yet, whatever `last` says: memory[OUT_LOCAL] is whose, [OUT_TICK] its tick in 1e-6, 0 if it
    names none. A good book of a market that was trusted before, on the grid known, needs no look:
    PLAIN, and published with `last`.
    """
    size, payload, mem = len(frame), address(frame), address(memory)
    seen, local, count, bid, ask = _whole(payload, size, mem)
    if seen == FALL:
        return FALL
    kind = name(payload, memory[_TYPE], memory[_TYPE + 1], size)
    is_book = seen & _BOOK_KEYS == _BOOK_KEYS and seen & ~_BOOK_KNOWN == 0 and is_key(kind, _BOOK)
    is_change = seen & _CHANGE_KEYS == _CHANGE_KEYS and seen & ~_CHANGE_KNOWN == 0
    is_change = is_change and is_key(kind, _CHANGE)
    stamp_ms = memory[_STAMP]
    if not (is_book or is_change) or not 0 < stamp_ms <= STAMP_MAX_MS:
        return FALL
    if is_book:
        token = memory[_ASSET]
        local = token >> 1 if token != FALL and token & 1 == 0 else FALL
    if local == FALL:
        return NOTHING
    memory[OUT_LOCAL] = local
    memory[OUT_TICK] = memory[_TICK] if seen & _TICK_BIT else 0
    levels = memory[_TRIPLES : _TRIPLES + 3 * count]
    ends, seq, stamp_ns = last and not is_book, np.int64(0), stamp_ms * MS_NS
    book = BOOKS_AT + local * BOOK_CELLS
    was = state[book + TRUST]
    told = replace(words, state, local, levels, is_book, bid, ask, seq, stamp_ns, recv_ns, ends)
    if not is_book:
        return told
    if told | was != 0 or not _is_plain(state, book, memory[OUT_TICK]):
        return told | BOOK
    state[_SNAPSHOTS] += 1
    if last:
        flush(words, state)
    return np.int64(PLAIN)
