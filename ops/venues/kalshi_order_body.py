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
    dies_in_pause: bool = False
    group_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amend:
    """A well-formed amend. `count_e6`: the most it may ever fill, filled contracts included.
    `expires_s` None: as it was, 0: never. `client_order_id` "": not checked; `new_client_id` "":
    kept.
    """

    ticker: str
    side: int
    count_e6: int
    price_e6: int
    client_order_id: str = ""
    new_client_id: str = ""
    expires_s: int | None = None
    exchange_index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrease:
    """A well-formed decrease: by or to a size, the other is None."""

    by_e6: int | None
    to_e6: int | None
    exchange_index: int | None
    market_ticker: str


Body = dict[str, Any]


def flat(details: str) -> dict[str, Any]:
    """The shape of a body that could not be decoded."""
    return {"code": "bad_request", "message": "bad request", "details": details}


def _invalid(details: str) -> Body:
    return error_body("invalid_order", "invalid order", details)


def _kind(value: object) -> str:
    return {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}.get(
        type(value), "null"
    )


def count_e6_of(text: object, *, least_e6: int = _LOT_E6) -> int | None:
    """A count string in 1e-6, a multiple of 0.01 and at least `least_e6`. None: it is none."""
    count_e6 = parse_e6(text)
    return count_e6 if count_e6 is not None and _is_count(count_e6, least_e6) else None


def _is_count(count_e6: int, least_e6: int) -> bool:
    return count_e6 >= least_e6 and count_e6 % _LOT_E6 == 0


def _undecodable(struct: str, body: Any, texts: tuple[str, ...], whole: tuple[str, ...]) -> Body:
    """The 400 body of what Go could not decode, {}: it could (seen on demo 2026-06-11)."""
    if not isinstance(body, dict):
        return flat("invalid character looking for beginning of value")
    wrong = [(n, "string") for n in texts if not isinstance(body.get(n, ""), str | None)]
    wrong += [(n, "int64") for n in whole if type(body.get(n, 0)) not in (int, type(None))]
    for name, wanted in wrong:
        field = f"{struct}.{name} of type {wanted}"
        return flat(f"json: cannot unmarshal {_kind(body[name])} into Go struct field {field}")
    return {}


def _side_count_price(body: Body) -> tuple[int, int, int] | Body:
    side = {"bid": BID, "ask": ASK}.get(body["side"])
    count_e6, price_e6 = count_e6_of(body["count"]), parse_e6(body["price"])
    if side is None:
        return _invalid("invalid side")
    if count_e6 is None:
        return _invalid("invalid count")
    if price_e6 is None:
        return error_body("invalid_price", "invalid price")
    return side, count_e6, price_e6


def read_create(body: Any) -> Create | Body:
    """The order, or the 400 body."""
    whole = ("exchange_index", "expiration_time", "subaccount")
    wrong = _undecodable("CreateOrderV2Request", body, (*_TEXTS, "order_group_id"), whole)
    if wrong:
        return wrong
    for name in _NEEDED:
        if not body.get(name):
            return flat(f"missing field {name}")
    found = _side_count_price(body)
    if isinstance(found, dict):
        return found
    side, count_e6, price_e6 = found
    expires_s = body.get("expiration_time") or 0
    post_only, reduce_only = body.get("post_only") is True, body.get("reduce_only") is True
    time_in_force, prevention = body["time_in_force"], body["self_trade_prevention_type"]
    if time_in_force not in _TIMES or prevention not in _PREVENTIONS:
        return _invalid("invalid time_in_force or self_trade_prevention_type")
    resting = time_in_force == "good_till_canceled"
    if (expires_s or post_only) and not resting:
        return _invalid("expiration_time and post_only need good_till_canceled")
    if reduce_only and time_in_force != "immediate_or_cancel":
        return _invalid("reduce_only needs immediate_or_cancel")
    return Create(
        ticker=body["ticker"],
        client_order_id=body.get("client_order_id") or "",
        side=side,
        count_e6=count_e6,
        price_e6=price_e6,
        time_in_force=time_in_force,
        prevention=prevention,
        post_only=post_only,
        reduce_only=reduce_only,
        expires_s=expires_s,
        exchange_index=body.get("exchange_index"),
        dies_in_pause=body.get("cancel_order_on_pause") is True,
        group_id=body.get("order_group_id") or "",
    )


def read_amend(body: Any) -> Amend | Body:
    """The amend, or the 400 body. It must repeat ticker, side, price and count."""
    texts = ("ticker", "side", "price", "count", "client_order_id", "updated_client_order_id")
    whole = ("exchange_index", "expiration_time")
    wrong = _undecodable("AmendOrderV2Request", body, texts, whole)
    if wrong:
        return wrong
    for name in texts[:4]:
        if not body.get(name):
            return flat(f"missing field {name}")
    found = _side_count_price(body)
    if isinstance(found, dict):
        return found
    side, count_e6, price_e6 = found
    return Amend(
        ticker=body["ticker"],
        side=side,
        count_e6=count_e6,
        price_e6=price_e6,
        client_order_id=body.get("client_order_id") or "",
        new_client_id=body.get("updated_client_order_id") or "",
        expires_s=body.get("expiration_time"),
        exchange_index=body.get("exchange_index"),
    )


def read_decrease(body: Any) -> Decrease | Body:
    """The decrease, or the 400 body: exactly one of `reduce_by` and `reduce_to`."""
    texts = ("reduce_by", "reduce_to", "market_ticker")
    wrong = _undecodable("DecreaseOrderV2Request", body, texts, ("exchange_index",))
    if wrong:
        return wrong
    by, to = body.get("reduce_by"), body.get("reduce_to")
    if (by is None) == (to is None):
        return _invalid("exactly one of reduce_by and reduce_to is needed")
    by_e6, to_e6 = count_e6_of(by), count_e6_of(to, least_e6=0)
    if (by is not None and by_e6 is None) or (to is not None and to_e6 is None):
        return _invalid("invalid count")
    return Decrease(
        by_e6=by_e6,
        to_e6=to_e6,
        exchange_index=body.get("exchange_index"),
        market_ticker=body.get("market_ticker") or "",
    )
