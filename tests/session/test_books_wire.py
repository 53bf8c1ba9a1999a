"""Recorded Kalshi sessions through the wire: real processes, TLS, WebSocket, the venue's numbers.

The feed rebuilds the book without a sequence gap and without a negative size, and agrees with the
venue's own ticker as often as the data's description says. A frame lost on the way makes the same
check red: `tests.session.lossy` is the same command with a venue that loses one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ops.config import load
from tests.conftest import recorded
from tests.ops.rig import engine
from tests.session.witness import Witness

pytestmark = pytest.mark.timeout(900)  # kernels may have to be compiled first

FOLDER = "kalshi_btc15m_ws_coinbase"
LANES = load("testing").feeds.lanes  # each hears, checks and is cut by itself
SESSIONS = {  # of one connection: agreed at least, of so many tickers; cuts of the connection
    "20260513T215130Z": (680, 794, 1),
    "20260511T121730Z": (596, 646, 1),
    "20260514T043808Z_reconnect": (718, 831, 2),
}
QUICK = "20260511T121730Z"  # has the fewest changes
COUNTERS = ("gaps", "negative", "bad_frames", "duplicates", "tickers_checked", "tickers_agreed",
            "reconnects", "snapshots")  # fmt: skip
IS_SHORT = bool(os.environ.get("ARB_TEST_SHORT"))
SPEED = 120
PATIENT = [sys.executable, "-m", "tests.session.patient"]  # waits while a connection is missing
LOSSY = [sys.executable, "-m", "tests.session.lossy"]


def play(tmp_path: Path, session: str, speed: int, command: list[str]) -> dict[str, int]:
    """The whole command to the end of the data: the Kalshi feed's counters. Nothing is left."""
    path = recorded(FOLDER) / session
    with engine(tmp_path, command=list(command)) as made:
        made.start("--replay", str(path), "--speed", str(speed), "--json")
        witness = Witness.of(made)
        summary = witness.to_the_end(made, 150)
    assert summary["exit_reason"] == "the recorded data ended"
    return witness.feed("kalshi", *COUNTERS)


def complaints(session: str, found: dict[str, int]) -> list[str]:
    """What is not as it must be; empty: the book of each racing connection is the venue's own."""
    agreed, checked, cuts = (LANES * each for each in SESSIONS[session])
    claims = {
        "no gap": found["gaps"] == 0,
        "no negative size": found["negative"] == 0,
        "no frame that cannot be read": found["bad_frames"] == 0,
        "every ticker checked": found["tickers_checked"] == checked,
        "the ticker agrees": found["tickers_agreed"] >= agreed,
        "each cut survived": found["reconnects"] == cuts,
    }
    return [f"{claim}: {found}" for claim, holds in claims.items() if not holds]


def test_a_recorded_session_is_rebuilt_through_the_wire(tmp_path: Path) -> None:
    """The lightest of them."""
    assert complaints(QUICK, play(tmp_path, QUICK, SPEED, PATIENT)) == []


def test_a_frame_lost_on_the_wire_is_seen(tmp_path: Path) -> None:
    """Negative control: the same check over a venue that loses one change of a level. It ends once
    that is seen.
    """
    path = recorded(FOLDER) / QUICK
    with engine(tmp_path, command=LOSSY) as made:
        made.start("--replay", str(path), "--speed", "120", "--json")
        witness = Witness.of(made)
        witness.until(lambda: bool(witness.feed("kalshi", "gaps")["gaps"]), 150, "the gap")
        assert made.run("stop").returncode in (0, 4)  # 4: the data ended before
        witness.to_the_end(made, 60)
    found = witness.feed("kalshi", *COUNTERS)
    assert found["gaps"] == 1
    assert any(line.startswith("no gap") for line in complaints(QUICK, found))


@pytest.mark.books
@pytest.mark.skipif(IS_SHORT, reason="the ordinary tests play the lightest of them")
@pytest.mark.parametrize("session", SESSIONS)
def test_every_recorded_session_is_rebuilt_through_the_wire(tmp_path: Path, session: str) -> None:
    assert complaints(session, play(tmp_path, session, SPEED, PATIENT)) == []
