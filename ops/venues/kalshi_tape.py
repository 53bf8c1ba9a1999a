"""Where Kalshi tells what happened: book changes, prints, fills, orders, positions. Channels hear
at once, reads later; the public tape of trades is kept for REST.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ops.venues.book import Change
from ops.venues.kalshi_account import KalshiAccount
from ops.venues.kalshi_candles import Candles
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_order import USER_ID, KalshiOrder, direction
from ops.venues.kalshi_reads import KalshiReads
from ops.venues.kalshi_ws import KalshiHub
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, count2, dollars4, dollars6, iso_us
from ops.venues.session import Ids

TRADES_MAX = 20_000  # kept for GET /markets/trades
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
_PRINT_ONLY_FRAME = ("ts", "ts_ms")


class KalshiTape:
    """Tells channels and reads. `trades`: (run stamp, row), oldest first."""

    def __init__(
        self, *, account: KalshiAccount, reads: KalshiReads, hub: KalshiHub, ids: Ids
    ) -> None:
        self._account = account
        self._reads = reads
        self._hub = hub
        self._ids = ids
        self.trades: deque[tuple[int, dict[str, Any]]] = deque(maxlen=TRADES_MAX)
        self.candles = Candles()

    def deltas(
        self, market: KalshiMarket, changes: list[Change], run_ns: int, own: str = ""
    ) -> None:
        """Changes of a book; `own`: the client id of our order that made them."""
        for change in changes:
            size_e6 = change.new_e6 - change.old_e6
            self._hub.delta(
                market, change.side, change.price_e6, size_e6, run_ns, client_order_id=own
            )

    def order_changed(self, order: KalshiOrder) -> None:
        """An order was created, filled, changed or cancelled."""
        self._reads.order(order)
        ticker = order.market.ticker
        self._hub.publish("user_orders", "user_order", ticker, order.channel_json())

    def filled(
        self, order: KalshiOrder, price_e6: int, size_e6: int, fee_e6: int, run_ns: int,
        *, is_taker: bool,
    ) -> None:  # fmt: skip
        """One fill of ours, already booked: it is a print of the public tape as well."""
        market, trade_id = order.market, self._ids.new("trade")
        taker_side = order.side if is_taker else 1 - order.side
        self.printed(market, price_e6, size_e6, taker_side, run_ns, trade_id=trade_id)
        words = direction(order.side)
        fill: dict[str, Any] = {
            "fill_id": trade_id,
            "trade_id": trade_id,
            "order_id": order.order_id,
            "ticker": market.ticker,
            "market_ticker": market.ticker,
            "exchange_index": order.shard,
            **words,
            "count_fp": count2(size_e6),
            "yes_price_dollars": dollars4(price_e6),
            "no_price_dollars": dollars4(ONE_E6 - price_e6),
            "is_taker": is_taker,
            "created_time": iso_us(run_ns),
            "ts": run_ns // SECOND_NS,
            "fee_cost": dollars6(fee_e6),
            "subaccount_number": 0,
        }
        self._reads.fill(fill)
        message = {
            **{key: fill[key] for key in _FILL_FRAME},
            "client_order_id": order.client_order_id,
            "ts_ms": run_ns // MS_NS,
            "post_position_fp": count2(self._account.position(market.ticker).net_e6),
            "purchased_side": words["outcome_side"],
            "outcome_side": words["outcome_side"],
            "book_side": words["book_side"],
            "subaccount": 0,
        }
        self._hub.publish("fill", "fill", market.ticker, message)
        self.position_changed(market)

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
        """One print on the public tape, ours or between others."""
        market.last_e6, market.last_size_e6 = price_e6, size_e6
        market.volume_e6 += size_e6
        self.candles.printed(market, price_e6, size_e6, run_ns)
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
        row = {key: value for key, value in message.items() if key not in _PRINT_ONLY_FRAME}
        row["ticker"] = row.pop("market_ticker")
        self.trades.append((run_ns, {**row, "created_time": iso_us(run_ns)}))

    def position_changed(self, market: KalshiMarket) -> None:
        """Tell the market_positions channel and the reads."""
        self._reads.position(market)
        self._reads.balance()
        position = self._account.position(market.ticker)
        message = {
            "user_id": USER_ID,
            "market_ticker": market.ticker,
            "position_fp": count2(position.net_e6),
            "position_cost_dollars": dollars6(position.cost_e6),
            "realized_pnl_dollars": dollars6(position.realized_e6),
            "fees_paid_dollars": dollars6(position.fees_e6),
            "position_fee_cost_dollars": dollars6(position.fees_e6),
            "volume_fp": count2(position.shares_e6),
        }
        self._hub.publish("market_positions", "market_position", market.ticker, message)

    def group_changed(self, message: dict[str, Any]) -> None:
        """Tell the order_group_updates channel."""
        self._hub.publish("order_group_updates", "order_group_updates", "", message)
