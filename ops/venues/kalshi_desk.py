"""Kalshi's order desk: creates, matching, fills, netted positions, collateral.

Answers follow the demo session of 2026-06-11 and the reference of autumn 2026: an unfilled
immediate-or-cancel is a 201 with zero fills, a fill-or-kill that cannot fill is a 409, a
client_order_id is never free again.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

from ops.venues.book import Plan, Resting, Take
from ops.venues.fees import KalshiOrderFee
from ops.venues.kalshi_account import KalshiAccount, Position
from ops.venues.kalshi_exchange import KalshiExchange
from ops.venues.kalshi_groups import KalshiGroups
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_order import CANCELED, EXECUTED, KalshiOrder, money_e6
from ops.venues.kalshi_order_body import Create, read_create
from ops.venues.kalshi_reply import INVALID_ORDER, Reply, missing, refuse
from ops.venues.kalshi_tape import KalshiTape
from ops.venues.numerals import ONE_E6, SECOND_NS
from ops.venues.script import BID
from ops.venues.session import Ids, RunClock, VenueLog

VENUE = "kalshi"
TAKER_AT_CROSS = "taker_at_cross"
GOOD_TILL_CANCELED = "good_till_canceled"
POST_ONLY_CROSS = "post only cross"


@dataclass(slots=True)
class Deal:
    """What an order will do: its fills with their fees, and what rests of it."""

    plan: Plan
    charges: list[tuple[Take, int]]
    fee: KalshiOrderFee
    rests_e6: int
    cover_e6: int


class KalshiDesk:
    """Takes orders for one account."""

    def __init__(
        self,
        *,
        account: KalshiAccount,
        markets: dict[str, KalshiMarket],
        tape: KalshiTape,
        exchange: KalshiExchange,
        groups: KalshiGroups,
        ids: Ids,
        clock: RunClock,
        log: VenueLog,
    ) -> None:
        self.account = account
        self.markets = markets
        self.tape = tape
        self.exchange = exchange
        self.groups = groups
        self.clock = clock
        self._ids = ids
        self._log = log
        self._expiring: list[KalshiOrder] = []

    # ---- create

    def create(self, body: Any) -> Reply:
        """POST /portfolio/events/orders."""
        create = read_create(body)
        if not isinstance(create, Create):
            key = body.get("client_order_id") if isinstance(body, dict) else None
            return Reply(400, create, "bad_request", key if isinstance(key, str) else "")
        reply = self._created(create)
        return Reply(reply.status, reply.body, reply.outcome, create.client_order_id)

    def _created(self, create: Create) -> Reply:
        market = self.markets.get(create.ticker)
        if market is None or create.exchange_index not in (None, -1, market.spec.exchange_index):
            return missing(create.client_order_id)
        refused = self.refusal(market, create.price_e6)
        if refused:
            return refused
        if create.client_order_id in self.account.client_ids:
            return refuse(409, "order_already_exists")
        refused = self.groups.refusal(create.group_id, market)
        if refused:
            return refused
        size_e6 = create.count_e6
        if create.reduce_only:
            size_e6 = self.account.position(market.ticker).closing_e6(create.side, size_e6)
        plan = market.book.plan(
            create.side,
            create.price_e6,
            size_e6,
            cancel_own=create.prevention != TAKER_AT_CROSS,
        )
        if create.post_only and (plan.takes or plan.own):
            return refuse(400, INVALID_ORDER, details=POST_ONLY_CROSS)
        order = self._order(market, create)
        if create.time_in_force == "fill_or_kill" and plan.size_e6 < size_e6 and not plan.own:
            self.account.client_ids.add(order.client_order_id)
            return refuse(409, "fill_or_kill_insufficient_resting_volume")
        rests_e6 = size_e6 - plan.size_e6
        if create.time_in_force != GOOD_TILL_CANCELED or plan.stopped:
            rests_e6 = 0
        deal = self.deal(order, create.price_e6, plan, rests_e6)
        if deal is None:
            return refuse(400, "insufficient_balance")
        if size_e6 < create.count_e6:
            order.reason = "ReduceOnlyCancel"
        elif plan.stopped:
            order.reason = "SelfTradeCancel"
        self.account.client_ids.add(order.client_order_id)
        self.account.orders[order.order_id] = order
        self.groups.join(order)
        self.carry_out(order, deal, order.created_ns)
        return Reply(201, order.reply_json(order.created_ns), _outcome(order))

    def refusal(self, market: KalshiMarket, price_e6: int) -> Reply | None:
        """Why no order of this price may enter the book now."""
        if not self.exchange.is_trading(self.clock.run_ns()):
            return refuse(409, "trading_is_paused")
        if market.status != "active":
            return refuse(409, "market_inactive")
        if not market.is_on_grid(price_e6):
            return refuse(400, "invalid_price")
        return None

    def _order(self, market: KalshiMarket, create: Create) -> KalshiOrder:
        run_ns = self.clock.run_ns()
        return KalshiOrder(
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
            post_only=create.post_only,
            dies_in_pause=create.dies_in_pause,
            group_id=create.group_id,
        )

    # ---- matching

    def deal(self, order: KalshiOrder, price_e6: int, plan: Plan, rests_e6: int) -> Deal | None:
        """Price a plan. None: the shard's cash does not pay for fills, fees and what would rest.

        An order that already rests gives its own collateral back first.
        """
        account, market = self.account, order.market
        position = account.position(market.ticker)
        fee = copy(order.fee)
        charges: list[tuple[Take, int]] = []
        need_e6 = 0
        trial = Position(net_e6=position.net_e6, cost_e6=position.cost_e6)
        for take in plan.takes:
            moved_e6 = trial.book(order.side, take.price_e6, take.size_e6, 0, 0)
            fee_e6 = fee.charge_e6(take.price_e6, take.size_e6, moved_e6, is_taker=True)
            need_e6 += fee_e6 - moved_e6
            charges.append((take, fee_e6))
        cover_e6 = account.cover_e6(market.ticker, order.side, trial.net_e6, without=order)
        unit_e6 = price_e6 if order.side == BID else ONE_E6 - price_e6
        need_e6 += money_e6(unit_e6, max(0, rests_e6 - cover_e6))
        own_e6 = order.reserved_e6 if order.order_id in account.open else 0
        if need_e6 > max(0, account.free_e6(order.shard) + own_e6):
            return None
        return Deal(plan, charges, fee, rests_e6, min(cover_e6, rests_e6))

    def carry_out(self, order: KalshiOrder, deal: Deal, run_ns: int) -> None:
        """Trade and rest as priced. The order is in no book now."""
        plan, book, market = deal.plan, order.market.book, order.market
        if plan.own:
            self._log.count(VENUE, "self_trades")
        if not plan.stopped:
            for resting in plan.own:
                self.kill(self.account.open[resting.key], run_ns, "SelfTradeCancel")
        self.tape.deltas(market, book.take(plan), run_ns)
        order.fee = deal.fee
        for take, fee_e6 in deal.charges:
            self._fill(order, take.price_e6, take.size_e6, fee_e6, run_ns, is_taker=True)
        order.leaves_e6 = deal.rests_e6
        if deal.rests_e6:
            order.cover_e6 = deal.cover_e6
            order.resting = Resting(order.order_id, order.side, order.price_e6, deal.rests_e6)
            self.account.open[order.order_id] = order
            self.expires(order)
            changes = book.rest(order.resting)
            self.tape.deltas(market, changes, run_ns, order.client_order_id)
        else:
            order.status = EXECUTED if order.filled_e6 == order.count_e6 else CANCELED
        self.tape.order_changed(order)
        if deal.charges:
            self._after_fills(market, run_ns)

    def expires(self, order: KalshiOrder) -> None:
        """Watch the order's expiration time, if it has one."""
        if order.expires_s and order not in self._expiring:
            self._expiring.append(order)

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
        """Book one fill to cash and position, and tell it."""
        self.account.book(order.market, order.side, price_e6, size_e6, fee_e6, run_ns)
        unit_e6 = price_e6 if order.side == BID else ONE_E6 - price_e6
        order.filled_e6 += size_e6
        order.cost_e6[is_taker] += money_e6(unit_e6, size_e6)
        order.fees_e6[is_taker] += fee_e6
        order.value_e6 += money_e6(price_e6, size_e6)
        order.updated_ns = run_ns
        order.reason = order.reason or "Trade"
        self._log.count(VENUE, "fills")
        self.groups.matched(order, size_e6, run_ns)
        self.tape.filled(order, price_e6, size_e6, fee_e6, run_ns, is_taker=is_taker)

    def filled_resting(self, market: KalshiMarket, fills: list[Take], run_ns: int) -> None:
        """Fills of our resting orders that the book has already carried out."""
        for take in fills:
            assert take.maker is not None
            order = self.account.orders[take.maker.key]
            position = self.account.position(market.ticker)
            moved_e6 = position.moved_e6(order.side, take.price_e6, take.size_e6)
            fee_e6 = order.fee.charge_e6(take.price_e6, take.size_e6, moved_e6, is_taker=False)
            order.leaves_e6 = take.maker.leaves_e6
            order.cover_e6 = max(0, order.cover_e6 - take.size_e6)
            order.reason = "Trade"
            self._fill(order, take.price_e6, take.size_e6, fee_e6, run_ns, is_taker=False)
            if order.leaves_e6 == 0:
                order.status = EXECUTED
                self.account.open.pop(order.order_id, None)
            self.tape.order_changed(order)
        if fills:
            self._after_fills(market, run_ns)

    def _after_fills(self, market: KalshiMarket, run_ns: int) -> None:
        """Positions cover other orders now; what the cash no longer holds is cancelled, newest
        first (MarginCancel); groups at their limit are cancelled.
        """
        account, shard = self.account, market.spec.exchange_index
        account.cover_again(market)
        newest = [order for order in reversed(account.open.values()) if order.shard == shard]
        for order in newest:
            if account.free_e6(shard) >= 0:
                break
            self.kill(order, run_ns, "MarginCancel")
        for order in self.groups.tripped(run_ns):
            self.kill(order, run_ns, "")

    # ---- the end of orders

    def kill(self, order: KalshiOrder, run_ns: int, reason: str) -> int:
        """Take a resting order out. Returns what was left of it."""
        left_e6 = order.leaves_e6
        del self.account.open[order.order_id]
        changes = order.market.book.cancel(order.order_id)
        order.leaves_e6 = order.cover_e6 = 0
        order.status = CANCELED
        order.updated_ns = run_ns
        order.reason = reason
        self.tape.deltas(order.market, changes, run_ns, order.client_order_id)
        self.tape.order_changed(order)
        return left_e6

    def cancel_market(self, market: KalshiMarket, run_ns: int, reason: str) -> None:
        """What rests in a market dies with it."""
        for order in list(self.account.open.values()):
            if order.market is market:
                self.kill(order, run_ns, reason)

    def pause(self, run_ns: int) -> None:
        """Trading stops: what asked for it dies."""
        for order in list(self.account.open.values()):
            if order.dies_in_pause:
                self.kill(order, run_ns, "HaltCancel")

    def expire(self, run_ns: int) -> None:
        """Cancel what has reached its expiration time."""
        if not self._expiring:
            return
        for order in self._expiring:
            is_due = 0 < order.expires_s * SECOND_NS <= run_ns
            if is_due and order.order_id in self.account.open:
                self.kill(order, run_ns, "ExpiryCancel")
        self._expiring = [
            order
            for order in self._expiring
            if order.expires_s and order.order_id in self.account.open
        ]


def _outcome(order: KalshiOrder) -> str:
    if order.filled_e6 == 0:
        return "resting" if order.leaves_e6 else "unfilled"
    return "filled" if order.filled_e6 == order.count_e6 else "partial"
