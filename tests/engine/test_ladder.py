"""Ranges: each is priced, and the ladder of an event sums to one, or is said to be wrong."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from engine import memory as m
from engine import pricing as p
from engine.fair_rules import ABOVE, BELOW, BETWEEN, MEAN, Rule
from engine.ladder import OFF, Rung, ladder_sum
from engine.model import Model
from shm_layout import (
    BODY,
    COUNTERS,
    E6,
    INSTRUMENT,
    MARKET_TERMS,
    MODEL,
    NONE_NS,
    ROLE,
    Words,
    cell,
    word_load,
)
from tests.engine.test_model import BRTI, CLOSE, COINBASE, E8, SPOT_SLOT, Desk
from tests.engine.world import CHEAP, KALSHI, RUN_0, record

# a ladder of $20 steps as Kalshi tells it: floor and cap in dollars; None: not told
STEPS = (
    (BELOW, None, 79_960.0),
    *((BETWEEN, low, low + 19.99) for low in (79_960.0, 79_980.0, 80_000.0, 80_020.0, 80_040.0)),
    (ABOVE, 80_059.99, None),
)
FIRST = 10  # number of the first instrument


class Ranges(Desk):
    """One event of ranges and two tails, beside the windows of `Desk`."""

    def __init__(self, steps: tuple[tuple[int, float | None, float | None], ...] = STEPS) -> None:
        self.steps = steps
        super().__init__()

    def __post_init__(self) -> None:
        super().__post_init__()
        for i, (compare, low, high) in enumerate(self.steps):
            rule = Rule(kind=MEAN, compare=compare, digits=2, n=60)
            self.world.instrument(
                FIRST + i, KALSHI, settlement_rule=rule.cell, open_epoch_ns=RUN_0, event=7,
                index_slot=BRTI, spot_slot=SPOT_SLOT, cap_e8=round((high or 0) * E8),
            )  # fmt: skip
            strike_e8 = NONE_NS if low is None else round(low * E8)
            self.world.quote(FIRST + i, KALSHI, *CHEAP, strike_e8=strike_e8, close_epoch_ns=CLOSE)
        self.model = Model(self.world.segment)

    def rows(self) -> list[np.void]:
        found = [self.market(FIRST + i) for i in range(len(self.steps))]
        return [row for row in found if row is not None]

    def wrong(self) -> int:
        at = self.world.segment.at("roles", MODEL) + cell(ROLE, "counters")
        return int(word_load(self.world.words, at + COUNTERS["model"].index("ladders")))


def test_a_ladder_sums_to_one_and_each_rung_has_a_fair_value() -> None:
    desk = Ranges()
    desk.go(120, 80_000)
    rows = desk.rows()
    assert len(rows) == len(STEPS) and all(row["ladder_e6"] == E6 for row in rows)
    fairs = [int(row["fair_e6"]) for row in rows]
    assert sum(fairs) == pytest.approx(E6, abs=5) and all(10_000 < fair < E6 for fair in fairs)
    assert rows[0]["strike_e8"] == 79_960 * E8  # what pays below takes its cap
    assert desk.wrong() == 0
    one = desk.market(0)
    assert one is not None and one["ladder_e6"] == NONE_NS


@pytest.mark.parametrize(
    ("number", "step"), [(3, (BETWEEN, 80_000.0, 80_025.0)), (3, (BETWEEN, 80_005.0, 80_019.99))]
)
def test_an_overlap_or_a_hole_is_told(
    number: int, step: tuple[int, float | None, float | None]
) -> None:
    desk = Ranges((*STEPS[:number], step, *STEPS[number + 1 :]))
    desk.go(120, 80_000)
    assert all(abs(row["ladder_e6"] - E6) > OFF * E6 for row in desk.rows()) and desk.wrong() > 0
    assert all(row["strike_e8"] == NONE_NS for row in desk.rows()), "and nothing of it is traded"


def test_part_of_a_ladder_says_nothing_unless_it_is_too_much_already() -> None:
    desk = Ranges(STEPS[1:])
    desk.go(120, 80_000)
    assert all(row["ladder_e6"] == NONE_NS for row in desk.rows()) and desk.wrong() == 0
    assert ladder_sum([Rung(BETWEEN, 0.7), Rung(BETWEEN, 0.4)]) == pytest.approx(1.1)
    assert ladder_sum([Rung(BETWEEN, 0.7), Rung(BETWEEN, 0.3 + OFF / 2)]) is None


def detector_memory(desk: Ranges, number: int) -> Words:
    """A detector's memory with this rung, as the rings left it."""
    mem = m.fresh()
    compare, _, high = desk.steps[number]
    rule = Rule(kind=MEAN, compare=compare, digits=2, n=60)
    at, instrument = m.SPOT_AT, FIRST + number
    mem[m.INSTRUMENT_AT + instrument * BODY :][:BODY] = record(
        INSTRUMENT, index=instrument, generation=1, venue=KALSHI, live=1,
        settlement_rule=rule.cell, open_epoch_ns=RUN_0, cap_e8=round((high or 0) * E8),
    )  # fmt: skip
    terms = np.zeros(BODY, np.int64)
    terms.view(MARKET_TERMS)[0] = desk.market(instrument)
    mem[m.MARKET_AT + instrument * BODY :][:BODY] = terms
    mem[m.META + m.M_NOW], mem[m.META + m.M_RUN] = desk.world.now, desk.run_ns
    mem[m.META + m.M_ALIVE], mem[m.FEED_EPOCH + COINBASE] = 1 << COINBASE, 1
    mem[at + m.SP_VALUE], mem[at + m.SP_FEED], mem[at + m.SP_EPOCH] = 80_000 * E8, COINBASE, 1
    mem[at + m.SP_RECV], mem[at + m.SP_EVENT] = desk.world.now, desk.run_ns
    return mem


def test_the_detector_prices_each_rung_as_the_model_does() -> None:
    desk = Ranges()
    desk.go(120, 80_000)
    out, total = np.zeros(p.OUT_CELLS), 0.0
    for number, row in enumerate(desk.rows()):
        assert p.price_market(detector_memory(desk, number), FIRST + number, out)
        assert out[p.O_FAIR] * E6 == pytest.approx(int(row["fair_e6"]), abs=1)
        # a distance means nothing where YES does not ask for more than the strike
        assert isnan(out[p.O_STRIKE]) == (STEPS[number][0] != ABOVE)
        total += out[p.O_FAIR]
    assert total == pytest.approx(1.0, abs=1e-9)
    mem = detector_memory(desk, 2)
    mem[m.INSTRUMENT_AT + (FIRST + 2) * BODY + cell(INSTRUMENT, "cap_e8")] = 0
    assert not p.price_market(mem, FIRST + 2, out), "a range without its upper bound has no price"
