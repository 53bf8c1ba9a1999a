"""Kalshi's frames through the venue's file to the quote, without a socket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from feeds.kalshi import ANSWER_NS, DOUBT_NS, MISSING_NS, TRIES_MAX
from feeds.kalshi_drift import MIRRORED_MAX
from shm_layout import (
    CROSSED,
    DRIFT,
    E6,
    GAP,
    NO_SNAPSHOT,
    ST_SETTLED,
)
from tests.conftest import reference
from tests.feeds.kalshi_line import BOOK, SID, Line, line, yes_price
from tests.feeds.rig import OPEN, Market, rig


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


def test_a_snapshot_that_was_held_back_does_not_heal_a_newer_hole() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.4600", "1.00", seq=9)
    made.snapshot(yes=(("0.1000", "1.00"),), seq=2)
    assert made.rig.trust(0) == GAP and made.rig.counted("snapshots") == 1
    assert made.rig.levels(0)[0][0][0] == 470_000, "and the older book is not taken"
    made.snapshot(seq=10)
    assert made.rig.trust(0) == 0 and made.rig.counted("gaps") == 2


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


@pytest.mark.parametrize("sid", [1, 4])
def test_a_subscription_that_the_venue_ends_is_the_end_of_the_connection(sid: int) -> None:
    made = line()
    made.snapshot()
    assert made.rig.trust(0) == 0
    made.give({"type": "unsubscribed", "id": 0, "sid": sid, "seq": made.seq + 1})
    assert made.rig.trust(0) == GAP and made.kalshi.must_reconnect
