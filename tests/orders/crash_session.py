# ruff: noqa: E402, I001  (the kernel cache comes before numba)
"""`python -m tests.orders.crash_session` is `arb-supervisor` whose gateways kill themselves.

Each life of a gateway has a place to die, drawn from the seed and its epoch. What dies there is the
product's own code: the place is a wrapper put around one of its calls, in the child alone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ops import cache

cache.use()

from ops.process import RoleSpec
from ops.session import Plan
from ops.sim import SimSession
from shm_layout import GATEWAY, Segment, Words

ANY, RECORDING, JOURNALLED, BETWEEN, SENT = POINTS = (
    "at any moment",  # killed from outside
    "in the middle of a record",  # its payload stands, its first cell does not
    "after the journal, before the send",
    "between the legs",
    "after the send, before the reply",
)
PEACE = "peace"  # a file beside the log: no gateway dies any more
FILE_BYTES = 128 << 10  # of a journal's file, so that a run fills several
TIMES_MAX = 3  # so many orders or records of a life pass the place before it strikes


class Life(NamedTuple):
    """How one gateway ends. `times`: how often it passes the place; `is_flushing`: its event loop
    hands bytes to the socket at once, and not a moment later as the product's does: the first leg
    then reaches its venue for certain. `after_ms`: of a death from outside, from its start.
    """

    point: str
    times: int
    is_flushing: bool
    after_ms: int


def life(seed: int, epoch: int) -> Life:
    """The life of a run's gateway with this epoch."""
    chance = random.Random(f"{seed}/{epoch}")
    point = POINTS[(seed + epoch) % len(POINTS)]
    return Life(point, chance.randint(1, TIMES_MAX), chance.random() < 0.5, chance.randint(0, 4000))


class CrashSession(SimSession):
    """The simulated session with its gateways built here."""

    def plans(self, ports: Mapping[str, Any], segment: str) -> tuple[Plan, ...]:
        """The same processes; one is built by `build`."""
        build = "tests.orders.crash_session:build"
        return tuple(
            dataclasses.replace(plan, build=build) if plan.role == GATEWAY else plan
            for plan in super().plans(ports, segment)
        )


def build(spec: RoleSpec, segment: Segment) -> Any:
    """A gateway with its end."""
    from ops import roles

    told = life(spec.params.seed, spec.epoch)
    Death(told, Path(spec.log).with_name(PEACE)).lie_in_wait()
    if told.is_flushing:
        import uvloop

        uvloop.new_event_loop = asyncio.new_event_loop  # type: ignore[assignment]
    return roles.build(spec, segment)


class Death:
    """Waits at one place, in the gateway's process alone."""

    def __init__(self, told: Life, peace: Path) -> None:
        self._peace = peace
        self._point, self._left = told.point, told.times
        self._legs = 0  # of the order whose bytes are about to leave; 0: none is
        self._written = 0

    def _passes(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left <= 0 and not self._peace.exists():
                _die()

    def lie_in_wait(self) -> None:
        """Wrap what passes the places."""
        from gateway import journal, memory
        from gateway.link import Link

        journal.Journal.__init__.__kwdefaults__["file_bytes"] = FILE_BYTES
        put_order, send, seal = journal.Journal.put_order, Link.send, journal.seal

        def putting(self_: Any, words: Words, mem: Words, taken_ns: int) -> int:
            why = put_order(self_, words, mem, taken_ns)
            if not why:
                self._passes(JOURNALLED)
                self._legs, self._written = int(mem[memory.INTENT_AT + memory.N_LEGS]), 0
            return why

        def sending(self_: Any, wire: bytes, then: Any) -> int:
            stamp_ns = send(self_, wire, then)
            if wire.startswith(b"POST"):
                self._written += 1
                if self._written < self._legs:
                    self._passes(BETWEEN)
                elif self._written == self._legs:
                    self._passes(SENT)
            return stamp_ns

        def sealing(*cells: Any) -> None:
            self._passes(RECORDING)
            seal(*cells)

        journal.Journal.put_order = putting  # type: ignore[method-assign]
        Link.send = sending  # type: ignore[method-assign]
        journal.seal = sealing


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL came back")


if __name__ == "__main__":
    from ops import sim
    from ops.supervisor_cli import main

    sim.SimSession = CrashSession  # type: ignore[misc]
    sys.exit(main())
