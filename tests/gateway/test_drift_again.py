"""Books that are compared again: what a second look could not judge, and what an operator was told
to differ.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.commands import RECONCILE
from gateway.drift import AGAIN_MAX
from shm_layout import ACTIVE, HALTED
from tests.gateway.drift_look import EVERY_NS, FOREIGN_ORDER, SECOND_NS, looking, rows
from tests.gateway.rig import ORDERS, POSITIONS, play
from tests.gateway.scene import KALSHI
from tests.gateway.venue_double import Read, Seen


def test_a_difference_that_could_not_be_judged_again_is_looked_at_again_soon(
    tmp_path: Path,
) -> None:
    """Something was booked just before the second look: it is no answer, and no reason to wait."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.stand()
            look.now_ns += 5 * SECOND_NS
            look.contracts_e6 = 2_000_000
            await look.look()
            look.now_ns += 5 * SECOND_NS
            await look.trade("t-1")
            await look.look()
            assert look.rig.gate == (ACTIVE, "done"), "it was not judged"
            drift = look.rig.desk.drift
            assert drift._due_ns - look.now_ns < 5 * SECOND_NS < EVERY_NS
            look.now_ns += 5 * SECOND_NS
            await look.look()
            assert look.rig.gate == (HALTED, "unknown_outcome")

    play(story, tmp_path)


def test_what_can_never_be_judged_again_is_given_up_after_some_looks(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.stand()
            look.now_ns += 5 * SECOND_NS
            look.contracts_e6 = -2_000_000
            await look.look()
            drift = look.rig.desk.drift
            for count in range(AGAIN_MAX):
                look.now_ns += 5 * SECOND_NS
                await look.trade(f"t-{count}")
                assert drift._due_ns - look.now_ns < EVERY_NS / 2
                await look.look()
            assert drift._due_ns - look.now_ns == EVERY_NS
            assert look.rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("what", ["cash", "contracts", "order"])
def test_what_reconcile_finds_is_ours_after_one_resume(tmp_path: Path, what: str) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, accounts = look.rig, look.rig.desk.accounts
            before_e6 = accounts.cash[KALSHI].cash_e6, accounts.position(KALSHI).net_e6
            if what == "order":
                rig.kalshi.reads[ORDERS] = rows("orders", FOREIGN_ORDER)
            else:
                setattr(look, f"{what}_e6", -2_000_000)
            rig.desk.operator.take(RECONCILE, 7, rig.scene.clock(), is_open=True)
            rig.scene.skew_ns += 10 * SECOND_NS
            await rig.until(lambda: rig.gate[0] == HALTED)
            await rig.until(lambda: not rig.desk.operator.is_asking)
            rig.desk.drift.is_looking = True  # no look before the operator's word
            setattr(look, f"{what}_e6", 0)
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            rig.desk.drift.is_looking = False
            after_e6 = accounts.cash[KALSHI].cash_e6, accounts.position(KALSHI).net_e6
            moved = tuple(new - old for new, old in zip(after_e6, before_e6, strict=True))
            wanted = {"cash": (-2_000_000, 0), "contracts": (0, -2_000_000), "order": (0, 0)}
            assert moved == wanted[what]
            for _ in range(2):
                await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_reconcile_reads_again_what_was_filled_while_the_read_lag_passed(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, shown = look.rig, look.rig.kalshi.reads[POSITIONS]
            assert callable(shown)

            def late(seen: Seen) -> Read:
                found = shown(seen)
                look.contracts_e6 = look.cash_e6 = 0  # the next read shows it
                return found

            rig.kalshi.reads[POSITIONS] = late
            look.stand()
            rig.desk.operator.clock = rig.desk.drift.clock
            rig.desk.operator.take(RECONCILE, 7, look.now_ns, is_open=True)
            for _ in range(10):
                await asyncio.sleep(0)  # it begins: the read lag passes
            await look.trade("t-1")
            look.contracts_e6, look.cash_e6 = -10_000_000, 4_210_000

            def is_over() -> bool:
                look.now_ns += 10_000_000
                return not rig.desk.operator.is_asking

            await rig.until(is_over)
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)
