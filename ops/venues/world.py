"""The first driver of the simulated venues: a seeded world in which real gaps open and close."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from ops.venues.script import Event, MarketSpec, PairSpec, Script, Timeline, fingerprint
from ops.venues.world_cast import BTC, ETH, Play, cast, pair_of
from ops.venues.world_motion import Motion

_MS_NS = 1_000_000
DIGEST_NS = 120 * 10**9  # of the script that the digest covers


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldScript:
    """A `Script` that is made as it is read: small to pickle, endless, of bounded memory.

    `digest` covers the specs and the first 120 s of events of the same seed begun at the epoch, so
    one seed has one digest whenever the session begins (times, and dates in tickers, move with it).
    """

    seed: int
    markets: tuple[MarketSpec, ...]
    pairs: tuple[PairSpec, ...]
    products: tuple[str, ...]
    timeline: Timeline
    digest: str
    counts: dict[str, int] = field(default_factory=dict)  # nothing is ever corrected

    def events(self) -> Iterator[Event]:
        """From the beginning, ascending in time, without end."""
        plays = cast(self.timeline.begin_epoch_ns)
        return Motion(self.seed, plays, _whole_ms(self.timeline.begin_epoch_ns)).events()

    @property
    def end_epoch_ns(self) -> int | None:
        """None: it goes on."""
        return None


def make_world(seed: int, *, begin_epoch_ns: int, speed_e6: int = 1_000_000) -> Script:
    """The world of `seed`: the same script byte for byte on every machine and Python."""
    plays = cast(begin_epoch_ns)
    return WorldScript(
        seed=seed,
        markets=_markets(plays),
        pairs=tuple(pair_of(play) for play in plays),
        products=(BTC, ETH),
        timeline=Timeline(begin_epoch_ns, speed_e6),
        digest=digest_of(seed),
    )


def digest_of(seed: int, length_ns: int = DIGEST_NS) -> str:
    """What names the world of a seed: see `WorldScript`."""
    plays = cast(0)
    events = Motion(seed, plays, 0).events()
    begun = takewhile(lambda event: event.at_epoch_ns < length_ns, events)
    return fingerprint(_markets(plays), [pair_of(play) for play in plays], begun)


def _markets(plays: tuple[Play, ...]) -> tuple[MarketSpec, ...]:
    return tuple(spec for play in plays for spec in (play.kalshi, play.polymarket))


def _whole_ms(epoch_ns: int) -> int:
    return epoch_ns + -epoch_ns % _MS_NS
