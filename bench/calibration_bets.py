"""What the detector's own bets on a chance of ours would have brought in the recordings.

`model_edge` decides, with its own gates and the reference's parameters, at the touch and after the
taker fee, one contract a sample: what it expects beside what came of it. Walk-forward as the
samples are: only the outcome is of later. And what our chance adds to the market's middle at all:
the weight of ours in middle + weight · (ours − middle) that would have come true best.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isnan, nan, sqrt
from statistics import NormalDist

import numpy as np

from bench.calibration_samples import Sample
from engine import cells as c
from engine.strategies.model_edge import model_edge
from engine.strategies.table import G_FIRES, REFERENCE, row_of
from engine.strategies.view import V_FAIR, V_LEFT, V_Z, VIEW_CELLS, middle_of, with_market
from shm_layout import BODY, BUY, E6, FEE_QUADRATIC, NO_ASK_E6, NO_BID_E6

RATE_E6 = 70_000  # of takers, both venues: a rate of 0.07, exponent 1
SHARES = (0.0, 0.75)  # of the market in a chance, as the profiles testing and moderate have it
_PARAMETERS = row_of("model_edge", REFERENCE["model_edge"])
_SIZE_E6 = 100 * E6
_NORMAL = NormalDist()


def bet(sample: Sample, share: float) -> tuple[float, float] | None:
    """(expected, realised) dollars of the contract that would be bought; None: no bet."""
    rows, view = np.zeros(BODY, np.int64), np.full(VIEW_CELLS, nan)
    bid = NO_BID_E6 if isnan(sample.bid) else round(sample.bid * E6)
    ask = NO_ASK_E6 if isnan(sample.ask) else round(sample.ask * E6)
    rows[c.Q_BIDS : c.Q_BIDS + 2], rows[c.Q_ASKS : c.Q_ASKS + 2] = (bid, _SIZE_E6), (ask, _SIZE_E6)
    rows[c.Q_FEE_KIND], rows[c.Q_FEE_RATE], rows[c.Q_FEE_EXPONENT] = FEE_QUADRATIC, RATE_E6, 1
    rows[c.Q_FEE_UNIT] = 1
    view[V_LEFT] = sample.seconds
    view[V_FAIR] = with_market(sample.ours, share, middle_of(bid, ask))
    view[V_Z] = _NORMAL.inv_cdf(min(max(sample.plain, 1e-9), 1 - 1e-9))
    side, _, edge, _, gate = model_edge(view, rows, 0, 0, _PARAMETERS, 0)
    if gate != G_FIRES:
        return None
    price = sample.ask if side == BUY else 1 - sample.bid
    paid = sample.won if side == BUY else 1 - sample.won
    return edge / E6, paid - price - RATE_E6 / E6 * price * (1 - price)


def _by_window(samples: Sequence[Sample], of: Iterable[float]) -> np.ndarray:
    """Sums over windows: what stands in one window shares one outcome."""
    sums: dict[str, float] = {}
    for sample, value in zip(samples, of, strict=True):
        sums[sample.window] = sums.get(sample.window, 0.0) + value
    return np.array(list(sums.values()))


def weight_of_ours(samples: Sequence[Sample]) -> tuple[float, float]:
    """The weight and its standard error over windows; NaN where ours is the middle."""
    apart = np.array([one.ours - one.mid for one in samples])
    came = np.array([one.won - one.mid for one in samples])
    squares = float(apart @ apart)
    if squares <= 0:
        return nan, nan
    weight = float(apart @ came) / squares
    sums = _by_window(samples, apart * (came - weight * apart))
    return weight, float(np.sqrt(sums @ sums)) / squares


def figures(samples: Sequence[Sample]) -> dict[str, float]:
    """Of one bucket: the weight of ours; by the market's share in a chance, bets, dollars expected
    and realised, and the error of these over windows."""
    weight, error = weight_of_ours(samples)
    found = {"weight_of_ours": round(weight, 2), "weight_error": round(error, 2)}
    for share in SHARES:
        made = [(one, bet(one, share)) for one in samples]
        taken = [(one, told) for one, told in made if told is not None]
        sums = _by_window([one for one, _ in taken], [told[1] for _, told in taken])
        at = f"at_{share:g}"
        found[f"bets_{at}"] = len(taken)
        found[f"expected_{at}"] = round(sum(told[0] for _, told in taken), 2)
        found[f"realised_{at}"] = round(sum(told[1] for _, told in taken), 2)
        found[f"error_{at}"] = round(sqrt(float(sums @ sums)), 2)
    return found
