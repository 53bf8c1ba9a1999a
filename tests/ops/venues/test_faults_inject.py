"""Each fault at a socket, without a socket: what goes out, what is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from websockets.frames import Opcode

from ops.venues import faults_frames
from ops.venues.faults import KINDS, SHAKE, Fault
from ops.venues.faults_inject import Injector
from ops.venues.script import Timeline
from ops.venues.session import RunClock
from tests.ops.venues.rig import BEGIN_NS, MARKETS, MS, TICKER, TOKEN_NO
from tests.ops.venues.test_wire import Ends

A, B, C = (b'{"type":"delta","msg":{"market":"%b","price":"0.47"}}' % name for name in
           (TICKER.encode(), b"B", b"C"))  # fmt: skip


class Bench(Ends):
    """Both ends of a socket, an injector between, time by hand."""

    def __init__(self, *plan: Fault, seed: int = 1) -> None:
        self.now_ns = 10**12
        self.timers: list[tuple[int, Callable[[], None]]] = []
        super().__init__()
        clock = RunClock(Timeline(begin_epoch_ns=BEGIN_NS), mono=lambda: self.now_ns, wall=int)
        self.clock = clock
        self.faults = Injector("v", plan, clock=clock, log=self.log, later=self.later,
                               markets=MARKETS, seed=seed)  # fmt: skip
        self.server.faults = self.faults

    def later(self, delay_ns: int, what: Callable[[], None]) -> None:
        self.timers.append((self.now_ns + delay_ns, what))

    def wait(self, ms: int) -> list[bytes]:
        """Time passes; the texts that come meanwhile."""
        self.now_ns += ms * MS
        due = [what for at_ns, what in self.timers if at_ns <= self.now_ns]
        self.timers = [timer for timer in self.timers if timer[0] > self.now_ns]
        for what in due:
            what()
        return self.texts()

    def send(self, *texts: bytes) -> list[bytes]:
        for text in texts:
            self.link.queue(text)
        return self.texts()

    def texts(self) -> list[bytes]:
        self.server.flush()
        return [bytes(frame.data) for frame in self.take() if frame.opcode is Opcode.TEXT]

    def done(self, kind: str) -> int:
        rows = [row for row in self.log.faults if row.kind == kind]
        assert len(rows) == self.log.counts["v"][f"fault_{kind}"]
        return len(rows)


def fault(kind: str, **more: Any) -> Fault:
    return Fault(venue="v", kind=kind, **more)


def test_no_fault_changes_no_frame() -> None:
    bench = Bench()
    assert bench.faults.is_idle
    assert bench.send(A, B, C) == [A, B, C]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("gap", [A, C]), ("duplicate", [A, B, B, C]), ("reorder", [A, C, B])],
)
def test_one_frame_is_lost_doubled_or_late(kind: str, wanted: list[bytes]) -> None:
    bench = Bench(fault(kind, after=1))
    assert bench.send(A, B, C, A) == [*wanted, A]
    assert bench.done(kind) == 1
    row = bench.log.faults[0]
    assert (row.venue, row.connection, row.what) == ("v", 1, B.decode())


def test_only_what_is_aimed_at_is_hit() -> None:
    bench = Bench(fault("gap", market=TICKER, channel="delta"))
    assert bench.send(B, A.replace(b"delta", b"other"), A, A) == [
        B, A.replace(b"delta", b"other"), A]  # fmt: skip
    for aim in ({"connection": 2}, {"path": "/other"}, {"market": "Z"}, {"channel": "del"}):
        bench = Bench(fault("gap", **aim))
        assert bench.send(A) == [A] and bench.done("gap") == 0
    bench = Bench(fault("gap", connection=1, path="/path", market="test-market"))
    assert bench.send(A, b'"%b"' % TOKEN_NO.encode()) == [A], "a slug means its tokens too"


def test_count_every_and_a_time_bound_it() -> None:
    bench = Bench(fault("gap", every=3, count=2))
    assert bench.send(A, B, C, A, B, C, A) == [B, C, B, C, A]
    bench = Bench(fault("gap", for_ms=100))
    assert bench.send(A, B) == []
    bench.wait(100)
    assert bench.send(A) == [A]
    assert bench.faults.is_idle


def test_what_comes_again_does_so_for_ever() -> None:
    bench = Bench(fault("gap", count=2, again_ms=50))
    for _ in range(3):
        assert bench.send(A, B, C) == [C]
        bench.wait(49)
        assert bench.send(A) == [A]
        bench.wait(1)
    assert bench.done("gap") == 6 and not bench.faults.is_idle
    bench = Bench(fault("gap", for_ms=10, again_ms=20))
    assert bench.send(A) == []
    bench.wait(10)
    assert bench.send(A) == [A], "over"
    bench.wait(19)
    assert bench.send(A) == [A], "not yet"
    bench.wait(1)
    assert bench.send(A, B) == [], "counted from its end, whenever that was seen"


def test_a_fault_to_come_touches_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the venue pads every frame until then."""
    spoiled: list[bytes] = []

    def spoil(fault: Fault, text: bytes) -> bytes:
        spoiled.append(text)
        return text + b" "

    monkeypatch.setattr(faults_frames, "spoil", spoil)
    bench = Bench(fault("oversize", bytes=1 << 20, machine_ms=80))
    bench.clock.start(bench.now_ns)
    assert bench.send(A) == [A] and spoiled == []
    bench.wait(80)
    assert bench.send(B) == [B + b" "] and spoiled == [B]


def test_it_begins_with_the_run_the_machine_or_a_name() -> None:
    bench = Bench(fault("gap", at_ms=50), fault("duplicate", machine_ms=80), fault("gap", on="go"))
    assert bench.send(A) == [A], "nothing has begun"
    bench.clock.start(bench.now_ns)
    bench.wait(49)
    assert bench.send(A) == [A]
    bench.wait(1)
    assert bench.send(A, B) == [B]
    bench.wait(30)
    assert bench.send(A) == [A, A]
    bench.faults.call("stop")
    assert bench.send(A) == [A]
    bench.faults.call("go")
    assert bench.send(A) == []
    bench.faults.arm(fault("gap"))
    assert bench.send(A, B) == [B]


def test_a_frozen_venue_answers_pings() -> None:
    bench = Bench(fault("freeze", for_ms=1_000))
    assert bench.send(A, b"PONG", B) == [b"PONG"]
    bench.client.send_ping(b"x")
    bench.give()
    assert [frame.opcode for frame in bench.take()] == [Opcode.PONG]
    bench.wait(1_000)
    assert bench.send(C) == [C]
    assert bench.done("freeze") == 2


def test_a_half_open_socket_answers_nothing_ever_again() -> None:
    bench = Bench(fault("half_open", channel="delta"))
    assert bench.send(A, B) == []
    bench.client.send_ping(b"x")
    bench.client.send_text(b"hello")
    bench.give()
    bench.link.ping(b"heartbeat")
    bench.link.close(1000, "bye")
    bench.wait(60_000)
    assert bench.send(C) == [] and bench.pipe.writes == []
    assert bench.hub.texts == [] and not bench.pipe.is_shut
    assert bench.done("half_open") == 1


def test_a_socket_goes_deaf_although_nothing_is_sent() -> None:
    bench = Bench(fault("half_open"))
    bench.client.send_ping(b"x")
    bench.give()
    assert bench.take() == [] and bench.done("half_open") == 1


def test_late_frames_keep_their_order() -> None:
    bench = Bench(fault("delay", delay_ms=500))
    assert bench.send(A, B) == [], "B does not overtake"
    assert bench.wait(499) == []
    assert bench.send(C) == []
    assert bench.wait(1) == [A, B, C]
    assert bench.send(A) == [A]
    assert bench.done("delay") == 1


def test_a_frame_that_has_nothing_to_spoil_passes() -> None:
    bench = Bench(fault("drift", field="price", how="missing"), fault("wrong_tick"))
    other = b'{"type":"subscribed"}'
    assert bench.send(other) == [other]
    gone, moved = bench.send(A, B)
    assert b"price" not in gone and b'"0.4703"' in moved
    assert (bench.done("drift"), bench.done("wrong_tick")) == (1, 1)


def test_bombs_and_oversize_frames_go_out() -> None:
    bench = Bench(fault("oversize", bytes=70_000), fault("bomb", how="nested", depth=5))
    big, deep = bench.send(A, A)
    assert len(big) == 70_000 and b"[[[[[]]]]]" in deep
    bench = Bench(fault("bomb", how="deflate", bytes=10**6))
    bench.link.queue(A)
    bench.server.flush()
    assert bench.pipe.writes[0][0] == 0b1100_0001


def test_a_storm_closes_who_is_there_and_who_comes() -> None:
    bench = Bench(fault("close_storm", for_ms=1_000, code=1012, delay_ms=20))
    bench.client.send_ping(b"x")
    bench.give()
    assert bench.take()[0].opcode is Opcode.CLOSE
    late = bench.faults.shake(bench.link, "/path")
    assert (late.close_code, late.close_ns) == (1012, 20 * MS)
    assert bench.done("close_storm") == 2


class Strict(Bench):
    """The plan is there before the handshake."""

    def __init__(self, *plan: Fault) -> None:
        self.early = plan
        super().__init__()

    def give(self) -> None:
        if self.server.faults is None:
            clock = RunClock(Timeline(begin_epoch_ns=BEGIN_NS), mono=lambda: 1, wall=int)
            self.server.faults = Injector("v", self.early, clock=clock, log=self.log,
                                          later=self.later)  # fmt: skip
        super().give()


def test_a_handshake_is_refused_or_accepted_and_then_silent() -> None:
    refused = Strict(fault("status", path="/path", status=503))
    assert not refused.link.is_open and refused.log.counts["v"]["fault_status"] == 1
    mute = Strict(fault("silence", path="/path"))
    assert mute.link.is_open
    mute.client.send_text(b"subscribe")
    mute.client.send_ping(b"x")
    mute.give()
    assert [frame.opcode for frame in mute.take()] == [Opcode.PONG]
    assert mute.hub.texts == []
    mute.link.connection_lost(None)
    assert mute.hub.closed == 0, "the venue never knew it"


def test_one_seed_cuts_at_one_place() -> None:
    def cut(seed: int) -> Any:
        (raw,) = Bench(fault("cut"), seed=seed).faults.frames(Bench().link, A)
        return raw

    assert cut(1) == cut(1) and cut(1).is_last
    assert len({cut(seed).data for seed in range(9)}) > 1


def test_every_kind_strikes_somewhere() -> None:
    assert all(where for where, _ in KINDS.values())
    assert {kind for kind, (where, _) in KINDS.items() if SHAKE in where} == {
        "status", "silence", "close_storm"}  # fmt: skip
