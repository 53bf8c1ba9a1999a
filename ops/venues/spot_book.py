"""The book around the last trade of a spot product. The script has trades only: the rest is a
function of the trade, so that every exchange can show a whole book and nobody keeps one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ops.venues.numerals import SECOND_NS
from ops.venues.script import BID

Level = tuple[int, int]  # price_e8, size_e8
RUNGS = 30  # levels a side: all there is
_GAP_TICKS = 7  # between rungs behind the touch
_WOBBLE = 8  # of the nearest rungs, one is another size after each trade


@dataclass(frozen=True, slots=True)
class SpotBook:
    """Both sides, best first, and how often the market has changed so far."""

    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    update_id: int = 0


def book_after(
    price_e8: int, taker_side: int, trade_id: int, *, tick_e8: int, update_id: int
) -> SpotBook:
    """A touch one tick wide at the trade, rungs on a fixed grid behind it. The taker's side moved
    the touch to its price; sizes belong to prices, but for one that moves with each trade.
    """
    ask_e8 = price_e8 if taker_side == BID else price_e8 + tick_e8
    bid_e8 = ask_e8 - tick_e8
    gap_e8 = _GAP_TICKS * tick_e8
    asks, bids = [ask_e8], [bid_e8]
    above, below = ask_e8 // gap_e8 * gap_e8, -(-bid_e8 // gap_e8) * gap_e8
    asks += [above + gap_e8 * rung for rung in range(1, RUNGS)]
    bids += [below - gap_e8 * rung for rung in range(1, RUNGS)]
    return SpotBook(tuple(_sized(bids, trade_id)), tuple(_sized(asks, trade_id + 3)), update_id)


def _sized(prices: list[int], number: int) -> list[Level]:
    levels = [(price, 1_000 + price * 2_654_435_761 % 399_999_937) for price in prices if price > 0]
    at = number % _WOBBLE
    if at < len(levels):
        price, size = levels[at]
        levels[at] = (price, size + 1 + number % 9_973)
    return levels


def changes(before: tuple[Level, ...], after: tuple[Level, ...]) -> list[Level]:
    """What turns one side into the other, best first of `after`: gone levels with size 0 first."""
    had, has = dict(before), dict(after)
    gone = [(price, 0) for price, _ in before if price not in has]
    return gone + [(price, size) for price, size in after if had.get(price) != size]


def changes_within(before: tuple[Level, ...], after: tuple[Level, ...], depth: int) -> list[Level]:
    """The same for a reader who keeps the best `depth` levels and drops the rest himself: a level
    that merely fell out at the far end of a full book is not told (Kraken's rule, spot.md 3)."""
    after = after[:depth]
    told = changes(before[:depth], after)
    if len(after) < depth:
        return told
    far, is_rising = after[-1][0], after[0][0] < after[-1][0]
    return [
        (price, size) for price, size in told if size or (price < far if is_rising else price > far)
    ]


class Window:
    """At most `limit` things within `length_ns`, in machine time."""

    def __init__(self, limit: int, length_ns: int = SECOND_NS) -> None:
        self._limit = limit
        self._length_ns = length_ns
        self._stamps: deque[int] = deque(maxlen=limit)

    def admits(self, now_ns: int) -> bool:
        """Note one more; False: that was one too many."""
        stamps = self._stamps
        is_full = len(stamps) == self._limit and now_ns - stamps[0] < self._length_ns
        if not is_full:
            stamps.append(now_ns)
        return not is_full
