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
ITEMS_MAX: Final = 150_000  # of a message: the fullest books that fit a frame have 110,000
NUMBER_MAX: Final = 1 << 53  # beyond it a JSON number is not exact everywhere; token ids are text
NUMBER_DIGITS_MAX: Final = 40  # of a decimal text
BODY_MAX_BYTES: Final = 4 << 20  # of a REST answer: 50 markets of Kalshi are 300 KiB
CONNECT_S: Final = 1.0
TOTAL_S: Final = 5.0


def crowded(payload: bytes | memoryview) -> str:
    """The same of a message that is not decoded yet: to make its objects may take too long
    already (0.6 s for a frame full of empty lists). Each item but the first has a comma."""
    items = bytes(payload).count(b",") if len(payload) > ITEMS_MAX else 0
    return f"items: found {items} or more, wanted at most {ITEMS_MAX}" if items > ITEMS_MAX else ""


def excess(value: object) -> str:
    """What of a decoded message is beyond a limit, found and wanted; "" if nothing is. Depth by
    depth, and no further than a limit: a frame must not hold up those behind it."""
    level, depth, items = [value], 0, 0
    while level:
        depth += 1
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                here, inner = sum(map(len, each)), list(each.values())
            elif isinstance(each, list):
                here, inner = 0, each
            else:
                return _number(each)  # the message is one value
            if depth > DEPTH_MAX:
                return f"depth: found more than {DEPTH_MAX}, wanted at most that"
            items += len(inner)
            if items > ITEMS_MAX:
                return f"items: found {items} or more, wanted at most {ITEMS_MAX}"
            for one in inner:
                if isinstance(one, str):
                    here += len(one)
                elif isinstance(one, dict | list):
                    below.append(one)
                elif found := _number(one):
                    return found
            if here > LEVEL_MAX_BYTES:
                wanted = f"wanted at most {LEVEL_MAX_BYTES}"
                return f"level: found {here} bytes at depth {depth}, {wanted}"
        level = below
    return ""


def _number(value: object) -> str:
    if isinstance(value, int | float) and not abs(value) <= NUMBER_MAX:
        return f"number: found {str(value)[:40]}, wanted at most 2**53"
    return ""
