"""What settled markets pay while our books are compared with the venues': either it is in, and its
tokens are gone, or it is not.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gateway.commands import RECONCILE
from shm_layout import ACTIVE, HALTED, ST_SETTLED
from tests.gateway.drift_look import SECOND_NS, Look, looking, named
from tests.gateway.rig import SIZE, play
from tests.gateway.scene import POLY


def settled(look: Look, value_e6: int) -> None:
    """Ten NO tokens at Polymarket: their market has settled, and what it pays is not fetched."""
    accounts = look.rig.desk.accounts
    accounts.position(POLY).no_e6 = accounts.position(POLY).cost_no_e6 = SIZE
    accounts.refresh(POLY)
    facts = {"status": ST_SETTLED, "settlement_e6": value_e6}
    look.rig.scene.quote(POLY, bid=0, ask=0, **facts)
    accounts.settle(POLY, value_e6)
    look.tokens_e6, look.poly_e6 = (0, SIZE), -SIZE * (1_000_000 - value_e6) // 1_000_000


@pytest.mark.parametrize("value_e6", [0, 250_000, 1_000_000])
@pytest.mark.parametrize("beyond_e6", [0, 3_000_000, -3_000_000])
def test_cash_is_judged_while_a_payout_waits_to_be_fetched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, beyond_e6: int, value_e6: int
) -> None:
    """Either it is in, and the tokens are gone, or it is not: no other amount is explained."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, cash = look.rig, look.rig.desk.accounts.cash[POLY]
            settled(look, value_e6)
            had_e6 = cash.cash_e6
            look.poly_e6 += beyond_e6
            with caplog.at_level(logging.ERROR, "gateway"):
                await look.twice()
            assert rig.gate == ((HALTED, "unknown_outcome") if beyond_e6 else (ACTIVE, "done"))
            if beyond_e6:
                assert f"{beyond_e6}e-6 dollars" in named(caplog)
                rig.scene.resume()
                await rig.until(lambda: rig.gate[0] == ACTIVE)
                assert cash.cash_e6 == had_e6 + beyond_e6, "what waits is still ours"
                look.poly_e6 -= beyond_e6
            await look.twice()
            look.tokens_e6, look.poly_e6 = (0, 0), 0  # fetched
            for _ in range(3):
                await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_payout_and_its_tokens_need_not_move_in_one_moment(
    tmp_path: Path, is_there: bool
) -> None:
    """Cash is read first: the tokens may go in between; or they are shown a moment too long."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            settled(look, 0)
            await look.look()
            if is_there:
                look.poly_e6 = 0
            else:
                look.tokens_e6 = (0, 0)
            await look.look()
            look.tokens_e6, look.poly_e6 = (0, 0), 0
            await look.twice()
            assert look.rig.gate == (ACTIVE, "done")
            look.poly_e6 = -3_000_000
            for _ in range(2):
                await look.twice()
            assert look.rig.gate == (HALTED, "unknown_outcome"), "it is judged again"

    play(story, tmp_path)


def test_a_market_that_is_shut_and_not_settled_leaves_the_cash_unjudged(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            position = look.rig.desk.accounts.position(POLY)
            position.no_e6 = position.cost_no_e6 = SIZE
            look.rig.scene.quote(POLY, bid=0, ask=0, status=4)
            look.poly_e6 = 10_000_000
            await look.twice()
            assert look.rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_what_reconcile_finds_of_a_payout_that_waits_is_not_taken_over(tmp_path: Path) -> None:
    """It comes yet: who took it over would miss it then."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, cash = look.rig, look.rig.desk.accounts.cash[POLY]
            settled(look, 0)
            had_e6 = cash.cash_e6
            rig.desk.operator.take(RECONCILE, 7, rig.scene.clock(), is_open=True)
            rig.scene.skew_ns += 10 * SECOND_NS
            await rig.until(lambda: not rig.desk.operator.is_asking)
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert cash.cash_e6 == had_e6
            look.tokens_e6, look.poly_e6 = (0, 0), 0  # fetched
            for _ in range(3):
                await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)
