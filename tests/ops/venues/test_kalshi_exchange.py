"""Thursday's pause by the run clock, what it forbids and what it keeps; the schedule."""

from __future__ import annotations

import pytest

from ops.venues.kalshi_exchange import is_weekly_pause
from ops.venues.numerals import SECOND_NS
from ops.venues.script import ASK, BID, LevelSet, MarketTrade
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.kalshi_ear import Wire
from tests.ops.venues.kalshi_stages import epoch_ns
from tests.ops.venues.rig import TICKER, K, e6

# Thursday 2026-09-03, 03:00 in New York (summer time).
PAUSE_NS = epoch_ns("2026-09-03T07:00:00Z")
TWO_HOURS = 7200 * SECOND_NS


@pytest.mark.parametrize(
    ("text", "paused"),
    [
        ("2026-09-03T06:59:59Z", False),
        ("2026-09-03T07:00:00Z", True),
        ("2026-09-03T08:59:59Z", True),
        ("2026-09-03T09:00:00Z", False),
        ("2026-09-04T07:30:00Z", False),
        ("2026-11-19T07:30:00Z", False),  # winter time: one hour later
        ("2026-11-19T08:00:00Z", True),
        ("2026-11-19T10:00:00Z", False),
    ],
)
def test_the_pause_is_two_hours_of_thursday_in_new_york(text: str, paused: bool) -> None:
    assert is_weekly_pause(epoch_ns(text)) is paused


def before() -> Desk:
    """A minute before the pause."""
    return Desk(begin_ns=PAUSE_NS - 60 * SECOND_NS)


def test_the_pause_refuses_orders_and_takes_cancels() -> None:
    desk = before()
    stays, goes = desk.rests("bid", "0.40", "1.00"), desk.rests("bid", "0.41", "1.00")
    assert desk.get("/exchange/status")["trading_active"] is True
    desk.wait(60 * SECOND_NS)
    status = desk.get("/exchange/status")
    assert (status["exchange_active"], status["trading_active"]) == (True, False)
    assert not any(row["trading_active"] for row in status["exchange_index_statuses"])
    assert status["exchange_estimated_resume_time"] == "2026-09-03T09:00:00Z"
    assert desk.code("bid", "0.52", "1.00") == (409, "trading_is_paused")
    body = {"ticker": TICKER, "side": "bid", "price": "0.42", "count": "1.00"}
    path = f"/portfolio/events/orders/{stays}"
    assert desk.call("POST", path + "/amend", body)[0] == 409
    assert desk.call("DELETE", f"/portfolio/events/orders/{goes}")[0] == 200
    assert list(desk.venue.account.open) == [stays]
    desk.wait(TWO_HOURS)
    assert desk.create("bid", "0.52", "1.00")[0] == 201
    assert "exchange_estimated_resume_time" not in desk.get("/exchange/status")


def test_who_asked_for_it_is_cancelled_by_the_pause() -> None:
    desk = before()
    wire = Wire(desk)
    wire.say({"id": 1, "cmd": "subscribe", "params": {"channels": ["user_orders"]}})
    dies = desk.rests("bid", "0.40", "1.00", cancel_order_on_pause=True)
    stays = desk.rests("bid", "0.41", "1.00")
    wire.take()
    desk.wait(60 * SECOND_NS)
    (told,) = wire.take()
    assert told["msg"]["order_id"] == dies
    assert told["msg"]["last_update_reason"] == "HaltCancel"
    assert list(desk.venue.account.open) == [stays]


def test_books_stand_still_and_go_on_where_the_script_is() -> None:
    desk = before()
    order_id = desk.rests("bid", "0.48", "5.00")
    book = desk.venue.markets[TICKER].book
    desk.wait(60 * SECOND_NS)
    at_ns = desk.clock.run_ns() + 1
    desk.venue.apply(MarketTrade(at_ns, K, e6("0.48"), e6("50"), ASK))
    desk.venue.apply(LevelSet(at_ns, K, BID, e6("0.47"), e6("7")))
    desk.venue.apply(LevelSet(at_ns, K, BID, e6("0.47"), e6("9")))
    assert book.shown_e6(BID, e6("0.47")) == e6("30")
    assert desk.venue.account.orders[order_id].filled_e6 == 0, "nobody trades"
    desk.wait(TWO_HOURS)
    assert book.shown_e6(BID, e6("0.47")) == e6("9")
    counts = desk.log.counts["kalshi"]
    assert (counts["paused"], counts["resumed"]) == (1, 1)


def test_an_operator_may_halt_at_any_time() -> None:
    desk = Desk()
    desk.venue.exchange.is_halted = True
    assert desk.code("bid", "0.52", "1.00") == (409, "trading_is_paused")
    assert desk.get("/exchange/status")["trading_active"] is False


def test_a_world_without_the_pause_trades_on() -> None:
    desk = Desk(begin_ns=PAUSE_NS, spec={"kalshi_has_pause": False})
    assert desk.create("bid", "0.52", "1.00")[0] == 201


def test_the_schedule_names_the_pause_that_is_on_or_comes_next() -> None:
    for begin_ns in (PAUSE_NS - 86_400 * SECOND_NS, PAUSE_NS + SECOND_NS):
        schedule = Desk(begin_ns=begin_ns).get("/exchange/schedule")["schedule"]
        (window,) = schedule["maintenance_windows"]
        assert window["start_datetime"] == "2026-09-03T07:00:00Z"
        assert window["end_datetime"] == "2026-09-03T09:00:00Z"
    (hours,) = schedule["standard_hours"]
    assert [row["close_time"] for row in hours["thursday"]] == ["03:00", "00:00"]
    assert [row["open_time"] for row in hours["friday"]] == ["00:00"]
    after = Desk(begin_ns=PAUSE_NS + TWO_HOURS).get("/exchange/schedule")["schedule"]
    assert after["maintenance_windows"][0]["start_datetime"] == "2026-09-10T07:00:00Z"
