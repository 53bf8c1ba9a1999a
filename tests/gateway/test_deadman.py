"""The venues' own switches: armed before anything is traded, armed anew on resume, told when they
fire; and an order that reduces stands in no group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import uvloop

from gateway.deadman import DeadMan
from gateway.kalshi import GROUP, KalshiVenue
from gateway.polymarket import HEARTBEAT, PolymarketVenue
from gateway.ports import Market, Placing, Stopped, VenueError
from gateway.transport import Answer
from shm_layout import BUY
from tests.gateway.scene import SECRETS, Signer


def market(shard: int, venue: str = "kalshi") -> Market:
    return Market(shard, 1, venue, 0, 0, f"KX-{shard}", shard, "0x1", "1", "2", 0)


MARKETS = (market(0), market(2), market(2), market(9, "polymarket"))


@dataclass
class Wire:
    """Scripted answers; what was sent, as (path, body)."""

    script: list[tuple[int, dict[str, Any]]]
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def __call__(self, wire: bytes) -> Answer:
        head, body = wire.split(b"\r\n\r\n", 1)
        assert f"Content-Length: {len(body)}".encode() in head
        self.sent.append((head.split(b" ")[1].decode(), orjson.loads(body)))
        status, found = self.script.pop(0)
        return Answer(status, orjson.dumps(found), "" if status else "timeout", 1)


def kalshi(limit_e6: int = 50_000_000) -> KalshiVenue:
    return KalshiVenue(Signer(), "localhost", group_max_e6=limit_e6)


def polymarket(gap_ns: int = 4_000_000_000) -> PolymarketVenue:
    return PolymarketVenue(
        Signer(), "localhost", SECRETS, signature_type=0, wall_s=lambda: 1, heartbeat_ns=gap_ns
    )


def groups(*names: str) -> Wire:
    return Wire([(201, {"order_group_id": name}) for name in names])


def test_each_shard_gets_a_group_and_each_order_names_its_own_but_an_unwind() -> None:
    venue, wire = kalshi(), groups("g0", "g2")
    assert asyncio.run(venue.stay_alive(wire, MARKETS, anew=False)) == 0
    assert wire.sent == [
        (GROUP, {"contracts_limit_fp": "50.00", "exchange_index": shard}) for shard in (0, 2)
    ]
    for shard, name in ((0, "g0"), (2, "g2")):
        for urgent in (False, True):
            made = venue.prepare(
                market(shard), Placing(0, BUY, 500_000), 10**6, "id", 1, 0, urgent
            )
            assert made is not None
            body = orjson.loads(made.wire.split(b"\r\n\r\n", 1)[1])
            assert body.get("order_group_id") == (None if urgent else name)
    asyncio.run(venue.stay_alive(wire, MARKETS, anew=False))
    assert len(wire.sent) == 2, "they stand"


def test_armed_anew_the_next_orders_name_the_new_group() -> None:
    venue = kalshi()
    asyncio.run(venue.stay_alive(groups("g0", "g2"), MARKETS, anew=False))
    placed = Placing(0, BUY, 500_000)
    venue.prepare(market(0), placed, 10**6, "id", 1, 0, False)
    asyncio.run(venue.stay_alive(groups("h0", "h2"), MARKETS, anew=True))
    made = venue.prepare(market(0), placed, 10**6, "id", 1, 0, False)
    assert made is not None and b'"order_group_id":"h0"' in made.wire


def frame(event: str, name: str) -> bytes:
    message = {"event_type": event, "order_group_id": name, "ts_ms": 1}
    return orjson.dumps({"type": "order_group_updates", "sid": 1, "seq": 1, "msg": message})


def test_a_triggered_group_of_ours_stops_trading_and_anothers_does_not() -> None:
    venue = kalshi()
    asyncio.run(venue.stay_alive(groups("g0", "g2"), MARKETS, anew=False))
    found = venue.events(frame("triggered", "g2"), MARKETS)
    assert len(found) == 1 and isinstance(found[0], Stopped) and "g2" in found[0].text
    assert venue.events(frame("triggered", "else"), MARKETS) == []
    assert venue.events(frame("created", "g2"), MARKETS) == []


@pytest.mark.parametrize("answer", [(0, {}), (400, {"error": "x"}), (201, {}), (500, {})])
def test_a_group_that_was_not_made_is_an_error(answer: tuple[int, dict[str, Any]]) -> None:
    venue = kalshi()
    with pytest.raises(VenueError, match="wanted 201 with a group"):
        asyncio.run(venue.stay_alive(Wire([answer]), MARKETS, anew=False))
    assert venue.groups == {}


def test_a_heartbeat_names_the_id_last_received_and_a_stale_one_is_said_again() -> None:
    venue = polymarket()
    stale = {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": "b"}
    wire = Wire([(200, {"heartbeat_id": "a"}), (400, stale), (200, {"heartbeat_id": "c"}),
                 (200, {"heartbeat_id": "d"})])  # fmt: skip
    for _ in range(3):
        assert asyncio.run(venue.stay_alive(wire, MARKETS, anew=False)) == 4_000_000_000
    assert [path for path, _ in wire.sent] == [HEARTBEAT] * 4
    assert [body["heartbeat_id"] for _, body in wire.sent] == ["", "a", "b", "c"]


@pytest.mark.parametrize("answer", [(0, {}), (401, {}), (200, {}), (500, {"heartbeat_id": "a"})])
def test_a_heartbeat_that_did_not_count_is_an_error(answer: tuple[int, dict[str, Any]]) -> None:
    with pytest.raises(VenueError, match="wanted 200 with an id"):
        asyncio.run(polymarket().stay_alive(Wire([answer] * 2), MARKETS, anew=False))


@pytest.mark.parametrize("venue", [kalshi(0), polymarket(0)])
def test_switched_off_nothing_is_sent(venue: KalshiVenue | PolymarketVenue) -> None:
    wire = Wire([])
    assert asyncio.run(venue.stay_alive(wire, MARKETS, anew=True)) == 0
    assert wire.sent == []


class Line:
    """A venue whose switch fails so often, then holds; and its connections."""

    name = "double"

    def __init__(self, fails: int) -> None:
        self.fails, self.calls, self.request = fails, list[bool](), None

    async def stay_alive(self, send: Any, markets: Sequence[Market], *, anew: bool) -> int:
        self.calls.append(anew)
        if len(self.calls) <= self.fails:
            raise VenueError("not now")
        return 0


def test_nothing_is_armed_until_every_venue_is_and_a_resume_arms_anew() -> None:
    async def story() -> None:
        lines, bad = [Line(0), Line(1)], list[int]()
        pairs: Any = {number: (line, line) for number, line in enumerate(lines)}
        made = DeadMan(lines=pairs, markets=lambda: MARKETS, on_bad=lambda: bad.append(1))
        first = asyncio.create_task(made.run(0))
        waits = asyncio.create_task(made.armed())
        while not lines[0].calls:
            await asyncio.sleep(0)
        assert not waits.done()
        second = asyncio.create_task(made.run(1))
        await asyncio.wait_for(waits, 5)
        assert bad == [1] and lines[1].calls == [False, False]
        made.renew()
        while len(lines[0].calls) < 2:
            await asyncio.sleep(0)
        assert lines[0].calls == [False, True]
        first.cancel()
        second.cancel()

    uvloop.run(story())
