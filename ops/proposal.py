"""A window as the catalog proposes it, in plain data over the control socket, and as the supervisor
believes it: a market's facts, checked against the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.fair_rules import NO_RULE
from ops.clock import SECOND_NS
from ops.series import Series, Table
from ops.settles import rule_of
from ops.venues.script import MarketSpec

TEXT_MAX = 64
_TEXTS = ("series", "ticker", "title", "condition_id", "token_yes", "token_no", "strike_type")
_WHOLE = ("open_s", "close_s", "exchange_index", "round_digits", "twap_s")
_OPTIONAL = ("round_digits", "twap_s")  # None: the venue did not say


class ProposalError(Exception):
    """It is not what it must be: one line with the field, what was found, what was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window of one series, as its venue told of it. Times in seconds of UTC; ids as text."""

    series: str
    ticker: str
    open_s: int
    close_s: int
    title: str = ""
    condition_id: str = ""
    token_yes: str = ""
    token_no: str = ""
    neg_risk: bool = False
    exchange_index: int = 0
    strike_type: str = ""
    round_digits: int | None = None
    twap_s: int | None = None

    def told(self) -> dict[str, Any]:
        """As plain data."""
        return {name: getattr(self, name) for name in self.__slots__}

    def spec(self, series: Series) -> MarketSpec:
        """What its row in the tables is made of."""
        is_polymarket = series.venue == "polymarket"
        return MarketSpec(
            venue=series.venue, ticker=self.ticker, title=self.title,
            event=f"{series.asset} {series.interval} {self.open_s}",
            condition_id=self.condition_id, token_yes=self.token_yes, token_no=self.token_no,
            neg_risk=self.neg_risk, exchange_index=self.exchange_index,
            open_epoch_ns=self.open_s * SECOND_NS, close_epoch_ns=self.close_s * SECOND_NS,
            index=series.index, strike_type=self.strike_type, round_digits=self.round_digits,
            twap_ns=None if self.twap_s is None else self.twap_s * SECOND_NS,
            fee_kind="polymarket" if is_polymarket else "quadratic",
        )  # fmt: skip


def window_of(told: Mapping[str, Any], table: Table) -> tuple[Window, Series]:
    """Raises ProposalError: nothing of it is believed that the registry does not bear out."""
    names = set(Window.__slots__)
    for name in told.keys() ^ names:
        found = "found nothing" if name in names else f"found the key {str(name)[:40]!r}"
        raise ProposalError(f"proposal: {name if name in names else 'keys'}: {found}")
    for name, value in told.items():
        _check(name, value)
    window = Window(**told)
    series = table.find(window.series)
    if series is None:
        raise ProposalError(f"proposal: series: found {window.series!r}, wanted one of the table")
    if series.begins(window.open_s) != window.open_s:
        raise ProposalError(
            f"proposal: open_s: found {window.open_s}, wanted {series.begins(window.open_s)}"
        )
    if window.close_s != series.ends(window.open_s):
        wanted = series.ends(window.open_s)
        raise ProposalError(f"proposal: close_s: found {window.close_s}, wanted {wanted}")
    name = series.slug(window.open_s)
    is_named = window.ticker == name if series.find == "slug" else (
        window.ticker.startswith(f"{name}-")
    )  # fmt: skip
    if not is_named:
        raise ProposalError(f"proposal: ticker: found {window.ticker!r}, wanted {name!r}")
    if series.venue == "polymarket" and not _has_ids(window):
        raise ProposalError(f"proposal: {window.ticker}: wanted a condition and two tokens")
    _settles(window, series)
    return window, series


def _settles(window: Window, series: Series) -> None:
    """Refuse a window whose settlement rule is not told yet: its row stays as it is first taken,
    and without a rule it has no fair value and never trades. Its strike may come later."""
    if rule_of(window.spec(series)) == NO_RULE:
        found = f"strike_type {window.strike_type!r}, round_digits {window.round_digits}"
        found = f"found {found}, twap_s {window.twap_s}"
        raise ProposalError(f"proposal: settlement: {found}, wanted those of a known rule")


def _check(name: str, value: object) -> None:
    found = f"proposal: {name}: found {str(value)[:80]!r}"
    if name in _TEXTS:
        most = 80 if name.startswith(("condition", "token")) else TEXT_MAX
        is_text = isinstance(value, str) and len(value.encode()) <= most
        if not is_text:
            raise ProposalError(f"{found}, wanted a text of at most {most} bytes")
    elif name in _WHOLE:
        is_told = value is not None or name not in _OPTIONAL
        if is_told and not (type(value) is int and 0 <= value < 1 << 40):
            raise ProposalError(f"{found}, wanted a whole number")
    elif not isinstance(value, bool):
        raise ProposalError(f"{found}, wanted true or false")


def _has_ids(window: Window) -> bool:
    tokens = (window.token_yes, window.token_no)
    is_whole = all(one.isascii() and one.isdigit() and 0 < int(one) < 1 << 256 for one in tokens)
    prefix, _, rest = window.condition_id.partition("0x")
    is_hex = not prefix and len(rest) == 64 and all(c in "0123456789abcdef" for c in rest)
    return is_whole and is_hex and tokens[0] != tokens[1]
