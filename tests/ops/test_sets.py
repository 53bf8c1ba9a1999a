"""What a registry says of sets, as rows: what is sure, what is barred, what is refused and told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ops.config import load
from ops.identity import identify
from ops.refused import refused_pairs
from ops.sets import rows_of
from ops.venues.script import MarketSpec, SetSpec
from ops.venues.world import make_world
from shm_layout import NO_INSTRUMENT, PAIR, Segment
from tests.ops.fakes import FakeScript

CLOSE_NS = 1_795_000_000 * 10**9
MARKETS = {
    (venue, f"m{i}"): MarketSpec(
        venue=venue, ticker=f"m{i}", title="", event="e", strike_e8=10**8 * i,
        close_epoch_ns=CLOSE_NS,
    )
    for venue in ("kalshi", "polymarket") for i in range(1, 7)
}  # fmt: skip
SURE = {"is_exclusive": True, "is_exhaustive": True}


def rows(count: int, **told: Any) -> list[tuple[tuple[str, ...], bool, int, tuple[str, str]]]:
    """(tickers, same, barred, why) of each row of the first so many markets."""
    spec = SetSpec(venue="kalshi", tickers=tuple(f"m{i + 1}" for i in range(count)), **told)
    return [
        (tuple(leg.ticker for leg in row.legs), row.same, row.barred, row.why)
        for row in rows_of(spec, MARKETS)
    ]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_set_is_opened_both_ways_if_one_wins_and_no_more(count: int) -> None:
    legs = tuple(f"m{i + 1}" for i in range(count))
    assert rows(count, **SURE) == [(legs, False, 0, ("", ""))]
    assert rows(count, is_exclusive=True) == [(legs, False, 1, ("not_complete", ""))]
    assert rows(count, is_exhaustive=True) == [(legs, False, 2, ("", "not_exclusive"))]


def test_an_augmented_set_is_never_bought_whole_and_its_placeholders_are_no_legs() -> None:
    assert rows(3, **SURE, is_augmented=True) == [
        (("m1", "m2", "m3"), False, 1, ("augmented", ""))
    ]  # fmt: skip
    assert rows(4, **SURE, is_augmented=True, placeholders=("m2",)) == [
        (("m1", "m3", "m4"), False, 1, ("placeholder", ""))
    ]  # fmt: skip
    assert rows(2, **SURE, placeholders=("m1",)) == []  # one outcome alone is no set


def test_of_more_outcomes_than_an_intent_has_legs_four_are_sold() -> None:
    assert rows(6, **SURE) == [(("m1", "m2", "m3", "m4"), False, 1, ("legs", ""))]


def test_neighbours_of_a_ladder_are_rows_and_wrong_ones_are_refused() -> None:
    up = [((f"m{i}", f"m{i + 1}"), True, 2, ("", "one_way")) for i in (1, 2)]
    assert rows(3, way="ladder") == up
    assert rows(3, way="implies") == up
    spec = SetSpec(venue="kalshi", tickers=("m2", "m1", "m3"), way="ladder")
    assert [row.why[0] for row in rows_of(spec, MARKETS)] == ["strikes", ""]
    key = "kalshi", "m2"
    for change, why in (({"strike_e8": 10**8}, "strikes"), ({"strike_e8": None}, "strikes"),
                        ({"close_epoch_ns": CLOSE_NS + 1}, "closes")):  # fmt: skip
        markets = {**MARKETS, key: replace(MARKETS[key], **change)}
        spec = SetSpec(venue="kalshi", tickers=("m1", "m2"), way="ladder")
        (row,) = rows_of(spec, markets)
        assert row.why[0] == why and row.barred == 3 and row.differs[0].field == why


@pytest.mark.parametrize(
    ("change", "why"),
    [({"strike_type": "less"}, "strike_type"), ({"strike_type": "between"}, "strike_type"),
     ({"event": "another"}, "event"), ({"strike_type": "greater_or_equal"}, "")],
)  # fmt: skip
def test_a_ladder_is_of_one_event_and_asks_for_more_and_more(
    change: dict[str, str], why: str
) -> None:
    """Below 1 bought and below 2 sold lose both between them; so may two figures."""
    key = "kalshi", "m2"
    markets = {**MARKETS, key: replace(MARKETS[key], **change)}
    (row,) = rows_of(SetSpec(venue="kalshi", tickers=("m1", "m2"), way="ladder"), markets)
    assert row.why == (why, "one_way") and bool(row.differs) == bool(why)


def test_one_market_twice_is_one_book() -> None:
    spec = SetSpec(venue="kalshi", tickers=("m1", "m1"), **SURE)
    (row,) = rows_of(spec, MARKETS)
    assert row.barred == 3 and row.why == ("same_market", "same_market")


class Sets(FakeScript):
    """Six markets of each venue and three sets, one of which nothing is sure of."""

    markets = tuple(MARKETS.values())
    pairs = ()
    sets = (
        SetSpec(venue="kalshi", tickers=("m1", "m2", "m3"), is_exclusive=True, hurdle_e6=700),
        SetSpec(venue="polymarket", tickers=("m1", "m2")),
        SetSpec(venue="kalshi", tickers=("m5", "m6"), way="ladder"),
    )


def test_sets_are_pairs_of_more_legs_that_wait_for_no_terms() -> None:
    identity = identify(Sets(), load("testing", None, {"ARB_UPDOWN_BETS": "0"}))
    one, refused, ladder = (body.view(PAIR)[0] for body in identity.pairs)
    names = ("a", "b", "more", "c", "same", "barred", "approved", "hurdle_e6", "needs_terms")
    assert [int(one[name]) for name in names] == [0, 1, 1, 2, 0, 1, 1, 700, 0]
    assert int(one["c_generation"]) == 1 and int(one["delay_max_ns"]) == 0
    assert [int(refused[name]) for name in ("a", "b", "more", "barred", "approved")] == [
        6, 7, 0, 3, 0
    ]  # fmt: skip
    assert [int(ladder[name]) for name in ("a", "b", "same", "barred")] == [4, 5, 1, 2]
    assert [(said.a, said.b) for said in identity.said] == [
        ("kalshi m1", "m2 + m3"), ("polymarket m1", "m2"), ("kalshi m5", "m6")
    ]  # fmt: skip


def test_a_refused_set_is_told_with_its_reasons_and_force_does_not_open_it() -> None:
    settings = load("testing", None, {"ARB_UPDOWN_BETS": "0"})
    identity = identify(Sets(), settings, is_forced=True)
    assert [said.is_approved for said in identity.said] == [True, False, True]
    (told,) = refused_pairs(Segment.private(), identity)
    assert (told["a"], told["b"], told["approved"]) == ("polymarket m1", "m2", False)
    assert set(told["differs"]) == {"not_complete", "not_exclusive"}


def test_the_seeded_world_has_three_sets_and_every_row_of_them_is_open() -> None:
    world = make_world(7, begin_epoch_ns=CLOSE_NS, windows=0, has_sets=True)
    identity = identify(world, load("testing"))
    sets = [body.view(PAIR)[0] for body in identity.pairs][len(world.pairs) :]
    assert [int(row["more"]) for row in sets] == [0, 0, 1]
    assert all(row["approved"] and row["b"] != NO_INSTRUMENT for row in sets)
    plain = make_world(7, begin_epoch_ns=CLOSE_NS, windows=0)
    assert world.markets[: len(plain.markets)] == plain.markets and world.digest != plain.digest
