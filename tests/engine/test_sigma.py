"""Volatility as slow terms: paths of known volatility, with jumps, with noise, and with holes."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest

from engine.sigma import SIGMA_DEFAULT, Sigma
from engine.volatility import YEAR_S, ewma_tick
from tests.engine.test_model import BRTI, SPOT_SLOT, begun

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
    seen = walked(0.5, 1_200, start=2.0)  # after one half-life, half of each variance
    assert annual_of(seen) == pytest.approx(sqrt((0.5**2 + 2.0**2) / 2), rel=0.05)


def test_it_is_known_from_history_or_once_half_of_it_was_seen() -> None:
    told = Sigma()
    told.history(0.45)
    assert told.is_known and told.usual == pytest.approx(0.45 / sqrt(YEAR_S))
    moved = walked(1.1, 3_600, start=0.4)
    assert moved.usual == pytest.approx(0.4 / sqrt(YEAR_S)), "what is usual stays"
    assert not Sigma().is_known and not walked(0.5, 1_200).is_known  # ten seconds tell nothing
    seen = walked(0.5, 1_220)
    assert seen.is_known and seen.usual == 0


@pytest.mark.parametrize("annual", [0.3, 0.6, 1.2])
def test_a_smooth_path_is_measured(annual: float) -> None:
    assert annual_of(walked(annual)) == pytest.approx(annual, rel=0.15)


def test_it_is_the_weighted_sum_of_what_each_second_told() -> None:
    """By hand: (R² − r²) / 9 of each second, halved every twenty minutes, and what is left of the
    start-up value. Of the first ten minutes, in which no return is judged a jump."""
    rng = np.random.default_rng(SEED)
    levels = [float(level) for level in np.cumsum(rng.normal(0, 1e-4, 500))]
    sigma = Sigma()
    sigma.history(0.5)
    for second, level in enumerate(levels):
        sigma.take(80_000 * exp(level), second * SECOND)
    seen = 0.0
    for now in range(10, 500):
        far, near = levels[now] - levels[now - 10], levels[now] - levels[now - 1]
        seen += (1 - 2 ** (-1 / 1200)) * 2 ** (-(499 - now) / 1200) * (far**2 - near**2) / 9
    past = 0.93 * 2 ** (-490 / 1200) + 0.07 * 2 ** (-490 / 3600)
    assert sigma.per_root_second**2 == pytest.approx(seen + past * 0.25 / YEAR_S, rel=1e-9)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_it_errs_less_than_half_as_much_as_ten_second_returns_of_ten_minutes(noise: float) -> None:
    """Paths of 50 % a year, a third of the variance in jumps of 2 to 6 bp (the simulated world's).
    What was here before fell to 0.40 and below, and every bet it took there was too sure."""
    errors: dict[str, list[float]] = {"ours": [], "before": []}
    for seed in range(4):
        rng = np.random.default_rng([SEED, seed])
        jumps = (rng.random(3_600) < 1 / 60) * rng.uniform(-6e-4, 6e-4, 3_600) * 1.2
        steps = rng.normal(0, 0.5 * sqrt(2 / 3 / YEAR_S), 3_600) + jumps
        sigma, state = Sigma(), np.full(3, np.nan)
        sigma.history(0.5)
        for second, level in enumerate(np.cumsum(steps)):
            price = 80_000 * exp(level + rng.normal(0, noise))
            sigma.take(price, second * SECOND)
            before = ewma_tick(state, price, float(second), 10.0, 600.0)
            if second >= 1_200 and second % 60 == 0:
                errors["ours"].append(log(annual_of(sigma) / 0.5))
                errors["before"].append(log(before * sqrt(YEAR_S) / 0.5))
    ours, before = (sqrt(np.mean(np.square(errors[name]))) for name in ("ours", "before"))
    assert ours < 0.07 and before > 2 * ours, (ours, before)


def test_a_jump_widens_for_a_while_but_is_no_volatility() -> None:
    """One jump of 1 % in a path of 40 %: squared returns alone would say far more."""
    smooth, jumped = walked(0.4), walked(0.4, jump=0.01)
    assert jumped.jumps >= 1 and annual_of(smooth) < annual_of(jumped)
    per_second = 0.01**2 / 600 * 0.7  # what an EWMA of a 600 s half-life would hold at once
    assert annual_of(jumped) < sqrt(0.4**2 + per_second * YEAR_S) * 0.9


def test_a_price_that_is_gone_and_back_in_a_second_hides_nothing_before_jumps_are_judged() -> None:
    """Uncut, 1 % five minutes after the start would say 0.24 where the truth is 0.50, for nine
    seconds."""
    rng = np.random.default_rng(SEED)
    levels = np.cumsum(rng.normal(0, 0.5 / sqrt(YEAR_S), 302))
    plain, spiked = Sigma(), Sigma()
    for sigma in (plain, spiked):
        sigma.history(0.5)
        for second, level in enumerate(levels):
            is_gone = sigma is spiked and second == 300
            sigma.take(80_000 * exp(level + 0.01 * is_gone), (second + 1) * SECOND)
    assert annual_of(spiked) > 0.9 * annual_of(plain)


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


def test_an_index_without_a_history_starts_from_that_of_its_coin() -> None:
    """Coinbase falls silent two minutes into the run: the default of 80 % a year would be most of
    the index's own volatility for half an hour."""
    desk = begun()
    desk.model.history(SPOT_SLOT, 0.4)
    desk.go(60)
    for _ in range(4):
        desk.world.now += SECOND
        desk.tick(BRTI, 80_015)
        desk.model.step(desk.world.now)
    told = desk.market(0)
    assert told is not None and told["spot_slot"] == BRTI
    wanted_e12 = 0.4 / sqrt(YEAR_S) * 1e12
    assert told["sigma_e12"] == pytest.approx(wanted_e12, rel=0.1)
