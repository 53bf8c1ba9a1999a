"""Sets of the seeded world: markets of one venue that settle against each other. A layer over its
other events; draws are of this layer alone.

A game of two teams and a ladder of two strikes at Kalshi, a question with three answers at
Polymarket (neg-risk, of its own exchange contract). What their makers think adds up, until one of
them errs for a while: then the set pays some cents over all fees one way, and the quotes come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS
from ops.venues.script import ASK, BID, Event, MarketSpec, SetSpec
from ops.venues.world_cast import LINEAR_CENT, Quoting, kalshi_market, polymarket_market
from ops.venues.world_chance import Chance
from ops.venues.world_maker import Maker

STEP_NS = 100 * MS_NS
_CHUNK_NS = 4 * SECOND_NS
_CHUNKS_FROM = -(2 * 10**9)
_DAY_NS = 86_400 * SECOND_NS
_FIRST_STEPS, _GAP_STEPS = 25, 60  # until the first error of a maker, and the mean between two
_QUOTING = Quoting(lag_ms=0, half_e6=7_000, levels=6, spacing=1, size_e6=150_000_000, churn_ms=0)
_CHURN_ONE_IN = 4  # steps
_HOMES = ((560_000, 440_000), (520_000, 470_000), (600_000, 280_000, 120_000))
_NEAR_E6 = 40_000  # how far what is thought strays from there
_OVER_E6 = 10_000, 40_000  # what an error pays over all fees


def _specs(begin_epoch_ns: int) -> tuple[tuple[MarketSpec, ...], ...]:
    close = datetime.fromtimestamp(begin_epoch_ns // SECOND_NS, UTC) + timedelta(days=1)
    close = close.replace(minute=close.minute // 15 * 15, second=0)
    stamp, when = close.strftime("%y%b%d").upper(), int(close.timestamp()) * SECOND_NS
    game, gas = f"KXNFLGAME-{stamp}KCBUF", f"KXAAAGASW-{stamp}"
    sets = (
        (kalshi_market(f"{game}-KC", "Kansas City at Buffalo: Kansas City wins", LINEAR_CENT, 3),
         kalshi_market(f"{game}-BUF", "Kansas City at Buffalo: Buffalo wins", LINEAR_CENT, 3)),
        (kalshi_market(f"{gas}-3.100", "US gas price above $3.10", LINEAR_CENT, 0,
                       strike_e8=310_000_000, strike_type="greater"),
         kalshi_market(f"{gas}-3.120", "US gas price above $3.12", LINEAR_CENT, 0,
                       strike_e8=312_000_000, strike_type="greater")),
        tuple(polymarket_market(f"fed-{what}-march-2027", f"Fed {what} in March 2027?", 10_000,
                                40_000, neg_risk=True) for what in ("holds", "cuts", "hikes")),
    )  # fmt: skip
    return tuple(
        tuple(
            replace(spec, event=specs[0].event if spec.venue == "kalshi" else "fed-march-2027",
                    open_epoch_ns=begin_epoch_ns - _DAY_NS, close_epoch_ns=when)
            for spec in specs
        )
        for specs in sets
    )  # fmt: skip


def set_markets(begin_epoch_ns: int) -> tuple[MarketSpec, ...]:
    """Their markets, in the order of the script."""
    return tuple(spec for specs in _specs(begin_epoch_ns) for spec in specs)


def set_specs(begin_epoch_ns: int) -> tuple[SetSpec, ...]:
    """What the registries say of them."""
    game, ladder, answers = (tuple(spec.ticker for spec in of) for of in _specs(begin_epoch_ns))
    return (
        SetSpec(venue="kalshi", tickers=game, is_exclusive=True, is_exhaustive=True, hurdle_e6=0),
        SetSpec(venue="kalshi", tickers=ladder, way="ladder", hurdle_e6=0),
        SetSpec(venue="polymarket", tickers=answers, is_exclusive=True, is_exhaustive=True,
                hurdle_e6=0),
    )  # fmt: skip


@dataclass(slots=True)
class _Set:
    """One of them while it plays."""

    makers: tuple[Maker, ...]
    homes: tuple[int, ...]
    is_ladder: bool
    fairs: list[int]
    wrong: int = -1  # the maker who errs
    by_e6: int = 0
    steps: int = 0  # until that ends

    def thought_e6(self, place: int) -> int:
        """What a maker quotes around."""
        wrong_e6 = self.by_e6 if place == self.wrong else 0
        return min(max(self.fairs[place] + wrong_e6, 30_000), 970_000)

    def left_e6(self, side: int) -> int:
        """What a contract of each leaves at the touches after fees, all bought (ASK) or all sold;
        of a ladder the lower strike bought, the higher sold."""
        sides = [ASK, BID] if self.is_ladder else [side] * len(self.makers)
        pays = ONE_E6 if self.is_ladder or side == ASK else (len(self.makers) - 1) * ONE_E6
        for maker, taken in zip(self.makers, sides, strict=True):
            price = maker.price_e6(taken)
            pays -= price if taken == ASK else ONE_E6 - price
            pays -= -(-maker.fee_rate_e6 * price * (ONE_E6 - price) // 10**12)
        return pays


class SetMotion:
    """The layer. `over` may be called once; `first`: number of their first market."""

    def __init__(self, seed: int, first: int, begin_epoch_ns: int) -> None:
        self._seed, self._begin_epoch_ns = seed, begin_epoch_ns
        self._due_ns = begin_epoch_ns + STEP_NS
        self._chunk, self._chance = -1, Chance(seed, _CHUNKS_FROM + 1)
        self._sets = []
        for specs, homes in zip(_specs(begin_epoch_ns), _HOMES, strict=True):
            makers = tuple(Maker(first + at, spec, _QUOTING) for at, spec in enumerate(specs))
            is_ladder = specs[0].strike_e8 is not None
            self._sets.append(_Set(makers, homes, is_ladder, list(homes)))
            first += len(specs)
        self._gaps, self._wait = 0, _FIRST_STEPS

    def over(self, events: Iterable[Event]) -> Iterator[Event]:
        """All events of `events`, which is endless, and between them those of this layer."""
        for one in self._sets:
            for place, maker in enumerate(one.makers):
                yield maker.begin(self._begin_epoch_ns, one.thought_e6(place), self._chance)
        for event in events:
            while self._due_ns <= event.at_epoch_ns:
                yield from self._step(self._due_ns)
                self._due_ns += STEP_NS
            yield event

    def _step(self, at_epoch_ns: int) -> Iterator[Event]:
        chunk = (at_epoch_ns - self._begin_epoch_ns) // _CHUNK_NS
        if chunk != self._chunk:
            self._chunk, self._chance = chunk, Chance(self._seed, _CHUNKS_FROM - chunk)
        self._wait -= 1
        if self._wait <= 0:
            self._wait = 10 + self._chance.wait(_GAP_STEPS)
            self._err(self._sets[self._gaps % len(self._sets)])
            self._gaps += 1
        for one in self._sets:
            yield from self._quote(one, at_epoch_ns)

    def _err(self, one: _Set) -> None:
        """A maker is wrong by just so much that the set pays."""
        chance = self._chance
        side = ASK if one.is_ladder or chance.coin() else BID
        missing_e6 = chance.between(*_OVER_E6) + 2_000 - one.left_e6(side)
        one.wrong = 0 if one.is_ladder else chance.below(len(one.makers))
        one.by_e6 = -missing_e6 if side == ASK else missing_e6
        one.steps = chance.between(5, 25)

    def _quote(self, one: _Set, at_epoch_ns: int) -> Iterator[Event]:
        chance = self._chance
        self._stray(one)
        if one.steps > 0:
            one.steps -= 1
            if one.steps == 0:
                one.wrong = -1
        for place, maker in enumerate(one.makers):
            thought_e6 = one.thought_e6(place)
            if maker.moves_for(thought_e6):
                yield from maker.requote(at_epoch_ns, thought_e6, chance)
            elif chance.below(_CHURN_ONE_IN) == 0:
                yield from maker.churn(at_epoch_ns, chance)

    def _stray(self, one: _Set) -> None:
        """What is thought of the first outcome moves, and of the last one the other way; of a
        ladder both move together."""
        home, chance = one.homes[0], self._chance
        moved = one.fairs[0] + chance.bell(1_200) + (home - one.fairs[0]) // 64
        moved = min(max(moved, home - _NEAR_E6), home + _NEAR_E6)
        by = moved - one.fairs[0]
        one.fairs[0] = moved
        one.fairs[1] += by if one.is_ladder else -by

