"""The path from recorded events to intents in one process against an offline computation.

At every moment, in every direction of every pair: the same size to the hundredth of a contract and
the same edge to 1e-6, or no edge in both. The offline side shares no code with the engine.
Parameters: no capital hurdle, no limit, threshold as named by each test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import groupby
from math import floor

import pytest

from ops.venues.recorded import RecordedScript
from tests.offline_edges import A_YES, Look, Rules, episodes, looks
from tests.session.recordings import (
    JOKIC,
    KALSHI_YES,
    LUKA,
    POLYMARKET_YES,
    SHAI,
    nba,
    rules,
    time_text,
)
from tests.session.stepped import Seen, Stepped, open_settings

HALF_CENT_E6 = 5_000
SHORT = 3_000  # events that a negative control plays
Key = tuple[int, int]  # pair, direction


def ints(key: Key, look: Look | None) -> Seen | None:
    """A look as the detector writes it: the edge rounded down."""
    if look is None:
        return None
    size_e6 = look.size * 10**6
    assert size_e6.denominator == 1
    return Seen(*key, int(size_e6), floor(look.edge * 10**6))


def expected(script: RecordedScript, wanted: Rules) -> dict[int, dict[Key, Seen | None]]:
    """What the offline computation says, by moment; only pairs whose books changed then."""
    found: dict[int, dict[Key, Seen | None]] = {}
    for at_epoch_ns, group in groupby(looks(script, wanted), key=lambda look: look[0]):
        found[at_epoch_ns] = {
            key: ints(key, look)
            for _, pair, direction, look in group
            for key in [(pair, int(direction != A_YES))]
        }
    return found


def disagreements(run: Stepped, wanted: dict[int, dict[Key, Seen | None]]) -> list[str]:
    """One line for each moment and direction in which the two differ."""
    wrong = []
    now: dict[Key, Seen | None] = {}
    left = dict(wanted)
    for at_epoch_ns, seen in run.moments():
        changed = left.pop(at_epoch_ns, {})
        now.update(changed)
        got: dict[Key, Seen | None] = {(each.pair, each.direction): each for each in seen}
        wrong += [
            f"{time_text(at_epoch_ns)}: {got.get(key)}, offline {now.get(key)}"
            for key in {*changed, *got}
            if got.get(key) != now.get(key)
        ]
    return wrong + [f"{time_text(at_epoch_ns)}: never looked at" for at_epoch_ns in left]


def first(script: RecordedScript, count: int) -> RecordedScript:
    """The beginning of a script."""
    return dataclasses.replace(script, recorded=script.recorded[:count])


@pytest.mark.parametrize("edge_min_e6", [0, HALF_CENT_E6])
def test_every_moment_agrees_with_the_offline_computation(edge_min_e6: int) -> None:
    script = nba()
    wanted = expected(script, rules(edge_min_e6))
    assert sum(look is not None for now in wanted.values() for look in now.values()) > 200
    run = Stepped(script, open_settings(edge_min_e6))
    assert disagreements(run, wanted) == []
    assert run.detector.counter("edges") == len(episodes(script, rules(edge_min_e6)))
    for name, line in run.lines.items():
        for counter in ("gaps", "negative", "mismatch", "crossed", "resyncs", "bad_frames"):
            assert line.publisher.counted(counter) == 0, (name, counter)


def test_the_episodes_are_those_expected_of_the_recording() -> None:
    """Of Luka none; the sizes are in hundredths of a contract, the edges in 1e-6 of a contract."""
    found = [
        (
            each.pair, int(each.direction != A_YES),
            time_text(each.start_epoch_ns), time_text(each.end_epoch_ns),
            int(each.first.size * 100), floor(each.first.edge * 10**6),
        )
        for each in episodes(nba(), rules(HALF_CENT_E6))
    ]  # fmt: skip
    assert found == [
        (SHAI, POLYMARKET_YES, "20:40:00.000", "23:15:38.812", 40_00, 7_982),
        (JOKIC, KALSHI_YES, "20:40:00.000", "23:15:50.982", 150_00, 10_348),
        (SHAI, POLYMARKET_YES, "23:57:27.155", "23:57:27.703", 30_00, 7_980),
    ]
    seen = [look for now in expected(nba(), rules(HALF_CENT_E6)).values() for look in now.values()]
    sizes = {
        pair: list(dict.fromkeys(look.size_e6 for look in seen if look and look.pair == pair))
        for pair in (SHAI, JOKIC, LUKA)
    }
    assert sizes == {
        SHAI: [40_000_000, 30_000_000],
        JOKIC: [150_000_000],
        LUKA: [],
    }


def cheaper_fee(script: RecordedScript) -> RecordedScript:
    """Kalshi charges half."""
    markets = tuple(
        dataclasses.replace(market, fee_multiplier_e6=500_000)
        if market.venue == "kalshi"
        else market
        for market in script.markets
    )
    return dataclasses.replace(script, markets=markets)


def flipped(script: RecordedScript) -> RecordedScript:
    """YES of one is taken for NO of the other."""
    pairs = tuple(dataclasses.replace(pair, same=False) for pair in script.pairs)
    return dataclasses.replace(script, pairs=pairs)


@pytest.mark.parametrize("spoilt", [cheaper_fee, flipped])
def test_an_engine_that_is_told_wrong_facts_disagrees(
    spoilt: Callable[[RecordedScript], RecordedScript],
) -> None:
    """Negative controls: the comparison sees a wrong fee and a wrong polarity."""
    script = first(nba(), SHORT)
    wanted = expected(script, rules(0))
    assert disagreements(Stepped(spoilt(script), open_settings(0)), wanted)


def test_a_higher_threshold_in_the_engine_disagrees() -> None:
    script = first(nba(), SHORT)
    wanted = expected(script, rules(HALF_CENT_E6))
    assert disagreements(Stepped(script, open_settings(2 * HALF_CENT_E6)), wanted)


def test_a_lost_kalshi_frame_is_a_gap_and_the_books_come_again() -> None:
    """The venue numbers its frames; without delay the snapshots come within the moment."""
    script = first(nba(), SHORT)
    run = Stepped(script, open_settings(0))
    run.lines["kalshi"].drop = losing(b"orderbook_delta", range(200, 201))
    assert disagreements(run, expected(script, rules(0))) == []
    assert run.lines["kalshi"].publisher.counted("gaps") == 1


def test_lost_polymarket_frames_disagree() -> None:
    """The venue numbers nothing: lost frames are wrong sizes until the next whole book, or show in
    the best prices that the next change names."""
    script = first(nba(), SHORT)
    run = Stepped(script, open_settings(0))
    run.lines["polymarket"].drop = losing(b"price_change", range(200))
    assert disagreements(run, expected(script, rules(0)))


def losing(kind: bytes, places: range) -> Callable[[bytes], bool]:
    """Frames of a kind that do not arrive, by their place among those of that kind."""
    seen = -1

    def drop(frame: bytes) -> bool:
        nonlocal seen
        seen += kind in frame
        return kind in frame and seen in places

    return drop
