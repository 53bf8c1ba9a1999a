"""Calls every kernel of this room once with the types it is used with: compiled or loaded then."""

from __future__ import annotations

import numpy as np

from gateway import frame, guard, look, order_record
from gateway.memory import Memory
from shm_layout import LAYOUT_HASH, LayoutError, Segment


def warm(segment: Segment) -> None:
    """On a private segment; what is judged there has no legs."""
    for module in (look, guard, frame, order_record):
        if (found := module.layout_hash()) != LAYOUT_HASH:
            raise LayoutError(f"gateway kernels: layout_hash: found {found}, wanted {LAYOUT_HASH}")
    memory = Memory().words
    journal = np.zeros(frame.JOURNAL_CELLS, np.int64)
    file = np.zeros(64, np.int64)
    look.next_entry(segment.words, memory)
    look.look(segment.words, memory, 0)
    look.place(0, 0, 1, 1, 0, 0)
    look.next_written(segment.words, file, journal, 0, 1)
    guard.judge(memory, 0)
    frame.put_order(segment.words, memory, file, journal, 0)
    order_record.put_id(memory, 0, 0, 0, 0)
    frame.seal(file, journal, 8)
    file.flags.writeable = False
    frame.check_of(file, 0, 8)
