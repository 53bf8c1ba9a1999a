"""Polymarket's reference prices: a Chainlink-like spot once a second, its 30 and 60 s TWAPs, and
two minutes of their history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ops.venues.indices import Seconds, mean_e8
from ops.venues.numerals import MS_NS, SECOND_NS
from ops.venues.script import IndexTick

HISTORY = 120  # points kept of each series
SPOT = 0  # the window of a series that is no average
WINDOWS = (SPOT, 30, 60)


@dataclass(frozen=True, slots=True)
class Print:
    """One value of one series. `window_s`: SPOT, or the length of its average."""

    symbol: str
    window_s: int
    stamp_ms: int
    value_e8: int


class PriceTape:
    """Series by symbol and window. A TWAP is printed once its whole window is known."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self.symbols = symbols
        self._seconds = {symbol: Seconds() for symbol in symbols}
        self._history: dict[tuple[str, int], deque[Print]] = {
            (symbol, window): deque(maxlen=HISTORY) for symbol in symbols for window in WINDOWS
        }

    def prints(self, event: IndexTick) -> Iterator[Print]:
        """What one tick makes: the spot, and the averages that end with it."""
        seconds = self._seconds.get(event.index)
        if seconds is None or event.at_epoch_ns % SECOND_NS:
            return
        seconds.add(event.at_epoch_ns, event.value_e8)
        second = event.at_epoch_ns // SECOND_NS
        for window in WINDOWS:
            values = seconds.between(second - max(window, 1) + 1, second + 1)
            if len(values) == max(window, 1):
                stamp_ms = event.at_epoch_ns // MS_NS
                yield Print(event.index, window, stamp_ms, mean_e8(values))

    def keep(self, printed: Print) -> None:
        """It is out: from now on it is history."""
        self._history[printed.symbol, printed.window_s].append(printed)

    def history(self, symbol: str, window_s: int) -> list[Print]:
        """Oldest first."""
        return list(self._history[symbol, window_s])
