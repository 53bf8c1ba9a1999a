"""The last gate on what an intent's legs are: the markets of its row, each in its place, on the
sides of its direction, and together worth more than they cost. Judged plainly and compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shm_layout import BUY, SELL
from tests.gateway.guard_case import SIZE, Case, Row, a_set, case
from tests.gateway.scene import KALSHI, POLY, fee
from tests.twins.guard import worst_cost_e6

Break = Callable[[Case], object]


def row(**changed: object) -> Break:
    """The row of the intent is another."""

    def apply(c: Case) -> None:
        assert isinstance(c.standing.pair, Row)
        pair = replace(c.standing.pair, **changed)  # type: ignore[arg-type]
        c.standing = c.standing._replace(pair=pair)

    return apply


def turned(c: Case) -> None:
    """The legs change places."""
    c.looks.reverse()
    c.intent = c.intent._replace(legs=tuple(look.leg for look in c.looks))


def directed(direction: int) -> Break:
    def apply(c: Case) -> None:
        c.intent = c.intent._replace(direction=direction)

    return apply


SET_BREAKS: list[Break] = [
    turned, directed(2), directed(-1), row(barred=1), row(generation=2), row(more=(9,)),
    row(more=()), row(more=(4, 1)), row(same=1), row(more=(2,)), lambda c: c.drop(2),
    lambda c: c.leg(2, side=SELL), lambda c: c.leg(1, size_e6=SIZE + 10_000),
    lambda c: c.leg(0, size_e6=SIZE - 10_000), lambda c: c.leg(1, limit_e6=360_000),
    directed(1),
]  # fmt: skip


@pytest.mark.parametrize("breaks", [turned, directed(1), row(barred=1), row(a=7), row(b=7),
                                    row(generation=2), row(same=0)])  # fmt: skip
def test_a_pair_is_the_markets_of_its_row_in_its_direction(breaks: Break) -> None:
    subject = case()
    breaks(subject)
    assert subject.reason() == "edge_gone"


def test_the_other_direction_of_a_pair_is_its_own() -> None:
    subject = case()
    subject.leg(KALSHI, side=SELL, limit_e6=500_000)
    subject.leg(POLY, side=BUY, limit_e6=420_000)
    assert subject.reason() == "edge_gone"
    directed(1)(subject)
    assert subject.reason() == "done"
    row(barred=1)(subject)
    assert subject.reason() == "done", "the other one is barred"
    row(barred=2)(subject)
    assert subject.reason() == "edge_gone"


@pytest.mark.parametrize("venue", [KALSHI, POLY])
@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_set_passes_both_ways(count: int, direction: int, venue: int) -> None:
    assert a_set(count, direction, venue).reason() == "done"


@pytest.mark.parametrize("breaks", SET_BREAKS)
def test_a_set_that_is_not_that_of_its_row_is_refused(breaks: Break) -> None:
    subject = a_set()
    breaks(subject)
    assert subject.reason() == "edge_gone"


def test_of_outcomes_sold_one_may_win_so_they_pay_one_dollar_less_than_they_are() -> None:
    """NO of three at 0.70 each: 2.10 for a sure 2."""
    subject = a_set(3, 1)
    for place in range(3):
        subject.leg(place, limit_e6=300_000)
    assert subject.reason() == "edge_gone"


def test_all_legs_of_an_account_are_paid_from_its_cash() -> None:
    subject = a_set(4)
    need_e6 = sum(worst_cost_e6(look, fee) for look in subject.looks)
    subject.accounts.cash[KALSHI].cash_e6 = need_e6 - 1
    assert subject.reason() == "cash"
    subject.accounts.cash[KALSHI].cash_e6 = need_e6
    assert subject.reason() == "done"


def test_of_a_set_all_legs_but_the_cheapest_may_stand_alone() -> None:
    subject = a_set(3)
    subject.leg(1, limit_e6=200_000)
    costs = sorted(worst_cost_e6(look, fee) for look in subject.looks)
    most_e6 = subject.params.unhedged_max_e6
    free_e6 = most_e6 - costs[1] - costs[2]
    subject.standing = subject.standing._replace(unhedged_e6=free_e6 + 1)
    assert subject.reason() == "limit_unhedged"
    subject.standing = subject.standing._replace(unhedged_e6=free_e6)
    assert subject.reason() == "done"
