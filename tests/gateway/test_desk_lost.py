"""What happens to orders whose answers are lost, late, early or held back, and to intents nobody
answered.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway import journal as j
from gateway import opening
from gateway.frame import J_SIZE
from shm_layout import (
    ACTIVE,
    HALTED,
    P_REJECTED,
    P_UNKNOWN,
    REASONS,
)
from tests.gateway.rig import (
    ORDERS,
    PARAMS,
    POSITIONS,
    SIZE,
    WAIT_S,
    Rig,
    kalshi_filled,
    play,
    poly_filled,
    running,
)
from tests.gateway.scene import KALSHI, POLY
from tests.gateway.venue_double import GARBAGE, HALF, HOLD, RESET, SILENT, Reply, Seen


@pytest.mark.parametrize(
    "how",
    [RESET, HALF, GARBAGE, SILENT, (500, {}), (201, {}), (409, {"code": "order_already_exists"})],
)
def test_a_lost_answer_is_unknown_counts_as_filled_and_is_never_sent_again(
    tmp_path: Path, how: Reply
) -> None:
    async def story(path: Path) -> None:
        params = replace(PARAMS, query_gap_ns=10**12)
        async with running(path, params) as rig:
            rig.kalshi.script = [how]
            rig.poly.script = [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: len(rig.legs(number)) >= 3)
            if how == SILENT:
                rig.scene.skew_ns += 2_100_000_000
            await rig.until(lambda: any(r["placed"] == P_UNKNOWN for r in rig.legs(number)))
            assert not rig.ended(number), "an unknown leg ends nothing"
            row = rig.scene.segment.read("positions", KALSHI)
            assert row is not None and row["unknown_e6"] == SIZE
            accounts = rig.desk.accounts
            assert accounts.cash_told(KALSHI) < 500_000_000 - 4_200_000 + 1
            again = rig.fire(buy_e6=420_000, sell_e6=490_000)
            assert REASONS[(await rig.end_of(again))["reason"]] == "paused_pair"
            assert len(rig.kalshi.orders) == 1 and len(rig.poly.orders) == 1

    play(story, tmp_path)


def test_a_lost_order_is_found_by_its_id_and_its_fill_is_booked(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script, rig.poly.script = [RESET], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: any(r["placed"] == P_UNKNOWN for r in rig.legs(number)))
            row = {
                "order_id": "o1",
                "client_order_id": f"{7:016x}-{number:016x}-0",
                "status": "executed",
                "fill_count_fp": "10.00",
                "book_side": "bid",
                "taker_fill_cost_dollars": "4.200000",
                "taker_fees_dollars": "0.170600",
            }
            rig.kalshi.reads[ORDERS] = (200, {"orders": [row], "cursor": ""})
            rig.scene.skew_ns += 1_600_000_000
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"]) == ("done", SIZE)
            assert rig.desk.accounts.cash[KALSHI].cash_e6 == 500_000_000 - 4_200_000 - 170_600
            assert len(rig.kalshi.orders) == 1

    play(story, tmp_path)


def test_an_order_in_no_list_twice_never_arrived_and_the_other_leg_goes_back(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [RESET]
            rig.poly.script = [poly_filled("5", "10"), poly_filled("10", "4.8")]
            number = rig.fire()
            await rig.until(lambda: any(r["placed"] == P_UNKNOWN for r in rig.legs(number)))
            rig.scene.skew_ns += 1_600_000_000
            end = await rig.end_of(number)
            assert REASONS[end["reason"]] == "one_legged"
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert [len(rig.kalshi.orders), len(rig.poly.orders)] == [1, 2]
            assert any(r["placed"] == P_REJECTED for r in rig.legs(number))

    play(story, tmp_path)


def test_lapped_ids_get_their_last_word(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script, rig.poly.script = (
                [kalshi_filled("10.00")] * 2,
                [poly_filled("5", "10")] * 2,
            )
            first = rig.fire()
            await rig.end_of(first)
            rig.scene.counter += 2
            last = rig.fire(sell_e6=490_000)
            await rig.end_of(last)
            for lost in (first + 1, first + 2):
                assert [REASONS[r["reason"]] for r in rig.ended(lost)] == ["lapped"]

    play(story, tmp_path)


def test_a_damaged_journal_never_trades(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        old = j.Journal(path / "journal")
        old.append({"k": "order", "run": 1})
        old.append({"k": "end", "intent": 1, "why": 0})
        old.close()
        raw = bytearray(old.path.read_bytes())
        raw[j.HEAD_BYTES + j.FRAME.size + 2] ^= 1
        old.path.write_bytes(raw)
        rig = Rig(path)
        await rig.kalshi.start()
        await rig.poly.start()
        task = asyncio.create_task(rig.build().main())
        await rig.until(lambda: rig.desk.opening.is_done)
        assert rig.gate == (HALTED, "journal")
        assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "journal"
        rig.desk.resume(rig.scene.clock())
        assert rig.gate == (HALTED, "journal"), "an operator cannot lift it either"
        rig.desk.stop()
        await task
        await rig.kalshi.stop()
        await rig.poly.stop()
        os.close(rig.eventfd)

    play(story, tmp_path)


def test_a_successor_finds_what_its_predecessor_had_on_the_wire(tmp_path: Path) -> None:
    """The first gateway dies (is dropped, not closed) with both orders unanswered."""

    async def story(path: Path) -> None:
        rig = Rig(path)
        await rig.kalshi.start()
        await rig.poly.start()
        first = rig.build()
        task = asyncio.create_task(first.main())
        await rig.ready()
        rig.fund(500_000_000)
        rig.kalshi.script, rig.poly.script = [SILENT], [SILENT]
        number = rig.fire()
        await rig.until(lambda: bool(rig.kalshi.orders and rig.poly.orders))
        before = rig.scene.counter
        first.stop()
        await task
        lost = rig.fire(sell_e6=490_000)
        assert rig.scene.counter == before + 1
        row = {
            "order_id": "o1",
            "client_order_id": f"{7:016x}-{number:016x}-0",
            "status": "executed",
            "fill_count_fp": "10.00",
            "book_side": "bid",
            "taker_fill_cost_dollars": "4.200000",
            "taker_fees_dollars": "0.170600",
        }
        rig.kalshi.reads[ORDERS] = (200, {"orders": [row], "cursor": ""})
        rig.scene.quote(POLY, bid=0, ask=520_000)  # nobody to complete the pair with
        held = {"ticker": "KX-1", "position_fp": "10.00"}
        rig.kalshi.reads[POSITIONS] = (200, {"market_positions": [held], "cursor": ""})
        rig.kalshi.script = [kalshi_filled("10.00", "0.4000")]
        task = asyncio.create_task(rig.build().main())
        end = await rig.end_of(number)
        assert REASONS[end["reason"]] == "one_legged", "Polymarket knows neither hash nor trade"
        await rig.until(lambda: rig.gate[0] == ACTIVE and not rig.desk.unwinder.cases)
        assert [len(rig.kalshi.orders), len(rig.poly.orders)] == [2, 1]
        assert rig.kalshi.orders[1].json["side"] == "ask"
        assert [REASONS[r["reason"]] for r in rig.ended(lost)] == ["stale"]
        rig.desk.stop()
        await task
        await rig.kalshi.stop()
        await rig.poly.stop()
        os.close(rig.eventfd)

    play(story, tmp_path)


def test_a_resume_tries_a_journal_again_that_found_no_room(tmp_path: Path) -> None:
    """Until it has room nothing is sent; then the operator's word goes on where it stopped."""

    async def story(path: Path) -> None:
        async with running(path) as rig:
            journal, now = rig.desk.dispatcher.journal, rig.scene.clock
            start, size = journal._start_file, journal._cells[J_SIZE]

            def full() -> None:
                raise j.JournalError("cannot reserve")

            journal._start_file = full  # type: ignore[method-assign]
            journal._cells[J_SIZE] = 0
            end = await rig.end_of(rig.fire())
            assert REASONS[end["reason"]] == "journal" and rig.gate == (HALTED, "journal")
            rig.desk.resume(now())
            assert rig.gate == (HALTED, "journal")
            end = await rig.end_of(rig.fire())
            assert not rig.kalshi.orders and not rig.poly.orders
            journal._start_file = start  # type: ignore[method-assign]
            rig.desk.resume(now())
            assert rig.gate[0] == ACTIVE and journal.path.name == "journal-000002.bin"
            assert journal._cells[J_SIZE] == size
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            end = await rig.end_of(rig.fire())
            assert REASONS[end["reason"]] == "done"
        kinds = [record["k"] for one in j.files(rig.folder) for record in j.read(one).records]
        assert kinds.count("order") == 1 and "resume" in kinds

    play(story, tmp_path)


def test_without_its_journal_record_no_byte_leaves(tmp_path: Path) -> None:
    """The negative control of "journal first": a record that cannot be written stops both legs."""

    async def story(path: Path) -> None:
        async with running(path) as rig:
            journal = rig.desk.dispatcher.journal

            def full() -> bool:
                journal.failed = "no room"
                return False

            journal._rotate = full  # type: ignore[method-assign]
            journal._cells[J_SIZE] = 0
            end = await rig.end_of(rig.fire())
            assert REASONS[end["reason"]] == "journal" and rig.gate == (HALTED, "journal")
            await rig.until(lambda: rig.desk.lines[KALSHI].pool.free_count == 3)
            assert not rig.kalshi.orders and not rig.poly.orders
            assert not rig.desk.accounts.flights

    play(story, tmp_path)


def test_an_operators_resume_lifts_what_the_gateway_raised(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.desk.gate.halt(REASONS.index("one_legged"), "a test")
            assert rig.gate == (HALTED, "one_legged")
            rig.scene.resume()
            await rig.until(lambda: rig.gate == (ACTIVE, "done"))

    play(story, tmp_path)


def test_connections_come_back_after_a_cut_and_meanwhile_nothing_is_sent(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.poly.cut()
            await rig.until(lambda: rig.desk.lines[POLY].pool.free_count == 0)
            assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "no_connection"
            assert not rig.kalshi.orders, "both or none"
            rig.scene.skew_ns += 10**9
            await rig.ready()
            rig.kalshi.script, rig.poly.script = (
                [kalshi_filled("10.00")],
                [poly_filled("5", "10")],
            )
            rig.scene.quote(KALSHI, bid=400_000, ask=420_000)
            rig.scene.quote(POLY, bid=500_000, ask=520_000)
            assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "done"

    play(story, tmp_path)


def test_user_frames_before_the_answer_are_folded_once(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [HOLD, kalshi_filled("10.00")]
            rig.poly.script = [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: bool(rig.kalshi.orders))
            fill = {
                "trade_id": "t1",
                "order_id": "v",
                "client_order_id": f"{7:016x}-{number:016x}-0",
                "count_fp": "10.00",
                "yes_price_dollars": "0.4100",
                "fee_cost": "0.169400",
            }
            frame = orjson.dumps({"type": "fill", "sid": 1, "msg": fill})
            for _ in range(3):
                rig.desk.dispatcher.take_frame(KALSHI, frame)
            end = await rig.end_of(number)
            assert REASONS[end["reason"]] == "done"
            rig.kalshi.release.set()
            await rig.until(lambda: rig.legs(number)[-1]["ack_ns"] > 0)
            cash = rig.desk.accounts.cash[KALSHI].cash_e6
            assert cash == 500_000_000 - 4_100_000 - 169_400, "exact fills outweigh averages"
            assert rig.desk.accounts.position(KALSHI).yes_e6 == SIZE
            rig.desk.dispatcher.take_frame(KALSHI, b"not json")
            assert rig.desk.reports.counted("bad_replies") >= 1

    play(story, tmp_path)


def test_a_delayed_order_is_live_until_its_delay_is_over_then_zero_if_nobody_knows_it(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            delay_ns = 5 * 10**9
            rig.scene.quote(POLY, bid=500_000, ask=520_000, taker_delay_ns=delay_ns)
            rig.kalshi.script = [kalshi_filled("10.00"), kalshi_filled("10.00", "0.4000")]

            def delayed(seen: Seen) -> Reply:
                found = {
                    "success": True,
                    "errorMsg": "",
                    "orderID": seen.json["hash"],
                    "status": "delayed",
                }
                return 200, found

            rig.poly.script = [delayed]
            number = rig.fire()
            await rig.until(lambda: len(rig.legs(number)) >= 4)
            reads = [seen.path for seen in rig.poly.seen if seen.path.startswith("/data/order/")]
            assert not rig.ended(number) and not reads
            rig.scene.skew_ns += delay_ns + 50_000_000
            end = await rig.end_of(number)
            assert REASONS[end["reason"]] == "one_legged"
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert len(rig.kalshi.orders) == 2 and len(rig.poly.orders) == 1

    play(story, tmp_path)


def test_at_a_planned_end_it_says_where_it_differs_from_the_venues(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "AUDIT_S", WAIT_S)

    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.desk.accounts.cash[POLY].cash_e6 = 1_000_000

    play(story, tmp_path)
    found = [record.getMessage() for record in caplog.records if "drift" in record.getMessage()]
    assert found == ["drift: cash of account 1: ours 1000000e-6, the venue's 0e-6"]


def test_with_the_venues_own_figures_there_is_no_drift(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "AUDIT_S", WAIT_S)

    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.desk.accounts.cash[POLY].cash_e6 = 0

    play(story, tmp_path)
    assert not [record for record in caplog.records if "drift" in record.getMessage()]
