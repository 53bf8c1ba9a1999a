"""Kalshi's REST under /trade-api/v2: signed portfolio calls, public market data, token buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ops.venues.kalshi import VENUE, Kalshi
from ops.venues.kalshi_auth import error_body
from ops.venues.kalshi_desk import NOT_FOUND, Reply
from ops.venues.kalshi_market import STATUS_FILTER, KalshiMarket
from ops.venues.numerals import SECOND_NS, iso_us
from ops.venues.rest import Answer, Call, Handler, Routes
from ops.venues.session import Bucket

BASE = "/trade-api/v2"
COST = 10
CANCEL_COST = 2
LIMIT_MAX = 1000
BOOKS_MAX = 100
_SHARDS = {0: "Default", 1: "Combos", 2: "Crypto & Commodities", 3: "Tennis, Baseball, Basketball"}
_TOO_MANY = error_body("too_many_requests", "too many requests")
_GONE = error_body(
    "deprecated_v1_order_endpoint",
    "Please switch to the V2 endpoints",
    "https://docs.kalshi.com/api-reference/orders/create-order-v2",
)


class _BadQuery(Exception):
    """A query parameter is not what it should be: 400 in the `{"msg": …}` shape."""


class KalshiRest:
    """Routes of the venue."""

    def __init__(self, venue: Kalshi, *, tokens_per_s: int) -> None:
        self._venue = venue
        self._tokens_per_s = tokens_per_s
        now_ns = venue.clock.mono_ns()
        self._write = Bucket(tokens_per_s=tokens_per_s, burst=tokens_per_s, now_ns=now_ns)
        self._read = Bucket(tokens_per_s=tokens_per_s, burst=tokens_per_s, now_ns=now_ns)
        self.routes = Routes()
        self._add_orders()
        self._add_portfolio()
        self._add_public()

    def not_found(self, call: Call) -> Answer:
        """What no route matches."""
        return Answer(404, NOT_FOUND)

    # ---- guards

    def _route(self, method: str, path: str, handler: Handler) -> None:
        def public(call: Call) -> Answer:
            try:
                return handler(call)
            except _BadQuery as bad:
                return Answer(400, {"msg": f"Parameter validation failed: {bad}"})

        self.routes.add(method, BASE + path, public)

    def _signed(
        self, method: str, path: str, handler: Handler, *, bucket: Bucket, cost: int
    ) -> None:
        clock = self._venue.clock

        def guarded(call: Call) -> Answer:
            refused = self._venue.gate.refusal(call.method, call.path, call.headers)
            if refused:
                return self._refused(call, Answer(401, refused), "unauthorized")
            if not bucket.pay(cost, clock.mono_ns()):
                return self._refused(call, Answer(429, _TOO_MANY), "too_many_requests")
            return handler(call)

        self._route(method, path, guarded)

    def _refused(self, call: Call, answer: Answer, reason: str) -> Answer:
        self._venue.log.count(VENUE, f"refused_{reason}")
        if call.method == "POST" and call.path == f"{BASE}/portfolio/events/orders":
            return self._logged(call, Reply(answer.status, answer.body, reason, _client_id(call)))
        return answer

    # ---- orders

    def _add_orders(self) -> None:
        orders = "/portfolio/events/orders"
        write = self._write
        self._signed("POST", orders, self._create, bucket=write, cost=COST)
        self._signed("DELETE", orders, self._cancel_all, bucket=write, cost=COST)
        self._signed("DELETE", orders + "/{order_id}", self._cancel, bucket=write, cost=CANCEL_COST)
        for method, path in (
            ("POST", "/portfolio/orders"),
            ("DELETE", "/portfolio/orders/{order_id}"),
            ("POST", "/portfolio/orders/{order_id}/amend"),
            ("POST", "/portfolio/orders/{order_id}/decrease"),
            ("POST", "/portfolio/orders/batched"),
            ("DELETE", "/portfolio/orders/batched"),
        ):
            self._signed(method, path, lambda _: Answer(410, _GONE), bucket=write, cost=COST)

    def _logged(self, call: Call, reply: Reply) -> Answer:
        venue = self._venue
        answered_ns = venue.clock.mono_ns()
        venue.log.order(VENUE, reply.key, call.read_ns, answered_ns, reply.outcome)
        return Answer(reply.status, reply.body, is_order=True)

    def _create(self, call: Call) -> Answer:
        return self._logged(call, self._venue.desk.create(call.json()))

    def _cancel(self, call: Call) -> Answer:
        shard = _whole(call, "exchange_index", None)
        ticker = call.query.get("market_ticker")
        reply = self._venue.desk.cancel(call.params["order_id"], shard, ticker)
        self._venue.log.count(VENUE, f"cancel_{reply.outcome}")
        return Answer(reply.status, reply.body)

    def _cancel_all(self, call: Call) -> Answer:
        reply = self._venue.desk.cancel_all()
        return Answer(reply.status, reply.body)

    # ---- portfolio reads

    def _add_portfolio(self) -> None:
        def read(path: str, handler: Handler, cost: int = COST) -> None:
            self._signed("GET", path, handler, bucket=self._read, cost=cost)

        read("/portfolio/balance", self._balance)
        read("/portfolio/orders", self._orders)
        read("/portfolio/orders/{order_id}", self._order, CANCEL_COST)
        read("/portfolio/fills", self._fills)
        read("/portfolio/positions", self._positions)
        read("/portfolio/settlements", self._settlements)
        read("/account/limits", self._limits)

    def _balance(self, call: Call) -> Answer:
        return Answer(200, self._venue.account.balance_json(self._venue.clock.run_ns()))

    def _orders(self, call: Call) -> Answer:
        query = call.query
        since_s, until_s = _whole(call, "min_ts", 0) or 0, _whole(call, "max_ts", None)
        rows = [
            order.rest_json()
            for order in reversed(self._venue.account.orders.values())
            if query.get("ticker") in (None, order.market.ticker)
            and query.get("status") in (None, order.status)
            and order.created_ns >= since_s * SECOND_NS
            and (until_s is None or order.created_ns <= until_s * SECOND_NS)
        ]
        return _page(call, "orders", rows)

    def _order(self, call: Call) -> Answer:
        order = self._venue.account.orders.get(call.params["order_id"])
        return Answer(200, {"order": order.rest_json()}) if order else Answer(404, NOT_FOUND)

    def _fills(self, call: Call) -> Answer:
        query, since_s = call.query, _whole(call, "min_ts", 0) or 0
        rows = [
            fill
            for fill in reversed(self._venue.account.fills)
            if query.get("ticker") in (None, fill["ticker"])
            and query.get("order_id") in (None, fill["order_id"])
            and fill["ts"] >= since_s
        ]
        return _page(call, "fills", rows)

    def _positions(self, call: Call) -> Answer:
        venue = self._venue
        shards = {name: market.spec.exchange_index for name, market in venue.markets.items()}
        body = venue.account.positions_json(shards)
        ticker = call.query.get("ticker")
        if ticker:
            rows = [row for row in body["market_positions"] if row["ticker"] == ticker]
            body["market_positions"] = rows
        return Answer(200, body)

    def _settlements(self, call: Call) -> Answer:
        return _page(call, "settlements", list(reversed(self._venue.account.settlements)))

    def _limits(self, call: Call) -> Answer:
        rate = {"bucket_capacity": self._tokens_per_s, "refill_rate": self._tokens_per_s}
        return Answer(200, {"grants": [], "read": rate, "usage_tier": "premier", "write": rate})

    # ---- public market data

    def _add_public(self) -> None:
        self._route("GET", "/markets", self._markets)
        self._route("GET", "/markets/orderbooks", self._orderbooks)
        self._route("GET", "/markets/{ticker}", self._market)
        self._route("GET", "/markets/{ticker}/orderbook", self._orderbook)
        self._route("GET", "/events", self._events)
        self._route("GET", "/events/{ticker}", self._event)
        self._route("GET", "/series", self._all_series)
        self._route("GET", "/series/fee_changes", lambda _: Answer(200, _NO_FEE_CHANGES))
        self._route("GET", "/series/{ticker}", self._series)
        self._route("GET", "/exchange/status", self._status)
        self._route("GET", "/exchange/user_data_timestamp", self._user_data)

    def _markets(self, call: Call) -> Answer:
        query = call.query
        words = [word for word in query.get("status", "").split(",") if word]
        if any(word not in STATUS_FILTER for word in words):
            raise _BadQuery("Key: 'GetMarketsParams.Status' Error: failed on the 'oneof' tag")
        wanted = {status for word in words for status in STATUS_FILTER[word]}
        tickers = query.get("tickers")
        listed = set(tickers.split(",")) if tickers else None
        rows = [
            market.json()
            for market in self._venue.markets.values()
            if (listed is None or market.ticker in listed)
            and query.get("event_ticker") in (None, market.event_ticker)
            and query.get("series_ticker") in (None, market.series_ticker)
            and (not wanted or market.status in wanted)
        ]
        return _page(call, "markets", rows)

    def _find(self, call: Call) -> KalshiMarket | None:
        return self._venue.markets.get(call.params["ticker"])

    def _market(self, call: Call) -> Answer:
        market = self._find(call)
        return Answer(200, {"market": market.json()}) if market else Answer(404, NOT_FOUND)

    def _orderbook(self, call: Call) -> Answer:
        market = self._find(call)
        if market is None:
            return Answer(404, NOT_FOUND)
        depth = _whole(call, "depth", 0) or 0
        return Answer(200, {"orderbook_fp": market.orderbook(depth)})

    def _orderbooks(self, call: Call) -> Answer:
        """Whole books of up to 100 markets; `tickers` is repeated. One name with commas in it is
        one unknown market (SEP26), and unknown markets are left out.
        """
        tickers = call.all_of("tickers")
        if not 1 <= len(tickers) <= BOOKS_MAX:
            raise _BadQuery(
                "Key: 'GetMarketOrderbooksParams.Tickers' Error:Field validation for 'Tickers' "
                "failed on the 'max' tag"
            )
        found = [self._venue.markets[name] for name in tickers if name in self._venue.markets]
        rows = [{"ticker": market.ticker, "orderbook_fp": market.orderbook(0)} for market in found]
        return Answer(200, {"orderbooks": rows})

    def _events(self, call: Call) -> Answer:
        series = call.query.get("series_ticker")
        events = {
            market.event_ticker: market.event_json()
            for market in self._venue.markets.values()
            if series in (None, market.series_ticker)
        }
        return _page(call, "events", list(events.values()))

    def _event(self, call: Call) -> Answer:
        found = self._group(call.params["ticker"], lambda market: market.event_ticker)
        if not found:
            return Answer(404, NOT_FOUND)
        rows = [market.json() for market in found]
        return Answer(200, {"event": found[0].event_json(), "markets": rows})

    def _series(self, call: Call) -> Answer:
        found = self._group(call.params["ticker"], lambda market: market.series_ticker)
        return Answer(200, {"series": found[0].series_json()}) if found else Answer(404, NOT_FOUND)

    def _all_series(self, call: Call) -> Answer:
        markets = self._venue.markets.values()
        rows = {market.series_ticker: market.series_json() for market in markets}
        return Answer(200, {"series": list(rows.values())})

    def _group(self, name: str, key: Callable[[KalshiMarket], str]) -> list[KalshiMarket]:
        return [market for market in self._venue.markets.values() if key(market) == name]

    def _status(self, call: Call) -> Answer:
        on = {
            "exchange_active": True,
            "trading_active": True,
            "intra_exchange_transfers_active": True,
        }
        shards = [
            {"exchange_index": shard, "description": name, **on} for shard, name in _SHARDS.items()
        ]
        return Answer(200, {**on, "exchange_index_statuses": shards})

    def _user_data(self, call: Call) -> Answer:
        return Answer(200, {"as_of_time": iso_us(self._venue.clock.run_ns())})


_NO_FEE_CHANGES: dict[str, list[Any]] = {"series_fee_change_arr": []}


def _client_id(call: Call) -> str:
    body = call.json()
    found = body.get("client_order_id") if isinstance(body, dict) else None
    return found if isinstance(found, str) else ""


def _whole(call: Call, name: str, default: int | None) -> int | None:
    text = call.query.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise _BadQuery(f"{name} is {text!r}, wanted an integer") from None


def _page(call: Call, name: str, rows: Iterable[Any]) -> Answer:
    """One page; the cursor is the offset of the next, "" on the last. A garbage cursor is page
    1.
    """
    limit = _whole(call, "limit", 100) or 100
    if not 1 <= limit <= LIMIT_MAX:
        raise _BadQuery(
            "Key: 'Params.Limit' Error:Field validation for 'Limit' failed on the 'lte' tag"
        )
    cursor = call.query.get("cursor", "")
    begin = int(cursor) if cursor.isascii() and cursor.isdigit() else 0
    listed = list(rows)
    end = begin + limit
    return Answer(200, {"cursor": str(end) if end < len(listed) else "", name: listed[begin:end]})
