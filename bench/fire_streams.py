"""What the four simulated senders of `fire` say: seeded frames in each venue's form, numbered so
that every one of them is accepted, and what must be left of them.

Frames are made ahead and never while something is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import orjson

SEED = 13
MARKETS = 8  # of each venue that trades
PRODUCTS = {"coinbase": ("BTC-USD", "ETH-USD"), "binance": ("BTCUSDT", "ETHUSDT")}
BEGIN_MS = 1_788_696_000_000  # 2026-09-06T12:00:00Z: run time at the first frame
_DEEP = 10  # levels a side
_BIDS, _ASKS = range(49 - _DEEP, 49), range(51, 51 + _DEEP)  # cents
Left = dict[int, list[int]]  # by slot: top five of both sides in 1e-6, or price, size, number


class Stream(Protocol):
    """One venue's."""

    def answer(self, text: bytes) -> list[bytes]:
        """What the venue says to a message of ours: acknowledgement and first books."""

    def frames(self, count: int, begin_ms: int, per_s: float) -> Iterator[bytes]:
        """The next `count` changes, the first at that run time."""

    def left(self) -> Left:
        """What the slots must show after them."""


def tickers() -> list[str]:
    """Kalshi's markets."""
    return [f"KXBTC15M-26SEP061215-{number:02}" for number in range(MARKETS)]


def tokens() -> list[tuple[int, int]]:
    """Polymarket's, YES and NO: 77 digits as real ones."""
    first = 12011180738199585495906106358594076885211968479491067303871379760861383877631
    return [(first + 2 * number, first + 2 * number + 1) for number in range(MARKETS)]


def stamps(count: int, begin_ms: int, per_s: float) -> list[int]:
    """Run time of each frame, us since 1970."""
    since = (np.arange(count) * (1e6 / per_s)).astype(np.int64)
    return [begin_ms * 1_000 + each for each in since.tolist()]


def _clock_text(at_us: int) -> bytes:
    """The ISO form, on the day of BEGIN_MS."""
    second, us = divmod(at_us - BEGIN_MS * 1_000, 1_000_000)
    hour, second = divmod(second, 3_600)
    return b"2026-09-06T%02d:%02d:%02d.%06dZ" % (12 + hour, second // 60, second % 60, us)


def _top(bids: dict[int, int], asks: dict[int, int]) -> list[int]:
    """The five best of each side: price in cents and size in hundredths, as cells of 1e-6."""
    best = sorted(bids.items(), reverse=True)[:5] + sorted(asks.items())[:5]
    return [value * 10_000 for level in best for value in level]


class _Books:
    """Sizes in hundredths by cent, of each market, and the random draws."""

    def __init__(self) -> None:
        self._draw = np.random.default_rng(SEED)
        self.books = [(dict.fromkeys(_BIDS, 10_000), dict.fromkeys(_ASKS, 10_000))
                      for _ in range(MARKETS)]  # fmt: skip

    def draws(self, count: int) -> Iterator[tuple[int, int, int, int]]:
        """Market, side (0 bids), cent, size in hundredths; three in four sizes are whole."""
        draw = self._draw.integers
        market, side = draw(0, MARKETS, count), draw(0, 2, count)
        cent = np.where(side == 0, _BIDS.start, _ASKS.start) + draw(0, _DEEP, count)
        size = draw(1, 400, count) * 100 + np.where(draw(0, 4, count) == 0, draw(1, 100, count), 0)
        columns = (each.tolist() for each in (market, side, cent, size))
        return zip(*columns, strict=True)

    def left(self) -> Left:
        """By market."""
        return {market: _top(*book) for market, book in enumerate(self.books)}


class Kalshi(_Books):
    """Deltas of one subscription, newline at the end; sizes never reach zero."""

    sid = 1

    def __init__(self) -> None:
        super().__init__()
        self._seq = 0
        self._names = [ticker.encode() for ticker in tickers()]

    def answer(self, text: bytes) -> list[bytes]:
        """Acknowledgements, and a snapshot of each market. A request for more gets none."""
        command = orjson.loads(text)
        if command.get("cmd") != "subscribe":
            return []
        channels = command["params"]["channels"]
        replies: list[dict[str, Any]] = [
            {"type": "subscribed", "id": command["id"],
             "msg": {"channel": channel, "sid": self.sid if channel == "orderbook_delta" else
                     20 * command["id"] + place}}
            for place, channel in enumerate(channels)
        ]  # fmt: skip
        if "orderbook_delta" in channels:
            self._seq = 0
            for name, book in zip(self._names, self.books, strict=True):
                self._seq += 1
                sides = [[[f"0.{cent}00", f"{size / 100:.2f}"] for cent, size in side.items()]
                         for side in book]  # fmt: skip
                message = {"market_ticker": name.decode(), "market_id": "x",
                           "yes_dollars_fp": sides[0], "no_dollars_fp": sides[1]}  # fmt: skip
                replies.append({"type": "orderbook_snapshot", "sid": self.sid, "seq": self._seq,
                                "msg": message})  # fmt: skip
        return [orjson.dumps(reply) + b"\n" for reply in replies]

    def frames(self, count: int, begin_ms: int, per_s: float) -> Iterator[bytes]:
        """One level each."""
        times = stamps(count, begin_ms, per_s)
        for (market, side, cent, size), at_us in zip(self.draws(count), times, strict=True):
            level = self.books[market][side]
            change = -size if level[cent] > 100_000 else size
            level[cent] += change
            self._seq += 1
            yield (
                b'{"type":"orderbook_delta","sid":%d,"seq":%d,"msg":{"market_ticker":"%s",'
                b'"market_id":"ac93216c-6f8c-4532-9d29-97b0e0ad9968","price_dollars":"0.%02d00",'
                b'"delta_fp":"%s%d.%02d","side":"%s","ts":"%s","ts_ms":%d}}\n'
                % (
                    self.sid, self._seq, self._names[market], cent, b"-" if change < 0 else b"",
                    size // 100, size % 100, b"no" if side else b"yes", _clock_text(at_us),
                    at_us // 1_000,
                )
            )  # fmt: skip


_HASH = "a912cab3f31f10cd2afe589f9aa3b4901ba82afe"


def condition(market: int) -> int:
    """Polymarket's id of a market."""
    return (0xA52F1552D5739EE1F1AEDA03C88ED700E0800EAEE26B6D6FDAB9FC425D6B6E00) + market


class Polymarket(_Books):
    """New totals, both tokens in a frame as since 2025-09-15."""

    def __init__(self) -> None:
        super().__init__()
        self._ids = [(f"0x{condition(number):064x}".encode(), str(yes).encode(), str(no).encode())
                     for number, (yes, no) in enumerate(tokens())]  # fmt: skip

    def answer(self, text: bytes) -> list[bytes]:
        """PONG, or an array of the first books."""
        if text == b"PING":
            return [b"PONG"]
        if orjson.loads(text).get("type") != "market":
            return []
        books = []
        for (market, yes, no), (bids, asks) in zip(self._ids, self.books, strict=True):
            turned = ({100 - cent: size for cent, size in side.items()} for side in (asks, bids))
            for asset, sides in ((yes, (bids, asks)), (no, tuple(turned))):
                levels = [[{"price": f"0.{cent}", "size": f"{size / 100:g}"}
                           for cent, size in side.items()] for side in sides]  # fmt: skip
                books.append({
                    "market": market.decode(), "asset_id": asset.decode(), "hash": _HASH,
                    "timestamp": str(BEGIN_MS), "bids": levels[0], "asks": levels[1],
                    "tick_size": "0.01", "event_type": "book", "last_trade_price": "0.490",
                })  # fmt: skip
        return [orjson.dumps(books)]

    def frames(self, count: int, begin_ms: int, per_s: float) -> Iterator[bytes]:
        """One level each, and its mirror."""
        row = (
            b'{"asset_id":"%s","price":"0.%02d","size":"%s","side":"%s","hash":"'
            + _HASH.encode()
            + b'","best_bid":"0.%02d","best_ask":"0.%02d"}'
        )
        names, times = (b"BUY", b"SELL"), stamps(count, begin_ms, per_s)
        bid, ask = _BIDS.stop - 1, _ASKS.start
        for (market, side, cent, size), at_us in zip(self.draws(count), times, strict=True):
            self.books[market][side][cent] = size
            text = b"%d.%02d" % divmod(size, 100) if size % 100 else b"%d" % (size // 100)
            name, yes, no = self._ids[market]
            mirror = row % (no, 100 - cent, text, names[1 - side], 100 - ask, 100 - bid)
            change = row % (yes, cent, text, names[side], bid, ask)
            yield (
                b'{"market":"%s","price_changes":[%s,%s],"timestamp":"%d",'
                b'"event_type":"price_change"}' % (name, mirror, change, at_us // 1_000)
            )


class _Trades:
    """A walk in cents for each product; `last` by product: price, size, number."""

    def __init__(self) -> None:
        self._draw = np.random.default_rng(SEED)
        self._last = [[7_665_000, 18_343, 1], [350_000, 200_000, 1]]  # cents, 1e-5, number

    def draws(self, count: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Product, price in cents, size in 1e-5, number, 1 for a seller who takes."""
        draw, last = self._draw.integers, self._last
        product, step = draw(0, 2, count).tolist(), draw(-30, 31, count).tolist()
        size, seller = draw(1, 20_000, count).tolist(), draw(0, 2, count).tolist()
        for place, by, amount, is_sell in zip(product, step, size, seller, strict=True):
            row = last[place]
            row[0], row[1], row[2] = row[0] + by, amount, row[2] + 1
            yield place, row[0], amount, row[2], is_sell

    def left(self) -> Left:
        """By product: price and size in 1e-8, number of the trade."""
        return {place: [price * 10**6, size * 10**3, number]
                for place, (price, size, number) in enumerate(self._last)}  # fmt: skip

    def first(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Each product's newest trade, for a subscriber who has none."""
        for place, (price, size, number) in enumerate(self._last):
            yield place, price, size, number, 0


class Coinbase(_Trades):
    """`match` of the Exchange feed."""

    def answer(self, text: bytes) -> list[bytes]:
        """The subscription as it was asked for, and each product's last trade."""
        products = list(PRODUCTS["coinbase"])
        asked = orjson.loads(text)["channels"]
        channels = [{"name": name, "product_ids": products} for name in asked]
        told = orjson.dumps({"type": "subscriptions", "channels": channels})
        return [told, *(self._match(*each, BEGIN_MS * 1_000) for each in self.first())]

    def _match(
        self, place: int, price: int, size: int, number: int, is_sell: int, at_us: int
    ) -> bytes:
        return (
            b'{"type":"match","trade_id":%d,"maker_order_id":"4c2aa376-4bda-4947-84ee-4dc5a6337cba"'
            b',"taker_order_id":"247a6eb2-b5c1-42db-b0ac-cb74b85bcac8","side":"%s","size":"0.%05d",'
            b'"price":"%d.%02d","product_id":"%s","sequence":%d,"time":"%s"}'
            % (
                number, b"buy" if is_sell else b"sell", size, *divmod(price, 100),
                PRODUCTS["coinbase"][place].encode(), number, _clock_text(at_us),
            )
        )  # fmt: skip

    def frames(self, count: int, begin_ms: int, per_s: float) -> Iterator[bytes]:
        """One trade each."""
        times = stamps(count, begin_ms, per_s)
        for row, at_us in zip(self.draws(count), times, strict=True):
            yield self._match(*row, at_us)


class Binance(_Trades):
    """`trade` of the combined stream."""

    def answer(self, text: bytes) -> list[bytes]:
        """The acknowledgement, and a trade of each product."""
        told = orjson.dumps({"result": None, "id": orjson.loads(text)["id"]})
        return [told, *(self._trade(*each, BEGIN_MS * 1_000) for each in self.first())]

    def _trade(
        self, place: int, price: int, size: int, number: int, is_sell: int, at_us: int
    ) -> bytes:
        name = PRODUCTS["binance"][place]
        at_ms = at_us // 1_000
        return (
            b'{"stream":"%s@trade","data":{"e":"trade","E":%d,"s":"%s","t":%d,"p":"%d.%02d000000",'
            b'"q":"0.%05d000","T":%d,"m":%s,"M":true}}'
            % (
                name.lower().encode(), at_ms, name.encode(), number, *divmod(price, 100), size,
                at_ms, b"true" if is_sell else b"false",
            )
        )  # fmt: skip

    def frames(self, count: int, begin_ms: int, per_s: float) -> Iterator[bytes]:
        """One trade each."""
        times = stamps(count, begin_ms, per_s)
        for row, at_us in zip(self.draws(count), times, strict=True):
            yield self._trade(*row, at_us)


STREAMS: dict[str, type[Kalshi] | type[Polymarket] | type[Coinbase] | type[Binance]] = {
    "kalshi": Kalshi, "polymarket": Polymarket, "coinbase": Coinbase, "binance": Binance,
}  # fmt: skip
