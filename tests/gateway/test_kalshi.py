"""Kalshi's words: requests byte for byte, every status and code, frames and reads, on recorded
bodies.
"""

from __future__ import annotations

import asyncio

import orjson
import pytest

from gateway.kalshi import CODES, CREATE, STATUS, KalshiVenue
from gateway.kalshi_rows import order_row
from gateway.order import E_FINISH, E_LOSE, E_REJECT, E_REST
from gateway.ports import YES, Fill, Held, Market, Outcome, Placing, Query, Update, VenueError
from gateway.transport import Answer
from shm_layout import BUY, REASONS, S_CONFIRMED, SELL
from tests.conftest import reference

MARKET = Market(0, 1, "kalshi", 0, 0, "KX-1", 2, "", "0", "0", 0)
BID, ASK = Placing(YES, BUY, 520_000), Placing(YES, SELL, 520_000)
ONE_E6 = 1_000_000


class Stock:
    """Header sets as the signer's client hands them out."""

    def __init__(self, count: int = 9) -> None:
        self.count = count

    def take_headers(
        self, method: str, path: str, now_ns: int, *, for_unwind: bool = False
    ) -> bytes | None:
        if not self.count:
            return None
        self.count -= 1
        return f"KALSHI-ACCESS-KEY: {method} {path}\r\n".encode()

    async def headers(self, method: str, path: str) -> dict[str, str]:
        return {"KALSHI-ACCESS-KEY": f"{method} {path}"}


class Pages:
    """A reader that answers from a table of paths."""

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers, self.asked = answers, list[str]()

    async def get(self, path: str, query: str = "") -> Answer:
        self.asked.append(f"{path}?{query}")
        found = self.answers.get(path)
        return Answer(404) if found is None else Answer(200, orjson.dumps(found))


def venue() -> KalshiVenue:
    return KalshiVenue(Stock(), "host.example")


def fixture(name: str) -> bytes:
    return reference(f"fixtures/kalshi/{name}").read_bytes()


def outcome(status: int, body: bytes, placing: Placing = BID, key: str = "id") -> Outcome:
    return venue().outcome(status, body, placing, 10 * ONE_E6, key)


def test_the_request_is_the_documented_one() -> None:
    request = venue().prepare(
        market=MARKET, placing=ASK, size_e6=10 * ONE_E6, order_id="c-0001", tick_epoch=1, now_ns=0,
        urgent=False,
    )  # fmt: skip
    assert request is not None and request.key == "c-0001"
    head, body = request.wire.split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == f"POST {CREATE} HTTP/1.1"
    assert lines[1:3] == ["Host: host.example", f"KALSHI-ACCESS-KEY: POST {CREATE}"]
    assert f"Content-Length: {len(body)}" in lines
    wanted = orjson.loads(fixture("composed/order_create_v2_request.json"))
    assert orjson.loads(body) == wanted | {"ticker": "KX-1"}


def test_without_a_fresh_header_set_there_is_no_request() -> None:
    bare = KalshiVenue(Stock(0), "host.example")
    found = bare.prepare(
        market=MARKET, placing=BID, size_e6=ONE_E6, order_id="x", tick_epoch=1, now_ns=0,
        urgent=False
    )  # fmt: skip
    assert found is None


def test_a_recorded_fill_is_done_with_its_counts() -> None:
    key = "2b8394e0-515e-4b89-b624-f34067756855"
    found = outcome(201, fixture("rest/order_create_ioc_filled_201.json"), key=key)
    assert (found.event, found.filled_e6, found.notional_e6, found.fee_e6) == (
        E_FINISH, ONE_E6, 520_000, 17_500,
    )  # fmt: skip
    assert found.venue_id == "97ec18b7-10d3-4557-9de0-8598aad625f0" and not found.is_exact


def test_counts_decide_what_a_201_means() -> None:
    def created(fill: str, left: str, **more: object) -> Outcome:
        return outcome(
            201,
            orjson.dumps({"order_id": "o", "fill_count": fill, "remaining_count": left, **more}),
        )

    assert created("0.00", "0.00").event == E_FINISH
    assert created("0.00", "0.00", average_fill_price=None).filled_e6 == 0
    assert created("4.00", "0.00", average_fill_price="0.5100").filled_e6 == 4 * ONE_E6
    assert created("4.00", "0.00", average_fill_price="0.5100").fee_e6 is None, "not free: unknown"
    told = created("4.00", "0.00", average_fill_price="0.5100", average_fee_paid="0.0175")
    assert told.fee_e6 == 70_000 and created("0.00", "0.00").fee_e6 == 0
    assert created("0.00", "10.00").event == E_REST
    impossible = [("11.00", "0.00"), ("-1.00", "0.00"), ("1", "-1"), ("x", "0.00")]
    for fill, left in impossible:
        assert created(fill, left, average_fill_price="0.5").event == E_LOSE, (fill, left)
    assert created("1.00", "0.00").event == E_LOSE, "filled at no price"
    assert created("1.00", "0.00", client_order_id="another").event == E_LOSE


def test_what_an_order_does_not_tell_is_not_nothing() -> None:
    row = {"order_id": "o", "status": "executed", "book_side": "bid", "fill_count_fp": "10.00"}
    with pytest.raises(VenueError, match="no fill cost"):
        order_row(row)
    found = order_row(row | {"taker_fill_cost_dollars": "4.2", "maker_fill_cost_dollars": None})
    assert (found.notional_e6, found.fee_e6, found.is_exact) == (4_200_000, None, False)
    found = order_row(row | {"taker_fill_cost_dollars": "4.2", "taker_fees_dollars": "0.17"})
    assert (found.fee_e6, found.is_exact) == (170_000, True)
    found = order_row(row | {"fill_count_fp": "0.00"})
    assert (found.notional_e6, found.fee_e6, found.is_exact) == (0, 0, True)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"<html>", b'{"order_id":""}', b'{"order_id":"a"}']
)
def test_a_201_without_an_order_is_lost(body: bytes) -> None:
    assert outcome(201, body).event == E_LOSE


@pytest.mark.parametrize("status", [200, 202, 301, 302, 400, 401, 403, 404, 405, 408, 409, 410,
413, 418, 422, 425, 429,
                                    500, 502, 503, 504, 520])  # fmt: skip
def test_every_status_is_refused_or_lost_as_the_table_says(status: int) -> None:
    wanted = STATUS[status][0] if status in STATUS else E_LOSE
    for body in (b"", b"<html>bad gateway</html>", b'{"error":"x"}', b'{"msg":"x"}'):
        found = outcome(status, body)
        assert found.event == wanted and found.filled_e6 is None
    assert {status for status, row in STATUS.items() if row[0] == E_REJECT} == {
        400, 401, 403, 404, 405, 410, 413, 422, 429,
    }  # fmt: skip


@pytest.mark.parametrize(("status", "code"), CODES)
def test_every_code_in_each_shape(status: int, code: str) -> None:
    shapes = (
        {"error": {"code": code, "message": "m"}},
        {"code": code},
        {"error": {"code": code + ":_1"}},
    )
    for shape in shapes:
        found = outcome(status, orjson.dumps(shape))
        assert (found.event, found.reason) == CODES[status, code]


@pytest.mark.parametrize(
    ("name", "status", "event", "why"),
    [
        ("400_insufficient_balance", 400, E_REJECT, "cash"),
        ("400_invalid_price", 400, E_REJECT, "venue_rejected"),
        ("400_numeric_count_flat_shape", 400, E_REJECT, "venue_rejected"),
        ("401_timestamp_expired", 401, E_REJECT, "venue_rejected"),
        ("409_duplicate_client_order_id", 409, E_LOSE, "unknown_outcome"),
        ("409_fok_insufficient_resting_volume", 409, E_FINISH, "done"),
        ("410_v1_create_order", 410, E_REJECT, "venue_rejected"),
        ("429_nested", 429, E_REJECT, "limit_rate"),
        ("429_string", 429, E_REJECT, "limit_rate"),
    ],
)
def test_recorded_errors(name: str, status: int, event: int, why: str) -> None:
    found = outcome(status, fixture(f"rest/errors/{name}.json"))
    assert (found.event, REASONS[found.reason]) == (event, why)


def test_private_frames_of_the_fixtures() -> None:
    frames = fixture("ws/channel_examples.jsonl").splitlines()
    by_type = {orjson.loads(frame).get("type"): frame for frame in frames if frame.startswith(b"{")}
    markets = [Market(7, 1, "kalshi", 0, 0, "FED-23DEC-T3.00", 2, "", "0", "0", 0)]
    assert venue().events(by_type["fill"], markets) == [
        Fill(
            "my-order-1",
            "d91bc706-ee49-470d-82d8-11418bda6fed",
            278 * ONE_E6,
            208_500_000,
            10_000,
            S_CONFIRMED,
            "ee587a1c-8b87-4dcf-b721-9f6f790619fa",
        )
    ]
    (update,) = venue().events(by_type["user_order"], markets)
    assert isinstance(update, Update) and update.key == "my-order-1"
    assert update.outcome.event == E_REST and update.outcome.filled_e6 == 0
    assert venue().events(by_type["market_position"], markets) == [Held(7, 100 * ONE_E6, 0)]


def test_an_ask_costs_dollars_of_no_so_its_notional_is_the_rest() -> None:
    row = orjson.loads(fixture("composed/order_read_current.json"))["order"]
    (update,) = venue().events(orjson.dumps({"type": "user_order", "sid": 1, "msg": row}), [])
    assert isinstance(update, Update)
    found = update.outcome
    assert (found.event, found.filled_e6, found.notional_e6, found.fee_e6, found.is_exact) == (
        E_FINISH, 10 * ONE_E6, 5_200_000, 174_800, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "frame", [b"x", b"[]", b'{"type":"fill","msg":{"count_fp":1}}', b'{"type":"error","msg":{}}']
)
def test_frames_that_are_not_understood_are_errors(frame: bytes) -> None:
    with pytest.raises(VenueError):
        venue().events(frame, [])


def test_unknown_types_and_keys_say_nothing() -> None:
    assert venue().events(b'{"type":"subscribed","id":1,"msg":{"sid":1}}', []) == []


def test_a_lost_order_is_found_in_its_markets_list_by_client_id() -> None:
    row = orjson.loads(fixture("composed/order_read_current.json"))["order"]
    fills = orjson.loads(fixture("composed/fill_current.json"))
    pages = Pages(
        {
            "/trade-api/v2/portfolio/orders": {
                "orders": [row | {"client_order_id": "no"}, row],
                "cursor": "",
            },
            "/trade-api/v2/portfolio/fills": fills,
        }
    )
    query = Query(
        key="c-0001", venue_id="", market=MARKET, token=YES, side=SELL, sent_epoch_s=1_000
    )
    found, trades = asyncio.run(venue().query(pages, query))
    assert found is not None and found.filled_e6 == 10 * ONE_E6
    assert [(trade.key, trade.size_e6, trade.fee_e6) for trade in trades] == [
        ("c-0001", 10 * ONE_E6, 174_800)
    ]
    assert "ticker=KX-1&min_ts=995" in pages.asked[0]
    missing = Query(key="c-2", venue_id="", market=MARKET, token=YES, side=SELL, sent_epoch_s=1_000)
    assert asyncio.run(venue().query(pages, missing)) == (None, [])


def test_the_snapshot_reads_cash_of_the_markets_shard() -> None:
    rows = [{"ticker": "KX-1", "position_fp": "-3.00"}]
    balance = orjson.loads(fixture("composed/balance_sharded.json"))
    pages = Pages(
        {
            "/trade-api/v2/portfolio/balance": balance,
            "/trade-api/v2/portfolio/positions": {"market_positions": rows, "cursor": ""},
            "/trade-api/v2/portfolio/orders": {"orders": [], "cursor": ""},
        }
    )
    found = asyncio.run(venue().snapshot(pages, [MARKET]))
    assert found.cash_e6 == {0: 500_127_500}
    assert found.held == (Held(0, 0, 3 * ONE_E6),)
