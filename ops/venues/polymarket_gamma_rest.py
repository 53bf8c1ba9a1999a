"""Gamma's routes: markets, events and series, by slug, filter, offset or keyset cursor."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_gamma import event_id, event_row, event_slug, event_stub, market_row
from ops.venues.polymarket_market import PolymarketMarket
from ops.venues.polymarket_public import error_answer
from ops.venues.polymarket_series import series_of
from ops.venues.rest import Answer, Call, Routes

PAGE_ROWS, PAGE_MAX = 20, 100
OFFSET_MAX = 2000  # beyond it plain paging answers 422 (seen 2026-09)
# A query of one of these means Gamma where it shares a port with the CLOB, whose path is the same.
GAMMA_ONLY = ("slug", "condition_ids", "clob_token_ids", "closed", "limit", "offset", "id")
_REFUSED = Answer(422, {"type": "validation error", "error": "offset is too large"})


class GammaRest:
    """`is_shared`: the port is the CLOB's too, which keeps the plain /markets."""

    def __init__(self, venue: Polymarket, routes: Routes, *, is_shared: bool) -> None:
        self._venue = venue
        clob = routes.find("GET", "/markets") if is_shared else None
        add = routes.add

        def markets(call: Call) -> Answer:
            if clob and not any(name in call.query for name in GAMMA_ONLY):
                return clob[0](call)
            return self._markets(call)

        add("GET", "/markets", markets)
        add("GET", "/markets/keyset", self._markets_keyset)
        add("GET", "/markets/slug/{slug}", self._market)
        if not is_shared:
            add("GET", "/markets/{id}", self._market)
        add("GET", "/events", self._events)
        add("GET", "/events/keyset", self._events_keyset)
        add("GET", "/events/slug/{slug}", self._event)
        add("GET", "/events/{id}", self._event)
        add("GET", "/series", self._series)
        add("GET", "/series/{id}", self._one_series)
        add("GET", "/tags", lambda _: Answer(200, []))

    # ---- markets

    def _chosen(self, call: Call) -> list[PolymarketMarket]:
        """Closed rows vanish unless `closed=true`, which shows them alone."""
        conditions, tokens = _listed(call, "condition_ids"), _listed(call, "clob_token_ids")
        slugs, ids = _listed(call, "slug"), _listed(call, "id")
        closed = call.query.get("closed") == "true"
        return [
            market
            for market in self._venue.markets
            if (not conditions or market.condition_id in conditions)
            and (not tokens or tokens.intersection(market.tokens))
            and (not slugs or market.spec.ticker in slugs)
            and (not ids or str(market.number) in ids)
            and market.is_closed == closed
        ]

    def _markets(self, call: Call) -> Answer:
        return _page(self._chosen(call), call.query, self._market_json)

    def _markets_keyset(self, call: Call) -> Answer:
        return _keyset("markets", self._chosen(call), call.query, self._market_json)

    def _market_json(self, market: PolymarketMarket) -> dict[str, Any]:
        return {**market_row(market), "events": [event_stub(market)]}

    def _market(self, call: Call) -> Answer:
        slug, number = call.params.get("slug"), call.params.get("id")
        for market in self._venue.markets:
            if slug == market.spec.ticker or number == str(market.number):
                return Answer(200, self._market_json(market))
        return error_answer("slug not found" if slug else "id not found", 404)

    # ---- events

    def _by_event(self, markets: list[PolymarketMarket]) -> dict[str, list[PolymarketMarket]]:
        found: dict[str, list[PolymarketMarket]] = {}
        for market in markets:
            found.setdefault(event_slug(market), []).append(market)
        return found

    def _event_json(self, slug: str) -> dict[str, Any]:
        markets = [one for one in self._venue.markets if event_slug(one) == slug]
        return event_row(slug, markets, self._venue.clock.run_ns())

    def _chosen_events(self, call: Call) -> list[str]:
        """By slug, id, series and `closed`: an event is closed when all its markets are."""
        slugs, ids = _listed(call, "slug"), _listed(call, "id")
        series, closed = call.query.get("series_id"), call.query.get("closed")
        chosen = []
        for slug, markets in self._by_event(self._venue.markets).items():
            own = series_of(markets[0].spec.ticker)
            is_closed = all(market.is_closed for market in markets)
            if (
                (not slugs or slug in slugs)
                and (not ids or event_id(slug) in ids)
                and (series is None or (own is not None and own.body()["id"] == series))
                and (closed is None or is_closed == (closed == "true"))
            ):
                chosen.append(slug)
        return chosen

    def _events(self, call: Call) -> Answer:
        return _page(self._chosen_events(call), call.query, self._event_json)

    def _events_keyset(self, call: Call) -> Answer:
        return _keyset("events", self._chosen_events(call), call.query, self._event_json)

    def _event(self, call: Call) -> Answer:
        """By its own slug or id; a market's slug names the event of that market too."""
        slug, number = call.params.get("slug"), call.params.get("id")
        for market in self._venue.markets:
            own = event_slug(market)
            if slug in (own, market.spec.ticker):
                return Answer(200, {**self._event_json(own), "slug": slug, "ticker": slug})
            if number == event_id(own):
                return Answer(200, self._event_json(own))
        return error_answer("slug not found" if slug else "id not found", 404)

    # ---- series

    def _all_series(self) -> dict[str, dict[str, Any]]:
        known = (series_of(market.spec.ticker) for market in self._venue.markets)
        return {one.slug: one.body() for one in known if one}

    def _series(self, call: Call) -> Answer:
        slugs = _listed(call, "slug")
        rows = [row for slug, row in self._all_series().items() if not slugs or slug in slugs]
        return _page(rows, call.query, lambda row: row)

    def _one_series(self, call: Call) -> Answer:
        for slug, row in self._all_series().items():
            if row["id"] == call.params["id"]:
                events = [
                    self._event_json(one)
                    for one, markets in self._by_event(self._venue.markets).items()
                    if (own := series_of(markets[0].spec.ticker)) and own.slug == slug
                ]
                return Answer(200, {**row, "events": events})
        return error_answer("id not found", 404)


def _listed(call: Call, name: str) -> set[str]:
    """A repeated or comma-joined parameter."""
    return {part for value in call.all_of(name) for part in value.split(",") if part}


def _size(query: Mapping[str, str], rows: int) -> int:
    """`limit`, within the venue's most; without one everything asked for by name fits."""
    text = query.get("limit", "")
    return min(int(text), PAGE_MAX) if text.isdecimal() else max(rows, PAGE_ROWS)


def _page(rows: list[Any], query: Mapping[str, str], make: Callable[[Any], Any]) -> Answer:
    text = query.get("offset", "0")
    start = int(text) if text.isdecimal() else 0
    if start > OFFSET_MAX:
        return Answer(_REFUSED.status, _REFUSED.body)
    named = _size(query, len(rows) if any(key in query for key in _NAMING) else 0)
    return Answer(200, [make(row) for row in rows[start : start + named]])


_NAMING = ("condition_ids", "clob_token_ids", "slug", "id")


def _keyset(
    name: str, rows: list[Any], query: Mapping[str, str], make: Callable[[Any], Any]
) -> Answer:
    """`next_cursor` is absent from the last page."""
    try:
        start = int(base64.urlsafe_b64decode(query.get("after_cursor", "")) or b"0")
    except (binascii.Error, ValueError):
        return error_answer("invalid cursor")
    end = start + _size(query, 0)
    body: dict[str, Any] = {name: [make(row) for row in rows[start:end]]}
    if end < len(rows):
        body["next_cursor"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return Answer(200, body)
