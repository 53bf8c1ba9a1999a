"""The exchanges beside Coinbase: one path of prices, at each a little later and a little beside.

A real composite is no single price: exchanges differ by a few basis points, a USDT pair by the
slowly moving worth of USDT besides (spot.md 5: BTCUSDT stood 3 to 8.5 bp under the dollar price in
autumn 2026), and the same move reaches each at its own time. All of it is a function of the
script's digest and the time: one script, one set of tapes.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from ops.venues.numerals import MS_NS, SECOND_NS
from ops.venues.script import Event, ExchangeTrade, SpotTrade

BP_E8 = 10_000  # a basis point of a price, in 1e-8
# What a script's product is called there, and the smallest price step of its market (1e-8)
LISTED: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "binance": {"BTC-USD": ("BTCUSDT", 1_000_000), "ETH-USD": ("ETHUSDT", 1_000_000)},
    "kraken": {"BTC-USD": ("BTC/USD", 10_000_000), "ETH-USD": ("ETH/USD", 1_000_000)},
    "coingecko": {"BTC-USD": ("bitcoin", 1), "ETH-USD": ("ethereum", 1)},
}
_DELAY_MS = {"binance": (2, 15), "kraken": (5, 40), "coingecko": (500, 3_000)}
_BASIS_BP = {"binance": (-6, -5), "kraken": (-2, 2), "coingecko": (-1, 1)}
_SWING_BP = {"binance": 2, "kraken": 1, "coingecko": 0}  # to either side, slowly


class Past(NamedTuple):
    """Where a product's price stood when the script began, and its volatility a year before
    (1e6: 100 %)."""

    at_epoch_ns: int
    price_e8: int
    year_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """How one exchange differs from the script's path. `listed`: product to (symbol, price step).

    The price there is the script's times 1 + basis, the basis in 1e-8, moving up and down by
    `swing_e8` within `period_ns`; `delay_ns` (whole ms) later in run time. `past`: of a
    product in the days before; absent: nothing is told of them.
    """

    venue: str
    listed: Mapping[str, tuple[str, int]]
    delay_ns: int = 0
    basis_e8: int = 0
    swing_e8: int = 0
    period_ns: int = 600 * SECOND_NS
    past: Mapping[str, Past] = field(default_factory=dict)

    def basis_at_e8(self, epoch_ns: int) -> int:
        """The basis of a moment: a triangle around `basis_e8`."""
        half = self.period_ns // 2
        away = abs(epoch_ns % self.period_ns - half)  # half … 0 … half
        return self.basis_e8 + self.swing_e8 * (2 * away - half) // half

    def shown(self, trade: SpotTrade) -> ExchangeTrade | None:
        """The script's trade as it happens here, None: not listed. On the market's price grid."""
        found = self.listed.get(trade.product)
        if found is None:
            return None
        symbol, tick_e8 = found
        moved_e8 = trade.price_e8 + trade.price_e8 * self.basis_at_e8(trade.at_epoch_ns) // 10**8
        return ExchangeTrade(
            trade.at_epoch_ns + self.delay_ns,
            self.venue,
            symbol,
            max(moved_e8 // tick_e8 * tick_e8, tick_e8),
            trade.size_e8,
            trade.taker_side,
            trade.trade_id,
        )


def exchanges(
    products: Sequence[str],
    digest: str,
    venues: Iterable[str] = tuple(LISTED),
    past: Mapping[str, Past] = MappingProxyType({}),
) -> tuple[Exchange, ...]:
    """The exchanges of a script: those of `venues` that list at least one of its products."""
    made = []
    for venue in venues:
        listed = {name: LISTED[venue][name] for name in products if name in LISTED[venue]}
        if listed:
            made.append(replace(_exchange(venue, listed, digest), past=dict(past)))
    return tuple(made)


def _exchange(venue: str, listed: Mapping[str, tuple[str, int]], digest: str) -> Exchange:
    draw = hashlib.sha256(f"{digest}/{venue}".encode()).digest()

    def between(place: int, low: int, high: int) -> int:
        return low + int.from_bytes(draw[place : place + 4], "big") % (high - low + 1)

    low_bp, high_bp = _BASIS_BP[venue]
    return Exchange(
        venue=venue,
        listed=listed,
        delay_ns=between(0, *_DELAY_MS[venue]) * MS_NS,
        basis_e8=between(4, low_bp * BP_E8, high_bp * BP_E8),
        swing_e8=_SWING_BP[venue] * BP_E8,
        period_ns=between(8, 400, 900) * SECOND_NS,
    )


def spread(events: Iterable[Event], exchanges: Sequence[Exchange]) -> Iterator[Event]:
    """The script's events with each exchange's trades among them, ascending in time like the
    script; at one time the script comes first, then the exchanges in their order.
    """
    waiting: list[deque[ExchangeTrade]] = [deque() for _ in exchanges]
    for event in events:
        yield from _due(waiting, event.at_epoch_ns)
        yield event
        if isinstance(event, SpotTrade):
            for exchange, queue in zip(exchanges, waiting, strict=True):
                trade = exchange.shown(event)
                if trade is not None:
                    queue.append(trade)
    yield from _due(waiting, None)


def _due(waiting: list[deque[ExchangeTrade]], before_ns: int | None) -> Iterator[ExchangeTrade]:
    """What happens before `before_ns` (None: all that is left), in time."""
    while True:
        heads = [(queue[0].at_epoch_ns, at) for at, queue in enumerate(waiting) if queue]
        if not heads or (before_ns is not None and min(heads)[0] >= before_ns):
            return
        yield waiting[min(heads)[1]].popleft()
