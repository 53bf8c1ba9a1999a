"""Whatever is ordered: cash and positions are what the fills and their fees say, no shard is
overdrawn, and a maker pays where its series makes makers pay.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.venues.script import ASK, BID, LevelSet, MarketTrade, StatusChange
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.rig import MARKETS, MS, TICKER, K, e6

ORDERS = "/portfolio/events/orders"
PRICES = st.sampled_from(["0.44", "0.46", "0.47", "0.48", "0.50", "0.51", "0.52", "0.53", "0.60"])
COUNTS = st.sampled_from(["0.01", "0.50", "1.00", "3.33", "10.00", "60.00", "250.00"])
SIDES = st.sampled_from(["bid", "ask"])
CREATE = st.tuples(
    st.just("create"), SIDES, PRICES, COUNTS,
    st.sampled_from(["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]),
    st.sampled_from(["taker_at_cross", "maker"]),
)  # fmt: skip
STEP = st.one_of(
    CREATE,
    CREATE,
    st.tuples(st.just("amend"), st.integers(0, 9), PRICES, COUNTS),
    st.tuples(st.just("decrease"), st.integers(0, 9), COUNTS),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("level"), SIDES, PRICES, COUNTS),
    st.tuples(st.just("trade"), SIDES, PRICES, COUNTS),
)


def play(desk: Desk, step: tuple[Any, ...]) -> None:
    """One step; what is refused is refused."""
    kind, *args = step
    ids = list(desk.venue.account.orders)
    at_ns = desk.clock.run_ns()
    side = BID if args[0] == "bid" else ASK
    if kind == "create":
        name, price, count, time_in_force, prevention = args
        told = {"time_in_force": time_in_force, "self_trade_prevention_type": prevention}
        desk.create(name, price, count, **told)
    elif kind == "level":
        opposite = desk.venue.markets[TICKER].book.best_e6(1 - side)
        price_e6 = e6(args[1])
        if opposite is None or (price_e6 < opposite) == (side == BID):
            desk.venue.apply(LevelSet(at_ns, K, side, price_e6, e6(args[2])))
    elif kind == "trade":
        desk.venue.apply(MarketTrade(at_ns, K, e6(args[1]), e6(args[2]), side))
    elif ids:
        path = f"{ORDERS}/{ids[args[0] % len(ids)]}"
        order = desk.venue.account.orders[ids[args[0] % len(ids)]]
        if kind == "cancel":
            desk.call("DELETE", path)
        elif kind == "decrease":
            desk.call("POST", path + "/decrease", {"reduce_by": args[1]})
        else:
            body = {"ticker": TICKER, "price": args[1], "count": args[2]}
            word = "bid" if order.side == BID else "ask"
            desk.call("POST", path + "/amend", {**body, "side": word})


def check(desk: Desk, start_e6: int) -> None:
    """The account against its own fills, by rows as a client reads them."""
    cash_e6, net_e6 = Fraction(start_e6), 0
    for fill in desk.get("/portfolio/fills", "limit=1000")["fills"]:
        size_e6, price = e6(fill["count_fp"]), Fraction(fill["yes_price_dollars"])
        sign = 1 if fill["book_side"] == "bid" else -1
        net_e6 += sign * size_e6
        cash_e6 -= sign * price * size_e6 + e6(fill["fee_cost"])
    account = desk.venue.account
    # Netting pays a pair out at once: a short of n contracts has had n dollars less so far.
    assert desk.cash() == cash_e6 - max(0, -net_e6)
    assert desk.net() == net_e6
    assert desk.cash() % 100 == 0, "the balance is a multiple of $0.0001"
    assert account.free_e6(0) >= 0
    for order in account.orders.values():
        assert order.filled_e6 + order.leaves_e6 <= order.count_e6
        assert (order.leaves_e6 > 0) == (order.order_id in account.open)
    book = desk.venue.markets[TICKER].book
    assert set(book.orders) == set(account.open)
    assert all(book.orders[key].leaves_e6 == order.leaves_e6 for key, order in account.open.items())


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEP, max_size=25), value=st.sampled_from(["0", "1", "0.4"]))
def test_cash_and_positions_are_what_the_fills_say(
    steps: list[tuple[Any, ...]], value: str
) -> None:
    maker = replace(MARKETS[0], fee_kind="quadratic_with_maker_fees")
    start_e6 = e6("60")
    desk = Desk(markets=(maker,), cash_kalshi_e6={0: start_e6}, spec={"kalshi_tier": "prestige"})
    for step in steps:
        desk.mono_ns += MS
        play(desk, step)
        check(desk, start_e6)
    cash_e6, net_e6 = desk.cash(), desk.net()
    desk.venue.apply(StatusChange(desk.clock.run_ns(), K, "finalized", e6(value)))
    unit_e6 = e6(value) if net_e6 > 0 else e6("1") - e6(value)
    assert desk.cash() == cash_e6 + unit_e6 * abs(net_e6) // 10**6
    assert not desk.venue.account.open, "a close cancels all"
    assert desk.venue.account.free_e6(0) == desk.cash()


@pytest.mark.parametrize("spoil", ["cash", "position", "fee"])
def test_a_venue_that_loses_track_is_seen(spoil: str) -> None:
    """The negative control of `check`."""
    desk = Desk()
    desk.create("bid", "0.52", "4.00")
    check(desk, e6("1000"))
    if spoil == "cash":
        desk.venue.account.cash_e6[0] += 100
    elif spoil == "position":
        desk.venue.account.position(TICKER).net_e6 += 10_000
    else:
        desk.get("/portfolio/fills")["fills"][0]["fee_cost"] = "0.069800"
    with pytest.raises(AssertionError):
        check(desk, e6("1000"))


def test_a_maker_pays_a_quarter_where_its_series_says_so() -> None:
    maker = replace(MARKETS[0], fee_kind="quadratic_with_maker_fees")
    desk = Desk(markets=(maker,))
    desk.rests("bid", "0.48", "100.00")
    desk.venue.apply(MarketTrade(desk.clock.run_ns(), K, e6("0.48"), e6("100"), ASK))
    (fill,) = desk.get("/portfolio/fills")["fills"]
    assert (fill["is_taker"], fill["fee_cost"]) == (False, "0.436800")


def test_what_the_position_no_longer_covers_must_be_paid_or_goes() -> None:
    """Selling what a resting order would have sold leaves that order without cover; where cash
    does not hold it, it is cancelled (MarginCancel).
    """
    desk = Desk(cash_kalshi_e6={0: e6("6")})
    desk.create("bid", "0.52", "10.00")
    order_id = desk.rests("ask", "0.60", "10.00")
    assert desk.venue.account.orders[order_id].reserved_e6 == 0, "covered by the ten"
    assert desk.create("ask", "0.47", "10.00")[1]["fill_count"] == "10.00"
    order = desk.venue.account.orders[order_id]
    assert order.status == "resting" and order.reserved_e6 == e6("4")
    desk = Desk(cash_kalshi_e6={0: e6("5.5")})
    desk.create("bid", "0.52", "10.00")
    order_id = desk.rests("ask", "0.53", "10.00")
    desk.create("ask", "0.47", "10.00")
    order = desk.venue.account.orders[order_id]
    assert (order.status, order.reason) == ("canceled", "MarginCancel")
