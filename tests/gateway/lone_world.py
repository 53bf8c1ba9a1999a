"""A gateway without sockets between two plain venues and a clock that only moves when told: what
becomes of one intent of ten contracts, whatever the venues do with its legs.

The venues here know nothing of gateway/ and engine/: they match in Fractions on a book of their
own and charge by the simulated venues' Decimal code.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from engine.unwind import plan_lone
from gateway.desk import Desk, DeskParams, VenueLine
from gateway.journal import Journal
from gateway.kalshi import KalshiVenue
from gateway.polymarket import PolymarketVenue
from gateway.ports import PlanLone
from gateway.throttle import Bucket
from gateway.transport import Answer
from ops.last_look import last_look, take
from ops.venues.fees import KalshiFeeTerms, KalshiOrderFee, polymarket_fee_e6
from shm_layout import ACTIVE, BUY, E6, GATE, POSITION, REASONS, SELL, cell, word_load
from tests.gateway.scene import KALSHI, POLY, SECRETS, Scene, Signer, fee_of

MS = 1_000_000
REPLY_NS, DELAY_NS = 2 * MS, 150 * MS
SIZE = 10 * E6
LOST, NEVER = "lost", "never"  # an answer that does not come: found by asking, or not even so
Levels = list[tuple[int, int]]  # (price_e6, size_e6) in YES terms, best first


class Clock(Scene):
    """A scene whose time stands still until `now_ns` is moved."""

    def __init__(self, set_at: int = -1) -> None:
        self.now_ns = 10**15
        super().__init__(set_at)

    def clock(self) -> int:
        return self.now_ns


@dataclass(slots=True)
class Trade:
    """What one order did at a venue: `side` and `paid` in YES terms, dollars."""

    key: str
    side: int
    size_e6: int
    price: Fraction
    fee_e6: int
    at_ns: int


@dataclass(slots=True)
class Order:
    """An order as it was read off the wire. `budget_e6` 0: it asks for a size."""

    key: str
    side: int
    limit_e6: int
    size_e6: int
    is_no: bool
    budget_e6: int
    at_ns: int
    what: dict[str, Any]


@dataclass(slots=True)
class PlainVenue:
    """One market. `asks`, `bids`: what is really there; `answers`: what happens to the answers of
    the next orders (LOST, NEVER, else as it should be); `delays`: orders are held for DELAY_NS.
    """

    number: int
    clock: Callable[[], int]
    asks: Levels = field(default_factory=list)
    bids: Levels = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    delays: bool = False
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    is_mute: bool = False
    due: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    frame: Callable[[bytes], None] = lambda _frame: None
    connects: int = 0
    free_count: int = 3

    @property
    def net_e6(self) -> int:
        """Contracts held, in YES terms."""
        return sum(t.size_e6 if t.side == BUY else -t.size_e6 for t in self.trades)

    def step(self) -> None:
        """What is due now."""
        now_ns = self.clock()
        for item in [item for item in self.due if item[0] <= now_ns]:
            self.due.remove(item)
            item[1]()

    # ---- as the desk's pool and link

    def take(self) -> PlainVenue:
        return self

    def give(self, _link: object) -> None: ...

    def tick(self, _now_ns: int) -> None: ...

    def close(self) -> None: ...

    def send(self, wire: bytes, then: Callable[[Answer], None]) -> int:
        """An order: matched after the delay, answered a little later."""
        now_ns = self.clock()
        order = self._read(orjson.loads(wire.split(b"\r\n\r\n", 1)[1]))
        self.orders.append(order)
        how = self.answers.pop(0) if self.answers else ""
        self.is_mute = self.is_mute or how == NEVER

        def reply() -> None:
            if how:
                self.match(order)
                then(Answer(error="reset", ack_ns=self.clock()))
            elif self.delays:
                self.due.append((now_ns + DELAY_NS, lambda: self._released(order)))
                told = {"success": True, "errorMsg": "", "orderID": order.key, "status": "delayed"}
                then(Answer(200, orjson.dumps(told), ack_ns=self.clock()))
            else:
                status, told = self._told(order, self.match(order))
                then(Answer(status, orjson.dumps(told), ack_ns=self.clock()))

        self.due.append((now_ns + REPLY_NS, reply))
        return now_ns

    async def request(self, wire: bytes) -> Answer:
        """A read: what became of an order."""
        if self.is_mute:
            return Answer(error="timeout", ack_ns=self.clock())
        path = wire.split(b" ", 2)[1].decode().split("?")[0]
        status, told = self._read_of(path)
        return Answer(status, orjson.dumps(told), ack_ns=self.clock())

    # ---- the market

    def _read(self, found: dict[str, Any]) -> Order:
        now_ns = self.clock()
        if self.number == KALSHI:
            side = BUY if found["side"] == "bid" else SELL
            size_e6, limit_e6 = (int(Fraction(found[name]) * E6) for name in ("count", "price"))
            key = found["client_order_id"]
            return Order(key, side, limit_e6, size_e6, False, 0, now_ns, found)
        is_no, price_e6, size_e6 = found["token"] == 1, found["price"], found["size"]
        side = found["side"] if not is_no else 1 - found["side"]
        limit_e6 = E6 - price_e6 if is_no else price_e6
        budget_e6 = price_e6 * size_e6 // E6 if found["side"] == BUY else 0
        return Order(found["hash"], side, limit_e6, size_e6, is_no, budget_e6, now_ns, found)

    def match(self, order: Order) -> Trade | None:
        """Walk the book: a budget buys as many as it pays for."""
        levels = self.asks if order.side == BUY else self.bids
        size, paid, money = 0, Fraction(0), Fraction(order.budget_e6)
        while levels:
            price_e6, depth = levels[0]
            if price_e6 > order.limit_e6 if order.side == BUY else price_e6 < order.limit_e6:
                break
            unit = Fraction(E6 - price_e6 if order.is_no else price_e6, E6)
            want = int(money / unit) if order.budget_e6 else order.size_e6 - size
            part = min(want, depth)
            if part <= 0:
                break
            size, paid, money = (
                size + part,
                paid + part * Fraction(price_e6, E6),
                money - part * unit,
            )
            levels[0] = (price_e6, depth - part)
            if part == depth:
                levels.pop(0)
        if not size:
            return None
        price = paid / size
        found = Trade(order.key, order.side, size, price, self._fee_e6(size, price), self.clock())
        self.trades.append(found)
        return found

    def _fee_e6(self, size_e6: int, price: Fraction) -> int:
        price_e6 = int(price * E6)
        if self.number == KALSHI:
            cost_e6 = -(-size_e6 * price_e6 // E6)
            return KalshiOrderFee(KalshiFeeTerms()).charge_e6(
                price_e6, size_e6, -cost_e6, is_taker=True
            )
        return polymarket_fee_e6(
            shares_e6=size_e6, cost_e6=size_e6 * price_e6 // E6, rate_e6=50_000, exponent=1
        )

    def _released(self, order: Order) -> None:
        """A held order is matched against the book as it is now, and the user channel says so."""
        trade = self.match(order)
        if trade is not None:
            self.frame(orjson.dumps({"event_type": "trade", **self._row(order, trade)}))
        told = {
            "event_type": "order", "id": order.key, "type": "CANCELLATION", "status": "CANCELED",
            "size_matched": text(trade.size_e6) if trade else "",
        }  # fmt: skip
        self.frame(orjson.dumps(told))

    def _told(self, order: Order, trade: Trade | None) -> tuple[int, object]:
        if self.number == KALSHI:
            told = {
                "order_id": f"v{order.key}", "client_order_id": order.key,
                "remaining_count": "0.00", "fill_count": text(trade.size_e6 if trade else 0),
            }  # fmt: skip
            if trade is not None:
                each_e6 = -(-trade.fee_e6 * E6 // trade.size_e6)
                told["average_fill_price"] = text(int(trade.price * E6))
                told["average_fee_paid"] = text(each_e6)
            return 201, told
        if trade is None:
            return 400, {"error": "no orders found to match with FAK order."}
        unit = 1 - trade.price if order.is_no else trade.price
        money, shares = text(int(unit * trade.size_e6)), text(trade.size_e6)
        making, taking = (money, shares) if order.budget_e6 else (shares, money)
        return 200, {
            "success": True, "errorMsg": "", "orderID": order.key, "status": "matched",
            "makingAmount": making, "takingAmount": taking, "tradeIDs": ["t"],
        }  # fmt: skip

    def _row(self, order: Order, trade: Trade) -> dict[str, Any]:
        unit = 1 - trade.price if order.is_no else trade.price
        return {
            "id": f"t-{order.key}", "taker_order_id": order.key, "status": "CONFIRMED",
            "size": text(trade.size_e6), "price": text(int(unit * E6)), "maker_orders": [],
            "asset_id": "1", "side": "BUY" if order.budget_e6 else "SELL",
        }  # fmt: skip

    def _read_of(self, path: str) -> tuple[int, object]:
        done = {trade.key: trade for trade in self.trades}
        if path.startswith("/data/order/"):
            return 404, {}
        if path == "/data/trades":
            rows = [self._row(order, done[order.key]) for order in self.orders if order.key in done]
            return 200, {"data": rows, "next_cursor": "LTE="}
        if path.endswith("/orders"):
            return 200, {"orders": [self._kalshi_row(x, done.get(x.key)) for x in self.orders]}
        return 200, {"fills": []}

    def _kalshi_row(self, order: Order, trade: Trade | None) -> dict[str, Any]:
        size_e6 = trade.size_e6 if trade else 0
        unit = Fraction(0) if trade is None else trade.price
        unit = 1 - unit if order.side == SELL else unit
        return {
            "order_id": f"v{order.key}", "client_order_id": order.key, "status": "executed",
            "book_side": "bid" if order.side == BUY else "ask", "fill_count_fp": text(size_e6),
            "taker_fill_cost_dollars": text(int(unit * size_e6)),
            "taker_fees_dollars": text(trade.fee_e6 if trade else 0),
        }  # fmt: skip


def text(amount_e6: int) -> str:
    """Decimal text of a 1e-6 amount."""
    return f"{amount_e6 // E6}.{amount_e6 % E6:06d}"


class World:
    """The desk on its two venues. `gate`, `slot`: what everybody else sees of it."""

    def __init__(self, folder: Path, params: DeskParams, plan: PlanLone = plan_lone) -> None:
        self.params, self.folder, self.plan = params, folder, plan
        self.pools = self._open()
        self.begin()
        self.desk.accounts.start({KALSHI: 500 * E6, POLY: 500 * E6}, [], {})
        self.desk.opening.is_done = True
        self.desk.gate.open(self.scene.now_ns)

    def begin(self) -> None:
        """A desk on the journal as it is."""
        signer = Signer()
        files = {
            KALSHI: KalshiVenue(signer, "localhost"),
            POLY: PolymarketVenue(signer, "localhost", SECRETS, signature_type=0, wall_s=lambda: 1),
        }
        lines = {
            number: VenueLine(
                venue=files[number],
                pool=self.pools[number],  # type: ignore[arg-type]
                bucket=Bucket(rate=1_000, burst=1_000, reserve=10),
            )
            for number in (KALSHI, POLY)
        }
        self.desk = Desk(
            self.scene.segment, self.params, eventfd=-1, clock=self.scene.clock,
            journal=Journal(self.folder), lines=lines, pump=lambda _now: 0, fee=fee_of, take=take,
            last_look=last_look, plan_lone=self.plan,
        )  # fmt: skip
        for venue in self.venues.values():
            venue.frame = partial(self.desk.dispatcher.take_frame, venue.number)

    def _open(self) -> dict[int, PlainVenue]:
        """Scene and markets (`venues`, by instrument); what the desk takes for its connections."""
        self.scene = Clock()
        self.venues = {n: PlainVenue(n, self.scene.clock) for n in (KALSHI, POLY)}
        return self.venues

    @property
    def gate(self) -> tuple[int, str]:
        """State and reason."""
        at = self.scene.segment.at("gate")
        state, why = (
            word_load(self.scene.segment.words, at + cell(GATE, n)) for n in ("state", "reason")
        )
        return int(state), REASONS[why]

    def slot(self, instrument: int, name: str) -> int:
        """A field of a market's position slot."""
        row = self.scene.segment.read("positions", instrument)
        assert row is not None and POSITION.names is not None
        return int(row[name])

    @property
    def orders(self) -> list[tuple[int, Order]]:
        """Every order in the order of their coming, with its venue."""
        found = [(n, order) for n, venue in self.venues.items() for order in venue.orders]
        return sorted(found, key=lambda item: item[1].at_ns)

    def fire(self, buy: int, first: int, limits: dict[int, int]) -> int:
        """Ten contracts: BUY at venue `buy`, SELL at the other; leg 0 is at venue `first`, as in
        the row of the pair.
        """
        scene, direction = self.scene, int(buy != first)
        self.desk.memory.pair(0, 1, 1, 0, ((first, 1), (1 - first, 1)))
        legs = [
            scene.leg(number, BUY if number == buy else SELL, limits[number], SIZE)
            for number in (first, 1 - first)
        ]
        return scene.intent(*legs, flags=0, direction=direction)

    async def run(self, for_ns: int, step_ns: int = MS) -> None:
        """Let time pass."""
        end_ns = self.scene.now_ns + for_ns
        while self.scene.now_ns < end_ns:
            self.scene.now_ns += step_ns
            self.scene.beat()
            self.desk.step(self.scene.now_ns)
            for venue in self.venues.values():
                venue.step()
            for _ in range(4):
                await asyncio.sleep(0)

    @property
    def is_quiet(self) -> bool:
        """Nothing under way."""
        desk, now = self.desk, any(venue.due for venue in self.venues.values())
        return not (desk.ledger.open or desk.unwinder.cases or now)

    async def settle(self, most_ns: int = 30_000 * MS) -> None:
        """Until nothing is under way: a millisecond at a time, later ten."""
        await self.run(5 * MS)
        began_ns = self.scene.now_ns
        while not self.is_quiet and self.scene.now_ns - began_ns < most_ns:
            is_early = self.scene.now_ns - began_ns < 600 * MS or self.desk.unwinder.cases
            await self.run(MS if is_early else 10 * MS, MS if is_early else 10 * MS)
        await self.run(20 * MS)

    def close(self) -> None:
        """No file is left."""
        self.desk.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def is_active(world: World) -> bool:
    """Nothing halted."""
    return world.gate[0] == ACTIVE


def play_all(
    folder: Path,
    cases: Sequence[object],
    places: Iterable[int],
    whole: Callable[[Path, int], Awaitable[None]],
) -> None:
    """Every place of a table; one that does not hold is named with its case."""

    async def all_of_them() -> None:
        for place in places:
            try:
                await whole(folder, place)
            except AssertionError as error:
                raise AssertionError(f"{cases[place]}: {error}") from error

    asyncio.run(all_of_them())
