"""Schema drift: found, told once, counted; no new trades until it is over."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from feeds.coinbase import Coinbase
from feeds.kalshi_frames import strange
from feeds.limits import ITEMS_MAX, excess
from feeds.notices import (
    ALERT_AGAIN_NS,
    ALERTS_KEPT,
    ALERTS_MAX,
    SAMPLE_MAX_BYTES,
    SAMPLES_KEPT,
    SAMPLES_MAX,
    Notices,
)
from feeds.publisher import Publisher
from feeds.sentinel import GOOD_FRAMES, KEYS_MAX, LOOK_EACH, QUIET_NS, RELAPSES_MAX, Sentinel
from feeds.update import SECOND_NS, MarketFacts
from shm_layout import DRIFT, E6, GAP, NO_SNAPSHOT, ST_ACTIVE, Segment
from tests.feeds.kalshi_line import Line, line
from tests.feeds.rig import Clock, Market, Rig, rig
from tests.feeds.test_polymarket import Line as PolyLine
from tests.feeds.test_polymarket import book, changes, row
from tests.feeds.test_polymarket import live as poly

GOOD: dict[str, Any] = {
    "market_ticker": "A", "price_dollars": "0.4600", "delta_fp": "1.00", "side": "yes", "ts_ms": 5,
}  # fmt: skip


def kalshi() -> Line:
    made = line("A", "B")
    made.snapshot("A")
    made.snapshot("B")
    assert made.rig.trust(0) == made.rig.trust(1) == 0
    return made


def alerts(made: Any) -> list[str]:
    found: list[str] = made.rig.publisher.notices.take()[0]
    return found


def without(message: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != name}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (without(GOOD, "price_dollars"), "msg.price_dollars"),  # missing
        (without(GOOD, "delta_fp") | {"delta": 1}, "msg.delta_fp"),  # renamed
        (without(GOOD, "market_ticker"), "msg.market_ticker"),
        (GOOD | {"price_dollars": 0.46}, "msg.price_dollars"),  # retyped
        (GOOD | {"delta_fp": 1}, "msg.delta_fp"),
        (GOOD | {"side": "buy"}, "msg.side"),
        (GOOD | {"price_dollars": "46"}, "msg.price_dollars"),  # cents
        (GOOD | {"price_dollars": "0"}, "msg.price_dollars"),  # suddenly zero
        (GOOD | {"delta_fp": "0.00"}, "msg.delta_fp"),
        (GOOD | {"price_dollars": ""}, "msg.price_dollars"),
        (GOOD | {"delta_fp": "1000000000000000000"}, "msg.delta_fp"),  # 1e18: beyond any
    ],
)
def test_a_drifted_delta_stops_every_market_of_the_venue_and_is_told_by_its_field(
    message: dict[str, Any], field: str
) -> None:
    made = kalshi()
    made.numbered("orderbook_delta", message)
    assert made.rig.trust(0) & DRIFT and made.rig.trust(1) & DRIFT
    assert made.rig.counted("drifts") == made.rig.counted("drifted_fields") == 1
    told = [each for each in alerts(made) if "schema drift" in each]
    assert len(told) == 1 and f"kalshi: schema drift: orderbook_delta: {field}:" in told[0]


def test_a_drift_is_told_once_however_often_it_comes_and_its_frame_is_kept() -> None:
    made = kalshi()
    for _ in range(5):
        made.numbered("orderbook_delta", GOOD | {"price_dollars": 1})
    told, samples = made.rig.publisher.notices.take()
    assert len(told) == 1 and made.rig.counted("drifted_fields") == 1
    assert [name for name, _ in samples] == [
        "01-kalshi-orderbook_delta-drift-msg.price_dollars.json"
    ]
    assert orjson.loads(samples[0][1])["msg"]["price_dollars"] == 1


@pytest.mark.parametrize("key", ["no_dollars_fp", "yes_dollars_fp"])
def test_a_side_that_is_renamed_is_no_empty_side(key: str) -> None:
    made = kalshi()
    message = {"market_ticker": "A", "yes_dollars_fp": [["0.47", "1"]],
               "no_dollars_fp": [["0.52", "1"]]}  # fmt: skip
    message[f"{key}_v2"] = message.pop(key)
    made.numbered("orderbook_snapshot", message)
    assert made.rig.trust(0) & DRIFT and made.rig.trust(1) == DRIFT


def test_a_side_that_is_absent_is_an_empty_side() -> None:
    """The negative control."""
    made = kalshi()
    made.snapshot("A", no=None)
    assert made.rig.trust(0) == 0 and made.rig.counted("drifts") == 0


@pytest.mark.parametrize("levels", [[["0.47", "0.00"]], [["47", "1.00"]], [[0.47, 1]]])
def test_a_drifted_snapshot_is_drift(levels: Any) -> None:
    made = kalshi()
    made.snapshot("A", yes=levels)
    assert made.rig.trust(0) & DRIFT and made.rig.trust(1) & DRIFT


def test_sizes_that_take_levels_below_zero_again_and_again_are_on_another_scale() -> None:
    made = kalshi()
    for place in range(3):
        assert made.rig.counted("drifts") == 0, place
        made.delta("yes", "0.4700", "-300.00")
    assert made.rig.counted("drifts") == 1 and made.rig.trust(1) & DRIFT


def test_deltas_that_lose_their_time_are_drift_but_not_one_alone() -> None:
    made = kalshi()
    made.delta("yes", "0.4600", "1.00")
    for place in range(3):
        assert made.rig.counted("drifts") == 0, place
        made.numbered("orderbook_delta", without(GOOD, "ts_ms"))
    assert made.rig.counted("drifts") == 1


def test_a_price_beside_the_grid_breaks_its_book_and_is_no_drift() -> None:
    facts = MarketFacts(status=ST_ACTIVE, grid=((100_000, 1_000), (900_000, 10_000), (E6, 1_000)))
    made = Line(rig(Market("A"), Market("B"), facts=facts))
    made.snapshot("A")
    made.snapshot("B")
    for price in ("0.0990", "0.1000", "0.1100", "0.9000", "0.9010"):
        made.delta("no" if price > "0.5" else "yes", price, "1.00")
    assert made.rig.trust(0) == 0
    made.delta("yes", "0.1110", "1.00")
    assert made.rig.trust(0) == GAP and made.rig.trust(1) == 0
    assert made.kalshi.wants_facts and made.rig.counted("drifts") == 0


def test_an_unknown_type_on_the_books_subscription_is_drift() -> None:
    made = kalshi()
    made.numbered("orderbook_delta_v2", GOOD)
    assert made.rig.trust(0) & DRIFT
    assert "kalshi: unknown key type in orderbook_delta_v2" in alerts(made)


# ---- how it ends


def test_drift_outlasts_snapshots_on_the_same_connection() -> None:
    made = kalshi()
    made.numbered("orderbook_delta", GOOD | {"price_dollars": 1})
    made.snapshot("A")
    made.snapshot("B")
    for _ in range(50):
        made.delta("yes", "0.4600", "1.00")
    made.kalshi.tick(made.recv_ns + QUIET_NS // 2)
    assert made.rig.trust(0) & DRIFT and made.rig.trust(1) & DRIFT


def reconnected(made: Line, after_ns: int = SECOND_NS) -> None:
    made.recv_ns += after_ns
    made.kalshi.closed(made.recv_ns)
    made.open()
    made.snapshot("A")
    made.snapshot("B")


def test_drift_ends_on_a_new_connection_once_the_type_is_heard_well() -> None:
    made = kalshi()
    made.numbered("orderbook_delta", GOOD | {"price_dollars": 1})
    made.kalshi.tick(made.recv_ns + 2 * SECOND_NS)
    assert made.kalshi.must_reconnect
    reconnected(made)
    for _ in range(GOOD_FRAMES):
        made.kalshi.tick(made.recv_ns)
        assert made.rig.trust(0) == DRIFT
        made.delta("yes", "0.4600", "1.00")
    made.kalshi.tick(made.recv_ns)
    assert made.rig.trust(0) == made.rig.trust(1) == 0


def test_drift_ends_on_a_new_connection_that_is_quiet_about_it() -> None:
    made = kalshi()
    made.numbered("orderbook_delta", GOOD | {"price_dollars": 1})
    reconnected(made)
    made.kalshi.tick(made.recv_ns + QUIET_NS - SECOND_NS // 10)
    assert made.rig.trust(0) == DRIFT
    made.kalshi.tick(made.recv_ns + QUIET_NS)
    assert made.rig.trust(0) == 0
    made.numbered("orderbook_delta", GOOD | {"price_dollars": 1})
    assert made.rig.trust(0) & DRIFT, "the very frame that drifts again raises it"


def test_a_venue_that_keeps_drifting_is_asked_ever_more_seldom_and_then_no_more() -> None:
    made = kalshi()
    waits = []
    for _ in range(RELAPSES_MAX + 2):
        made.numbered("orderbook_delta", GOOD | {"price_dollars": 1})
        made.snapshot("A")
        made.snapshot("B")
        begun_ns = made.recv_ns
        for second in range(1, 121):
            made.kalshi.tick(begun_ns + second * SECOND_NS)
            if made.kalshi.must_reconnect:
                break
        waits.append(second)
        reconnected(made, after_ns=SECOND_NS)
        made.kalshi.tick(made.recv_ns + QUIET_NS)
        made.recv_ns += QUIET_NS
    assert waits[:7] == [1, 2, 4, 8, 16, 32, 60] and waits[-1] == 120, waits


# ---- unknown keys


def test_an_unknown_key_is_counted_and_told_once_and_nothing_else() -> None:
    made = kalshi()
    for _ in range(3 * LOOK_EACH):
        made.delta("yes", "0.4600", "1.00", new_key=1)
    assert alerts(made) == ["kalshi: unknown key new_key in orderbook_delta"]
    assert made.rig.counted("unknown_keys") >= 3 and made.rig.trust(0) == 0


def test_an_unknown_key_is_found_among_frames_of_lengths_met_before() -> None:
    made = kalshi()
    for place in range(400):
        made.delta("yes", "0.4600", f"{10 ** (place % 6)}.00")
    made.kalshi.tick(made.recv_ns)
    before = made.rig.counted("unknown_keys")
    padded = GOOD | {"delta_fp": "1.00", "x": 1}
    for _ in range(LOOK_EACH + 1):
        made.numbered("orderbook_delta", padded)
    assert made.rig.counted("unknown_keys") > before


def test_keys_inside_of_messages_and_rows_are_looked_at() -> None:
    assert strange({"type": "trade", "sid": 1, "msg": {"odd": 1}}) == ("trade", ["msg.odd"])
    made = poly()
    change = changes(row("BUY", "0.46", "1"))
    change["price_changes"][0]["odd"] = 1
    made.give(change)
    assert alerts(made) == ["polymarket: unknown key price_changes.odd in price_change"]
    assert made.rig.trust(0) == 0


# ---- the others


@pytest.mark.parametrize("name", ["price", "size", "side", "asset_id"])
def test_a_polymarket_row_without_what_we_need_is_drift(name: str) -> None:
    made = poly()
    change = changes(row("BUY", "0.46", "1"))
    del change["price_changes"][0][name]
    made.give(change)
    assert made.rig.trust(0) & DRIFT
    assert any(name in each for each in alerts(made))


def test_polymarket_changes_that_lose_their_touch_are_drift() -> None:
    made = poly()
    bid = row("BUY", "0.46", "1", bid="0.46", ask="0.55")
    made.give(changes(bid))
    for place in range(3):
        assert made.rig.counted("drifts") == 0, place
        change = changes(dict(bid))
        for each in change["price_changes"]:
            each.pop("best_bid")
        made.give(change)
    assert made.rig.counted("drifts") == 1


def test_polymarket_in_cents_is_drift() -> None:
    made = poly()
    made.give(changes(row("BUY", "46", "1")))
    assert made.rig.trust(0) & DRIFT
    other: PolyLine = poly()
    other.give(book([("0.46", "0")], [("0.48", "0")]))
    assert other.rig.trust(0) & DRIFT


def test_three_odd_numbers_in_a_row_are_drift_at_coinbase_one_is_not() -> None:
    segment = Segment.private()
    publisher = Publisher(segment, feed=3, epoch=4, now_ns=1, products=(0,))
    venue, made = Coinbase(publisher, ("BTC-USD",)), Rig(segment, publisher, Clock(), 3)
    venue.opened(1)

    def match(trade_id: int, price: str) -> int:
        frame = {"type": "match", "trade_id": trade_id, "side": "sell", "size": "1",
                 "price": price, "product_id": "BTC-USD", "time": ""}  # fmt: skip
        venue.frame(orjson.dumps(frame), trade_id, True)
        row_: Any = segment.read("spot", 0)
        return int(row_["trust"])

    assert match(1, "80000") == 0
    assert [match(2, "0"), match(3, "0"), match(4, "80000"), match(5, "0")] == [0] * 4
    assert [match(6, "0"), match(7, "0")] == [0, DRIFT]
    assert made.counted("drifts") == 1
    assert publisher.notices.take()[0] == [
        "coinbase: schema drift: match: price: match: found 0 x 1, wanted more than 0;"
        " no new trades there"
    ]


# ---- bounds


def test_alerts_and_samples_are_bounded_whatever_a_venue_sends() -> None:
    notices = Notices()
    for place in range(10 * ALERTS_MAX):
        notices.alert(f"line {place}")
        notices.sample("../../etc/x" * 50, b"x" * (2 * SAMPLE_MAX_BYTES))
    told, samples = notices.take()
    assert len(told) == ALERTS_MAX - ALERTS_KEPT and len(samples) == SAMPLES_MAX - SAMPLES_KEPT
    assert all(len(payload) == SAMPLE_MAX_BYTES for _, payload in samples)
    assert all("/" not in name and len(name) < 120 for name, _ in samples)


def test_a_venue_cannot_make_the_sentinel_remember_without_end() -> None:
    made = rig(Market("A"))
    sentinel = Sentinel(made.publisher, "v", strange)
    for place in range(2_000):
        frame = {"type": "trade", "msg": {f"key{place}": 1}}
        assert sentinel.look(orjson.dumps(frame))
    assert made.counted("unknown_keys") == 2_000
    assert len(made.publisher.notices.take()[0]) == ALERTS_MAX - ALERTS_KEPT


def test_odd_names_do_not_hide_a_schema_drift() -> None:
    made = kalshi()
    for place in range(2 * ALERTS_MAX):
        made.give({"type": f"new_type_{place}", "sid": 77, "seq": 1, "msg": {}})
    made.rig.publisher.notices.take()
    made.numbered("orderbook_delta", GOOD | {"price_dollars": 1})
    told, samples = made.rig.publisher.notices.take()
    assert ["schema drift" in line for line in told] == [True] and len(samples) == 1


def test_after_a_while_there_is_room_for_more_lines() -> None:
    notices = Notices()
    notices.step(1)
    for place in range(ALERTS_MAX):
        notices.alert(f"line {place}")
    assert not notices.alert("one more")
    notices.step(ALERT_AGAIN_NS + 1)
    assert notices.alert("one more") and not notices.alert("and another")


def test_the_drifted_types_remembered_are_bounded() -> None:
    made = kalshi()
    for place in range(2 * KEYS_MAX):
        frame = {"type": f"t{place}", "sid": 1, "seq": made.seq + 1 + place, "msg": {}}
        made.give(frame)
    assert len(made.rig.publisher.notices.drift.kinds) == KEYS_MAX


def test_a_frame_of_too_many_items_is_refused_before_they_are_made() -> None:
    made = rig(Market("A"))
    sentinel = Sentinel(made.publisher, "v", strange)
    assert sentinel.look(b'{"msg":[' + b"0," * (ITEMS_MAX - 9) + b"0]}")
    assert not sentinel.look(b"[" + b"[]," * (ITEMS_MAX + 1) + b"and no JSON at all")
    assert made.counted("oversize") == 1


def test_a_look_at_a_frame_ends_at_a_number_of_items() -> None:
    assert excess([[0] * (ITEMS_MAX - 1)]) == ""
    assert excess([[0] * ITEMS_MAX]).startswith("items: found")
    assert excess([[[]] * ITEMS_MAX]).startswith("items: found")


def test_a_venues_own_word_for_a_missing_field_is_a_word() -> None:
    made = kalshi()
    made.numbered("orderbook_delta", GOOD | {"side": "missing required field"})
    assert made.rig.trust(0) & DRIFT


def test_lost_books_stay_lost_while_there_is_drift() -> None:
    made = kalshi()
    made.numbered("orderbook_delta", GOOD | {"price_dollars": 1})
    made.kalshi.closed(made.recv_ns)
    made.open()
    assert made.rig.trust(0) == NO_SNAPSHOT | DRIFT
