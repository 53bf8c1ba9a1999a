"""Volatility as slow terms: paths of known volatility, with jumps, with noise, and with holes."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from engine.sigma import SIGMA_DEFAULT, Sigma
from engine.volatility import YEAR_S

SECOND = 10**9
SEED = 20_261_121


def walked(
    annual: float, seconds: int = 7_200, *, noise: float = 0.0, jump: float = 0.0, start: float = 0
) -> Sigma:
    """A path a second; `noise` in shares of the price, one `jump` after three quarters."""
    rng = np.random.default_rng(SEED)
    sigma = Sigma()
    if start:
        sigma.history(start)
    steps = rng.normal(0, annual / sqrt(YEAR_S), seconds)
    steps[seconds * 3 // 4] += jump
    for i, level in enumerate(np.cumsum(steps)):
        sigma.take(80_000 * exp(level + rng.normal(0, noise)), (i + 1) * SECOND)
    return sigma


def annual_of(sigma: Sigma) -> float:
    return sigma.per_root_second * sqrt(YEAR_S)


def test_without_a_history_80_percent_a_year_holds_until_something_was_seen() -> None:
    assert annual_of(Sigma()) == pytest.approx(SIGMA_DEFAULT)
    known = Sigma()
    known.history(0.45)
    assert annual_of(known) == pytest.approx(0.45)
    seen = walked(0.5, 600, start=2.0)  # after one half-life, half of each variance
    assert annual_of(seen) == pytest.approx(sqrt((0.5**2 + 2.0**2) / 2), rel=0.05)


@pytest.mark.parametrize("annual", [0.3, 0.6, 1.2])
def test_a_smooth_path_is_measured(annual: float) -> None:
    assert annual_of(walked(annual)) == pytest.approx(annual, rel=0.15)


def test_a_jump_widens_for_a_while_but_is_no_volatility() -> None:
    """One jump of 1 % in a path of 40 %: squared returns alone would say far more."""
    smooth, jumped = walked(0.4), walked(0.4, jump=0.01)
    assert jumped.jumps >= 1 and annual_of(smooth) < annual_of(jumped)
    per_second = 0.01**2 / 600 * 0.7  # what an EWMA of a 600 s half-life would hold at once
    assert annual_of(jumped) < sqrt(0.4**2 + per_second * YEAR_S) * 0.9


def test_noise_of_the_quotes_is_no_volatility() -> None:
    noisy = walked(0.4, noise=1e-4)  # 1 bp: ten-second returns alone would say 0.47
    assert annual_of(noisy) == pytest.approx(0.4, rel=0.2)


def test_what_cannot_be_a_price_and_old_stamps_tell_nothing() -> None:
    sigma = walked(0.4, 1_200)
    before = annual_of(sigma)
    sigma.take(float("nan"), 9_999 * SECOND)
    sigma.take(0.0, 9_999 * SECOND)
    sigma.take(1e9, 10 * SECOND)
    assert annual_of(sigma) == before


def test_over_a_hole_no_return_is_taken() -> None:
    sigma = walked(0.4, 1_200)
    before = annual_of(sigma)
    sigma.take(160_000.0, 5_000 * SECOND)  # an hour later at twice the price
    assert annual_of(sigma) == before
