"""Orders that are cut off from their answers, at each point, at both venues, on both legs: what
the checker asks of every order holds. All cases of a seed are one run of the engine.

`pytest -m cuts` runs 50 seeds, a continuous integration (ARB_TEST_SHORT) one of them.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops import clock, control
from shm_layout import ORIGIN_DETECTOR, P_REJECTED, P_UNKNOWN, intent_parts
from tests.ops.rig import Engine, engine
from tests.orders.checker import RULES, violations
from tests.orders.cut_cases import POINTS, SHUT, VENUES, Case, cases, outages
from tests.orders.evidence import Evidence, Keeper, Placed, gather
from tests.orders.operator import Operator
from tests.session.witness import Witness

SEEDS = range(1, 2) if os.environ.get("ARB_TEST_SHORT") else range(1, 51)
COMMAND = [sys.executable, "-m", "tests.orders.cut_session"]
SETTINGS = {
    "ARB_GATEWAY_REPLY_MAX_MS": "400", "ARB_GATEWAY_CONNECT_MAX_MS": "400",
    "ARB_GATEWAY_CIRCUIT_FAILURES": "1000",  # every case is sent, whatever the one before met
    "ARB_LIMITS_UNWIND_LOSS_MAX": "0.20", "ARB_LIMITS_UNWIND_TIME_MAX_MS": "10000",
    "ARB_SPOT_BINANCE": "0", "ARB_SPOT_KRAKEN": "0", "ARB_SPOT_COINGECKO": "0",
    "ARB_FEEDS_LANES": "1",
}  # fmt: skip
TRADED_S = 240
QUIET_NS = 3 * clock.SECOND_NS  # longer than any question waits for its answer


def run(tmp_path: Path, seed: int) -> Evidence:
    """One engine through all cases of a seed, to its end in order."""
    plan = tmp_path / "faults.json"
    found = cases(seed)
    rows = [*outages(seed), *(row for case in found for row in case.faults())]
    plan.write_text(json.dumps({"fault": rows}))
    with engine(tmp_path, command=COMMAND, settings=SETTINGS) as made:
        made.start("--seed", str(seed), "--faults", str(plan), "--json")
        witness, keeper = Witness.of(made), Keeper(tmp_path)
        made.wait_until_trading()
        keeper.poll()
        until_done(made, witness, len(found))
        assert "error" not in control.ask(tmp_path, "halt")
        ended_ns = clock.mono_ns()
        assert "error" not in control.ask(tmp_path, "stop")
        witness.to_the_end(made, 180)
    return gather(tmp_path, keeper, witness, ended_ns)


def until_done(made: Engine, witness: Witness, pairs: int) -> None:
    """Until each pair has sent both legs of an intent, every intent has its last word, and the
    gateway has had nothing to tell for a while.
    """
    told, since_ns = 0, clock.mono_ns()
    operator = Operator(witness, made.state_dir)  # on a busy machine an unwind is late as well

    def is_quiet() -> bool:
        nonlocal told, since_ns
        operator.look()
        now_ns = clock.mono_ns()
        if len(witness.legs) != told:
            told, since_ns = len(witness.legs), now_ns
        sent = {int(leg["intent"]): int(leg["pair"]) for leg in witness.legs if leg["send_ns"]}
        ended = {intent for intent, _ in witness.terminals}
        is_over = len(set(sent.values())) == pairs and sent.keys() <= ended
        return is_over and now_ns - since_ns > QUIET_NS

    try:
        witness.until(is_quiet, TRADED_S, "an end of every intent of every pair")
    except AssertionError as late:
        late.add_note(f"{Counter(why for _, why in witness.terminals)}")
        late.add_note((made.state_dir / "log" / "engine.log").read_text()[-2_000:])
        raise


def undone(evidence: Evidence, found: list[Case]) -> list[str]:
    """Cases whose fault did not strike, or did the other thing."""
    struck = {fault.what.split()[-1]: fault for fault in evidence.faults if fault.connection == 0}
    wrong = []
    for case in found:
        if case.point == SHUT:
            continue
        fault = struck.get(case.market)
        if fault is None and not was_shut_out(evidence, case):
            wrong.append(f"{case.name}: it did not strike")
        elif (
            fault is not None and fault.key and (fault.key in evidence.placed) is not case.executed
        ):
            wrong.append(f"{case.name}: carried out is {not case.executed}")
    shut = sum(fault.kind == "shut" for fault in evidence.faults)
    wanted = sum(case.point == SHUT for case in found)
    return wrong if shut == wanted else [*wrong, f"{shut} ports were shut, wanted {wanted}"]


def tampered(run: Evidence) -> dict[str, Evidence]:
    """The same run with one thing changed for each rule of the checker."""
    key = next(key for key, order in run.placed.items() if order.filled_e6)
    order = next(order for order in run.sent if order.key == key)
    account = next(iter(run.desk_cash))
    lost = next(fault.key for fault in run.faults if fault.status == 500 and fault.key)
    at_ns = next(order.taken_ns for order in run.sent if order.key == lost)
    refused = {"k": "out", "key": lost, "placed": P_REJECTED, "why": 0, "cum": None, "ns": at_ns}
    late = {**refused, "placed": P_UNKNOWN, "ns": at_ns - 60 * clock.SECOND_NS}
    return {
        "unjournalled": replace(
            run, records=[record for record in run.records if order.intent not in _named(record)]
        ),
        "doubled": replace(run, reads=[*run.reads, next(r for r in run.reads if r.key == key)]),
        "misbooked": replace(run, placed={**run.placed, key: Placed(order.size_e6 + 1, 0)}),
        "unproven": replace(run, records=[*run.records[:1], refused, *run.records[1:]]),
        "apart": replace(run, desk_cash={**run.desk_cash, account: run.desk_cash[account] + 1}),
        "unresolved": replace(run, records=[late, *run.records]),
        "unanswered": replace(run, terminals=[*run.terminals, (order.intent, "done")]),
        "untrusted": replace(run, untrusted=["quote 0/1: trust 2"]),
    }


def _named(record: dict[str, Any]) -> list[int]:
    return record["intent"][:1] if record["k"] == "order" else []


def was_shut_out(evidence: Evidence, case: Case) -> bool:
    """Whether the case's order came so late that it met a port shut for another case."""
    instrument = 2 * case.number + VENUES.index(case.venue)
    taken_ns = min(order.taken_ns for order in evidence.sent if order.instrument == instrument)
    shut = [fault.mono_ns for fault in evidence.faults if fault.kind == "shut"]
    return any(abs(taken_ns - mono_ns) < clock.SECOND_NS for mono_ns in shut)


def test_the_cases_are_every_point_at_both_venues_on_both_legs_done_and_undone() -> None:
    found = cases(1)
    assert {case.point for case in found} == set(POINTS) and len(POINTS) == 12
    whole = Counter((case.point, case.executed) for case in found)
    assert set(whole.values()) == {4}
    assert len(whole) == sum(kind is not None for kinds in POINTS.values() for kind in kinds)
    orders = {tuple(case[1:5] for case in cases(seed)) for seed in range(1, 51)}
    assert len(orders) == 50, "each seed has an order of its own"


@pytest.mark.cuts
@pytest.mark.timeout(600)  # kernels may have to be compiled first, on a busy machine
@pytest.mark.parametrize("seed", SEEDS)
def test_no_cut_leaves_an_order_that_nobody_knows(tmp_path: Path, seed: int) -> None:
    found = cases(seed)
    evidence = run(tmp_path, seed)
    assert undone(evidence, found) == []
    assert violations(evidence) == []
    wrongs = tampered(evidence)
    assert wrongs.keys() == RULES.keys()
    for rule, changed in wrongs.items():
        assert any(text.startswith(rule) for text in violations(changed)), rule
    opened = {o.intent for o in evidence.sent if intent_parts(o.intent)[0] == ORIGIN_DETECTOR}
    assert len(opened) >= len(found)
