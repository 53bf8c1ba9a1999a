"""Kalshi over real sockets with TLS: frames by shape and number, REST by status and body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from websockets.asyncio.client import ClientConnection

from ops.venues.kalshi_ws import WS_PATH
from ops.venues.script import ASK, BID, BookSet, ConnectionCut, LevelSet, StatusChange, TickerPrint
from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.rig import BEGIN_NS, MS, SHARD2, TICKER, K, KalshiKey, e6, read_lines, shape

KEY = KalshiKey()
BASE = "/trade-api/v2"
ORDERS = f"{BASE}/portfolio/events/orders"
Frame = dict[str, Any]


async def connect(session: rig.Session) -> ClientConnection:
    return await websockets.connect(
        session.url("kalshi", "ws", WS_PATH),
        ssl=session.context,
        additional_headers=KEY.headers("GET", WS_PATH),
    )


async def say(link: ClientConnection, cmd: str, number: int = 1, **params: Any) -> None:
    await link.send(json.dumps({"id": number, "cmd": cmd, "params": params}))


async def hear(link: ClientConnection, count: int) -> list[Frame]:
    """The next frames; each is one JSON line ending with a newline."""
    frames = []
    for _ in range(count):
        text = await asyncio.wait_for(link.recv(), 10)
        assert isinstance(text, str)
        assert text.endswith("\n")
        frames.append(json.loads(text))
    return frames


def run(
    tls: TlsPaths, script: rig.ToyScript, body: Callable[..., Awaitable[None]], **options: Any
) -> None:
    """Run `body(session)` beside the venues of `script`."""
    session = rig.session(tls, KEY, script, **options)
    try:
        asyncio.run(asyncio.wait_for(body(session), 30))
    finally:
        session.stop()


def recorded_frames() -> dict[str, Frame]:
    """Recorded or documented frames by type."""
    frames: dict[str, Frame] = {}
    for name in ("book_demo_yes_scale_prices", "channel_examples", "control_replies"):
        for frame in read_lines(reference(f"fixtures/kalshi/ws/{name}.jsonl")):
            frames.setdefault(frame["type"], frame)
    return frames


def test_subscribers_get_a_snapshot_and_then_every_change_in_sequence(tls: TlsPaths) -> None:
    script = rig.script_of(
        LevelSet(BEGIN_NS + 5 * MS, K, BID, e6("0.48"), e6("5")),
        LevelSet(BEGIN_NS + 5 * MS, K, ASK, e6("0.52"), e6("3.5")),
        LevelSet(BEGIN_NS + 9 * MS, K, BID, e6("0.48"), 0),
    )

    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await say(link, "subscribe", channels=["orderbook_delta"], market_tickers=[TICKER, SHARD2])
        subscribed, first, second = await hear(link, 3)
        assert session.expect("subscribed") == ("subscribed", "kalshi")
        session.start()
        deltas = await hear(link, 3)
        known = recorded_frames()
        assert shape(subscribed) == shape(known["subscribed"])
        assert shape(first) == shape(known["orderbook_snapshot"])
        assert [shape(delta) for delta in deltas] == [shape(known["orderbook_delta"])] * 3
        assert [frame["seq"] for frame in (first, second, *deltas)] == [1, 2, 3, 4, 5]
        assert first["msg"]["no_dollars_fp"][-1] == ["0.4800", "10.00"], "NO bids at the NO price"
        assert [frame["msg"]["delta_fp"] for frame in deltas] == ["5.00", "-6.50", "-5.00"]
        assert deltas[1]["msg"]["side"] == "no"
        assert deltas[1]["msg"]["price_dollars"] == "0.4800"
        assert [frame["msg"]["ts_ms"] - BEGIN_NS // MS for frame in deltas] == [5, 5, 9]
        await link.close()

    run(tls, script, body)


def test_use_yes_price_turns_the_no_scale(tls: TlsPaths) -> None:
    script = rig.script_of(LevelSet(BEGIN_NS + MS, K, ASK, e6("0.52"), e6("3.5")))

    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await say(
            link,
            "subscribe",
            channels=["orderbook_delta"],
            market_ticker=TICKER,
            use_yes_price=True,
        )
        _, snapshot = await hear(link, 2)
        assert snapshot["msg"]["no_dollars_fp"][0] == ["0.5200", "10.00"]
        session.start()
        (delta,) = await hear(link, 1)
        assert (delta["msg"]["side"], delta["msg"]["price_dollars"]) == ("no", "0.5200")
        await link.close()

    run(tls, script, body)


def test_an_empty_side_is_absent_and_a_market_without_a_book_stays_silent(tls: TlsPaths) -> None:
    one_sided = BookSet(BEGIN_NS, K, rig.BIDS, ())
    later = BookSet(BEGIN_NS + MS, rig.K2, (), rig.ASKS)
    script = rig.ToyScript(made=(one_sided, later))

    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await say(link, "subscribe", channels=["orderbook_delta"], market_tickers=[TICKER, SHARD2])
        _, first = await hear(link, 2)
        assert "no_dollars_fp" not in first["msg"]
        session.start()
        (second,) = await hear(link, 1)
        assert second["type"] == "orderbook_snapshot"
        assert "yes_dollars_fp" not in second["msg"]
        await link.close()

    run(tls, script, body)


def test_recorded_numbers_pass_through_holes_and_cuts_included(tls: TlsPaths) -> None:
    levels = rig.BIDS, rig.ASKS
    script = rig.ToyScript(
        made=(
            BookSet(BEGIN_NS, K, *levels, 41),
            LevelSet(BEGIN_NS + MS, K, BID, e6("0.48"), e6("5"), 42),
            LevelSet(BEGIN_NS + 2 * MS, K, BID, e6("0.48"), e6("5"), 43),
            LevelSet(BEGIN_NS + 3 * MS, K, BID, e6("0.48"), e6("6"), 47),
            ConnectionCut(BEGIN_NS + 4 * MS, "kalshi"),
            BookSet(BEGIN_NS + 2_000 * MS, K, *levels, 1),
            LevelSet(BEGIN_NS + 2_001 * MS, K, BID, e6("0.48"), e6("6"), 2),
        )
    )

    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await say(link, "subscribe", channels=["orderbook_delta"], market_ticker=TICKER)
        await hear(link, 1)
        session.start()
        frames = await hear(link, 4)
        assert [frame["seq"] for frame in frames] == [41, 42, 43, 47]
        assert frames[2]["msg"]["delta_fp"] == "0.00", "no change, yet its number is used"
        with pytest.raises(websockets.ConnectionClosed):
            await hear(link, 1)
        link = await connect(session)
        await say(link, "subscribe", channels=["orderbook_delta"], market_ticker=TICKER)
        subscribed, snapshot, delta = await hear(link, 3)
        assert subscribed["type"] == "subscribed", "the book of before the cut is not shown"
        assert (snapshot["seq"], delta["seq"]) == (1, 2)
        await link.close()

    run(tls, script, body)


def test_our_fill_is_seen_on_every_channel(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session)
        channels = ["orderbook_delta", "trade", "ticker", "fill", "user_orders", "market_positions"]
        await say(link, "subscribe", channels=channels, market_tickers=[TICKER])
        await hear(link, 7)
        status, answer = await post(session, order("c-1", "bid", "0.5200", "4.00"))
        assert status == 201
        frames = {frame["type"]: frame for frame in await hear(link, 6)}
        known = recorded_frames()
        for kind in ("orderbook_delta", "trade", "ticker", "fill", "market_position"):
            assert set(frames[kind]["msg"]) == set(shape(known[kind])["msg"]), kind
        absent = {"order_group_id", "expiration_time", "expiration_ts_ms"}  # only where they apply
        user_order, wanted = frames["user_order"]["msg"], known["user_order"]["msg"]
        assert set(user_order) - {"last_updated_ts_ms"} == set(wanted) - absent
        assert frames["orderbook_delta"]["msg"]["delta_fp"] == "-4.00"
        assert frames["trade"]["msg"]["taker_book_side"] == "bid"
        fill = frames["fill"]["msg"]
        assert (fill["client_order_id"], fill["post_position_fp"]) == ("c-1", "4.00")
        assert fill["fee_cost"] == "0.069900"
        assert fill["order_id"] == answer["order_id"]
        assert "seq" not in frames["fill"]
        await link.close()

    run(tls, rig.script_of(), body)


def test_commands_answer_as_documented(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session)
        for command, code in (
            ({"id": 5, "cmd": "nothing", "params": {"a": 1}}, 5),
            ({"id": 5, "cmd": "subscribe"}, 2),
            ({"id": 5, "cmd": "subscribe", "params": {"market_ticker": "X"}}, 3),
            ({"id": 5, "cmd": "subscribe", "params": {"channels": ["nope"]}}, 8),
            ({"id": 5, "cmd": "subscribe", "params": {"channels": ["orderbook_delta"]}}, 14),
            ({"id": 5, "cmd": "unsubscribe", "params": {"sids": [9]}}, 7),
            ({"id": 5, "cmd": "update_subscription", "params": {"sids": [1, 2]}}, 12),
        ):
            await link.send(json.dumps(command))
            (reply,) = await hear(link, 1)
            assert (reply["id"], reply["type"], reply["msg"]["code"]) == (5, "error", code)
            assert shape(reply) == shape(
                read_lines(reference("fixtures/kalshi/ws/errors.jsonl"))[0]
            )
        await say(link, "subscribe", channels=["orderbook_delta"], market_ticker=TICKER)
        await hear(link, 2)
        await say(
            link, "update_subscription", 2, sid=1, action="get_snapshot", market_tickers=[TICKER]
        )
        reply, snapshot = await hear(link, 2)
        assert (reply["type"], reply["seq"], snapshot["seq"]) == ("ok", 2, 3)
        added = {"action": "add_markets", "market_tickers": [SHARD2]}
        await say(link, "update_subscription", 3, sids=[1], **added)
        reply, snapshot = await hear(link, 2)
        assert reply["msg"]["market_tickers"] == sorted([TICKER, SHARD2])
        assert (reply["seq"], snapshot["seq"]) == (4, 5)
        assert snapshot["msg"]["market_ticker"] == SHARD2
        await link.send(json.dumps({"id": 4, "cmd": "list_subscriptions"}))
        (listed,) = await hear(link, 1)
        assert listed["msg"] == [{"channel": "orderbook_delta", "sid": 1}]
        await say(link, "unsubscribe", 5, sids=[1])
        (reply,) = await hear(link, 1)
        assert shape(reply) == shape(recorded_frames()["unsubscribed"])
        await link.close()

    run(tls, rig.script_of(), body)


def test_the_life_of_a_market_is_told_where_the_venue_tells_it(tls: TlsPaths) -> None:
    script = rig.script_of(
        StatusChange(BEGIN_NS + MS, K, "closed"),
        StatusChange(BEGIN_NS + 2 * MS, K, "finalized", e6("1")),
        TickerPrint(BEGIN_NS + 3 * MS, rig.K2, (("yes_bid_dollars", "0.4700"), ("ts_ms", 5))),
    )

    async def body(session: rig.Session) -> None:
        link = await connect(session)
        await say(link, "subscribe", channels=["market_lifecycle_v2"])
        await say(link, "subscribe", channels=["ticker"], market_ticker=SHARD2)
        await hear(link, 2)
        session.start()
        determined, settled, ticker = await hear(link, 3)
        assert [determined["seq"], settled["seq"]] == [1, 2]
        assert determined["msg"]["event_type"] == "determined"
        assert determined["msg"]["result"] == "yes"
        assert settled["msg"]["event_type"] == "settled"
        assert ticker["msg"]["yes_bid_dollars"] == "0.4700"
        status, answer = await get(session, f"/markets/{TICKER}")
        assert (status, answer["market"]["status"], answer["market"]["result"]) == (
            200,
            "finalized",
            "yes",
        )
        await link.close()

    run(tls, script, body)


def test_the_server_pings_with_its_word(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        seen: asyncio.Queue[bytes] = asyncio.Queue()

        class Client(ClientConnection):
            def process_event(self, event: Any) -> None:
                if getattr(event, "opcode", None) == 9:
                    seen.put_nowait(bytes(event.data))
                super().process_event(event)

        link = await websockets.connect(
            session.url("kalshi", "ws", WS_PATH),
            ssl=session.context,
            additional_headers=KEY.headers("GET", WS_PATH),
            create_connection=Client,
        )
        assert await asyncio.wait_for(seen.get(), 10) == b"heartbeat"
        await link.close()

    run(tls, rig.script_of(), body, kalshi_ping_ns=20 * MS)


def order(client_order_id: str, side: str, price: str, count: str, **changes: Any) -> Frame:
    return {
        "ticker": TICKER,
        "client_order_id": client_order_id,
        "side": side,
        "count": count,
        "price": price,
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
        **changes,
    }


async def call(
    session: rig.Session,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    query: str = "",
    body: Frame | None = None,
) -> tuple[int, Any]:
    """One signed request; `headers` replaces the good ones."""
    if headers is None:
        headers = KEY.headers(method, path)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=session.context)) as client,
        client.request(
            method, session.url("kalshi", "rest", path) + query, json=body, headers=headers
        ) as reply,
    ):
        text = await reply.text()
        return reply.status, json.loads(text) if text else None


async def post(session: rig.Session, body: Frame) -> tuple[int, Any]:
    return await call(session, "POST", ORDERS, body=body)


async def get(session: rig.Session, path: str, query: str = "") -> tuple[int, Any]:
    return await call(session, "GET", BASE + path, query=query)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        ({"KALSHI-ACCESS-SIGNATURE": ""}, "401_missing_signature"),
        ({"KALSHI-ACCESS-KEY": "someone-else"}, "401_unknown_key"),
        ({"KALSHI-ACCESS-SIGNATURE": "AAAA"}, "401_bad_signature"),
        ({"KALSHI-ACCESS-TIMESTAMP": "1781159387354"}, "401_timestamp_expired"),
    ],
)
def test_a_wrong_header_has_the_recorded_401(tls: TlsPaths, spoil: Frame, name: str) -> None:
    async def body(session: rig.Session) -> None:
        path = f"{BASE}/portfolio/balance"
        headers = {**KEY.headers("GET", path), **spoil}
        status, answer = await call(session, "GET", path, headers=headers)
        wanted = json.loads(reference(f"fixtures/kalshi/rest/errors/{name}.json").read_text())
        assert (status, answer) == (401, wanted)
        headers = {**KEY.headers("GET", WS_PATH), **spoil}
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(
                session.url("kalshi", "ws", WS_PATH),
                ssl=session.context,
                additional_headers=headers,
            )
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body) == {"code": "token_authentication_failure"}

    run(tls, rig.script_of(), body)


def test_an_rsa_account_trades_too(tls: TlsPaths) -> None:
    key = KalshiKey(generate_private_key(65537, 2048))

    async def body(session: rig.Session) -> None:
        headers = key.headers("POST", ORDERS)
        request = order("c", "bid", "0.5200", "1.00")
        status, _ = await call(session, "POST", ORDERS, headers=headers, body=request)
        assert status == 201
        status, _ = await call(session, "POST", ORDERS, body=request)
        assert status == 401, "the other key is not this account's"

    run(tls, rig.script_of(), body, accounts=rig.accounts(key))


def test_rest_reads_back_what_was_traded(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        _, filled = await post(session, order("a", "bid", "0.5200", "2.00"))
        gtc = {"time_in_force": "good_till_canceled", "ticker": SHARD2, "exchange_index": 2}
        _, resting = await post(session, order("b", "bid", "0.1000", "3.00", **gtc))
        _, found = await get(session, f"/portfolio/orders/{filled['order_id']}")
        assert found["order"]["status"] == "executed"
        _, found = await get(session, "/portfolio/orders", "?status=resting")
        assert [row["client_order_id"] for row in found["orders"]] == ["b"]
        _, found = await get(session, "/portfolio/fills", f"?ticker={TICKER}")
        assert [row["count_fp"] for row in found["fills"]] == ["2.00"]
        _, found = await get(session, "/portfolio/positions", f"?ticker={TICKER}")
        assert found["market_positions"][0]["position_fp"] == "2.00"
        _, found = await get(session, "/portfolio/balance")
        cash = {row["exchange_index"]: row["balance"] for row in found["balance_breakdown"]}
        assert cash == {0: "998.9250", 2: "9.7000"}
        path = f"{ORDERS}/{resting['order_id']}"
        assert (await call(session, "DELETE", path))[0] == 404
        status, answer = await call(session, "DELETE", path, query="?exchange_index=2")
        assert (status, answer["reduced_by"]) == (200, "3.00")
        assert (await call(session, "DELETE", ORDERS))[0] == 204
        status, answer = await call(session, "POST", f"{BASE}/portfolio/orders", body={})
        recorded = reference("fixtures/kalshi/rest/errors/410_v1_create_order.json").read_text()
        assert (status, answer) == (410, json.loads(recorded))

    run(tls, rig.script_of(), body)


def test_public_market_data_needs_no_signature(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        async def read(path: str, query: str = "") -> tuple[int, Any]:
            return await call(session, "GET", BASE + path, headers={}, query=query)

        _, found = await read("/markets", f"?tickers={SHARD2}&status=open")
        assert [row["ticker"] for row in found["markets"]] == [SHARD2]
        assert found["cursor"] == ""
        _, found = await read("/markets", "?limit=1")
        assert (len(found["markets"]), found["cursor"]) == (1, "1")
        status, found = await read("/markets", "?limit=1001")
        assert (status, list(found)) == (400, ["msg"])
        assert (await read("/markets", "?status=active"))[0] == 400
        _, found = await read(f"/markets/{TICKER}/orderbook", "?depth=1")
        book = {"yes_dollars": [["0.4700", "30.00"]], "no_dollars": [["0.4800", "10.00"]]}
        assert found == {"orderbook_fp": book}
        _, found = await read("/series/KXCRYPTO")
        assert found["series"]["fee_multiplier"] == 1
        _, found = await read("/events/KXCRYPTO-26JAN")
        assert [row["ticker"] for row in found["markets"]] == [SHARD2]
        _, found = await read("/exchange/status")
        recorded = reference("fixtures/kalshi/rest/exchange_status_sharded.json").read_text()
        assert found == json.loads(recorded)
        assert (await read("/markets/NOPE"))[0] == 404

    run(tls, rig.script_of(), body)


def test_the_write_bucket_refuses_and_refills(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        bodies = [order(str(number), "bid", "0.0100", "1.00") for number in range(4)]
        statuses = [(await post(session, body_of))[0] for body_of in bodies]
        assert statuses[0] == 201
        assert 429 in statuses
        assert (await get(session, "/account/limits"))[1]["write"]["refill_rate"] == 10

    run(tls, rig.script_of(), body, kalshi_tokens_per_s=10)


def test_one_order_is_one_row_of_the_log(tls: TlsPaths) -> None:
    session = rig.session(tls, KEY, rig.script_of(), reply_delay_ns=30 * MS)

    async def body() -> None:
        await post(session, order("a", "bid", "0.5200", "2.00"))
        await post(session, order("b", "bid", "0.5250", "2.00"))

    asyncio.run(body())
    rows, counts = session.stop()
    assert [(row[0], row[1], row[4]) for row in rows] == [
        ("kalshi", "a", "filled"),
        ("kalshi", "b", "invalid_price"),
    ]
    assert all(row[2] < row[3] for row in rows)
    assert (counts["kalshi"]["orders"], counts["kalshi"]["fills"]) == (2, 1)
