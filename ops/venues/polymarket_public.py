"""Polymarket's public REST: books and market facts of the CLOB, and the parts of Gamma a trader
reads.
"""

from __future__ import annotations

from typing import Any

from ops.venues.numerals import ONE_E6, SECOND_NS, plain
from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_market import YES, PolymarketMarket, number
from ops.venues.rest import Answer, Call, Handler, Routes


def error_answer(text: str, status: int = 400) -> Answer:
    """The venue's error shape."""
    return Answer(status, {"error": text})


class PublicRest:
    """Routes that need no signature."""

    def __init__(self, venue: Polymarket, routes: Routes) -> None:
        self._venue = venue
        self.routes = routes
        self._add_public()
        self._add_gamma()

    def _by_token(self, answer: str) -> Handler:
        """A handler for `?token_id=`; `answer` names the method that makes the body."""
        make = getattr(self, answer)

        def handler(call: Call) -> Answer:
            token = call.query.get("token_id", "")
            market = self._venue.by_token.get(token)
            if market is None or market.settlement_e6 is not None:
                return error_answer(f"the orderbook {token} does not exist", 404)
            return Answer(200, make(market, market.outcome_of(token), call))

        return handler

    def _add_public(self) -> None:
        add = self.routes.add
        add("GET", "/version", lambda _: Answer(200, {"version": 2}))
        add("GET", "/ok", lambda _: Answer(200, "OK"))
        add("GET", "/time", lambda _: Answer(200, self._venue.clock.wall_ns() // SECOND_NS))
        add("POST", "/books", self._books)
        add("GET", "/clob-markets/{condition}", self._clob_market)
        add("GET", "/markets-by-token/{token}", self._market_of_token)
        add("GET", "/markets/{condition}", self._market)
        for path, name in (
            ("/book", "_book"),
            ("/price", "_price"),
            ("/midpoint", "_midpoint"),
            ("/spread", "_spread"),
            ("/last-trade-price", "_last_trade_price"),
            ("/tick-size", "_tick_size"),
            ("/neg-risk", "_neg_risk"),
            ("/fee-rate", "_fee_rate"),
        ):
            add("GET", path, self._by_token(name))

    def _book(self, market: PolymarketMarket, outcome: int, call: Call) -> Any:
        return market.book_json(outcome)

    def _price(self, market: PolymarketMarket, outcome: int, call: Call) -> Any:
        bid, ask = market.touch(outcome)
        return {"price": plain(bid if call.query.get("side") == "BUY" else ask)}

    def _midpoint(self, market: PolymarketMarket, outcome: int, call: Call) -> Any:
        return {"mid": plain(sum(market.touch(outcome)) // 2)}

    def _spread(self, market: PolymarketMarket, outcome: int, call: Call) -> Any:
        bid, ask = market.touch(outcome)
        return {"spread": plain(ask - bid)}

    def _last_trade_price(self, market: PolymarketMarket, outcome: int, call: Call) -> Any:
        price_e6 = market.last_e6 if outcome == YES else ONE_E6 - market.last_e6
        return {"price": plain(price_e6), "side": market.last_side}

    def _tick_size(self, market: PolymarketMarket, outcome: int, call: Call) -> Any:
        return {"minimum_tick_size": number(market.tick_e6)}

    def _neg_risk(self, market: PolymarketMarket, outcome: int, call: Call) -> Any:
        return {"neg_risk": market.spec.neg_risk}

    def _fee_rate(self, market: PolymarketMarket, outcome: int, call: Call) -> Any:
        return {"base_fee": 1000}

    def _books(self, call: Call) -> Answer:
        rows = call.json()
        if not isinstance(rows, list):
            return error_answer("Invalid payload")
        found = []
        for row in rows:
            token = row.get("token_id") if isinstance(row, dict) else None
            market = self._venue.by_token.get(token or "")
            if market and token and market.settlement_e6 is None:
                found.append(market.book_json(market.outcome_of(token)))
        return Answer(200, found)

    def _clob_market(self, call: Call) -> Answer:
        market = self._venue.by_condition.get(call.params["condition"])
        return Answer(200, market.clob_json()) if market else error_answer("market not found", 404)

    def _market(self, call: Call) -> Answer:
        market = self._venue.by_condition.get(call.params["condition"])
        return (
            Answer(200, market.market_json()) if market else error_answer("market not found", 404)
        )

    def _market_of_token(self, call: Call) -> Answer:
        market = self._venue.by_token.get(call.params["token"])
        if market is None:
            return error_answer("market not found", 404)
        yes, no = market.tokens
        return Answer(
            200,
            {
                "condition_id": market.condition_id,
                "primary_token_id": yes,
                "secondary_token_id": no,
            },
        )

    # ---- Gamma

    def _add_gamma(self) -> None:
        add = self.routes.add
        add("GET", "/markets", self._gamma_markets)
        add("GET", "/markets/slug/{slug}", self._gamma_market)
        add("GET", "/events/slug/{slug}", self._gamma_event)

    def _gamma_markets(self, call: Call) -> Answer:
        """Closed rows vanish unless `closed=true`, as at the venue."""
        query = call.query
        conditions = _listed(query, "condition_ids")
        tokens = _listed(query, "clob_token_ids")
        closed = query.get("closed") == "true"
        rows = [
            market.gamma_json()
            for market in self._venue.markets
            if (not conditions or market.condition_id in conditions)
            and (not tokens or tokens.intersection(market.tokens))
            and query.get("slug") in (None, market.spec.ticker)
            and market.is_open != closed
        ]
        return Answer(200, rows)

    def _gamma_market(self, call: Call) -> Answer:
        slug = call.params["slug"]
        found = [market for market in self._venue.markets if market.spec.ticker == slug]
        return Answer(200, found[0].gamma_json()) if found else error_answer("slug not found", 404)

    def _gamma_event(self, call: Call) -> Answer:
        """An event by its own slug; a market's slug names the event of that market too."""
        slug = call.params["slug"]
        markets = self._venue.markets
        events = {one.spec.event for one in markets if slug in (one.spec.ticker, one.spec.event)}
        found = [market for market in markets if market.spec.event in events]
        if not found:
            return error_answer("slug not found", 404)
        rows = [market.gamma_json() for market in found]
        first = rows[0]
        keys = ("startDate", "endDate", "active", "closed", "archived", "restricted", "version")
        event = {key: first[key] for key in keys}
        return Answer(
            200,
            {
                "id": f"event-{first['id']}",
                "ticker": slug,
                "slug": slug,
                "title": first["question"],
                **event,
                "enableOrderBook": first["enableOrderBook"],
                "negRisk": first["negRisk"],
                "markets": rows,
                "seriesSlug": "",
            },
        )


def _listed(query: Any, name: str) -> set[str]:
    """A repeated or comma-joined parameter."""
    values = query.getall(name, []) if hasattr(query, "getall") else []
    return {part for value in values for part in value.split(",") if part}
