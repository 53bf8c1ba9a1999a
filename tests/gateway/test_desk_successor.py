"""A gateway that dies over a lone leg: its successor gives back what is left, and lifts no halt.

The first desk is dropped with what it had under way; the second finds segment and journal.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shm_layout import ACTIVE, GATE, GATEWAY, HALTED, LIVE_EPOCH_AT, REASONS, cell, word_store
from tests.gateway.rig import FAK_NONE, PARAMS, POSITIONS, Rig, kalshi_filled, play, poly_filled
from tests.gateway.scene import KALSHI, POLY


@asynccontextmanager
async def lives(tmp_path: Path) -> AsyncIterator[tuple[Rig, Callable[[], Awaitable[None]]]]:
    """A rig whose gateway trades, and what replaces it by its successor."""
    rig = Rig(tmp_path)
    await rig.kalshi.start()
    await rig.poly.start()
    task = asyncio.create_task(rig.build().main())

    async def replace() -> None:
        nonlocal task
        rig.desk.stop()
        await task
        at = LIVE_EPOCH_AT + GATEWAY  # the supervisor grants another epoch
        word_store(rig.scene.segment.words, at, rig.desk.intake.epoch + 1)
        task = asyncio.create_task(rig.build().main())
        await rig.until(lambda: rig.desk.lines[KALSHI].pool.free_count == 3)

    try:
        await rig.ready()
        rig.fund(500_000_000)
        yield rig, replace
    finally:
        rig.desk.stop()
        await task
        await rig.kalshi.stop()
        await rig.poly.stop()
        os.close(rig.eventfd)


def held(rig: Rig, count: str) -> None:
    """What Kalshi says we have."""
    row = {"ticker": "KX-1", "position_fp": count}
    rig.kalshi.reads[POSITIONS] = (200, {"market_positions": [row], "cursor": ""})


async def lone(rig: Rig, *more: str) -> int:
    """Kalshi fills ten, Polymarket none; `more`: what the tries to give back fill. Then no bid."""
    rig.kalshi.script = [kalshi_filled("10.00"), *(kalshi_filled(n, "0.4000") for n in more)]
    rig.poly.script = [FAK_NONE]
    number = rig.fire()
    if not more:
        rig.scene.quote(KALSHI, bid=0, ask=420_000)
    end = await rig.end_of(number)
    assert REASONS[end["reason"]] == "one_legged"
    return number


@pytest.mark.parametrize(("given_back", "left"), [((), "10.00"), (("4.00",), "6.00")])
def test_a_successor_gives_back_what_its_predecessor_had_not(
    tmp_path: Path, given_back: tuple[str, ...], left: str
) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            await lone(rig, *given_back)
            if given_back:
                await rig.until(lambda: len(rig.kalshi.orders) == 2)
                rig.scene.quote(KALSHI, bid=0, ask=420_000)
                await rig.until(lambda: rig.desk.unwinder.cases[0].left_e6 == 6_000_000)
            held(rig, left)
            rig.scene.quote(POLY, bid=0, ask=520_000)  # nobody to complete the pair with
            before = len(rig.kalshi.orders)
            await replace()
            await rig.until(lambda: len(rig.desk.unwinder.cases) == 1)
            rig.kalshi.script = [kalshi_filled(left, "0.4000")]
            rig.scene.quote(KALSHI, bid=400_000, ask=420_000)
            await rig.until(lambda: not rig.desk.unwinder.cases)
            (again,) = [order.json for order in rig.kalshi.orders[before:]]
            assert (again["side"], again["count"]) == ("ask", left)
            assert rig.desk.accounts.position(KALSHI).yes_e6 == 0
            assert rig.gate == (ACTIVE, "done")
            held(rig, "0.00")
            await replace()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert not rig.desk.unwinder.cases, "given back once"

    play(story, tmp_path)


@pytest.mark.parametrize("is_said", [True, False])
def test_an_end_that_was_journalled_is_said_once_whoever_says_it(
    tmp_path: Path, is_said: bool
) -> None:
    """Without it the detector would wait for ever, and its pair with it."""

    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            if not is_said:  # it dies between the record and the report
                rig.desk.reports.terminal = _nothing  # type: ignore[method-assign]
            number = rig.fire()
            work = rig.desk.ledger.works
            await rig.until(lambda: number in work and work[number].ended)
            assert len(rig.ended(number)) == is_said
            for _ in range(2):
                await replace()
                assert [REASONS[end["reason"]] for end in rig.ended(number)] == ["done"]

    play(story, tmp_path)


def _nothing(*_: object, **__: object) -> None:
    """Says nothing."""


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_halt_whose_gateway_died_while_it_wrote_it_down_stands(
    tmp_path: Path, is_whole: bool
) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            at = rig.scene.segment.at("gate")
            rig.desk.gate.halt(REASONS.index("one_legged"), "for a test")
            if not is_whole:
                word_store(rig.scene.segment.words, at + cell(GATE, "state"), ACTIVE)
            await replace()
            await rig.until(lambda: rig.desk.opening.is_done)
            assert rig.gate == (HALTED, "one_legged")

    play(story, tmp_path)


def test_a_death_lifts_no_halt_and_what_was_given_up_stays_the_operators(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            await lone(rig)
            rig.scene.skew_ns += PARAMS.time_cap_ns + 1
            await rig.until(lambda: rig.gate == (HALTED, "one_legged"))
            held(rig, "10.00")
            rig.scene.beat()
            rig.scene.quote(KALSHI, bid=400_000, ask=420_000)
            for _ in range(2):
                await replace()
                await rig.until(lambda: rig.desk.accounts.position(KALSHI).yes_e6 == 10_000_000)
                assert rig.gate == (HALTED, "one_legged")
                assert not rig.desk.unwinder.cases and len(rig.kalshi.orders) == 1
                row = rig.scene.segment.read("positions", KALSHI)
                assert row is not None and row["lone_e6"] == 10_000_000, "and is still told"
                assert row["mismatches"] == 1
            rig.scene.resume()
            await rig.until(lambda: rig.gate == (ACTIVE, "done"))
            await replace()
            await rig.until(lambda: rig.gate == (ACTIVE, "done"))
            assert not rig.desk.unwinder.cases and len(rig.kalshi.orders) == 1

    play(story, tmp_path)
