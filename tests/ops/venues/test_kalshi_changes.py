"""Amend, decrease and batches: what keeps its place in the queue and what a batch tells of each."""

from __future__ import annotations

from typing import Any

import pytest

from ops.venues.script import ASK, BID, MarketTrade
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.kalshi_ear import Wire
from tests.ops.venues.rig import MS, SHARD2, TICKER, K, e6

ORDERS = "/portfolio/events/orders"


def amended(
    desk: Desk, order_id: str, price: str, count: str, **changes: Any
) -> tuple[int, dict[str, Any]]:
    body = {"ticker": TICKER, "side": "bid", "price": price, "count": count, **changes}
    return desk.call("POST", f"{ORDERS}/{order_id}/amend", body)


def queue(desk: Desk, order_id: str) -> str:
    text: str = desk.get(f"/portfolio/orders/{order_id}/queue_position")["queue_position_fp"]
    return text


def two_bids() -> tuple[Desk, str, str]:
    """Two of ours at 0.46, behind the hundred that are there."""
    desk = Desk()
    return desk, desk.rests("bid", "0.46", "10.00"), desk.rests("bid", "0.46", "5.00")


def test_a_smaller_size_or_another_expiry_keeps_the_place() -> None:
    desk, first, second = two_bids()
    assert (queue(desk, first), queue(desk, second)) == ("100.00", "110.00")
    status, body = amended(desk, first, "0.46", "4.00")
    assert (status, body["remaining_count"], body["fill_count"]) == (200, "4.00", "0.00")
    assert (queue(desk, first), queue(desk, second)) == ("100.00", "104.00")
    expires = desk.clock.run_ns() // 10**9 + 60
    assert amended(desk, first, "0.46", "4.00", expiration_time=expires)[0] == 200
    assert queue(desk, first) == "100.00"
    assert "expiration_time" in desk.get(f"/portfolio/orders/{first}")["order"]
    assert amended(desk, first, "0.46", "3.00")[0] == 200, "left out: as it was"
    assert "expiration_time" in desk.get(f"/portfolio/orders/{first}")["order"]
    assert amended(desk, first, "0.46", "3.00", expiration_time=0)[0] == 200
    assert "expiration_time" not in desk.get(f"/portfolio/orders/{first}")["order"]


def test_more_of_it_goes_to_the_back() -> None:
    desk, first, second = two_bids()
    assert amended(desk, first, "0.46", "11.00")[0] == 200
    assert (queue(desk, second), queue(desk, first)) == ("100.00", "105.00")


def test_another_price_goes_to_the_back_of_that_price() -> None:
    desk, first, _ = two_bids()
    third = desk.rests("bid", "0.45", "7.00")
    status, body = amended(desk, first, "0.45", "10.00", updated_client_order_id="new")
    assert (status, body["order_id"], body["client_order_id"]) == (200, first, "new")
    assert (queue(desk, third), queue(desk, first)) == ("0.00", "7.00")
    assert desk.code("bid", "0.10", "1.00", client_order_id="new") == (409, "order_already_exists")


def test_the_count_of_an_amend_counts_what_is_filled() -> None:
    desk = Desk()
    order_id = desk.rests("bid", "0.48", "10.00")
    desk.venue.apply(MarketTrade(desk.begin_ns, K, e6("0.48"), e6("6"), ASK))
    status, body = amended(desk, order_id, "0.48", "8.00")
    assert (status, body["fill_count"], body["remaining_count"]) == (200, "6.00", "2.00")
    assert body["average_fill_price"] == "0.4800"
    status, body = amended(desk, order_id, "0.48", "6.00")
    assert (status, body["error"]["code"]) == (400, "invalid_order")


def test_an_amend_that_crosses_trades_at_the_resting_price() -> None:
    desk = Desk()
    order_id = desk.rests("bid", "0.40", "12.00")
    status, body = amended(desk, order_id, "0.52", "12.00")
    assert (status, body["fill_count"], body["remaining_count"]) == (200, "10.00", "2.00")
    assert body["average_fill_price"] == "0.5200"
    assert desk.venue.markets[TICKER].book.shown_e6(BID, e6("0.40")) == 0
    assert desk.venue.markets[TICKER].book.shown_e6(BID, e6("0.52")) == e6("2")


@pytest.mark.parametrize(
    ("price", "count", "changes", "status", "code"),
    [
        ("0.4650", "5.00", {}, 400, "invalid_price"),
        ("0.40", "5.00", {"side": "ask"}, 400, "invalid_order"),
        ("0.40", "5.00", {"client_order_id": "another"}, 400, "invalid_order"),
        ("0.40", "5.00", {"updated_client_order_id": "c-2"}, 409, "order_already_exists"),
        ("0.99", "9000.00", {}, 400, "insufficient_balance"),
        ("0.40", "5.00", {"ticker": SHARD2}, 404, "not_found"),
        ("0.40", "5.00", {"exchange_index": 2}, 404, "not_found"),
        ("", "5.00", {}, 400, "bad_request"),
        ("0.40", 5, {}, 400, "bad_request"),
    ],
)
def test_an_amend_that_is_refused_changes_nothing(
    price: str, count: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    desk, first, _ = two_bids()
    before = desk.get(f"/portfolio/orders/{first}")
    found, body = amended(desk, first, price, count, **changes)
    assert (found, body.get("error", body)["code"]) == (status, code)
    assert desk.get(f"/portfolio/orders/{first}") == before
    assert queue(desk, first) == "100.00"


def test_post_only_holds_for_an_amend() -> None:
    desk = Desk()
    order_id = desk.rests("bid", "0.40", "1.00", post_only=True)
    status, body = amended(desk, order_id, "0.52", "1.00")
    assert (status, body["error"]["details"]) == (400, "post only cross")


def test_a_decrease_keeps_the_place_and_the_rest_of_nothing_is_a_cancel() -> None:
    desk, first, second = two_bids()
    path = f"{ORDERS}/{first}/decrease"
    status, body = desk.call("POST", path, {"reduce_by": "4.00"})
    assert (status, body["remaining_count"]) == (200, "6.00")
    assert (queue(desk, first), queue(desk, second)) == ("100.00", "106.00")
    assert desk.call("POST", path, {"reduce_to": "2.00"})[1]["remaining_count"] == "2.00"
    order = desk.get(f"/portfolio/orders/{first}")["order"]
    assert (order["status"], order["remaining_count_fp"]) == ("resting", "2.00")
    for wrong in ({}, {"reduce_by": "1.00", "reduce_to": "1.00"}, {"reduce_by": "-1.00"}):
        assert desk.call("POST", path, wrong)[0] == 400
    assert desk.call("POST", path, {"reduce_to": "0.00"})[1]["remaining_count"] == "0.00"
    assert desk.get(f"/portfolio/orders/{first}")["order"]["status"] == "canceled"
    assert desk.call("POST", path, {"reduce_by": "1.00"})[0] == 404


def test_a_decrease_is_routed_like_a_cancel() -> None:
    desk = Desk()
    gtc = {"ticker": SHARD2, "exchange_index": 2}
    order_id = desk.rests("bid", "0.10", "3.00", **gtc)
    path = f"{ORDERS}/{order_id}/decrease"
    assert desk.call("POST", path, {"reduce_by": "1.00"})[0] == 404, "shard 0"
    assert desk.call("POST", path, {"reduce_by": "1.00", "market_ticker": SHARD2})[0] == 200
    assert desk.call("POST", path, {"reduce_by": "1.00", "exchange_index": 2})[0] == 200


def test_the_channel_says_why_an_order_changed() -> None:
    wire = Wire()
    desk = wire.desk
    wire.say({"id": 1, "cmd": "subscribe", "params": {"channels": ["user_orders"]}})
    order_id = desk.rests("bid", "0.46", "10.00")
    amended(desk, order_id, "0.45", "10.00")
    desk.call("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_by": "1.00"})
    expires = desk.clock.run_ns() // 10**9 + 1
    amended(desk, order_id, "0.45", "9.00", expiration_time=expires)
    desk.wait(1100 * MS)
    _, *told = wire.take()
    reasons = [frame["msg"].get("last_update_reason", "") for frame in told]
    assert reasons == ["", "Amend", "Decrease", "Amend", "ExpiryCancel"]
    assert told[-1]["msg"]["status"] == "canceled"


# ---- batches


def test_a_batch_of_cancels_tells_each_in_its_place() -> None:
    desk = Desk()
    crypto = desk.rests("bid", "0.10", "3.00", ticker=SHARD2)
    plain = desk.rests("bid", "0.10", "2.00")
    asked = [
        {"order_id": crypto},
        {"order_id": plain},
        {"order_id": plain},
        {"order_id": crypto, "market_ticker": SHARD2},
        {"order_id": 5},
    ]
    status, body = desk.call("DELETE", f"{ORDERS}/batched", {"orders": asked})
    assert status == 200
    rows = body["orders"]
    assert [row["reduced_by"] for row in rows] == ["0.00", "2.00", "0.00", "3.00", "0.00"]
    codes = [row["error"] and row["error"]["code"] for row in rows]
    assert codes == ["not_found", None, "not_found", None, "bad_request"]
    assert ["ts_ms" in row for row in rows] == [False, True, False, True, False]
    assert desk.call("DELETE", f"{ORDERS}/batched", {"orders": []})[0] == 400


def test_a_batch_costs_the_sum_of_its_items_or_is_refused_whole() -> None:
    desk = Desk(spec={"kalshi_tokens_per_s": 50})
    bodies = [desk.body("bid", "0.01", "1.00") for _ in range(6)]
    assert desk.call("POST", f"{ORDERS}/batched", {"orders": bodies})[0] == 429
    status, body = desk.call("POST", f"{ORDERS}/batched", {"orders": bodies[:5]})
    assert (status, len(body["orders"])) == (201, 5), "and no id was used by the refusal"
    desk.wait(200 * MS)
    asked = [{"order_id": row["order_id"]} for row in body["orders"]]
    assert desk.call("DELETE", f"{ORDERS}/batched", {"orders": asked})[0] == 200, "2 tokens each"
    assert desk.call("POST", ORDERS, desk.body("bid", "0.01", "1.00"))[0] == 429


def test_one_wrong_item_does_not_stop_the_others() -> None:
    desk = Desk()
    bodies = [
        desk.body("bid", "0.5250", "1.00"),
        desk.body("bid", "0.52", 1),  # type: ignore[arg-type]
        desk.body("bid", "0.52", "1.00"),
    ]
    _, body = desk.call("POST", f"{ORDERS}/batched", {"orders": bodies})
    codes = [row["error"] and row["error"]["code"] for row in body["orders"]]
    assert codes == ["invalid_price", "bad_request", None]
    assert body["orders"][2]["average_fill_price"] == "0.5200"
