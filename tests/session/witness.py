"""A read-only reader of a running engine's rings, and what can be asked of what it saw.

It attaches as `arb-top` does. Its mapping outlives the segment's name, so counters and rings can be
read after the run has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ops import clock
from ops.tally import RingReader
from shm_layout import (
    CONTROL,
    COUNTERS,
    FEED_ROLE,
    GATEWAY,
    INTENT,
    K_INTENT,
    K_LEG,
    K_QUOTE,
    K_TERMINAL,
    LIVE_EPOCH_AT,
    ORIGIN_DETECTOR,
    QUOTE,
    REASONS,
    REPORT,
    ROLE,
    SPOT,
    VENUES,
    LayoutError,
    Segment,
    cell,
    intent_parts,
    kind_of_role,
    run_epoch_ns,
    word_load,
)
from tests.ops.rig import Engine, alive, one_object, until

INSTRUMENTS_LOOKED_AT = 64
MARKET_FEEDS = (VENUES.index("kalshi"), VENUES.index("polymarket"))
SPOT_FEEDS = tuple(VENUES.index(name) for name in ("coinbase", "cfbenchmarks", "polybolt"))


@dataclass
class Witness:
    """Everything seen so far, oldest first. Rows are copies."""

    segment: Segment
    intents: dict[int, np.void] = field(default_factory=dict)  # by id; the detector's
    legs: list[np.void] = field(default_factory=list)  # reports of kind K_LEG
    ends: dict[int, str] = field(default_factory=dict)  # reason by intent
    terminals: list[tuple[int, str]] = field(default_factory=list)  # every last word, as it came
    quotes: dict[tuple[int, int], np.void] = field(default_factory=dict)  # by instrument, number
    # by slot, epoch, number: trust word and when it was heard
    prices: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._intents = RingReader(self.segment, "intents")
        self._reports = RingReader(self.segment, "reports")
        self._changes = [RingReader(self.segment, f"changes_{feed}") for feed in MARKET_FEEDS]
        self._spots = [RingReader(self.segment, f"changes_{feed}") for feed in SPOT_FEEDS]

    @classmethod
    def of(cls, engine: Engine, seconds: float = 240) -> Witness:
        """Attached as soon as the segment is whole."""
        found: list[Segment] = []

        def attached() -> bool:
            assert engine.process is not None and engine.process.poll() is None, engine.end()
            try:
                found.append(Segment.attach(engine.name))
            except LayoutError:
                return False
            return True

        until(attached, seconds, "the segment")
        return cls(found[0])

    @property
    def lost(self) -> int:
        """Entries that lapped it: must be 0 for what it saw to be all there was."""
        rings = (self._intents, self._reports, *self._changes, *self._spots)
        return sum(each.lost for each in rings)

    def poll(self) -> None:
        """Take in what is new. Quotes first: an intent's quotes are then known."""
        for changes in self._changes:
            for kind, body in changes.drain():
                assert kind == K_QUOTE
                quote = body.view(QUOTE)[0]
                self.quotes[int(quote["instrument"]), int(quote["number"])] = quote
        for spots in self._spots:
            for _, body in spots.drain():
                price = body.view(SPOT)[0]  # an index lies there too, under the same head
                name = int(price["product"]), int(price["epoch"]), int(price["number"])
                self.prices[name] = int(price["trust"]), int(price["recv_ns"])
        for kind, body in self._intents.drain():
            assert kind == K_INTENT
            intent = body.view(INTENT)[0]
            self.intents[int(intent["id"])] = intent
        for kind, body in self._reports.drain():
            report = body.view(REPORT)[0]
            if kind == K_LEG:
                self.legs.append(report)
            elif kind == K_TERMINAL:
                intent, why = int(report["intent"]), REASONS[int(report["reason"])]
                self.ends.setdefault(intent, why)
                self.terminals.append((intent, why))

    def until(self, holds: Callable[[], bool], seconds: float, what: str) -> float:
        """Poll until it holds; the seconds that took. Fails when time is up."""

        def look() -> bool:
            self.poll()
            return holds()

        try:
            return until(look, seconds, what)
        except AssertionError as late:
            trust = {venue: self.trust_of(venue) for venue in ("kalshi", "polymarket")}
            late.add_note(f"trust: {trust}, lost: {self.lost}")
            gate = self.segment.table("gate")[0]
            named = dict(zip(gate.dtype.names, gate.tolist(), strict=True))
            late.add_note(f"gateway: {self.live_epoch(GATEWAY)} at {clock.mono_ns()}: {named}")
            raise

    def to_the_end(self, engine: Engine, seconds: float) -> dict[str, Any]:
        """Poll until the command ends by itself; its summary. Nothing of the run is left."""
        everyone, process = engine.everyone(), engine.process
        assert process is not None
        self.until(lambda: process.poll() is not None, seconds, "the end of the run")
        code, out, err = engine.end()
        assert code == 0, err
        self.poll()
        assert alive(everyone) == [] and engine.leftovers() == []
        return one_object(out)

    # ---- what can be asked

    def opened(self) -> list[np.void]:
        """Leg reports with a send stamp of the detector's own intents, one a leg."""
        first: dict[tuple[int, int], np.void] = {}
        for leg in self.legs:
            origin, _, _ = intent_parts(int(leg["intent"]))
            if origin == ORIGIN_DETECTOR and leg["send_ns"]:
                first.setdefault((int(leg["intent"]), int(leg["leg"])), leg)
        return list(first.values())

    def role(self, role: int, name: str) -> int:
        """A cell of a role's row."""
        return self._word(self.segment.at("roles", role) + cell(ROLE, name))

    def counter(self, role: int, name: str) -> int:
        """A role's counter."""
        place = COUNTERS[kind_of_role(role)].index(name)
        return self._word(self.segment.at("roles", role) + cell(ROLE, "counters") + place)

    def feed(self, venue: str, *names: str) -> dict[str, int]:
        """Counters of a venue's feed."""
        return {name: self.counter(FEED_ROLE + VENUES.index(venue), name) for name in names}

    def live_epoch(self, role: int) -> int:
        """Epoch of the process that lives in a row; 0: none."""
        return self._word(LIVE_EPOCH_AT + role)

    def trading_state(self) -> int:
        """The supervisor's."""
        return self._word(self.segment.at("control") + cell(CONTROL, "trading_state"))

    def trust_of(self, venue: str) -> dict[int, int | None]:
        """Trust word by instrument of a venue; None: not of its living feed."""
        feed = VENUES.index(venue)
        epoch = self.live_epoch(FEED_ROLE + feed)
        found: dict[int, int | None] = {}
        for index in range(INSTRUMENTS_LOOKED_AT):
            identity = self.segment.read("instruments", index)
            if identity is None or identity["feed"] != feed:
                continue
            row = self.segment.read("quotes", index)
            is_its = row is not None and epoch != 0 and row["epoch"] == epoch
            found[index] = int(row["trust"]) if row is not None and is_its else None
        return found

    def trusted(self, venue: str) -> set[int]:
        """Instruments of a venue that may be traded on."""
        return {index for index, trust in self.trust_of(venue).items() if trust == 0}

    def closed(self, instruments: Iterable[int]) -> set[int]:
        """Those whose close has come, by the run's clock."""
        run_ns = int(run_epoch_ns(self.segment.words, clock.mono_ns()))
        rows = {index: self.segment.read("quotes", index) for index in instruments}
        return {
            index for index, row in rows.items()
            if row is not None and 0 < row["close_epoch_ns"] <= run_ns
        }  # fmt: skip

    def _word(self, at: int) -> int:
        return int(word_load(self.segment.words, at))
