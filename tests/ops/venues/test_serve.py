"""The process: its words to the parent, pacing, and frames that are never early."""

from __future__ import annotations

import asyncio
import http.client
import json
import pickle
import time
from typing import Any

import websockets

from ops.venues.kalshi_ws import WS_PATH
from ops.venues.script import ASK, BID, Cut, LevelSet, SpotTrade, Timeline
from ops.venues.tls import TlsPaths
from tests.ops.venues import rig
from tests.ops.venues.rig import BEGIN_NS, MS, TICKER, K, KalshiKey, P, e6

KEY = KalshiKey()


def test_the_contract_of_a_real_process(tls: TlsPaths) -> None:
    script = rig.script_of(SpotTrade(BEGIN_NS + MS, "BTC-USD", 10**12, 10**8, BID, 1))
    assert pickle.loads(pickle.dumps(script)) == script
    session = rig.session(tls, KEY, script, own_process=True)
    kinds = {venue: sorted(ports) for venue, ports in session.ports.items()}
    assert kinds == {
        "kalshi": ["rest", "ws"],
        "polymarket": ["gamma", "rest", "ws"],
        "coinbase": ["ws"],
    }
    assert not session.conn.poll(), "nothing runs before the start"
    session.start()
    assert session.expect("end") == ("end",)
    rows, counts = session.stop()
    assert rows == []
    assert set(counts) == {"kalshi", "polymarket", "coinbase"}


def test_a_log_that_does_not_fit_the_pipe_at_once_comes_whole(tls: TlsPaths) -> None:
    session = rig.session(tls, KEY, rig.script_of())
    body = {"ticker": "NOT-LISTED", "client_order_id": "x" * 600_000, "side": "bid"}
    body |= {"count": "1.00", "price": "0.5000", "time_in_force": "immediate_or_cancel"}
    body |= {"self_trade_prevention_type": "taker_at_cross"}
    path = "/trade-api/v2/portfolio/events/orders"
    ports = session.ports["kalshi"]
    link = http.client.HTTPSConnection("127.0.0.1", ports["rest"], context=session.context)
    link.request("POST", path, json.dumps(body), KEY.headers("POST", path))
    assert link.getresponse().status == 404
    link.close()
    rows, _ = session.stop()
    assert [len(key) for _, key, _, _, _ in rows] == [600_000]


def test_every_request_is_told_where_it_is_kept_and_none_elsewhere(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        url = session.url("polymarket", "ws", "/ws/market")
        link = await websockets.connect(url.replace("wss", "ws"))  # a plain port, on demand
        await link.send("PING")
        assert await asyncio.wait_for(link.recv(), 60) == "PONG"
        await link.close()

    for keeps in (True, False):
        options = {"keeps_requests": keeps, "polymarket_plain_ws": True}
        session = rig.session(tls, KEY, rig.script_of(), **options)
        link = http.client.HTTPSConnection(
            "127.0.0.1", session.ports["polymarket"]["rest"], context=session.context
        )
        try:
            link.request("GET", "/book?token_id=7")
            assert link.getresponse().status == 404
            asyncio.run(body(session))
        finally:
            link.close()
            session.stop()
        told = [
            ("polymarket", "GET", "/book?token_id=7", 404),
            ("polymarket", "WS", "/ws/market", 101),
            ("polymarket", "SEND", "PING", 0),
        ]
        assert session.requests == (told if keeps else [])


def test_a_parent_that_is_gone_ends_the_venues(tls: TlsPaths) -> None:
    session = rig.session(tls, KEY, rig.script_of())
    session.conn.close()
    session._worker.join(10)
    assert not session._worker.is_alive()


def test_events_come_at_their_time_never_early_and_joined(tls: TlsPaths) -> None:
    """Speed 10 and a cut of a minute: what is due follows the timeline."""
    changes = [
        LevelSet(BEGIN_NS + at_ms * MS, market, BID, e6("0.40"), e6("1") * (number + 1))
        for number, at_ms in enumerate((0, 100, 100, 400, 61_000, 61_200))
        for market in (K, P)
    ]
    timeline = Timeline(
        begin_epoch_ns=BEGIN_NS,
        speed_e6=10_000_000,
        cuts=(Cut(BEGIN_NS + 500 * MS, BEGIN_NS + 60_500 * MS),),
    )
    script = rig.script_of(*changes, timeline=timeline)
    session = rig.session(tls, KEY, script)

    async def body() -> list[tuple[int, int]]:
        link = await websockets.connect(
            session.url("kalshi", "ws", WS_PATH),
            ssl=session.context,
            additional_headers=KEY.headers("GET", WS_PATH),
        )
        params = {"channels": ["orderbook_delta"], "market_ticker": TICKER}
        await link.send(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))
        for _ in range(2):
            await link.recv()
        start_ns = session.start()
        seen: list[tuple[int, int]] = []
        for _ in range(5):
            frame: Any = json.loads(await asyncio.wait_for(link.recv(), 60))
            epoch_ns = frame["msg"]["ts_ms"] * MS
            seen.append((epoch_ns, time.monotonic_ns() - start_ns - timeline.offset_ns(epoch_ns)))
        await link.close()
        return seen

    try:
        seen = asyncio.run(body())
    finally:
        session.stop()
    stamps = [(epoch_ns - BEGIN_NS) // MS for epoch_ns, _ in seen]
    assert stamps == [100, 100, 400, 61_000, 61_200], "what holds at the start is in the snapshot"
    assert all(late_ns >= 0 for _, late_ns in seen)
    assert timeline.offset_ns(BEGIN_NS + 61_200 * MS) == 120 * MS


def test_the_same_script_makes_the_same_frames(tls: TlsPaths) -> None:
    changes = [LevelSet(BEGIN_NS + MS, K, ASK, e6("0.52"), e6(size)) for size in ("3", "4.5")]

    async def frames(session: rig.Session) -> list[str]:
        link = await websockets.connect(
            session.url("kalshi", "ws", WS_PATH),
            ssl=session.context,
            additional_headers=KEY.headers("GET", WS_PATH),
        )
        params = {"channels": ["orderbook_delta"], "market_ticker": TICKER}
        await link.send(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))
        first = [str(await link.recv()) for _ in range(2)]
        session.start()
        rest = [str(await asyncio.wait_for(link.recv(), 60)) for _ in range(2)]
        await link.close()
        return first + rest

    found = []
    for _ in range(2):
        session = rig.session(tls, KEY, rig.script_of(*changes))
        try:
            found.append(asyncio.run(frames(session)))
        finally:
            session.stop()
    assert found[0] == found[1]
