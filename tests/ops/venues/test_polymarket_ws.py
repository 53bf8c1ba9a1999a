"""Polymarket's two channels over real sockets with TLS."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import websockets

from ops.venues.script import ASK, BID, BookSet, ConnectionCut, LevelSet, MarketTrade, StatusChange
from ops.venues.tls import TlsPaths
from tests.ops.venues import rig
from tests.ops.venues.polymarket_client import (
    call,
    hear,
    recorded,
    run,
    subscribe,
    user_channel,
)
from tests.ops.venues.rig import (
    BEGIN_NS,
    MS,
    TOKEN_NO,
    TOKEN_YES,
    P,
    e6,
    poly_order,
    shape,
)


def test_the_first_books_come_as_one_array_and_mirror_each_other(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link, books = await subscribe(session, TOKEN_YES, TOKEN_NO)
        assert session.expect("subscribed") == ("subscribed", "polymarket")
        wanted = shape(recorded("ws_market")["book"])
        for book in books:
            assert set(book) == set(wanted)
            assert list(map(float, (row["price"] for row in book["bids"]))) == sorted(
                float(row["price"]) for row in book["bids"]
            ), "bids ascend: best is last"
        yes, no = books
        assert yes["bids"][-1] == {"price": "0.47", "size": "30"}
        assert yes["asks"][-1] == {"price": "0.52", "size": "10"}
        assert no["asks"][-1] == {"price": "0.53", "size": "30"}
        assert no["bids"][-1] == {"price": "0.48", "size": "10"}
        await link.close()

    run(tls, rig.script_of(), body)


def test_a_change_shows_both_tokens_with_their_touch(tls: TlsPaths) -> None:
    script = rig.script_of(
        LevelSet(BEGIN_NS + 5 * MS, P, BID, e6("0.48"), e6("5")),
        LevelSet(BEGIN_NS + 6 * MS, P, BID, e6("0.48"), 0),
    )

    async def body(session: rig.Session) -> None:
        link, _ = await subscribe(session, TOKEN_YES)
        session.start()
        frame = await hear(link)
        assert shape(frame) == shape(recorded("ws_market")["price_change"])
        assert frame["timestamp"] == str(BEGIN_NS // MS + 5)
        rows = {row["asset_id"]: row for row in frame["price_changes"]}
        yes, no = rows[TOKEN_YES], rows[TOKEN_NO]
        assert (yes["price"], yes["size"], yes["side"]) == ("0.48", "5", "BUY")
        assert (yes["best_bid"], yes["best_ask"]) == ("0.48", "0.52")
        assert (no["price"], no["size"], no["side"]) == ("0.52", "5", "SELL")
        assert (no["best_bid"], no["best_ask"]) == ("0.48", "0.52")
        gone = await hear(link)
        assert gone["price_changes"][0]["size"] == "0"
        await link.close()

    run(tls, script, body)


def test_custom_events_need_the_flag(tls: TlsPaths) -> None:
    script = rig.script_of(
        LevelSet(BEGIN_NS + 5 * MS, P, BID, e6("0.48"), e6("5")),
        MarketTrade(BEGIN_NS + 6 * MS, P, e6("0.48"), e6("2"), ASK),
        StatusChange(BEGIN_NS + 7 * MS, P, "finalized", e6("1")),
        BookSet(BEGIN_NS + 8 * MS, P, (), ()),
    )

    async def body(session: rig.Session) -> None:
        plain, _ = await subscribe(session, TOKEN_YES)
        custom, _ = await subscribe(session, TOKEN_YES, custom=True)
        session.start()
        first = [await hear(plain) for _ in range(3)]
        assert [frame["event_type"] for frame in first] == [
            "price_change",
            "last_trade_price",
            "book",
        ]
        known = recorded("ws_market")
        assert shape(first[1]) == shape(known["last_trade_price"])
        assert "tick_size" not in first[2], "only the first book has it"
        frames: dict[str, Any] = {}
        for _ in range(5):
            frame = await hear(custom)
            frames.setdefault(frame["event_type"], frame)
        assert {"best_bid_ask", "market_resolved"} <= set(frames)
        assert shape(frames["best_bid_ask"]) == shape(known["best_bid_ask"])
        assert set(frames["market_resolved"]) == set(known["market_resolved"])
        assert frames["market_resolved"]["winning_asset_id"] == TOKEN_YES
        await plain.close()
        await custom.close()

    run(tls, script, body)


def test_ping_is_answered_in_text_and_a_cut_spares_the_user_channel(tls: TlsPaths) -> None:
    script = rig.script_of(ConnectionCut(BEGIN_NS + MS, "polymarket"))

    async def body(session: rig.Session) -> None:
        link, _ = await subscribe(session, TOKEN_YES)
        user = await user_channel(session)
        for each in (link, user):
            await each.send("PING")
            assert await asyncio.wait_for(each.recv(), 60) == "PONG"
        session.start()
        with pytest.raises(websockets.ConnectionClosed):
            await hear(link)
        await user.send("PING")
        assert await asyncio.wait_for(user.recv(), 60) == "PONG"
        await user.close()

    run(tls, script, body)


def test_a_wrong_key_gets_no_user_channel(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        with pytest.raises(websockets.ConnectionClosed):
            await user_channel(session, passphrase="wrong")

    run(tls, rig.script_of(), body)


def test_a_fak_is_matched_seen_by_everyone_and_settles(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        market, _ = await subscribe(session, TOKEN_YES)
        user = await user_channel(session)
        status, answer = await call(
            session, "POST", "/order", poly_order(buy=True, maker="5.20", taker="10")
        )
        assert (status, answer["status"], answer["takingAmount"]) == (200, "matched", "10")
        frames = [await hear(market), await hear(market)]
        assert [frame["event_type"] for frame in frames] == ["last_trade_price", "price_change"]
        assert frames[1]["price_changes"][0]["size"] == "0"
        events = [await hear(user) for _ in range(4)]
        trades = [event for event in events if event["event_type"] == "trade"]
        (order,) = [event for event in events if event["event_type"] == "order"]
        assert [trade["status"] for trade in trades] == ["MATCHED", "MINED", "CONFIRMED"]
        assert trades[0]["transaction_hash"] is None
        known = recorded("ws_user")
        assert set(order) == set(known["order"])
        assert set(trades[0]) == set(known["trade"])
        assert trades[0]["taker_order_id"] == order["id"] == answer["orderID"]
        _, found = await call(session, "GET", "/data/trades", query=f"?id={answer['tradeIDs'][0]}")
        assert (found["data"][0]["status"], found["next_cursor"]) == ("CONFIRMED", "LTE=")
        _, found = await call(
            session,
            "GET",
            "/balance-allowance",
            query=f"?asset_type=CONDITIONAL&token_id={TOKEN_YES}",
        )
        assert found["balance"] == "10000000"
        _, found = await call(session, "GET", "/balance-allowance", query="?asset_type=COLLATERAL")
        assert int(found["balance"]) == e6("1000") - e6("5.20") - 174_720
        await market.close()
        await user.close()

    run(tls, rig.script_of(), body, polymarket_mined_ns=MS, polymarket_confirmed_ns=MS)
