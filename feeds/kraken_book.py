"""The best levels of a Kraken product, and the checksum that proves them (spot.md 3).

The checksum is CRC32 over the ten best asks, then bids: price and size as the venue printed them,
without the dot and leading zeros. So the printed digits are kept beside the numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from zlib import crc32

CHECKED = 10
Level = tuple[int, int, str]  # price_e8, size_e8, the digits of both as printed


def digits(price: str, size: str) -> str:
    """What a level adds to the checksum's text."""
    return price.replace(".", "").lstrip("0") + size.replace(".", "").lstrip("0")


class Side:
    """One side, best first, cut to the subscribed depth. `sign` -1 for bids, 1 for asks."""

    __slots__ = ("_depth", "_keys", "_levels", "_sign")

    def __init__(self, sign: int, depth: int) -> None:
        self._sign = sign
        self._depth = depth
        self._keys: list[int] = []  # sign × price: ascending, best first
        self._levels: dict[int, tuple[int, str]] = {}

    def clear(self) -> None:
        """No level stands."""
        self._keys.clear()
        self._levels.clear()

    def apply(self, levels: Iterable[Level]) -> None:
        """Absolute sizes; 0 removes. Then the side is cut: levels that fall out are not told."""
        keys, held = self._keys, self._levels
        for price_e8, size_e8, text in levels:
            key = self._sign * price_e8
            if size_e8 and key in held:
                held[key] = (size_e8, text)
            elif size_e8:
                keys.insert(bisect_left(keys, key), key)
                held[key] = (size_e8, text)
            elif key in held:
                del held[key]
                del keys[bisect_left(keys, key)]
        for key in keys[self._depth :]:
            del held[key]
        del keys[self._depth :]

    @property
    def best(self) -> tuple[int, int] | None:
        """(price, size) of the touch, None: the side is empty."""
        if not self._keys:
            return None
        key = self._keys[0]
        return self._sign * key, self._levels[key][0]

    def text(self) -> str:
        """The part of the checksum's text that is this side's."""
        return "".join([self._levels[key][1] for key in self._keys[:CHECKED]])


class Book:
    """Both sides. `has_snapshot` False: changes mean nothing."""

    def __init__(self, depth: int) -> None:
        self.bids, self.asks = Side(-1, depth), Side(1, depth)
        self.has_snapshot = False

    def clear(self) -> None:
        """Until the next snapshot."""
        self.bids.clear()
        self.asks.clear()
        self.has_snapshot = False

    def checksum(self) -> int:
        """Of the book as it stands."""
        return crc32((self.asks.text() + self.bids.text()).encode())
