"""What the bench of the whole path counts, and what makes it refuse to count at all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bench.floor import Shot
from bench.path_samples import BenchError, Flight, Flights, outcomes, whole_flights, whole_shots
from gateway.reports import KEY_BYTES
from shm_layout import (
    BODY,
    FLAG_TIMER,
    FLAG_UNWIND,
    K_LEG,
    K_TERMINAL,
    REPORT,
    Segment,
    reason,
    ring_append,
    text_to_cells,
)

SIZE_E6 = 20_000_000
ROUNDS = [1_000, 2_000]
HASH = "0x" + "ab" * 32
LOG = outcomes(
    [("kalshi", "k1", 50, 60, "filled"), ("polymarket", HASH, 55, 65, "matched"),
     ("kalshi", "k2", 70, 80, "filled"), ("polymarket", "p2", 75, 85, "matched")]
)  # fmt: skip


def flight(event_epoch_ns: int, first: str, second: str) -> Flight:
    """A whole one."""
    made = Flight(event_epoch_ns, 10, 12, 13, 15)
    made.keys, made.send_ns = {0: first, 1: second[:KEY_BYTES]}, {0: 30, 1: 40}
    made.filled_e6, made.reason = {0: SIZE_E6, 1: SIZE_E6}, "done"
    return made


def both() -> list[Flight]:
    return [flight(1_000, "k1", HASH), flight(2_000, "k2", "p2")]


def test_both_legs_of_every_gap_are_counted_from_the_frame_to_the_last_write() -> None:
    found, missed = whole_flights(both(), ROUNDS, SIZE_E6, LOG)
    assert [each.took_ns for each in found] == [30, 30]
    assert missed == 0


@pytest.mark.parametrize(
    ("send_ns", "says"),
    [({0: 30}, "one leg alone"), ({0: 30, 1: 0}, "one leg alone"), ({1: 40}, "one leg alone")],
)
def test_a_path_that_sends_one_leg_is_refused(send_ns: dict[int, int], says: str) -> None:
    flights = both()
    flights[1].send_ns = send_ns
    with pytest.raises(BenchError, match=says):
        whole_flights(flights, ROUNDS, SIZE_E6, LOG)


def test_an_order_that_no_venue_read_is_refused() -> None:
    log = {key: row for key, row in LOG.items() if key != "p2"}
    with pytest.raises(BenchError, match="p2: never read"):
        whole_flights(both(), ROUNDS, SIZE_E6, log)


def test_a_fill_that_only_the_engine_knows_is_refused() -> None:
    with pytest.raises(BenchError, match="k1: unfilled"):
        whole_flights(both(), ROUNDS, SIZE_E6, LOG | {"k1": (50, "unfilled")})


def test_an_order_that_no_gap_asked_for_is_refused() -> None:
    with pytest.raises(BenchError, match="without a gap"):
        whole_flights(both(), [1_000], SIZE_E6, LOG)


def test_gaps_that_were_not_taken_are_refused_when_they_are_many() -> None:
    with pytest.raises(BenchError, match="2 of 3 gaps"):
        whole_flights(both()[:1], [*ROUNDS, 3_000], SIZE_E6, LOG)


def test_a_late_order_counts_with_its_time_and_as_missed() -> None:
    many = list(range(1_000, 101_000, 1_000))
    flights = [flight(at, "k1", HASH) for at in many]
    flights[7].reason, flights[7].filled_e6 = "one_legged", {0: 0, 1: SIZE_E6}
    found, missed = whole_flights(flights, many, SIZE_E6, LOG)
    assert (len(found), missed) == (100, 1)


def test_orders_of_a_timer_are_no_samples_and_unwinds_no_rounds() -> None:
    many = list(range(1_000, 101_000, 1_000))
    flights = [flight(at, "k1", HASH) for at in many]
    flights[3].flags = FLAG_TIMER
    unwind = dataclasses.replace(flight(5, "k1", HASH), flags=FLAG_UNWIND, send_ns={0: 50})
    found, missed = whole_flights([*flights, unwind], many, SIZE_E6, LOG)
    assert (len(found), missed) == (99, 1)


def shot(*keys: str) -> Shot:
    return Shot(1_000, (keys[0], keys[1][:KEY_BYTES]))


def test_the_floor_is_held_to_the_venues_log_too() -> None:
    assert whole_shots([shot("k1", HASH), shot("k2", "p2")], 2, LOG)[1] == 0
    with pytest.raises(BenchError, match="never read"):
        whole_shots([shot("k1", "p3"), shot("k2", "p2")], 2, LOG)
    with pytest.raises(BenchError, match="2 of 3 gaps"):
        whole_shots([shot("k1", HASH)], 3, LOG)


def put(segment: Segment, kind: int, **values: int | list[int]) -> None:
    """One report, as the gateway appends it."""
    body = np.zeros(BODY, np.int64)
    row = body.view(REPORT)[0]
    for name, value in values.items():
        row[name] = value
    ring = segment.at("reports")
    ring_append(segment.words, ring, segment.entries("reports"), kind, body, BODY)


def test_flights_are_read_from_the_reports_ring() -> None:
    segment = Segment.private()
    flights = Flights(segment)
    stamps = {"event_epoch_ns": 1_000, "recv_ns": 10, "publish_ns": 12, "decide_ns": 13}
    for leg, key in enumerate(("k1", HASH[:KEY_BYTES])):
        put(segment, K_LEG, intent=7, leg=leg, taken_ns=15, send_ns=30 + leg,
            order_key=text_to_cells(key, 8), filled_e6=SIZE_E6, **stamps)  # fmt: skip
    put(segment, K_TERMINAL, intent=7, leg=-1, reason=reason("done"), **stamps)
    flights.poll()
    found, missed = whole_flights(flights.by_intent.values(), [1_000], SIZE_E6, LOG)
    assert (found[0].took_ns, found[0].taken_ns, missed) == (21, 15, 0)


def test_a_ring_that_was_lapped_is_refused() -> None:
    segment = Segment.private()
    flights = Flights(segment)
    for _ in range(segment.entries("reports") + 1):
        put(segment, K_TERMINAL, intent=1)
    with pytest.raises(BenchError, match="lapped"):
        flights.poll()
