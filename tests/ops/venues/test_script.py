"""The run clock of a session, and the name of a script."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from ops.venues.script import (
    BID,
    BookSet,
    ConnectionCut,
    Cut,
    Event,
    IndexTick,
    LevelSet,
    MarketSpec,
    MarketTrade,
    PairSpec,
    SpotTrade,
    StatusChange,
    TickerPrint,
    Timeline,
    fingerprint,
)

TWICE = Timeline(0, 2_000_000, (Cut(1000, 5000), Cut(6000, 9000)))


@pytest.mark.parametrize(
    ("epoch_ns", "offset_ns"),
    [
        (-10, -5),
        (0, 0),
        (999, 499),
        (1000, 500),
        (3000, 500),  # inside a cut: the moment of the cut
        (4999, 500),
        (5000, 500),
        (5500, 750),
        (6000, 1000),
        (8000, 1000),
        (9000, 1000),
        (9100, 1050),
    ],
)
def test_run_time_lies_on_the_machine_clock_without_its_cuts(epoch_ns: int, offset_ns: int) -> None:
    assert TWICE.offset_ns(epoch_ns) == offset_ns


@pytest.mark.parametrize(
    ("offset_ns", "epoch_ns"),
    [(-5, -10), (0, 0), (499, 998), (500, 5000), (501, 5002), (999, 5998), (1000, 9000)],
)
def test_the_run_clock_jumps_at_a_cut(offset_ns: int, epoch_ns: int) -> None:
    assert TWICE.epoch_ns(offset_ns) == epoch_ns


def test_segments_are_the_start_and_each_moment_after_a_cut() -> None:
    assert TWICE.segments == ((0, 0), (500, 5000), (1000, 9000))
    assert Timeline(7).segments == ((0, 7),)


@pytest.mark.parametrize(
    "cuts", [(Cut(5, 5),), (Cut(9, 4),), (Cut(10, 20), Cut(15, 30)), (Cut(-3, 4),)]
)
def test_cuts_that_do_not_ascend_are_refused(cuts: tuple[Cut, ...]) -> None:
    with pytest.raises(AssertionError):
        Timeline(0, 1_000_000, cuts)


def test_a_clock_that_stands_still_is_refused() -> None:
    with pytest.raises(AssertionError):
        Timeline(0, 0)


MARKET = MarketSpec(venue="kalshi", ticker="A", title="a", event="e")
PAIR = PairSpec(a_venue="kalshi", a_ticker="A", b_venue="polymarket", b_ticker="B")
EVENTS: tuple[Event, ...] = (
    BookSet(0, 0, ((400_000, 1),), ((500_000, 2),), 1),
    LevelSet(1, 0, BID, 400_000, 3, 2),
    LevelSet(1, 0, BID, 400_000, 3, None),
    MarketTrade(2, 0, 400_000, 1, BID),
    TickerPrint(3, 0, (("yes_bid_dollars", "0.4"),)),
    SpotTrade(4, "BTC-USD", 5, 6, BID, 7),
    StatusChange(5, 0, "closed", None),
    ConnectionCut(6, "kalshi"),
)


def test_every_field_of_every_event_is_in_the_name_of_the_script() -> None:
    names = {fingerprint((MARKET,), (PAIR,), EVENTS)}
    others = 0
    for at, event in enumerate(EVENTS):
        for field in fields(event):
            value: Any = getattr(event, field.name)
            if isinstance(value, int):
                other: Any = value + 1
            else:
                other = ((1, 1),) if isinstance(value, tuple) else 77 if value is None else "other"
            changed = replace(event, **{field.name: other})
            names.add(fingerprint((MARKET,), (PAIR,), (*EVENTS[:at], changed, *EVENTS[at + 1 :])))
            others += 1
    names.add(fingerprint((replace(MARKET, title="b"),), (PAIR,), EVENTS))
    names.add(fingerprint((MARKET,), (replace(PAIR, same=False),), EVENTS))
    names.add(fingerprint((MARKET,), (PAIR,), EVENTS[::-1]))
    assert len(names) == 1 + others + 3


def test_a_field_that_came_later_leaves_the_names_of_old_scripts() -> None:
    """Its default says nothing; any other value does."""
    tick = IndexTick(0, "BRTI", 5)
    names = {fingerprint((MARKET,), (), EVENTS), fingerprint((MARKET,), (), (*EVENTS, tick))}
    opened = StatusChange(5, 0, "active", strike_e8=1)
    names.add(fingerprint((MARKET,), (), (*EVENTS, opened)))
    names.add(fingerprint((MARKET,), (), (*EVENTS, replace(opened, strike_e8=2))))
    names.add(fingerprint((replace(MARKET, round_digits=2),), (), EVENTS))
    assert len(names) == 5


def test_the_name_of_a_script_is_the_same_everywhere() -> None:
    assert fingerprint((MARKET,), (PAIR,), EVENTS) == (
        "40b80e3a096fd4dcf78742e3431139bccf6b5a2e7134bd0f02ce3771fe8636ec"
    )
