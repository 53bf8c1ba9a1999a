"""Prices of exchanges, and the composite that stands in for an index whose relay is down.

Each exchange counts with its own difference from the index, as it was while the relay was heard; of
one in dollars that was never compared none is known, and it counts as it is; one in another money
(USDT) does not count before. What the relay did not tell stays unknown: the composite prices what
is to come, it never stands for a tick of a settlement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import hypot, nan

import numpy as np

from engine import cells as c
from engine.basis import Basis
from engine.composite import ERROR, composite_e8
from shm_layout import E8, NO_ASK_E6, NONE_NS, Words

SPOT_AGE_NS = 2_000_000_000
STRAYS = 3.0  # deviations: an exchange further from the composite of now does not lead it
RELAY, COMPOSITE = range(2)  # MARKET_TERMS.source
Bases = Mapping[tuple[int, int], Basis]  # of an index to a slot


@dataclass(frozen=True, slots=True)
class Exchange:
    """A product in the block `spot` that an index is made of, or follows it."""

    slot: int
    is_dollars: bool = True


@dataclass(slots=True)
class Spot:
    """The newest price of a product: dollars, its stamp, and when it was heard (machine time; 0:
    it may not be used). Bid and ask in 1e-8; both the last trade where no touch is told."""

    price: float = 0.0
    bid_e8: int = 0
    ask_e8: int = 0
    at_ns: int = 0
    heard_ns: int = 0

    def take(self, body: Words, now_ns: int) -> bool:
        """An entry of the ring; whether it is a new price. Untrusted, it takes the one before it
        along."""
        bid, ask, at_ns = int(body[c.X_BID]), int(body[c.X_ASK]), int(body[c.X_EVENT])
        if not 0 < bid < ask < NO_ASK_E6:
            bid = ask = int(body[c.X_LAST])
        if body[c.X_TRUST]:
            self.heard_ns = 0
            return False
        if bid <= 0 or at_ns <= 0 or at_ns < self.at_ns:
            return False
        self.price, self.bid_e8, self.ask_e8 = (bid + ask) / 2 / E8, bid, ask
        self.at_ns, self.heard_ns = at_ns, now_ns
        return True

    def is_fresh(self, now_ns: int) -> bool:
        """Whether it is a price of now."""
        return self.heard_ns > 0 and now_ns - self.heard_ns <= SPOT_AGE_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What an index is taken to be: the price in `slot`, which leads it, plus `level`. All in
    dollars; `error`: how far it may be off, of which `own` is the composite's."""

    slot: int
    price: float
    at_ns: int
    level: float = 0.0
    error: float = 0.0
    own: float = 0.0


@dataclass(slots=True)
class StandIn:
    """One index from its exchanges. `apart`: how far the composite is from each of them."""

    index: int
    exchanges: tuple[Exchange, ...]
    value: float = nan
    apart: dict[int, Basis] = field(default_factory=dict)

    def look(self, spots: Mapping[int, Spot], bases: Bases, now_ns: int, run_ns: int) -> None:
        """The composite of now; too few exchanges: NaN."""
        rows = list(self._rows(spots, bases))
        columns = np.array(rows, np.int64).reshape(-1, 3).T.copy()
        found = int(composite_e8(columns[0], columns[1], columns[2], now_ns))
        self.value = nan if found == NONE_NS else found / E8
        if found == NONE_NS:
            return
        for exchange in self.exchanges:
            spot = spots.get(exchange.slot)
            if spot is not None and spot.is_fresh(now_ns):
                basis = self.apart.setdefault(exchange.slot, Basis())
                basis.take(self.value, spot.price, run_ns)

    def _rows(self, spots: Mapping[int, Spot], bases: Bases) -> Iterable[tuple[int, int, int]]:
        """(bid, ask, stamp) of each exchange, moved to where the index was beside it."""
        for exchange in self.exchanges:
            spot, basis = spots.get(exchange.slot), bases.get((self.index, exchange.slot))
            is_compared = basis is not None and basis.is_known
            if spot is None or spot.heard_ns <= 0 or not (is_compared or exchange.is_dollars):
                continue
            level_e8 = round(basis.level * E8) if basis is not None else 0
            yield spot.bid_e8 + level_e8, spot.ask_e8 + level_e8, spot.heard_ns

    def price(self, spots: Mapping[int, Spot], leads: int, now_ns: int) -> Price | None:
        """The index by the composite, led by `leads` if that is heard, else by an exchange of it.
        None: there is no composite."""
        if not self.value > 0:
            return None
        for slot in (leads, *(exchange.slot for exchange in self.exchanges)):
            spot, basis = spots.get(slot), self.apart.get(slot)
            if spot is None or basis is None or not spot.is_fresh(now_ns):
                continue
            own, price = ERROR * self.value, spot.price + basis.level
            error = hypot(basis.sd(spot.price), own)
            if abs(price - self.value) <= STRAYS * error:
                return Price(
                    slot=slot, price=price, at_ns=spot.at_ns, level=basis.level, error=error,
                    own=own,
                )  # fmt: skip
        return None
