"""Faults over real sockets: what a client sees is what the venue says it did."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import websockets

from ops.venues.faults import Fault
from ops.venues.script import ASK, BID, LevelSet
from ops.venues.session import FaultRow
from ops.venues.tls import TlsPaths
from tests.ops.venues import kalshi_client, polymarket_client, rig
from tests.ops.venues.kalshi_client import ORDERS, connect, hear, order, post, say
from tests.ops.venues.rig import BEGIN_NS, MS, TICKER, TOKEN_NO, TOKEN_YES, K, P, e6

STEPS = [LevelSet(BEGIN_NS + at * MS, market, BID, e6("0.40"), e6(str(at)))
         for at in range(1, 8) for market in (K, P)]  # fmt: skip
Counts = dict[str, dict[str, int]]


def fault(kind: str, venue: str = "kalshi", **more: Any) -> Fault:
    return Fault(venue=venue, kind=kind, **more)


def run(
    tls: TlsPaths, body: Callable[[rig.Session], Awaitable[None]], *plan: Fault,
    events: list[Any] = STEPS,
) -> Counts:  # fmt: skip
    """Run `body` beside the venues; what they counted."""
    session = rig.session(tls, kalshi_client.KEY, rig.script_of(*events), faults=plan)
    try:
        asyncio.run(asyncio.wait_for(body(session), 200))
    finally:
        counts = session.stop()[1]
    return counts


async def book_of(session: rig.Session) -> websockets.ClientConnection:
    link = await connect(session)
    await say(link, "subscribe", channels=["orderbook_delta"], market_ticker=TICKER)
    await hear(link, 2)
    return link


def test_a_gap_shows_in_the_numbers_and_in_the_counts(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await book_of(session)
        session.start()
        seqs = [frame["seq"] for frame in await hear(link, 5)]
        assert seqs == [2, 3, 6, 7, 8], "two frames were lost, their numbers spent"
        await link.close()

    plan = fault("gap", channel="orderbook_delta", after=2, count=2)
    assert run(tls, body, plan)["kalshi"]["fault_gap"] == 2


def test_a_fault_can_be_told_while_the_venues_run(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await book_of(session)
        session.conn.send(("fault", fault("duplicate", channel="orderbook_delta")))
        session.conn.send(("fault", "twice"))
        session.expect("subscribed")
        assert session.faults() == []
        session.start()
        seqs = [frame["seq"] for frame in await hear(link, 9)]
        assert seqs == [2, 2, 3, 4, 5, 6, 7, 8, 8], "the second was called by its name"
        first: FaultRow = session.faults()[0]
        assert (first.venue, first.kind, first.connection) == ("kalshi", "duplicate", 1)
        assert json.dumps(TICKER) in first.what
        await link.close()

    waits = fault("duplicate", channel="orderbook_delta", on="twice", after=6)
    assert run(tls, body, waits)["kalshi"]["fault_duplicate"] == 2


def test_a_frame_is_cut_and_the_connection_gone(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await book_of(session)
        session.start()
        assert len(await hear(link, 2)) == 2
        with pytest.raises(websockets.ConnectionClosedError):
            await hear(link, 1)
        again = await book_of(session)
        await again.close()

    plan = fault("cut", channel="orderbook_delta", after=2)
    assert run(tls, body, plan)["kalshi"]["fault_cut"] == 1


def test_a_book_that_nobody_asked_for_and_a_crossed_one_are_true(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await book_of(session)
        session.start()
        frames = await hear(link, 5)
        assert [frame["type"].removeprefix("orderbook_") for frame in frames] == [
            "delta", "snapshot", "delta", "delta", "delta"]  # fmt: skip
        assert [frame["seq"] for frame in frames] == [2, 3, 4, 5, 6]
        crossing, ending = frames[3]["msg"], frames[4]["msg"]
        assert (crossing["side"], crossing["delta_fp"]) == ("no", "1.00")
        assert (ending["price_dollars"], ending["delta_fp"]) == (
            crossing["price_dollars"], "-1.00")  # fmt: skip
        await link.close()

    counts = run(tls, body, fault("second_snapshot", market=TICKER), fault("crossed"))
    assert counts["kalshi"]["fault_second_snapshot"] == counts["kalshi"]["fault_crossed"] == 1


def test_a_burst_is_a_hundred_events_that_end_where_one_would(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link, _ = await polymarket_client.subscribe(session, TOKEN_YES, TOKEN_NO)
        session.start()
        frames = [await polymarket_client.hear(link) for _ in range(101)]
        sizes = [frame["price_changes"][0]["size"] for frame in frames]
        assert sizes[0] == sizes[100] == "5" and len(set(sizes)) == 100
        await link.close()

    plan = fault("burst", "polymarket", market=TOKEN_NO)
    events = [LevelSet(BEGIN_NS + MS, P, ASK, e6("0.55"), e6("5"))]
    assert run(tls, body, plan, events=events)["polymarket"]["fault_burst"] == 1


def test_requests_are_refused_cut_spoiled_and_blown_up(tls: TlsPaths) -> None:
    path = "/book"
    plan = [
        fault("status", "polymarket", path=path, status=429, retry_after_s=3),
        fault("status", "polymarket", path=path, status=503, body={"error": "matching engine"}),
        fault("cut", "polymarket", path=path),
        fault("drift", "polymarket", path=path, field="bids", how="missing"),
        fault("bomb", "polymarket", path=path, how="deflate", bytes=10**6),
        fault("delay", "polymarket", path=path, delay_ms=5),
    ]

    async def body(session: rig.Session) -> None:
        url = session.url("polymarket", "rest", f"{path}?token_id={TOKEN_YES}")
        connector = aiohttp.TCPConnector(ssl=session.context)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as client:
            async with client.get(url) as reply:
                assert (reply.status, reply.headers["Retry-After"]) == (429, "3")
                assert await reply.json() == {"error": "too many requests"}
            async with client.get(url) as reply:
                assert (reply.status, await reply.json()) == (503, {"error": "matching engine"})
            async with client.get(url) as reply:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await reply.read()
            async with client.get(url) as reply:
                assert "bids" not in await reply.json()
            async with client.get(url) as reply:
                assert gzip.decompress(await reply.read()) == bytes(10**6)
            for _ in range(2):
                async with client.get(url) as reply:
                    assert "bids" in await reply.json()

    counts = run(tls, body, *plan)["polymarket"]
    assert {kind: counts[f"fault_{kind}"] for kind in ("status", "cut", "drift", "bomb", "delay")
            } == {"status": 2, "cut": 1, "drift": 1, "bomb": 1, "delay": 1}  # fmt: skip


def test_an_order_is_accepted_and_its_reply_never_sent(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        lost = asyncio.create_task(post(session, order("lost", "bid", "0.5200", "1.00")))
        while not lost.done() and not session.faults():
            await asyncio.wait({lost}, timeout=0.01)
        status, found = await kalshi_client.get(session, "/portfolio/fills")
        assert status == 200 and len(found["fills"]) == 1, "it was done all the same"
        status, _ = await post(session, order("next", "bid", "0.5200", "1.00"))
        assert status == 201 and not lost.done()
        lost.cancel()

    plan = fault("silence", path=ORDERS, method="POST")
    assert run(tls, body, plan)["kalshi"]["fault_silence"] == 1


def test_a_storm_and_a_silent_handshake(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        for _ in range(2):
            link = await connect(session)
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await link.recv()
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012
        mute = await connect(session)
        await say(mute, "subscribe", channels=["orderbook_delta"], market_ticker=TICKER)
        await (await mute.ping())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(mute.recv(), 0.1)
        await mute.close()
        with pytest.raises(websockets.InvalidStatus, match="503"):
            await connect(session)
        await (await book_of(session)).close()

    counts = run(
        tls, body, fault("close_storm", count=2, code=1012, delay_ms=5),
        fault("silence", path="/trade-api/ws"), fault("status", path="/trade-api/ws", status=503),
    )["kalshi"]  # fmt: skip
    assert (counts["fault_close_storm"], counts["fault_silence"], counts["fault_status"]) == (
        2,
        1,
        1,
    )
