"""Polymarket's matcher: FAK and FOK BUYs spend a budget, GTC and SELLs move shares, takers may
be held back. A match is one trade with one fee; `polymarket_trades.py` lives its life.
"""

from __future__ import annotations

from typing import Any

from ops.venues.book import Budget, Plan, Resting, Take, cost_up_e6, unit_cost_e6
from ops.venues.fees import polymarket_fee_e6
from ops.venues.numerals import ONE_E6, SECOND_NS, plain
from ops.venues.polymarket_account import PolymarketOrder
from ops.venues.polymarket_market import YES, PolymarketMarket
from ops.venues.polymarket_order import MARKETABLE_MIN_E6, OrderError, Posted
from ops.venues.polymarket_rows import other_party
from ops.venues.polymarket_supply import Move, is_complement
from ops.venues.polymarket_trades import VENUE, Office, Trades, TradeTerms
from ops.venues.script import BID

NO_MATCH = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match"
    " is found."
)
NOT_FILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."
NO_FUNDS = "not enough balance / allowance"
NOT_READY = "the market is not yet ready to process new orders"
GTD_LEAD_S = 60


class PolymarketDesk:
    """Takes orders for one account."""

    def __init__(self, office: Office, terms: TradeTerms) -> None:
        self._office = office
        self._expiring: list[PolymarketOrder] = []
        self.trades = Trades(office, terms)

    # ---- posting

    def post(self, posted: Posted) -> tuple[dict[str, Any], str]:
        """Accept an order that is in shape: (answer, outcome word). Raises OrderError."""
        account, order_id, market = self._office.account, posted.order_id, posted.market
        if order_id in account.seen:
            raise OrderError(f"order {order_id} is invalid. Duplicated.", word="duplicate")
        self._check_standing(posted)
        if market.is_early:
            raise OrderError(NOT_READY, word="not_ready")
        if not market.is_open:
            text = f"the orderbook {posted.token} does not exist"
            raise OrderError(text, status=404, word="no_orderbook")
        run_ns = self._office.clock.run_ns()
        self._check_expiry(posted, run_ns)
        plan = self._plan(posted)
        if posted.post_only and (plan.takes or plan.own or posted.is_immediate):
            raise OrderError("invalid post-only order: order crosses book", word="post_only")
        self._check_minimum(posted, plan)
        self._check_funds(posted, plan)
        account.seen.add(order_id)
        order = PolymarketOrder(posted=posted, created_ns=run_ns)
        if plan.own:
            self._office.log.count(VENUE, "self_trades")
        if posted.is_immediate and (not plan.takes or self._falls_short(posted, plan)):
            self._kill_at_once(order, run_ns)
        if plan.takes and market.spec.taker_delay_ns:
            return self._delay(order, plan, run_ns)
        return self._execute(order, plan, run_ns)

    def _check_standing(self, posted: Posted) -> None:
        """Close-only lets an account sell what it has."""
        account = self._office.account
        if account.state == "banned":
            raise OrderError(f"'{posted.maker}' address banned", word="banned")
        if account.state == "closed_only" and posted.is_buy:
            text = f"'{posted.maker}' address in closed only mode"
            raise OrderError(text, word="closed_only")

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
        account = self._office.account
        if posted.is_buy:
            cost_e6, fee_e6 = self._cost(posted, plan)
            rest_e6 = 0 if posted.is_immediate else posted.shares_e6 - plan.size_e6
            whole_e6 = cost_e6 + cost_up_e6(rest_e6, posted.price_e6)
            need_e6 = max(posted.maker_amount_e6, whole_e6) + fee_e6
            if need_e6 > account.free_cash_e6():
                raise OrderError(NO_FUNDS, word="no_funds")
            allowed_e6 = account.free_allowance_e6()
            if allowed_e6 is not None and need_e6 > allowed_e6:
                text = f"{NO_FUNDS}: the allowance is not enough -> allowance: {allowed_e6}"
                raise OrderError(f"{text}, order amount: {need_e6}", word="no_allowance")
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
        event = order.event_json("CANCELLATION", run_ns)
        event.update(size_matched="", outcome="", created_at="", associate_trades=[])
        self._office.hub.user(self._office.account.address, posted.market.condition_id, event)
        raise OrderError(text, order_id=posted.order_id, word=word)

    # ---- the taker delay

    def _delay(self, order: PolymarketOrder, plan: Plan, run_ns: int) -> tuple[dict[str, Any], str]:
        """Hold a marketable order; it is matched against the book as it will be then."""
        posted = order.posted
        cost_e6, fee_e6 = self._cost(posted, plan)
        order.status = "DELAYED"
        order.leaves_e6 = posted.shares_e6
        order.held_e6 = max(posted.maker_amount_e6, cost_e6) + fee_e6 if posted.is_buy else 0
        self._office.account.open[order.order_id] = order
        self._tell(order, "PLACEMENT", run_ns)
        self._office.later(posted.market.spec.taker_delay_ns, lambda: self._released(order))
        return answer(order.order_id, "delayed"), "delayed"

    def _released(self, order: PolymarketOrder) -> None:
        posted, run_ns = order.posted, self._office.clock.run_ns()
        if self._office.account.open.pop(order.order_id, None) is None:
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
            self._office.log.count(VENUE, "delayed_unmatched")
            self._tell(order, "CANCELLATION", run_ns)
            return
        self._office.log.count(VENUE, "delayed_matched")
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

    def _move(self, posted: Posted, take: Take, is_other: bool) -> Move:
        """Our side of one step of a match: a BUY's cost is rounded up, a SELL's proceeds down."""
        unit_e6 = unit_cost_e6(take.price_e6, posted.is_no)
        if posted.is_buy:
            shares_e6, cash_e6 = take.size_e6, -cost_up_e6(take.size_e6, unit_e6)
        else:
            shares_e6, cash_e6 = -take.size_e6, take.size_e6 * unit_e6 // ONE_E6
        return Move(
            token=posted.token,
            other=posted.other_token if is_other else "",
            shares_e6=shares_e6,
            cash_e6=cash_e6,
        )

    def _execute(
        self, order: PolymarketOrder, plan: Plan, run_ns: int
    ) -> tuple[dict[str, Any], str]:
        posted = order.posted
        market = posted.market
        money_e6, fee_e6 = self._cost(posted, plan)
        shares_e6 = plan.size_e6
        if shares_e6:
            changes = market.book.take(plan)
            order.matched_e6 = shares_e6
            self._taken(order, plan, money_e6, fee_e6, run_ns)
            self._office.hub.changes(market, changes, run_ns)
            self._office.hub.book(market, is_first=False)
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
        self._office.account.open[order.order_id] = order
        if posted.order_type == "GTD":
            self._expiring.append(order)
        self._office.hub.changes(posted.market, posted.market.book.rest(order.resting), run_ns)

    def _taken(
        self, order: PolymarketOrder, plan: Plan, money_e6: int, fee_e6: int, run_ns: int
    ) -> None:
        """Book the trade of a taker, and print it."""
        posted, market = order.posted, order.posted.market
        tick_e6 = market.tick_e6
        average_e6 = (2 * money_e6 * ONE_E6 + plan.size_e6 * tick_e6) // (
            2 * plan.size_e6 * tick_e6
        )
        steps = [(take, is_complement(take.price_e6, tick_e6)) for take in plan.takes]
        trade_id = self.trades.book(
            market=market,
            moves=[self._move(posted, take, is_other) for take, is_other in steps],
            fee_e6=fee_e6,
            taker=order.party(average_e6 * tick_e6, plan.size_e6),
            makers=[
                other_party(posted, take, self._office.ids.new("maker"), is_complement=is_other)
                for take, is_other in steps
            ],
            trader_side="TAKER",
            owner=posted.owner,
        )
        order.trades.append(trade_id)
        side = "BUY" if posted.is_buy else "SELL"
        for take in plan.takes:
            price_e6 = unit_cost_e6(take.price_e6, posted.is_no)
            self._office.hub.last_trade(
                market, posted.outcome, price_e6, take.size_e6, side, run_ns
            )

    # ---- our resting orders

    def filled_resting(self, market: PolymarketMarket, fills: list[Take], run_ns: int) -> None:
        """Fills of our resting orders that the book has already carried out. Makers pay no fee."""
        for take in fills:
            assert take.maker is not None
            order = self._office.account.open[take.maker.key]
            posted = order.posted
            unit_e6 = unit_cost_e6(take.price_e6, posted.is_no)
            order.matched_e6 += take.size_e6
            order.leaves_e6 = take.maker.leaves_e6
            if order.leaves_e6 == 0:
                del self._office.account.open[order.order_id]
                order.status = "MATCHED"
            is_other = is_complement(take.price_e6, market.tick_e6)
            trade_id = self.trades.book(
                market=market,
                moves=[self._move(posted, take, is_other)],
                fee_e6=0,
                taker=other_party(
                    posted, take, self._office.ids.new("taker"), is_complement=is_other
                ),
                makers=[order.party(unit_e6, take.size_e6)],
                trader_side="MAKER",
                owner=posted.owner,
            )
            order.trades.append(trade_id)
            self._tell(order, "UPDATE", run_ns)
            side = "SELL" if posted.side == BID else "BUY"
            self._office.hub.last_trade(market, YES, take.price_e6, take.size_e6, side, run_ns)

    # ---- cancelling

    def cancel(self, order_ids: list[str], status: str = "CANCELED") -> dict[str, Any]:
        """The answer of every cancel call: what died, and why the rest did not."""
        canceled: list[str] = []
        failed: dict[str, str] = {}
        for order_id in order_ids:
            order = self._office.account.open.get(order_id)
            if order is None:
                failed[order_id] = "already canceled or matched"
            elif order.status == "DELAYED":
                failed[order_id] = "cannot cancel because the order is in pending/delayed status"
            else:
                self._kill(order, status)
                canceled.append(order_id)
        self._office.log.count(VENUE, "canceled", len(canceled))
        return {"canceled": canceled, "not_canceled": failed}

    def cancel_where(
        self, condition_id: str = "", token: str = "", status: str = "CANCELED", owner: str = ""
    ) -> dict[str, Any]:
        """Cancel all orders of a market, token or API key; all empty: all."""
        return self.cancel(self.open_ids(condition_id, token, owner), status)

    def open_ids(self, condition_id: str = "", token: str = "", owner: str = "") -> list[str]:
        """The open orders of a market, token or API key; all empty: all."""
        return [
            order.order_id
            for order in self._office.account.open.values()
            if condition_id in ("", order.posted.market.condition_id)
            and token in ("", order.posted.token)
            and owner in ("", order.posted.owner)
        ]

    def expire(self, run_ns: int) -> None:
        """GTD orders die a minute before the time they state."""
        if self._expiring:
            for order in self._expiring:
                ends_ns = (order.posted.expiration_s - GTD_LEAD_S) * SECOND_NS
                if ends_ns <= run_ns and order.order_id in self._office.account.open:
                    self._kill(order, "CANCELED")
            open_orders = self._office.account.open
            self._expiring = [one for one in self._expiring if one.order_id in open_orders]

    def _kill(self, order: PolymarketOrder, status: str) -> None:
        run_ns = self._office.clock.run_ns()
        market = order.posted.market
        del self._office.account.open[order.order_id]
        changes = market.book.cancel(order.order_id)
        order.status = status
        order.leaves_e6 = 0
        self._office.hub.changes(market, changes, run_ns)
        self._tell(order, "CANCELLATION", run_ns)

    # ---- the user channel

    def _tell(self, order: PolymarketOrder, kind: str, run_ns: int) -> None:
        condition_id = order.posted.market.condition_id
        self._office.hub.user(
            self._office.account.address, condition_id, order.event_json(kind, run_ns)
        )


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
