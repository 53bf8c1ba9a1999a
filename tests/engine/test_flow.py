"""The buffer of trades against a list that is summed anew; and that its sums never drift."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from engine import flow as f
from shm_layout import BUY, SELL, Words
from tests.twins import flow as twin

SEED = 11
SECOND = twin.SECOND
T0 = 1_767_000_000 * SECOND
STRIKE = 68_000 * 10**8


def same(words: Words, at: int, plain: twin.Flow) -> None:
    """Every sum of the buffer is that of the list."""
    assert words[at + f.F_HEAD] - words[at + f.F_FAR] == len(plain.trades)
    assert f.trades_near(words, at) == len(plain.near)
    assert words[at + f.F_NET] == plain.net_e8
    paid = int(words[at + f.F_PAID]) * 10**18 + int(words[at + f.F_PAID_LO])
    assert paid == sum(price * size for _, price, size, _ in plain.trades)
    assert Fraction(f.dominant_share(words, at)) == Fraction(float(plain.share))
    assert math.isclose(f.velocity(words, at, STRIKE), plain.velocity(STRIKE), rel_tol=1e-12)
    assert math.isclose(f.mean_price(words, at) * 1e8, plain.mean, rel_tol=1e-12)
    assert (words[at + f.F_EARLY], words[at + f.F_ODD]) == (plain.early, plain.odd)


@pytest.mark.parametrize("at", [0, f.FLOW_CELLS])
def test_the_compiled_buffer_equals_the_plain_one(at: int) -> None:
    rng, words, plain = random.Random(SEED + at), np.zeros(2 * f.FLOW_CELLS, np.int64), twin.Flow()
    now, trade = T0, 0
    for case in range(3_000):
        now += rng.choice([0, 1, 10**6, 10**8, SECOND, 20 * SECOND])
        trade += rng.choice([0, 1, 1, 1, 7])
        entry = (
            trade, now + rng.choice([0, 0, -(10**8), 5 * SECOND, -90 * SECOND]),
            rng.choice([STRIKE, STRIKE + rng.randrange(-(10**10), 10**10), 1, 10**18, 0, -5]),
            rng.choice([0, 1, 123_456, 10**8, 10**15, 10**15 + 1]), rng.choice([BUY, SELL, -1]),
            now,
        )  # fmt: skip
        assert f.add_trade(words, at, *entry) == plain.add(*entry), (SEED, case)
        if rng.random() < 0.3:
            now += rng.choice([0, SECOND, 31 * SECOND])
            f.expire(words, at, now)
            plain.expire(now)
            same(words, at, plain)
    assert not words[: f.FLOW_CELLS].any() or at == 0  # the neighbour's cells are untouched


@njit
def _burst(words, count, start, step, price, seed):  # type: ignore[no-untyped-def]
    """`count` trades, each `step` ns after the last, of a random walk."""
    np.random.seed(seed)
    now = start
    for i in range(count):
        now += step
        price += np.random.randint(-100_000, 100_001)
        size = np.random.randint(0, 10**9)
        f.add_trade(words, 0, i + 1, now, price, size, np.random.randint(0, 2), now)
    return now


@pytest.mark.parametrize("step", [10**7, 5 * 10**6])  # 100 a second fits; 200 is more than is kept
def test_nothing_drifts_in_two_million_trades(step: int) -> None:
    words = np.zeros(f.FLOW_CELLS, np.int64)
    now = int(_burst(words, 2_000_000, T0, step, STRIKE, SEED))
    f.expire(words, 0, now)
    rows = words[f.FLOW_HEAD :].reshape(-1, f.TRADE_CELLS)
    kept = [tuple(map(int, rows[i % f.TRADES_MAX])) for i in range(words[f.F_FAR], words[f.F_HEAD])]
    assert len(kept) == min(60 * SECOND // step + 1, f.TRADES_MAX)
    plain = twin.Flow()
    plain.trades, plain.now, plain.early = kept, now, int(words[f.F_EARLY])
    same(words, 0, plain)
    assert (plain.early > 0) == (step == 5 * 10**6)
    words[f.F_NET] += 1  # negative control
    with pytest.raises(AssertionError):
        same(words, 0, plain)


def test_a_change_of_bid_or_ask_is_no_trade() -> None:
    words = np.zeros(f.FLOW_CELLS, np.int64)
    assert f.add_trade(words, 0, 5, T0, STRIKE, 10**8, BUY, T0)
    assert not f.add_trade(words, 0, 5, T0 + 1, STRIKE, 10**8, BUY, T0 + 1)
    assert words[f.F_NET] == 10**8 and f.trades_near(words, 0) == 1


def test_after_a_gap_the_buffer_is_empty_and_fills_again() -> None:
    words = np.zeros(f.FLOW_CELLS, np.int64)
    for i in range(10):
        f.add_trade(words, 0, 100 + i, T0 + i, STRIKE + i, 10**8, SELL, T0 + i)
    f.forget(words, 0)
    assert f.trades_near(words, 0) == 0 and f.mean_price(words, 0) == 0.0
    assert f.velocity(words, 0, STRIKE) == 0.0 and f.dominant_share(words, 0) == 0.0
    assert f.add_trade(words, 0, 1, T0 + 20, STRIKE, 2 * 10**8, SELL, T0 + 20)
    assert words[f.F_NET] == -2 * 10**8


def test_velocity_is_the_move_over_the_time_it_took_in_fractions_of_the_strike() -> None:
    words = np.zeros(f.FLOW_CELLS, np.int64)
    f.add_trade(words, 0, 1, T0, 68_000 * 10**8, 10**8, BUY, T0)
    f.add_trade(words, 0, 2, T0 + 20 * SECOND, 68_010 * 10**8, 10**8, BUY, T0 + 20 * SECOND)
    assert f.velocity(words, 0, STRIKE) == pytest.approx(0.5 / 68_000)  # $0.50 a second
