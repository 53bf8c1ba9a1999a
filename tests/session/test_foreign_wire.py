"""Another client of the same account places an order, and trades: the gateway, which compares its
books with the venues' while it trades, halts and names it; and while nobody else does, it never
halts for what is only on its way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shm_layout import GATEWAY, REASONS, cells_to_text
from tests.ops.rig import engine, until
from tests.session.deaths import Scene
from tests.session.outsider import Outsider
from tests.session.witness import Witness

pytestmark = pytest.mark.timeout(900)

COMMAND = [sys.executable, "-m", "tests.session.outsider"]
SETTINGS = {
    "ARB_GATEWAY_DRIFT_CHECK_MS": "10000", "ARB_FEEDS_LANES": "1",
    "ARB_SPOT_BINANCE": "0", "ARB_SPOT_KRAKEN": "0", "ARB_SPOT_COINGECKO": "0",
}  # fmt: skip
LOOKS = 2  # in peace
HALT_S = 90


def gate(witness: Witness) -> str:
    """Why the gateway has lowered its gate."""
    return REASONS[int(witness.segment.table("gate")[0]["reason"])]


def market(witness: Witness) -> tuple[str, int]:
    """A Kalshi market that stays open, once one is trusted: ticker, shard."""
    found: list[tuple[str, int]] = []

    def is_there() -> bool:
        found.extend(markets(witness))
        return bool(found)

    witness.until(is_there, 90, "an open market at Kalshi")
    return found[0]


def markets(witness: Witness) -> Iterator[tuple[str, int]]:
    """Those that are open, trusted and asked for in the middle of the dollar."""
    for index in range(64):
        row, quote = witness.segment.read("instruments", index), None
        if row is not None and row["venue"] == 0:
            quote = witness.segment.read("quotes", index)
        if row is None or quote is None or quote["trust"]:
            continue
        ticker = cells_to_text(row["ticker"])
        if 100_000 < int(quote["asks"][0]) < 900_000 and "15M" not in ticker:
            yield ticker, int(row["exchange_index"])


def halted_for(scene: Scene, *texts: str) -> str:
    """Wait until the gateway has halted for something foreign; the event that names it."""

    def named() -> list[str]:
        halts = [line for line in scene.events() if "HALT: foreign" in line]
        return [line for line in halts if all(text in line for text in texts)]

    def halted() -> bool:
        if scene.is_halted_by_gateway():
            scene.command("resume")  # a lone leg came first
        return bool(named())

    scene.witness.until(halted, HALT_S, f"a halt that names {texts}")
    assert gate(scene.witness) == "foreign"
    told = scene.engine.status()
    assert told["state"] == "HALTED" and told["supervisor"].startswith("ACTIVE"), told["supervisor"]
    return named()[-1]


def test_a_foreign_order_and_a_foreign_fill_halt_and_are_named(tmp_path: Path) -> None:
    settings = SETTINGS | {"ARB_TEST_TOLD": str(tmp_path / "told")}
    with engine(tmp_path, command=COMMAND, settings=settings) as made:
        made.start("--seed", "11", "--speed", "3", "--json")
        witness = Witness.of(made)
        scene = Scene(made, witness)
        made.wait_until_trading()
        scene.until_trading(60)
        in_peace(scene)
        outsider = Outsider(tmp_path / "told")
        ticker, shard = market(witness)
        order = outsider.order(ticker, shard, "0.0100", "5.00", "good_till_canceled")["order_id"]
        halted_for(scene, "order at kalshi", ticker, "bid 5.00", order)
        code = made.run("status").stdout
        assert "HALT: foreign order at kalshi" in code and order in code
        told = made.run("resume")  # the operator has looked
        assert told.returncode == 0, told.stderr
        assert "supervisor ACTIVE (resumed by command), gate " in told.stdout, told.stdout
        scene.until_trading(60)
        in_peace(scene)
        ticker, shard = market(witness)
        order = outsider.order(ticker, shard, "0.9900", "3.00", "immediate_or_cancel")["order_id"]
        halted_for(scene, "fill at kalshi", ticker, order)


def in_peace(scene: Scene) -> None:
    """So many looks while it trades, and no halt but for what is only late."""
    witness = scene.witness
    done = witness.counter(GATEWAY, "looks") + LOOKS

    def looked() -> bool:
        assert gate(witness) in ("done", *scene.lifted), scene.events()[-3:]
        if scene.is_halted_by_gateway():
            scene.command("resume")
        return witness.counter(GATEWAY, "looks") >= done

    until(looked, 120, "looks")
