"""Portfolio reads: behind the writes by the lag, filtered, paged, in the shapes that refuse."""

from __future__ import annotations

from typing import Any

import pytest

from ops.venues.numerals import iso_us
from ops.venues.script import StatusChange
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.rig import BEGIN_NS, MS, SHARD2, TICKER, K, e6

ORDERS = "/portfolio/events/orders"
LAG_NS = 500 * MS


def lagging() -> Desk:
    return Desk(spec={"kalshi_read_lag_ns": LAG_NS})


def test_every_portfolio_read_shows_the_old_state_and_then_the_new() -> None:
    desk = lagging()
    order_id = desk.create("bid", "0.52", "4.00")[1]["order_id"]

    def seen() -> tuple[Any, ...]:
        return (
            desk.call("GET", f"/portfolio/orders/{order_id}")[0],
            len(desk.get("/portfolio/orders")["orders"]),
            len(desk.get("/portfolio/fills")["fills"]),
            len(desk.get("/portfolio/positions")["market_positions"]),
            desk.get("/portfolio/balance", "exchange_index=0")["balance_dollars"],
        )

    old = (404, 0, 0, 0, "1000.0000")
    assert seen() == old
    desk.wait(LAG_NS - 1)
    assert seen() == old
    desk.wait(1)
    assert seen() == (200, 1, 1, 1, "997.8501")


def test_a_cancelled_order_is_read_as_resting_for_a_while() -> None:
    desk = lagging()
    order_id = desk.rests("bid", "0.40", "10.00")
    desk.wait(LAG_NS)
    assert desk.call("DELETE", f"{ORDERS}/{order_id}")[0] == 200
    held = desk.get("/portfolio/summary/total_resting_order_value")
    assert held["total_resting_order_value"] == 400
    desk.wait(360 * MS)
    assert desk.get(f"/portfolio/orders/{order_id}")["order"]["status"] == "resting"
    assert desk.call("DELETE", f"{ORDERS}/{order_id}")[0] == 404, "writes know"
    desk.wait(140 * MS)
    order = desk.get(f"/portfolio/orders/{order_id}")["order"]
    assert (order["status"], order["remaining_count_fp"]) == ("canceled", "0.00")


def test_the_venue_tells_how_far_its_reads_are() -> None:
    desk = lagging()
    desk.wait(2_000 * MS)
    told = desk.get("/exchange/user_data_timestamp")["as_of_time"]
    assert told == iso_us(BEGIN_NS + 1_500 * MS), "half a second ago"


def traded() -> Desk:
    desk = Desk()
    for ticker in (TICKER, SHARD2):
        desk.create("bid", "0.52", "2.00", ticker=ticker)
        desk.wait(10_000 * MS)
    desk.rests("bid", "0.10", "1.00")
    return desk


@pytest.mark.parametrize(
    ("path", "query", "count"),
    [
        ("orders", "", 3),
        ("orders", f"ticker={TICKER}", 2),
        ("orders", f"ticker={TICKER},{SHARD2}", 3),
        ("orders", "status=resting", 1),
        ("orders", "status=executed&exchange_index=2", 1),
        ("orders", "event_ticker=KXCRYPTO-26JAN", 1),
        ("orders", f"min_ts={BEGIN_NS // 10**9 + 5}", 2),
        ("orders", f"max_ts={BEGIN_NS // 10**9 + 5}", 1),
        ("fills", "", 2),
        ("fills", f"ticker={SHARD2}", 1),
        ("fills", "order_id=nothing", 0),
        ("fills", f"min_ts={BEGIN_NS // 10**9 + 5}&max_ts={BEGIN_NS // 10**9 + 15}", 1),
    ],
)
def test_filters_select(path: str, query: str, count: int) -> None:
    assert len(traded().get(f"/portfolio/{path}", query)[path]) == count


@pytest.mark.parametrize(
    ("path", "field", "tag"),
    [
        ("/portfolio/orders?limit=1001", "Limit", "lte"),
        ("/portfolio/orders?status=open", "Status", "oneof"),
        ("/portfolio/orders?min_ts=now", "MinTs", "number"),
        ("/portfolio/fills?limit=-1", "Limit", "gte"),
        ("/portfolio/positions?count_filter=cash", "CountFilter", "oneof"),
        ("/markets?status=active", "Status", "oneof"),
        ("/markets?min_close_ts=1&max_created_ts=2", "MinClose", "excluded_with"),
        ("/events?limit=201", "Limit", "lte"),
        ("/milestones", "Limit", "required"),
        ("/markets/orderbooks", "Tickers", "required"),
        ("/markets/trades?is_block_trade=maybe", "IsBlockTrade", "oneof"),
        (f"/markets/{TICKER}/orderbook?depth=101", "Depth", "lte"),
        ("/markets/candlesticks?start_ts=1&end_ts=2&period_interval=1", "MarketTickers", "req"),
        (f"/series/KXTEST/markets/{TICKER}/candlesticks?start_ts=1&end_ts=2&period_interval=5",
         "PeriodInterval", "oneof"),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_a_400_of_the_msg_shape(path: str, field: str, tag: str) -> None:
    path, _, query = path.partition("?")
    status, body = Desk().call("GET", path, query=query)
    assert (status, list(body)) == (400, ["msg"])
    assert f"{field}" in body["msg"]
    assert f"failed on the '{tag}" in body["msg"]


def test_pages_go_on_at_the_cursor_and_a_garbage_one_is_page_1() -> None:
    desk = traded()
    first = desk.get("/portfolio/orders", "limit=2")
    second = desk.get("/portfolio/orders", f"limit=2&cursor={first['cursor']}")
    assert (len(first["orders"]), len(second["orders"]), second["cursor"]) == (2, 1, "")
    assert desk.get("/portfolio/orders", "limit=2&cursor=%%") == first


def test_positions_are_netted_and_leave_with_their_settlement() -> None:
    desk = traded()
    desk.create("ask", "0.47", "5.00")
    (row,) = desk.get("/portfolio/positions", f"ticker={TICKER}")["market_positions"]
    assert (row["position_fp"], row["market_exposure_dollars"]) == ("-3.00", "1.590000")
    assert len(desk.get("/portfolio/positions")["event_positions"]) == 2
    desk.venue.apply(StatusChange(desk.clock.run_ns(), K, "finalized", e6("0")))
    rows = desk.get("/portfolio/positions")["market_positions"]
    assert [row["ticker"] for row in rows] == [SHARD2]
    (settled,) = desk.get("/portfolio/positions", "settlement_status=settled")["market_positions"]
    assert (settled["ticker"], settled["position_fp"]) == (TICKER, "0.00")
    filtered = desk.get("/portfolio/positions", "settlement_status=all&count_filter=position")
    assert [row["ticker"] for row in filtered["market_positions"]] == [SHARD2]
    (paid,) = desk.get("/portfolio/settlements")["settlements"]
    assert (paid["no_count_fp"], paid["revenue"], paid["value"]) == ("3.00", 300, 0)


def test_cash_moves_between_shards_a_little_later() -> None:
    desk = Desk()
    body = {"source": "event_contract", "destination": "event_contract", "amount": 1_000_000,
            "source_exchange_shard": 0, "destination_exchange_shard": 2}  # fmt: skip
    path = "/portfolio/intra_exchange_instance_transfer"
    status, answer = desk.call("POST", path, body)
    assert (status, desk.cash(0), desk.cash(2)) == (200, e6("1000"), e6("10"))
    desk.wait(500 * MS)
    assert (desk.cash(0), desk.cash(2)) == (e6("900"), e6("110"))
    one = desk.get(f"{path}s/{answer['transfer_id']}")["transfer"]
    assert (one["status"], one["amount"]) == ("complete", "100.0000")
    assert desk.call("POST", path, {**body, "amount": 10**9})[1]["error"]["code"] == (
        "insufficient_balance"
    )
    assert desk.call("POST", path, {**body, "amount": "5"})[0] == 400
