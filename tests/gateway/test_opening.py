"""A gateway begins on what is true: nothing is asked, read or traded on before it can be."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gateway.memory import Memory
from gateway.opening import RECONCILE_NS
from gateway.ports import Held
from gateway.reports import Reports
from ops.tally import RingReader
from shm_layout import ACTIVE, GATE, HALTED, REASONS, REPORT, RUN_CLOCK
from tests.gateway.rig import (
    BALANCE,
    FILLS,
    ORDERS,
    SIZE,
    Rig,
    kalshi_filled,
    play,
    poly_filled,
    running,
)
from tests.gateway.scene import KALSHI, POLY, Scene, body
from tests.gateway.test_desk_successor import held, lives
from tests.gateway.venue_double import RESET, SILENT

LAG_NS = 1_000_000_000


def executed(number: int) -> dict[str, object]:
    """Kalshi's row of an intent's first leg, all of it filled."""
    return {
        "order_id": "o1",
        "client_order_id": f"{7:016x}-{number:016x}-0",
        "status": "executed",
        "fill_count_fp": "10.00",
        "book_side": "bid",
        "taker_fill_cost_dollars": "4.200000",
        "taker_fees_dollars": "0.170600",
    }


def orders_read(rig: Rig) -> int:
    """How often Kalshi was asked about orders."""
    return sum(seen.path == ORDERS for seen in rig.kalshi.seen)


def test_a_successor_asks_about_orders_only_when_the_venue_must_know_them(tmp_path: Path) -> None:
    """Two empty answers within the read lag would say that a filled order never arrived."""

    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            rig.scene.quote(KALSHI, bid=400_000, ask=420_000, taker_delay_ns=3 * LAG_NS)
            rig.kalshi.script, rig.poly.script = [SILENT], [SILENT]
            number = rig.fire()
            await rig.until(lambda: bool(rig.kalshi.orders and rig.poly.orders))
            before_ns, asked = rig.scene.clock(), orders_read(rig)
            await replace()
            orders = [order for work in rig.desk.ledger.works.values() for order in work.orders]
            await rig.until(lambda: all(order.next_query_ns for order in orders))
            for order, delay_ns in zip(orders, (3 * LAG_NS, 0), strict=True):
                lag_ns = rig.desk.lines[order.venue].venue.query_delay_ns
                assert order.next_query_ns >= before_ns + delay_ns + lag_ns
            assert orders_read(rig) == asked and not rig.ended(number)
            rig.scene.skew_ns += 5 * LAG_NS
            end = await rig.end_of(number)
            assert REASONS[end["reason"]] == "nothing_filled", "known now, so not unknown"

    play(story, tmp_path)


def test_what_is_asked_because_a_channel_opened_does_not_prove_that_an_order_never_arrived(
    tmp_path: Path,
) -> None:
    """A successor's channels open at once, and the venue's reads lag behind what it has done."""

    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            rig.scene.quote(KALSHI, bid=400_000, ask=420_000, taker_delay_ns=3 * LAG_NS)
            rig.kalshi.script, rig.poly.script = [SILENT], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: len(rig.legs(number)) >= 3)
            await replace()
            for _ in range(3):
                asked = orders_read(rig)
                await rig.until(lambda: not rig.desk.resolver.asking)
                rig.desk.resolver.ask_all_again(KALSHI)
                await rig.until(lambda: orders_read(rig) > asked)  # noqa: B023
            await rig.until(lambda: not rig.desk.resolver.asking)
            assert not rig.ended(number), "three empty answers, all too early"
            rig.kalshi.reads[ORDERS] = (200, {"orders": [executed(number)], "cursor": ""})
            rig.scene.skew_ns += 5 * LAG_NS
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"

    play(story, tmp_path)


def test_an_order_found_late_is_booked_once_and_nothing_is_lifted_before(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            rig.kalshi.script, rig.poly.script = [SILENT], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: len(rig.legs(number)) >= 3)
            rig.kalshi.reads[ORDERS] = (503, {})
            held(rig, "10.00")
            await replace()
            told: list[bool] = []
            rig.desk.opening.on_found = lambda: told.append(rig.desk.opening.is_done)
            rig.scene.skew_ns += RECONCILE_NS + 1
            await rig.until(lambda: rig.gate == (HALTED, "unknown_outcome"))
            cursor = rig.desk.reports.counted("halts")
            rig.scene.resume()
            rig.scene.ring(rig.eventfd)
            await asyncio.sleep(0)
            assert not rig.desk.opening.is_done and cursor == 1 and not told
            rig.kalshi.reads[ORDERS] = (200, {"orders": [executed(number)], "cursor": ""})
            rig.scene.skew_ns += 20 * LAG_NS
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"
            rig.scene.skew_ns += 5 * LAG_NS
            await rig.until(lambda: rig.desk.opening.is_done)
            assert told == [False], "once, as soon as every order of before was found"
            assert rig.desk.accounts.position(KALSHI).yes_e6 == SIZE, "the venue's figure has it"
            assert rig.desk.accounts.cash[KALSHI].cash_e6 == 500_000_000
            assert rig.gate == (HALTED, "unknown_outcome"), "the early resume lifted nothing"
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)

    play(story, tmp_path)


def test_the_venues_figures_are_read_when_they_have_our_newest_fills(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            number = rig.fire()
            ended_ns = int((await rig.end_of(number))["report_ns"])
            held(rig, "10.00")
            before = sum(seen.path == BALANCE for seen in rig.kalshi.seen)
            await replace()
            assert sum(seen.path == BALANCE for seen in rig.kalshi.seen) == before + 1, "the audit"
            rig.scene.skew_ns += LAG_NS // 2
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            gate = rig.scene.segment.words[rig.scene.segment.at("gate") :][: GATE.itemsize // 8]
            reconciled_ns = int(gate.view(GATE)[0]["reconciled_ns"])
            lags_ns = [line.venue.query_delay_ns for line in rig.desk.lines.values()]
            assert reconciled_ns >= ended_ns + max(lags_ns)

    play(story, tmp_path)


def test_an_order_is_asked_for_in_the_run_time_of_its_sending(tmp_path: Path) -> None:
    """Run time jumps at a replay's cut; the venue stamped the order before it."""

    async def story(path: Path) -> None:
        async with running(path) as rig:

            def run_clock(begin_s: int) -> None:
                row = body(
                    RUN_CLOCK, begin_epoch_ns=begin_s * 10**9, mono_base_ns=rig.scene.clock(),
                    speed_e6=1_000_000,
                )  # fmt: skip
                rig.scene.segment.write("run_clock", 0, row)

            run_clock(10_000)
            await rig.until(lambda: len(rig.desk.run_times.parts) == 1)
            rig.kalshi.script, rig.poly.script = [RESET], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: len(rig.legs(number)) >= 3)
            run_clock(90_000)
            rig.kalshi.reads[ORDERS] = (200, {"orders": [executed(number)], "cursor": ""})
            rig.scene.skew_ns += 2 * LAG_NS
            await rig.end_of(number)
            asked = [seen.query for seen in rig.kalshi.seen if seen.path in (FILLS, ORDERS)]
            since = [int(q.split("min_ts=")[1].split("&")[0]) for q in asked if "min_ts=" in q]
            assert since and all(9_990 <= at <= 10_000 for at in since)

    play(story, tmp_path)


def test_a_question_that_dies_of_an_error_ends_the_gateway(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        rig = Rig(path)
        await rig.kalshi.start()
        await rig.poly.start()
        task = asyncio.create_task(rig.build().main())
        await rig.ready()
        rig.fund(500_000_000)

        async def query(*_: object) -> None:
            raise AssertionError("a bug of ours")

        rig.desk.lines[KALSHI].venue.query = query  # type: ignore[method-assign,assignment]
        rig.kalshi.script, rig.poly.script = [RESET], [poly_filled("5", "10")]
        number = rig.fire()
        await rig.until(lambda: len(rig.legs(number)) >= 3)
        rig.scene.skew_ns += 2 * LAG_NS
        await rig.until(task.done)
        with pytest.raises(AssertionError, match="a bug of ours"):
            await task
        await rig.kalshi.stop()
        await rig.poly.stop()
        os.close(rig.eventfd)

    play(story, tmp_path)


def test_a_restart_forgets_no_loss(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            desk = rig.desk
            desk.accounts.realized_day_e6 = -19_999_999
            desk.reports.account(POLY, desk.accounts, rig.scene.clock())
            for _ in range(2):
                await replace()
                await rig.until(lambda: rig.gate[0] == ACTIVE)
                assert rig.desk.accounts.day_loss_e6 == 19_999_999

    play(story, tmp_path)


def test_who_dies_before_it_has_opened_leaves_the_slots_to_the_next() -> None:
    """Orders are found before the venues have said what is held: an account that knows nothing yet
    took the day's loss out of the slots, and what bets hold out of the detector."""
    scene = Scene()
    accounts, reports = scene.tell(Memory()), Reports(scene.segment)
    accounts.start({KALSHI: 10**9, POLY: 10**9}, [Held(KALSHI, 20_000_000, 0)], {})
    accounts.lose_ahead(KALSHI, 45_000_000)
    reports.account(KALSHI, accounts, 1)
    second, told = scene.tell(Memory()), Reports(scene.segment)
    left, loss_e6, _ = told.left(second)
    assert (left[KALSHI].yes_e6, loss_e6) == (20_000_000, 45_000_000)
    heard = RingReader(scene.segment, "reports")
    assert len(list(heard.drain())) == 1
    told.account(KALSHI, second, 5)
    (row,) = [each.view(REPORT)[0] for _, each in heard.drain()]
    assert row["position_e6"] == row["position_cost_e6"] == 20_000_000
    assert Reports(scene.segment).left(scene.tell(Memory())) == (left, loss_e6, 1)
    told.opened()
    told.account(KALSHI, second, 9)
    (row,) = [each.view(REPORT)[0] for _, each in heard.drain()]
    assert row["position_e6"] == 0
    assert Reports(scene.segment).left(scene.tell(Memory()))[1:] == (0, 9)
