"""The detector's fair value is the model's, from the same terms and the newest price; and when
there is none."""

from __future__ import annotations

from math import hypot, isnan

import numpy as np
import pytest

from engine import cells as c
from engine import memory as m
from engine import pricing as p
from engine.basis import LEAST
from shm_layout import BODY, E6, INSTRUMENT, MARKET_TERMS, Words, cell
from tests.engine.test_model import CF, COINBASE, E8, KALSHI_RULE, POLYMARKET_RULE, begun
from tests.engine.world import KALSHI, POLYMARKET, SECOND, record


def memory_of(seconds: int, instrument: int = 0) -> tuple[Words, int]:
    """A detector's memory as the rings left it so long after the window began, and the model's own
    fair value."""
    desk = begun()
    desk.go(seconds - 60)
    mem = m.fresh()
    venue, rule = ((KALSHI, KALSHI_RULE), (POLYMARKET, POLYMARKET_RULE))[instrument]
    opened = desk.run_ns - seconds * SECOND
    row = record(INSTRUMENT, index=instrument, generation=1, venue=venue, live=1,
                 settlement_rule=rule.cell, open_epoch_ns=opened)  # fmt: skip
    mem[m.INSTRUMENT_AT + instrument * BODY :][:BODY] = row
    terms = np.zeros(BODY, np.int64)
    found = desk.market(instrument)
    assert found is not None
    terms.view(MARKET_TERMS)[0] = found
    mem[m.MARKET_AT + instrument * BODY :][:BODY] = terms
    mem[m.META + m.M_NOW], mem[m.META + m.M_RUN] = desk.world.now, desk.run_ns
    mem[m.META + m.M_ALIVE] = 1 << COINBASE
    mem[m.FEED_EPOCH + COINBASE] = 1
    at = m.SPOT_AT
    mem[at + m.SP_VALUE], mem[at + m.SP_FEED], mem[at + m.SP_EPOCH] = 80_010 * E8, COINBASE, 1
    mem[at + m.SP_RECV], mem[at + m.SP_EVENT] = desk.world.now, desk.run_ns
    return mem, int(found["fair_e6"])


def priced(mem: Words, instrument: int = 0) -> np.ndarray:
    out = np.zeros(p.OUT_CELLS)
    has = p.price_market(mem, instrument, out)
    assert has == (not isnan(out[p.O_FAIR]))
    return out


@pytest.mark.parametrize(("seconds", "instrument"), [(60, 0), (60, 1), (860, 0), (860, 1)])
def test_it_is_the_models_fair_value(seconds: int, instrument: int) -> None:
    """Before the averaging window and inside it, on both venues' rules."""
    mem, fair_e6 = memory_of(seconds, instrument)
    out = priced(mem, instrument)
    assert out[p.O_FAIR] * E6 == pytest.approx(fair_e6, abs=1)
    assert out[p.O_LEFT] == pytest.approx(900 - seconds) and out[p.O_LENGTH] == pytest.approx(900)
    assert out[p.O_SPOT] == pytest.approx(80_015 if instrument == 0 else 80_005)
    assert 0 < out[p.O_VARIANCE] < 900 - seconds


@pytest.mark.parametrize(("instrument", "never"), [(0, 0.0), (1, LEAST)])
def test_what_no_price_says_of_the_settlement_shrinks_with_the_ticks_that_came(
    instrument: int, never: float
) -> None:
    """The basis is of the ticks still to come; what a published TWAP is off them is of all."""
    mem, _ = memory_of(860, instrument)
    out, terms = priced(mem, instrument), m.MARKET_AT + instrument * BODY
    known, off = int(mem[terms + c.MT_COUNT]), int(mem[terms + c.MT_BASIS_SD]) / E8
    assert 0 < known < 60 and off > 0
    found = hypot(off * (60 - known) / 60, never * out[p.O_MEAN]) / out[p.O_SPOT]
    assert out[p.O_ERROR] == pytest.approx(found, rel=1e-12)


def test_a_newer_price_moves_it_without_a_word_of_the_model() -> None:
    mem, _ = memory_of(300)
    before = priced(mem)[p.O_FAIR]
    mem[m.SPOT_AT + m.SP_VALUE] += 20 * E8
    assert priced(mem)[p.O_FAIR] > before + 0.01


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (m.SPOT_AT + m.SP_TRUST, 1),
        (m.SPOT_AT + m.SP_VALUE, 0),
        (m.SPOT_AT + m.SP_EPOCH, 2),
        (m.SPOT_AT + m.SP_RECV, 0),
        (m.SPOT_AT + m.SP_FEED, CF),
        (m.META + m.M_ALIVE, 0),
        (m.META + m.M_RUN, 1 << 62),
        (m.INSTRUMENT_AT + c.I_GENERATION, 2),
        (m.INSTRUMENT_AT + c.I_LIVE, 0),
        (m.INSTRUMENT_AT + c.I_RULE, 0),
        (m.MARKET_AT + c.MT_VALID, 0),
        (m.MARKET_AT + c.MT_STRIKE, -1),
        (m.MARKET_AT + c.MT_NUMBER, 0),
        (m.MARKET_AT + c.MT_SPOT_SLOT, 99),
        (m.MARKET_AT + c.MT_SIGMA, 0),
    ],
)
def test_what_is_not_known_has_no_fair_value(place: int, value: int) -> None:
    mem, _ = memory_of(60)
    assert not isnan(priced(mem)[p.O_FAIR])
    mem[place] = value
    assert isnan(priced(mem)[p.O_FAIR])


def test_there_is_no_market_outside_the_table() -> None:
    mem, _ = memory_of(60)
    assert not p.price_market(mem, -1, np.zeros(p.OUT_CELLS))
    assert not p.price_market(mem, 10**6, np.zeros(p.OUT_CELLS))
    assert cell(INSTRUMENT, "settlement_rule") == c.I_RULE
