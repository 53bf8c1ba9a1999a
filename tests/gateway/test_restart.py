"""A restart: journal, then the venues, then the differences by name, and only then trading."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.intent import Intent
from gateway.ledger import Work
from gateway.memory import Memory
from gateway.order import Amounts, Order
from gateway.ports import Placing
from gateway.restart import Start, books_of, staked_of
from shm_layout import ACTIVE, BUY, E6, HALTED, KIND_CROSS_VENUE, KIND_MODEL, REASONS
from tests.gateway.rig import BALANCE, POSITIONS, Rig, kalshi_filled, play, poly_filled
from tests.gateway.scene import KALSHI, Scene
from tests.gateway.test_desk_successor import held, lives


def funds(rig: Rig, dollars: str) -> None:
    """What Kalshi says of our cash."""
    row = {"exchange_index": 2, "balance": dollars}
    rig.kalshi.reads[BALANCE] = (200, {"balance_breakdown": [row]})


async def trade(rig: Rig) -> None:
    """Both legs of ten contracts; Kalshi's costs 4.20 and 0.17."""
    rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
    number = rig.fire()
    assert REASONS[(await rig.end_of(number))["reason"]] == "done"
    assert rig.desk.accounts.cash[KALSHI].cash_e6 == 500_000_000 - 4_200_000 - 170_000


def told(caplog: pytest.LogCaptureFixture, venue: str) -> list[str]:
    """The differences of a venue that were named."""
    return [line for line in caplog.messages if f"at the start: {venue}" in line]


@pytest.mark.parametrize(
    ("contracts", "dollars", "words"),
    [
        ("10.00", "495.6300", ()),
        ("7.00", "495.6300", ("KX-1", "(10000000, 0)e-6", "(7000000, 0)e-6")),
        ("0.00", "495.6300", ("KX-1", "(0, 0)e-6")),
        ("10.00", "400.0000", ("cash", "495630000e-6", "400000000e-6")),
    ],
)
def test_where_the_venue_and_the_journal_differ_is_named_before_it_trades(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, contracts: str, dollars: str,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            await trade(rig)
            held(rig, contracts)
            funds(rig, dollars)
            caplog.clear()
            caplog.set_level(logging.WARNING, "gateway")
            await replace()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            lines = told(caplog, "kalshi")
            assert bool(lines) == bool(words), lines
            assert all(word in "".join(lines) for word in words), lines
            assert rig.desk.accounts.position(KALSHI).yes_e6 == int(float(contracts) * 1e6)

    play(story, tmp_path)


def test_nothing_is_sent_before_both_venues_have_answered(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            await trade(rig)
            held(rig, "7.00")
            good, rig.kalshi.reads[POSITIONS] = rig.kalshi.reads[POSITIONS], (503, {})
            await replace()
            asked = len(rig.kalshi.seen)
            await rig.until(lambda: len(rig.kalshi.seen) >= asked + 2)
            orders = len(rig.kalshi.orders), len(rig.poly.orders)
            number = rig.fire()
            assert REASONS[(await rig.end_of(number))["reason"]] == "halted"
            assert rig.gate[0] == HALTED and not rig.desk.opening.is_done
            rig.kalshi.reads[POSITIONS] = good
            rig.scene.skew_ns += 5_000_000_000  # its circuit may have opened
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert (len(rig.kalshi.orders), len(rig.poly.orders)) == orders

    play(story, tmp_path)


def test_a_number_that_two_windows_had_keeps_their_books_apart() -> None:
    """What the first one filled was paid when it settled; only the second one's is held."""

    def bought(generation: int, size_e6: int, price_e6: int) -> Work:
        notional_e6 = size_e6 * price_e6 // E6
        order = Order(
            intent=generation, leg=0, venue=KALSHI, instrument=KALSHI, generation=generation,
            side=BUY, limit_e6=price_e6, size_e6=size_e6, placing=Placing(0, BUY, price_e6),
            key=str(generation), cumulative=Amounts(size_e6, notional_e6, 0),
        )  # fmt: skip
        return Work(Intent._make(0 for _ in Intent._fields), [order], [0], [], 0)

    markets = {KALSHI: replace(Scene().tell(Memory()).markets[KALSHI], generation=2)}
    start = Start({KALSHI: 100 * E6}, {(KALSHI, 1): (E6, 0)}, paid=[((KALSHI, 1), E6)])
    works = [bought(1, 10 * E6, 400_000), bought(2, 5 * E6, 300_000)]
    books = books_of(start, works, markets, {"kalshi": True})
    assert {number: held.yes_e6 for number, held in books.positions.items()} == {KALSHI: 5 * E6}
    assert books.cash[KALSHI].cash_e6 == (100 - 4 + 11) * E6 - 1_500_000


def test_what_bets_opened_is_found_in_the_journal_and_a_pairs_leg_is_not_among_it() -> None:
    def bought(generation: int, price_e6: int, kind: int) -> Work:
        order = Order(
            intent=price_e6, leg=0, venue=KALSHI, instrument=KALSHI, generation=generation,
            side=BUY, limit_e6=price_e6, size_e6=E6, placing=Placing(0, BUY, price_e6),
            cumulative=Amounts(E6, price_e6, 10_000),
        )  # fmt: skip
        intent = Intent._make(0 for _ in Intent._fields)._replace(kind=kind)
        return Work(intent, [order], [0], [], 0)

    markets = {KALSHI: replace(Scene().tell(Memory()).markets[KALSHI], generation=2)}
    works = [bought(1, 300_000, KIND_MODEL), bought(2, 400_000, KIND_MODEL),
             bought(2, 500_000, KIND_CROSS_VENUE), bought(2, 600_000, KIND_MODEL)]  # fmt: skip
    found = staked_of(works, markets, {"kalshi": True})
    assert {number: held.staked_e6 for number, held in found.items()} == {KALSHI: 1_020_000}
