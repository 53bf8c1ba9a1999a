"""The whole path from a script to intents stepped in one process: no socket, no sleep, no clock.

Events of one stamp go through the simulated venues (which make the frames), the feeds' handlers
(books, quotes, rings of a private segment) and one `Detector.step` at that very moment. A gateway
that fills nothing answers every intent at once, limits are out of the way and there is neither
cooldown nor debounce: so each moment at which a direction pays shows as one intent, with its size
and edge. Books stay as recorded, because nothing is ever taken from them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from engine.detector import Detector
from ops.config import Settings, load
from ops.identity import identify, publish, row
from ops.process import Heart
from ops.run_clock import RunClock as RunTime
from ops.tally import RingReader
from ops.venues.script import BookSet, LevelSet, MarketTrade, Script, StatusChange
from ops.venues.session import RunClock, VenueLog
from shm_layout import (
    ACTIVE,
    BODY,
    CASH,
    CONTROL,
    DETECTOR,
    FEED_ROLE,
    GATE,
    INTENT,
    K_INTENT,
    K_TERMINAL,
    LIVE_EPOCH_AT,
    REPORT,
    RUN_CLOCK,
    VENUES,
    Segment,
    cell,
    reason,
    ring_append,
    word_store,
)
from tests.session.line import EPOCH, WALL_NS, VenueLine

START_NS = 10**9  # machine stamp of the first moment
MACHINE_NS = 10**12
PLENTY_E6 = 10**13  # above every limit that could cut a size


@dataclass(frozen=True)
class Seen:
    """One intent as decided: contracts and what a contract leaves, both in 1e-6."""

    pair: int
    direction: int
    size_e6: int
    edge_e6: int


def open_settings(edge_min_e6: int) -> Settings:
    """The profile `testing` with this threshold, no hurdle and nothing else in an edge's way."""
    found = load("testing")
    edge = dataclasses.replace(
        found.edge, edge_min_e6=edge_min_e6, hurdle_e6=0, price_low_e6=1, price_high_e6=999_999,
        debounce_ns=0, cooldown_ns=0,
    )  # fmt: skip
    limits = dataclasses.replace(
        found.limits, **dict.fromkeys(
            ("size_max_e6", "order_max_e6", "market_max_e6", "event_max_e6", "venue_max_e6",
             "total_max_e6", "day_max_e6", "unhedged_max_e6"), PLENTY_E6,
        ),
        **dict.fromkeys(("orders_per_second", "orders_per_minute", "orders_per_day"), 10**9),
    )  # fmt: skip
    return dataclasses.replace(found, edge=edge, limits=limits)


class Stepped:
    """One script on one private segment. `moments` runs it, once."""

    def __init__(self, script: Script, settings: Settings, *, spare: int = 0) -> None:
        self.segment = Segment.private()
        self._words = self.segment.words
        self._script = script
        self.now_ns = START_NS
        clock = RunClock(script.timeline, mono=lambda: self.now_ns, wall=lambda: WALL_NS)
        self._run_time = RunTime(script.timeline, self._write_clock)
        publish(self.segment, identify(script, settings))
        log = VenueLog()
        names = dict.fromkeys(market.venue for market in script.markets)
        for role in (DETECTOR, *(FEED_ROLE + VENUES.index(name) for name in names)):
            word_store(self._words, LIVE_EPOCH_AT + role, EPOCH)
        self.lines = {
            name: VenueLine(name, script, self.segment, clock=clock, log=log, spare=spare)
            for name in names
        }
        self._hearts = [Heart(self.segment, FEED_ROLE + VENUES.index(name)) for name in names]
        self._open_for_trading()
        self.detector = Detector(self.segment, EPOCH, gateway_eventfd=-1)
        self._intents = RingReader(self.segment, "intents")
        self._clock = clock

    def _open_for_trading(self) -> None:
        """What supervisor and gateway write: both states ACTIVE, and money in every account."""
        for block, record, name in (
            ("control", CONTROL, "trading_state"),
            ("gate", GATE, "state"),
        ):
            word_store(self._words, self.segment.at(block) + cell(record, name), ACTIVE)
        for account in range(len(VENUES)):
            self.segment.write("cash", account, row(CASH, account=account, cash_e6=PLENTY_E6))

    def _write_clock(self, begin_epoch_ns: int, mono_base_ns: int, speed_e6: int) -> None:
        cells = {
            "begin_epoch_ns": begin_epoch_ns, "mono_base_ns": mono_base_ns, "speed_e6": speed_e6,
        }  # fmt: skip
        self.segment.write("run_clock", 0, row(RUN_CLOCK, **cells))

    def moments(self) -> Iterator[tuple[int, list[Seen]]]:
        """(run time, intents decided then) of every stamp in the script, ascending."""
        begin_ns = self._script.timeline.begin_epoch_ns
        grouped = groupby(self._script.events(), key=lambda event: max(event.at_epoch_ns, begin_ns))
        is_first = True
        for at_epoch_ns, events in grouped:
            self._turn_to(at_epoch_ns)
            for event in events:
                assert isinstance(event, BookSet | LevelSet | MarketTrade | StatusChange), event
                self.lines[self._script.markets[event.market].venue].apply(event)
            if is_first:
                self._connect()
                is_first = False
            yield at_epoch_ns, self._decide()

    def _turn_to(self, at_epoch_ns: int) -> None:
        self.now_ns = START_NS + self._script.timeline.offset_ns(at_epoch_ns)
        self._run_time.follow(self.now_ns)

    def _connect(self) -> None:
        """Facts and subscriptions, at the first moment; from here on run time passes."""
        for line in self.lines.values():
            line.read_facts()
            line.connect()
        self._clock.start(START_NS)
        self._run_time.start(START_NS)

    def _decide(self) -> list[Seen]:
        """Frames to quotes, quotes to intents, each intent answered as filled nothing."""
        for line in self.lines.values():
            line.deliver()
            line.tick()
        for heart in self._hearts:
            heart.beat(self.now_ns)
        self.detector.step(self.now_ns)
        found = []
        for kind, body in self._intents.drain():
            assert kind == K_INTENT
            intent = body.view(INTENT)[0]
            self._answer(int(intent["id"]), int(intent["pair"]))
            found.append(
                Seen(
                    int(intent["pair"]), int(intent["direction"]),
                    int(intent["size_e6_0"]), int(intent["edge_e6"]),
                )
            )  # fmt: skip
            assert intent["size_e6_0"] == intent["size_e6_1"]
        return found

    def _answer(self, intent: int, pair: int) -> None:
        body = row(
            REPORT, kind=K_TERMINAL, intent=intent, pair=pair, instrument=-1, account=-1,
            reason=reason("nothing_filled"), report_ns=self.now_ns,
        )  # fmt: skip
        ring = self.segment.at("reports")
        entries = self.segment.entries("reports")
        ring_append(self._words, ring, entries, K_TERMINAL, np.ascontiguousarray(body), BODY)
