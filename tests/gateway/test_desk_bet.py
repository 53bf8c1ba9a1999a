"""A bet through the whole gateway: one order, whatever part of it fills is the position, nothing is
completed or given back, and a successor finds it as it is.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway import journal as j
from gateway.intent import REASONED
from gateway.memory import M_STAKED, M_UNHEDGED, PR_LEGS
from shm_layout import (
    ACTIVE,
    BET,
    BODY,
    BUY,
    E6,
    FEED_ROLE,
    INTENT,
    K_PAIR,
    KIND_MODEL,
    LIVE_EPOCH_AT,
    MARKET_TERMS,
    NO_INSTRUMENT,
    P_DONE,
    PAIR,
    REASONS,
    ROLE,
    SELL,
    SPOT,
    ST_SETTLED,
    cell,
    ring_append,
    word_store,
)
from tests.gateway.rig import (
    PARAMS,
    SIZE,
    Rig,
    kalshi_filled,
    play,
    poly_filled,
    running,
)
from tests.gateway.scene import EPOCH, KALSHI, POLY, body
from tests.gateway.test_desk_successor import held, lives
from tests.gateway.venue_double import HOLD

SPOT_FEED, SLOT, PRICE = 3, 0, 80_000 * 10**8  # the scene's rows name slot 0 for their price
ROWS = {KALSHI: 1, POLY: 2}


def ready(rig: Rig) -> None:
    """Rows of both markets alone, and a price that the feed of spot writes."""
    for market, row in ROWS.items():
        cells = body(PAIR, index=row, generation=1, a=market, b=NO_INSTRUMENT, approved=1,
                     a_generation=1, same=1, needs_terms=1)  # fmt: skip
        rig.scene.segment.write("pairs", row, cells)
        ring, words = rig.scene.segment.at("control_ring"), rig.scene.segment.words
        ring_append(words, ring, rig.scene.segment.entries("control_ring"), K_PAIR, cells, BODY)
    rig.desk.memory.slot(SLOT, SPOT_FEED)
    price(rig)


def price(rig: Rig, e8: int = PRICE, strike_e8: int = PRICE, **more: int) -> None:
    """As its feed writes it now. Slot 0 is both of the scene's markets' index."""
    segment = rig.scene.segment
    word_store(segment.words, LIVE_EPOCH_AT + FEED_ROLE + SPOT_FEED, EPOCH)
    beat = segment.at("roles", FEED_ROLE + SPOT_FEED) + cell(ROLE, "beat_ns")
    word_store(segment.words, beat, rig.scene.clock())
    told = {"epoch": EPOCH, "number": 1, "recv_ns": rig.scene.clock(), "last_e8": e8} | more
    segment.write("spot", SLOT, body(SPOT, **told))
    for market in ROWS:
        says = body(
            MARKET_TERMS, instrument=market, generation=1, number=1, spot_slot=SLOT,
            valid_until_ns=rig.scene.clock() + 10**9, strike_e8=strike_e8, sigma_e12=10**8,
            close_epoch_ns=400 * 10**9,
        )  # fmt: skip
        segment.write("market_terms", market, says)


def fire(
    rig: Rig, market: int = KALSHI, side: int = BUY, limit_e6: int = 420_000,
    strike_e8: int = PRICE, **told: int,
) -> int:  # fmt: skip
    """A bet of ten contracts that are worth 0.50; its intent's number."""
    rig.scene.beat()
    price(rig, strike_e8=strike_e8)
    found = {"strategy": 9, "fair_e6": 500_000, "sure_e6": 700_000, "off_e6": 0, "spot_slot": SLOT,
             "spot_number": 1, "spot_epoch": EPOCH, "spot_e8": PRICE} | told  # fmt: skip
    names = {cell(INTENT, name): name for name in INTENT.names or ()}
    cells: dict[str, Any] = {names[cell(BET, name)]: value for name, value in found.items()}
    leg = rig.scene.leg(market, side, limit_e6, SIZE)
    number = rig.scene.intent(
        leg, age_ns=10**9, kind=KIND_MODEL, pair=ROWS[market], direction=side, **cells
    )
    rig.scene.ring(rig.eventfd)
    return number


def test_a_bet_is_one_order_with_its_reasons_in_the_journal(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            ready(rig)
            rig.kalshi.script = [kalshi_filled("10.00")]
            number = fire(rig)
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"], end["worst_e6"]) == ("done", SIZE, 0)
            assert end["intent_kind"] == KIND_MODEL and not rig.poly.orders
            assert len(rig.kalshi.orders) == 1 and len(rig.legs(number)) >= 2
            assert rig.desk.accounts.position(KALSHI).yes_e6 == SIZE
            assert rig.desk.accounts.cash[KALSHI].cash_e6 == 500_000_000 - 4_200_000 - 170_000
            memory = rig.desk.memory
            assert memory.cells[memory.pair_row(ROWS[KALSHI]) + PR_LEGS] == 1
            records = j.read(j.files(rig.folder)[-1]).records
            (seen,) = [r for r in records if r["k"] == "seen"]
            assert seen["bet"]["fair_e6"] == 500_000 and seen["bet"]["spot_e8"] == PRICE
            assert list(seen["bet"]) == list(REASONED)

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("count", "why"), [("10.00", "done"), ("3.00", "partial"), ("0.00", "nothing_filled")]
)
def test_a_part_of_a_bet_is_a_smaller_position_and_nothing_more_is_sent(
    tmp_path: Path, count: str, why: str
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            ready(rig)
            rig.kalshi.script = [kalshi_filled(count)]
            end = await rig.end_of(fire(rig))
            filled_e6 = int(float(count) * 1_000_000)
            assert (REASONS[end["reason"]], end["filled_e6"]) == (why, filled_e6)
            await asyncio.sleep(0.05)
            assert len(rig.kalshi.orders) == 1 and not rig.poly.orders
            desk = rig.desk
            assert not desk.unwinder.cases and not desk.unwinder.stood
            assert desk.accounts.position(KALSHI).yes_e6 == filled_e6
            assert not desk.memory.is_paused(ROWS[KALSHI]) and rig.gate == (ACTIVE, "done")
            row = rig.scene.segment.read("positions", KALSHI)
            assert row is None or (row["lone_e6"], row["mismatches"]) == (0, 0)
            desk.ledger.tell()
            assert desk.memory.cells[M_UNHEDGED] == 0

    play(story, tmp_path)


def test_a_bet_at_polymarket_buys_the_other_token_when_it_sells(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            ready(rig)
            rig.poly.script = [poly_filled("5", "10")]
            below = PRICE + 45 * 10**8  # NO is worth 0.60
            end = await rig.end_of(fire(rig, POLY, SELL, 500_000, below, fair_e6=400_000))
            assert REASONS[end["reason"]] == "done"
            wanted = {"token": 1, "side": BUY, "price": 500_000, "size": SIZE}
            assert rig.poly.orders[0].json.items() >= wanted.items()
            assert rig.desk.accounts.position(POLY).no_e6 == SIZE and not rig.kalshi.orders

    play(story, tmp_path)


def test_the_same_bet_again_and_one_that_is_worth_no_more_are_refused(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            ready(rig)
            rig.kalshi.script = [kalshi_filled("10.00")]
            await rig.end_of(fire(rig))
            assert REASONS[(await rig.end_of(fire(rig)))["reason"]] == "duplicate"
            rig.scene.quote(KALSHI, bid=400_000, ask=420_000)
            worth = fire(rig, fair_e6=430_000)
            assert REASONS[(await rig.end_of(worth))["reason"]] == "edge_gone"
            assert len(rig.kalshi.orders) == 1

    play(story, tmp_path)


def test_a_bet_of_unknown_outcome_stops_its_market_until_it_is_found(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            ready(rig)
            rig.kalshi.script = [(500, {})]
            number = fire(rig)
            await rig.until(lambda: rig.desk.memory.is_paused(ROWS[KALSHI]))
            rig.scene.quote(KALSHI, bid=400_000, ask=420_000)
            assert REASONS[(await rig.end_of(fire(rig)))["reason"]] == "paused_pair"
            end = await rig.end_of(number)  # asked for, and not there
            assert end["filled_e6"] == 0
            await rig.until(lambda: not rig.desk.memory.is_paused(ROWS[KALSHI]))
            assert not rig.desk.unwinder.cases and len(rig.kalshi.orders) == 1

    play(story, tmp_path)


@pytest.mark.parametrize("count", ["10.00", "3.00"])
def test_a_successor_finds_a_bet_as_it_was_and_touches_nothing(tmp_path: Path, count: str) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            ready(rig)
            rig.kalshi.script = [kalshi_filled(count)]
            await rig.end_of(fire(rig))
            held(rig, count)
            await replace()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            desk = rig.desk
            assert desk.accounts.position(KALSHI).yes_e6 == int(float(count) * 1_000_000)
            assert not desk.unwinder.cases and not desk.unwinder.stood
            (work,) = desk.ledger.works.values()
            assert work.intent.kind == KIND_MODEL and len(work.orders) == 1 and work.ended
            assert len(rig.kalshi.orders) == 1 and not rig.poly.orders
            row = desk.memory.pair_row(ROWS[KALSHI])
            assert desk.memory.cells[row + PR_LEGS] == 1, "from the slots"

    play(story, tmp_path)


def test_a_gateway_that_dies_with_a_bet_on_the_wire_asks_what_became_of_it(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            ready(rig)
            rig.kalshi.script = [HOLD, kalshi_filled("10.00")]
            number = fire(rig)
            await rig.until(lambda: bool(rig.kalshi.orders))
            await replace()
            rig.kalshi.release.set()
            await rig.end_of(number)
            assert not rig.desk.unwinder.cases and len(rig.kalshi.orders) == 1
            assert all(leg["placed"] != P_DONE or leg["leg"] == 0 for leg in rig.legs(number))

    play(story, tmp_path)


DAY_E6 = PARAMS.day_max_e6


def staked(rig: Rig) -> int:
    """What bets have at risk, as the last look reads it."""
    return int(rig.desk.memory.cells[M_STAKED])


async def refused(rig: Rig) -> str:
    """What becomes of a bet of $5.13 at Polymarket, the day's loss $8 below its limit."""
    rig.fund(500_000_000)
    rig.desk.accounts.realized_day_e6 = 8 * E6 - DAY_E6
    rig.desk.accounts.refresh()
    rig.scene.quote(POLY, bid=500_000, ask=520_000)
    below = PRICE + 45 * 10**8
    end = await rig.end_of(fire(rig, POLY, SELL, 500_000, below, fair_e6=400_000))
    return REASONS[end["reason"]]


def test_a_bet_in_flight_or_held_takes_room_of_the_day_in_every_market(tmp_path: Path) -> None:
    """The gateway by itself: no detector counts here."""

    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            ready(rig)
            rig.kalshi.script = [HOLD, kalshi_filled("10.00")]
            rig.poly.script = [poly_filled("5", "10")]
            number = fire(rig)
            await rig.until(lambda: bool(rig.kalshi.orders))
            assert staked(rig) >= 4_370_600 and await refused(rig) == "limit_day"
            rig.kalshi.release.set()
            await rig.end_of(number)
            assert staked(rig) == 4_370_000 and await refused(rig) == "limit_day"
            held(rig, "10.00")
            await replace()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            ready(rig)
            assert staked(rig) == 4_370_000 and await refused(rig) == "limit_day"
            rig.desk.accounts.settle(KALSHI, E6)
            assert staked(rig) == 0 and await refused(rig) == "done"

    play(story, tmp_path)


def test_a_bet_that_filled_nothing_gives_its_room_back(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            ready(rig)
            rig.kalshi.script = [kalshi_filled("0.00")]
            rig.poly.script = [poly_filled("5", "10")]
            await rig.end_of(fire(rig))
            assert staked(rig) == 0 and await refused(rig) == "done"

    play(story, tmp_path)


def test_a_pair_is_hedged_and_takes_no_room_from_a_bet(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            ready(rig)
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            await rig.end_of(rig.fire())
            assert rig.desk.accounts.position(KALSHI).cost_e6 and staked(rig) == 0

    play(story, tmp_path)


async def settled(rig: Rig, market: int, value_e6: int) -> None:
    """Its feed says what YES pays; wait until that is booked."""
    rig.scene.quote(market, bid=0, ask=0, status=ST_SETTLED, settlement_e6=value_e6)
    rig.scene.skew_ns += 2 * 10**9
    accounts = rig.desk.accounts
    await rig.until(lambda: not accounts.position(market).cost_e6)


def test_a_lost_bet_counts_though_another_of_its_event_is_stuck_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            ready(rig)
            rig.kalshi.script, rig.poly.script = [kalshi_filled("1.00")], [poly_filled("5", "10")]
            await rig.end_of(fire(rig))
            below = PRICE + 45 * 10**8
            await rig.end_of(fire(rig, POLY, SELL, 500_000, below, fair_e6=400_000))
            lost, stuck = rig.desk.accounts.position(POLY), rig.desk.accounts.position(KALSHI)
            lost_e6, stuck_e6 = lost.staked_e6, stuck.staked_e6
            counted_e6 = lost_e6 - (E6 - stuck_e6)
            await settled(rig, POLY, E6)
            assert rig.desk.accounts.day_loss_e6 == counted_e6 > 4 * E6
            held(rig, "1.00")
            await replace()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert rig.desk.accounts.day_loss_e6 == counted_e6
            await settled(rig, KALSHI, 0)
            assert rig.desk.accounts.day_loss_e6 == lost_e6 + stuck_e6

    play(story, tmp_path)


def test_a_bet_that_its_venue_pays_while_nobody_is_there_has_its_result(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            ready(rig)
            rig.kalshi.script = [kalshi_filled("10.00")]
            await rig.end_of(fire(rig))
            staked_e6 = rig.desk.accounts.position(KALSHI).staked_e6
            rig.scene.quote(KALSHI, bid=0, ask=0, status=ST_SETTLED, settlement_e6=0)
            for _ in range(2):  # once found, a further successor knows it
                await replace()  # it holds nothing any more
                await rig.until(lambda: rig.gate[0] == ACTIVE)
                assert rig.desk.accounts.day_loss_e6 == staked_e6 > 4 * E6

    play(story, tmp_path)


def test_tokens_of_a_settled_bet_that_are_still_shown_cost_nothing_twice(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            ready(rig)
            rig.poly.script = [poly_filled("5", "10")]
            below = PRICE + 45 * 10**8
            await rig.end_of(fire(rig, POLY, SELL, 500_000, below, fair_e6=400_000))
            position = rig.desk.accounts.position(POLY)
            no_e6, lost_e6 = position.no_e6, position.staked_e6 - position.no_e6 // 4
            assert position.open_fee_e6 > 0
            await settled(rig, POLY, 750_000)
            assert rig.desk.accounts.day_loss_e6 == lost_e6
            rig.poly.reads["/balance-allowance"] = lambda seen: (
                200, {"balance": str(no_e6 if "token_id=222" in seen.query else 0)}
            )  # fmt: skip
            await replace()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert rig.desk.accounts.day_loss_e6 == lost_e6
            await settled(rig, POLY, 750_000)
            assert rig.desk.accounts.day_loss_e6 == lost_e6

    play(story, tmp_path)
