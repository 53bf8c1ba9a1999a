"""What the model hears of prices: of products and indices, how far they are apart, how much they
move.

An index is its relay's; where that is dead, silent or not trusted, what its exchanges make of it
(engine/exchanges.py), and where those are too few nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine import cells as c
from engine.basis import Basis
from engine.candles import Candles
from engine.exchanges import Exchange, Price, Spot, StandIn
from engine.fair_rules import POINT, TWAP, Rule
from engine.sigma import Sigma
from engine.ticks import MEAN_S, MEANS, Ticks
from shm_layout import E8, INDEX, NONE_NS, Words, cell

APART_NS = 2_000_000_000  # stamps of two prices that are held against each other
RELAY_AGE_NS = 5_000_000_000  # since a relay was heard
RELAY_LATE_NS = 15_000_000_000  # since the stamp of what it told: what comes is not of now
_MEAN_AT, _MEAN_END_AT, _SOURCE_AT = (cell(INDEX, n) for n in ("mean_e8", "mean_end_ns", "source"))


class Prices:
    """By slot of the block `spot`. `exchanges`: of each index, those that stand in for it."""

    def __init__(self, exchanges: Mapping[int, tuple[Exchange, ...]]) -> None:
        self._spots: dict[int, Spot] = {}
        self._ticks: dict[int, Ticks] = {}
        self._sigmas: dict[int, Sigma] = {}
        self._bases: dict[tuple[int, int], Basis] = {}  # (index slot, spot or index slot)
        self._stand_ins = {index: StandIn(index, found) for index, found in exchanges.items()}
        self._candles = Candles()

    # ---- what comes in

    def history(self, slot: int, sigma_annual: float) -> None:
        """The start-up volatility of a product."""
        self._sigmas.setdefault(slot, Sigma()).history(sigma_annual)

    def spot(self, body: Words, now_ns: int) -> None:
        """An entry of a product."""
        slot = int(body[c.X_PRODUCT])
        self._candles.take(slot, body)
        spot = self._spots.setdefault(slot, Spot())
        if spot.take(body, now_ns):
            self._sigmas.setdefault(slot, Sigma()).take(spot.price, spot.at_ns)

    def index(self, body: Words, now_ns: int) -> bool:
        """An entry of an index; whether it is a new value. One that is not trusted ends the trust
        in those before it."""
        slot, source = int(body[c.X_PRODUCT]), int(body[_SOURCE_AT])
        ticks = self._ticks.setdefault(slot, Ticks())
        if body[c.X_TRUST]:
            ticks.lost()
            return False
        if source in MEANS:
            ticks.take_mean(int(body[_MEAN_AT]), int(body[_MEAN_END_AT]))
            return False
        before_ns, at_ns = ticks.at_ns, int(body[c.X_EVENT])
        ticks.take(source, int(body[c.X_VALUE]), at_ns, now_ns)
        if ticks.at_ns == before_ns:
            return False
        self._sigmas.setdefault(slot, Sigma()).take(ticks.value_e8 / E8, at_ns)
        return True

    def compare(self, slot: int, leads: Iterable[int], beside: Iterable[tuple[int, int]]) -> None:
        """A new value of an index against the products that lead it and make it, and against the
        other index of each of these pairs."""
        ticks, others = self._ticks[slot], set(leads) - {NONE_NS}
        value, at_ns = ticks.value_e8 / E8, ticks.at_ns
        if slot in self._stand_ins:
            others.update(one.slot for one in self._stand_ins[slot].exchanges)
        for other in others:
            spot = self._spots.get(other)
            if spot is not None and abs(at_ns - spot.at_ns) <= APART_NS:
                self._bases.setdefault((slot, other), Basis()).take(value, spot.price, at_ns)
        for a, b in beside:
            one, two = (self._ticks.get(leg, Ticks()) for leg in (a, b))
            if a != b and abs(one.at_ns - two.at_ns) < APART_NS:
                basis = self._bases.setdefault((b, a), Basis())
                basis.take(two.value_e8 / E8, one.value_e8 / E8, at_ns)

    def look(self, now_ns: int, run_ns: int) -> None:
        """Make the composites of now, also where a relay is heard: how far they are from each
        exchange must be known when it is not."""
        for stand_in in self._stand_ins.values():
            stand_in.look(self._spots, self._bases, now_ns, run_ns)

    # ---- what is known

    def price(self, index: int, leads: int, now_ns: int, run_ns: int) -> Price | None:
        """What an index is now. Of a candle (`index` is a product) that product's own price."""
        own = self._spots.get(index)
        if own is not None:
            found = Price(slot=index, price=own.price, at_ns=own.at_ns)
            return found if own.is_fresh(now_ns) else None
        ticks, spot = self._ticks.get(index, Ticks()), self._spots.get(leads)
        is_heard = ticks.heard_ns > 0 and now_ns - ticks.heard_ns <= RELAY_AGE_NS
        if not is_heard or run_ns - ticks.at_ns > RELAY_LATE_NS:
            stand_in = self._stand_ins.get(index)
            return stand_in.price(self._spots, leads, now_ns) if stand_in else None
        basis = self._bases.get((index, leads))
        if spot and basis and basis.is_known and spot.is_fresh(now_ns):
            return Price(
                slot=leads, price=spot.price + basis.level, at_ns=spot.at_ns, level=basis.level,
                error=basis.sd(spot.price),
            )  # fmt: skip
        return Price(slot=index, price=ticks.value_e8 / E8, at_ns=ticks.at_ns)

    def opened_e8(self, rule: Rule, index: int, open_ns: int) -> int | None:
        """What a rule takes at the start of a window. None: it was not heard."""
        ticks, open_s = self._ticks.get(index, Ticks()), open_ns // 10**9
        if rule.kind == TWAP:  # the means that are published are of a minute
            return ticks.mean_at(open_ns) if rule.n == MEAN_S else None
        if rule.kind != POINT:
            return None
        if index in self._spots:
            return self._candles.opened_e8(index, open_ns)
        value_e8, count, _ = ticks.known(range(open_s, open_s + 1))
        return value_e8 if count else None

    def known(self, index: int, stamps: range) -> tuple[int, int, int]:
        """`Ticks.known` of an index: what its relay told, and nothing else."""
        return self._ticks.get(index, Ticks()).known(stamps)

    def sigma(self, slot: int, leads: int) -> float:
        """Volatility of a product or index per root second; 0: not known. One without a history
        starts from that of the product which leads it."""
        found, lead = self._sigmas.get(slot), self._sigmas.get(leads)
        if found is not None and lead is not None:
            found.begin_as(lead)
        return found.per_root_second if found is not None else 0.0

    def usual(self, slot: int, leads: int) -> float | None:
        """What is usual for the volatility in `slot`: the product's history, else that of the one
        which leads it. 0: neither has one. None: that volatility itself is only assumed."""
        found, lead = self._sigmas.get(slot), self._sigmas.get(leads)
        if found is None or not found.is_known:
            return None
        return found.usual or (lead.usual if lead is not None else 0.0)

    def basis(self, one: int, other: int) -> Basis:
        """How far two indices are apart."""
        return self._bases.get((one, other), Basis())

    @property
    def missing(self) -> int:
        """Seconds of all indices that did not come."""
        return sum(ticks.missing for ticks in self._ticks.values())
