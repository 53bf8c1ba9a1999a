"""The way of a paper order: it waits what a real one would wait, then meets the book of then.

What a request that writes has to wait before it is handled is drawn from measured round trips, the
whole of one, because where on its way a venue matches is not known. Then comes the venue's own
delay of takers, if the market has one, and then the book as it is shown by then is matched against,
less what paper orders have taken of it (paper_book.py).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from ops.venues.kalshi import Kalshi
from ops.venues.paper_book import Arrival, PaperBook, Sides
from ops.venues.paper_told import HELD
from ops.venues.polymarket import Polymarket
from ops.venues.rest import Answer, Call, Handler
from ops.venues.script import BookSet, Event, MarketSpec, StatusChange
from ops.venues.session import RunClock

READS = ("GET", "HEAD")  # what changes nothing is answered at once
Did = TypeVar("Did")


class Books(Protocol):
    """Where books and states come from (paper_mirror.py)."""

    def news(self, run_ns: int) -> Iterator[BookSet | StatusChange]: ...

    def is_seen(self, market: int) -> bool: ...

    def add(self, market: MarketSpec) -> None: ...


class Telling(Protocol):
    """Who hears what becomes of orders (paper_told.py)."""

    def had(self, market: int, sides: Sides) -> None: ...

    def count(self, venue: str, name: str, by: int) -> None: ...

    def waited(self, name: str, wait_ns: int) -> None: ...


class Latencies:
    """Measured round trips in ns by venue; each draw is one of them. One seed, one sequence."""

    def __init__(self, measured_ns: Mapping[str, Sequence[int]], seed: int) -> None:
        self._measured_ns = measured_ns
        self._chance = {
            venue: random.Random(hashlib.sha256(f"{venue}/{seed}".encode()).digest())
            for venue in measured_ns
        }

    def draw_ns(self, venue: str) -> int:
        """The next one of a venue; it has some."""
        return self._chance[venue].choice(self._measured_ns[venue])


@dataclass(slots=True)
class Order:
    """A request on its way to a market's book. `is_held`: its venue holds it back until it is
    matched again."""

    venue: str
    market: int
    book: PaperBook
    arrival: Arrival
    is_held: bool = False


class Way:
    """Of all requests to the paper venues of these markets. `apply`: gives an event to its venue;
    `sleep`: waits so many machine ns, never less; `told` hears of orders and of what they hold.
    """

    def __init__(
        self,
        markets: Sequence[MarketSpec],
        *,
        books: Books,
        told: Telling,
        latencies: Latencies,
        clock: RunClock,
        apply: Callable[[Event], None],
        sleep: Callable[[int], Awaitable[None]],
    ) -> None:
        self._markets = markets
        self._sources = books
        self._told = told
        self._latencies = latencies
        self._clock = clock
        self._apply = apply
        self._sleep = sleep
        self._books: dict[int, PaperBook] = {}
        self._named: dict[str, dict[str, int]] = {}
        self._venues: dict[str, tuple[Kalshi | Polymarket, int]] = {}
        self._handled: Order | None = None

    def take_over(self, venue: Kalshi | Polymarket, depth: int) -> None:
        """Its markets get books of ours, as deep as the feeds show them."""
        name = "kalshi" if isinstance(venue, Kalshi) else "polymarket"
        self._venues[name] = venue, depth
        self._named[name] = {}
        for index, spec in enumerate(self._markets):
            if spec.venue == name:
                self._give(index, spec)

    def add(self, index: int, spec: MarketSpec) -> None:
        """A market that its venue has listed since."""
        self._sources.add(spec)
        self._give(index, spec)

    def _give(self, index: int, spec: MarketSpec) -> None:
        venue, depth = self._venues[spec.venue]
        named = self._named[spec.venue]
        book = self._books[index] = PaperBook(depth, partial(self._told.had, index))
        if isinstance(venue, Kalshi):
            venue.markets[spec.ticker].book = book
            named[spec.ticker] = index
        else:
            venue.by_token[spec.token_yes].book = book
            named |= dict.fromkeys((spec.token_yes, spec.token_no), index)

    def look(self) -> None:
        """What the feeds have told since the last look."""
        for event in self._sources.news(self._clock.run_ns()):
            self._apply(event)

    async def go(self, venue: str, call: Call, answer: Handler) -> Answer:
        """One request from its reading to its answer."""
        if call.method in READS:
            return answer(call)
        self.look()
        order = self._sent(venue, call)
        wait_ns = self._latencies.draw_ns(venue)
        self._told.waited(venue, wait_ns)
        await self._sleep(wait_ns)
        return self.meet(order, lambda: answer(call))

    def _sent(self, venue: str, call: Call) -> Order | None:
        """The order in a request, with the book as it is now; None: there is none in it."""
        body: Any = call.json()
        inner = body.get("order", body) if isinstance(body, dict) else None
        if not isinstance(inner, dict):
            return None
        index = self._named[venue].get(str(inner.get("tokenId", inner.get("ticker"))))
        if index is None:
            return None
        book = self._books[index]
        return Order(venue, index, book, Arrival(book.whole()))

    def meet(self, order: Order | None, what: Callable[[], Did]) -> Did:
        """Do it on the books of now. Without an order nothing is matched."""
        self.look()
        if order is None:
            return what()
        book, self._handled, order.is_held = order.book, order, False
        book.arrival, book.is_blind = order.arrival, not self._sources.is_seen(order.market)
        try:
            return what()
        finally:
            book.arrival, book.is_blind, self._handled = None, True, None
            if not order.is_held:  # else it is matched once more, and that counts
                self._count(order)

    def hold(self, delay_ns: int) -> Order | None:
        """The order that is being handled, if what its venue does so much later is to match it.
        None: it is something else, of an order that has what it gets.
        """
        order = self._handled
        if order is None or order.arrival.got_e6:
            return None
        order.is_held = True
        self._told.waited(HELD, delay_ns)
        return order

    def _count(self, order: Order) -> None:
        for name, value in order.arrival.figures().items():
            if value:
                self._told.count(order.venue, name, value)
