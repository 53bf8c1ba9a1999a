"""Which markets Kalshi's channels of one connection are about, and how it is told that they change.

`update_subscription` adds and deletes markets on the connection that there is, of one subscription
at a time (kalshi.md 13): the other books stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from feeds.seat import Seat
from feeds.session import Requests


class Markets:
    """`tickers` by place, `locals` the other way round: the same objects for good. `sids`: of each
    channel that was acknowledged."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self._changes = seat, -1
        self._named: set[str] = set()  # tickers that the venue was told
        self.tickers: dict[int, str] = {}
        self.locals: dict[str, int] = {}
        self.sids: dict[str, int] = {}

    def forget(self) -> None:
        """The connection is gone."""
        self.sids.clear()
        self._named.clear()

    def changed(self, *asked: Requests) -> bool:
        """Whether markets are others since the last call; what was asked for at their places is
        forgotten."""
        if self._changes == self._seat.changes:
            return False
        self._changes, before = self._seat.changes, self.tickers.copy()
        self.tickers.clear()
        self.tickers.update({each.local: each.ticker for each in self._seat.instruments})
        self.locals.clear()
        self.locals.update({ticker: local for local, ticker in self.tickers.items()})
        for local, _ in before.items() ^ self.tickers.items():
            for requests in asked:
                requests.forget(local)
        return True

    def named(self) -> list[str]:
        """All of them, for the subscription."""
        self._named = set(self.locals)
        return list(self.locals)

    def updates(self, channels: Sequence[str]) -> tuple[list[dict[str, object]], list[int]]:
        """What is to be sent so that the venue's list is ours, and the places that are new there.
        Nothing before each of the channels has its subscription."""
        if self._named == self.locals.keys() or not self.sids.keys() >= set(channels):
            return [], []
        added, gone = self.locals.keys() - self._named, self._named - self.locals.keys()
        self._named = set(self.locals)
        found: list[dict[str, object]] = [
            {"sids": [self.sids[channel]], "action": action, "market_tickers": sorted(names)}
            for action, names in (("add_markets", added), ("delete_markets", gone))
            for channel in channels
            if names
        ]
        return found, sorted(self.locals[ticker] for ticker in added)
