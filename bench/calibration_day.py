"""A day of Chainlink ticks (2026-06-08): which widening comes true best, by time left and rule.

A window a minute over real ticks, five minutes long (fifteen for what is more than 240 s ahead):
strike and outcome by the point rule of that day and, from the same ticks, by a mean of sixty
(Kalshi's rule). No market stands beside it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import isnan, log, nan, sqrt
from pathlib import Path

import numpy as np

from bench.calibration_samples import Sample, Sigma
from engine import sigma as slow
from engine.fair import CAP, digital, fair_yes, widening
from engine.fair_rules import AT_LEAST, EXACT, MEAN, POINT, Rule
from engine.volatility import YEAR_S

NAME = "polymarket_btc5m_day"
LEFT_S = (2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 400, 600, 800)
_EVERY_S = 60
_FORGOTTEN_S = 7_200  # of the start-up volatility a thirtieth is left
_FACTORS = tuple(0.6 + 0.05 * k for k in range(21))
_RULES = {
    "point": Rule(kind=POINT, compare=AT_LEAST),
    "mean": Rule(kind=MEAN, compare=AT_LEAST, digits=EXACT, n=60),
}


class _Day:
    """Prices by second (NaN: no tick), sums for means, the volatility known at each second."""

    def __init__(self, path: Path) -> None:
        rows = []
        with gzip.open(path, "rt") as file:
            next(file)
            for line in file:
                row = line.split(",")
                rows.append((int(row[0]) // 1000, int(row[2]) / 1e18))
        self.begin = rows[0][0]
        self.price = np.full(rows[-1][0] - self.begin + 1, np.nan)
        for second, value in rows:
            self.price[second - self.begin] = value
        there = ~np.isnan(self.price)
        self._sums = np.concatenate([[0.0], np.cumsum(np.where(there, self.price, 0.0))])
        self._counts = np.concatenate([[0], np.cumsum(there)])
        self.sigma = self.ours()

    def ours(self) -> np.ndarray:
        """What the model knows of it at each second, without a history to start from."""
        tracker, found = slow.Sigma(), np.full(len(self.price), np.nan)
        for second, price in enumerate(self.price):
            if not isnan(price):
                tracker.take(float(price), second * 10**9)
            found[second] = tracker.per_root_second
        return found

    def volatility(self, sample_s: float) -> np.ndarray:
        """What squared returns of so many seconds make of it at each second."""
        tracker, found = Sigma(sample_s), np.full(len(self.price), np.nan)
        for second, price in enumerate(self.price):
            if not isnan(price):
                tracker.tick(float(price), float(second))
            found[second] = tracker.at(float(second))
        return found

    def total(self, start: int, end: int) -> tuple[float, int]:
        """Sum and count of the ticks from `start` up to before `end`."""
        return (float(self._sums[end] - self._sums[start]),
                int(self._counts[end] - self._counts[start]))  # fmt: skip

    def settled(self, rule: Rule, close: int) -> float:
        """The value that settles at this second, NaN where a tick is missing."""
        if rule.kind == POINT:
            return float(self.price[close])
        total, count = self.total(close - rule.n, close)
        return total / count if count == rule.n else nan


@cache
def _day(root: Path) -> _Day:
    return _Day(root / NAME / "BTCUSD-prices-2026-06-08.csv.gz")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What was known at a moment of a window, and whether Up won."""

    rule: Rule
    close: int
    left_s: int
    spot: float
    sigma: float
    strike: float
    known: tuple[float, int, float]
    won: float

    def chance(self, widen: float) -> float:
        """Of Up, by our model."""
        rule, (total, count, age_s) = self.rule, self.known
        return float(fair_yes(
            rule.kind, rule.compare, rule.half_tick, rule.n, self.spot, self.sigma,
            float(self.left_s), self.strike, 0.0, total, count, age_s, 0, 0.0, widen, CAP,
        ))  # fmt: skip


def _cases(here: _Day, rule: Rule, left_s: int) -> Iterator[_Case]:
    """Every window that has a strike, an outcome, spot and a volatility at the moment."""
    length = 300 if left_s <= 240 else 900
    for close in range(_FORGOTTEN_S + length + 60, len(here.price), _EVERY_S):
        moment = close - left_s
        strike, value = here.settled(rule, close - length), here.settled(rule, close)
        spot, sigma = float(here.price[moment]), float(here.sigma[moment])
        if not any(isnan(each) for each in (strike, value, spot, sigma)):
            yield _Case(rule=rule, close=close, left_s=left_s, spot=spot, sigma=sigma,
                        strike=strike, known=_known(here, rule, moment, close),
                        won=float(value >= strike))  # fmt: skip


def _known(here: _Day, rule: Rule, moment: int, close: int) -> tuple[float, int, float]:
    """Sum and count of the average's ticks up to the moment, age of the oldest that is missing."""
    start, end = close - rule.n, min(moment + 1, close)
    if rule.kind == POINT or end <= start:
        return 0.0, 0, 0.0
    missing = np.flatnonzero(np.isnan(here.price[start:end]))
    age_s = float(moment - start - missing[0]) if len(missing) else 0.0
    return (*here.total(start, end), age_s)


def _log_loss(cases: list[_Case], widen: float) -> float:
    said = [case.chance(widen) if case.won else 1 - case.chance(widen) for case in cases]
    return -sum(log(chance) for chance in said) / len(said)


def best_widening(root: Path, rule: Rule, left_s: int) -> float:
    """The factor with the least log loss."""
    cases = list(_cases(_day(root), rule, left_s))
    return min(_FACTORS, key=lambda factor: _log_loss(cases, factor))


def samples(root: Path) -> dict[str, list[Sample]]:
    """Of each rule: ours beside the plain Gaussian."""
    here = _day(root)
    return {
        f"Chainlink day, {name}": [
            Sample(market="chainlink", window=str(case.close), seconds=case.left_s,
                   ours=case.chance(float(widening(float(case.left_s)))),
                   plain=float(digital(case.spot, case.strike, case.sigma * sqrt(case.left_s))),
                   mid=nan, won=case.won)
            for left_s in LEFT_S for case in _cases(here, rule, left_s)
        ]
        for name, rule in _RULES.items()
    }  # fmt: skip


def figures(root: Path) -> dict[str, object]:
    """What the tables of `engine.fair` and `engine.volatility` rest on."""
    here = _day(root)
    widen = {
        f"{left_s}s": {
            **{name: round(best_widening(root, rule, left_s), 2) for name, rule in _RULES.items()},
            "used": round(float(widening(float(left_s))), 2),
        }
        for left_s in LEFT_S
    }
    brier = {
        title: {
            f"{left_s}s": {name: _brier(rows, left_s, name) for name in ("ours", "plain")}
            for left_s in LEFT_S
        }
        for title, rows in samples(root).items()
    }
    sampled = {
        f"{every_s}s": round(float(np.sqrt(np.nanmean(here.volatility(every_s) ** 2) * YEAR_S)), 3)
        for every_s in (1, 10, 60)
    }
    return {"widening_by_time_left": widen, "volatility_by_sampling": sampled, **brier}


def _brier(rows: list[Sample], left_s: int, name: str) -> float:
    losses = [(getattr(one, name) - one.won) ** 2 for one in rows if one.seconds == left_s]
    return round(float(np.mean(losses)), 4)
