"""A day in which every arbitrage is false, through real processes, sockets, TLS and signatures:
nothing is sent and everything is told; the same pairs approved by force trade at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.refused_text import sums
from tests.conftest import recorded
from tests.ops.rig import REAL, engine, one_object, until

pytestmark = pytest.mark.timeout(900)  # kernels may have to be compiled first

FALSE_ARB = "dual_crypto_false_arb"
FIELDS = {"strike", "date", "hour", "source", "quote"}
SECONDS = 600  # at most, on a busy machine; the forced run is stopped when it has traded
SPEED, GAP_MAX_S = 240, 1  # the day takes 11 s


def flags(*more: str) -> tuple[str, ...]:
    return (
        "--replay", str(recorded(FALSE_ARB)), "--gap-max", str(GAP_MAX_S), "--speed", str(SPEED),
        "--for", str(SECONDS), "--profile", "testing", "--json", *more,
    )  # fmt: skip


def test_nothing_is_sent_and_each_refusal_names_its_field(tmp_path: Path) -> None:
    with engine(tmp_path, command=list(REAL)) as made:
        made.start(*flags())
        asked: dict[str, Any] = {}

        def is_told() -> bool:
            asked.update(made.status())
            return bool(asked.get("refused_edges", {}).get("edges"))

        until(is_told, 240, "a refused edge in status")
        shown = made.run("status").stdout
        code, out, err = made.end()
    assert code == 0, err
    summary = one_object(out)
    assert summary["exit_reason"] == "the recorded data ended"
    for venue in ("kalshi", "polymarket", "coinbase"):
        assert summary["venues"][venue]["frames"] > 0 and summary["venues"][venue]["gaps"] == 0
    assert (summary["edges"], summary["intents"], summary["orders"]) == (0, 0, 0)
    rows = summary["refused_pairs"]
    assert len(rows) == 745 and not any(row["approved"] for row in rows)
    refused = [row for row in rows if row["edges"] or row["untrusted"]]
    assert len(refused) > 500
    assert all(FIELDS >= set(row["differs"]) >= {"source", "quote"} for row in refused)
    assert all(row["trust"] for row in refused if row["untrusted"])
    assert all(row["best_e6"] > 0 for row in refused)
    assert max(row["best_e6"] for row in refused) > 700_000  # gaps up to 84 points
    told = sums(rows)
    assert set(told["reasons"]) >= FIELDS and told["forced"] == 0
    assert summary["refusals"]["detector_pair"] >= told["reasons"]["source"]
    assert "refused: " in shown and "strike" in shown
    assert len(asked["refused_pairs"]) <= 100 and asked["orders"] == 0


def test_the_same_pairs_approved_by_force_trade(tmp_path: Path) -> None:
    """The negative control of the test above."""
    with engine(tmp_path, command=list(REAL)) as made:
        made.start(*flags("--force-approve"))
        until(lambda: made.status().get("fills", 0) > 0, 240, "a fill")
        assert made.run("stop").returncode == 0
        code, out, err = made.end()
    assert code == 0, err
    summary = one_object(out)
    assert summary["edges"] > 0 and summary["intents"] > 0
    assert summary["orders"] >= summary["fills"] > 0
    rows = summary["refused_pairs"]
    assert len(rows) == 745 and all(row["approved"] and row["differs"] for row in rows)
    assert not any(row["edges"] for row in rows)
