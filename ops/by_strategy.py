"""What each strategy's bets came to: expected when they were decided on, realised once their market
has settled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.strategies.table import STRATEGIES
from shm_layout import BET, BUY, E6, INTENT, ST_SETTLED, Segment, Words

KEYS = ("intents", "orders", "fills", "filled_e6", "expected_e6", "settled_e6", "realised_e6")


@dataclass(slots=True)
class Bet:
    """One order of one leg. Money and contracts in 1e-6; `profit_e6` is of the whole size at fair
    value, after fees. `pays_e6`: what its token settled at; None: not yet."""

    strategy: int
    instrument: int
    generation: int
    side: int
    size_e6: int
    fair_e6: int  # of YES
    profit_e6: int
    is_sent: bool = False
    filled_e6: int = 0
    is_over: bool = False
    pays_e6: int | None = None

    @property
    def worth_e6(self) -> int:
        """What its token is worth at fair value."""
        return self.fair_e6 if self.side == BUY else E6 - self.fair_e6

    @property
    def expected_e6(self) -> int:
        """The share of its profit that was filled, rounded down."""
        return self.profit_e6 * self.filled_e6 // self.size_e6 if self.size_e6 else 0

    @property
    def realised_e6(self) -> int:
        """The same with what it settled at in place of fair value; 0 before. Prices better than
        those decided on are left out."""
        if self.pays_e6 is None:
            return 0
        return self.expected_e6 + (self.pays_e6 - self.worth_e6) * self.filled_e6 // E6


def bet_of(body: Words) -> Bet:
    """An intent of the model."""
    row, told = body.view(INTENT)[0], body.view(BET)[0]
    return Bet(
        strategy=int(told["strategy"]), instrument=int(row["instrument_0"]),
        generation=int(row["generation_0"]), side=int(row["side_0"]),
        size_e6=int(row["size_e6_0"]), fair_e6=int(told["fair_e6"]),
        profit_e6=int(row["profit_e6"]),
    )  # fmt: skip


def settle(segment: Segment, bets: Iterable[Bet]) -> list[Bet]:
    """Note what markets settled at. Returns the bets that still wait for it."""
    seen: dict[int, np.void | None] = {}
    waiting = []
    for bet in bets:
        if bet.is_over and not bet.filled_e6:
            continue
        if bet.instrument not in seen:
            seen[bet.instrument] = segment.read("quotes", bet.instrument)
        quote = seen[bet.instrument]
        if quote is not None and quote["generation"] == bet.generation:
            yes_e6 = int(quote["settlement_e6"])
            if quote["status"] == ST_SETTLED and 0 <= yes_e6 <= E6:
                bet.pays_e6 = yes_e6 if bet.side == BUY else E6 - yes_e6
                continue
        waiting.append(bet)
    return waiting


def by_strategy(bets: Iterable[Bet]) -> dict[str, dict[str, int]]:
    """Sums of each strategy that has bet, in the order of the table; `settled_e6`: contracts of
    markets that have settled."""
    sums = {name: dict.fromkeys(KEYS, 0) for name in STRATEGIES}
    for bet in bets:
        if not 0 <= bet.strategy < len(STRATEGIES):
            continue
        row = sums[STRATEGIES[bet.strategy]]
        settled_e6 = 0 if bet.pays_e6 is None else bet.filled_e6
        told = (1, int(bet.is_sent), int(bet.filled_e6 > 0), bet.filled_e6, bet.expected_e6)
        for key, value in zip(KEYS, (*told, settled_e6, bet.realised_e6), strict=True):
            row[key] += value
    return {name: row for name, row in sums.items() if row["intents"]}
