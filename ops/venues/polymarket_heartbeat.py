"""Polymarket's dead man's switch, opt-in per API key (reference section 9).

The first beat arms it; ten seconds (by default) without the next cancel every order of that key and
disarm it. A beat names the id it was last given; a wrong one is told the right one and does not
count.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from ops.venues.rest import Answer
from ops.venues.session import Later


class Heartbeats:
    """`fired(api_key, address)` cancels. Ids are random: the venue's cannot be foreseen."""

    def __init__(self, *, life_ns: int, later: Later, fired: Callable[[str, str], None]) -> None:
        self._life_ns = life_ns
        self._later = later
        self._fired = fired
        self._ids: dict[str, str] = {}

    def beat(self, api_key: str, address: str, given: object) -> Answer:
        """POST /v1/heartbeats."""
        wanted = self._ids.get(api_key)
        if wanted and given != wanted:
            return Answer(400, {"error_msg": "Invalid Heartbeat ID", "heartbeat_id": wanted})
        beat_id = self._ids[api_key] = str(uuid.uuid4())
        self._later(self._life_ns, lambda: self._due(api_key, address, beat_id))
        return Answer(200, {"heartbeat_id": beat_id})

    def _due(self, api_key: str, address: str, beat_id: str) -> None:
        if self._ids.get(api_key) == beat_id:
            del self._ids[api_key]
            self._fired(api_key, address)
