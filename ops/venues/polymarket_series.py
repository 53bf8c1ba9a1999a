"""What a Polymarket slug says of its market: asset, window and series (reference section 15).

Series ids are those seen on 2026-09-28; other assets' ids are made up and always the same.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

from ops.venues.numerals import SECOND_NS

_WINDOW = re.compile(r"(btc|eth|sol|xrp|doge|bnb|hype|zec)-updown-(5m|15m|4h)-(\d{9,11})\Z")
_HOURLY = re.compile(r"(bitcoin|ethereum|solana|xrp)-up-or-down-[a-z]+-\d+-\d{4}-\d+[ap]m-et\Z")
_DAILY = re.compile(r"(bitcoin|ethereum|solana|xrp)-up-or-down-on-[a-z]+-\d+-\d{4}\Z")
_SHORT = {"bitcoin": "btc", "ethereum": "eth", "solana": "sol", "xrp": "xrp"}
_IDS = {
    "btc-up-or-down-5m": "10684",
    "btc-up-or-down-15m": "10192",
    "btc-up-or-down-hourly": "10114",
    "btc-up-or-down-daily": "41",
}
_CHAINLINK = "https://data.chain.link/streams/{}-usd-twap-60s-streams"
_BINANCE = "https://www.binance.com/en/trade/{}_USDT"
HOUR_NS = 3600 * SECOND_NS
TWAP_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """`recurrence`: "5m", "15m", "4h", "hourly" or "daily". `start_epoch_ns`: of the window, None
    where the slug does not tell.
    """

    asset: str
    recurrence: str
    start_epoch_ns: int | None = None

    @property
    def slug(self) -> str:
        return f"{self.asset}-up-or-down-{self.recurrence}"

    @property
    def is_twap(self) -> bool:
        """Settles on Chainlink's 60 s mean; hourly and daily ones on Binance's candle by UMA."""
        return self.recurrence in ("5m", "15m", "4h")

    @property
    def source(self) -> str:
        form = _CHAINLINK if self.is_twap else _BINANCE
        return form.format(self.asset if self.is_twap else self.asset.upper())

    @property
    def rule(self) -> str:
        """The rule text in short: what decides, and who has a tie."""
        if self.recurrence == "daily":
            return f"{self.source}: Up if the noon candle closes above yesterday's; a tie is 50-50."
        level = "TWAP at the end" if self.is_twap else "close of the 1H candle"
        start = "price at the beginning" if self.is_twap else "its open"
        return f"{self.source}: Up if the {level} is at or above the {start}, else Down."

    def body(self) -> dict[str, Any]:
        """An entry of an event's `series`."""
        return {
            "id": _IDS.get(self.slug) or str(20_000 + zlib.crc32(self.slug.encode()) % 10_000),
            "ticker": self.slug,
            "slug": self.slug,
            "seriesType": "single",
            "recurrence": self.recurrence,
        }

    def config(self) -> dict[str, Any]:
        """`cryptoMarketConfig` of a window that settles on a mean."""
        return {
            "id": f"{self.asset}-{self.recurrence}-twap-{TWAP_S}",
            "asset": self.asset,
            "duration": self.recurrence,
            "twapEnabled": True,
            "twapLookbackSeconds": TWAP_S,
        }


def series_of(slug: str) -> Series | None:
    """The series a market's slug belongs to, None: a market of its own."""
    found = _WINDOW.match(slug)
    if found:
        asset, recurrence, start_s = found.groups()
        return Series(asset=asset, recurrence=recurrence, start_epoch_ns=int(start_s) * SECOND_NS)
    for pattern, recurrence in ((_HOURLY, "hourly"), (_DAILY, "daily")):
        found = pattern.match(slug)
        if found:
            return Series(asset=_SHORT[found.group(1)], recurrence=recurrence)
    return None
