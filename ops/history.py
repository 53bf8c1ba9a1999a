"""Start-up volatility from CoinGecko's charts: 30 days of hourly prices a coin (spot reference 4).

The last point of a chart is not on its grid and is left out. Holes are no returns: only steps near
the usual one count. Too few of them is no history, and nothing is guessed from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log, sqrt
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from feeds.rest import Rest
from feeds.update import FeedError

DAYS = 30
TTL_S = 300
YEAR_MS = 31_536_000_000
RETURNS_LEAST = 24  # a day of hours
SIGMA_RANGE = 0.01, 10.0  # a year; outside of it the chart is ill


def sigma_of(points: Sequence[tuple[int, float]]) -> float:
    """Volatility a year from (ms, price) points. Raises ValueError if there are too few returns, or
    if what comes out cannot be."""
    kept = [(at, price) for at, price in points[:-1] if price > 0]
    steps = [later[0] - before[0] for before, later in pairwise(kept)]
    usual = median(steps) if steps else 0
    returns = [
        (log(later[1] / before[1]), later[0] - before[0])
        for before, later in pairwise(kept)
        if 0 < usual / 2 <= later[0] - before[0] <= usual * 1.5
    ]
    if len(returns) < RETURNS_LEAST:
        raise ValueError(f"found {len(returns)} returns, wanted at least {RETURNS_LEAST}")
    sigma = sqrt(sum(r * r for r, _ in returns) / sum(ms for _, ms in returns) * YEAR_MS)
    if not SIGMA_RANGE[0] <= sigma <= SIGMA_RANGE[1]:
        raise ValueError(f"found {sigma:.3f} a year, wanted {SIGMA_RANGE[0]} to {SIGMA_RANGE[1]}")
    return sigma


async def ask(
    rest: Rest, coins: Sequence[str], headers: Mapping[str, str]
) -> tuple[dict[str, float], list[str]]:
    """Volatilities by coin, and why a coin has none. One call a coin, one after the other: charts
    cannot be asked for together, and a plan counts its calls."""
    found: dict[str, float] = {}
    errors: list[str] = []
    for coin in coins:
        query = {"vs_currency": "usd", "days": str(DAYS)}
        try:
            body = await rest.get(f"/api/v3/coins/{coin}/market_chart", query, headers)
            found[coin] = sigma_of(points_of(body))
        except (FeedError, ValueError) as error:
            errors.append(f"{coin}: {error}")
    return found, errors


def points_of(body: bytes) -> list[tuple[int, float]]:
    """The prices of an answer. Raises ValueError for anything else."""
    told: Any = orjson.loads(body)
    rows = told.get("prices") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"prices: found {body[:60]!r}, wanted a list")
    points = []
    for row in rows:
        is_pair = isinstance(row, list) and len(row) == 2
        if not is_pair or not all(isinstance(x, int | float) and isfinite(x) for x in row):
            raise ValueError(f"prices: found {row!r}, wanted [ms, price]")
        points.append((int(row[0]), float(row[1])))
    return points


@dataclass(slots=True)
class Cache:
    """Volatilities in a file of the run, for TTL_S: who dies meanwhile does not ask again."""

    path: Path
    clock_s: Callable[[], int]

    def load(self) -> dict[str, float]:
        """What is there and not too old; a file that cannot be read holds nothing."""
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            if not 0 <= self.clock_s() - int(told["at_s"]) <= TTL_S:
                return {}
            return {str(coin): float(sigma) for coin, sigma in told["sigmas"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def save(self, sigmas: Mapping[str, float]) -> None:
        """Keep these as of now."""
        text = json.dumps({"at_s": self.clock_s(), "sigmas": dict(sigmas)})
        self.path.write_text(text, encoding="utf-8")
