"""The streams `parse` plays: seeded frames as each venue sends them, and the same trades in the
form that a peer speaks where it speaks another.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import orjson

SEED = 11
YES = "12011180738199585495906106358594076885211968479491067303871379760861383877631"
NO = "89435415234172173118754473157588029226460926450310014396990827057806580603933"
CONDITION = "0xa52f1552d5739ee1f1aeda03c88ed700e0800eaee26b6d6fdab9fc425d6b6e25"
HASH = "a912cab3f31f10cd2afe589f9aa3b4901ba82afe"
STAMP_MS = 1_790_877_850_000
LEVELS = 16
_HALF = LEVELS // 2
Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Frames for ours and for a peer (empty: it has none), and the touch that must be left:
    texts, compared as numbers."""

    ours: list[bytes]
    theirs: list[bytes]
    left: tuple[str, ...]


def _cents(price: int) -> str:
    return f"0.{price:02}"


def book(asset: str, bids: dict[int, str], asks: dict[int, str]) -> dict[str, object]:
    """A whole book, best level last on both sides."""
    sides = {
        "bids": [{"price": _cents(p), "size": bids[p]} for p in sorted(bids)],
        "asks": [{"price": _cents(p), "size": asks[p]} for p in sorted(asks, reverse=True)],
    }
    return {
        "market": CONDITION, "asset_id": asset, "timestamp": str(STAMP_MS), "hash": HASH, **sides,
        "tick_size": "0.01", "event_type": "book", "last_trade_price": "0.480",
    }  # fmt: skip


def _sides(draw: random.Random) -> tuple[dict[int, str], dict[int, str]]:
    def sizes() -> list[str]:
        return [f"{draw.randrange(10, 900)}.{draw.randrange(100):02}" for _ in range(_HALF)]

    bids = dict(zip(range(48 - _HALF, 48), sizes(), strict=True))
    asks = dict(zip(range(50, 50 + _HALF), sizes(), strict=True))
    return bids, asks


def first_books() -> bytes:
    """The array of first books: YES and its mirror."""
    bids, asks = _sides(random.Random(SEED))
    mirror_bids = {100 - price: size for price, size in asks.items()}
    mirror_asks = {100 - price: size for price, size in bids.items()}
    return orjson.dumps([book(YES, bids, asks), book(NO, mirror_bids, mirror_asks)])


def _change(yes: Row, no: Row, at_ms: int) -> bytes:
    return orjson.dumps({
        "market": CONDITION, "price_changes": [no, yes], "timestamp": str(at_ms),
        "event_type": "price_change",
    })  # fmt: skip


def polymarket_change(count: int) -> Stream:
    """One level of the ten best gets a new total; both tokens in one frame, as since 2025-09-15."""
    draw = random.Random(SEED)
    bids, asks = _sides(draw)
    frames = []
    for number in range(count):
        is_bid = draw.random() < 0.5
        price = draw.choice(range(43, 48) if is_bid else range(50, 55))
        size = f"{draw.randrange(10, 900)}"
        if draw.random() < 0.3:
            size += f".{draw.randrange(1, 10)}"
        (bids if is_bid else asks)[price] = size
        yes = {
            "asset_id": YES, "price": _cents(price), "size": size,
            "side": "BUY" if is_bid else "SELL", "hash": HASH, "best_bid": "0.47",
            "best_ask": "0.5",
        }  # fmt: skip
        no = yes | {
            "asset_id": NO, "price": _cents(100 - price), "side": "SELL" if is_bid else "BUY",
            "best_bid": "0.5", "best_ask": "0.53",
        }  # fmt: skip
        frames.append(_change(yes, no, STAMP_MS + number))
    return Stream(ours=frames, theirs=frames, left=("0.47", bids[47], "0.50", asks[50]))


def polymarket_snapshot(count: int) -> Stream:
    """Whole books of 16 levels."""
    draw = random.Random(SEED)
    frames, bids, asks = [], {47: ""}, {50: ""}
    for _ in range(count):
        bids, asks = _sides(draw)
        frames.append(orjson.dumps(book(YES, bids, asks)))
    return Stream(ours=frames, theirs=frames, left=("0.47", bids[47], "0.50", asks[50]))


def _trades(count: int) -> list[tuple[str, str, bool]]:
    draw, price = random.Random(SEED), 7_665_000
    found = []
    for _ in range(count):
        price += draw.randrange(-30, 31)
        size = f"{draw.randrange(1, 20_000) / 100_000:.5f}"
        found.append((f"{price // 100}.{price % 100:02}", size, draw.random() < 0.5))
    return found


def binance_trade(count: int) -> Stream:
    """`trade` for ours, `aggTrade` (the one it subscribes) for cryptofeed."""
    ours, theirs, price, size = [], [], "", ""
    for number, (dollars, amount, is_sell) in enumerate(_trades(count), 1):
        price, size = f"{dollars}000000", f"{amount}000"
        at_ms = STAMP_MS + number
        common = {
            "E": at_ms, "s": "BTCUSDT", "p": price, "q": size, "T": at_ms, "m": is_sell, "M": True,
        }  # fmt: skip
        trade = {"e": "trade", "t": number, **common}
        merged = {"e": "aggTrade", "a": number, "f": number, "l": number, **common}
        ours.append(orjson.dumps({"stream": "btcusdt@trade", "data": trade}))
        theirs.append(orjson.dumps({"stream": "btcusdt@aggTrade", "data": merged}))
    return Stream(ours=ours, theirs=theirs, left=(price, size))


def binance_ticker(count: int) -> Stream:
    """bookTicker: best bid and offer."""
    frames, bid, ask = [], "", ""
    for number, (dollars, amount, _) in enumerate(_trades(count), 1):
        bid, size = f"{dollars}000000", f"{amount}000"
        ask = f"{float(dollars) + 0.01:.2f}000000"
        data = {"u": number, "s": "BTCUSDT", "b": bid, "B": size, "a": ask, "A": size}
        frames.append(orjson.dumps({"stream": "btcusdt@bookTicker", "data": data}))
    return Stream(ours=frames, theirs=frames, left=(bid, ask))


def coinbase_trade(count: int) -> Stream:
    """`match` of the Exchange feed for ours, `market_trades` of Advanced Trade for cryptofeed."""
    ours, theirs, price, size = [], [], "", ""
    for number, (price, size, is_sell) in enumerate(_trades(count), 1):
        micros = number % 1_000_000
        at = f"2026-11-21T12:{number // 60_000_000:02}:{micros // 20_000:02}.{micros:06}Z"
        common = {"trade_id": number, "product_id": "BTC-USD", "price": price, "size": size}
        ours.append(orjson.dumps({
            "type": "match", **common, "maker_order_id": "4c2aa376-4bda-4947-84ee-4dc5a6337cba",
            "taker_order_id": "247a6eb2-b5c1-42db-b0ac-cb74b85bcac8",
            "side": "buy" if is_sell else "sell", "sequence": number, "time": at,
        }))  # fmt: skip
        trade = common | {
            "trade_id": str(number), "side": "BUY" if is_sell else "SELL", "time": at,
        }  # fmt: skip
        theirs.append(orjson.dumps({
            "channel": "market_trades", "client_id": "", "timestamp": at, "sequence_num": number,
            "events": [{"type": "update", "trades": [trade]}],
        }))  # fmt: skip
    return Stream(ours=ours, theirs=theirs, left=(price, size))
