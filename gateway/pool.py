"""Polymarket orders signed ahead, in this process's memory: nothing is signed on the hot path.

An entry is token × price × legal size, used once, its hash known before it is sent, usable only
while the market's tick epoch is the one it was made for. Nothing signed ever expires at the venue
(no nonce, no signed expiration), so entries stay when the touch moves away and are there when it
comes back. Sizes are those of one pure rule (`order_amounts.pool_size_e6`), which whoever chooses a
size calls too: then the wanted size is one that is kept. What is not kept is signed on demand (33
µs and a ring hop) and counted: correctness never depends on the pool.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from gateway.order_amounts import amounts_e6, pool_size_e6
from gateway.order_body import post_body
from gateway.pool_plan import KeptSizes, Key, PlannedMarket, SizeRule
from gateway.signing import REFUSALS, OrderFields, Signed, SigningClient
from shm_layout import (
    BODY,
    COUNTERS,
    E6,
    ENTRY,
    INSTRUMENT,
    LINE,
    POSITION,
    QUOTE,
    ROLE,
    SIGNER,
    VENUES,
    Segment,
    cell,
    slot_load,
    word_load,
)

MS_NS = 1_000_000
SCAN = 8  # instrument rows looked at in a turn
VISITS = 4  # markets whose touch is looked at in a turn
CHECKS = 128  # places of one market's plan looked at in a turn
HOLD_NS = 100_000_000  # a market is left alone so long after a lost request
CAP_HOLD_NS = 1_000_000_000  # all are, after a cap was hit
TAKEN_MAX = 4096
FOR_GOOD = ("price", "size", "amount", "side", "token", "cap_order")  # until facts change
POLYMARKET = VENUES.index("polymarket")

_I = {name: cell(INSTRUMENT, name) for name in INSTRUMENT.names or ()}
_Q = {name: cell(QUOTE, name) for name in QUOTE.names or ()}
_P = {name: cell(POSITION, name) for name in POSITION.names or ()}
_GENERATION_AT = LINE + _I["generation"]


class PooledOrder(NamedTuple):
    """A signed order, used once. `body` is the whole JSON of POST /order, `hash` the venue's id."""

    hash: bytes
    body: bytes
    salt: int
    maker_e6: int
    key: Key
    generation: int
    tick_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolParams:
    """The account as it stands in an order's body, and what is kept.

    `owner` is the API key. `levels`: ticks kept on each side of the touch. `order_max_e6`: notional
    of the largest size kept where the book shows no more; `shown_max_e6`: where it does.
    `in_flight_max` bounds what an order signed on demand waits behind.
    `token_stop_e6`, `total_stop_e6`: no refill above this much signed and not used up, so that the
    signer's caps leave room for orders on demand.
    """

    maker: str
    signer: str
    owner: str = field(repr=False)
    signature_type: int = 0
    levels: int = 12
    order_max_e6: int = 25 * E6
    shown_max_e6: int = 1_000 * E6
    token_stop_e6: int = 25_000 * E6
    total_stop_e6: int = 250_000 * E6
    entries_max: int = 16_384
    in_flight_max: int = 48
    per_turn: int = 24

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            least = 0 if item.name in ("levels", "signature_type") else 1
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
        self._instruments = main.layout.blocks["instruments"].count
        self._instruments_at, self._quotes_at = main.at("instruments"), main.at("quotes")
        self._positions_at = main.at("positions")
        counter = cell(ROLE, "counters") + COUNTERS["signer"].index("outstanding_e6")
        self._outstanding_at = main.at("roles", SIGNER) + counter
        self._row = np.zeros(BODY, np.int64)
        self._markets: dict[int, PlannedMarket] = {}
        self._visits: list[int] = []  # instruments in the order they are visited
        self._scan_at = self._visit_at = 0
        self._entries: dict[Key, PooledOrder] = {}
        self._gone: list[PooledOrder] = []  # taken since the last turn
        self._wanted: list[tuple[Key, int, int]] = []  # to be replaced: with generation, tick epoch
        self._asked: dict[Key, int] = {}  # key → tick epoch
        self._taken: dict[bytes, PooledOrder] = {}  # until the venue has used it up
        self._kept = KeptSizes(size_rule, params.order_max_e6, params.shown_max_e6)
        self._hold_until_ns = self._now_ns = 0
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
        market = self._markets.get(instrument) or self._look(instrument)
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
        market = self._markets.get(entry.key[0])
        if market is not None and market.generation == entry.generation:
            market.signed_e6[entry.key[1]] -= entry.maker_e6

    def unsent(self, order_hash: bytes) -> None:
        """An entry was taken and not sent: the next who wants it gets it. Not if it has been
        replaced already or may no longer be used: then it goes on counting at the signer."""
        self._collect()
        entry = self._taken.get(order_hash)
        market = self._markets.get(entry.key[0]) if entry is not None else None
        if entry is None or market is None or market.generation != entry.generation:
            return
        if entry.tick_epoch == market.tick_epoch and entry.key not in self._entries:
            del self._taken[order_hash]
            self._entries[entry.key] = entry
            market.keys.add(entry.key)
            self.hits -= 1

    def pump(self, now_ns: int) -> int:
        """One turn of refilling, bounded: look at some rows and touches, order a few entries.
        Answers come through the client's `pump`. Returns how many were ordered."""
        self._now_ns = now_ns
        self._collect()
        self._scan()
        done = self._replace(self._params.per_turn)
        for _ in range(min(VISITS, len(self._visits))):
            self._visit_at = (self._visit_at + 1) % len(self._visits)
            market = self._markets[self._visits[self._visit_at]]
            self._watch(market)
            if market.plan is not None and done < self._params.per_turn:
                done += self._fill(market, self._params.per_turn - done)
        return done

    def _scan(self) -> None:
        """Look for rows that are new or were written again."""
        for _ in range(SCAN):
            self._scan_at = (self._scan_at + 1) % self._instruments
            known = self._markets.get(self._scan_at)
            sequence = word_load(self._words, self._instruments_at + self._scan_at * ENTRY)
            if sequence and (known is None or known.sequence != sequence):
                self._look(self._scan_at)

    def _look(self, instrument: int) -> PlannedMarket | None:
        """Read an instrument's row; a market that is no longer the same loses its entries."""
        if not 0 <= instrument < self._instruments:
            return None
        at = self._instruments_at + instrument * ENTRY
        sequence = slot_load(self._words, at, self._row, BODY)
        if sequence <= 0:
            return None
        row = self._row.tolist()
        is_ours = row[_I["venue"]] == POLYMARKET and row[_I["live"]] == 1
        is_ours = is_ours and row[_I["index"]] == instrument
        known = self._markets.get(instrument)
        if known is not None:
            known.sequence = sequence
            if is_ours and known.generation == row[_I["generation"]]:
                return known
            self._drop(known)
            del self._markets[instrument]
            self._visits.remove(instrument)
        if not is_ours:
            return None
        known = self._markets[instrument] = PlannedMarket(sequence, row)
        self._visits.append(instrument)
        return known

    def _watch(self, market: PlannedMarket) -> None:
        """Follow the market's touch, tick epoch and facts; a change starts its plan anew."""
        at = self._quotes_at + market.instrument * ENTRY
        if slot_load(self._words, at, self._row, BODY) <= 0:
            return
        row = self._row.tolist()
        if row[_Q["generation"]] != market.generation:
            return
        if row[_Q["tick_epoch"]] != market.tick_epoch:
            market.tick_epoch = row[_Q["tick_epoch"]]
            self._drop(market, keep_epoch=market.tick_epoch)
        if market.observe(row, self._held(market)):
            market.plan = market.new_plan(self._params.levels, self._kept)

    def _replace(self, most: int) -> int:
        """Have the like of what was taken signed before all else: it is soon wanted again. How many
        were ordered."""
        taken, self._wanted, done = self._wanted, [], 0
        for key, generation, tick_epoch in taken[:most]:
            market = self._markets.get(key[0])
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
        is_over = market.signed_e6[key[1]] >= self._params.token_stop_e6
        return not (is_held or is_over or key in market.bad)

    def _held(self, market: PlannedMarket) -> tuple[int, int]:
        """What the desk last said that we hold of both tokens."""
        at = self._positions_at + market.instrument * ENTRY
        if slot_load(self._words, at, self._row, BODY) <= 0:
            return 0, 0
        if self._row[_P["generation"]] != market.generation:
            return 0, 0
        return int(self._row[_P["yes_e6"]]), int(self._row[_P["no_e6"]])

    def _fill(self, market: PlannedMarket, most: int) -> int:
        """Order up to `most` entries that the plan wants and nobody has ordered."""
        plan, done = market.plan, 0
        if plan is None or self._now_ns < max(market.hold_until_ns, self._hold_until_ns):
            return 0
        signed_e6 = word_load(self._words, self._outstanding_at)
        is_over = signed_e6 >= self._params.total_stop_e6
        if is_over or len(self._entries) >= self._params.entries_max:
            self.full += 1
            self._hold_until_ns = self._now_ns + CAP_HOLD_NS
            return 0
        for _ in range(CHECKS):
            if done >= most or len(self._asked) >= self._params.in_flight_max:
                return done
            key = next(plan, None)
            if key is None:
                market.plan = None
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
            market.seen = []  # planned again at the next visit
            why = "" if signed is None else REFUSALS[signed.refused]
            if why in FOR_GOOD:
                market.bad.add(key)
            elif why.startswith("cap_"):
                self._hold_until_ns = self._now_ns + CAP_HOLD_NS
            else:  # lost, or too old when a restarted signer read it, or the market is moving on
                market.hold_until_ns = self._now_ns + HOLD_NS
            return
        self.signed += 1
        is_same = self._markets.get(market.instrument) is market
        if not is_same or order.tick_epoch < market.tick_epoch or key in self._entries:
            self.dropped += 1
            return
        body = post_body(order, market.tokens[order.token], signed.signature, self._params)
        self._entries[key] = PooledOrder(
            signed.digest, body, order.salt, order.maker_e6, key, order.generation,
            order.tick_epoch,
        )
        market.keys.add(key)

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

    def _collect(self) -> None:
        """Book what was taken: plan its market again, so that it is replaced, and keep its salt
        until it is spent."""
        for entry in self._gone:
            market = self._markets.get(entry.key[0])
            if market is not None:
                market.seen = []
                if entry.key not in self._entries:
                    market.keys.discard(entry.key)
                self._wanted.append((entry.key, entry.generation, entry.tick_epoch))
            if len(self._taken) >= TAKEN_MAX:  # the oldest is never reported: it goes on counting
                del self._taken[next(iter(self._taken))]
            self._taken[entry.hash] = entry
        self._gone.clear()
