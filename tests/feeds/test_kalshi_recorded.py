"""Recorded Kalshi sessions (May 2026) through the venue's file: the book is the venue's own.

Acceptance numbers: shared/data README; a ticker counts where both it and the book have two sides.
"""

from __future__ import annotations

from functools import cache

import pytest

from shm_layout import NO_SNAPSHOT
from tests.conftest import recorded
from tests.feeds.kalshi_line import Recorded, recorded_frames, replay

SESSIONS = {
    "20260511T121730Z": (596, 646, 3),
    "20260513T215130Z": (680, 794, 3),
    "20260514T043808Z_reconnect": (718, 831, 4),
}


@cache
def frames_of(session: str) -> list[Recorded]:
    return list(recorded_frames(recorded("kalshi_btc15m_ws_coinbase") / session))


@pytest.mark.parametrize("session", SESSIONS)
def test_a_recorded_session_rebuilds_the_venues_book(session: str) -> None:
    agreed, checked, snapshots = SESSIONS[session]
    made = replay(frames_of(session)).rig
    assert made.counted("frames") >= len(frames_of(session))
    for name in ("gaps", "negative", "bad_frames", "duplicates"):
        assert made.counted(name) == 0, name
    assert made.counted("snapshots") == snapshots
    assert (made.counted("tickers_agreed"), made.counted("tickers_checked")) == (agreed, checked)


@pytest.mark.parametrize("session", SESSIONS)
def test_one_dropped_frame_is_seen(session: str) -> None:
    """The negative control of the test above: with a hole it must not pass."""
    frames = frames_of(session)
    place = next(i for i in range(5_000, len(frames)) if frames[i].kind == "orderbook_delta")
    made = replay(frames[:place] + frames[place + 1 : place + 3_000]).rig
    assert made.counted("gaps") == 1
    checked = made.counted("tickers_checked")
    whole = replay(frames[: place + 3_000]).rig
    assert whole.counted("gaps") == 0 and whole.counted("tickers_checked") > checked


def test_the_emptied_book_of_a_closed_market_is_a_snapshot_like_any_other() -> None:
    frames = frames_of("20260513T215130Z")
    empty = next(
        i for i, each in enumerate(frames)
        if each.kind == "orderbook_snapshot" and b"dollars_fp" not in each.payload
    )  # fmt: skip
    made = replay(frames[: empty + 1]).rig
    assert made.levels(0) == ([], []) and not made.trust(0) & NO_SNAPSHOT
