"""The simulated Kalshi for the tests of its order rules: no sockets, a clock moved by hand."""

from __future__ import annotations

from typing import Any

from ops.venues.kalshi import Kalshi
from ops.venues.script import BookSet
from ops.venues.session import RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from tests.ops.venues.rig import (
    ASKS,
    BEGIN_NS,
    BIDS,
    MARKETS,
    TICKER,
    KalshiKey,
    ToyScript,
    accounts,
    script_of,
)

KEY = KalshiKey()


class Desk:
    """A Kalshi with the books of the rig, a clock that stands still, and a wire that goes
    nowhere.
    """

    def __init__(self, **changes: Any) -> None:
        script: ToyScript = script_of()
        clock = RunClock(script.timeline, mono=lambda: 0, wall=lambda: BEGIN_NS)
        spec = VenuesSpec(script=script, accounts=accounts(KEY, **changes), tls_cert="", tls_key="")
        self.log = VenueLog()
        listed = dict(enumerate(MARKETS[:2]))
        self.venue = Kalshi(spec, listed, clock=clock, log=self.log, on_subscribed=lambda: None)
        for index in listed:
            self.venue.apply(BookSet(BEGIN_NS, index, BIDS, ASKS))
        self.count = 0

    def create(self, side: str, price: str, count: str, **changes: Any) -> tuple[int, Any]:
        self.count += 1
        body = {
            "ticker": TICKER,
            "client_order_id": f"c-{self.count}",
            "side": side,
            "count": count,
            "price": price,
            "time_in_force": "immediate_or_cancel",
            "self_trade_prevention_type": "taker_at_cross",
            **changes,
        }
        reply = self.venue.desk.create(body)
        return reply.status, reply.body

    def net(self, ticker: str = TICKER) -> int:
        return self.venue.account.position(ticker).net_e6

    def cash(self, shard: int = 0) -> int:
        return self.venue.account.cash_e6[shard]

    def code(self, *args: Any, **changes: Any) -> tuple[int, str]:
        status, body = self.create(*args, **changes)
        return status, body.get("error", body)["code"]
