"""One Polymarket market: two tokens, one book, and every REST face of it (CLOB V2 and Gamma,
2026).
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from ops.venues.book import MarketBook
from ops.venues.numerals import MS_NS, ONE_E6, iso_s, plain
from ops.venues.script import ASK, BID, Level, MarketSpec

YES, NO = 0, 1
OUTCOMES = ("Yes", "No")
FINE_TICK_E6 = 1_000
# Decimals of the amount by tick, as both official clients round (py-clob-client-v2 1.2.1).
AMOUNT_DECIMALS = {100_000: 3, 10_000: 4, 5_000: 5, 2_500: 6, 1_000: 5, 100: 6}
_BOOK_KEYS = ("market", "asset_id", "timestamp", "hash", "bids", "asks")


def mirror(levels: list[Level]) -> list[Level]:
    """Levels of one token as the other token shows them."""
    return [(ONE_E6 - price, size) for price, size in levels]


def _worst_first(best_first: list[Level]) -> list[dict[str, str]]:
    return [{"price": plain(price), "size": plain(size)} for price, size in reversed(best_first)]


class PolymarketMarket:
    """Book, tokens and state. `is_known`: the first book has come."""

    def __init__(self, spec: MarketSpec, number: int) -> None:
        self.spec = spec
        self.number = number
        self.condition_id = spec.condition_id
        self.tokens = (spec.token_yes, spec.token_no)
        self.book = MarketBook()
        self.tick_e6 = min(step for _, _, step in spec.price_ranges)
        self.status = spec.status
        self.settlement_e6: int | None = None
        self.settled_epoch_ns = 0
        self.is_known = False
        self.last_e6 = 0
        self.last_side = "BUY"
        self.changed_ms = 0
        self.hashes = 0

    @property
    def is_open(self) -> bool:
        """Whether it takes orders."""
        return self.status == "active"

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

    def next_hash(self, outcome: int) -> str:
        """A hash for a frame; like the venue's it cannot be recomputed from the frame."""
        self.hashes += 1
        text = f"{self.tokens[outcome]}{self.changed_ms}{self.hashes}"
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def last_trade(self, outcome: int) -> str:
        """The last trade's price of one token with three decimals, as the feed shows it; ""
        before any.
        """
        if not self.last_e6:
            return ""
        price_e6 = self.last_e6 if outcome == YES else ONE_E6 - self.last_e6
        return f"{price_e6 // ONE_E6}.{price_e6 % ONE_E6 // 1000:03d}"

    def frame(self, outcome: int, *, is_first: bool) -> dict[str, Any]:
        """A `book` frame; tick size and last price stand only in the first."""
        bids, asks = self.sides(outcome)
        frame: dict[str, Any] = {
            "market": self.condition_id,
            "asset_id": self.tokens[outcome],
            "timestamp": str(self.changed_ms),
            "hash": self.next_hash(outcome),
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

    def clob_json(self) -> dict[str, Any]:
        """GET /clob-markets/{condition}: short keys; `fd` are the fee terms, `itode` the taker
        delay.
        """
        spec = self.spec
        market: dict[str, Any] = {
            "c": self.condition_id,
            "t": [
                {"t": token, "o": name} for token, name in zip(self.tokens, OUTCOMES, strict=True)
            ],
            "mos": number(spec.size_min_e6),
            "mts": number(self.tick_e6),
            "mbf": 1000,
            "tbf": 1000,
            "ao": self.is_open,
            "nr": spec.neg_risk,
            "fd": {"r": number(spec.fee_rate_e6), "e": spec.fee_exponent, "to": True},
            "v": "v1",
        }
        if spec.taker_delay_ns:
            market["itode"] = True
        return market

    def market_json(self) -> dict[str, Any]:
        """GET /markets/{condition} of the CLOB."""
        spec, value_e6 = self.spec, self.settlement_e6
        bid, ask = self.touch(YES)
        middle_e6 = (bid + ask) // 2 if value_e6 is None else value_e6
        prices = (middle_e6, ONE_E6 - middle_e6)
        return {
            "enable_order_book": value_e6 is None,
            "active": True,
            "closed": not self.is_open,
            "archived": False,
            "accepting_orders": self.is_open,
            "accepting_order_timestamp": iso_s(spec.open_epoch_ns),
            "minimum_order_size": number(spec.size_min_e6),
            "minimum_tick_size": number(self.tick_e6),
            "condition_id": self.condition_id,
            "question_id": "",
            "question": spec.title,
            "description": "",
            "market_slug": spec.ticker,
            "end_date_iso": iso_s(spec.close_epoch_ns),
            "game_start_time": None,
            "seconds_delay": spec.taker_delay_ns // 10**9,
            "fpmm": "",
            "maker_base_fee": 1000,
            "taker_base_fee": 1000,
            "notifications_enabled": True,
            "neg_risk": spec.neg_risk,
            "neg_risk_market_id": "",
            "neg_risk_request_id": "",
            "rewards": {"rates": None, "min_size": 50, "max_spread": 4.5},
            "is_50_50_outcome": value_e6 == ONE_E6 // 2,
            "tokens": [
                {
                    "token_id": token,
                    "outcome": name,
                    "price": number(price),
                    "winner": value_e6 is not None and price == ONE_E6,
                }
                for token, name, price in zip(self.tokens, OUTCOMES, prices, strict=True)
            ],
            "tags": [],
        }

    def gamma_json(self) -> dict[str, Any]:
        """A Gamma market: outcomes, prices and token ids are JSON inside strings."""
        spec = self.spec
        clob = self.market_json()
        prices = [plain(round(token["price"] * ONE_E6)) for token in clob["tokens"]]
        bid, ask = self.touch(YES)
        return {
            "id": str(self.number),
            "question": spec.title,
            "conditionId": self.condition_id,
            "slug": spec.ticker,
            "resolutionSource": "",
            "startDate": iso_s(spec.open_epoch_ns),
            "endDate": iso_s(spec.close_epoch_ns),
            "eventStartTime": iso_s(spec.open_epoch_ns),
            "description": "",
            "outcomes": orjson.dumps(OUTCOMES).decode(),
            "outcomePrices": orjson.dumps(prices).decode(),
            "clobTokenIds": orjson.dumps(self.tokens).decode(),
            "active": True,
            "closed": not self.is_open,
            "archived": False,
            "restricted": True,
            "questionID": "",
            "enableOrderBook": clob["enable_order_book"],
            "orderPriceMinTickSize": number(self.tick_e6),
            "orderMinSize": number(spec.size_min_e6),
            "umaResolutionStatus": "resolved" if self.settlement_e6 is not None else "",
            "makerBaseFee": 1000,
            "takerBaseFee": 1000,
            "acceptingOrders": self.is_open,
            "negRisk": spec.neg_risk,
            "feesEnabled": spec.fee_rate_e6 > 0,
            "feeType": "crypto_fees_v2" if spec.fee_rate_e6 == 70_000 else "general_fees",
            "feeSchedule": {
                "exponent": spec.fee_exponent,
                "rate": number(spec.fee_rate_e6),
                "takerOnly": True,
                "rebateRate": 0.2,
            },
            "secondsDelay": spec.taker_delay_ns // 10**9,
            "clearBookOnStart": False,
            "version": "v1",
            "spread": number(ask - bid),
            "bestBid": number(bid),
            "bestAsk": number(ask),
            "lastTradePrice": number(self.last_e6),
        }


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
