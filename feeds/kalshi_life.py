"""What Kalshi's life-cycle channel says about a market, as facts beside its quotes.

The channel says nothing when a market opens or closes in time (kalshi.md 12): the clock does.
"""

from __future__ import annotations

from typing import Final

from feeds.kalshi_frames import LifecycleMsg
from feeds.seat import Seat
from feeds.update import SECOND_NS, exact
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
_RESULT_E6: Final = {"yes": E6, "no": 0}


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
        publisher.set_status(local, status, recv_ns, settlement_e6=value_e6)
        return True
    if kind == "close_date_updated" and message.close_ts > 0:
        publisher.set_cell(local, "close_epoch_ns", message.close_ts * SECOND_NS, recv_ns)
        return True
    if kind == "metadata_updated":
        strike = bytes(message.floor_strike).decode() or "null"
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
