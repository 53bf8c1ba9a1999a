"""Statuses that several connections tell, each in its own time."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from feeds.kalshi import CHANNELS, Kalshi
from feeds.publisher import Publisher
from feeds.seat import Seat
from shm_layout import ST_ACTIVE, ST_CLOSED, ST_DETERMINED, ST_INACTIVE
from tests.feeds.rig import Rig
from tests.feeds.test_race import raced


@dataclass
class Told:
    """Two subscribed connections for one market, and what each says of it."""

    rig: Rig
    seats: list[Seat]
    lanes: list[Kalshi] = field(default_factory=list)
    seq: list[int] = field(default_factory=lambda: [0, 0])
    now_ns: int = 1_000

    def open(self, lane: int) -> None:
        self.seq[lane] = 0
        self.lanes[lane].opened(self.now_ns)
        for sid, channel in enumerate(CHANNELS, 1):
            self.give(lane, {"type": "subscribed", "msg": {"channel": channel, "sid": sid}})
        sides = {"yes_dollars_fp": [["0.40", "3"]], "no_dollars_fp": [["0.42", "3"]]}
        self.give(lane, {"type": "orderbook_snapshot", "sid": 1, "seq": 1,
                         "msg": {"market_ticker": "A", **sides}})  # fmt: skip

    def give(self, lane: int, frame: dict[str, object]) -> None:
        self.now_ns += 1
        self.lanes[lane].frame(memoryview(orjson.dumps(frame)), self.now_ns, True)

    def says(self, lane: int, *events: str) -> int:
        """The status after it."""
        for event in events:
            self.seq[lane] += 1
            self.give(lane, {"type": "market_lifecycle_v2", "sid": 4, "seq": self.seq[lane],
                             "msg": {"market_ticker": "A", "event_type": event}})  # fmt: skip
        return int(self.rig.quote(0)["status"])

    def wants_facts(self) -> bool:
        told = [lane.wants_facts for lane in self.lanes]  # reading it lowers it
        return any(told)


def told() -> Told:
    race = raced("A")
    made = Told(race.rig, race.lanes)
    made.lanes = [Kalshi(seat) for seat in race.lanes]
    for lane in range(2):
        made.open(lane)
    assert made.rig.trust(0) == 0
    return made


def test_a_late_activation_does_not_undo_a_newer_stop() -> None:
    made = told()
    assert made.says(0, "deactivated", "activated", "deactivated") == ST_INACTIVE
    assert made.says(1, "deactivated", "activated") == ST_INACTIVE and made.rig.trust(0)
    assert made.wants_facts(), "unless REST says so"
    assert made.says(1, "deactivated", "activated") == ST_ACTIVE, "told all, it is believed"
    assert made.says(0, "activated") == ST_ACTIVE and made.rig.trust(0) == 0


def test_a_new_connection_need_not_have_heard_what_was_before_it() -> None:
    made = told()
    assert made.says(0, "deactivated") == ST_INACTIVE
    made.lanes[1].closed(made.now_ns)
    made.open(1)
    assert made.says(1, "activated") == ST_ACTIVE and not made.wants_facts()
    assert made.says(1, "deactivated") == ST_INACTIVE, "a stop is always believed"


def test_what_is_over_is_not_undone_by_the_wire() -> None:
    made = told()
    publisher = made.rig.publisher
    assert isinstance(publisher, Publisher)
    assert made.says(0, "determined") == ST_DETERMINED
    assert made.says(1, "deactivated", "activated") == ST_DETERMINED and made.wants_facts()

    made = told()
    made.rig.publisher.set_cell(0, "close_epoch_ns", 10**18, made.now_ns)
    assert not made.rig.publisher.close_due(10**18, made.now_ns)
    assert made.says(0, "activated") == ST_CLOSED and made.wants_facts()
    assert made.says(0, "determined") == ST_DETERMINED, "what comes after it is"
