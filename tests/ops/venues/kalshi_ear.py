"""A connection to the simulated Kalshi without sockets: what is said goes straight to the hub."""

from __future__ import annotations

import json
from typing import Any

from websockets.datastructures import Headers
from websockets.http11 import Request

from ops.venues.kalshi_ws import WS_PATH
from ops.venues.wire import Link
from tests.ops.venues.kalshi_desk_rig import KEY, Desk
from tests.ops.venues.rig import MS


class Wire(Link):
    """Signed in; frames are kept instead of sent. `backlog` stands for what was not read."""

    def __init__(self, desk: Desk | None = None) -> None:
        self.desk = desk or Desk()
        self.venue = self.desk.venue
        self.hub = self.venue.hub
        super().__init__(self.venue.server)
        self.is_open = True
        self.backlog = 0
        self._frames: list[bytes] = []
        headers = KEY.headers("GET", WS_PATH, now_ms=self.desk.clock.wall_ns() // MS)
        self.hub.on_open(self, Request(WS_PATH, Headers(headers)))

    def queue(self, text: bytes) -> None:
        """As the venue sends it."""
        assert text.endswith(b"\n")
        self._frames.append(text)

    def backlog_bytes(self) -> int:
        return self.backlog

    def say(self, command: Any) -> None:
        """One text frame; what is not text already is made JSON."""
        self.hub.on_text(self, command if isinstance(command, str) else json.dumps(command))

    def take(self) -> list[dict[str, Any]]:
        """Everything heard since."""
        frames, self._frames = self._frames, []
        return [json.loads(frame) for frame in frames]
