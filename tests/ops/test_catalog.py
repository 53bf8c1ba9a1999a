"""The catalog finds windows in what the venues answer, and believes nothing that only a name
says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from engine.fair_rules import AT_LEAST, POINT, TWAP, Rule
from feeds.rest import Rest
from feeds.update import FeedError
from ops.assets import Assets
from ops.catalog import (
    AGAIN_MAX_NS,
    AGAIN_NS,
    SAY_AGAIN_S,
    Catalog,
    gamma_window,
    kalshi_windows,
)
from ops.clock import SECOND_NS
from ops.proposal import ProposalError, window_of
from ops.series import Series
from ops.settles import rule_of
from ops.sim_windows import series as followed
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.polymarket_gamma import market_row
from ops.venues.polymarket_market import PolymarketMarket
from ops.venues.script import MarketSpec
from ops.venues.world import make_world
from tests.ops.test_identity import SETTINGS

SECOND = 10**9
BEGIN_S = 1_795_000_400 // 900 * 900
WORLD = make_world(7, begin_epoch_ns=(BEGIN_S + 60) * SECOND, windows=6)
TABLE = followed(WORLD, SETTINGS.updown)
NEXT_NS = (BEGIN_S + 900) * SECOND
WINDOWS = [spec for spec in WORLD.markets if spec.index]


def series(name: str) -> Series:
    found = TABLE.find(name)
    assert found is not None
    return found


FIVE, KALSHI = series("polymarket btc 5m"), series("kalshi btc 15m")


def gamma(spec: MarketSpec, **changed: Any) -> dict[str, Any]:
    return {**market_row(PolymarketMarket(spec, 7)), **changed}


class Venue(Rest):
    """Answers as the simulated venues do, from these markets."""

    def __init__(self, *specs: MarketSpec) -> None:
        self.specs, self.asked, self.is_down = list(specs), list[Mapping[str, Any]](), False
        self.broken: dict[str, dict[str, Any]] = {}  # fields by ticker

    async def __aenter__(self) -> Venue:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def get(self, path: str, params: Any = None, more: Any = None) -> bytes:
        self.asked.append({"path": path, **params})
        if self.is_down:
            raise FeedError("GET /markets: status: found 503, wanted 200")
        if "slug" in params:
            slug = params["slug"]
            more = self.broken.get(slug, {})
            return orjson.dumps([gamma(s, **more) for s in self.specs if s.ticker == slug])
        low, high = (int(params[f"{which}_close_ts"]) for which in ("min", "max"))
        rows = [
            KalshiMarket(s, "id").json() | self.broken.get(s.ticker, {}) for s in self.specs
            if s.venue == "kalshi" and low <= s.close_epoch_ns // SECOND <= high
        ]  # fmt: skip
        return orjson.dumps({"markets": rows, "cursor": ""})


class Stage:
    """A catalog whose clocks stand where they are put, and a supervisor that takes what fits."""

    def __init__(self, *specs: MarketSpec) -> None:
        self.run_s, self.mono_ns = BEGIN_S + 60, 0
        self.said, self.proposed, self.refusal = list[str](), list[dict[str, Any]](), ""
        self.kalshi, self.polymarket = (
            Venue(*(s for s in specs if s.venue == venue)) for venue in ("kalshi", "polymarket")
        )
        self.catalog = Catalog(
            TABLE, {"kalshi": self.kalshi, "polymarket": self.polymarket}, self.propose,
            assets=Assets(SETTINGS.assets.tracked, SETTINGS.assets.others),
            run_s=lambda: self.run_s, mono_ns=lambda: self.mono_ns, say=self.said.append,
        )  # fmt: skip

    async def propose(self, told: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            return {"error": self.refusal}
        try:
            window_of(told, TABLE)
        except ProposalError as error:
            return {"error": str(error)}
        self.proposed.append(told)
        return {"instrument": 1, "generation": 1}

    def round(self, *, later_s: int = 0, later_ns: int = AGAIN_NS) -> list[tuple[str, int]]:
        """What one round proposes: venue's series and beginning, from the world's."""
        self.run_s, self.mono_ns = self.run_s + later_s, self.mono_ns + later_ns
        before = len(self.proposed)
        asyncio.run(self.catalog.round())
        return [(told["series"], told["open_s"] - BEGIN_S) for told in self.proposed[before:]]


def test_only_what_is_chosen_is_followed() -> None:
    names = {one.name for one in TABLE.series}
    assert names == {"kalshi btc 15m", "polymarket btc 15m", "polymarket btc 5m"}
    fewer = followed(WORLD, replace(SETTINGS.updown, intervals=("5m",)))
    assert [one.name for one in fewer.series] == ["polymarket btc 5m"] and fewer.pairings == ()
    assert followed(WORLD, replace(SETTINGS.updown, assets=("ETH",))).series == ()


def test_the_window_of_now_and_those_ahead_are_found_and_proposed_once() -> None:
    stage = Stage(*WINDOWS)
    assert sorted(stage.round()) == [
        ("kalshi btc 15m", 0), ("kalshi btc 15m", 900),
        ("polymarket btc 15m", 0), ("polymarket btc 15m", 900),
        *(("polymarket btc 5m", at) for at in (0, 300, 600, 900)),
    ]  # fmt: skip
    asked = len(stage.kalshi.asked), len(stage.polymarket.asked)
    assert asked == (1, 6), "Kalshi's in one request"
    assert stage.round() == [] and len(stage.polymarket.asked) == 6
    assert stage.round(later_s=300) == [("polymarket btc 5m", 1_200)]
    assert stage.said == []


def test_what_is_proposed_is_what_the_venue_says() -> None:
    stage = Stage(*WINDOWS)
    stage.round()
    specs = {spec.ticker: spec for spec in WINDOWS}
    for told in stage.proposed:
        spec = specs[told["ticker"]]
        assert told["close_s"] == spec.close_epoch_ns // SECOND
        assert told["exchange_index"] == spec.exchange_index
        assert (told["token_yes"], told["token_no"]) == (spec.token_yes, spec.token_no)
        assert (told["strike_type"], told["round_digits"]) == (spec.strike_type, spec.round_digits)
        assert told["twap_s"] == (60 if spec.venue == "polymarket" else None)


def test_a_window_that_is_listed_late_is_asked_for_again_ever_more_seldom_and_said_once() -> None:
    late = next(s for s in WINDOWS if s.ticker == f"btc-updown-5m-{BEGIN_S + 300}")
    stage = Stage(*(spec for spec in WINDOWS if spec is not late))
    stage.round()
    rounds = 0
    while stage.mono_ns < 60 * SECOND:
        before = len(stage.polymarket.asked)
        assert stage.round() == []
        rounds += len(stage.polymarket.asked) - before
    assert 60 * SECOND // AGAIN_MAX_NS <= rounds <= 60 * SECOND // AGAIN_MAX_NS + 6
    assert stage.said == [], "it is not open yet"
    stage.round(later_s=300, later_ns=AGAIN_MAX_NS)
    stage.round(later_ns=AGAIN_MAX_NS)
    assert [line.startswith("polymarket btc 5m: the window of") for line in stage.said] == [True]
    stage.polymarket.specs.append(late)
    assert stage.round(later_ns=AGAIN_MAX_NS) == [("polymarket btc 5m", 300)]


def test_a_venue_that_is_down_holds_up_no_other_and_is_asked_again() -> None:
    stage = Stage(*WINDOWS)
    stage.kalshi.is_down = True
    assert {name for name, _ in stage.round()} == {"polymarket btc 15m", "polymarket btc 5m"}
    assert stage.said[0].startswith("kalshi btc 15m: GET /markets: status: found 503")
    stage.round(later_ns=AGAIN_MAX_NS)
    assert len(stage.said) == 1
    stage.round(later_s=SAY_AGAIN_S, later_ns=AGAIN_MAX_NS)
    assert stage.said.count(stage.said[0]) == 2, "it still is"
    stage.run_s -= SAY_AGAIN_S
    stage.kalshi.is_down = False
    assert stage.round(later_ns=AGAIN_MAX_NS) == [("kalshi btc 15m", 0), ("kalshi btc 15m", 900)]


def test_a_window_that_is_told_wrong_holds_up_no_other_and_is_said_once() -> None:
    stage = Stage(*WINDOWS)
    names = f"btc-updown-5m-{BEGIN_S + 300}", f"btc-updown-15m-{BEGIN_S}"
    stage.polymarket.broken = {names[0]: {"endDate": ""}, names[1]: {"clobTokenIds": "[1"}}
    ticker = next(s.ticker for s in WINDOWS if s.venue == "kalshi" and s.strike_e8 is not None)
    stage.kalshi.broken = {ticker: {"open_time": 7}}
    wanted = [
        ("kalshi btc 15m", 900), ("polymarket btc 15m", 900),
        *(("polymarket btc 5m", at) for at in (0, 600, 900)),
    ]  # fmt: skip
    assert sorted(stage.round()) == wanted
    assert sorted(line.split(":")[0] for line in stage.said) == [
        "kalshi btc 15m", "polymarket btc 15m", "polymarket btc 5m",
    ]  # fmt: skip
    said = len(stage.said)
    assert stage.round(later_ns=AGAIN_MAX_NS) == [] and len(stage.said) == said
    assert all(any(name in line for line in stage.said) for name in names)
    stage.polymarket.broken = {}
    assert sorted(stage.round(later_ns=AGAIN_MAX_NS)) == [
        ("polymarket btc 15m", 0), ("polymarket btc 5m", 300),
    ]  # fmt: skip


def test_the_clock_may_jump_between_two_rounds() -> None:
    stage = Stage(*WINDOWS)
    stage.round()
    assert stage.round(later_s=-600) == [], "what there is stays; what is past is not listed"
    assert stage.round(later_s=600 + 901) != [], "beyond a boundary that nobody saw"
    assert stage.round(later_s=0) == []


def test_what_the_supervisor_refuses_is_said_once_and_proposed_again() -> None:
    stage = Stage(*WINDOWS)
    stage.refusal = "proposal: no number is left"
    assert stage.round() == [] and len(stage.said) == 8
    assert stage.round(later_ns=AGAIN_MAX_NS) == [] and len(stage.said) == 8
    stage.refusal = ""
    assert len(stage.round(later_ns=AGAIN_MAX_NS)) == 8


UNTOLD = {
    "no digits": {"custom_strike": {}},
    "no custom strike": {"custom_strike": None},
    "no comparison": {"strike_type": ""},
}


@pytest.mark.parametrize("name", UNTOLD)
def test_a_window_that_is_listed_before_its_rule_is_told_is_taken_once_it_is(name: str) -> None:
    """Its strike may be told later: those of the windows ahead all are."""
    ahead = next(s for s in WINDOWS if s.venue == "kalshi" and s.open_epoch_ns == NEXT_NS)
    stage = Stage(*WINDOWS)
    stage.kalshi.broken = {ahead.ticker: UNTOLD[name]}
    assert ("kalshi btc 15m", 900) not in stage.round() and len(stage.said) == 1
    assert stage.said[0].startswith(f"{ahead.ticker}: proposal: settlement: found strike_type")
    assert stage.round(later_ns=AGAIN_MAX_NS) == [] and len(stage.said) == 1
    stage.kalshi.broken = {}
    assert "floor_strike" not in KalshiMarket(ahead, "id").json()
    assert stage.round(later_ns=AGAIN_MAX_NS) == [("kalshi btc 15m", 900)]


def test_a_catalog_that_is_started_again_proposes_what_there_is() -> None:
    first, second = Stage(*WINDOWS), Stage(*WINDOWS)
    assert first.round() == second.round()


def test_kalshis_market_of_the_series_that_is_no_window_is_left_out() -> None:
    """One that opened a day before its close."""
    specs = [spec for spec in WORLD.markets if spec.ticker.startswith("KXBTC15M")]
    daily = replace(specs[0], open_epoch_ns=specs[0].close_epoch_ns - 86_400 * SECOND_NS)
    body = orjson.dumps({"markets": [KalshiMarket(spec, "id").json() for spec in (daily, *specs)]})
    found, wrong = kalshi_windows(KALSHI, body)
    assert len(found) == len(specs) == 6 and wrong == []


def test_an_answer_that_cannot_be_read_is_one_line() -> None:
    with pytest.raises(FeedError, match="GET /markets: Expected `array`, got `int`"):
        kalshi_windows(KALSHI, b'{"markets": 3}')
    with pytest.raises(FeedError, match="GET /markets: JSON is malformed"):
        gamma_window(FIVE, BEGIN_S, b"<html>")


def test_no_row_is_no_window() -> None:
    assert gamma_window(FIVE, BEGIN_S, b"[]") is None


STREAMS = "https://data.chain.link/streams/"
OTHERS = {
    "another slug": {"slug": "btc-updown-5m-1"},
    "another beginning": {"eventStartTime": "2026-11-18T00:00:00Z"},
    "another end": {"endDate": "2026-11-18T00:00:00Z"},
    "the outcomes the other way round": {"outcomes": '["Down", "Up"]'},
    "one token": {"clobTokenIds": '["1"]'},
    "no source": {"resolutionSource": ""},
    "a source nobody knows": {"resolutionSource": "https://www.coinbase.com/price/bitcoin"},
    "another coin": {"resolutionSource": f"{STREAMS}eth-usd-twap-60s-streams"},
    "a candle": {"resolutionSource": "https://www.binance.com/en/trade/BTC_USDT"},
    "the point for the mean": {"resolutionSource": f"{STREAMS}btc-usd"},
    "a shorter mean": {"resolutionSource": f"{STREAMS}btc-usd-twap-30s-streams"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_row_that_is_another_than_its_name_says_is_refused(name: str) -> None:
    spec = next(s for s in WINDOWS if s.ticker == f"btc-updown-5m-{BEGIN_S}")
    assert gamma_window(FIVE, BEGIN_S, orjson.dumps([gamma(spec)])) is not None
    with pytest.raises(FeedError, match="found"):
        gamma_window(FIVE, BEGIN_S, orjson.dumps([gamma(spec, **OTHERS[name])]))


def test_without_a_twap_the_rule_is_another() -> None:
    """What the market says wins over its date, also where it says that it takes no average."""
    spec = next(s for s in WINDOWS if s.ticker == f"btc-updown-5m-{BEGIN_S}")
    told = {
        "cryptoMarketConfig": {"twapEnabled": False, "twapLookbackSeconds": 60},
        "resolutionSource": f"{STREAMS}btc-usd",
    }
    found = gamma_window(FIVE, BEGIN_S, orjson.dumps([gamma(spec, **told)]))
    assert found is not None and found.twap_s == 0
    assert rule_of(found.spec(FIVE)) == Rule(kind=POINT, compare=AT_LEAST)
    untold = gamma(replace(spec))
    del untold["cryptoMarketConfig"]
    found = gamma_window(FIVE, BEGIN_S, orjson.dumps([untold]))
    assert found is not None and found.twap_s == 60, "its source says it as well"
    assert rule_of(found.spec(FIVE)) == Rule(kind=TWAP, compare=AT_LEAST, n=60)


NONE_SAID: dict[str, dict[str, Any] | None] = {
    "no config": None, "an empty one": {}, "on": {"twapEnabled": True},
    "on, of nothing": {"twapEnabled": True, "twapLookbackSeconds": 0},
    "neither": {"twapEnabled": None, "twapLookbackSeconds": None},
}  # fmt: skip


@pytest.mark.parametrize("name", NONE_SAID)
def test_no_average_is_taken_only_where_source_and_config_both_say_so(name: str) -> None:
    """Since August 2026 windows settle on a mean: a source that tells none says too little."""
    spec = next(s for s in WINDOWS if s.ticker == f"btc-updown-5m-{BEGIN_S}")
    told = gamma(spec, resolutionSource=f"{STREAMS}btc-usd", cryptoMarketConfig=NONE_SAID[name])
    if NONE_SAID[name] is None:
        del told["cryptoMarketConfig"]
    with pytest.raises(FeedError, match=r"cryptoMarketConfig: found .*, wanted 0 s of its source"):
        gamma_window(FIVE, BEGIN_S, orjson.dumps([told]))


def test_a_window_that_does_not_say_its_average_is_said_and_found_once_it_does() -> None:
    spec = next(s for s in WINDOWS if s.ticker == f"btc-updown-5m-{BEGIN_S}")
    stage, where = Stage(spec), ("polymarket btc 5m", 0)
    point = {"resolutionSource": f"{STREAMS}btc-usd"}
    stage.polymarket.broken = {spec.ticker: {**point, "cryptoMarketConfig": {}}}
    assert where not in stage.round() and "cryptoMarketConfig" in "".join(stage.said)
    off = {"cryptoMarketConfig": {"twapEnabled": False}}
    stage.polymarket.broken = {spec.ticker: {**point, **off}}
    assert stage.round(later_ns=AGAIN_MAX_NS) == [where]
    assert stage.proposed[-1]["twap_s"] == 0


def test_before_the_averages_a_window_had_none_and_no_config() -> None:
    july_s = 1_783_000_800 // 300 * 300
    open_ns, close_ns = july_s * SECOND_NS, (july_s + 300) * SECOND_NS
    spec = replace(
        next(s for s in WINDOWS if s.ticker == f"btc-updown-5m-{BEGIN_S}"),
        ticker=f"btc-updown-5m-{july_s}", open_epoch_ns=open_ns, close_epoch_ns=close_ns,
    )  # fmt: skip
    told = gamma(spec, resolutionSource=f"{STREAMS}btc-usd", cryptoMarketConfig={})
    found = gamma_window(FIVE, july_s, orjson.dumps([told]))
    assert found is not None and found.twap_s == 0
    told["cryptoMarketConfig"] = {"twapEnabled": True}
    with pytest.raises(FeedError, match="twapEnabled True"):
        gamma_window(FIVE, july_s, orjson.dumps([told]))


def kalshi_row(**changed: Any) -> dict[str, Any]:
    spec = next(s for s in WINDOWS if s.venue == "kalshi" and s.strike_type)
    return KalshiMarket(spec, "id").json() | changed


MEAN = "If the simple average of the sixty seconds of CF Benchmarks' {} before 1:30 AM EDT is {} …"
OTHER_RULES = {
    "nothing": "",
    "the last price": "If the last trade of BRTI before 1:30 AM EDT is at least 80000 …",
    "a trimmed mean": "If the trimmed mean of CF Benchmarks' BRTI before 1:30 AM EDT is above 1 …",
    "another coin": MEAN.format("Ethereum Real-Time Index (ERTI)", "at least"),
    "an index nobody knows": MEAN.format("MOONX", "at least"),
    "two indices": MEAN.format("BRTI", "at least") + MEAN.format("ETHUSD_RTI", "at least"),
    "above for at least": MEAN.format("BRTI", "above"),
}


@pytest.mark.parametrize("name", OTHER_RULES)
def test_a_window_whose_rules_say_another_settlement_is_refused(name: str) -> None:
    for rules in (MEAN.format("BRTI", "at least"), None):  # Kalshi's words, and those of ours
        row = kalshi_row() if rules is None else kalshi_row(rules_primary=rules)
        assert len(kalshi_windows(KALSHI, orjson.dumps({"markets": [row]}))[0]) == 1
    row = kalshi_row(rules_primary=OTHER_RULES[name])
    found, (line,) = kalshi_windows(KALSHI, orjson.dumps({"markets": [row]}))
    assert found == {} and line.startswith(row["ticker"]) and "found" in line and "wanted" in line


def test_a_window_whose_title_names_another_coin_or_none_is_not_proposed() -> None:
    stage = Stage(*WINDOWS)
    names = [f"btc-updown-5m-{BEGIN_S + at}" for at in (0, 300, 600)]
    titles = "Ethereum Up or Down", "Bitcoin or Solana Up or Down", "Up or Down"
    stage.polymarket.broken = {
        name: {"question": title} for name, title in zip(names, titles, strict=True)
    }
    assert [at for name, at in stage.round() if name == "polymarket btc 5m"] == [900]
    assert [line.split(": ")[1] for line in stage.said] == ["title"] * 3
    assert "(ETH), wanted BTC" in stage.said[0] and "(no coin)" in stage.said[2]
