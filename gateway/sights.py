"""What an intent was judged on, kept for whoever must explain it: both books, fees, stamps.

Taken once its bytes have left, written into the journal when nothing waits any more: a gateway that
dies in between leaves its orders without it. Nothing of it is needed to recover.

Records `market` (who an instrument is, before the first that names it) and `seen`: `look` is the
quote as the last look read it; `book` the one that was decided on, null if that was the `same` or
is in the feed's ring no more. Five levels a side, so a record is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateway.accounts import Accounts
from gateway.facts import levels_of
from gateway.intent import REASONED, Intent, Leg
from gateway.memory import K_FEE, K_WORST, LOOK_CELLS, LOOKS_AT, Memory
from shm_layout import (
    BODY,
    BUY,
    ENTRY,
    FEEDS_MAX,
    K_QUOTE,
    LINE,
    MAIN,
    QUOTE,
    READ,
    SELL,
    Words,
    cell,
    ring_read,
    ring_tail,
)

BACK_MAX = 256  # entries of a feed's ring in which a quote is looked for
KEPT_MAX = 128  # intents that wait for their record: those beyond get none
_INSTRUMENT, _NUMBER, _EPOCH = (cell(QUOTE, name) for name in ("instrument", "number", "epoch"))
FIELDS = (
    "number", "epoch", "trust", "status", "tick_epoch", "venue_seq", "event_epoch_ns", "recv_ns",
    "publish_ns", "taker_delay_ns", "size_min_e6", "size_step_e6", "notional_step_e6", "fee_kind",
    "fee_rate_e6", "fee_exponent", "fee_unit_e6", "fee_mode",
)  # fmt: skip
_FIELDS_AT = tuple((name, cell(QUOTE, name)) for name in FIELDS)


@dataclass(slots=True)
class Sight:
    """Of one intent: `looks` are its legs' cells in the desk's memory as they were then."""

    intent: Intent
    looks: Words
    put_ns: int
    sent_ns: Sequence[int]


@dataclass(slots=True, kw_only=True)
class Sights:
    """`append` journals a record; False: the journal takes none, so neither do we."""

    words: Words
    memory: Memory
    accounts: Accounts
    append: Callable[[dict[str, Any]], bool]
    kept: list[Sight] = field(default_factory=list)
    named: set[tuple[int, int]] = field(default_factory=set)

    def keep(self, intent: Intent, put_ns: int, sent_ns: Sequence[int]) -> None:
        """The intent judged last, whose record was whole at `put_ns`; its legs' send stamps."""
        if len(self.kept) >= KEPT_MAX:
            return
        end = LOOKS_AT + len(intent.legs) * LOOK_CELLS
        self.kept.append(Sight(intent, self.memory.words[LOOKS_AT:end].copy(), put_ns, sent_ns))

    def write(self) -> None:
        """Into the journal with what is kept."""
        while self.kept:
            sight = self.kept.pop(0)
            for leg in sight.intent.legs:
                self.name(leg.instrument)
            self.append(self._record(sight))

    def name(self, instrument: int) -> None:
        """Who an instrument is: once for each generation."""
        market = self.accounts.markets[instrument]
        if (instrument, market.generation) in self.named:
            return
        self.named.add((instrument, market.generation))
        self.append({
            "k": "market", "instrument": instrument, "generation": market.generation,
            "venue": market.venue, "ticker": market.ticker, "yes": market.token_yes,
            "no": market.token_no, "account": market.account, "shard": market.exchange_index,
            "nets": self.accounts.nets[market.venue],
        })  # fmt: skip

    def _record(self, sight: Sight) -> dict[str, Any]:
        legs = []
        for place, leg in enumerate(sight.intent.legs):
            look = sight.looks[place * LOOK_CELLS : (place + 1) * LOOK_CELLS].tolist()
            is_same = (look[_EPOCH], look[_NUMBER]) == (leg.quote_epoch, leg.quote_number)
            book = None if is_same else self._found(leg)
            legs.append({
                "look": told(look), "book": told(book) if book else None, "same": is_same,
                "fee": look[K_FEE], "worst": look[K_WORST],
            })  # fmt: skip
        intent = sight.intent
        return {
            "k": "seen", "intent": intent.id, "profit": intent.profit_e6, "fees": intent.fees_e6,
            "put": sight.put_ns, "sent": list(sight.sent_ns), "legs": legs,
        } | _bet(intent)  # fmt: skip

    def _found(self, leg: Leg) -> list[int] | None:
        """The quote a leg was decided on, in the ring of its feed; None: it is gone from there."""
        feed = self.accounts.markets[leg.instrument].feed
        wanted = leg.instrument, leg.quote_epoch, leg.quote_number
        if not 0 <= feed < FEEDS_MAX:
            return None
        ring, out = f"changes_{feed}", np.zeros(ENTRY, np.int64)
        at, entries = MAIN.at[ring], MAIN.blocks[ring].count
        tail = int(ring_tail(self.words, at))
        for place in range(tail - 1, max(tail - BACK_MAX, 0) - 1, -1):
            if ring_read(self.words, at, entries, place, out, BODY) != READ or out[0] != K_QUOTE:
                continue
            body: list[int] = out[LINE:].tolist()
            if (body[_INSTRUMENT], body[_EPOCH], body[_NUMBER]) == wanted:
                return body
        return None


def _bet(intent: Intent) -> dict[str, Any]:
    """What a bet was decided on, by name: fair value, strategy, the price it was valued with."""
    if not intent.reasons:
        return {}
    return {"bet": dict(zip(REASONED, intent.reasons, strict=True))}


def told(quote: Sequence[int]) -> dict[str, Any]:
    """A quote's cells by name, with the levels that are there: (price_e6, size_e6), best first."""
    found: dict[str, Any] = {name: quote[at] for name, at in _FIELDS_AT}
    return found | {"bids": levels_of(quote, SELL), "asks": levels_of(quote, BUY)}
