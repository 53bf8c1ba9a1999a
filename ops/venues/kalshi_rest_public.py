"""Kalshi's public market data: no signature and no lag. (The venue's edge caches /markets for 15 s;
this one does not.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ops.venues.kalshi import Kalshi
from ops.venues.kalshi_candles import PERIODS_MIN
from ops.venues.kalshi_market import STATUS_FILTER, KalshiMarket
from ops.venues.kalshi_query import (
    EVENTS_MAX,
    BadQuery,
    between,
    cut_page,
    listed,
    needed,
    one_of,
    page,
    whole,
)
from ops.venues.kalshi_reply import NOT_FOUND
from ops.venues.numerals import SECOND_NS
from ops.venues.rest import Answer, Call, Handler

BOOKS_MAX = 100
CANDLES_MAX = 10_000
MILESTONES_MAX = 500
_STAMPS = ("created_ts", "updated_ts", "close_ts", "settled_ts")
_CANDLES = "/series/{series}/markets/{ticker}/candlesticks"


class PublicCalls:
    """Handlers that anyone may call."""

    def __init__(self, venue: Kalshi) -> None:
        self._venue = venue

    def rows(self) -> Iterator[tuple[str, Handler]]:
        """(path, handler)."""
        yield "/markets", self._markets
        yield "/markets/trades", self._trades
        yield "/markets/orderbooks", self._orderbooks
        yield "/markets/candlesticks", self._many_candles
        yield "/markets/{ticker}", self._market
        yield "/markets/{ticker}/orderbook", self._orderbook
        yield "/events", self._events
        yield "/events/fee_changes", lambda _: Answer(200, {"event_fee_change_arr": []})
        yield "/events/{ticker}", self._event
        yield "/series", self._all_series
        yield "/series/fee_changes", lambda _: Answer(200, {"series_fee_change_arr": []})
        yield "/series/{ticker}", self._series
        yield _CANDLES, self._candles
        yield "/milestones", self._milestones
        yield "/milestones/{milestone_id}", lambda _: Answer(404, NOT_FOUND)
        yield "/exchange/status", lambda _: Answer(200, self._venue.exchange.status_json())
        yield "/exchange/schedule", lambda _: Answer(200, self._venue.exchange.schedule_json())
        yield "/exchange/user_data_timestamp", lambda _: Answer(200, self._venue.reads.as_of())

    # ---- markets

    def _markets(self, call: Call) -> Answer:
        """Filter words are not response words; families of stamps exclude each other."""
        operation, query = "GetMarkets", call.query
        words = [word for word in query.get("status", "").split(",") if word]
        if any(word not in STATUS_FILTER for word in words):
            raise BadQuery(operation, "Status", "oneof")
        one_of(call, "mve_filter", operation, ("only", "exclude"))
        families = [s for s in _STAMPS if {f"min_{s}", f"max_{s}"} & set(query)]
        if len(families) > 1:
            raise BadQuery(operation, _family(families[1]), "excluded_with")
        wanted = {status for word in words for status in STATUS_FILTER[word]}
        names = listed(call, "tickers", operation, 1000)
        stamps = [(s, between(call, s, operation)) for s in families]
        rows = [
            market.json()
            for market in self._venue.markets.values()
            if (names is None or market.ticker in names)
            and query.get("event_ticker") in (None, market.event_ticker)
            and query.get("series_ticker") in (None, market.series_ticker)
            and (not wanted or market.status in wanted)
            and query.get("mve_filter") != "only"
            and all(is_between(_stamp_ns(market, s)) for s, is_between in stamps)
        ]
        return page(call, "markets", rows, operation)

    def _find(self, call: Call) -> KalshiMarket | None:
        return self._venue.markets.get(call.params["ticker"])

    def _market(self, call: Call) -> Answer:
        market = self._find(call)
        return Answer(200, {"market": market.json()}) if market else Answer(404, NOT_FOUND)

    def _orderbook(self, call: Call) -> Answer:
        market = self._find(call)
        if market is None:
            return Answer(404, NOT_FOUND)
        depth = max(0, whole(call, "depth", "GetMarketOrderbook") or 0)
        if depth > BOOKS_MAX:
            raise BadQuery("GetMarketOrderbook", "Depth", "lte")
        return Answer(200, {"orderbook_fp": market.orderbook(depth)})

    def _orderbooks(self, call: Call) -> Answer:
        """Whole books of up to 100 markets; `tickers` is repeated. One name with commas in it is
        one unknown market (SEP26), and unknown markets are left out.
        """
        tickers = call.all_of("tickers")
        if not 1 <= len(tickers) <= BOOKS_MAX:
            raise BadQuery("GetMarketOrderbooks", "Tickers", "max" if tickers else "required")
        found = [self._venue.markets[name] for name in tickers if name in self._venue.markets]
        rows = [{"ticker": market.ticker, "orderbook_fp": market.orderbook(0)} for market in found]
        return Answer(200, {"orderbooks": rows})

    # ---- trades and candles

    def _trades(self, call: Call) -> Answer:
        """Newest first; there are no block trades here."""
        operation, ticker = "GetTrades", call.query.get("ticker")
        is_block = one_of(call, "is_block_trade", operation, ("true", "false"))
        is_between = between(call, "ts", operation)
        rows = [
            row
            for run_ns, row in reversed(self._venue.tape.trades)
            if ticker in (None, row["ticker"]) and is_block != "true" and is_between(run_ns)
        ]
        return page(call, "trades", rows, operation)

    def _period(self, call: Call, operation: str) -> tuple[int, int, int]:
        begin_s, end_s = needed(call, "start_ts", operation), needed(call, "end_ts", operation)
        period_min = needed(call, "period_interval", operation)
        if period_min not in PERIODS_MIN:
            raise BadQuery(operation, "PeriodInterval", "oneof")
        if end_s < begin_s:
            raise BadQuery(operation, "EndTs", "gtefield")
        return begin_s, end_s, period_min

    def _read(self, ticker: str, period: tuple[int, int, int]) -> list[dict[str, Any]]:
        begin_s, end_s, period_min = period
        candles = self._venue.tape.candles
        return candles.read(ticker, from_s=begin_s, to_s=end_s, period_min=period_min)

    def _candles(self, call: Call) -> Answer:
        period = self._period(call, "GetMarketCandlesticks")
        market = self._find(call)
        if market is None or market.series_ticker != call.params["series"]:
            return Answer(404, NOT_FOUND)
        body = {"ticker": market.ticker, "candlesticks": self._read(market.ticker, period)}
        return Answer(200, body)

    def _many_candles(self, call: Call) -> Answer:
        operation = "BatchGetMarketCandlesticks"
        names = listed(call, "market_tickers", operation, BOOKS_MAX)
        if names is None:
            raise BadQuery(operation, "MarketTickers", "required")
        period = self._period(call, operation)
        rows = [
            {"market_ticker": name, "candlesticks": self._read(name, period)}
            for name in self._venue.markets
            if name in names
        ]
        if sum(len(row["candlesticks"]) for row in rows) > CANDLES_MAX:
            raise BadQuery(operation, "PeriodInterval", "max")
        return Answer(200, {"markets": rows})

    # ---- events, series, milestones

    def _events(self, call: Call) -> Answer:
        operation, query = "GetEvents", call.query
        word = one_of(call, "status", operation, STATUS_FILTER)
        wanted = STATUS_FILTER[word] if word else None
        names = listed(call, "tickers", operation, EVENTS_MAX)
        groups: dict[str, list[KalshiMarket]] = {}
        for market in self._venue.markets.values():
            groups.setdefault(market.event_ticker, []).append(market)
        rows = [
            _event(markets, has_markets=query.get("with_nested_markets") == "true")
            for name, markets in groups.items()
            if query.get("series_ticker") in (None, markets[0].series_ticker)
            and (names is None or name in names)
            and (wanted is None or any(market.status in wanted for market in markets))
        ]
        cut, cursor = cut_page(call, rows, operation, EVENTS_MAX, EVENTS_MAX)
        body: dict[str, Any] = {"cursor": cursor, "events": cut}
        if query.get("with_milestones") == "true":
            body["milestones"] = []
        return Answer(200, body)

    def _event(self, call: Call) -> Answer:
        found = self._group(call.params["ticker"], lambda market: market.event_ticker)
        if not found:
            return Answer(404, NOT_FOUND)
        if call.query.get("with_nested_markets") == "true":
            return Answer(200, {"event": _event(found, has_markets=True), "markets": []})
        rows = [market.json() for market in found]
        return Answer(200, {"event": found[0].event_json(), "markets": rows})

    def _series(self, call: Call) -> Answer:
        found = self._group(call.params["ticker"], lambda market: market.series_ticker)
        return Answer(200, {"series": found[0].series_json()}) if found else Answer(404, NOT_FOUND)

    def _all_series(self, call: Call) -> Answer:
        category = call.query.get("category")
        markets = self._venue.markets.values()
        rows = {market.series_ticker: market.series_json() for market in markets}
        found = [row for row in rows.values() if category is None or category in row["categories"]]
        return Answer(200, {"series": found})

    def _group(self, name: str, key: Callable[[KalshiMarket], str]) -> list[KalshiMarket]:
        return [market for market in self._venue.markets.values() if key(market) == name]

    def _milestones(self, call: Call) -> Answer:
        """None: the markets of a script have no games behind them. `limit` must be given."""
        needed(call, "limit", "GetMilestones")
        return page(call, "milestones", [], "GetMilestones", MILESTONES_MAX)


def _event(markets: list[KalshiMarket], *, has_markets: bool) -> dict[str, Any]:
    event = markets[0].event_json()
    return {**event, "markets": [market.json() for market in markets]} if has_markets else event


def _family(stamp: str) -> str:
    return "Min" + "".join(part.capitalize() for part in stamp.split("_"))


def _stamp_ns(market: KalshiMarket, stamp: str) -> int:
    spec = market.spec
    if stamp == "close_ts":
        return spec.close_epoch_ns
    if stamp == "settled_ts":
        return market.settled_epoch_ns or -SECOND_NS
    return spec.open_epoch_ns
