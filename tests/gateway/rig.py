"""A running gateway over real TLS sockets between two scripted venues, and what the stories about
it need.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import uvloop

from engine.unwind import plan_lone
from gateway import drift, operator
from gateway import journal as j
from gateway.desk import Desk, DeskParams, VenueLine
from gateway.kalshi import KalshiVenue
from gateway.polymarket import PolymarketVenue
from gateway.ports import Venue
from gateway.throttle import Bucket
from gateway.transport import Address, Pool
from ops.last_look import last_look, take
from ops.venues.tls import make_tls
from shm_layout import (
    ACTIVE,
    BUY,
    GATE,
    K_LEG,
    K_TERMINAL,
    REASONS,
    SELL,
    cell,
    word_load,
)
from tests.gateway.scene import KALSHI, POLY, SECRETS, Scene, Signer, fee_of
from tests.gateway.venue_double import Double, Reply, Seen

BALANCE = "/trade-api/v2/portfolio/balance"


POSITIONS, ORDERS = "/trade-api/v2/portfolio/positions", "/trade-api/v2/portfolio/orders"


FILLS = "/trade-api/v2/portfolio/fills"


SIZE = 10_000_000


WAIT_S = 60.0
LIFE_NS = 10**9  # of an intent


PARAMS = DeskParams(  # patient: a busy machine is slow
    dust_e6=100_000, query_gap_ns=1_000_000, delay_grace_ns=1_000_000,
    signal_age_max_ns=10_000_000_000, time_cap_ns=10_000_000_000,
)  # fmt: skip


def kalshi_filled(count: str, price: str = "0.4200") -> Callable[[Seen], Reply]:
    """201 with this many contracts filled."""

    def reply(seen: Seen) -> Reply:
        found: dict[str, object] = {
            "order_id": f"v-{seen.json['client_order_id']}",
            "client_order_id": seen.json["client_order_id"],
            "fill_count": count,
            "remaining_count": "0.00",
        }
        if float(count):
            found |= {"average_fill_price": price, "average_fee_paid": "0.0170"}
        return 201, found

    return reply


def poly_filled(making: str, taking: str) -> Callable[[Seen], Reply]:
    """200 matched with these amounts."""

    def reply(seen: Seen) -> Reply:
        return 200, {
            "success": True,
            "errorMsg": "",
            "orderID": seen.json["hash"],
            "status": "matched",
            "makingAmount": making,
            "takingAmount": taking,
            "tradeIDs": ["t"],
        }

    return reply


FAK_NONE: Reply = (400, {"error": "no orders found to match with FAK order."})


class Rig:
    """A running desk, its two venues and its scene."""

    def __init__(self, tmp_path: Path) -> None:
        self.scene, self.signer = Scene(), Signer()
        tls = make_tls(tmp_path)
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(tls.cert, tls.key)
        self._trusted = ssl.create_default_context(cafile=str(tls.ca))
        self.kalshi, self.poly = Double(served), Double(served)
        empty = (200, {"cursor": "", "orders": [], "market_positions": [], "fills": []})
        self.kalshi.reads = {
            BALANCE: (200, {"balance_breakdown": [{"exchange_index": 2, "balance": "500.0000"}]}),
            POSITIONS: empty,
            ORDERS: empty,
            FILLS: empty,
        }
        self.poly.reads = {
            "/balance-allowance": (200, {"balance": "0"}),
            "/data/orders": (200, {"data": [], "next_cursor": "LTE="}),
            "/data/trades": (200, {"data": [], "next_cursor": "LTE="}),
        }
        self.folder = tmp_path / "journal"
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK)
        self.desk: Desk

    def build(self, params: DeskParams = PARAMS) -> Desk:
        """A desk on the scene's segment and the doubles' ports."""
        clock = self.scene.clock
        venues: tuple[tuple[int, Venue, Double], ...] = (
            (KALSHI, KalshiVenue(self.signer, "localhost"), self.kalshi),
            (
                POLY,
                PolymarketVenue(
                    self.signer, "localhost", SECRETS, signature_type=0, wall_s=lambda: 1
                ),
                self.poly,
            ),
        )
        lines = {}
        for number, venue, double in venues:
            address = Address(
                host="localhost", port=double.port, context=self._trusted,
                connect_max_ns=int(WAIT_S * 1e9),
            )  # fmt: skip
            pool = Pool(address, clock, size=3, warm=venue.warm())
            bucket = Bucket(rate=1_000, burst=1_000, reserve=10)
            lines[number] = VenueLine(venue=venue, pool=pool, bucket=bucket)
        self.desk = Desk(
            self.scene.segment,
            params,
            eventfd=self.eventfd,
            clock=clock,
            journal=j.Journal(self.folder),
            lines=lines,
            pump=lambda _now: 0,
            fee=fee_of,
            take=take,
            last_look=last_look,
            plan_lone=plan_lone,
        )
        return self.desk

    @property
    def gate(self) -> tuple[int, str]:
        at = self.scene.segment.at("gate")
        state = word_load(self.scene.segment.words, at + cell(GATE, "state"))
        why = word_load(self.scene.segment.words, at + cell(GATE, "reason"))
        return state, REASONS[why]

    @property
    def is_asking(self) -> bool:
        """Whether a venue has not answered a read yet."""
        readers = [seat.link for line in self.desk.lines.values() for seat in line.pool._readers]
        return any(link is not None and link.is_open and not link.is_free for link in readers)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let everything run until this holds; fails after WAIT_S seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + WAIT_S
        while not holds():
            assert loop.time() < end, f"it never held; reports: {self.reported()}"
            self.scene.beat()  # time passes, and the feeds live
            await asyncio.sleep(0)

    async def ready(self) -> None:
        """Reconciled, with every order connection open."""
        lines = self.desk.lines.values()
        await self.until(
            lambda: self.gate[0] == ACTIVE and all(x.pool.free_count == 3 for x in lines)
        )

    def fire(
        self, *, buy_e6: int = 420_000, sell_e6: int = 500_000, size_e6: int = SIZE,
        age_ns: int = LIFE_NS,
    ) -> int:  # fmt: skip
        """BUY at Kalshi, SELL at Polymarket. A busy machine is slow to take it: it may be old."""
        self.scene.beat()
        legs = (
            self.scene.leg(KALSHI, BUY, buy_e6, size_e6),
            self.scene.leg(POLY, SELL, sell_e6, size_e6),
        )
        number = self.scene.intent(*legs, age_ns=age_ns)
        self.scene.ring(self.eventfd)
        return number

    def fund(self, cash_e6: int) -> None:
        """So much cash at Polymarket, whose double has none."""
        self.desk.accounts.cash[POLY].cash_e6 = cash_e6
        self.desk.accounts.refresh()

    def ended(self, number: int) -> list[np.void]:
        """The terminal reports of an intent."""
        return [
            r for r in self.scene.reports() if r["kind"] == K_TERMINAL and r["intent"] == number
        ]

    def legs(self, number: int) -> list[np.void]:
        """The leg reports of an intent."""
        return [r for r in self.scene.reports() if r["kind"] == K_LEG and r["intent"] == number]

    def children(self, number: int) -> list[np.void]:
        """Leg reports of what names this intent as its parent."""
        return [r for r in self.scene.reports() if r["kind"] == K_LEG and r["parent"] == number]

    def reported(self) -> list[tuple[int, int, str, int, int]]:
        return [
            (
                int(r["kind"]),
                int(r["leg"]),
                REASONS[r["reason"]],
                int(r["placed"]),
                int(r["filled_e6"]),
            )
            for r in self.scene.reports()
        ]

    async def end_of(self, number: int) -> np.void:
        await self.until(lambda: bool(self.ended(number)))
        return self.ended(number)[0]


@asynccontextmanager
async def running(tmp_path: Path, params: DeskParams = PARAMS) -> AsyncIterator[Rig]:
    """A reconciled gateway; stopped and closed at the end."""
    rig = Rig(tmp_path)
    await rig.kalshi.start()
    await rig.poly.start()
    rig.poly.reads["/balance-allowance"] = (200, {"balance": "0"})
    task = asyncio.create_task(rig.build(params).main())
    try:
        await rig.ready()
        rig.fund(500_000_000)
        yield rig
    finally:
        rig.desk.stop()
        await task
        await rig.kalshi.stop()
        await rig.poly.stop()
        os.close(rig.eventfd)


def play(story: Callable[[Path], Awaitable[None]], tmp_path: Path) -> None:
    """Run it; the desk waits for the venues' figures as long as a busy machine needs."""

    async def whole() -> None:
        await story(tmp_path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operator, "ASK_S", WAIT_S)
        patch.setattr(drift, "LOOK_S", WAIT_S)
        uvloop.run(whole())
