"""Every rule of the checker can fail: a run in order raises no complaint, and one change of its
journal, of a venue's log or of the books makes its rule red.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.journal import Journal
from shm_layout import (
    FLAG_UNWIND,
    ORIGIN_DETECTOR,
    P_DONE,
    P_REJECTED,
    P_UNKNOWN,
    S_CONFIRMED,
    S_FAILED,
    VENUES,
    intent_id,
)
from tests.orders.checker import RULES, violations
from tests.orders.evidence import Evidence, Fault, Keeper, Placed, Read

MS = 1_000_000
S = 1_000 * MS
BEGIN = 10**12
SIZE = 20_000_000
INTENT, UNWIND = intent_id(ORIGIN_DETECTOR, 1, 1), 7
K, P, U = "run-intent-0", "0xabc", "run-unwind-0"
KALSHI, POLYMARKET = VENUES.index("kalshi"), VENUES.index("polymarket")


def order(
    intent: int, taken_ns: int, *legs: tuple[int, int, str], parent: int = 0
) -> dict[str, Any]:
    """An order record of legs (venue, instrument, key)."""
    head = [intent, parent, 0, 0, 0, FLAG_UNWIND if parent else 0, *[0] * 7]
    rows = [[leg, venue, number, 1, 0, 400_000, SIZE, key]
            for leg, (venue, number, key) in enumerate(legs)]  # fmt: skip
    return {"k": "order", "run": 1, "taken_ns": taken_ns, "intent": head, "orders": rows}


def out(
    key: str, placed: int, ns: int, filled_e6: int | None = None, why: int = 0
) -> dict[str, Any]:
    cum = None if filled_e6 is None else [filled_e6, 0, 0]
    return {"k": "out", "key": key, "placed": placed, "why": why, "cum": cum, "ns": ns}


def trade(key: str, name: str, size_e6: int, ns: int, settled: int = S_CONFIRMED) -> dict[str, Any]:
    return {"k": "trade", "key": key, "trade": name, "size": size_e6, "settled": settled, "ns": ns}


def end(intent: int) -> dict[str, Any]:
    return {"k": "end", "intent": intent, "why": 0}


@pytest.fixture
def run() -> Evidence:
    """Kalshi filled; Polymarket was silent, was asked and had not got it; Kalshi's leg was given
    back after a 429.
    """
    sent = BEGIN + MS
    return Evidence(
        records=[
            order(INTENT, BEGIN, (KALSHI, 0, K), (POLYMARKET, 1, P)),
            out(K, P_DONE, BEGIN + 2 * MS, SIZE),
            trade(K, "t1", SIZE, BEGIN + 3 * MS),
            out(P, P_UNKNOWN, BEGIN + 500 * MS),
            out(P, P_REJECTED, BEGIN + 3 * S, 0),
            end(INTENT),
            order(UNWIND, BEGIN + 4 * S, (KALSHI, 0, U), parent=INTENT),
            out(U, P_REJECTED, BEGIN + 4 * S + MS),
            end(UNWIND),
        ],
        damage="",
        reads=[
            Read("kalshi", K, sent, sent + MS, "filled"),
            Read("polymarket", P, sent, sent, "fault_half_open"),
            Read("kalshi", U, BEGIN + 4 * S + MS, BEGIN + 4 * S + MS, "fault_status"),
        ],
        faults=[
            Fault("polymarket", "half_open", sent, 0, "POST /order", P, 0),
            Fault("kalshi", "status", BEGIN + 4 * S + MS, 0, "POST /orders", U, 429),
        ],
        placed={K: Placed(SIZE, 0)},
        venue_cash={("kalshi", 0): 90, ("polymarket", 0): 100},
        venue_held={("kalshi", "KX"): SIZE},
        desk_cash={("kalshi", 0): 90, ("polymarket", 0): 100},
        desk_held={("kalshi", "KX"): SIZE},
        intents=frozenset({INTENT}),
        terminals=[(INTENT, "one_legged"), (UNWIND, "limit_rate")],
        is_whole=True,
        ended_ns=BEGIN + 60 * S,
    )


def broken(found: Evidence) -> set[str]:
    return {text.split(":")[0] for text in violations(found)}


def test_a_run_in_order_raises_no_complaint(run: Evidence) -> None:
    assert violations(run) == []


Change = Callable[[Evidence], Evidence]


def records(change: Callable[[list[dict[str, Any]]], object]) -> Change:
    """The journal changed in place."""

    def changed(run: Evidence) -> Evidence:
        found = copy.deepcopy(run.records)
        change(found)
        return replace(run, records=found)

    return changed


def reads(*more: Read) -> Change:
    return lambda run: replace(run, reads=[*run.reads, *more])


BROKEN: list[tuple[set[str], Change]] = [
    ({"unjournalled"}, lambda run: replace(run, damage="torn at byte 9")),
    ({"unjournalled"}, reads(Read("kalshi", "foreign", BEGIN, BEGIN, "filled"))),
    ({"unjournalled"}, records(lambda found: found[0].update(taken_ns=BEGIN + 2 * MS))),
    ({"unjournalled"}, lambda run: replace(run, placed={**run.placed, "foreign": Placed(1, 0)})),
    ({"doubled"}, reads(Read("kalshi", K, BEGIN + 2 * S, BEGIN + 2 * S, "already_exists"))),
    ({"doubled", "unresolved"},
     records(lambda found: found.append(order(INTENT, BEGIN, (KALSHI, 0, "other"))))),
    ({"doubled", "unjournalled"}, records(lambda found: found[6]["orders"][0].__setitem__(-1, K))),
    ({"misbooked"}, lambda run: replace(run, placed={K: Placed(SIZE // 2, 0)})),
    ({"misbooked"}, lambda run: replace(run, placed={})),
    ({"misbooked"}, lambda run: replace(run, placed={K: Placed(SIZE, SIZE)})),
    ({"misbooked"}, records(lambda found: found[2].update(settled=S_FAILED))),
    ({"misbooked", "unproven"},
     lambda run: replace(run, placed={**run.placed, P: Placed(SIZE, 0)})),
    ({"unproven"}, records(lambda found: found[4].update(ns=BEGIN + 501 * MS))),
    ({"unproven"},
     lambda run: replace(run, faults=[run.faults[0], run.faults[1]._replace(status=500)])),
    ({"unproven"}, lambda run: replace(run, reads=run.reads[:2], faults=run.faults[:1])),
    ({"apart"}, lambda run: replace(run, desk_cash={**run.desk_cash, ("kalshi", 0): 91})),
    ({"apart"}, lambda run: replace(run, desk_held={})),
    ({"apart"}, lambda run: replace(run, venue_held={**run.venue_held, ("polymarket", "9"): 1})),
    ({"unresolved"}, records(lambda found: found[4].update(ns=BEGIN + 11 * S))),
    ({"unresolved"}, records(lambda found: found[4].update(placed=P_UNKNOWN))),
    ({"unresolved"}, records(lambda found: (found.pop(4), found.pop(3)))),
    ({"unanswered"}, lambda run: replace(run, terminals=[*run.terminals, (INTENT, "done")])),
    ({"unanswered"}, lambda run: replace(run, terminals=run.terminals[:1])),
    ({"unanswered"}, lambda run: replace(run, intents=frozenset({INTENT, INTENT + 1}))),
    ({"unanswered"}, records(lambda found: found.append(end(INTENT)))),
    ({"unanswered"}, records(lambda found: found.pop(5))),
    ({"untrusted"}, lambda run: replace(run, untrusted=["quote 0/1: trust 2"])),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "change"), BROKEN)
def test_each_wrong_makes_its_rule_red(run: Evidence, wanted: set[str], change: Change) -> None:
    assert broken(change(run)) == wanted


def test_every_rule_has_a_wrong() -> None:
    assert set().union(*(wanted for wanted, _ in BROKEN)) == set(RULES)


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [("fak_no_match", set()), ("matched", {"unproven"}), ("fault_bomb", {"unproven"})],
)
def test_a_body_nobody_can_read_leaves_the_status_it_came_with(
    run: Evidence, outcome: str, wanted: set[str]
) -> None:
    at_once = records(lambda found: found[4].update(ns=BEGIN + 501 * MS))(run)
    told = [read._replace(outcome=outcome) if read.key == P else read for read in run.reads]
    bomb = run.faults[0]._replace(kind="bomb")
    assert broken(replace(at_once, reads=told, faults=[bomb, run.faults[1]])) == wanted


def test_time_in_which_the_venue_fails_or_the_gateway_is_away_does_not_count(run: Evidence) -> None:
    late = records(lambda found: found[4].update(ns=BEGIN + 18 * S))(run)
    assert broken(late) == {"unresolved"}
    ill = Fault("polymarket", "status", BEGIN + 9 * S, 0, "GET /data/order", "", 503)
    assert broken(replace(late, faults=[*late.faults, ill])) == set()
    assert broken(replace(late, faults=[*late.faults, ill._replace(venue="kalshi")])) != set()
    assert broken(replace(late, faults=[*late.faults, ill._replace(kind="gap")])) != set()
    assert broken(replace(late, down_ns=((BEGIN + 6 * S, BEGIN + 17 * S),))) == set()
    assert broken(replace(late, down_ns=((BEGIN + 6 * S, BEGIN + 7 * S),))) != set()


def test_time_in_which_reads_must_wait_for_a_429_does_not_count(run: Evidence) -> None:
    late = records(lambda found: found[4].update(ns=BEGIN + 20 * S))(run)
    many = Fault("polymarket", "status", BEGIN + 2 * S, 0, "GET /data/order", "", 429)
    again = [many._replace(mono_ns=BEGIN + at * S) for at in (2, 6)]
    assert broken(replace(late, faults=[*late.faults, many])) == {"unresolved"}, "14 s well"
    assert broken(replace(late, faults=[*late.faults, *again])) == set(), "and 6 s well"
    other = [fault._replace(venue="kalshi") for fault in again]
    assert broken(replace(late, faults=[*late.faults, *other])) == {"unresolved"}
    orders = [fault._replace(key="0x77") for fault in again]
    assert broken(replace(late, faults=[*late.faults, *orders])) == {"unresolved"}


def test_a_journal_is_kept_when_its_folder_goes(tmp_path: Path) -> None:
    folder = tmp_path / "tmp" / "arb-1" / "journal"
    made = Journal(folder, file_bytes=128 << 10)
    keeper = Keeper(tmp_path)
    keeper.poll()
    assert made.append({"k": "end", "intent": 1, "why": 0})
    for path in folder.iterdir():
        path.unlink()
    keeper.poll()
    made.close()
    assert keeper.records() == ([{"k": "end", "intent": 1, "why": 0}], "")


def test_of_orders_and_unwinds_the_checker_reads_what_the_desk_wrote(run: Evidence) -> None:
    first, second, third = run.sent
    assert (first.venue, second.venue, third.parent) == ("kalshi", "polymarket", INTENT)
    assert (first.is_unwind, third.is_unwind) == (False, True)
