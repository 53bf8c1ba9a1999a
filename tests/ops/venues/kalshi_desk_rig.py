"""The simulated Kalshi for the tests of its order rules: no sockets, a clock moved by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from multidict import MultiDict

from ops.venues.kalshi import Kalshi
from ops.venues.kalshi_rest import KalshiRest
from ops.venues.rest import Call
from ops.venues.script import BookSet, MarketSpec, Timeline
from ops.venues.session import RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from tests.ops.venues.rig import (
    ASKS,
    BEGIN_NS,
    BIDS,
    MARKETS,
    MS,
    TICKER,
    KalshiKey,
    accounts,
    script_of,
)

KEY = KalshiKey()
BASE = "/trade-api/v2"


class Desk:
    """A Kalshi with the books of the rig, a clock that only `wait` moves, and a wire that goes
    nowhere. `spec`: what differs in it; the reads do not lag unless it says so.
    """

    def __init__(
        self,
        *,
        markets: Sequence[MarketSpec] = MARKETS[:2],
        begin_ns: int = BEGIN_NS,
        has_books: bool = True,
        spec: dict[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        script = script_of(timeline=Timeline(begin_epoch_ns=begin_ns))
        self.mono_ns = 0
        self.begin_ns = begin_ns
        self.clock = RunClock(
            script.timeline,
            mono=lambda: self.mono_ns,
            wall=lambda: begin_ns + self.mono_ns,
        )
        self.clock.start(0)
        told = VenuesSpec(
            script=script,
            accounts=accounts(KEY, **changes),
            tls_cert="",
            tls_key="",
            **{"kalshi_read_lag_ns": 0, **(spec or {})},
        )
        self.log = VenueLog()
        listed = dict(enumerate(markets))
        self.venue = Kalshi(
            told, listed, clock=self.clock, log=self.log, on_subscribed=lambda: None
        )
        self.rest = KalshiRest(
            self.venue,
            tier=told.kalshi_tier,
            tokens_per_s=told.kalshi_tokens_per_s,
            has_short_429=told.kalshi_short_429,
        )
        if has_books:
            for index in listed:
                self.venue.apply(BookSet(begin_ns, index, BIDS, ASKS))
        self.count = 0

    def wait(self, duration_ns: int) -> None:
        """Time passes, for machine and run alike."""
        self.mono_ns += duration_ns
        self.venue.flush()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """One REST call, signed unless `headers` says otherwise; the body as it would be sent."""
        now_ms = (self.begin_ns + self.mono_ns) // MS
        given = KEY.headers(method, BASE + path, now_ms=now_ms) if headers is None else headers
        found = self.rest.routes.find(method, BASE + path)
        pairs = MultiDict(parse_qsl(query, keep_blank_values=True))
        raw = b"" if body is None else json.dumps(body).encode()
        call = Call(method, BASE + path, pairs, given, raw, self.mono_ns)
        if found is None:
            answer = self.rest.not_found(call)
        else:
            handler, call.params = found
            answer = handler(call)
        return answer.status, answer.body

    def get(self, path: str, query: str = "") -> Any:
        """The body of a GET that must succeed."""
        status, body = self.call("GET", path, query=query)
        assert status == 200, (path, status, body)
        return body

    def body(self, side: str, price: str, count: str, **changes: Any) -> dict[str, Any]:
        """The body of a create with the next client id."""
        self.count += 1
        return {
            "ticker": TICKER,
            "client_order_id": f"c-{self.count}",
            "side": side,
            "count": count,
            "price": price,
            "time_in_force": "immediate_or_cancel",
            "self_trade_prevention_type": "taker_at_cross",
            **changes,
        }

    def create(self, side: str, price: str, count: str, **changes: Any) -> tuple[int, Any]:
        """An immediate-or-cancel on the first market, unless `changes` says otherwise."""
        reply = self.venue.desk.create(self.body(side, price, count, **changes))
        return reply.status, reply.body

    def rests(self, side: str, price: str, count: str, **changes: Any) -> str:
        """A good-till-cancelled order that must be accepted: its id."""
        gtc = {"time_in_force": "good_till_canceled", **changes}
        status, body = self.create(side, price, count, **gtc)
        assert status == 201, body
        order_id: str = body["order_id"]
        return order_id

    def net(self, ticker: str = TICKER) -> int:
        return self.venue.account.position(ticker).net_e6

    def cash(self, shard: int = 0) -> int:
        return self.venue.account.cash_e6[shard]

    def code(self, *args: Any, **changes: Any) -> tuple[int, str]:
        """Status and error code of a create that is refused."""
        status, body = self.create(*args, **changes)
        return status, body.get("error", body)["code"]
