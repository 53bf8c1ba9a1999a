"""Scripts and settings as rows of the segment: instruments, pairs, accounts, parameters. Values in,
cells out.

An instrument's number is its place in the script; its feed is its venue's number; markets of one
event share a small number, events of one index (all of BTC, whatever the window) another; the
account is the row in `cash` that pays. Rows of pairs come first, then those of sets (ops/sets.py),
then those of markets that may be traded alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ops.assets import index_of
from ops.config import Risk, Settings
from ops.series import NO_SERIES, Table
from ops.sets import SetRow, rows_of
from ops.settles import needs_terms, settles_cells
from ops.strategy_rows import strategy_rows
from ops.venues.script import Difference, MarketSpec, PairSpec, Script
from shm_layout import (
    BODY,
    INSTRUMENT,
    K_INSTRUMENT,
    K_PAIR,
    K_PARAMETERS,
    K_STRATEGY,
    NO_INSTRUMENT,
    PAIR,
    PAIRS_MAX,
    PARAMETERS,
    PRODUCTS_MAX,
    VENUES,
    Segment,
    Words,
    ring_append,
    text_to_cells,
    uint256_to_cells,
)

Row = npt.NDArray[np.int64]
GENERATION = 1
OF_PARAMETERS = -1  # PAIR.hurdle_e6: none of its own
YEAR_S = 31_536_000  # 365 days, as in every rate and volatility here
DELAY_ANY_NS = 10**18  # PAIR.delay_max_ns: likewise


@dataclass(frozen=True, slots=True)
class Account:
    """One pot of money: a venue, and at Kalshi one of its exchanges."""

    index: int
    venue: int
    exchange_index: int


class Said(NamedTuple):
    """A pair as people read it, and whether it may be opened."""

    a: str  # venue and ticker
    b: str  # empty: there is none, the market may be traded alone; of a set the others
    is_approved: bool
    differs: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is who in a run."""

    instruments: tuple[Row, ...]
    pairs: tuple[Row, ...]
    parameters: Row
    accounts: tuple[Account, ...]
    instruments_of: Mapping[int, tuple[int, ...]]  # feed index -> its instruments
    # feed -> its spot products (or indices) -> slot
    products: Mapping[str, Mapping[str, int]]
    optional: frozenset[str] = frozenset()  # feeds that nobody waits for
    said: tuple[Said, ...] = ()  # of each pair
    assets: Mapping[str, int] = field(default_factory=dict)  # of each coin that has an index
    series: Table = NO_SERIES  # whose windows come and go while it runs
    has_bets: bool = False  # markets whose settlement rule is known may be traded alone
    strategies: tuple[Row, ...] = ()  # what each is told


def row(of: np.dtype[np.void], **values: int | list[int]) -> Row:
    """A BODY of cells with the named fields set, the rest 0."""
    body = np.zeros(BODY, np.int64)
    view = body.view(of)[0]
    for name, value in values.items():
        view[name] = value
    return body


def identify(
    script: Script,
    settings: Settings,
    optional: Mapping[str, Sequence[str]] = MappingProxyType({}),
    *,
    is_forced: bool = False,
) -> Identity:
    """The tables of one session. `optional`: feeds beside those that the script names, with what
    each writes into slots of its own; a run does not wait for them. A pair whose markets differ is
    not approved, unless `is_forced`. Markets that the model may trade alone follow, as many as
    there are rows for.
    """
    accounts = _accounts(script)
    events = {name: i for i, name in enumerate(dict.fromkeys(m.event for m in script.markets))}
    assets = _assets(script)
    numbers = {(m.venue, m.ticker): i for i, m in enumerate(script.markets)}
    products = _slots({"coinbase": script.products, **optional})
    instruments = tuple(
        instrument_row(
            index, market, events[market.event], assets[market.event], accounts, products
        )
        for index, market in enumerate(script.markets)
    )
    pairs = []
    for index, pair in enumerate(script.pairs):
        a, b = numbers[pair.a_venue, pair.a_ticker], numbers[pair.b_venue, pair.b_ticker]
        pairs.append(pair_row(
            index, instruments[a], instruments[b], same=pair.same,
            is_approved=is_forced or not pair.differs,
            hurdle_e6=OF_PARAMETERS if pair.hurdle_e6 is None else pair.hurdle_e6,
        ))  # fmt: skip
    said = [_said(pair, is_forced=is_forced) for pair in script.pairs]
    for legs, each, hurdle_e6 in _sets(script):
        rows = [instruments[numbers[leg]] for leg in legs]
        pairs.append(set_row(len(pairs), rows, each, hurdle_e6))
        said.append(_set_said(each))
    has_bets = bool(settings.updown.bets)
    for market, body in zip(script.markets, instruments, strict=True):
        if has_bets and may_be_alone(body) and len(pairs) < PAIRS_MAX:
            pairs.append(bet_row(len(pairs), body))
            said.append(Said(f"{market.venue} {market.ticker}", "", True, ()))
    instruments_of: dict[int, tuple[int, ...]] = {}
    for index, market in enumerate(script.markets):
        feed = VENUES.index(market.venue)
        instruments_of[feed] = (*instruments_of.get(feed, ()), index)
    return Identity(
        instruments=instruments,
        pairs=tuple(pairs),
        parameters=parameters_row(settings, number=1),
        strategies=strategy_rows(settings, number=1),
        accounts=accounts,
        instruments_of=instruments_of,
        products=products,
        optional=frozenset(optional),
        said=tuple(said),
        has_bets=has_bets,
        assets={
            index_of(m.index).asset.lower(): assets[m.event] for m in script.markets if m.index
        },
    )


def _sets(script: Script) -> Iterator[tuple[list[tuple[str, str]], SetRow, int]]:
    """Of every row of every set: its markets, itself, its hurdle."""
    found = {(m.venue, m.ticker): m for m in script.markets}
    for spec in script.sets:
        hurdle_e6 = OF_PARAMETERS if spec.hurdle_e6 is None else spec.hurdle_e6
        for each in rows_of(spec, found):
            yield [(leg.venue, leg.ticker) for leg in each.legs], each, hurdle_e6


def _set_said(told: SetRow) -> Said:
    first, *others = told.legs
    names = " + ".join(leg.ticker for leg in others)
    return Said(f"{first.venue} {first.ticker}", names, not told.differs, told.differs)


def _said(pair: PairSpec, *, is_forced: bool) -> Said:
    return Said(
        f"{pair.a_venue} {pair.a_ticker}",
        f"{pair.b_venue} {pair.b_ticker}",
        is_forced or not pair.differs,
        pair.differs,
    )


def pair_row(
    index: int,
    a: Row,
    b: Row,
    *,
    is_approved: bool,
    same: bool = True,
    generation: int = GENERATION,
    hurdle_e6: int = OF_PARAMETERS,
    waits: bool | None = None,
) -> Row:
    """A PAIR of two instruments, with the event of the first. `waits`: for its terms; None: if a
    leg settles on an index.
    """
    one, other = (each.view(INSTRUMENT)[0] for each in (a, b))
    return row(
        PAIR, index=index, generation=generation, a=int(one["index"]), b=int(other["index"]),
        a_generation=int(one["generation"]), b_generation=int(other["generation"]),
        same=int(same), approved=int(is_approved), hurdle_e6=hurdle_e6,
        delay_max_ns=DELAY_ANY_NS, event=int(one["event"]),
        needs_terms=needs_terms(a, b) if waits is None else int(waits),
    )  # fmt: skip


def set_row(index: int, legs: Sequence[Row], told: SetRow, hurdle_e6: int = OF_PARAMETERS) -> Row:
    """A PAIR of two to four instruments of one venue. One of which nothing is sure is not approved.
    It waits for no terms, and while a market holds takers back it is not traded.
    """
    views = [body.view(INSTRUMENT)[0] for body in legs]
    named = {
        name: value
        for leg, one in zip("abcd", views, strict=False)
        for name, value in ((leg, one["index"]), (f"{leg}_generation", one["generation"]))
    }
    return row(
        PAIR, index=index, generation=GENERATION, same=int(told.same), barred=told.barred,
        approved=int(not told.differs), more=len(legs) - 2, event=int(views[0]["event"]),
        hurdle_e6=hurdle_e6,
        **{name: int(value) for name, value in named.items()},
    )  # fmt: skip


def may_be_alone(market: Row) -> bool:
    """The model can value this market: its settlement rule is known."""
    return bool(market.view(INSTRUMENT)[0]["settlement_rule"])


def bet_row(index: int, market: Row, *, generation: int = GENERATION) -> Row:
    """A PAIR of one market that the model may trade alone: no second, and it waits for the market's
    own terms.
    """
    one = market.view(INSTRUMENT)[0]
    return row(
        PAIR, index=index, generation=generation, a=int(one["index"]), b=NO_INSTRUMENT,
        a_generation=int(one["generation"]), same=1, approved=1, hurdle_e6=OF_PARAMETERS,
        delay_max_ns=DELAY_ANY_NS, event=int(one["event"]), needs_terms=1,
    )  # fmt: skip


def _slots(products: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
    """A slot for each product of each feed, in this order; feeds without products are left out."""
    assert sum(map(len, products.values())) <= PRODUCTS_MAX, f"more than {PRODUCTS_MAX} products"
    slots = itertools.count()
    return {
        feed: {name: next(slots) for name in names} for feed, names in products.items() if names
    }


def _accounts(script: Script) -> tuple[Account, ...]:
    pots = dict.fromkeys((VENUES.index(m.venue), m.exchange_index) for m in script.markets)
    return tuple(Account(index, venue, exchange) for index, (venue, exchange) in enumerate(pots))


def _assets(script: Script) -> dict[str, int]:
    """A number for what each event hangs on: the coin of its index, else the event itself."""
    named = {m.event: m.event for m in script.markets}
    named |= {m.event: index_of(m.index).asset for m in script.markets if m.index}
    numbers = {name: i for i, name in enumerate(dict.fromkeys(named.values()))}
    return {event: numbers[name] for event, name in named.items()}


def instrument_row(
    index: int,
    market: MarketSpec,
    event: int,
    asset: int,
    accounts: tuple[Account, ...],
    products: Mapping[str, Mapping[str, int]],
    *,
    generation: int = GENERATION,
) -> Row:
    """An INSTRUMENT of one market."""
    venue = VENUES.index(market.venue)
    account = next(
        a.index for a in accounts if (a.venue, a.exchange_index) == (venue, market.exchange_index)
    )
    return row(
        INSTRUMENT, index=index, generation=generation, venue=venue, feed=venue, event=event,
        asset=asset, live=1, polarity=1, exchange_index=market.exchange_index,
        neg_risk=int(market.neg_risk), account=account,
        condition=uint256_to_cells(int(market.condition_id or "0", 16)),
        token_yes=uint256_to_cells(int(market.token_yes or "0")),
        token_no=uint256_to_cells(int(market.token_no or "0")),
        ticker=text_to_cells(market.ticker, 8), title=text_to_cells(_clipped(market.title), 8),
        **settles_cells(market, products),
    )  # fmt: skip


def _clipped(title: str, most: int = 64) -> str:
    return title.encode()[:most].decode(errors="ignore")


def parameters_row(settings: Settings, *, number: int) -> Row:
    """The PARAMETERS of a profile; fields of the same name, the rest 0."""
    assert PARAMETERS.names is not None
    found = {
        name: getattr(section, name)
        for section in (settings.edge, settings.limits, settings.risk)
        for name in section.__dataclass_fields__
        if name in PARAMETERS.names
    }
    return row(PARAMETERS, number=number, **found, **_volatility(settings.risk))


def _volatility(risk: Risk) -> dict[str, int]:
    """How much more than usual is too much, and the mark above which sizes are cut where nothing
    is known to be usual, as MARKET_TERMS.sigma_e12 is told: of one second, 1e-12. The settings are
    of a year, in which variance grows with time; rounded down.
    """
    if not risk.volatility_scaling:
        return {"sigma_high_e12": 0, "sigma_cut_e6": 0, "sigma_factor_e6": 0}
    high_e12 = risk.volatility_normal_e6 * risk.volatility_factor_e6
    second_e12 = isqrt(high_e12 * high_e12 // YEAR_S)
    return {
        "sigma_high_e12": max(second_e12, 1),
        "sigma_cut_e6": risk.volatility_cut_e6,
        "sigma_factor_e6": risk.volatility_factor_e6,
    }


def publish(segment: Segment, identity: Identity) -> None:
    """Slots first, then the control ring: who reads the ring finds the slots."""
    tables = (
        ("instruments", K_INSTRUMENT, identity.instruments),
        ("pairs", K_PAIR, identity.pairs),
        ("parameters", K_PARAMETERS, (identity.parameters,)),
        ("strategies", K_STRATEGY, identity.strategies),
    )
    for block, _, rows in tables:
        for index, body in enumerate(rows):
            segment.write(block, index, body)
    for _, kind, rows in tables:
        for body in rows:
            announce(segment, kind, body)


def announce(segment: Segment, kind: int, body: Words) -> None:
    """One entry on the control ring."""
    ring = segment.at("control_ring")
    ring_append(segment.words, ring, segment.entries("control_ring"), kind, body, BODY)
