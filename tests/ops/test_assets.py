"""Assets: what counts as the name of one, in real titles and in traps, and which index is whose."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator

import pytest

from feeds.indices import ALIASES
from ops.assets import BINANCE, CF, CHAINLINK, AssetError, Assets, Index, index_of
from ops.config import load
from tests.conftest import recorded

SETTINGS = load("testing").assets
TEN = Assets(SETTINGS.tracked, SETTINGS.others)

TEXTS = {  # text: what it names
    "Will Kenneth win?": "",
    "Together until 2027": "",
    "BTC price up in next 15 mins?": "BTC",
    "Will Satoshi move any Bitcoin by 2027?": "BTC",
    "Weekly Return: BTC vs. HYPE": "BTC",
    "ETHEREUM or bitcoin first?": "ETH BTC",
    "What is ether?": "ETH",
    "Ethernet": "",
    "Fed median dot plot in June 2026": "",
    "Will DOT pass $10?": "DOT",
    "Polkadot above $10?": "DOT",
    "Click the link below": "",
    "Starlink": "",
    "LINK/USD at noon": "LINK",
    "Chainlink's price": "LINK",
    "el sol de hoy": "",
    "Sol de Janeiro": "",
    "SOL price on May 22, 2026 at 5pm EDT?": "SOL",
    "RÜFÜS DU SOL Streams in 2026": "",
    "Solana and Solheim Cup": "SOL",
    "pol": "",
    "POL (ex-MATIC)": "POL",
    "Polygon": "POL",
    "Ada Lovelace": "",
    "ADA above $1": "ADA",
    "Series Winner: Vegas Golden Knights vs Colorado Avalanche": "",
    "Avalanche above $40?": "AVAX",
    "Bitcoin Cash above $500?": "",
    "Bitcoin Cash or Bitcoin?": "BTC",
    "Ethereum Classic above $30?": "",
    "KXBTC15M": "",
    "BTC-USD": "BTC",
    "$BTC": "BTC",
    "wrapped_BTC": "",
    "btc": "",
    "xbt": "BTC",
    "": "",
}


@pytest.mark.parametrize("text", TEXTS)
def test_symbols_count_in_capitals_and_names_in_any_case_as_whole_words(text: str) -> None:
    assert " ".join(TEN.named_in(text)) == TEXTS[text]


def test_there_are_ten_and_each_goes_by_its_symbol_and_names_both_ways() -> None:
    assert TEN.symbols == (
        *("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "AVAX", "DOT", "POL", "LINK"),
    )
    for symbol in TEN.symbols:
        names = TEN.aliases(symbol)
        assert names[0] == symbol.lower() and len(names) > 1
        for name in names:
            assert TEN.symbol(name) == TEN.symbol(name.upper()) == symbol
    assert TEN.aliases("bitcoin") == ("btc", "bitcoin", "xbt", "satoshi")
    assert TEN.symbol("MATIC") == "POL"


@pytest.mark.parametrize("name", ["", "kenneth", "BT", "BTCUSD", "uni"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(AssetError, match=r"found '.*', wanted one of BTC, ETH, SOL"):
        TEN.symbol(name)


def test_the_list_is_what_is_told_and_wrong_ones_are_refused() -> None:
    mine = Assets(["UNI=uniswap", "BTC=bitcoin"])
    assert mine.named_in("Uniswap, UNI, uni, ETH and Bitcoin") == ("UNI", "BTC")
    assert Assets([]).named_in("Bitcoin") == ()
    for told in ("BTC", "btc=bitcoin", "BTC=", "BTC=Bitcoin", "=bitcoin", "B TC=x"):
        with pytest.raises(AssetError, match="wanted assets as"):
            Assets([told])
    for told in (["BTC=bitcoin", "WBTC=bitcoin"], ["BTC/BTC=bitcoin"]):
        with pytest.raises(AssetError, match="twice"):
            Assets(told)


INDICES = {
    "BRTI": Index("BTC", CF), "ERTI": Index("ETH", CF), "ETHUSD_RTI": Index("ETH", CF),
    "ETHUSDRTI": Index("ETH", CF), "SOLUSD_RTI": Index("SOL", CF), "XRPUSD_RTI": Index("XRP", CF),
    "btcusd": Index("BTC", CHAINLINK), "eth/usd": Index("ETH", CHAINLINK),
    "BTCUSDT": Index("BTC", BINANCE), "HYPEUSDT": Index("HYPE", BINANCE),
    "zec/usd": Index("ZEC", CHAINLINK), "DOGEUSDRTI": Index("DOGE", CF),
}  # fmt: skip


@pytest.mark.parametrize("name", INDICES)
def test_an_index_is_known_by_every_name_it_has(name: str) -> None:
    assert index_of(name) == INDICES[name]


STRANGE = ["", "BRTI2", "brti", "BTC", "usd", "BTCEUR_RTI", "Btcusd", "RTI", "USDT", "BRTIUSDT"]
UNKNOWN = ["FOOUSD_RTI", "FOOUSDRTI", "HYPEUSD_RTI", "goldusd", "gold/usd", "ZZZUSDT", "btcUSDT"]


@pytest.mark.parametrize("name", [*STRANGE, *UNKNOWN])
def test_an_unknown_index_is_refused(name: str) -> None:
    with pytest.raises(AssetError, match="wanted an index such as BRTI"):
        index_of(name)


def test_the_feeds_and_we_know_the_same_indices() -> None:
    for index, names in ALIASES.items():
        assert len({index_of(name) for name in names}) == 1 and index_of(index).source != BINANCE
    assert len({index_of(index) for index in ALIASES}) == len(ALIASES)


def titles() -> Iterator[str]:
    """Every title of the recorded markets and pairs."""

    def walk(found: object) -> Iterator[str]:
        if isinstance(found, dict):
            for key, value in found.items():
                if key in ("title", "question") and isinstance(value, str):
                    yield value
                else:
                    yield from walk(value)
        elif isinstance(found, list):
            for value in found:
                yield from walk(value)

    for path in recorded("market_metadata").glob("*.gz"):
        with gzip.open(path, "rt") as file:
            yield from walk(json.load(file))
    for path in recorded("market_pairs").glob("*.csv"):
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield from (row[key] for key in row if key and "title" in key and row[key])


def test_in_real_titles_the_words_of_coins_are_found_and_nothing_else() -> None:
    found: dict[str, set[str]] = {}
    for title in set(titles()):
        for symbol in TEN.named_in(title):
            found.setdefault(symbol, set()).add(title)
    plain = {"BTC": "bitcoin|btc|satoshi", "ETH": "ethereum", "SOL": "solana|^SOL price",
             "XRP": "XRP|ripple", "DOGE": "dogecoin"}  # fmt: skip
    assert set(found) == set(plain)  # hockey, a band and a dot plot are none
    for symbol, words in plain.items():
        assert all(re.search(words, title.strip(), re.IGNORECASE) for title in found[symbol])
    assert len(found["BTC"]) > 900 and len(found["ETH"]) > 30
