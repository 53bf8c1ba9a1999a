"""The difference of two prices: its level, and how far it strays."""

from __future__ import annotations

import numpy as np
import pytest

from engine.basis import AT_FIRST, LEAST, Basis

SECOND = 10**9
SEED = 20_261_121


def test_before_anything_was_seen_it_may_be_off_by_a_lot() -> None:
    basis = Basis()
    assert not basis.is_known and basis.level == 0
    assert basis.sd(80_000) == pytest.approx(80_000 * AT_FIRST)


def test_level_and_deviation_are_those_of_what_was_seen() -> None:
    rng, basis = np.random.default_rng(SEED), Basis()
    for i in range(3_000):
        basis.take(80_000 + rng.normal(25, 8), 80_000, (i + 1) * SECOND)
    assert basis.level == pytest.approx(25, abs=3) and basis.is_known
    assert basis.sd(80_000) == pytest.approx(np.hypot(8, 80_000 * LEAST), rel=0.2)


def test_two_that_never_differ_are_still_not_one() -> None:
    basis = Basis()
    for i in range(100):
        basis.take(80_000, 80_000, (i + 1) * SECOND)
    assert basis.level == 0 and basis.sd(80_000) == pytest.approx(2.8)


def test_an_old_stamp_or_no_price_tells_nothing() -> None:
    basis = Basis()
    basis.take(80_010, 80_000, 5 * SECOND)
    basis.take(99_000, 80_000, 5 * SECOND)
    basis.take(0, 80_000, 6 * SECOND)
    assert basis.level == 10
