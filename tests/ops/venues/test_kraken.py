"""The simulated Kraken by the shapes of its recorded frames and the official checksum."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ops.venues.exchanges import exchanges
from ops.venues.kraken import checksum
from ops.venues.script import ASK, BID, SpotTrade
from ops.venues.tls import TlsPaths
from tests.ops.venues import rig
from tests.ops.venues.rig import BEGIN_NS, MS, KalshiKey, shape
from tests.ops.venues.spot_client import connect, hear, rows

KEY = KalshiKey()
TRADES = tuple(
    SpotTrade(BEGIN_NS + at_ms * MS, "BTC-USD", 7_947_126_000_000 + move, 12_345_000, side, number)
    for number, (at_ms, move, side) in enumerate(
        [(0, 0, BID), (100, 3 * 10**9, BID), (110, -(10**9), ASK), (120, 9 * 10**9, BID)], 100
    )
)
SCRIPT = rig.ToyScript(made=TRADES, markets=())


def recorded(name: str) -> Any:
    return json.loads(rows("kraken_v2.jsonl")[name]["raw"])


def run(tls: TlsPaths, body: Any) -> dict[str, dict[str, int]]:
    made = exchanges(SCRIPT.products, SCRIPT.digest, ("kraken",))
    session = rig.session(tls, KEY, SCRIPT, exchanges=made)
    try:
        asyncio.run(asyncio.wait_for(body(session), 200))
    finally:
        _, counts = session.stop()
    return counts


def subscribe(channel: str, number: int = 1, **more: Any) -> str:
    params = {"channel": channel, "symbol": ["BTC/USD"], **more}
    return json.dumps({"method": "subscribe", "params": params, "req_id": number})


def test_the_checksum_is_that_of_the_official_example() -> None:
    row = rows("kraken_v2.jsonl")["kr-book-snap-crc"]
    exact = json.loads(row["raw"], parse_float=str)["data"][0]
    sides = {
        name: [(to_e8(level["price"]), to_e8(level["qty"])) for level in exact[name]]
        for name in ("bids", "asks")
    }
    assert checksum(sides["bids"], sides["asks"], 1) == row["expect_crc32"]


def to_e8(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * 10**8 + int(rest.ljust(8, "0") or 0)


def test_status_acknowledgements_and_frames_have_the_recorded_shapes(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "kraken", "/v2")
        status = await hear(link)
        assert (status["channel"], status["data"][0]["system"]) == ("status", "online")
        session.start()
        for number, (channel, more, name) in enumerate(
            (("ticker", {}, "kr-ticker-2026"), ("trade", {"snapshot": True}, "kr-trade-2026"))
        ):
            await link.send(subscribe(channel, number, **more))
            seen: list[Any] = []
            while len(seen) < 2:
                frame = await hear(link)
                is_ours = frame.get("channel") == channel or frame.get("req_id") == number
                seen += [frame] if is_ours else []
            assert shape(seen[0]) == shape(recorded("kr-sub-ack"))
            assert shape(seen[1]["data"]) == shape(recorded(name)["data"])
        await link.close()

    counts = run(tls, body)
    assert counts["kraken"]["frames"] >= 5


def test_snapshot_and_updates_rebuild_the_book_and_its_checksum(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "kraken", "/v2")
        await hear(link)
        await link.send(subscribe("book", depth=10))
        assert (await hear(link))["result"]["depth"] == 10
        session.start()  # nothing trades before it is subscribed

        sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        seen = 0
        while seen < len(TRADES):
            frame = json.loads(await asyncio.wait_for(link.recv(), 60), parse_float=str)
            if frame.get("channel") != "book":
                continue
            assert frame["type"] == ("snapshot" if seen == 0 else "update")
            seen += 1
            (row,) = frame["data"]
            levels = []
            for name, side in sides.items():
                side.update({level["price"]: level["qty"] for level in row[name]})
                best = sorted(side, key=float, reverse=name == "bids")
                kept = [price for price in best if float(side[price])][:10]
                sides[name] = {price: side[price] for price in kept}
                levels.append([(to_e8(price), to_e8(side[price])) for price in kept])
            assert checksum(levels[0], levels[1], 1) == row["checksum"]
        await link.close()

    run(tls, body)


def test_wrong_requests_get_their_error_and_ping_its_pong(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "kraken", "/v2")
        await hear(link)
        wrong = {
            "{": "Malformed request",
            '{"method":"dance","req_id":3}': "Unsupported method",
            subscribe("nope"): "Unsupported channel",
            subscribe("book", depth=11): "Subscription depth not supported",
            json.dumps({"method": "subscribe", "params": {"channel": "trade", "symbol": ["X"]}}):
                "Currency pair not supported X",
            json.dumps({"method": "unsubscribe",
                        "params": {"channel": "trade", "symbol": ["BTC/USD"]}}):
                "Subscription Not Found",
        }  # fmt: skip
        for text, error in wrong.items():
            await link.send(text)
            answer = await hear(link)
            assert (answer["error"], answer["success"]) == (error, False)
        await link.send('{"method":"ping","req_id":42}')
        assert shape(await hear(link)) == shape(recorded("kr-pong"))
        await link.close()

    run(tls, body)


def test_a_quiet_link_hears_a_heartbeat(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        link = await connect(session, "kraken", "/v2")
        await hear(link)
        await link.send(subscribe("trade"))
        await hear(link)
        assert await hear(link) == recorded("kr-hb")
        await link.close()

    run(tls, body)
