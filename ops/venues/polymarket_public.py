"""The CLOB's public REST: books, prices and market facts, one by one, in batches and in pages.

Paths and bodies: captures of 2026-09-28 and polymarket-client 0.14.0 (October 2026).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from ops.venues.numerals import ONE_E6, SECOND_NS, plain
from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_faces import clob_json, market_json, simplified_json
from ops.venues.polymarket_market import YES, PolymarketMarket, number
from ops.venues.rest import Answer, Call, Handler, Routes

FIRST_CURSOR, END_CURSOR = "MA==", "LTE="
PAGE_ROWS = 500
BATCH_MAX = 500
Row = Callable[[PolymarketMarket], dict[str, Any]]
Read = Callable[[PolymarketMarket, int, str], Any]


def error_answer(text: str, status: int = 400) -> Answer:
    """The venue's error shape."""
    return Answer(status, {"error": text})


def cursor_page(rows: list[Any], cursor: str | None, size: int) -> Answer:
    """Rows from a cursor on: base64 of an offset, `LTE=` (-1) after the last page."""
    try:
        start = int(base64.b64decode(cursor or FIRST_CURSOR, validate=True))
    except (binascii.Error, ValueError):
        start = -1
    if start < 0:
        return error_answer("next item should be greater than or equal to 0")
    end = start + size
    page = rows[start:end]
    after = END_CURSOR if end >= len(rows) else base64.b64encode(str(end).encode()).decode()
    return Answer(200, {"data": page, "next_cursor": after, "limit": size, "count": len(page)})


class PublicRest:
    """Routes that need no signature."""

    def __init__(self, venue: Polymarket, routes: Routes) -> None:
        self._venue = venue
        self.routes = routes
        self._add_reads()
        self._add_batches()
        self._add_markets()

    def _found(self, token: object) -> tuple[PolymarketMarket, int] | None:
        """The market and outcome of a token with a book; a resolved market has none."""
        market = self._venue.by_token.get(token) if isinstance(token, str) else None
        if market is None or market.settlement_e6 is not None:
            return None
        assert isinstance(token, str)
        return market, market.outcome_of(token)

    # ---- one token

    def _by_token(self, read: Read) -> Handler:
        def handler(call: Call) -> Answer:
            token = call.query.get("token_id", "")
            found = self._found(token)
            if found is None:
                return error_answer(f"the orderbook {token} does not exist", 404)
            return Answer(200, read(*found, call.query.get("side", "")))

        return handler

    def _add_reads(self) -> None:
        add = self.routes.add
        add("GET", "/version", lambda _: Answer(200, {"version": 2}))
        add("GET", "/ok", lambda _: Answer(200, "OK"))
        add("GET", "/", lambda _: Answer(200, "OK"))
        add("GET", "/time", lambda _: Answer(200, self._venue.clock.wall_ns() // SECOND_NS))
        reads: dict[str, Read] = {
            "/book": _book,
            "/price": _price,
            "/midpoint": lambda market, outcome, _: {"mid": _middle(market, outcome)},
            "/spread": lambda market, outcome, _: {"spread": _spread(market, outcome)},
            "/last-trade-price": _last_trade_price,
            "/tick-size": lambda market, *_: {"minimum_tick_size": number(market.tick_e6)},
            "/neg-risk": lambda market, *_: {"neg_risk": market.spec.neg_risk},
            "/fee-rate": lambda *_: {"base_fee": 1000},  # a legacy ceiling, not the rate charged
        }
        for path, read in reads.items():
            add("GET", path, self._by_token(read))
        add("GET", "/prices-history", self._prices_history)

    def _prices_history(self, call: Call) -> Answer:
        """Steps of a minute of run time, as far as they are kept."""
        found = self._found(call.query.get("market", ""))
        if found is None:
            return Answer(200, {"history": []})
        market, outcome = found
        try:
            start = int(call.query.get("startTs", 0))
            end = int(call.query.get("endTs", 1 << 62))
        except ValueError:
            return error_answer("invalid filters")
        steps = [
            {"t": at_s, "p": number(price if outcome == YES else ONE_E6 - price)}
            for at_s, price in market.prices
            if start <= at_s <= end
        ]
        return Answer(200, {"history": steps})

    # ---- many tokens

    def _add_batches(self) -> None:
        add = self.routes.add
        add("POST", "/books", self._batch(_book, as_list=True))
        add("POST", "/last-trades-prices", self._batch(_last_of_token, as_list=True))
        add("POST", "/midpoints", self._batch(lambda market, at, _: _middle(market, at)))
        add("POST", "/spreads", self._batch(lambda market, at, _: _spread(market, at)))
        add("POST", "/prices", self._prices)

    def _asked(self, call: Call) -> list[dict[str, Any]] | None:
        rows = call.json()
        if not isinstance(rows, list) or len(rows) > BATCH_MAX:
            return None
        return [row for row in rows if isinstance(row, dict)]

    def _batch(self, read: Read, *, as_list: bool = False) -> Handler:
        """`[{"token_id"}]` to a list, or to an object by token; tokens without a book vanish."""

        def handler(call: Call) -> Answer:
            asked = self._asked(call)
            if asked is None:
                return error_answer("Invalid payload")
            known = [(row["token_id"], self._found(row.get("token_id"))) for row in asked]
            made = {token: read(*found, "") for token, found in known if found}
            return Answer(200, list(made.values()) if as_list else made)

        return handler

    def _prices(self, call: Call) -> Answer:
        asked = self._asked(call)
        if asked is None:
            return error_answer("Invalid payload")
        prices: dict[str, dict[str, str]] = {}
        for row in asked:
            found, side = self._found(row.get("token_id")), row.get("side")
            if found and side in ("BUY", "SELL"):
                price = _price(*found, side)["price"]
                prices.setdefault(row["token_id"], {})[side] = price
        return Answer(200, prices)

    # ---- markets

    def _add_markets(self) -> None:
        add = self.routes.add
        add("GET", "/clob-markets/{condition}", self._of_condition(clob_json))
        add("GET", "/markets-by-token/{token}", self._market_of_token)
        add("GET", "/markets", self._pages(market_json))
        add("GET", "/simplified-markets", self._pages(simplified_json))
        add("GET", "/sampling-markets", self._pages(market_json, is_open=True))
        add("GET", "/sampling-simplified-markets", self._pages(simplified_json, is_open=True))
        add("GET", "/markets/{condition}", self._of_condition(market_json))

    def _of_condition(self, make: Row) -> Handler:
        def handler(call: Call) -> Answer:
            market = self._venue.by_condition.get(call.params["condition"])
            return Answer(200, make(market)) if market else error_answer("market not found", 404)

        return handler

    def _pages(self, make: Row, *, is_open: bool = False) -> Handler:
        def handler(call: Call) -> Answer:
            markets = [one for one in self._venue.markets if one.is_open or not is_open]
            answer = cursor_page(markets, call.query.get("next_cursor"), PAGE_ROWS)
            if answer.status == 200:
                answer.body["data"] = [make(market) for market in answer.body["data"]]
            return answer

        return handler

    def _market_of_token(self, call: Call) -> Answer:
        market = self._venue.by_token.get(call.params["token"])
        if market is None:
            return error_answer("market not found", 404)
        yes, no = market.tokens
        ids = {"primary_token_id": yes, "secondary_token_id": no}
        return Answer(200, {"condition_id": market.condition_id, **ids})


def _book(market: PolymarketMarket, outcome: int, _: str) -> dict[str, Any]:
    return market.book_json(outcome)


def _price(market: PolymarketMarket, outcome: int, side: str) -> dict[str, str]:
    """BUY answers the best bid, SELL the best ask (captured 2026-09-28)."""
    bid, ask = market.touch(outcome)
    return {"price": plain(bid if side == "BUY" else ask)}


def _middle(market: PolymarketMarket, outcome: int) -> str:
    return plain(sum(market.touch(outcome)) // 2)


def _spread(market: PolymarketMarket, outcome: int) -> str:
    bid, ask = market.touch(outcome)
    return plain(ask - bid)


def _last_trade_price(market: PolymarketMarket, outcome: int, _: str) -> dict[str, str]:
    """Before any trade: the middle of nothing, and no side (polymarket-client 0.14.0, clob.py)."""
    if not market.last_e6:
        return {"price": "0.5", "side": ""}
    price_e6 = market.last_e6 if outcome == YES else ONE_E6 - market.last_e6
    return {"price": plain(price_e6), "side": market.side_of_last(outcome)}


def _last_of_token(market: PolymarketMarket, outcome: int, _: str) -> dict[str, str]:
    return {**_last_trade_price(market, outcome, ""), "token_id": market.tokens[outcome]}
