"""What decides a market: its settlement rule, carried by the market and its date.

A rule is four small numbers that fit one cell of the market's row. It says which value settles, how
that is compared with the strike, and to how many digits it is rounded before. What is not known is
UNKNOWN, and a market without a rule has no fair value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shm_layout import E6

# kind: which value settles
UNKNOWN, POINT, MEAN, TWAP = range(4)
# POINT: the newest value at the close (Chainlink tick, last trade of a Binance candle)
# MEAN: of n ticks a second apart, the last stamped close − 1 s (Kalshi)
# TWAP: over the n seconds up to the close; the strike is that at the start (Polymarket)

# compare: YES if the value is …
AT_LEAST, ABOVE, BELOW, AT_MOST, BETWEEN, TIE_HALVES = range(1, 7)
# BETWEEN: both bounds are in it; TIE_HALVES: above the strike, and a tie pays one half

EXACT = 31  # digits of a value that is not rounded
DIGITS_MAX = 12
_TWAP_FROM_S = 1_786_060_800  # 2026-08-07 00:00 UTC (reference polymarket 1, spot 0)
_SIXTY_FROM_S = 1_786_924_800  # 2026-08-17 00:00 UTC: 60 s for all; between the two, ask
_KALSHI_COMPARE: Final[Mapping[str, int]] = {
    "greater_or_equal": AT_LEAST,
    "greater": ABOVE,
    "less": BELOW,
    "less_or_equal": AT_MOST,
    "between": BETWEEN,
}
# A series whose rules name a sixty-second average (reference spot 6.2). KXBTCMAXY is a barrier and
# KXBTCMAX150 a trimmed mean: none of these.
_KALSHI_SERIES: Final = re.compile(r"KX(BTC|ETH|SOL|XRP|DOGE|BNB)(15M|D)?")
_INTERVALS: Final = ("5m", "15m", "4h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A settlement rule. `digits` of the rounded value (EXACT: none), `n` ticks of an average."""

    kind: int
    compare: int
    digits: int = EXACT
    n: int = 1

    def __post_init__(self) -> None:
        assert UNKNOWN <= self.kind <= TWAP and 0 <= self.compare <= TIE_HALVES, self
        assert 0 <= self.digits <= DIGITS_MAX or self.digits == EXACT, self
        assert 0 < self.n < 1 << 12, self

    @property
    def cell(self) -> int:
        """The rule as one number, 0 for UNKNOWN: the market's `settlement_rule`."""
        if self.kind == UNKNOWN:
            return 0
        return self.kind | self.compare << 4 | self.digits << 8 | self.n << 16

    @property
    def half_tick(self) -> float:
        """Half a unit of the last digit, in dollars; 0 if the value is not rounded."""
        return 0.0 if self.digits == EXACT else 0.5 * 10.0**-self.digits


NO_RULE: Final = Rule(kind=UNKNOWN, compare=0)


def rule_from(cell: int) -> Rule:
    """The rule of a market's row. Raises ValueError for what is none."""
    if cell == 0:
        return NO_RULE
    rule = (cell & 15, cell >> 4 & 15, cell >> 8 & 255, cell >> 16)
    kind, compare, digits, n = rule
    sound = UNKNOWN < kind <= TWAP and 0 < compare <= TIE_HALVES and 0 < n < 1 << 12
    if not sound or not (digits <= DIGITS_MAX or digits == EXACT):
        raise ValueError(f"settlement_rule: found {cell}, wanted kind, compare, digits, n")
    return Rule(kind=kind, compare=compare, digits=digits, n=n)


def kalshi_rule(series: str, strike_type: str, digits: int | None) -> Rule:
    """The rule of a Kalshi crypto market from its own fields: `strike_type` and
    `custom_strike.round_digits` (None: not told, so not known)."""
    compare = _KALSHI_COMPARE.get(strike_type)
    if not _KALSHI_SERIES.fullmatch(series) or compare is None or digits is None:
        return NO_RULE
    if not 0 <= digits <= DIGITS_MAX:
        return NO_RULE
    return Rule(kind=MEAN, compare=compare, digits=digits, n=60)


def polymarket_rule(interval: str, open_epoch_s: int, twap_s: int | None) -> Rule:
    """The rule of a Polymarket Up/Down market by its window's start.

    `interval`: 5m, 15m, 4h (Chainlink), hourly, daily (Binance candles). `twap_s` is
    `cryptoMarketConfig.twapLookbackSeconds` where told (0: no TWAP): it wins over the date. Between
    the first day of the TWAP and the day from which all take 60 s, only what is told counts.
    """
    if interval == "hourly":
        return Rule(kind=POINT, compare=AT_LEAST)
    if interval == "daily":
        return Rule(kind=POINT, compare=TIE_HALVES)
    if interval not in _INTERVALS:
        return NO_RULE
    if twap_s is None:
        if _TWAP_FROM_S <= open_epoch_s < _SIXTY_FROM_S:
            return NO_RULE
        twap_s = 60 if open_epoch_s >= _SIXTY_FROM_S else 0
    if twap_s == 0:
        return Rule(kind=POINT, compare=AT_LEAST)
    return Rule(kind=TWAP, compare=AT_LEAST, n=twap_s)


def stamps(rule: Rule, close_s: int) -> range:
    """Seconds whose ticks the average takes."""
    end_s = close_s if rule.kind == MEAN else close_s + 1
    return range(end_s - rule.n, end_s)


def settled_e8(rule: Rule, close_s: int, ticks: Mapping[int, int]) -> int | None:
    """The value that settles, in 1e-8, from ticks by second; None if one is missing. Half a digit
    is rounded up: the venue's mode there is not documented."""
    if rule.kind == UNKNOWN:
        return None
    values = [ticks.get(second) for second in stamps(rule, close_s)]
    known = [value for value in values if value is not None]
    if len(known) != len(values):
        return None
    unit = 1 if rule.digits == EXACT else 10 ** max(8 - rule.digits, 0)
    whole = rule.n * unit
    return (2 * sum(known) + whole) // (2 * whole) * unit


def pays_e6(rule: Rule, value_e8: int, strike_e8: int, upper_e8: int = 0) -> int:
    """What YES pays for a settled value, in 1e-6 dollars. The rule must be known."""
    wins = {
        AT_LEAST: value_e8 >= strike_e8,
        ABOVE: value_e8 > strike_e8,
        BELOW: value_e8 < strike_e8,
        AT_MOST: value_e8 <= strike_e8,
        BETWEEN: strike_e8 <= value_e8 <= upper_e8,
        TIE_HALVES: value_e8 > strike_e8,
    }[rule.compare]
    if rule.compare == TIE_HALVES and value_e8 == strike_e8:
        return E6 // 2
    return E6 if wins else 0
