"""Calibration: do our chances come true as often as they say, beside the market's mid?

Topology: none; recorded Up/Down markets, one process. Every chance is worked out from what was
known at its moment (`bench.calibration_samples`) and scored by the outcome: Brier score by time
left, ours beside the market's mid and beside the plain Gaussian (point in time, same volatility, no
widening, no cap). A difference counts where it is beyond two standard errors over windows: samples
of one window share one outcome. `ours_expected` is the score that our chances themselves announce:
a worse one means that they are too sure. Beside it the bets that the detector would have made
(`bench.calibration_bets`): expected against realised, and what weight ours would have deserved
beside the market's middle (0: none). The Chainlink day has no market; from it come the widening of
the deviation by time left (so it is no test of that) and what the averaging rule is worth.
Cores: 1.
What would make it lie: spot of another time than the book (the books' recorder is 20 s slow and
reads spot by REST: half its spots stand still for 10 s, the market's do not, and its books go best
with the spot of 8 s later, `books_and_spot`: near the close the market knows what we do not see
there); spot of another index
(Binance for Chainlink, Coinbase for BRTI); few windows (Kalshi: 5, and 22 of one day).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import calibration_bets as bets
from bench import calibration_day as day
from bench.calibration_plot import Panel, draw
from bench.calibration_samples import DATA, SETS, Sample, books_ahead, sessions
from ops.cache import state_dir

EDGES_S = (15, 25, 50, 75, 100, 150, 300, 600, 900)  # a sample belongs to the first not below it
BINS = 10
SERIES = ("ours", "plain", "market")
_TITLES = {
    "polymarket_btc5m_books": "Polymarket 5m",
    "polymarket_btc15m_1min_binance": "Polymarket 15m",
    "kalshi_btc15m_ws_coinbase": "Kalshi 15m, sessions",
    "kalshi_btc15m_mid_vs_spot_15s": "Kalshi 15m, one day",
}
_SURE = 2.0  # standard errors
_WINDOWS_LEAST = 20  # for a word on who is better
Table = NDArray[np.float64]  # a row a sample: ours, plain, market, won


def _table(samples: Sequence[Sample]) -> Table:
    rows = [(one.ours, one.plain, one.mid, one.won) for one in samples]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def brier(table: Table) -> list[float]:
    """Of each series."""
    return [float(np.mean((table[:, k] - table[:, 3]) ** 2)) for k in range(len(SERIES))]


def difference(samples: Sequence[Sample]) -> tuple[float, float]:
    """Brier score of ours less the market's, and its standard error over windows (NaN of one)."""
    table = _table(samples)
    losses = (table[:, 0] - table[:, 3]) ** 2 - (table[:, 2] - table[:, 3]) ** 2
    by_window: dict[str, list[float]] = {}
    for sample, loss in zip(samples, losses, strict=True):
        by_window.setdefault(sample.window, []).append(float(loss))
    mean, count = float(np.mean(losses)), len(by_window)
    if count < 2:
        return mean, nan
    sums = np.array([sum(each) - mean * len(each) for each in by_window.values()])
    return mean, float(sqrt(count / (count - 1) * np.sum(sums**2)) / len(samples))


def buckets(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Those that have samples, nearest to the close first, then all."""
    found = {}
    for low, high in zip((0, *EDGES_S), EDGES_S, strict=False):
        inside = [one for one in samples if low < one.seconds <= high]
        if inside:
            found[f"{low}-{high}s"] = inside
    return found | {"all": list(samples)}


def by_time_left(samples: Sequence[Sample]) -> dict[str, dict[str, float | str]]:
    """Figures of each bucket."""
    return {label: _figures(inside) for label, inside in buckets(samples).items()}


def _figures(samples: Sequence[Sample]) -> dict[str, float | str]:
    table = _table(samples)
    scores, says = brier(table), float(np.mean(table[:, 0] * (1 - table[:, 0])))
    less, error = difference(samples)
    windows = len({one.window for one in samples})
    better = "not sure" if windows >= _WINDOWS_LEAST else "too few windows"
    if better == "not sure" and abs(less) > _SURE * error:
        better = "market" if less > 0 else "ours"
    return {
        "samples": len(samples), "windows": windows,
        **{name: round(score, 4) for name, score in zip(SERIES, scores, strict=True)},
        "ours_expected": round(says, 4),
        "ours_less_market": round(less, 4), "error": round(error, 4), "better": better,
    }  # fmt: skip


def reliability(said: Table, won: Table) -> list[tuple[float, float, int]]:
    """(mean chance said, share that came true, samples) of each tenth that has any."""
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    return [
        (float(said[place == k].mean()), float(won[place == k].mean()), int((place == k).sum()))
        for k in range(BINS)
        if (place == k).any()
    ]


def _panel(title: str, samples: Sequence[Sample], series: Sequence[str]) -> Panel:
    table = _table(samples)
    scores = {name: [(label.split("-")[1].rstrip("s"), float(row[name]))
                     for label, row in by_time_left(samples).items() if label != "all"]
              for name in series}  # fmt: skip
    lines = {name: reliability(table[:, SERIES.index(name)], table[:, 3]) for name in series}
    return Panel(title=title, reliability=lines, brier=scores)


def settlements(root: Path) -> dict[str, dict[str, float | str]]:
    """Of each Kalshi window with a next one: our mean of the sixty seconds (Coinbase alone), what
    it settled at (the next strike), their distance, and whether both give the same outcome."""
    found: dict[str, dict[str, float | str]] = {}
    for session in sessions(root):
        for at, (ticker, close_s, strike) in enumerate(session.windows):
            ticks, won = session.ticks(close_s, close_s), session.won(at)
            row: dict[str, float | str] = {"ticks": len(ticks), "strike": strike}
            if len(ticks) == 60:
                mean = sum(ticks.values()) / 60
                row["our_mean"] = round(mean, 2)
                row["outcome"] = "as ours" if (mean >= strike) == won else "not as ours"
                if at + 1 < len(session.windows):
                    row["next_strike"] = session.windows[at + 1][2]
                    row["apart_dollars"] = round(mean - session.windows[at + 1][2], 2)
            found[ticker] = row
    return found


def _complete(samples: Sequence[Sample]) -> list[Sample]:
    return [one for one in samples if not (isnan(one.ours) or isnan(one.mid))]


def run(quick: bool) -> dict[str, object]:
    """Figures by recording, and the picture's path. The same work whether quick or not."""
    figures: dict[str, object] = {}
    panels = []
    for name, read in SETS.items():
        if not (DATA / name).exists():
            figures[name] = "not on this machine (set ARB_TEST_DATA)"
            continue
        samples = _complete(list(read(DATA)))
        figures[name] = by_time_left(samples)
        figures[f"{name}_bets"] = {
            label: bets.figures(inside) for label, inside in buckets(samples).items()
        }
        windows = len({one.window for one in samples})
        panels.append(_panel(f"{_TITLES[name]} ({windows} windows)", samples, SERIES))
    if (DATA / "polymarket_btc5m_books").exists():
        figures["books_and_spot_10s_left"] = books_ahead(DATA)
    if (DATA / "kalshi_btc15m_ws_coinbase").exists():
        figures["kalshi_settlements"] = settlements(DATA)
    if (DATA / day.NAME).exists():
        figures |= day.figures(DATA)
        for title, samples in day.samples(DATA).items():
            panels.append(_panel(title, samples, ("ours", "plain")))
    if panels:
        path = state_dir() / "calibration.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(draw(panels, "Chances of YES in recorded Up/Down markets"))
        figures["plot"] = str(path)
    figures["verdict"] = "no verdict: whether a chance is worth a trade is not a matter of speed"
    return figures
