"""The trading state, written by the supervisor alone: the worst of what the operator wants and what
the dead ask for.
"""

from __future__ import annotations

from ops import clock
from ops.restarts import HALT, REDUCE, STAY
from shm_layout import ACTIVE, CONTROL, HALTED, REDUCING, Segment, cell, word_store

TEXT = {HALTED: "HALTED", REDUCING: "REDUCING", ACTIVE: "ACTIVE"}
_OF = {HALT: HALTED, REDUCE: REDUCING, STAY: ACTIVE}


class TradingState:
    """Begins HALTED. `lowered` names the processes whose death lowers it until they are back."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._operator = HALTED
        self.reason = "starting"
        self.lowered: dict[str, int] = {}
        self.state = HALTED
        self._write()

    @property
    def text(self) -> str:
        """As people read it."""
        return TEXT[self.state]

    @property
    def is_halted_by_operator(self) -> bool:
        """Nothing is started until someone says so; what a death lowered lifts by itself."""
        return self._operator == HALTED

    def operator_active(self, reason: str) -> None:
        """Trading is wanted; what the dead ask for still holds."""
        self._operator, self.reason = ACTIVE, reason
        self._write()

    def operator_halt(self, reason: str) -> None:
        """Nothing new is started."""
        self._operator, self.reason = HALTED, reason
        self._write()

    def lower(self, name: str, wish: str) -> None:
        """The process died; "stay" keeps the state but remembers the name, so that its return is
        told.
        """
        self.lowered[name] = _OF[wish]
        if wish != STAY:
            self.reason = f"{name} died"
        self._write()

    def lift(self, name: str) -> None:
        """The process is back."""
        del self.lowered[name]
        if not self.lowered and self._operator == ACTIVE:
            self.reason = "running"
        self._write()

    def halt_for(self, name: str) -> None:
        """A death that ends the run."""
        self.operator_halt(f"{name} died")

    def _write(self) -> None:
        self.state = min([self._operator, *self.lowered.values()])
        at = self._segment.at("control")
        word_store(self._segment.words, at + cell(CONTROL, "state_ns"), clock.mono_ns())
        word_store(self._segment.words, at + cell(CONTROL, "trading_state"), self.state)
