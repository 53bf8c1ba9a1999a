"""Where an hour's candle begins: the first trade of the hour, if it was surely the first.

An exchange numbers its trades one by one, so a trade is the first of its hour if the one numbered
before it was seen and fell into an earlier hour. If that was not seen, nobody knows: no strike.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine import cells as c
from shm_layout import Words

HOUR_NS = 3_600 * 10**9
KEPT = 4  # hours of a product


@dataclass(slots=True)
class Candles:
    """Opening prices in 1e-8 by slot of the block `spot` and beginning of the hour."""

    _last: dict[int, tuple[int, int]] = field(default_factory=dict)  # trade and its hour
    _opens: dict[int, dict[int, int]] = field(default_factory=dict)

    def take(self, slot: int, body: Words) -> None:
        """An entry of the ring; one that only changes bid or ask repeats a trade."""
        trade, hour_ns = int(body[c.X_TRADE]), int(body[c.X_EVENT]) // HOUR_NS * HOUR_NS
        before = self._last.get(slot, (0, 0))
        if trade <= before[0]:
            return
        if body[c.X_TRUST] or body[c.X_LAST] <= 0 or hour_ns <= 0:
            self._last.pop(slot, None)  # what comes next follows nothing
            return
        self._last[slot] = trade, hour_ns
        if trade == before[0] + 1 and 0 < before[1] < hour_ns:
            opens = self._opens.setdefault(slot, {})
            opens[hour_ns] = int(body[c.X_LAST])
            while len(opens) > KEPT:
                del opens[next(iter(opens))]

    def opened_e8(self, slot: int, at_ns: int) -> int | None:
        """The opening price of the hour that begins at `at_ns`. None: not heard."""
        return self._opens.get(slot, {}).get(at_ns)
