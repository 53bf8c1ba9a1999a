# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""Kalshi's `orderbook_delta` from its bytes into the book, one call (scan.py).

Only the form of the wire of autumn 2026 (kalshi.md 14), with the next number of the book's
subscription: a repeat, a hole or another subscription is left to the decoder, which knows what they
mean. Both work on the same `Subscription`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from feeds.book import change
from feeds.scan import (
    FALL,
    address,
    at,
    byte_of,
    cell_of,
    decimal,
    is_key,
    key,
    name,
    names_of,
    packed,
    put_cell,
)
from feeds.scan_object import (
    CLOSE_BRACE,
    DECIMAL_6,
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
from feeds.update import MS_NS, STAMP_MAX_MS
from shm_layout import ASK, BID, NONE_NS, Words

if TYPE_CHECKING:  # only for types: what a kernel's file imports is part of its cache's name
    from feeds.kalshi_frames import Frame, Numbered

NOTHING: Final = 64  # beside the bits that `change` returns: of a market that is not ours
SIZE_MAX: Final = 1_024  # bytes; a delta has 330, with an order id of ours 400
_MINUS: Final = 45

_FRAME: Final = Members(type=TEXT, sid=WHOLE, seq=WHOLE, msg=NESTED, sending_ts_ms=WHOLE)
_DELTA: Final = Members(
    market_ticker=NAME, market_id=TEXT, price_dollars=DECIMAL_6, delta_fp=TEXT, side=TEXT, ts=TEXT,
    ts_ms=WHOLE, client_order_id=TEXT, subaccount=WHOLE,
)  # fmt: skip
_FRAME_TABLE, _DELTA_TABLE = _FRAME.table, _DELTA.table
_FRAME_KEYS: Final = _FRAME.bits("type", "sid", "seq", "msg")
_DELTA_KEYS: Final = _DELTA.bits("market_ticker", "price_dollars", "delta_fp", "side")
_KIND, _YES, _NO = key("orderbook_delta"), key("yes"), key("no")

# the memory: whose change it was; the subscription's id and newest number; the bytes of the frame
# that had it (0: it was decoded); the cells of each table; names
OUT_LOCAL, SID, SEQ, KEPT, _BYTES = range(5)
_TOP = _BYTES + SIZE_MAX // 8
_PART = _TOP + _FRAME.cells
_NAMES = _PART + _DELTA.cells
_TYPE, _IN_SID, _IN_SEQ = (_TOP + _FRAME.at(text) for text in ("type", "sid", "seq"))
_TICKER, _PRICE = _PART + _DELTA.at("market_ticker"), _PART + _DELTA.at("price_dollars")
_CHANGE, _SIDE = _PART + _DELTA.at("delta_fp"), _PART + _DELTA.at("side")
_STAMP = _PART + _DELTA.at("ts_ms")


def _memory_of(locals_of: Mapping[str, int]) -> Words:
    names = names_of(locals_of)
    memory = np.zeros(_NAMES + len(names), np.int64)
    memory[_NAMES:] = names
    return memory


class Subscription:
    """The book's: its id (0: none yet), its newest number (NONE_NS: none yet), and the frame that
    had it. `memory` is what `scan` works with; `locals_of`: each ticker's local number."""

    def __init__(self, locals_of: Mapping[str, int]) -> None:
        self.memory = _memory_of(locals_of)
        self.forget()

    def rename(self, locals_of: Mapping[str, int]) -> None:
        """Other markets from now on; its id and its numbers stay."""
        before, self.memory = self.memory, _memory_of(locals_of)
        self.memory[:_NAMES] = before[:_NAMES]

    def forget(self) -> None:
        """A new connection."""
        self._last: Frame | None = None
        self.memory[:_TOP] = 0
        self.memory[SEQ] = NONE_NS

    @property
    def sid(self) -> int:
        """Its id on this connection."""
        return int(self.memory[SID])

    @sid.setter
    def sid(self, sid: int) -> None:
        self.memory[SID] = sid

    @property
    def seq(self) -> int:
        """The newest number."""
        return int(self.memory[SEQ])

    def take(self, frame: Numbered) -> None:
        """A decoded frame has the newest number."""
        self._last, self.memory[SEQ], self.memory[KEPT] = frame, frame.seq, 0

    def is_repeat(self, frame: Numbered, decode: Callable[[bytes], Frame]) -> bool:
        """True if it says exactly what the one with the newest number said."""
        size = int(self.memory[KEPT])
        if size:
            self._last = decode(self.memory[_BYTES:_TOP].tobytes()[:size])
        return frame == self._last


@njit(cache=True, forceinline=True)
def _signed(payload, start, end):
    """A decimal text in 1e-6 that may have a minus; whether it is one (FALL is a value here)."""
    is_minus = start < end and byte_of(payload, start) == _MINUS
    value = decimal(payload, start + 1 if is_minus else start, end, 6)
    return (-value if is_minus else value), value != FALL


@njit(cache=True, forceinline=True)
def _keep(mem, payload, size):
    """Remember the frame."""
    place, cell = 0, _BYTES
    while place < size:
        put_cell(mem, cell, packed(payload, place, min(place + 8, size), size))
        place += 8
        cell += 1
    put_cell(mem, KEPT, size)


@njit(cache=True)
def _is_delta(payload, size, mem):
    """Every member of the frame into the cells; False if it is not a delta as we know it."""
    if at(payload, 0, size) != OPEN_BRACE:
        return False
    table, out, names = address(_FRAME_TABLE), mem + 8 * _TOP, mem + 8 * _NAMES
    place, seen, nested = read(payload, 1, size, table, out, 0, 0)
    if place == FALL or nested < 0 or at(payload, place, size) != OPEN_BRACE:
        return False
    inner_table, inner = address(_DELTA_TABLE), mem + 8 * _PART
    put_cell(mem, _STAMP, 0)
    place, found, _ = read(payload, place + 1, size, inner_table, inner, names, 0)
    if place == FALL or found & _DELTA_KEYS != _DELTA_KEYS:
        return False
    place, closed = after(payload, place, size, CLOSE_BRACE)
    if place != FALL and not closed:
        place, seen, _ = read(payload, place, size, table, out, 0, seen)
    if place == FALL or seen & _FRAME_KEYS != _FRAME_KEYS or not is_end(payload, place, size):
        return False
    kind = name(payload, cell_of(mem, _TYPE), cell_of(mem, _TYPE + 1), size)
    return is_key(kind, _KIND) and cell_of(mem, _STAMP) <= STAMP_MAX_MS


@njit(cache=True)
def scan(words, state, memory, frame, recv_ns, last):
    """One frame into the book of its market.

    Returns FALL (nothing was done), NOTHING (its number counted, its market is none of ours), or
    the bits of `book.change`: then memory[OUT_LOCAL] is whose book it was.
    """
    size, payload, mem = len(frame), address(frame), address(memory)
    is_delta = size <= SIZE_MAX and _is_delta(payload, size, mem)
    if not is_delta:
        return FALL
    seq = memory[_IN_SEQ]
    if memory[_IN_SID] != memory[SID] or seq != memory[SEQ] + 1:
        return FALL
    side = name(payload, memory[_SIDE], memory[_SIDE + 1], size)
    is_yes = is_key(side, _YES)
    size_e6, is_number = _signed(payload, memory[_CHANGE], memory[_CHANGE + 1])
    if not is_number or (not is_yes and not is_key(side, _NO)) or memory[_TICKER + 1] == 0:
        return FALL
    memory[SEQ] = seq
    _keep(mem, payload, size)
    local = memory[_TICKER]
    if local == FALL:
        return NOTHING
    memory[OUT_LOCAL] = local
    stamp_ns = memory[_STAMP] * MS_NS
    where = BID if is_yes else ASK
    return change(words, state, local, where, memory[_PRICE], size_e6, is_delta, seq,
                  stamp_ns, recv_ns, last)  # fmt: skip
