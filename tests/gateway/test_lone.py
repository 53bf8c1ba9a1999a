"""One leg alone: where a try goes, what counts into the day, which markets are blocked, and what an
operator is told.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway.params import DeskParams
from shm_layout import (
    BUY,
    CONTROL,
    E6,
    HALTED,
    K_TERMINAL,
    REASONS,
    SELL,
    cell,
    word_store,
)
from tests.gateway.lone_world import SIZE, World, is_active
from tests.gateway.plain_venue import CANCELED, DELAY_NS, MS, REPLY_NS, ROW, TELLS
from tests.gateway.scene import KALSHI, POLY

PARAMS = DeskParams(dust_e6=100_000)
LIMITS = {BUY: 420_000, SELL: 500_000}
NEAR = {BUY: (410_000, 430_000), SELL: (490_000, 510_000)}  # of the market whose leg buys, sells
DEEP = 100 * E6
Story = Callable[[World], Awaitable[None]]


def play(story: Story, folder: Path, params: DeskParams = PARAMS) -> None:
    async def whole() -> None:
        world = World(folder / "journal", params)
        try:
            await story(world)
        finally:
            world.close()

    asyncio.run(whole())


async def lone(
    world: World,
    *,
    filled: int = KALSHI,
    side: int = BUY,
    leg: int = 0,
    shown: dict[int, tuple[int, int]] | None = None,
) -> int:
    """`filled` fills its leg on `side`, at place `leg`; the other fills nothing. Then both markets
    show `shown` (bid, ask; by the side of their leg). The intent.
    """
    missed, other = 1 - filled, SELL if side == BUY else BUY
    buy = filled if side == BUY else missed
    world.scene.quote(buy, bid=400_000, ask=LIMITS[BUY])
    world.scene.quote(1 - buy, bid=LIMITS[SELL], ask=520_000)
    venue = world.venues[filled]
    venue.asks, venue.bids = [(LIMITS[BUY], DEEP)], [(LIMITS[SELL], DEEP)]
    first = filled if leg == 0 else missed
    number = world.fire(buy, first, {filled: LIMITS[side], missed: LIMITS[other]})
    await world.run(MS + REPLY_NS)
    for market, its in ((filled, side), (missed, other)):
        bid, ask = (shown or NEAR)[its]
        venue = world.venues[market]
        venue.bids, venue.asks = ([(bid, DEEP)] if bid else []), ([(ask, DEEP)] if ask else [])
        world.scene.quote(market, bid=bid, ask=ask)
    return number


@pytest.mark.parametrize("completes", [False, True])
@pytest.mark.parametrize(
    ("filled", "side", "leg"), list(itertools.product((KALSHI, POLY), (BUY, SELL), (0, 1)))
)
def test_a_try_goes_to_the_venue_market_and_side_it_must(
    tmp_path: Path, filled: int, side: int, leg: int, completes: bool
) -> None:
    async def story(world: World) -> None:
        other = SELL if side == BUY else BUY
        if completes:  # what was filled is worth little today, its partner is still there
            gone = (200_000, 430_000) if side == BUY else (490_000, 750_000)
            shown = {side: gone, other: NEAR[other]}
        else:
            gone = (200_000, 510_000) if other == SELL else (410_000, 750_000)
            shown = {side: NEAR[side], other: gone}
        await lone(world, filled=filled, side=side, leg=leg, shown=shown)
        await world.settle()
        (venue, again) = world.orders[2]
        assert len(world.orders) == 3 and is_active(world)
        assert venue == (1 - filled if completes else filled)
        assert again.side == other and again.size_e6 == SIZE
        assert again.limit_e6 == shown[other if completes else side][0 if other == SELL else 1]
        wire: dict[str, object]
        if venue == KALSHI:
            wire = {"ticker": "KX-1", "side": "bid" if other == BUY else "ask", "count": "10.00"}
        elif completes:  # a SELL in YES terms buys the NO token
            wire = {"token": int(other == SELL), "side": BUY, "size": SIZE}
        else:  # the token that was bought is sold
            wire = {"token": int(side == SELL), "side": SELL, "size": SIZE}
        assert again.what.items() >= wire.items()
        nets = [world.venues[number].net_e6 for number in (filled, 1 - filled)]
        held_e6 = SIZE if side == BUY else -SIZE
        assert nets == ([held_e6, -held_e6] if completes else [0, 0])

    play(story, tmp_path)


def test_it_goes_on_in_halted_and_without_a_detector(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        state = world.scene.segment.at("control") + cell(CONTROL, "trading_state")
        await lone(world)
        word_store(world.scene.segment.words, state, HALTED)
        await world.settle()
        assert len(world.orders) == 3
        assert world.venues[KALSHI].net_e6 + world.venues[POLY].net_e6 == 0

    play(story, tmp_path)


def test_a_book_that_a_leg_missed_on_is_not_tried_again(tmp_path: Path) -> None:
    """Kalshi fills at 0.42; Polymarket's quote is the very one that its leg was decided on."""

    async def story(world: World) -> None:
        world.scene.quote(KALSHI, bid=410_000, ask=420_000)
        world.scene.quote(POLY, bid=500_000, ask=520_000)
        world.venues[KALSHI].asks = [(420_000, DEEP)]
        world.venues[KALSHI].bids = [(410_000, DEEP)]
        world.fire(KALSHI, KALSHI, {KALSHI: 420_000, POLY: 500_000})
        await world.settle()
        assert [number for number, _ in world.orders[2:]] == [KALSHI]

    play(story, tmp_path)


def test_where_takers_are_held_back_a_second_completion_would_come_too_late(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        await lone(world, shown={BUY: (400_000, 430_000), SELL: (510_000, 530_000)})
        world.venues[POLY].bids, world.venues[POLY].delays = [], True  # and nobody is there
        for _ in range(3):  # each look shows a new quote
            world.scene.quote(POLY, bid=510_000, ask=530_000, taker_delay_ns=DELAY_NS)
            await world.run(DELAY_NS // 2)
        await world.settle()
        assert [number for number, _ in world.orders[2:]] == [POLY, KALSHI]
        assert world.venues[KALSHI].net_e6 == 0 and is_active(world)

    play(story, tmp_path)


@pytest.mark.parametrize("tells", TELLS)
def test_a_completion_held_back_and_filled_in_part_is_known_within_the_time_cap(
    tmp_path: Path, tells: str
) -> None:
    """It cannot rest, so what is left of it is dead as soon as the venue says what it matched."""

    async def story(world: World) -> None:
        await lone(world, shown={BUY: (400_000, 430_000), SELL: (510_000, 530_000)})
        poly = world.venues[POLY]
        poly.bids, poly.delays, poly.tells = [(510_000, 4 * E6)], True, tells
        world.scene.quote(POLY, bid=510_000, ask=530_000, taker_delay_ns=DELAY_NS)
        await world.settle()
        assert [number for number, _ in world.orders[2:]] == [POLY, KALSHI], tells
        assert is_active(world), world.gate
        assert (world.venues[KALSHI].net_e6, poly.net_e6) == (4 * E6, -4 * E6)

    play(story, tmp_path)


@pytest.mark.parametrize("tells", TELLS)
def test_a_completion_killed_in_its_delay_is_zero_only_if_the_venue_says_so(
    tmp_path: Path, tells: str
) -> None:
    """Where nobody tells, absence proves nothing before the read lag is over: the leg stands."""

    async def story(world: World) -> None:
        await lone(world, shown={BUY: (400_000, 430_000), SELL: (510_000, 530_000)})
        poly = world.venues[POLY]
        poly.bids, poly.delays, poly.tells = [], True, tells
        world.scene.quote(POLY, bid=510_000, ask=530_000, taker_delay_ns=DELAY_NS)
        await world.settle()
        assert world.orders[2][0] == POLY
        is_told = tells in (CANCELED, ROW)
        assert is_active(world) == is_told, world.gate
        assert world.venues[KALSHI].net_e6 == (0 if is_told else SIZE)

    play(story, tmp_path)


def test_a_loss_locked_in_by_a_completion_counts_today_and_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        shown = {BUY: (200_000, 430_000), SELL: (400_000, 750_000)}
        await lone(world, shown=shown)
        await world.settle()
        accounts = world.desk.accounts
        assert world.venues[POLY].net_e6 == -SIZE, "completed at 0.60 of the NO token"
        paid_e6 = (
            10 * 420_000
            + 10 * 600_000
            + sum(t.fee_e6 for venue in world.venues.values() for t in venue.trades)
        )
        opened_e6 = world.venues[KALSHI].trades[0].fee_e6
        counted_e6 = accounts.day_loss_e6
        assert abs(counted_e6 - (paid_e6 - opened_e6 - SIZE)) <= 100
        for number in (KALSHI, POLY):
            accounts.settle(number, E6)
        assert abs(accounts.day_loss_e6 - (paid_e6 - SIZE)) <= 100, "not once more"

    play(story, tmp_path)


def test_what_giving_back_loses_counts_today(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        shown = {BUY: (400_000, 430_000), SELL: (200_000, 750_000)}
        await lone(world, shown=shown)
        await world.settle()
        fees_e6 = sum(t.fee_e6 for t in world.venues[KALSHI].trades)
        assert abs(world.desk.accounts.day_loss_e6 - (10 * 20_000 + fees_e6)) <= 100

    play(story, tmp_path)


def refused(world: World, number: int) -> str:
    """Why an intent was not sent."""
    (end,) = [r for r in world.scene.reports() if r["kind"] == K_TERMINAL and r["intent"] == number]
    return str(REASONS[end["reason"]])


def test_a_market_of_so_many_lone_legs_is_blocked_until_an_operator_resumes(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        for count in (1, 2):
            await lone(world)
            await world.settle()
            assert world.slot(KALSHI, "mismatches") == world.slot(POLY, "mismatches") == count
            assert world.slot(POLY, "blocked") == (count == 2)
            await world.run(1_100 * MS, 50 * MS)
        sent = len(world.orders)
        number = await lone(world)
        await world.settle()
        assert refused(world, number) == "blocked" and len(world.orders) == sent
        world.scene.resume()
        await world.run(1_100 * MS, 50 * MS)
        assert world.slot(POLY, "blocked") == world.slot(POLY, "mismatches") == 0
        await lone(world)
        assert len(world.orders) == sent + 2

    play(story, tmp_path, replace(PARAMS, mismatches_max=2))


def test_a_leg_that_stays_is_told_with_size_cost_and_intent_until_resume(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        nobody = {BUY: (0, 0), SELL: (0, 0)}
        began_ns = world.scene.now_ns
        number = await lone(world, shown=nobody)
        await world.settle()
        assert world.gate == (HALTED, "one_legged")
        assert world.scene.now_ns - began_ns < PARAMS.time_cap_ns + 50 * MS
        told = [world.slot(KALSHI, name) for name in ("lone_e6", "lone_cost_e6", "lone_intent")]
        assert told == [SIZE, 4_200_000, number]
        world.scene.resume()
        await world.run(5 * MS)
        assert world.slot(KALSHI, "lone_e6") == world.slot(KALSHI, "lone_intent") == 0

    play(story, tmp_path)


def test_a_try_that_ends_after_the_halt_corrects_what_is_told(tmp_path: Path) -> None:
    """The time cap is over while the venue still holds the try; then it fills six of ten."""

    async def story(world: World) -> None:
        shown = {BUY: (200_000, 430_000), SELL: (490_000, 510_000)}
        await lone(world, filled=POLY, side=SELL, shown={SELL: shown[SELL], BUY: shown[BUY]})
        poly = world.venues[POLY]
        poly.delays, poly.asks = True, [(510_000, 6 * E6)]
        world.venues[KALSHI].asks = []
        world.scene.quote(KALSHI, bid=200_000, ask=0)
        world.scene.quote(POLY, bid=490_000, ask=510_000, taker_delay_ns=DELAY_NS)
        await world.run(110 * MS)
        assert world.gate == (HALTED, "one_legged") and world.slot(POLY, "lone_e6") == -SIZE
        await world.settle()
        assert world.slot(POLY, "lone_e6") == poly.net_e6 == -4 * E6
        assert world.slot(POLY, "lone_cost_e6") == 2_000_000
        assert world.gate == (HALTED, "one_legged"), "only an operator lifts it"

    play(story, tmp_path, replace(PARAMS, time_cap_ns=100 * MS))


def test_a_completion_that_buys_more_than_was_missing_gives_the_rest_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await lone(world, shown={BUY: (200_000, 430_000), SELL: (490_000, 510_000)})
        world.venues[POLY].bids = [(600_000, DEEP)]  # the budget of NO at 0.51 buys 12.75 at 0.40
        await world.settle()
        bought = world.venues[POLY].trades[0]
        assert bought.size_e6 > 12 * E6 and is_active(world)
        imbalance_e6 = world.venues[KALSHI].net_e6 + world.venues[POLY].net_e6
        assert abs(imbalance_e6) < 10_000

    play(story, tmp_path)


def test_a_completion_whose_trade_fails_leaves_its_partner_alone_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await lone(world, shown={BUY: (200_000, 430_000), SELL: (490_000, 510_000)})
        await world.settle()
        poly = world.venues[POLY]
        (bought,), order = poly.trades, poly.orders[1]
        row = {
            "event_type": "trade", "id": "t", "taker_order_id": order.key, "size": "10",
            "price": "0.51", "maker_orders": [], "asset_id": "1", "side": "BUY",
        }  # fmt: skip
        poly.trades.remove(bought)
        world.scene.quote(KALSHI, bid=410_000, ask=430_000)
        world.venues[KALSHI].bids = [(410_000, DEEP)]
        poly.bids = []
        world.scene.quote(POLY, bid=0, ask=510_000)
        for status in ("MATCHED", "FAILED"):
            poly.frame(orjson.dumps({**row, "status": status}))
        await world.settle()
        assert world.orders[-1][0] == KALSHI and world.venues[KALSHI].net_e6 == 0
        assert world.desk.accounts.position(POLY).no_e6 == 0 and is_active(world)

    play(story, tmp_path)
