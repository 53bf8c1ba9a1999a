"""Who is let in when: an engine's restart by the clock, regions, banned and new accounts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ops.venues.spec import PolymarketTerms
from tests.ops.venues.polymarket_office import SECOND, Office
from tests.ops.venues.rig import MARKETS, POLY_ADDRESS, TOKEN_YES, P, e6, poly_order

GTC: dict[str, Any] = {"buy": True, "maker": "4", "taker": "10", "order_type": "GTC"}
POST_ONLY_BODY = {
    "error": "post-only mode: only post-only orders and cancels are allowed",
    "code": "post_only_mode",
}


def _statuses(office: Office) -> tuple[int, int, int, int]:
    """Of a plain order, a post-only one, a cancel and a read."""
    return (
        office.post(**GTC)[0],
        office.post(**GTC, post_only=True)[0],
        office.call("DELETE", "/cancel-all")[0],
        office.call("GET", "/data/orders")[0],
    )


@pytest.mark.parametrize("by_schedule", [True, False])
def test_a_restart_is_425_then_post_only_then_over_by_the_clock(by_schedule: bool) -> None:
    terms = PolymarketTerms(restarts_ns=(10 * SECOND,) if by_schedule else ())
    office = Office(terms=terms)
    assert _statuses(office) == (200, 200, 200, 200)
    office.advance(10 * SECOND)
    if not by_schedule:
        office.venue.gate.restart()
    assert _statuses(office) == (425, 425, 425, 200)
    office.advance(terms.restart_ns - 1)
    assert _statuses(office) == (425, 425, 425, 200)
    office.advance(1)
    assert _statuses(office) == (503, 200, 200, 200)
    assert office.post(**GTC) == (503, POST_ONLY_BODY)
    assert office.call("POST", "/orders", [poly_order(**GTC)]) == (503, POST_ONLY_BODY)
    office.advance(terms.post_only_ns)
    assert _statuses(office) == (200, 200, 200, 200)


def test_cancel_only_takes_no_order_at_all_and_says_so() -> None:
    office = Office()
    office.venue.gate.is_cancel_only = True
    assert _statuses(office) == (503, 503, 200, 200)
    assert "cancel-only" in office.post(**GTC)[1]["error"]


def test_the_edge_answers_a_region_before_anyone_is_authenticated() -> None:
    office = Office(terms=PolymarketTerms(is_blocked=True, country="US"))
    status, body = office.call("POST", "/orders", [], headers={})
    assert (status, list(body)) == (403, ["error"])
    assert office.call("DELETE", "/cancel-all")[0] == 200
    assert office.call("GET", "/api/geoblock", headers={}, gamma=True)[1]["blocked"] is True
    assert Office().call("GET", "/api/geoblock", headers={})[1]["blocked"] is False


def test_a_banned_account_trades_nothing_and_a_closed_one_only_sells() -> None:
    banned = Office(terms=PolymarketTerms(account_state="banned"))
    text = f"'{POLY_ADDRESS.lower()}' address banned"
    assert banned.post(**GTC) == (400, {"error": text})
    closed = Office(terms=PolymarketTerms(account_state="closed_only"))
    closed.account.tokens_e6[TOKEN_YES] = e6("10")
    text = f"'{POLY_ADDRESS.lower()}' address in closed only mode"
    assert closed.post(**GTC) == (400, {"error": text})
    assert closed.post(buy=False, maker="10", taker="5", order_type="GTC")[0] == 200
    status, body = closed.call("GET", "/auth/ban-status/closed-only")
    assert (status, body) == (200, {"closed_only": True})


def test_a_new_account_must_use_its_deposit_wallet() -> None:
    office = Office(terms=PolymarketTerms(is_new=True))
    text = "maker address not allowed, please use the deposit wallet flow"
    assert office.post(**GTC) == (400, {"error": text})


def test_an_allowance_too_small_is_named() -> None:
    office = Office(terms=PolymarketTerms(allowance_e6=e6("5")))
    assert office.post(**GTC)[0] == 200
    status, body = office.post(**GTC)
    assert (status, body["error"].partition(":")[0]) == (400, "not enough balance / allowance")
    assert "the allowance is not enough" in body["error"]
    _, found = office.call("GET", "/balance-allowance", query={"asset_type": "COLLATERAL"})
    assert set(found["allowances"].values()) == {"5000000"}


def test_a_gtd_order_dies_a_minute_before_the_time_it_states() -> None:
    office = Office()
    ends_s = office.now_ns // SECOND + 100
    order = {**GTC, "order_type": "GTD", "expiration": str(ends_s)}
    assert office.post(**order)[1]["status"] == "live"
    office.advance(39 * SECOND)
    assert len(office.call("GET", "/data/orders")[1]["data"]) == 1
    office.advance(SECOND)
    assert office.call("GET", "/data/orders")[1]["data"] == []
    late = {**order, "expiration": str(office.now_ns // SECOND + 59)}
    assert office.post(**late) == (400, {"error": "invalid expiration"})


def test_a_sports_delay_is_told_in_whole_seconds_and_held_as_long() -> None:
    spec = replace(MARKETS[P], taker_delay_ns=3 * SECOND)
    office = Office(spec)
    office.quote("0.40", "0.50")
    _, clob = office.call("GET", f"/clob-markets/{spec.condition_id}", headers={})
    _, market = office.call("GET", f"/markets/{spec.condition_id}", headers={})
    assert ("itode" in clob, market["seconds_delay"]) == (False, 3)
    body = poly_order(buy=True, maker="5", taker="10")
    status, answer = office.call("POST", "/order", body)
    assert (status, answer["status"], answer["takingAmount"]) == (200, "delayed", "")
    assert "Duplicated" in office.call("POST", "/order", body)[1]["error"]
    _, found = office.call("DELETE", "/cancel-all")
    text = "cannot cancel because the order is in pending/delayed status"
    assert found == {"canceled": [], "not_canceled": {answer["orderID"]: text}}
    assert office.account.free_cash_e6() < office.account.cash_e6 - e6("5")
    office.advance(3 * SECOND - 1)
    assert office.account.trades == {}
    office.advance(1)
    assert office.account.tokens_e6 == {TOKEN_YES: e6("10")}
