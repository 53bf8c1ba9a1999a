"""Rows of windows that the model may trade alone come and go with their windows."""

from __future__ import annotations

from shm_layout import NO_INSTRUMENT
from tests.ops.test_roll import (
    LATER_S,
    REST_S,
    SECOND,
    WORLD,
    Stage,
    kalshi,
    polymarket,
)


def alone(stage: Stage) -> list[tuple[int, int, int, int]]:
    """(number, market, its generation, approved) of every row of one market."""
    rows = [stage.pair(index) for index in range(len(stage.identity.pairs))]
    return [
        (int(r["index"]), int(r["a"]), int(r["a_generation"]), int(r["approved"]))
        for r in rows
        if r["b"] == NO_INSTRUMENT
    ]


def test_a_window_the_model_may_trade_alone_comes_and_goes_with_it() -> None:
    stage = Stage(bets=True)
    first = alone(stage)
    assert len(first) > 0
    index = stage.propose(kalshi(LATER_S))["instrument"]
    (mine,) = alone(stage)[len(first) :]
    assert mine[1:] == (index, 1, 1) and stage.pair(mine[0])["needs_terms"] == 1
    assert stage.identity.said[mine[0]] == (f"kalshi {kalshi(LATER_S).ticker}", "", True, ())
    stage.propose(polymarket(LATER_S))
    assert len(alone(stage)) == len(first) + 2, "beside the pair of both"
    stage.settle(index)
    stage.run(LATER_S + 1_000)
    stage.run(LATER_S + 1_000 + REST_S)
    assert stage.pair(mine[0])["approved"] == 0, "nobody bets on what is over"
    stage.propose(kalshi(LATER_S + 900))
    again = [row for row in alone(stage) if row[1] == index]
    assert [row[2:] for row in again if row[3]] == [(2, 1)], "one row of the window that has it now"


def test_a_window_that_the_run_began_with_has_one_row_alone() -> None:
    stage = Stage(bets=True)
    spec = next(m for m in WORLD.markets if m.ticker.startswith("btc-updown-5m-") and m.index)
    number, before = WORLD.markets.index(spec), alone(stage)
    window = polymarket(
        spec.open_epoch_ns // SECOND, 5, condition_id=spec.condition_id,
        token_yes=spec.token_yes, token_no=spec.token_no,
    )  # fmt: skip
    assert stage.propose(window)["instrument"] == number
    assert alone(stage) == before and sum(row[1] == number for row in before) == 1
