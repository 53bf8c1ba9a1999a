"""What the relays of indices have in common, each on one connection: board, watch on the newest
stamp, judge, counters.

No I/O. A relay's own file says how it is asked and what its frames mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from feeds.indices import Board, Mean, TickWatch
from feeds.judge import Judge, JumpBand
from feeds.seat import Seat
from feeds.update import SECOND_NS

WINDOW_S = 60  # of every mean that settles something
_NO_JUMPS = JumpBand(ticks=0, share_e6=0, confirm_ns=0)


class IndexHandler:
    """What comes in over one connection, and what goes back in `outbox`. `name` is the relay's, for
    the alerts."""

    wants_facts = False

    def __init__(self, seat: Seat, products: Sequence[str], name: str) -> None:
        self.outbox: list[bytes] = []
        self.must_reconnect = False
        self._board = Board(seat, products)
        self._seat = seat
        self._watch = TickWatch(seat)
        self._judge = Judge(seat, name, jumps=_NO_JUMPS)
        self._frames = 0

    def opened(self, now_ns: int) -> None:
        """A new connection: its time starts now."""
        self._judge.opened()
        self._watch.opened(now_ns)
        self.must_reconnect = False

    def closed(self, now_ns: int) -> None:
        """An index of a lost link may not be used; seconds missed are counted on return."""
        self.must_reconnect = False
        self.outbox.clear()
        self._watch.closed()
        self._board.lose(now_ns)
        self._count_frames()

    def tick(self, now_ns: int) -> None:
        """Clock, newest stamp, counters."""
        self._judge.step(now_ns)
        self.must_reconnect |= self._judge.wants_reconnect or self._watch.is_dead(now_ns)
        self._count_frames()

    def _count_frames(self) -> None:
        self._seat.count("frames", self._frames)
        self._frames = 0


class TwapHandler(IndexHandler):
    """… of Polymarket: an index's spot, and its TWAP over WINDOW_S, each with stamps of its own."""

    def __init__(self, seat: Seat, products: Sequence[str], name: str) -> None:
        super().__init__(seat, products, name)
        self._newest: dict[tuple[int, bool], int] = {}  # stamp by place and whether a TWAP

    def opened(self, now_ns: int) -> None:
        """A new connection: any stamp is the first."""
        super().opened(now_ns)
        self._newest.clear()

    def _is_newer(self, local: int, event_ns: int, recv_ns: int, *, is_twap: bool) -> bool:
        """False: of a second that was here already, counted. Raises FeedError."""
        self._board.check(event_ns, recv_ns)
        if event_ns <= self._newest.get((local, is_twap), 0):
            self._seat.count("duplicates")
            return False
        self._newest[local, is_twap] = event_ns
        return True

    def _show(
        self,
        local: int,
        value_e8: int,
        event_ns: int,
        recv_ns: int,
        *,
        is_twap: bool,
        relay_ns: int,
        sequence: int,
        source: int,
    ) -> None:
        """Publish a newer spot or TWAP; `relay_ns` 0: it says nothing of the way."""
        self._watch.heard(local, int(is_twap), event_ns, recv_ns)
        if not is_twap:
            self._board.value(
                local, value_e8, event_ns, recv_ns,
                relay_ns=relay_ns, sequence=sequence, source=source,
            )  # fmt: skip
            return
        start_ns = event_ns - WINDOW_S * SECOND_NS
        mean = Mean(value_e8=value_e8, count=WINDOW_S, start_ns=start_ns, end_ns=event_ns)
        self._board.mean(local, mean, recv_ns, relay_ns=relay_ns, sequence=sequence, source=source)
