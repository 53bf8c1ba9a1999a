"""The choice of one market: against its plain form, and each rule of it in an example."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.strategies import select, table
from shm_layout import BUY, E6, SELL
from tests.engine.strategies.rig import ALL_ON, choose, random_market, seen_before, some_params
from tests.twins import choice
from tests.twins import strategies as twin
from tests.twins.basket import NOTHING
from tests.twins.edge import Book

SEED = 43


def test_the_compiled_choice_equals_the_plain_one() -> None:
    rng, chosen, gates = random.Random(SEED), Counter[str | None](), Counter[str]()
    for number in range(6_000):
        market, params, seen = random_market(rng), some_params(rng), seen_before(rng)
        spent = {name: rng.choice([0, 0, 390 * E6, 10**10]) for name in table.STRATEGIES}
        case = choice.Case(
            run_ns=rng.choice([10**9, 6 * 10**9, 10**12]), held=rng.choice([-1, -1, BUY, SELL]),
            bankroll=rng.choice([0, 100 * E6, 10_000 * E6, 10**12]),
            room=rng.choice([0, 2 * E6, 100 * E6, 100 * E6]),
            cap=rng.choice([0, 30_000, 10**8, 10**12]), walk_budget=rng.random() < 0.5,
            staked=rng.choice([0, 0, E6, 50 * E6, 10**10]),
        )  # fmt: skip
        wanted = choice.choose(market, params, case, seen, spent)
        found = choose(market, params, case, seen, spent)
        assert found == wanted, (SEED, number, market, params, case, seen, spent)
        chosen[wanted[0]] += 1
        gates.update(answer[4] for answer in wanted[2].values())
    assert len(chosen) > 8 and sum(n for name, n in chosen.items() if name) > 300, chosen
    assert set(table.GATES) - set(gates) <= {"table"}, set(table.GATES) - set(gates)


# A market far above its strike, late, whose asks lag: 0.80 for what our model holds for 0.95.
LATE = twin.Market(
    Book(((780_000, 500 * E6),), ((800_000, 500 * E6), (830_000, 500 * E6), (990_000, 500 * E6))),
    distance=0.0016, z=3.2, seconds=20.0, left=45.0, elapsed=255.0, fraction=0.15, sigma=8.9e-5,
    fair=0.95, velocity=1e-6, net=2.0, trades=80, rate=2.7, dominant=0.55, mean_distance=0.0,
    trigger=7, moved=0.1,
)  # fmt: skip
NOW = choice.Case(run_ns=10**12)


def only(*names: str, **changed: int) -> dict[str, twin.Params]:
    """Parameters with these strategies on and no others."""
    return {
        name: row | {"on": int(name in names)} | {k: v for k, v in changed.items() if k in row}
        for name, row in table.REFERENCE.items()
    }


def test_the_highest_edge_times_confidence_is_taken() -> None:
    name, found, answers = choose(LATE, only("settlement_sniper", "certainty"), NOW, {}, {})
    edges = {answers[each][2] for each in ("settlement_sniper", "certainty")}
    assert len(edges) == 1 and name == "settlement_sniper"  # as good, and surer: 0.95 beside 0.80
    name, _, _ = choose(LATE, only("certainty"), NOW, {}, {})
    assert name == "certainty" and found != NOTHING


def test_the_size_is_half_kelly_of_the_bankroll_under_its_cap() -> None:
    # edge 0.95 − 0.80 − 0.0112 = 0.1388; half-Kelly 0.5·0.1388/0.2 = 0.347: the cap of 10 % holds
    case = replace(NOW, bankroll=500 * E6, room=10**12)
    _, found, answers = choose(LATE, only("settlement_sniper"), case, {}, {})
    assert answers["settlement_sniper"][2] == 138_800
    size, _, _, (limit,), (fee,) = found  # type: ignore[misc, has-type]
    assert limit == 800_000 and size * limit // E6 + fee <= 50 * E6
    assert (size + 200_000) * limit // E6 + fee > 50 * E6 - 20_000  # all but rounding is used
    small = replace(LATE, fair=0.87)  # edge 0.0588: 0.147 of the bankroll uncapped
    _, found, _ = choose(small, only("settlement_sniper", cap_e6=E6, total_e6=E6), case, {}, {})
    size, _, _, (limit,), (fee,) = found  # type: ignore[misc, has-type]
    assert 73 * E6 < size * limit // E6 + fee <= 500 * 147_000


def crumbs(*asks: tuple[int, int], bankroll: int = 500) -> tuple[int, int]:
    """(contracts, limit) of a token worth 0.87 from asks of (cents, contracts)."""
    book = Book(((600_000, E6),), tuple((cents * 10_000, size * E6) for cents, size in asks))
    case = replace(NOW, bankroll=bankroll * E6, room=10**12)
    params = only("settlement_sniper", cap_e6=E6, total_e6=E6, edge_min_e6=10_000)
    _, found, _ = choose(replace(LATE, book=book, fair=0.87), params, case, {}, {})
    size, _, _, (limit,), _ = found  # type: ignore[misc, has-type]
    return int(size) // E6, int(limit)


def test_a_crumb_at_the_touch_does_not_size_what_lies_behind_it() -> None:
    """Half of Kelly is 0.147 of the bankroll at 80 cents, 0.258 at 70: a contract at the touch is
    no reason to pay 80 cents for twice as many."""
    alone, _ = crumbs((80, 10_000))
    size, limit = crumbs((70, 1), (80, 10_000))
    assert limit == 800_000 and alone <= size <= alone + 1
    assert crumbs((70, 150), (84, 10_000)) == (150, 700_000), "the touch deserves more than both"


def test_orders_of_one_market_add_up_to_half_kelly_and_not_each_to_it() -> None:
    """The same edge again and again, as a book that is refilled shows it: 0.147 of what there was.
    """
    market = replace(LATE, fair=0.87)
    params = only("settlement_sniper", cap_e6=30_000, total_e6=E6)
    cash, staked = 500 * E6, 0
    for _ in range(20):
        case = replace(NOW, bankroll=cash, staked=staked, room=10**12)
        name, found, answers = choose(market, params, case, {}, {})
        if name is None:
            break
        size, _, _, (limit,), (fee,) = found  # type: ignore[misc]
        cash, staked = cash - size * limit // E6 - fee, staked + size * limit // E6 + fee
    assert answers["settlement_sniper"][4] in ("limit", "size")
    assert 71 * E6 < staked <= 500 * 147_000, staked
    without = choose(market, params, replace(case, staked=0), {}, {})
    assert without[0] == "settlement_sniper", "what is at stake is what stops it"


def test_no_more_is_taken_than_the_book_shows_to_the_last_level_that_pays() -> None:
    rich = replace(NOW, bankroll=10**12, room=10**12)
    _, found, _ = choose(LATE, only("settlement_sniper", total_e6=E6), rich, {}, {})
    size, edge, profit, (limit,), _ = found  # type: ignore[misc, has-type]
    assert size == 1_000 * E6 and limit == 830_000  # not the 0.99 behind
    assert edge >= 50_000 and profit == edge * 1_000 + profit % 1_000


@pytest.mark.parametrize(
    ("changed", "gate"),
    [({"room": 0}, "limit"), ({"bankroll": 0}, "limit"), ({"cap": 0}, "limit"),
     ({"room": 10_000}, "size")],
)  # fmt: skip
def test_what_no_size_fits_says_whether_limit_or_lot(changed: dict[str, int], gate: str) -> None:
    market = replace(LATE, book=replace(LATE.book, size_min=5 * E6))
    name, found, answers = choose(
        market, only("settlement_sniper"), replace(NOW, **changed), {}, {}
    )
    assert name is None and found == NOTHING and answers["settlement_sniper"][4] == gate


def test_what_a_strategy_has_spent_in_all_markets_comes_off_its_total() -> None:
    spent = {"settlement_sniper": 2_000 * E6}
    _, _, answers = choose(LATE, only("settlement_sniper"), NOW, {}, spent)
    assert answers["settlement_sniper"][4] == "limit"
    spent = {"settlement_sniper": 1_999 * E6}
    _, found, _ = choose(LATE, only("settlement_sniper"), NOW, {}, spent)
    assert 0 < found[0] <= 1_250_000  # type: ignore[index]


def test_ten_orders_and_no_two_within_the_cooldown() -> None:
    params = only("settlement_sniper")
    for seen, gate in (((10**12 - 5 * 10**9 + 1, 1), "cooldown"), ((0, 10), "orders")):
        _, _, answers = choose(LATE, params, NOW, {"settlement_sniper": seen}, {})
        assert answers["settlement_sniper"][4] == gate
    name, _, _ = choose(LATE, params, NOW, {"settlement_sniper": (10**12 - 5 * 10**9, 9)}, {})
    assert name == "settlement_sniper"


# One update on which two strategies disagree: the mean of 60 s says down, the distance says up.
TORN = replace(
    LATE, book=Book(((640_000, 100 * E6),), ((650_000, 100 * E6),)), distance=0.0009, z=0.5,
    fair=0.80, mean_distance=-0.0009, elapsed=10.0, left=290.0, seconds=250.0, fraction=0.97,
)  # fmt: skip


def test_one_house_view_a_market_the_other_side_is_silenced() -> None:
    params = only("distance_fade", "misalignment")
    name, _, answers = choose(TORN, params, NOW, {}, {})
    sums = {each: answers[each][2] * answers[each][3] for each in ("distance_fade", "misalignment")}
    assert name == "misalignment" and sums["misalignment"] > sums["distance_fade"] > 0
    assert answers["distance_fade"][4] == "house_view"
    # with one more strategy on its side the other sum is the higher
    name, _, answers = choose(TORN, only("distance_fade", "misalignment", "latency",
                                         "model_edge"), NOW, {}, {})  # fmt: skip
    assert name in ("distance_fade", "latency", "model_edge")
    assert answers["misalignment"][4] == "house_view"


def test_what_we_hold_is_the_house_view_until_it_is_gone() -> None:
    params = only("distance_fade", "misalignment")
    name, _, answers = choose(TORN, params, replace(NOW, held=BUY), {}, {})
    assert name == "distance_fade" and answers["misalignment"][4] == "house_view"
    name, _, _ = choose(TORN, only("misalignment"), replace(NOW, held=BUY), {}, {})
    assert name is None


def test_up_and_down_are_never_bought_together() -> None:
    """Without the house view both would be: the sides differ and each fires alone."""
    alone = {}
    for name in ("distance_fade", "misalignment"):
        _, _, answers = choose(TORN, only(name), NOW, {}, {})
        alone[name] = answers[name][0]
    assert set(alone.values()) == {BUY, SELL}
    _, _, answers = choose(TORN, only(*alone), NOW, {}, {})
    assert len({answers[name][0] for name in alone} - {-1}) == 1


def test_certainty_stakes_more_the_surer_it_is() -> None:
    stakes = []
    for z in (1.6, 2.6, 3.1):
        case = replace(NOW, bankroll=1_000 * E6, room=10**12)
        _, found, _ = choose(replace(LATE, z=z), only("certainty"), case, {}, {})
        size, _, _, (limit,), (fee,) = found  # type: ignore[misc, has-type]
        stakes.append((size * limit // E6 + fee) / E6)
    assert [round(stake) for stake in stakes] == [10, 30, 50]


def test_every_strategy_says_which_gate_blocks_it() -> None:
    _, _, answers = choose(replace(LATE, left=400.0, fraction=0.1), ALL_ON, NOW, {}, {})
    assert {name: answers[name][4] for name in ("momentum", "settlement_sniper")} == {
        "momentum": "time", "settlement_sniper": "time",
    }  # fmt: skip
    assert all(answer[4] in table.GATES for answer in answers.values())


def test_an_order_is_noted_in_its_market_and_in_the_total() -> None:
    seen, spent = np.zeros(select.SEEN_CELLS, np.int64), np.zeros(table.COUNT, np.int64)
    select.note_order(seen, spent, table.MOMENTUM, 77, 5 * E6)
    select.note_order(seen, spent, table.MOMENTUM, 99, 6 * E6)
    assert seen[2 * table.MOMENTUM :][:2].tolist() == [99, 2] and seen.sum() == 101
    assert spent[table.MOMENTUM] == 11 * E6 == spent.sum()


def test_the_taker_delay_comes_off_every_edge() -> None:
    """150 ms of the 20 s that are left, at z 0.8: √(2/π)·φ(0.8)·√(0.15/20) = 2.0018 cents."""
    near = replace(LATE, z=0.8)
    free = choose(near, ALL_ON, NOW, {}, {})[2]
    held = choose(replace(near, delay_ns=150_000_000), ALL_ON, NOW, {}, {})[2]
    for name in ("distance_fade", "settlement_sniper", "latency", "model_edge"):
        assert free[name][2] - held[name][2] == 20_018, name
    unknown = replace(near, delay_ns=150_000_000, seconds=None)
    answers = choose(unknown, only("settlement_sniper", "model_edge"), NOW, {}, {})[2]
    assert {answers[name][4] for name in ("settlement_sniper", "model_edge")} == {"delay"}


def test_half_kelly_is_rounded_down_and_nothing_at_the_ends() -> None:
    assert select.kelly_e6(100_000, 500_000, E6) == 100_000
    assert select.kelly_e6(100_001, 300_000, E6) == 71_429  # 71429.28
    assert select.kelly_e6(100_000, 500_000, 80_000) == 80_000
    assert select.kelly_e6(0, 500_000, E6) == select.kelly_e6(10_000, E6, E6) == 0
    assert select.kelly_e6(-1, 500_000, E6) == select.kelly_e6(10_000, -1, E6) == 0
