"""Kalshi's other channels and odd frames: tickers, life cycle, drift, bytes that are no frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from shm_layout import (
    DRIFT,
    E6,
    GAP,
    NONE_NS,
    NOT_OPEN,
    ST_ACTIVE,
    ST_DETERMINED,
    ST_INACTIVE,
    ST_SETTLED,
    TICK_EPOCH,
)
from tests.conftest import reference
from tests.feeds.kalshi_line import BOOK, SID, Line, line, raw

CAPTURED = ("book_demo_yes_scale_prices", "book_prod_kxbtc15m_no_leg_prices")


def fixture(name: str) -> Path:
    return reference("fixtures/kalshi/ws") / name


def told(made: Line) -> list[str]:
    """The actions asked of the venue since the last look."""
    return [each["params"].get("action", each["cmd"]) for each in made.sent()]


# --------------------------------------------------------------------------------------- tickers


@pytest.mark.parametrize(
    ("bid", "ask", "checked", "agreed"),
    [
        ("0.4700", "0.5200", 1, 1),
        ("0.470000", "0.52", 1, 1),
        ("0.4600", "0.5200", 1, 0),
        ("0.4700", "0.5300", 1, 0),
        ("", "", 0, 0),
    ],
)
def test_a_ticker_is_compared_with_the_book_at_that_moment(
    bid: str, ask: str, checked: int, agreed: int
) -> None:
    made = line()
    made.ticker("0.4700", "0.5200")  # no book yet
    made.snapshot()
    made.ticker(bid, ask)
    assert made.rig.counted("tickers_checked") == checked
    assert made.rig.counted("tickers_agreed") == agreed


def test_a_ticker_over_a_half_empty_or_broken_book_does_not_count() -> None:
    made = line()
    made.snapshot(no=None)
    made.ticker("0.4700", "1.0000")
    made.snapshot()
    made.delta("yes", "0.4600", "1.00", seq=99)
    made.ticker("0.4700", "0.5200")
    assert made.rig.counted("tickers_checked") == 0


def test_a_ticker_that_cannot_be_read_is_drift_and_does_not_touch_the_book() -> None:
    made = line()
    made.snapshot()
    made.ticker("nan", "0.5200")
    assert made.rig.trust(0) == DRIFT and made.rig.counted("bad_frames") == 1


# -------------------------------------------------------------------------------------- life cycle


@pytest.mark.parametrize(
    ("event", "rest", "status", "settlement_e6"),
    [
        ("deactivated", {}, ST_INACTIVE, NONE_NS),
        ("activated", {}, ST_ACTIVE, NONE_NS),
        ("determined", {"result": "yes"}, ST_DETERMINED, E6),
        ("determined", {"result": "no", "settlement_value": "0.0000"}, ST_DETERMINED, 0),
        ("determined", {"result": "scalar", "settlement_value": "0.3700"}, ST_DETERMINED, 370_000),
        ("settled", {"settled_ts": 5}, ST_SETTLED, NONE_NS),
    ],
)
def test_what_happens_to_a_market_stands_beside_its_quote(
    event: str, rest: dict[str, Any], status: int, settlement_e6: int
) -> None:
    made = line()
    made.snapshot()
    made.lifecycle(event, **rest)
    quote = made.rig.quote(0)
    assert int(quote["status"]) == status and int(quote["settlement_e6"]) == settlement_e6
    assert bool(int(quote["trust"]) & NOT_OPEN) is (status != ST_ACTIVE)


def test_a_strike_that_becomes_known_and_a_close_that_moves_are_published() -> None:
    made = line()
    made.lifecycle("metadata_updated", floor_strike=79800.71)
    made.lifecycle("close_date_updated", close_ts=1_800_000_000, seq=2)
    quote = made.rig.quote(0)
    assert int(quote["strike_e8"]) == 7_980_071_000_000
    assert int(quote["close_epoch_ns"]) == 1_800_000_000 * 10**9


@pytest.mark.parametrize("rest", [{"yes_sub_title": "above"}, {"floor_strike": None}])
def test_metadata_without_a_strike_changes_nothing(rest: dict[str, Any]) -> None:
    made = line()
    made.lifecycle("metadata_updated", **rest)
    assert int(made.rig.quote(0)["strike_e8"]) == NONE_NS
    assert made.rig.counted("bad_frames") == 0


def test_a_strike_that_is_no_number_is_counted() -> None:
    made = line()
    made.lifecycle("metadata_updated", floor_strike="high")
    assert int(made.rig.quote(0)["strike_e8"]) == NONE_NS
    assert made.rig.counted("bad_frames") == 1


def test_a_new_price_grid_with_ranges_is_a_new_tick_epoch() -> None:
    made = line()
    made.snapshot()
    before = int(made.rig.quote(0)["tick_epoch"])
    ranges = [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    made.lifecycle("price_level_structure_updated", price_ranges=ranges)
    quote = made.rig.quote(0)
    assert int(quote["tick_epoch"]) == before + 1 and list(quote["grid"][:2]) == [E6, 1_000]


def test_a_new_price_grid_without_ranges_is_untrusted_until_it_is_read() -> None:
    made = line()
    made.snapshot()
    made.lifecycle("price_level_structure_updated", price_level_structure="deci_cent")
    assert made.rig.trust(0) == TICK_EPOCH and made.kalshi.wants_facts
    assert not made.kalshi.wants_facts, "asked for once"


def test_a_fee_update_of_our_event_and_a_lost_life_cycle_message_want_the_facts_again() -> None:
    made = line("KXBTCD-26MAY2018-T1")
    made.snapshot("KXBTCD-26MAY2018-T1")
    sid = SID["market_lifecycle_v2"]
    fee = {"type": "event_fee_update", "sid": sid, "seq": 1,
           "msg": {"event_ticker": "KXBTCD-26MAY2019", "fee_multiplier_override": 1}}  # fmt: skip
    made.give(fee)
    assert not made.kalshi.wants_facts and made.rig.trust(0) == 0
    fee["msg"], fee["seq"] = {"event_ticker": "KXBTCD-26MAY2018"}, 2
    made.give(fee)
    assert made.kalshi.wants_facts and made.rig.trust(0) == TICK_EPOCH, "not at the fees it had"
    made.lifecycle("activated", ticker="OTHER", seq=4)
    assert made.kalshi.wants_facts and made.rig.counted("gaps") == 1


def test_trades_are_counted_block_trades_are_not() -> None:
    made = line()
    for seq, (ticker, block) in enumerate([("A", False), ("A", True), ("OTHER", False)], 1):
        message = {"market_ticker": ticker, "is_block_trade": block}
        made.give({"type": "trade", "sid": SID["trade"], "seq": seq, "msg": message})
    assert made.rig.counted("trades") == 1


# ---------------------------------------------------------------------------------- schema oddities


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\n", b"{", b"\xff\xfe", b"[" * 5_000, b'{"type":"orderbook_delta","msg":{"a":1',
        b'{"type":"orderbook_delta","sid":1,"seq":1e99}',
        b'{"type":"orderbook_delta","sid":1,"seq":99999999999999999999,"msg":{}}',
    ],
)  # fmt: skip
def test_bytes_that_are_no_frame_are_counted_and_change_nothing(payload: bytes) -> None:
    made = line()
    made.snapshot()
    made.give(payload)
    assert made.rig.counted("bad_frames") == 1 and made.rig.trust(0) == 0
    made.delta("yes", "0.4600", "1.00")
    assert made.rig.trust(0) == 0 and made.rig.counted("gaps") == 0


@pytest.mark.parametrize(
    "payload", [b"[]", b"null", b'{"type":5}', b'{"type":"orderbook_delta"}', b"{}"]
)
def test_json_of_another_shape_is_drift(payload: bytes) -> None:
    made = line("A", "B")
    made.snapshot("A")
    made.snapshot("B")
    made.give(payload)
    assert made.rig.counted("bad_frames") == 1 and made.rig.counted("drifts") == 1
    assert made.rig.trust(0) == DRIFT and made.rig.trust(1) == DRIFT
    made.delta("yes", "0.4600", "1.00")
    assert made.rig.counted("gaps") == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("price_dollars", "0.52001"), ("price_dollars", "1.0000"), ("price_dollars", "1_0"),
     ("price_dollars", "-0.5"), ("delta_fp", "NaN"), ("delta_fp", "1e5"),
     ("delta_fp", "2000000000.00")],
)  # fmt: skip
def test_a_number_that_is_none_breaks_the_book_it_was_for(field: str, value: str) -> None:
    made = line("A", "B")
    made.snapshot("A")
    made.snapshot("B")
    message = {"market_ticker": "A", "price_dollars": "0.5200", "delta_fp": "1.00",
               "side": "yes", "ts_ms": 5, field: value}  # fmt: skip
    made.numbered("orderbook_delta", message)
    assert made.rig.trust(0) == GAP | DRIFT and made.rig.trust(1) == DRIFT
    assert made.rig.counted("bad_frames") == 1 and told(made) == ["get_snapshot"]
    made.delta("yes", "0.4600", "1.00", ticker="B")
    assert made.rig.counted("gaps") == 0, "its number was read"


@pytest.mark.parametrize(
    "broken",
    [{"side": "maybe"}, {"price_dollars": 42}, {"ts_ms": -1}, {"delta_fp": None},
     {"market_ticker": ""}],
)  # fmt: skip
def test_a_book_frame_of_another_shape_leaves_a_hole_behind(broken: dict[str, Any]) -> None:
    made = line()
    made.snapshot()
    message = {"market_ticker": "A", "price_dollars": "0.4600", "delta_fp": "1.00",
               "side": "yes", "ts_ms": 5}  # fmt: skip
    made.numbered("orderbook_delta", message | broken)
    assert made.rig.counted("bad_frames") == 1
    made.delta("yes", "0.4600", "1.00")
    assert made.rig.trust(0) == GAP | DRIFT and made.rig.counted("gaps") == 1


def test_unknown_keys_are_tolerated_and_counted() -> None:
    made = line()
    made.snapshot()
    before = made.rig.counted("unknown_keys")
    made.delta("yes", "0.4700", "1.00", sending_ts_ms=5)
    assert made.rig.counted("unknown_keys") == before
    made.delta("yes", "0.4700", "1.00", new_key=1)
    assert made.rig.counted("unknown_keys") == before + 1
    assert made.rig.levels(0)[0] == [(470_000, 5 * E6)]


def test_a_missing_engine_time_is_tolerated() -> None:
    made = line()
    made.snapshot()
    message = {"market_ticker": "A", "price_dollars": "0.4700", "delta_fp": "1.00", "side": "yes"}
    made.numbered("orderbook_delta", message)
    assert made.rig.levels(0)[0] == [(470_000, 4 * E6)] and made.rig.trust(0) == 0


def test_a_frame_of_an_unknown_type_keeps_its_number() -> None:
    made = line()
    made.snapshot()
    made.numbered("orderbook_hint", {"market_ticker": "A"})
    made.delta("yes", "0.4700", "1.00")
    assert made.rig.counted("gaps") == 0 and made.rig.counted("bad_frames") == 0
    assert made.rig.counted("unknown_keys") >= 1


@pytest.mark.parametrize(
    ("code", "gives_up"), [(10, True), (25, True), (7, True), (27, False), (14, False)]
)
def test_only_an_error_that_ends_the_subscription_ends_the_session(
    code: int, gives_up: bool
) -> None:
    made = line()
    made.give({"type": "error", "id": 5, "msg": {"code": code, "msg": "?"}})
    assert made.kalshi.must_reconnect is gives_up


@pytest.mark.parametrize(
    "name", ["channel_examples", "control_replies", "errors", "lifecycle_examples",
             "cfbenchmarks_examples", *CAPTURED],
)  # fmt: skip
def test_every_frame_of_the_archive_is_taken_without_a_bad_one(name: str) -> None:
    made = line()
    errors = 0
    for text in fixture(f"{name}.jsonl").read_bytes().splitlines():
        errors += orjson.loads(text)["type"] == "error"
        made.kalshi.closed(1)  # each stands for itself: other sids, other numbers
        made.kalshi.opened(2)
        made.give(text + b"\n")
    wrong_sid = sum(
        orjson.loads(text)["type"] == "orderbook_delta"
        for text in fixture(f"{name}.jsonl").read_bytes().splitlines()
    )  # a delta before any subscription is not ours to apply
    assert made.rig.counted("bad_frames") == errors + wrong_sid


def test_nothing_that_comes_in_ever_raises() -> None:
    """Each captured frame cut short at every byte, and each byte replaced."""
    made = line()
    made.snapshot()
    frame = raw({"type": "orderbook_delta", "sid": BOOK, "seq": 2, "msg": {
        "market_ticker": "A", "price_dollars": "0.4700", "delta_fp": "1.00", "side": "yes",
        "ts_ms": 5}})  # fmt: skip
    for place in range(len(frame)):
        made.give(frame[:place])
        for byte in (b"\x00", b'"', b"}", b"9", b"-"):
            made.give(frame[:place] + byte + frame[place + 1 :])
    assert made.rig.counted("bad_frames") > 100
