"""Markets of `dual_crypto_false_arb` by their names, and what keeps two from being the same.

A Kalshi market KXBTCD-26JUL0117-T58999.99 closes at 17:00 US Eastern on 2026-07-01; its strike
type is "greater", so 58999.99 means 59,000 or more of BRTI, the mean of the last minute (kalshi.md
15). A Polymarket "above $58,000 on July 1" is asked of the Binance one-minute candle that closes at
12:00 US Eastern (polymarket.md 15, of its daily markets). Both stop trading when they are asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ops.venues.script import Difference

EASTERN = ZoneInfo("America/New_York")
SECOND_NS = 10**9
E8 = 10**8
NOON = 12
CENT_E8 = E8 // 100
COINS = {"Bitcoin": "BTC", "Ethereum": "ETH"}
_INDEX = {"BTC": "BRTI", "ETH": "ETHUSD_RTI"}
_TICKER = re.compile(r"KX(BTC|ETH)D-(\d\d[A-Z]{3}\d\d)(\d\d)-T(\d{1,9})\.(\d\d)")
_TITLE = re.compile(
    r"Will the price of (Bitcoin|Ethereum) be above \$(\d[\d,]{0,11})"
    r" on ([A-Z][a-z]{2,8} \d{1,2})\?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one market asks: is `coin` at `level_e8` or above it at `at`, by `source`."""

    coin: str
    level_e8: int
    at: datetime  # US Eastern
    source: str

    @property
    def close_epoch_ns(self) -> int:
        """When it is asked, and trading ends."""
        return round(self.at.timestamp()) * SECOND_NS

    @property
    def level(self) -> str:
        """For people: whole dollars."""
        return f"{self.level_e8 / E8:,.0f}"


def kalshi(ticker: str) -> Question:
    """By its ticker. ValueError says what was wanted."""
    found = _TICKER.fullmatch(ticker)
    wanted = "a ticker such as KXBTCD-26JUL0117-T58999.99"
    if found is None:
        raise ValueError(wanted)
    coin, day, hour, dollars, cents = found.groups()
    at = _moment(day.title() + hour, "%y%b%d%H", wanted)
    floor_e8 = int(dollars) * E8 + int(cents) * CENT_E8
    source = f"CF Benchmarks {_INDEX[coin]}, mean of the last minute"
    return Question(coin=coin, level_e8=floor_e8 + CENT_E8, at=at, source=source)


def polymarket(title: str, year: int) -> Question:
    """By its title, which names no year. ValueError says what was wanted."""
    found = _TITLE.fullmatch(title)
    wanted = "a title such as Will the price of Bitcoin be above $58,000 on July 1?"
    if found is None:
        raise ValueError(wanted)
    name, dollars, day = found.groups()
    at = _moment(f"{year} {day} {NOON}", "%Y %B %d %H", wanted)
    coin = COINS[name]
    source = f"Binance {coin}USDT, close of the minute"
    return Question(coin=coin, level_e8=int(dollars.replace(",", "")) * E8, at=at, source=source)


def _moment(text: str, form: str, wanted: str) -> datetime:
    try:
        return datetime.strptime(text, form).replace(tzinfo=EASTERN)
    except ValueError as error:
        raise ValueError(wanted) from error


def differences(one: Question, other: Question) -> tuple[Difference, ...]:
    """Fields in which two questions differ, with the value of each; empty: the same question."""
    fields = (
        ("coin", one.coin, other.coin),
        ("strike", one.level, other.level),
        ("date", f"{one.at:%Y-%m-%d}", f"{other.at:%Y-%m-%d}"),
        ("hour", f"{one.at:%H:%M %Z}", f"{other.at:%H:%M %Z}"),
        ("source", one.source, other.source),
    )
    return tuple(Difference(*each) for each in fields if each[1] != each[2])
