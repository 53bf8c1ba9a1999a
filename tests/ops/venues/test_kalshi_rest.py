"""Kalshi's REST over real sockets with TLS: status, body, log."""

from __future__ import annotations

import asyncio
import json
from dataclasses import fields
from typing import Any

import pytest
import websockets
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from ops.venues.kalshi_ws import WS_PATH
from ops.venues.spec import VenuesSpec
from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.kalshi_client import (
    BASE,
    KEY,
    ORDERS,
    Frame,
    call,
    get,
    order,
    post,
    run,
)
from tests.ops.venues.rig import MS, SHARD2, TICKER, KalshiKey


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

    run(tls, rig.script_of(), body, kalshi_read_lag_ns=0)


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


def test_many_books_come_in_one_answer(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        async def read(query: str) -> tuple[int, Any]:
            path = f"{BASE}/markets/orderbooks"
            return await call(session, "GET", path, headers={}, query=query)

        status, found = await read(f"?tickers={TICKER}&tickers={SHARD2}&tickers=NOPE")
        assert (status, [row["ticker"] for row in found["orderbooks"]]) == (200, [TICKER, SHARD2])
        _, single = await call(session, "GET", f"{BASE}/markets/{TICKER}/orderbook", headers={})
        assert found["orderbooks"][0]["orderbook_fp"] == single["orderbook_fp"]
        assert (await read(f"?tickers={TICKER},{SHARD2}"))[1] == {"orderbooks": []}
        assert (await read(""))[0] == 400
        assert (await read("?" + "&".join(["tickers=A"] * 101)))[0] == 400

    run(tls, rig.script_of(), body)


def test_batches_and_groups_go_over_the_wire(tls: TlsPaths) -> None:
    """A DELETE with a body, a PUT, and paths beside those with an id in them."""

    async def body(session: rig.Session) -> None:
        groups = f"{BASE}/portfolio/order_groups"
        status, made = await call(session, "POST", f"{groups}/create", body={"contracts_limit": 5})
        assert status == 201
        name = made["order_group_id"]
        gtc = {"time_in_force": "good_till_canceled", "order_group_id": name}
        bodies = [order(text, "bid", "0.1000", "1.00", **gtc) for text in ("a", "b")]
        status, made = await call(session, "POST", f"{ORDERS}/batched", body={"orders": bodies})
        assert status == 201
        first, second = [{"order_id": row["order_id"]} for row in made["orders"]]
        asked = {"orders": [first]}
        status, found = await call(session, "DELETE", f"{ORDERS}/batched", body=asked)
        assert (status, found["orders"][0]["reduced_by"]) == (200, "1.00")
        _, found = await get(session, "/portfolio/orders/queue_positions")
        assert [row["order_id"] for row in found["queue_positions"]] == [second["order_id"]]
        assert (await call(session, "PUT", f"{groups}/{name}/trigger", body={}))[0] == 200
        _, found = await get(session, "/portfolio/orders", "?status=resting")
        assert found["orders"] == []

    run(tls, rig.script_of(), body)


def test_reads_lag_by_half_a_second_unless_told_otherwise(tls: TlsPaths) -> None:
    """Here by half a minute: a busy machine is slow to ask."""

    async def body(session: rig.Session) -> None:
        assert (await post(session, order("a", "bid", "0.5200", "2.00")))[0] == 201
        assert (await get(session, "/portfolio/orders"))[1]["orders"] == []

    (lag,) = [each for each in fields(VenuesSpec) if each.name == "kalshi_read_lag_ns"]
    assert lag.default == 500 * MS
    run(tls, rig.script_of(), body, kalshi_read_lag_ns=60 * lag.default)


def test_the_write_bucket_refuses_and_refills(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        bodies = [order(str(number), "bid", "0.0100", "1.00") for number in range(8)]
        answers = await asyncio.gather(*(post(session, one) for one in bodies))
        assert {status for status, _ in answers} == {201, 429}
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
