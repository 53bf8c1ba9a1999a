"""A desk that looks at its venues' figures, which are its own but for what a test adds."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from shm_layout import REASONS, int_to_text
from tests.gateway.rig import (
    BALANCE,
    PARAMS,
    POSITIONS,
    Rig,
    kalshi_filled,
    poly_filled,
    running,
)
from tests.gateway.scene import KALSHI, POLY
from tests.gateway.venue_double import Read, Seen

EVERY_NS, SECOND_NS = 30_000_000_000, 1_000_000_000
FOREIGN_ORDER: dict[str, object] = {
    "order_id": "v-9", "client_order_id": "theirs", "ticker": "KX-1", "book_side": "bid",
    "remaining_count_fp": "5.00", "yes_price_dollars": "0.1000", "status": "resting",
}  # fmt: skip
FOREIGN_FILL: dict[str, object] = {
    "fill_id": "f-9", "trade_id": "f-9", "order_id": "v-9", "ticker": "KX-1", "book_side": "ask",
    "count_fp": "3.00", "yes_price_dollars": "0.4000", "fee_cost": "0.01",
}  # fmt: skip
POLY_TRADE: dict[str, object] = {
    "id": "t-9", "taker_order_id": "0x99", "asset_id": "111", "side": "BUY", "size": "4",
    "price": "0.5", "outcome": "Yes", "trader_side": "TAKER", "status": "CONFIRMED",
    "maker_orders": [],
}  # fmt: skip


class Look:
    """The rig, its venues' figures kept equal to its books but for what a test adds."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.cash_e6 = self.contracts_e6 = 0  # what Kalshi has beyond our books
        self.poly_e6, self.tokens_e6 = 0, (0, 0)  # the same of Polymarket; YES and NO tokens
        self.now_ns = 0
        rig.kalshi.reads[BALANCE] = self._balance
        rig.kalshi.reads[POSITIONS] = self._positions
        rig.poly.reads["/balance-allowance"] = self._tokens

    def _balance(self, _: Seen) -> Read:
        cash_e6 = self.rig.desk.accounts.cash[KALSHI].cash_e6 + self.cash_e6
        row = {"exchange_index": 2, "balance": int_to_text(cash_e6, 6, 6)}
        return 200, {"balance_breakdown": [row]}

    def _positions(self, _: Seen) -> Read:
        net_e6 = self.rig.desk.accounts.position(KALSHI).net_e6 + self.contracts_e6
        row = {"ticker": "KX-1", "position_fp": int_to_text(net_e6, 6, 6)}
        return 200, {"market_positions": [row], "cursor": ""}

    def _tokens(self, seen: Seen) -> Read:
        accounts = self.rig.desk.accounts
        position = accounts.position(POLY)
        if "token_id=111" in seen.query:
            return 200, {"balance": str(position.yes_e6 + self.tokens_e6[0])}
        if "token_id=222" in seen.query:
            return 200, {"balance": str(position.no_e6 + self.tokens_e6[1])}
        return 200, {"balance": str(accounts.cash[POLY].cash_e6 + self.poly_e6)}

    async def look(self) -> None:
        """Until one more look is over."""
        done = self.rig.desk.reports.counted("looks")
        self.rig.scene.skew_ns += EVERY_NS + 1_000_000
        self.rig.scene.beat()
        await self.rig.until(lambda: self.rig.desk.reports.counted("looks") > done)
        await self.rig.until(lambda: not self.rig.desk.drift.is_looking)

    async def twice(self) -> None:
        """Two looks further apart than the read lag."""
        await self.look()
        await self.look()

    def stand(self) -> None:
        """The clock of what is booked and asked stands: `now_ns`, moved by hand."""
        self.now_ns = self.rig.scene.clock()
        self.rig.desk.drift.clock = self.rig.desk.ledger.clock = lambda: self.now_ns

    async def trade(self, name: str) -> None:
        """Ten contracts bought at Kalshi and sold at Polymarket, and the fill told."""
        rig = self.rig
        rig.scene.quote(KALSHI, bid=400_000, ask=420_000)
        rig.scene.quote(POLY, bid=500_000, ask=520_000)
        rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
        assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "done"
        key = str(rig.kalshi.orders[-1].json["client_order_id"])
        fill = FOREIGN_FILL | {
            "trade_id": name, "order_id": f"v-{key}", "client_order_id": key, "book_side": "bid",
            "count_fp": "10.00", "yes_price_dollars": "0.4200",
        }  # fmt: skip
        rig.desk.dispatcher.take_frame(KALSHI, orjson.dumps({"type": "fill", "msg": fill}))


@asynccontextmanager
async def looking(path: Path) -> AsyncIterator[Look]:
    """A desk that looks every 30 s of a clock moved by hand."""
    params = dataclasses.replace(PARAMS, drift_ns=EVERY_NS, query_tries_max=10**6)
    async with running(path, params) as rig:
        look = Look(rig)
        await rig.until(lambda: rig.desk.drift.since_ns > 0)
        yield look


def rows(name: str, *found: dict[str, object]) -> Read:
    return 200, {name: list(found), "cursor": ""}


def unknown(seen: Seen) -> Read:
    """No answer about an order; no open ones."""
    return (503, {}) if "ticker=" in seen.query else rows("orders")


def named(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(line for line in caplog.messages if "HALT" in line)
