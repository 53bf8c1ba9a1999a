"""Kalshi's REST under /trade-api/v2: who may call what, and what it costs. The calls themselves are
in `kalshi_rest_orders`, `kalshi_rest_portfolio`, `kalshi_rest_public`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops.venues.kalshi import Kalshi
from ops.venues.kalshi_desk import VENUE
from ops.venues.kalshi_limits import BASE, TOO_MANY, TOO_MANY_SHORT, KalshiLimits, costs_json
from ops.venues.kalshi_query import BadQuery
from ops.venues.kalshi_reply import NOT_FOUND, Reply
from ops.venues.kalshi_rest_orders import OrderCalls
from ops.venues.kalshi_rest_portfolio import PortfolioCalls
from ops.venues.kalshi_rest_public import PublicCalls
from ops.venues.rest import Answer, Call, Handler, Routes
from ops.venues.session import Bucket

CREATE = f"{BASE}/portfolio/events/orders"
Cost = int | Callable[[Call], int]


class KalshiRest:
    """Routes of the venue."""

    def __init__(
        self,
        venue: Kalshi,
        *,
        tier: str = "premier",
        tokens_per_s: int = 0,
        has_short_429: bool = False,
    ) -> None:
        self._venue = venue
        self._too_many: dict[str, Any] = TOO_MANY_SHORT if has_short_429 else TOO_MANY
        self.limits = KalshiLimits(
            tier=tier, tokens_per_s=tokens_per_s, now_ns=venue.clock.mono_ns()
        )
        self.routes = Routes()
        for method, path, handler, cost in OrderCalls(venue).rows():
            self._signed(method, path, handler, self.limits.write, cost)
        for path, handler, cost in PortfolioCalls(venue).rows():
            self._signed("GET", path, handler, self.limits.read, cost)
        for path, answer in (("limits", self.limits.json), ("endpoint_costs", costs_json)):
            self._signed("GET", f"/account/{path}", _told(answer), self.limits.read, 10)
        for path, handler in PublicCalls(venue).rows():
            self._route("GET", path, handler)

    def key_of(self, call: Call) -> str | None:
        """Of the order that a request places; None: it places none."""
        return _client_id(call) if (call.method, call.path) == ("POST", CREATE) else None

    def not_found(self, call: Call) -> Answer:
        """What no route matches."""
        return Answer(404, NOT_FOUND)

    # ---- guards

    def _route(self, method: str, path: str, handler: Handler) -> None:
        def public(call: Call) -> Answer:
            try:
                return handler(call)
            except BadQuery as bad:
                return Answer(400, bad.body)

        self.routes.add(method, BASE + path, public)

    def _signed(self, method: str, path: str, handler: Handler, bucket: Bucket, cost: Cost) -> None:
        venue = self._venue

        def guarded(call: Call) -> Answer:
            refused = venue.gate.refusal(call.method, call.path, call.headers)
            if refused:
                return self._refused(call, Answer(401, refused), "unauthorized")
            tokens = cost if isinstance(cost, int) else cost(call)
            if not bucket.pay(tokens, venue.clock.mono_ns()):
                return self._refused(call, Answer(429, self._too_many), "too_many_requests")
            venue.pass_time(venue.clock.run_ns())
            return handler(call)

        self._route(method, path, guarded)

    def _refused(self, call: Call, answer: Answer, reason: str) -> Answer:
        self._venue.log.count(VENUE, f"refused_{reason}")
        if call.method == "POST" and call.path == CREATE:
            reply = Reply(answer.status, answer.body, reason, _client_id(call))
            return self._venue.answered(call.read_ns, reply)
        return answer


def _told(answer: Callable[[], dict[str, Any]]) -> Handler:
    return lambda _: Answer(200, answer())


def _client_id(call: Call) -> str:
    body = call.json()
    found = body.get("client_order_id") if isinstance(body, dict) else None
    return found if isinstance(found, str) else ""
