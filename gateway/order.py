"""The life of an order as tables: where it was placed, how its trades settled, what it filled.
Pure.

Two axes. `PLACED_MOVES[state, event]` is the next placed state, `SETTLED_MOVES[state]` the states
a trade may go to next. A pair that is not in a table is illegal: nothing changes and the caller
counts it. Answers, order frames and trades come late, twice and in any order, so what an order
filled is not a sum of messages but a fold over the newest evidence (`Order.booked`): trades by id,
and the best cumulative answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.ports import Fill, Outcome, Placing
from shm_layout import (
    BUY,
    E6,
    P_ACKED,
    P_DELAYED,
    P_DONE,
    P_LIVE,
    P_NEW,
    P_REJECTED,
    P_SENT,
    P_UNKNOWN,
    S_CONFIRMED,
    S_FAILED,
    S_MATCHED,
    S_MINED,
    S_NONE,
    reason,
)

EVENTS = ("send", "refuse", "ack", "rest", "delay", "finish", "reject", "lose", "absent")
E_SEND, E_REFUSE, E_ACK, E_REST, E_DELAY, E_FINISH, E_REJECT, E_LOSE, E_ABSENT = range(9)

PLACED_MOVES: dict[tuple[int, int], int] = {
    (P_NEW, E_SEND): P_SENT,
    (P_NEW, E_REFUSE): P_REJECTED,
    (P_SENT, E_ACK): P_ACKED,
    (P_SENT, E_REST): P_LIVE,
    (P_SENT, E_DELAY): P_DELAYED,
    (P_SENT, E_FINISH): P_DONE,
    (P_SENT, E_REJECT): P_REJECTED,
    (P_SENT, E_LOSE): P_UNKNOWN,
    (P_ACKED, E_ACK): P_ACKED,
    (P_ACKED, E_REST): P_LIVE,
    (P_ACKED, E_DELAY): P_DELAYED,
    (P_ACKED, E_FINISH): P_DONE,
    (P_ACKED, E_REJECT): P_REJECTED,
    (P_ACKED, E_LOSE): P_UNKNOWN,
    (P_LIVE, E_ACK): P_LIVE,
    (P_LIVE, E_REST): P_LIVE,
    (P_LIVE, E_DELAY): P_LIVE,
    (P_LIVE, E_FINISH): P_DONE,
    (P_LIVE, E_LOSE): P_UNKNOWN,
    (P_DELAYED, E_ACK): P_DELAYED,
    (P_DELAYED, E_REST): P_LIVE,
    (P_DELAYED, E_DELAY): P_DELAYED,
    (P_DELAYED, E_FINISH): P_DONE,
    (P_DELAYED, E_REJECT): P_REJECTED,
    (P_DELAYED, E_LOSE): P_UNKNOWN,
    (
        P_DELAYED,
        E_ABSENT,
    ): P_DONE,  # held back, then in no list: it matched nothing (polymarket reference, 8)
    (P_DONE, E_ACK): P_DONE,
    (P_DONE, E_FINISH): P_DONE,
    (P_REJECTED, E_REJECT): P_REJECTED,
    (P_REJECTED, E_FINISH): P_DONE,  # the venue's trades outweigh its answer
    (P_UNKNOWN, E_ACK): P_UNKNOWN,
    (P_UNKNOWN, E_REST): P_LIVE,
    (P_UNKNOWN, E_DELAY): P_DELAYED,
    (P_UNKNOWN, E_FINISH): P_DONE,
    (P_UNKNOWN, E_REJECT): P_REJECTED,
    (P_UNKNOWN, E_LOSE): P_UNKNOWN,
    (P_UNKNOWN, E_ABSENT): P_REJECTED,  # in no list, twice, past the read lag: it never arrived
}
SETTLED_MOVES: dict[int, frozenset[int]] = {
    S_NONE: frozenset((S_MATCHED, S_MINED, S_CONFIRMED, S_FAILED)),
    S_MATCHED: frozenset((S_MATCHED, S_MINED, S_CONFIRMED, S_FAILED)),
    S_MINED: frozenset((S_MINED, S_CONFIRMED, S_FAILED)),
    S_CONFIRMED: frozenset((S_CONFIRMED,)),
    S_FAILED: frozenset((S_FAILED,)),
}
FINAL = frozenset((P_DONE, P_REJECTED))
TRADES_MAX = 256
REFINES_MAX = 3
UNKNOWN = reason("unknown_outcome")


class Amounts(NamedTuple):
    """Contracts, price × size in the token's terms, and the fee."""

    filled_e6: int = 0
    notional_e6: int = 0
    fee_e6: int = 0


NOTHING = Amounts()


@dataclass(slots=True)
class Order:
    """One order: one leg of one intent. `side` and `limit_e6` in YES terms, `placing` as the venue
    sees it.
    """

    intent: int
    leg: int
    venue: int
    instrument: int
    generation: int
    side: int
    limit_e6: int
    size_e6: int
    placing: Placing
    key: str = ""
    venue_id: str = ""
    placed: int = P_NEW
    reason: int = 0
    send_ns: int = 0
    ack_ns: int = 0
    cumulative: Amounts | None = None
    is_exact: bool = False
    trades: dict[str, Fill] = field(default_factory=dict)
    folded: Amounts = NOTHING  # what the accounts have booked of it
    booked_ns: int = 0  # when the accounts last booked something of it
    cash_e6: int = 0  # cash it moved so far, without fees: signed
    absence_ns: int = 0  # from when on a venue that does not know it has never had it
    absent_count: int = 0
    next_query_ns: int = 0
    asked_ns: int = 0  # when the last question about it left
    queries: int = 0
    refines: int = 0  # questions about a final order that were answered
    recheck: bool = False  # ask once more: a user channel was down
    is_bet: bool = False  # no other leg hedges what it fills

    @property
    def is_final(self) -> bool:
        """Nothing more can fill. DONE and REJECTED; a late trade is booked all the same."""
        return self.placed in FINAL

    @property
    def settled(self) -> int:
        """FAILED if any trade failed, else the least settled of its trades; NONE without trades."""
        states = [trade.settled for trade in self.trades.values()]
        return S_FAILED if S_FAILED in states else min(states, default=S_NONE)

    @property
    def wants_refining(self) -> bool:
        """Filled by an answer that gives averages only, its trades have not come, and few
        questions were answered.
        """
        if self.is_exact or self.cumulative is None or self.refines >= REFINES_MAX:
            return False
        told_e6 = sum(trade.size_e6 for trade in self.trades.values())
        return told_e6 < self.cumulative.filled_e6

    def move(self, event: int) -> bool:
        """Go on by an event. False: illegal here, nothing changed."""
        to = PLACED_MOVES.get((self.placed, event))
        if to is None:
            return False
        self.placed = to
        if to in FINAL and self.reason == UNKNOWN:
            self.reason = 0  # its outcome is known now
        return True

    def learn(self, outcome: Outcome) -> bool:
        """Take a cumulative answer: its amounts if they are better evidence, and its event. False:
        illegal move.
        """
        if outcome.venue_id:
            self.venue_id = outcome.venue_id
        if outcome.filled_e6 is not None:
            self._accumulate(outcome, outcome.filled_e6)
        moved = self.move(outcome.event)
        if moved and outcome.reason and not self.reason:
            self.reason = outcome.reason
        return moved

    def _accumulate(self, outcome: Outcome, filled_e6: int) -> None:
        before = self.cumulative
        if before is not None:
            if filled_e6 < before.filled_e6:
                return
            if filled_e6 == before.filled_e6 and (self.is_exact or not outcome.is_exact):
                return
        notional_e6 = outcome.notional_e6
        if notional_e6 is None:
            notional_e6 = worst_notional_e6(self.placing, filled_e6)
        self.cumulative = Amounts(filled_e6, notional_e6, outcome.fee_e6 or 0)
        self.is_exact = outcome.is_exact

    def trade(self, fill: Fill) -> bool:
        """Take a trade, or the next settled state of one. False: a repeat, a step back, or too
        many: nothing changed.
        """
        known = self.trades.get(fill.trade)
        if known is None:
            if len(self.trades) >= TRADES_MAX:
                return False
            self.trades[fill.trade] = fill
            return True
        if fill.settled == known.settled or fill.settled not in SETTLED_MOVES[known.settled]:
            return False
        self.trades[fill.trade] = fill
        return True

    def booked(self) -> Amounts:
        """What it filled by the best evidence now: trades once they account for all of it, else
        the cumulative answer.

        A failed trade is taken out of both.
        """
        good = [trade for trade in self.trades.values() if trade.settled != S_FAILED]
        bad = [trade for trade in self.trades.values() if trade.settled == S_FAILED]
        from_trades = _total(good)
        if self.cumulative is None:
            return from_trades
        lost = _total(bad)
        answer = Amounts(
            max(self.cumulative.filled_e6 - lost.filled_e6, 0),
            max(self.cumulative.notional_e6 - lost.notional_e6, 0),
            max(self.cumulative.fee_e6 - lost.fee_e6, 0),
        )
        return from_trades if from_trades.filled_e6 >= answer.filled_e6 else answer

    def unresolved_e6(self) -> int:
        """Contracts that may still turn out to be filled: they count as filled (DESIGN section
        6).
        """
        return 0 if self.is_final else max(self.size_e6 - self.booked().filled_e6, 0)


def _total(trades: list[Fill]) -> Amounts:
    return Amounts(
        sum(trade.size_e6 for trade in trades),
        sum(trade.notional_e6 for trade in trades),
        sum(trade.fee_e6 or 0 for trade in trades),
    )


def worst_notional_e6(placing: Placing, filled_e6: int) -> int:
    """price × size at the order's limit, rounded against us: the most a BUY pays, the least a SELL
    gets.
    """
    product = placing.price_e6 * filled_e6
    return -(-product // E6) if placing.side == BUY else product // E6


def average_e6(amounts: Amounts) -> int:
    """Average price in the token's terms, down to 1e-6; 0 if nothing filled."""
    return amounts.notional_e6 * E6 // amounts.filled_e6 if amounts.filled_e6 else 0
