"""Order groups: the limit of a rolling 15 s, what trips, what a reset gives back."""

from __future__ import annotations

from typing import Any

import pytest

from ops.venues.script import ASK, MarketTrade
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.kalshi_ear import Wire
from tests.ops.venues.rig import SHARD2, TICKER, K, e6

GROUPS = "/portfolio/order_groups"
SECOND = 10**9


def group(desk: Desk, limit: int = 5, **changes: Any) -> str:
    status, body = desk.call("POST", f"{GROUPS}/create", {"contracts_limit": limit, **changes})
    assert status == 201
    order_group_id: str = body["order_group_id"]
    return order_group_id


def hit(desk: Desk, price: str, size: str) -> None:
    """Somebody sells to our bid, which is the best."""
    desk.venue.apply(MarketTrade(desk.clock.run_ns(), K, e6(price), e6(size), ASK))


def test_at_its_limit_a_group_loses_its_orders_and_takes_none_until_a_reset() -> None:
    desk = Desk()
    name, other = group(desk), desk.rests("bid", "0.40", "1.00")
    first = desk.rests("bid", "0.48", "10.00", order_group_id=name)
    second = desk.rests("bid", "0.30", "10.00", order_group_id=name)
    hit(desk, "0.48", "4")
    assert set(desk.venue.account.open) == {other, first, second}
    hit(desk, "0.48", "1")
    assert set(desk.venue.account.open) == {other}, "only what is in the group"
    assert desk.venue.account.orders[first].filled_e6 == e6("5")
    gtc = {"time_in_force": "good_till_canceled", "order_group_id": name}
    assert desk.code("bid", "0.30", "1.00", **gtc) == (400, "invalid_order")
    assert desk.call("PUT", f"{GROUPS}/{name}/reset", {}) == (200, {})
    third = desk.rests("bid", "0.48", "4.00", order_group_id=name)
    hit(desk, "0.48", "4")
    assert desk.venue.account.orders[third].status == "executed", "counted from nothing again"
    assert desk.get(f"{GROUPS}/{name}")["orders"] == [first, second, third]


def test_what_matched_15_seconds_ago_does_not_count() -> None:
    desk = Desk()
    order_id = desk.rests("bid", "0.48", "20.00", order_group_id=group(desk))
    hit(desk, "0.48", "4")
    desk.wait(14 * SECOND)
    assert desk.venue.account.orders[order_id].status == "resting"
    desk.wait(SECOND)
    hit(desk, "0.48", "4")
    assert desk.venue.account.orders[order_id].status == "resting"
    desk.wait(14 * SECOND)
    hit(desk, "0.48", "1")
    assert desk.venue.account.orders[order_id].status == "canceled"


def test_a_taker_counts_and_what_would_rest_of_it_dies() -> None:
    desk = Desk()
    gtc = {"time_in_force": "good_till_canceled", "order_group_id": group(desk)}
    status, body = desk.create("bid", "0.52", "12.00", **gtc)
    assert (status, body["fill_count"], body["remaining_count"]) == (201, "10.00", "0.00")
    assert not desk.venue.account.open


def test_the_kill_switch_cancels_and_keeps_closed() -> None:
    desk = Desk()
    name = group(desk)
    desk.rests("bid", "0.30", "1.00", order_group_id=name)
    assert desk.call("PUT", f"{GROUPS}/{name}/trigger", {}) == (200, {})
    assert not desk.venue.account.open
    assert desk.code("bid", "0.30", "1.00", order_group_id=name) == (400, "invalid_order")


def test_a_lower_limit_trips_at_once_if_it_is_reached() -> None:
    desk = Desk()
    name = group(desk, 50)
    order_id = desk.rests("bid", "0.48", "20.00", order_group_id=name)
    hit(desk, "0.48", "4")
    path = f"{GROUPS}/{name}/limit"
    assert desk.call("PUT", path, {"contracts_limit_fp": "4.50"})[0] == 200
    assert order_id in desk.venue.account.open
    assert desk.call("PUT", path, {"contracts_limit": 4})[0] == 200
    assert order_id not in desk.venue.account.open


def test_a_deleted_group_takes_its_orders_along() -> None:
    desk = Desk()
    name = group(desk)
    desk.rests("bid", "0.30", "1.00", order_group_id=name)
    assert desk.call("DELETE", f"{GROUPS}/{name}") == (200, {})
    assert not desk.venue.account.open
    assert desk.call("GET", f"{GROUPS}/{name}")[0] == 404
    assert desk.get(GROUPS) == {"order_groups": []}
    assert desk.code("bid", "0.30", "1.00", order_group_id=name) == (404, "not_found")


def test_a_group_lives_on_one_shard_and_is_called_there() -> None:
    desk = Desk()
    name = group(desk, exchange_index=2)
    assert desk.code("bid", "0.30", "1.00", order_group_id=name) == (404, "not_found")
    desk.rests("bid", "0.30", "1.00", ticker=SHARD2, order_group_id=name)
    assert desk.call("PUT", f"{GROUPS}/{name}/trigger", {})[0] == 404, "shard 0"
    path = f"{GROUPS}/{name}/trigger"
    assert desk.call("PUT", path, {}, query="exchange_index=2")[0] == 200
    assert not desk.venue.account.open


@pytest.mark.parametrize(
    "body",
    [{}, {"contracts_limit": 0}, {"contracts_limit": "5"}, {"contracts_limit_fp": "x"},
     {"contracts_limit": 5, "contracts_limit_fp": "6.00"}, None],
)  # fmt: skip
def test_a_limit_must_be_told_and_told_once(body: Any) -> None:
    assert Desk().call("POST", f"{GROUPS}/create", body)[0] == 400


def test_the_channel_hears_of_each_step() -> None:
    wire = Wire()
    desk = wire.desk
    wire.say({"id": 1, "cmd": "subscribe", "params": {"channels": ["order_group_updates"]}})
    name = group(desk)
    for step, body in (("trigger", {}), ("reset", {}), ("limit", {"contracts_limit": 9})):
        assert desk.call("PUT", f"{GROUPS}/{name}/{step}", body)[0] == 200
    desk.call("DELETE", f"{GROUPS}/{name}")
    _, *told = wire.take()
    assert [frame["msg"]["event_type"] for frame in told] == [
        "created", "triggered", "reset", "limit_updated", "deleted",
    ]  # fmt: skip
    assert [frame["msg"].get("contracts_limit_fp") for frame in told] == [
        "5.00", None, None, "9.00", None,
    ]  # fmt: skip
    assert [frame["seq"] for frame in told] == [1, 2, 3, 4, 5]
    assert desk.get(f"/markets/{TICKER}")["market"]["ticker"] == TICKER
