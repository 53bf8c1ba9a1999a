"""Which coins we follow, and what people and venues call them. Pure.

An asset is told as "POL/MATIC=polygon": its symbols, the first of which is its own, then its names.
In a text a symbol counts only as a whole word in capitals ("dot plot" and "link" are words), a name
as a whole word in any case ("Kenneth" and "together" are not ETH). Phrases that only look like an
asset ("Colorado Avalanche", "Bitcoin Cash") are told apart by a list of their own.

Names of indices vary with who writes them (reference spot 6.2: ETHUSD_RTI, ETHUSDRTI and ERTI are
one): they are known by the table of feeds/indices.py, Binance's candles by the coins in it, and an
unknown one is refused.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

TOLD = re.compile(r"[A-Z0-9]{2,10}(/[A-Z0-9]{2,10})*=[a-z0-9 .-]+(,[a-z0-9 .-]+)*", re.ASCII)
WANTED = 'assets as "POL/MATIC=polygon": symbols in capitals, then names in small letters'
CF, CHAINLINK, BINANCE = "cfbenchmarks", "chainlink", "binance"


class AssetError(Exception):
    """A name that no asset goes by, or one that two go by: found, wanted."""


@dataclass(frozen=True, slots=True)
class Index:
    """What an index measures, and whose it is."""

    asset: str
    source: str  # CF, CHAINLINK or BINANCE


@dataclass(frozen=True, slots=True)
class Assets:
    """The assets we follow. Raises AssetError if `told` is not as above or names one twice."""

    told: Sequence[str]
    others: Sequence[str] = ()  # phrases that are no asset of ours
    symbols: tuple[str, ...] = field(init=False)
    _of: dict[str, str] = field(init=False, repr=False)
    _words: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = [_parts(text) for text in self.told]
        of: dict[str, str] = {}
        for symbols, names in rows:
            for name in (*symbols, *names):
                if name.lower() in of:
                    raise AssetError(f"found {name!r} twice, wanted one asset for each name")
                of[name.lower()] = symbols[0]
        choices = [f"(?i:{re.escape(phrase)})" for phrase in self.others]
        names = [name for _, row in rows for name in row]
        choices += [f"(?P<n>(?i:{_either(names)}))"] if names else []
        signs = [symbol for row, _ in rows for symbol in row]
        choices += [f"(?P<s>{_either(signs)})"] if signs else []
        pattern = rf"(?<!\w)(?:{'|'.join(choices) or '(?!)'})(?!\w)"
        object.__setattr__(self, "symbols", tuple(row[0] for row, _ in rows))
        object.__setattr__(self, "_of", of)
        object.__setattr__(self, "_words", re.compile(pattern))

    def symbol(self, name: str) -> str:
        """The symbol of what goes by `name` (a symbol or a name, in any case). Raises
        AssetError."""
        found = self._of.get(name.strip().lower())
        if found is None:
            raise AssetError(f"found {name!r}, wanted one of {', '.join(self.symbols)}")
        return found

    def aliases(self, symbol: str) -> tuple[str, ...]:
        """Everything an asset goes by, in small letters, its symbol first. Raises AssetError."""
        own = self.symbol(symbol)
        return tuple(name for name, of in self._of.items() if of == own)

    def named_in(self, text: str) -> tuple[str, ...]:
        """The symbols of the assets that a text names, each once, in its order."""
        words = (word.group("n") or word.group("s") for word in self._words.finditer(text))
        return tuple(dict.fromkeys(self._of[word.lower()] for word in words if word))


def _parts(text: str) -> tuple[list[str], list[str]]:
    if TOLD.fullmatch(text) is None:
        raise AssetError(f"found {text!r}, wanted {WANTED}")
    symbols, names = text.split("=")
    return symbols.split("/"), [name.strip() for name in names.split(",")]


def _either(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def index_of(name: str) -> Index:
    """What the index of this name measures. Raises AssetError for a name that is not known."""
    found = _indices().get(name)
    if found is None:
        wanted = "an index such as BRTI, ETHUSD_RTI, ethusd or BTCUSDT"
        raise AssetError(f"found {name!r}, wanted {wanted}")
    return found


@functools.cache
def _indices() -> Mapping[str, Index]:
    """Every known index by each of its names."""
    from feeds.indices import ALIASES  # brings numba, which one who only reads settings must not

    found: dict[str, Index] = {}
    for index, names in ALIASES.items():
        source = CF if index.endswith("RTI") else CHAINLINK
        coin = "BTC" if index == "BRTI" else index.upper().removesuffix("_RTI").removesuffix("USD")
        found |= dict.fromkeys(names, Index(coin, source))
    coins = {index.asset for index in found.values()}
    return found | {f"{coin}USDT": Index(coin, BINANCE) for coin in coins}
