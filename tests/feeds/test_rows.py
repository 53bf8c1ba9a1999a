"""Odd answers of a venue's REST: each costs what it is about, and is one clear error."""

from __future__ import annotations

import asyncio

import msgspec
import orjson
import pytest
from msgspec import Raw

from feeds.kalshi_facts import BASE, KalshiFacts
from feeds.polymarket_facts import PolymarketFacts
from feeds.rows import ERRORS_MAX, rows_of
from feeds.update import FeedError
from shm_layout import NONE_NS
from tests.feeds.rig import Market, rig
from tests.feeds.test_facts import (
    CLOB,
    CONDITION,
    GAMMA,
    TICKER,
    FakeRest,
    an_instrument,
    composed,
    kalshi,
    read_kalshi,
)

NUMBERS = msgspec.json.Decoder(int)


def test_rows_are_read_each_by_itself_and_bounded() -> None:
    assert rows_of([Raw(b"1"), Raw(b"null"), Raw(b"3")], NUMBERS, "GET /x", 3) == (
        [1, 3],
        ["GET /x: row 1: Expected `int`, got `null`"],
    )
    with pytest.raises(FeedError, match="found 4, wanted at most 3"):
        rows_of([Raw(b"1")] * 4, NUMBERS, "GET /x", 3)
    _, errors = rows_of([Raw(b"[")] * 500, NUMBERS, "GET /x", 500)
    assert len(errors) == ERRORS_MAX + 1 and "480 more" in errors[-1]


def text_of(rest: FakeRest, path: str, old: bytes, new: bytes) -> FakeRest:
    """The same answers, with part of one replaced in its bytes."""
    body = orjson.dumps(rest.answers[path])
    assert old in body, old
    rest.answers[path] = body.replace(old, new)
    return rest


@pytest.mark.parametrize(
    ("path", "old"),
    [("/markets", b'"floor_strike":79800.71'), ("/series/KXBTC15M", b'"fee_multiplier":1')],
)
def test_text_of_kalshi_that_is_no_utf_8_is_one_clear_error(path: str, old: bytes) -> None:
    name = old.split(b":")[0]
    rest = text_of(kalshi(), BASE + path, old, name + b':"\xff"')
    facts, errors = read_kalshi(rest)
    assert facts == {} and len(errors) == 1 and "UTF-8" in errors[0]


def test_gos_zero_time_is_a_time_that_is_not_known() -> None:
    rest = kalshi({"close_time": "0001-01-01T00:00:00Z", "open_time": "1969-12-31T23:59:59Z"})
    facts, errors = read_kalshi(rest)
    assert errors == [] and facts[0].close_epoch_ns == facts[0].open_epoch_ns == NONE_NS
    made = rig(Market(TICKER))
    made.publisher.set_facts(0, facts[0], 5)
    assert int(made.quote(0)["close_epoch_ns"]) == NONE_NS


def test_one_odd_row_of_kalshi_costs_its_own_market_and_one_line() -> None:
    row = composed("market_kxbtc15m_active")["market"]
    rest = kalshi()
    rows = [row, row | {"ticker": "B", "close_time": None}, None]
    rest.answers[f"{BASE}/markets"] = {"markets": rows}
    reader = KalshiFacts(rest)  # type: ignore[arg-type]
    asked = [an_instrument(TICKER), an_instrument("B", local=1)]
    facts, errors = asyncio.run(reader.read(asked))
    assert list(facts) == [0] and len(errors) == 2
    assert "close_time" in errors[0] and "row 2" in errors[1]


def test_one_odd_row_of_gamma_costs_its_own_market() -> None:
    clob = {f"/clob-markets/{CONDITION}": CLOB}
    rest = FakeRest(**clob, **{"/markets": lambda params: [GAMMA | {"closed": 1}, GAMMA]})
    reader = PolymarketFacts(rest, rest, taker_delay_ns=0)  # type: ignore[arg-type]
    facts, errors = asyncio.run(reader.read([an_instrument("slug", condition=5)]))
    assert list(facts) == [0] and len(errors) == 1 and "row 0" in errors[0]


def test_text_of_polymarket_that_is_no_utf_8_is_one_clear_error() -> None:
    clob = orjson.dumps(CLOB | {"mts": "odd"}).replace(b'"odd"', b'"\xff"')
    rest = FakeRest(**{f"/clob-markets/{CONDITION}": clob, "/markets": [GAMMA]})
    reader = PolymarketFacts(rest, rest, taker_delay_ns=0)  # type: ignore[arg-type]
    facts, errors = asyncio.run(reader.read([an_instrument("slug", condition=5)]))
    assert facts == {} and len(errors) == 1 and "UTF-8" in errors[0]
