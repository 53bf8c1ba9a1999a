"""What Kalshi's other numbered channels say: trades, and the life of markets as facts beside their
quotes.

The life cycle says nothing when a market opens or closes in time (kalshi.md 12): the clock does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from feeds.kalshi_frames import (
    EventFee,
    EventLifecycle,
    Lifecycle,
    LifecycleMsg,
    Trade,
)
from feeds.seat import Seat
from feeds.update import SECOND_NS, exact, raw_text
from shm_layout import (
    E6,
    NONE_NS,
    ST_ACTIVE,
    ST_DETERMINED,
    ST_INACTIVE,
    ST_SETTLED,
    TICK_EPOCH,
)

STATUS: Final = {
    "activated": ST_ACTIVE,
    "deactivated": ST_INACTIVE,
    "determined": ST_DETERMINED,
    "settled": ST_SETTLED,
}
SIDS_MAX: Final = 16  # subscriptions whose numbers are followed; we have three beside the book's
_RESULT_E6: Final = {"yes": E6, "no": 0}


class Others:
    """The channels beside the book's. `locals_of`: each ticker's place."""

    def __init__(self, seat: Seat, locals_of: Mapping[str, int]) -> None:
        self._seat, self._locals = seat, locals_of
        self._seqs: dict[int, int] = {}  # by subscription

    def forget(self) -> None:
        """A new connection."""
        self._seqs.clear()

    def counted(self, sid: int, seq: int) -> bool:
        """The number of a frame of that subscription. True: one before it never came."""
        before = self._seqs.get(sid, NONE_NS)
        if before != NONE_NS or len(self._seqs) < SIDS_MAX:
            self._seqs[sid] = seq
        return seq > 0 and before not in (NONE_NS, seq - 1)

    def heard(self, frame: Trade | Lifecycle | EventFee | EventLifecycle, recv_ns: int) -> bool:
        """Take one frame in. True: facts must be read again. Raises FeedError on a number that is
        none."""
        is_gap = self.counted(frame.sid, frame.seq)
        self._seat.count("gaps", int(is_gap))
        if isinstance(frame, Trade):
            if frame.msg.market_ticker in self._locals and not frame.msg.is_block_trade:
                self._seat.count("trades")
            return False
        if isinstance(frame, Lifecycle):
            local = self._locals.get(frame.msg.market_ticker)
            is_told = local is None or lifecycle(self._seat, local, frame.msg, recv_ns)
            return is_gap or not is_told
        if isinstance(frame, EventFee):
            event = frame.msg.event_ticker + "-"
            ours = [at for ticker, at in self._locals.items() if ticker.startswith(event)]
            for local in ours:  # other fees: nothing is traded until they are read
                self._seat.mark(local, raised=TICK_EPOCH, now_ns=recv_ns)
            return is_gap or bool(ours)
        return is_gap


def lifecycle(publisher: Seat, local: int, message: LifecycleMsg, recv_ns: int) -> bool:
    """Take one message in. False: it does not say all that changed, the facts must be read again.

    Raises FeedError on a number that is none.
    """
    kind = message.event_type
    status = STATUS.get(kind)
    if status is not None:
        value_e6 = _RESULT_E6.get(message.result, NONE_NS)
        if message.settlement_value:
            value_e6 = exact(message.settlement_value, 6)
        return publisher.set_status(local, status, recv_ns, settlement_e6=value_e6)
    if kind == "close_date_updated" and message.close_ts > 0:
        publisher.set_cell(local, "close_epoch_ns", message.close_ts * SECOND_NS, recv_ns)
        return True
    if kind == "metadata_updated":
        strike = raw_text(message.floor_strike) or "null"
        if strike != "null":
            publisher.set_cell(local, "strike_e8", exact(strike, 8), recv_ns)
        return True
    if kind == "price_level_structure_updated":
        ranges = [(exact(each.end, 6), exact(each.step, 6)) for each in message.price_ranges]
        if ranges:
            publisher.set_grid(local, tuple(ranges), recv_ns)
            return True
        # The name alone says nothing to rely on: nothing is traded until the ranges are read.
        publisher.mark(local, raised=TICK_EPOCH, now_ns=recv_ns)
    return False
