"""Ten minutes in which both venues fail in every way they know: what the checker asks of every
order holds, and `explain` accounts for every cent, order by order, exactly as the venues do.

`pytest -m faults` takes the ten minutes; a continuous integration (ARB_TEST_SHORT) a part of one,
in which each kind comes once. An operator resumes what halts over a leg alone or an order not
found. ARB_TEST_FAULTS_TOLD names a file for what the run came to.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops import clock, control, supervisor_cli
from ops.venues.faults import KINDS
from tests.ops.rig import REAL, Engine, engine
from tests.orders.checker import violations
from tests.orders.evidence import Evidence, Keeper, gather
from tests.orders.operator import Operator
from tests.session.witness import Witness

SECONDS = 45 if os.environ.get("ARB_TEST_SHORT") else 600
SETTINGS = {
    "ARB_SPOT_BINANCE": "0", "ARB_SPOT_KRAKEN": "0", "ARB_SPOT_COINGECKO": "0",
}  # fmt: skip
QUIET_NS = 6 * clock.SECOND_NS  # longer than any question waits, and is asked again
QUIET_S = 120  # at most: the venues go on failing
SENT_LEAST = 20


def until_quiet(witness: Witness) -> None:
    """Every intent has its last word, and the gateway has had nothing to tell for a while."""
    told, since_ns = 0, clock.mono_ns()

    def is_quiet() -> bool:
        nonlocal told, since_ns
        now_ns = clock.mono_ns()
        if len(witness.legs) != told:
            told, since_ns = len(witness.legs), now_ns
        ended = {intent for intent, _ in witness.terminals}
        sent = {int(leg["intent"]) for leg in witness.legs}
        return sent <= ended and now_ns - since_ns > QUIET_NS

    witness.until(is_quiet, QUIET_S, "an end of every intent")


def look_while_it_runs(made: Engine, witness: Witness) -> None:
    """`explain` of a running engine: the gateway's own books, and what was refused of late."""
    done = made.run("explain", "--all", "--json")
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
    found = json.loads(done.stdout)
    assert found["differences"] == [] and found["books"]["of"] == "the gateway's books"
    sent = {int(leg["intent"]) for leg in witness.legs}
    wanted = witness.intents.keys() - sent  # a leg left alone has a last word too
    refused = [(number, why) for number, why in witness.terminals if number in wanted]
    if refused:
        number, why = refused[-1]
        done = made.run("explain", str(number))
        assert done.returncode == 0 and f"nothing was sent: {why}" in done.stdout, done


@dataclass(frozen=True)
class Found:
    """What one run left: for the checker, where its journal lies, its own summary."""

    evidence: Evidence
    journal: Path
    halts: Counter[str]
    summary: dict[str, Any]


def run(state_dir: Path, seconds: float) -> Found:
    """One engine, its venues failing all the time, to its end in order."""
    with engine(state_dir, command=REAL, settings=SETTINGS) as made:
        made.start("--faults", "all", "--markets", "30", "--json")
        witness, keeper = Witness.of(made), Keeper(state_dir)
        made.wait_until_trading()
        keeper.poll()
        operator = Operator(witness, state_dir)
        operator.pass_time(seconds)
        keeper.poll()
        assert "error" not in control.ask(state_dir, "halt")
        until_quiet(witness)
        look_while_it_runs(made, witness)
        ended_ns = clock.mono_ns()
        assert "error" not in control.ask(state_dir, "stop")
        summary = witness.to_the_end(made, 60)
    keeper.poll()
    (journal,) = (state_dir / "journal").iterdir()
    return Found(gather(state_dir, keeper, witness, ended_ns), journal, operator.halts, summary)


def explained(capsys: pytest.CaptureFixture[str], journal: Path) -> tuple[int, dict[str, Any]]:
    """`arb-supervisor explain --all --json` of a journal: exit code and what it says."""
    capsys.readouterr()
    code = supervisor_cli.main(["explain", "--all", "--json", "--journal", str(journal)])
    return code, json.loads(capsys.readouterr().out)


def told_of(found: Found, whole: dict[str, Any], verdict: list[str]) -> dict[str, Any]:
    """What the run came to, for people."""
    evidence = found.evidence
    return {
        "seconds": SECONDS,
        "orders": whole["totals"]["orders"],
        "filled": whole["totals"]["filled"],
        "intents": whole["totals"]["intents"],
        "unwinds": whole["totals"]["unwinds"],
        "legs_alone": whole["totals"]["lone"],
        "halts": dict(found.halts),
        "faults": {
            venue: dict(Counter(f.kind for f in evidence.faults if f.venue == venue))
            for venue in ("kalshi", "polymarket")
        },
        "orders_hit": sum(bool(fault.key) for fault in evidence.faults),
        "ends": dict(Counter(why for _, why in evidence.terminals)),
        "checker": verdict or "green",
        **{name: whole["totals"][name] for name in
           ("expected_e6", "fees_e6", "realised_e6", "lone_e6", "explained_e6")},
        "venues_say_e6": whole["books"]["change_e6"],
        "differences": whole["differences"],
        "summary": found.summary,
    }  # fmt: skip


def spoilt(journal: Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy whose venues say something else."""
    shutil.copytree(journal, to)
    told = json.loads((to / "venues.json").read_bytes())
    change(told["accounts"])
    (to / "venues.json").write_text(json.dumps(told))
    return to


def first_filled(accounts: dict[str, Any], venue: str) -> dict[str, int]:
    orders: dict[str, dict[str, int]] = accounts[venue]["orders"]
    return next(order for order in orders.values() if order["filled_e6"])


def one_more(venue: str, name: str) -> Callable[[dict[str, Any]], None]:
    def change(accounts: dict[str, Any]) -> None:
        first_filled(accounts, venue)[name] += 1

    return change


def a_cent_gone(accounts: dict[str, Any]) -> None:
    accounts["polymarket"]["cash_e6"]["0"] -= 10_000


def a_contract_gone(accounts: dict[str, Any]) -> None:
    held = accounts["kalshi"]["held_e6"]
    name = next(iter(held))
    held[name] -= 1_000_000


SPOILT: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a fill at Kalshi": (one_more("kalshi", "filled_e6"), "filled_e6 explained"),
    "a price at Polymarket": (one_more("polymarket", "notional_e6"), "notional_e6 explained"),
    "a fee at Kalshi": (one_more("kalshi", "fee_e6"), "fee_e6 explained"),
    "a cent": (a_cent_gone, "cash polymarket 0: explained"),
    "a contract": (a_contract_gone, "held kalshi"),
}


def check_explained(whole: dict[str, Any], evidence: Evidence) -> None:
    """Order by order, and all of it."""
    totals, rows = whole["totals"], [o for i in whole["intents"] for o in i["orders"]]
    assert whole["differences"] == [] and whole["damage"] is None
    assert {row["order"] for row in rows} == {order.key for order in evidence.sent}
    for row in rows:
        placed = evidence.placed.get(row["order"])
        theirs = (placed.filled_e6, placed.notional_e6, placed.fee_e6) if placed else (0, 0, 0)
        assert (row["filled_e6"], row["notional_e6"], row["fee_e6"]) == theirs, row["order"]
    assert sum(row["realised_e6"] for row in rows) == totals["realised_e6"]
    assert sum(family["realised_e6"] for family in whole["families"]) == totals["realised_e6"]
    assert totals["realised_e6"] + totals["rounding_e6"] == whole["books"]["change_e6"]
    cash_e6 = sum(evidence.venue_cash.values()) - sum(evidence.desk_cash.values())
    assert cash_e6 == 0, "the checker's own rule"
    unwinds = {order.intent: order.parent for order in evidence.sent if order.is_unwind}
    told = {i["intent"]: i["parent"] for i in whole["intents"] if i["parent"] is not None}
    assert told == unwinds
    for intent in whole["intents"]:
        if intent["edge"] is None or None in [book["decided"] for book in intent["books"]]:
            continue
        assert abs(intent["expected_e6"] - intent["edge"]["profit_e6"]) <= len(intent["orders"])


@pytest.mark.faults
@pytest.mark.timeout(SECONDS + 600)  # kernels may have to be compiled first, on a busy machine
def test_whatever_the_venues_do_every_order_is_known_and_every_cent_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(tmp_path, SECONDS)
    verdict = violations(found.evidence)
    code, whole = explained(capsys, found.journal)
    if path := os.environ.get("ARB_TEST_FAULTS_TOLD"):
        Path(path).write_text(json.dumps(told_of(found, whole, verdict), indent=1))
    assert verdict == []
    assert code == 0, whole["differences"]
    assert found.summary["profit_e6"] == whole["totals"]["explained_e6"], "told at the end, too"
    check_explained(whole, found.evidence)
    assert len(found.evidence.sent) > SENT_LEAST
    for venue in ("kalshi", "polymarket"):
        done = {fault.kind for fault in found.evidence.faults if fault.venue == venue}
        assert done == set(KINDS), f"{venue}: {set(KINDS) - done} were not done"
    for name, (change, wanted) in SPOILT.items():
        copy = spoilt(found.journal, tmp_path / name.replace(" ", "-"), change)
        code, wrong = explained(capsys, copy)
        assert code == 6 and any(wanted in text for text in wrong["differences"]), name
