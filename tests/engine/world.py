"""A private segment with two venues in it, moved by hand: what the tests of the detector stand
on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine import cells as c
from engine import kernels
from engine.detector import Detector
from engine.replay import Tape
from engine.strategies.table import REFERENCE, row_of
from shm_layout import (
    ACTIVE,
    BODY,
    CASH,
    CONTROL_AT,
    E6,
    ENTRY,
    FEE_QUADRATIC,
    FEED_ROLE,
    GATE_AT,
    HAD,
    INSTRUMENT,
    INTENT,
    K_ACCOUNT,
    K_HAD,
    K_INSTRUMENT,
    K_LEG,
    K_MARKET,
    K_PAIR,
    K_PARAMETERS,
    K_QUOTE,
    K_STRATEGY,
    K_TERMINAL,
    K_TERMS,
    LINE,
    LIVE_EPOCH_AT,
    MARKET_TERMS,
    NO_ASK_E6,
    NO_BID_E6,
    P_DONE,
    PAIR,
    PARAMETERS,
    QUOTE,
    READ,
    REPORT,
    ROLE,
    ROLE_CELLS,
    ROLES_AT,
    ROUND_DOWN,
    ROUND_UP,
    RUN_CLOCK,
    ST_ACTIVE,
    STRATEGY,
    TERMS,
    Segment,
    Words,
    cell,
    reason,
    ring_append,
    ring_read,
    ring_tail,
    slot_store,
    word_store,
)

KALSHI, POLYMARKET = 0, 1
RUN_0 = 1_767_000_000 * 10**9
MS = 1_000_000
SECOND = 10**9
Levels = tuple[tuple[int, int], ...]


def record(dtype: np.dtype[np.void], **fields: int) -> Words:
    """A body with these cells."""
    body = np.zeros(BODY, np.int64)
    for name, value in fields.items():
        body[cell(dtype, name)] = value
    return body


LIMITS = {
    "number": 1,
    "edge_min_e6": 10_000,
    "size_max_e6": 10**6 * E6,
    "order_max_e6": 10**11,
    "market_max_e6": 10**11,
    "event_max_e6": 10**11,
    "asset_max_e6": 10**11,
    "spread_max_e6": E6,
    "orders_per_market": 100_000,
    "venue_max_e6": 10**11,
    "total_max_e6": 10**11,
    "day_max_e6": 10**11,
    "unhedged_max_e6": 10**11,
    "beat_max_ns": 250 * MS,
    "signal_age_max_ns": 50 * MS,
    "orders_per_second": 1000,
    "orders_per_minute": 10_000,
    "orders_per_day": 100_000,
    "price_low_e6": 10_000,
    "price_high_e6": 990_000,
}


def facts(venue: int) -> dict[str, int]:
    """Market facts of the two venues as their feeds give them."""
    common = {"fee_kind": FEE_QUADRATIC, "fee_exponent": 1, "size_min_e6": 10_000}
    if venue == KALSHI:
        own = {"fee_rate_e6": 70_000, "fee_unit_e6": 100, "fee_mode": ROUND_UP}
        return common | own | {"size_step_e6": 10_000}
    own = {"fee_rate_e6": 50_000, "fee_unit_e6": 10, "fee_mode": ROUND_DOWN}
    lots = {"size_step_e6": 10_000, "notional_min_e6": E6, "notional_step_e6": 10_000}
    return common | own | lots


def quote_body(
    instrument: int, venue: int, bids: Levels, asks: Levels, tick: int = 10_000, **fields: int
) -> Words:
    """A QUOTE body with these levels, best first."""
    fixed = {"instrument": instrument, "generation": 1, "status": ST_ACTIVE, "epoch": 1}
    body = record(QUOTE, **(fixed | facts(venue) | fields))
    body[c.Q_GRID : c.Q_GRID + 2] = E6, tick
    for at, none, levels in ((c.Q_BIDS, NO_BID_E6, bids), (c.Q_ASKS, NO_ASK_E6, asks)):
        for i in range(5):
            level = levels[i] if i < len(levels) else (none, 0)
            body[at + 2 * i : at + 2 * i + 2] = level
    return body


@dataclass
class World:
    """Supervisor, feeds and gateway in one hand, with a recorder that keeps every entry for
    replay."""

    segment: Segment = field(default_factory=Segment.private)
    now: int = 1_000 * SECOND
    tape: Tape = field(default_factory=Tape)
    numbers: dict[int, int] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    intents: list[Words] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.words = self.segment.words
        clock = record(RUN_CLOCK, begin_epoch_ns=RUN_0, mono_base_ns=self.now, speed_e6=E6)
        slot_store(self.words, self.segment.at("run_clock"), clock, BODY)
        self.set_state(ACTIVE)

    def set_state(self, state: int) -> None:
        """Trading state and gate word."""
        word_store(self.words, CONTROL_AT, state)
        word_store(self.words, GATE_AT, state)

    def start_feed(self, feed: int, epoch: int = 1) -> None:
        """Grant an epoch and beat."""
        self.epochs[feed] = epoch
        word_store(self.words, LIVE_EPOCH_AT + FEED_ROLE + feed, epoch)
        self.beat()

    def beat(self, *dead: int) -> None:
        """Every feed but the dead ones beats now."""
        for feed in self.epochs:
            if feed not in dead:
                at = ROLES_AT + (FEED_ROLE + feed) * ROLE_CELLS + cell(ROLE, "beat_ns")
                word_store(self.words, at, self.now)

    def control(self, kind: int, body: Words, block: str, index: int) -> None:
        """A row of the supervisor: slot and control ring."""
        self.segment.write(block, index, body)
        self.append("control_ring", kind, body)

    def append(self, ring: str, kind: int, body: Words) -> None:
        """One entry, at once seen by the recorder."""
        ring_append(self.words, self.segment.at(ring), self.segment.entries(ring), kind, body, BODY)
        self.record(ring)

    def instrument(self, index: int, venue: int, event: int = 0, **fields: int) -> None:
        """An identity row; account and feed are the venue's number."""
        row = {"index": index, "generation": 1, "venue": venue, "feed": venue, "event": event}
        row |= {"live": 1, "account": venue} | fields
        self.control(K_INSTRUMENT, record(INSTRUMENT, **row), "instruments", index)

    def pair(self, index: int, a: int, b: int, same: int = 1, **fields: int) -> None:
        """An approved pair."""
        row = {"index": index, "generation": 1, "a": a, "b": b, "same": same, "approved": 1}
        row |= {"a_generation": 1, "b_generation": 1} | fields
        self.control(K_PAIR, record(PAIR, **row), "pairs", index)

    def parameters(self, **fields: int) -> None:
        """Parameters, LIMITS unless told otherwise."""
        self.control(K_PARAMETERS, record(PARAMETERS, **(LIMITS | fields)), "parameters", 0)

    def strategies(self, *names: str, **changed: int) -> None:
        """Every strategy's parameters as the reference has them; these are on, no others."""
        for which, (name, told) in enumerate(REFERENCE.items()):
            own = {key: value for key, value in changed.items() if key in told}
            body = record(STRATEGY, number=1, which=which)
            at = cell(STRATEGY, "values")
            row = row_of(name, told | {"on": int(name in names)} | own)
            body[at : at + len(row)] = row
            self.control(K_STRATEGY, body, "strategies", which)

    def terms(self, **fields: int) -> None:
        """Slow terms of a pair, on the model's ring."""
        self.append("terms_ring", K_TERMS, record(TERMS, **({"generation": 1} | fields)))

    def market_terms(self, **fields: int) -> None:
        """Slow terms of a market, on the model's ring."""
        told = {"generation": 1, "number": 1, "valid_until_ns": 2**62} | fields
        self.append("terms_ring", K_MARKET, record(MARKET_TERMS, **told))

    def quote(
        self, instrument: int, venue: int, bids: Levels, asks: Levels, **fields: int
    ) -> Words:
        """Publish a quote as its feed does: slot, then ring."""
        self.numbers[instrument] = self.numbers.get(instrument, 0) + 1
        stamps = {"recv_ns": self.now, "publish_ns": self.now, "event_epoch_ns": RUN_0}
        own = {"number": self.numbers[instrument], "epoch": self.epochs.get(venue, 1)}
        body = quote_body(instrument, venue, bids, asks, **(stamps | own | fields))
        self.segment.write("quotes", instrument, body)
        self.append(f"changes_{venue}", K_QUOTE, body)
        return body

    def had(self, instrument: int, bids: Levels = (), asks: Levels = (), **fields: int) -> None:
        """What paper orders hold of an instrument's levels: slot, then ring."""
        body = record(HAD, **({"instrument": instrument, "generation": 1} | fields))
        for name, levels in (("bids", bids), ("asks", asks)):
            told = [each for level in levels for each in level]
            body[cell(HAD, name) : cell(HAD, name) + len(told)] = told
        self.segment.write("had", instrument, body)
        self.append("had_ring", K_HAD, body)

    def cash(self, account: int, free_e6: int) -> None:
        """Free cash of an account: slot and report, as the gateway tells it."""
        self.segment.write("cash", account, record(CASH, account=account, cash_e6=free_e6))
        fields = {"instrument": -1, "account": account, "cash_free_e6": free_e6}
        self.append("reports", K_ACCOUNT, record(REPORT, **fields))

    def leg(self, intent: Words, leg: int, filled_e6: int, **fields: int) -> None:
        """The outcome of a leg, with the position it leaves."""
        at = c.N_LEG + leg * c.LEG_CELLS
        signed = filled_e6 if intent[at + c.L_SIDE] == 0 else -filled_e6
        row = {"intent": int(intent[c.N_ID]), "leg": leg, "placed": P_DONE, "generation": 1}
        row |= {"instrument": int(intent[at + c.L_INSTRUMENT]), "pair": int(intent[c.N_PAIR])}
        row |= {"filled_e6": filled_e6, "position_e6": signed, "account": -1}
        self.append("reports", K_LEG, record(REPORT, **(row | fields)))

    def end(self, intent: Words, why: str = "done", filled_e6: int = 0, send_ns: int = 0) -> None:
        """The one terminal report of an intent."""
        row = {"intent": int(intent[c.N_ID]), "reason": reason(why), "filled_e6": filled_e6}
        row["send_ns"] = send_ns
        row["pair"] = int(intent[c.N_PAIR])
        self.append("reports", K_TERMINAL, record(REPORT, **row))

    def record(self, *rings: str) -> None:
        """The recorder: copy what is new on these rings (none named: on all)."""
        for ring in rings or (*kernels.RING_NAMES, "steps"):
            at, entries = self.segment.at(ring), self.segment.entries(ring)
            for position in range(self.seen.get(ring, 0), ring_tail(self.words, at)):
                entry = np.zeros(ENTRY, np.int64)
                assert ring_read(self.words, at, entries, position, entry, BODY) == READ, ring
                self.tape.add(ring, position, entry)
                self.seen[ring] = position + 1

    def new_intents(self) -> list[Words]:
        """Intents written since the last call, as bodies."""
        at, entries = self.segment.at("intents"), self.segment.entries("intents")
        fresh = []
        for position in range(self.seen.get("intents", 0), ring_tail(self.words, at)):
            entry = np.zeros(ENTRY, np.int64)
            assert ring_read(self.words, at, entries, position, entry, BODY) == READ
            fresh.append(entry[LINE:].copy())
            self.seen["intents"] = position + 1
        self.intents += fresh
        return fresh

    def step(self, detector: Detector, after_ns: int = MS) -> list[Words]:
        """Let time pass, feeds beat, the detector run dry; its new intents."""
        self.now += after_ns
        self.beat()
        while detector.step(self.now):
            self.record("steps")
        self.record("steps")
        return self.new_intents()


def two_venues(**parameters: int) -> World:
    """One market on both venues, money in both accounts, both feeds alive."""
    world = World()
    world.instrument(0, KALSHI)
    world.instrument(1, POLYMARKET)
    world.pair(0, 0, 1)
    world.parameters(**parameters)
    for venue in (KALSHI, POLYMARKET):
        world.start_feed(venue)
        world.cash(venue, 10_000 * E6)
    return world


def field_of(intent: Words, name: str) -> int:
    """A cell of an intent by name."""
    return int(intent[cell(INTENT, name)])


CHEAP = ((400_000, 100 * E6),), ((410_000, 100 * E6),)
DEAR = ((500_000, 80 * E6),), ((510_000, 80 * E6),)


def detector_of(world: World, epoch: int = 1) -> Detector:
    return Detector(world.segment, epoch, gateway_eventfd=-1)


def edge_up(world: World, **fields: int) -> None:
    """YES is cheap at Kalshi: buy there, sell at Polymarket."""
    world.quote(0, KALSHI, *CHEAP, **fields)
    world.quote(1, POLYMARKET, *DEAR)


def edge_down(world: World) -> None:
    """YES is cheap at Polymarket."""
    world.quote(0, KALSHI, *DEAR)
    world.quote(1, POLYMARKET, *CHEAP)
