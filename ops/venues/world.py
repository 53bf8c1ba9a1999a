"""The first driver of the simulated venues: a seeded world in which real gaps open and close."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice, takewhile

from ops.venues.script import Event, MarketSpec, PairSpec, Script, SetSpec, Timeline, fingerprint
from ops.venues.world_cast import BTC, ETH, PLAYS, Play, cast, opposed, pair_of
from ops.venues.world_crowd import crowd
from ops.venues.world_motion import Motion
from ops.venues.world_opposite import told_the_other_way
from ops.venues.world_sets import SetMotion, set_markets, set_specs
from ops.venues.world_window_motion import WindowMotion
from ops.venues.world_windows import CF_INDEX, CHAINLINK, SERIES, WINDOWS, Series, listed

_MS_NS = 1_000_000
DIGEST_NS = 120 * 10**9  # of the script that the digest covers
DIGEST_EVENTS = 40_000  # and at most so many events: a large world's start is told by them


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldScript:
    """A `Script` that is made as it is read: small to pickle, endless, of bounded memory.

    `digest` covers the specs and the first 120 s of events (at most DIGEST_EVENTS) of the same seed
    begun at the epoch, so one seed has one digest whenever the session begins (times, and dates in
    tickers, move with it). `plays`: markets on each venue that pair. `windows`: of each series of
    windowed markets; 0: none, and no index either. `opposite`: the plays whose Polymarket market
    asks the other way round. `sets`: markets of one venue that settle against each other; none: no
    such market either.
    """

    seed: int
    markets: tuple[MarketSpec, ...]
    pairs: tuple[PairSpec, ...]
    products: tuple[str, ...]
    indices: tuple[str, ...]
    timeline: Timeline
    digest: str
    plays: int
    windows: int
    opposite: tuple[int, ...]
    series: tuple[Series, ...] = SERIES
    sets: tuple[SetSpec, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)  # nothing is ever corrected

    def events(self) -> Iterator[Event]:
        """From the beginning, ascending in time, without end."""
        begin_epoch_ns = self.timeline.begin_epoch_ns
        return _events(
            self.seed, begin_epoch_ns, self.plays, self.windows, self.opposite, self.series,
            has_sets=bool(self.sets),
        )  # fmt: skip

    @property
    def end_epoch_ns(self) -> int | None:
        """None: it goes on."""
        return None


def make_world(
    seed: int,
    *,
    begin_epoch_ns: int,
    speed_e6: int = 1_000_000,
    plays: int = PLAYS,
    windows: int = WINDOWS,
    opposite: tuple[int, ...] = (),
    series: tuple[Series, ...] = SERIES,
    has_sets: bool = False,
) -> Script:
    """The world of `seed`: the same script byte for byte on every machine and Python. `plays`: at
    least PLAYS."""
    assert plays >= PLAYS, f"plays is {plays}, wanted at least {PLAYS}"
    markets, pairs, sets = _cast(begin_epoch_ns, plays, windows, opposite, series, has_sets)
    return WorldScript(
        seed=seed,
        markets=markets,
        pairs=pairs,
        products=(BTC, ETH),
        indices=(*CF_INDEX.values(), *CHAINLINK.values()) if windows else (),
        timeline=Timeline(begin_epoch_ns, speed_e6),
        digest=digest_of(
            seed, plays=plays, windows=windows, opposite=opposite, series=series, has_sets=has_sets
        ),
        sets=sets,
        plays=plays,
        windows=windows,
        opposite=opposite,
        series=series,
    )


def digest_of(
    seed: int,
    length_ns: int = DIGEST_NS,
    *,
    plays: int = PLAYS,
    windows: int = WINDOWS,
    opposite: tuple[int, ...] = (),
    series: tuple[Series, ...] = SERIES,
    has_sets: bool = False,
) -> str:
    """What names the world of a seed: see `WorldScript`."""
    events = _events(seed, 0, plays, windows, opposite, series, has_sets=has_sets)
    begun = takewhile(lambda event: event.at_epoch_ns < length_ns, events)
    markets, pairs, sets = _cast(0, plays, windows, opposite, series, has_sets)
    return fingerprint(markets, pairs, islice(begun, DIGEST_EVENTS), sets)


@lru_cache(maxsize=1)
def _plays(begin_epoch_ns: int, count: int, opposite: tuple[int, ...]) -> tuple[Play, ...]:
    plays = cast(begin_epoch_ns, partial(crowd, count - PLAYS))
    return tuple(opposed(play) if at in opposite else play for at, play in enumerate(plays))


def _cast(
    begin_epoch_ns: int,
    count: int,
    windows: int,
    opposite: tuple[int, ...],
    series: tuple[Series, ...],
    has_sets: bool,
) -> tuple[tuple[MarketSpec, ...], tuple[PairSpec, ...], tuple[SetSpec, ...]]:
    plays = _plays(begin_epoch_ns, count, opposite)
    paired = tuple(spec for play in plays for spec in (play.kalshi, play.polymarket))
    tied, sets = (set_markets(begin_epoch_ns), set_specs(begin_epoch_ns)) if has_sets else ((), ())
    pairs = tuple(pair_of(play) for play in plays)
    return paired + tied + listed(begin_epoch_ns, windows, series), pairs, sets


def _events(
    seed: int,
    begin_epoch_ns: int,
    count: int,
    windows: int,
    opposite: tuple[int, ...],
    series: tuple[Series, ...],
    *,
    has_sets: bool,
) -> Iterator[Event]:
    begin_ns = begin_epoch_ns + -begin_epoch_ns % _MS_NS
    plays = _plays(begin_epoch_ns, count, opposite)
    events = Motion(seed, plays, begin_ns).events()
    if opposite:
        events = told_the_other_way(events, frozenset(2 * play + 1 for play in opposite))
    first = 2 * len(plays)
    if has_sets:
        events = SetMotion(seed, first, begin_ns).over(events)
        first += len(set_markets(begin_epoch_ns))
    if not windows:
        return events
    specs = listed(begin_epoch_ns, windows, series)
    return WindowMotion(seed, specs, first, begin_ns, windows).over(events)
