"""An operator flattens and reconciles: only what is held is sold, each order an intent of its own,
and what is left is what the venues say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.commands import FLATTEN, RECONCILE, End, Row, answer_cells, answer_of
from gateway.flatten import LIMIT_NS, QUIET_NS
from shm_layout import (
    ACTIVE,
    BODY,
    CONTROL,
    FLAG_REDUCE,
    FLAG_UNWIND,
    HALTED,
    K_COMMAND,
    K_LEG,
    KILL_AT,
    ORIGIN_OPERATOR,
    REASONS,
    cell,
    intent_parts,
    ring_append,
    word_store,
)
from tests.gateway.rig import (
    BALANCE,
    POSITIONS,
    Rig,
    kalshi_filled,
    play,
    poly_filled,
    running,
)
from tests.gateway.scene import COMMAND, KALSHI, POLY, body
from tests.gateway.venue_double import HOLD

NUMBER = 7


def ask(rig: Rig, command: int, number: int = NUMBER) -> None:
    """The supervisor's word for the gateway."""
    words, ring = rig.scene.segment.words, rig.scene.segment.at("control_ring")
    cells = body(COMMAND, command=command, number=number)
    entries = rig.scene.segment.entries("control_ring")
    ring_append(words, ring, entries, K_COMMAND, cells, BODY)
    rig.scene.ring(rig.eventfd)


def answers(rig: Rig, number: int = NUMBER) -> list[Row | End]:
    """What the gateway answered, in order."""
    return [
        answer_of(report.reshape(1).view("i8"))[1] for report in rig.scene.reports()
        if report["kind"] == K_COMMAND and report["intent"] == number
    ]  # fmt: skip


async def answered(rig: Rig, number: int = NUMBER) -> list[Row | End]:
    """The whole answer. The read lags of the venues pass at once."""

    def is_whole() -> bool:
        if not rig.is_asking:  # what is on the wire gets the time it needs
            rig.scene.skew_ns += 10_000_000
            rig.scene.ring(rig.eventfd)
        return any(isinstance(row, End) for row in answers(rig, number))

    await rig.until(is_whole)
    return answers(rig, number)


async def hold(rig: Rig) -> None:
    """Ten YES at Kalshi, ten NO at Polymarket."""
    rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
    assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "done"


def agree(rig: Rig, *, kalshi: str = "") -> None:
    """From now on the venues say what our books say of cash (at Polymarket nothing: its double has
    one answer for cash and tokens), and this of what is held.
    """
    rig.fund(0)
    cash_e6 = rig.desk.accounts.cash[KALSHI].cash_e6
    shard = {"exchange_index": 2, "balance": f"{cash_e6 / 1e6:.6f}"}
    rig.kalshi.reads[BALANCE] = (200, {"balance_breakdown": [shard]})
    rows = [{"ticker": "KX-1", "position_fp": kalshi}] if kalshi else []
    rig.kalshi.reads[POSITIONS] = (200, {"cursor": "", "market_positions": rows})


def orders(rig: Rig) -> list[tuple[int, int, int]]:
    """(instrument, side, size) of the operator's orders."""
    return [
        (int(r["instrument"]), int(r["side"]), int(r["asked_e6"])) for r in rig.scene.reports()
        if r["kind"] == K_LEG and intent_parts(int(r["intent"]))[0] == ORIGIN_OPERATOR
        and r["send_ns"] and not r["ack_ns"]
    ]  # fmt: skip


def test_what_is_held_is_sold_also_while_halted_and_each_order_names_the_command(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            await hold(rig)
            at = rig.scene.segment.at("control") + cell(CONTROL, "trading_state")
            word_store(rig.scene.segment.words, at, HALTED)
            rig.kalshi.script = [kalshi_filled("10.00", "0.4000")]
            rig.poly.script = [poly_filled("10", "4.8")]
            ask(rig, FLATTEN)
            await rig.until(lambda: len(rig.desk.accounts.flights) == 0 and len(orders(rig)) == 2)
            agree(rig)
            found = await answered(rig)
            assert sorted(orders(rig)) == [(KALSHI, 1, 10_000_000), (POLY, 0, 10_000_000)]
            assert rig.kalshi.orders[-1].json["side"] == "ask"
            children = rig.children(NUMBER)
            flags = {int(row["flags"]) for row in children}
            assert flags == {FLAG_UNWIND | FLAG_REDUCE}
            assert [position.net_e6 for position in rig.desk.accounts.positions.values()] == [0, 0]
            assert found == [End(0, 0)] and rig.gate[0] == ACTIVE

    play(story, tmp_path)


def test_what_the_venue_still_holds_is_told_whatever_our_books_say(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            agree(rig, kalshi="3.00")
            ask(rig, FLATTEN)
            found = await answered(rig)
            assert found[:-1] == [Row(KALSHI, KALSHI, ours=(0, 0), theirs=(3_000_000, 0))]
            assert rig.gate == (HALTED, "unknown_outcome")

    play(story, tmp_path)


def test_the_kill_word_stops_flattening_too(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            await hold(rig)
            agree(rig, kalshi="10.00")
            sent = len(rig.kalshi.orders) + len(rig.poly.orders)
            word_store(rig.scene.segment.words, KILL_AT, 1)
            ask(rig, FLATTEN)
            found = await answered(rig)
            assert isinstance(found[-1], End) and REASONS[found[-1].why] == "killed"
            assert len(rig.kalshi.orders) + len(rig.poly.orders) == sent

    play(story, tmp_path)


def test_it_waits_for_what_is_on_the_wire_and_never_sells_more_than_is_held(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            await hold(rig)
            before = len(rig.kalshi.orders)
            rig.kalshi.script, rig.poly.script = [HOLD, kalshi_filled("0.00")], [(500, {})] * 9
            rig.fire(buy_e6=410_000)
            await rig.until(lambda: len(rig.kalshi.orders) > before)
            ask(rig, FLATTEN)
            rig.scene.skew_ns += QUIET_NS // 2
            assert rig.desk.operator.flattener.targets is None
            rig.scene.skew_ns += QUIET_NS + LIMIT_NS
            found = await answered(rig)
            assert isinstance(found[-1], End)
            assert all(size_e6 <= 10_000_000 for _, _, size_e6 in orders(rig))
            rig.kalshi.release.set()

    play(story, tmp_path)


def test_books_that_agree_are_said_to_and_trading_goes_on(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            agree(rig)
            ask(rig, RECONCILE)
            assert await answered(rig) == [End(0, 0)]
            assert rig.gate[0] == ACTIVE

    play(story, tmp_path)


def test_each_difference_is_named_and_halts(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            agree(rig, kalshi="-2.00")
            rig.poly.reads["/balance-allowance"] = (200, {"balance": "1"})
            listed = {"data": [{"id": "0xff"}], "next_cursor": "LTE="}
            rig.poly.reads["/data/orders"] = (200, listed)
            ask(rig, RECONCILE)
            *rows, end = await answered(rig)
            assert end == End(len(rows), 0)
            assert Row(KALSHI, KALSHI, ours=(0, 0), theirs=(0, 2_000_000)) in rows
            assert Row(POLY, key="0xff") in rows
            assert Row(POLY, account=POLY, theirs=(1, 0)) in rows
            assert rig.gate == (HALTED, "unknown_outcome")

    play(story, tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        Row(1, 5, ours=(1, 2), theirs=(3, 4)),
        Row(0, account=2, ours=(-5, 0), theirs=(10**12, 0)),
        Row(1, key="0x" + "ab" * 31),
        End(3, 7),
    ],
)
def test_an_answer_survives_its_way_through_a_report(row: Row | End) -> None:
    cells = answer_cells(NUMBER, row, 1, 0 if isinstance(row, Row) else -1)
    assert answer_of(np.array(cells, np.int64)) == (NUMBER, row)
