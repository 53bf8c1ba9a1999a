"""Run time of past moments, against mappings by hand."""

from __future__ import annotations

from gateway.run_times import RunTimes
from shm_layout import RUN_CLOCK, Segment
from tests.gateway.scene import body

S = 1_000_000_000


def write(segment: Segment, base_s: int, begin_s: int) -> None:
    row = body(RUN_CLOCK, begin_epoch_ns=begin_s * S, mono_base_ns=base_s * S, speed_e6=2_000_000)
    segment.write("run_clock", 0, row)


def test_a_moment_before_a_jump_keeps_its_time() -> None:
    times = RunTimes(Segment.private())
    assert times.at(5 * S) == 0, "nothing is known"
    write(times.segment, 0, 1_000)
    assert times.look() == (0, 1_000 * S, 2_000_000)
    assert times.at(70 * S) == 1_000 * S, "run time has not begun"
    write(times.segment, 100, 1_000)
    write_at_100 = times.look()
    assert write_at_100 is not None and times.at(103 * S) == 1_006 * S
    write(times.segment, 110, 50_000)
    assert times.look() is not None and times.look() is None, "told once"
    assert times.at(109 * S) == 1_018 * S and times.at(111 * S) == 50_002 * S


def test_what_a_predecessor_knew_goes_before() -> None:
    times = RunTimes(Segment.private())
    write(times.segment, 110, 50_000)
    times.look()
    assert times.know((100 * S, 1_000 * S, 2_000_000))
    assert not times.know((100 * S, 1_000 * S, 2_000_000))
    assert times.at(105 * S) == 1_010 * S
