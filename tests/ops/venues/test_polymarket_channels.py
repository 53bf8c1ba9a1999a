"""What Polymarket's two channels say and do not say, without sockets: every recorded frame's keys,
the snapshots that silently fail to come, refreshes, mirrors, repeated hashes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ops.venues.polymarket_ws import IDLE_NS, SNAPSHOTS_MAX
from ops.venues.script import ASK, BID, LevelSet, MarketSpec, StatusChange
from tests.conftest import REFERENCE
from tests.ops.venues.polymarket_office import MS, SECOND, Heard, Office
from tests.ops.venues.rig import (
    ASKS,
    BIDS,
    MARKETS,
    TOKEN_NO,
    TOKEN_YES,
    P,
    e6,
    levels,
    poly_order,
    read_lines,
)


def _frames(name: str) -> list[tuple[str, Any]]:
    """(note, frame) of a fixture; arrays taken apart."""
    path = REFERENCE / "fixtures" / "polymarket" / f"{name}.jsonl"
    found = []
    for row in read_lines(path) if path.exists() else []:
        frame = row.get("frame")
        if row.get("direction") != "client" and frame:
            note = f"{row.get('date', '')} {row.get('note', '')}"
            found += [(note, one) for one in (frame if isinstance(frame, list) else [frame])]
    return found


# Frames that the venue of today does not send: forms gone in 2024 and 2025, and one made up.
GONE = ("OLD single price_change", "V1 era", "unknown event types")
MARKET = [one for one in _frames("ws_market") if not any(word in one[0] for word in GONE)]
USER = [one for one in _frames("ws_user") if not any(word in one[0] for word in GONE)]


def _lively() -> tuple[list[Any], list[Any]]:
    """All frames of both channels of a session in which everything happens."""
    early = replace(MARKETS[P], status="initialized")
    other = replace(
        MARKETS[P], ticker="other", condition_id="0x" + "22" * 32, token_yes="1" * 40,
        token_no="2" * 40,
    )  # fmt: skip
    office = Office(early, other, dynamic_tick=True)
    office.book(BIDS, ASKS)
    market = office.listen(TOKEN_YES, TOKEN_NO, custom=True)
    user = office.user()
    office.apply(StatusChange(office.now_ns, 0, "active"))
    office.apply(LevelSet(office.now_ns, 0, BID, e6("0.48"), e6("7")))
    office.post(buy=True, maker="5.20", taker="10")
    order = {"buy": True, "maker": "4", "taker": "10", "order_type": "GTC"}
    office.call("DELETE", "/order", {"orderID": office.post(**order)[1]["orderID"]})
    office.post(buy=True, maker="104", taker="200", order_type="FOK")
    office.advance(60 * SECOND)
    office.book(levels(("0.97", "5")), levels(("0.98", "5")))
    office.apply(StatusChange(office.now_ns, 0, "finalized", e6("1")))
    return market.frames(), user.frames()


@pytest.mark.skipif(not MARKET, reason="the reference is not here (set ARB_TEST_REFERENCE)")
def test_every_recorded_market_frame_has_the_keys_of_one_the_venue_sends() -> None:
    sent = {frozenset(frame) for frame in _lively()[0]}
    kinds = {frame["event_type"] for _, frame in MARKET}
    assert {"book", "price_change", "tick_size_change", "new_market", "market_resolved"} <= kinds
    for note, frame in MARKET:
        if frame["event_type"] == "new_market":  # captures of 2026 have more than its fixture
            assert any(set(frame) <= keys for keys in sent), note
        else:
            assert frozenset(frame) in sent, note
        for row in frame.get("price_changes", ()):
            mine = [one for one in _lively()[0] if one["event_type"] == "price_change"]
            assert set(row) == set(mine[0]["price_changes"][0]), note


@pytest.mark.skipif(not USER, reason="the reference is not here (set ARB_TEST_REFERENCE)")
def test_every_recorded_user_frame_has_the_keys_of_one_the_venue_sends() -> None:
    frames = _lively()[1]
    sent = {frozenset(frame) for frame in frames}
    for note, frame in USER:
        assert frozenset(frame) in sent, note
        for maker in frame.get("maker_orders", ()):
            trade = next(one for one in frames if one["event_type"] == "trade")
            more = set(trade["maker_orders"][0]) - set(maker)
            assert more <= ({"outcome_index"} if "asyncapi" in note else set()), note
            assert set(maker) <= set(trade["maker_orders"][0]), note
    killed = next(frame for frame in frames if frame["status"].startswith("CANCELED_order"))
    wanted = next(frame for note, frame in USER if "FOK killed" in note)
    empty = {key for key, value in wanted.items() if value in ("", [])}
    assert {key for key, value in killed.items() if value in ("", [])} == empty


def _crowd(count: int) -> list[MarketSpec]:
    return [
        replace(
            MARKETS[P], ticker=f"m{at}", condition_id=f"0x{at:064x}",
            token_yes=str(10**40 + 2 * at), token_no=str(10**40 + 2 * at + 1),
        )
        for at in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("one_by_one", [False, True])
def test_beyond_500_assets_snapshots_fail_silently_and_changes_still_come(
    one_by_one: bool,
) -> None:
    specs = _crowd(300)
    office = Office(*specs)
    for at in range(len(specs)):
        office.book(BIDS, ASKS, at)
    tokens = [token for spec in specs for token in (spec.token_yes, spec.token_no)]
    if one_by_one:
        link = office.listen(tokens[0])
        for token in tokens[1:]:
            office.say(link, {"operation": "subscribe", "assets_ids": [token]})
    else:
        link = office.listen(*tokens)
    books = [frame["asset_id"] for frame in link.frames()]
    assert books == tokens[:SNAPSHOTS_MAX], "the surplus has none, and nothing says so"
    assert link.closed is None
    link.texts.clear()
    office.apply(LevelSet(office.now_ns, 299, BID, e6("0.48"), e6("3")))
    (change,) = link.frames()
    assert change["price_changes"][0]["asset_id"] == specs[299].token_yes


def test_a_trade_is_followed_by_a_refresh_without_tick_that_repeats_the_changes_hash() -> None:
    office = Office()
    office.book(BIDS, ASKS)
    link = office.listen(TOKEN_YES, TOKEN_NO)
    link.texts.clear()
    assert office.post(buy=True, maker="5.30", taker="10")[0] == 200
    frames = link.frames()
    kinds = [frame["event_type"] for frame in frames]
    assert kinds == ["last_trade_price", "last_trade_price", "price_change", "book", "book"]
    change, refresh = frames[2], frames[3]
    assert "tick_size" not in refresh and "last_trade_price" not in refresh
    hashes = {row["hash"] for row in change["price_changes"] if row["asset_id"] == TOKEN_YES}
    assert len(change["price_changes"]) == 4, "two levels, each on both tokens"
    assert hashes == {refresh["hash"]}


def test_both_tokens_mirror_each_other_in_every_change() -> None:
    office = Office()
    office.book(BIDS, ASKS)
    link = office.listen(TOKEN_NO)
    link.texts.clear()
    office.apply(LevelSet(office.now_ns + MS, 0, ASK, e6("0.51"), e6("8")))
    (change,) = link.frames()
    yes, no = change["price_changes"]
    assert (yes["price"], yes["side"]) == ("0.51", "SELL")
    assert (no["price"], no["side"], no["best_bid"]) == ("0.49", "BUY", "0.49")


def test_a_new_market_is_told_to_all_who_asked_for_custom_events_and_to_no_one_else() -> None:
    specs = [replace(one, status="initialized") for one in _crowd(2)]
    office = Office(*specs)
    plain, custom = office.listen("1"), office.listen("1", custom=True)
    office.apply(StatusChange(office.now_ns, 1, "active"))
    assert plain.frames() == []
    (frame,) = custom.frames()
    assert frame["clob_token_ids"] == [specs[1].token_yes, specs[1].token_no]
    assert frame["fee_schedule"]["rate"] == "0.07", "numbers are strings here"


def test_a_market_that_is_not_open_yet_takes_no_orders() -> None:
    office = Office(replace(MARKETS[P], status="initialized"))
    text = "the market is not yet ready to process new orders"
    assert office.post(buy=True, maker="5", taker="10") == (400, {"error": text})


@pytest.mark.parametrize(("bid", "ask"), [("0.97", "0.98"), ("0.02", "0.03")])
def test_near_an_end_the_tick_becomes_fine_and_coarse_orders_still_fit(bid: str, ask: str) -> None:
    office = Office(dynamic_tick=True)
    office.quote("0.50", "0.52")
    link = office.listen(TOKEN_YES)
    fine = {"buy": True, "maker": "4.81", "taker": "10", "order_type": "GTC"}
    assert "breaks minimum tick size rule: 0.01" in office.post(**fine)[1]["error"]
    office.quote(bid, ask)
    ticks = [one for one in link.frames() if one["event_type"] == "tick_size_change"]
    assert [(one["old_tick_size"], one["new_tick_size"]) for one in ticks] == [("0.01", "0.001")]
    _, book = office.call("GET", "/book", query={"token_id": TOKEN_YES}, headers={})
    assert book["tick_size"] == "0.001"
    assert office.post(**fine)[0] == 200


def test_text_pings_are_answered_and_what_is_not_new_is_named_so() -> None:
    office = Office()
    office.book(BIDS, ASKS)
    for link in (office.listen(TOKEN_YES), office.user()):
        known: Any = link
        office.venue.hub.on_text(known, "PING")
        assert link.texts[-1] == b"PONG"
    link = office.listen(TOKEN_YES)
    office.say(link, {"operation": "subscribe", "assets_ids": [TOKEN_YES]})
    assert link.texts[-1] == b"NO NEW ASSETS"
    office.say(link, {"operation": "unsubscribe", "assets_ids": [TOKEN_YES]})
    link.texts.clear()
    office.apply(LevelSet(office.now_ns, 0, BID, e6("0.48"), e6("3")))
    assert link.texts == []


def test_who_asks_for_nothing_is_closed_and_who_asks_stays() -> None:
    office = Office()
    idle: list[Heard] = [office.open("/ws/market"), office.open("/ws/user")]
    busy = [office.listen(TOKEN_YES), office.user()]
    office.advance(IDLE_NS)
    assert [link.closed for link in idle] == [1000, 1000]
    assert [link.closed for link in busy] == [None, None]


def test_private_events_reach_their_owner_alone() -> None:
    office = Office()
    office.book(BIDS, ASKS)
    own, unknown = office.user(), office.open("/ws/user")
    narrow = office.user()
    office.say(narrow, {"operation": "subscribe", "markets": ["0xother"]})
    body = poly_order(buy=True, maker="4", taker="10", order_type="GTC")
    assert office.call("POST", "/order", json.loads(json.dumps(body)))[0] == 200
    assert len(own.frames()) == 1
    assert unknown.frames() == narrow.frames() == []
