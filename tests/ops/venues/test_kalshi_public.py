"""Kalshi's public market data beyond the fixtures: candles, trades, events, filters."""

from __future__ import annotations

import pytest

from ops.venues.script import ASK, BID, BookSet, LevelSet, MarketTrade, StatusChange
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.kalshi_ear import Wire
from tests.ops.venues.rig import BEGIN_NS, MS, SHARD2, TICKER, K, e6

MINUTE = 60 * 10**9


def test_hours_are_sums_of_minutes() -> None:
    desk = Desk()
    start_s = BEGIN_NS // 10**9
    for number, (price, size) in enumerate((("0.50", "1"), ("0.56", "3"), ("0.48", "1"))):
        at_ns = BEGIN_NS + number * MINUTE
        desk.venue.apply(MarketTrade(at_ns, K, e6(price), e6(size), BID))
    path = f"/series/KXTEST/markets/{TICKER}/candlesticks"
    query = f"start_ts={start_s}&end_ts={start_s + 7200}&period_interval="
    minutes = desk.get(path, query + "1")["candlesticks"]
    assert [row["price"].get("previous_dollars") for row in minutes] == [None, "0.5000", "0.5600"]
    assert all(row["end_period_ts"] % 60 == 0 for row in minutes)
    (hour,) = desk.get(path, query + "60")["candlesticks"]
    price = hour["price"]
    names = ("open", "high", "low", "close", "mean")
    assert [price[f"{name}_dollars"] for name in names] == [
        "0.5000", "0.5600", "0.4800", "0.4800", "0.5320",
    ]  # fmt: skip
    assert (hour["volume_fp"], hour["end_period_ts"] % 3600) == ("5.00", 0)
    both = desk.get("/markets/candlesticks", f"market_tickers={TICKER},{SHARD2}&{query}1")
    assert [row["market_ticker"] for row in both["markets"]] == [TICKER, SHARD2]
    assert (
        desk.call("GET", f"/series/OTHER/markets/{TICKER}/candlesticks", query=query + "1")[0]
        == 404
    )


def test_our_own_fills_are_on_the_public_tape() -> None:
    desk = Desk()
    desk.create("bid", "0.52", "4.00")
    desk.venue.apply(MarketTrade(BEGIN_NS + MS, K, e6("0.47"), e6("1"), ASK))
    newest, ours = desk.get("/markets/trades", f"ticker={TICKER}")["trades"]
    assert (newest["taker_book_side"], ours["taker_book_side"]) == ("ask", "bid")
    fill = desk.get("/portfolio/fills")["fills"][0]
    assert (ours["trade_id"], ours["count_fp"]) == (fill["trade_id"], "4.00")
    assert desk.get("/markets/trades", "is_block_trade=true")["trades"] == []
    assert desk.get("/markets/trades", f"min_ts={BEGIN_NS // 10**9 + 1}")["trades"] == []


def test_events_nest_their_markets_when_asked() -> None:
    desk = Desk()
    plain = desk.get("/events")
    assert [row["event_ticker"] for row in plain["events"]] == ["KXTEST-26JAN", "KXCRYPTO-26JAN"]
    assert "markets" not in plain["events"][0]
    query = "with_nested_markets=true&with_milestones=true&series_ticker=KXTEST"
    nested = desk.get("/events", query)
    assert [row["ticker"] for row in nested["events"][0]["markets"]] == [TICKER]
    assert nested["milestones"] == []
    assert desk.get("/milestones", "limit=5") == {"cursor": "", "milestones": []}
    one = desk.get("/events/KXTEST-26JAN", "with_nested_markets=true")
    assert (one["markets"], len(one["event"]["markets"])) == ([], 1)


@pytest.mark.parametrize(
    ("query", "count"),
    [("status=open", 1), ("status=settled", 1), ("status=unopened", 0), ("mve_filter=only", 0),
     ("min_settled_ts=1", 1), ("series_ticker=KXTEST", 1), ("event_ticker=KXCRYPTO-26JAN", 1)],
)  # fmt: skip
def test_markets_are_filtered_by_query_words(query: str, count: int) -> None:
    desk = Desk()
    desk.venue.apply(StatusChange(BEGIN_NS, K, "finalized", e6("1")))
    assert len(desk.get("/markets", query)["markets"]) == count


def test_one_engine_time_may_take_several_frames_with_a_lock_between() -> None:
    """The touch of one side goes and the other side comes to its place: seldom, the coming is told
    first. Numbers stay whole, and the book is right when the stamp is over.
    """
    wire = Wire()
    desk = wire.desk
    params = {"channels": ["orderbook_delta"], "market_ticker": TICKER, "use_yes_price": True}
    wire.say({"id": 1, "cmd": "subscribe", "params": params})
    wire.take()
    locked = 0
    for number in range(1, 101):
        at_ns = BEGIN_NS + number * MS
        desk.venue.apply(BookSet(at_ns, K, ((e6("0.50"), e6("5")),), ((e6("0.51"), e6("5")),)))
        desk.venue.flush()
        wire.take()
        desk.venue.apply(LevelSet(at_ns, K, ASK, e6("0.51"), 0))
        desk.venue.apply(LevelSet(at_ns, K, BID, e6("0.51"), e6("5")))
        desk.venue.flush()
        first, second = wire.take()
        assert first["seq"] + 1 == second["seq"]
        assert first["msg"]["ts_ms"] == second["msg"]["ts_ms"] == at_ns // MS
        told = {(frame["msg"]["side"], frame["msg"]["delta_fp"]) for frame in (first, second)}
        assert told == {("no", "-5.00"), ("yes", "5.00")}
        locked += first["msg"]["side"] == "yes"
    assert locked == 2, "one in fifty"


def test_what_was_held_back_comes_before_anything_is_answered() -> None:
    wire = Wire()
    desk = wire.desk
    params = {"channels": ["orderbook_delta"], "market_ticker": TICKER}
    wire.say({"id": 1, "cmd": "subscribe", "params": params})
    for _ in range(50):
        wire.take()
        desk.venue.apply(LevelSet(BEGIN_NS, K, ASK, e6("0.51"), e6("1")))
        desk.venue.apply(LevelSet(BEGIN_NS, K, ASK, e6("0.51"), 0))
    update = {"sid": 1, "action": "get_snapshot", "market_ticker": TICKER}
    assert len(wire.take()) == 1, "the fiftieth is held"
    wire.say({"id": 2, "cmd": "update_subscription", "params": update})
    assert [frame["type"] for frame in wire.take()] == [
        "orderbook_delta", "ok", "orderbook_snapshot",
    ]  # fmt: skip
