"""Situations of the simulated Kalshi as in the demo session of 2026-06-11."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ops.venues.script import BookSet, MarketSpec
from tests.ops.venues.kalshi_alike import Answer
from tests.ops.venues.kalshi_desk_rig import KEY, Desk
from tests.ops.venues.rig import BEGIN_NS, MS, levels

TENNIS = "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"
SECOND = 10**9


def epoch_ns(text: str) -> int:
    """An RFC 3339 time in ns."""
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * SECOND


def spec(ticker: str, **changes: Any) -> MarketSpec:
    return MarketSpec(**{"venue": "kalshi", "ticker": ticker, "title": "", "event": "", **changes})


def book(desk: Desk, bids: tuple[tuple[str, str], ...], asks: tuple[tuple[str, str], ...]) -> None:
    """The first market's book is this."""
    desk.venue.apply(BookSet(desk.clock.run_ns(), 0, levels(*bids), levels(*asks)))


def tennis(**changes: Any) -> Desk:
    """The market of the demo session: 0.47 bid, 0.52 asked, three contracts each."""
    market = spec(TENNIS, title="Varvara Lepchenko", open_epoch_ns=BEGIN_NS)
    desk = Desk(markets=(market,), has_books=False, **changes)
    book(desk, (("0.47", "3"),), (("0.52", "3"),))
    return desk


def request(**changes: Any) -> dict[str, Any]:
    """The request of order_create_resting_201."""
    body = {
        "client_order_id": "4a75a66e-ca85-4187-93cd-aac5e01ad982",
        "count": "1.00",
        "post_only": False,
        "price": "0.0100",
        "self_trade_prevention_type": "taker_at_cross",
        "side": "bid",
        "ticker": TENNIS,
        "time_in_force": "good_till_canceled",
    }
    return {**body, **changes}


ORDERS = "/portfolio/events/orders"
TAKEN = "2b8394e0-515e-4b89-b624-f34067756855"


def create(desk: Desk, **changes: Any) -> Answer:
    return desk.call("POST", ORDERS, request(**changes))


def buy(desk: Desk, price: str, name: str, **changes: Any) -> Answer:
    """One contract at an ask of this price, with a limit of 0.99."""
    book(desk, (), ((price, "3"),))
    ioc = {"time_in_force": "immediate_or_cancel", "client_order_id": name}
    return create(desk, price="0.9900", **ioc, **changes)


def bought() -> Desk:
    """The three fills of the demo session."""
    desk = tennis()
    for number, price in enumerate(("0.99", "0.99", "0.52")):
        assert buy(desk, price, f"c-{number}")[0] == 201
        desk.wait(SECOND)
    return desk


def rested() -> tuple[Desk, str]:
    desk = tennis(spec={"kalshi_read_lag_ns": 500 * MS})
    order_id = create(desk)[1]["order_id"]
    return desk, order_id


def cancel(desk: Desk, order_id: str) -> Answer:
    return desk.call("DELETE", f"{ORDERS}/{order_id}")


# ---- orders


def resting_read() -> Answer:
    desk, order_id = rested()
    assert desk.call("GET", f"/portfolio/orders/{order_id}")[0] == 404, "reads lag"
    desk.wait(SECOND)
    return desk.call("GET", f"/portfolio/orders/{order_id}")


def stale_read() -> Answer:
    desk, order_id = rested()
    desk.wait(SECOND)
    assert cancel(desk, order_id)[0] == 200
    desk.wait(360 * MS)
    return desk.call("GET", f"/portfolio/orders/{order_id}")


def cancelled_twice() -> Answer:
    desk, order_id = rested()
    assert cancel(desk, order_id)[0] == 200
    return cancel(desk, order_id)


def cancelled_late() -> Answer:
    desk = tennis()
    return cancel(desk, buy(desk, "0.52", "c")[1]["order_id"])


def twice() -> Answer:
    desk = tennis()
    create(desk)
    return create(desk)


def spoilt(**headers: str) -> Callable[[], Answer]:
    def play() -> Answer:
        desk = tennis()
        good = KEY.headers("GET", "/trade-api/v2/portfolio/balance", now_ms=BEGIN_NS // MS)
        return desk.call("GET", "/portfolio/balance", headers={**good, **headers})

    return play


def late() -> Answer:
    """The client's clock is 5 min slow."""
    desk = tennis()
    path = "/trade-api/v2/portfolio/balance"
    slow = KEY.headers("GET", path, now_ms=BEGIN_NS // MS - 300_000)
    return desk.call("GET", "/portfolio/balance", headers=slow)


def flooded(**told: Any) -> Callable[[], Answer]:
    def play() -> Answer:
        desk = tennis(spec={"kalshi_tokens_per_s": 10, **told})
        assert create(desk)[0] == 201
        return create(desk, client_order_id="2")

    return play


def listed_orders() -> Answer:
    """Nine orders, oldest first: what each met in the book decides what became of it."""
    desk = tennis()
    for number, (side, price, paid) in enumerate(
        (
            ("bid", "0.0100", ""), ("bid", "0.9900", "0.99"), ("bid", "0.9900", ""),
            ("bid", "0.0200", ""), ("ask", "0.0200", ""), ("bid", "0.0100", ""),
            ("bid", "0.9900", "0.99"), ("bid", "0.0100", ""), ("bid", "0.9900", "0.52"),
        )
    ):  # fmt: skip
        book(desk, (), ((paid, "3"),) if paid else ())
        ioc = {"time_in_force": "immediate_or_cancel", "client_order_id": TAKEN[:-1] + str(number)}
        assert create(desk, side=side, price=price, **ioc)[0] == 201
        desk.wait(SECOND)
    return desk.call("GET", "/portfolio/orders", query="limit=10")


def two_of_a_batch() -> Answer:
    desk = Desk()
    ioc = desk.body("bid", "0.0100", "1.00", client_order_id="c-0001")
    assert desk.call("POST", ORDERS, ioc)[0] == 201
    gtc = {"time_in_force": "good_till_canceled"}
    bodies = [
        desk.body("bid", "0.0100", "5.00", client_order_id="c-0002", **gtc),
        desk.body("bid", "0.0100", "5.00", client_order_id="c-0001", **gtc),
    ]
    return desk.call("POST", f"{ORDERS}/batched", {"orders": bodies})
