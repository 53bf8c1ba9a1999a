"""Who watches a run and resumes what halted for a reason that an operator may lift."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ops import clock, control
from shm_layout import ACTIVE, HALTED, REASONS
from tests.session.witness import Witness

LIFTED = ("one_legged", "unknown_outcome")  # what an operator resumes
STARTING = "halted"


class Operator:
    """Watches the gate and resumes. `halts`: why it halted, and how often."""

    def __init__(self, witness: Witness, state_dir: Path) -> None:
        self._witness, self._state_dir = witness, state_dir
        self.halts: Counter[str] = Counter()

    def look(self) -> None:
        """Once; nothing but what may be lifted may have halted."""
        gate = self._witness.segment.table("gate")[0]
        why = REASONS[int(gate["reason"])]
        if gate["state"] != HALTED or self._witness.trading_state() != ACTIVE:
            return
        if why == STARTING:  # it has not asked both venues yet
            return
        assert why in LIFTED, f"halted for {why}"
        self.halts[why] += 1
        assert "error" not in control.ask(self._state_dir, "resume")
        self._witness.until(lambda: bool(gate["state"] != HALTED), 60, f"no HALT for {why}")

    def pass_time(self, seconds: float) -> None:
        """Trade for so long."""
        until_ns = clock.mono_ns() + int(seconds * clock.SECOND_NS)

        def is_over() -> bool:
            self.look()
            return clock.mono_ns() > until_ns

        self._witness.until(is_over, seconds + 120, "the end of the time")
