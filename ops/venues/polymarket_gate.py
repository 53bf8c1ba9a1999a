"""Whether the simulated Polymarket takes orders at all: its engine's restart, and who is kept out.

A restart (reference section 9): about 90 s of HTTP 425, then about two minutes in which only
post-only orders and cancels are let in (503), then all is as before. The edge answers a restricted
address before it looks at anything else (section 17).
"""

from __future__ import annotations

from dataclasses import dataclass

from ops.venues.numerals import SECOND_NS
from ops.venues.rest import Answer
from ops.venues.session import Clock

NORMAL, RESTARTING, POST_ONLY, CANCEL_ONLY = "normal", "restarting", "post_only", "cancel_only"
# The 425's body is documented nowhere found: the official client looks at the status alone
# (polymarket-client 0.14.0, _transport.py).
_RESTARTING = Answer(425, {"error": "the matching engine is restarting"})
_POST_ONLY = Answer(
    503,
    {
        "error": "post-only mode: only post-only orders and cancels are allowed",
        "code": "post_only_mode",
    },
)
_CANCEL_ONLY = Answer(503, {"error": "cancel-only mode: only cancels are allowed"})
_REGION = Answer(
    403, {"error": "Trading restricted in your region, please refer to available regions"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the caller seems to be. `ip`: the documentation's example."""

    country: str
    region: str
    is_blocked: bool
    ip: str = "203.0.113.42"

    def body(self) -> dict[str, str | bool]:
        """GET /api/geoblock of the web host."""
        return {
            "blocked": self.is_blocked,
            "ip": self.ip,
            "country": self.country,
            "region": self.region,
        }


class EngineGate:
    """The engine's mode by the machine's clock. Reads and cancels are open always; only the 425
    stops cancels too.
    """

    def __init__(self, *, clock: Clock, restart_ns: int, post_only_ns: int, place: Place) -> None:
        self._clock = clock
        self._restart_ns = restart_ns
        self._post_only_ns = post_only_ns
        self._began_ns: int | None = None
        self.is_cancel_only = False
        self.place = place

    def restart(self) -> None:
        """The engine goes down now."""
        self._began_ns = self._clock()

    @property
    def mode(self) -> str:
        """NORMAL, RESTARTING, POST_ONLY or CANCEL_ONLY now."""
        if self._began_ns is not None:
            passed_ns = self._clock() - self._began_ns
            if passed_ns < self._restart_ns:
                return RESTARTING
            if passed_ns < self._restart_ns + self._post_only_ns:
                return POST_ONLY
        return CANCEL_ONLY if self.is_cancel_only else NORMAL

    def refuses_region(self) -> Answer | None:
        """The edge's answer to an order from a restricted place."""
        return _copy(_REGION) if self.place.is_blocked else None

    def refuses_cancel(self) -> Answer | None:
        """What a cancel is told while the engine is down."""
        return _copy(_RESTARTING) if self.mode == RESTARTING else None

    def refuses_order(self, *, post_only: bool) -> Answer | None:
        """What an order is told instead of being read."""
        mode = self.mode
        if mode == RESTARTING:
            return _copy(_RESTARTING)
        if mode == CANCEL_ONLY:
            return _copy(_CANCEL_ONLY)
        if mode == POST_ONLY and not post_only:
            return _copy(_POST_ONLY)
        return None


def seconds_left_text(left_ns: int) -> str:
    """Whole seconds, rounded up, at least one: what `Retry-After` says."""
    return str(max(1, -(-left_ns // SECOND_NS)))


def _copy(answer: Answer) -> Answer:
    """Answers get headers later: each caller has its own."""
    return Answer(answer.status, answer.body, is_order=True)
