"""What is promised of every decision on two books, whatever they show; each promise with a wrong
decision that breaks it (Show 2 of the decisions' issue)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from shm_layout import BUY, E6
from tests.engine.books import LOT_E6, Case, cases, mirrored, result_e6
from tests.engine.test_edge import found
from tests.twins import edge as twin
from tests.twins.edge import NOTHING, Answer, Book, token

Decide = Callable[[Case], Answer]
many = settings(
    max_examples=250, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def kernel(case: Case) -> Answer:
    """The compiled decision."""
    same, direction = case.same, case.direction
    args = same, direction, case.edge_min, case.off, case.cap, case.walk_budget
    answer = found(case.a, case.b, *args)
    assert len(answer) == 7
    return answer


# ---- the promises: each raises AssertionError


def loses_nothing(decide: Decide, case: Case, _: int = 0) -> None:
    """Filled wholly at its limits, fees as the venue takes them: nothing is lost. And what is said
    to be left is what filling from these books leaves."""
    answer = decide(case)
    if answer[0] == 0:
        assert answer == NOTHING
        return
    worst, _ = result_e6(case, answer, at_limits=True)
    assert worst >= 0, worst
    left, is_small = result_e6(case, answer, at_limits=False)
    slack = 100 * 10 if is_small else 0
    assert answer[6] <= left + slack and left >= worst - slack
    if not is_small and 0 not in (case.a.kind, case.b.kind):
        assert answer[6] == left // 1
        assert answer[5] == left * E6 // answer[0] - case.off >= case.edge_min


def takes_what_is_there(decide: Decide, case: Case, _: int = 0) -> None:
    """No more than both books show at the limits or better, than the cap, and legal sizes only."""
    answer = decide(case)
    size = answer[0]
    assert size <= case.cap
    for leg, (book, side) in enumerate(zip((case.a, case.b), case.sides, strict=True)):
        limit = answer[1 + leg]
        shown = [
            amount for price, amount in (book.asks if side == BUY else book.bids)
            if (price <= limit if side == BUY else price >= limit)
        ]  # fmt: skip
        assert size <= sum(shown)
        if size:
            assert size % LOT_E6 == 0
            price = token(limit, side)
            assert not book.notional_step or size * price % (book.notional_step * E6) == 0
            assert size * price >= book.notional_min * E6


def _not_much_less(case: Case, more: Answer, less: Answer) -> None:
    """`more` leaves what `less` leaves, but for one more rounding of two fees; the same where
    `less` is not within that rounding of the threshold."""
    if less[0] == 0 or more[6] + case.units_e6 + 1 >= less[6]:
        return
    spare = less[6] * E6 - (case.edge_min + case.off) * less[0]
    assert more[0] == 0 and spare < (case.units_e6 + 1) * E6, (less, more)


def more_depth_is_no_worse(decide: Decide, case: Case, choice: int) -> None:
    """One level more, or more at a level, on a side that is taken from."""
    leg, choice = choice % 2, choice // 2
    book, side = (case.a, case.b)[leg], case.sides[leg]
    levels = list(book.asks if side == BUY else book.bids)
    extra = (choice // 5 % 1000 + 1) * LOT_E6
    if choice % 5 < len(levels):
        price, size = levels[choice % 5]
        levels[choice % 5] = price, size + extra
    elif len(levels) < 5:
        step = book.grid[1] if side == BUY else -book.grid[1]
        price = levels[-1][0] + step if levels else 500_000
        if 0 < price < E6:
            levels.append((price, extra))
    deeper = replace(book, asks=tuple(levels)) if side == BUY else replace(book, bids=tuple(levels))
    _not_much_less(case, decide(case.with_leg(leg, deeper)), decide(case))


def more_fees_are_no_better(decide: Decide, case: Case, choice: int) -> None:
    """A higher rate, or an unknown kind."""
    leg, choice = choice % 2, choice // 2
    book = (case.a, case.b)[leg]
    dearer = replace(book, rate=book.rate + choice % 100_000)
    _not_much_less(case, decide(case), decide(case.with_leg(leg, dearer)))


def mirrors_are_alike(decide: Decide, case: Case, _: int = 0) -> None:
    """YES and NO changed over: the other direction, the same size, fees, edge and profit."""
    answer = decide(case)
    other = decide(
        replace(case, a=mirrored(case.a), b=mirrored(case.b), direction=1 - case.direction)
    )
    limits = tuple(E6 - limit for limit in other[1:3]) if other[0] else other[1:3]
    assert answer == (other[0], *limits, *other[3:])
    swapped = decide(
        replace(
            case, a=case.b, b=case.a,
            direction=1 - case.direction if case.same else case.direction,
        )
    )  # fmt: skip
    assert answer == (
        swapped[0], swapped[2], swapped[1], swapped[4], swapped[3], *swapped[5:],
    )  # fmt: skip


def equals_the_twin(decide: Decide, case: Case, _: int = 0) -> None:
    """The plain one in Fractions."""
    args = case.edge_min, case.off, case.cap, bool(case.walk_budget)
    assert decide(case) == twin.cross_venue(case.a, case.b, case.same, case.direction, *args)


PROMISES = (
    loses_nothing, takes_what_is_there, more_depth_is_no_worse, more_fees_are_no_better,
    mirrors_are_alike, equals_the_twin,
)  # fmt: skip
choices = st.integers(0, 2 * 5 * 1000 * 100)
PHASES = (Phase.generate,)  # what is found need not be made small


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_decision_keeps(promise: Callable[[Decide, Case, int], None]) -> None:
    hits = []

    @many
    @given(cases(), choices)
    def holds(case: Case, choice: int) -> None:
        hits.append(kernel(case)[0] > 0)
        promise(kernel, case, choice)

    holds()
    assert sum(hits) > len(hits) // 6, f"{sum(hits)} of {len(hits)} cases have an edge"


# ---- wrong decisions, one or more for each promise


def _without_fees(book: Book) -> Book:
    return replace(book, kind=1)


def free(case: Case) -> Answer:
    """As if nobody took fees."""
    return kernel(replace(case, a=_without_fees(case.a), b=_without_fees(case.b)))


def rounded_late(case: Case) -> Answer:
    """Fees in whole cents for the venue's own."""
    return kernel(replace(case, a=replace(case.a, unit=10_000, mode=1)))


def greedy(case: Case) -> Answer:
    """Takes twice what it found."""
    answer = kernel(case)
    return (2 * answer[0], *answer[1:])


def odd(case: Case) -> Answer:
    """Forgets the step of sizes."""
    answer = kernel(case)
    return (answer[0] - 1, *answer[1:]) if answer[0] else answer


def shy(case: Case) -> Answer:
    """The more levels, the fewer contracts."""
    levels = sum(len(side) for book in (case.a, case.b) for side in (book.bids, book.asks))
    return kernel(replace(case, cap=case.cap // (levels * levels + 1)))


def perverse(case: Case) -> Answer:
    """A fee counts as gain."""
    answer = kernel(case)
    return (*answer[:6], answer[6] + 3 * (answer[3] + answer[4]) + case.a.rate)


def one_sided(case: Case) -> Answer:
    """Sees no edge when it sells a."""
    return NOTHING if case.direction else kernel(case)


@pytest.mark.parametrize(
    ("promise", "wrong"),
    [
        (loses_nothing, free), (loses_nothing, rounded_late), (takes_what_is_there, greedy),
        (takes_what_is_there, odd), (more_depth_is_no_worse, shy),
        (more_fees_are_no_better, perverse), (mirrors_are_alike, one_sided),
        (equals_the_twin, free),
    ],
    ids=lambda each: each.__name__,
)  # fmt: skip
def test_a_wrong_decision_is_found(
    promise: Callable[[Decide, Case, int], None], wrong: Decide
) -> None:
    def breaks(both: tuple[Case, int]) -> bool:
        try:
            promise(wrong, *both)
        except AssertionError:
            return True
        return False

    few = settings(max_examples=3_000, derandomize=True, deadline=None, phases=PHASES)
    try:
        find(st.tuples(cases(), choices), breaks, settings=few)
    except NoSuchExample:
        pytest.fail(f"{wrong.__name__} kept the promise in every case")
