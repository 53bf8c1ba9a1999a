"""Loaded recordings joined into one script: begin, cuts, digest."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import merge
from pathlib import Path
from typing import Any

from ops.venues.recorded_lines import RecordingError
from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    ConnectionCut,
    Cut,
    Event,
    ExchangeTrade,
    IndexTick,
    Level,
    LevelSet,
    MarketSpec,
    MarketTrade,
    PairSpec,
    SetSpec,
    SpotTrade,
    StatusChange,
    TickerPrint,
    Timeline,
    fingerprint,
)

_MS_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Recording:
    """What one format's loader found: events ascending in time, market numbers of its own table."""

    path: Path
    markets: tuple[MarketSpec, ...]
    pairs: tuple[PairSpec, ...]
    products: tuple[str, ...]
    events: list[Event]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScript:
    """A `Script` of recorded data, held whole in memory (about 100 bytes an event)."""

    markets: tuple[MarketSpec, ...]
    pairs: tuple[PairSpec, ...]
    products: tuple[str, ...]
    timeline: Timeline
    digest: str
    counts: dict[str, int]
    recorded: tuple[Event, ...]
    sets: tuple[SetSpec, ...] = ()

    def events(self) -> Iterator[Event]:
        """From the beginning, ascending in time."""
        return iter(self.recorded)

    @property
    def indices(self) -> tuple[str, ...]:
        """None of the recordings has an index."""
        return ()

    @property
    def end_epoch_ns(self) -> int | None:
        """The time of the last event."""
        return self.recorded[-1].at_epoch_ns

    def __reduce__(self) -> tuple[Any, ...]:
        """Level changes travel as numbers: a third of the time of pickling them one by one."""
        rest = {name: getattr(self, name) for name in self.__slots__ if name != "recorded"}
        return _unpacked, (rest, *_packed(self.recorded))


def _packed(events: Sequence[Event]) -> tuple[bytes, list[Event]]:
    """Six numbers an event, and the events that are no level change (market −1: their place)."""
    numbers = array("q")
    others: list[Event] = []
    for event in events:
        if isinstance(event, LevelSet):
            seq = -1 if event.venue_seq is None else event.venue_seq
            numbers.extend((event.at_epoch_ns, event.market, event.side))
            numbers.extend((event.price_e6, event.size_e6, seq))
        else:
            numbers.extend((0, -1, 0, 0, 0, 0))
            others.append(event)
    return numbers.tobytes(), others


def _unpacked(rest: dict[str, Any], packed: bytes, others: list[Event]) -> RecordedScript:
    numbers = iter(memoryview(packed).cast("q"))
    other = iter(others)
    events = tuple(
        next(other)
        if market < 0
        else LevelSet(at, market, side, price_e6, size_e6, None if seq < 0 else seq)
        for at, market, side, price_e6, size_e6, seq in zip(*[numbers] * 6, strict=True)
    )
    return RecordedScript(**rest, recorded=events)


def script_of(
    recordings: Sequence[Recording],
    *,
    from_epoch_ns: int | None,
    gap_max_ns: int | None,
    speed_e6: int,
) -> RecordedScript:
    """All recordings on one clock, never re-based.

    Events before `from_epoch_ns` are applied in silence: the script begins with their books.
    A begin before the data is the data's own; one after its end is a RecordingError.
    A silence of everything together that is longer than `gap_max_ns` is cut to that length.
    """
    path = recordings[0].path
    for recording in recordings:
        if not recording.events:
            raise RecordingError(recording.path, 0, "no events", "at least one")
    markets, pairs, products, events, counts = _joined(recordings)
    begin_epoch_ns = max(from_epoch_ns or 0, events[0].at_epoch_ns)
    if begin_epoch_ns > events[-1].at_epoch_ns:
        end_epoch_ns = events[-1].at_epoch_ns
        found = f"a beginning at {_utc(begin_epoch_ns)}"
        raise RecordingError(path, 0, found, f"one up to the data's end, {_utc(end_epoch_ns)}")
    begin_epoch_ns -= begin_epoch_ns % -_MS_NS  # up to a whole ms
    markets, kept = _from(markets, events, begin_epoch_ns)
    counts["events"] = len(kept)
    cuts = _cuts(kept, begin_epoch_ns, gap_max_ns) if gap_max_ns is not None else ()
    counts["cuts"] = len(cuts)
    return RecordedScript(
        markets=markets,
        pairs=pairs,
        products=products,
        timeline=Timeline(begin_epoch_ns, speed_e6, cuts),
        digest=fingerprint(markets, pairs, kept),
        counts=counts,
        recorded=tuple(kept),
    )


def _joined(
    recordings: Sequence[Recording],
) -> tuple[
    tuple[MarketSpec, ...], tuple[PairSpec, ...], tuple[str, ...], list[Event], dict[str, int]
]:
    markets: list[MarketSpec] = []
    pairs: list[PairSpec] = []
    products: dict[str, None] = {}
    streams: list[list[Event]] = []
    counts: Counter[str] = Counter()
    known: dict[tuple[str, str], Path] = {}
    end_epoch_ns = 0
    for recording in sorted(recordings, key=lambda each: each.events[0].at_epoch_ns):
        for spec in recording.markets:
            other = known.setdefault((spec.venue, spec.ticker), recording.path)
            if other is not recording.path:
                raise RecordingError(
                    recording.path, 0, f"market {spec.ticker}, also in {other}", "each market once"
                )
        first = recording.events[0].at_epoch_ns
        if streams and end_epoch_ns + _MS_NS < first:  # the recorder began again
            venues = sorted({spec.venue for spec in markets})
            streams.append([ConnectionCut(end_epoch_ns + _MS_NS, venue) for venue in venues])
        end_epoch_ns = max(end_epoch_ns, recording.events[-1].at_epoch_ns)
        streams.append([_moved(event, len(markets)) for event in recording.events])
        markets.extend(recording.markets)
        pairs.extend(recording.pairs)
        products.update(dict.fromkeys(recording.products))
        counts.update(recording.counts)
    # merge is stable: at one time the recording named first comes first
    events = list(merge(*streams, key=lambda event: event.at_epoch_ns))
    return tuple(markets), tuple(pairs), tuple(products), events, dict(counts)


def _moved(event: Event, by: int) -> Event:
    if not by or isinstance(event, SpotTrade | ExchangeTrade | IndexTick | ConnectionCut):
        return event
    return replace(event, market=event.market + by)


def _from(
    markets: tuple[MarketSpec, ...], events: list[Event], begin_epoch_ns: int
) -> tuple[tuple[MarketSpec, ...], list[Event]]:
    """Specs and events from the beginning on, after the books and states the earlier ones made."""
    books: dict[int, tuple[dict[int, int], dict[int, int]]] = {}
    seqs: dict[int, int | None] = {}
    specs = list(markets)
    settled: list[Event] = []
    first = bisect_left(events, begin_epoch_ns, key=lambda event: event.at_epoch_ns)
    for event in events[:first]:
        match event:
            case BookSet():
                books[event.market] = dict(event.bids), dict(event.asks)
                seqs[event.market] = event.venue_seq
            case LevelSet():
                sides = books.setdefault(event.market, ({}, {}))
                sides[event.side][event.price_e6] = event.size_e6
                seqs[event.market] = event.venue_seq
            case StatusChange():
                specs[event.market] = replace(specs[event.market], status=event.status)
                if event.strike_e8 is not None:
                    specs[event.market] = replace(specs[event.market], strike_e8=event.strike_e8)
                if event.settlement_e6 is not None:
                    settled.append(replace(event, at_epoch_ns=begin_epoch_ns))
            case MarketTrade() | TickerPrint() | SpotTrade() | IndexTick() | ConnectionCut():
                pass
    while isinstance(now := events[first], StatusChange) and now.at_epoch_ns == begin_epoch_ns:
        specs[now.market] = replace(specs[now.market], status=now.status)
        first += 1
    begun = settled
    for market in sorted(books):
        bids, asks = (_levels(books[market][side], side) for side in (BID, ASK))
        begun.append(BookSet(begin_epoch_ns, market, bids, asks, seqs[market]))
    return tuple(specs), begun + events[first:]


def _utc(epoch_ns: int) -> str:
    return datetime.fromtimestamp(epoch_ns // 10**9, UTC).isoformat()


def _levels(side: dict[int, int], which: int) -> tuple[Level, ...]:
    found = ((price, size) for price, size in side.items() if size)
    return tuple(sorted(found, reverse=which == BID))


def _cuts(events: list[Event], begin_epoch_ns: int, gap_max_ns: int) -> tuple[Cut, ...]:
    cuts = []
    last = begin_epoch_ns
    for event in events:
        if event.at_epoch_ns - last > gap_max_ns:
            cuts.append(Cut(last + gap_max_ns, event.at_epoch_ns))
        last = event.at_epoch_ns
    return tuple(cuts)
