"""What `status` lists to be merged and redeemed on the chain."""

from __future__ import annotations

import numpy as np

from ops.status_text import text
from ops.todo_rows import todo_rows
from shm_layout import BODY, INSTRUMENT, POSITION, VENUES, Segment, Words, text_to_cells

REST = {
    "state": "ACTIVE", "supervisor": "ACTIVE (started)", "gate": "ACTIVE (done)", "mode": "sim",
    "seconds": 1.0, "pid": 1, "segment": "arb", "edges": 1, "intents": 1, "orders": 1,
    "fills": 1, "one_legged": 0, "cores": "", "waiting": {}, "processes": [], "feeds": {},
    "events": [],
}  # fmt: skip


def instrument(venue: str, ticker: str) -> Words:
    body = np.zeros(BODY, np.int64)
    view = body.view(INSTRUMENT)[0]
    view["venue"], view["ticker"] = VENUES.index(venue), text_to_cells(ticker, 8)
    view["condition"] = (7, 0, 0, 0) if venue == "polymarket" else 0
    return body


def test_what_is_worth_a_dollar_together_is_listed_with_its_amount() -> None:
    segment = Segment.private()
    markets = [instrument("polymarket", "slug-1"), instrument("kalshi", "KX-1"),
               instrument("polymarket", "slug-2"), instrument("polymarket", "slug-3")]  # fmt: skip
    for index, values in (
        (0, {"yes_e6": 12_500_000, "no_e6": 10_250_000}),
        (1, {"yes_e6": 5_000_000, "no_e6": 5_000_000}),  # nets by itself
        (2, {"redeem_e6": 30_000_000}),
        (3, {"yes_e6": 4_000_000}),
    ):
        body = np.zeros(BODY, np.int64)
        for name, value in values.items():
            body.view(POSITION)[0][name] = value
        segment.write("positions", index, body)
    found = todo_rows(segment, markets)
    assert found == [
        {"do": "merge", "venue": "polymarket", "market": "slug-1", "size_e6": 10_250_000,
         "worth_e6": 10_250_000},
        {"do": "redeem", "venue": "polymarket", "market": "slug-2", "size_e6": None,
         "worth_e6": 30_000_000},
    ]  # fmt: skip
    lines = [line for line in text(REST | {"todo": found}).splitlines() if "to do" in line]
    assert lines == [
        "to do: merge polymarket slug-1: 10.25 YES and NO for $10.25",
        "to do: redeem polymarket slug-2: for $30.00",
    ]
    assert todo_rows(Segment.private(), markets) == []


def test_what_a_market_left_behind_is_not_to_be_done_for_the_next_one_with_its_number() -> None:
    segment, now = Segment.private(), instrument("polymarket", "slug-next")
    body = np.zeros(BODY, np.int64)
    body.view(POSITION)[0]["redeem_e6"] = 1_000_000
    segment.write("positions", 0, body)
    assert len(todo_rows(segment, [now])) == 1
    now.view(INSTRUMENT)[0]["generation"] = 2
    assert todo_rows(segment, [now]) == []


def test_venues_that_want_to_be_left_alone_are_named() -> None:
    venues = {"kalshi": {"circuit_open": True, "reads_wait": False},
              "polymarket": {"circuit_open": False, "reads_wait": True}}  # fmt: skip
    lines = text(REST | {"venues": venues}).splitlines()
    assert "circuit open: kalshi: no opening orders after 5xx or timeouts" in lines
    assert "reads wait: polymarket: too many requests (429)" in lines
