"""nautilus_trader's Polymarket adapter (Python): bytes of the market channel to a QuoteTick.

Its data client as it is, with the message bus's endpoint counted instead of a data engine: nothing
of nautilus behind the published quote is measured. Both tokens are known, as every change names
both; quotes of YES alone are subscribed, as that is what our feed publishes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import rounds
from nautilus_trader.adapters.polymarket import (
    POLYMARKET_VENUE,
    PolymarketDataClientConfig,
    PolymarketInstrumentProvider,
)
from nautilus_trader.adapters.polymarket.common.parsing import parse_polymarket_instrument
from nautilus_trader.adapters.polymarket.data import PolymarketDataClient
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus, init_logging
from nautilus_trader.common.enums import LogLevel
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import TraderId

KEPT: list[object] = []  # the logging ends with its guard


class Published:
    """The last quote that reached the bus."""

    def __init__(self) -> None:
        self.quote: QuoteTick | None = None

    def process(self, data: object) -> None:
        if isinstance(data, QuoteTick):
            self.quote = data

    def left(self) -> list[str]:
        quote = self.quote
        assert quote is not None, "no quote came out"
        return [
            str(quote.bid_price),
            str(quote.bid_size),
            str(quote.ask_price),
            str(quote.ask_size),
        ]


def make(told: dict[str, Any]) -> dict[str, rounds.Play]:
    loop = asyncio.new_event_loop()
    clock = LiveClock()
    guard = init_logging(level_stdout=LogLevel.ERROR)
    bus = MessageBus(trader_id=TraderId("BENCH-001"), clock=clock)
    cache = Cache()
    found = Published()
    bus.register(endpoint="DataEngine.process", handler=found.process)
    market = told["market"]
    instruments = [
        parse_polymarket_instrument(market, token, outcome)
        for token, outcome in zip(told["tokens"], ("Yes", "No"), strict=True)
    ]
    for instrument in instruments:
        cache.add_instrument(instrument)
    client = PolymarketDataClient(
        loop=loop,
        http_client=None,
        msgbus=bus,
        cache=cache,
        clock=clock,
        instrument_provider=PolymarketInstrumentProvider(client=None, clock=clock),
        config=PolymarketDataClientConfig(),
        name=None,
    )
    client._add_subscription_quote_ticks(instruments[0].id)
    client._create_local_book(instruments[0].id)
    client._create_local_book(instruments[1].id)
    assert client.is_subscribed_quote_ticks(instruments[0].id), POLYMARKET_VENUE

    def play(frames: list[bytes]) -> list[str]:
        handle = client._handle_raw_ws_message
        for frame in frames:
            handle(frame)
        return found.left()

    KEPT.append(guard)
    return dict.fromkeys(told["streams"], play)


rounds.serve(make)
