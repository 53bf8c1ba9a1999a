"""What Polymarket's market channel says about a market: its tick, its end, its birth."""

from __future__ import annotations

from collections.abc import Mapping

from feeds.polymarket_frames import Event, NewMarket, Resolved, TickChange
from feeds.seat import Seat
from feeds.update import Numbers
from shm_layout import E6, ST_CLOSED, ST_SETTLED


def life(
    seat: Seat,
    event: Event,
    yes: Mapping[str, int],
    no: Mapping[str, int],
    prices: Numbers,
    recv_ns: int,
) -> bool:
    """Take one event in; `yes`, `no`: local number of each token. True: facts must be read again,
    for it does not say all that changed. Raises FeedError on a number that is none."""
    both = {**no, **yes} if isinstance(event, TickChange | Resolved | NewMarket) else {}
    if isinstance(event, TickChange):
        local = both.get(event.asset_id)
        if local is not None:
            seat.set_grid(local, ((E6, prices.parse(event.new_tick_size)),), recv_ns)
    elif isinstance(event, Resolved):
        return _resolved(seat, event, yes, both, recv_ns)
    elif isinstance(event, NewMarket):  # one of ours that REST did not know yet
        return any(asset in both for asset in event.assets_ids)
    return False


def _resolved(
    seat: Seat, event: Resolved, yes: Mapping[str, int], both: Mapping[str, int], recv_ns: int
) -> bool:
    local = both.get(event.winning_asset_id)
    if local is not None:
        value_e6 = E6 if event.winning_asset_id in yes else 0
        seat.set_status(local, ST_SETTLED, recv_ns, settlement_e6=value_e6)
        return False
    ours = {both[asset] for asset in event.assets_ids if asset in both}  # neither side has won
    for local in ours:
        seat.set_status(local, ST_CLOSED, recv_ns)
    return bool(ours)
