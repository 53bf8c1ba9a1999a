"""What markets say that they settle on, in their own words."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from feeds.update import FeedError
from ops.assets import CF, CHAINLINK, Index
from ops.series import load
from ops.sources import Source, agree, kalshi_source, polymarket_source
from tests.conftest import recorded, reference

BRTI = Index("BTC", CF)
# as read on 2026-08-17, 2026-05-15 and 2026-06-10; what stands in brackets is the index's own name
RULES = {
    "If the simple average of the sixty seconds of CF Benchmarks' BRTI before 1:30 AM EDT on Aug"
    " 17, 2026 is at least the simple average of the sixty seconds of CF Benchmarks' BRTI before"
    " 1:15 AM EDT on August 17, 2026, then the market resolves to Yes.": (
        "BTC", "greater_or_equal"
    ),
    "If the simple average of the sixty seconds of CF Benchmarks' Bitcoin Real-Time Index (BRTI)"
    " before 5 PM EDT is above 91499.99 at 5 PM EDT on May 15, 2026, then the market resolves to"
    " Yes.": ("BTC", "greater"),
    "If the simple average of the sixty seconds of CF Benchmarks' Ethereum Real-Time Index (ERTI)"
    " before 2 AM EDT is above 2594.99 at 2 AM EDT on Aug 17, 2026, then the market resolves to"
    " Yes.": ("ETH", "greater"),
    "If the simple average of the sixty seconds of CF Benchmarks' Bitcoin Real-Time Index (BRTI)"
    " before 5 PM EDT is between 72000-72499.99 at 5 PM EDT on Oct 2, 2026, then the market"
    " resolves to Yes.": ("BTC", "between"),
    "If the simple average of the sixty seconds of CF Benchmarks' DOGEUSDRTI before 12:15 PM EDT on"
    " Jun 10, 2026 is at least the simple average of the sixty seconds of CF Benchmarks' DOGEUSDRTI"
    " before 12:00 PM EDT on June 10, 2026, then the market resolves to Yes.": (
        "DOGE", "greater_or_equal"
    ),
}  # fmt: skip


@pytest.mark.parametrize("rules", RULES)
def test_kalshis_rules_tell_index_average_and_comparison(rules: str) -> None:
    coin, strike_type = RULES[rules]
    assert kalshi_source(rules) == Source(Index(coin, CF), strike_type)
    with pytest.raises(FeedError, match=r"found .*wanted an average of the sixty seconds"):
        kalshi_source(rules.replace("sixty seconds", "last hour"))


def test_every_series_index_goes_by_the_names_of_its_venues_rules() -> None:
    names = {"btc": "BRTI", "eth": "ERTI", "sol": "SOLUSDRTI", "xrp": "XRPUSD_RTI"}
    mean = "the simple average of the sixty seconds of CF Benchmarks' {} before 1 PM is at least 1"
    for series in load().series:
        if series.venue == "kalshi":
            agree(kalshi_source(mean.format(names[series.asset])), series.index)
            other = "ERTI" if series.asset == "btc" else "BRTI"
            with pytest.raises(FeedError, match="source: found"):
                agree(kalshi_source(mean.format(other)), series.index)


def test_gammas_addresses_tell_stream_and_average() -> None:
    """Of 2026-09-28: the fixtures' windows. The hourly one settles on a candle."""
    found = Counter()
    for entry in json.loads(reference("fixtures/polymarket/gamma.json").read_bytes()):
        for row in entry["body"].get("markets", [entry["body"]]):
            if row.get("resolutionSource"):
                source = polymarket_source(row["resolutionSource"])
                found[source] += 1
                config = row.get("cryptoMarketConfig")
                assert source.twap_s == (config and config["twapLookbackSeconds"])
    assert set(found) == {
        Source(Index("BTC", CHAINLINK), twap_s=60), Source(Index("BTC", "binance")),
    }  # fmt: skip


def test_before_august_the_stream_was_that_of_the_point() -> None:
    path = recorded("polymarket_btc5m_day") / "BTC-5m-markets-2026-06-08.jsonl.gz"
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line)["raw"] for line in file]
    raws = [json.loads(row) if isinstance(row, str) else row for row in rows]
    told = Counter(polymarket_source(row["resolutionSource"]) for row in raws)
    assert told == {Source(Index("BTC", CHAINLINK), twap_s=0): 292}


ELSEWHERE = (
    "", "https://data.chain.link/streams/btc-eur",
    "https://data.chain.link.example/streams/btc-usd", "http://data.chain.link/streams/btc-usd",
)  # fmt: skip


@pytest.mark.parametrize("address", ELSEWHERE)
def test_an_address_that_is_not_known_is_refused(address: str) -> None:
    with pytest.raises(FeedError, match=r"resolutionSource: found .*wanted a stream"):
        polymarket_source(address)


@pytest.mark.parametrize(
    "place", ["data.chain.link/streams/zzz-usd", "www.binance.com/en/trade/ZZZ_USDT"]
)
def test_an_address_of_a_coin_that_is_not_known_is_refused(place: str) -> None:
    with pytest.raises(FeedError, match=r"resolutionSource: found '.*', wanted an index such as"):
        polymarket_source(f"https://{place}")
