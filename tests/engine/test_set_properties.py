"""No outcome of a set costs money: what the detector opens, whatever the books show, and how it
would lose in a direction that is not sure."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from shm_layout import BUY, E6, Words
from tests.engine.books import books, charged_e6, taken
from tests.engine.test_sets import NO, YES, legs_of
from tests.engine.world import KALSHI, POLYMARKET, World, detector_of, field_of
from tests.twins.edge import Book, token


@dataclass(frozen=True)
class Set:
    """What a registry says of markets, and what they show."""

    books: tuple[Book, ...]
    is_exclusive: bool
    is_complete: bool
    is_ladder: bool = False

    @property
    def row(self) -> dict[str, int]:
        """The row that a registry makes of it."""
        barred = 2 if self.is_ladder else 2 * (not self.is_exclusive) + (not self.is_complete)
        more = {"more": len(self.books) - 2, "c_generation": 1, "d_generation": 1}
        return {"same": int(self.is_ladder), "barred": barred} | more

    def outcomes(self) -> list[tuple[int, ...]]:
        """Every way it can settle: which of its markets pay."""
        every = itertools.product((0, 1), repeat=len(self.books))
        if self.is_ladder:
            return [outcome for outcome in every if outcome != (0, 1)]
        return [
            outcome for outcome in every
            if (sum(outcome) <= 1 or not self.is_exclusive)
            and (sum(outcome) >= 1 or not self.is_complete)
        ]  # fmt: skip


often = st.sampled_from((True, True, True, False))


@st.composite
def sets(draw: st.DrawFn, *, trap: tuple[bool, int] | None = None) -> Set:
    """Two to four books of one venue whose prices add up to about what they pay. `trap`: a ladder
    or none, and its direction that is not sure.
    """
    is_trap, (is_ladder, direction) = trap is not None, trap or (False, -1)
    count, is_kalshi = 2 if is_ladder else draw(st.integers(2, 4)), draw(st.booleans())
    is_ladder = is_ladder or (not is_trap and count == 2 and draw(st.booleans()))
    near = draw(st.sampled_from((70, 80, 90, 125, 140, 150)))
    places = [(near // count + draw(st.integers(-8, 8))) * 10_000 for _ in range(count)]
    if is_ladder:
        places = [places[0], places[0] + draw(st.integers(-5, 12)) * 10_000]
    return Set(
        tuple(draw(books(near_e6=each, is_kalshi=is_kalshi)) for each in places),
        direction != 1 and draw(often), direction != 0 and draw(often), is_ladder,
    )  # fmt: skip


class Rig:
    """One detector that is asked about one set after another: four markets of each venue."""

    def __init__(self) -> None:
        self.world = World()
        for index in range(8):
            self.world.instrument(index, index // 4)
        for venue in (KALSHI, POLYMARKET):
            self.world.start_feed(venue)
            self.world.cash(venue, 10_000 * E6)
        many = {f"orders_per_{each}": 10**9 for each in ("second", "minute", "day", "market")}
        self.world.parameters(edge_min_e6=0, **many)
        self.detector = detector_of(self.world)
        self.asked = 0

    def intents_of(self, case: Set, **row: int) -> list[Words]:
        """What goes out for a set."""
        self.asked += 1
        first = 4 * case.books[0].mode
        legs = {"a": first, "b": first + 1, "c": first + 2, "d": first + 3}
        self.world.pair(0, **legs, generation=self.asked, **case.row | row)
        for leg, book in enumerate(case.books):
            fields = {
                "fee_kind": book.kind, "fee_rate_e6": book.rate, "size_min_e6": book.size_min,
                "size_step_e6": book.size_step, "notional_min_e6": book.notional_min,
                "notional_step_e6": book.notional_step, "tick": book.grid[1],
            }  # fmt: skip
            self.world.quote(first + leg, first // 4, book.bids, book.asks, **fields)
        intents = self.world.step(self.detector)
        self.world.pair(0, **legs, approved=0, same=0, generation=self.asked)
        for intent in intents:
            self.world.end(intent, "stale")
        assert self.world.step(self.detector) == []
        return intents


def worst_e6(case: Set, intent: Words) -> Fraction:
    """What its worst outcome leaves, by the venue's own fees, everything at its limit."""
    cost, sides, sizes = Fraction(0), [], set()
    for leg, (place, side, limit, size) in enumerate(
        legs_of(intent, "instrument", "side", "limit_e6", "size_e6")
    ):
        assert place % 4 == leg
        taken(case.books[leg], side, size)  # as much is shown
        fee, _ = charged_e6(case.books[leg], [(token(limit, side), size)])
        cost += Fraction(token(limit, side) * size, E6) + fee
        sides.append(side)
        sizes.add(size)
    (size,) = sizes
    paid = min(
        sum(won if side == BUY else 1 - won for won, side in zip(outcome, sides, strict=True))
        for outcome in case.outcomes()
    )
    return paid * size - cost


few = settings(
    max_examples=300, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


def test_no_outcome_of_a_set_costs_money_after_fees() -> None:
    rig, hits = Rig(), Counter[tuple[int, int]]()

    @few
    @given(sets())
    def holds(case: Set) -> None:
        for intent in rig.intents_of(case):
            assert worst_e6(case, intent) >= 0
            hits[field_of(intent, "leg_count"), field_of(intent, "direction")] += 1

    holds()
    assert len(hits) == 6 and sum(hits.values()) > 25, hits


@pytest.mark.parametrize(
    ("trap", "direction"),
    [("none of them wins", YES), ("two of them win", NO), ("a ladder upside down", NO)],
)
def test_a_direction_that_is_not_sure_would_lose_were_it_not_barred(
    trap: str, direction: int
) -> None:
    """Negative control: an augmented set is not complete, sets may overlap, ladders have a top."""
    rig, is_ladder = Rig(), trap.startswith("a ladder")

    def loses(case: Set) -> bool:
        return any(
            field_of(intent, "direction") == direction and worst_e6(case, intent) < 0
            for intent in rig.intents_of(case, barred=0)
        )

    quick = settings(few, phases=(Phase.generate,), max_examples=500)
    assert find(sets(trap=(is_ladder, direction)), loses, settings=quick)
