# ruff: noqa: E402  (the kernel cache comes before numba)
"""`arb-supervisor` with processes that go wrong when they are told to, and venues that say at once
what they read. `python -m tests.session.rogue start` runs it.

SIGUSR1 makes the detector loop without end (beside its own decisions it writes the newest intents
again, with fresh stamps, whatever anyone says) and blocks the gateway's event loop for 5 s. SIGUSR2
makes the gateway fill its journal's file, so that it must begin another. ARB_TEST_DEAF: the gateway
is compiled without its look at the kill word. The venues write a line to ARB_TEST_TOLD for each
order and each cancel that they read, and whenever their event loop was late (what they read was
then stamped late as well); they outlive a dead supervisor by some seconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from ops import cache, clock

BLOCK_S = 5.0
AGAIN_NS = 20 * clock.MS_NS
AGAIN = 8  # intents written again each time
OUTLIVE_S = 6.0
TICK_S = 0.02
LIFE_NS = 10 * clock.SECOND_NS
JUNK_BYTES = 32 << 10
ROGUES = ("detector", "gateway", "venues")
BUILD = "tests.session.rogue:build"


def build(spec: Any, segment: Any) -> Any:
    """The role of a spec, rogue."""
    return {"detector": Looping, "gateway": Blocked, "venues": Telling}[spec.name](spec, segment)


class Looping:
    """The detector. Once told, `step` never returns."""

    def __init__(self, spec: Any, segment: Any) -> None:
        from ops import roles

        self._segment, self._eventfd = segment, spec.fds["gateway"].fd
        self._real = roles._detector(spec, segment)
        self._detector = self._real.step.__self__
        self._is_told = False
        self.idle, self.close = self._real.idle, self._real.close
        signal.signal(signal.SIGUSR1, self._tell)

    def _tell(self, *_: object) -> None:
        self._is_told = True

    def step(self, now_ns: int) -> int:
        """One step; or the endless loop."""
        due_ns = 0
        while self._is_told:
            now_ns = clock.mono_ns()
            self._real.step(now_ns)
            if now_ns >= due_ns:
                due_ns = now_ns + AGAIN_NS
                self._again(now_ns)
        return int(self._real.step(now_ns))

    def _again(self, now_ns: int) -> None:
        from engine import memory as m
        from shm_layout import (
            BODY,
            GATEWAY,
            INTENT,
            K_INTENT,
            LINE,
            ORIGIN_DETECTOR,
            bell_ring,
            intent_id,
            ring_append,
        )

        segment, mem = self._segment, self._detector._mem
        for row in self._detector._ring_rows("intents")[-AGAIN:]:
            body = row[LINE:].copy()
            intent = body.view(INTENT)[0]
            mem[m.META + m.M_COUNTER] += 1
            counter, epoch = int(mem[m.META + m.M_COUNTER]), int(mem[m.META + m.M_EPOCH])
            intent["id"] = intent_id(ORIGIN_DETECTOR, epoch, counter)
            intent["decide_ns"] = intent["recv_ns"] = intent["publish_ns"] = now_ns
            intent["expires_ns"] = now_ns + LIFE_NS
            at, entries = segment.at("intents"), segment.entries("intents")
            ring_append(segment.words, at, entries, K_INTENT, body, BODY)
        bell_ring(segment.words, segment.at("bells", GATEWAY), self._eventfd)


class Blocked:
    """The gateway. Told, its event loop stands still for 5 s, or its journal runs full."""

    def __init__(self, spec: Any, segment: Any) -> None:
        from ops import roles

        if os.environ.get("ARB_TEST_DEAF"):
            deafen()
        self._desk = roles._gateway(spec, segment)
        self.stop, self.close = self._desk.stop, self._desk.close

    async def main(self) -> None:
        """The desk's, blockable."""
        breath = threading.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, breath.wait, BLOCK_S)
        loop.add_signal_handler(signal.SIGUSR2, self._fill)
        await self._desk.main()


    def _fill(self) -> None:
        journal = self._desk._journal
        path = journal.path
        while journal.append({"k": "nothing", "text": "x" * JUNK_BYTES}) and journal.path == path:
            continue


def deafen() -> None:
    """Compile what looks at the kill word anew, with a word that nobody sets."""
    from numba import njit

    import shm_layout
    from gateway import dispatch, frame, journal, look
    from ops import gateway_role, last_look

    spare = shm_layout.KILL_AT + 7
    for module in (shm_layout, frame, dispatch):
        module.KILL_AT = spare  # type: ignore[attr-defined]
    look.state_of = njit(shm_layout.state_of.py_func)  # type: ignore[attr-defined]
    last_look.look = njit(look.look.py_func)  # type: ignore[attr-defined]
    last_look.last_look = njit(last_look.last_look.py_func)  # type: ignore[attr-defined]
    last_look.take = njit(last_look.take.py_func)  # type: ignore[attr-defined]
    gateway_role.last_look = last_look.last_look  # type: ignore[attr-defined]
    gateway_role.take = last_look.take  # type: ignore[attr-defined]
    journal.put_order = njit(frame.put_order.py_func)  # type: ignore[attr-defined]


class Telling:
    """The venues: what they read is told at once, and they are there a while for a canceller."""

    def __init__(self, spec: Any, segment: Any) -> None:
        from ops import roles
        from ops.venues import serve, session

        ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # not with the supervisor
        path = os.environ["ARB_TEST_TOLD"]
        told = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

        class Log(session.VenueLog):
            def order(
                self, venue: str, key: str, read_ns: int, answered_ns: int, outcome: str
            ) -> None:
                os.write(told, f"order {venue} {read_ns} {key}\n".encode())
                super().order(venue, key, read_ns, answered_ns, outcome)

            def request(self, venue: str, method: str, target: str, status: int) -> None:
                if method == "DELETE":
                    os.write(told, f"cancel {venue} {clock.mono_ns()} {target}\n".encode())
                super().request(venue, method, target, status)

        class Venues(serve.Venues):
            async def serve(self) -> None:
                due_s = self._loop.time() + TICK_S

                def tick() -> None:
                    nonlocal due_s
                    late_s = self._loop.time() - due_s
                    if late_s > TICK_S:
                        now_ns = clock.mono_ns()
                        os.write(told, f"late venues {now_ns} {int(late_s * 1e9)}\n".encode())
                    due_s = self._loop.time() + TICK_S
                    self._loop.call_at(due_s, tick)

                tick()
                await super().serve()

            def _hear(self) -> None:
                try:
                    is_over = self._conn.poll() and not self._conn.fileno() < 0 and self._is_eof()
                except (EOFError, OSError):
                    is_over = True
                if not is_over:
                    super()._hear()
                    return
                self._loop.remove_reader(self._conn.fileno())
                self._loop.call_later(OUTLIVE_S, self._stopped.set)

            def _is_eof(self) -> bool:
                import select

                poll = select.poll()
                poll.register(self._conn.fileno(), select.POLLIN | select.POLLHUP)
                events = poll.poll(0)
                return bool(events and events[0][1] & select.POLLHUP)

        serve.VenueLog = Log  # type: ignore[misc]
        serve.Venues = Venues  # type: ignore[misc]
        self._real = roles._venues(spec, segment)
        self.run, self.stop, self.close = self._real.run, self._real.stop, self._real.close


def session() -> type[Any]:
    """The simulated session with these processes."""
    from ops.sim import SimSession

    class RogueSession(SimSession):
        @property
        def venues(self) -> Any:
            return _rogue(super().venues)

        def plans(self, ports: Mapping[str, Any], segment: str) -> tuple[Any, ...]:
            return tuple(map(_rogue, super().plans(ports, segment)))

    return RogueSession


def _rogue(plan: Any) -> Any:
    return dataclasses.replace(plan, build=BUILD) if plan.name in ROGUES else plan


def main() -> int:
    """The command, with the session in the simulated one's place: its venues still load early."""
    cache.use()
    from ops import sim, supervisor_cli

    sim.SimSession = session()  # type: ignore[misc]
    return supervisor_cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
