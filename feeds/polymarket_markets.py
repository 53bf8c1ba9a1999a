"""Which tokens Polymarket's market channel of one connection is about, and how it is told that they
change: tokens are subscribed and left on the connection that there is (polymarket.md 12).
"""

from __future__ import annotations

from feeds.seat import Seat
from feeds.session import Requests


class Tokens:
    """`pairs`: (YES, NO) by place; `yes`, `no`: the place of each. The same objects for good."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self._changes = seat, -1
        self._named: dict[int, tuple[str, str]] = {}  # that the venue was told
        self.pairs: dict[int, tuple[str, str]] = {}
        self.yes: dict[str, int] = {}
        self.no: dict[str, int] = {}

    def changed(self, *asked: Requests) -> bool:
        """Whether markets are others since the last call; what was asked for at their places is
        forgotten."""
        if self._changes == self._seat.changes:
            return False
        self._changes, before = self._seat.changes, self.pairs.copy()
        for found in (self.pairs, self.yes, self.no):
            found.clear()
        for each in self._seat.instruments:
            pair = self.pairs[each.local] = str(each.token_yes), str(each.token_no)
            self.yes[pair[0]] = self.no[pair[1]] = each.local
        for local, _ in before.items() ^ self.pairs.items():
            for requests in asked:
                requests.forget(local)
        return True

    def named(self) -> list[str]:
        """All of them, for the subscription."""
        self._named = self.pairs.copy()
        return [token for pair in self.pairs.values() for token in pair]

    def updates(self) -> tuple[list[tuple[dict[str, str], list[str]]], list[int]]:
        """Operations and their tokens, so that the venue's list is ours, and the places that are
        new there."""
        gone = [pair for local, pair in self._named.items() if self.pairs.get(local) != pair]
        new = {local: pair for local, pair in self.pairs.items() if self._named.get(local) != pair}
        if not gone and not new:
            return [], []
        self._named = self.pairs.copy()
        told = (("unsubscribe", gone), ("subscribe", list(new.values())))
        found = [
            ({"operation": word}, [token for pair in pairs for token in pair])
            for word, pairs in told
            if pairs
        ]
        return found, [*new]
