"""The venue's clock: estimated, followed, and told from lateness."""

from __future__ import annotations

import datetime
import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feeds.offset import MS_NS, SECOND_NS, ClockBand, ClockOffset, Found
from tests.conftest import recorded

BAND = ClockBand()


def fed(offset: ClockOffset, lows_ms: list[int], *, from_s: int = 0) -> None:
    for place, low in enumerate(lows_ms):
        offset.fits((from_s + place) * SECOND_NS, low * MS_NS)


def test_the_floor_is_the_least_difference_of_the_window() -> None:
    offset = ClockOffset(BAND)
    fed(offset, [40, -60, 55, 80])
    assert offset.floor_ns is not None
    assert -60 * MS_NS <= offset.floor_ns <= -59 * MS_NS


def test_the_window_forgets() -> None:
    offset = ClockOffset(BAND)
    fed(offset, [-60])
    fed(offset, [10] * 61, from_s=5)
    assert offset.floor_ns == 10 * MS_NS


def test_a_clock_that_drifts_up_is_followed_before_the_window_ends() -> None:
    offset = ClockOffset(BAND)
    fed(offset, [place // 10 for place in range(50)])  # 100 ppm
    assert offset.floor_ns is not None
    assert 4 * MS_NS <= offset.floor_ns <= 5 * MS_NS


def misfit(offset: ClockOffset, lows_ms: list[int], from_s: float) -> list[Found]:
    return [
        offset.misfits(int((from_s + place * 0.1) * SECOND_NS), low * MS_NS)
        for place, low in enumerate(lows_ms)
    ]


def test_stamps_from_the_future_that_agree_are_a_clock_that_was_set() -> None:
    offset = ClockOffset(BAND)
    fed(offset, [0, 5, 3])
    found = misfit(offset, [-2500] * 17, 4)
    assert found[:15] == [Found.NOTHING] * 15
    assert Found.STEPPED in found
    assert offset.floor_ns is not None and offset.floor_ns < -2_400 * MS_NS


def test_late_stamps_are_a_longer_way_also_on_a_new_connection() -> None:
    """A proxy or a queue that holds everything for seconds looks no other than a clock."""
    offset = ClockOffset(BAND)
    fed(offset, [0, 5, 3])
    assert misfit(offset, [3000] * 17, 4)[-1] is Found.BEHIND
    offset.opened()
    assert Found.STEPPED not in misfit(offset, [3000] * 170, 7)
    assert offset.floor_ns is not None and offset.floor_ns < 6 * MS_NS


@pytest.mark.parametrize(("to_ms", "steps"), [(100, True), (400, False)])
def test_a_clock_set_ahead_may_be_set_back_to_where_it_was(to_ms: int, steps: bool) -> None:
    offset = ClockOffset(BAND)
    fed(offset, [0, 5, 3])
    assert Found.STEPPED in misfit(offset, [-3000] * 17, 4)
    other = ClockOffset(BAND)  # of another connection, which was told
    assert offset.floor_ns is not None
    other.start(7 * SECOND_NS, offset.floor_ns, offset.before_ns)
    assert (Found.STEPPED in misfit(other, [to_ms] * 30, 7)) is steps


def test_a_frozen_clock_never_becomes_the_offset() -> None:
    offset = ClockOffset(BAND)
    fed(offset, [0])
    offset.opened()
    found = misfit(offset, [2500 + 100 * place for place in range(100)], 1)
    assert Found.STEPPED not in found and offset.floor_ns == 0
    assert found[-1] is not Found.NOTHING


@pytest.mark.parametrize(("off_ms", "steps"), [(-4_999, True), (-5_001, False)])
def test_no_clock_is_believed_that_is_further_off_than_any_may_be(off_ms: int, steps: bool) -> None:
    offset = ClockOffset(BAND)
    fed(offset, [0])
    offset.opened()
    assert (Found.STEPPED in misfit(offset, [off_ms] * 30, 1)) is steps


# ---- recorded sessions: the recorder's clock is slow by 0.06 to 0.29 s and drifts


def kalshi(folder: Path) -> Iterator[tuple[int, int]]:
    """(received, stamped) of every delta, in the order received."""
    rows = []
    for path in folder.glob("orderbook_delta*"):
        with gzip.open(path, "rt", encoding="ascii") as lines:
            for line in lines:
                row = json.loads(line)
                rows.append((row["local_recv_ns"], row["payload_json"]["ts_ms"] * MS_NS))
    return iter(sorted(rows))


def coinbase(folder: Path) -> Iterator[tuple[int, int]]:
    with gzip.open(folder / "coinbase_matches.ndjson.gz", "rt", encoding="ascii") as lines:
        for line in lines:
            row = json.loads(line)
            if row["raw_event_type"] == "match":
                at = datetime.datetime.fromisoformat(row["exchange_ts_utc"])
                yield row["local_recv_ns"], round(at.timestamp() * 1e6) * 1000


def binance(folder: Path) -> Iterator[tuple[int, int]]:
    """Lines "received {frame}"; received in ns by a clock 1.27 s behind."""
    with gzip.open(next(folder.glob("*.gz")), "rt", encoding="ascii") as lines:
        for line in lines:
            head, _, frame = line.partition(" ")
            stamped_ms = json.loads(frame).get("data", {}).get("E")
            if stamped_ms:
                yield int(head), stamped_ms * MS_NS


Source = Callable[[Path], Iterator[tuple[int, int]]]
SESSIONS = ("20260511T121730Z", "20260513T215130Z", "20260514T043808Z_reconnect")
KNOWN_MS = {  # least difference of the whole session, by hand (July 2026)
    "20260511T121730Z": -96, "20260513T215130Z": -144, "20260514T043808Z_reconnect": -285,
}  # fmt: skip


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("venue", [kalshi, coinbase])
def test_the_known_drift_of_a_recorded_session_is_tracked(session: str, venue: Source) -> None:
    """Never below the least of the last minute, and at most 12 ms (200 ppm of it) above."""
    rows = list(venue(recorded("kalshi_btc15m_ws_coinbase") / session))
    lows = lows_by_second(rows)
    floors = estimate(lows)
    assert len(floors) > 30
    for at_s, floor_ns in floors.items():
        least_ns = min(low_ns for second, low_ns in lows.items() if at_s - 60 <= second <= at_s)
        longer_ns = min(low_ns for second, low_ns in lows.items() if at_s - 66 <= second <= at_s)
        assert longer_ns <= floor_ns <= least_ns + 12 * MS_NS, at_s
    whole = min(lows.values())
    assert abs(whole // MS_NS - KNOWN_MS[session]) <= 20, "what the session is known for"


def test_a_recorder_1270_ms_behind_binance_is_estimated() -> None:
    floors = estimate(lows_by_second(list(binance(recorded("binance_spot_ws_2024")))))
    assert floors and all(-1_300 < floor // MS_NS < -1_250 for floor in floors.values())


def lows_by_second(rows: list[tuple[int, int]]) -> dict[int, int]:
    """The least difference of each second in which there was any."""
    seconds = itertools.groupby(rows, key=lambda row: row[0] // SECOND_NS)
    return {at_s: min(received - stamped for received, stamped in rows) for at_s, rows in seconds}


def estimate(lows: dict[int, int]) -> dict[int, int]:
    """The floor at the end of every tenth second, from samples gathered by second."""
    offset, floors = ClockOffset(BAND), {}
    for second, low_ns in lows.items():
        offset.fits(second * SECOND_NS, low_ns)
        assert offset.floor_ns is not None
        if second % 10 == 0:
            floors[second] = offset.floor_ns
    return floors
