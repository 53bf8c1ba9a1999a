"""What the venues' files of spot have in common, each on one connection: counters, judge, sentinel,
the frame read by a compiled scanner first, and what holds of every trade and every touch.

No I/O. A venue's own file says how it is asked and what its frames mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from feeds import spot_scan
from feeds.judge import SPOT, Judge
from feeds.scan import direct
from feeds.seat import Seat
from feeds.sentinel import Sentinel, Strange
from feeds.update import FeedError, Numbers, epoch_ns_of
from shm_layout import NO_ASK_E6, NO_BID_E6, Words

NUMBERS_MAX = 1 << 12  # prices around the touch; sizes to eight digits hardly ever come again


class SpotHandler:
    """What comes in over one connection, and what goes back in `outbox`. `name` is the venue's, for
    the alerts."""

    wants_facts = False  # a spot product has none

    def __init__(self, publisher: Seat, products: Sequence[str], name: str) -> None:
        self.outbox: list[bytes] = []
        self.must_reconnect = False
        self.is_subscribed = False
        self._publisher = publisher
        self._products = list(products)
        self._locals = {product: local for local, product in enumerate(products)}
        self._numbers = Numbers(8, NUMBERS_MAX)
        self._judge = Judge(publisher, name, jumps=SPOT)
        self._frames = self._ticked = 0  # since the last tick, and before it
        self._trade_ids: Words | list[int] = [0] * len(products)  # the newest of each product

    def opened(self, now_ns: int) -> None:
        """A new connection: nothing is subscribed yet."""
        self._judge.opened()
        self.must_reconnect = self.is_subscribed = False

    def closed(self, now_ns: int) -> None:
        """Spot of a lost link may not be used; trades missed meanwhile are counted on return."""
        self.must_reconnect = self.is_subscribed = False
        self.outbox.clear()
        self._publisher.lose(now_ns)
        self.tick(now_ns)

    def tick(self, now_ns: int) -> None:
        """Carry the counters over; look at clock and jumps."""
        self._judge.step(now_ns)
        self.must_reconnect |= self._judge.wants_reconnect
        self._publisher.count("frames", self._frames)
        self._ticked += self._frames
        self._frames = 0

    # ---- trades and touches

    def _number(self, text: str) -> tuple[int, str]:
        """In 1e-8, and as it was written. Raises FeedError."""
        return self._numbers.parse(text), text

    def _accept(
        self,
        local: int,
        trade_id: int,
        price: tuple[int, str],
        size: tuple[int, str],
        *,
        kind: str = "trade",
        known: int = 0,
    ) -> None:
        """Take a newer trade in: it is counted, and so is a hole before it. Of the trades up to
        `known` the lost ones were counted before. Raises FeedError, and has done nothing then."""
        if price[0] <= 0 or size[0] <= 0:
            raise FeedError(f"{kind}: found {price[1]} x {size[1]}, wanted more than 0")
        before = self._trade_ids[local]
        if before and trade_id > max(before, known) + 1:
            self._publisher.count("gaps")
        self._trade_ids[local] = trade_id
        self._publisher.count("trades")

    def _touch(
        self,
        local: int,
        bid: tuple[int, int],
        ask: tuple[int, int],
        event_epoch_ns: int,
        recv_ns: int,
    ) -> None:
        """Best bid and offer, price and size in 1e-8; a price of 0 stands for no market."""
        self._publisher.quote(
            local,
            bid=bid if bid[0] > 0 else (NO_BID_E6, 0),
            ask=ask if ask[0] > 0 else (NO_ASK_E6, 0),
            event_epoch_ns=event_epoch_ns,
            recv_ns=recv_ns,
        )


class WatchedSpot(SpotHandler, ABC):
    """… whose frames are looked at for drift. `strange` as the sentinel wants it."""

    def __init__(
        self, publisher: Seat, products: Sequence[str], name: str, strange: Strange
    ) -> None:
        super().__init__(publisher, products, name)
        self._sentinel = Sentinel(publisher, name, strange)
        self._seen = 0  # frames decoded with types

    def opened(self, now_ns: int) -> None:
        """A new connection: what has drifted must prove itself."""
        super().opened(now_ns)
        self._sentinel.opened(now_ns)

    def tick(self, now_ns: int) -> None:
        """Carry the counters over; look at clock, jumps and drift."""
        super().tick(now_ns)
        self._sentinel.step(now_ns)
        self.must_reconnect |= self._sentinel.wants_reconnect

    def _misread(
        self, kind: str, error: Exception, payload: bytes | memoryview, recv_ns: int
    ) -> None:
        """A frame cannot be used: counted; the third in a row is drift."""
        self._publisher.count("bad_frames")
        sentinel, is_ours = self._sentinel, isinstance(error, FeedError)
        if not is_ours and not isinstance(error, msgspec.ValidationError):
            return
        if not sentinel.lasts(self._ticked + self._frames):
            return
        if is_ours:
            sentinel.drift(kind, "data", str(error), payload, recv_ns)
        else:
            sentinel.refused(kind or "a frame", str(error), payload, recv_ns)


class ScannedSpot(WatchedSpot):
    """… and whose usual frames `scanner` (feeds/spot_scan.py) reads in one compiled call."""

    def __init__(
        self,
        publisher: Seat,
        products: Sequence[str],
        name: str,
        strange: Strange,
        scanner: Callable[..., Any],
    ) -> None:
        super().__init__(publisher, products, name, strange)
        self._words, self._state = publisher.words, publisher.state
        self._scan = spot_scan.memory_of(products)
        self._read = direct(scanner, self._words, self._state, self._scan)
        self._trade_ids = self._of_products(spot_scan.TRADES)

    def _of_products(self, first: int) -> Words:
        """The scanner's cells of the products from `first` on."""
        return self._scan[first : first + len(self._products)]

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One text message. Never raises. Every trade is published, so `last` does not matter."""
        self._frames += 1
        words, state, memory = self._words, self._state, self._scan
        is_view = type(payload) is memoryview
        if is_view and self._read(words, state, memory, payload, recv_ns) >= 0:
            return
        self._seen += 1
        sentinel = self._sentinel
        if sentinel.wants(self._seen, len(payload)) and not sentinel.look(payload):
            self._publisher.count("bad_frames")
            return
        self._decoded(payload, recv_ns)

    @abstractmethod
    def _decoded(self, payload: bytes | memoryview, recv_ns: int) -> None:
        """A frame that the scanner left. Never raises."""


def stamp_ns(text: str) -> int:
    """The venue's stamp, 0 where it has none (1970 occurs). Raises FeedError."""
    found_ns = epoch_ns_of(text) if text else 0
    return found_ns if found_ns >= spot_scan.LATEST_YEAR_NS else 0
