"""The makers of the seeded world's windows: near what a window is worth, late, and gone in time.

What it is worth is computed here once more, in floats and without any lag: to know it is to find
what the makers leave, which must be something and must not be much.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise, takewhile
from math import erf, log, sqrt
from statistics import median

import pytest

from ops.venues.script import (
    BookSet,
    IndexTick,
    LevelSet,
    Listing,
    MarketSpec,
    SpotTrade,
    StatusChange,
)
from ops.venues.world import make_world
from ops.venues.world_chance import Chance
from ops.venues.world_window_maker import WindowMaker, fair_e6
from ops.venues.world_windows import listed
from tests.offline_edges import Books

SECOND = 10**9
BEGIN = 1_795_000_000 * SECOND
LENGTH_S = 1_000
SIGMA = 0.9e-4  # of spot over a second
YEAR_S = 31_536_000
LATE_S = 20  # of who looks at spot of long ago


def worth(
    strike_e8: int, spot_e8: int, known: list[int], wait_s: float, sigma: float = SIGMA
) -> float:
    """Of YES, where the mean of 60 seconds decides: `known` of them are there."""
    missing = 60 - len(known)
    mean = (sum(known) + missing * spot_e8) / 60
    steps = (missing - at for at in range(missing))  # how many of them each second moves
    variance = (missing**2 * (wait_s - 1) + sum(step**2 for step in steps)) / 3_600
    sd = max(spot_e8 * sigma * sqrt(variance), 1.0)
    return 0.5 * (1 + erf((mean - strike_e8) / sd / sqrt(2)))


def fee(price: float) -> float:
    """Of a taker, on both venues."""
    return 0.07 * price * (1 - price)


@dataclass(frozen=True)
class Look:
    """One market at one moment."""

    market: int
    at_epoch_ns: int
    left_s: float
    bid: float
    ask: float
    worth: float
    worth_late: float  # to who saw spot LATE_S before

    def found(self, worth: float) -> float:
        """What a taker who believes `worth` takes to be left after fees."""
        return max(worth - self.ask - fee(self.ask), self.bid - worth - fee(self.bid))


class Watched:
    """A session, looked at five times a second."""

    def __init__(self, seed: int) -> None:
        script = make_world(seed, begin_epoch_ns=BEGIN)
        self.specs: list[MarketSpec] = list(script.markets)
        self.first = 2 * len(script.pairs)
        self.looks: list[Look] = []
        self.last_s: dict[int, float] = {}  # before its close, a book's last level
        self.spots: dict[str, dict[int, int]] = defaultdict(dict)
        self._strikes = {at: each.strike_e8 for at, each in enumerate(self.specs)}
        self._seconds: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._books = Books()
        end, looked_ns = BEGIN + LENGTH_S * SECOND, BEGIN
        for event in takewhile(lambda event: event.at_epoch_ns < end, script.events()):
            if event.at_epoch_ns >= looked_ns + SECOND // 5:
                looked_ns = event.at_epoch_ns
                self._look(looked_ns)
            self._take(event)

    def _take(self, event: object) -> None:
        if isinstance(event, SpotTrade):
            self.spots[event.product][event.at_epoch_ns // SECOND] = event.price_e8
        elif isinstance(event, IndexTick) and event.at_epoch_ns % SECOND == 0:
            self._seconds[event.index][event.at_epoch_ns // SECOND] = event.value_e8
        elif isinstance(event, Listing):
            self.specs.append(event.spec)
        elif isinstance(event, StatusChange) and event.strike_e8 is not None:
            self._strikes[event.market] = event.strike_e8
        elif isinstance(event, BookSet | LevelSet) and event.market >= self.first:
            self._books.apply(event)

    def _look(self, now_ns: int) -> None:
        now_s = now_ns // SECOND
        path = self.spots["BTC-USD"]
        for market, (bids, asks) in self._books.sides.items():
            spec, strike_e8 = self.specs[market], self._strikes.get(market)
            if not (bids and asks and strike_e8 and now_s in path):
                continue
            close_s = spec.close_epoch_ns // SECOND
            self.last_s[market] = (spec.close_epoch_ns - now_ns) / SECOND
            first_s = close_s - 60 + (spec.venue == "polymarket")
            ticks = self._seconds[spec.index]
            known = [ticks[at] for at in range(first_s, now_s + 1) if at in ticks]
            wait_s = max(first_s - now_s, 1)
            late_e8 = path.get(now_s - LATE_S, path[now_s])
            self.looks.append(Look(
                market, now_ns, self.last_s[market], max(bids) / 1e6, min(asks) / 1e6,
                worth(strike_e8, path[now_s], known, wait_s),
                worth(strike_e8, late_e8, known, wait_s),
            ))  # fmt: skip


@pytest.fixture(scope="module")
def watched() -> Watched:
    return Watched(7)


def episodes(looks: list[Look], least: float, *, is_late: bool = False) -> int:
    """How often what is found after fees rises to `least` in a market."""
    paying: dict[int, bool] = {}
    count = 0
    for look in looks:
        pays = look.found(look.worth_late if is_late else look.worth) >= least
        count += pays and not paying.get(look.market, False)
        paying[look.market] = pays
    return count


def volatility(path: dict[int, int], every_s: int) -> float:
    """A year's, from prices so far apart."""
    seconds = sorted(path)
    grid = [path[at] for at in seconds if at % every_s == 0]
    changes = [log(later / earlier) ** 2 for earlier, later in pairwise(grid)]
    return sqrt(sum(changes) / len(changes) * YEAR_S / every_s)


@pytest.mark.parametrize(
    ("away_e8", "known_count", "wait_s"),
    [(0, 0, 300), (90 * 10**8, 0, 300), (-200 * 10**8, 0, 900), (30 * 10**8, 20, 1),
     (-9 * 10**8, 55, 1), (10**8, 59, 1), (0, 0, 1)],
)  # fmt: skip
def test_the_makers_whole_numbers_are_the_formula(
    away_e8: int, known_count: int, wait_s: int
) -> None:
    strike_e8 = 90_000 * 10**8
    known = [strike_e8 + away_e8 // 2] * known_count
    ours = fair_e6(strike_e8, strike_e8 + away_e8, 90_000, known, wait_s) / 1e6
    assert ours == pytest.approx(worth(strike_e8, strike_e8 + away_e8, known, wait_s), abs=2e-3)


def test_who_knows_the_whole_minute_knows_the_result() -> None:
    strike_e8 = 90_000 * 10**8
    assert fair_e6(strike_e8, 0, 90_000, [strike_e8 + 10**6] * 60, 1) > 990_000
    assert fair_e6(strike_e8, 0, 90_000, [strike_e8 - 10**6] * 60, 1) < 10_000


def test_spot_moves_as_bitcoin_does_and_nothing_leads_it_home(watched: Watched) -> None:
    quick, slow = (volatility(watched.spots["BTC-USD"], every) for every in (10, 60))
    assert 0.4 < quick < 0.62
    assert 0.3 < slow < 0.75
    assert 0.5 < volatility(watched.spots["ETH-USD"], 10) < 0.9


def test_the_measure_of_volatility_tells_a_price_that_is_led_home() -> None:
    home = {at: 10**13 + (at // 10 % 2) * 10**9 for at in range(1_200)}  # to and fro every 10 s
    assert volatility(home, 10) == pytest.approx(1e-4 * sqrt(YEAR_S / 10), rel=0.01)
    assert volatility(home, 60) == 0


def test_quotes_lie_around_what_a_window_is_worth(watched: Watched) -> None:
    off = [look.worth - (look.bid + look.ask) / 2 for look in watched.looks]
    assert median(map(abs, off)) < 0.02
    assert abs(sum(off)) / len(off) < 0.01
    spreads = [look.ask - look.bid for look in watched.looks]
    assert 0.01 <= median(spreads) <= 0.05


def test_a_few_bets_a_minute_are_worth_it_and_most_looks_are_not(watched: Watched) -> None:
    minutes = LENGTH_S / 60
    assert 4 <= episodes(watched.looks, 0.01) / minutes <= 20
    assert 1 <= episodes(watched.looks, 0.03) / minutes <= 8
    paying = [found for look in watched.looks if (found := look.found(look.worth)) >= 0.01]
    assert len(paying) < 0.05 * len(watched.looks)
    assert 0.01 <= median(paying) <= 0.04


def test_the_count_of_bets_tells_makers_that_are_beside_the_index(watched: Watched) -> None:
    """To who is late by 20 s the same books look full of bets, and they are none."""
    late = [look.found(look.worth_late) >= 0.01 for look in watched.looks]
    assert sum(late) > 0.2 * len(late)
    assert episodes(watched.looks, 0.03, is_late=True) > 2 * episodes(watched.looks, 0.03)


def test_makers_leave_three_to_nine_seconds_before_the_end(watched: Watched) -> None:
    over = [
        left_s for market, left_s in watched.last_s.items()
        if watched.specs[market].close_epoch_ns < BEGIN + LENGTH_S * SECOND
    ]  # fmt: skip
    assert len(over) >= 5 and len(set(map(int, over))) > 1
    assert all(2.8 <= left_s <= 9.4 for left_s in over)


def quoted(left_s: int, moved_e6: int) -> tuple[int, int]:
    """Spread and size at the touch of a maker who has this much time and sees this much risk."""
    spec = listed(0, 1)[0]
    at_epoch_ns = spec.close_epoch_ns - left_s * SECOND
    book = WindowMaker(1, 0, spec, 90_000).begin(at_epoch_ns, 500_000, moved_e6, Chance(1, 1))
    return book.asks[0][0] - book.bids[0][0], book.bids[0][1]


def test_a_maker_asks_for_what_it_cannot_see_and_for_the_last_minute() -> None:
    calm, risky, late = quoted(300, 0), quoted(300, 40_000), quoted(15, 0)
    assert calm[0] == 20_000, "the tightest on a grid of cents around a whole cent"
    assert risky[0] >= 50_000 and risky[1] == calm[1]
    assert late[0] >= 40_000 and late[1] < calm[1] // 2


def test_windows_of_the_two_venues_lie_apart_now_and_then(watched: Watched) -> None:
    """Buy on one, sell on the other, both fees paid: the pair of the quarter of an hour."""
    moments: defaultdict[tuple[int, int], dict[str, Look]] = defaultdict(dict)
    for look in watched.looks:
        spec = watched.specs[look.market]
        if spec.close_epoch_ns - spec.open_epoch_ns == 900 * SECOND:
            moments[look.at_epoch_ns, spec.close_epoch_ns][spec.venue] = look
    pairs = [tuple(two.values()) for two in moments.values() if len(two) == 2]
    paying = [
        any(high.bid - low.ask - fee(low.ask) - fee(high.bid) > 0.005
            for low, high in ((one, other), (other, one)))
        for one, other in pairs
    ]  # fmt: skip
    opened = sum(now and not before for before, now in pairwise(paying))
    assert 1 <= opened <= 30
    assert sum(paying) < 0.02 * len(paying)
