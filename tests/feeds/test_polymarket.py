"""Polymarket's market channel through the venue's file to the quote, without a socket."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from feeds import book as kernels
from feeds.polymarket import (
    ANSWER_NS,
    DOUBT_NS,
    EVENTS_MAX,
    MISSING_NS,
    PING_NS,
    TRIES_MAX,
    Polymarket,
)
from feeds.update import FeedError, MarketFacts
from shm_layout import DRIFT, E6, GAP, NO_SNAPSHOT, NOT_OPEN, REST_MISMATCH, ST_ACTIVE, ST_SETTLED
from tests.conftest import reference
from tests.feeds.rig import Market, Rig, rig

YES, NO = "111", "222"
CENTS = MarketFacts(status=ST_ACTIVE, grid=((E6, 10_000),))


class Line:
    """A Polymarket venue file on a rig, connected."""

    def __init__(self, *markets: Market, made: Rig | None = None) -> None:
        markets = markets or (Market("m", token_yes=int(YES), token_no=int(NO)),)
        self.rig = made or rig(*markets, facts=CENTS)
        self.venue = Polymarket(self.rig.publisher)
        self.recv_ns = 1_000
        self.venue.opened(self.recv_ns)
        self.first = self.sent()

    def sent(self) -> list[Any]:
        messages = [m if m == b"PING" else orjson.loads(m) for m in self.venue.outbox]
        self.venue.outbox.clear()
        return messages

    def give(self, frame: Any, *, last: bool = True) -> None:
        self.recv_ns += 1
        payload = frame if isinstance(frame, bytes) else orjson.dumps(frame)
        self.venue.frame(memoryview(payload), self.recv_ns, last)

    def tick(self, later_ns: int) -> list[Any]:
        self.recv_ns += later_ns
        self.venue.tick(self.recv_ns)
        return self.sent()


def book(bids: Any, asks: Any, *, asset: str = YES, **rest: Any) -> dict[str, Any]:
    sides = {
        name: [{"price": p, "size": s} for p, s in levels]
        for name, levels in (("bids", bids), ("asks", asks))
    }
    return {"market": "0x1", "asset_id": asset, "timestamp": "1790877850652", "hash": "h",
            "event_type": "book", **sides, **rest}  # fmt: skip


def row(
    side: str, price: str, size: str, bid: str = "", ask: str = "", asset: str = YES
) -> dict[str, str]:
    return {"asset_id": asset, "price": price, "size": size, "side": side, "hash": "h",
            "best_bid": bid, "best_ask": ask}  # fmt: skip


def changes(*rows: dict[str, str], timestamp: str = "1790877850658") -> dict[str, Any]:
    return {"market": "0x1", "price_changes": list(rows), "timestamp": timestamp,
            "event_type": "price_change"}  # fmt: skip


SNAPSHOT = [
    book([("0.45", "10"), ("0.46", "171")], [("0.56", "5"), ("0.55", "205.1")], tick_size="0.01"),
    book([("0.44", "5"), ("0.45", "205.1")], [("0.55", "10"), ("0.54", "171")], asset=NO),
]


def live() -> Line:
    made = Line()
    made.give(SNAPSHOT)
    assert made.rig.trust(0) == 0
    return made


def test_both_tokens_of_every_market_are_subscribed_at_once() -> None:
    made = Line()
    assert made.first == [
        {"type": "market", "assets_ids": [YES, NO], "custom_feature_enabled": True}
    ]


def test_a_feed_takes_no_more_assets_than_the_venue_serves() -> None:
    markets = [Market(f"m{i}", token_yes=2 * i + 1, token_no=2 * i + 2) for i in range(251)]
    with pytest.raises(FeedError, match="250"):
        Polymarket(rig(*markets, facts=None).publisher)


def test_the_first_array_brings_the_book_of_the_yes_token() -> None:
    made = live()
    assert made.rig.levels(0) == (
        [(460_000, 171 * E6), (450_000, 10 * E6)], [(550_000, 205_100_000), (560_000, 5 * E6)]
    )  # fmt: skip
    assert int(made.rig.quote(0)["event_epoch_ns"]) == 1_790_877_850_652 * 10**6
    assert list(made.rig.quote(0)["grid"][:2]) == [E6, 10_000]


def test_sizes_are_totals_and_zero_removes_the_level() -> None:
    made = live()
    made.give(changes(row("BUY", "0.46", "100", "0.46", "0.55")))
    assert made.rig.levels(0)[0][0] == (460_000, 100 * E6)
    made.give(changes(row("BUY", "0.46", "0", "0.45", "0.55")))
    assert made.rig.levels(0)[0] == [(450_000, 10 * E6)] and made.rig.trust(0) == 0


def test_rows_of_the_no_token_are_the_mirror_and_are_not_applied_twice() -> None:
    made = live()
    made.give(changes(
        row("BUY", "0.46", "100", "0.46", "0.55"),
        row("SELL", "0.54", "100", "0.45", "0.54", asset=NO),
    ))  # fmt: skip
    assert made.rig.levels(0) == (
        [(460_000, 100 * E6), (450_000, 10 * E6)], [(550_000, 205_100_000), (560_000, 5 * E6)]
    )  # fmt: skip
    assert made.rig.trust(0) == 0


def test_several_rows_of_one_event_are_one_quote_judged_by_the_last() -> None:
    made = live()
    made.rig.entries()
    made.give(changes(
        row("SELL", "0.55", "0", "0.46", "0.57"),
        row("SELL", "0.56", "0", "0.46", "0.57"),
        row("SELL", "0.57", "8", "0.46", "0.57"),
    ))  # fmt: skip
    (entry,) = made.rig.entries()
    assert int(entry["trust"]) == 0 and int(entry["asks"][0]) == 570_000


def test_an_empty_side_is_told_as_zero_and_one() -> None:
    made = Line()
    made.give(book([], [("0.01", "5")]))
    made.give(changes(row("SELL", "0.01", "0", "0", "1")))
    assert made.rig.levels(0) == ([], []) and made.rig.trust(0) == 0


def test_the_real_price_change_of_both_tokens_is_applied() -> None:
    lines = reference("fixtures/polymarket/ws_market.jsonl").read_bytes().splitlines()
    frames = [orjson.loads(text) for text in lines]
    batch = next(f["frame"] for f in frames if "batch form" in f.get("note", ""))
    first = next(f["frame"] for f in frames if f.get("note", "").startswith("snapshot for one"))
    made = Line(Market("m", token_yes=int(first["asset_id"]),
                       token_no=int(batch["price_changes"][0]["asset_id"])))  # fmt: skip
    made.give(first)
    made.give(batch)
    assert made.rig.levels(0)[1][:2] == [(10_000, 47_509_380_000), (20_000, 821_100_000)]
    assert made.rig.trust(0) == 0 and made.rig.counted("mismatch") == 0


# ---------------------------------------------------------------------- the book that is not theirs


def test_another_touch_than_the_venues_is_untrusted_at_once_and_heals_by_itself() -> None:
    made = live()
    made.give(changes(row("BUY", "0.44", "7", "0.47", "0.55")))
    assert made.rig.trust(0) == REST_MISMATCH and made.rig.counted("mismatch") == 1
    assert made.tick(DOUBT_NS // 2) == []
    made.give(changes(row("BUY", "0.47", "7", "0.47", "0.55")))
    assert made.rig.trust(0) == 0
    assert made.tick(DOUBT_NS * 2) == []


def test_a_later_change_tells_that_one_was_lost_even_if_the_touch_agrees_again() -> None:
    made = live()
    made.give(changes(row("BUY", "0.44", "7", "0.47", "0.55")))
    later = {"timestamp": "1790877852046"}
    made.give({**changes(row("BUY", "0.47", "7", "0.47", "0.55")), **later})
    assert made.rig.trust(0) == GAP
    sent = made.tick(1)
    assert [each["operation"] for each in sent] == ["unsubscribe", "subscribe"]


def test_a_touch_that_stays_another_brings_a_whole_book() -> None:
    made = live()
    made.give(changes(row("BUY", "0.44", "7", "0.47", "0.55")))
    assert made.tick(1) == []
    sent = made.tick(DOUBT_NS + 1)
    assert [each["operation"] for each in sent] == ["unsubscribe", "subscribe"]
    assert sent[1]["assets_ids"] == [YES, NO] and made.rig.trust(0) == GAP | REST_MISMATCH
    made.give({**SNAPSHOT[0], "timestamp": "1790877850660"})
    assert made.rig.trust(0) == 0 and made.tick(DOUBT_NS * 2) == []


def test_best_bid_ask_is_compared_too() -> None:
    made = live()
    touch = {"market": "0x1", "asset_id": YES, "best_bid": "0.46", "best_ask": "0.55"}
    touch |= {"spread": "0.09", "timestamp": "1790877852045", "event_type": "best_bid_ask"}
    made.give(touch)
    assert made.rig.trust(0) == 0
    made.give({**touch, "best_ask": "0.54"})
    assert made.rig.trust(0) == REST_MISMATCH
    made.give({**touch, "asset_id": NO, "best_ask": "0.54"})
    assert made.rig.trust(0) == REST_MISMATCH


def test_a_whole_book_that_does_not_come_ends_the_connection() -> None:
    made = live()
    made.give(changes(row("BUY", "0.44", "7", "0.47", "0.55")))
    made.tick(1)
    made.tick(DOUBT_NS + 1)
    for _ in range(TRIES_MAX):
        assert not made.venue.must_reconnect
        made.tick(ANSWER_NS + 1)
    assert made.venue.must_reconnect


def test_a_first_book_that_silently_never_comes_is_asked_for() -> None:
    made = Line()
    assert made.tick(MISSING_NS // 2) == []
    assert [each["operation"] for each in made.tick(MISSING_NS)] == ["unsubscribe", "subscribe"]


def test_a_crossed_whole_book_is_not_a_good_one() -> None:
    made = Line()
    made.give(book([("0.60", "1")], [("0.55", "1")]))
    assert made.rig.trust(0) & GAP and len(made.sent()) == 2


def test_nothing_survives_a_reconnect() -> None:
    made = live()
    made.venue.closed(made.recv_ns)
    assert made.rig.trust(0) == NO_SNAPSHOT and made.rig.levels(0) == ([], [])
    made.venue.opened(made.recv_ns)
    made.give(SNAPSHOT)
    assert made.rig.trust(0) == 0


# ------------------------------------------------------------------------------------- other events


def test_the_heartbeat_is_the_text_ping_every_ten_seconds_and_pong_is_no_bad_frame() -> None:
    made = live()
    assert made.tick(PING_NS - 100) == []
    assert made.tick(PING_NS) == [b"PING"]
    for text in (b"PONG", b"NO NEW ASSETS"):
        made.give(text)
    assert made.rig.counted("bad_frames") == 0
    made.give(b"INVALID OPERATION")
    assert made.rig.counted("bad_frames") == 1 and made.rig.trust(0) == 0


@pytest.mark.parametrize("asset", [YES, NO])
def test_a_new_tick_is_a_new_tick_epoch(asset: str) -> None:
    made = live()
    before = int(made.rig.quote(0)["tick_epoch"])
    made.give({"event_type": "tick_size_change", "asset_id": asset, "market": "0x1",
               "old_tick_size": "0.01", "new_tick_size": "0.001", "timestamp": "1"})  # fmt: skip
    quote = made.rig.quote(0)
    assert int(quote["tick_epoch"]) == before + 1 and list(quote["grid"][:2]) == [E6, 1_000]
    assert made.rig.counted("tick_changes") == 1


@pytest.mark.parametrize(("winner", "value_e6"), [(YES, E6), (NO, 0)])
def test_a_resolved_market_is_settled_at_what_yes_pays(winner: str, value_e6: int) -> None:
    made = live()
    made.give({"event_type": "market_resolved", "market": "0x1", "assets_ids": [YES, NO],
               "winning_asset_id": winner, "winning_outcome": "?", "timestamp": "1"})  # fmt: skip
    quote = made.rig.quote(0)
    assert int(quote["status"]) == ST_SETTLED and int(quote["settlement_e6"]) == value_e6
    assert made.rig.trust(0) == NOT_OPEN


def test_prints_are_counted_and_do_not_change_the_book() -> None:
    made = live()
    before = made.rig.levels(0)
    made.give({"event_type": "last_trade_price", "asset_id": NO, "price": "0.5", "size": "1",
               "side": "BUY", "timestamp": "1", "fee_rate_bps": "0"})  # fmt: skip
    assert made.rig.counted("trades") == 1 and made.rig.levels(0) == before


# ---------------------------------------------------------------------------------- schema oddities


@pytest.mark.parametrize(
    ("frame", "trust"),
    [
        ({"event_type": "something_new", "payload": {"a": 1}}, 0),
        ({"event_type": "new_market", "id": "1", "question": "?", "anything": []}, 0),
        ({"event_type": "last_trade_price"}, DRIFT),
        (b"{", GAP),
        (b"[1,2", GAP),
        (
            {"price": "0.514", "side": "SELL", "size": "1", "event_type": "price_change"},
            GAP | DRIFT,
        ),
        (changes(row("BUY", "0.5.1", "1")), GAP | DRIFT),
        (changes(row("BUY", "0.51", "NaN")), GAP | DRIFT),
        (changes(row("BUY", "0.46", "1"), timestamp="yesterday"), GAP | DRIFT),
        (changes(row("BUY", "0.46", "1"), timestamp="99999999999999999"), GAP | DRIFT),
        (changes(row("BUY", "0.46", "1"), timestamp="٣"), GAP | DRIFT),
        (book([("0.46", "one")], []), GAP | DRIFT),
    ],
)
def test_an_odd_frame_costs_the_trust_only_if_it_may_have_been_of_a_book(
    frame: Any, trust: int
) -> None:
    made = live()
    made.give(frame)
    assert made.rig.trust(0) == trust
    assert bool(made.sent()) is bool(trust & GAP)


def test_one_bad_event_of_an_array_does_not_spoil_the_others() -> None:
    made = Line(Market("a", token_yes=1, token_no=2), Market("b", token_yes=3, token_no=4))
    bad = {"event_type": "something_new"}
    made.give([bad, book([("0.46", "1")], [], asset="1"), book([("0.40", "1")], [], asset="3")])
    assert [made.rig.trust(i) for i in (0, 1)] == [0, 0]
    assert made.rig.counted("unknown_keys") >= 1


def test_every_server_frame_of_the_archive_is_taken() -> None:
    lines = reference("fixtures/polymarket/ws_market.jsonl").read_bytes().splitlines()
    made = Line()
    for text in lines:
        entry = orjson.loads(text)
        if entry.get("direction") == "client" or entry.get("date") == "2024-08-18":
            continue
        frame = entry.get("frame_text", entry.get("frame"))
        made.give(frame.encode() if isinstance(frame, str) else frame)
    assert made.rig.counted("bad_frames") == 0


def test_nothing_that_comes_in_ever_raises() -> None:
    made = live()
    frame = orjson.dumps(changes(row("BUY", "0.46", "100", "0.46", "0.55")))
    for place in range(len(frame)):
        made.give(frame[:place])
        for byte in (b"\x00", b'"', b"}", b"9", b"-"):
            made.give(frame[:place] + byte + frame[place + 1 :])
    assert made.rig.counted("bad_frames") > 100


def test_bytes_that_are_no_utf8_are_a_bad_frame() -> None:
    made = live()
    raw = orjson.dumps(changes(row("BUY", "0.46", "9", "0.46", "0.55")))
    made.give(raw.replace(YES.encode(), b"1\xff1"))
    assert made.rig.counted("bad_frames") == 1 and made.rig.trust(0) == GAP


@pytest.mark.parametrize("event", [b"{}", b'{"event_type":"book"}'])
def test_an_array_of_events_that_cannot_be_read_breaks_the_books_once(
    event: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each event blocked the process for up to a minute."""
    made, marked = live(), list[int]()
    mark = kernels.mark

    def counted(*args: int) -> None:
        marked.append(1)
        mark(*args)

    monkeypatch.setattr(kernels, "mark", counted)
    made.give(b"[" + b",".join([event] * 500) + b"]")
    assert made.rig.trust(0) & GAP and made.rig.counted("bad_frames") == 500
    assert len(marked) == 2, "GAP and DRIFT"


def test_an_array_is_read_up_to_a_number_of_events() -> None:
    made = live()
    event = orjson.dumps({"event_type": "last_trade_price", "asset_id": YES})
    made.give(b"[" + b",".join([event] * EVENTS_MAX) + b"]")
    assert made.rig.trust(0) == 0 and made.rig.counted("trades") == EVENTS_MAX
    made.give(b"[" + b",".join([event] * (EVENTS_MAX + 1)) + b"]")
    assert made.rig.trust(0) & GAP and made.rig.counted("oversize") == 1


def test_books_of_markets_that_are_over_are_not_asked_for() -> None:
    made = live()
    made.give({"event_type": "market_resolved", "winning_asset_id": YES})
    made.give(b"[{}]")
    assert made.rig.trust(0) & GAP and made.sent() == []
