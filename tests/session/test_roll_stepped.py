"""Two rolls of every series of the seeded world, stepped: venues, feeds, model, detector, catalog
and the supervisor's tables in one process, on a clock that stands where it is put.

The gateway's part is played: an intent is filled, and what is held is booked a while after the
market has settled.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, cast

import numpy as np
import pytest

from engine.model import Model
from feeds.indices import CF_SECOND, POLYBOLT_CHAINLINK, POLYBOLT_TWAP
from feeds.newcomers import Newcomers
from ops import sim_index, sim_windows
from ops.assets import Assets
from ops.catalog import Catalog
from ops.config import Settings
from ops.identity import identify, publish, row
from ops.roll import REST_NS, SPARE, Roll
from ops.venues import world_window_motion
from ops.venues.indices import Seconds, mean_e8
from ops.venues.script import (
    BookSet,
    Event,
    IndexTick,
    LevelSet,
    Listing,
    MarketTrade,
    SpotTrade,
    StatusChange,
)
from ops.venues.world import WorldScript, make_world
from shm_layout import (
    BODY,
    E6,
    INDEX,
    INTENT,
    K_INDEX,
    K_SPOT,
    LIVE_EPOCH_AT,
    MODEL,
    NO_INSTRUMENT,
    PAIRS_MAX,
    POSITION,
    SPOT,
    ST_SETTLED,
    VENUES,
    Words,
    cells_to_text,
    cells_to_uint256,
    ring_append,
    run_epoch_ns,
    word_store,
)
from tests.session.line import EPOCH
from tests.session.stepped import Seen, Stepped, open_settings

SECOND = 10**9
BEGIN_S = 1_795_000_400 // 900 * 900 + 900 - 90  # 90 s before a quarter of an hour
FIRST_S = BEGIN_S + 90
ROLLED_S = FIRST_S + 900  # the second boundary of the quarters of an hour
END_S = ROLLED_S + 500  # what closed there has settled and rested
LESS_E6 = 150_000  # that Polymarket's windows are asked less than Kalshi's: a gap that pays
BOOKED_S = 20  # from a result to its booking
MUTE_S = 20  # before and after the second boundary
SPOT_ONE_IN = 50
Name = tuple[int, int]  # number and generation


class Windows(WorldScript):
    """The seeded world whose other markets stand empty, with few trades and whole seconds."""

    def events(self) -> Iterator[Event]:
        others, trades = 2 * self.plays, 0
        for event in WorldScript.events(self):
            if isinstance(event, LevelSet | MarketTrade) and event.market < others:
                continue
            if isinstance(event, BookSet) and event.market < others:
                yield BookSet(event.at_epoch_ns, event.market, (), ())
            elif isinstance(event, SpotTrade):
                trades += 1
                if trades % SPOT_ONE_IN == 0:
                    yield event
            elif not isinstance(event, IndexTick) or event.at_epoch_ns % SECOND == 0:
                yield event


def less(fair_e6: Callable[[Any, int, int], int]) -> Callable[[Any, int, int], int]:
    """What the makers think of a window, Polymarket's less."""

    def found(window: Any, spot_e8: int, seen_s: int) -> int:
        worth_e6 = fair_e6(window, spot_e8, seen_s)
        return worth_e6 if window.is_kalshi else max(worth_e6 - LESS_E6, 15_000)

    return found


@dataclass(frozen=True)
class Leg:
    """One leg of an intent, with the row of its instrument at that moment."""

    name: Name
    venue: str
    open_s: int
    close_s: int
    at_s: float
    is_of_its_quote: bool
    is_bet: bool


class Rolled(Stepped):
    """The stepped path with model, catalog and the supervisor's tables."""

    def __init__(self, script: WorldScript, settings: Settings) -> None:
        super().__init__(script, settings, spare=SPARE)
        self._world = script
        self.specs = list(script.markets)
        self.strikes: dict[str, int] = {}  # by ticker, as the venue has it
        self.heard: dict[str, int] = {}  # by ticker, as the model took it
        self.ahead: dict[str, int] = {}  # the chance of a window that was not open yet
        self.legs: list[Leg] = []
        self.rows: dict[Name, np.void] = {}
        self.free_s: dict[Name, int] = {}  # when nothing was held of it any more
        self.gone_s: dict[Name, int] = {}
        self.said: list[str] = []
        self._seconds: defaultdict[str, Seconds] = defaultdict(Seconds)
        self._due: dict[Name, int] = {}  # held, and when it is booked
        identity = identify(script, settings, sim_index.products(script))
        publish(self.segment, identity)
        self._products = identity.products
        word_store(self._words, LIVE_EPOCH_AT + MODEL, EPOCH)
        self._news = {name: Newcomers(self.segment, VENUES.index(name)) for name in self.lines}
        table = sim_windows.series(script, settings.updown)
        self.roll = Roll(
            self.segment, identity, table, tell=lambda _: None, note=self.said.append
        )  # fmt: skip
        self.catalog = Catalog(
            table, {name: line.rest for name, line in self.lines.items()}, self._propose,
            assets=Assets(settings.assets.tracked, settings.assets.others),
            run_s=lambda: self.run_ns // SECOND, mono_ns=lambda: self.now_ns, say=self.said.append,
        )  # fmt: skip
        self.model = Model(self.segment)

    @property
    def run_ns(self) -> int:
        return int(run_epoch_ns(self._words, self.now_ns))

    async def _propose(self, told: dict[str, Any]) -> dict[str, Any]:
        return self.roll.propose(told)

    def play(self, end_s: int) -> None:
        """To that second of run time."""
        begin_ns = self._script.timeline.begin_epoch_ns
        grouped = groupby(self._script.events(), key=lambda event: max(event.at_epoch_ns, begin_ns))
        second = 0
        with asyncio.Runner() as runner:
            for at_epoch_ns, events in grouped:
                if at_epoch_ns >= end_s * SECOND:
                    return
                self._turn_to(at_epoch_ns)
                for event in events:
                    self._apply(event)
                if not second:
                    self._connect()
                if at_epoch_ns // SECOND > second:
                    second = at_epoch_ns // SECOND
                    runner.run(self.catalog.round())
                    self._book(second)
                self._tables()
                self.model.step(self.now_ns)
                self._decide()

    def _apply(self, event: Event) -> None:
        if isinstance(event, IndexTick):
            self._index(event)
        elif isinstance(event, SpotTrade):
            product = self._products["coinbase"][event.product]
            told = row(SPOT, product=product, event_epoch_ns=event.at_epoch_ns,
                       last_e8=event.price_e8)  # fmt: skip
            self._append("coinbase", K_SPOT, told)
        else:
            if isinstance(event, Listing):
                self.specs.append(event.spec)
            if isinstance(event, StatusChange) and event.strike_e8 is not None:
                self.strikes[self.specs[event.market].ticker] = event.strike_e8
            assert isinstance(event, BookSet | LevelSet | MarketTrade | StatusChange | Listing)
            self.lines[self.specs[event.market].venue].apply(event)

    def _index(self, event: IndexTick) -> None:
        """What both relays say of a tick: its value, and of Chainlink's the mean up to it."""
        known, at_s = self._seconds[event.index], event.at_epoch_ns // SECOND
        known.add(event.at_epoch_ns, event.value_e8)
        if abs(at_s - ROLLED_S) < MUTE_S and event.index.islower():
            return  # the relay says nothing
        feed = sim_index.POLYBOLT if event.index.islower() else sim_index.CF
        source = POLYBOLT_CHAINLINK if event.index.islower() else CF_SECOND
        told = {"product": self._products[feed][event.index], "event_epoch_ns": event.at_epoch_ns}
        self._append(feed, K_INDEX, row(INDEX, value_e8=event.value_e8, source=source, **told))
        values = known.upto(at_s)
        if event.index.islower() and len(values) == 60:
            more = {"mean_e8": mean_e8(values), "mean_end_ns": event.at_epoch_ns}
            self._append(feed, K_INDEX, row(INDEX, source=POLYBOLT_TWAP, **told, **more))

    def _append(self, feed: str, kind: int, body: Words) -> None:
        ring = f"changes_{VENUES.index(feed)}"
        entries = self.segment.entries(ring)
        ring_append(self._words, self.segment.at(ring), entries, kind, body, BODY)

    def _tables(self) -> None:
        """The supervisor's look, and what the feeds make of it."""
        before = {live.index for live in self.roll.live.values()}
        self.roll.turn(self.now_ns)
        for index in before - {live.index for live in self.roll.live.values()}:
            found = self._row(index)
            self.gone_s[index, int(found["generation"])] = self.run_ns // SECOND
        for name, line in self.lines.items():
            told = self._news[name].take()
            news = [line.publisher.learn(one, is_live, self.now_ns) for one, is_live in told]
            if any(news):
                line.tick()
                line.read_facts()
        for live in self.roll.live.values():
            found = self._row(live.index)
            self.rows[live.index, int(found["generation"])] = found
            terms = self.segment.read("market_terms", live.index)
            is_its = terms is not None and terms["generation"] == found["generation"]
            if terms is not None and is_its and terms["strike_e8"] > 0:
                self.heard[live.window.ticker] = int(terms["strike_e8"])
            elif terms is not None and is_its and self.run_ns < live.window.open_s * SECOND:
                self.ahead[live.window.ticker] = int(terms["fair_e6"])

    def _row(self, index: int) -> np.void:
        found = self.segment.read("instruments", index)
        assert found is not None
        return found

    def _decide(self) -> list[Seen]:
        """What the gateway would do besides: hold what was decided, of one market or of two."""
        for line in self.lines.values():
            line.deliver()
            line.tick()
        for heart in self._hearts:
            heart.beat(self.now_ns)
        self.detector.step(self.now_ns)
        for _, body in self._intents.drain():
            intent = body.view(INTENT)[0]
            count = int(intent["leg_count"])
            self._answer(int(intent["id"]), int(intent["pair"]))
            for leg in range(count):
                self._hold(
                    int(intent[f"instrument_{leg}"]), int(intent[f"generation_{leg}"]), count
                )
        return []

    def _hold(self, index: int, generation: int, count: int) -> None:
        known, quote = self._row(index), self.segment.read("quotes", index)
        assert quote is not None and known["generation"] == generation
        self.legs.append(Leg(
            name=(index, generation), venue=VENUES[int(known["venue"])],
            open_s=int(known["open_epoch_ns"]) // SECOND,
            close_s=int(quote["close_epoch_ns"]) // SECOND, at_s=self.run_ns / SECOND,
            is_of_its_quote=bool(quote["generation"] == generation), is_bet=count == 1,
        ))  # fmt: skip
        self._due.setdefault((index, generation), 0)
        self._position(index, generation, E6)

    def _book(self, now_s: int) -> None:
        """Some seconds after the result nothing is held any more."""
        for (index, generation), due_s in list(self._due.items()):
            quote = self.segment.read("quotes", index)
            assert quote is not None and quote["generation"] == generation, "a number too early"
            if due_s == 0 and quote["status"] == ST_SETTLED:
                self._due[index, generation] = now_s + BOOKED_S
            elif due_s and now_s >= due_s:
                self._position(index, generation, 0)
                self.free_s[index, generation] = now_s
                del self._due[index, generation]

    def _position(self, index: int, generation: int, held_e6: int) -> None:
        told = row(POSITION, instrument=index, generation=generation, position_e6=held_e6)
        self.segment.write("positions", index, told)


@pytest.fixture(scope="module")
def run() -> Rolled:
    """Over two boundaries; nothing of Chainlink is heard around the second."""
    world = make_world(7, begin_epoch_ns=BEGIN_S * SECOND, windows=2)
    assert isinstance(world, WorldScript)
    script = Windows(**{f.name: getattr(world, f.name) for f in dataclasses.fields(world)})
    settings = open_settings(10_000)
    edge = dataclasses.replace(settings.edge, cooldown_ns=10 * SECOND)
    with pytest.MonkeyPatch.context() as patch:
        window = world_window_motion._Window
        patch.setattr(window, "fair_e6", less(window.fair_e6))
        made = Rolled(script, dataclasses.replace(settings, edge=edge))
        made.play(END_S)
    return made


def test_two_rolls_of_every_series_are_followed_without_a_word(run: Rolled) -> None:
    assert run.said == [] and run.roll.counts.refused == 0
    begun = {
        (VENUES[int(r["venue"])], cells_to_text(r["ticker"]))
        for r in run.rows.values() if r["open_epoch_ns"] < END_S * SECOND
    }  # fmt: skip
    counts = defaultdict(int)
    for venue, ticker in begun:
        counts[venue, "5m" if "-5m-" in ticker else "15m"] += 1
    assert counts == {("kalshi", "15m"): 3, ("polymarket", "15m"): 3, ("polymarket", "5m"): 6}


def test_what_closed_is_forgotten_once_it_is_booked_and_has_rested(run: Rolled) -> None:
    closed = {name for name, found in run.rows.items() if _close_s(found) <= ROLLED_S}
    assert closed <= run.gone_s.keys() and run.free_s
    for name, free_s in run.free_s.items():
        assert run.gone_s[name] >= free_s + REST_NS // SECOND


def _close_s(row_: np.void) -> int:
    ticker = cells_to_text(row_["ticker"])
    return int(row_["open_epoch_ns"]) // SECOND + (300 if "-5m-" in ticker else 900)


def test_rows_of_one_market_come_and_go_with_it(run: Rolled) -> None:
    words, alone = run.segment, {}
    for index in range(PAIRS_MAX):
        pair = words.read("pairs", index)
        if pair is not None and pair["b"] == NO_INSTRUMENT and pair["approved"]:
            alone[int(pair["a"])] = int(pair["a_generation"])
    followed = {live.index for live in run.roll.live.values()}
    assert followed == alone.keys()
    assert all((name in run.rows) and name not in run.gone_s for name in alone.items())


def test_numbers_are_used_again_on_both_venues(run: Rolled) -> None:
    again = {VENUES[int(r["venue"])] for (_, generation), r in run.rows.items() if generation > 1}
    assert again == {"kalshi", "polymarket"} and run.roll.counts.reused > 0


def test_only_windows_that_are_open_and_whose_start_was_heard_are_traded(run: Rolled) -> None:
    """The first began before the run, the third while the relay said nothing."""
    assert all(leg.open_s <= leg.at_s < leg.close_s for leg in run.legs)
    assert all(leg.is_of_its_quote for leg in run.legs)
    pairs = [leg for leg in run.legs if not leg.is_bet]
    assert {leg.open_s for leg in pairs} == {FIRST_S}
    assert {leg.venue for leg in pairs} == {"kalshi", "polymarket"}


def test_the_strike_is_what_the_venue_settles_on(run: Rolled) -> None:
    told = {t: s for t, s in run.heard.items() if "updown" in t}
    assert len(told) >= 4
    assert {t: run.strikes[t] for t in told} == told
    assert f"btc-updown-15m-{ROLLED_S}" not in told and f"btc-updown-15m-{ROLLED_S}" in run.strikes


def test_the_next_window_of_every_series_is_priced_before_it_opens(run: Rolled) -> None:
    counts = Counter(ticker.split("-")[0] for ticker in run.ahead)
    assert counts["KXBTC15M"] >= 2 and counts["btc"] >= 6
    assert all(0 < fair_e6 < E6 for fair_e6 in run.ahead.values()), (counts, run.ahead)


def test_what_is_forgotten_is_subscribed_no_more(run: Rolled) -> None:
    kalshi, polymarket = (cast(Any, run.lines[name].venue.hub) for name in ("kalshi", "polymarket"))
    asked = {name for sub in kalshi._subs["orderbook_delta"] for name in sub.names}
    asked |= {token for each in polymarket._listeners.values() for token in each.tokens}
    live, gone = set(), set()
    for name, found in run.rows.items():
        tokens = (cells_to_uint256(found[each]) for each in ("token_yes", "token_no"))
        names = {cells_to_text(found["ticker"])} if not found["condition"].any() else {
            str(token) for token in tokens
        }  # fmt: skip
        (gone if name in run.gone_s else live).update(names)
    assert live <= asked and not gone & asked and gone
