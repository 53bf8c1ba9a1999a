"""Refused edges: what the segment says of each pair, summed up and as text."""

from __future__ import annotations

from typing import Any

from ops.identity import Identity, Said, identify
from ops.refused import refused_pairs
from ops.refused_text import best, sums, texts
from ops.venues.script import Difference
from shm_layout import GAP, REFUSAL, Segment, cell, word_store
from tests.ops.test_identity import SETTINGS, Script

STRIKE = Difference("strike", "58,900", "58,000")
HOUR = Difference("hour", "17:00 EDT", "12:00 EDT")


def identity(*said: Said) -> Identity:
    made = identify(Script(), SETTINGS)
    return Identity(**{name: getattr(made, name) for name in made.__slots__} | {"said": said})


def tell(segment: Segment, pair: int, **values: int) -> None:
    for name, value in values.items():
        word_store(segment.words, segment.at("refusals", pair) + cell(REFUSAL, name), value)


def rows() -> list[dict[str, Any]]:
    """One pair with two refused edges, one that only differs, one refused for its quote, one with
    nothing to say."""
    segment = Segment.private()
    tell(segment, 0, edges=2, best_e6=120_000, last_epoch_ns=5_000_000)
    tell(segment, 2, untrusted=3, trust=GAP, best_e6=300_000, last_epoch_ns=7_000_000)
    return refused_pairs(
        segment,
        identity(
            Said("kalshi A", "polymarket a", False, (STRIKE, HOUR)),
            Said("kalshi B", "polymarket b", True, (HOUR,)),
            Said("kalshi C", "polymarket c", True, ()),
            Said("kalshi D", "polymarket d", True, ()),
        ),
    )


def test_a_row_says_what_differs_how_often_and_how_much() -> None:
    assert rows() == [
        {"pair": 0, "a": "kalshi A", "b": "polymarket a", "approved": False,
         "differs": {"strike": ["58,900", "58,000"], "hour": ["17:00 EDT", "12:00 EDT"]},
         "edges": 2, "untrusted": 0, "trust": [], "best_e6": 120_000, "last_epoch_ms": 5},
        {"pair": 1, "a": "kalshi B", "b": "polymarket b", "approved": True,
         "differs": {"hour": ["17:00 EDT", "12:00 EDT"]}, "edges": 0, "untrusted": 0, "trust": [],
         "best_e6": None, "last_epoch_ms": None},
        {"pair": 2, "a": "kalshi C", "b": "polymarket c", "approved": True, "differs": {},
         "edges": 0, "untrusted": 3, "trust": ["gap"], "best_e6": 300_000, "last_epoch_ms": 7},
    ]  # fmt: skip


def test_every_field_counts_the_edges_of_its_pair() -> None:
    assert sums(rows()) == {
        "edges": 5, "pairs": 2, "forced": 1,
        "reasons": {"untrusted quote": 3, "strike": 2, "hour": 2},
    }  # fmt: skip


def test_the_best_come_first_and_only_those_with_an_edge() -> None:
    assert [row["pair"] for row in best(rows(), 10)] == [2, 0]
    assert [row["pair"] for row in best(rows(), 1)] == [2]


def test_people_read_the_sums_and_the_best_pairs() -> None:
    found = rows()
    assert texts(sums(found), found) == [
        "5 edges of 2 pairs: untrusted quote 3, strike 2, hour 2",
        "none of 1 pairs whose markets differ: --force-approve",
        "kalshi C | polymarket c: 3 up to 0.3000: 3 with an untrusted quote (gap)",
        "kalshi A | polymarket a: 2 up to 0.1200: strike 58,900 | 58,000;"
        " hour 17:00 EDT | 12:00 EDT",
    ]
    assert texts(sums([]), []) == []
