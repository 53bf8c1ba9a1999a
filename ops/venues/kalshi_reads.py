"""What Kalshi's portfolio reads show: the account as it was a moment ago.

Reads lag writes by the order of a second: an order read 360 ms after its acknowledged cancel was
still resting (demo, 2026-06-11), and an order may be unknown right after its create. Only GET
/portfolio/* lags; answers to writes and the private channels do not (kalshi.md 7).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ops.venues.kalshi_account import KalshiAccount, Position
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_order import KalshiOrder
from ops.venues.numerals import SECOND_NS, count2, dollars4, dollars6, iso_us
from ops.venues.session import RunClock

Row = dict[str, Any]
_ORDER, _FILL, _POSITION, _SETTLEMENT, _BALANCE, _TRANSFER = range(6)


@dataclass(frozen=True, slots=True)
class Balance:
    """Free cash by shard, and by shard what open positions cost and resting orders hold."""

    free_e6: Mapping[int, int] = field(default_factory=dict)
    worth_e6: Mapping[int, int] = field(default_factory=dict)
    held_e6: Mapping[int, int] = field(default_factory=dict)
    at_ns: int = 0


class KalshiReads:
    """Rows as they were written, shown `lag_ns` of machine time later."""

    def __init__(self, account: KalshiAccount, *, lag_ns: int, clock: RunClock) -> None:
        self._account = account
        self._clock = clock
        self.lag_ns = lag_ns
        self._orders: dict[str, Row] = {}
        self._fills: list[Row] = []
        self._positions: dict[KalshiMarket, Position] = {}
        self._settlements: list[Row] = []
        self._transfers: dict[str, Row] = {}
        self._balance = self._balance_now()
        self._due: deque[tuple[int, int, Any]] = deque()

    # ---- what the desk writes

    def order(self, order: KalshiOrder) -> None:
        """An order changed, and with it what cash is free."""
        self._note(_ORDER, order.rest_json())
        self.balance()

    def fill(self, row: Row) -> None:
        """One more fill."""
        self._note(_FILL, row)

    def position(self, market: KalshiMarket) -> None:
        """A position changed."""
        self._note(_POSITION, (market, replace(self._account.position(market.ticker))))

    def settlement(self, row: Row) -> None:
        """A market paid."""
        self._note(_SETTLEMENT, row)

    def transfer(self, row: Row) -> None:
        """A transfer between shards was accepted or carried out."""
        self._note(_TRANSFER, row)

    def balance(self) -> None:
        """Cash changed."""
        self._note(_BALANCE, self._balance_now())

    def _note(self, kind: int, value: Any) -> None:
        now_ns = self._clock.mono_ns()
        self._catch_up(now_ns)
        self._due.append((now_ns + self.lag_ns, kind, value))

    def _balance_now(self) -> Balance:
        account = self._account
        held_e6: dict[int, int] = {}
        for order in account.open.values():
            held_e6[order.shard] = held_e6.get(order.shard, 0) + order.reserved_e6
        free_e6 = {
            shard: cash_e6 - held_e6.get(shard, 0)
            for shard, cash_e6 in sorted(account.cash_e6.items())
        }
        return Balance(free_e6, dict(account.worth_e6), held_e6, self._clock.run_ns())

    def _catch_up(self, now_ns: int) -> None:
        due = self._due
        while due and due[0][0] <= now_ns:
            _, kind, value = due.popleft()
            if kind == _ORDER:
                self._orders[value["order_id"]] = value
            elif kind == _FILL:
                self._fills.append(value)
            elif kind == _POSITION:
                self._positions[value[0]] = value[1]
            elif kind == _SETTLEMENT:
                self._settlements.append(value)
            elif kind == _TRANSFER:
                self._transfers[value["transfer_id"]] = value
            else:
                self._balance = value

    def _now(self) -> None:
        self._catch_up(self._clock.mono_ns())

    # ---- what is read

    def as_of(self) -> Row:
        """GET /exchange/user_data_timestamp: how far the reads are."""
        return {"as_of_time": iso_us(self._clock.run_ns_at(self._clock.mono_ns() - self.lag_ns))}

    def orders(self) -> list[Row]:
        """Newest first."""
        self._now()
        return list(reversed(self._orders.values()))

    def one_order(self, order_id: str) -> Row | None:
        self._now()
        return self._orders.get(order_id)

    def fills(self) -> list[Row]:
        """Newest first."""
        self._now()
        return self._fills[::-1]

    def settlements(self) -> list[Row]:
        """Newest first."""
        self._now()
        return self._settlements[::-1]

    def transfers(self) -> list[Row]:
        """Newest first."""
        self._now()
        return list(reversed(self._transfers.values()))

    def balance_json(self, shard: int | None) -> Row:
        """GET /portfolio/balance: free cash, and what positions cost; of one shard if named."""
        self._now()
        known = self._balance
        free = {at: cash for at, cash in known.free_e6.items() if shard in (None, at)}
        worth_e6 = sum(cost for at, cost in known.worth_e6.items() if shard in (None, at))
        total_e6 = sum(free.values())
        rows = [{"exchange_index": at, "balance": dollars4(cash)} for at, cash in free.items()]
        return {
            "balance": total_e6 // 10_000,
            "balance_dollars": dollars4(total_e6),
            "portfolio_value": worth_e6 // 10_000,
            "updated_ts": known.at_ns // SECOND_NS,
            "balance_breakdown": rows,
        }

    def resting_value_json(self) -> Row:
        """GET /portfolio/summary/total_resting_order_value."""
        self._now()
        held = self._balance.held_e6
        rows = [{"exchange_index": at, "balance": dollars4(cash)} for at, cash in held.items()]
        total_e6 = sum(held.values())
        return {
            "total_resting_order_value": total_e6 // 10_000,
            "resting_order_value_breakdown": rows,
        }

    def positions(self) -> list[tuple[KalshiMarket, Position]]:
        """Every market ever traded."""
        self._now()
        return list(self._positions.items())


def market_position(market: KalshiMarket, position: Position) -> Row:
    """A row of `market_positions`."""
    return {
        "ticker": market.ticker,
        "exchange_index": market.spec.exchange_index,
        "position_fp": count2(position.net_e6),
        "market_exposure_dollars": dollars6(position.cost_e6),
        "realized_pnl_dollars": dollars6(position.realized_e6),
        "fees_paid_dollars": dollars6(position.fees_e6),
        "total_traded_dollars": dollars6(position.traded_e6),
        "last_updated_ts": iso_us(position.updated_ns),
    }


def event_position(event: str, positions: list[Position]) -> Row:
    """A row of `event_positions`: the sum over its markets."""
    return {
        "event_ticker": event,
        "total_cost_dollars": dollars6(sum(position.traded_e6 for position in positions)),
        "total_cost_shares_fp": count2(sum(position.shares_e6 for position in positions)),
        "event_exposure_dollars": dollars6(sum(position.cost_e6 for position in positions)),
        "realized_pnl_dollars": dollars6(sum(position.realized_e6 for position in positions)),
        "fees_paid_dollars": dollars6(sum(position.fees_e6 for position in positions)),
    }
