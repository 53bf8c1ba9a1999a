"""Polymarket's REST: the CLOB (public, L1, L2) and the parts of Gamma a trader reads, on one
port.
"""

from __future__ import annotations

import uuid
from typing import Any

from ops.venues.numerals import SECOND_NS
from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_desk import VENUE
from ops.venues.polymarket_order import OrderError, Signer, read_order
from ops.venues.polymarket_public import PublicRest, error_answer
from ops.venues.rest import Answer, Call, Handler, Routes
from ops.venues.session import Bucket
from ops.venues.signatures import EXCHANGE, NEG_RISK_EXCHANGE, clob_auth_signer, is_l2_valid

BATCH_MAX = 15
CANCELS_MAX = 1000
STAMP_SKEW_MAX_S = 30  # the venue's own window is not documented
END_CURSOR = "LTE="
_UNAUTHORIZED = Answer(401, {"error": "Unauthorized/Invalid api key"})
_BAD_L1 = Answer(401, {"error": "Invalid L1 Request headers"})
_UNLIMITED = str(2**256 - 1)


class PolymarketRest:
    """Routes of the venue."""

    def __init__(self, venue: Polymarket, *, orders_per_s: int, heartbeat_ns: int) -> None:
        self._venue = venue
        self._life_ns = heartbeat_ns
        accounts = venue.accounts
        self._address = accounts.polymarket_address.lower()
        self._signer = Signer(address=self._address, funder=accounts.polymarket_funder.lower())
        self._orders = Bucket(
            tokens_per_s=orders_per_s, burst=orders_per_s * 3 // 2, now_ns=venue.clock.mono_ns()
        )
        self._heartbeat_id = ""
        self.routes = Routes()
        self._add_trading()
        PublicRest(venue, self.routes)

    def not_found(self, call: Call) -> Answer:
        """What no route matches."""
        return error_answer("not found", 404)

    # ---- L2

    def _is_signed(self, call: Call) -> bool:
        accounts, headers = self._venue.accounts, call.headers
        stamp = headers.get("POLY_TIMESTAMP", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
            return False
        now_s = self._venue.clock.wall_ns() // SECOND_NS
        return (
            abs(int(stamp) - now_s) <= STAMP_SKEW_MAX_S
            and headers.get("POLY_ADDRESS", "").lower() == self._address
            and headers.get("POLY_API_KEY") == accounts.polymarket_api_key
            and headers.get("POLY_PASSPHRASE") == accounts.polymarket_passphrase
            and is_l2_valid(
                accounts.polymarket_secret,
                stamp,
                call.method,
                call.path,
                call.body,
                headers.get("POLY_SIGNATURE", ""),
            )
        )

    def _signed(self, method: str, path: str, handler: Handler) -> None:
        def guarded(call: Call) -> Answer:
            if self._is_signed(call):
                return handler(call)
            self._venue.log.count(VENUE, "refused_unauthorized")
            if call.method == "POST" and call.path == "/order":
                self._log(call, "", "unauthorized")
            return _UNAUTHORIZED

        self.routes.add(method, path, guarded)

    def _add_trading(self) -> None:
        signed = self._signed
        signed("POST", "/order", self._post_order)
        signed("POST", "/orders", self._post_orders)
        signed("DELETE", "/order", self._cancel_one)
        signed("DELETE", "/orders", self._cancel_many)
        signed("DELETE", "/cancel-all", lambda _: Answer(200, self._venue.desk.cancel_where()))
        signed("DELETE", "/cancel-market-orders", self._cancel_market)
        signed("GET", "/data/orders", self._open_orders)
        signed("GET", "/data/order/{order_id}", self._open_order)
        signed("GET", "/data/trades", self._trades)
        signed("GET", "/balance-allowance", self._balance)
        signed("GET", "/balance-allowance/update", self._balance)
        signed("POST", "/v1/heartbeats", self._heartbeat)
        signed("GET", "/auth/api-keys", self._api_keys)
        signed("GET", "/auth/ban-status/closed-only", lambda _: Answer(200, {"closed_only": False}))
        self.routes.add("POST", "/auth/api-key", self._credentials)
        self.routes.add("GET", "/auth/derive-api-key", self._credentials)

    # ---- orders

    def _log(self, call: Call, order_id: str, outcome: str) -> None:
        venue = self._venue
        venue.log.order(VENUE, order_id, call.read_ns, venue.clock.mono_ns(), outcome)

    def _limited(self, count: int) -> dict[str, str] | None:
        """Take `count` orders from the bucket: the headers, None if it cannot pay."""
        now_ns = self._venue.clock.mono_ns()
        if not self._orders.pay(count, now_ns):
            self._venue.log.count(VENUE, "refused_rate")
            return None
        left = str(self._orders.left(now_ns))
        return {"Poly-RateLimit-Remaining": left, "Poly-RateLimit-Tier": "elite"}

    def _post_one(self, call: Call, body: Any) -> Answer:
        accounts = self._venue.accounts
        try:
            posted = read_order(
                body,
                self._venue.by_token,
                api_key=accounts.polymarket_api_key,
                signer=self._signer,
            )
            reply, outcome = self._venue.desk.post(posted)
        except OrderError as error:
            self._log(call, error.order_id or _named_id(str(error)), error.word)
            answer = {"error": str(error)}
            if error.order_id:
                answer["orderID"] = error.order_id
            return Answer(error.status, answer, is_order=True)
        self._log(call, posted.order_id, outcome)
        return Answer(200, reply, is_order=True)

    def _post_order(self, call: Call) -> Answer:
        headers = self._limited(1)
        if headers is None:
            self._log(call, "", "rate")
            return Answer(429, {"error": "Too Many Requests"}, {"Retry-After": "1"})
        answer = self._post_one(call, call.json())
        answer.headers = headers
        return answer

    def _post_orders(self, call: Call) -> Answer:
        """A batch: a refused leg is HTTP 200, success true, with an errorMsg and no orderID."""
        bodies = call.json()
        if not isinstance(bodies, list) or not bodies:
            return error_answer("Invalid order payload")
        if len(bodies) > BATCH_MAX:
            text = f"Too many orders in payload: {len(bodies)}, max allowed: {BATCH_MAX}"
            return error_answer(text)
        headers = self._limited(len(bodies))
        if headers is None:
            return Answer(429, {"error": "Too Many Requests"}, {"Retry-After": "1"})
        rows = []
        for body in bodies:
            answer = self._post_one(call, body)
            if answer.status == 200:
                rows.append(answer.body)
            else:
                rows.append(_refused_leg(answer.body["error"]))
        return Answer(200, rows, headers, is_order=True)

    def _cancel_one(self, call: Call) -> Answer:
        body = call.json()
        order_id = body.get("orderID") if isinstance(body, dict) else None
        if not isinstance(order_id, str):
            return error_answer("Invalid order payload")
        return Answer(200, self._venue.desk.cancel([order_id]))

    def _cancel_many(self, call: Call) -> Answer:
        ids = call.json()
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            return error_answer("Invalid order payload")
        if len(ids) > CANCELS_MAX:
            return error_answer(
                f"Too many orders in payload: {len(ids)}, max allowed: {CANCELS_MAX}"
            )
        return Answer(200, self._venue.desk.cancel(ids))

    def _cancel_market(self, call: Call) -> Answer:
        body = call.json()
        if not isinstance(body, dict):
            return error_answer("Invalid order payload")
        market, token = body.get("market") or "", body.get("asset_id") or ""
        return Answer(200, self._venue.desk.cancel_where(market, token))

    # ---- reads

    def _open_orders(self, call: Call) -> Answer:
        query, account = call.query, self._venue.account
        rows = [
            order.rest_json(account.api_key)
            for order in account.open.values()
            if query.get("market") in (None, order.posted.market.condition_id)
            and query.get("asset_id") in (None, order.posted.token)
            and query.get("id") in (None, order.order_id)
        ]
        return _cursor_page(rows)

    def _open_order(self, call: Call) -> Answer:
        account = self._venue.account
        order = account.open.get(call.params["order_id"])
        if order is None:
            return error_answer("order not found", 404)
        return Answer(200, order.rest_json(account.api_key))

    def _trades(self, call: Call) -> Answer:
        query = call.query
        after, before = int(query.get("after", 0)), int(query.get("before", 1 << 62))
        rows = [
            row
            for row in reversed(self._venue.account.trades.values())
            if query.get("market") in (None, row["market"])
            and query.get("asset_id") in (None, row["asset_id"])
            and query.get("id") in (None, row["id"])
            and after <= int(row["match_time"]) <= before
        ]
        return _cursor_page(rows)

    def _balance(self, call: Call) -> Answer:
        account, kind = self._venue.account, call.query.get("asset_type")
        if kind == "COLLATERAL":
            balance_e6 = account.cash_e6
        elif kind in ("CONDITIONAL", "CONDITIONAL-V2"):
            balance_e6 = account.tokens_e6.get(call.query.get("token_id", ""), 0)
        else:
            return error_answer("invalid asset type")
        allowances = {EXCHANGE: _UNLIMITED, NEG_RISK_EXCHANGE: _UNLIMITED}
        return Answer(200, {"balance": str(balance_e6), "allowances": allowances})

    def _api_keys(self, call: Call) -> Answer:
        return Answer(200, {"apiKeys": [self._venue.account.api_key]})

    # ---- keys and heartbeat

    def _credentials(self, call: Call) -> Answer:
        """Both L1 calls answer with the account's one key."""
        headers, accounts = call.headers, self._venue.accounts
        address, nonce = headers.get("POLY_ADDRESS", ""), headers.get("POLY_NONCE", "0")
        stamp, given = headers.get("POLY_TIMESTAMP", ""), headers.get("POLY_SIGNATURE", "")
        if address.lower() != self._address or not nonce.isdigit() or not stamp.isdigit():
            return _BAD_L1
        if clob_auth_signer(address, stamp, int(nonce), given) != self._address:
            return _BAD_L1
        return Answer(
            200,
            {
                "apiKey": accounts.polymarket_api_key,
                "secret": accounts.polymarket_secret,
                "passphrase": accounts.polymarket_passphrase,
            },
        )

    def _heartbeat(self, call: Call) -> Answer:
        """Arms the switch: ten seconds (by default) without a beat cancel all orders."""
        body = call.json()
        given = body.get("heartbeat_id") if isinstance(body, dict) else None
        if self._heartbeat_id and given != self._heartbeat_id:
            text = "Invalid Heartbeat ID"
            return Answer(400, {"error_msg": text, "heartbeat_id": self._heartbeat_id})
        self._heartbeat_id = str(uuid.uuid4())
        beat_id = self._heartbeat_id
        self._venue.later(self._life_ns, lambda: self._heartbeat_due(beat_id))
        return Answer(200, {"heartbeat_id": self._heartbeat_id})

    def _heartbeat_due(self, beat_id: str) -> None:
        if beat_id == self._heartbeat_id:
            self._heartbeat_id = ""
            self._venue.log.count(VENUE, "heartbeat_cancels")
            self._venue.desk.cancel_where()


def _named_id(text: str) -> str:
    """The order id an error text names, "" if it names none."""
    words = text.split()
    return words[1] if len(words) > 1 and words[1].startswith("0x") else ""


def _refused_leg(text: str) -> dict[str, Any]:
    keys = ("orderID", "status", "makingAmount", "takingAmount")
    return {"success": True, "errorMsg": text, **dict.fromkeys(keys, "")}


def _cursor_page(rows: list[Any]) -> Answer:
    """One page holds everything: `LTE=` is the end."""
    body = {"data": rows, "next_cursor": END_CURSOR, "limit": len(rows), "count": len(rows)}
    return Answer(200, body)
