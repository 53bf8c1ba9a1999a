"""Orders cut off from their answers at each point, over real sockets: what the client sees, what
the venue did, and what it writes down of it.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ops.venues.faults import Fault
from ops.venues.script import ASK, BID, LevelSet
from ops.venues.tls import TlsPaths
from tests.ops.venues import kalshi_client, rig
from tests.ops.venues.kalshi_client import ORDERS, get, order, post
from tests.ops.venues.polymarket_client import call
from tests.ops.venues.rig import BEGIN_NS, CONDITION, TICKER, TOKEN_YES, K, P, e6

BOOKS = [LevelSet(BEGIN_NS, market, side, e6(price), e6("500"))
         for market in (K, P) for side, price in ((BID, "0.40"), (ASK, "0.52"))]  # fmt: skip
SILENT = ("half_open", "silence", "late")  # nothing comes, for a while or for ever
Told = dict[str, Any]


def fault(kind: str, **more: Any) -> Fault:
    return Fault(venue="kalshi", kind=kind, path=ORDERS, method="POST", **more)


def played(
    tls: TlsPaths, tmp_path: Path, body: Any, *plan: Fault, later: tuple[LevelSet, ...] = ()
) -> Told:
    """What the venues wrote down of a session."""
    told = tmp_path / "told.json"
    script = rig.script_of(*BOOKS, *later)
    session = rig.session(tls, kalshi_client.KEY, script, faults=plan, told_files=(str(told),))
    try:
        asyncio.run(asyncio.wait_for(body(session), 200))
    finally:
        session.stop()
    found: Told = json.loads(told.read_bytes())
    return found


async def sent(session: rig.Session, key: str = "a") -> tuple[int, Any]:
    """An order for ten contracts, and its answer."""
    return await post(session, order(key, "bid", "0.5200", "10.00"))


async def listed(session: rig.Session) -> int:
    """How many orders the venue lists; asked no more often than it allows (120 times a second)."""
    await asyncio.sleep(0.05)
    status, found = await get(session, "/portfolio/orders")
    assert status == 200, found
    return len(found["orders"])


async def given_up(session: rig.Session) -> None:
    """An order that is given up once its venue has done the fault; before, there is no answer."""
    task = asyncio.create_task(sent(session))
    while not task.done() and not session.faults():
        await asyncio.wait({task}, timeout=0.01)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize(
    ("kind", "more", "executed"),
    [
        ("cut", {"point": "unread"}, False),
        ("cut", {"point": "bytes"}, False),
        ("cut", {"point": "bytes", "bytes": 40}, False),
        ("cut", {"point": "executed"}, True),
        ("cut", {"point": "reply"}, True),
        ("cut", {}, True),
        ("garbage", {}, False),
        ("garbage", {"executed": True}, True),
        ("half_open", {}, False),
        ("silence", {}, True),
        ("late", {"delay_ms": 2_000}, True),
    ],
)
def test_no_whole_answer_comes_and_the_order_is_carried_out_or_not(
    tls: TlsPaths, tmp_path: Path, kind: str, more: dict[str, Any], executed: bool
) -> None:
    async def body(session: rig.Session) -> None:
        if kind in SILENT:
            await given_up(session)
        else:
            with pytest.raises(aiohttp.ClientError):
                await sent(session)
        assert (await sent(session, "b"))[0] == 201, "one was hit"
        while kind == "late" and await listed(session) < 2:
            pass

    told = played(tls, tmp_path, body, fault(kind, **more))
    account = told["accounts"]["kalshi"]
    assert ("a" in account["orders"]) is executed
    assert account["held_e6"] == {TICKER: e6("20") if executed else e6("10")}
    assert [row["kind"] for row in told["faults"]] == [kind]


@pytest.mark.parametrize("status", [200, 201, 408, 425, 429, 500])
@pytest.mark.parametrize("executed", [False, True])
def test_a_status_is_told_instead_of_what_was_done(
    tls: TlsPaths, tmp_path: Path, status: int, executed: bool
) -> None:
    async def body(session: rig.Session) -> None:
        found = await sent(session)
        assert found[0] == status and "order_id" not in found[1]
        assert (await sent(session, "b"))[0] == 201

    told = played(tls, tmp_path, body, fault("status", status=status, executed=executed))
    row = told["faults"][0]
    assert (row["key"], row["status"]) == ("a", status)
    assert ("a" in told["accounts"]["kalshi"]["orders"]) is executed
    outcomes = {key: outcome for _, key, _, _, outcome in told["reads"]}
    assert outcomes == {"a": "filled" if executed else "fault_status", "b": "filled"}


def test_only_requests_that_name_its_market_are_hit(tls: TlsPaths, tmp_path: Path) -> None:
    async def body(session: rig.Session) -> None:
        assert (await post(session, order("x", "bid", "0.5200", "1.00", ticker="OTHER")))[0] == 404
        assert (await sent(session))[0] == 500

    told = played(tls, tmp_path, body, fault("status", status=500, market=TICKER))
    assert [row["what"] for row in told["faults"]] == [f"POST {ORDERS} {TICKER}"]


def test_a_polymarket_order_is_named_by_its_hash_also_when_it_is_not_handled(
    tls: TlsPaths, tmp_path: Path
) -> None:
    bodies = [rig.poly_order(buy=True, maker="5.2", taker="10") for _ in range(2)]

    async def body(session: rig.Session) -> None:
        assert (await call(session, "POST", "/order", bodies[0]))[0] == 408
        status, found = await call(session, "POST", "/order", bodies[1])
        assert status == 200, found
        keys.append(found["orderID"])
        assert (await call(session, "POST", "/order", bodies[0]))[0] == 200, "it was not used up"

    keys: list[str] = []
    plan = Fault(venue="polymarket", kind="status", path="/order", method="POST", status=408,
                 market=CONDITION)  # fmt: skip
    told = played(tls, tmp_path, body, plan)
    rows = [(key, outcome) for _, key, _, _, outcome in told["reads"]]
    assert rows[0] == (rows[2][0], "fault_status") and rows[1] == (keys[0], "matched")
    account = told["accounts"]["polymarket"]
    assert account["orders"][keys[0]] == {
        "filled_e6": e6("10"), "open_e6": 0, "notional_e6": e6("5.2"), "fee_e6": e6("0.17472"),
    }  # fmt: skip
    paid_e6 = account["start_e6"]["0"] - account["cash_e6"]["0"]
    assert paid_e6 == sum(x["notional_e6"] + x["fee_e6"] for x in account["orders"].values())
    assert account["held_e6"] == {TOKEN_YES: e6("20")}


def test_a_shut_port_drops_every_connection_and_takes_none_for_a_while(
    tls: TlsPaths, tmp_path: Path
) -> None:
    async def body(session: rig.Session) -> None:
        assert (await get(session, "/portfolio/balance"))[0] == 200
        session.conn.send(("fault", Fault(venue="kalshi", kind="shut", delay_ms=2_000)))
        session.start()
        with pytest.raises(aiohttp.ClientError):
            while True:
                await get(session, "/portfolio/balance")
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            try:
                assert (await get(session, "/portfolio/balance"))[0] == 200
                break
            except aiohttp.ClientError:
                assert loop.time() - began < 60

    step = LevelSet(BEGIN_NS + 50 * rig.MS, K, BID, e6("0.40"), e6("1"))
    told = played(tls, tmp_path, body, later=(step,))
    assert [row["kind"] for row in told["faults"]] == ["shut"]
