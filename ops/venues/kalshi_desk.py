"""Kalshi's order desk: V2 creates and cancels, matching, fills, netted positions, private
channels.

Answers follow the demo session of 2026-06-11 and the reference of autumn 2026: an unfilled
immediate-or-cancel is a 201 with zero fills, a fill-or-kill that cannot fill is a 409, a
client_order_id is never free again, every cancel that misses is the same 404.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops.venues.book import Change, Plan, Resting, Take
from ops.venues.fees import KalshiOrderFee
from ops.venues.kalshi_account import USER_ID, KalshiAccount, KalshiOrder, direction, money_e6
from ops.venues.kalshi_auth import error_body
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_order_body import Create, read_create
from ops.venues.kalshi_ws import KalshiHub
from ops.venues.numerals import (
    MS_NS,
    ONE_E6,
    SECOND_NS,
    count2,
    dollars4,
    dollars6,
    iso_us,
)
from ops.venues.script import BID
from ops.venues.session import Ids, RunClock, VenueLog

VENUE = "kalshi"
NOT_FOUND = error_body("not_found", "not found")
TAKER_AT_CROSS = "taker_at_cross"
_FILL_FRAME = (  # what the frame of a fill shares with its REST row
    "trade_id",
    "order_id",
    "market_ticker",
    "exchange_index",
    "is_taker",
    "side",
    "yes_price_dollars",
    "count_fp",
    "fee_cost",
    "action",
    "ts",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer with the word the log keeps."""

    status: int
    body: dict[str, Any] | None
    outcome: str
    key: str = ""


def _refuse(status: int, code: str, message: str, details: str = "") -> Reply:
    return Reply(status, error_body(code, message, details), code)


class KalshiDesk:
    """Takes orders for one account."""

    def __init__(
        self,
        *,
        account: KalshiAccount,
        markets: dict[str, KalshiMarket],
        hub: KalshiHub,
        ids: Ids,
        clock: RunClock,
        log: VenueLog,
    ) -> None:
        self._account = account
        self._markets = markets
        self._hub = hub
        self._ids = ids
        self._clock = clock
        self._log = log
        self._expiring: list[KalshiOrder] = []

    # ---- create

    def create(self, body: Any) -> Reply:
        """POST /portfolio/events/orders."""
        create = read_create(body)
        if not isinstance(create, Create):
            return Reply(400, create, "bad_request")
        market = self._markets.get(create.ticker)
        shard = create.exchange_index
        if market is None or shard not in (None, -1, market.spec.exchange_index):
            return Reply(404, NOT_FOUND, "not_found", create.client_order_id)
        reply = self._checked(market, create)
        return Reply(reply.status, reply.body, reply.outcome, create.client_order_id)

    def _checked(self, market: KalshiMarket, create: Create) -> Reply:
        if market.status != "active":
            return _refuse(409, "market_inactive", "market is not active")
        if not market.is_on_grid(create.price_e6):
            return _refuse(400, "invalid_price", "invalid price")
        if create.client_order_id in self._account.client_ids:
            return _refuse(409, "order_already_exists", "order already exists")
        size_e6 = create.count_e6
        if create.reduce_only:
            size_e6 = self._account.position(market.ticker).closing_e6(create.side, size_e6)
        plan = market.book.plan(
            create.side,
            create.price_e6,
            size_e6,
            cancel_own=create.prevention != TAKER_AT_CROSS,
        )
        if create.post_only and (plan.takes or plan.own):
            return _refuse(400, "invalid_order", "invalid order", "post only cross")
        run_ns = self._clock.run_ns()
        order = KalshiOrder(
            order_id=self._ids.new("order"),
            client_order_id=create.client_order_id or self._ids.new("client"),
            market=market,
            side=create.side,
            price_e6=create.price_e6,
            count_e6=create.count_e6,
            time_in_force=create.time_in_force,
            prevention=create.prevention,
            created_ns=run_ns,
            updated_ns=run_ns,
            fee=KalshiOrderFee(market.fee_terms),
            expires_s=create.expires_s,
        )
        if create.time_in_force == "fill_or_kill" and plan.size_e6 < size_e6 and not plan.own:
            self._account.client_ids.add(order.client_order_id)
            code = "fill_or_kill_insufficient_resting_volume"
            return _refuse(409, code, "fill or kill insufficient resting volume")
        rests_e6 = size_e6 - plan.size_e6
        if create.time_in_force != "good_till_canceled" or plan.stopped:
            rests_e6 = 0
        return self._fund(order, plan, rests_e6)

    def _fund(self, order: KalshiOrder, plan: Plan, rests_e6: int) -> Reply:
        """Check the shard's cash for the fills with their fees and for what would rest; then
        trade.
        """
        account, market = self._account, order.market
        position = account.position(market.ticker)
        charges: list[tuple[Take, int]] = []
        need_e6 = 0
        trial = type(position)(net_e6=position.net_e6, cost_e6=position.cost_e6)
        for take in plan.takes:
            moved_e6 = trial.book(order.side, take.price_e6, take.size_e6, 0, 0)
            fee_e6 = order.fee.charge_e6(take.price_e6, take.size_e6, moved_e6, is_taker=True)
            need_e6 += fee_e6 - moved_e6
            charges.append((take, fee_e6))
        cover_e6 = account.cover_e6(market.ticker, order.side, trial.net_e6)
        unit_e6 = order.price_e6 if order.side == BID else ONE_E6 - order.price_e6
        need_e6 += money_e6(unit_e6, max(0, rests_e6 - cover_e6))
        if need_e6 > max(0, account.free_e6(market.spec.exchange_index)):
            return _refuse(400, "insufficient_balance", "insufficient balance")
        return self._trade(order, plan, charges, rests_e6, min(cover_e6, rests_e6))

    def _trade(
        self,
        order: KalshiOrder,
        plan: Plan,
        charges: list[tuple[Take, int]],
        rests_e6: int,
        cover_e6: int,
    ) -> Reply:
        account, book, run_ns = self._account, order.market.book, order.created_ns
        account.client_ids.add(order.client_order_id)
        account.orders[order.order_id] = order
        if plan.own:
            self._log.count(VENUE, "self_trades")
        if not plan.stopped:
            for resting in plan.own:
                self._kill(account.open[resting.key], run_ns)
        self._deltas(order.market, book.take(plan), run_ns)
        for take, fee_e6 in charges:
            self._fill(order, take.price_e6, take.size_e6, fee_e6, run_ns, is_taker=True)
        if rests_e6:
            order.leaves_e6, order.cover_e6 = rests_e6, cover_e6
            order.resting = Resting(order.order_id, order.side, order.price_e6, rests_e6)
            account.open[order.order_id] = order
            if order.expires_s:
                self._expiring.append(order)
            self._deltas(order.market, book.rest(order.resting), run_ns, order.client_order_id)
        else:
            order.status = "executed" if order.filled_e6 == order.count_e6 else "canceled"
        self._order_changed(order)
        return Reply(201, order.created_json(), self._outcome(order))

    def _outcome(self, order: KalshiOrder) -> str:
        if order.filled_e6 == 0:
            return "resting" if order.leaves_e6 else "unfilled"
        return "filled" if order.filled_e6 == order.count_e6 else "partial"

    # ---- fills

    def _fill(
        self,
        order: KalshiOrder,
        price_e6: int,
        size_e6: int,
        fee_e6: int,
        run_ns: int,
        *,
        is_taker: bool,
    ) -> None:
        """Book one fill to cash and position, and tell the private channels and the tape."""
        account, market = self._account, order.market
        position = account.position(market.ticker)
        moved_e6 = position.book(order.side, price_e6, size_e6, fee_e6, run_ns)
        shard = market.spec.exchange_index
        account.cash_e6[shard] = account.cash_e6.get(shard, 0) + moved_e6 - fee_e6
        unit_e6 = price_e6 if order.side == BID else ONE_E6 - price_e6
        order.filled_e6 += size_e6
        order.cost_e6[is_taker] += money_e6(unit_e6, size_e6)
        order.fees_e6[is_taker] += fee_e6
        order.value_e6 += money_e6(price_e6, size_e6)
        order.updated_ns = run_ns
        self._log.count(VENUE, "fills")
        trade_id = self._ids.new("trade")
        taker_side = order.side if is_taker else 1 - order.side
        self.printed(market, price_e6, size_e6, taker_side, run_ns, trade_id=trade_id)
        fill = {
            "fill_id": trade_id,
            "trade_id": trade_id,
            "order_id": order.order_id,
            "ticker": market.ticker,
            "market_ticker": market.ticker,
            "exchange_index": shard,
            **direction(order.side),
            "count_fp": count2(size_e6),
            "yes_price_dollars": dollars4(price_e6),
            "no_price_dollars": dollars4(ONE_E6 - price_e6),
            "is_taker": is_taker,
            "created_time": iso_us(run_ns),
            "ts": run_ns // SECOND_NS,
            "fee_cost": dollars6(fee_e6),
            "subaccount_number": 0,
        }
        account.fills.append(fill)
        self._tell_fill(order, fill, run_ns)
        self.position_changed(market)

    def _tell_fill(self, order: KalshiOrder, fill: dict[str, Any], run_ns: int) -> None:
        position = self._account.position(order.market.ticker)
        message = {
            **{key: fill[key] for key in _FILL_FRAME},
            "client_order_id": order.client_order_id,
            "ts_ms": run_ns // MS_NS,
            "post_position_fp": count2(position.net_e6),
            "purchased_side": fill["outcome_side"],
            "outcome_side": fill["outcome_side"],
            "book_side": fill["book_side"],
            "subaccount": 0,
        }
        self._hub.publish("fill", "fill", order.market.ticker, message)

    def printed(
        self,
        market: KalshiMarket,
        price_e6: int,
        size_e6: int,
        taker_side: int,
        run_ns: int,
        *,
        trade_id: str = "",
    ) -> None:
        """One print on the tape, ours or between others."""
        market.last_e6, market.last_size_e6 = price_e6, size_e6
        market.volume_e6 += size_e6
        words = direction(taker_side)
        message = {
            "trade_id": trade_id or self._ids.new("print"),
            "market_ticker": market.ticker,
            "yes_price_dollars": dollars4(price_e6),
            "no_price_dollars": dollars4(ONE_E6 - price_e6),
            "count_fp": count2(size_e6),
            "taker_side": words["side"],
            "taker_outcome_side": words["outcome_side"],
            "taker_book_side": words["book_side"],
            "is_block_trade": False,
            "ts": run_ns // SECOND_NS,
            "ts_ms": run_ns // MS_NS,
        }
        self._hub.publish("trade", "trade", market.ticker, message)

    def filled_resting(self, market: KalshiMarket, fills: list[Take], run_ns: int) -> None:
        """Fills of our resting orders that the book has already carried out."""
        for take in fills:
            assert take.maker is not None
            order = self._account.orders[take.maker.key]
            position = self._account.position(market.ticker)
            moved_e6 = position.moved_e6(order.side, take.price_e6, take.size_e6)
            fee_e6 = order.fee.charge_e6(take.price_e6, take.size_e6, moved_e6, is_taker=False)
            order.leaves_e6 = take.maker.leaves_e6
            order.cover_e6 = max(0, order.cover_e6 - take.size_e6)
            self._fill(order, take.price_e6, take.size_e6, fee_e6, run_ns, is_taker=False)
            if order.leaves_e6 == 0:
                order.status = "executed"
                self._account.open.pop(order.order_id, None)
            self._order_changed(order)

    # ---- cancel

    def cancel(self, order_id: str, shard: int | None, ticker: str | None) -> Reply:
        """DELETE one order. Without a shard or a ticker it is looked for on shard 0 only."""
        order = self._account.open.get(order_id)
        if order is None:
            return Reply(404, NOT_FOUND, "not_found", order_id)
        if shard is None and ticker:
            is_here = ticker == order.market.ticker
        else:
            is_here = shard == -1 or (shard or 0) == order.market.spec.exchange_index
        if not is_here:
            return Reply(404, NOT_FOUND, "wrong_shard", order_id)
        if order.market.status not in ("active", "inactive"):
            code = "market_inactive"
            return Reply(409, error_body(code, "market is not active"), code, order_id)
        run_ns = self._clock.run_ns()
        reduced_e6 = order.leaves_e6
        self._kill(order, run_ns)
        body = {
            "order_id": order_id,
            "client_order_id": order.client_order_id,
            "reduced_by": count2(reduced_e6),
            "ts_ms": run_ns // MS_NS,
        }
        return Reply(200, body, "canceled", order_id)

    def cancel_all(self) -> Reply:
        """DELETE /portfolio/events/orders: every shard."""
        for order in list(self._account.open.values()):
            self._kill(order, self._clock.run_ns())
        return Reply(204, None, "canceled_all")

    def cancel_market(self, market: KalshiMarket, run_ns: int) -> None:
        """What rests in a market dies with it."""
        for order in list(self._account.open.values()):
            if order.market is market:
                self._kill(order, run_ns)

    def expire(self, run_ns: int) -> None:
        """Cancel what has reached its expiration time."""
        for order in self._expiring:
            if order.expires_s * SECOND_NS <= run_ns and order.order_id in self._account.open:
                self._kill(order, run_ns)
        if self._expiring:
            self._expiring = [order for order in self._expiring if order.status == "resting"]

    def _kill(self, order: KalshiOrder, run_ns: int) -> None:
        del self._account.open[order.order_id]
        changes = order.market.book.cancel(order.order_id)
        order.leaves_e6 = 0
        order.status = "canceled"
        order.updated_ns = run_ns
        self._deltas(order.market, changes, run_ns, order.client_order_id)
        self._order_changed(order)

    # ---- frames

    def _deltas(
        self, market: KalshiMarket, changes: list[Change], run_ns: int, own: str = ""
    ) -> None:
        for change in changes:
            size_e6 = change.new_e6 - change.old_e6
            self._hub.delta(
                market, change.side, change.price_e6, size_e6, run_ns, client_order_id=own
            )

    def _order_changed(self, order: KalshiOrder) -> None:
        ticker = order.market.ticker
        self._hub.publish("user_orders", "user_order", ticker, order.channel_json())

    def position_changed(self, market: KalshiMarket) -> None:
        """Tell the market_positions channel."""
        position = self._account.position(market.ticker)
        message = {
            "user_id": USER_ID,
            "market_ticker": market.ticker,
            "position_fp": count2(position.net_e6),
            "position_cost_dollars": dollars6(position.cost_e6),
            "realized_pnl_dollars": dollars6(position.realized_e6),
            "fees_paid_dollars": dollars6(position.fees_e6),
            "position_fee_cost_dollars": dollars6(position.fees_e6),
            "volume_fp": count2(position.traded_e6),
        }
        self._hub.publish("market_positions", "market_position", market.ticker, message)
