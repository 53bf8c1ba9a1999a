"""The bench of fair values holds ours against the same steps in C, chance by chance."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bench import fair
from engine.fair_rules import MEAN, POINT, TWAP


def test_the_same_steps_in_c_give_the_same_sum() -> None:
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc to build the reference with")
    found = fair.run(quick=True)  # it asserts that both sums agree
    assert all(isinstance(found[name], dict) for name in ("point", "mean", "twap"))


@pytest.mark.parametrize("kind", [POINT, MEAN, TWAP])
def test_its_moments_are_of_all_kinds_and_have_a_fair_value(kind: int) -> None:
    rows = fair.moments(kind)
    each = np.array([fair.fair_many(kind, row[None, :], 1) for row in rows[:500]])
    assert ((each >= 0.01) & (each <= 0.99)).all() and 0.3 < each.mean() < 0.7
    inside = rows[:, 5] > 0
    assert 0.1 < inside.mean() < 0.4 if kind != POINT else not inside.any()
