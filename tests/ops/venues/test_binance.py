"""The simulated Binance by the shapes of its recorded frames, its limits and its refusals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode

from ops.venues.binance import STREAMS_MAX
from ops.venues.exchanges import exchanges
from ops.venues.script import ASK, BID, SpotTrade
from ops.venues.tls import TlsPaths
from tests.ops.venues import rig
from tests.ops.venues.rig import BEGIN_NS, MS, KalshiKey, shape
from tests.ops.venues.spot_client import connect, get, hear, hear_until, rows

KEY = KalshiKey()
TRADES = tuple(
    SpotTrade(BEGIN_NS + at_ms * MS, "BTC-USD", 7_947_126_000_000 + move, 12_345_000, side, number)
    for number, (at_ms, move, side) in enumerate(
        [(0, 0, BID), (300, 3 * 10**9, BID), (310, -(10**9), ASK), (700, 9 * 10**9, BID)], 100
    )
)
SCRIPT = rig.ToyScript(made=TRADES, markets=())
(EXCHANGE,) = exchanges(SCRIPT.products, SCRIPT.digest, ("binance",))
SHOWN = [EXCHANGE.shown(trade) for trade in TRADES]


def recorded(name: str) -> Any:
    return json.loads(rows("binance_spot.jsonl")[name]["raw"])


def run(tls: TlsPaths, body: Any, **options: Any) -> dict[str, int]:
    session = rig.session(tls, KEY, SCRIPT, exchanges=(EXCHANGE,), **options)
    try:
        asyncio.run(asyncio.wait_for(body(session), 200))
    finally:
        _, counts = session.stop()
    return counts["binance"]


def request(method: str, params: Any = None, number: Any = 1) -> str:
    params = {} if params is None else {"params": params}
    return json.dumps({"method": method, **params, "id": number})


@pytest.mark.parametrize(
    ("stream", "name"),
    [("trade", "bn-trade-2026-05"), ("aggTrade", "bn-aggtrade-doc"),
     ("bookTicker", "bn-bookticker-doc"), ("depth@100ms", "bn-depth-1")],
)  # fmt: skip
def test_each_stream_has_its_recorded_shape(tls: TlsPaths, stream: str, name: str) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", f"/ws/btcusdt@{stream}")
        session.start()
        wanted = recorded(name)
        wanted = wanted.get("data", wanted)
        assert shape(await hear(link)) == shape(wanted)
        await link.close()

    run(tls, body)


def test_combined_streams_are_wrapped_and_the_trade_is_the_scripts(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        path = "/stream?streams=btcusdt@trade/btcusdt@depth5&timeUnit=MICROSECOND"
        link = await connect(session, "binance", path)
        session.start()
        for shown in SHOWN:
            frame = await hear_until(link, lambda frame: frame["stream"] == "btcusdt@trade")
            data = frame["data"]
            assert shown is not None and data["t"] == shown.trade_id
            assert data["p"] == f"{shown.price_e8 // 10**8}.{shown.price_e8 % 10**8:08d}"
            assert data["T"] == shown.at_epoch_ns // 1_000
            assert data["m"] is (shown.taker_side == ASK)
        await link.close()

    run(tls, body)


def test_requests_are_answered_with_their_id(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", "/ws")
        asked = (
            (request("SUBSCRIBE", ["btcusdt@aggTrade", "nosuch@trade"]), {"result": None, "id": 1}),
            (request("UNSUBSCRIBE", ["nosuch@trade"], "ab1"), {"result": None, "id": "ab1"}),
            (request("LIST_SUBSCRIPTIONS", number=3), recorded("bn-list-ack")),
            ("{", recorded("bn-err")),
        )
        for text, answer in asked:
            await link.send(text)
            assert await hear_until(link, lambda frame: "e" not in frame) == answer
        await link.close()

    counts = run(tls, body)
    assert "closed_messages" not in counts


@pytest.mark.parametrize(
    ("text", "code"),
    [("[]", 2), (request("DANCE"), 2), (request("SUBSCRIBE", ["a"], 1.5), 2),
     (request("SUBSCRIBE", "a"), 2), (request("SET_PROPERTY", [1, True]), 2),
     (request("SET_PROPERTY", ["combined", 1]), 1), (request("GET_PROPERTY", ["colour"]), 0)],
)  # fmt: skip
def test_wrong_requests_get_the_documents_code(tls: TlsPaths, text: str, code: int) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", "/ws")
        await link.send(text)
        assert (await hear(link))["code"] == code
        await link.close()

    run(tls, body)


def test_combined_is_a_property_that_can_be_set(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", "/ws/btcusdt@trade")
        await link.send(request("SET_PROPERTY", ["combined", True], 5))
        assert await hear(link) == {"result": None, "id": 5}
        await link.send(request("GET_PROPERTY", ["combined"], 6))
        assert await hear(link) == {"result": True, "id": 6}
        session.start()
        assert set(await hear(link)) == {"stream", "data"}
        await link.close()

    run(tls, body)


def test_the_sixth_message_of_a_second_ends_the_connection_pings_included(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", "/ws")
        for number in range(3):
            await link.ping()
            await link.send(request("LIST_SUBSCRIPTIONS", number=number))
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await hear(link)
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1008

    assert run(tls, body)["closed_messages"] == 1


def test_more_streams_than_a_connection_may_have_end_it(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", "/ws")
        await link.send(request("SUBSCRIBE", [f"x{n}@trade" for n in range(STREAMS_MAX + 1)]))
        with pytest.raises(ConnectionClosed):
            while True:
                await hear(link)

    assert run(tls, body)["closed_streams"] == 1


def test_the_server_pings_and_counts_the_pongs(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        pings: asyncio.Queue[bytes] = asyncio.Queue()

        class Client(ClientConnection):
            def process_event(self, event: Any) -> None:
                super().process_event(event)  # answers it
                if getattr(event, "opcode", None) == Opcode.PING:
                    pings.put_nowait(bytes(event.data))

        link = await connect(session, "binance", "/stream?streams=btcusdt@trade", Client)
        session.start()
        for _ in range(3):  # the third is behind two answers
            await asyncio.wait_for(pings.get(), 60)
        await link.close()

    assert run(tls, body, binance_ping_ns=230 * MS)["pongs"] >= 2


def test_a_connection_is_told_of_its_end_and_cut(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", "/ws/nosuch@trade")
        combined = await connect(session, "binance", "/stream?streams=nosuch@trade")
        assert shape(await hear(link)) == shape(recorded("bn-shutdown-raw"))
        assert shape(await hear(combined)) == shape(recorded("bn-shutdown-comb"))
        for each in (link, combined):
            with pytest.raises(ConnectionClosed):
                await hear(each)

    assert run(tls, body, binance_life_ns=600 * MS)["closed_age"] == 2


def test_a_us_address_is_refused_at_the_handshake_and_by_rest(tls: TlsPaths) -> None:
    row = rows("binance_spot.jsonl")["bn-451"]

    async def body(session: rig.Session) -> None:
        with pytest.raises(InvalidStatus) as caught:
            await connect(session, "binance", "/ws/btcusdt@trade")
        response = caught.value.response
        assert (response.status_code, response.body.decode()) == (row["http_status"], row["raw"])
        status, found, _ = await asyncio.to_thread(get, session, "binance", "/api/v3/time")
        assert (status, found) == (row["http_status"], json.loads(row["raw"]))

    assert run(tls, body, is_us_address=True)["refused_451"] == 2


def test_a_local_book_by_the_documents_recipe_is_the_venues(tls: TlsPaths) -> None:
    def depth(session: rig.Session) -> Any:
        return get(session, "binance", "/api/v3/depth?symbol=BTCUSDT&limit=5000")[1]

    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", "/ws/btcusdt@depth@100ms")
        session.start()
        first = await hear(link)
        book = await asyncio.to_thread(depth, session)
        sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
        newest, frame = book["lastUpdateId"], first
        while newest < len(TRADES):
            if frame["u"] > newest:
                assert frame["U"] <= newest + 1 <= frame["u"]
                for name, side in sides.items():
                    side.update(dict(frame[name]))
                newest = frame["u"]
            if newest < len(TRADES):
                frame = await hear(link)
        book = await asyncio.to_thread(depth, session)
        for name, side in (("bids", sides["b"]), ("asks", sides["a"])):
            assert dict(book[name]) == {price: size for price, size in side.items() if float(size)}
        await link.close()

    run(tls, body)


def test_rest_answers_as_documented(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "binance", "/ws/btcusdt@trade")
        session.start()
        await hear_until(link, lambda frame: frame["t"] == TRADES[-1].trade_id)

        def ask(path: str) -> Any:
            return get(session, "binance", f"/api/v3/{path}")[:2]

        assert await asyncio.to_thread(ask, "ping") == (200, {})
        _, price = await asyncio.to_thread(ask, "ticker/price?symbol=BTCUSDT")
        assert set(price) == {"symbol", "price"}
        _, (bar, *_) = await asyncio.to_thread(ask, "klines?symbol=BTCUSDT&interval=1m")
        assert len(bar) == 12
        _, trades = await asyncio.to_thread(ask, "trades?symbol=BTCUSDT&limit=2")
        assert [each["id"] for each in trades] == [102, 103]
        _, ticker = await asyncio.to_thread(ask, "ticker/bookTicker?symbol=BTCUSDT")
        assert float(ticker["bidPrice"]) < float(ticker["askPrice"])
        _, info = await asyncio.to_thread(ask, "exchangeInfo")
        assert [each["symbol"] for each in info["symbols"]] == ["BTCUSDT"]
        assert await asyncio.to_thread(ask, "depth?symbol=X") == (
            400, {"code": -1121, "msg": "Invalid symbol."})  # fmt: skip
        assert (await asyncio.to_thread(ask, "depth"))[1]["code"] == -1102
        await link.close()

    run(tls, body)
