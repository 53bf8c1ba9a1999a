"""One intent and everything it is judged on, changed by one test at a time, and judged twice: by
the plain rules and by the compiled last look on a segment that says the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.strategies.table import S_FAIR
from gateway.accounts import Accounts
from gateway.facts import facts_of
from gateway.intake import Intake, market_of
from gateway.intent import REASONED, Intent, Leg, to_cells
from gateway.kalshi import KalshiVenue
from gateway.memory import RATE_AT, Memory
from gateway.params import DeskParams
from gateway.polymarket import PolymarketVenue
from gateway.ports import NO, YES, Market, Placing
from gateway.throttle import RATE_CELLS, Bucket, OrderRate
from ops.last_look import last_look
from shm_layout import (
    ACTIVE,
    BODY,
    BUY,
    CONTROL,
    FEED_ROLE,
    GATE,
    HALTED,
    KIND_COMPLEMENT,
    KIND_MODEL,
    LIVE_EPOCH_AT,
    MARKET_TERMS,
    NO_INSTRUMENT,
    QUOTE,
    REASONS,
    ROLE,
    SELL,
    SPOT,
    STRATEGY,
    Segment,
    cell,
    word_store,
)
from tests.gateway.scene import EPOCH, KALSHI, POINT_RULE, POLY, Scene, fee, legal_size
from tests.twins.guard import Look, Standing, check, cost_e6
from tests.twins.guard_bet import Price

SIZE = 10_000_000
NOW = 10**15
SPOT_FEED, SPOT_SLOT, INDEX_SLOT = 3, 4, 5  # of a bet's market
PRICE = 80_000 * 10**8
BET_BY = 9  # the strategy of a bet
CLOSE_NS = 400 * 10**9  # run time of a bet's close: that of its price is 0
SET = 2, 3, 4, 1  # instruments of a set
SEGMENT = Segment.private()
ELSEWHERE = Market(9, 1, "polymarket_us", 5, 77, "else", 0, "", "0", "0", 2, 9)


@dataclass(slots=True)
class Row:
    """A row of the pairs. `more`: the further markets of a set."""

    same: int = 1
    approved: int = 1
    a: int = 0
    b: int = 1
    barred: int = 0
    more: tuple[int, ...] = ()
    generation: int = 1

    @property
    def legs(self) -> tuple[tuple[int, int], ...]:
        """Instrument and generation of each market."""
        numbers = (self.a,) if self.b == NO_INSTRUMENT else (self.a, self.b, *self.more)
        return tuple((number, self.generation) for number in numbers)


@dataclass(slots=True)
class Case:
    """Everything a judge is given. `sent`: orders of the last second."""

    intent: Intent
    looks: list[Look]
    standing: Standing
    accounts: Accounts
    params: DeskParams
    sent: int = 0
    rates: tuple[int, int, int] = (10, 100, 1_000)
    sent_ns: int = NOW

    def plain(self) -> int:
        """What the plain rules say."""
        rate = OrderRate(*self.rates)
        rate.add(self.sent, self.sent_ns)
        return check(
            self.intent,
            self.looks,
            self.standing,
            self.accounts,
            rate,
            self.params,
            legal_size,
            fee,
            NOW,
        )

    def compiled(self, segment: Segment) -> int:
        """What one call of the last look says, of a segment that shows the same."""
        self._show(segment)
        memory = self._remember()
        memory.intent(to_cells(self.intent))
        return int(last_look(segment.words, memory.words, NOW))

    def _show(self, segment: Segment) -> None:
        """State, feeds and slots."""
        words, killed = segment.words, self.standing.state < HALTED
        word_store(words, segment.at("kill"), int(killed))
        state = ACTIVE if killed else self.standing.state
        word_store(words, segment.at("control") + cell(CONTROL, "trading_state"), state)
        word_store(words, segment.at("gate") + cell(GATE, "state"), ACTIVE)
        for look in self.looks:
            feed, instrument = look.leg.venue, look.leg.instrument
            if not (0 <= feed < 2 and 0 <= instrument < 5):
                continue
            word_store(words, LIVE_EPOCH_AT + FEED_ROLE + feed, look.alive_epoch)
            beat = segment.at("roles", FEED_ROLE + feed) + cell(ROLE, "beat_ns")
            word_store(words, beat, NOW)
            at = segment.at("quotes", instrument)
            if look.quote is None:
                word_store(words, at, 1)  # a writer died in the middle
            else:
                segment.write("quotes", instrument, np.array(look.quote, np.int64))
        price = self.standing.price or Price(None, EPOCH)
        word_store(words, LIVE_EPOCH_AT + FEED_ROLE + SPOT_FEED, price.alive_epoch)
        word_store(words, segment.at("roles", FEED_ROLE + SPOT_FEED) + cell(ROLE, "beat_ns"), NOW)
        for slot in (SPOT_SLOT, INDEX_SLOT):
            if price.cells is None:
                word_store(words, segment.at("spot", slot), 1)
            else:
                segment.write("spot", slot, np.array(price.cells, np.int64))
        row = np.zeros(BODY, np.int64)
        row.view(STRATEGY)[0]["values"][S_FAIR] = price.is_formula
        segment.write("strategies", BET_BY, row)
        if price.terms is None:
            word_store(words, segment.at("market_terms", KALSHI), 1)
        else:
            segment.write("market_terms", KALSHI, np.array(price.terms, np.int64))

    def _remember(self) -> Memory:
        """The desk's numbers, told as the desk tells them."""
        memory = Memory(self.params)
        self.accounts.memory = memory
        gone = [look.leg.instrument for look in self.looks if look.market is None]
        for number, market in self.accounts.markets.items():
            if number not in gone:
                memory.market(market)
                self.accounts.refresh(number)
        for look in self.looks:
            if look.bucket is not None and 0 <= look.leg.venue < 2:
                memory.venue(
                    look.leg.venue,
                    nets=look.leg.venue == KALSHI,
                    order_cost=look.order_cost,
                    bucket=look.bucket,
                )
            elif 0 <= look.leg.venue < 2:  # nothing may be sent there
                none = Bucket(rate=1, burst=1, reserve=0, level_n=0, at_ns=NOW)
                nets = look.leg.venue == KALSHI
                memory.venue(look.leg.venue, nets=nets, order_cost=1, bucket=none)
        rate = OrderRate(*self.rates, cells=memory.cells[RATE_AT : RATE_AT + RATE_CELLS])
        rate.add(self.sent, self.sent_ns)
        for look in self.looks:
            if look.is_blocked:
                memory.block(look.leg.instrument, True)
        standing, pair = self.standing, self.standing.pair
        if pair is not None:
            memory.pair(0, pair.same, pair.approved, pair.barred, pair.legs)
        for slot in (SPOT_SLOT, INDEX_SLOT):
            memory.slot(slot, SPOT_FEED)
        memory.pause({0} if standing.is_paused else set())
        memory.standing(unhedged_e6=standing.unhedged_e6, open_intents=standing.open_intents)
        memory.journal(standing.journal_failed)
        if standing.is_duplicate:
            legs = [number for leg in self.intent.legs for number in leg]
            memory.sent(0, self.intent.direction, legs, len(self.intent.legs), NOW - 1)
        return memory

    def reason(self) -> str:
        """What both say."""
        why = self.plain()
        found = self.compiled(SEGMENT)
        assert REASONS[found] == REASONS[why], f"compiled {REASONS[found]}, plain {REASONS[why]}"
        return REASONS[why]

    def leg(self, place: int, **changed: int) -> None:
        """Change a leg, and what its venue makes of it."""
        leg = self.looks[place].leg._replace(**changed)
        placing = placed(leg)
        self.looks[place] = fresh(self.looks[place]._replace(leg=leg, placing=placing))
        self.intent = self.intent._replace(legs=tuple(look.leg for look in self.looks))

    def drop(self, place: int) -> None:
        """Without one leg."""
        del self.looks[place]
        self.intent = self.intent._replace(legs=tuple(look.leg for look in self.looks))

    def told(self, **changed: int) -> None:
        """Change what a bet says it was decided on."""
        reasons = dict(zip(REASONED, self.intent.reasons, strict=True)) | changed
        self.intent = self.intent._replace(reasons=tuple(reasons.values()))

    def price(self, **changed: int) -> None:
        """Change cells of the price as it stands now."""
        assert self.standing.price is not None
        cells = list(self.standing.price.cells or [])
        for name, value in changed.items():
            cells[cell(SPOT, name)] = value
        price = self.standing.price._replace(cells=cells)
        self.standing = self.standing._replace(price=price)

    def terms(self, **changed: int) -> None:
        """Change cells of what the model last said."""
        assert self.standing.price is not None
        cells = list(self.standing.price.terms or [])
        for name, value in changed.items():
            cells[cell(MARKET_TERMS, name)] = value
        self.standing = self.standing._replace(price=self.standing.price._replace(terms=cells))

    def quote(self, place: int, **changed: int) -> None:
        """Change cells of a quote."""
        quote = list(self.looks[place].quote or [])
        for name, value in changed.items():
            quote[cell(QUOTE, name)] = value
        self.looks[place] = fresh(self.looks[place]._replace(quote=quote))


def fresh(look: Look) -> Look:
    """With the facts and the cost of its quote, as the desk fills them in."""
    assert look.quote is not None
    facts = facts_of(look.quote)
    return look._replace(facts=facts, cost_e6=cost_e6(look.leg, fee, facts))


def placed(leg: Leg) -> Placing:
    """As its venue sees it where nothing is held."""
    if leg.venue == KALSHI or leg.side == BUY:
        return Placing(YES, leg.side, leg.limit_e6)
    return Placing(NO, BUY, 1_000_000 - leg.limit_e6)


def case() -> Case:
    """BUY 10 at Kalshi 0.42, SELL 10 at Polymarket 0.50, everything as decided."""
    scene = Scene()
    accounts = Accounts(
        [ELSEWHERE],
        {"polymarket_us": True, "kalshi": KalshiVenue.nets, "polymarket": PolymarketVenue.nets},
    )
    looks, intake = [], Intake(scene.segment, -1)
    rows = intake._table("instruments", 2)  # a case is made thousands of times
    for row, (place, side, limit) in zip(
        rows, ((KALSHI, BUY, 420_000), (POLY, SELL, 500_000)), strict=True
    ):
        market = market_of(row)
        assert market.instrument == place
        accounts.add_market(market)
        accounts.cash[place].cash_e6 = 1_000_000_000
        quote = intake.quote(place)
        assert quote is not None
        quote[cell(QUOTE, "recv_ns")] = NOW - 1_000
        leg = Leg(place, place, 1, side, limit, SIZE, 0, 1, EPOCH, 1)
        placing = Placing(YES, BUY, limit) if place == KALSHI else Placing(NO, BUY, limit)
        bucket = Bucket(rate=100, burst=100, reserve=20)
        tokens = 10 if place == KALSHI else 1
        looks.append(fresh(Look(leg, market, quote, EPOCH, placing, bucket, tokens, None, 0)))
    intent = Intent(
        9, 0, 0, 0, 0, 0, 0, NOW - 500, NOW - 900, 0, NOW + 1_000, 0, NOW - 800,
        tuple(look.leg for look in looks),
    )  # fmt: skip
    standing = Standing(ACTIVE, False, Row(), 0, 0, False, False)
    return Case(intent, looks, standing, accounts, DeskParams())


def a_set(count: int = 3, direction: int = 0, venue: int = KALSHI) -> Case:
    """Ten of each of so many outcomes of one venue: all bought for 0.90 together, or all sold for
    1.20 (their NO bought for n − 1.20).
    """
    c = case()
    base, side = c.looks[venue], SELL if direction else BUY
    limit = ((1_200_000 if direction else 900_000) // count) // 10_000 * 10_000
    assert base.market is not None and base.quote is not None
    c.looks = []
    for number in SET[:count]:
        market = replace(base.market, instrument=number, ticker=f"set-{number}")
        c.accounts.add_market(market)
        quote = list(base.quote)
        quote[cell(QUOTE, "instrument")] = number
        leg = Leg(venue, number, 1, side, limit, SIZE, 0, 1, EPOCH, 1)
        look = base._replace(leg=leg, market=market, quote=quote, placing=placed(leg))
        c.looks.append(fresh(look))
    legs = tuple(look.leg for look in c.looks)
    c.intent = c.intent._replace(kind=KIND_COMPLEMENT, direction=direction, legs=legs)
    a, b, *more = SET[:count]
    c.standing = c.standing._replace(pair=Row(same=0, a=a, b=b, more=tuple(more)))
    return c


def bet() -> Case:
    """BUY 10 at Kalshi 0.42 that our model holds for worth 0.50, spot and strike at 80,000."""
    c = case()
    c.drop(POLY)
    market = c.looks[0].market
    assert market is not None
    market = replace(market, spot_slot=SPOT_SLOT, index_slot=INDEX_SLOT, rule=POINT_RULE)
    c.looks[0] = c.looks[0]._replace(market=market)
    c.accounts.add_market(market)
    cells, terms = [0] * BODY, [0] * BODY
    says = {"instrument": KALSHI, "generation": 1, "number": 3, "valid_until_ns": NOW,
            "strike_e8": PRICE, "close_epoch_ns": CLOSE_NS, "spot_slot": SPOT_SLOT,
            "basis_e8": 10**8, "basis_sd_e8": 10**9, "sigma_e12": 10**8}  # fmt: skip
    for name, value in says.items():
        terms[cell(MARKET_TERMS, name)] = value
    told = {"epoch": EPOCH, "recv_ns": NOW - 1_000, "last_e8": 7, "bid_e8": PRICE - 1,
            "ask_e8": PRICE + 1, "number": 9}  # fmt: skip
    for name, value in told.items():
        cells[cell(SPOT, name)] = value
    reasons = (BET_BY, 500_000, 700_000, 0, SPOT_SLOT, 9, EPOCH, PRICE)
    c.intent = c.intent._replace(kind=KIND_MODEL, reasons=reasons)
    row = Row(a=KALSHI, b=NO_INSTRUMENT)
    c.standing = c.standing._replace(pair=row, price=Price(cells, EPOCH, terms))
    return c
