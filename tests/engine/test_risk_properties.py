"""No sequence of quotes, intents and reports passes a cap: the detector's memory beside a count of
our own, which knows only what went out and what came back."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine import cells as c
from shm_layout import BUY, E6, K_ACCOUNT, QUOTE, REPORT, Words
from tests.engine.books import charged_e6
from tests.engine.world import MS, World, detector_of, record
from tests.twins.detector import book_of, row_of
from tests.twins.edge import token

KALSHI, POLYMARKET = 0, 1
VENUE = (0, 1, 0, 1, 0, 1, 1, 0)  # of instruments 0 to 7
EVENT = (1, 1, 1, 1, 2, 2, 2, 3)
ASSET = (1, 1, 1, 1, 1, 1, 2, 2)
PAIRS = ((0, 1, 1), (2, 3, 0), (4, 5, 1), (6, 7, 1), (0, 3, 1))  # a, b, same
CAPS = {
    "order_max_e6": 30 * E6, "market_max_e6": 60 * E6, "event_max_e6": 100 * E6,
    "asset_max_e6": 150 * E6, "venue_max_e6": 110 * E6, "total_max_e6": 180 * E6,
    "unhedged_max_e6": 70 * E6,
}  # fmt: skip
CASH_E6 = 130 * E6


@dataclass(eq=False)
class Flight:
    """An intent that went out, and which of its legs came back."""

    body: Words
    cash: tuple[int, int]
    places: tuple[int, int]
    known: set[int] = field(default_factory=set)


class Count:
    """Dollars at risk, added up anew at each question."""

    def __init__(self, caps: dict[str, int]) -> None:
        self.caps = caps
        self.held: dict[int, list[int]] = defaultdict(lambda: [0, 0])  # net contracts, their cost
        self.free = [CASH_E6, CASH_E6]
        self.flights: dict[int, Flight] = {}

    def at_risk(self, places: set[int]) -> int:
        """What is held there at cost, and the worst of what is out and not known."""
        total = sum(min(cost, abs(net)) for one in places for net, cost in (self.held[one],))
        return total + sum(
            cash
            for flight in self.flights.values()
            for leg, (place, cash) in enumerate(zip(flight.places, flight.cash, strict=True))
            if place in places and leg not in flight.known
        )

    def check(self) -> None:
        """Every cap, whatever the detector thinks."""
        whole = set(range(len(VENUE)))
        assert self.at_risk(whole) <= self.caps["total_max_e6"], "total"
        for place in whole:
            assert self.at_risk({place}) <= self.caps["market_max_e6"], "market"
        for name, groups in (("venue", VENUE), ("event", EVENT), ("asset", ASSET)):
            for group in set(groups):
                members = {place for place in whole if groups[place] == group}
                assert self.at_risk(members) <= self.caps[f"{name}_max_e6"], name
        for venue in (KALSHI, POLYMARKET):
            out = sum(
                cash for flight in self.flights.values()
                for leg, (place, cash) in enumerate(zip(flight.places, flight.cash, strict=True))
                if VENUE[place] == venue and leg not in flight.known
            )  # fmt: skip
            assert out <= self.free[venue], "cash"
        alone = sum(max(flight.cash) for flight in self.flights.values())
        assert alone <= self.caps["unhedged_max_e6"], "unhedged"


class Histories(RuleBasedStateMachine):
    """Quotes come, intents go, and their outcomes come back in any order."""

    published = CAPS
    counted = CAPS

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world, self.count = World(), Count(self.counted)
        for place, venue in enumerate(VENUE):
            self.world.instrument(place, venue, EVENT[place], asset=ASSET[place])
        for pair, (a, b, same) in enumerate(PAIRS):
            self.world.pair(pair, a, b, same)
        self.world.parameters(**self.published, edge_min_e6=1_000)
        for venue in (KALSHI, POLYMARKET):
            self.world.start_feed(venue)
            self.world.cash(venue, CASH_E6)
        self.detector = detector_of(self.world)
        self.books: dict[int, Words] = {}
        self.seen = 0

    def quote(self, place: int, middle: int, lots: int) -> None:
        """A book around `middle`, two levels a side."""
        sizes = lots * 10_000, 3 * lots * 10_000
        bids = tuple((middle - (i + 1) * 10_000, sizes[i]) for i in (0, 1))
        asks = tuple((middle + (i + 1) * 10_000, sizes[i]) for i in (0, 1))
        self.books[place] = self.world.quote(place, VENUE[place], bids, asks)

    @rule(
        pair=st.integers(0, len(PAIRS) - 1), middle=st.integers(8, 90), gap=st.integers(-6, 12),
        lots=st.integers(1, 20_000), turn=st.booleans(),
    )  # fmt: skip
    def prices_move_apart(self, pair: int, middle: int, gap: int, lots: int, turn: bool) -> None:
        """Both books of a pair anew, mostly with an edge."""
        a, b, same = PAIRS[pair]
        other = min(max(middle + (gap if turn else -gap), 4), 96)
        self.quote(a, middle * 10_000, lots)
        self.quote(b, (other if same else 100 - other) * 10_000, lots + 50)
        self.step()

    @rule()
    def step(self) -> None:
        for body in self.world.step(self.detector, 30 * MS):
            self.goes_out(body)
        self.count.check()

    def goes_out(self, body: Words) -> None:
        """An intent: each leg within the book and its order cap, its cash enough at the worst."""
        places, cash = [], []
        for leg in (0, 1):
            at = c.N_LEG + leg * c.LEG_CELLS
            place, size = int(body[at + c.L_INSTRUMENT]), int(body[at + c.L_SIZE])
            side, limit = int(body[at + c.L_SIDE]), int(body[at + c.L_LIMIT])
            book = book_of(row_of(QUOTE, self.books[place]))
            levels = book.asks if side == BUY else book.bids
            fits = [n for price, n in levels if (price <= limit if side == BUY else price >= limit)]
            assert 0 < size <= sum(fits), "book"
            price, worst = token(limit, side), int(body[at + c.L_CASH])
            fee, _ = charged_e6(book, [(price, size)])
            assert -(-price * size // E6) + fee <= worst <= self.counted["order_max_e6"], "order"
            places.append(place)
            cash.append(worst)
        self.count.flights[int(body[c.N_ID])] = Flight(
            body, (cash[0], cash[1]), (places[0], places[1])
        )
        self.seen += 1

    def pick(self, choice: int) -> Flight:
        flights = list(self.count.flights.values())
        return flights[choice % len(flights)]

    @precondition(lambda self: self.count.flights)
    @rule(choice=st.integers(0, 99), leg=st.integers(0, 1), share=st.sampled_from((0, 30, 100)))
    def a_leg_comes_back(self, choice: int, leg: int, share: int) -> None:
        """Filled in part or whole at its limit or better; position and cash as they then are."""
        self.bring(self.pick(choice), leg, share)

    def bring(self, flight: Flight, leg: int, share: int) -> None:
        """A leg's outcome, once."""
        if leg in flight.known:
            return
        at = c.N_LEG + leg * c.LEG_CELLS
        size = int(flight.body[at + c.L_SIZE]) * share // 100
        side, limit = int(flight.body[at + c.L_SIDE]), int(flight.body[at + c.L_LIMIT])
        price = max(token(limit, side) - self.chance.choice((0, 0, 10_000)), 1_000)
        cost = min(-(-price * size // E6) + size // 50, flight.cash[leg] * share // 100)
        place = flight.places[leg]
        net, held = self.count.held[place]
        signed = size if side == BUY else -size
        closes = min(abs(net), size) if net * signed < 0 else 0
        opened = cost * (size - closes) // size if size else 0
        kept = held - held * closes // abs(net) if closes else held
        self.count.held[place] = [net + signed, kept + opened]
        venue = VENUE[place]
        self.count.free[venue] -= cost - closes
        flight.known.add(leg)
        self.world.leg(
            flight.body, leg, size, position_e6=net + signed, position_cost_e6=kept + opened,
            account=venue, cash_free_e6=self.count.free[venue],
        )  # fmt: skip
        self.step()

    @precondition(lambda self: self.count.flights)
    @rule(choice=st.integers(0, 99), why=st.sampled_from(("done", "stale", "one_legged")))
    def an_intent_ends(self, choice: int, why: str) -> None:
        """Its one last report; legs that did not come back come now or, of a stale one, never."""
        flight = self.pick(choice)
        for leg in (0, 1):
            if leg not in flight.known and (why != "stale" or flight.known):
                self.bring(flight, leg, 100 if why == "done" else 30)
        del self.count.flights[int(flight.body[c.N_ID])]
        self.world.end(flight.body, why, 0 if why == "stale" and not flight.known else 1)
        self.step()

    @rule(venue=st.integers(0, 1), dollars=st.integers(0, 60))
    def cash_comes_or_goes(self, venue: int, dollars: int) -> None:
        """Never below what is out."""
        out = sum(
            cash for flight in self.count.flights.values()
            for place, cash in zip(flight.places, flight.cash, strict=True)
            if VENUE[place] == venue
        )  # fmt: skip
        self.count.free[venue] = max(out, dollars * E6)
        fields = {"instrument": -1, "account": venue, "cash_free_e6": self.count.free[venue]}
        self.world.append("reports", K_ACCOUNT, record(REPORT, **fields))
        self.step()


few = settings(
    max_examples=40, stateful_step_count=40, deadline=None, derandomize=True,
    suppress_health_check=list(HealthCheck), phases=(Phase.generate,),
)  # fmt: skip


def test_no_history_passes_a_cap() -> None:
    sent = []

    class Sound(Histories):
        def teardown(self) -> None:
            sent.append(getattr(self, "seen", 0))

    run_state_machine_as_test(Sound, settings=few)
    assert sum(sent) > 100, f"{sum(sent)} intents went out"


@pytest.mark.parametrize("cap", sorted(CAPS))
def test_a_cap_that_does_not_hold_is_found(cap: str) -> None:
    """Negative control: the detector is told of four times the cap that we count."""

    class Loose(Histories):
        published = {name: value * 8 for name, value in CAPS.items()} | {cap: CAPS[cap] * 8}
        counted = {name: value * 100 for name, value in CAPS.items()} | {cap: CAPS[cap] // 3}

    wanted = cap.removesuffix("_max_e6")
    with pytest.raises(AssertionError, match=wanted):
        run_state_machine_as_test(Loose, settings=few)
