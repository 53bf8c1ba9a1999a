"""Kalshi's order rules, cell by cell, without sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.venues.script import ASK, LevelSet, MarketTrade, StatusChange
from tests.conftest import reference
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.rig import BEGIN_NS, MS, SHARD2, TICKER, K, e6, shape


def fixture(name: str) -> Any:
    return json.loads(reference(f"fixtures/kalshi/rest/{name}.json").read_text())


def error(name: str) -> Any:
    """A recorded error body; `service` is gone since 2026-08-06."""
    body = fixture(f"errors/{name}")
    if isinstance(body.get("error"), dict):
        body["error"].pop("service", None)
    return body


def test_an_ioc_fills_at_the_resting_price_and_pays_the_exact_fee() -> None:
    desk = Desk()
    status, body = desk.create("bid", "0.9900", "1.00")
    assert status == 201
    assert shape(body) == shape(fixture("order_create_ioc_filled_201"))
    assert (body["fill_count"], body["average_fill_price"]) == ("1.00", "0.5200")
    assert body["average_fee_paid"] == "0.0175"
    assert desk.net() == e6("1")
    assert desk.cash() == e6("1000") - e6("0.52") - e6("0.0175")


def test_an_ioc_takes_what_is_shown_and_no_more() -> None:
    desk = Desk()
    _, body = desk.create("bid", "0.5200", "25.00")
    assert (body["fill_count"], body["remaining_count"]) == ("10.00", "0.00")
    _, body = desk.create("bid", "0.5200", "25.00")
    assert body["fill_count"] == "0.00"
    assert "average_fill_price" not in body


def test_a_level_comes_back_only_with_its_next_event() -> None:
    desk = Desk()
    desk.create("bid", "0.5200", "10.00")
    assert desk.venue.markets[TICKER].book.best_e6(ASK) == e6("0.53")
    desk.venue.apply(LevelSet(BEGIN_NS + MS, K, ASK, e6("0.52"), e6("10")))
    assert desk.create("bid", "0.5200", "1.00")[1]["fill_count"] == "1.00"


def test_buying_no_closes_yes_first() -> None:
    desk = Desk()
    desk.create("bid", "0.5200", "10.00")
    cash_e6 = desk.cash()
    desk.create("ask", "0.4700", "14.00")
    assert desk.net() == -e6("4")
    fee_e6 = e6("0.2442")  # 0.07 x 14 x 0.47 x 0.53 rounded up
    assert desk.cash() == cash_e6 + e6("4.70") - e6("2.12") - fee_e6


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"price": "0.5250"}, "400_invalid_price"),
        ({"price": "1.0000"}, "400_invalid_price"),
        ({"count": "3000.00"}, "400_insufficient_balance"),
        ({"client_order_id": "used"}, "409_duplicate_client_order_id"),
        (
            {"time_in_force": "fill_or_kill", "count": "11.00"},
            "409_fok_insufficient_resting_volume",
        ),
        ({"count": 1}, "400_numeric_count_flat_shape"),
    ],
)
def test_a_refusal_has_the_recorded_body(changes: dict[str, Any], name: str) -> None:
    desk = Desk()
    desk.create("bid", "0.0100", "1.00", client_order_id="used")
    if changes.get("count") == "3000.00":
        desk.venue.apply(LevelSet(BEGIN_NS, K, ASK, e6("0.52"), e6("3000")))
    given = {"price": "0.5200", "count": "1.00", **changes}
    status, body = desk.create("bid", given.pop("price"), given.pop("count"), **given)
    assert status == int(name[:3])
    assert body == error(name)
    assert desk.net() == 0


def test_client_order_ids_are_burnt_for_ever_but_not_by_a_refusal() -> None:
    desk = Desk()
    ioc = {"client_order_id": "x"}
    assert desk.code("bid", "0.5250", "1.00", **ioc) == (400, "invalid_price")
    assert desk.create("bid", "0.0100", "1.00", **ioc)[0] == 201, "unfilled, yet accepted"
    assert desk.code("bid", "0.0100", "1.00", **ioc) == (409, "order_already_exists")
    fok = {"client_order_id": "y", "time_in_force": "fill_or_kill"}
    assert desk.code("bid", "0.0100", "1.00", **fok)[0] == 409
    assert desk.code("bid", "0.5200", "1.00", client_order_id="y") == (409, "order_already_exists")


def test_cash_is_held_per_shard() -> None:
    desk = Desk()
    assert desk.code("bid", "0.5300", "30.00", ticker=SHARD2) == (400, "insufficient_balance")
    assert desk.create("bid", "0.5300", "15.00", ticker=SHARD2)[0] == 201
    assert desk.cash(0) == e6("1000")
    assert desk.code("bid", "0.5300", "1.00", ticker=SHARD2, exchange_index=0) == (404, "not_found")


def test_a_cancel_on_the_wrong_shard_is_the_same_404_as_an_unknown_one() -> None:
    desk = Desk()
    resting = {"time_in_force": "good_till_canceled", "ticker": SHARD2}
    order_id = desk.create("bid", "0.1000", "1.00", **resting)[1]["order_id"]
    wrong = desk.venue.changes.cancel(order_id, None, None)
    unknown = desk.venue.changes.cancel("nothing", 2, None)
    assert (
        (wrong.status, wrong.body)
        == (unknown.status, unknown.body)
        == (
            404,
            error("404_cancel_executed"),
        )
    )
    right = desk.venue.changes.cancel(order_id, 2, None)
    assert right.status == 200
    assert right.body is not None
    assert right.body["reduced_by"] == "1.00"
    again = desk.venue.changes.cancel(order_id, 2, None)
    assert (again.status, again.body) == (404, error("404_cancel_already_canceled"))


def test_a_resting_order_binds_its_collateral_until_it_goes() -> None:
    desk = Desk()
    free_e6 = desk.venue.account.free_e6(0)
    gtc = {"time_in_force": "good_till_canceled"}
    status, body = desk.create("bid", "0.4000", "10.00", **gtc)
    assert shape(body) == shape(fixture("order_create_resting_201"))
    assert (status, body["remaining_count"]) == (201, "10.00")
    assert desk.venue.account.free_e6(0) == free_e6 - e6("4")
    assert desk.venue.markets[TICKER].book.shown_e6(0, e6("0.40")) == e6("10")
    desk.venue.changes.cancel(body["order_id"], 0, None)
    assert desk.venue.account.free_e6(0) == free_e6


def test_a_resting_order_fills_as_a_maker_without_a_fee() -> None:
    desk = Desk()
    gtc = {"time_in_force": "good_till_canceled"}
    order_id = desk.create("bid", "0.4800", "5.00", **gtc)[1]["order_id"]
    desk.venue.apply(MarketTrade(BEGIN_NS + MS, K, e6("0.47"), e6("100"), ASK))
    order = desk.venue.account.orders[order_id]
    assert (order.status, order.filled_e6) == ("executed", e6("5"))
    assert desk.cash() == e6("1000") - e6("2.40")
    assert not desk.get("/portfolio/fills")["fills"][0]["is_taker"]


def test_a_gtc_that_crosses_fills_and_rests_the_remainder() -> None:
    desk = Desk()
    _, body = desk.create("bid", "0.5200", "12.00", time_in_force="good_till_canceled")
    assert (body["fill_count"], body["remaining_count"]) == ("10.00", "2.00")
    assert desk.venue.markets[TICKER].book.shown_e6(0, e6("0.52")) == e6("2")


def test_post_only_never_takes() -> None:
    desk = Desk()
    post = {"time_in_force": "good_till_canceled", "post_only": True}
    assert desk.code("bid", "0.5200", "1.00", **post) == (400, "invalid_order")
    assert desk.create("bid", "0.5100", "1.00", **post)[0] == 201


def test_a_self_trade_kills_the_taker_or_the_maker_as_told() -> None:
    desk = Desk()
    gtc = {"time_in_force": "good_till_canceled"}
    resting = desk.create("ask", "0.5100", "5.00", **gtc)[1]["order_id"]
    status, body = desk.create("bid", "0.5200", "5.00")
    assert (status, body["fill_count"], body["remaining_count"]) == (201, "0.00", "0.00")
    assert desk.venue.account.orders[resting].status == "resting"
    _, body = desk.create("bid", "0.5200", "5.00", self_trade_prevention_type="maker")
    assert body["fill_count"] == "5.00"
    assert desk.venue.account.orders[resting].status == "canceled"


def test_reduce_only_closes_and_never_opens() -> None:
    desk = Desk()
    assert desk.create("ask", "0.4700", "5.00", reduce_only=True)[1]["fill_count"] == "0.00"
    desk.create("bid", "0.5200", "3.00")
    assert desk.create("ask", "0.4700", "5.00", reduce_only=True)[1]["fill_count"] == "3.00"
    assert desk.net() == 0


def test_an_expired_order_is_gone() -> None:
    desk = Desk()
    expires = {"time_in_force": "good_till_canceled", "expiration_time": BEGIN_NS // 10**9 + 1}
    order_id = desk.create("bid", "0.4000", "1.00", **expires)[1]["order_id"]
    desk.venue.apply(MarketTrade(BEGIN_NS + 999 * MS, K, e6("0.5"), e6("1"), ASK))
    assert desk.venue.account.orders[order_id].status == "resting"
    desk.venue.apply(MarketTrade(BEGIN_NS + 1000 * MS, K, e6("0.5"), e6("1"), ASK))
    assert desk.venue.account.orders[order_id].status == "canceled"


def test_a_close_cancels_what_rests_and_refuses_what_comes() -> None:
    desk = Desk()
    gtc = {"time_in_force": "good_till_canceled"}
    order_id = desk.create("bid", "0.4000", "1.00", **gtc)[1]["order_id"]
    desk.venue.apply(StatusChange(BEGIN_NS + MS, K, "closed"))
    assert desk.venue.account.orders[order_id].status == "canceled"
    assert desk.code("bid", "0.5200", "1.00") == (409, "market_inactive")


@pytest.mark.parametrize(("value", "paid"), [("1", "10"), ("0", "0"), ("0.4", "4")])
def test_settlement_pays_the_position(value: str, paid: str) -> None:
    desk = Desk()
    desk.create("bid", "0.5200", "10.00")
    cash_e6 = desk.cash()
    desk.venue.apply(StatusChange(BEGIN_NS + MS, K, "finalized", e6(value)))
    assert desk.cash() == cash_e6 + e6(paid)
    assert desk.net() == 0
    row = desk.get("/portfolio/settlements")["settlements"][0]
    assert shape(row) == shape(
        json.loads(reference("fixtures/kalshi/composed/settlement_current.json").read_text())[
            "settlements"
        ][0]
    )


def test_reads_have_the_recorded_shapes() -> None:
    desk = Desk()
    desk.create("ask", "0.4700", "10.00")
    account = desk.venue.account
    order = next(iter(account.orders.values())).rest_json()
    composed = "fixtures/kalshi/composed/"
    current = json.loads(reference(composed + "order_read_current.json").read_text())["order"]
    assert shape(order) == shape(current)
    fill = json.loads(reference(composed + "fill_current.json").read_text())["fills"][0]
    assert shape(desk.get("/portfolio/fills")["fills"][0]) == shape(fill)
    balance = json.loads(reference(composed + "balance_sharded.json").read_text())
    assert shape(desk.get("/portfolio/balance")) == shape(balance)
    market = json.loads(reference(composed + "market_kxbtc15m_active.json").read_text())["market"]
    assert shape(desk.venue.markets[SHARD2].json()) == shape(market)
    position = desk.get("/portfolio/positions")["market_positions"][0]
    recorded = fixture("positions")["market_positions"][0]
    removed, added = {"resting_orders_count"}, {"exchange_index"}  # 2026-07-09, 2026-08
    assert set(position) - added == set(recorded) - removed


def test_cash_and_position_agree_after_many_orders() -> None:
    desk = Desk()
    for side, price, count in (
        ("bid", "0.5300", "20.00"),
        ("ask", "0.4600", "55.50"),
        ("bid", "0.6000", "40.25"),
    ):
        assert desk.create(side, price, count)[0] == 201
    cash_e6, net_e6 = e6("1000"), 0
    for fill in desk.get("/portfolio/fills")["fills"]:
        size_e6, price_e6 = e6(fill["count_fp"]), e6(fill["yes_price_dollars"])
        sign = 1 if fill["book_side"] == "bid" else -1
        net_e6 += sign * size_e6
        cash_e6 -= sign * price_e6 * size_e6 // 1_000_000 + e6(fill["fee_cost"])
    # A short of n contracts has locked n dollars: that is what netting hands out early.
    assert desk.net() == net_e6
    assert desk.cash() == cash_e6 - max(0, -net_e6)
