"""One Polymarket market: two tokens, one book, its frames. What REST tells of it beside the book is
in `polymarket_faces.py` and `polymarket_gamma.py`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import orjson

from ops.venues.book import MarketBook
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, plain
from ops.venues.script import ASK, BID, Level, MarketSpec

YES, NO = 0, 1
# Statuses of a script before its market takes orders; after it, it is closed.
_EARLY = ("unopened", "initialized", "inactive", "paused")
FINE_TICK_E6 = 1_000
PRICES_KEPT = 1440  # minutes of /prices-history
# Decimals of the amount by tick, as both official clients round (py-clob-client-v2 1.2.1).
AMOUNT_DECIMALS = {100_000: 3, 10_000: 4, 5_000: 5, 2_500: 6, 1_000: 5, 100: 6}
_BOOK_KEYS = ("market", "asset_id", "timestamp", "hash", "bids", "asks")


def mirror(levels: list[Level]) -> list[Level]:
    """Levels of one token as the other token shows them."""
    return [(ONE_E6 - price, size) for price, size in levels]


def _worst_first(best_first: list[Level]) -> list[dict[str, str]]:
    return [{"price": plain(price), "size": plain(size)} for price, size in reversed(best_first)]


class PolymarketMarket:
    """Book, tokens and state. `is_known`: the first book has come. `is_whole`: to the answers of
    its event none is ever added.
    """

    def __init__(self, spec: MarketSpec, number: int, *, is_whole: bool = False) -> None:
        self.is_whole = is_whole
        self.spec = spec
        self.number = number
        self.condition_id = spec.condition_id
        self.tokens = (spec.token_yes, spec.token_no)
        self.outcomes = spec.outcomes
        self.book = MarketBook()
        self.tick_e6 = min(step for _, _, step in spec.price_ranges)
        self.status = spec.status
        self.settlement_e6: int | None = None
        self.settled_epoch_ns = 0
        self.strike_e8 = spec.strike_e8
        self.final_e8: int | None = None
        self.is_known = False
        self.last_e6 = 0
        self.last_side = "BUY"
        self.changed_ms = 0
        self.prices: deque[tuple[int, int]] = deque(maxlen=PRICES_KEPT)  # epoch s, YES middle e6

    @property
    def is_open(self) -> bool:
        """Whether it takes orders."""
        return self.status == "active"

    @property
    def is_early(self) -> bool:
        """Whether it does not take orders yet."""
        return self.status in _EARLY

    @property
    def is_closed(self) -> bool:
        """Whether it takes orders no more."""
        return not (self.is_open or self.is_early)

    @property
    def tick(self) -> str:
        return plain(self.tick_e6)

    @property
    def amount_decimals(self) -> int:
        return AMOUNT_DECIMALS.get(self.tick_e6, 6)

    def outcome_of(self, token: str) -> int:
        return self.tokens.index(token)

    def sides(self, outcome: int) -> tuple[list[Level], list[Level]]:
        """(bids, asks) of one token, best first."""
        bids, asks = self.book.levels(BID), self.book.levels(ASK)
        return (bids, asks) if outcome == YES else (mirror(asks), mirror(bids))

    def touch(self, outcome: int) -> tuple[int, int]:
        """(best bid, best ask) of one token; an empty side is 0 or 1."""
        bid, ask = self.book.best_e6(BID), self.book.best_e6(ASK)
        bid_e6, ask_e6 = bid or 0, ONE_E6 if ask is None else ask
        return (bid_e6, ask_e6) if outcome == YES else (ONE_E6 - ask_e6, ONE_E6 - bid_e6)

    def touched(self, run_ns: int) -> None:
        """Note that the book changed at this run time."""
        self.changed_ms = run_ns // MS_NS
        minute_s = run_ns // (60 * SECOND_NS) * 60
        if not self.prices or self.prices[-1][0] < minute_s:
            self.prices.append((minute_s, sum(self.touch(YES)) // 2))

    def frame_hash(self, outcome: int) -> str:
        """The hash of a frame: of the token's touch and time, so that the rows of one event and the
        refresh after it share it. Like the venue's it cannot be recomputed from the frame.
        """
        text = f"{self.tokens[outcome]}{self.changed_ms}{self.touch(outcome)}"
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def last_trade(self, outcome: int) -> str:
        """The last trade's price of one token with three decimals, as the feed shows it; ""
        before any.
        """
        if not self.last_e6:
            return ""
        price_e6 = self.last_e6 if outcome == YES else ONE_E6 - self.last_e6
        return f"{price_e6 // ONE_E6}.{price_e6 % ONE_E6 // 1000:03d}"

    def side_of_last(self, outcome: int) -> str:
        """The last taker's side as a trade of this token."""
        other = {"BUY": "SELL", "SELL": "BUY"}
        return self.last_side if outcome == YES else other[self.last_side]

    def frame(self, outcome: int, *, is_first: bool) -> dict[str, Any]:
        """A `book` frame; tick size and last price stand only in the first."""
        bids, asks = self.sides(outcome)
        frame: dict[str, Any] = {
            "market": self.condition_id,
            "asset_id": self.tokens[outcome],
            "timestamp": str(self.changed_ms),
            "hash": self.frame_hash(outcome),
            "bids": _worst_first(bids),
            "asks": _worst_first(asks),
        }
        if is_first:
            frame["tick_size"] = self.tick
        frame["event_type"] = "book"
        if is_first:
            frame["last_trade_price"] = self.last_trade(outcome)
        return frame

    def book_json(self, outcome: int) -> dict[str, Any]:
        """GET /book, with the hash an official client can recompute."""
        bids, asks = self.sides(outcome)
        book: dict[str, Any] = {
            "market": self.condition_id,
            "asset_id": self.tokens[outcome],
            "timestamp": str(self.changed_ms),
            "hash": "",
            "bids": _worst_first(bids),
            "asks": _worst_first(asks),
            "min_order_size": plain(self.spec.size_min_e6),
            "tick_size": self.tick,
            "neg_risk": self.spec.neg_risk,
            "last_trade_price": self.last_trade(outcome),
        }
        book["hash"] = book_hash(book)
        return book


def number(value_e6: int) -> int | float:
    """A JSON number for the few places where the venue sends one (never on the path of an
    order).
    """
    whole, rest = divmod(value_e6, ONE_E6)
    return value_e6 / ONE_E6 if rest else whole


def book_hash(book: dict[str, Any]) -> str:
    """SHA-1 of the compact JSON with an empty `hash`, keys in the venue's order."""
    keys = (*_BOOK_KEYS, "min_order_size", "tick_size", "neg_risk", "last_trade_price")
    text = orjson.dumps({key: "" if key == "hash" else book[key] for key in keys})
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()
