"""What is ours and what is not, by the venues' figures while it trades: a foreign order or fill,
and a difference that stands, halt and are named; what is only on its way, or late, does not.
"""

from __future__ import annotations

import logging
from pathlib import Path

import orjson
import pytest

from shm_layout import ACTIVE, HALTED, REASONS
from tests.gateway.drift_look import (
    FOREIGN_FILL,
    FOREIGN_ORDER,
    POLY_TRADE,
    SECOND_NS,
    looking,
    named,
    rows,
    unknown,
)
from tests.gateway.rig import FILLS, ORDERS, kalshi_filled, play, poly_filled
from tests.gateway.scene import KALSHI
from tests.gateway.venue_double import RESET


def test_books_that_agree_let_it_trade_and_our_own_fills_are_ours(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            number = rig.fire()
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"
            key = str(rig.kalshi.orders[0].json["client_order_id"])
            rig.kalshi.reads[FILLS] = rows("fills", FOREIGN_FILL | {"order_id": f"v-{key}"})
            rig.poly.reads["/data/trades"] = 200, {
                "data": [POLY_TRADE | {"taker_order_id": rig.poly.orders[0].json["hash"]}],
                "next_cursor": "LTE=",
            }
            for _ in range(3):
                await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("venue", ["order at kalshi", "fill at kalshi", "fill at polymarket"])
def test_what_we_never_sent_halts_and_is_named_and_who_resumes_has_seen_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, venue: str
) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            match venue:
                case "order at kalshi":
                    rig.kalshi.reads[ORDERS] = rows("orders", FOREIGN_ORDER)
                    words = ("KX-1", "bid 5.00 at 0.1000", "theirs / v-9")
                case "fill at kalshi":
                    rig.kalshi.reads[FILLS] = rows("fills", FOREIGN_FILL)
                    words = ("KX-1", "ask 3.00 at 0.4000", "v-9")
                case _:
                    trades = {"data": [POLY_TRADE], "next_cursor": "LTE="}
                    rig.poly.reads["/data/trades"] = (200, trades)
                    words = ("slug-1", "BUY 4 at 0.5", "0x99")
            await look.look()
            assert rig.gate == (ACTIVE, "done"), "one look is none"
            with caplog.at_level(logging.ERROR, "gateway"):
                await look.look()
            assert rig.gate == (HALTED, "foreign")
            assert f"foreign {venue}" in named(caplog)
            assert all(word in named(caplog) for word in words)
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            await look.twice()
            assert rig.gate == (ACTIVE, "done"), "it was named once"

    play(story, tmp_path)


@pytest.mark.parametrize("what", ["cash", "contracts"])
def test_a_difference_that_stands_halts_and_is_ours_once_an_operator_resumes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, accounts = look.rig, look.rig.desk.accounts
            before_e6 = accounts.cash[KALSHI].cash_e6, accounts.position(KALSHI).net_e6
            setattr(look, f"{what}_e6", -2_000_000)
            with caplog.at_level(logging.ERROR, "gateway"):
                await look.twice()
            assert rig.gate == (HALTED, "unknown_outcome")
            assert "-2000000e-6" in named(caplog) or "(0, 2000000)e-6" in named(caplog)
            rig.desk.drift.is_looking = True  # no look before the operator's word
            setattr(look, f"{what}_e6", 0)
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            rig.desk.drift.is_looking = False
            after_e6 = accounts.cash[KALSHI].cash_e6, accounts.position(KALSHI).net_e6
            moved = tuple(new - old for new, old in zip(after_e6, before_e6, strict=True))
            assert moved == ((-2_000_000, 0) if what == "cash" else (0, -2_000_000))
            await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_figures_that_are_only_late_halt_nothing(tmp_path: Path) -> None:
    """They differ at each look, but never the same."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            for late_e6 in (3_000_000, 5_000_000, 0, 3_000_000, -1_000_000, 0):
                look.contracts_e6 = late_e6
                look.cash_e6 = -late_e6
                await look.look()
            assert look.rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_a_fill_of_an_order_whose_only_answer_was_its_fill_is_ours(tmp_path: Path) -> None:
    # a read names the venue's id alone; the reply that would have told it was lost
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            rig.kalshi.reads[ORDERS] = unknown
            rig.kalshi.script, rig.poly.script = [RESET], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: len(rig.desk.accounts.flights) == 1)
            key = str(rig.kalshi.orders[0].json["client_order_id"])
            fill = FOREIGN_FILL | {"client_order_id": key, "book_side": "bid", "count_fp": "10.00"}
            frame = orjson.dumps({"type": "fill", "sid": 1, "msg": fill})
            rig.desk.dispatcher.take_frame(KALSHI, frame)
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"
            rig.kalshi.reads[FILLS] = rows("fills", FOREIGN_FILL)
            await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_what_an_order_under_way_explains_is_not_judged(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            rig.kalshi.reads[ORDERS] = unknown  # what became of it
            rig.kalshi.script, rig.poly.script = [RESET], [poly_filled("5", "10")]
            rig.fire()
            await rig.until(lambda: len(rig.desk.accounts.flights) == 1)
            look.contracts_e6, look.cash_e6 = 10_000_000, -4_370_000
            rig.kalshi.reads[FILLS] = rows("fills", FOREIGN_FILL)
            await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_a_market_that_is_not_open_is_not_judged(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.rig.scene.quote(KALSHI, bid=400_000, ask=420_000, status=4)
            look.contracts_e6 = 10_000_000
            await look.twice()
            assert look.rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("late_s", [0, 5])
def test_two_orders_of_one_size_that_a_venue_does_not_show_yet_are_no_difference(
    tmp_path: Path, late_s: int
) -> None:
    """Each was booked just before a look, so the venue was behind by the same twice (a HALT seen
    on 2026-11-21). What it does not show for longer than its lag is a difference."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.stand()
            for name in ("t-1", "t-2"):
                await look.trade(name)
                look.contracts_e6, look.cash_e6 = -10_000_000, 4_217_000
                look.now_ns += late_s * SECOND_NS
                await look.look()
                look.now_ns += 5 * SECOND_NS  # by now the venue shows it, but another one came
            assert look.rig.gate == ((HALTED, "unknown_outcome") if late_s else (ACTIVE, "done"))

    play(story, tmp_path)


@pytest.mark.parametrize("late_s", [0, 5])
def test_what_a_settled_market_has_just_paid_is_not_missed_yet(tmp_path: Path, late_s: int) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.stand()
            look.cash_e6 = -10_000_000
            for _ in range(2):
                look.rig.desk.accounts.cash[KALSHI].paid_ns = look.now_ns
                look.now_ns += late_s * SECOND_NS
                await look.look()
            assert look.rig.gate == ((HALTED, "unknown_outcome") if late_s else (ACTIVE, "done"))

    play(story, tmp_path)


@pytest.mark.parametrize("left_e6", [0, -3_000_000])
def test_who_resumes_takes_over_what_differs_then_not_what_did_when_it_halted(
    tmp_path: Path, left_e6: int
) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            look.contracts_e6 = -2_000_000
            await look.twice()
            assert rig.gate == (HALTED, "unknown_outcome")
            look.contracts_e6 = left_e6
            await look.look()
            if left_e6:  # else nothing is left to be looked at
                await look.look()
            assert rig.gate == (HALTED, "unknown_outcome"), "an operator resumes, nobody else"
            rig.desk.drift.is_looking = True  # no look before the operator's word
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert rig.desk.accounts.position(KALSHI).net_e6 == left_e6

    play(story, tmp_path)


def test_what_differs_only_while_it_is_halted_is_not_taken_over_unseen(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            cash = rig.desk.accounts.cash[KALSHI]
            look.contracts_e6, had_e6 = -2_000_000, cash.cash_e6
            await look.twice()
            look.cash_e6 = 5_000_000
            await look.twice()
            rig.desk.drift.is_looking = True  # no look before the operator's word
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert cash.cash_e6 == had_e6
            assert rig.desk.accounts.position(KALSHI).net_e6 == -2_000_000
            look.contracts_e6, rig.desk.drift.is_looking = 0, False
            await look.twice()
            assert rig.gate == (HALTED, "unknown_outcome"), "it is named in a HALT of its own"

    play(story, tmp_path)
