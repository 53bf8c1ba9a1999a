"""Market facts of both venues from the answers of their REST, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from feeds.kalshi_facts import (
    ADDRESS_MAX,
    BASE,
    FEE_ROUNDS,
    TICKERS_MAX,
    KalshiFacts,
    batches,
)
from feeds.polymarket_facts import ANEW_MIN, PolymarketFacts
from feeds.update import FeedError, Instrument, MarketFacts
from shm_layout import (
    E6,
    FEE_HALF,
    FEE_NONE,
    FEE_QUADRATIC,
    FEE_QUARTER,
    FEE_UNKNOWN,
    NONE_NS,
    ROUND_DOWN,
    ROUND_UP,
    ST_ACTIVE,
    ST_CLOSED,
    ST_DETERMINED,
    ST_INACTIVE,
    ST_INITIALIZED,
    ST_SETTLED,
    ST_UNKNOWN,
)
from tests.conftest import reference


class FakeRest:
    """Answers by path; what is not there is a 404."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    async def get(self, path: str, params: Any = None) -> bytes:
        self.asked.append((path, params))
        answer = self.answers.get(path)
        if callable(answer):
            answer = answer(params)
        if answer is None:
            raise FeedError(f"GET {path}: status: found 404, wanted 200")
        return answer if isinstance(answer, bytes) else orjson.dumps(answer)

    async def ask(self, path: str, body: bytes) -> bytes:
        return await self.get(path, orjson.loads(body))


def an_instrument(ticker: str, *, local: int = 0, condition: int = 0) -> Instrument:
    return Instrument(
        local=local, index=local, generation=1, ticker=ticker, condition=condition, token_yes=1,
        token_no=2,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------ Kalshi

TICKER = "KXBTC15M-26SEP061000-00"


def composed(name: str) -> Any:
    return orjson.loads((reference("fixtures/kalshi/composed") / f"{name}.json").read_bytes())


def kalshi(market: Any = None, event: Any = None, series: Any = None) -> FakeRest:
    rows = composed("market_kxbtc15m_active")["market"] | (market or {})
    one = composed("event_kxbtc15m")["event"] | (event or {})
    terms = composed("series_kxbtc15m")["series"] | (series or {})
    terms = {key: value for key, value in terms.items() if value != "absent"}
    return FakeRest(**{
        f"{BASE}/markets": {"markets": [rows], "cursor": ""},
        f"{BASE}/events": {"events": [one], "cursor": ""},
        f"{BASE}/series/KXBTC15M": {"series": terms},
    })  # fmt: skip


def read_kalshi(rest: FakeRest) -> tuple[dict[int, MarketFacts], list[str]]:
    return asyncio.run(KalshiFacts(rest).read([an_instrument(TICKER)]))  # type: ignore[arg-type]


def test_kalshis_facts_of_a_crypto_market() -> None:
    facts, errors = read_kalshi(kalshi())
    assert errors == []
    assert facts[0] == MarketFacts(
        status=ST_ACTIVE,
        grid=((100_000, 1_000), (900_000, 10_000), (E6, 1_000)),
        open_epoch_ns=1_788_702_300 * 10**9,
        close_epoch_ns=1_788_703_200 * 10**9,
        strike_e8=7_980_071_000_000,
        fee_kind=FEE_QUADRATIC,
        fee_rate_e6=70_000,
        fee_unit_e6=100,
        fee_mode=ROUND_UP,
    )


@pytest.mark.parametrize(
    ("word", "status"),
    [("initialized", ST_INITIALIZED), ("inactive", ST_INACTIVE), ("active", ST_ACTIVE),
     ("closed", ST_CLOSED), ("determined", ST_DETERMINED), ("disputed", ST_DETERMINED),
     ("amended", ST_DETERMINED), ("finalized", ST_SETTLED), ("something_new", ST_UNKNOWN)],
)  # fmt: skip
def test_kalshis_status_words(word: str, status: int) -> None:
    assert read_kalshi(kalshi({"status": word}))[0][0].status == status


@pytest.mark.parametrize(
    ("market", "value_e6"),
    [({"result": "yes"}, E6), ({"result": "no"}, 0), ({"result": ""}, NONE_NS),
     ({"result": "scalar", "settlement_value_dollars": "0.3700"}, 370_000)],
)  # fmt: skip
def test_what_a_kalshi_market_paid(market: Any, value_e6: int) -> None:
    assert read_kalshi(kalshi(market))[0][0].settlement_e6 == value_e6


def test_a_finalized_kalshi_market_of_the_archive() -> None:
    facts, _ = read_kalshi(kalshi(composed("market_kxbtc15m_finalized")["market"]))
    assert facts[0].status == ST_SETTLED and facts[0].settlement_e6 == E6


@pytest.mark.parametrize(
    ("event", "series", "terms"),
    [
        ({}, {"fee_multiplier": 0}, (0, FEE_QUADRATIC)),
        ({}, {"fee_multiplier": 0.5}, (35_000, FEE_QUADRATIC)),
        ({}, {"fee_multiplier": 2, "fee_type": "something_new"}, (140_000, FEE_UNKNOWN)),
        ({}, {"fee_type": "quadratic_with_maker_fees"}, (70_000, FEE_QUARTER)),
        ({"fee_multiplier_override": 0.25, "fee_type_override": "quadratic"}, {},
         (17_500, FEE_QUADRATIC)),
        ({"fee_multiplier_override": None}, {"fee_multiplier": 1}, (70_000, FEE_QUADRATIC)),
        ({"fee_multiplier_override": 2}, {"fee_type": "flat"}, (140_000, FEE_UNKNOWN)),
        ({"fee_type_override": "quadratic_with_combo_maker_fees"}, {}, (70_000, FEE_HALF)),
    ],
)  # fmt: skip
def test_kalshis_fee_is_the_events_else_the_series(event: Any, series: Any, terms: Any) -> None:
    facts = read_kalshi(kalshi(event=event, series=series))[0][0]
    assert (facts.fee_rate_e6, facts.fee_kind) == terms


@pytest.mark.parametrize(
    "rest",
    [
        kalshi({"ticker": "ANOTHER"}),
        kalshi({"price_ranges": [{"start": "0.1", "end": "1", "step": "0.01"}]}),
        kalshi({"price_ranges": [{"start": "0", "end": "1", "step": "one"}]}),
        kalshi({"close_time": "soon"}),
        kalshi({"floor_strike": "high"}),
        kalshi(series={"fee_multiplier": "absent"}),
        kalshi(series={"fee_multiplier": 11}),
        kalshi(series={"fee_multiplier": -1}),
        FakeRest(**{f"{BASE}/markets": b"<html>"}),
        FakeRest(**{f"{BASE}/markets": {"markets": {}}}),
        FakeRest(),
    ],
)
def test_a_kalshi_fact_that_is_not_as_it_must_be_is_told_and_not_guessed(rest: FakeRest) -> None:
    facts, errors = read_kalshi(rest)
    assert facts == {} and len(errors) == 1


def test_kalshi_is_asked_for_many_markets_at_once_and_for_each_event_once() -> None:
    rest = kalshi()
    market = composed("market_kxbtc15m_active")["market"]
    tickers = [f"{TICKER}{i}" for i in range(450)]
    rest.answers[f"{BASE}/markets"] = lambda params: {
        "markets": [market | {"ticker": one} for one in params["tickers"].split(",")]
    }
    wanted = [an_instrument(ticker, local=i) for i, ticker in enumerate(tickers)]
    facts, errors = asyncio.run(KalshiFacts(rest).read(wanted))  # type: ignore[arg-type]
    assert len(facts) == 450 and errors == []
    assert [path for path, _ in rest.asked].count(f"{BASE}/markets") == 3
    assert len(rest.asked) == 5


def test_a_kalshi_request_stays_within_the_length_of_an_address_and_of_a_page() -> None:
    long, short = [f"{i:0>60}" for i in range(1_000)], [str(i) for i in range(1_000)]
    for tickers in (long, short):
        chunks = list(batches(tickers))
        assert [one for chunk in chunks for one in chunk] == tickers
        assert all(len(chunk) <= TICKERS_MAX for chunk in chunks)
        assert all(len(",".join(chunk)) <= ADDRESS_MAX for chunk in chunks)
    assert len(list(batches(long))) == 11 and len(list(batches(short))) == 5
    assert list(batches(["x" * ADDRESS_MAX * 2])) == [["x" * ADDRESS_MAX * 2]]
    assert list(batches([])) == []


def test_a_kalshi_event_that_is_not_told_costs_its_own_markets_only() -> None:
    rest = kalshi()
    market = composed("market_kxbtc15m_active")["market"]
    other = market | {"ticker": "OTHER-1", "event_ticker": "OTHER"}
    rest.answers[f"{BASE}/markets"] = {"markets": [market | {"ticker": TICKER}, other]}
    wanted = [an_instrument(TICKER), an_instrument("OTHER-1", local=1)]
    facts, errors = asyncio.run(KalshiFacts(rest).read(wanted))  # type: ignore[arg-type]
    assert list(facts) == [0] and errors == ["OTHER: not in the answer of /events"]


def test_kalshis_fees_are_read_again_after_some_rounds_or_when_told() -> None:
    rest = kalshi()
    reader = KalshiFacts(rest)  # type: ignore[arg-type]

    def asked() -> int:
        rest.asked.clear()
        asyncio.run(reader.read([an_instrument(TICKER)]))
        return len(rest.asked)

    assert [asked() for _ in range(FEE_ROUNDS + 1)] == [3] + [1] * (FEE_ROUNDS - 1) + [3]
    assert asked() == 1
    reader.forget()
    assert asked() == 3


# -------------------------------------------------------------------------------------- Polymarket

CONDITION = f"0x{5:064x}"
CLOB = {"c": CONDITION, "t": [], "mos": 5, "mts": 0.01, "mbf": 1000, "tbf": 1000, "ao": True,
        "itode": True, "fd": {"r": 0.07, "e": 1, "to": True}, "v": "v1"}  # fmt: skip
GAMMA = {"conditionId": CONDITION, "endDate": "2026-09-28T17:45:00Z", "closed": False,
         "eventStartTime": "2026-09-28T17:30:00Z", "acceptingOrders": True, "feesEnabled": True,
         "secondsDelay": 0, "outcomePrices": '["0.5", "0.5"]'}  # fmt: skip


def read_polymarket(
    clob: Any = None, gamma: Any = None, delay_ns: int = 150
) -> tuple[dict[int, MarketFacts], list[str]]:
    row = {key: v for key, v in (GAMMA | (gamma or {})).items() if v != "absent"}
    terms = {key: v for key, v in (CLOB | (clob or {})).items() if v != "absent"}

    def markets(params: Any) -> Any:
        return [row] if params["closed"] == [str(bool(row["closed"])).lower()] else []

    rest = FakeRest(**{f"/clob-markets/{CONDITION}": terms, "/markets": markets})
    reader = PolymarketFacts(rest, rest, taker_delay_ns=delay_ns)  # type: ignore[arg-type]
    return asyncio.run(reader.read([an_instrument("slug", condition=5)]))


def test_polymarkets_facts_of_a_crypto_market() -> None:
    facts, errors = read_polymarket()
    assert errors == []
    assert facts[0] == MarketFacts(
        status=ST_ACTIVE,
        grid=((E6, 10_000),),
        close_epoch_ns=1_790_617_500 * 10**9,
        is_end_close=False,
        taker_delay_ns=150,
        notional_min_e6=E6,
        notional_step_e6=10_000,
        fee_kind=FEE_QUADRATIC,
        fee_rate_e6=70_000,
        fee_exponent=1,
        fee_unit_e6=10,
        fee_mode=ROUND_DOWN,
    )


@pytest.mark.parametrize(
    ("clob", "gamma", "status", "settlement_e6"),
    [
        ({}, {}, ST_ACTIVE, NONE_NS),
        ({"ao": False}, {}, ST_INACTIVE, NONE_NS),
        ({"ao": False}, {"closed": True}, ST_CLOSED, NONE_NS),
        ({"ao": False}, {"closed": True, "umaResolutionStatus": "resolved",
                         "outcomePrices": '["1", "0"]'}, ST_SETTLED, E6),
        ({"ao": False}, {"closed": True, "umaResolutionStatus": "resolved",
                         "outcomePrices": '["0", "1"]'}, ST_SETTLED, 0),
        ({"ao": False}, {"closed": True, "umaResolutionStatus": "resolved",
                         "outcomePrices": '["0.5", "0.5"]'}, ST_SETTLED, E6 // 2),
        ({"ao": False}, {"closed": True, "umaResolutionStatus": "proposed",
                         "outcomePrices": '["1", "0"]'}, ST_CLOSED, NONE_NS),
    ],
)  # fmt: skip
def test_the_life_of_a_polymarket_market(
    clob: Any, gamma: Any, status: int, settlement_e6: int
) -> None:
    facts, errors = read_polymarket(clob, gamma)
    assert errors == []
    assert (facts[0].status, facts[0].settlement_e6) == (status, settlement_e6)


@pytest.mark.parametrize(
    ("clob", "gamma", "delay_ns"),
    [({}, {}, 150), ({"itode": False}, {}, 0), ({"itode": "absent"}, {}, 0),
     ({"itode": "absent"}, {"secondsDelay": 3}, 3 * 10**9),
     ({}, {"secondsDelay": "absent"}, 150)],
)  # fmt: skip
def test_how_long_takers_are_held_back(clob: Any, gamma: Any, delay_ns: int) -> None:
    assert read_polymarket(clob, gamma)[0][0].taker_delay_ns == delay_ns


@pytest.mark.parametrize(
    ("clob", "gamma", "kind", "rate_e6"),
    [
        ({"fd": {"r": 0.05, "e": 1}}, {}, FEE_QUADRATIC, 50_000),
        ({"fd": {"r": 0, "e": 1}}, {}, FEE_QUADRATIC, 0),
        ({"fd": "absent"}, {"feesEnabled": False}, FEE_NONE, 0),
        ({"fd": "absent"}, {}, FEE_UNKNOWN, 0),
        ({"fd": None}, {"feesEnabled": "absent"}, FEE_UNKNOWN, 0),
    ],
)
def test_polymarkets_fee_is_read_and_never_assumed(
    clob: Any, gamma: Any, kind: int, rate_e6: int
) -> None:
    facts = read_polymarket(clob, gamma)[0][0]
    assert (facts.fee_kind, facts.fee_rate_e6) == (kind, rate_e6)


@pytest.mark.parametrize(
    ("clob", "gamma"),
    [
        ({"fd": {"r": 1.5, "e": 1}}, {}),
        ({"fd": {"r": 0.07, "e": 9}}, {}),
        ({"fd": {"r": 0.07, "e": 1.5}}, {}),
        ({"mts": "absent"}, {}),
        ({"mts": None}, {}),
        ({"ao": "yes"}, {}),
        ({}, {"conditionId": "0x06"}),
        ({}, {"endDate": "soon"}),
        ({}, {"closed": True, "umaResolutionStatus": "resolved", "outcomePrices": "[1]"}),
        ({}, {"closed": True, "umaResolutionStatus": "resolved", "outcomePrices": '["1"]'}),
    ],
)
def test_a_polymarket_fact_that_is_not_as_it_must_be_is_told_and_not_guessed(
    clob: Any, gamma: Any
) -> None:
    facts, errors = read_polymarket(clob, gamma)
    assert facts == {} and len(errors) == 1


class ManyMarkets:
    """A Polymarket of many alike markets. `shown`: what Gamma says anew of some."""

    def __init__(self, count: int) -> None:
        self.instruments = [an_instrument(f"m{i}", local=i, condition=i + 1) for i in range(count)]
        self.shown: dict[str, Any] = {}
        self.asked: list[str] = []
        self._reader = PolymarketFacts(self, self, taker_delay_ns=0)  # type: ignore[arg-type]

    async def get(self, path: str, params: Any = None) -> bytes:
        self.asked.append(path)
        if path != "/markets":
            return orjson.dumps(CLOB)
        is_open = params["closed"] == ["false"]
        named = params["condition_ids"] if is_open else []
        return orjson.dumps(
            [GAMMA | {"conditionId": one} | self.shown.get(one, {}) for one in named]
        )

    def read(self, *, forget: bool = False) -> list[str]:
        """A round; what was asked of the CLOB."""
        self.asked.clear()
        if forget:
            self._reader.forget()
        facts, errors = asyncio.run(self._reader.read(self.instruments))
        assert len(facts) == len(self.instruments) and errors == []
        return [path for path in self.asked if path != "/markets"]


def test_polymarkets_clob_is_asked_for_each_market_once_then_for_some_in_turn() -> None:
    venue = ManyMarkets(3 * ANEW_MIN)
    assert len(venue.read()) == 3 * ANEW_MIN and len(venue.asked) == 3 * ANEW_MIN + 3
    rounds = [venue.read() for _ in range(3)]
    assert [len(asked) for asked in rounds] == [ANEW_MIN] * 3
    assert len({path for asked in rounds for path in asked}) == 3 * ANEW_MIN
    assert len(venue.read(forget=True)) == 3 * ANEW_MIN


@pytest.mark.parametrize(
    "change",
    [{"acceptingOrders": False}, {"orderPriceMinTickSize": 0.001}, {"feeType": "another"},
     {"feesEnabled": False}],
)  # fmt: skip
def test_what_gamma_shows_anew_has_the_clob_asked_at_once(change: dict[str, Any]) -> None:
    venue = ManyMarkets(3 * ANEW_MIN)
    for _ in range(4):  # the next turn is that of the second third
        venue.read()
    condition = f"0x{3 * ANEW_MIN:064x}"
    venue.shown[condition] = change
    asked = venue.read()
    assert f"/clob-markets/{condition}" in asked and len(asked) == ANEW_MIN + 1


def test_the_gamma_rows_of_the_archive_can_be_read() -> None:
    rows = orjson.loads(reference("fixtures/polymarket/gamma.json").read_bytes())
    for row in rows:
        for market in row["body"].get("markets", []) if isinstance(row["body"], dict) else []:
            facts, errors = read_polymarket(gamma=market | {"conditionId": CONDITION})
            assert errors == [] and facts[0].close_epoch_ns > 0
