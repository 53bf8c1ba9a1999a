"""cryptofeed's Binance and Coinbase handlers: bytes of a frame to the callback with its trade or
ticker.

Its feeds as they are, their symbols filled in by hand (it would fetch them). Binance's trades come
as aggTrade, the stream it subscribes; Coinbase's as market_trades of Advanced Trade, the only one
it speaks.
"""

from __future__ import annotations

import asyncio
from typing import Any

import rounds
from cryptofeed.defines import BINANCE, COINBASE, TICKER, TRADES
from cryptofeed.exchanges import Binance, Coinbase
from cryptofeed.symbols import Symbols

LEFT: list[str] = []


async def trade(found: Any, receipt: float) -> None:
    LEFT[:] = [str(found.price), str(found.amount)]


async def ticker(found: Any, receipt: float) -> None:
    LEFT[:] = [str(found.bid), str(found.ask)]


def make(told: dict[str, Any]) -> dict[str, rounds.Play]:
    loop = asyncio.new_event_loop()
    Symbols.set(BINANCE, {"BTC-USDT": "BTCUSDT"}, {"instrument_type": {"BTC-USDT": "spot"}})
    Symbols.set(COINBASE, {"BTC-USD": "BTC-USD"}, {"instrument_type": {"BTC-USD": "spot"}})
    binance = Binance(
        symbols=["BTC-USDT"],
        channels=[TRADES, TICKER],
        callbacks={TRADES: trade, TICKER: ticker},
    )
    coinbase = Coinbase(symbols=["BTC-USD"], channels=[TRADES], callbacks={TRADES: trade})

    def play(feed: Any) -> rounds.Play:
        async def all_of(frames: list[bytes]) -> None:
            handle = feed.message_handler
            for frame in frames:
                await handle(frame.decode(), None, 1.0)

        def one_round(frames: list[bytes]) -> list[str]:
            loop.run_until_complete(all_of(frames))
            return list(LEFT)

        return one_round

    return {
        name: play(coinbase if name.startswith("coinbase") else binance) for name in told["streams"]
    }


rounds.serve(make)
