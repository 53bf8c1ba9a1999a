"""What the indices and the windowed markets of the seeded world do: a layer over its other events.

An index follows spot, with noise of its own, so two indices of one coin differ by fractions of a
basis point and now and then a window settles differently on the two venues. Draws are of this
layer alone: the markets below play the same with and without it.

A window's life, all of it script: its strike with its opening, a maker who quotes what the average
is worth until seconds before the close, the close, and the result some seconds later (Kalshi 6 to
17 s, spot.md and kalshi.md 15; Polymarket 20 to 90 s, polymarket.md 15).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from ops.venues.indices import WINDOW_S, Seconds, mean_e8
from ops.venues.numerals import ONE_E6, SECOND_NS
from ops.venues.script import (
    BookSet,
    Event,
    IndexTick,
    Listing,
    MarketSpec,
    SpotTrade,
    StatusChange,
)
from ops.venues.world_cast import BTC, ETH, SPOT_E8
from ops.venues.world_chance import Chance
from ops.venues.world_window_maker import SEEN_STEPS, STEPS, WindowMaker, fair_e6
from ops.venues.world_windows import CF_INDEX, CHAINLINK, ROUND_DIGITS, WINDOWS, next_of

STEP_NS = SECOND_NS // STEPS  # CF Benchmarks computes its indices so often
_CHUNK_NS = 4 * SECOND_NS
_PAST_S = 125  # an index has one: a relay tells the last two minutes to who subscribes
_PAST_CHUNK = -(10**9)
# What an index moves by in a second, as its makers know it: about what spot does (world_motion.py)
_SIGMA_E9 = {BTC: 90_000, ETH: 125_000}
_CENT_E8 = 1_000_000


class _Index:
    """One index: where it stands, and its whole seconds."""

    def __init__(self, name: str, product: str, *, is_cf: bool) -> None:
        self.name = name
        self.product = product
        self.every_ns = STEP_NS if is_cf else SECOND_NS
        self.value_e8 = SPOT_E8[product]
        self.seconds = Seconds()
        self.path_e8: deque[int] = deque(maxlen=SEEN_STEPS)  # by step, of those of every step
        self._unit_e8 = _CENT_E8 if is_cf else 1
        self._exact_e8 = self.value_e8
        self._noise_e8 = self.value_e8 * (3 if is_cf else 20) // 1_000_000  # 0.03 and 0.2 bp

    def tick(self, at_epoch_ns: int, spot_e8: int, chance: Chance) -> IndexTick:
        """Three quarters of the way to spot, and a little beside it."""
        self._exact_e8 += (spot_e8 - self._exact_e8) * 3 // 4
        shown_e8 = self._exact_e8 + chance.bell(self._noise_e8)
        self.value_e8 = shown_e8 // self._unit_e8 * self._unit_e8
        self.seconds.add(at_epoch_ns, self.value_e8)
        return IndexTick(at_epoch_ns, self.name, self.value_e8)


class _Window:
    """One market, its index and its maker. `seen`: the index that its maker watches, the coin's
    quickest."""

    def __init__(
        self, market: int, spec: MarketSpec, index: _Index, seen: _Index, maker: WindowMaker
    ) -> None:
        self.market = market
        self.spec = spec
        self.index = index
        self.maker = maker
        self.strike_e8 = spec.strike_e8 or 0
        self.open_s = spec.open_epoch_ns // SECOND_NS
        self.close_s = spec.close_epoch_ns // SECOND_NS
        self._seen = seen

    @property
    def is_kalshi(self) -> bool:
        return self.spec.venue == "kalshi"

    def average_e8(self, at_s: int) -> int:
        """What the venue's rule makes of the minute that ends with the window's edge `at_s`."""
        index = self.index
        values = index.seconds.before(at_s) if self.is_kalshi else index.seconds.upto(at_s)
        digits = ROUND_DIGITS if self.is_kalshi else 8
        return mean_e8(values or [index.value_e8], digits)

    def look(self, at_epoch_ns: int) -> tuple[int, int]:
        """What the maker takes it to be worth, and by how much it may be off by now."""
        maker, path = self.maker, self._seen.path_e8
        late = maker.lag_steps < len(path)
        spot_e8 = path[-1 - maker.lag_steps] if late else self.index.value_e8
        seen_s = (at_epoch_ns - maker.lag_steps * STEP_NS) // SECOND_NS
        worth_e6 = self.fair_e6(spot_e8, seen_s)
        return worth_e6, abs(self.fair_e6(spot_e8 + maker.unseen_e8(spot_e8), seen_s) - worth_e6)

    def fair_e6(self, spot_e8: int, seen_s: int) -> int:
        """The chance that the average ends at or above the strike (spot.md 7)."""
        first_s = self.close_s - WINDOW_S + (not self.is_kalshi)
        known = self.index.seconds.between(first_s, seen_s + 1)
        wait_s = max(first_s - seen_s, 1)
        return fair_e6(self.strike_e8, spot_e8, self.maker.sigma_e9, known, wait_s)


_Due = Callable[[_Window, int], Iterable[Event]]


class WindowMotion:
    """The layer. `over` may be called once; `specs` are the markets from number `first` on, the
    script's last. `windows`: of each series that are listed at any time."""

    def __init__(
        self,
        seed: int,
        specs: Sequence[MarketSpec],
        first: int,
        begin_epoch_ns: int,
        windows: int = WINDOWS,
    ) -> None:
        self._seed = seed
        self._begin_epoch_ns = begin_epoch_ns
        self._due_ns = begin_epoch_ns + -begin_epoch_ns % STEP_NS
        self._chunk = -1
        self._chance = Chance(seed, -1)
        self._spots = dict(SPOT_E8)
        self._indices = [
            *(_Index(name, product, is_cf=True) for product, name in CF_INDEX.items()),
            *(_Index(name, product, is_cf=False) for product, name in CHAINLINK.items()),
        ]
        self._by_name = {index.name: index for index in self._indices}
        self._at_s: defaultdict[int, list[tuple[_Due, _Window]]] = defaultdict(list)
        self._count, self._ahead = first, windows
        self._windows = [self._new(spec) for spec in specs]  # those that are not over

    def _new(self, spec: MarketSpec) -> _Window:
        """The next market of the script."""
        index = self._by_name[spec.index]
        maker = WindowMaker(self._seed, self._count, spec, _SIGMA_E9[index.product])
        seen = self._by_name[CF_INDEX[index.product]]
        window = _Window(self._count, spec, index, seen, maker)
        self._count += 1
        if spec.strike_e8 is None:
            self._at_s[window.open_s].append((self._open, window))
        self._at_s[maker.leave_s].append((self._leave, window))
        self._at_s[window.close_s].append((self._close, window))
        return window

    def over(self, events: Iterable[Event]) -> Iterator[Event]:
        """All events of `events`, which is endless, and between them those of this layer."""
        yield from self._begin()
        for event in events:
            while self._due_ns <= event.at_epoch_ns:
                yield from self._step(self._due_ns)
                self._due_ns += STEP_NS
            if isinstance(event, SpotTrade):
                self._spots[event.product] = event.price_e8
            yield event

    def _past(self) -> Iterator[Event]:
        """Whole seconds before the beginning, at the anchor."""
        chance, begin_s = Chance(self._seed, _PAST_CHUNK), -(-self._begin_epoch_ns // SECOND_NS)
        for second in range(begin_s - _PAST_S, begin_s):
            for index in self._indices:
                yield index.tick(second * SECOND_NS, SPOT_E8[index.product], chance)

    def _begin(self) -> Iterator[Event]:
        yield from self._past()
        for window in self._windows:
            if window.strike_e8:
                yield self._first_book(window, self._begin_epoch_ns)
            elif not window.is_kalshi:  # trades long before its window; nobody quotes it yet
                yield BookSet(self._begin_epoch_ns, window.market, (), ())

    def _step(self, at_epoch_ns: int) -> Iterator[Event]:
        chunk = (at_epoch_ns - self._begin_epoch_ns) // _CHUNK_NS
        if chunk != self._chunk:
            self._chunk, self._chance = chunk, Chance(self._seed, -1 - chunk)
        for index in self._indices:
            if at_epoch_ns % index.every_ns == 0:
                yield index.tick(at_epoch_ns, self._spots[index.product], self._chance)
                index.path_e8.append(index.value_e8)
        second, rest = divmod(at_epoch_ns, SECOND_NS)
        if not rest:
            for due, window in self._at_s.pop(second, ()):
                yield from due(window, at_epoch_ns)
        for window in self._windows:
            if window.maker.is_there and window.maker.is_awake(self._chance):
                worth_e6, moved_e6 = window.look(at_epoch_ns)
                yield from window.maker.follow(at_epoch_ns, worth_e6, moved_e6, self._chance)

    def _first_book(self, window: _Window, at_epoch_ns: int) -> BookSet:
        worth_e6, moved_e6 = window.look(at_epoch_ns)
        return window.maker.begin(at_epoch_ns, worth_e6, moved_e6, self._chance)

    # ---- a window's life

    def _open(self, window: _Window, at_epoch_ns: int) -> Iterator[Event]:
        """The strike is what the window before it has just been settled by."""
        window.strike_e8 = window.average_e8(window.open_s)
        yield StatusChange(
            at_epoch_ns, window.market, "active", strike_e8=window.strike_e8
        )  # fmt: skip
        yield self._first_book(window, at_epoch_ns)

    def _leave(self, window: _Window, at_epoch_ns: int) -> Iterator[Event]:
        """Nobody who quotes wants the last seconds."""
        yield from window.maker.leave(at_epoch_ns)

    def _close(self, window: _Window, at_epoch_ns: int) -> Iterator[Event]:
        """Kalshi closes; Polymarket goes on taking orders of which nobody is the maker."""
        final_e8 = window.average_e8(window.close_s)
        settlement_e6 = ONE_E6 if final_e8 >= window.strike_e8 else 0
        told = {"settlement_e6": settlement_e6, "final_e8": final_e8}
        chance = self._chance
        if window.is_kalshi:
            yield StatusChange(at_epoch_ns, window.market, "closed")
            determined_s = window.close_s + chance.between(3, 8)
            self._later(determined_s, window, "determined", told)
            self._later(determined_s + chance.between(3, 9), window, "finalized", told)
        else:
            self._later(window.close_s + chance.between(20, 90), window, "finalized", told)
        yield from self._list(window, at_epoch_ns)

    def _list(self, over: _Window, at_epoch_ns: int) -> Iterator[Event]:
        """A series goes on: another window for the one that closed."""
        window = self._new(next_of(over.spec, self._ahead, self._begin_epoch_ns))
        self._windows[self._windows.index(over)] = window
        yield Listing(at_epoch_ns, window.market, window.spec)
        if not window.is_kalshi:
            yield BookSet(at_epoch_ns, window.market, (), ())

    def _later(self, at_s: int, window: _Window, status: str, told: dict[str, int]) -> None:
        def due(window: _Window, at_epoch_ns: int) -> Iterator[Event]:
            yield StatusChange(at_epoch_ns, window.market, status, **told)

        self._at_s[at_s].append((due, window))
