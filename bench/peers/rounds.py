"""The loop every peer runs in, under its own interpreter: frames in once, then a round each time a
line names a stream, answered with the ns the round took and what it left.

Nothing of this project is imported: the peer's environment holds only the peer.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

Play = Callable[[list[bytes]], object]


def serve(make: Callable[[dict[str, Any]], dict[str, Play]]) -> None:
    """Read {"streams": {name: [frame, …]}, …} from the first line, `make` the player of each
    stream, then answer rounds until the input ends. A player returns the touch it published last.
    """
    told = json.loads(sys.stdin.readline())
    players = make(told)
    streams = {name: [text.encode() for text in frames] for name, frames in told["streams"].items()}
    gc.disable()  # as in our processes while frames come in
    _answer({"ready": sorted(players)})
    for line in sys.stdin:
        name = line.strip()
        frames, play = streams[name], players[name]
        start = time.perf_counter_ns()
        left = play(frames)
        took = time.perf_counter_ns() - start
        gc.collect()
        _answer({"took_ns": took, "left": left})


def _answer(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
