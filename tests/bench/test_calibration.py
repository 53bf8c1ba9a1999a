"""Calibration: scores by hand, nothing of later in a chance, and what the recordings hold."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from math import isnan, sqrt
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from bench import calibration
from bench import calibration_bets as bets
from bench.calibration_plot import Panel, draw
from bench.calibration_samples import (
    HISTORY_FROM,
    Sample,
    Session,
    Shipped,
    _of_window,
    polymarket_books,
)
from engine.sigma import Sigma
from engine.volatility import YEAR_S
from tests.conftest import DATA, recorded

CLOSE = 1_778_502_600.0


def sample(ours: float, mid: float, won: float, window: str, seconds: float = 30.0) -> Sample:
    return Sample(market="m", window=window, seconds=seconds, ours=ours, plain=0.5, mid=mid,
                  won=won)  # fmt: skip


def test_the_scores_are_those_by_hand() -> None:
    rows = [sample(0.9, 0.8, 1.0, "a"), sample(0.7, 0.8, 1.0, "a"), sample(0.2, 0.1, 0.0, "b")]
    assert calibration.brier(calibration._table(rows)) == pytest.approx(
        [(0.01 + 0.09 + 0.04) / 3, 0.25, (0.04 + 0.04 + 0.01) / 3]
    )
    less, error = calibration.difference(rows)
    assert less == pytest.approx(0.05 / 3)
    sums = 0.02 - 2 * less, 0.03 - less  # of a window the samples count together
    assert error == pytest.approx(sqrt(2 * (sums[0] ** 2 + sums[1] ** 2)) / 3)
    assert isnan(calibration.difference(rows[:2])[1])


@pytest.mark.parametrize("mid, better", [(0.95, "market"), (0.05, "ours"), (0.6, "not sure")])
def test_who_is_better_is_said_beyond_two_errors_and_of_enough_windows(
    mid: float, better: str
) -> None:
    rows = [sample(0.6, mid + 0.02 * (k % 2), 1.0, str(k)) for k in range(30)]
    if better == "not sure":
        rows = [sample(0.6, 0.5 + 0.2 * (k % 2), 1.0, str(k)) for k in range(30)]
    assert calibration.by_time_left(rows)["all"]["better"] == better
    assert calibration.by_time_left(rows[:19])["all"]["better"] == "too few windows"


def test_a_sample_belongs_to_the_bucket_that_ends_with_it() -> None:
    rows = [sample(0.5, 0.5, 1.0, "a", seconds) for seconds in (15.0, 15.1, 25.0, 899.0)]
    counts = {name: row["samples"] for name, row in calibration.by_time_left(rows).items()}
    assert counts == {"0-15s": 1, "15-25s": 2, "600-900s": 1, "all": 4}


def test_reliability_counts_each_tenth() -> None:
    said, won = np.array([0.0, 0.05, 0.95, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    assert calibration.reliability(said, won) == [(0.025, 0.5, 2), (0.975, 1.0, 2)]


# ---- bets


def offered(ours: float, bid: float, ask: float, won: float, window: str = "a") -> Sample:
    return Sample(market="m", window=window, seconds=60.0, ours=ours, plain=ours,
                  mid=(bid + ask) / 2, won=won, bid=bid, ask=ask)  # fmt: skip


@pytest.mark.parametrize("won", [0.0, 1.0])
def test_a_bet_is_the_detectors_and_pays_by_the_outcome(won: float) -> None:
    fee = 0.07 * 0.6 * 0.4
    found = bets.bet(offered(0.75, 0.58, 0.6, won), 0.0)
    assert found == pytest.approx((0.75 - 0.6 - fee, won - 0.6 - fee), abs=1e-5)
    mirrored = bets.bet(offered(0.25, 0.4, 0.42, 1 - won), 0.0)
    assert mirrored == pytest.approx(found, abs=1e-5)
    assert bets.bet(offered(0.64, 0.58, 0.6, won), 0.0) is None, "less than 3 cents are left"
    assert bets.bet(offered(0.75, 0.58, 0.6, won), 0.75) is None, "a quarter of ours is too little"
    assert bets.bet(offered(0.9, 0.58, float("nan"), won), 0.0) is None, "nobody offers it"


def test_the_bets_of_a_bucket_add_up_and_err_by_window() -> None:
    rows = [offered(0.75, 0.58, 0.6, 1.0), offered(0.75, 0.58, 0.6, 0.0, "b")]
    found = bets.figures([*rows, offered(0.59, 0.58, 0.6, 1.0, "c")])
    assert (found["bets_at_0"], found["bets_at_0.75"]) == (2, 0)
    assert found["expected_at_0"] == pytest.approx(2 * 0.1332, abs=0.01)
    assert found["realised_at_0"] == pytest.approx(1 - 1.2 - 2 * 0.0168, abs=0.01)
    assert found["error_at_0"] == pytest.approx(sqrt(0.3832**2 + 0.6168**2), abs=0.01)


def test_the_weight_of_ours_is_one_of_a_chance_that_comes_true_and_none_of_a_guess() -> None:
    rng = np.random.default_rng(7)
    chances = rng.random(4_000) * 0.8 + 0.1
    won = (rng.random(4_000) < chances).astype(float)
    for ours, wanted in ((chances, 1.0), (rng.random(4_000), 0.0)):
        mids = np.full(4_000, 0.5) if wanted else chances
        rows = [sample(float(a), float(b), float(c), str(k))
                for k, (a, b, c) in enumerate(zip(ours, mids, won, strict=True))]  # fmt: skip
        weight, error = bets.weight_of_ours(rows)
        assert abs(weight - wanted) < 3 * error < 0.2


# ---- nothing of later


def _session(bump: float, from_s: float) -> Session:
    """A walk of 15 minutes; from `from_s` before the close on it is `bump` higher."""
    draws = np.cumsum(np.random.default_rng(7).normal(0, 5, 900))
    stamps = [CLOSE - 900 + k for k in range(900)]
    prices = [80_000 + float(draws[k]) + bump * (stamps[k] > CLOSE - from_s) for k in range(900)]
    mids = {"W": [(at_s, 0.49, 0.51) for at_s in stamps]}
    return Session(name="made", stamps=stamps, prices=prices, results={}, mids=mids,
                   windows=[("W", CLOSE, 80_000.0)])  # fmt: skip


@pytest.mark.parametrize("from_s", [300, 100, 30])
def test_what_comes_later_changes_no_chance_before_it(from_s: int) -> None:
    told = [list(_of_window(_session(bump, from_s), "W", CLOSE, 80_000.0, 1.0))
            for bump in (0.0, 500.0)]  # fmt: skip
    quiet, bumped = ({one.seconds: one for one in each} for each in told)
    assert quiet.keys() == bumped.keys() and len(quiet) > 100
    for seconds, one in quiet.items():
        assert (one == bumped[seconds]) == (seconds >= from_s), seconds
    won = list(_of_window(_session(0.0, from_s), "W", CLOSE, 80_000.0, 0.0))
    assert [replace(one, won=1.0) for one in won] == list(quiet.values())


def _ladder(root: Path, last_spot: float) -> list[Sample]:
    def seen(t: float, spot: float) -> dict[str, Any]:
        return {"t": t, "spot": spot, "up": {"bid": 0.4, "ask": 0.5}}

    rows = [
        {"window_ts": 1_785_106_200 + 300 * k, "slug": str(k), "open_px": 65_000.0, "winner": "UP",
         "samples": [seen(-120.0 + 10 * i, 65_000.0 + 7 * (-1) ** (i + k)) for i in range(8)]}
        for k in range(2)
    ]  # fmt: skip
    rows[1]["samples"][-1]["spot"] = last_spot
    folder = root / "polymarket_btc5m_books"
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "ladder.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return list(polymarket_books(root))


def test_a_book_is_priced_by_spot_up_to_then(tmp_path: Path) -> None:
    low, high = _ladder(tmp_path, 64_000.0), _ladder(tmp_path, 66_000.0)
    assert str(low[:-1]) == str(high[:-1]) and len(low) == 16
    assert low[-1].ours < 0.1 and high[-1].ours > 0.9


def test_the_books_are_priced_with_the_volatility_that_the_model_would_have() -> None:
    told, model = Shipped(), Sigma()
    rng = np.random.default_rng(7)
    price, opens = 60_000.0, list[float]()
    for window in range(12):
        at_s = 1_785_106_200.0 + 300 * window
        opens.append(price)
        told.opened(price, at_s)
        if window >= HISTORY_FROM:
            steps = np.diff(np.log(opens))
            model.history(sqrt(float(np.mean(steps**2)) / 300 * YEAR_S))
        for second in range(300):
            price *= float(np.exp(rng.normal(0, 1e-4)))
            told.tick(price, at_s + second)
            model.take(price, int((at_s + second) * 1e9))
        assert told.at(at_s + 299) == pytest.approx(model.per_root_second), window
    assert told.at(at_s + 299) == pytest.approx(1e-4, rel=0.1)
    assert isnan(Shipped().at(at_s))


# ---- the recordings


def test_the_kalshi_sessions_settle_as_our_mean_says_and_within_a_basis_point() -> None:
    recorded("kalshi_btc15m_ws_coinbase")
    found = calibration.settlements(DATA)
    whole = {ticker: row for ticker, row in found.items() if row["ticks"] == 60}
    assert [row["outcome"] for row in whole.values()] == ["as ours", "as ours"] and len(found) == 6
    apart = [float(row["apart_dollars"]) for row in whole.values()]
    assert apart == pytest.approx([-5.48, -6.13], abs=0.005), "Coinbase alone, so not zero"


def test_the_recorder_of_the_books_was_twenty_seconds_late() -> None:
    path = recorded("polymarket_btc5m_books") / "ladder.jsonl.gz"
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    opens = {row["window_ts"]: row["open_px"] for row in rows}
    exact = dict.fromkeys((30, 20, 10), 0)
    for row in rows:
        for seen in row["samples"]:
            if seen["offset"] in exact and row["window_ts"] + 300 in opens:
                next_open = opens[row["window_ts"] + 300]
                exact[seen["offset"]] += abs(seen["spot"] - next_open) < 0.015
    assert exact[20] >= 115 and max(exact[30], exact[10]) <= 60, exact


# ---- the picture


def test_the_picture_is_sound_and_shows_every_market() -> None:
    brier = {"ours": [("15", 0.02), ("25", 0.4)], "market": [("15", 0.01)]}
    points = {"ours": [(0.1, 0.2, 9), (0.9, 0.7, 400)]}
    panel = Panel(title="a <market> & more", reliability=points, brier=brier)
    root = ElementTree.fromstring(draw([panel, panel], "title"))
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert texts.count("a <market> & more") == 2 and "ours" in texts
    assert sum(each.tag.endswith("circle") for each in root.iter()) == 3 + 2 * 5
