"""The table of sets: what three legs on one venue filled (all, some, none) and what the books then
show. Each ends whole, or given back within the caps of the whole intent, or HALTED with what is
alone told to the contract; the money is the venue's own to 1e-6, whichever outcome wins.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from engine.unwind import Plan, plan_lone
from gateway.params import DeskParams
from gateway.ports import Lone, Missing, PlanLone
from shm_layout import BUY, E6, HALTED, SELL
from tests.gateway.lone_world import SIZE, is_active, play_all
from tests.gateway.plain_venue import MS, REPLY_NS, Trade
from tests.gateway.scene import KALSHI, POLY, SET
from tests.gateway.set_world import SetWorld

PARAMS = DeskParams(dust_e6=100_000)
DEEP = 100 * E6
FILLS = {"full": DEEP, "part": 4 * E6, "none": 0}
LIMITS = {BUY: 300_000, SELL: 400_000}
# by side: (bid, ask) once the legs are out, and whether the book is trusted
AFTERS = {
    "near": ({BUY: (290_000, 310_000), SELL: (390_000, 410_000)}, 0),
    "completion is dear": ({BUY: (300_000, 420_000), SELL: (170_000, 400_000)}, 0),
    "untrusted": ({BUY: (290_000, 310_000), SELL: (390_000, 410_000)}, 1),
    "nobody": ({BUY: (0, 0), SELL: (0, 0)}, 0),
    "beyond the cap": ({BUY: (200_000, 700_000), SELL: (100_000, 500_000)}, 0),
}
VARIANTS = list(itertools.product((KALSHI, POLY), (0, 1)))
CASES = [
    (fills, name, *VARIANTS[(place + place // 5) % 4])
    for place, (fills, name) in enumerate(
        itertools.product(itertools.product(FILLS, repeat=3), AFTERS)
    )
]


def show(world: SetWorld, fills: tuple[str, ...]) -> None:
    """What the three legs meet."""
    limit_e6 = LIMITS[world.side]
    for number, fill in zip(SET, fills, strict=True):
        venue, depth_e6 = world.venues[number], FILLS[fill]
        met = [(limit_e6, depth_e6)] if depth_e6 else []
        venue.asks, venue.bids = (met, []) if world.side == BUY else ([], met)
        world.scene.quote(number, bid=limit_e6 - 20_000 * (world.side == BUY),
                          ask=limit_e6 + 20_000 * (world.side == SELL))  # fmt: skip


def shift(world: SetWorld, name: str) -> None:
    """Books and quotes move on."""
    shown, trust = AFTERS[name]
    bid, ask = shown[world.side]
    for number, venue in world.venues.items():
        venue.bids, venue.asks = ([(bid, DEEP)] if bid else []), ([(ask, DEEP)] if ask else [])
        world.scene.quote(number, bid=bid, ask=ask, trust=trust)


async def play(world: SetWorld, fills: tuple[str, ...], name: str) -> int:
    """Three legs out, matched and answered; then the books move on. The intent."""
    show(world, fills)
    number = world.fire_set(LIMITS[world.side])
    await world.run(MS)
    assert len(world.orders) == 3, "side by side: none waits for another's answer"
    await world.run(REPLY_NS)
    shift(world, name)
    await world.settle()
    return number


def token(trade: Trade) -> Fraction:
    return trade.price if trade.side == BUY else 1 - trade.price


def spent(world: SetWorld) -> Fraction:
    """Money out of the account, 1e-6, by the venue's own trades: what a closed contract was paid
    is told apart from what opens, as both tokens of a market together are a dollar.
    """
    total = Fraction(0)
    for venue in world.venues.values():
        for trade in venue.trades:
            total += token(trade) * trade.size_e6 + trade.fee_e6
    return total


def worth(world: SetWorld, winner: int) -> int:
    """What all tokens bought pay, 1e-6, if this market's outcome wins (−1: none does)."""
    total = 0
    for number, venue in world.venues.items():
        for trade in venue.trades:
            won = (number == winner) == (trade.side == BUY)
            total += trade.size_e6 if won else 0
    return total


def check_money(world: SetWorld) -> None:
    """Cash and contracts are the venue's own, and what is realised so far adds up."""
    accounts = world.desk.accounts
    pairs = 0  # dollars that come back where both tokens were bought
    for number, venue in world.venues.items():
        assert accounts.position(number).net_e6 == venue.net_e6
        bought = [sum(t.size_e6 for t in venue.trades if t.side == side) for side in (BUY, SELL)]
        pairs += min(bought)
    cash_e6 = accounts.cash[world.venue].cash_e6
    assert abs(500 * E6 - spent(world) + pairs - cash_e6) <= 20, (float(spent(world)), pairs)


def check_end(world: SetWorld, fills: tuple[str, ...], name: str) -> None:
    """Whole, or the exact exposure is told."""
    held = [world.venues[number].net_e6 * (1 - 2 * world.direction) for number in SET]
    alone = [size - min(held) for size in held]
    told = [abs(world.slot(number, "lone_e6")) for number in SET]
    tries = world.orders[3:]
    opened = [min(FILLS[fill], SIZE) for fill in fills]
    first = [size - min(opened) for size in opened]
    cap_e6 = PARAMS.loss_cap_e6 * max(first) // E6
    trades = [world.venues[number].trades for number in SET]
    paid = [found[0] if size else None for found, size in zip(trades, opened, strict=True)]
    pays_e6 = 2 * E6 if world.direction else E6
    sure_e6 = Fraction(min(opened) * pays_e6, E6)
    for trade, size in zip(paid, first, strict=True):
        if trade is not None:
            sure_e6 -= token(trade) * (trade.size_e6 - size) + trade.fee_e6
    ends = [worth(world, winner) - spent(world) for winner in SET]
    if is_active(world):
        assert told == [0, 0, 0] and all(size * 600_000 <= 100_000 * E6 for size in alone)
        assert max(ends) - min(ends) <= 10_000, "whichever wins, the same money"
        assert min(ends) >= sure_e6 - cap_e6 - 100, "beyond the loss cap of the whole intent"
    else:
        assert world.gate == (HALTED, "one_legged") and told == alone and any(alone)
    assert len(tries) <= PARAMS.unwind_tries_max * sum(size > 0 for size in first)
    if name == "nobody":
        assert bool(any(first)) is not is_active(world) and not tries
    if not any(first):
        assert not tries
    if not any(first) or name in ("near", "completion is dear"):
        assert is_active(world)


def check_choice(world: SetWorld, fills: tuple[str, ...], name: str) -> None:
    """One leg short of all others: it is completed where that loses less; else all go back."""
    sizes = sorted(min(FILLS[fill], SIZE) for fill in fills)
    tries = [order for _, order in world.orders[3:]]
    if name == "nobody" or sizes[0] == sizes[2]:
        return
    if sizes[0] < sizes[1] and name == "near":
        assert {order.side for order in tries[:1]} == {world.side}, "completed"
        assert min(abs(world.venues[n].net_e6) for n in SET) >= sizes[1]
    else:
        assert all(order.side != world.side for order in tries), "given back"
        most_e6 = max(abs(world.venues[n].net_e6) for n in SET)
        assert most_e6 < sizes[0] + 400_000 or not is_active(world)


async def whole(
    folder: Path, place: int, spoil: str = "", plan: PlanLone = plan_lone
) -> None:  # fmt: skip
    """One case and everything that must hold of it."""
    fills, name, venue, direction = CASES[place]
    world = SetWorld(folder / f"{place}{spoil}", PARAMS, venue, direction, plan)
    try:
        await play(world, fills, name)
        if spoil == "a trade":
            world.venues[SET[0]].trades.pop()
        elif spoil == "a word":
            world.scene.resume()
            world.desk.step(world.scene.now_ns)
        assert world.is_quiet, "it loops"
        check_money(world)
        check_end(world, fills, name)
        check_choice(world, fills, name)
    finally:
        world.close()


@pytest.mark.parametrize("first", FILLS)
def test_the_table_of_sets(tmp_path: Path, first: str) -> None:
    places = [place for place, found in enumerate(CASES) if found[0][0] == first]
    assert len(CASES) == 135 and len(places) == 45
    play_all(tmp_path, CASES, places, whole)


def careless(lone: Lone, missing: Missing | None) -> Plan:
    """Within ten times the cap."""
    return plan_lone(replace(lone, loss_cap_e6=10 * lone.loss_cap_e6), missing)


def contrary(lone: Lone, missing: Missing | None) -> Plan:
    """Never completes."""
    return plan_lone(lone, None)


@pytest.mark.parametrize(
    ("fills", "name", "spoil", "plan"),
    [
        (("full", "full", "none"), "near", "", contrary),
        (("full", "full", "none"), "beyond the cap", "", careless),
        (("full", "full", "none"), "near", "a trade", plan_lone),
        (("full", "none", "part"), "nobody", "a word", plan_lone),
    ],
)
def test_the_checks_of_sets_see_what_is_wrong(
    tmp_path: Path, fills: tuple[str, ...], name: str, spoil: str, plan: PlanLone
) -> None:
    place = next(i for i, found in enumerate(CASES) if found[:2] == (fills, name))
    asyncio.run(whole(tmp_path, place))
    with pytest.raises(AssertionError):
        asyncio.run(whole(tmp_path, place, spoil or "plan", plan))
