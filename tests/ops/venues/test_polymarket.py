"""Polymarket over real sockets with TLS: both channels, CLOB and Gamma."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import websockets
from eth_account import Account
from eth_account.messages import encode_typed_data
from websockets.asyncio.client import ClientConnection

from ops.venues.script import ASK, BID, BookSet, ConnectionCut, LevelSet, MarketTrade, StatusChange
from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.rig import (
    API_KEY,
    BEGIN_NS,
    CONDITION,
    DELAYED_YES,
    MS,
    POLY_ADDRESS,
    POLY_KEY,
    POLY_SECRET,
    TOKEN_NO,
    TOKEN_YES,
    KalshiKey,
    P,
    e6,
    poly_headers,
    poly_order,
    read_lines,
    shape,
)

KEY = KalshiKey()
Body = Callable[[rig.Session], Awaitable[None]]


def run(tls: TlsPaths, script: rig.ToyScript, body: Body, **options: Any) -> dict[str, int]:
    """Run `body` beside the venues of `script`; the venue's counters."""
    session = rig.session(tls, KEY, script, **options)
    try:
        asyncio.run(asyncio.wait_for(body(session), 30))
    finally:
        _, counts = session.stop()
    return counts["polymarket"]


async def connect(session: rig.Session, path: str) -> ClientConnection:
    return await websockets.connect(session.url("polymarket", "ws", path), ssl=session.context)


async def hear(link: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(link.recv(), 10))


async def subscribe(
    session: rig.Session, *tokens: str, custom: bool = False
) -> tuple[ClientConnection, Any]:
    link = await connect(session, "/ws/market")
    first: dict[str, Any] = {"type": "market", "assets_ids": list(tokens)}
    if custom:
        first["custom_feature_enabled"] = True
    await link.send(json.dumps(first))
    return link, await hear(link)


async def call(
    session: rig.Session,
    method: str,
    path: str,
    body: Any = None,
    *,
    query: str = "",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    text = "" if body is None else json.dumps(body, separators=(",", ":"))
    if headers is None:
        headers = poly_headers(method, path, text)
    url = session.url("polymarket", "rest", path) + query
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=session.context)) as client,
        client.request(method, url, data=text or None, headers=headers) as reply,
    ):
        return reply.status, json.loads(await reply.text())


def recorded(name: str) -> dict[str, Any]:
    """Real or documented frames by event type: the first of each in its present form."""
    frames: dict[str, Any] = {}
    for row in read_lines(reference(f"fixtures/polymarket/{name}.jsonl")):
        frame = row.get("frame")
        if (
            isinstance(frame, dict)
            and "event_type" in frame
            and "refresh" not in row.get("note", "")
        ):
            frames.setdefault(frame["event_type"], frame)
    return frames


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
            assert await asyncio.wait_for(each.recv(), 10) == "PONG"
        session.start()
        with pytest.raises(websockets.ConnectionClosed):
            await hear(link)
        await user.send("PING")
        assert await asyncio.wait_for(user.recv(), 10) == "PONG"
        await user.close()

    run(tls, script, body)


async def user_channel(
    session: rig.Session, *, whole: bool = False, **changes: str
) -> ClientConnection:
    """A user channel that has been let in."""
    auth = {"apiKey": API_KEY, "secret": POLY_SECRET, "passphrase": "phrase", **changes}
    link = await connect(session, "/ws/user")
    first = {"auth": auth, "type": "user"}
    await link.send(json.dumps(first if whole else {**first, "markets": [CONDITION]}))
    await link.send("PING")
    assert await asyncio.wait_for(link.recv(), 10) == "PONG"
    return link


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


def test_a_killed_order_answers_400_with_its_id(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        fok = poly_order(buy=True, maker="104", taker="200", order_type="FOK")
        status, answer = await call(session, "POST", "/order", fok)
        rows = json.loads(reference("fixtures/polymarket/rest_clob.json").read_text())
        wanted = next(row for row in rows if row["name"] == "err_fok")
        assert (status, shape(answer)) == (wanted["status"], shape(wanted["body"]))
        assert answer["error"] == wanted["body"]["error"]
        status, again = await call(session, "POST", "/order", fok)
        assert (status, again) == (
            400,
            {"error": f"order {answer['orderID']} is invalid. Duplicated."},
        )
        assert (await call(session, "GET", f"/data/order/{answer['orderID']}"))[0] == 404

    run(tls, rig.script_of(), body)


def test_a_batch_refuses_a_leg_with_200_and_an_empty_id(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        good = poly_order(buy=True, maker="5.20", taker="10")
        bad = poly_order(buy=True, maker="5.205", taker="10")
        status, rows = await call(session, "POST", "/orders", [good, bad])
        assert status == 200
        assert [row["success"] for row in rows] == [True, True]
        assert rows[0]["status"] == "matched"
        known = json.loads(reference("fixtures/polymarket/rest_clob.json").read_text())
        wanted = next(row for row in known if row["name"] == "post_orders_leg_rejected")["body"]
        assert rows[1] == wanted
        status, answer = await call(session, "POST", "/orders", [good] * 16)
        assert answer == {"error": "Too many orders in payload: 16, max allowed: 15"}

    run(tls, rig.script_of(), body)


@pytest.mark.parametrize(
    "spoil",
    [
        {"POLY_SIGNATURE": "AAAA"},
        {"POLY_API_KEY": "other"},
        {"POLY_PASSPHRASE": "other"},
        {"POLY_TIMESTAMP": "1000000000"},
        {"POLY_ADDRESS": "0x" + "12" * 20},
    ],
)
def test_a_wrong_l2_header_is_unauthorized(tls: TlsPaths, spoil: dict[str, str]) -> None:
    async def body(session: rig.Session) -> None:
        order = poly_order(buy=True, maker="5.20", taker="10")
        text = json.dumps(order, separators=(",", ":"))
        headers = {**poly_headers("POST", "/order", text), **spoil}
        status, answer = await call(session, "POST", "/order", order, headers=headers)
        assert (status, answer) == (401, {"error": "Unauthorized/Invalid api key"})
        headers = poly_headers("POST", "/order", text + " ")
        assert (await call(session, "POST", "/order", order, headers=headers))[0] == 401
        assert (await call(session, "POST", "/order", order))[0] == 200

    run(tls, rig.script_of(), body)


def test_resting_orders_are_listed_and_cancelled_every_way(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        async def rest() -> str:
            order = poly_order(buy=True, maker="4", taker="10", order_type="GTC")
            answer = (await call(session, "POST", "/order", order))[1]
            assert answer["status"] == "live"
            return str(answer["orderID"])

        first = await rest()
        _, found = await call(session, "GET", "/data/orders")
        assert [row["id"] for row in found["data"]] == [first]
        _, row = await call(session, "GET", f"/data/order/{first}")
        assert (row["original_size"], row["status"]) == ("10", "LIVE")
        _, found = await call(session, "DELETE", "/order", {"orderID": first})
        assert found == {"canceled": [first], "not_canceled": {}}
        ways: list[tuple[str, Callable[[str], Any]]] = [
            ("/orders", lambda one: [one]),
            ("/cancel-all", lambda one: None),
            ("/cancel-market-orders", lambda one: {"market": CONDITION, "asset_id": ""}),
        ]
        for path, make in ways:
            order_id = await rest()
            _, found = await call(session, "DELETE", path, make(order_id))
            assert found["canceled"] == [order_id], path

    run(tls, rig.script_of(), body)


def test_a_held_back_order_is_delayed_and_then_matched(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        user = await user_channel(session, whole=True)
        order = poly_order(buy=True, maker="5.20", taker="10", token=DELAYED_YES)
        _, answer = await call(session, "POST", "/order", order)
        assert answer["status"] == "delayed"
        assert (await hear(user))["status"] == "DELAYED"
        _, found = await call(session, "DELETE", "/order", {"orderID": answer["orderID"]})
        assert found["canceled"] == []
        trade = await hear(user)
        assert (trade["event_type"], trade["status"]) == ("trade", "MATCHED")
        await user.close()

    run(tls, rig.script_of(), body)


def test_l1_gives_the_account_its_key_and_a_stranger_none(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        def headers(key: str) -> dict[str, str]:
            names = ("address", "timestamp", "nonce", "message")
            kinds = ("address", "string", "uint256", "string")
            types = {
                "ClobAuth": [
                    {"name": name, "type": kind} for name, kind in zip(names, kinds, strict=True)
                ]
            }
            text = "This message attests that I control the given wallet"
            message = {"address": POLY_ADDRESS, "timestamp": "1", "nonce": 0, "message": text}
            domain = {"name": "ClobAuthDomain", "version": "1", "chainId": 137}
            signed = Account.sign_message(encode_typed_data(domain, types, message), key)
            return {
                "POLY_ADDRESS": POLY_ADDRESS,
                "POLY_SIGNATURE": "0x" + signed.signature.hex().removeprefix("0x"),
                "POLY_TIMESTAMP": "1",
                "POLY_NONCE": "0",
            }

        for method, path in (("POST", "/auth/api-key"), ("GET", "/auth/derive-api-key")):
            status, answer = await call(session, method, path, headers=headers(POLY_KEY))
            assert status == 200
            assert answer == {"apiKey": API_KEY, "secret": POLY_SECRET, "passphrase": "phrase"}
        status, answer = await call(
            session, "POST", "/auth/api-key", headers=headers("0x" + "11" * 32)
        )
        assert (status, answer) == (401, {"error": "Invalid L1 Request headers"})

    run(tls, rig.script_of(), body)


def test_public_reads_have_the_recorded_shapes(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        rows = json.loads(reference("fixtures/polymarket/rest_clob.json").read_text())
        known = {row["name"]: row["body"] for row in rows}
        token = f"?token_id={TOKEN_YES}"
        for path, query, name in (
            ("/book", token, "book"),
            ("/price", token + "&side=BUY", "price_buy"),
            ("/midpoint", token, "midpoint"),
            ("/spread", token, "spread"),
            ("/tick-size", token, "tick_size"),
            ("/neg-risk", token, "neg_risk"),
            ("/fee-rate", token, "fee_rate"),
            ("/version", "", "version"),
        ):
            status, answer = await call(session, "GET", path, query=query, headers={})
            assert (status, shape(answer)) == (200, shape(known[name])), path
        _, answer = await call(session, "GET", "/price", query=token + "&side=BUY", headers={})
        assert answer == {"price": "0.47"}, "BUY answers the best bid"
        status, answer = await call(session, "GET", "/book", query="?token_id=5", headers={})
        assert (status, answer) == (404, {"error": "the orderbook 5 does not exist"})
        _, answer = await call(session, "POST", "/books", [{"token_id": TOKEN_NO}], headers={})
        assert answer[0]["asset_id"] == TOKEN_NO
        _, answer = await call(session, "GET", f"/clob-markets/{CONDITION}", headers={})
        assert answer["fd"] == {"r": 0.07, "e": 1, "to": True}
        _, answer = await call(session, "GET", f"/clob-markets/{rig.DELAYED_CONDITION}", headers={})
        assert answer["itode"] is True
        _, answer = await call(session, "GET", f"/markets-by-token/{TOKEN_NO}", headers={})
        assert answer["condition_id"] == CONDITION

    run(tls, rig.script_of(), body)


def test_gamma_puts_json_in_strings(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        query = f"?condition_ids={CONDITION}"
        _, (market,) = await call(session, "GET", "/markets", query=query, headers={})
        assert json.loads(market["clobTokenIds"]) == [TOKEN_YES, TOKEN_NO]
        assert json.loads(market["outcomes"]) == ["Yes", "No"]
        _, same = await call(session, "GET", "/markets/slug/test-market", headers={})
        assert same == market
        _, event = await call(session, "GET", "/events/slug/test-market", headers={})
        assert [row["slug"] for row in event["markets"]] == ["test-market"]
        known = json.loads(reference("fixtures/polymarket/gamma.json").read_text())[2]["body"]
        cosmetic = {
            "events",
            "cryptoMarketConfig",
            "cryptoMarketConfigId",
            "makerRebatesFeeShareBps",
        }
        assert set(known) - cosmetic <= set(market)
        for name in set(known) & set(market) - {"feeSchedule"}:
            assert type(market[name]) is type(known[name]), name

    run(tls, rig.script_of(), body)


def test_a_silent_heartbeat_cancels_everything(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        user = await user_channel(session)
        order = poly_order(buy=True, maker="4", taker="10", order_type="GTC")
        _, answer = await call(session, "POST", "/order", order)
        assert (await hear(user))["type"] == "PLACEMENT"
        _, first = await call(session, "POST", "/v1/heartbeats", {"heartbeat_id": ""})
        status, stale = await call(session, "POST", "/v1/heartbeats", {"heartbeat_id": "x"})
        assert (status, stale["error_msg"]) == (400, "Invalid Heartbeat ID")
        assert stale["heartbeat_id"] == first["heartbeat_id"]
        event = await hear(user)
        assert (event["type"], event["id"]) == ("CANCELLATION", answer["orderID"])
        await user.close()

    counts = run(tls, rig.script_of(), body, polymarket_heartbeat_ns=1000 * MS)
    assert counts["heartbeat_cancels"] == 1


def test_too_many_orders_are_slowed_down(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        bodies = [poly_order(buy=True, maker="1.02", taker="2") for _ in range(3)]
        statuses = [(await call(session, "POST", "/order", one))[0] for one in bodies]
        assert statuses[0] == 400
        assert 429 in statuses

    counts = run(tls, rig.script_of(), body, polymarket_orders_per_s=1)
    assert counts["refused_rate"] >= 1
