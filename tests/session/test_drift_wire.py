"""Schema drift on the wire, in the engine as it runs: the venue takes no new trade, the operator is
told the field once, and what came is kept.
"""

from __future__ import annotations

from pathlib import Path

from shm_layout import DRIFT
from tests.ops.rig import REAL, engine, until
from tests.session.witness import Witness

FAULT = """
[[fault]]
venue = "kalshi"
kind = "drift"
channel = "orderbook_delta"
field = "price_dollars"
how = "renamed"
machine_ms = 500
count = 1
"""
WANTED = "feed kalshi: schema drift: orderbook_delta: "


def test_a_renamed_field_ends_trading_on_its_venue_and_is_told_once(tmp_path: Path) -> None:
    plan = tmp_path / "faults.toml"
    plan.write_text(FAULT)
    with engine(tmp_path, command=list(REAL)) as made:
        made.start("--faults", str(plan))
        witness = Witness.of(made)

        def told() -> list[str]:
            return [e["text"] for e in made.status().get("events", []) if WANTED in e["text"]]

        until(lambda: bool(told()), 240, "the alert")
        words = witness.trust_of("kalshi").values()
        assert words and all(word is not None and word & DRIFT for word in words)
        assert made.run("stop").returncode == 0
        code, out, err = made.end()
        assert code == 0 and out.count(WANTED) + err.count(WANTED) == 1, (out, err)
    kept = [path.read_bytes() for path in (tmp_path / "log" / "samples").iterdir()]
    assert any(b"orderbook_delta" in sample and b"price_dollars" in sample for sample in kept)
