"""The model bets in a real run: orders of one leg go out and fill, stand in the journal with what
they were decided on, and the checker and `explain` find every one of them in order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops import clock, control, supervisor_cli
from shm_layout import DETECTOR, E6, KIND_MODEL, MODEL
from tests.ops.rig import REAL, engine
from tests.orders.checker import violations
from tests.orders.evidence import Keeper, gather
from tests.orders.operator import Operator
from tests.orders.test_faults import until_quiet
from tests.session.witness import Witness

SETTINGS = {  # makers leave little: any bet that pays is taken
    "ARB_UPDOWN_BETS": "1", "ARB_EDGE_COOLDOWN_MS": "0", "ARB_EDGE_EDGE_MIN": "0.005",
    "ARB_STRATEGIES_LATENCY_EDGE_MIN": "0.005", "ARB_STRATEGIES_MODEL_EDGE_EDGE_MIN": "0.005",
    "ARB_STRATEGIES_MODEL_EDGE_CONFIDENCE_MIN": "0", "ARB_STRATEGIES_CONVEXITY_FADE_ON": "1",
    "ARB_STRATEGIES_CONVEXITY_FADE_EDGE_MIN": "0.005",
    "ARB_SPOT_BINANCE": "0", "ARB_SPOT_KRAKEN": "0", "ARB_SPOT_COINGECKO": "0",
}  # fmt: skip
BETS = 1  # that must have filled
PATIENCE_S = 240


def filled(witness: Witness) -> set[int]:
    """Bets of which something filled."""
    return {
        int(leg["intent"])
        for leg in witness.legs
        if leg["intent_kind"] == KIND_MODEL and leg["filled_e6"] > 0
    }


def explained(capsys: pytest.CaptureFixture[str], journal: Path) -> dict[str, Any]:
    """`arb-supervisor explain --all --json` of a journal."""
    capsys.readouterr()
    assert supervisor_cli.main(["explain", "--all", "--json", "--journal", str(journal)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.timeout(900)
def test_bets_of_the_model_are_sent_filled_and_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine(tmp_path, command=list(REAL), settings=SETTINGS) as made:
        made.start("--seed", "11", "--speed", "2", "--json")
        witness, keeper = Witness.of(made), Keeper(tmp_path)
        made.wait_until_trading()
        keeper.poll()
        operator = Operator(witness, tmp_path)  # pairs trade beside the bets, and may halt

        def has_filled() -> bool:
            operator.look()
            return len(filled(witness)) >= BETS

        witness.until(has_filled, PATIENCE_S, f"{BETS} bets filled")
        status = made.status()
        model = next(row for row in status["processes"] if row["name"] == "model")
        assert model["ready"] and model["restarts"] == 0
        assert witness.counter(MODEL, "market_terms") > 0
        assert witness.counter(DETECTOR, "fairs") > 0
        assert "error" not in control.ask(tmp_path, "halt")
        until_quiet(witness)
        ended_ns = clock.mono_ns()
        assert "error" not in control.ask(tmp_path, "stop")
        summary = witness.to_the_end(made, 180)
    keeper.poll()
    evidence = gather(tmp_path, keeper, witness, ended_ns)
    assert violations(evidence) == []
    bets = {number for number, row in witness.intents.items() if row["kind"] == KIND_MODEL}
    orders = [order for order in evidence.sent if order.intent in bets]
    assert {order.leg for order in orders} == {0} and len(orders) >= BETS
    assert len({order.intent for order in orders}) == len(orders), "one order a bet"
    assert not [order for order in evidence.sent if order.parent in bets], "nothing given back"
    assert not {why for number, why in witness.terminals if number in bets} & {"one_legged"}
    told = summary["bets"]
    assert told["intents"] == len(bets) and told["fills"] == len(filled(witness))
    assert told["filled_e6"] > 0 and told["fair_e6"] > 0
    rows = {row["name"]: row for row in status["strategies"]}
    assert {name for name, row in rows.items() if row["orders"]} <= set(told["strategies"])
    assert all(row["is_on"] is not None and row["looks"] > 0 for row in rows.values())
    assert sum(row["filled_e6"] for row in told["strategies"].values()) == told["filled_e6"]
    (journal,) = (tmp_path / "journal").iterdir()
    whole = explained(capsys, journal)
    assert whole["differences"] == []
    stories = [row for row in whole["intents"] if row["what"] == "bets"]
    assert {row["intent"] for row in stories} == {order.intent for order in orders}
    for row in stories:
        assert row["lone"] is None and 0 < row["bet"]["fair_e6"] < E6
        assert row["expected_e6"] is not None and row["expected_e6"] > 0
