"""Faults as data: a file is taken whole or refused with one line that says where."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from ops.venues import faults
from ops.venues.faults import (
    BOMBS,
    DRIFTS,
    EVERY_KIND,
    KINDS,
    POINTS,
    REST,
    Fault,
    FaultError,
    check,
    load,
)

EXAMPLE = Path(faults.__file__).with_name("faults_example.toml")
GAP = {"venue": "kalshi", "kind": "gap"}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({**GAP, "chanel": "x"}, "found 'chanel', wanted one of venue, kind, at_ms"),
    "unknown kind": ({**GAP, "kind": "gaps"}, "kind: found 'gaps', wanted one of gap, duplicate"),
    "no kind": ({"venue": "kalshi"}, "missing required field `kind`"),
    "a bad time": ({**GAP, "at_ms": "5s"}, "at_ms: found '5s', wanted int | null"),
    "a negative time": ({**GAP, "at_ms": -1}, "at_ms: found -1, wanted 0 to 604800000"),
    "a fraction": ({**GAP, "for_ms": 1.5}, "for_ms: found 1.5, wanted int | null"),
    "two times": ({**GAP, "at_ms": 1, "on": "x"}, "on: found beside at_ms"),
    "a stranger's argument": ({**GAP, "delay_ms": 5}, "found 'delay_ms', a gap takes none"),
    "no argument": ({"venue": "kalshi", "kind": "delay"}, "delay_ms: missing, a delay needs it"),
    "a bad how": (
        {"venue": "kalshi", "kind": "drift", "field": "x", "how": "odd"},
        "how: found 'odd', wanted one of renamed, missing",
    ),
    "no answer's status": (
        {"venue": "kalshi", "kind": "status", "path": "/", "status": 101},
        "status: found 101, wanted 200 to 599",
    ),
    "cut nowhere": (
        {"venue": "kalshi", "kind": "cut", "path": "/", "point": "somewhere"},
        "point: found 'somewhere', wanted one of unread, bytes, executed, reply",
    ),
    "no path": ({"venue": "kalshi", "kind": "silence"}, "path: missing"),
}


def test_the_example_shows_every_kind() -> None:
    assert {fault.kind for fault in load(EXAMPLE)} == set(KINDS)


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_all_is_every_kind_at_each_venue_that_trades_for_ever(venue: str) -> None:
    found = [fault for fault in load(EVERY_KIND) if fault.venue == venue]
    assert {fault.kind for fault in found} == set(KINDS)
    assert all(fault.again_ms for fault in found)
    assert all((fault.machine_ms or 0) < 30_000 for fault in found)
    hows = {(fault.kind, fault.how) for fault in found if fault.how}
    assert hows >= {("drift", how) for how in DRIFTS} | {("bomb", how) for how in BOMBS}
    orders = [fault for fault in found if fault.method == "POST"]
    assert {fault.point for fault in orders if fault.kind == "cut"} == set(POINTS)
    wanted = {kind for kind, (where, _) in KINDS.items() if REST in where}
    assert {fault.kind for fault in orders} == wanted - {"stale_clock", "wrong_tick"}, (
        "no order is answered with a false price"
    )


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_a_wrong_fault_is_one_line_with_its_place(case: str, tmp_path: Path) -> None:
    row, wanted = REFUSED[case]
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"fault": [GAP, row]}))
    with pytest.raises(FaultError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: fault 2: ")
    assert wanted in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[[fault]\n", "not TOML"),
        ("", "found nothing, wanted a list of tables 'fault'"),
        ("[[faults]]\n", "found faults, wanted a list of tables 'fault'"),
        ("fault = 5\n", "fault: wanted a list of 1 to 1000 tables"),
        ("fault = [5]\n", "fault 1: found 5, wanted a table"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(text: str, wanted: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(FaultError, match=wanted):
        load(path)
    with pytest.raises(FaultError, match="cannot be read"):
        load(tmp_path / "absent.toml")


def test_a_plan_is_checked_against_the_session() -> None:
    markets = {"kalshi": {"KX-A"}, "coinbase": set[str]()}
    check((Fault(venue="kalshi", kind="gap", market="KX-A"),), markets=markets)
    with pytest.raises(FaultError, match="fault 1: venue: found 'nyse', wanted one of coinbase"):
        check((Fault(venue="nyse", kind="gap"),), markets=markets)
    with pytest.raises(FaultError, match="market: found 'KX-B'"):
        check((Fault(venue="kalshi", kind="gap", market="KX-B"),), markets=markets)


def test_a_fault_travels_to_the_venues_process() -> None:
    fault = Fault(venue="kalshi", kind="drift", field="price", how="zero")
    assert pickle.loads(pickle.dumps(fault)) == fault
