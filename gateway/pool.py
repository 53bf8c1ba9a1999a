"""Polymarket orders signed ahead, in this process's memory: nothing is signed on the hot path.

An entry is token × price × legal size, used once, its hash known before it is sent, usable only
while the market's tick epoch is the one it was made for. Nothing signed ever expires at the venue
(no nonce, no signed expiration), so entries stay when the touch moves away and are there when it
comes back. Sizes are those of one pure rule (`order_amounts.pool_size_e6`), which whoever chooses a
size calls too: then the wanted size is one that is kept. What is not kept is signed on demand (33
µs and a ring hop) and counted: correctness never depends on the pool.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from heapq import nsmallest
from itertools import islice

from gateway.order_amounts import amounts_e6, pool_size_e6
from gateway.order_body import post_body
from gateway.pool_markets import Markets
from gateway.pool_plan import KeptSizes, Key, PlannedMarket, SizeRule
from gateway.ports import Request
from gateway.signing import REFUSALS, OrderFields, Signed, SigningClient
from shm_layout import (
    COUNTERS,
    E6,
    ENTRY,
    INSTRUMENT,
    LINE,
    QUOTE,
    ROLE,
    SIGNER,
    Segment,
    cell,
    word_load,
)

MS_NS = 1_000_000
VISITS = 8  # markets whose touch is looked at in a turn
FILLS = 4  # markets whose plan goes on in a turn
FRESH_MAX = 1024
NEAR = 12  # markets for which requests are made ahead
ROUNDS = 4  # turns in which a market goes on before the others
CHECKS = 128  # places of one market's plan looked at in a turn
HOLD_NS = 100_000_000  # a market is left alone so long after a lost request
CAP_HOLD_NS = 1_000_000_000  # all are, after a cap was hit
TAKEN_MAX = 4096
log = logging.getLogger("gateway")
FOR_GOOD = ("price", "size", "amount", "side", "token", "cap_order")  # until facts change

_GENERATION_AT, _TICK_EPOCH = LINE + cell(INSTRUMENT, "generation"), cell(QUOTE, "tick_epoch")


@dataclass(slots=True, repr=False)
class PooledOrder:
    """A signed order, used once. `body` is the whole JSON of POST /order, `hash` the venue's id;
    `made`: requests made ahead (gateway/polymarket_post.py)."""

    hash: bytes
    body: bytes
    salt: int
    maker_e6: int
    key: Key
    generation: int
    tick_epoch: int
    made: Sequence[tuple[int, Request]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolParams:
    """The account as it stands in an order's body, and what is kept.

    `owner` is the API key. `levels`: ticks kept on each side of the touch, and `reach_e6` dollars
    on the side to which it must go to pay. `order_max_e6`: notional of the largest size kept where
    the book shows no more; `shown_max_e6`: where it does. `in_flight_max` bounds what an order
    signed on demand waits behind.
    `token_stop_e6`, `total_stop_e6`: no refill above this much signed and not used up, so that the
    signer's caps leave room for orders on demand; these and `entries_max` by half as much again
    for what the touch itself may ask for.
    """

    maker: str
    signer: str
    owner: str = field(repr=False)
    signature_type: int = 0
    levels: int = 4
    reach_e6: int = 150_000
    order_max_e6: int = 25 * E6
    shown_max_e6: int = 1_000 * E6
    token_stop_e6: int = 25_000 * E6
    total_stop_e6: int = 250_000 * E6
    entries_max: int = 40_960
    in_flight_max: int = 48
    per_turn: int = 24

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            least = 0 if item.name in ("levels", "reach_e6", "signature_type") else 1
            if isinstance(value, int) and value < least:
                raise ValueError(f"{item.name}: found {value}, wanted at least {least}")


class OrderPool:
    """Entries by (instrument, token, side, price, size). Counts: `hits`, `misses` (signed on
    demand), `signed`, `dropped`, `refused`, `full`."""

    def __init__(
        self,
        client: SigningClient,
        main: Segment,
        *,
        params: PoolParams,
        clock: Callable[[], int],
        size_rule: SizeRule = pool_size_e6,
    ) -> None:
        self._client, self._words = client, main.words
        self._params, self._clock = params, clock
        self._instruments_at = main.at("instruments")
        counter = cell(ROLE, "counters") + COUNTERS["signer"].index("outstanding_e6")
        self._outstanding_at = main.at("roles", SIGNER) + counter
        self._markets = Markets(main, self._drop)
        self._planned: dict[int, PlannedMarket] = {}  # whose plan is not at its end
        self._entries: dict[Key, PooledOrder] = {}
        self._gone: list[PooledOrder] = []  # taken since the last turn
        self._wanted: list[tuple[Key, int, int]] = []  # to be replaced: with generation, tick epoch
        self._asked: dict[Key, int] = {}  # key → tick epoch
        self._taken: dict[bytes, PooledOrder] = {}  # until the venue has used it up
        self._kept = KeptSizes(size_rule, params.order_max_e6, params.shown_max_e6)
        self._hold_until_ns = self._now_ns = 0
        self._caps_told: set[str] = set()
        self._fresh: list[PooledOrder] = []  # at a touch
        self._likely: Iterator[PooledOrder] = iter(())
        self.hits = self.misses = self.signed = self.dropped = self.refused = self.full = 0

    def __len__(self) -> int:
        return len(self._entries)

    def take_order(
        self, instrument: int, token: int, side: int, price_e6: int, size_e6: int, tick_epoch: int,
        now_ns: int, generation: int | None = None,
    ) -> PooledOrder | None:  # fmt: skip
        """An entry that nobody gets again; `token` 0 YES, 1 NO; side and price in that token's
        terms. None: not there, and now signed on demand: ask again once our bell has rung.
        `generation` None: that of the market's row now."""
        key = (instrument, token, side, price_e6, size_e6)
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._gone.append(entry)  # the rest of the book-keeping waits for the next turn
            if generation is None:
                at = self._instruments_at + instrument * ENTRY + _GENERATION_AT
                generation = word_load(self._words, at)
            if entry.generation == generation and entry.tick_epoch == tick_epoch:
                self.hits += 1
                return entry
            self.dropped += 1
        if self._asked.get(key) != tick_epoch:
            self.misses += 1
            self.request_now(instrument, token, side, price_e6, size_e6, tick_epoch)
        return None

    def request_now(
        self, instrument: int, token: int, side: int, price_e6: int, size_e6: int, tick_epoch: int
    ) -> int | None:
        """Have one entry signed at once; it comes into the pool. The ticket; None: it cannot be
        ordered (unknown market, amounts that are not legal for a FAK, too much in flight)."""
        market = self._markets.find(instrument)
        if market is None:
            return None
        key = (instrument, token, side, price_e6, size_e6)
        return self._request(market, key, tick_epoch)

    def spent(self, order_hash: bytes) -> None:
        """The venue has surely used up this order (filled or killed): it counts no more at the
        signer. Never call it for an order whose outcome is unknown."""
        self._collect()
        entry = self._taken.pop(order_hash, None)
        if entry is None:
            return
        self._client.report_spent(entry.salt)
        market = self._markets.known.get(entry.key[0])
        if market is not None and market.generation == entry.generation:
            market.signed_e6[entry.key[1]] -= entry.maker_e6

    def unsent(self, order_hash: bytes) -> None:
        """An entry was taken and not sent: the next who wants it gets it. Not if it has been
        replaced already or may no longer be used: then it goes on counting at the signer."""
        self._collect()
        entry = self._taken.get(order_hash)
        market = self._markets.known.get(entry.key[0]) if entry is not None else None
        if entry is None or market is None or market.generation != entry.generation:
            return
        if entry.tick_epoch == market.tick_epoch and entry.key not in self._entries:
            del self._taken[order_hash]
            self._entries[entry.key] = entry
            market.keys.add(entry.key)
            self.hits -= 1

    @property
    def is_ready(self) -> bool:
        """The plan of every paired market that has a quote has been gone through once."""
        paired = (market for market in self._markets.known.values() if market.is_paired)
        return all(market.is_planned or not market.seen for market in paired)

    def likely(self, most: int) -> list[PooledOrder]:
        """Entries that a touch may ask for: new ones, then the next of the markets nearest to
        paying, and after the last from the beginning."""
        found, self._fresh = self._fresh[:most], self._fresh[most:]
        found += islice(self._likely, most - len(found))
        if len(found) < most:
            self._likely = self._at_touch()
        return found

    def _at_touch(self) -> Iterator[PooledOrder]:
        paired = [market for market in self._markets.known.values() if market.is_paired]
        for market in nsmallest(NEAR, paired, lambda market: -market.gap_e6):
            for key in market.touch_keys(self._kept):
                if (entry := self._entries.get(key)) is not None:
                    yield entry

    def pump(self, now_ns: int) -> int:
        """One turn of refilling, bounded: look at some rows and touches, order a few entries.
        Answers come through the client's `pump`. Returns how many were ordered."""
        self._now_ns = now_ns
        self._collect()
        self._markets.scan()
        for _ in range(VISITS):
            market = self._markets.written()
            if market is None:
                break
            self._watch(market)
        most = self._params.per_turn
        done = self._replace(most)
        for market in nsmallest(FILLS, self._planned.values(), key=_urgency):
            if done < most:
                done += self._fill(market, most - done)
                market.rounds += 1
            if market.plan is None:
                del self._planned[market.instrument]
        return done

    def _watch(self, market: PlannedMarket) -> None:
        """Follow the market's touch, tick epoch and facts; a change starts its plan anew."""
        row = self._markets.quote(market)
        if row is None:
            return
        if row[_TICK_EPOCH] != market.tick_epoch:
            market.tick_epoch = row[_TICK_EPOCH]
            self._drop(market, keep_epoch=market.tick_epoch)
        if market.observe(row, self._markets.held(market)):
            market.gap_e6 = self._markets.gap_e6(market)
            market.plan = market.new_plan(self._params.levels, self._params.reach_e6, self._kept)
            self._planned[market.instrument] = market

    def _replace(self, most: int) -> int:
        """Have the like of what was taken signed before all else: it is soon wanted again. How many
        were ordered."""
        taken, self._wanted, done = self._wanted, [], 0
        for key, generation, tick_epoch in taken[:most]:
            market = self._markets.known.get(key[0])
            is_known = key in self._entries or key in self._asked
            if market is None or is_known or not self._has_room(market, key):
                continue
            if (market.generation, market.tick_epoch) == (generation, tick_epoch):
                done += self._request(market, key, tick_epoch) is not None
        return done

    def _has_room(self, market: PlannedMarket, key: Key) -> bool:
        """It may be signed ahead: not refused for good, nobody waits, and its token's stop is not
        reached."""
        is_held = self._now_ns < max(market.hold_until_ns, self._hold_until_ns)
        stop_e6 = self._params.token_stop_e6 * _times(market) // 2
        return not (is_held or market.signed_e6[key[1]] >= stop_e6 or key in market.bad)

    def _is_full(self, market: PlannedMarket) -> bool:
        """As much is signed, or kept, as may be ahead."""
        signed_e6 = 2 * word_load(self._words, self._outstanding_at)
        if signed_e6 >= self._params.total_stop_e6 * _times(market):
            return True
        return 2 * len(self._entries) >= self._params.entries_max * _times(market)

    def _fill(self, market: PlannedMarket, most: int) -> int:
        """Order up to `most` entries that the plan wants and nobody has ordered."""
        plan, done = market.plan, 0
        if plan is None or self._now_ns < max(market.hold_until_ns, self._hold_until_ns):
            return 0
        if self._is_full(market):
            self.full += 1
            market.plan, market.is_planned = None, True  # begun anew with the next change
            return 0
        for _ in range(CHECKS):
            if done >= most or len(self._asked) >= self._params.in_flight_max:
                return done
            key = next(plan, None)
            if key is None:
                market.plan, market.is_planned = None, True
                return done
            if key in self._entries or key in self._asked or not self._has_room(market, key):
                continue
            if self._request(market, key, market.tick_epoch) is not None:
                done += 1
        return done

    def _request(self, market: PlannedMarket, key: Key, tick_epoch: int) -> int | None:
        amounts = amounts_e6(key[2], key[3], key[4])
        if amounts is None:
            self.refused += 1
            market.bad.add(key)
            return None
        instrument, token, side, price_e6, size_e6 = key
        order = OrderFields(
            instrument, market.generation, side, price_e6, size_e6, *amounts,
            secrets.randbits(53) or 1, self._clock() // MS_NS, tick_epoch, token,
        )  # fmt: skip

        def then(signed: Signed | None) -> None:
            self._come(market, key, order, signed)

        ticket = self._client.request_order(order, then=then)
        if ticket is not None:
            self._asked[key] = tick_epoch
            market.signed_e6[token] += order.maker_e6
        return ticket

    def _come(
        self, market: PlannedMarket, key: Key, order: OrderFields, signed: Signed | None
    ) -> None:
        """An answer: into the pool if it may still be used."""
        if self._asked.get(key) == order.tick_epoch:
            del self._asked[key]
        if signed is None or signed.refused:
            self.refused += 1
            market.signed_e6[order.token] -= order.maker_e6
            self._markets.again(market)
            why = "" if signed is None else REFUSALS[signed.refused]
            if why in FOR_GOOD:
                market.bad.add(key)
            elif why.startswith("cap_"):
                self._hold_until_ns = self._now_ns + CAP_HOLD_NS
                if why not in self._caps_told:
                    self._caps_told.add(why)
                    log.warning("alert: gateway: the signer refuses orders: %s is reached", why)
            else:  # lost, or too old when a restarted signer read it, or the market is moving on
                market.hold_until_ns = self._now_ns + HOLD_NS
            return
        self.signed += 1
        is_same = self._markets.known.get(market.instrument) is market
        if not is_same or order.tick_epoch < market.tick_epoch or key in self._entries:
            self.dropped += 1
            return
        body = post_body(order, market.tokens[order.token], signed.signature, self._params)
        entry = self._entries[key] = PooledOrder(
            signed.digest, body, order.salt, order.maker_e6, key, order.generation,
            order.tick_epoch,
        )
        market.keys.add(key)
        if market.is_paired and market.is_at_touch(key) and len(self._fresh) < FRESH_MAX:
            self._fresh.append(entry)

    def _drop(self, market: PlannedMarket, *, keep_epoch: int | None = None) -> None:
        """Forget a market's entries. They never expire: at the signer they go on counting."""
        self._collect()
        gone = [k for k in market.keys if self._entries[k].tick_epoch != keep_epoch]
        for key in gone:
            del self._entries[key]
        market.keys.difference_update(gone)
        self.dropped += len(gone)
        market.bad.clear()
        market.seen, market.plan = [], None
        self._planned.pop(market.instrument, None)

    def _collect(self) -> None:
        """Book what was taken: plan its market again, so that it is replaced, and keep its salt
        until it is spent."""
        for entry in self._gone:
            market = self._markets.known.get(entry.key[0])
            if market is not None:
                self._markets.again(market)
                if entry.key not in self._entries:
                    market.keys.discard(entry.key)
                self._wanted.append((entry.key, entry.generation, entry.tick_epoch))
            if len(self._taken) >= TAKEN_MAX:  # the oldest is never reported: it goes on counting
                del self._taken[next(iter(self._taken))]
            self._taken[entry.hash] = entry
        self._gone.clear()


def _times(market: PlannedMarket) -> int:
    """Halves of a stop up to which this market's entries are ordered: its touch may have more."""
    return 2 if market.is_ready else 3


def _urgency(market: PlannedMarket) -> tuple[bool, int, int]:
    """A touch before what may become one; in rounds, in each what is nearest to paying first."""
    return market.is_ready, market.rounds // ROUNDS, -market.gap_e6
