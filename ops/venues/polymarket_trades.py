"""The life of a match at the simulated Polymarket: MATCHED, MINED, CONFIRMED; or through RETRYING,
and at times FAILED.

A failed trade gives back what it moved (reference section 13). Which trades fail is commanded
(`decide`) or a seeded chance. A trade whose tokens or money are no longer free cannot be taken
back: it is mined at the second try instead.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Any

from ops.venues.numerals import SECOND_NS
from ops.venues.polymarket_account import PolymarketAccount
from ops.venues.polymarket_market import PolymarketMarket
from ops.venues.polymarket_rows import Counterparty, trade_event, trade_row
from ops.venues.polymarket_supply import Move, Supply
from ops.venues.polymarket_ws import PolymarketHub
from ops.venues.session import Ids, Later, RunClock, VenueLog

VENUE = "polymarket"
# What follows MATCHED, by fate.
LIVES = {
    "CONFIRMED": ("MINED", "CONFIRMED"),
    "RETRYING": ("RETRYING", "MINED", "CONFIRMED"),
    "FAILED": ("RETRYING", "FAILED"),
}
_ON_CHAIN = ("MINED", "CONFIRMED")


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeTerms:
    """Delays in machine ns, chances in 1e-6 of all trades. Block and confirmation: typical match
    to block 2.2 s (public latency note, 2026-09-26).
    """

    mined_ns: int
    confirmed_ns: int
    failed_e6: int = 0
    retrying_e6: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What the desk of one account and its trades work with."""

    account: PolymarketAccount
    supply: Supply
    hub: PolymarketHub
    clock: RunClock
    log: VenueLog
    later: Later
    ids: Ids


@dataclass(slots=True, kw_only=True, eq=False)
class Trade:
    """One trade: the row that REST shows, and what undoing it would move."""

    row: dict[str, Any]
    order_id: str
    market: PolymarketMarket
    moves: list[Move]
    fee_e6: int
    fate: str
    next: int = 0


class Trades:
    """All trades of one account."""

    def __init__(self, office: Office, terms: TradeTerms) -> None:
        self._office = office
        self._terms = terms
        self._chance = random.Random(terms.seed)
        self._decided: deque[str] = deque()

    def decide(self, *fates: str) -> None:
        """The fates of the next trades, in turn: keys of LIVES."""
        assert all(fate in LIVES for fate in fates), f"{fates}, wanted some of {list(LIVES)}"
        self._decided.extend(fates)

    def book(
        self,
        *,
        market: PolymarketMarket,
        moves: list[Move],
        fee_e6: int,
        taker: Counterparty,
        makers: list[Counterparty],
        trader_side: str,
        owner: str,
    ) -> str:
        """Carry out one match and begin its life; the trade's id."""
        run_ns = self._office.clock.run_ns()
        ours = taker if trader_side == "TAKER" else makers[0]
        self._move(ours.order_id, moves, fee_e6)
        trade_id = self._office.ids.new("trade")
        row = trade_row(
            trade_id=trade_id,
            taker=taker,
            makers=makers,
            market=market.condition_id,
            trader_side=trader_side,
            run_ns=run_ns,
        )
        trade = Trade(
            row=row, order_id=ours.order_id, market=market, moves=moves, fee_e6=fee_e6,
            fate=self._fate(),
        )  # fmt: skip
        self._office.account.trades[trade_id] = row
        self._office.account.owners[trade_id] = owner
        self._office.log.count(VENUE, "fills")
        for move in moves:
            self._office.log.count(VENUE, f"matches_{move.kind}")
        self._tell(trade, run_ns)
        self._office.later(self._terms.mined_ns, lambda: self._advance(trade))
        return trade_id

    def _fate(self) -> str:
        if self._decided:
            return self._decided.popleft()
        terms = self._terms
        if not terms.failed_e6 and not terms.retrying_e6:
            return "CONFIRMED"
        drawn = self._chance.randrange(1_000_000)
        if drawn < terms.failed_e6:
            return "FAILED"
        return "RETRYING" if drawn < terms.failed_e6 + terms.retrying_e6 else "CONFIRMED"

    def _move(self, order_id: str, moves: list[Move], fee_e6: int, *, undoes: bool = False) -> None:
        notional_e6 = sum(abs(move.cash_e6) for move in moves)
        self._office.account.matched(
            order_id, notional_e6=-notional_e6 if undoes else notional_e6, fee_e6=fee_e6
        )
        fees = [fee_e6, *(0 for _ in moves[1:])]
        for move, fee in zip(moves, fees, strict=True):
            self._office.account.move(
                move.token, shares_e6=move.shares_e6, cash_e6=move.cash_e6, fee_e6=fee
            )
            self._office.supply.book(move, fee)

    def _advance(self, trade: Trade) -> None:
        status = LIVES[trade.fate][trade.next]
        if status == "FAILED" and not self._can_undo(trade):
            trade.fate = "RETRYING"  # whose second step is MINED
            status = LIVES[trade.fate][trade.next]
            self._office.log.count(VENUE, "trades_kept")
        trade.next += 1
        if status == "FAILED":
            back = [move.undone() for move in trade.moves]
            self._move(trade.order_id, back, -trade.fee_e6, undoes=True)
        run_ns, row = self._office.clock.run_ns(), trade.row
        row["status"] = status
        row["last_update"] = str(run_ns // SECOND_NS)
        if status in _ON_CHAIN:
            row["transaction_hash"] = "0x" + row["id"].replace("-", "") * 2
        self._office.log.count(VENUE, f"trades_{status.lower()}")
        self._tell(trade, run_ns)
        rest = LIVES[trade.fate][trade.next :]
        if rest:
            is_last = rest[0] == "CONFIRMED"
            delay_ns = self._terms.confirmed_ns if is_last else self._terms.mined_ns
            self._office.later(delay_ns, lambda: self._advance(trade))

    def _can_undo(self, trade: Trade) -> bool:
        """Whether what the trade brought is still free, and its market still open."""
        if trade.market.settlement_e6 is not None:
            return False
        shares_e6 = sum(move.shares_e6 for move in trade.moves)
        back_e6 = sum(move.cash_e6 for move in trade.moves) - trade.fee_e6
        free_e6 = self._office.account.free_tokens_e6(trade.moves[0].token)
        return free_e6 >= shares_e6 and self._office.account.free_cash_e6() >= back_e6

    def _tell(self, trade: Trade, run_ns: int) -> None:
        owner = self._office.account.owners[trade.row["id"]]
        event = trade_event(trade.row, owner, trade.market.tokens, run_ns)
        self._office.hub.user(self._office.account.address, trade.market.condition_id, event)
