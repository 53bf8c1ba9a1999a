"""What the model says of each market whose settlement rule is known, and where its window stands,
for display.

The detector computes its own fair value from the same terms and the newest spot entry, rounded
against us; here is the model's, a few times a second, beside the market's own touch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import sqrt

import numpy as np

import shm_layout as shm
from ops.series import Table, load

YEAR_S, SECOND_NS = 31_536_000, 10**9
AHEAD, OPEN, CLOSED, SETTLED = "ahead", "open", "closed", "settled"
SOURCES = ("relay", "composite")  # of the index: engine/exchanges.py
LADDER_OFF_E6 = 1_000  # the chances of a whole ladder sum to one (engine/ladder.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fair:
    """One market. Prices of contracts in 1e-6, of the index in 1e-8; None: not known. `sigma_e6`
    is a year (1e6: 100 %), `usual_e6` what is usual for that coin; `known` of the settlement's
    ticks that came; `source`: who tells the index; `why`: what keeps it from having a fair value,
    or is wrong with it; empty: nothing. `series` as ops/series.py names it, empty: of none;
    `phase`: ahead, open, closed, settled; `open_s` and `close_s` of UTC; `left_s` to the next of
    them; `settlement_e6` of YES."""

    index: int
    venue: str
    ticker: str
    series: str
    phase: str
    open_s: int
    bid_e6: int | None
    ask_e6: int | None
    close_s: int | None = None
    left_s: int | None = None
    settlement_e6: int | None = None
    fair_e6: int | None = None
    strike_e8: int | None = None
    mean_e8: int | None = None
    sigma_e6: int | None = None
    usual_e6: int | None = None
    basis_e8: int | None = None
    known: int = 0
    source: str = ""
    age_ns: int | None = None
    why: str = "no terms"


def fair_of(
    identity: np.void,
    label: tuple[str, str],
    terms: np.void | None,
    quote: np.void | None,
    now_ns: int,
    run_ns: int,
) -> Fair:
    """A market's row; terms and quotes of another generation say nothing of it. `run_ns`: run time,
    epoch ns."""
    venue, ticker = label
    open_ns, close_ns, paid_e6 = int(identity["open_epoch_ns"]), shm.NONE_NS, -1
    bid, ask = shm.NO_BID_E6, shm.NO_ASK_E6
    if quote is not None and quote["generation"] == identity["generation"]:
        bid, ask = int(quote["bids"][0]), int(quote["asks"][0])
        close_ns = int(quote["close_epoch_ns"])
        paid_e6 = int(quote["settlement_e6"]) if quote["status"] == shm.ST_SETTLED else -1
    phase = AHEAD if run_ns < open_ns else CLOSED if 0 < close_ns <= run_ns else OPEN
    next_ns = open_ns if phase == AHEAD else close_ns if phase == OPEN else 0
    shown_bid = None if bid == shm.NO_BID_E6 else bid
    shown_ask = None if ask == shm.NO_ASK_E6 else ask
    found = Fair(
        index=int(identity["index"]), venue=venue, ticker=ticker, bid_e6=shown_bid,
        ask_e6=shown_ask, series=_series_name(venue, ticker, open_ns // SECOND_NS),
        phase=SETTLED if paid_e6 >= 0 else phase, open_s=open_ns // SECOND_NS,
        close_s=close_ns // SECOND_NS if close_ns > 0 else None,
        left_s=(next_ns - run_ns) // SECOND_NS if next_ns > 0 else None,
        settlement_e6=paid_e6 if paid_e6 >= 0 else None,
    )  # fmt: skip
    if terms is None or terms["generation"] != identity["generation"]:
        return found
    strike, fair = int(terms["strike_e8"]), int(terms["fair_e6"])
    has_none = strike <= 0 and phase != AHEAD  # of a window to come nobody knows it
    why = "strike not known" if has_none else "" if fair >= 0 else "no price"
    ladder = int(terms["ladder_e6"])
    if not why and ladder > 0 and abs(ladder - shm.E6) > LADDER_OFF_E6:
        why = f"ladder sums to {shm.int_to_text(ladder, 6)}"
    late_ns = now_ns - int(terms["valid_until_ns"])
    return replace(
        found, fair_e6=fair if fair >= 0 else None, strike_e8=strike if strike > 0 else None,
        mean_e8=int(terms["mean_e8"]), basis_e8=int(terms["basis_e8"]), known=int(terms["count"]),
        source=SOURCES[int(terms["source"])],
        sigma_e6=_year_e6(int(terms["sigma_e12"])),
        usual_e6=_year_e6(int(terms["usual_e12"])) if terms["usual_e12"] > 0 else None,
        age_ns=max(late_ns, 0), why="expired" if late_ns > 0 else why,
    )  # fmt: skip


def _year_e6(second_e12: int) -> int:
    return round(second_e12 * sqrt(YEAR_S) / 1e6)


@lru_cache(maxsize=1)
def _table() -> Table:
    return load()


@lru_cache(maxsize=4 * shm.INSTRUMENTS_MAX)
def _series_name(venue: str, ticker: str, open_s: int) -> str:
    found = _table().of(venue, ticker, open_s)
    return "" if found is None else found.name
