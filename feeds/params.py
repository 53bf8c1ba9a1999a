"""What a feed is told. Which venue needs what is in its row (feeds/venues.py), never here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from feeds.update import MS_NS, SECOND_NS, FeedError
from feeds.venues import VENUES, Option, Row
from shm_layout import FEEDS_MAX, PRODUCTS_MAX

FACTS_AGAIN_NS = SECOND_NS // 2  # facts that are missing or said to have changed
LANES_MAX = 4
SPARE_MAX = 512
CHECK_MIN_NS = SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedParams:
    """What a feed is told. Durations in machine ns.

    `feed`: its number (row, ring). `products`: spot product or index to slot number, for a venue
    that informs. `gamma_url`: facts of markets where the venue has them elsewhere ("": the same
    host as `rest_url`). `link_silent_ns`: no byte for so long, pongs included, and its quotes are
    untrusted; `link_dead_ns`: reconnect. `taker_delay_ns`: what Polymarket holds takers back, where
    it does. `check_ns`: between looks at a few books over REST, where the stream has no sequence.
    `lanes`: connections that race for the same markets. `poll_after_ns`: books are polled when no
    connection has been whole for so long.
    `spare`: how many more instruments it may come to follow while it runs.
    `options`: what only this venue's file knows, by name; the row says which there are.
    """

    venue: str
    feed: int
    ws_url: str = ""
    rest_url: str = ""
    gamma_url: str = ""
    ca_file: Path | None = None
    products: Mapping[str, int] = field(default_factory=dict)
    ping_ns: int = SECOND_NS
    link_silent_ns: int = 2 * SECOND_NS
    link_dead_ns: int = 10 * SECOND_NS
    backoff_base_ns: int = 100 * MS_NS
    backoff_max_ns: int = 10 * SECOND_NS
    facts_ns: int = 15 * SECOND_NS
    taker_delay_ns: int = 150 * MS_NS
    check_ns: int = 30 * SECOND_NS
    lanes: int = 1
    poll_after_ns: int = 2 * SECOND_NS
    seed: int = 0
    spare: int = 0
    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises FeedError naming the field, what was found and what was wanted."""
        if self.venue not in VENUES:
            raise FeedError(f"venue: found {self.venue!r}, wanted one of {sorted(VENUES)}")
        row, told = self.row, self.options
        informs = f"slots below {PRODUCTS_MAX} for a venue that informs, none for others"
        named = ", ".join(f"{name} ({type(one).__name__})" for name, one in row.options.items())
        checks = {
            "feed": (0 <= self.feed < FEEDS_MAX, f"0 to {FEEDS_MAX - 1}"),
            "ws_url": (_is_url(self.ws_url, "wss://", "ws://", empty=row.make is None), "wss://…"),
            "rest_url": (_is_rest(self.rest_url, empty=not row.has_rest), "https://…"),
            "gamma_url": (_is_rest(self.gamma_url, empty=True), "https://… or none"),
            "products": (
                bool(self.products) is row.informs
                and all(0 <= slot < PRODUCTS_MAX for slot in self.products.values()),
                informs,
            ),
            "ping_ns": (
                self._ping_min_ns() <= self.ping_ns < self.link_silent_ns,
                f"at least {self._ping_min_ns()}, less than silent",
            ),
            "link_silent_ns": (self.link_silent_ns < self.link_dead_ns, "less than dead"),
            "backoff_base_ns": (
                0 < self.backoff_base_ns <= self.backoff_max_ns,
                "more than 0, at most backoff_max_ns",
            ),
            "facts_ns": (self.facts_ns >= FACTS_AGAIN_NS, f"at least {FACTS_AGAIN_NS}"),
            "check_ns": (self.check_ns >= CHECK_MIN_NS, f"at least {CHECK_MIN_NS}"),
            "lanes": (1 <= self.lanes <= LANES_MAX, f"1 to {LANES_MAX}"),
            "spare": (0 <= self.spare <= SPARE_MAX, f"0 to {SPARE_MAX}"),
            "poll_after_ns": (self.poll_after_ns >= SECOND_NS // 10, "at least 0.1 s"),
            "taker_delay_ns": (0 <= self.taker_delay_ns <= 60 * SECOND_NS, "0 to 60 s"),
            "options": (
                all(type(one) is type(row.options.get(name)) for name, one in told.items()),
                named or "none",
            ),
        }
        for name, (holds, wanted) in checks.items():
            if not holds:
                raise FeedError(f"{name}: found {getattr(self, name)!r}, wanted {wanted}")

    def _ping_min_ns(self) -> int:
        """What the venue's limit of messages leaves, less our answer to its ping and two requests
        that may fall into the same second."""
        most = self.row.messages_per_s
        return SECOND_NS // max(most - 3, 1) if most else 1

    @property
    def row(self) -> Row:
        """What the venue can and wants."""
        return VENUES[self.venue]

    def option(self, name: str) -> Option:
        """One of the venue's own settings: as told, else the row's."""
        return self.options.get(name, self.row.options[name])


def _is_url(url: str, *schemes: str, empty: bool) -> bool:
    return url.startswith(schemes) if url else empty


def _is_rest(url: str, *, empty: bool) -> bool:
    return _is_url(url, "https://", "http://", empty=empty)
