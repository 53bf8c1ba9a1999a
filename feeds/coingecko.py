"""CoinGecko: the slow fallback for spot while an exchange's stream is down (spot.md 4, plans of May
2026).

It has no stream. One request asks for all coins (a call costs one credit whatever their number),
never more often than the plan allows, never sooner than the answer before may be called old, and
more often while prices move. Every quote carries POLLED; once the streams are back it says
NO_SNAPSHOT again, for nobody refreshes it any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from feeds.rest import StatusError
from feeds.session import Backoff
from feeds.update import (
    MS_NS,
    SECOND_NS,
    STAMP_MAX_MS,
    UNREADABLE,
    FeedError,
    exact,
    raw_text,
)
from shm_layout import (
    BUY,
    COUNTERS,
    FEED_ROLE,
    NO_SNAPSHOT,
    POLLED,
    ROLE,
    Segment,
    cell,
    feed_alive,
    word_load,
)

if TYPE_CHECKING:
    from feeds.rest import Rest
    from feeds.seat import Seat
    from feeds.venues import Reach

MINUTE_NS, MONTH_NS = 60 * SECOND_NS, 30 * 86_400 * SECOND_NS
WATCH_NS = 200 * MS_NS  # between looks at the streams
DOWN_NS = SECOND_NS  # a stream that comes back within it needs no fallback
BEAT_MAX_NS = 250 * MS_NS
QUICK_BP = 5  # a move between two polls beyond it makes them more frequent
FOREVER_NS = 1 << 62
_REFUSED: Final = (401, 403, 451)  # the key or the place: asking again changes nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a key may ask: calls a minute and a month, and the header that carries it."""

    per_minute: int
    per_month: int
    header: str

    @property
    def floor_ns(self) -> int:
        """The shortest time between calls that can be kept up."""
        return MINUTE_NS // self.per_minute


PLANS: Final[Mapping[str, Plan]] = {
    "demo": Plan(per_minute=30, per_month=10_000, header="x-cg-demo-api-key"),
    "basic": Plan(per_minute=250, per_month=100_000, header="x-cg-pro-api-key"),
}


class Bucket:
    """Calls: no stretch of `length_ns` has more than `limit`, however they fall.

    A tenth of the limit may come at once, the rest is refilled evenly. A restart begins full, so a
    feed that dies often can exceed a month's credits, and the venue then says so.
    """

    def __init__(self, limit: int, length_ns: int, now_ns: int) -> None:
        assert limit > 1, limit
        self._burst = max(limit // 10, 1)
        self._rate = limit - self._burst
        self._length_ns = length_ns
        self._units = self._burst * length_ns  # a call is `length_ns` of them
        self._at_ns = now_ns

    def _fill(self, now_ns: int) -> None:
        gained = max(now_ns - self._at_ns, 0) * self._rate
        self._units = min(self._burst * self._length_ns, self._units + gained)
        self._at_ns = max(now_ns, self._at_ns)

    def has_one(self, now_ns: int) -> bool:
        """A call may be made now."""
        self._fill(now_ns)
        return self._units >= self._length_ns

    def pay(self, now_ns: int) -> None:
        """A call is made. The caller has looked."""
        assert self.has_one(now_ns)
        self._units -= self._length_ns


class Pace:
    """Time between polls: halved by a quick move, lengthened by half in a quiet one."""

    def __init__(self, *, floor_ns: int, slow_ns: int) -> None:
        self._floor_ns = floor_ns
        self._slow_ns = max(slow_ns, floor_ns)
        self.wait_ns = self._slow_ns

    def moved(self, move_bp: int) -> None:
        """The greatest move of a price since the poll before."""
        longer = self.wait_ns // 2 if move_bp > QUICK_BP else self.wait_ns * 3 // 2
        self.wait_ns = min(max(longer, self._floor_ns), self._slow_ns)


class Streams:
    """Whether an exchange's stream is down, read from its role's line. `streams`: feed numbers."""

    def __init__(self, segment: Segment, streams: Sequence[int]) -> None:
        self._words = segment.words
        self._rows = {feed: segment.at("roles", FEED_ROLE + feed) for feed in streams}
        self._down_since_ns: dict[int, int] = {}

    def down(self, now_ns: int) -> list[int]:
        """Feeds down for longer than `DOWN_NS`. One that its venue refuses for good is none."""
        words, found = self._words, []
        blocked = cell(ROLE, "counters") + COUNTERS["feed"].index("blocked")
        for feed, row in self._rows.items():
            is_up = word_load(words, row + cell(ROLE, "connected")) and feed_alive(
                words, feed, now_ns, BEAT_MAX_NS
            )
            if is_up or word_load(words, row + blocked):
                self._down_since_ns.pop(feed, None)
            elif now_ns - self._down_since_ns.setdefault(feed, now_ns) >= DOWN_NS:
                found.append(feed)
        return found


class Price(Struct):
    """`usd` as printed; `last_updated_at` in seconds, per coin."""

    usd: Raw
    last_updated_at: Annotated[int, Meta(ge=0, le=STAMP_MAX_MS // 1000)] = 0


PRICES: Final = msgspec.json.Decoder(dict[str, Price])


class CoinGecko:
    """The polling, as a job of the feed: `wait_ns` and `turn`. `streams` by product: its feeds."""

    def __init__(
        self,
        publisher: Seat,
        rest: Rest,
        streams: Mapping[str, Streams],
        *,
        plan: Plan,
        key: str,
        clock: Callable[[], int],
        ttl_ns: int,
        slow_ns: int,
    ) -> None:
        self._publisher = publisher
        self._rest = rest
        self._streams = streams
        self._locals = {name: local for local, name in enumerate(streams)}
        self._headers = {plan.header: key} if key else {}
        self._clock = clock
        now_ns = clock()
        self._buckets = (
            Bucket(plan.per_minute, MINUTE_NS, now_ns),
            Bucket(plan.per_month, MONTH_NS, now_ns),
        )
        floor_ns = max(ttl_ns, plan.floor_ns)
        self._floor_ns = floor_ns
        self._slow_ns = slow_ns
        self._pace = Pace(floor_ns=floor_ns, slow_ns=slow_ns)
        self._backoff = Backoff(base_ns=floor_ns, max_ns=max(MINUTE_NS, floor_ns), seed=0)
        self._last_e8: dict[str, int] = {}
        self._polled: set[str] = set()  # products whose quote stands
        self._due_ns = now_ns

    def wait_ns(self) -> int:
        """Until the next look at the streams."""
        return WATCH_NS

    async def turn(self) -> list[str]:
        """Ask if a stream is down and it is time. What went wrong, in one line each."""
        now_ns = self._clock()
        wanted = [name for name, streams in self._streams.items() if streams.down(now_ns)]
        self._end(self._polled - set(wanted), now_ns)
        is_due = now_ns >= self._due_ns and all(b.has_one(now_ns) for b in self._buckets)
        if not wanted or not is_due:
            return []
        for bucket in self._buckets:
            bucket.pay(now_ns)
        self._due_ns = now_ns + self._pace.wait_ns
        self._publisher.count("polls")
        query = {
            "ids": ",".join(wanted),
            "vs_currencies": "usd",
            "include_last_updated_at": "true",
        }
        try:
            body = await self._rest.get("/api/v3/simple/price", query, self._headers)
            errors = self.took(body, wanted, self._clock())
        except StatusError as error:
            return [self._refused(error)]
        except FeedError as error:
            self._due_ns = self._clock() + self._backoff.delay_ns()
            return [str(error)]
        self._backoff.worked()
        self._due_ns = now_ns + self._pace.wait_ns
        return errors

    def _refused(self, error: StatusError) -> str:
        """Later, as the venue says; never, if it is about us."""
        now_ns = self._clock()
        if error.status in _REFUSED:
            self._publisher.count("blocked")
            self._due_ns = FOREVER_NS
        else:
            delay_ns = max(error.retry_after_s * SECOND_NS, self._backoff.delay_ns())
            self._due_ns = now_ns + delay_ns
        return str(error)

    def _end(self, over: set[str], now_ns: int) -> None:
        """The stream of these is back: ours is not refreshed any more."""
        for name in over:
            self._polled.discard(name)
            self._last_e8.pop(name, None)
            self._publisher.mark(self._locals[name], raised=NO_SNAPSHOT, now_ns=now_ns)
        if over and not self._polled:
            self._pace = Pace(floor_ns=self._floor_ns, slow_ns=self._slow_ns)
            if self._due_ns != FOREVER_NS:
                self._due_ns = min(self._due_ns, now_ns + self._floor_ns)

    def took(self, body: bytes, wanted: Sequence[str], now_ns: int) -> list[str]:
        """Publish an answer; an id that the venue does not know is silently absent there, and a
        line here. Raises FeedError if it is no answer at all."""
        try:
            prices = PRICES.decode(body)
        except UNREADABLE as error:
            self._publisher.count("bad_frames")
            raise FeedError(f"simple/price: {error}") from error
        errors, move_bp = [], 0
        for name in wanted:
            try:
                price = prices[name]
                price_e8 = exact(raw_text(price.usd), 8)
                if price_e8 <= 0:
                    raise FeedError(f"usd: found {price_e8}, wanted more than 0")
            except KeyError:
                errors.append(f"simple/price: {name}: absent from the answer")
                continue
            except FeedError as error:
                self._publisher.count("bad_frames")
                errors.append(f"simple/price: {name}: {error}")
                continue
            before_e8 = self._last_e8.get(name, price_e8)
            move_bp = max(move_bp, abs(price_e8 - before_e8) * 10_000 // before_e8)
            self._last_e8[name] = price_e8
            self._show(name, price_e8, price.last_updated_at * SECOND_NS, now_ns)
        self._pace.moved(move_bp)
        return errors

    def _show(self, name: str, price_e8: int, stamp_ns: int, now_ns: int) -> None:
        """A price without a trade: `trade_id` never grows, so no trade buffer takes it for one."""
        local = self._locals[name]
        if name not in self._polled:
            self._polled.add(name)
            self._publisher.mark(local, raised=POLLED, now_ns=now_ns)
        self._publisher.trade(
            local,
            price_e8=price_e8,
            size_e8=0,
            side=BUY,
            trade_id=0,
            event_epoch_ns=stamp_ns,
            recv_ns=now_ns,
        )


async def coingecko_jobs(reach: Reach) -> Sequence[CoinGecko]:
    """The row's jobs. Options: plan; key_file ("": none); ttl_ms; slow_ms; streams, the numbers of
    the feeds whose streams it stands in for, by product: "bitcoin 3 4, ethereum 3"."""
    params = reach.params
    plan = PLANS.get(str(params.option("plan")))
    if plan is None:
        raise FeedError(f"plan: found {params.option('plan')!r}, wanted one of {sorted(PLANS)}")
    key_file = str(params.option("key_file"))
    job = CoinGecko(
        reach.publisher,
        await reach.rest(params.rest_url),
        streams_of(reach.segment, str(params.option("streams")), tuple(params.products)),
        plan=plan,
        key=Path(key_file).read_text(encoding="utf-8").strip() if key_file else "",
        clock=reach.clock,
        ttl_ns=int(params.option("ttl_ms")) * MS_NS,
        slow_ns=int(params.option("slow_ms")) * MS_NS,
    )
    return [job]


def streams_of(segment: Segment, text: str, products: Sequence[str]) -> dict[str, Streams]:
    """What stands for each product, in the products' order. Raises FeedError."""
    told: dict[str, Streams] = {}
    for part in filter(None, (part.split() for part in text.split(","))):
        if not all(word.isascii() and word.isdigit() for word in part[1:]):
            raise FeedError(f"streams: found {text!r}, wanted such as 'bitcoin 3 4, ethereum 3'")
        told[part[0]] = Streams(segment, [int(word) for word in part[1:]])
    return {name: told.get(name) or Streams(segment, ()) for name in products}
