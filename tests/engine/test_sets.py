"""Sets of one venue's markets in the detector: what goes out and what never does, by kernels, by
replay and by the plain form."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from engine.detector import Detector
from engine.replay import replay
from shm_layout import (
    BUY,
    E6,
    HALTED,
    KIND_COMPLEMENT,
    KIND_CROSS_VENUE,
    NONE_NS,
    SELL,
    Words,
)
from tests.engine.test_replay import gates
from tests.engine.world import (
    KALSHI,
    MS,
    POLYMARKET,
    RUN_0,
    SECOND,
    World,
    detector_of,
    field_of,
)
from tests.twins import detector as detector_twin

YES, NO = 0, 1  # directions of a set
ONLY_YES, ONLY_NO = 1 << NO, 1 << YES  # barred
FLAT = ((200_000, 50 * E6),), ((250_000, 60 * E6),)
CHEAP = ((150_000, 50 * E6),), ((200_000, 60 * E6),)
RICH = ((450_000, 50 * E6),), ((460_000, 60 * E6),)


def one_venue(count: int, venue: int = KALSHI, **parameters: int) -> World:
    """A set of `count` outcomes, money, a feed alive."""
    world = World()
    for index in range(count):
        world.instrument(index, venue)
    more = {"more": count - 2, "c": 2, "d": 3, "c_generation": 1, "d_generation": 1}
    world.pair(0, 0, 1, same=0, **more)
    world.parameters(**parameters)
    world.start_feed(venue)
    world.cash(venue, 10_000 * E6)
    return world


def shared(**parameters: int) -> tuple[World, Detector]:
    """A set of three that pays, and a row of its third market and a fourth, that pays too."""
    world = one_venue(3, **parameters)
    world.pair(1, 2, 3, same=0)
    world.instrument(3, KALSHI)
    detector = detector_of(world)
    for index in range(4):
        world.quote(index, KALSHI, *(FLAT if index < 3 else CHEAP))
    return world, detector


def end_unfilled(world: World, intent: Words) -> None:
    """All that became of it."""
    for leg in range(field_of(intent, "leg_count")):
        world.leg(intent, leg, 0)
    world.end(intent, "nothing_filled")


def legs_of(intent: Words, *names: str) -> list[tuple[int, ...]]:
    """These cells of each leg."""
    count = field_of(intent, "leg_count")
    return [tuple(field_of(intent, f"{name}_{leg}") for name in names) for leg in range(count)]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_yes_of_every_outcome_below_a_dollar_is_one_intent_of_as_many_legs(count: int) -> None:
    world = one_venue(count)
    detector = detector_of(world)
    for index in range(count):
        touch = 900_000 // count // 10_000 * 10_000
        bids, asks = ((touch - 20_000, 60 * E6),), ((touch, (60 + index) * E6),)
        world.quote(index, KALSHI, bids, asks)
    (intent,) = world.step(detector)
    assert field_of(intent, "kind") == KIND_COMPLEMENT and field_of(intent, "direction") == YES
    wanted = [(index, BUY, touch, 60 * E6) for index in range(count)]
    assert legs_of(intent, "instrument", "side", "limit_e6", "size_e6") == wanted
    left = 60 * (E6 - count * touch) - field_of(intent, "fees_e6")
    assert field_of(intent, "profit_e6") == left > 0
    assert field_of(intent, "edge_e6") == left // 60


def test_no_of_every_outcome_pays_one_dollar_less_than_there_are() -> None:
    world = one_venue(3)
    detector = detector_of(world)
    for index in range(3):
        world.quote(index, KALSHI, *RICH)
    (intent,) = world.step(detector)
    assert legs_of(intent, "side", "limit_e6") == [(SELL, 450_000)] * 3
    paid = 50 * (2 * E6 - 3 * 550_000) - field_of(intent, "fees_e6")
    assert field_of(intent, "profit_e6") == paid > 0


@pytest.mark.parametrize(("levels", "direction"), [(FLAT, YES), (RICH, NO)])
def test_a_barred_direction_is_never_opened(levels: tuple[tuple[int, int]], direction: int) -> None:
    world = one_venue(3)
    detector = detector_of(world)
    for index in range(3):
        world.quote(index, KALSHI, *levels)
    row = {"more": 1, "c": 2, "c_generation": 1}
    world.pair(0, 0, 1, same=0, barred=1 << direction, **row)
    assert world.step(detector) == [] and detector.counter("edges") == 0
    world.pair(0, 0, 1, same=0, barred=1 << 1 - direction, **row)  # negative control
    (intent,) = world.step(detector)
    assert field_of(intent, "direction") == direction


def test_a_pair_of_two_venues_bars_a_direction_too() -> None:
    world = World()
    for venue in (KALSHI, POLYMARKET):
        world.instrument(venue, venue)
        world.start_feed(venue)
        world.cash(venue, 10_000 * E6)
    world.pair(0, 0, 1, barred=1)
    world.parameters()
    detector = detector_of(world)
    world.quote(0, KALSHI, *FLAT)
    world.quote(1, POLYMARKET, *RICH)
    assert world.step(detector) == []
    world.pair(0, 0, 1)
    (intent,) = world.step(detector)
    assert field_of(intent, "kind") == KIND_CROSS_VENUE


def test_a_ladder_buys_the_weaker_claim_and_sells_the_stronger() -> None:
    world = one_venue(2)
    world.pair(0, 0, 1, same=1, barred=ONLY_YES)
    detector = detector_of(world)
    world.quote(0, KALSHI, *RICH)  # upside down this would pay: barred
    world.quote(1, KALSHI, *FLAT)
    assert world.step(detector) == []
    world.quote(0, KALSHI, *FLAT)
    world.quote(1, KALSHI, *RICH)
    (intent,) = world.step(detector)
    assert field_of(intent, "kind") == KIND_COMPLEMENT
    assert legs_of(intent, "instrument", "side") == [(0, BUY), (1, SELL)]


@pytest.mark.parametrize(("weaker", "is_open"), [(110, False), (105, True), (100, True), (0, True)])
def test_a_ladder_whose_venue_tells_its_strikes_the_other_way_round_is_none(
    weaker: int, is_open: bool
) -> None:
    """Its registry has said that the first follows from the second at 105; 0: its venue does not
    say. Between the two both legs would lose."""
    world = one_venue(2)
    world.pair(0, 0, 1, same=1, barred=ONLY_YES)
    detector = detector_of(world)
    world.quote(0, KALSHI, *FLAT, strike_e8=weaker * 10**8 or NONE_NS)
    world.quote(1, KALSHI, *RICH, strike_e8=105 * 10**8)
    assert bool(world.step(detector)) is is_open


def test_what_another_row_has_in_flight_in_a_market_is_left_to_it() -> None:
    """Both would take the same contracts: one of them would get a leg alone."""
    world, detector = shared(cooldown_ns=SECOND)
    (first,) = world.step(detector)
    assert field_of(first, "pair") == 0 and detector.counter("in_flight") > 0
    end_unfilled(world, first)
    (second,) = world.step(detector)
    assert field_of(second, "pair") == 1, "decided again as soon as it is free"


@pytest.mark.parametrize("leg", [2, 3])
@pytest.mark.parametrize("wrong", [{"trust": 1}, {"status": 1}, {"epoch": 7}, {"number": 0}])
def test_every_leg_must_be_fit(leg: int, wrong: dict[str, int]) -> None:
    world = one_venue(4)
    detector = detector_of(world)
    for index in {0, 1, 2, 3} - {leg}:
        world.quote(index, KALSHI, *CHEAP)
    world.quote(leg, KALSHI, *CHEAP, **wrong)
    assert world.step(detector) == []
    world.quote(leg, KALSHI, *CHEAP)
    assert len(world.step(detector)) == 1


@pytest.mark.parametrize("leg", ["c", "d"])
def test_a_row_of_another_generation_of_any_market_is_not_traded(leg: str) -> None:
    world = one_venue(4)
    row = {"more": 2, "c": 2, "d": 3, "c_generation": 1, "d_generation": 1}
    world.pair(0, 0, 1, same=0, **row | {f"{leg}_generation": 2})
    detector = detector_of(world)
    for index in range(4):
        world.quote(index, KALSHI, *CHEAP)
    assert world.step(detector) == []
    world.pair(0, 0, 1, same=0, **row)
    assert len(world.step(detector)) == 1


@pytest.mark.parametrize("row", [{"c": 1}, {"c": 2048}, {"c": -1}, {"more": 3}, {"more": -1},
                                 {"more": 2, "d": 2}, {"more": 2, "d": -1}])  # fmt: skip
def test_a_row_whose_legs_are_not_all_other_markets_is_no_row(row: dict[str, int]) -> None:
    """Nor one with more legs than an intent has: of one market twice both sides are one book."""
    world = one_venue(4)
    detector = detector_of(world)
    world.pair(7, 0, 1, same=0, **{"more": 1, "c": 2, "c_generation": 1} | row)
    world.pair(0, 0, 1, same=0, approved=0)
    for index in range(4):
        world.quote(index, KALSHI, *CHEAP)
    assert world.step(detector) == []
    world.pair(7, 0, 1, same=0, more=1, c=2, c_generation=1)
    assert len(world.step(detector)) == 1


def test_a_set_waits_for_the_latest_close_and_for_the_longest_taker_delay() -> None:
    """10 % a year on a dollar, and no delay above the most allowed, whichever leg it is."""
    day = 86_400 * SECOND
    closes = {"close_epoch_ns": RUN_0 + day}
    world = one_venue(3, hurdle_year_e6=100_000, delay_max_ns=SECOND)
    world.pair(0, 0, 1, same=0, more=1, c=2, c_generation=1, delay_max_ns=10**18)
    detector = detector_of(world)
    edges = []
    for days, delay in ((1, 0), (365, 0), (365, 2), (0, 0)):
        far = {"close_epoch_ns": RUN_0 + days * day if days else 0}
        far["taker_delay_ns"] = delay * SECOND
        for index, fields in enumerate((closes, closes, far)):
            world.quote(index, KALSHI, *FLAT, **fields)
        found = world.step(detector)
        edges += [field_of(intent, "edge_e6") for intent in found]
        for intent in found:
            world.end(intent, "stale")
    assert len(edges) == 2 and edges[0] - edges[1] == 100_000 - 274
    assert detector.counter("refused_delay") and detector.counter("refused_terms")


@pytest.mark.parametrize(("levels", "dollars"), [(CHEAP, 1), (RICH, 2)])
def test_every_dollar_that_a_set_locks_must_earn(
    levels: tuple[tuple[int, int]], dollars: int
) -> None:
    """Three outcomes sold stand for two dollars until they settle, bought for one."""
    edges = []
    for rate, own in ((0, 0), (100_000, 0), (0, 10_000)):
        world = one_venue(3, hurdle_year_e6=rate)
        world.pair(0, 0, 1, same=0, more=1, c=2, c_generation=1, hurdle_e6=own)
        detector = detector_of(world)
        for index in range(3):
            world.quote(index, KALSHI, *levels, close_epoch_ns=RUN_0 + 365 * 86_400 * SECOND)
        edges += [field_of(intent, "edge_e6") for intent in world.step(detector)]
    assert [edges[0] - edge for edge in edges] == [0, 100_000 * dollars, 10_000 * dollars]


def test_the_legs_of_a_set_share_one_account() -> None:
    """Three legs at 25 cents with fees: 40 dollars pay for about 51 of each."""
    sizes = []
    for dollars in (10_000, 40):
        world = one_venue(3)
        world.cash(KALSHI, dollars * E6)
        detector = detector_of(world)
        for index in range(3):
            world.quote(index, KALSHI, *FLAT)
        (intent,) = world.step(detector)
        cash = sum(each for (each,) in legs_of(intent, "cash_e6"))
        assert cash <= dollars * E6
        sizes.append(field_of(intent, "size_e6_0"))
    assert sizes[0] == 60 * E6 and 48 * E6 < sizes[1] < 53 * E6


def test_unhedged_is_every_leg_but_the_cheapest() -> None:
    """Of 10, 20 and 40 cents the last two may stand alone: 100 dollars hold 166 of each."""
    world = one_venue(3, unhedged_max_e6=100 * E6)
    detector = detector_of(world)
    for index, cents in enumerate((10, 20, 40)):
        levels = ((cents * 10_000 - 20_000, 900 * E6),), ((cents * 10_000, 900 * E6),)
        world.quote(index, KALSHI, *levels, fee_rate_e6=0)
    (intent,) = world.step(detector)
    assert field_of(intent, "size_e6_0") == 166_660_000 and detector.counter("cut_unhedged") == 1
    world.quote(0, KALSHI, *CHEAP)
    assert world.step(detector) == []  # in flight: nothing is left
    world.end(intent, "stale")
    for index in range(3):
        world.quote(index, KALSHI, *CHEAP, fee_rate_e6=0)
    assert len(world.step(detector)) == 1, "and it is given back"


def test_orders_of_every_market_of_a_set_are_counted() -> None:
    world, detector = shared(orders_per_market=1)
    (intent,) = world.step(detector)
    end_unfilled(world, intent)
    assert world.step(detector) == []  # the third market is used up
    assert detector.counter("refused_orders") == 2, "the set again, and what shares a market"


# ------------------------------------------------------------------------- the plain form, replay


def sets_run(seed: int) -> World:
    """Rows of two to four legs, of both venues, limits and reports drawn by the seed."""
    rng = random.Random(seed)
    world = World()
    for index in range(8):
        fields = {"event": index % 3, "asset": index // 6, "account": rng.choice([0, 1])}
        world.instrument(index, index // 4, **fields)
    for venue in (KALSHI, POLYMARKET):
        world.start_feed(venue)
        world.cash(venue, 10_000 * E6)
    limits = {f"{name}_max_e6": rng.choice([60, 200, 2_000]) * E6
              for name in ("order", "market", "event", "venue", "total", "day", "unhedged",
                           "asset")}  # fmt: skip
    world.parameters(
        **limits, edge_min_e6=rng.choice([0, 10_000]), cooldown_ns=rng.choice([0, 20 * MS]),
        debounce_ns=rng.choice([0, 3 * MS]), switches=rng.randrange(2), delay_max_ns=SECOND,
        hurdle_year_e6=rng.choice([0, 50_000]), **(gates(rng) if seed % 2 else {}),
    )  # fmt: skip
    own = {"c_generation": 1, "d_generation": 1, "delay_max_ns": 10**18}
    world.pair(0, 0, 1, same=0, more=2, c=2, d=3, barred=rng.choice([0, 0, 1, 2]), **own)
    world.pair(1, 4, 5, same=0, more=1, c=6, barred=rng.choice([0, 0, 1, 2]), **own)
    world.pair(2, 6, 7, same=0, **own)
    world.pair(3, 0, 3, same=1, barred=2, **own)
    world.pair(4, 1, 5, same=rng.randrange(2), **own)
    detector = detector_of(world)
    trade_sets(world, rng, detector)
    return world


def trade_sets(world: World, rng: random.Random, detector: object) -> None:
    out: list[Words] = []
    for turn in range(120):
        for _ in range(rng.randrange(1, 4)):
            index = rng.randrange(8)
            middle = rng.choice(((12, 16, 22), (70, 76, 82), (30, 48, 56))[turn // 20 % 3])
            middle += rng.randrange(-5, 6)
            bids, asks = (
                tuple(((middle + sign * step) * 10_000, rng.randrange(1, 200) * E6)
                      for step in range(1, rng.randrange(2, 5)))
                for sign in (-1, 1)
            )  # fmt: skip
            fields = {
                "taker_delay_ns": rng.choice([0, 0, 2 * SECOND]),
                "close_epoch_ns": RUN_0 + rng.choice([10**15, 2 * 10**16]),
            }
            world.quote(index, index // 4, bids, asks, **fields)
        if turn == 80:
            world.set_state(HALTED)
        elif turn == 90:
            world.set_state(2)
            detector = detector_of(world, epoch=2)
        out += world.step(detector, rng.randrange(1, 30) * MS)  # type: ignore[arg-type]
        while out and rng.random() < 0.6:
            intent = out.pop(0)
            filled = rng.choice([0, field_of(intent, "size_e6_0")])
            for leg in range(field_of(intent, "leg_count")):
                if rng.random() < 0.8:
                    world.leg(intent, leg, filled, account=field_of(intent, f"venue_{leg}"),
                              cash_free_e6=rng.randrange(20, 400) * E6)  # fmt: skip
            world.end(intent, rng.choice(["done", "unknown_outcome"]), filled)


def test_twin_kernels_and_replay_agree_on_sets() -> None:
    kinds: Counter[tuple[int, ...]] = Counter()
    for seed in range(12):
        world = sets_run(seed)
        intents = [intent.tobytes() for intent in world.intents]
        assert replay(world.tape) == intents, f"seed {seed}"
        assert detector_twin.run(world.tape) == intents, f"seed {seed}"
        for intent in world.intents:
            names = ("kind", "leg_count", "direction")
            kinds.update([tuple(field_of(intent, name) for name in names)])
    for legs in (2, 3, 4):
        assert {(KIND_COMPLEMENT, legs, YES), (KIND_COMPLEMENT, legs, NO)} <= set(kinds), kinds
    assert any(kind == KIND_CROSS_VENUE for kind, *_ in kinds)
