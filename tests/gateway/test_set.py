"""Sets on one venue, beside the table: a desk that dies between their orders, tries that do other
than they should, what comes after the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from gateway.memory import M_UNHEDGED
from shm_layout import HALTED, KILL_AT, SELL, word_store
from tests.gateway.lone_world import SIZE, is_active
from tests.gateway.plain_venue import MS, REPLY_NS
from tests.gateway.scene import KALSHI, POLY, SET
from tests.gateway.set_world import SetWorld
from tests.gateway.test_set_table import DEEP, LIMITS, PARAMS, play, shift, show

Story = Callable[[SetWorld], Awaitable[None]]


def told(story: Story, folder: Path, venue: int = KALSHI, direction: int = 0) -> None:
    async def whole() -> None:
        world = SetWorld(folder / "journal", PARAMS, venue, direction)
        try:
            await story(world)
        finally:
            world.close()

    asyncio.run(whole())


def held(world: SetWorld) -> list[int]:
    return [abs(world.venues[number].net_e6) for number in SET]


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("sent", [1, 2])
def test_a_desk_that_dies_between_the_orders_of_a_set_leaves_them_to_its_successor(
    tmp_path: Path, sent: int, direction: int
) -> None:
    """All three are journalled before the first leaves; the successor finds what became of each."""

    async def story(world: SetWorld) -> None:
        show(world, ("full",) * 3)
        world.hall.sent_max = sent
        number = world.fire_set(LIMITS[world.side])
        with pytest.raises(RuntimeError, match="dies here"):
            await world.run(MS)
        for market in list(world.venues.values())[:sent]:
            market.match(market.orders[0])
        await world.succeed()
        work = world.desk.ledger.works[number]
        assert len(work.orders) == 3 and work.is_lone and work.alone_e6.count(SIZE) == sent
        shift(world, "near")
        await world.settle()
        assert held(world) == ([SIZE] * 3 if sent == 2 else [0] * 3), "completed, or given back"
        assert is_active(world) and not work.is_lone

    told(story, tmp_path, KALSHI, direction)


def test_a_successor_goes_on_giving_back_what_is_left_of_a_set(tmp_path: Path) -> None:
    """Two of three are alone; one of them is back when the desk dies. What is left is no pair."""

    async def story(world: SetWorld) -> None:
        show(world, ("full", "full", "none"))
        number = world.fire_set(LIMITS[world.side])
        await world.run(MS + REPLY_NS)
        shift(world, "nobody")
        first = world.venues[SET[0]]
        first.bids = [(290_000, DEEP)]
        world.scene.quote(SET[0], bid=290_000, ask=0)
        await world.run(20 * MS)
        assert held(world) == [0, SIZE, 0]
        await world.succeed()
        (case,) = [case for case in world.desk.unwinder.cases if case.left_e6]
        assert (case.order.instrument, case.left_e6) == (SET[1], SIZE)
        assert case.purse.spent_e6 == 100_000 + first.trades[1].fee_e6, "of the whole intent's cap"
        shift(world, "near")
        await world.settle()
        assert held(world) == [0, 0, 0] and is_active(world)
        assert not world.desk.ledger.works[number].is_lone

    told(story, tmp_path)


def test_what_a_predecessor_gave_up_of_a_set_still_stands(tmp_path: Path) -> None:
    async def story(world: SetWorld) -> None:
        await play(world, ("full", "part", "none"), "nobody")
        wanted = [SIZE, 4_000_000, 0]
        assert [world.slot(number, "lone_e6") for number in SET] == wanted
        await world.succeed()
        assert [world.slot(number, "lone_e6") for number in SET] == wanted
        assert world.gate == (HALTED, "one_legged") and not world.desk.unwinder.cases
        world.scene.resume()
        await world.run(5 * MS)
        assert [world.slot(number, "lone_e6") for number in SET] == [0, 0, 0]

    told(story, tmp_path)


def test_a_completion_of_a_set_that_buys_too_much_gives_the_rest_back(tmp_path: Path) -> None:
    async def story(world: SetWorld) -> None:
        show(world, ("full", "full", "none"))
        world.fire_set(LIMITS[world.side])
        await world.run(MS + REPLY_NS)
        shift(world, "near")
        world.venues[SET[2]].asks = [(200_000, DEEP)]  # a budget of 0.31 each buys 15.5
        world.venues[SET[2]].bids = [(290_000, DEEP)]
        await world.settle()
        bought, back = world.venues[SET[2]].trades
        assert bought.size_e6 == 15_500_000 and back.side == SELL and back.size_e6 == 5_500_000
        assert held(world) == [SIZE] * 3 and is_active(world)

    told(story, tmp_path, POLY)


@pytest.mark.parametrize(("name", "wanted"), [("near", SIZE), ("completion is dear", 0)])
def test_a_leg_whose_trade_fails_leaves_all_others_alone(
    tmp_path: Path, name: str, wanted: int
) -> None:
    async def story(world: SetWorld) -> None:
        number = await play(world, ("full", "full", "full"), name)
        work, failed = world.desk.ledger.works[number], world.venues[SET[1]]
        assert not work.is_lone
        row = {
            "event_type": "trade", "id": "t", "taker_order_id": failed.orders[0].key, "size": "10",
            "price": "0.3", "maker_orders": [], "asset_id": "1", "side": "BUY",
        }  # fmt: skip
        failed.trades.clear()
        shift(world, name)
        for status in ("MATCHED", "FAILED"):
            failed.frame(orjson.dumps({**row, "status": status}))
        await world.settle()
        assert held(world) == [wanted] * 3 and is_active(world)

    told(story, tmp_path, POLY)


def test_of_a_set_under_way_all_legs_but_the_cheapest_count_as_unhedged(tmp_path: Path) -> None:
    async def story(world: SetWorld) -> None:
        show(world, ("full", "full", "none"))
        number = world.fire_set(LIMITS[world.side])
        await world.run(MS)
        costs = world.desk.ledger.works[number].costs_e6
        assert world.desk.memory.cells[M_UNHEDGED] == sum(costs) - min(costs)

    told(story, tmp_path)


def test_the_kill_word_holds_back_the_tries_of_every_leg(tmp_path: Path) -> None:
    async def story(world: SetWorld) -> None:
        show(world, ("full", "full", "none"))
        world.fire_set(LIMITS[world.side])
        await world.run(MS + REPLY_NS)
        word_store(world.scene.segment.words, KILL_AT, 1)
        shift(world, "near")
        await world.settle()
        assert len(world.orders) == 3 and not world.desk.unwinder.cases
        assert [world.slot(number, "lone_e6") for number in SET] == [SIZE, SIZE, 0]

    told(story, tmp_path)


