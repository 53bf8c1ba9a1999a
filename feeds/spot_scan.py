# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""Trades and touch of Binance and Coinbase from their bytes into the spot slot, one call (scan.py).

Only the forms of 2026 (spot.md 1 and 2.1). A frame is read whole before anything is applied. The
newest trade and book numbers of each product lie in the scanner's memory, where the venue's file
uses them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numba import njit

from feeds.levels import COUNTER
from feeds.scan import FALL, address, at, byte_of, cell_of, is_key, key, name, names_of
from feeds.scan_object import (
    CLOSE_BRACE,
    DECIMAL_8,
    ISO,
    LITERAL,
    NAME,
    NESTED,
    OPEN_BRACE,
    TEXT,
    WHOLE,
    Members,
    after,
    is_end,
    read,
)
from feeds.spot import spot_quote, spot_trade
from feeds.update import MS_NS, SECOND_NS, STAMP_MAX_MS
from shm_layout import BUY, NO_ASK_E6, NO_BID_E6, PRODUCTS_MAX, SELL, Words

DONE: Final = 0
NOTHING: Final = 1  # of a product that is not ours
LATEST_YEAR_NS: Final = 946_684_800 * SECOND_NS  # a stamp before the year 2000 is none
_DUPLICATES, _GAPS, _TRADES = COUNTER["duplicates"], COUNTER["gaps"], COUNTER["trades"]
_AT_SIGN, _TRUE, _NULL = 64, 116, 110

_WRAPPED: Final = Members(stream=TEXT, data=NESTED)
_TRADE: Final = Members(
    e=TEXT, E=WHOLE, s=NAME, t=WHOLE, p=DECIMAL_8, q=DECIMAL_8, T=WHOLE, m=LITERAL, M=LITERAL
)
_TOUCH: Final = Members(u=WHOLE, s=NAME, b=DECIMAL_8, B=DECIMAL_8, a=DECIMAL_8, A=DECIMAL_8)
_MATCH: Final = Members(
    type=TEXT, trade_id=WHOLE, maker_order_id=TEXT, taker_order_id=TEXT, side=TEXT, size=DECIMAL_8,
    price=DECIMAL_8, product_id=NAME, sequence=WHOLE, time=ISO,
)  # fmt: skip
_TICKER: Final = Members(
    type=TEXT, sequence=WHOLE, product_id=NAME, price=TEXT, open_24h=TEXT, volume_24h=TEXT,
    low_24h=TEXT, high_24h=TEXT, volume_30d=TEXT, best_bid=DECIMAL_8, best_bid_size=DECIMAL_8,
    best_ask=DECIMAL_8, best_ask_size=DECIMAL_8, side=TEXT, time=ISO, trade_id=WHOLE,
    last_size=TEXT,
)  # fmt: skip
_WRAPPED_TABLE, _TRADE_TABLE, _TOUCH_TABLE = _WRAPPED.table, _TRADE.table, _TOUCH.table
_MATCH_TABLE, _TICKER_TABLE = _MATCH.table, _TICKER.table
_TRADE_KEYS: Final = _TRADE.bits("s", "t", "p", "q", "T", "m")
_TOUCH_KEYS: Final = _TOUCH.bits("u", "s", "b", "B", "a", "A")
_MATCH_KEYS: Final = _MATCH.bits("trade_id", "side", "size", "price", "product_id", "time")
_TICKER_KEYS: Final = _TICKER.bits(
    "product_id", "best_bid", "best_bid_size", "best_ask", "best_ask_size", "time"
)
_IS_TRADE, _IS_TOUCH, _IS_BUY, _IS_SELL = (
    key(text) for text in ("trade", "bookTicker", "buy", "sell")
)

# the memory: by local number newest trade, newest book, losses counted up to, older trades in a
# row; cells; names
TRADES, BOOKS, COUNTED, OLDS = (i * PRODUCTS_MAX for i in range(4))
_TOP = 4 * PRODUCTS_MAX
OLD_MAX = 50  # older trades in a row: then the newest never was one, and they are new
_NAMES = _TOP + max(each.cells for each in (_WRAPPED, _TRADE, _TOUCH, _MATCH, _TICKER))


def memory_of(products: Sequence[str]) -> Words:
    """What a scanner works with, of the products by their local numbers."""
    names = names_of({product: local for local, product in enumerate(products)})
    found = np.zeros(_NAMES + len(names), np.int64)
    found[_NAMES:] = names
    return found


def is_new(memory: Words, local: int, number: int) -> bool:
    """What `_traded` says of a trade that was decoded with types; it counts older ones in a row."""
    if number <= memory[TRADES + local] and memory[OLDS + local] < OLD_MAX:
        memory[OLDS + local] += 1
        return False
    memory[OLDS + local] = 0
    return True


@njit(cache=True)
def _traded(words, state, memory, local, number, price, size, side, event_ns, recv_ns):
    """One trade whose frame is whole: counted, and published if it is new. Numbers grow by one."""
    before = memory[TRADES + local]
    if number <= before and memory[OLDS + local] < OLD_MAX:
        memory[OLDS + local] += 1
        state[_DUPLICATES] += 1
        return
    memory[OLDS + local] = 0
    if before > 0 and number > max(before, memory[COUNTED + local]) + 1:
        state[_GAPS] += 1
    memory[TRADES + local] = number
    state[_TRADES] += 1
    spot_trade(words, state, local, price, size, np.int64(side), number, event_ns, recv_ns)


@njit(cache=True)
def _quoted(words, state, local, out, at_bid, at_ask, event_ns, recv_ns):
    """Best bid and offer, each with its size two cells on; a side at 0 is empty."""
    bid, bid_size = cell_of(out, at_bid), cell_of(out, at_bid + 2)
    ask, ask_size = cell_of(out, at_ask), cell_of(out, at_ask + 2)
    if bid == 0:
        bid, bid_size = NO_BID_E6, 0
    if ask == 0:
        ask, ask_size = NO_ASK_E6, 0
    spot_quote(words, state, local, bid, bid_size, ask, ask_size, event_ns, recv_ns)


# ---------------------------------------------------------------------------------------- Binance

_SYMBOL, _NUMBER, _STAMP = _TRADE.at("s"), _TRADE.at("t"), _TRADE.at("T")
_PRICE, _SIZE, _MAKER = _TRADE.at("p"), _TRADE.at("q"), _TRADE.at("m")
_UPDATE, _UPDATED = _TOUCH.at("u"), _TOUCH.at("s")
_TOUCH_BID, _TOUCH_ASK = _TOUCH.at("b"), _TOUCH.at("a")


@njit(cache=True)
def _stream_kind(payload, out, size):
    """What follows the @ of a stream's name."""
    start, end = cell_of(out, 0), cell_of(out, 1)
    while start < end and byte_of(payload, start) != _AT_SIGN:
        start += 1
    return name(payload, min(start + 1, end), end, size)


@njit(cache=True)
def binance(words, state, memory, frame, recv_ns):
    """One frame of the combined stream. FALL: nothing was done."""
    size, payload, out = len(frame), address(frame), address(memory) + 8 * _TOP
    names = address(memory) + 8 * _NAMES
    if at(payload, 0, size) != OPEN_BRACE:
        return FALL
    table = address(_WRAPPED_TABLE)
    place, seen, nested = read(payload, 1, size, table, out, 0, 0)
    if place == FALL or seen != 0b11 or nested != 1 or at(payload, place, size) != OPEN_BRACE:
        return FALL
    kind = _stream_kind(payload, out, size)
    is_trade = is_key(kind, _IS_TRADE)
    if not is_trade and not is_key(kind, _IS_TOUCH):
        return FALL
    table = address(_TRADE_TABLE) if is_trade else address(_TOUCH_TABLE)
    place, seen, _ = read(payload, place + 1, size, table, out, names, 0)
    needed = _TRADE_KEYS if is_trade else _TOUCH_KEYS
    if place == FALL or seen & needed != needed:
        return FALL
    place, closed = after(payload, place, size, CLOSE_BRACE)
    if place == FALL or not closed or not is_end(payload, place, size):
        return FALL
    stamp_ms, maker = cell_of(out, _STAMP), cell_of(out, _MAKER)
    if is_trade and (stamp_ms > STAMP_MAX_MS or maker == _NULL):  # whosever it is
        return FALL
    local = cell_of(out, _SYMBOL if is_trade else _UPDATED)
    if local == FALL:
        return NOTHING
    if is_trade:
        price, amount = cell_of(out, _PRICE), cell_of(out, _SIZE)
        if price <= 0 or amount <= 0:
            return FALL
        side, number = SELL if maker == _TRUE else BUY, cell_of(out, _NUMBER)
        event_ns = stamp_ms * MS_NS
        _traded(words, state, memory, local, number, price, amount, side, event_ns, recv_ns)
        return DONE
    if cell_of(out, _UPDATE) <= memory[BOOKS + local]:
        state[_DUPLICATES] += 1
        return DONE
    memory[BOOKS + local] = cell_of(out, _UPDATE)
    _quoted(words, state, local, out, _TOUCH_BID, _TOUCH_ASK, np.int64(0), recv_ns)
    return DONE


# --------------------------------------------------------------------------------------- Coinbase

_TYPES: Final = (b'{"type":"match",', b'{"type":"ticker"')  # how the two begin, 16 bytes each
_BEGINS_MATCH, _BEGINS_TICKER = (key(text.decode()) for text in _TYPES)
_TRADE_ID, _MAKER_SIDE = _MATCH.at("trade_id"), _MATCH.at("side")
_MATCH_SIZE, _MATCH_PRICE = _MATCH.at("size"), _MATCH.at("price")
_MATCH_PRODUCT, _MATCH_TIME = _MATCH.at("product_id"), _MATCH.at("time")
_TICKER_BID, _TICKER_ASK = _TICKER.at("best_bid"), _TICKER.at("best_ask")
_TICKER_PRODUCT, _TICKER_TIME = _TICKER.at("product_id"), _TICKER.at("time")


@njit(cache=True)
def coinbase(words, state, memory, frame, recv_ns):
    """A `match` or `ticker` whose type comes first. FALL: nothing was done."""
    size, payload, out = len(frame), address(frame), address(memory) + 8 * _TOP
    names = address(memory) + 8 * _NAMES
    if size < 16:
        return FALL
    begin = name(payload, 0, 16, size)
    is_match = is_key(begin, _BEGINS_MATCH)
    if not is_match and not is_key(begin, _BEGINS_TICKER):
        return FALL
    table = address(_MATCH_TABLE) if is_match else address(_TICKER_TABLE)
    place, seen, _ = read(payload, 1, size, table, out, names, 0)
    needed = _MATCH_KEYS if is_match else _TICKER_KEYS
    if place == FALL or seen & needed != needed or not is_end(payload, place, size):
        return FALL
    local = cell_of(out, _MATCH_PRODUCT if is_match else _TICKER_PRODUCT)
    event_ns = cell_of(out, _MATCH_TIME if is_match else _TICKER_TIME)
    if event_ns < LATEST_YEAR_NS:
        return FALL
    if not is_match:
        if local == FALL:
            return NOTHING
        _quoted(words, state, local, out, _TICKER_BID, _TICKER_ASK, event_ns, recv_ns)
        return DONE
    price, amount = cell_of(out, _MATCH_PRICE), cell_of(out, _MATCH_SIZE)
    maker = name(payload, cell_of(out, _MAKER_SIDE), cell_of(out, _MAKER_SIDE + 1), size)
    is_sell = is_key(maker, _IS_BUY)  # the maker bought: the taker sold
    if price <= 0 or amount <= 0 or not (is_sell or is_key(maker, _IS_SELL)):
        return FALL
    if local == FALL:
        return NOTHING
    side, number = SELL if is_sell else BUY, cell_of(out, _TRADE_ID)
    _traded(words, state, memory, local, number, price, amount, side, event_ns, recv_ns)
    return DONE
