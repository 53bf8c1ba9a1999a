"""What people see of a run: the live picture, the plain line, the table of `status`."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from ops.figures import dollars, microseconds
from ops.screen import one_line, picture
from ops.status_text import text
from ops.summary import bets_text, faults_done

STATUS: dict[str, Any] = {
    "mode": "sim", "pid": 100, "segment": "arb", "seconds": 12.3, "state": "ACTIVE",
    "supervisor": "ACTIVE (started)", "gate": "ACTIVE (done)",
    "cores": "not pinned: 2 cores, wanted 6",
    "waiting": {"detector": "spins 20 us, then futex"}, "edges": 1234, "intents": 20, "orders": 40,
    "fills": 39, "one_legged": 1, "profit_e6": 2_345_678,
    "profit": {"closed_e6": 12_345_678, "sure_e6": 20_000_000, "open_cost_e6": 30_000_000,
               "open_worth_e6": 26_000_000, "unknown_cost_e6": 5_000_000, "open_markets": 3,
               "unknown_markets": 1, "apart_e6": 0},
    "tick_to_order_ns": {
        "count": 20, "p50": 61_000, "p99": 200_000, "p999": 300_000, "max": 400_000,
    },
    "events": [{"epoch_ms": 1, "text": "feed kalshi died (killed by SIGKILL): [red]not markup[/]"}],
    "feeds": {
        "kalshi": {"trusted": 6, "instruments": 7, "not_open": 3, "stands_by": False, "live": True,
                   "connected": True, "frames": 1000, "quotes": 900, "gaps": 2,
                   "trusted_ratio": 0.987},
        "coinbase": {"trusted": 0, "instruments": 2, "not_open": 0, "stands_by": False,
                     "live": False, "connected": False, "frames": 0, "quotes": 0, "gaps": 0,
                     "trusted_ratio": None},
        "coingecko": {"trusted": 0, "instruments": 2, "not_open": 0, "stands_by": True,
                      "live": True, "connected": False, "frames": 0, "quotes": 0, "gaps": 0,
                      "trusted_ratio": 0.0},
    },
    "processes": [
        {"name": "detector", "pid": 101, "beat_age_ms": 12, "restarts": 0, "cpu_percent": 6.1,
         "rss_mib": 60.2, "own_mib": 14.8, "worst_loop_us": 31, "core": -1, "ready": True},
        {"name": "feed kalshi", "pid": None, "beat_age_ms": None, "restarts": 2,
         "cpu_percent": None,
         "rss_mib": None, "own_mib": None, "worst_loop_us": None, "core": None, "ready": False},
    ],
}  # fmt: skip


@pytest.mark.parametrize("width", [80, 160])
def test_the_picture_shows_the_whole_state_within_the_width(width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(picture(STATUS))
    shown = out.getvalue()
    for wanted in ("ACTIVE", "kalshi", "6/7", "98.7 %", "detector", "dead", "1,234", "$12.34"):
        assert wanted in shown
    assert "p50 61" in shown
    assert "[red]not markup[/]" in shown
    assert max(len(line) for line in shown.splitlines()) <= width


def test_one_line_says_state_trust_orders_and_money() -> None:
    assert one_line(STATUS) == (
        "12 s ACTIVE · trusted kalshi 6/7 coinbase 0/2 · 1234 edges · 40 orders · 39 fills"
        " · closed $12.34 · sure $20.00 · open cost $30.00, worth $26.00, $5.00 of it unknown"
        " · tick-to-order p50 61 us"
    )


def test_a_gateway_that_halted_by_itself_is_the_state_that_is_shown() -> None:
    halted = STATUS | {"state": "HALTED", "gate": "HALTED (one_legged)"}
    assert one_line(halted).startswith("12 s HALTED, gate HALTED (one_legged) · trusted")
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(picture(halted))
    assert out.getvalue().startswith(" HALTED ")
    assert text(halted).startswith(
        "HALTED: supervisor ACTIVE (started), gate HALTED (one_legged), sim, 12 s, pid 100"
    )


def test_what_was_refused_and_which_faults_were_done_is_told() -> None:
    shown = text(STATUS | {"refusals": {"moved": 2, "detector_size": 1000}})
    assert "refused by reason: moved 2, detector_size 1,000" in shown
    assert "refused by reason" not in text(STATUS)
    counts = {"kalshi": {"frames": 9, "fault_lose": 3, "fault_swap": 0}, "coinbase": {"frames": 1}}
    assert faults_done(counts) == [("faults", "kalshi: lose 3")]


def test_status_as_text_has_every_process_and_feed() -> None:
    shown = text(STATUS)
    assert "detector" in shown and "feed kalshi" in shown
    assert "feed kalshi: 6 of 7 trusted (3 more not open), 98.7 % of the time, connected" in shown
    assert "feed coinbase: 0 of 2 trusted, not connected" in shown
    assert "feed coingecko: stands by until a spot stream is down" in shown
    assert "waiting: detector: spins 20 us, then futex" in shown
    assert "killed by SIGKILL" in shown


def test_money_rounds_against_us() -> None:
    assert dollars(1_999_999) == "$1.99"
    assert dollars(-1) == "-$0.01"
    assert dollars(1_234_567_890_000) == "$1,234,567.89"


def test_nothing_measured_is_said_so() -> None:
    nothing = {"count": 0, "p50": None, "p99": None, "p999": None, "max": None}
    assert microseconds(nothing) == "none"


def test_contracts_of_bets_are_no_dollars() -> None:
    bets = {"intents": 1_234, "fills": 7, "filled_e6": 1_500_900_000, "fair_e6": 700_000_000}
    assert bets_text(bets) == (
        "1,234 · 7 filled, 1,500 contracts worth $700.00 at fair value when they were decided on"
    )
