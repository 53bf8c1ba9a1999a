"""The body of a V2 create: which fields it must have, and what a wrong one is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops.venues.kalshi_auth import error_body
from ops.venues.numerals import parse_e6
from ops.venues.script import ASK, BID

_TEXTS = (
    "ticker",
    "client_order_id",
    "side",
    "count",
    "price",
    "time_in_force",
    "self_trade_prevention_type",
)
_NEEDED = tuple(name for name in _TEXTS if name != "client_order_id")
_TIMES = ("good_till_canceled", "immediate_or_cancel", "fill_or_kill")
_PREVENTIONS = ("taker_at_cross", "maker")
_LOT_E6 = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A well-formed create. `exchange_index` None: routed by ticker. `expires_s` 0: never."""

    ticker: str
    client_order_id: str
    side: int
    count_e6: int
    price_e6: int
    time_in_force: str
    prevention: str
    post_only: bool = False
    reduce_only: bool = False
    expires_s: int = 0
    exchange_index: int | None = None


def _flat(details: str) -> dict[str, Any]:
    """The shape of a body that could not be decoded."""
    return {"code": "bad_request", "message": "bad request", "details": details}


def _invalid(details: str) -> dict[str, Any]:
    return error_body("invalid_order", "invalid order", details)


def _kind(value: object) -> str:
    return {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}.get(
        type(value), "null"
    )


def read_create(body: Any) -> Create | dict[str, Any]:
    """The order, or the 400 body."""
    if not isinstance(body, dict):
        return _flat("invalid character looking for beginning of value")
    for name in _TEXTS:
        value = body.get(name, "")
        if not isinstance(value, str):
            field = f"CreateOrderV2Request.{name} of type string"
            return _flat(f"json: cannot unmarshal {_kind(value)} into Go struct field {field}")
    for name in _NEEDED:
        if not body.get(name):
            return _flat(f"missing field {name}")
    side = {"bid": BID, "ask": ASK}.get(body["side"])
    count_e6, price_e6 = parse_e6(body["count"]), parse_e6(body["price"])
    shard, expires_s = body.get("exchange_index"), body.get("expiration_time") or 0
    if not isinstance(shard, int | None) or not isinstance(expires_s, int):
        return _flat("exchange_index and expiration_time are integers")
    post_only, reduce_only = body.get("post_only") is True, body.get("reduce_only") is True
    time_in_force, prevention = body["time_in_force"], body["self_trade_prevention_type"]
    if side is None:
        return _invalid("invalid side")
    if count_e6 is None or count_e6 <= 0 or count_e6 % _LOT_E6:
        return _invalid("invalid count")
    if price_e6 is None:
        return error_body("invalid_price", "invalid price")
    if time_in_force not in _TIMES or prevention not in _PREVENTIONS:
        return _invalid("invalid time_in_force or self_trade_prevention_type")
    resting = time_in_force == "good_till_canceled"
    if (expires_s or post_only) and not resting:
        return _invalid("expiration_time and post_only need good_till_canceled")
    if reduce_only and time_in_force != "immediate_or_cancel":
        return _invalid("reduce_only needs immediate_or_cancel")
    return Create(
        ticker=body["ticker"],
        client_order_id=body.get("client_order_id", ""),
        side=side,
        count_e6=count_e6,
        price_e6=price_e6,
        time_in_force=time_in_force,
        prevention=prevention,
        post_only=post_only,
        reduce_only=reduce_only,
        expires_s=expires_s,
        exchange_index=shard,
    )
