"""Both paper venues without sockets: time is moved by the test, and the books are what it says that
the feeds saw, when they saw it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import orjson
from multidict import MultiDict

from ops.venues.kalshi import Kalshi
from ops.venues.paper_book import Sides
from ops.venues.paper_way import Latencies, Way
from ops.venues.rest import Answer, Call
from ops.venues.script import BookSet, Level, MarketSpec, StatusChange
from ops.venues.spec import VenuesSpec
from tests.ops.venues.polymarket_office import KEY, Office
from tests.ops.venues.rig import ASKS, BEGIN_NS, BIDS, MARKETS, MS, TICKER, accounts, poly_order
from tests.ops.venues.rig import script_of as script

LISTED = (MARKETS[2], MARKETS[3], MARKETS[0])
POLY, HELD, KALSHI = range(3)  # the second holds takers back for 60 ms
ORDERS = "/trade-api/v2/portfolio/events/orders"
LATENCY_NS = {"kalshi": (50 * MS,), "polymarket": (10 * MS,)}
Told = tuple[int, BookSet | StatusChange | tuple[int, bool]]  # when, and what or (market, seen)


class Feeds:
    """Stands for the mirror of the segment."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.unseen: set[int] = set()

    def news(self, run_ns: int) -> Iterator[BookSet | StatusChange]:
        """What has come by now."""
        due = [row for row in self.told if row[0] <= run_ns]
        self.told = [row for row in self.told if row[0] > run_ns]
        for _, what in due:
            if isinstance(what, tuple):
                (self.unseen.discard if what[1] else self.unseen.add)(what[0])
            else:
                yield what

    def is_seen(self, market: int) -> bool:
        return market not in self.unseen

    def add(self, market: MarketSpec) -> None:
        """It is listed when it is applied."""


class Heard:
    """What the venues tell: figures by venue, times, and what is held of each market's levels."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {"kalshi": Counter(), "polymarket": Counter()}
        self.waits: list[tuple[str, int]] = []
        self.held: dict[int, Sides] = {}

    def had(self, market: int, sides: Sides) -> None:
        """The last word counts."""
        self.held[market] = sides

    def count(self, venue: str, name: str, by: int) -> None:
        self.counts[venue][name] += by

    def waited(self, name: str, wait_ns: int) -> None:
        self.waits.append((name, wait_ns))


class _Nap:
    """What a request waits for; the office wakes it."""

    def __init__(self, delay_ns: int) -> None:
        self.delay_ns = delay_ns

    def __await__(self) -> Generator[int, None, None]:
        yield self.delay_ns


class PaperOffice(Office):
    """Every market shows BIDS and ASKS until it is told otherwise. Answers come as (status, body),
    in the order of the requests.
    """

    def __init__(
        self, latency_ns: Mapping[str, Sequence[int]] = LATENCY_NS, seed: int = 1
    ) -> None:
        self.way: Way | None = None
        super().__init__(*LISTED[:KALSHI])
        self.feeds, self.told = Feeds(), Heard()
        spec = VenuesSpec(script=script(), accounts=accounts(KEY), tls_cert="", tls_key="")
        self.kalshi = Kalshi(
            spec, {KALSHI: LISTED[KALSHI]}, clock=self.venue.clock, log=self.log,
            on_subscribed=lambda: None,
        )  # fmt: skip
        self.way = Way(
            LISTED, books=self.feeds, told=self.told, latencies=Latencies(latency_ns, seed),
            clock=self.venue.clock, apply=self._apply, sleep=self._sleep,
        )  # fmt: skip
        self.way.take_over(self.venue, 5)
        self.way.take_over(self.kalshi, 5)
        for market in range(len(LISTED)):
            self.show(0, market, BIDS, ASKS)
        self.answers: dict[int, tuple[int, Any]] = {}
        self._asked = 0

    def show(
        self, at_ms: int, market: int, bids: Sequence[Level], asks: Sequence[Level]
    ) -> None:
        """From so long after the beginning on, the feed shows this."""
        at_ns = BEGIN_NS + at_ms * MS
        self.feeds.told.append((at_ns, BookSet(at_ns, market, tuple(bids), tuple(asks))))

    def change(
        self, at_ms: int, market: int, status: str, settlement_e6: int | None = None
    ) -> None:
        """The feed tells another status."""
        at_ns = BEGIN_NS + at_ms * MS
        change = StatusChange(at_ns, market, status, settlement_e6)
        self.feeds.told.append((at_ns, change))

    def see(self, at_ms: int, market: int, is_seen: bool) -> None:
        """The book is to be trusted from now on, or not."""
        self.feeds.told.append((BEGIN_NS + at_ms * MS, (market, is_seen)))

    def buy_kalshi(self, price: str, count: str, **changes: Any) -> int:
        """An immediate-or-cancel, sent now. Its place among the answers."""
        body = {
            "ticker": TICKER, "client_order_id": f"c-{self._asked}", "side": "bid",
            "count": count, "price": price, "time_in_force": "immediate_or_cancel",
            "self_trade_prevention_type": "taker_at_cross", **changes,
        }  # fmt: skip
        return self._send("kalshi", ORDERS, body, self._kalshi_answer)

    def buy_polymarket(self, **order: Any) -> int:
        """A FAK of `rig.poly_order`, sent now."""
        return self._send("polymarket", "/order", poly_order(**order), self._polymarket_answer)

    def _kalshi_answer(self, call: Call) -> Answer:
        reply = self.kalshi.desk.create(call.json())
        return Answer(reply.status, reply.body)

    def _polymarket_answer(self, call: Call) -> Answer:
        call.headers = self.signed(call.method, call.path, call.body)
        found = self.clob.routes.find(call.method, call.path)
        assert found is not None
        return found[0](call)

    def _send(
        self, venue: str, path: str, body: Any, answer: Callable[[Call], Answer]
    ) -> int:
        assert self.way is not None
        call = Call("POST", path, MultiDict(), {}, orjson.dumps(body), self.now_ns)
        number, self._asked = self._asked, self._asked + 1

        async def asked() -> None:
            assert self.way is not None
            found = await self.way.go(venue, call, answer)
            self.answers[number] = found.status, orjson.loads(orjson.dumps(found.body))

        self._go_on(asked())
        return number

    def _go_on(self, asked: Any) -> None:
        try:
            delay_ns = asked.send(None)
        except StopIteration:
            return
        due = self.now_ns + delay_ns, next(self._order), lambda: self._go_on(asked)
        heapq.heappush(self._due, due)

    def _sleep(self, delay_ns: int) -> Awaitable[None]:
        return _Nap(delay_ns)

    def _apply(self, event: Any) -> None:
        (self.kalshi if event.market == KALSHI else self.venue).apply(event)

    def _later(self, delay_ns: int, what: Callable[[], None]) -> None:
        way = self.way
        if way is None:
            super()._later(delay_ns, what)
            return
        order = way.hold(delay_ns)
        super()._later(delay_ns, lambda: way.meet(order, what))
