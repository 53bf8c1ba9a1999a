"""Polymarket's matcher: FAK and FOK BUYs spend a budget, GTC and SELLs move shares, takers may
be held back.

A match is one trade with one fee; it lives MATCHED, then MINED, then CONFIRMED.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops.venues.book import Budget, Plan, Resting, Take, cost_up_e6, unit_cost_e6
from ops.venues.fees import polymarket_fee_e6
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, plain
from ops.venues.polymarket_account import (
    Counterparty,
    PolymarketAccount,
    PolymarketOrder,
    other_party,
    trade_json,
)
from ops.venues.polymarket_market import YES, PolymarketMarket
from ops.venues.polymarket_order import MARKETABLE_MIN_E6, OrderError, Posted
from ops.venues.polymarket_ws import PolymarketHub
from ops.venues.script import BID
from ops.venues.session import Ids, RunClock, VenueLog

VENUE = "polymarket"
NO_MATCH = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match"
    " is found."
)
NOT_FILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."
NO_FUNDS = "not enough balance / allowance"
GTD_LEAD_S = 60
Later = Callable[[int, Callable[[], None]], None]


class PolymarketDesk:
    """Takes orders for one account. `later(delay_ns, what)` runs `what` after a machine delay."""

    def __init__(
        self,
        *,
        account: PolymarketAccount,
        hub: PolymarketHub,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        mined_ns: int,
        confirmed_ns: int,
    ) -> None:
        self._account = account
        self._hub = hub
        self._clock = clock
        self._log = log
        self._later = later
        self._mined_ns = mined_ns
        self._confirmed_ns = confirmed_ns
        self._ids = Ids(VENUE)
        self._expiring: list[PolymarketOrder] = []

    # ---- posting

    def post(self, posted: Posted) -> tuple[dict[str, Any], str]:
        """Accept an order that is in shape: (answer, outcome word). Raises OrderError."""
        account, order_id, market = self._account, posted.order_id, posted.market
        if order_id in account.seen:
            raise OrderError(f"order {order_id} is invalid. Duplicated.", word="duplicate")
        if not market.is_open:
            text = f"the orderbook {posted.token} does not exist"
            raise OrderError(text, status=404, word="no_orderbook")
        run_ns = self._clock.run_ns()
        self._check_expiry(posted, run_ns)
        plan = self._plan(posted)
        if posted.post_only and (plan.takes or plan.own or posted.is_immediate):
            raise OrderError("invalid post-only order: order crosses book", word="post_only")
        self._check_minimum(posted, plan)
        self._check_funds(posted, plan)
        account.seen.add(order_id)
        order = PolymarketOrder(posted=posted, created_ns=run_ns)
        if plan.own:
            self._log.count(VENUE, "self_trades")
        if posted.is_immediate and (not plan.takes or self._falls_short(posted, plan)):
            self._kill_at_once(order, run_ns)
        if plan.takes and market.spec.taker_delay_ns:
            return self._delay(order, plan, run_ns)
        return self._execute(order, plan, run_ns)

    def _check_expiry(self, posted: Posted, run_ns: int) -> None:
        if posted.order_type == "GTD":
            if posted.expiration_s < run_ns // SECOND_NS + GTD_LEAD_S:
                raise OrderError("invalid expiration")
        elif posted.expiration_s:
            raise OrderError("invalid expiration")

    def _plan(self, posted: Posted) -> Plan:
        budget = None
        if posted.is_immediate and posted.is_buy:
            budget = Budget(posted.maker_amount_e6, posted.is_no)
        return posted.market.book.plan(
            posted.side, posted.limit_e6, posted.shares_e6, budget=budget
        )

    def _check_minimum(self, posted: Posted, plan: Plan) -> None:
        marketable = bool(plan.takes) or posted.is_immediate
        if marketable and posted.is_buy and posted.maker_amount_e6 < MARKETABLE_MIN_E6:
            money = plain(posted.maker_amount_e6)
            text = f"invalid amount for a marketable BUY order (${money}), min size: $1"
            raise OrderError(text, word="marketable_min")

    def _check_funds(self, posted: Posted, plan: Plan) -> None:
        """The whole order must be covered, and the fee of what matches at once."""
        account = self._account
        if posted.is_buy:
            cost_e6, fee_e6 = self._cost(posted, plan)
            rest_e6 = 0 if posted.is_immediate else posted.shares_e6 - plan.size_e6
            whole_e6 = cost_e6 + cost_up_e6(rest_e6, posted.price_e6)
            need_e6 = max(posted.maker_amount_e6, whole_e6) + fee_e6
            if need_e6 > account.free_cash_e6():
                raise OrderError(NO_FUNDS, word="no_funds")
        elif posted.maker_amount_e6 > account.free_tokens_e6(posted.token):
            raise OrderError(NO_FUNDS, word="no_funds")

    def _falls_short(self, posted: Posted, plan: Plan) -> bool:
        return posted.order_type == "FOK" and not plan.is_full

    def _kill_at_once(self, order: PolymarketOrder, run_ns: int) -> None:
        """Refuse an immediate order that cannot fill; its hash is spent all the same."""
        posted = order.posted
        text = NOT_FILLED if posted.order_type == "FOK" else NO_MATCH
        word = "fok_killed" if posted.order_type == "FOK" else "fak_no_match"
        order.status = f"CANCELED_{text}"
        event = order.event_json(self._account.api_key, "CANCELLATION", run_ns)
        event.update(size_matched="", outcome="", created_at="", associate_trades=[])
        self._hub.user(posted.market.condition_id, event)
        raise OrderError(text, order_id=posted.order_id, word=word)

    # ---- the taker delay

    def _delay(self, order: PolymarketOrder, plan: Plan, run_ns: int) -> tuple[dict[str, Any], str]:
        """Hold a marketable order; it is matched against the book as it will be then."""
        posted = order.posted
        cost_e6, fee_e6 = self._cost(posted, plan)
        order.status = "DELAYED"
        order.leaves_e6 = posted.shares_e6
        order.held_e6 = max(posted.maker_amount_e6, cost_e6) + fee_e6 if posted.is_buy else 0
        self._account.open[order.order_id] = order
        self._tell(order, "PLACEMENT", run_ns)
        self._later(posted.market.spec.taker_delay_ns, lambda: self._released(order))
        return answer(order.order_id, "delayed"), "delayed"

    def _released(self, order: PolymarketOrder) -> None:
        posted, run_ns = order.posted, self._clock.run_ns()
        if self._account.open.pop(order.order_id, None) is None:
            return
        order.held_e6 = order.leaves_e6 = 0
        plan = self._plan(posted)
        if not posted.market.is_open:
            plan = Plan(posted.side)
        try:
            self._check_funds(posted, plan)
        except OrderError:
            plan = Plan(posted.side)
        failed = not plan.takes or self._falls_short(posted, plan)
        if not posted.market.is_open or (failed and posted.is_immediate):
            order.status = "UNMATCHED"
            self._log.count(VENUE, "delayed_unmatched")
            self._tell(order, "CANCELLATION", run_ns)
            return
        self._log.count(VENUE, "delayed_matched")
        self._execute(order, plan, run_ns)

    # ---- matching

    def _cost(self, posted: Posted, plan: Plan) -> tuple[int, int]:
        """(money, fee) of a plan: a BUY's cost rounded up, a SELL's proceeds rounded down."""
        money_e6 = 0
        for take in plan.takes:
            unit_e6 = unit_cost_e6(take.price_e6, posted.is_no)
            if posted.is_buy:
                money_e6 += cost_up_e6(take.size_e6, unit_e6)
            else:
                money_e6 += take.size_e6 * unit_e6 // ONE_E6
        spec = posted.market.spec
        fee_e6 = polymarket_fee_e6(
            shares_e6=plan.size_e6,
            cost_e6=money_e6,
            rate_e6=spec.fee_rate_e6,
            exponent=spec.fee_exponent,
        )
        return money_e6, fee_e6

    def _execute(
        self, order: PolymarketOrder, plan: Plan, run_ns: int
    ) -> tuple[dict[str, Any], str]:
        posted, account = order.posted, self._account
        market = posted.market
        money_e6, fee_e6 = self._cost(posted, plan)
        shares_e6 = plan.size_e6
        if shares_e6:
            changes = market.book.take(plan)
            sign = 1 if posted.is_buy else -1
            account.move(
                posted.token, shares_e6=sign * shares_e6, cash_e6=-sign * money_e6, fee_e6=fee_e6
            )
            order.matched_e6 = shares_e6
            self._taken(order, plan, money_e6, run_ns)
            self._hub.changes(market, changes, run_ns)
        rest_e6 = posted.shares_e6 - shares_e6
        if not posted.is_immediate and rest_e6 > 0 and not plan.stopped:
            self._rest(order, rest_e6, run_ns)
        order.status = "LIVE" if order.leaves_e6 else "MATCHED"
        self._tell(order, "PLACEMENT", run_ns)
        if not shares_e6:
            return answer(order.order_id, "live" if order.leaves_e6 else "unmatched"), "live"
        making, taking = (money_e6, shares_e6) if posted.is_buy else (shares_e6, money_e6)
        reply = answer(order.order_id, "matched", making_e6=making, taking_e6=taking)
        reply["tradeIDs"] = order.trades
        return reply, "matched" if plan.is_full else "partial"

    def _rest(self, order: PolymarketOrder, rest_e6: int, run_ns: int) -> None:
        posted = order.posted
        order.leaves_e6 = rest_e6
        order.resting = Resting(order.order_id, posted.side, posted.limit_e6, rest_e6)
        self._account.open[order.order_id] = order
        if posted.order_type == "GTD":
            self._expiring.append(order)
        self._hub.changes(posted.market, posted.market.book.rest(order.resting), run_ns)

    def _taken(self, order: PolymarketOrder, plan: Plan, money_e6: int, run_ns: int) -> None:
        """Record the trade of a taker, and print it."""
        posted = order.posted
        tick_e6 = posted.market.tick_e6
        average_e6 = (2 * money_e6 * ONE_E6 + plan.size_e6 * tick_e6) // (
            2 * plan.size_e6 * tick_e6
        )
        taker = order.party(self._account.api_key, average_e6 * tick_e6, plan.size_e6)
        makers = [other_party(posted, take, self._ids.new("maker")) for take in plan.takes]
        self._record(order, taker, makers, "TAKER", run_ns)
        for take in plan.takes:
            price_e6 = unit_cost_e6(take.price_e6, posted.is_no)
            side = "BUY" if posted.is_buy else "SELL"
            self._hub.last_trade(
                posted.market, posted.outcome, price_e6, take.size_e6, side, run_ns
            )

    def _record(
        self,
        order: PolymarketOrder,
        taker: Counterparty,
        makers: list[Counterparty],
        trader_side: str,
        run_ns: int,
    ) -> None:
        trade_id = self._ids.new("trade")
        row = trade_json(
            trade_id=trade_id,
            taker=taker,
            makers=makers,
            market=order.posted.market.condition_id,
            trader_side=trader_side,
            run_ns=run_ns,
        )
        order.trades.append(trade_id)
        self._account.trades[trade_id] = row
        self._log.count(VENUE, "fills")
        self._tell_trade(row, run_ns)
        self._later(self._mined_ns, lambda: self._advance(row, "MINED", trade_id))

    def _advance(self, row: dict[str, Any], status: str, trade_id: str) -> None:
        """A trade goes on chain, then is final."""
        run_ns = self._clock.run_ns()
        row["status"] = status
        row["last_update"] = str(run_ns // SECOND_NS)
        row["transaction_hash"] = "0x" + trade_id.replace("-", "") * 2
        self._tell_trade(row, run_ns)
        if status == "MINED":
            self._later(self._confirmed_ns, lambda: self._advance(row, "CONFIRMED", trade_id))

    # ---- our resting orders

    def filled_resting(self, market: PolymarketMarket, fills: list[Take], run_ns: int) -> None:
        """Fills of our resting orders that the book has already carried out. Makers pay no fee."""
        for take in fills:
            assert take.maker is not None
            order = self._account.open[take.maker.key]
            posted = order.posted
            unit_e6 = unit_cost_e6(take.price_e6, posted.is_no)
            if posted.is_buy:
                shares_e6, cash_e6 = take.size_e6, -cost_up_e6(take.size_e6, unit_e6)
            else:
                shares_e6, cash_e6 = -take.size_e6, take.size_e6 * unit_e6 // ONE_E6
            self._account.move(posted.token, shares_e6=shares_e6, cash_e6=cash_e6, fee_e6=0)
            order.matched_e6 += take.size_e6
            order.leaves_e6 = take.maker.leaves_e6
            if order.leaves_e6 == 0:
                del self._account.open[order.order_id]
                order.status = "MATCHED"
            taker = other_party(posted, take, self._ids.new("taker"))
            maker = order.party(self._account.api_key, unit_e6, take.size_e6)
            self._record(order, taker, [maker], "MAKER", run_ns)
            self._tell(order, "UPDATE", run_ns)
            side = "SELL" if posted.side == BID else "BUY"
            self._hub.last_trade(market, YES, take.price_e6, take.size_e6, side, run_ns)

    # ---- cancelling

    def cancel(self, order_ids: list[str], status: str = "CANCELED") -> dict[str, Any]:
        """The answer of every cancel call: what died, and why the rest did not."""
        canceled: list[str] = []
        failed: dict[str, str] = {}
        for order_id in order_ids:
            order = self._account.open.get(order_id)
            if order is None:
                failed[order_id] = "already canceled or matched"
            elif order.status == "DELAYED":
                failed[order_id] = "cannot cancel because the order is in pending/delayed status"
            else:
                self._kill(order, status)
                canceled.append(order_id)
        self._log.count(VENUE, "canceled", len(canceled))
        return {"canceled": canceled, "not_canceled": failed}

    def cancel_where(
        self, condition_id: str = "", token: str = "", status: str = "CANCELED"
    ) -> dict[str, Any]:
        """Cancel all orders of a market or token; both empty: all."""
        chosen = [
            order.order_id
            for order in self._account.open.values()
            if condition_id in ("", order.posted.market.condition_id)
            and token in ("", order.posted.token)
        ]
        return self.cancel(chosen, status)

    def expire(self, run_ns: int) -> None:
        """GTD orders die a minute before the time they state."""
        if self._expiring:
            for order in self._expiring:
                ends_ns = (order.posted.expiration_s - GTD_LEAD_S) * SECOND_NS
                if ends_ns <= run_ns and order.order_id in self._account.open:
                    self._kill(order, "CANCELED")
            open_orders = self._account.open
            self._expiring = [one for one in self._expiring if one.order_id in open_orders]

    def _kill(self, order: PolymarketOrder, status: str) -> None:
        run_ns = self._clock.run_ns()
        market = order.posted.market
        del self._account.open[order.order_id]
        changes = market.book.cancel(order.order_id)
        order.status = status
        order.leaves_e6 = 0
        self._hub.changes(market, changes, run_ns)
        self._tell(order, "CANCELLATION", run_ns)

    # ---- the user channel

    def _tell(self, order: PolymarketOrder, kind: str, run_ns: int) -> None:
        event = order.event_json(self._account.api_key, kind, run_ns)
        self._hub.user(order.posted.market.condition_id, event)

    def _tell_trade(self, row: dict[str, Any], run_ns: int) -> None:
        event = {
            "event_type": "trade",
            "type": "TRADE",
            **row,
            "trade_owner": self._account.api_key,
            "transaction_hash": row["transaction_hash"] or None,
            "timestamp": str(run_ns // MS_NS),
        }
        del event["error_msg"]
        self._hub.user(row["market"], event)


def answer(
    order_id: str, status: str, *, making_e6: int | None = None, taking_e6: int | None = None
) -> dict[str, Any]:
    """The body of an accepted POST /order; amounts are decimal strings, "" when nothing matched."""
    return {
        "success": True,
        "errorMsg": "",
        "orderID": order_id,
        "takingAmount": "" if taking_e6 is None else plain(taking_e6),
        "makingAmount": "" if making_e6 is None else plain(making_e6),
        "status": status,
    }
