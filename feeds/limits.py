"""How much of anything a venue may send: one table, and the look at a whole message.

Proposed by shared/reference/lowlatency.md section 8. What the typed decoders skip costs nothing and
is not used, so a frame is looked at as a whole only now and then (feeds/sentinel.py), and always if
it is longer than LEVEL_MAX_BYTES. What is used is bounded where it becomes a value, every time.
"""

from __future__ import annotations

from typing import Final

FRAME_MAX_BYTES: Final = 1 << 20  # of market data, after joining fragments; then close 1009
FRAGMENTS_MAX: Final = 64
CONTROLS_MAX: Final = 10  # control frames a second: a venue sends one in ten, and our pongs
HEADER_MAX_BYTES: Final = 8 << 10  # of one header of the answer; picows takes at most 128
HANDSHAKE_S: Final = 3.0
DEPTH_MAX: Final = 16
LEVEL_MAX_BYTES: Final = 64 << 10  # of the texts that stand together in one object or list
NUMBER_MAX: Final = 1 << 53  # beyond it a JSON number is not exact everywhere; token ids are text
NUMBER_DIGITS_MAX: Final = 40  # of a decimal text
BODY_MAX_BYTES: Final = 4 << 20  # of a REST answer: 50 markets of Kalshi are 300 KiB
CONNECT_S: Final = 1.0
TOTAL_S: Final = 5.0


def excess(value: object, depth: int = 1) -> str:
    """What of a decoded message is beyond a limit, found and wanted; "" if nothing is."""
    if isinstance(value, dict):
        here = sum(len(each) for each in value) + sum(_bytes(each) for each in value.values())
        inner = list(value.values())
    elif isinstance(value, list):
        here, inner = sum(_bytes(each) for each in value), value
    else:
        return _number(value)
    if depth > DEPTH_MAX:
        return f"depth: found more than {DEPTH_MAX}, wanted at most that"
    if here > LEVEL_MAX_BYTES:
        return f"level: found {here} bytes at depth {depth}, wanted at most {LEVEL_MAX_BYTES}"
    for each in inner:
        if not isinstance(each, str) and (found := excess(each, depth + 1)):
            return found
    return ""


def _bytes(value: object) -> int:
    return len(value) if isinstance(value, str) else 0


def _number(value: object) -> str:
    if isinstance(value, int | float) and not abs(value) <= NUMBER_MAX:
        return f"number: found {str(value)[:40]}, wanted at most 2**53"
    return ""
