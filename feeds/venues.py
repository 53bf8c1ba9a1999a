"""The venues as data: one row each. Nothing else in this room knows a venue's name.

A new venue is a file that makes its handler, and a row here. What a maker gets is a `Reach`; the
REST clients it opens are closed with the feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from feeds.binance import Binance
from feeds.cfbenchmarks import CfBenchmarks
from feeds.coinbase import Coinbase
from feeds.coingecko import coingecko_jobs
from feeds.kalshi import Kalshi
from feeds.kalshi_books import KalshiBooks
from feeds.kalshi_facts import KalshiFacts
from feeds.kraken import Kraken
from feeds.poll import BooksReader
from feeds.polybolt import Polybolt, credentials_of
from feeds.polymarket import ASSETS_MAX, Polymarket
from feeds.polymarket_books import PolymarketBooks
from feeds.polymarket_check import BookCheck
from feeds.polymarket_facts import PolymarketFacts
from feeds.publisher import Publisher
from feeds.rest import Rest
from feeds.rtds import Rtds
from feeds.seat import Seat
from feeds.update import SECOND_NS, FeedError, Instrument, MarketFacts, Venue
from shm_layout import K_INDEX, K_SPOT, Segment

if TYPE_CHECKING:
    from feeds.params import FeedParams

Option = int | str | bool
DAY_NS: Final = 86_400 * SECOND_NS


class FactsReader(Protocol):
    """Reads the facts of a feed's instruments."""

    def forget(self) -> None:
        """Facts are said to have changed: keep nothing from earlier rounds."""

    async def read(
        self, instruments: tuple[Instrument, ...]
    ) -> tuple[dict[int, MarketFacts], list[str]]:
        """Facts by place in the feed's books, and what could not be read (one line each)."""


class Job(Protocol):
    """Work beside the stream. `turn` never raises for what a venue does."""

    def wait_ns(self) -> int:
        """How long until the next turn."""

    async def turn(self) -> list[str]:
        """Do it once. What could not be read, one line each; counted as `rest_errors`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a row's makers may use. `rest(url)` opens a client that lives as long as the feed."""

    params: FeedParams
    publisher: Publisher
    clock: Callable[[], int]
    segment: Segment
    rest: Callable[[str], Awaitable[Rest]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One venue. `make` None: it has no stream, its `jobs` do all the work.

    `books`: its books over REST for the time without a stream, at most `polls_per_s` requests.
    `informs`: it has spot products or indices (named in FeedParams.products) instead of markets.
    `kind`: of its ring entries then.
    `is_signed`: its handshake wants signed headers. `has_rest`: it cannot do without `rest_url`.
    `markets_max`: of one connection, 0 for no limit. `life_ns`: the venue cuts a connection of that
    age, 0 for never. `pings`: protocol pings are answered, and are how its link's life shows; else
    its own frames are. `blocked_by`: HTTP statuses of the handshake that say we may not be here,
    now or later. `messages_per_s`: of ours on one connection, pings and pongs among them, 0 for no
    limit. `options`: the settings that only its file knows, with their defaults.
    """

    make: Callable[[Seat, FeedParams], Venue] | None
    facts: Callable[[Reach], Awaitable[FactsReader]] | None = None
    jobs: Callable[[Reach], Awaitable[Sequence[Job]]] | None = None
    books: Callable[[Reach], Awaitable[BooksReader]] | None = None
    polls_per_s: int = 1
    informs: bool = False
    kind: int = K_SPOT
    is_signed: bool = False
    has_rest: bool = True
    markets_max: int = 0
    life_ns: int = 0
    pings: bool = True
    blocked_by: tuple[int, ...] = ()
    messages_per_s: int = 0
    options: Mapping[str, Option] = field(default_factory=dict)


async def _kalshi_facts(reach: Reach) -> FactsReader:
    return KalshiFacts(await reach.rest(reach.params.rest_url))


async def _kalshi_books(reach: Reach) -> BooksReader:
    return KalshiBooks(await reach.rest(reach.params.rest_url))


async def _polymarket_books(reach: Reach) -> BooksReader:
    return PolymarketBooks(await reach.rest(reach.params.rest_url))


async def _polymarket_facts(reach: Reach) -> FactsReader:
    params = reach.params
    clob = await reach.rest(params.rest_url)
    gamma = await reach.rest(params.gamma_url or params.rest_url)
    return PolymarketFacts(clob, gamma, taker_delay_ns=params.taker_delay_ns)


async def _polymarket_jobs(reach: Reach) -> Sequence[Job]:
    clob = await reach.rest(reach.params.rest_url)
    return [BookCheck(reach.publisher, clob, reach.clock, check_ns=reach.params.check_ns)]


def _polybolt(seat: Seat, params: FeedParams) -> Venue:
    """PolyBolt, or the older RTDS where it cannot be had: `source`."""
    source, products = params.option("source"), tuple(params.products)
    if source == "rtds":
        return Rtds(seat, products)
    if source != "polybolt":
        raise FeedError(f"options: source: found {source!r}, wanted polybolt or rtds")
    credentials = credentials_of(Path(str(params.option("credentials_file"))))
    return Polybolt(seat, products, credentials, seed=params.seed)


VENUES: Final[Mapping[str, Row]] = {
    "kalshi": Row(
        make=lambda seat, _: Kalshi(seat),
        facts=_kalshi_facts,
        books=_kalshi_books,
        polls_per_s=2,  # unsigned reads: 429 from 4 or 5 a second on, and facts are read too
        is_signed=True,
    ),
    "polymarket": Row(
        make=lambda seat, _: Polymarket(seat),
        facts=_polymarket_facts,
        books=_polymarket_books,
        polls_per_s=10,
        jobs=_polymarket_jobs,
        markets_max=(ASSETS_MAX - 1) // 2,
    ),
    "coinbase": Row(
        make=lambda seat, params: Coinbase(seat, tuple(params.products)),
        informs=True,
        has_rest=False,
    ),
    "binance": Row(
        make=lambda seat, params: Binance(seat, tuple(params.products)),
        informs=True,
        has_rest=False,
        life_ns=DAY_NS,
        blocked_by=(403, 451),
        messages_per_s=5,
    ),
    "kraken": Row(
        make=lambda seat, params: Kraken(seat, tuple(params.products)),
        informs=True,
        has_rest=False,
    ),
    "coingecko": Row(
        make=None,
        jobs=coingecko_jobs,
        informs=True,
        options={"plan": "demo", "key_file": "", "ttl_ms": 2_000, "slow_ms": 10_000, "streams": ""},
    ),
    "cfbenchmarks": Row(
        make=lambda seat, params: CfBenchmarks(seat, tuple(params.products)),
        informs=True,
        kind=K_INDEX,
        is_signed=True,
        has_rest=False,
    ),
    "polybolt": Row(
        make=_polybolt,
        informs=True,
        kind=K_INDEX,
        has_rest=False,
        options={"source": "polybolt", "credentials_file": ""},
    ),
}


async def work_until(stop: asyncio.Event, job: Job, failed: Callable[[list[str]], None]) -> None:
    """Turns of one job, with its waits between them, until `stop`."""
    while not stop.is_set():
        try:
            async with asyncio.timeout(job.wait_ns() / SECOND_NS):
                await stop.wait()
        except TimeoutError:
            errors = await job.turn()
            if errors:
                failed(errors)
