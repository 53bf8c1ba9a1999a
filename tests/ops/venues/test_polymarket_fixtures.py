"""Each captured or documented answer of Polymarket's REST is one the simulated venue gives.

A scenario by the fixture's name (Gamma: by its request) drives the venue there; status and body are
compared key by key: ids, hashes and stamps by shape, everything else by value. A new entry of the
fixtures without a scenario fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ops.venues.script import MarketSpec, StatusChange
from ops.venues.spec import PolymarketTerms
from tests.conftest import REFERENCE
from tests.ops.venues.differences import differences, fixture_rows
from tests.ops.venues.polymarket_office import (
    OTHER_ADDRESS,
    OTHER_KEY,
    SECOND,
    Office,
    epoch_ns,
    l1_headers,
    window,
)
from tests.ops.venues.rig import (
    CONDITION,
    DELAYED_YES,
    MARKETS,
    PD,
    TOKEN_NO,
    TOKEN_YES,
    P,
    e6,
    levels,
    poly_order,
)

Found = tuple[int, Any]
Scenario = Callable[[dict[str, Any]], Found]


CLOB = fixture_rows("rest_clob.json")


def _quoted() -> Office:
    """The book of the capture of 2026-09-28, its last trade a BUY at 0.51."""
    row = next(row["body"] for row in CLOB if row["name"] == "book")
    spec = replace(MARKETS[P], condition_id=row["market"], token_yes=row["asset_id"])
    office = Office(spec)
    bids, asks = (
        levels(*((one["price"], one["size"]) for one in reversed(row[side])))
        for side in ("bids", "asks")
    )
    office.book(bids, asks)
    return office


def _read(path: str, **query: str) -> Scenario:
    def scenario(wanted: dict[str, Any]) -> Found:
        office = _quoted()
        office.printed("0.51", side=0)
        (market,) = office.venue.markets
        return office.call("GET", path, query={"token_id": market.tokens[0], **query}, headers={})

    return scenario


def _book(wanted: dict[str, Any]) -> Found:
    office = _quoted()
    office.printed("0.49")
    (market,) = office.venue.markets
    return office.call("GET", "/book", query={"token_id": market.tokens[0]}, headers={})


def _market_resolved(wanted: dict[str, Any]) -> Found:
    spec = window(
        wanted["condition_id"], wanted["market_slug"],
        (wanted["tokens"][0]["token_id"], wanted["tokens"][1]["token_id"]),
        title=wanted["question"], price_ranges=((0, 1_000_000, 1_000),),
        open_epoch_ns=epoch_ns(wanted["accepting_order_timestamp"]),
        close_epoch_ns=epoch_ns("2026-09-28T17:45:00Z"),
    )  # fmt: skip
    office = Office(spec)
    office.apply(StatusChange(office.now_ns, 0, "finalized", e6("1")))
    status, body = office.call("GET", f"/markets/{spec.condition_id}", headers={})
    return status, {**body, "description": "(shortened)"}


def _clob_market(wanted: dict[str, Any]) -> Found:
    tokens = (TOKEN_YES, TOKEN_NO)
    spec = window(CONDITION, "btc-updown-5m-1790877600", tokens, taker_delay_ns=150_000_000)
    return Office(spec).call("GET", f"/clob-markets/{CONDITION}", headers={})


# ---- trades


def _mint_office(bid: str, ask: str, size: str) -> tuple[Office, MarketSpec]:
    spec = window(CONDITION, "btc-updown-5m-1790877600", (TOKEN_YES, TOKEN_NO))
    office = Office(spec)
    office.quote(bid, ask, size)
    return office, spec


def _trade_taker_mint(wanted: dict[str, Any]) -> Found:
    office, _ = _mint_office("0.90", "0.94", "5")
    assert office.post(buy=True, maker="4.70", taker="5")[0] == 200
    status, page = office.call("GET", "/data/trades")
    (row,) = page["data"]
    assert row["transaction_hash"] == "", "no hash at MATCHED since 2026-07-24"
    row["transaction_hash"] = "0x"
    (maker,) = row["maker_orders"]
    assert (row["asset_id"], maker["asset_id"]) == (TOKEN_YES, TOKEN_NO)
    row["market"], row["asset_id"] = wanted["market"], wanted["asset_id"]
    maker["asset_id"] = wanted["maker_orders"][0]["asset_id"]
    return status, row


def _trade_maker_row(wanted: dict[str, Any]) -> Found:
    office, _ = _mint_office("0.50", "0.70", "100")
    order = {"buy": True, "maker": "3.6", "taker": "10", "token": TOKEN_NO, "order_type": "GTC"}
    assert office.post(**order)[1]["status"] == "live"
    office.printed("0.64", "10", side=0)
    office.advance(5 * SECOND)
    status, page = office.call("GET", "/data/trades")
    (row,) = page["data"]
    (maker,) = row["maker_orders"]
    assert (row["asset_id"], maker["asset_id"]) == (TOKEN_YES, TOKEN_NO), "the taker is on top"
    assert (row["trader_side"], row["price"], maker["price"]) == ("MAKER", "0.64", "0.36")
    row.pop("error_msg")
    told = {**row, "maker_orders": []}
    for name in ("market", "asset_id", "size", "outcome"):
        told[name] = wanted[name]
    assert all(own.keys() == maker.keys() for own in wanted["maker_orders"])
    told["maker_orders"] = wanted["maker_orders"]
    return status, told


def _trades_page(wanted: dict[str, Any]) -> Found:
    office = Office()
    office.quote("0.40", "0.50")
    for _ in range(4):
        assert office.post(buy=True, maker="5", taker="10")[0] == 200
    return office.call("GET", "/data/trades")


# ---- orders


def _posting(**order: Any) -> Scenario:
    def scenario(wanted: dict[str, Any]) -> Found:
        office = Office()
        office.quote("0.40", "0.50", "100")
        return office.post(**order)

    return scenario


def _post_delayed(wanted: dict[str, Any]) -> Found:
    office = Office(MARKETS[PD])
    office.quote("0.40", "0.50")
    return office.post(buy=True, maker="5", taker="10", token=DELAYED_YES)


def _leg_rejected(wanted: dict[str, Any]) -> Found:
    office = Office()
    office.quote("0.40", "0.50")
    good = poly_order(buy=True, maker="5", taker="10")
    bad = poly_order(buy=True, maker="5.005", taker="10")
    status, rows = office.call("POST", "/orders", [good, bad])
    assert rows[0]["status"] == "matched", "one leg's refusal does not stop the others"
    return status, rows[1]


def _version(wanted: dict[str, Any]) -> Found:
    (row, _) = json.loads((REFERENCE / "fixtures/polymarket/signing_vectors.json").read_text())[
        "legacy_v1"
    ]
    body = {"order": row["order"], "owner": "x", "orderType": "GTC"}
    return Office().call("POST", "/order", body)


def _deposit_wallet(wanted: dict[str, Any]) -> Found:
    office = Office()
    headers = l1_headers(OTHER_KEY, OTHER_ADDRESS)
    _, creds = office.call("POST", "/auth/api-key", headers=headers)
    body = poly_order(
        buy=True, maker="5", taker="10", key=OTHER_KEY, address=OTHER_ADDRESS,
        owner=creds["apiKey"],
    )  # fmt: skip
    raw = json.dumps(body, separators=(",", ":")).encode()
    signed = office.signed("POST", "/order", raw, address=OTHER_ADDRESS, creds=creds)
    return office.call("POST", "/order", body, headers=signed)


def _duplicate(wanted: dict[str, Any]) -> Found:
    office = Office()
    office.quote("0.40", "0.50")
    body = poly_order(buy=True, maker="5", taker="10")
    assert office.call("POST", "/order", body)[0] == 200
    return office.call("POST", "/order", body)


def _post_only_mode(wanted: dict[str, Any]) -> Found:
    office = Office()
    office.venue.gate.restart()
    office.advance(100 * SECOND)
    return office.post(buy=True, maker="5", taker="10")


def _unauthorized(wanted: dict[str, Any]) -> Found:
    return Office().call("GET", "/data/orders", headers={"POLY_API_KEY": "nobody's"})


_HERE = PolymarketTerms(is_blocked=True, country="US", region="NY")


def _region(wanted: dict[str, Any]) -> Found:
    office = Office(terms=_HERE)
    assert office.call("GET", "/data/orders")[0] == 200, "reads work"
    return office.call("POST", "/order", {}, headers={})


def _cancelled(*, twice: bool) -> Scenario:
    def scenario(wanted: dict[str, Any]) -> Found:
        office = Office()
        _, answer = office.post(buy=True, maker="4", taker="10", order_type="GTC")
        found = office.call("DELETE", "/order", {"orderID": answer["orderID"]})
        if twice:
            found = office.call("DELETE", "/order", {"orderID": answer["orderID"]})
        return found

    return scenario


def _heartbeat(*given: str) -> Scenario:
    def scenario(wanted: dict[str, Any]) -> Found:
        office = Office()
        for one in given:
            found = office.call("POST", "/v1/heartbeats", {"heartbeat_id": one})
        return found

    return scenario


def _plain(path: str, **options: Any) -> Scenario:
    return lambda wanted: Office(**options).call("GET", path, headers={})


CLOB_SCENARIOS: dict[str, Scenario] = {
    "book": _book,
    "price_buy": _read("/price", side="BUY"),
    "price_sell": _read("/price", side="SELL"),
    "midpoint": _read("/midpoint"),
    "spread": _read("/spread"),
    "last_trade_price": _read("/last-trade-price"),
    "tick_size": _read("/tick-size"),
    "neg_risk": _read("/neg-risk"),
    "fee_rate": _read("/fee-rate"),
    "version": _plain("/version"),
    "market_resolved": _market_resolved,
    "clob_market": _clob_market,
    "trade_taker_mint": _trade_taker_mint,
    "trade_maker_row": _trade_maker_row,
    "trades_page": _trades_page,
    "post_order_live": _posting(buy=True, maker="4", taker="10", order_type="GTC"),
    "post_order_matched": _posting(buy=True, maker="50", taker="100"),
    "post_order_delayed": _post_delayed,
    "post_orders_leg_rejected": _leg_rejected,
    "err_version": _version,
    "err_deposit_wallet": _deposit_wallet,
    "err_fok": _posting(buy=True, maker="100", taker="200", order_type="FOK"),
    "err_fak": _posting(buy=True, maker="4", taker="10"),
    "err_duplicate": _duplicate,
    "err_tick": _posting(buy=True, maker="5.05", taker="10", order_type="GTC"),
    "err_min_size": _posting(buy=True, maker="0.8", taker="2", order_type="GTC"),
    "err_balance": _posting(buy=True, maker="2000", taker="4000"),
    "err_post_only": _posting(buy=True, maker="5", taker="10", order_type="GTC", post_only=True),
    "err_post_only_mode": _post_only_mode,
    "err_auth": _unauthorized,
    "err_geo": _region,
    "cancel_ok": _cancelled(twice=False),
    "cancel_failed": _cancelled(twice=True),
    "heartbeat_ok": _heartbeat(""),
    "heartbeat_bad": _heartbeat("", "stale"),
    "geoblock": _plain("/api/geoblock", terms=_HERE),
}
# The capturer kept only some of the keys.
KEEPS_MORE = {"clob_market", "post_order_delayed"}


@pytest.mark.skipif(not CLOB, reason="the reference is not here (set ARB_TEST_REFERENCE)")
@pytest.mark.parametrize("row", CLOB, ids=[row["name"] for row in CLOB])
def test_each_recorded_answer_of_the_clob_can_be_had(row: dict[str, Any]) -> None:
    name = row["name"]
    assert name in CLOB_SCENARIOS, f"a new fixture {name}: give it a scenario"
    status, body = CLOB_SCENARIOS[name](row["body"])
    assert status == row["status"], body
    shown = row["body"]
    if name == "clob_market":
        tokens = [{"t": TOKEN_YES, "o": "Up"}, {"t": TOKEN_NO, "o": "Down"}]
        shown = {**shown, "c": CONDITION, "t": tokens}
    assert not differences(shown, body, name, extra=name in KEEPS_MORE)
