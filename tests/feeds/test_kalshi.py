"""Kalshi's frames through the venue's file to the quote, without a socket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from feeds.kalshi import ANSWER_NS, DOUBT_NS, MIRRORED_MAX, MISSING_NS, TRIES_MAX
from shm_layout import (
    CROSSED,
    DRIFT,
    E6,
    GAP,
    NO_SNAPSHOT,
    NONE_NS,
    NOT_OPEN,
    ST_ACTIVE,
    ST_DETERMINED,
    ST_INACTIVE,
    ST_SETTLED,
    TICK_EPOCH,
)
from tests.conftest import reference
from tests.feeds.kalshi_line import BOOK, SID, Line, line, raw, yes_price
from tests.feeds.rig import OPEN, Market, rig

CAPTURED = ("book_demo_yes_scale_prices", "book_prod_kxbtc15m_no_leg_prices")


def fixture(name: str) -> Path:
    return reference("fixtures/kalshi/ws") / name


def told(made: Line) -> list[str]:
    """The actions asked of the venue since the last look."""
    return [each["params"].get("action", each["cmd"]) for each in made.sent()]


# ------------------------------------------------------------------------------------ subscribing


def test_the_price_scale_of_no_levels_is_always_asked_for_explicitly() -> None:
    made = line("A", "B")
    sent = made.open()
    assert sent[0]["cmd"] == "subscribe" and sent[0]["params"] == {
        "channels": ["orderbook_delta", "ticker", "trade"],
        "use_yes_price": True,
        "market_tickers": ["A", "B"],
    }
    assert sent[1]["params"] == {"channels": ["market_lifecycle_v2"]}
    assert sent[0]["id"] != sent[1]["id"]


def test_a_session_is_subscribed_once_every_channel_has_its_sid() -> None:
    made = line()
    made.kalshi.closed(5)
    made.kalshi.opened(6)
    for channel, sid in SID.items():
        assert not made.kalshi.is_subscribed
        made.give({"type": "subscribed", "id": 1, "msg": {"channel": channel, "sid": sid}})
    assert made.kalshi.is_subscribed


# -------------------------------------------------------------------------------------- the books


def test_a_captured_demo_session_gives_the_expected_book() -> None:
    frames = fixture("book_demo_yes_scale_prices.jsonl").read_bytes().splitlines(keepends=True)
    expected = orjson.loads(fixture("book_demo_expected.json").read_bytes())
    ticker = orjson.loads(frames[2])["msg"]["market_ticker"]
    made = Line(rig(Market(ticker)))
    made.kalshi.closed(1)
    made.kalshi.opened(2)
    for payload in frames:
        made.give(payload)
    assert made.rig.levels(0) == ([(470_000, 3 * E6)], [(520_000, 2 * E6)])
    assert expected["book_demo_yes_scale_prices.jsonl"]["final"]["yes_asks"] == [["0.5200", "2.00"]]
    assert made.rig.trust(0) == 0 and int(made.rig.quote(0)["venue_seq"]) == 3
    assert int(made.rig.quote(0)["event_epoch_ns"]) == 1_781_159_387_427 * 10**6


def test_a_captured_production_session_gives_the_expected_book() -> None:
    path = fixture("book_prod_kxbtc15m_no_leg_prices.jsonl")
    expected = orjson.loads(fixture("book_prod_kxbtc15m_expected.json").read_bytes())["final"]
    frames = [orjson.loads(text) for text in path.read_bytes().splitlines()]
    made = Line(rig(Market(frames[0]["msg"]["market_ticker"])))
    for frame in frames:
        message = frame["msg"]
        if "no_dollars_fp" in message:
            message["no_dollars_fp"] = [[yes_price(p), n] for p, n in message["no_dollars_fp"]]
        if message.get("side") == "no":
            message["price_dollars"] = yes_price(message["price_dollars"])
        made.give(frame)
    bids, asks = made.rig.levels(0)
    for found, wanted in ((bids, expected["best_yes_bids"]), (asks, expected["best_yes_asks"])):
        assert found == [(round(float(p) * E6), round(float(n) * E6)) for p, n in wanted]
    assert made.rig.trust(0) == 0 and made.rig.counted("gaps") == 0


def test_an_absent_key_is_an_empty_side() -> None:
    made = line()
    made.snapshot(no=None)
    assert made.rig.levels(0) == ([(470_000, 3 * E6)], []) and made.rig.trust(0) == 0
    made.snapshot(yes=None, no=None)
    assert made.rig.levels(0) == ([], [])


def test_a_market_whose_snapshots_are_crossed_does_not_cost_the_others_their_link() -> None:
    made = line("A", "B")
    made.snapshot("B")
    for _ in range(50):
        made.snapshot("A", yes=[["0.5300", "1.00"]])
        made.recv_ns += ANSWER_NS
        made.kalshi.tick(made.recv_ns)
    assert not made.kalshi.must_reconnect
    assert made.rig.trust(0) & DRIFT and made.rig.trust(1) == 0
    assert made.rig.counted("resyncs") < 10


def test_a_second_snapshot_replaces_the_book() -> None:
    made = line()
    made.snapshot()
    made.snapshot(yes=[["0.4000", "1.00"]], no=[["0.6000", "2.50"]])
    assert made.rig.levels(0) == ([(400_000, E6)], [(600_000, 2_500_000)])
    assert made.rig.trust(0) == 0


def test_a_level_of_either_side_goes_at_exactly_zero() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.4700", "-3.00")
    made.delta("no", "0.5200", "-1.00")
    assert made.rig.levels(0) == ([], []) and made.rig.trust(0) == 0


def test_a_negative_level_costs_the_trust_and_brings_a_new_snapshot() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.4700", "-4.00")
    assert made.rig.trust(0) == GAP and made.rig.counted("negative") == 1
    assert told(made) == ["get_snapshot"]
    made.delta("yes", "0.4600", "-4.00")
    assert told(made) == [], "the answer is on its way"
    made.snapshot()
    assert made.rig.trust(0) == 0


def test_a_cross_inside_one_engine_time_is_not_published() -> None:
    made = line()
    made.snapshot()
    made.rig.entries()
    made.delta("yes", "0.5200", "2.00", ts_ms=7, last=False)
    made.delta("no", "0.5200", "-1.00", ts_ms=7, last=False)
    made.delta("no", "0.5300", "1.00", ts_ms=7)
    (entry,) = made.rig.entries()
    assert int(entry["trust"]) == 0 and int(entry["bids"][0]) == 520_000


def test_a_cross_that_the_buffer_ends_with_is_published_untrusted_and_not_waited_for() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.5200", "2.00")
    assert made.rig.trust(0) == CROSSED
    made.delta("no", "0.5200", "-1.00")
    assert made.rig.trust(0) == 0


def test_a_book_that_stays_crossed_is_not_the_venues_and_is_asked_for_again() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.5200", "2.00")
    for later_ns, wanted in ((0, []), (DOUBT_NS, []), (1, ["get_snapshot"])):
        made.recv_ns += later_ns
        made.kalshi.tick(made.recv_ns)
        assert told(made) == wanted
    assert made.rig.trust(0) == CROSSED | GAP
    made.snapshot()
    assert made.rig.trust(0) == 0


def test_an_error_with_a_number_consumes_it() -> None:
    made = line()
    made.snapshot()
    made.give({"type": "error", "sid": BOOK, "seq": 2, "msg": {"code": 5, "msg": "?"}})
    made.delta("yes", "0.4600", "1.00", seq=3)
    assert made.rig.counted("gaps") == 0 and made.rig.trust(0) == 0


def test_the_end_of_the_buffer_publishes_whatever_frame_it_is() -> None:
    made = line()
    made.snapshot()
    made.rig.entries()
    made.delta("yes", "0.4800", "2.00", last=False)
    assert made.rig.entries() == []
    made.ticker("0.4800", "0.5200")
    assert len(made.rig.entries()) == 1


def test_deltas_of_a_market_that_is_not_ours_keep_the_sequence() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.4000", "1.00", ticker="OTHER")
    made.delta("yes", "0.4000", "1.00")
    assert made.rig.counted("gaps") == 0 and made.rig.trust(0) == 0


# ------------------------------------------------------------------------------------ the sequence


def test_a_hole_makes_every_market_of_the_subscription_untrusted() -> None:
    made = line("A", "B")
    made.snapshot("A")
    made.snapshot("B")
    made.delta("yes", "0.4600", "1.00", seq=4)
    assert [made.rig.trust(i) for i in (0, 1)] == [GAP, GAP] and made.rig.counted("gaps") == 1
    (asked,) = made.sent()
    assert asked["cmd"] == "update_subscription" and asked["params"] == {
        "sids": [BOOK], "action": "get_snapshot", "market_tickers": ["A", "B"],
    }  # fmt: skip


def test_requested_snapshots_and_their_ok_consume_numbers_and_heal_the_hole() -> None:
    made = line("A", "B")
    made.snapshot("A")
    made.snapshot("B")
    made.delta("yes", "0.4600", "1.00", seq=9)
    made.numbered("ok", {"market_tickers": ["A", "B"]}, id=3)
    made.snapshot("A")
    assert [made.rig.trust(i) for i in (0, 1)] == [0, GAP]
    made.snapshot("B")
    made.delta("yes", "0.4600", "1.00")
    assert [made.rig.trust(i) for i in (0, 1)] == [0, 0] and made.rig.counted("gaps") == 1


def test_any_first_number_is_the_baseline() -> None:
    made = line()
    made.snapshot(seq=636)
    made.delta("yes", "0.4600", "1.00")
    assert made.rig.trust(0) == 0 and made.rig.counted("gaps") == 0


def test_an_exact_repeat_is_dropped_and_counted() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.4700", "1.00")
    made.delta("yes", "0.4700", "1.00", seq=made.seq)
    assert made.rig.levels(0)[0] == [(470_000, 4 * E6)]
    assert made.rig.counted("duplicates") == 1 and made.rig.counted("gaps") == 0


def test_an_old_number_with_another_content_is_a_hole() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.4700", "1.00")
    made.delta("yes", "0.4600", "1.00", seq=made.seq)
    assert made.rig.trust(0) == GAP and made.rig.counted("gaps") == 1


def test_a_snapshot_that_does_not_come_is_asked_for_again_then_the_link_is_given_up() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.4600", "1.00", seq=5)
    told(made)
    for _ in range(TRIES_MAX):
        assert not made.kalshi.must_reconnect
        made.recv_ns += ANSWER_NS + 1
        made.kalshi.tick(made.recv_ns)
        assert told(made) == ["get_snapshot"]
    assert made.kalshi.must_reconnect


def test_an_open_market_without_a_first_snapshot_is_asked_for_and_the_link_is_kept() -> None:
    made = line("A", "B")
    made.snapshot("A")
    for _ in range(TRIES_MAX + 3):
        made.recv_ns += MISSING_NS + 10
        made.kalshi.tick(made.recv_ns)
        (asked,) = made.sent()
        assert asked["params"]["market_tickers"] == ["B"]
    assert not made.kalshi.must_reconnect
    made.rig.publisher.set_facts(1, replace(OPEN, status=ST_SETTLED), made.recv_ns)
    made.recv_ns += MISSING_NS + 10
    made.kalshi.tick(made.recv_ns)
    assert made.sent() == []


def test_a_new_connection_starts_with_empty_books_and_new_numbers() -> None:
    made = line()
    made.snapshot()
    made.kalshi.closed(made.recv_ns)
    assert made.rig.trust(0) == NO_SNAPSHOT and made.rig.levels(0) == ([], [])
    made.open()
    made.snapshot(yes=[["0.1000", "1.00"]])
    assert made.rig.levels(0)[0] == [(100_000, E6)] and made.rig.trust(0) == 0
    assert made.rig.counted("gaps") == 0


# --------------------------------------------------------------------------------- the other scale


def test_a_snapshot_that_crosses_is_the_other_scale_and_is_not_traded_on() -> None:
    made = line()
    made.snapshot(yes=[["0.4700", "3.00"]], no=[["0.0100", "5.00"], ["0.4800", "1.00"]])
    assert made.rig.trust(0) & DRIFT and told(made) == ["get_snapshot"]
    made.snapshot()
    assert made.rig.trust(0) == 0


def test_tickers_that_name_the_mirror_of_our_ask_end_the_trust_until_one_agrees() -> None:
    made = line()
    for is_first in (True, False):
        made.snapshot(yes=[["0.0100", "1.00"]], no=[["0.9800", "1.00"]])
        for _ in range(MIRRORED_MAX):
            made.ticker("0.0100", "0.0200")
        assert made.rig.trust(0) & DRIFT
        assert made.kalshi.must_reconnect is is_first, "a third connection would not help"
        made.kalshi.closed(made.recv_ns)
        made.open()
    made.snapshot(yes=[["0.0100", "1.00"]], no=[["0.0200", "1.00"]])
    assert made.rig.trust(0) == DRIFT
    made.ticker("0.0100", "0.0200")
    assert made.rig.trust(0) == 0 and not made.kalshi.must_reconnect


def test_the_form_in_cents_fails_loudly() -> None:
    made = line()
    made.numbered("orderbook_snapshot", {"market_ticker": "A", "yes": [[42, 13]], "no": []})
    assert made.rig.trust(0) & NO_SNAPSHOT and made.rig.trust(0) & GAP
    assert made.rig.counted("bad_frames") == 1


@pytest.mark.parametrize(
    "name", ["ws_snapshot_cents_2025", "ws_snapshot_three_forms_until_2026-03-12"]
)
def test_removed_forms_of_the_archive_never_make_a_book(name: str) -> None:
    path = reference("fixtures/kalshi/legacy") / f"{name}.jsonl"
    for text in path.read_bytes().splitlines():
        frame = orjson.loads(text)
        made = Line(rig(Market(frame["msg"]["market_ticker"])))
        made.give({**frame, "sid": BOOK})
        assert made.rig.trust(0) != 0


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


def test_a_ticker_that_cannot_be_read_does_not_touch_the_book() -> None:
    made = line()
    made.snapshot()
    made.ticker("nan", "0.5200")
    assert made.rig.trust(0) == 0 and made.rig.counted("bad_frames") == 1


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
    sid = SID["market_lifecycle_v2"]
    fee = {"type": "event_fee_update", "sid": sid, "seq": 1,
           "msg": {"event_ticker": "KXBTCD-26MAY2019", "fee_multiplier_override": 1}}  # fmt: skip
    made.give(fee)
    assert not made.kalshi.wants_facts
    fee["msg"], fee["seq"] = {"event_ticker": "KXBTCD-26MAY2018"}, 2
    made.give(fee)
    assert made.kalshi.wants_facts
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
        b"", b"\n", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 5_000, b'{"type":5}',
        b'{"type":"orderbook_delta"}', b'{"type":"orderbook_delta","sid":1,"seq":1e99}',
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
    assert made.rig.trust(0) & GAP and made.rig.trust(1) == 0
    assert made.rig.counted("bad_frames") == 1 and told(made) == ["get_snapshot"]
    made.delta("yes", "0.4600", "1.00", ticker="B")
    assert made.rig.counted("gaps") == 0, "its number was read"


@pytest.mark.parametrize(
    "broken",
    [{"side": "maybe"}, {"price_dollars": 42}, {"ts_ms": -1}, {"ts_ms": 2**62}, {"delta_fp": None}],
)
def test_a_book_frame_of_another_shape_leaves_a_hole_behind(broken: dict[str, Any]) -> None:
    made = line()
    made.snapshot()
    message = {"market_ticker": "A", "price_dollars": "0.4600", "delta_fp": "1.00",
               "side": "yes", "ts_ms": 5}  # fmt: skip
    made.numbered("orderbook_delta", message | broken)
    assert made.rig.counted("bad_frames") == 1
    made.delta("yes", "0.4600", "1.00")
    assert made.rig.trust(0) == GAP and made.rig.counted("gaps") == 1


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
