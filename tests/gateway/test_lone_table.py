"""The one-leg table: 300 combinations of what two legs filled and what the books then show. Each
ends with equal contracts, or unwound within the caps, or HALTED with the exact exposure; none
loops. What is right is computed here from the venues' own trades, in Fractions and with the
simulated venues' fee code.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from engine.unwind import Plan, complete, give_back, plan_lone
from gateway.params import DeskParams
from gateway.ports import Lone, Missing, PlanLone
from ops.venues.fees import KalshiFeeTerms
from shm_layout import BUY, E6, HALTED, SELL
from tests.gateway.lone_world import SIZE, World, is_active, play_all
from tests.gateway.plain_venue import LOST, MS, NEVER, REPLY_NS, Levels, Order, Trade
from tests.gateway.scene import KALSHI, POLY

PARAMS = DeskParams(dust_e6=100_000)
LIMITS = {BUY: 420_000, SELL: 500_000}  # of the leg that buys, and of the one that sells
DEEP = 100 * E6
# what Kalshi's leg fills, what Polymarket's does
FILLS = (
    ("full", "zero"), ("zero", "full"), ("full", "partial"), ("partial", "full"),
    ("partial", "zero"), ("zero", "partial"), ("full", "full"), ("full", "over"), ("zero", "over"),
    ("full", "lost"), ("lost", "zero"), ("full", "gone"), ("full", "never"), ("full", "delayed"),
    ("full", "delayed_full"),
)  # fmt: skip


@dataclass(frozen=True)
class After:
    """(bid, ask) of the market whose leg buys, and of the one whose leg sells, once both legs are
    out: as shown, and as they are (None: as shown). `deep`: contracts a level.
    """

    buys: tuple[int, int]
    sells: tuple[int, int]
    real: tuple[tuple[int, int], tuple[int, int]] | None = None
    trust: int = 0
    deep: int = DEEP


NEAR = (410_000, 430_000), (490_000, 510_000)
AFTERS = {
    "near": After(*NEAR),
    "give back is dear": After((200_000, 430_000), (490_000, 750_000)),
    "completion is dear": After((410_000, 600_000), (300_000, 510_000)),
    "both beyond the cap": After((200_000, 700_000), (200_000, 750_000)),
    "both within the cap": After((390_000, 530_000), (390_000, 530_000)),
    "empty": After((0, 0), (0, 0)),
    "untrusted": After(*NEAR, trust=1),
    "untrusted and empty": After(*NEAR, real=((0, 0), (0, 0)), trust=1),
    "shown but gone": After(*NEAR, real=((390_000, 530_000), (390_000, 530_000))),
    "thin": After(*NEAR, deep=3 * E6),
}
CASES = [
    (fills, name, buy, (place + buy) % 2)
    for place, (fills, name) in enumerate(itertools.product(FILLS, AFTERS))
    for buy in (KALSHI, POLY)
]


def levels(price_e6: int, step_e6: int, deep_e6: int) -> Levels:
    """A touch and four levels behind it; 0: nobody."""
    return [(price_e6 + i * step_e6, deep_e6) for i in range(5)] if price_e6 else []


def open_books(world: World, fills: tuple[str, str], buy: int) -> None:
    """What the two legs meet."""
    for number, fill in zip((KALSHI, POLY), fills, strict=True):
        venue, side = world.venues[number], BUY if number == buy else SELL
        depth_e6 = {"partial": 4 * E6, "zero": 0, "gone": 0}.get(fill, DEEP)
        better_e6 = 40_000 if fill == "over" else 0  # a budget then buys more than ten
        price_e6 = LIMITS[side] - better_e6 if side == BUY else LIMITS[side] + better_e6
        met = [(price_e6, depth_e6)] if depth_e6 else []
        venue.asks, venue.bids = (met, []) if side == BUY else ([], met)
        venue.answers = {"lost": [LOST], "gone": [LOST], "never": [NEVER]}.get(fill, [])
        venue.delays = fill.startswith("delayed")


def shift(world: World, fills: tuple[str, str], buy: int, after: After) -> None:
    """Books and quotes move on; a held leg finds its level there or not."""
    for number, fill in zip((KALSHI, POLY), fills, strict=True):
        venue, side = world.venues[number], BUY if number == buy else SELL
        shown = after.buys if side == BUY else after.sells
        real = (after.real[0] if side == BUY else after.real[1]) if after.real else shown
        venue.bids = levels(real[0], -10_000, after.deep)
        venue.asks = levels(real[1], 10_000, after.deep)
        if fill == "delayed_full":
            (venue.asks if side == BUY else venue.bids).insert(0, (LIMITS[side], SIZE))
        world.scene.quote(
            number, bid=shown[0], ask=shown[1], size=after.deep, trust=after.trust,
            taker_delay_ns=150 * MS if venue.delays else 0,
            **{
                side: [x for pair in levels(price, step, after.deep) for x in pair]
                for side, price, step in (("bids", shown[0], -10_000), ("asks", shown[1], 10_000))
                if price
            },
        )  # fmt: skip


async def play(
    world: World, fills: tuple[str, str], after: After, buy: int, first: int
) -> int:  # fmt: skip
    """Two legs out, matched and answered; then the books move on. The intent."""
    sell = 1 - buy
    world.scene.quote(buy, bid=400_000, ask=LIMITS[BUY])
    world.scene.quote(sell, bid=LIMITS[SELL], ask=520_000)
    open_books(world, fills, buy)
    number = world.fire(buy, first, {buy: LIMITS[BUY], sell: LIMITS[SELL]})
    await world.run(MS)
    assert len(world.orders) == 2
    await world.run(REPLY_NS)
    shift(world, fills, buy, after)
    await world.settle()
    return number


@dataclass(frozen=True)
class Leg:
    """An opening order and what it did, by the venue's own word."""

    venue: int
    order: Order
    trade: Trade | None

    @property
    def size_e6(self) -> int:
        return self.trade.size_e6 if self.trade else 0

    @property
    def paid(self) -> Fraction:
        """Dollars a contract as a token."""
        assert self.trade is not None
        return token(self.trade.price, self.trade.side)


def token(price: Fraction, side: int) -> Fraction:
    return price if side == BUY else 1 - price


def legs_of(world: World) -> list[Leg]:
    found = []
    for number, venue in world.venues.items():
        order = venue.orders[0]
        done = next((t for t in venue.trades if t.key == order.key), None)
        found.append(Leg(number, order, done))
    return sorted(found, key=lambda leg: -leg.size_e6)  # the one that is alone first


def tries_of(world: World) -> list[tuple[int, Order, Trade | None]]:
    """(venue, order, what it did) of every try, in their order."""
    openings = {venue.orders[0].key for venue in world.venues.values()}
    done = {t.key: t for venue in world.venues.values() for t in venue.trades}
    return [
        (number, order, done.get(order.key))
        for number, order in world.orders
        if order.key not in openings
    ]


def fee_of(venue: int, price: Fraction) -> Fraction:
    """A contract's unrounded fee."""
    if venue == KALSHI:
        return Fraction(KalshiFeeTerms().raw(int(price * E6), E6, is_taker=True))
    return Fraction(Decimal("0.05")) * price * (1 - price)


def check_tries(world: World) -> None:
    """Each try shrinks what is alone and asks for no more than that; all of them stay within the
    caps.
    """
    alone, missing = legs_of(world)
    imbalance_e6 = alone.size_e6 - missing.size_e6
    cap = Fraction(PARAMS.loss_cap_e6 * imbalance_e6, E6)
    tries, lost = tries_of(world), Fraction(0)
    assert len(tries) <= PARAMS.unwind_tries_max
    for venue, order, trade in tries:
        wanted = alone.order.side ^ 1 if venue == alone.venue else missing.order.side
        assert imbalance_e6 < 0 or order.side == wanted, "the wrong market or side"
        assert order.size_e6 <= abs(imbalance_e6)
        if trade is not None:
            assert abs(imbalance_e6 - trade.size_e6) < abs(imbalance_e6)
            worse = alone.paid + token(trade.price, trade.side) - 1
            lost += max(worse, Fraction(0)) * trade.size_e6 + trade.fee_e6
            imbalance_e6 -= trade.size_e6
    assert lost <= cap + 100, f"lost {float(lost)}e-6 of {float(cap)}e-6"
    if tries:
        took_ns = tries[-1][1].at_ns - tries[0][1].at_ns
        assert took_ns <= PARAMS.time_cap_ns + 10 * MS


def check_choice(world: World, after: After, buy: int) -> None:
    """The first try completes or gives back, whichever loses less."""
    alone, missing = legs_of(world)
    if alone.size_e6 == missing.size_e6 or after.trust or after.real or after.deep != DEEP:
        return
    shown = {buy: after.buys, 1 - buy: after.sells}
    if not all(map(all, shown.values())):
        return
    back = Fraction(shown[alone.venue][0 if alone.order.side == BUY else 1], E6)
    other = Fraction(shown[missing.venue][1 if missing.order.side == BUY else 0], E6)
    gives = alone.paid + token(back, alone.order.side ^ 1) - 1 + fee_of(alone.venue, back)
    completes = alone.paid + token(other, missing.order.side) - 1 + fee_of(missing.venue, other)
    is_close, cap = abs(gives - completes) < Fraction(2, 1000), Fraction(PARAMS.loss_cap_e6, E6)
    if is_close or min(gives, completes) > cap - Fraction(2, 1000):
        return
    tries = tries_of(world)
    wanted = alone.venue if gives < completes else missing.venue
    assert tries and tries[0][0] == wanted, (float(gives), float(completes))


def check_end(world: World, fills: tuple[str, str]) -> None:
    """Equal contracts, or the exact exposure is told."""
    if "never" in fills:
        lost = fills.index("never")
        assert world.gate == (HALTED, "unknown_outcome") and not tries_of(world)
        assert world.slot(lost, "unknown_e6") == SIZE and world.desk.memory.is_paused(0)
        return
    for number, venue in world.venues.items():
        assert world.desk.accounts.position(number).net_e6 == venue.net_e6
    imbalance_e6 = sum(venue.net_e6 for venue in world.venues.values())
    told_e6 = sum(world.slot(number, "lone_e6") for number in world.venues)
    if is_active(world):
        assert told_e6 == 0
        paid = [token(t.price, t.side) for v in world.venues.values() for t in v.trades]
        assert abs(imbalance_e6) < 10_000 or abs(imbalance_e6) * min(paid) <= PARAMS.dust_e6
        return
    assert world.gate == (HALTED, "one_legged")
    assert told_e6 == imbalance_e6
    alone = legs_of(world)[0]
    cost_e6 = sum(world.slot(number, "lone_cost_e6") for number in world.venues)
    if world.slot(alone.venue, "lone_e6"):
        assert abs(cost_e6 - alone.paid * abs(imbalance_e6)) <= 30


async def whole(
    folder: Path, place: int, plan: PlanLone = plan_lone, spoil: Callable[[World], None] = id
) -> None:  # fmt: skip
    """One case and everything that must hold of it. `spoil`: a lie told before the checks."""
    fills, name, buy, first = CASES[place]
    world = World(folder / str(place), PARAMS, plan)
    try:
        await play(world, fills, AFTERS[name], buy, first)
        spoil(world)
        assert world.is_quiet, "it loops"
        check_end(world, fills)
        check_tries(world)
        check_choice(world, AFTERS[name], buy)
    finally:
        world.close()


@pytest.mark.parametrize("fills", FILLS, ids="-".join)
def test_the_table(tmp_path: Path, fills: tuple[str, str]) -> None:
    places = [place for place, found in enumerate(CASES) if found[0] == fills]
    assert len(CASES) == 300 and len(places) == 20
    play_all(tmp_path, CASES, places, whole)


def dearer(lone: Lone, missing: Missing | None) -> Plan:
    """Whichever loses more."""
    found = [give_back(lone), complete(lone, missing) if missing else None]
    plans = [plan for plan in found if plan is not None]
    return max(plans, key=lambda plan: plan.loss_e6) if plans else plan_lone(lone, None)


def sideways(lone: Lone, missing: Missing | None) -> Plan:
    """More of what is alone."""
    plan = plan_lone(lone, None)
    return replace(plan, side=lone.side, limit_e6=990_000 if lone.side == BUY else 10_000)


def careless(lone: Lone, missing: Missing | None) -> Plan:
    """At any price."""
    return plan_lone(replace(lone, loss_cap_e6=E6 * 100), None)


def forget_trade(world: World) -> None:
    world.venues[KALSHI].trades.pop()


def forget_standing(world: World) -> None:
    world.scene.resume()
    world.desk.step(world.scene.now_ns)


def move_try(world: World) -> None:
    for number, order, trade in tries_of(world):
        if trade is not None:
            order.side = trade.side = order.side ^ 1
            assert number == KALSHI


@pytest.mark.parametrize(
    ("fills", "name", "plan", "spoil"),
    [
        (("full", "zero"), "give back is dear", dearer, id),
        (("full", "zero"), "completion is dear", dearer, id),
        (("full", "zero"), "completion is dear", sideways, id),
        (("full", "zero"), "both beyond the cap", careless, id),
        (("full", "zero"), "completion is dear", plan_lone, forget_trade),
        (("full", "zero"), "completion is dear", plan_lone, move_try),
        (("full", "zero"), "empty", plan_lone, forget_standing),
    ],
)
def test_the_checks_see_what_is_wrong(
    tmp_path: Path, fills: tuple[str, str], name: str, plan: PlanLone,
    spoil: Callable[[World], None],
) -> None:  # fmt: skip
    place = next(i for i, found in enumerate(CASES) if found[:2] == (fills, name))
    asyncio.run(whole(tmp_path, place))
    with pytest.raises(AssertionError):
        asyncio.run(whole(tmp_path, place, plan, spoil))
