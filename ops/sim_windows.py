"""Which series the catalog follows in a simulated run: those of which the world has windows."""

from __future__ import annotations

from ops.clock import SECOND_NS
from ops.series import LENGTHS_S, Table, load
from ops.venues.script import Script


def series(script: Script) -> Table:
    """Of the registry, what the script's own windows are of. Raises SeriesError."""
    lengths = {length_s * SECOND_NS: interval for interval, length_s in LENGTHS_S.items()}
    seen = {
        (one.venue, one.index, lengths.get(one.close_epoch_ns - one.open_epoch_ns))
        for one in script.markets
        if one.index
    }
    return load().only(lambda one: (one.venue, one.index, one.interval) in seen)
