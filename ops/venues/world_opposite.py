"""The other way to ask a market's question: YES and NO change places in everything it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ops.venues.numerals import ONE_E6
from ops.venues.script import ASK, BID, BookSet, Event, Level, LevelSet, MarketTrade


def told_the_other_way(events: Iterable[Event], markets: frozenset[int]) -> Iterator[Event]:
    """The events, those of `markets` mirrored: a bid at p becomes an ask at 1 - p."""
    for event in events:
        if isinstance(event, BookSet | LevelSet | MarketTrade) and event.market in markets:
            yield _mirrored(event)
        else:
            yield event


def _mirrored(event: BookSet | LevelSet | MarketTrade) -> Event:
    match event:
        case BookSet():
            return replace(event, bids=_levels(event.asks), asks=_levels(event.bids))
        case LevelSet():
            price_e6 = ONE_E6 - event.price_e6
            return replace(event, side=_other(event.side), price_e6=price_e6)
        case MarketTrade():
            price_e6 = ONE_E6 - event.price_e6
            return replace(event, taker_side=_other(event.taker_side), price_e6=price_e6)


def _levels(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    return tuple((ONE_E6 - price_e6, size_e6) for price_e6, size_e6 in levels)


def _other(side: int) -> int:
    return ASK if side == BID else BID
