"""Polymarket's private REST: API keys (L1), orders, cancels and reads (L2).

The error a caller sees first is the outermost's: the edge (region, windows), the proof, the
signer's bucket, the engine's state, then the order itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops.venues.polymarket import Polymarket, Trader
from ops.venues.polymarket_data import DataRest
from ops.venues.polymarket_gamma_rest import GammaRest
from ops.venues.polymarket_heartbeat import Heartbeats
from ops.venues.polymarket_keys import Credential, l1
from ops.venues.polymarket_limits import TIERS, EdgeLimits, SignerLimits, Verdict
from ops.venues.polymarket_order import OrderError, read_fields, read_order
from ops.venues.polymarket_public import PublicRest, cursor_page, error_answer
from ops.venues.polymarket_trades import VENUE
from ops.venues.rest import Answer, Call, Handler, Routes
from ops.venues.signatures import EXCHANGE, EXCHANGES_V3, NEG_RISK_EXCHANGE, order_hashes

BATCH_MAX = 15
CANCELS_MAX = 1000
PAGE_ROWS = 300
_UNLIMITED = str(2**256 - 1)
_ORDER_PATHS = ("/order", "/orders")
Private = Callable[[Call, Trader, Credential], Answer]


class EdgeRoutes(Routes):
    """Routes behind the edge: it looks at address and path before anything is authenticated."""

    def __init__(self, venue: Polymarket, limits: EdgeLimits | None) -> None:
        super().__init__()
        self._venue = venue
        self._limits = limits

    def find(self, method: str, path: str) -> Any:
        refusal = self._refusal(method, path)
        return (lambda _: refusal, {}) if refusal else super().find(method, path)

    def _refusal(self, method: str, path: str) -> Answer | None:
        venue = self._venue
        if method == "POST" and path in _ORDER_PATHS:
            refusal = venue.gate.refuses_region()
            if refusal:
                venue.log.count(VENUE, "refused_region")
                return refusal
        if self._limits is None:
            return None
        refusal = self._limits.refuses(method, path, venue.clock.mono_ns())
        if refusal:
            venue.log.count(VENUE, "refused_edge")
        return refusal


class PolymarketRest:
    """Routes of the CLOB's host, and of the hosts around it on the same port.

    `orders_per_s` beyond every tier (benches) means that nothing is limited at the edge.
    """

    def __init__(self, venue: Polymarket, *, orders_per_s: int, heartbeat_ns: int) -> None:
        self._venue = venue
        self._orders_per_s = orders_per_s
        self._limits: dict[str, SignerLimits] = {}
        is_tier = orders_per_s <= max(rates[0] for rates in TIERS.values())
        self.routes: Routes = EdgeRoutes(venue, EdgeLimits() if is_tier else None)
        self._hearts = Heartbeats(
            life_ns=heartbeat_ns, later=venue.later, fired=self._heart_stopped
        )
        self._add_private()
        PublicRest(venue, self.routes)
        GammaRest(venue, self.routes, is_shared=True)
        DataRest(venue, self.routes)

    def key_of(self, call: Call) -> str | None:
        """The hash of the order that a request places, "": it has none; None: it places none."""
        if (call.method, call.path) != ("POST", "/order"):
            return None
        try:
            fields = read_fields(call.json())
        except OrderError:
            return ""
        market = self._venue.by_token.get(str(fields["tokenId"]))
        if market is None:
            return ""
        return "0x" + order_hashes(fields, neg_risk=market.spec.neg_risk)[1].hex()

    def not_found(self, call: Call) -> Answer:
        """What no route matches."""
        return error_answer("not found", 404)

    # ---- proofs and limits

    def _signed(self, method: str, path: str, handler: Private) -> None:
        def guarded(call: Call) -> Answer:
            known = self._venue.keys.l2(call, self._venue.clock.wall_ns())
            if known:
                trader = self._venue.trader(known.address)
                trader.desk.expire(self._venue.clock.run_ns())
                return handler(call, trader, known)
            self._venue.log.count(VENUE, "refused_unauthorized")
            if call.method == "POST" and call.path == "/order":
                self._log(call, "", "unauthorized")
            return error_answer("Unauthorized/Invalid api key", 401)

        self.routes.add(method, path, guarded)

    def _limits_of(self, trader: Trader) -> SignerLimits:
        address = trader.signer.address
        found = self._limits.get(address)
        if found is None:
            found = self._limits[address] = SignerLimits(
                orders_per_s=self._orders_per_s,
                now_ns=self._venue.clock.mono_ns(),
                is_warning=self._venue.terms.is_warning,
            )
        return found

    def _orders_verdict(self, trader: Trader, count: int) -> Verdict:
        clock = self._venue.clock
        verdict = self._limits_of(trader).orders(
            count, now_ns=clock.mono_ns(), epoch_ns=clock.wall_ns()
        )
        return self._counted(verdict)

    def _counted(self, verdict: Verdict) -> Verdict:
        if verdict.refusal:
            self._venue.log.count(VENUE, "refused_rate")
        return verdict

    def _log(self, call: Call, order_id: str, outcome: str) -> None:
        venue = self._venue
        venue.log.order(VENUE, order_id, call.read_ns, venue.clock.mono_ns(), outcome)

    # ---- routes

    def _add_private(self) -> None:
        signed = self._signed
        signed("POST", "/order", self._post_order)
        signed("POST", "/orders", self._post_orders)
        signed("DELETE", "/order", self._cancelling(self._named_order))
        signed("DELETE", "/orders", self._cancelling(self._named_orders))
        signed("DELETE", "/cancel-all", self._cancelling(self._all_orders))
        signed("DELETE", "/cancel-market-orders", self._cancelling(self._market_orders))
        signed("GET", "/data/orders", self._open_orders)
        signed("GET", "/data/order/{order_id}", self._open_order)
        signed("GET", "/data/trades", self._trades)
        signed("GET", "/balance-allowance", self._balance)
        signed("GET", "/balance-allowance/update", self._balance)
        signed("POST", "/v1/heartbeats", self._heartbeat)
        signed("GET", "/order-scoring", lambda *_: Answer(200, {"scoring": False}))
        signed("GET", "/auth/ban-status/closed-only", self._ban_status)
        signed("GET", "/auth/api-keys", self._api_keys)
        signed("DELETE", "/auth/api-key", self._delete_key)
        signed("GET", "/v1/user/rate-limit-tier", self._tier)
        signed("GET", "/rebates/current", lambda *_: Answer(200, []))
        self.routes.add("GET", "/fees/builder-fees/{code}", _no_builder_fee)
        self.routes.add("POST", "/auth/api-key", self._l1(self._venue.keys.create))
        self.routes.add("GET", "/auth/derive-api-key", self._l1(self._venue.keys.derive))

    def _l1(self, find: Callable[[str, int], Credential | None]) -> Handler:
        def handler(call: Call) -> Answer:
            proved = l1(call.headers)
            if proved is None:
                return error_answer("Invalid L1 Request headers", 401)
            found = find(*proved)
            if found is None:
                return error_answer("Could not derive api key!")
            return Answer(200, found.body())

        return handler

    # ---- orders

    def _post_one(self, call: Call, body: Any, trader: Trader, known: Credential) -> Answer:
        venue = self._venue
        refusal = venue.gate.refuses_order(
            post_only=isinstance(body, dict) and body.get("postOnly") is True
        )
        if refusal:
            self._log(call, "", venue.gate.mode)
            return refusal
        try:
            posted = read_order(body, venue.by_token, api_key=known.api_key, signer=trader.signer)
            reply, outcome = trader.desk.post(posted)
        except OrderError as error:
            self._log(call, error.order_id or _named_id(str(error)), error.word)
            answer = {"error": str(error)}
            if error.word == "fok_killed":  # a FAK's names no order, says the documentation
                answer["orderID"] = error.order_id
            return Answer(error.status, answer, is_order=True)
        self._log(call, posted.order_id, outcome)
        return Answer(200, reply, is_order=True)

    def _post_order(self, call: Call, trader: Trader, known: Credential) -> Answer:
        verdict = self._orders_verdict(trader, 1)
        if verdict.refusal:
            self._log(call, "", "rate")
            return verdict.refusal
        answer = self._post_one(call, call.json(), trader, known)
        answer.headers = verdict.headers
        return answer

    def _post_orders(self, call: Call, trader: Trader, known: Credential) -> Answer:
        """A batch: a refused leg is HTTP 200, success true, with an errorMsg and no orderID. What
        concerns the whole venue is answered once.
        """
        bodies = call.json()
        if not isinstance(bodies, list) or not bodies:
            return error_answer("Invalid order payload")
        if len(bodies) > BATCH_MAX:
            text = f"Too many orders in payload: {len(bodies)}, max allowed: {BATCH_MAX}"
            return error_answer(text)
        verdict = self._orders_verdict(trader, len(bodies))
        if verdict.refusal:
            return verdict.refusal
        answers = [self._post_one(call, body, trader, known) for body in bodies]
        down = next((one for one in answers if one.status in (425, 503)), None)
        if down:
            down.headers = verdict.headers
            return down
        rows = [
            one.body if one.status == 200 else _refused_leg(one.body["error"]) for one in answers
        ]
        return Answer(200, rows, verdict.headers, is_order=True)

    # ---- cancels

    def _cancelling(self, name: Callable[[Call, Trader], list[str] | Answer]) -> Private:
        """Cancel what `name` names. Each order costs one cancel; cancel-all one more."""

        def handler(call: Call, trader: Trader, _: Credential) -> Answer:
            refusal = self._venue.gate.refuses_cancel()
            if refusal:
                return refusal
            named = name(call, trader)
            if isinstance(named, Answer):
                return named
            clock = self._venue.clock
            cost = len(named) + (call.path == "/cancel-all")
            verdict = self._counted(
                self._limits_of(trader).cancels(
                    max(1, cost), now_ns=clock.mono_ns(), epoch_ns=clock.wall_ns()
                )
            )
            if verdict.refusal:
                return verdict.refusal
            return Answer(200, trader.desk.cancel(named), verdict.headers)

        return handler

    def _named_order(self, call: Call, trader: Trader) -> list[str] | Answer:
        body = call.json()
        order_id = body.get("orderID") if isinstance(body, dict) else None
        return [order_id] if isinstance(order_id, str) else error_answer("Invalid order payload")

    def _named_orders(self, call: Call, trader: Trader) -> list[str] | Answer:
        ids = call.json()
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            return error_answer("Invalid order payload")
        if len(ids) > CANCELS_MAX:
            text = f"Too many orders in payload: {len(ids)}, max allowed: {CANCELS_MAX}"
            return error_answer(text)
        return ids

    def _all_orders(self, call: Call, trader: Trader) -> list[str] | Answer:
        return trader.desk.open_ids()

    def _market_orders(self, call: Call, trader: Trader) -> list[str] | Answer:
        body = call.json()
        if not isinstance(body, dict):
            return error_answer("Invalid order payload")
        return trader.desk.open_ids(body.get("market") or "", body.get("asset_id") or "")

    # ---- reads

    def _open_orders(self, call: Call, trader: Trader, _: Credential) -> Answer:
        query = call.query
        rows = [
            order.rest_json()
            for order in trader.account.open.values()
            if query.get("market") in (None, order.posted.market.condition_id)
            and query.get("asset_id") in (None, order.posted.token)
            and query.get("id") in (None, order.order_id)
        ]
        return cursor_page(rows, query.get("next_cursor"), PAGE_ROWS)

    def _open_order(self, call: Call, trader: Trader, _: Credential) -> Answer:
        order = trader.account.open.get(call.params["order_id"])
        return Answer(200, order.rest_json()) if order else error_answer("order not found", 404)

    def _trades(self, call: Call, trader: Trader, _: Credential) -> Answer:
        query = call.query
        try:
            after, before = int(query.get("after", 0)), int(query.get("before", 1 << 62))
        except ValueError:
            return error_answer("invalid trade params payload")
        maker = query.get("maker_address", "").lower()
        rows = [
            row
            for row in reversed(trader.account.trades.values())
            if query.get("market") in (None, row["market"])
            and query.get("asset_id") in (None, row["asset_id"])
            and query.get("id") in (None, row["id"])
            and maker in ("", row["maker_address"], *_makers(row))
            and after <= int(row["match_time"]) <= before
        ]
        return cursor_page(rows, query.get("next_cursor"), PAGE_ROWS)

    def _balance(self, call: Call, trader: Trader, _: Credential) -> Answer:
        account, kind = trader.account, call.query.get("asset_type")
        allowed = _UNLIMITED
        if kind == "COLLATERAL":
            balance_e6 = account.cash_e6
            if account.allowance_e6 is not None:
                allowed = str(account.allowance_e6)
        elif kind in ("CONDITIONAL", "CONDITIONAL-V2"):
            balance_e6 = account.tokens_e6.get(call.query.get("token_id", ""), 0)
        else:
            return error_answer("invalid asset type")
        spenders = (EXCHANGE, NEG_RISK_EXCHANGE, EXCHANGES_V3[137])
        return Answer(
            200, {"balance": str(balance_e6), "allowances": dict.fromkeys(spenders, allowed)}
        )

    def _ban_status(self, call: Call, trader: Trader, _: Credential) -> Answer:
        return Answer(200, {"closed_only": trader.account.state == "closed_only"})

    def _tier(self, call: Call, trader: Trader, _: Credential) -> Answer:
        return Answer(200, {"tier": self._limits_of(trader).tier})

    # ---- keys and heartbeat

    def _api_keys(self, call: Call, trader: Trader, _: Credential) -> Answer:
        return Answer(200, {"apiKeys": self._venue.keys.of_address(trader.signer.address)})

    def _delete_key(self, call: Call, trader: Trader, known: Credential) -> Answer:
        self._venue.keys.delete(known.api_key)
        return Answer(200, "OK")

    def _heartbeat(self, call: Call, trader: Trader, known: Credential) -> Answer:
        body = call.json()
        given = body.get("heartbeat_id") if isinstance(body, dict) else None
        return self._hearts.beat(known.api_key, known.address, given)

    def _heart_stopped(self, api_key: str, address: str) -> None:
        self._venue.log.count(VENUE, "heartbeat_cancels")
        self._venue.trader(address).desk.cancel_where(owner=api_key)


def _no_builder_fee(call: Call) -> Answer:
    return Answer(200, {"maker_fee_rate_bps": 0, "taker_fee_rate_bps": 0})


def _makers(row: dict[str, Any]) -> list[str]:
    return [str(maker["maker_address"]) for maker in row["maker_orders"]]


def _named_id(text: str) -> str:
    """The order id an error text names, "" if it names none."""
    words = text.split()
    return words[1] if len(words) > 1 and words[1].startswith("0x") else ""


def _refused_leg(text: str) -> dict[str, Any]:
    keys = ("orderID", "status", "makingAmount", "takingAmount")
    return {"success": True, "errorMsg": text, **dict.fromkeys(keys, "")}


class AroundRest:
    """The port of the hosts around the CLOB: Gamma (whose /markets is its own), the Data API, the
    web host and the relayer.
    """

    def __init__(self, venue: Polymarket) -> None:
        self.routes = Routes()
        GammaRest(venue, self.routes, is_shared=False)
        DataRest(venue, self.routes)

    def not_found(self, call: Call) -> Answer:
        """What no route matches."""
        return error_answer("not found", 404)
