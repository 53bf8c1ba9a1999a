# ruff: noqa: E402  (the kernel cache comes before numba)
"""`arb-supervisor` whose detector runs away when it is told to (SIGUSR1): for ARB_TEST_FLOOD_S
seconds it writes 5,000 intents a second beside its own, whatever anyone says; on a busy machine
longer, until it has written a quarter of them. `python -m tests.session.runaway start` runs it.

Each is one of its own newest decisions with fresh stamps: repeated as it was, of another size, a
thousand times as large, or with its legs swapped in each way. Once it is over, a line for each
intent (form, id) stands in the file ARB_TEST_FLOOD_TOLD.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops import cache, clock

RATE = 5_000
LIFE_NS = 10 * clock.SECOND_NS
AT_ONCE = 50  # intents of one turn, when it is late
BASES = 8  # newest decisions of its own
TIMES = 1_000
PART = 10_000_000  # contracts in 1e-6 that every legal size is a multiple of
BUILD = "tests.session.runaway:build"


def repeated(intent: Any, _: int) -> None:
    """As it was."""


def resized(intent: Any, number: int) -> None:
    """Another size, so that no look at equal legs stops it."""
    size = int(intent["size_e6_0"])
    parts = max(size // PART, 1)
    for leg in range(2):
        intent[f"size_e6_{leg}"] = min(PART * (1 + number % parts), size)


def enlarged(intent: Any, _: int) -> None:
    """A thousand times as large."""
    for leg in range(2):
        intent[f"size_e6_{leg}"] *= TIMES


def exchanged(*names: str) -> Callable[[Any, int], None]:
    """These cells of one leg in the other."""

    def exchange(intent: Any, _: int) -> None:
        for name in names:
            one, other = int(intent[f"{name}_0"]), int(intent[f"{name}_1"])
            intent[f"{name}_0"], intent[f"{name}_1"] = other, one

    return exchange


LEG = ("quote_number", "quote_epoch", "tick_epoch", "generation", "instrument", "venue")
FORMS: dict[str, Callable[[Any, int], None]] = {
    "repeated": repeated,
    "resized": resized,
    "enlarged": enlarged,
    "sides swapped": exchanged("side"),
    "markets swapped": exchanged(*LEG),
    "venues swapped": exchanged("venue"),
    "legs swapped": exchanged(*LEG, "side", "limit_e6", "size_e6", "cash_e6"),
}


def build(spec: Any, segment: Any) -> Any:
    """The detector of a spec, ready to run away."""
    return Runaway(spec, segment)


class Runaway:
    """The detector."""

    def __init__(self, spec: Any, segment: Any) -> None:
        from ops import roles

        self._segment, self._eventfd = segment, spec.fds["gateway"].fd
        self._real = roles._detector(spec, segment)
        step: Any = self._real.step
        self._detector = step.__self__
        self._bases: deque[Any] = deque(maxlen=BASES)
        self._told: list[str] = []
        self._begin_ns = self._end_ns = self._least = self._written = self._seen = 0
        self.close = self._real.close
        signal.signal(signal.SIGUSR1, self._tell)

    def _tell(self, *_: object) -> None:
        seconds = float(os.environ["ARB_TEST_FLOOD_S"])
        self._begin_ns, self._least = clock.mono_ns(), int(seconds * RATE / 4)
        self._end_ns = self._begin_ns + int(seconds * clock.SECOND_NS)

    def idle(self) -> None:
        """As it does; not while it floods."""
        if not self._end_ns:
            self._real.idle()

    def step(self, now_ns: int) -> int:
        """One step; while it floods, all that is due is written behind its own."""
        done = int(self._real.step(now_ns))
        self._keep(self._counter - self._seen)
        if self._end_ns:
            self._flood(now_ns)
        self._seen = self._counter
        return done

    @property
    def _counter(self) -> int:
        from engine import memory as m

        return int(self._detector._mem[m.META + m.M_COUNTER])

    def _keep(self, count: int) -> None:
        """Its own newest decisions: what the next ones are made of."""
        from shm_layout import LINE

        if count > 0:
            rows = self._detector._ring_rows("intents")[-min(count, BASES) :]
            self._bases += [row[LINE:].copy() for row in rows]

    def _flood(self, now_ns: int) -> None:
        if now_ns >= self._end_ns and self._written > self._least:
            self._end_ns = 0
            Path(os.environ["ARB_TEST_FLOOD_TOLD"]).write_text("".join(self._told))
            return
        due = (now_ns - self._begin_ns) * RATE // clock.SECOND_NS - self._written
        for _ in range(min(due, AT_ONCE) if self._bases else 0):
            self._write(clock.mono_ns())

    def _write(self, now_ns: int) -> None:
        from engine import memory as m
        from shm_layout import (
            BODY,
            GATEWAY,
            INTENT,
            K_INTENT,
            ORIGIN_DETECTOR,
            bell_ring,
            intent_id,
            ring_append,
        )

        segment, mem = self._segment, self._detector._mem
        body = self._bases[self._written % len(self._bases)].copy()
        intent = body.view(INTENT)[0]
        form = tuple(FORMS)[self._written % len(FORMS)]
        FORMS[form](intent, self._written // len(FORMS))
        mem[m.META + m.M_COUNTER] += 1
        epoch = int(mem[m.META + m.M_EPOCH])
        intent["id"] = intent_id(ORIGIN_DETECTOR, epoch, self._counter)
        intent["decide_ns"] = intent["recv_ns"] = intent["publish_ns"] = now_ns
        intent["expires_ns"] = now_ns + LIFE_NS
        at, entries = segment.at("intents"), segment.entries("intents")
        ring_append(segment.words, at, entries, K_INTENT, body, BODY)
        bell_ring(segment.words, segment.at("bells", GATEWAY), self._eventfd)
        self._told.append(f"{int(intent['id'])} {form}\n")
        self._written += 1


def session() -> type[Any]:
    """The simulated session with this detector."""
    from ops.sim import SimSession
    from shm_layout import DETECTOR

    class RunawaySession(SimSession):
        def plans(self, ports: Mapping[str, Any], segment: str) -> tuple[Any, ...]:
            return tuple(
                dataclasses.replace(plan, build=BUILD) if plan.role == DETECTOR else plan
                for plan in super().plans(ports, segment)
            )

    return RunawaySession


def main() -> int:
    """The command, with the session in the simulated one's place."""
    cache.use()
    from ops import sim, supervisor_cli

    sim.SimSession = session()  # type: ignore[misc]
    return supervisor_cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
