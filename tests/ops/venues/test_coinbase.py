"""The Coinbase feed by the shapes of its recorded frames."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from ops.venues.script import ASK, BID, SpotTrade
from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.rig import BEGIN_NS, MS, KalshiKey, read_lines, shape

KEY = KalshiKey()
PRODUCT = "BTC-USD"


def trade(at_ms: int, price_e8: int, side: int, number: int) -> SpotTrade:
    return SpotTrade(BEGIN_NS + at_ms * MS, PRODUCT, price_e8, 12_345_000, side, number)


FIRST = trade(0, 7_947_126_000_000, BID, 100)
SECOND = trade(5, 7_947_000_000_000, ASK, 101)


def recorded(kind: str) -> Any:
    rows = read_lines(reference("fixtures/spot/coinbase_exchange.jsonl"))
    return json.loads(next(row["raw"] for row in rows if row["kind"] == kind))


async def connect(session: rig.Session) -> ClientConnection:
    return await websockets.connect(session.url("coinbase", "ws", "/"), ssl=session.context)


async def hear(link: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(link.recv(), 60))


def subscribe(*channels: Any, kind: str = "subscribe") -> str:
    return json.dumps({"type": kind, "product_ids": [PRODUCT], "channels": channels})


def run(tls: TlsPaths, body: Any, **options: Any) -> None:
    script = rig.ToyScript(made=(FIRST, SECOND), markets=())
    session = rig.session(tls, KEY, script, **options)
    try:
        assert list(session.ports) == ["coinbase"], "only venues with data are served"
        asyncio.run(asyncio.wait_for(body(session), 200))
    finally:
        session.stop()


def test_the_last_match_comes_first_and_then_each_trade(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await link.send(subscribe("matches"))
        ack, last = await hear(link), await hear(link)
        assert session.expect("subscribed") == ("subscribed", "coinbase")
        assert shape(ack) == shape(recorded("subscriptions"))
        assert (last["type"], last["side"]) == ("last_match", "sell"), "the maker's side"
        session.start()
        match = await hear(link)
        assert shape(match) == shape(recorded("match"))
        assert match["sequence"] == last["sequence"] + 1
        assert (match["trade_id"], match["side"], match["price"]) == (101, "buy", "79470.00")
        assert match["size"] == "0.12345000"
        assert match["time"].endswith(".005000Z")
        await link.close()

    run(tls, body)


def test_ticker_and_heartbeat_have_the_recorded_shapes(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await link.send(subscribe({"name": "ticker", "product_ids": [PRODUCT]}, "heartbeat"))
        frames = {}
        for _ in range(3):
            frame = await hear(link)
            frames[frame["type"]] = frame
        assert set(frames["ticker"]) == set(recorded("ticker"))
        assert float(frames["ticker"]["best_bid"]) < float(frames["ticker"]["best_ask"])
        assert shape(frames["heartbeat"]) == shape(recorded("heartbeat"))
        assert frames["heartbeat"]["last_trade_id"] == 100
        await link.close()

    run(tls, body)


def test_wrong_subscriptions_get_an_error(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session)
        for text in (
            subscribe("nope"),
            "{",
            '{"type":"dance"}',
            '{"type":"subscribe","product_ids":["X"],"channels":["matches"]}',
        ):
            await link.send(text)
            assert shape(await hear(link)) == shape(recorded("error"))
        await link.close()

    run(tls, body)


def test_the_batched_book_is_a_snapshot_and_then_its_changes(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await link.send(subscribe("level2_batch"))
        ack, snapshot = await hear(link), await hear(link)
        assert ack["type"] == "subscriptions"
        assert set(snapshot) == set(recorded("snapshot"))
        session.start()
        update = await hear(link)
        assert shape(update) == shape(recorded("l2update"))
        sides = {"buy": dict(snapshot["bids"]), "sell": dict(snapshot["asks"])}
        for side, price, size in update["changes"]:
            sides[side][price] = size
        best = max(float(price) for price, size in sides["buy"].items() if size != "0")
        assert best == 79470.0, "the second trade was a sale"
        assert any(size == "0" for _, _, size in update["changes"])
        await link.close()

    run(tls, body)


def test_books_that_want_a_signature_are_refused_in_the_venues_words(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await link.send(subscribe("level2"))
        assert "now require authentication" in (await hear(link))["reason"]
        signed = json.loads(subscribe("full")) | {"signature": "x", "key": "k"}
        await link.send(json.dumps(signed))
        assert await hear(link) == recorded("error")
        await link.close()

    run(tls, body)


def test_who_does_not_subscribe_is_closed(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        good = await connect(session)
        await good.send(subscribe("heartbeat"))
        silent = await connect(session)
        with pytest.raises(websockets.ConnectionClosed):
            await hear(silent)
        assert (await hear(good))["type"] == "subscriptions"
        assert (await hear(good))["type"] == "heartbeat"
        await good.close()

    run(tls, body, coinbase_subscribe_ns=3_000 * MS)
