"""The life of an order: both tables cell by cell, and the fold that makes arrival order
irrelevant.
"""

from __future__ import annotations

import itertools

import pytest

from gateway import order as o
from gateway.ports import NO, YES, Fill, Outcome, Placing
from shm_layout import (
    BUY,
    P_ACKED,
    P_DELAYED,
    P_DONE,
    P_LIVE,
    P_NEW,
    P_REJECTED,
    P_SENT,
    P_UNKNOWN,
    PLACED,
    S_CONFIRMED,
    S_FAILED,
    S_MATCHED,
    S_MINED,
    S_NONE,
    SELL,
)

X = None  # illegal
# rows: placed state; columns: send refuse ack rest delay finish reject lose absent
TABLE = {
    P_NEW: (P_SENT, P_REJECTED, X, X, X, X, X, X, X),
    P_SENT: (X, X, P_ACKED, P_LIVE, P_DELAYED, P_DONE, P_REJECTED, P_UNKNOWN, X),
    P_ACKED: (X, X, P_ACKED, P_LIVE, P_DELAYED, P_DONE, P_REJECTED, P_UNKNOWN, X),
    P_LIVE: (X, X, P_LIVE, P_LIVE, P_LIVE, P_DONE, X, P_UNKNOWN, X),
    P_DELAYED: (X, X, P_DELAYED, P_LIVE, P_DELAYED, P_DONE, P_REJECTED, P_UNKNOWN, P_DONE),
    P_DONE: (X, X, P_DONE, X, X, P_DONE, X, X, X),
    P_REJECTED: (X, X, X, X, X, P_DONE, P_REJECTED, X, X),
    P_UNKNOWN: (X, X, P_UNKNOWN, P_LIVE, P_DELAYED, P_DONE, P_REJECTED, P_UNKNOWN, P_REJECTED),
}
SETTLED = {  # from: to none, matched, mined, confirmed, failed
    S_NONE: (False, True, True, True, True),
    S_MATCHED: (False, True, True, True, True),
    S_MINED: (False, False, True, True, True),
    S_CONFIRMED: (False, False, False, True, False),
    S_FAILED: (False, False, False, False, True),
}


def order(placed: int = P_SENT, *, side: int = BUY, size_e6: int = 10_000_000) -> o.Order:
    return o.Order(
        intent=1, leg=0, venue=0, instrument=0, generation=1, side=side, limit_e6=500_000,
        size_e6=size_e6, placing=Placing(YES, side, 500_000), key="k", placed=placed,
    )  # fmt: skip


def fill(trade: str, size_e6: int, settled: int = S_CONFIRMED, price_e6: int = 490_000) -> Fill:
    notional_e6 = size_e6 * price_e6 // 1_000_000
    return Fill("k", trade, size_e6, notional_e6, 100, settled)


@pytest.mark.parametrize("placed", range(len(PLACED)))
@pytest.mark.parametrize("event", range(len(o.EVENTS)))
def test_every_cell_of_the_placed_axis(placed: int, event: int) -> None:
    subject = order(placed)
    wanted = TABLE[placed][event]
    assert subject.move(event) is (wanted is not None)
    assert subject.placed == (placed if wanted is None else wanted)


def test_the_table_has_no_cell_beside_the_walked_ones() -> None:
    legal = {(p, e) for p, row in TABLE.items() for e, to in enumerate(row) if to is not None}
    assert set(o.PLACED_MOVES) == legal


@pytest.mark.parametrize("was", SETTLED)
@pytest.mark.parametrize("to", range(5))
def test_every_cell_of_the_settled_axis(was: int, to: int) -> None:
    assert (to in o.SETTLED_MOVES[was]) is SETTLED[was][to]


def test_a_trade_is_booked_once_however_often_it_comes() -> None:
    subject = order()
    assert subject.trade(fill("a", 4_000_000))
    assert not subject.trade(fill("a", 4_000_000))
    assert subject.booked() == (4_000_000, 1_960_000, 100)


def test_answer_and_trades_give_the_same_amounts_in_every_order_of_arrival() -> None:
    answer = Outcome(o.E_FINISH, 0, 10_000_000, 4_900_000, 250)
    evidence: list[Outcome | Fill] = [
        answer,
        fill("a", 4_000_000),
        fill("b", 6_000_000),
        fill("a", 4_000_000),
    ]
    found = set()
    for arrival in itertools.permutations(evidence):
        subject = order()
        for item in arrival:
            if isinstance(item, Outcome):
                subject.learn(item)
            else:
                subject.trade(item)
        found.add((subject.booked(), subject.placed))
    assert found == {((10_000_000, 4_900_000, 200), P_DONE)}


def test_a_failed_trade_is_taken_out_of_the_answer_too() -> None:
    subject = order()
    subject.learn(Outcome(o.E_FINISH, 0, 10_000_000, 4_900_000, 200))
    subject.trade(fill("a", 4_000_000, S_MATCHED))
    subject.trade(fill("b", 6_000_000, S_MATCHED))
    assert subject.trade(fill("b", 6_000_000, S_FAILED))
    assert subject.booked() == (4_000_000, 1_960_000, 100)
    assert subject.settled == S_FAILED


def test_a_step_back_on_the_settled_axis_changes_nothing() -> None:
    subject = order()
    subject.trade(fill("a", 4_000_000, S_MINED))
    assert not subject.trade(fill("a", 4_000_000, S_MATCHED))
    assert subject.settled == S_MINED
    assert subject.trade(fill("a", 4_000_000, S_CONFIRMED))
    assert not subject.trade(fill("a", 4_000_000, S_FAILED))


def test_an_answer_without_amounts_counts_at_the_limit_against_us() -> None:
    for side, wanted in ((BUY, 1_666_666), (SELL, 1_666_665)):
        subject = order(side=side)
        subject.placing = Placing(NO, side, 333_333)
        subject.learn(Outcome(o.E_FINISH, 0, 5_000_001))
        assert subject.booked().notional_e6 == wanted


def test_unknown_counts_as_filled_until_it_is_final() -> None:
    subject = order()
    subject.learn(Outcome(o.E_LOSE, 30))
    subject.trade(fill("a", 4_000_000))
    assert subject.unresolved_e6() == 6_000_000
    subject.learn(Outcome(o.E_ABSENT, 0, 0, 0, 0, True))
    assert subject.placed == P_REJECTED
    assert subject.unresolved_e6() == 0
    assert subject.booked().filled_e6 == 4_000_000, "trades outweigh an empty list"


def test_smaller_cumulative_evidence_never_replaces_larger() -> None:
    subject = order()
    subject.learn(Outcome(o.E_ACK, 0, 6_000_000, 3_000_000, 1))
    subject.learn(Outcome(o.E_FINISH, 0, 4_000_000, 2_000_000, 1, True))
    assert subject.booked().filled_e6 == 6_000_000
    subject.learn(Outcome(o.E_FINISH, 0, 6_000_000, 2_940_000, 3, True))
    assert subject.booked() == (6_000_000, 2_940_000, 3), "exact amounts replace averages"
