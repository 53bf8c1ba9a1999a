"""What a feed may publish: the judge of the random histories.

The venue's book passes through states; each frame on a wire carries one. At trust 0 the published
levels are those of a state that some connection was given, and none older (by the venue's clock)
than the newest given to a connection that lost nothing and that the feed itself thinks healthy.
Trust other than 0 is always safe; how long it may last is judged by the history.

Polymarket numbers nothing. After a loss only the touch, which every change repeats, can be right at
once; the depth must be once the venue's REST was asked.

An event of Kalshi's may be several frames: between them a book is in passing (kalshi.md 14), and so
may the quote be where a received buffer ends there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from ops.venues.script import ASK, BID
from shm_layout import LEVELS, Segment
from tests.feeds.virtual import Listener, Part, Tag, TaggedLink

Shown = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]
Touch = tuple[int | None, int | None]


class Wrong(AssertionError):
    """The feed published what it may not."""


@dataclass
class Given:
    """What one connection was given: the newest state of each market, the newest that came with the
    engine's time, which markets are unbroken, and those of an event told in part.
    """

    last: int = 0
    states: dict[int, int] = field(default_factory=dict)
    stamped: dict[int, int] = field(default_factory=dict)
    clean: set[int] = field(default_factory=set)
    passing: set[int] = field(default_factory=set)


@dataclass
class Moment:
    """A market's trust changed."""

    at_ns: int
    market: int
    trust: int


class Oracle(Listener):
    """Truth by market, what each connection was given, and what was published."""

    def __init__(
        self,
        segment: Segment,
        books: list[Any],
        names: dict[str, int],
        *,
        now_ns: Callable[[], int],
        run_ms: Callable[[], int],
        is_numbered: bool,
    ) -> None:
        self._segment, self._books, self._names = segment, books, names
        self._now_ns, self._run_ms, self._is_numbered = now_ns, run_ms, is_numbered
        self.truth: list[list[Shown]] = [[] for _ in books]
        self._stamps: list[list[int]] = [[] for _ in books]
        self._newest = [0] * len(books)
        self.given: dict[TaggedLink, Given] = {}
        self.accepted_ns: list[int] = []
        self.wholes_ns: list[list[int]] = [[] for _ in books]  # when good whole books came
        self.spoiled: set[int] = set()  # markets that were given a whole book that is none
        self.has_odd_stamps = False  # a fault has moved the venue's clock on some connection
        self.moments: list[Moment] = []
        self.trust = [-1] * len(books)
        self._at = [segment.at("quotes", market) for market in range(len(books))]
        self._sure = [(-1, -1)] * len(books)  # of which quote, and for which state, it was right
        self.checked = self.trusted = 0

    # ---- what the venue says

    def note(self, market: int) -> int:
        """The state its book has now."""
        book = self._books[market]
        sides = (book.levels(side)[:LEVELS] for side in (BID, ASK))
        bids, asks = (tuple(levels) for levels in sides)
        states = self.truth[market]
        now_ms, stamps = self._run_ms(), self._stamps[market]
        if not states or states[-1] != (bids, asks) or stamps[-1] != now_ms:
            states.append((bids, asks))
            stamps.append(now_ms)
        return len(states) - 1

    def parts(self, text: bytes) -> tuple[Part, ...]:
        """What a frame of the venue says of books."""
        if text[:1] not in (b"{", b"["):
            return ()
        found = orjson.loads(text)
        events = found if isinstance(found, list) else [found]
        return tuple(part for event in events for part in self._parts(event))

    def _parts(self, event: dict[str, Any]) -> list[Part]:
        kind = event.get("event_type") or event.get("type")
        if kind in ("orderbook_snapshot", "orderbook_delta"):
            market = self._names[event["msg"]["market_ticker"]]
            is_whole = kind == "orderbook_snapshot"
            return [Part(market, self.note(market), is_whole, is_stamped=not is_whole)]
        if kind == "book" and event["asset_id"] in self._names:
            market = self._names[event["asset_id"]]
            return [Part(market, self.note(market), is_whole=True, is_stamped=True)]
        if kind == "price_change":
            known = {row["asset_id"] for row in event["price_changes"]} & self._names.keys()
            return [
                Part(self._names[name], self.note(self._names[name]), False, True) for name in known
            ]
        return []

    # ---- what the connections are given

    def opened(self, link: TaggedLink) -> None:
        self.given[link] = Given()
        self.accepted_ns.append(self._now_ns())

    def closed(self, link: TaggedLink) -> None:
        self.given.pop(link, None)

    def came(self, link: TaggedLink, tag: Tag) -> None:
        given = self.given[link]
        number, parts, is_odd = tag
        if not parts or number == given.last:
            return
        if is_odd:
            given.clean.clear()
        if number != given.last + 1:
            given.clean.clear()
        if number < given.last:  # held back, and given all the same
            for part in parts:
                self._newest[part.market] = max(self._newest[part.market], part.state)
            return
        given.last = number
        after = link.told[number] if number < len(link.told) else ()
        same = {(part.market, part.state) for part in after}
        given.passing = {part.market for part in parts if (part.market, part.state) in same}
        for market, state, is_whole, is_stamped in parts:
            if is_whole and is_odd:
                self.spoiled.add(market)
            elif is_whole:
                self.wholes_ns[market].append(self._now_ns())
                given.clean.add(market)
            elif market not in given.states and not is_whole:
                continue
            given.states[market] = state
            if is_stamped and not is_odd:
                given.stamped[market] = state
            self._newest[market] = max(self._newest[market], state)

    # ---- what the feed says

    def rested(self) -> None:
        self.look()

    def look(self) -> None:
        """Judge everything as published now. Raises Wrong."""
        for market in range(len(self._books)):
            self._judge(market)

    def _judge(self, market: int) -> None:
        key = (int(self._segment.words[self._at[market]]), self._newest[market])
        if key == self._sure[market]:
            self.checked += 1
            self.trusted += self.trust[market] == 0
            return
        quote = self._segment.read("quotes", market)
        assert quote is not None
        trust = int(quote["trust"])
        if trust != self.trust[market]:
            self.trust[market] = trust
            self.moments.append(Moment(self._now_ns(), market, trust))
        self.checked += 1
        if trust:
            self._sure[market] = key
            return
        self.trusted += 1
        shown = (_levels(quote["bids"]), _levels(quote["asks"]))
        states = self.truth[market]
        if states and shown == states[self._newest[market]]:
            self._sure[market] = key
            return
        allowed = self._allowed(market)
        if shown in allowed:
            return
        if self._may_have_lost(market) and _touch(shown) in [_touch(each) for each in allowed]:
            return
        if any(market in given.passing for given in self.given.values()):
            return
        raise Wrong(
            f"at {self._now_ns()} market {market} is trusted and shows {shown}; the last of the "
            f"{len(allowed)} states of the venue's book that it may show are {allowed[-2:]}"
        )

    def _allowed(self, market: int) -> list[Shown]:
        unbroken = [
            given.stamped[market]
            for link, given in self.given.items()
            if market in given.clean
            and market in given.stamped
            and link.reader.seat.trust(market) == 0
        ]
        newest, stamps = self._newest[market], self._stamps[market]
        least_ms = stamps[max(unbroken)] if unbroken and not self.has_odd_stamps else 0
        found = self.truth[market][: newest + 1]
        return [state for state, at_ms in zip(found, stamps, strict=False) if at_ms >= least_ms]

    def _may_have_lost(self, market: int) -> bool:
        """Polymarket: a connection that lost a change and was not told yet."""
        return not self._is_numbered and any(
            market in given.states and market not in given.clean for given in self.given.values()
        )

    def doubts(self) -> Iterator[tuple[int, int, int]]:
        """(market, begin, end) of each time without trust that is over."""
        since: dict[int, int] = {}
        for moment in self.moments:
            if moment.trust:
                since.setdefault(moment.market, moment.at_ns)
            elif moment.market in since:
                yield moment.market, since.pop(moment.market), moment.at_ns

    def end(self) -> None:
        """At rest everything is trusted and is the venue's book. Raises Wrong."""
        self.look()
        for market, book in enumerate(self._books):
            quote = self._segment.read("quotes", market)
            assert quote is not None
            if trust := int(quote["trust"]):
                raise Wrong(f"{self._now_ns()}: market {market} has trust {trust:#x} at the end")
            shown = (_levels(quote["bids"]), _levels(quote["asks"]))
            wanted = tuple(tuple(book.levels(side)[:LEVELS]) for side in (BID, ASK))
            if shown != wanted:
                raise Wrong(f"market {market} shows {shown} at the end, the venue has {wanted}")


def _levels(cells: Any) -> tuple[tuple[int, int], ...]:
    flat = cells.tolist()
    return tuple(pair for pair in zip(flat[::2], flat[1::2], strict=True) if pair[1])


def _touch(shown: Shown) -> Touch:
    bids, asks = shown
    return (bids[0][0] if bids else None, asks[0][0] if asks else None)
