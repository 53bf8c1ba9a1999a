"""What a registry says of a set of markets at one venue, as rows that the engine may open.

| what is said | row | sure |
|---|---|---|
| two to four outcomes | all of them | YES of all if one must win, NO of all if one wins at most |
| more outcomes | the first four, as the registry orders them | NO of all, as above |
| a ladder, or claims that imply the next | each two neighbours | the weaker bought, the next sold |

A direction that is not sure is barred. Outcomes that are placeholders are no legs, and a set that
has some, or may get more, is never bought whole. Left out: NO of fewer outcomes than a row holds
or of another four (they gain less than the likeliest four do), rungs that are no neighbours. Why a
direction is not sure is said by `engine.complement.refusal_of`; one of which nothing is sure is not
approved, and told. A market whose takers are held back is not traded in a set: its legs would not
come together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from engine import cells as c
from engine.basket import B_QUOTE, LEG_CELLS, fresh
from engine.complement import (
    ALL_NO,
    ALL_YES,
    AUGMENTED,
    EXCLUSIVE,
    EXHAUSTIVE,
    IMPLIES,
    LADDER,
    PLACEHOLDER,
    REFUSALS,
    refusal_of,
)
from ops.venues.script import Difference, MarketSpec, SetSpec
from shm_layout import BODY, LEGS_MAX, Words

BOTH = 0b11
RISING = ("greater", "greater_or_equal")  # asked so, a lower strike is the weaker claim
ONE_WAY = "one_way"  # what follows does not imply what it follows from


class SetRow(NamedTuple):
    """Legs that are opened together. `why`: of each direction what keeps it from being sure; empty:
    nothing does."""

    legs: tuple[MarketSpec, ...]
    same: bool
    why: tuple[str, str]

    @property
    def barred(self) -> int:
        """Bit d: direction d is not sure."""
        return sum(bool(why) << direction for direction, why in enumerate(self.why))

    @property
    def differs(self) -> tuple[Difference, ...]:
        """Why nothing of it is sure, as the markets of a pair that is none; empty: something is."""
        if self.barred != BOTH:
            return ()
        first, last = self.legs[0], self.legs[-1]
        told = {
            "strikes": (f"{first.strike_e8}e-8", f"{last.strike_e8}e-8"),
            "closes": (_utc(first.close_epoch_ns), _utc(last.close_epoch_ns)),
            "event": (first.event, last.event),
            "strike_type": (first.strike_type, last.strike_type),
        }
        ways = ("YES of all", "NO of all") if not self.same else ("the first", "the first")
        return tuple(
            Difference(why, *told.get(why, (ways[direction], "not sure")))
            for direction, why in enumerate(self.why) if why != ONE_WAY
        )  # fmt: skip


def rows_of(spec: SetSpec, markets: Mapping[tuple[str, str], MarketSpec]) -> Iterator[SetRow]:
    """The rows of a set, those of which nothing is sure among them."""
    named = [markets[spec.venue, ticker] for ticker in spec.tickers
             if ticker not in spec.placeholders]  # fmt: skip
    if spec.way != "outcomes":
        for weaker, stronger in pairwise(named):
            why = _why(spec, (weaker, stronger), LADDER if spec.way == "ladder" else IMPLIES)
            if spec.way == "ladder" and not why:
                why = _rises(weaker, stronger)
            yield SetRow((weaker, stronger), True, (why, ONE_WAY))
        return
    legs = tuple(named[:LEGS_MAX])
    if len(legs) > 1:
        yield SetRow(legs, False, (_why(spec, named, ALL_YES), _why(spec, legs, ALL_NO)))


def _rises(weaker: MarketSpec, stronger: MarketSpec) -> str:
    """Why two strikes are no rungs of one ladder; empty: they are. What a venue leaves untold, its
    registry has said by calling it a ladder."""
    if weaker.event != stronger.event:
        return "event"
    asked = [market.strike_type or RISING[0] for market in (weaker, stronger)]
    return "" if all(word in RISING for word in asked) else "strike_type"


def _why(spec: SetSpec, legs: Sequence[MarketSpec], way: int) -> str:
    told = EXCLUSIVE * spec.is_exclusive + EXHAUSTIVE * spec.is_exhaustive
    told += AUGMENTED * spec.is_augmented
    if way == ALL_YES:
        told += PLACEHOLDER * bool(spec.placeholders)
    rows, words = _quotes(legs), fresh()
    for leg in range(min(len(legs), LEGS_MAX)):
        words[leg * LEG_CELLS + B_QUOTE] = leg * BODY
    found = int(refusal_of(rows, words, len(legs), way, told))
    return REFUSALS[found] if found else ""


def _utc(epoch_ns: int) -> str:
    return datetime.fromtimestamp(epoch_ns // 10**9, UTC).isoformat()


def _quotes(legs: Sequence[MarketSpec]) -> Words:
    """What the rule reads of a market, as its quote would tell it."""
    rows, numbers = np.zeros(len(legs) * BODY, np.int64), [market.ticker for market in legs]
    for leg, market in enumerate(legs):
        rows[leg * BODY + c.Q_INSTRUMENT] = numbers.index(market.ticker)
        rows[leg * BODY + c.Q_CLOSE] = market.close_epoch_ns
        rows[leg * BODY + c.Q_STRIKE] = market.strike_e8 or 0
    return rows
