"""Every fixture of Kalshi's WebSocket: the simulated venue, brought into that situation, sends the
same frames. A file that is looked at nowhere fails.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.venues.script import ASK, BID, BookSet, Level, LevelSet, StatusChange
from tests.conftest import REFERENCE, reference
from tests.ops.venues.kalshi_alike import Scene, differences
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.kalshi_ear import Wire
from tests.ops.venues.kalshi_stages import TENNIS, epoch_ns, spec
from tests.ops.venues.rig import MS, SHARD2, TICKER, e6, read_lines

FOLDER = "fixtures/kalshi/ws/"
BITCOIN = "KXBTC15M-26MAY131800-00"
TAPERED = ((0, 100_000, 1_000), (100_000, 900_000, 10_000), (900_000, 1_000_000, 1_000))
HERE = {
    "book_demo_yes_scale_prices.jsonl",
    "book_demo_expected.json",
    "book_prod_kxbtc15m_no_leg_prices.jsonl",
    "book_prod_kxbtc15m_expected.json",
    "channel_examples.jsonl",
    "lifecycle_examples.jsonl",
}
ELSEWHERE = {
    "commands.jsonl": "test_kalshi_commands",
    "control_replies.jsonl": "test_kalshi_commands",
    "errors.jsonl": "test_kalshi_commands",
    "cfbenchmarks_examples.jsonl": "test_kalshi_index",
}


def test_every_file_is_looked_at() -> None:
    if not (REFERENCE / FOLDER).exists():
        pytest.skip("the reference is not here (set ARB_TEST_REFERENCE)")
    assert {path.name for path in (REFERENCE / FOLDER).iterdir()} == HERE | ELSEWHERE.keys()


def levels_of(rows: list[list[str]], *, turned: bool = False) -> tuple[Level, ...]:
    """Levels as a frame has them, best first; `turned`: NO prices become YES prices."""
    found = [(e6(price), e6(size)) for price, size in rows]
    if turned:
        found = [(1_000_000 - price, size) for price, size in found]
    return tuple(found)


def replayed(name: str, ticker: str, *, use_yes_price: bool) -> tuple[list[Any], list[Any], Desk]:
    """(recorded frames, ours, the venue): the recording as a script, played to a subscriber."""
    wanted = read_lines(reference(FOLDER + name))
    ranges = TAPERED if ticker == BITCOIN else ((0, 1_000_000, 10_000),)
    desk = Desk(markets=(spec(ticker, price_ranges=ranges),), has_books=False)
    wire = Wire(desk)
    recorded_ids = [frame["msg"]["market_id"] for frame in wanted if "market_id" in frame["msg"]]
    desk.venue.markets[ticker].market_id = recorded_ids[0]
    params = {"market_tickers": [ticker], "use_yes_price": use_yes_price}
    channels = [f["msg"]["channel"] for f in wanted if f["type"] == "subscribed"]
    wire.say(
        {"id": 1, "cmd": "subscribe",
         "params": {"channels": channels or ["orderbook_delta"], **params}}
    )  # fmt: skip
    shown: dict[tuple[int, int], int] = {}
    at_ns = desk.begin_ns
    for frame in wanted:
        message = frame["msg"]
        if frame["type"] == "orderbook_snapshot":
            yes = levels_of(message.get("yes_dollars_fp", []))
            no = levels_of(message.get("no_dollars_fp", []), turned=not use_yes_price)
            shown = {(BID, p): s for p, s in yes} | {(ASK, p): s for p, s in no}
            event: Any = BookSet(at_ns, 0, yes[::-1], no[::-1], frame["seq"])
        elif frame["type"] == "orderbook_delta":
            side = BID if message["side"] == "yes" else ASK
            price_e6 = e6(message["price_dollars"])
            if side == ASK and not use_yes_price:
                price_e6 = 1_000_000 - price_e6
            change = message["delta_fp"]
            by_e6 = -e6(change[1:]) if change.startswith("-") else e6(change)
            size_e6 = shown.get((side, price_e6), 0) + by_e6
            shown[side, price_e6] = size_e6
            at_ns = message["ts_ms"] * MS
            event = LevelSet(at_ns, 0, side, price_e6, size_e6, frame["seq"])
        else:
            continue
        desk.venue.apply(event)
    desk.venue.flush()
    return wanted, wire.take(), desk


@pytest.mark.parametrize(
    ("name", "ticker", "use_yes_price"),
    [
        ("book_demo_yes_scale_prices.jsonl", TENNIS, True),
        ("book_prod_kxbtc15m_no_leg_prices.jsonl", BITCOIN, False),
    ],
)
def test_a_recorded_book_is_sent_again_frame_by_frame(
    name: str, ticker: str, use_yes_price: bool
) -> None:
    """Also the locked moments of production. `ts` of the demo has microseconds; ours is exact to
    the millisecond that a script has.
    """
    wanted, found, _ = replayed(name, ticker, use_yes_price=use_yes_price)
    if wanted[0]["type"] != "subscribed":
        found = found[1:]
    assert len(found) == len(wanted)
    scene = Scene(play=lambda: (0, None), varies=frozenset({"ts"}), added=frozenset({"ts"}))
    for ours, theirs in zip(found, wanted, strict=True):
        assert not differences(ours, theirs, scene)
        assert ours.get("seq") == theirs.get("seq")
        assert ours["msg"].get("ts_ms") == theirs["msg"].get("ts_ms")


def test_the_books_end_as_worked_out_by_hand() -> None:
    *_, demo = replayed("book_demo_yes_scale_prices.jsonl", TENNIS, use_yes_price=True)
    wanted = json.loads(reference(FOLDER + "book_demo_expected.json").read_text())
    final = wanted["book_demo_yes_scale_prices.jsonl"]["final"]
    book = demo.venue.markets[TENNIS].book
    assert book.levels(BID) == list(levels_of(final["yes_bids"]))
    assert book.levels(ASK) == list(levels_of(final["yes_asks"]))
    *_, prod = replayed("book_prod_kxbtc15m_no_leg_prices.jsonl", BITCOIN, use_yes_price=False)
    wanted = json.loads(reference(FOLDER + "book_prod_kxbtc15m_expected.json").read_text())
    best = wanted["final"]
    book = prod.venue.markets[BITCOIN].book
    assert book.levels(BID)[:5] == list(levels_of(best["best_yes_bids"]))
    assert book.levels(ASK)[:5] == list(levels_of(best["best_yes_asks"]))
    assert len(book.levels(BID)) == best["levels_yes"]
    assert len(book.levels(ASK)) == best["levels_no"]


def frames_of_a_trade() -> dict[str, Any]:
    """One frame of each type: an order in a group rests, another trades."""
    desk = Desk()
    wire = Wire(desk)
    channels = ["orderbook_delta", "ticker", "trade", "fill", "user_orders", "market_positions",
                "order_group_updates"]  # fmt: skip
    params = {"channels": channels, "market_tickers": [TICKER]}
    wire.say({"id": 1, "cmd": "subscribe", "params": params})
    body = {"contracts_limit": 150}
    group = desk.call("POST", "/portfolio/order_groups/create", body)[1]["order_group_id"]
    query = {"contracts_limit_fp": "150.00"}
    desk.call("PUT", f"/portfolio/order_groups/{group}/limit", query)
    desk.rests(
        "bid", "0.35", "10.00", order_group_id=group, expiration_time=desk.begin_ns // 10**9 + 60
    )
    frames = {frame["type"]: frame for frame in wire.take()}
    desk.create("bid", "0.52", "4.00")
    desk.venue.flush()
    later = {frame["type"]: frame for frame in wire.take()}
    return later | {kind: frames[kind] for kind in ("user_order", "order_group_updates")} | {
        "orderbook_snapshot": frames["orderbook_snapshot"]
    }  # fmt: skip


@pytest.mark.parametrize("place", range(8))
def test_each_channel_has_the_keys_and_kinds_of_its_example(place: int) -> None:
    """Values are the authors' and unrelated: keys and kinds count. `sending_ts_ms` is optional on
    every frame.
    """
    examples = read_lines(reference(FOLDER + "channel_examples.jsonl"))
    assert len(examples) == 8, "a new example: make it happen here"
    wanted = examples[place]
    found = frames_of_a_trade()[wanted["type"]]
    optional = {"sending_ts_ms", "last_updated_ts_ms", "last_update_reason"}
    assert found.keys() - optional == wanted.keys() - optional
    assert found["msg"].keys() - optional == wanted["msg"].keys()
    for key, value in wanted["msg"].items():
        assert type(found["msg"][key]) is type(value), key


def lives() -> list[Any]:
    """Everything that the life-cycle channel tells, made to happen."""
    strike = {"strike_e8": 448_700_000_000, "strike_type": "greater"}
    market = spec("INXD-23SEP14-B4487", open_epoch_ns=epoch_ns("2023-09-13T20:00:00Z"), **strike)
    desk = Desk(markets=(market,), has_books=False)
    wire = Wire(desk)
    wire.say({"id": 1, "cmd": "subscribe", "params": {"channels": ["market_lifecycle_v2"]}})
    life, first = desk.venue.life, desk.venue.markets[market.ticker]
    desk.venue.apply(StatusChange(desk.begin_ns, 0, "initialized"))
    life.regrid(first, ((0, 1_000_000, 1_000),))
    desk.venue.apply(StatusChange(desk.begin_ns, 0, "active", strike_e8=448_800_000_000))
    life.move_close(first, epoch_ns("2023-09-14T21:00:00Z"))
    life.override_fees([first], "quadratic", 1_000_000)
    life.override_fees([first], None, None)
    desk.venue.apply(StatusChange(desk.begin_ns, 0, "inactive"))
    desk.venue.apply(StatusChange(desk.begin_ns, 0, "active"))
    desk.venue.apply(StatusChange(desk.begin_ns, 0, "closed"))
    desk.venue.apply(StatusChange(desk.begin_ns, 0, "finalized", 1_000_000))
    return wire.take()[1:]


def test_the_life_cycle_is_told_as_documented() -> None:
    told = lives()
    assert [frame["msg"].get("event_type", frame["type"]) for frame in told] == [
        "event_lifecycle", "created", "price_level_structure_updated", "metadata_updated",
        "close_date_updated", "event_fee_update", "event_fee_update", "deactivated", "activated",
        "determined", "settled",
    ]  # fmt: skip
    assert [frame["seq"] for frame in told] == list(range(1, 12))
    by_kind = {frame["msg"].get("event_type", frame["type"]): frame for frame in told}
    examples = read_lines(reference(FOLDER + "lifecycle_examples.jsonl"))
    optional = {"cap_strike", "yes_sub_title", "exchange_index", "price_ranges"}
    for wanted in examples:
        found = by_kind[wanted["msg"].get("event_type", wanted["type"])]
        assert found.keys() == wanted.keys()
        assert wanted["msg"].keys() - optional <= found["msg"].keys() | optional
        extra = {"strike_type", "floor_strike"}  # of a metadata_updated: what was updated
        assert found["msg"].keys() - optional - extra <= wanted["msg"].keys()
    overrides = [f["msg"] for f in told if f["type"] == "event_fee_update"]
    assert [row["fee_multiplier_override"] for row in overrides] == [1, None]
    metadata = next(f["msg"] for f in examples if "additional_metadata" in f["msg"])
    made = by_kind["created"]["msg"]["additional_metadata"]
    assert made.keys() == metadata["additional_metadata"].keys() | {"custom_strike"}


def test_no_snapshot_has_a_removed_form() -> None:
    """Cents and their keys are gone since 2026-03-12."""
    removed: set[str] = set()
    for name in ("ws_snapshot_cents_2025", "ws_snapshot_three_forms_until_2026-03-12"):
        for frame in read_lines(reference(f"fixtures/kalshi/legacy/{name}.jsonl")):
            removed |= frame["msg"].keys()
    current = {"market_ticker", "market_id", "yes_dollars_fp", "no_dollars_fp", "side"}
    wire = Wire()
    params = {"channels": ["orderbook_delta"], "market_tickers": [TICKER, SHARD2]}
    wire.say({"id": 1, "cmd": "subscribe", "params": params})
    _, *snapshots = wire.take()
    assert len(snapshots) == 2
    assert not any(frame["msg"].keys() & (removed - current) for frame in snapshots)
