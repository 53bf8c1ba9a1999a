"""Polymarket's words: which token a leg becomes, what an answer means cell by cell, trades and
reads on recorded rows.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, NamedTuple

import orjson
import pytest

from gateway.hmac_auth import ApiSecrets
from gateway.order import E_ACK, E_DELAY, E_FINISH, E_LOSE, E_REJECT, E_REST
from gateway.polymarket import TEXTS, PolymarketVenue
from gateway.polymarket_reads import ALL_MAX
from gateway.ports import NO, YES, Fill, Held, Market, Outcome, Placing, Query, Update, VenueError
from gateway.transport import Answer
from shm_layout import BUY, REASONS, S_CONFIRMED, S_FAILED, S_MATCHED, S_MINED, SELL
from tests.conftest import reference

KEY = "0x" + "ab" * 32
ONE_E6 = 1_000_000
MARKET = Market(1, 1, "polymarket", 1, 0, "slug", 0, "0x" + "0c" * 32, "111", "222", 1)
BUY_YES = Placing(YES, BUY, 500_000)
SECRETS = ApiSecrets(api_key="key", secret="c2VjcmV0", passphrase="pass", address="0xaa")


class Entry(NamedTuple):
    body: bytes
    hash: bytes
    made: tuple[()] = ()


class Pool:
    """A pool of one order."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []
        self.used: list[bytes] = []
        self.is_empty = False

    def take_order(
        self, instrument: int, token: int, side: int, price_e6: int, size_e6: int, tick_epoch: int,
        now_ns: int, generation: int | None = None,
    ) -> Entry | None:  # fmt: skip
        self.asked.append((instrument, token, side, price_e6, size_e6, tick_epoch))
        return None if self.is_empty else Entry(b'{"order":{}}', bytes.fromhex("ab" * 32))

    def spent(self, order_hash: bytes) -> None:
        self.used.append(order_hash)

    def likely(self, most: int) -> list[Entry]:
        return []


class Reads:
    """A reader over a table of paths; (status, object)."""

    def __init__(self, answers: dict[str, tuple[int, object]]) -> None:
        self.answers = answers

    async def get(self, path: str, query: str = "") -> Answer:
        for name, (status, found) in self.answers.items():
            if f"{path}?{query}".startswith(name):
                return Answer(status, orjson.dumps(found))
        return Answer(500)


def venue(pool: Pool | None = None) -> PolymarketVenue:
    return PolymarketVenue(
        pool or Pool(), "host.example", SECRETS, signature_type=0, wall_s=lambda: 1_790_877_850
    )


def outcome(
    status: int, body: object, placing: Placing = BUY_YES, size_e6: int = 10 * ONE_E6
) -> Outcome:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return venue().outcome(status, raw, placing, size_e6, KEY)


def answer(**changed: object) -> dict[str, object]:
    whole: dict[str, object] = {
        "success": True, "errorMsg": "", "orderID": KEY, "status": "matched",
        "makingAmount": "4.9", "takingAmount": "10", "tradeIDs": ["t"],
    }  # fmt: skip
    return whole | changed


def rows() -> dict[str, Any]:
    found = orjson.loads(reference("fixtures/polymarket/rest_clob.json").read_bytes())
    return {row["name"]: row for row in found}


def test_the_request_carries_the_pool_entry_and_its_hash() -> None:
    pool = Pool()
    request = venue(pool).prepare(
        market=MARKET, placing=BUY_YES, size_e6=ONE_E6, order_id="x", tick_epoch=3, now_ns=0,
        urgent=False
    )  # fmt: skip
    assert request is not None and request.key == KEY
    assert pool.asked == [(1, YES, BUY, 500_000, ONE_E6, 3)]
    head, body = request.wire.split(b"\r\n\r\n")
    assert head.startswith(b"POST /order HTTP/1.1\r\nHost: host.example\r\nPOLY_ADDRESS: 0xaa\r\n")
    assert b"POLY_TIMESTAMP: 1790877850" in head and b"Content-Length: 12" in head
    assert body == b'{"order":{}}'
    pool.is_empty = True
    assert venue(pool).prepare(
        market=MARKET, placing=BUY_YES, size_e6=ONE_E6, order_id="x", tick_epoch=3, now_ns=0,
        urgent=False
    ) is None  # fmt: skip


def test_an_acceptance_needs_all_four_signs() -> None:
    assert outcome(200, answer()).event == E_FINISH
    assert outcome(200, answer(status="live", makingAmount="", takingAmount="")).event == E_REST
    delayed = outcome(200, answer(status="delayed", makingAmount="", takingAmount=""))
    assert delayed.event == E_DELAY and delayed.filled_e6 is None
    assert outcome(200, answer(success=False)).event == E_REJECT
    assert outcome(200, answer(errorMsg="some text")).event == E_REJECT
    lost: object
    for lost in (
        answer(orderID=""), answer(orderID="0x12"), answer(status="unmatched"), answer(status=""),
        answer(success=None), answer(makingAmount="", takingAmount=""), answer(makingAmount=4.9),
        answer(makingAmount="4900000", takingAmount="10000000"), answer(takingAmount="0"), {}, [],
        b"", b"<html>",
    ):  # fmt: skip
        assert outcome(200, lost).event == E_LOSE, lost


@pytest.mark.parametrize(
    ("placing", "making", "taking", "filled", "notional"),
    [
        (BUY_YES, "4.9", "10", 10_000_000, 4_900_000),
        (BUY_YES, "5", "10.204081", 10_204_081, 5_000_000),  # a FAK BUY spends its budget
        (Placing(NO, SELL, 500_000), "10", "5.1", 10_000_000, 5_100_000),
    ],
)
def test_amounts_are_decimal_strings_of_both_sides(
    placing: Placing, making: str, taking: str, filled: int, notional: int
) -> None:
    found = outcome(200, answer(makingAmount=making, takingAmount=taking), placing)
    assert (found.filled_e6, found.notional_e6, found.fee_e6) == (filled, notional, None)


def test_a_sale_of_more_than_was_ordered_is_not_believed() -> None:
    assert (
        outcome(200, answer(makingAmount="11", takingAmount="6"), Placing(NO, SELL, 500_000)).event
        == E_LOSE
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 425, 429, 500, 502, 503, 520])
def test_every_status_without_a_known_text(status: int) -> None:
    refused = {400, 401, 403, 404, 425, 429}
    for body in (b"", b"<html>", {"error": "x"}, {}):
        assert outcome(status, body).event == (E_REJECT if status in refused else E_LOSE), body


@pytest.mark.parametrize(("text", "meaning"), TEXTS)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_every_text_outweighs_its_status(text: str, meaning: tuple[int, int], status: int) -> None:
    for body in (
        {"error": f"order 0x1: {text}."},
        {"success": True, "errorMsg": text, "orderID": ""},
    ):
        found = outcome(status, body)
        assert (found.event, found.reason) == meaning


@pytest.mark.parametrize(
    ("name", "event", "why"),
    [
        ("post_orders_leg_rejected", E_REJECT, "venue_rejected"),
        ("err_version", E_REJECT, "venue_rejected"),
        ("err_fok", E_FINISH, "done"),
        ("err_fak", E_FINISH, "done"),
        ("err_duplicate", E_LOSE, "unknown_outcome"),
        ("err_tick", E_REJECT, "tick"),
        ("err_min_size", E_REJECT, "venue_rejected"),
        ("err_balance", E_REJECT, "cash"),
        ("err_post_only_mode", E_REJECT, "halted"),
        ("err_auth", E_REJECT, "venue_rejected"),
        ("err_geo", E_REJECT, "venue_rejected"),
    ],
)
def test_recorded_refusals(name: str, event: int, why: str) -> None:
    row = rows()[name]
    found = outcome(row["status"], row["body"])
    assert (found.event, REASONS[found.reason]) == (event, why)


def test_a_mint_gives_the_taker_one_minus_the_makers_price() -> None:
    body = rows()["trade_taker_mint"]["body"]
    fills = venue().events(orjson.dumps(body | {"event_type": "trade"}), [])
    assert fills[0] == Fill(
        body["taker_order_id"], body["id"], 5 * ONE_E6, 4_700_000, None, S_MATCHED
    )
    assert isinstance(fills[1], Fill) and fills[1].notional_e6 == 300_000


def test_a_price_that_is_a_ratio_is_summed_over_the_makers() -> None:
    body = rows()["trade_maker_row"]["body"]
    taker = venue().events(orjson.dumps(body | {"event_type": "trade"}), [])[0]
    assert isinstance(taker, Fill)
    spent = 26_461_537 - (
        1_950_000 + 7_511_538
    )  # 5 × 0.39 and 21.461537 × 0.35000…, on the other token
    assert taker.size_e6 == 26_461_537 and abs(taker.notional_e6 - spent) <= 1


@pytest.mark.parametrize(
    ("word", "state"),
    [("MATCHED", S_MATCHED), ("MATCHED_NOT_BROADCASTED", S_MATCHED), ("RETRYING", S_MATCHED),
    ("MINED", S_MINED),
     ("CONFIRMED", S_CONFIRMED), ("TRADE_STATUS_CONFIRMED", S_CONFIRMED), ("FAILED", S_FAILED)],
)  # fmt: skip
def test_every_trade_status(word: str, state: int) -> None:
    body = rows()["trade_taker_mint"]["body"] | {"event_type": "trade", "status": word}
    fill = venue().events(orjson.dumps(body), [])[0]
    assert isinstance(fill, Fill) and fill.settled == state


def test_user_frames_of_the_fixtures() -> None:
    text = reference("fixtures/polymarket/ws_user.jsonl").read_bytes()
    frames = [
        row["frame"] for row in map(orjson.loads, text.splitlines()) if "direction" not in row
    ]
    found = [venue().events(orjson.dumps([frame]), [])[0] for frame in frames]
    kinds = [type(event).__name__ for event in found]
    assert kinds == ["Update", "Fill", "Update", "Fill", "Update", "Update", "Fill"]
    placed, killed = found[0], found[4]
    assert isinstance(placed, Update) and placed.outcome.event == E_REST
    assert isinstance(killed, Update) and killed.outcome.event == E_FINISH
    assert killed.outcome.filled_e6 is None, "an empty size_matched tells nothing"


@pytest.mark.parametrize(
    ("status", "kind", "matched", "event"),
    [("LIVE", "PLACEMENT", "0", E_REST), ("DELAYED", "PLACEMENT", "0", E_DELAY), ("MATCHED",
    "UPDATE", "10", E_FINISH),
     ("MATCHED", "UPDATE", "4", E_FINISH), ("MATCHED", "UPDATE", "0", E_ACK),
     ("MATCHED", "UPDATE", "", E_ACK), ("CANCELED", "CANCELLATION", "4", E_FINISH),
     ("UNMATCHED", "UPDATE", "0", E_FINISH), ("ORDER_STATUS_LIVE", "UPDATE", "4", E_REST),
     ("NEW_WORD", "UPDATE", "0", E_LOSE)],
)  # fmt: skip
def test_order_frames(status: str, kind: str, matched: str, event: int) -> None:
    row = {"event_type": "order", "id": KEY, "type": kind, "status": status, "size_matched":
    matched,
           "original_size": "10"}  # fmt: skip
    (update,) = venue().events(orjson.dumps(row), [])
    assert isinstance(update, Update) and update.key == KEY and update.outcome.event == event


@pytest.mark.parametrize(
    "frame",
    [
        b"{",
        b'"x"',
        b"[1]",
        b'{"event_type":"trade","id":"","status":"MATCHED"}',
        b'{"event_type":"trade","id":"1","status":"ODD","size":"1"}',
        b'{"event_type":"trade","id":"1","status":"MATCHED","size":1}',
    ],
)
def test_frames_that_are_not_understood_are_errors(frame: bytes) -> None:
    with pytest.raises(VenueError):
        venue().events(frame, [])


def test_text_answers_say_nothing() -> None:
    assert venue().events(b"PONG", []) == []


def query() -> Query:
    return Query(key=KEY, venue_id="", market=MARKET, token=YES, side=BUY, sent_epoch_s=1_000)


def test_a_lost_order_is_found_by_hash_or_by_its_trades() -> None:
    trade = rows()["trade_taker_mint"]["body"] | {"taker_order_id": KEY}
    empty = {"data": [], "next_cursor": "LTE="}
    one = {"data": [trade], "next_cursor": "LTE="}
    held = {"id": KEY, "status": "DELAYED", "size_matched": "0"}

    def asked(order: tuple[int, object], trades: object) -> tuple[Outcome | None, list[Fill]]:
        reads = Reads({"/data/order/": order, "/data/trades?market=0x0c": (200, trades)})
        return asyncio.run(venue().query(reads, query()))

    assert asked((404, {}), empty) == (None, [])
    found, fills = asked((200, held), empty)
    assert found is not None and found.event == E_DELAY and not fills
    found, fills = asked((404, {}), one)
    assert found is not None and found.event == E_FINISH and [fill.key for fill in fills] == [KEY]
    with pytest.raises(VenueError):
        asked((500, {}), empty)


def test_the_snapshot_reads_both_tokens_of_each_market() -> None:
    balance = "/balance-allowance?asset_type="
    reads = Reads(
        {
            f"{balance}COLLATERAL": (200, {"balance": "1000000"}),
            f"{balance}CONDITIONAL&token_id=111": (200, {"balance": "7000000"}),
            f"{balance}CONDITIONAL&token_id=222": (200, {"balance": "0"}),
            "/data/orders": (200, {"data": [{"id": "0x1"}], "next_cursor": "LTE="}),
        }
    )
    found = asyncio.run(venue().snapshot(reads, [MARKET]))
    assert found.cash_e6 == {1: ONE_E6}
    assert found.held == (Held(1, 7 * ONE_E6, 0),)
    assert [order.name for order in found.open] == ["0x1"]


@pytest.mark.parametrize(("traded", "held_e6"), [(MARKET.condition, 7 * ONE_E6), ("0xother", 0)])
def test_of_many_markets_only_those_we_traded_in_are_read(traded: str, held_e6: int) -> None:
    balance = "/balance-allowance?asset_type="
    reads = Reads(
        {
            f"{balance}COLLATERAL": (200, {"balance": "1000000"}),
            f"{balance}CONDITIONAL&token_id=111": (200, {"balance": "7000000"}),
            f"{balance}CONDITIONAL&token_id=222": (200, {"balance": "0"}),
            "/data/trades": (200, {"data": [{"market": traded}], "next_cursor": "LTE="}),
            "/data/orders": (200, {"data": [], "next_cursor": "LTE="}),
        }
    )
    others = [
        replace(MARKET, instrument=10 + i, condition=f"0x{i}", token_yes=f"{i}1", token_no=f"{i}2")
        for i in range(ALL_MAX)
    ]
    found = asyncio.run(venue().snapshot(reads, [MARKET, *others]))
    assert found.held[0] == Held(1, held_e6, 0)
    assert len(found.held) == 1 + ALL_MAX and not any(one.yes_e6 for one in found.held[1:])
