"""What a fault makes of one message: bytes in, bytes out. None: there is nothing to spoil in it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from websockets.frames import Frame, Opcode

from ops.venues.faults import Fault
from ops.venues.numerals import ONE_E6

ZEROS = bytes(1 << 16)
RSV1 = 0x40  # of a frame's first byte: compressed
_PRICES = ("price_dollars", "price", "p")
_LADDERS = ("yes_dollars_fp", "no_dollars_fp", "yes_dollars", "no_dollars")
# Least number that is a stamp of this unit, and how many of the unit are a millisecond.
_STAMPS = ((10**17, 10**6, 1), (10**14, 10**3, 1), (10**11, 1, 1), (10**9, 1, 1_000))
_MS_A_DAY = timedelta(milliseconds=1)

Pair = tuple[str, Any]


def drifted(text: bytes, field: str, how: str, factor: int) -> bytes | None:
    """The field `field`, wherever it stands, renamed, missing, retyped, rescaled by `factor`,
    suddenly zero, or an unknown one added beside it.
    """

    def change(key: str, value: Any) -> list[Pair]:
        if key != field:
            return [(key, value)]
        if how == "renamed":
            return [(f"{key}_v2", value)]
        if how == "missing":
            return []
        if how == "added":
            return [(key, value), (f"{key}_new", value)]
        spoil = {"retyped": _retyped, "zero": _zero}.get(how, lambda one: _rescaled(one, factor))
        return [(key, spoil(value))]

    return _each(text, change)


def stale(text: bytes, offset_ms: int) -> bytes | None:
    """Every stamp moved by `offset_ms`."""

    def change(key: str, value: Any) -> list[Pair]:
        return [(key, _moved(key, value, offset_ms))]

    return _each(text, change)


def off_grid(text: bytes, offset_e6: int) -> bytes | None:
    """The first price lies `offset_e6` beside where it should be."""
    is_done = False

    def change(key: str, value: Any) -> list[Pair]:
        nonlocal is_done
        if is_done:
            return [(key, value)]
        if key in _PRICES and isinstance(value, str) and (moved := _beside(value, offset_e6)):
            is_done = True
            return [(key, moved)]
        if key in _LADDERS and isinstance(value, list) and value:
            (price, size), *rest = value
            if moved := _beside(price, offset_e6):
                is_done = True
                return [(key, [[moved, size], *rest])]
        return [(key, value)]

    return _each(text, change)


def padded(text: bytes, size: int) -> bytes:
    """The same message, with blanks up to `size` bytes."""
    return text + b" " * max(0, size - len(text))


def nested(text: bytes, depth: int) -> bytes:
    """The same object with one more key, which holds lists in lists."""
    deep = b"[" * depth + b"]" * depth
    inside = text.strip()
    if not inside.startswith(b"{"):
        return deep
    return b'{"deep":' + deep + (b"}" if inside == b"{}" else b"," + inside[1:])


def deflated(size: int, *, is_http: bool) -> bytes:
    """What becomes `size` zeros: a body in gzip, or a whole frame that says it is compressed though
    nobody agreed to it.
    """
    packer = zlib.compressobj(9, wbits=31 if is_http else -15)
    packed = [packer.compress(ZEROS[: min(len(ZEROS), size - at)])
              for at in range(0, size, len(ZEROS))]  # fmt: skip
    body = b"".join((*packed, packer.flush()))
    if is_http:
        return body
    frame = bytearray(whole(body))
    frame[0] |= RSV1
    return bytes(frame)


def whole(text: bytes) -> bytes:
    """The bytes of one text frame."""
    return Frame(Opcode.TEXT, text).serialize(mask=False)


def _each(text: bytes, change: Callable[[str, Any], list[Pair]]) -> bytes | None:
    """The message with every key passed through `change`, the outer ones first."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            pairs = [pair for key, one in value.items() for pair in change(key, one)]
            return {key: walk(one) for key, one in pairs}
        return [walk(one) for one in value] if isinstance(value, list) else value

    made = walk(found)
    if made == found:
        return None
    return orjson.dumps(made) + (b"\n" if text.endswith(b"\n") else b"")


def _retyped(value: Any) -> Any:
    if isinstance(value, str):
        number = _decimal(value)
        return [value] if number is None else float(number)
    if isinstance(value, bool | int | float):
        return str(value)
    return str(orjson.dumps(value), "utf-8")


def _zero(value: Any) -> Any:
    if isinstance(value, str):
        return "" if _decimal(value) is None else "0"
    return type(value)()


def _rescaled(value: Any, factor: int) -> Any:
    if isinstance(value, str):
        number = _decimal(value)
        return value if number is None else format(number * factor, "f")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value * factor
    if isinstance(value, list):
        return [_rescaled(one, factor) for one in value]
    return value


def _decimal(text: object) -> Decimal | None:
    if not isinstance(text, str) or len(text) > 40 or "_" in text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _beside(text: object, offset_e6: int) -> str | None:
    price = _decimal(text)
    if price is None:
        return None
    offset = Decimal(offset_e6) / ONE_E6
    return format(price - offset if price + offset >= 1 > price else price + offset, "f")


def _moved(key: str, value: Any, offset_ms: int) -> Any:
    if isinstance(value, str):
        if value.isdigit() and value.isascii() and 10 <= len(value) <= 19 and "time" in key:
            return str(_moved(key, int(value), offset_ms))
        if len(value) >= 20 and value[10] == "T" and value.endswith("Z"):
            return _iso(value, offset_ms)
    elif isinstance(value, int) and not isinstance(value, bool):
        for least, per_ms, ms_per in _STAMPS:
            if value >= least:
                return value + offset_ms * per_ms // ms_per
    return value


def _iso(text: str, offset_ms: int) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    shown = (moment + offset_ms * _MS_A_DAY).astimezone(UTC).replace(tzinfo=None)
    digits = len(text) - 21  # after the point, which a whole second lacks
    if digits < 1:
        return shown.isoformat(timespec="seconds") + "Z"
    return shown.isoformat(timespec="microseconds").ljust(20 + digits, "0")[: 20 + digits] + "Z"


SPOILED = frozenset({"stale_clock", "wrong_tick", "drift", "oversize"})


def spoil(fault: Fault, text: bytes) -> bytes | None:
    """The message with this fault in it, None: it has nothing of the kind."""
    if fault.kind == "stale_clock":
        return stale(text, fault.offset_ms or 0)
    if fault.kind == "wrong_tick":
        return off_grid(text, fault.offset_e6)
    if fault.kind == "drift":
        return drifted(text, fault.field, fault.how, fault.factor)
    return padded(text, fault.bytes)
