"""Calls every kernel once with the types it is used with: compiles them, or loads them from the
cache.

`python -m ops.warm` is the one compiling process (ops/cache.py starts it); it prints one line a
room for whoever watches. The nursery calls the same function: a forked child finds them ready.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable

ROOMS = {
    "shared words": "",
    "engine": "engine.warm",
    "feeds": "feeds.warm",
    "gateway": "gateway.warm",
    "last look": "ops.last_look",
}


def call_shared() -> None:
    """The kernels of shm_layout.py, on memory of this process, writable and read-only."""
    import numpy as np

    import shm_layout as shm

    segment = shm.Segment.private()
    words, quote = segment.words, np.zeros(shm.ENTRY, np.int64)
    ring, entries = segment.at("changes_0"), segment.entries("changes_0")
    bell, slot = segment.at("bells", shm.GATEWAY), segment.at("quotes", 0)
    cursors = np.zeros(shm.CURSORS, np.int64)
    rings = np.full(shm.CURSORS, ring, np.int64)
    sizes = np.full(shm.CURSORS, entries, np.int64)
    shm.layout_hash()
    shm.slot_store(words, slot, quote, shm.BODY)
    shm.ring_adopt(words, ring, entries)
    shm.ring_append(words, ring, entries, shm.K_QUOTE, quote, shm.BODY)
    shm.bell_arm(words, bell)
    shm.bell_disarm(words, bell)
    shm.bell_ring(words, bell, -1)
    shm.word_add(words, bell, 0)
    shm.word_store(words, bell, 0)
    shm.word_wait(words, bell, 1, 1)
    shm.word_wake(words, bell)
    shm.histogram_add(words, segment.at("histograms"), 1)
    shm.rings_pending(words, rings, sizes, cursors, 1)
    shm.rings_wait(words, rings, sizes, cursors, 1, bell, 0, 0)
    frozen = words.view()
    frozen.flags.writeable = False
    for view in (words, frozen):
        shm.slot_load(view, slot, quote, shm.BODY)
        shm.ring_tail(view, ring)
        shm.ring_read(view, ring, entries, 0, quote, shm.BODY)
        shm.word_load(view, bell)
        shm.state_of(view)
        shm.feed_alive(view, 0, 0, 1)
        shm.run_epoch_ns(view, 0)


def call_all(say: Callable[[str], None] = lambda _: None) -> None:
    """Every room's kernels."""
    from shm_layout import Segment

    for title, module in ROOMS.items():
        say(title)
        if not module:
            call_shared()
        elif _is_there(module):
            importlib.import_module(module).warm(Segment.private())


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def main() -> int:
    """Compile under the cache's lock, then mark it complete."""
    from ops import cache, console

    folder = cache.use()
    with cache.warming(folder):
        if cache.is_warm(folder):
            return 0
        call_all(console.out)
        cache.mark_warm(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
