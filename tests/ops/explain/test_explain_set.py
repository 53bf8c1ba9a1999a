"""`explain` of sets: what they pay for sure, and what became of legs alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.explain.past import read
from ops.explain.text import intent_lines
from ops.explain.whole import everything, one
from shm_layout import BUY, E6, SELL
from tests.ops.explain.scene import SET, Leg, World

TEN = 10 * E6


def of_set(world: World, side: int, price_e6: int, *filled_e6: int) -> tuple[int, list[Leg]]:
    """Ten of each of three outcomes wanted; a fee of a cent a contract."""
    legs = [
        Leg(number, side, price_e6, TEN, [(price_e6, size_e6, size_e6 // 100)] if size_e6 else [])
        for number, size_e6 in zip(SET, filled_e6, strict=True)
    ]
    return world.intent(*legs), legs


@pytest.mark.parametrize(
    ("side", "price_e6", "pays_e6", "realised_e6"),
    [(BUY, 300_000, E6, 10 * E6 - 9_300_000), (SELL, 400_000, 2 * E6, 20 * E6 - 18_300_000)],
)
@pytest.mark.parametrize("winner", [None, *SET])
def test_a_set_is_worth_what_it_pays_for_sure_whichever_outcome_wins(
    tmp_path: Path, side: int, price_e6: int, pays_e6: int, realised_e6: int, winner: int | None
) -> None:
    world = World()
    number, _ = of_set(world, side, price_e6, TEN, TEN, TEN)
    if winner is not None:
        world.settle_set(winner)
    run = read(world.write(tmp_path))
    whole = everything(run)
    (intent,) = whole["intents"]
    assert whole["differences"] == [] and intent["lone"] is None
    assert whole["totals"]["realised_e6"] == realised_e6 == whole["books"]["change_e6"]
    assert intent["edge"]["pays_e6"] == pays_e6
    assert "a set of 3" in "\n".join(intent_lines(one(run, number)["intents"][0]))


def test_where_no_outcome_won_those_sold_pay_a_dollar_more(tmp_path: Path) -> None:
    world = World()
    of_set(world, SELL, 400_000, TEN, TEN, TEN)
    world.settle_set(0)
    whole = everything(read(world.write(tmp_path)))
    assert whole["totals"]["realised_e6"] == 30 * E6 - 18_300_000
    assert whole["differences"] == []


@pytest.mark.parametrize("completes", [False, True])
def test_legs_of_a_set_alone_and_what_became_of_them_are_one_story(
    tmp_path: Path, completes: bool
) -> None:
    world = World()
    number, legs = of_set(world, BUY, 300_000, TEN, TEN, 0)
    whole = everything(read(world.write(tmp_path / "open")))
    assert whole["totals"]["realised_e6"] == -6_200_000, "the third outcome may win"
    assert whole["intents"][0]["lone"]["left_e6"] == 2 * TEN
    fills = [(350_000, TEN, 0)]
    if completes:
        world.intent(Leg(SET[2], BUY, 350_000, TEN, fills), parent=number, completes=True)
    else:
        for leg in legs[:2]:
            back = [(290_000, TEN, 0)]
            world.intent(Leg(leg.market, SELL, 290_000, TEN, back), parent=number)
    run = read(world.write(tmp_path))
    whole, lone = everything(run), one(run, number)["intents"][0]["lone"]
    brought_e6 = 300_000 if completes else -400_000
    assert whole["totals"]["realised_e6"] == brought_e6 == whole["books"]["change_e6"]
    assert whole["differences"] == [] and lone["left_e6"] == 0
    assert [row["size_e6"] for row in lone["legs"]] == [TEN, TEN]
    assert lone["given_back_e6"] == (0 if completes else 2 * TEN)
    assert lone["completed_e6"] == (TEN if completes else 0)
    assert lone["result_e6"] == brought_e6
    told = "\n".join(intent_lines(one(run, number)["intents"][0]))
    assert "leg 0 alone (kalshi KX-2)" in told and "leg 1 alone (kalshi KX-3)" in told
