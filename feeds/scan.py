# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""JSON read where it lies, compiled: the frames that make up nearly all of a stream become one call
from Python, bytes to quote.

A scanner takes a frame only if it is exactly what the venue is known to send: plain ASCII, no
escapes, known keys once each, every text a number of the form wanted. Anything else is FALL, and
nothing was changed: the venue's file decodes such a frame with types, as it would have decoded all,
and finds there whatever is wrong or new. So a scanner knows no errors, and an unknown key can never
pass through it unseen. What both make of a frame must be the same, which the tests compare.

Here are bytes, numbers, times and names; feeds/scan_object.py reads objects by a table of members.

Why: typed decoding makes objects of texts that are wanted as three integers (a Polymarket change
6.6 us through msgspec and back into a kernel, 2 us here).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, typeof, types
from numba.extending import intrinsic

from shm_layout import Words

FALL: Final = -1  # not a frame for the scanner; as a value: not a number of ours
QUOTE, COLON = 34, 58
WHOLE_DIGITS_MAX = 9  # with 8 decimals still far below 2**63
FRACTION_DIGITS_MAX = 30
NAME_WORDS = 10  # 80 bytes: a token id has up to 78 digits, a ticker up to 64
NAME_CELLS = 12  # its words, its length, its value
_MIX = 0x1E3779B97F4A7C15
NS, DAY_S = 1_000_000_000, 86_400
# eight of the same byte: 1, ", backslash, space; and the top bit of each
_ONES, _QUOTES, _SLASHES, _SPACES = (byte * 0x0101010101010101 for byte in (1, 34, 92, 32))
_HIGH = -0x7F7F7F7F7F7F7F80
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


_FRAME: Final = memoryview(b"{}")  # of the type that every frame has here, writable or not


def direct(
    scanner: Any, words: Words, state: Words, memory: Words, *flags: bool
) -> Callable[..., int]:
    """A scanner's entry for exactly these arrays, a frame, its time and as many flags: what each
    argument is, is not looked up anew with every frame (300 to 400 ns of 600, and most of that for
    the memoryview). The caller gives it nothing else.
    """
    like = (words, state, memory, _FRAME, 0, *flags)
    entry: Callable[..., int] = scanner.compile(tuple(typeof(each) for each in like))
    return entry


def key(text: str) -> tuple[int, int, int]:
    """A key of at most 16 ASCII bytes as what `is_key` compares: length, first 8, last 8 bytes."""
    raw = text.encode("ascii")
    assert 0 < len(raw) <= 16, text
    return len(raw), int.from_bytes(raw[:8], "little"), int.from_bytes(raw[-8:], "little")


# ---------------------------------------------------------------------------------------- memory
#
# Frames and tables are passed on as addresses: a compiled function counts references to every array
# it hands to another, which took longer than reading the frame.


def _pointer(builder, address, place, bits):
    """Element `place` of integers of so many bits at an address."""
    start = builder.inttoptr(address, ir.IntType(bits).as_pointer())
    return builder.gep(start, [place])


@intrinsic
def address(typingctx, array):
    """Where the first element of an array or memoryview lies; the caller keeps it alive."""

    def codegen(context, builder, signature, args):
        made = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.ptrtoint(made.data, ir.IntType(64))

    return types.int64(array), codegen


@intrinsic
def byte_of(typingctx, payload, place):
    """The byte at `place` of the frame at an address."""

    def codegen(context, builder, signature, args):
        value = builder.load(_pointer(builder, args[0], args[1], 8))
        return builder.zext(value, ir.IntType(64))

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _eight(typingctx, payload, place):
    """Eight bytes from `place` on as one little-endian word. Not bounded: the caller is."""

    def codegen(context, builder, signature, args):
        start = builder.bitcast(_pointer(builder, args[0], args[1], 8), ir.IntType(64).as_pointer())
        word = builder.load(start)
        word.align = 1
        return word

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def cell_of(typingctx, table, place):
    """Cell `place` of the int64 array at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(_pointer(builder, args[0], args[1], 64))

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def put_cell(typingctx, table, place, value):
    """Store into cell `place` of the int64 array at an address."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _pointer(builder, args[0], args[1], 64))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


# ------------------------------------------------------------------------------------ characters


@njit(cache=True, forceinline=True)
def at(payload, place, size):
    """The byte at `place`; 0 behind the end, which no JSON has."""
    return byte_of(payload, place) if 0 <= place < size else 0


@njit(cache=True, forceinline=True)
def skip_space(payload, place, size):
    """The next place that is no white space."""
    while place < size:
        byte = byte_of(payload, place)
        if byte != 32 and byte != 10 and byte != 13 and byte != 9:
            break
        place += 1
    return place


@intrinsic
def _lowest(typingctx, mask):
    """Place of the lowest byte of a word (not 0) that has a bit set."""

    def codegen(context, builder, signature, args):
        bits = builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))
        return builder.lshr(bits, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.int64), codegen


@njit(cache=True, forceinline=True)
def string_end(payload, place, size):
    """The closing quote of a string whose first byte is at `place`; FALL if it is not plain.

    Eight bytes at a time: the lowest byte that is a quote, a backslash, a control character or no
    ASCII decides (the subtraction can mark bytes above a marked one only).
    """
    while place + 8 <= size:
        word = _eight(payload, place)
        quotes, slashes = word ^ _QUOTES, word ^ _SLASHES
        marked = (
            ((quotes - _ONES) & ~quotes) | ((slashes - _ONES) & ~slashes) | (word - _SPACES) | word
        ) & _HIGH
        if marked != 0:
            place += _lowest(marked)
            return place if byte_of(payload, place) == QUOTE else FALL
        place += 8
    while place < size:
        byte = byte_of(payload, place)
        if byte == QUOTE:
            return place
        if byte < 32 or byte == 92 or byte > 127:
            return FALL
        place += 1
    return FALL


@njit(cache=True, forceinline=True)
def packed(payload, start, end, size):
    """The first 8 bytes between `start` and `end` as a word, as `key` packs them."""
    length = end - start
    if length >= 8:
        return _eight(payload, start)
    if start + 8 <= size:
        return _eight(payload, start) & ((np.int64(1) << np.int64(8 * length)) - 1)
    word = np.int64(0)
    for i in range(length):
        word |= byte_of(payload, start + i) << np.int64(8 * i)
    return word


@njit(cache=True, forceinline=True)
def name(payload, start, end, size):
    """These bytes (ASCII, without a check beyond 16) as what `is_key` compares."""
    tail = start if end - start < 8 else end - 8
    return end - start, packed(payload, start, end, size), packed(payload, tail, end, size)


@njit(cache=True, forceinline=True)
def is_key(found, wanted):
    """Whether what `name` made of some bytes is this key (of `key`)."""
    return found[0] == wanted[0] and found[1] == wanted[1] and found[2] == wanted[2]


# --------------------------------------------------------------------------------------- numbers


@njit(cache=True, forceinline=True)
def decimal(payload, start, end, decimals):
    """A plain decimal text, exact, in 1/10**decimals: as `shm_layout.text_to_int`, without a sign.
    FALL if it is not one, is too long, or has a digit too small for `decimals`."""
    value, place = np.int64(0), start
    while place < end and 48 <= byte_of(payload, place) <= 57:
        value = value * 10 + (byte_of(payload, place) - 48)
        place += 1
        if place - start > WHOLE_DIGITS_MAX:
            return FALL
    if place == start:
        return FALL
    left = decimals
    if place < end:
        if byte_of(payload, place) != 46 or not 0 < end - place - 1 <= FRACTION_DIGITS_MAX:
            return FALL
        for i in range(place + 1, end):
            digit = byte_of(payload, i) - 48
            if not 0 <= digit <= 9 or (left == 0 and digit != 0):
                return FALL
            if left > 0:
                value = value * 10 + digit
                left -= 1
    for _ in range(left):
        value *= 10
    return value


@njit(cache=True, forceinline=True)
def digits(payload, start, end, most):
    """A text of 1 to `most` digits (15 at most) as a number, else FALL."""
    if not 0 < end - start <= min(most, 15):
        return FALL
    value = np.int64(0)
    for i in range(start, end):
        digit = byte_of(payload, i) - 48
        if not 0 <= digit <= 9:
            return FALL
        value = value * 10 + digit
    return value


@njit(cache=True)
def whole(payload, place, size):
    """A JSON number without sign, fraction and exponent, of 15 digits at most: its value, and the
    place behind it; FALL if it is none."""
    end = place
    while end < size and 48 <= byte_of(payload, end) <= 57:
        end += 1
    byte = at(payload, end, size)
    if (
        byte == 46
        or byte == 69
        or byte == 101
        or (end - place > 1 and byte_of(payload, place) == 48)
    ):
        return FALL, FALL
    value = digits(payload, place, end, 15)
    return (value, end) if value != FALL else (FALL, FALL)


@njit(cache=True)
def iso_ns(payload, start, end):
    """A time such as 2026-05-13T21:51:32.145616Z, with up to nine digits of a second or none, as ns
    since 1970; FALL if it is not one."""
    size = end - start
    if size < 20 or size > 30 or size == 21 or byte_of(payload, end - 1) != 90:
        return FALL
    dashes = byte_of(payload, start + 4) == 45 and byte_of(payload, start + 7) == 45
    colons = byte_of(payload, start + 13) == COLON and byte_of(payload, start + 16) == COLON
    if not dashes or not colons or byte_of(payload, start + 10) != 84:
        return FALL
    year, month = digits(payload, start, start + 4, 4), digits(payload, start + 5, start + 7, 2)
    day = digits(payload, start + 8, start + 10, 2)
    hour = digits(payload, start + 11, start + 13, 2)
    minute = digits(payload, start + 14, start + 16, 2)
    second = digits(payload, start + 17, start + 19, 2)
    if not (1970 <= year < 2100 and 1 <= month <= 12 and 0 <= hour < 24):
        return FALL
    leap = year % 4 == 0  # 2000 is one, 2100 is out of range
    most = _MONTHS[month - 1] + (1 if leap and month == 2 else 0)
    if not (1 <= day <= most and 0 <= minute < 60 and 0 <= second < 60):
        return FALL
    fraction = np.int64(0)
    if size > 20:
        fraction = digits(payload, start + 20, end - 1, 9)
        if byte_of(payload, start + 19) != 46 or fraction == FALL:
            return FALL
        for _ in range(9 - (end - 1 - (start + 20))):
            fraction *= 10
    days = (year - 1970) * 365 + (year - 1969) // 4 + day - 1
    for i in range(month - 1):
        days += _MONTHS[i]
    if leap and month > 2:
        days += 1
    return ((days * DAY_S) + hour * 3_600 + minute * 60 + second) * NS + fraction


# ----------------------------------------------------------------------------------------- names


def names_of(values: Mapping[str, int]) -> Words:
    """A table in which `find` looks up these names (ASCII, 1 to 80 bytes), values from 0 on."""
    capacity = 4
    while capacity < 4 * len(values):
        capacity *= 2
    table = np.zeros(1 + capacity * NAME_CELLS, np.int64)
    table[0] = capacity
    for text, value in values.items():
        raw = np.frombuffer(text.encode("ascii"), np.uint8)
        assert 0 < len(raw) <= 8 * NAME_WORDS and value >= 0, (text, value)
        known = find(table.ctypes.data, 0, raw.ctypes.data, 0, len(raw), len(raw))
        assert known == FALL, f"{text} stands twice"
        words = np.zeros(NAME_WORDS, np.int64)
        words.view(np.uint8)[: len(raw)] = raw
        mixed = len(raw)
        for word in words[: -(-len(raw) // 8)]:
            mixed = int(_mix(mixed, word))
        slot = mixed & (capacity - 1)
        while table[1 + slot * NAME_CELLS + NAME_WORDS]:
            slot = (slot + 1) & (capacity - 1)
        row = 1 + slot * NAME_CELLS
        table[row : row + NAME_WORDS] = words
        table[row + NAME_WORDS], table[row + NAME_WORDS + 1] = len(raw), value
    return table


@njit(cache=True, forceinline=True)
def _mix(mixed, word):
    """One more word into a name's hash; it wraps."""
    mixed = (mixed ^ word) * _MIX
    return mixed ^ (mixed >> 29)


@njit(cache=True)
def find(table, base, payload, start, end, size):
    """The value of the name that these bytes are, in the table at `base`; FALL if it is unknown."""
    length = end - start
    if not 0 < length <= 8 * NAME_WORDS:
        return FALL
    mixed = np.int64(length)
    for first in range(start, end, 8):
        mixed = _mix(mixed, packed(payload, first, min(first + 8, end), size))
    capacity = cell_of(table, base)
    slot = mixed & (capacity - 1)
    while True:
        row = base + 1 + slot * NAME_CELLS
        if cell_of(table, row + NAME_WORDS) == 0:
            return FALL
        if cell_of(table, row + NAME_WORDS) == length:
            at_word, same = row, True
            for first in range(start, end, 8):
                same &= cell_of(table, at_word) == packed(payload, first, min(first + 8, end), size)
                at_word += 1
            if same:
                return cell_of(table, row + NAME_WORDS + 1)
        slot = (slot + 1) & (capacity - 1)
