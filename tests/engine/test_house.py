"""All strategies in the detector: each alone fires on ring entries and not when it is off, their
parameters come by the control ring (what they have at stake: tests/engine/test_stakes.py)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction

import pytest

from engine.replay import replay
from engine.strategies import table
from engine.strategies.table import GATES, STRATEGIES
from shm_layout import (
    BET,
    BUY,
    E6,
    K_ACCOUNT,
    KIND_MODEL,
    REFUSAL,
    REPORT,
    SELL,
    TALLY,
    Words,
    cell,
)
from tests.engine import bets as b
from tests.engine import windows as w
from tests.engine.world import KALSHI, MS, SECOND, World, detector_of, field_of, record
from tests.twins import detector as twin

SEED = 20261121


def reason_of(intent: Words, name: str) -> int:
    return int(intent[cell(BET, name)])


def told(world: World, strategy: str, name: str) -> int:
    """A figure of a strategy's line in the segment."""
    at = world.segment.at("tallies", STRATEGIES.index(strategy))
    return int(world.words[at + cell(TALLY, name)])


def gates(world: World, strategy: str) -> dict[str, int]:
    """How often it stopped at each gate."""
    at = world.segment.at("tallies", STRATEGIES.index(strategy)) + cell(TALLY, "gates")
    counts = world.words[at : at + len(GATES)].tolist()
    return {gate: count for gate, count in zip(GATES, counts, strict=True) if count}


def gate_now(world: World, strategy: str, pair: int = 0) -> str:
    """The gate it stopped at in this market when that was last decided."""
    packed = int(world.words[world.segment.at("refusals", pair) + cell(REFUSAL, "gates")])
    return GATES[packed >> 5 * STRATEGIES.index(strategy) & 31]


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_alone_fires_and_its_intent_names_it(name: str) -> None:
    world, detector = w.SCENES[name](name)
    intents = world.step(detector)
    assert len(intents) == 1, gates(world, name)
    (intent,) = intents
    assert field_of(intent, "kind") == KIND_MODEL and field_of(intent, "leg_count") == 1
    assert STRATEGIES[reason_of(intent, "strategy")] == name
    assert field_of(intent, "side_0") == w.SIDES[name]
    assert told(world, name, "orders") == 1
    assert told(world, name, "expected_e6") == field_of(intent, "profit_e6") > 0
    assert gates(world, name)["fires"] == 1
    assert gate_now(world, name, field_of(intent, "pair")) == "fires"
    others = [other for other in STRATEGIES if other != name]
    assert all(set(gates(world, other)) == {"off"} for other in others)
    assert replay(world.tape) == [intent.tobytes()]


# the market each of them is on, the touch it takes, and contracts that half of Kelly's share, its
# cap and whole lots leave of 500 there
TAKEN = {"settlement_sniper": (0, 80), "misalignment": (0, 49), "extreme_buyer": (0, 99),
         "cross_timeframe": (1, 57)}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_what_it_writes_is_what_the_book_and_its_caps_allow(name: str) -> None:
    """Those that no half hour of the seeded world is sure to show: each cell of the leg."""
    world, detector = w.SCENES[name](name)
    (intent,) = world.step(detector)
    instrument, cents = TAKEN[name]
    assert field_of(intent, "venue_0") == KALSHI and field_of(intent, "generation_0") == 1
    assert field_of(intent, "instrument_0") == instrument
    assert field_of(intent, "limit_e6_0") == cents * 10_000
    size, told = field_of(intent, "size_e6_0"), table.REFERENCE[name]
    assert 0 < size <= w.LEVEL and size % 10_000 == 0
    is_buy = field_of(intent, "side_0") == BUY
    price = Fraction(cents if is_buy else 100 - cents, 100)
    worth = Fraction(reason_of(intent, "fair_e6"), E6)
    worth = worth if is_buy else 1 - worth
    cost, fee = price * size, Fraction(7, 100) * size * price * (1 - price)
    fees = -(-fee // 100) * 100
    assert field_of(intent, "fees_e6") == fees
    assert cost + fees <= field_of(intent, "cash_e6_0") <= cost + fees + 200, "at worst"
    assert field_of(intent, "profit_e6") == math.floor(worth * size - cost) - fees
    edge = worth - price - fee / size
    assert field_of(intent, "edge_e6") >= told["edge_min_e6"]
    bankroll = 10_000 * E6
    share = min(edge / (1 - price) / 2, Fraction(told["cap_e6"], E6))
    assert cost <= share * bankroll + 1, "half of Kelly's share, under its cap"
    assert size == w.LEVEL or cost + fees > share * bankroll * Fraction(95, 100)


GATED = [(name, *case) for name, cases in w.GATED.items() for case in cases]


@pytest.mark.parametrize(("name", "gate", "scene"), GATED)
def test_each_gate_of_it_blocks_alone(name: str, gate: str, scene: w.Scene) -> None:
    world, detector = scene(name)
    assert world.step(detector) == []
    pair = TAKEN[name][0]
    assert gate_now(world, name, pair) == gate, gates(world, name)


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_trades_where_it_is_off(name: str) -> None:
    others = [other for other in STRATEGIES if other != name]
    world, detector = w.SCENES[name]()
    assert world.step(detector) == [] and set(gates(world, name)) == {"off"}
    assert told(world, name, "orders") == 0 and len(others) == 9


def test_a_switch_on_the_control_ring_holds_at_once_both_ways() -> None:
    world, detector = w.distance_fade("model_edge")
    world.strategies()
    assert world.step(detector) == []
    assert gates(world, "model_edge") == {"off": 1}
    world.strategies("model_edge")  # and the market is decided anew without a quote
    (intent,) = world.step(detector)
    assert STRATEGIES[reason_of(intent, "strategy")] == "model_edge"
    assert replay(world.tape) == [intent.tobytes()]


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"edge_min_e6": 300_000}, "edge"),
        ({"distance_min_e9": 10_000_000}, "distance"),
        ({"confidence_min_e6": 1_000_000}, "confidence"),
        ({"orders_max": 0}, "orders"),
        ({"cap_e6": 0}, "limit"),
        ({"total_e6": 0}, "limit"),
    ],
)
def test_a_parameter_on_the_control_ring_takes_effect(changed: dict[str, int], gate: str) -> None:
    world, detector = w.distance_fade("distance_fade")
    world.strategies("distance_fade", **changed)
    assert world.step(detector) == [] and gate_now(world, "distance_fade") == gate
    world.strategies("distance_fade")
    assert len(world.step(detector)) == 1


@pytest.mark.parametrize(("share", "gate"), [(0, "fires"), (E6 // 2, "fires"), (E6, "edge")])
def test_the_more_of_a_chance_is_the_markets_the_less_edge_is_left(share: int, gate: str) -> None:
    world, detector = b.one_market()
    b.terms(world, market_e6=share)
    world.quote(0, KALSHI, *b.LAGS)
    intents = world.step(detector)
    assert gate_now(world, "model_edge") == gate and len(intents) == (gate == "fires")
    if intents:  # worth 0.74 to us, 0.595 to the market
        wanted = 740_000 - share * 145_000 // E6
        assert reason_of(intents[0], "fair_e6") == pytest.approx(wanted, abs=5_000)
        assert replay(world.tape) == [intents[0].tobytes()]


@pytest.mark.parametrize(("share", "gate"), [(0, "fires"), (E6, "edge")])
def test_the_market_has_its_share_in_a_strategys_own_figure_too(share: int, gate: str) -> None:
    world, detector = w.misalignment("misalignment", fair=table.FAIR_THEIRS)
    w.terms(world, market_e6=share)
    intents = world.step(detector)
    assert gate_now(world, "misalignment") == gate and len(intents) == (gate == "fires")
    assert replay(world.tape) == [intent.tobytes() for intent in intents]


@pytest.mark.parametrize(
    ("dollars", "basis", "slot", "gate"),
    [
        (79_940, 0, w.SPOT_SLOT, "fires"),
        (79_940, 60, w.SPOT_SLOT, "misalignment"),  # the index was at the strike all the time
        (80_000, -60, w.SPOT_SLOT, "fires"),
        (79_940, 0, w.SPOT_SLOT + 1, "unknown"),  # how far this product is off it nobody says
    ],
)
def test_the_mean_of_an_exchange_meets_the_strike_of_an_index_over_their_basis(
    dollars: float, basis: int, slot: int, gate: str
) -> None:
    world, detector = w.misaligned("misalignment", mean=dollars)
    w.spot(world, 80_000, product=slot)
    w.terms(world, basis_e8=basis * 10**8, spot_slot=slot)
    if slot != w.SPOT_SLOT:  # the model's change to it is no move of it
        assert world.step(detector) == []
        w.spot(world, 80_050, product=slot)
    intents = world.step(detector)
    assert gate_now(world, "misalignment") == gate and len(intents) == (gate == "fires")
    assert all(field_of(intent, "side_0") == SELL for intent in intents)
    bodies = [intent.tobytes() for intent in intents]
    assert replay(world.tape) == bodies == twin.run(world.tape)


def resized(world: World) -> None:
    world.quote(0, KALSHI, ((490_000, w.LEVEL // 2),), ((510_000, w.LEVEL // 2),))


def priced_anew(world: World) -> None:
    w.book(world, 49, 52)


def come_back(world: World) -> None:
    w.spot(world, 80_002)


@pytest.mark.parametrize(
    ("change", "gate"), [(resized, "fires"), (priced_anew, "lag"), (come_back, "lag")]
)
def test_latency_wants_a_touch_priced_before_our_chance_moved(
    change: Callable[[World], None], gate: str
) -> None:
    world, detector = w.latency("latency")
    change(world)
    intents = world.step(detector)
    assert gate_now(world, "latency") == gate and len(intents) == (gate == "fires")
    bodies = [intent.tobytes() for intent in intents]
    assert replay(world.tape) == bodies == twin.run(world.tape)


def test_a_touch_that_only_disagrees_with_us_is_not_late() -> None:
    world, detector = w.opened("latency", "model_edge")
    w.spot(world, 80_060)
    w.book(world, 49, 51)  # where spot is now it would be worth two thirds
    (intent,) = world.step(detector)
    assert STRATEGIES[reason_of(intent, "strategy")] == "model_edge"
    assert gate_now(world, "latency") == "lag"
    w.trade(world, 80_061)
    assert world.step(detector) == [] and gate_now(world, "latency") == "lag"


@pytest.mark.parametrize(
    ("slot", "gates"), [(b.SPOT_SLOT, ["fires"]), (b.INDEX_SLOT, ["trigger", "lag"])]
)
def test_the_models_change_to_another_price_of_the_coin_is_no_move_of_it(
    slot: int, gates: list[str]
) -> None:
    """The index is taken for the exchange that leads it, with a volatility of its own: our chance
    is another one, and nothing has moved."""
    world, detector = w.opened("latency")
    w.trade(world, 80_020)
    w.book(world, 54, 56)
    assert world.step(detector) == []
    w.terms(world, number=2, spot_slot=slot, sigma_e12=b.SIGMA_E12 // 4)
    intents = []
    for gate in gates:
        w.spot(world, 80_020, product=b.INDEX_SLOT)
        w.trade(world, 80_020)
        w.book(world, 54, 56)
        intents += world.step(detector)
        assert gate_now(world, "latency") == gate
    assert len(intents) == gates.count("fires")
    assert replay(world.tape) == [i.tobytes() for i in intents] == twin.run(world.tape)


def test_a_detector_that_starts_later_knows_the_strategies_from_their_slots() -> None:
    world, _ = w.distance_fade("distance_fade")
    world.seen["control_ring"] = 5_000
    ring = world.segment.at("control_ring")
    world.words[ring] += 5_000  # the ring has long gone on
    later = detector_of(world, epoch=2)
    w.terms(world)
    w.spot(world)
    assert len(world.step(later)) == 1


def test_the_least_edge_of_the_profile_holds_beside_a_strategys_own() -> None:
    world, detector = w.distance_fade("distance_fade")
    world.parameters(edge_min_e6=300_000, delay_max_ns=0)
    assert world.step(detector) == [] and gate_now(world, "distance_fade") == "edge"


def test_what_is_held_is_the_house_view_until_it_is_gone() -> None:
    world, detector = w.convexity_fade("convexity_fade")
    held = {"generation": 1, "account": -1}
    world.append("reports", K_ACCOUNT, record(REPORT, instrument=0, position_e6=E6, **held))
    assert world.step(detector) == [] and gate_now(world, "convexity_fade") == "house_view"
    world.append("reports", K_ACCOUNT, record(REPORT, instrument=0, **held))
    w.book(world, 60, 62)
    (intent,) = world.step(detector)
    assert field_of(intent, "side_0") == SELL


def test_a_trade_that_may_be_missing_empties_the_buffer() -> None:
    for lost in ("untrusted", "epoch", "lap", "number"):
        world, detector = w.momentum("momentum")
        if lost == "untrusted":
            w.trade(world, 80_080, trust=1)
        elif lost == "epoch":
            world.start_feed(w.COINBASE, epoch=2)
        elif lost == "number":
            world.numbers[-2] += 1
        else:
            for _ in range(2_100):
                w.spot(world, 80_080)
        w.trade(world, 80_080)
        w.book(world, 55, 57)
        assert world.step(detector) == []
        assert gate_now(world, "momentum") == "trades", lost
        assert replay(world.tape) == []


def test_old_trades_leave_without_a_new_one() -> None:
    world, detector = w.momentum("momentum")
    world.quote(0, 0, (), ())
    w.skip(world, detector, 28)
    w.spot(world, 80_080)
    w.book(world, 55, 57)
    assert world.step(detector) == [] and gate_now(world, "momentum") == "trades"


def test_too_few_trades_say_nothing_of_velocity_and_regime() -> None:
    world, detector = w.opened("settlement_sniper", "extreme_buyer", left_s=60)
    w.spot(world)
    w.book(world, 78, 80)
    assert world.step(detector) == [] and gate_now(world, "settlement_sniper") == "reversal"
    world, detector = w.opened("extreme_buyer", left_s=200)
    w.spot(world, 80_300)
    w.book(world, 99, 100)
    assert world.step(detector) == [] and gate_now(world, "extreme_buyer") == "regime"


def late_spot(world: World) -> None:
    w.spot(world, recv_ns=world.now - 4 * SECOND)


def late_terms(world: World) -> None:
    w.terms(world, number=2, valid_until_ns=world.now)


def doubtful_spot(world: World) -> None:
    w.spot(world, trust=1)


@pytest.mark.parametrize("change", [late_spot, late_terms, doubtful_spot])
def test_no_strategy_chooses_on_what_is_late_or_doubtful(change: Callable[[World], None]) -> None:
    world, detector = w.distance_fade(*w.ALL)
    change(world)
    assert world.step(detector) == []
    assert all(told(world, name, "orders") == 0 for name in STRATEGIES)


def test_all_strategies_replay_to_the_byte_and_to_their_plain_twin() -> None:
    rng = random.Random(SEED)
    world, detector = w.opened(*w.ALL, left_s=290, cooldown_ns=SECOND // 2)
    middle, pending = 80_000.0, list[Words]()
    for turn in range(150):
        middle += rng.choice([-40, -8, 0, 8, 40])
        w.trade(world, middle, rng.choice([0, 1]), trust=int(rng.random() < 0.01))
        if rng.random() < 0.8:
            cents = min(max(round(50 + (middle - 80_000) / 6 + rng.randrange(-15, 16)), 2), 96)
            w.book(world, cents, cents + rng.randrange(1, 3))
        if turn % 11 == 5:
            sigma_e12, share_e6 = rng.choice([80, 100, 130]) * 10**6, turn % 3 * 10**5
            w.terms(world, number=turn, sigma_e12=sigma_e12, market_e6=share_e6)
        pending += world.step(detector, rng.randrange(50, 1_500) * MS)
        if pending and rng.random() < 0.7:
            intent = pending.pop()
            filled = field_of(intent, "size_e6_0") // rng.choice([1, 2, 3]) // 10_000 * 10_000
            filled *= rng.choice([0, 1])
            world.leg(intent, 0, filled, position_cost_e6=filled)
            world.end(intent, "partial" if filled else "nothing_filled", filled)
        if turn % 40 == 39:
            world.append("reports", K_ACCOUNT, record(REPORT, generation=1, account=-1))
    world.step(detector)
    world.record()
    bodies = [intent.tobytes() for intent in world.intents]
    assert replay(world.tape) == bodies and len(bodies) > 10
    assert len({reason_of(intent, "strategy") for intent in world.intents}) > 3
    lives: list[twin.Plain] = []
    assert twin.run(world.tape, lives) == bodies
    plain = lives[-1]
    stakes = {name: told(world, name, "spent_e6") for name in STRATEGIES}
    assert {name: plain.house.spent(name) for name in STRATEGIES} == stakes
    found = {name: answer[4] for name, answer in plain.house.answers[0].items()}
    assert {name: gate_now(world, name) for name in STRATEGIES} == found
