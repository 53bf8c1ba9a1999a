"""Which series the catalog follows in a simulated run: what is chosen and played there."""

from __future__ import annotations

from ops.clock import SECOND_NS
from ops.config import Updown
from ops.series import LENGTHS_S, Table, load
from ops.venues.script import Script


def series(script: Script, chosen: Updown) -> Table:
    """Of the registry, what is chosen and the script's own windows are of. Raises SeriesError."""
    lengths = {length_s * SECOND_NS: interval for interval, length_s in LENGTHS_S.items()}
    seen = {
        (one.venue, one.index, lengths.get(one.close_epoch_ns - one.open_epoch_ns))
        for one in script.markets
        if one.index
    }
    table = load().chosen(tuple(name.lower() for name in chosen.assets), chosen.intervals)
    return table.only(lambda one: (one.venue, one.index, one.interval) in seen)
