"""Start-up volatility: from charts, kept for 300 s, and no guess where there is too little."""

from __future__ import annotations

import asyncio
import json
from math import exp, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feeds.rest import StatusError
from ops.history import TTL_S, Cache, ask, points_of, sigma_of

HOUR_MS = 3_600_000
SEED = 20_261_121


def chart(annual: float, hours: int = 720) -> list[tuple[int, float]]:
    """Hourly prices of this volatility, and the point at the end that is not on the grid."""
    steps = np.random.default_rng(SEED).normal(0, annual / sqrt(8_760), hours)
    points = [(i * HOUR_MS, 80_000 * exp(level)) for i, level in enumerate(np.cumsum(steps))]
    return [*points, (points[-1][0] + 1_234, points[-1][1] * 1.5)]


@pytest.mark.parametrize("annual", [0.3, 0.8, 2.0])
def test_a_month_of_hours_is_measured_without_the_point_off_the_grid(annual: float) -> None:
    assert sigma_of(chart(annual)) == pytest.approx(annual, rel=0.06)


def test_over_a_hole_no_return_is_taken() -> None:
    points = chart(0.5)
    later = [(at + 100 * HOUR_MS, 3 * price) for at, price in points[300:]]
    assert sigma_of(points[:300] + later) == pytest.approx(sigma_of(points), rel=0.02)


@pytest.mark.parametrize("points", [[], chart(0.5, 10), [(0, 1.0)] * 50])
def test_too_little_is_no_history(points: list[tuple[int, float]]) -> None:
    with pytest.raises(ValueError, match=r"found [0-9]+ returns, wanted at least 24"):
        sigma_of(points)


def test_a_chart_that_cannot_be_is_refused() -> None:
    still = [(i * HOUR_MS, 80_000.0) for i in range(100)]
    with pytest.raises(ValueError, match=r"0\.000 a year"):
        sigma_of(still)
    for body in (b"[]", b'{"prices": 3}', b'{"prices": [[1]]}', b'{"prices": [[1, "2"]]}', b"x"):
        with pytest.raises(ValueError, match=r"prices: found|unexpected"):
            points_of(body)


class Charts:
    """A REST that has one coin."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any, Any]] = []

    async def get(self, path: str, params: Any, more: Any) -> bytes:
        self.asked.append((path, params, more))
        if "bitcoin" not in path:
            raise StatusError(f"GET {path}: status: found 404, wanted 200", 404, 0)
        return json.dumps({"prices": chart(0.5)}).encode()


def test_every_coin_is_asked_for_30_days_and_what_fails_is_told() -> None:
    rest = Charts()
    coins = ("bitcoin", "ethereum")
    found, errors = asyncio.run(ask(rest, coins, {"k": "v"}))  # type: ignore[arg-type]
    assert found.keys() == {"bitcoin"} and errors[0].startswith("ethereum: GET")
    path, query, headers = rest.asked[0]
    assert path == "/api/v3/coins/bitcoin/market_chart" and headers == {"k": "v"}
    assert query == {"vs_currency": "usd", "days": "30"} and len(rest.asked) == 2


def test_an_answer_holds_for_300_s_and_a_broken_file_holds_nothing(tmp_path: Path) -> None:
    now = [1_000]
    cache = Cache(tmp_path / "history.json", lambda: now[0])
    assert cache.load() == {}
    cache.save({"bitcoin": 0.5})
    now[0] += TTL_S
    assert cache.load() == {"bitcoin": 0.5}
    now[0] += 1
    assert cache.load() == {}
    for text in ("", "[]", '{"at_s": "x"}', '{"at_s": 1300, "sigmas": 3}'):
        cache.path.write_text(text)
        assert cache.load() == {}
