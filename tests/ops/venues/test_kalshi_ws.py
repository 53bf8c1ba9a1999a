"""Kalshi's frames over real sockets with TLS: shape, number, order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from ops.venues.kalshi_ws import WS_PATH
from ops.venues.script import ASK, BID, BookSet, ConnectionCut, LevelSet, StatusChange, TickerPrint
from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.kalshi_client import (
    KEY,
    connect,
    get,
    hear,
    order,
    post,
    recorded_frames,
    run,
    say,
)
from tests.ops.venues.rig import BEGIN_NS, MS, SHARD2, TICKER, K, e6, read_lines, shape


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
            BookSet(BEGIN_NS + 10_000 * MS, K, *levels, 1),
            LevelSet(BEGIN_NS + 10_001 * MS, K, BID, e6("0.48"), e6("6"), 2),
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
        added = {"last_updated_ts_ms", "last_update_reason"}
        assert set(user_order) - added == set(wanted) - absent
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
        assert await asyncio.wait_for(seen.get(), 60) == b"heartbeat"
        await link.close()

    run(tls, rig.script_of(), body, kalshi_ping_ns=20 * MS)
