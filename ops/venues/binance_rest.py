"""The simulated Binance REST (market data only) and both ports of the venue together."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ops.venues.binance import BLOCKED, VENUE, Binance, Product, depth
from ops.venues.exchanges import Exchange
from ops.venues.faults_events import Server
from ops.venues.numerals import MS_NS, SECOND_NS, spot8
from ops.venues.rest import Answer, Call, RestServer, Routes
from ops.venues.script import ASK, Event, ExchangeTrade
from ops.venues.session import Later, RunClock, VenueLog
from ops.venues.spec import VenuesSpec

BARS_MAX, BAR_NS = 1_000, 60 * SECOND_NS
TRADES_MAX = 1_000


class _Bar:
    """One minute: prices in 1e-8, volume in 1e-8, trades."""

    def __init__(self, begin_ns: int, price_e8: int) -> None:
        self.begin_ns = begin_ns
        self.open_e8 = self.high_e8 = self.low_e8 = self.close_e8 = price_e8
        self.volume_e8 = self.quote_e8 = self.trades = self.bought_e8 = self.bought_quote_e8 = 0

    def add(self, trade: ExchangeTrade) -> None:
        price_e8, quote_e8 = trade.price_e8, trade.price_e8 * trade.size_e8 // 10**8
        self.high_e8, self.low_e8 = max(self.high_e8, price_e8), min(self.low_e8, price_e8)
        self.close_e8 = price_e8
        self.volume_e8 += trade.size_e8
        self.quote_e8 += quote_e8
        self.trades += 1
        if trade.taker_side != ASK:
            self.bought_e8 += trade.size_e8
            self.bought_quote_e8 += quote_e8

    def row(self) -> list[Any]:
        prices = (self.open_e8, self.high_e8, self.low_e8, self.close_e8, self.volume_e8)
        end_ms = (self.begin_ns + BAR_NS) // MS_NS - 1
        return [
            self.begin_ns // MS_NS, *(spot8(value, 8) for value in prices), end_ms,
            spot8(self.quote_e8, 8), self.trades, spot8(self.bought_e8, 8),
            spot8(self.bought_quote_e8, 8), "0",
        ]  # fmt: skip


class BinancePorts:
    """The venue on its two ports. `rest` is the twin of data-api.binance.vision."""

    def __init__(
        self,
        spec: VenuesSpec,
        exchange: Exchange,
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
    ) -> None:
        self.venue = Binance(
            exchange,
            clock=clock,
            log=log,
            later=later,
            on_subscribed=on_subscribed,
            is_us_address=spec.is_us_address,
            ping_ns=spec.binance_ping_ns,
            life_ns=spec.binance_life_ns,
        )
        self._clock, self._log = clock, log
        self._bars: dict[str, deque[_Bar]] = {
            name: deque(maxlen=BARS_MAX) for name in self.venue.products
        }
        self._trades: dict[str, deque[ExchangeTrade]] = {
            name: deque(maxlen=TRADES_MAX) for name in self.venue.products
        }
        routes = Routes()
        for path, handler in (
            ("ping", lambda _: Answer(200, {})),
            ("time", lambda _: Answer(200, {"serverTime": clock.run_ns() // MS_NS})),
            ("exchangeInfo", self._info),
            ("depth", self._depth),
            ("trades", self._recent),
            ("klines", self._klines),
            ("ticker/price", self._price),
            ("ticker/bookTicker", self._book_ticker),
        ):
            routes.add("GET", f"/api/v3/{path}", self._gate(handler))
        self._rest = RestServer(
            routes=routes,
            not_found=self._gate(lambda _: Answer(404, {})),
            after=self.venue.flush,
            clock=clock.mono_ns,
            on_answer=partial(log.request, VENUE),
        )

    @property
    def servers(self) -> Sequence[Server]:
        return (self.venue.server, self._rest)

    def apply(self, event: Event) -> None:
        self.venue.apply(event)
        if isinstance(event, ExchangeTrade):
            name = event.symbol.lower()
            self._trades[name].append(event)
            bars, begin_ns = self._bars[name], event.at_epoch_ns // BAR_NS * BAR_NS
            if not bars or bars[-1].begin_ns != begin_ns:
                bars.append(_Bar(begin_ns, event.price_e8))
            bars[-1].add(event)

    def flush(self) -> None:
        self.venue.flush()

    async def listen(self, context: ssl.SSLContext) -> dict[str, int]:
        rest, ws = await asyncio.gather(self._rest.listen(context), self.venue.listen(context))
        return {"rest": rest, "ws": ws}

    async def close(self) -> None:
        self.venue.close()
        await self._rest.close()

    # ---- answers

    def _gate(self, handler: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        def answer(call: Call) -> Answer:
            self._log.count(VENUE, "rest")
            if self.venue.is_us_address:
                self._log.count(VENUE, "refused_451")
                return Answer(451, BLOCKED)
            return handler(call)

        return answer

    def _product(self, call: Call) -> Product | Answer:
        symbol = call.query.get("symbol", "")
        if not symbol:
            msg = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            return Answer(400, {"code": -1102, "msg": msg})
        product = self.venue.products.get(symbol.lower()) if symbol.isupper() else None
        return product or Answer(400, {"code": -1121, "msg": "Invalid symbol."})

    def _limit(self, call: Call, usual: int, most: int) -> int:
        text = call.query.get("limit", "")
        return min(int(text), most) if text.isascii() and text.isdigit() else usual

    def _info(self, _: Call) -> Answer:
        symbols = [
            {
                "symbol": product.symbol,
                "status": "TRADING",
                "baseAsset": product.symbol.removesuffix("USDT"),
                "baseAssetPrecision": 8,
                "quoteAsset": "USDT",
                "quotePrecision": 8,
                "filters": [
                    {"filterType": "PRICE_FILTER", "minPrice": spot8(product.tick_e8, 8),
                     "maxPrice": "1000000.00000000", "tickSize": spot8(product.tick_e8, 8)},
                ],
            }
            for product in self.venue.products.values()
        ]  # fmt: skip
        stamp = self._clock.run_ns() // MS_NS
        body = {"timezone": "UTC", "serverTime": stamp, "rateLimits": [], "exchangeFilters": []}
        return Answer(200, {**body, "symbols": symbols})

    def _depth(self, call: Call) -> Answer:
        found = self._product(call)
        if isinstance(found, Answer):
            return found
        return Answer(200, depth(found.book, self._limit(call, 100, 5_000)))

    def _recent(self, call: Call) -> Answer:
        found = self._product(call)
        if isinstance(found, Answer):
            return found
        newest = list(self._trades[found.lower])[-self._limit(call, 500, TRADES_MAX) :]
        return Answer(200, [
            {"id": t.trade_id, "price": spot8(t.price_e8, 8), "qty": spot8(t.size_e8, 8),
             "quoteQty": spot8(t.price_e8 * t.size_e8 // 10**8, 8), "time": t.at_epoch_ns // MS_NS,
             "isBuyerMaker": t.taker_side == ASK, "isBestMatch": True}
            for t in newest
        ])  # fmt: skip

    def _klines(self, call: Call) -> Answer:
        found = self._product(call)
        if isinstance(found, Answer):
            return found
        if call.query.get("interval") != "1m":
            return Answer(400, {"code": -1120, "msg": "Invalid interval."})
        bars = list(self._bars[found.lower])[-self._limit(call, 500, BARS_MAX) :]
        return Answer(200, [bar.row() for bar in bars])

    def _price(self, call: Call) -> Answer:
        found = self._product(call)
        if isinstance(found, Answer):
            return found
        price_e8 = found.last.price_e8 if found.last else 0
        return Answer(200, {"symbol": found.symbol, "price": spot8(price_e8, 8)})

    def _book_ticker(self, call: Call) -> Answer:
        found = self._product(call)
        if isinstance(found, Answer):
            return found
        bid, ask = (*found.book.bids, (0, 0))[0], (*found.book.asks, (0, 0))[0]
        prices = {"bidPrice": bid[0], "bidQty": bid[1], "askPrice": ask[0], "askQty": ask[1]}
        texts = {name: spot8(value, 8) for name, value in prices.items()}
        return Answer(200, {"symbol": found.symbol, **texts})
