"""The model: slow terms of every market whose settlement rule is known, and of every pair of them.

Reads the rings' entries and publishes with a term of validity: a market whose index nothing tells
any longer (engine/prices.py) is published no more, and what was said of it expires by itself. Slots
are read once, at the start: what identities, strikes and a predecessor's strikes were told before.
Floats are for what is likely; what comes off money is rounded against us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot, isnan
from types import MappingProxyType

import numpy as np

from engine import cells as c
from engine import gather as g
from engine.exchanges import COMPOSITE, RELAY, Exchange, Price
from engine.fair_rules import (
    AT_LEAST,
    AT_MOST,
    BELOW,
    BETWEEN,
    UNKNOWN,
    Rule,
    rule_from,
    stamps,
)
from engine.ladder import OFF, Rung, ladder_sum
from engine.outlook import Outlook, Start, outlook_of, pair_terms
from engine.prices import Prices
from engine.tilt import NO_HABITS, Habits, Tilt
from shm_layout import (
    BODY,
    COUNTERS,
    DETECTOR,
    E6,
    ENTRY,
    INSTRUMENTS_MAX,
    K_INDEX,
    K_INSTRUMENT,
    K_MARKET,
    K_PAIR,
    K_SPOT,
    K_TERMS,
    MARKET_TERMS,
    MODEL,
    NONE_NS,
    ROLE,
    ROLE_CELLS,
    ROLES_AT,
    TERMS,
    Segment,
    Words,
    bell_ring,
    cell,
    ring_adopt,
    ring_append,
    ring_tail,
    run_epoch_ns,
    slot_load,
    slot_store,
    word_store,
)

EVERY_NS = 250_000_000  # between two rounds of terms
VALID_NS = 2_000_000_000  # of one round: eight may be missed
ROWS_MAX = 4096  # price entries of one step
E8 = 1e8
COUNTERS_AT = ROLES_AT + MODEL * ROLE_CELLS + cell(ROLE, "counters")
NAMES = COUNTERS["model"]


@dataclass(slots=True)
class Market:
    """A market with a settlement rule. `strike_e8` None: not told yet."""

    instrument: int
    generation: int
    rule: Rule
    open_ns: int
    index_slot: int
    spot_slot: int
    cap_e8: int = 0  # of a range, or the strike of what pays below it; 0: none
    ladder: tuple[int, int] = (0, 0)  # venue and event: the markets that may be one
    strike_e8: int | None = None
    number: int = 0


@dataclass(slots=True)
class _Pair:
    generation: int
    a: int
    b: int
    a_generation: int
    b_generation: int
    is_same: bool
    number: int = 0


class Model:
    """`step` reads and, when it is time, publishes. `histories`: volatility a year by spot slot;
    `exchanges`: of each index slot, those that stand in for its relay; `habits`: what is laid over
    chances."""

    def __init__(
        self,
        segment: Segment,
        histories: Mapping[int, float] = MappingProxyType({}),
        exchanges: Mapping[int, tuple[Exchange, ...]] = MappingProxyType({}),
        habits: Habits = NO_HABITS,
    ) -> None:
        self._segment, self._words = segment, segment.words
        self._entry = np.zeros(ENTRY, np.int64)
        self._facts = np.zeros(INSTRUMENTS_MAX * g.FACT_CELLS, np.int64)
        self._found = np.zeros(ROWS_MAX * g.ROW, np.int64)
        self._lost = np.zeros(2, np.int64)
        self._cursors = np.array([ring_tail(self._words, at) for at in g.RINGS], np.int64)
        self._markets: dict[int, Market] = {}
        self._pairs: dict[int, _Pair] = {}
        self._prices, self._habits = Prices(exchanges), habits
        self._due_ns = 0
        self._counts = dict.fromkeys(NAMES, 0)
        ring_adopt(self._words, segment.at("terms_ring"), segment.entries("terms_ring"))
        self._begin()
        for slot, sigma in histories.items():
            self.history(slot, sigma)

    def history(self, slot: int, sigma_annual: float) -> None:
        """The start-up volatility of a product, from its history."""
        self._prices.history(slot, sigma_annual)
        self._counts["histories"] += 1

    def step(self, now_ns: int) -> int:
        """Everything there is to do now. Returns entries read plus terms written."""
        rows = g.gather(
            self._words, self._cursors, self._entry, self._facts, self._found, self._lost
        )
        for at in range(0, rows * g.ROW, g.ROW):
            self._take(int(self._found[at]), self._found[at + 2 : at + g.ROW], now_ns)
        if now_ns < self._due_ns:
            return int(rows)
        self._due_ns = now_ns + EVERY_NS
        run_ns = int(run_epoch_ns(self._words, now_ns))
        written = self._publish(now_ns, run_ns) if run_ns > 0 else 0
        self._tell()
        return int(rows) + written

    def close(self) -> None:
        """Let go of the segment; what was published expires."""
        self._words = np.zeros(0, np.int64)

    # ---- what comes in

    def _begin(self) -> None:
        """What was told before our time."""
        segment, row = self._segment, np.zeros(BODY, np.int64)
        for block, kind in (("instruments", K_INSTRUMENT), ("pairs", K_PAIR)):
            for index in range(segment.layout.blocks[block].count):
                if slot_load(self._words, segment.at(block, index), row, BODY) > 0:
                    self._take(kind, row, 0)
        for index, market in self._markets.items():
            if slot_load(self._words, segment.at("quotes", index), row, BODY) > 0:
                g.keep_fact(self._facts, row)
            if slot_load(self._words, segment.at("market_terms", index), row, BODY) > 0:
                is_same = row[c.MT_GENERATION] == market.generation
                if is_same and row[c.MT_STRIKE] > 0:  # our predecessor heard the window begin
                    market.strike_e8 = int(row[c.MT_STRIKE])
                market.number = int(row[c.MT_NUMBER])

    def _take(self, kind: int, body: Words, now_ns: int) -> None:
        if kind == K_SPOT:
            self._counts["spots"] += 1
            self._prices.spot(body, now_ns)
        elif kind == K_INDEX:
            self._index(body, now_ns)
        elif kind == K_INSTRUMENT:
            self._instrument(body)
        elif kind == K_PAIR:
            index = int(body[c.P_INDEX])
            known = self._pairs.get(index)
            self._pairs[index] = _Pair(
                generation=int(body[c.P_GENERATION]), a=int(body[c.P_A]), b=int(body[c.P_B]),
                a_generation=int(body[c.P_A_GENERATION]), b_generation=int(body[c.P_B_GENERATION]),
                is_same=bool(body[c.P_SAME]), number=known.number if known else 0,
            )  # fmt: skip

    def _instrument(self, body: Words) -> None:
        index, generation = int(body[c.I_INDEX]), int(body[c.I_GENERATION])
        known = self._markets.get(index)
        if known is not None and known.generation == generation:
            return
        self._markets.pop(index, None)
        try:
            rule = rule_from(int(body[c.I_RULE]))
        except ValueError:
            self._counts["unknown"] += 1
            return
        if rule.kind != UNKNOWN and body[c.I_INDEX_SLOT] >= 0 and body[c.I_LIVE]:
            self._markets[index] = Market(
                index, generation, rule, int(body[c.I_OPEN]), int(body[c.I_INDEX_SLOT]),
                int(body[c.I_SPOT_SLOT]), cap_e8=int(body[c.I_CAP]),
                ladder=(int(body[c.I_VENUE]), int(body[c.I_EVENT])),
                number=known.number if known else 0,
            )  # fmt: skip

    def _index(self, body: Words, now_ns: int) -> None:
        """A new value of an index is held against what leads it, and the indices beside it."""
        self._counts["ticks"] += 1
        slot = int(body[c.X_PRODUCT])
        if not self._prices.index(body, now_ns):
            return
        leads = {m.spot_slot for m in self._markets.values() if m.index_slot == slot}
        beside = {self._indices(pair) for pair in self._pairs.values()}
        self._prices.compare(slot, leads, [legs for legs in beside if slot in legs])

    def _indices(self, pair: _Pair) -> tuple[int, int]:
        a, b = self._markets.get(pair.a), self._markets.get(pair.b)
        return (a.index_slot, b.index_slot) if a and b else (NONE_NS, NONE_NS)

    # ---- what goes out

    def _publish(self, now_ns: int, run_ns: int) -> int:
        self._prices.look(now_ns, run_ns)
        seen: dict[int, Outlook] = {}
        for market in self._markets.values():
            found = self._outlook(market, now_ns, run_ns)
            if found is not None:
                seen[market.instrument] = found
        sums = self._ladders(seen)
        for instrument, outlook in seen.items():
            self._market_terms(self._markets[instrument], outlook, sums.get(instrument), now_ns)
        written = len(seen)
        for index, pair in self._pairs.items():
            a, b = seen.get(pair.a), seen.get(pair.b)
            if a is None or b is None or not (a.is_priced and b.is_priced):
                continue
            if self._markets[pair.a].ladder[0] == self._markets[pair.b].ladder[0]:
                continue  # of one venue: a set settles by one rule on one figure, and has none
            generations = a.generation, b.generation
            if generations == (pair.a_generation, pair.b_generation):
                self._pair_terms(index, pair, a, b, now_ns)
                written += 1
        if written:
            bell_ring(self._words, self._segment.at("bells", DETECTOR), -1)
        return written

    def _outlook(self, market: Market, now_ns: int, run_ns: int) -> Outlook | None:
        """What is known of a market that is open now, or a window to come. None: nothing tells its
        index, or what it asks is not known yet."""
        fact = market.instrument * g.FACT_CELLS
        if self._facts[fact + g.F_GENERATION] != market.generation:
            return None
        close_ns, told = (int(self._facts[fact + at]) for at in (g.F_CLOSE, g.F_STRIKE))
        is_ahead = run_ns < market.open_ns
        if run_ns >= close_ns or (is_ahead and (told > 0 or market.rule.compare != AT_LEAST)):
            return None
        price = self._prices.price(market.index_slot, market.spot_slot, now_ns, run_ns)
        if price is None:
            return None
        if told > 0:  # a venue may put right what it told before
            market.strike_e8 = told
        elif market.strike_e8 is None and not is_ahead:
            market.strike_e8 = self._strike(market)
        known = self._prices.known(market.index_slot, stamps(market.rule, close_ns // 10**9))
        strike = 0.0 if is_ahead else (market.strike_e8 or 0) / E8
        upper = market.cap_e8 / E8
        tilt = self._habits.tilt(
            market.rule.compare, market.index_slot, price.price, strike, upper,
            (close_ns - price.at_ns) / 1e9,
        ) if strike > 0 else Tilt()  # fmt: skip
        return outlook_of(
            market.instrument, market.generation, market.rule, slot=price.slot,
            index=market.index_slot, price=price.price, at_ns=price.at_ns, close_ns=close_ns,
            known=known, basis=price.level, error=price.error, own=price.own,
            sigma=self._prices.sigma(price.slot, market.spot_slot), strike=strike, upper=upper,
            delay_ns=int(self._facts[fact + g.F_DELAY]),
            start=self._start(market, price, close_ns) if is_ahead else None, tilt=tilt,
        )  # fmt: skip

    def _start(self, market: Market, price: Price, close_ns: int) -> Start:
        """Where the strike of a window to come will be taken: as its end is."""
        begin = stamps(market.rule, market.open_ns // 10**9)
        sum_e8, count, _ = self._prices.known(market.index_slot, begin)
        seconds = begin[-1] - price.at_ns / 1e9
        return Start(seconds, (close_ns - market.open_ns) / 1e9, sum_e8, count)

    def _strike(self, market: Market) -> int | None:
        """The strike of a market whose venue does not tell one: the bound below which it pays, or
        what its rule takes at the window's start. None: not known."""
        if market.rule.compare in (BELOW, AT_MOST):
            return market.cap_e8 or None
        if market.rule.compare != AT_LEAST:
            return None
        return self._prices.opened_e8(market.rule, market.index_slot, market.open_ns)

    def _ladders(self, seen: Mapping[int, Outlook]) -> dict[int, float]:
        """What the chances of its ladder sum to, of each market that is on one."""
        events: dict[tuple[int, ...], list[int]] = {}
        for instrument, found in seen.items():
            market = self._markets[instrument]
            key = *market.ladder, found.close_ns, market.index_slot
            events.setdefault(key, []).append(instrument)
        sums = {}
        for members in events.values():
            if all(seen[i].rule.compare != BETWEEN for i in members):
                continue
            rungs = [Rung(seen[i].rule.compare, seen[i].chance(cap=0.0)) for i in members]
            total = ladder_sum(rungs)
            if total is not None:
                sums.update(dict.fromkeys(members, total))
                self._counts["ladders"] += abs(total - 1) > OFF
        return sums

    def _market_terms(
        self, market: Market, found: Outlook, ladder: float | None, now_ns: int
    ) -> None:
        market.number += 1
        row = np.zeros(BODY, np.int64)
        view = row.view(MARKET_TERMS)[0]
        view["instrument"], view["generation"] = market.instrument, market.generation
        view["number"], view["valid_until_ns"] = market.number, now_ns + VALID_NS
        is_known = market.strike_e8 is not None and found.start is None
        is_known = is_known and (ladder is None or abs(ladder - 1) <= OFF)  # else a rung is wrong
        view["strike_e8"] = market.strike_e8 if is_known else NONE_NS
        slope, lift = found.tilt
        view["slope_e6"], view["lift_e6"] = max(round(slope * E6), 1), round(lift * E6)  # 0: none
        view["market_e6"] = round(self._habits.market * E6)
        view["close_epoch_ns"], view["spot_slot"] = found.close_ns, found.slot
        view["basis_e8"], view["basis_sd_e8"] = round(found.basis * E8), round(found.error * E8)
        usual = self._prices.usual(found.slot, market.spot_slot)
        view["sigma_e12"] = round(found.sigma * 1e12)
        view["usual_e12"] = NONE_NS if usual is None else round(usual * 1e12)  # 0: no history
        view["sum_e8"], view["count"], whole_s = found.known
        view["summed_epoch_ns"], view["mean_e8"] = whole_s * 10**9, round(found.mean * E8)
        chance = found.tilted
        view["fair_e6"] = NONE_NS if isnan(chance) else round(chance * E6)
        view["source"] = COMPOSITE if found.own > 0 else RELAY
        view["ladder_e6"] = NONE_NS if ladder is None else round(ladder * E6)
        self._counts["composites"] += found.own > 0
        self._write("market_terms", market.instrument, K_MARKET, row)

    def _pair_terms(self, index: int, pair: _Pair, a: Outlook, b: Outlook, now_ns: int) -> None:
        basis = self._prices.basis(b.index, a.index)
        sd = 0.0 if a.index == b.index else hypot(basis.sd(a.price), a.own, b.own)
        zones, delay_cost = pair_terms(a, b, sd, is_same=pair.is_same)
        pair.number += 1
        row = np.zeros(BODY, np.int64)
        view = row.view(TERMS)[0]
        view["pair"], view["generation"], view["number"] = index, pair.generation, pair.number
        view["valid_until_ns"] = now_ns + VALID_NS
        view["dead_zone_e6"], view["delay_cost_e6"] = zones, delay_cost
        view["basis_e8"], view["basis_sd_e8"] = round(basis.level * E8), round(sd * E8)
        self._write("terms", index, K_TERMS, row)

    def _write(self, block: str, index: int, kind: int, row: Words) -> None:
        """Slot first, then the ring."""
        segment = self._segment
        slot_store(self._words, segment.at(block, index), row, BODY)
        ring, entries = segment.at("terms_ring"), segment.entries("terms_ring")
        ring_append(self._words, ring, entries, kind, row, BODY)
        self._counts[block] += 1

    def _tell(self) -> None:
        """Counters to this role's row."""
        self._counts["steps"] += 1
        self._counts["laps"] = int(self._lost[g.LAPS])
        self._counts["missing"] = self._prices.missing
        for place, name in enumerate(NAMES):
            word_store(self._words, COUNTERS_AT + place, self._counts[name])
