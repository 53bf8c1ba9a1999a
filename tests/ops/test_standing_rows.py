"""What `status` says of legs that stand alone and of blocked markets."""

from __future__ import annotations

import numpy as np

from ops.standing_rows import standing_rows
from ops.status_text import text
from shm_layout import BODY, INSTRUMENT, POSITION, VENUES, Segment, Words, text_to_cells


def instrument(index: int, venue: str, ticker: str) -> Words:
    body = np.zeros(BODY, np.int64)
    view = body.view(INSTRUMENT)[0]
    view["index"], view["venue"], view["ticker"] = (
        index, VENUES.index(venue), text_to_cells(ticker, 8),
    )  # fmt: skip
    return body


def test_a_standing_leg_and_a_blocked_market_are_named() -> None:
    segment = Segment.private()
    markets = [instrument(0, "kalshi", "KX-1"), instrument(1, "polymarket", "slug-1"),
               instrument(2, "kalshi", "KX-2")]  # fmt: skip
    for index, values in (
        (0, {"lone_e6": 10_500_000, "lone_cost_e6": 4_410_000, "lone_intent": 77}),
        (1, {"lone_e6": -3_000_000, "lone_cost_e6": 1_500_000, "lone_intent": 78, "blocked": 1,
             "mismatches": 3}),
        (2, {"mismatches": 2}),
    ):  # fmt: skip
        body = np.zeros(BODY, np.int64)
        for name, value in values.items():
            body.view(POSITION)[0][name] = value
        segment.write("positions", index, body)
    found = standing_rows(segment, markets)
    assert found == {
        "standing": [
            {"venue": "kalshi", "market": "KX-1", "lone_e6": 10_500_000, "cost_e6": 4_410_000,
             "intent": 77},
            {"venue": "polymarket", "market": "slug-1", "lone_e6": -3_000_000,
             "cost_e6": 1_500_000, "intent": 78},
        ],
        "blocked": [{"venue": "polymarket", "market": "slug-1", "mismatches": 3}],
    }  # fmt: skip
    rest = {
        "state": "HALTED", "supervisor": "ACTIVE (started)", "gate": "HALTED (one_legged)",
        "mode": "sim",
        "seconds": 1.0, "pid": 1, "segment": "arb", "edges": 1, "intents": 1, "orders": 1,
        "fills": 1, "one_legged": 1, "cores": "", "waiting": {}, "processes": [], "feeds": {},
        "events": [],
    }  # fmt: skip
    lines = text(rest | found).splitlines()
    told = [line.removeprefix("one leg alone: ") for line in lines if "alone: " in line]
    assert told == [
        "kalshi KX-1, bought 10.5 contracts that cost $4.41, of intent 77",
        "polymarket slug-1, sold 3 contracts that cost $1.50, of intent 78",
    ]
    assert "blocked: polymarket slug-1 after 3 legs alone, until resume" in lines
    assert standing_rows(Segment.private(), markets) == {"standing": [], "blocked": []}


def test_what_a_market_left_behind_is_not_said_of_the_next_one_with_its_number() -> None:
    segment, now = Segment.private(), instrument(0, "kalshi", "KX-NEXT")
    body = np.zeros(BODY, np.int64)
    body.view(POSITION)[0]["blocked"] = body.view(POSITION)[0]["lone_e6"] = 1
    segment.write("positions", 0, body)
    assert len(standing_rows(segment, [now])["blocked"]) == 1
    now.view(INSTRUMENT)[0]["generation"] = 2
    assert standing_rows(segment, [now]) == {"standing": [], "blocked": []}
