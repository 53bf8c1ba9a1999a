"""Rings plus steps replay to the same intents, byte for byte; a changed byte does not."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest

from engine import cells as c
from engine.detector import Detector
from engine.replay import ReplayError, Tape, replay
from shm_layout import (
    ACTIVE,
    BODY,
    E6,
    HALTED,
    K_INSTRUMENT,
    K_QUOTE,
    K_TAKEN,
    LINE,
    NONE_NS,
    P_DONE,
    P_UNKNOWN,
    QUOTE,
    Words,
    cell,
    ring_append,
)
from tests.engine.world import KALSHI, MS, POLYMARKET, RUN_0, World, quote_body, two_venues
from tests.twins import detector as detector_twin

SEED = 20261121


def random_levels(rng: random.Random) -> tuple[tuple[tuple[int, int], ...], ...]:
    """A book around a random middle."""
    middle = rng.randrange(300_000, 700_000, 10_000)
    bids = tuple((middle - 10_000 * i, rng.randrange(1, 200) * E6) for i in range(rng.randrange(4)))
    asks = tuple(
        (middle + 10_000 * (i + 1), rng.randrange(1, 200) * E6) for i in range(rng.randrange(4))
    )
    return bids, asks


def take_some(world: World, instrument: int, rng: random.Random) -> None:
    """Paper orders hold some of what its venue shows, and of what it does not."""
    quote = world.segment.read("quotes", instrument)
    assert quote is not None
    sides = {}
    for name in ("bids", "asks"):
        shown = zip(*[iter(quote[name].tolist())] * 2, strict=True)
        some = [(price, rng.randrange(1, size + 9)) for price, size in shown if size > 0]
        sides[name] = tuple(rng.sample(some, rng.randrange(len(some) + 1)))
    world.had(instrument, **sides, generation=rng.choice((1, 1, 1, 2)))


def trade(
    world: World, detector: Detector, rng: random.Random, turns: int, cash_max: int = 5_000
) -> None:
    """Random quotes on random instruments; each intent ends some turns later."""
    open_intents: list[Words] = []
    unknown: list[tuple[Words, str, int]] = []
    for _ in range(turns):
        while unknown and rng.random() < 0.3:
            world.end(*unknown.pop())
        for _ in range(rng.randrange(1, 4)):
            instrument = rng.randrange(6)
            world.quote(instrument, instrument % 2, *random_levels(rng))
            if rng.random() < 0.2:
                take_some(world, instrument, rng)
        open_intents += world.step(detector, rng.randrange(1, 30) * MS)
        while open_intents and rng.random() < 0.6:
            intent = open_intents.pop(0)
            filled = int(intent[c.N_LEG + c.L_SIZE]) if rng.random() < 0.7 else 0
            is_known = rng.random() < 0.8
            for leg in (0, 1):
                account = int(intent[c.N_LEG + leg * c.LEG_CELLS + c.L_VENUE])
                free = rng.randrange(cash_max) * E6
                placed = P_UNKNOWN if leg and not is_known else P_DONE
                told = {"account": account, "cash_free_e6": free, "placed": placed}
                world.leg(intent, leg, filled, **told)
            if is_known:
                world.end(intent, "done" if filled else "nothing_filled", filled)
            else:
                world.end(intent, "unknown_outcome", filled)
                unknown.append((intent, "done", filled))


def lap(world: World, ring: int, entries: int) -> None:
    """A feed publishes more than its ring holds while the detector does not look; the recorder
    does."""
    for i in range(entries):
        middle = 400_000 + 10_000 * (i % 7)
        levels = ((middle, 50 * E6),), ((middle + 10_000, 50 * E6),)
        world.quote(ring, ring, *levels)


@pytest.fixture(scope="module")
def recorded() -> tuple[Tape, list[bytes]]:
    """A run with a restart of a feed, one of the detector, a lap, a halt, timers; and its
    intents."""
    rng = random.Random(SEED)
    world = two_venues(debounce_ns=5 * MS, cooldown_ns=40 * MS, orders_per_second=60)
    for index in (2, 3):
        world.instrument(index, index % 2, event=1)
    for index in (4, 5):  # windows that open while it runs
        opens = {"settlement_rule": 1, "open_epoch_ns": RUN_0 + 2_000 * MS}
        world.instrument(index, index % 2, event=2, **opens)
    world.pair(1, 2, 3)
    world.pair(2, 4, 5, same=0)
    detector = Detector(world.segment, 1, gateway_eventfd=-1)
    trade(world, detector, rng, 150)
    world.start_feed(KALSHI, epoch=2)  # a feed dies and comes back
    trade(world, detector, rng, 100)
    lap(world, POLYMARKET, 3_000)
    trade(world, detector, rng, 100)
    assert detector.counter("laps") == 1 and detector.counter("lost") > 2_000
    world.quote(0, KALSHI, *random_levels(rng))
    detector = Detector(world.segment, 2, gateway_eventfd=-1)  # the detector dies and comes back
    trade(world, detector, rng, 100)
    world.set_state(HALTED)
    trade(world, detector, rng, 20)
    world.set_state(ACTIVE)
    trade(world, detector, rng, 50)
    assert detector.counter("timers") > 0 and detector.counter("taken") > 0
    return world.tape, [intent.tobytes() for intent in world.intents]


def test_a_tape_with_restarts_and_a_lap_replays_to_the_same_intents(
    recorded: tuple[Tape, list[bytes]],
) -> None:
    tape, intents = recorded
    assert len(intents) > 30, f"seed {SEED}"
    assert replay(tape) == intents


def test_the_plain_twin_of_the_whole_detector_writes_the_same_intents(
    recorded: tuple[Tape, list[bytes]],
) -> None:
    tape, intents = recorded
    assert detector_twin.run(tape) == intents


def gates(rng: random.Random) -> dict[str, int]:
    """What refuses a market rather than a sum."""
    return {
        "orders_per_market": rng.choice([10, 40]),
        "market_gap_ns": rng.choice([0, 20 * MS]),
        "spread_max_e6": rng.choice([30_000, E6]),
        "liquidity_min_e6": rng.choice([0, 5 * E6]),
        "intent_min_e6": rng.choice([0, 20 * E6]),
        "sigma_high_e12": rng.choice([0, 200_000_000]),
        "sigma_factor_e6": 1_500_000,
        "sigma_cut_e6": 300_000,
    }


def narrow_run(seed: int) -> tuple[World, Detector]:
    """A run whose limits, drawn by the seed, bind again and again."""
    rng = random.Random(seed)
    ranges = {
        "order": [10, 40, 200],
        "market": [60, 400, 900],
        "event": [150, 900],
        "venue": [120, 1_200],
        "total": [250, 2_000],
        "day": [40, 9_000],
        "unhedged": [50, 600],
        "asset": [180, 1_500],
    }
    limits = {f"{name}_max_e6": rng.choice(each) * E6 for name, each in ranges.items()}
    world = two_venues(
        **limits,
        size_max_e6=rng.choice([10, 100, 10_000]) * E6,
        edge_min_e6=rng.choice([0, 10_000]),
        debounce_ns=rng.choice([0, 3 * MS]),
        cooldown_ns=rng.choice([0, 50 * MS]),
        orders_per_second=rng.choice([4, 100]),
        price_high_e6=rng.choice([600_000, 990_000]),
        switches=rng.randrange(2),
        hurdle_e6=rng.choice([0, 3_000]),
        **(gates(rng) if seed % 2 else {}),
    )
    for index in (2, 3, 4, 5):
        account = rng.choice([0, 1])
        world.instrument(index, index % 2, event=index // 3, asset=index // 4, account=account)
    world.pair(1, 2, 3, edge_min_e6=rng.choice([0, 20_000]), hurdle_e6=rng.choice([0, 5_000]))
    world.pair(2, 4, 5, same=0, hurdle_e6=-1)
    world.pair(3, 0, 3)
    detector = Detector(world.segment, 1, gateway_eventfd=-1)
    valid = world.now + rng.choice([1, 1_000]) * MS
    world.terms(pair=2, number=1, valid_until_ns=valid, dead_zone_e6=10_000)
    usual = (0, NONE_NS, 100_000_000, 400_000_000)[seed % 4]
    world.instrument(1, 1, account=1, settlement_rule=1)
    world.market_terms(instrument=1, sigma_e12=300_000_000, usual_e12=usual)
    trade(world, detector, rng, 250, cash_max=300)
    return world, detector


def test_twin_kernels_and_replay_agree_where_limits_bind() -> None:
    names = ("cash", "limit", "rate", "band", "size", "spread", "thin", "small", "orders", "gap")
    refused = dict.fromkeys([f"refused_{name}" for name in names], 0) | {
        "debounced": 0,
        "cooldown": 0,
        "paused": 0,
    }
    cuts = ("order", "market", "event", "asset", "venue", "total", "day", "unhedged", "volatility")
    refused |= dict.fromkeys([f"cut_{name}" for name in cuts], 0)
    written = 0
    for seed in range(24):
        world, detector = narrow_run(seed)
        intents = [intent.tobytes() for intent in world.intents]
        written += len(intents)
        assert replay(world.tape) == intents, f"seed {seed}"
        assert detector_twin.run(world.tape) == intents, f"seed {seed}"
        for name in refused:
            refused[name] += detector.counter(name)
    assert all(refused.values()) and written > 50, (refused, written)


def differs(tape: Tape, intents: list[bytes]) -> bool:
    """Whether a replay shows that this is not the tape of these intents."""
    try:
        return replay(tape) != intents
    except ReplayError:
        return True


def test_a_changed_byte_on_the_tape_is_seen(recorded: tuple[Tape, list[bytes]]) -> None:
    tape, intents = recorded
    first = np.frombuffer(intents[0], np.int64)
    leg = c.N_LEG
    instrument, number = int(first[leg + c.L_INSTRUMENT]), int(first[leg + c.L_NUMBER])
    changed = copy.deepcopy(tape)
    for entry in changed.rings[f"changes_{instrument % 2}"].values():
        if entry[LINE + c.Q_INSTRUMENT] == instrument and entry[LINE + c.Q_NUMBER] == number:
            entry.view(np.uint8)[8 * (LINE + c.Q_TICK_EPOCH)] ^= 1
    assert differs(changed, intents)


@pytest.mark.parametrize("name", ["alive", "state", "now_ns", "run_epoch_ns", "timer"])
def test_a_changed_step_is_seen(name: str, recorded: tuple[Tape, list[bytes]]) -> None:
    from shm_layout import STEP

    tape, intents = recorded
    changed = copy.deepcopy(tape)
    for entry in changed.steps:
        if entry[LINE + c.S_COUNTER] == 0 and entry[LINE + c.S_TIMER] == 0:
            entry[LINE + cell(STEP, name)] ^= 3
    assert differs(changed, intents)


def test_a_missing_entry_is_named(recorded: tuple[Tape, list[bytes]]) -> None:
    tape, _ = recorded
    changed = copy.copy(tape)
    changed.rings = {**tape.rings, "changes_0": dict(tape.rings["changes_0"])}
    del changed.rings["changes_0"][17]
    with pytest.raises(ReplayError, match="changes_0: entry 17 is not on the tape"):
        replay(changed)


def test_at_start_quotes_come_whole_from_slots_and_older_ring_entries_are_skipped() -> None:
    world = two_venues()
    world.quote(0, KALSHI, ((400_000, 80 * E6),), ((410_000, 80 * E6),))
    world.quote(1, POLYMARKET, ((500_000, 80 * E6),), ((510_000, 80 * E6),))
    detector = Detector(world.segment, 1, gateway_eventfd=-1)
    (intent,) = world.step(detector)
    taken = [entry for entry in world.tape.steps if entry[0] == K_TAKEN]
    assert [int(entry[LINE + c.Q_INSTRUMENT]) for entry in taken] == [0, 1]
    world.end(intent, "stale")
    world.step(detector)
    late = quote_body(0, KALSHI, (), (), number=1)
    world.append("changes_0", K_QUOTE, late)
    world.step(detector)
    assert replay(world.tape) == [each.tobytes() for each in world.intents]
    assert detector._mem[_held(0) + c.Q_BIDS] == 400_000


def _held(instrument: int) -> int:
    from engine import memory as m

    return m.QUOTE_AT + instrument * BODY


def test_a_restarted_detector_keeps_the_reservations_of_unanswered_intents() -> None:
    world = two_venues()
    world.quote(0, KALSHI, ((400_000, 80 * E6),), ((410_000, 80 * E6),))
    world.quote(1, POLYMARKET, ((500_000, 80 * E6),), ((510_000, 80 * E6),))
    (intent,) = world.step(Detector(world.segment, 1, gateway_eventfd=-1))
    second = Detector(world.segment, 2, gateway_eventfd=-1)
    assert world.step(second) == [] and second.counter("in_flight") > 0
    world.end(intent, "stale")
    (again,) = world.step(second)
    assert int(again[c.N_ID]) >> 40 & 0xFFFFF == 2
    third = Detector(world.segment, 3, gateway_eventfd=-1)  # the first has ended, the second not
    assert world.step(third) == []
    assert replay(world.tape) == [each.tobytes() for each in world.intents]


def test_a_lapped_control_ring_is_taken_from_the_slots() -> None:
    world = two_venues()
    row = np.zeros(BODY, np.int64)
    row[c.I_INDEX] = 900
    for _ in range(4_200):
        ring = world.segment.at("control_ring")
        ring_append(
            world.words, ring, world.segment.entries("control_ring"), K_INSTRUMENT, row, BODY
        )
    world.seen["control_ring"] = 4_205  # the recorder was there, and keeps nothing of it
    world.quote(0, KALSHI, ((400_000, 80 * E6),), ((410_000, 80 * E6),))
    world.quote(1, POLYMARKET, ((500_000, 80 * E6),), ((510_000, 80 * E6),))
    detector = Detector(world.segment, 1, gateway_eventfd=-1)
    assert len(world.step(detector)) == 1
    assert replay(world.tape) == [each.tobytes() for each in world.intents]


def test_lost_reports_stop_the_pairs_in_flight() -> None:
    world = two_venues()
    world.quote(0, KALSHI, ((400_000, 80 * E6),), ((410_000, 80 * E6),))
    world.quote(1, POLYMARKET, ((500_000, 80 * E6),), ((510_000, 80 * E6),))
    detector = Detector(world.segment, 1, gateway_eventfd=-1)
    (intent,) = world.step(detector)
    world.end(intent, "stale")
    for _ in range(2_100):
        world.cash(KALSHI, 5_000 * E6)
    world.quote(0, KALSHI, ((400_000, 90 * E6),), ((410_000, 90 * E6),))
    assert world.step(detector) == [] and detector.counter("paused") > 0
    assert replay(world.tape) == [each.tobytes() for each in world.intents]
    assert cell(QUOTE, "instrument") == 0
