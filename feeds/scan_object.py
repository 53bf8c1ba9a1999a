# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""JSON objects read by a table of their members: each venue's scanner is such tables and what to do
with the values (see feeds/scan.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from feeds.scan import (
    COLON,
    FALL,
    QUOTE,
    at,
    cell_of,
    decimal,
    digits,
    find,
    is_key,
    iso_ns,
    key,
    name,
    packed,
    put_cell,
    skip_space,
    string_end,
    whole,
)
from shm_layout import Words

COMMA, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET = 44, 123, 125, 91, 93
# What a member's value is, and the two cells it leaves: TEXT first byte and end; DECIMAL_6,
# DECIMAL_8, DIGITS (a text), ISO (ns), WHOLE (a number): the value; NAME: its value in the table of
# names, FALL if unknown, and its length; LITERAL: its first letter; NESTED: left to the caller
TEXT, DECIMAL_6, DECIMAL_8, DIGITS, ISO, WHOLE, NAME, LITERAL, NESTED = range(9)
_ROW_CELLS: Final = 4  # length, first and last 8 bytes of the key, kind


class Members:
    """A table for `read`: keys in the order the venue sends them (any order is read), and kinds."""

    def __init__(self, **kinds: int) -> None:
        rows = [(*key(text), kind) for text, kind in kinds.items()]
        cells = [cell for row in rows for cell in row]
        self.table: Words = np.array([len(rows), *cells], np.int64)
        self.places = {text: place for place, text in enumerate(kinds)}
        self.cells = 2 * len(rows)  # that `read` leaves behind

    def bits(self, *names: str) -> int:
        """The mask of these members, to compare with what `read` has seen."""
        return sum(1 << self.places[text] for text in names)

    def at(self, text: str) -> int:
        """Where `read` leaves a member's value, from the start of its cells."""
        return 2 * self.places[text]


@njit(cache=True, forceinline=True)
def member(payload, place, size):
    """The member of an object that begins at `place` (behind the brace or comma): first and end of
    its key, first byte of its value; FALL as the first if there is none."""
    place = skip_space(payload, place, size)
    if at(payload, place, size) != QUOTE:
        return FALL, FALL, FALL
    start = place + 1
    end = string_end(payload, start, size)
    if end == FALL:
        return FALL, FALL, FALL
    place = skip_space(payload, end + 1, size)
    if at(payload, place, size) != COLON:
        return FALL, FALL, FALL
    return start, end, skip_space(payload, place + 1, size)


@njit(cache=True, forceinline=True)
def text_value(payload, place, size):
    """First byte and end of a string value; FALL if it is none."""
    if at(payload, place, size) != QUOTE:
        return FALL, FALL
    end = string_end(payload, place + 1, size)
    return (place + 1, end) if end != FALL else (FALL, FALL)


@njit(cache=True, forceinline=True)
def after(payload, place, size, closing):
    """Behind a value: where the next member or element begins, and whether `closing` came instead;
    FALL if neither a comma nor `closing` follows."""
    place = skip_space(payload, place, size)
    byte = at(payload, place, size)
    if byte == COMMA:
        return place + 1, False
    return (place + 1, True) if byte == closing else (FALL, True)


@njit(cache=True)
def skip_literal(payload, place, size):
    """Behind `true`, `false` or `null`; FALL if none of them is there."""
    word = packed(payload, place, min(place + 4, size), size)
    if word == 0x65757274 or word == 0x6C6C756E:
        return place + 4
    if word == 0x736C6166 and at(payload, place + 4, size) == 101:
        return place + 5
    return FALL


@njit(cache=True)
def _text(payload, place, size, kind, names):
    """A text's value by its kind, and what the second cell gets."""
    start, end = text_value(payload, place, size)
    if start == FALL:
        return FALL, FALL, FALL
    value, second = FALL, 0
    if kind == TEXT:
        value, second = start, end
    elif kind == DECIMAL_6:
        value = decimal(payload, start, end, 6)
    elif kind == DECIMAL_8:
        value = decimal(payload, start, end, 8)
    elif kind == DIGITS:
        value = digits(payload, start, end, 15)
    elif kind == ISO:
        value = iso_ns(payload, start, end)
    elif kind == NAME:
        return find(names, 0, payload, start, end, size), end - start, end + 1
    return value, second, end + 1 if value != FALL else FALL


@njit(cache=True)
def _value(payload, place, size, kind, names):
    """The value at `place`, what the second cell gets, and the place behind it (FALL)."""
    if kind == WHOLE:
        value, behind = whole(payload, place, size)
        return value, 0, behind
    if kind == LITERAL:
        return at(payload, place, size), 0, skip_literal(payload, place, size)
    return _text(payload, place, size, kind, names)


@njit(cache=True)
def read(payload, place, size, table, out, names, seen):
    """Members of an object, from `place` (behind its brace, or where it was left) to its end.

    `table`, `out`, `names`: addresses of a Members' table, of its cells, of a table of names.
    `seen`: the members read before. Returns the place behind the closing brace, what was seen, and
    -1; or the place of a NESTED value's first byte, what was seen, and its number: the caller reads
    it and comes back. FALL as the place: not as the table says, or a member twice.
    """
    count, row = cell_of(table, 0), 0
    while True:
        start, end, value = member(payload, place, size)
        if start == FALL:
            return FALL, seen, -1
        found = name(payload, start, end, size)
        tried = 0
        while tried < count:  # nearly always the first: keys come in one order
            at_row = 1 + row * _ROW_CELLS
            wanted = cell_of(table, at_row), cell_of(table, at_row + 1), cell_of(table, at_row + 2)
            if is_key(found, wanted):
                break
            row = row + 1 if row + 1 < count else 0
            tried += 1
        if tried == count or seen >> row & 1:
            return FALL, seen, -1
        seen |= 1 << row
        kind = cell_of(table, 4 + row * _ROW_CELLS)
        if kind == NESTED:
            return value, seen, row
        first, second, place = _value(payload, value, size, kind, names)
        if place == FALL:
            return FALL, seen, -1
        put_cell(out, 2 * row, first)
        put_cell(out, 2 * row + 1, second)
        place, closed = after(payload, place, size, CLOSE_BRACE)
        if place == FALL or closed:
            return place, seen, -1
        row = row + 1 if row + 1 < count else 0


@njit(cache=True, forceinline=True)
def is_end(payload, place, size):
    """Nothing but white space is left."""
    return skip_space(payload, place, size) == size
