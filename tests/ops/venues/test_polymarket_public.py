"""The CLOB's public reads, one by one, in batches and in pages."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from ops.venues.script import StatusChange
from tests.ops.venues.polymarket_office import SECOND, Office, office_of
from tests.ops.venues.rig import (
    ASKS,
    BIDS,
    TOKEN_NO,
    TOKEN_YES,
    e6,
)

BOTH = [{"token_id": TOKEN_YES}, {"token_id": TOKEN_NO}, {"token_id": "5"}]


def _office() -> Office:
    office = Office()
    office.book(BIDS, ASKS)
    return office


def _read(office: Office, path: str, **query: str) -> Any:
    status, body = office.call("GET", path, query=query, headers={})
    assert status == 200, body
    return body


def _ask(office: Office, path: str, rows: Any) -> Any:
    status, body = office.call("POST", path, rows, headers={})
    assert status == 200, body
    return body


def test_batches_answer_what_the_single_reads_answer_and_drop_unknown_tokens() -> None:
    office = _office()
    singles = {one: _read(office, "/book", token_id=one) for one in (TOKEN_YES, TOKEN_NO)}
    assert _ask(office, "/books", BOTH) == list(singles.values())
    assert _ask(office, "/midpoints", BOTH) == {TOKEN_YES: "0.495", TOKEN_NO: "0.505"}
    assert _ask(office, "/spreads", BOTH) == {TOKEN_YES: "0.05", TOKEN_NO: "0.05"}
    sides = [{"token_id": TOKEN_NO, "side": side} for side in ("BUY", "SELL")]
    assert _ask(office, "/prices", sides) == {TOKEN_NO: {"BUY": "0.48", "SELL": "0.53"}}
    assert _ask(office, "/last-trades-prices", BOTH)[0]["side"] == "", "nothing traded yet"
    office.printed("0.52", side=0)
    yes, no = _ask(office, "/last-trades-prices", BOTH)
    assert yes == {"price": "0.52", "side": "BUY", "token_id": TOKEN_YES}
    assert no == {"price": "0.48", "side": "SELL", "token_id": TOKEN_NO}


@pytest.mark.parametrize("path", ["/books", "/prices", "/midpoints", "/spreads"])
@pytest.mark.parametrize("rows", [None, {"token_id": "1"}, [{"token_id": "1"}] * 501])
def test_a_batch_that_is_no_list_or_too_long_is_refused(path: str, rows: Any) -> None:
    assert _office().call("POST", path, rows, headers={}) == (400, {"error": "Invalid payload"})


def test_a_resolved_market_has_no_book() -> None:
    office = _office()
    office.apply(StatusChange(office.now_ns, 0, "finalized", e6("1")))
    for path in ("/book", "/midpoint", "/price", "/tick-size"):
        status, body = office.call("GET", path, query={"token_id": TOKEN_YES}, headers={})
        assert (status, body) == (404, {"error": f"the orderbook {TOKEN_YES} does not exist"})
    assert _ask(office, "/books", BOTH) == []


def test_prices_history_has_steps_of_a_minute() -> None:
    office = _office()
    for bid, ask in (("0.40", "0.50"), ("0.30", "0.40")):
        office.advance(60 * SECOND)
        office.quote(bid, ask)
    steps = _read(office, "/prices-history", market=TOKEN_YES)["history"]
    assert [step["p"] for step in steps] == [0.495, 0.45, 0.35]
    assert {b["t"] - a["t"] for a, b in pairwise(steps)} == {60}
    late = _read(office, "/prices-history", market=TOKEN_NO, startTs=str(steps[-1]["t"]))
    assert [step["p"] for step in late["history"]] == [0.65]
    assert _read(office, "/prices-history", market="5") == {"history": []}


def test_pages_of_markets_follow_their_cursor_to_the_end() -> None:
    office = office_of(1100)
    office.apply(StatusChange(office.now_ns, 7, "closed"))
    for path, count in (("/markets", 1100), ("/simplified-markets", 1100)):
        cursor, seen = "MA==", []
        while cursor != "LTE=":
            page = _read(office, path, next_cursor=cursor)
            seen += [row["condition_id"] for row in page["data"]]
            assert (page["limit"], page["count"]) == (500, len(page["data"]))
            cursor = page["next_cursor"]
        assert len(set(seen)) == len(seen) == count
    sampled = _read(office, "/sampling-markets")
    assert all(row["accepting_orders"] for row in sampled["data"])
    status, _ = office.call("GET", "/markets", query={"next_cursor": "x!"}, headers={})
    assert status == 400
    one = _read(office, f"/markets-by-token/{10**40 + 1}")
    assert one["condition_id"] == f"0x{0:064x}"
