"""One run from its first file to its last: creates the segment, starts, watches, restarts, halts,
stops, leaves nothing.

One thread, one selector: pidfds, the control socket, the venues' pipes and signals wake it; else it
looks around a few times a second. Everything it waits for goes through `_turn`, so commands and
deaths are seen while it waits.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops import clock
from ops.beside import Beside
from ops.children import NURSERY, Children, Death, NurseryDied
from ops.commands import Commands
from ops.control import ControlServer
from ops.cores import assign
from ops.ground import Ground
from ops.interrupts import Interrupts
from ops.process import REFUSED, Fd, Heart, RoleSpec
from ops.restarts import Restarts
from ops.roll import roll_of
from ops.run_clock import RunClock
from ops.session import Plan, Request, Session
from ops.status import status
from ops.stopping import stop_in_order
from ops.tally import Tally
from ops.trading import TradingState
from ops.usage import Usage
from ops.watch import Watch
from ops.worth import Worth, worth
from shm_layout import FEED_ROLE, LIVE_EPOCH_AT, SUPERVISOR, word_store

TURN_NS = 50 * clock.MS_NS
EVENTS_KEPT = 40
CLOCK_LEAD_NS = 20 * clock.MS_NS  # from the order to start the clock to its first moment

DONE, FAILED, INTERRUPTED = 0, 5, 130


@dataclass(frozen=True, slots=True)
class Ending:
    """Why and with which exit code a run ends."""

    reason: str
    code: int


class Supervisor:
    """Runs one session. `say` gets a line for whoever watches; `tick` is called each turn with this
    object.
    """

    def __init__(
        self,
        request: Request,
        session: Session,
        ground: Ground,
        *,
        say: Callable[[str], None],
        began_ns: int,
    ) -> None:
        self.request, self.session, self.ground = request, session, ground
        self.say = say
        self.began_ns = began_ns
        self.tick: Callable[[Supervisor], None] = lambda _: None
        self.ending: Ending | None = None
        self.clock = RunClock(session.timeline, ground.write_clock)
        self.counted_from_ns = 0
        self.ended_ns = 0
        self.counted_from = ""
        self.events: deque[tuple[int, str]] = deque(maxlen=EVENTS_KEPT)
        self.beside = Beside(ground.selector)  # simulated venues
        self._start_e6: dict[int, int] = {}  # by account, as the first gateway found it
        settings = request.settings.processes
        self.restarts = Restarts(
            limit=settings.restarts_max,
            window_ns=settings.restart_window_ns,
            backoff_ns=settings.backoff_ns,
            backoff_max_ns=settings.backoff_max_ns,
        )
        self.usage = Usage()
        self.watch = Watch(ground.segment, session.identity)
        self.tally = Tally.of(ground.segment)
        self.trading = TradingState(ground.segment)
        self.selector = ground.selector
        self.children: Children = ground.children
        self.children.on_gone, self.children.on_death = self._gone, self._died
        self.commands = Commands(self)
        self.roll = roll_of(self)
        self.control = ControlServer(
            request.state_dir, self.selector, self.commands.take, self.roll.propose
        )
        self._heart = Heart(ground.segment, SUPERVISOR)
        self.plans: dict[str, Plan] = {}
        self.cores = assign((), settings.cores_min)
        self._epochs: dict[str, int] = {}
        self._due: dict[str, int] = {}
        self._waiting_for_trust: dict[str, int] = {}
        self.interrupts = Interrupts(self._interrupted)

    def run(self) -> Ending:
        """From the first child to the last. The summary is read afterwards, before `close`."""
        with self.interrupts.caught(self.selector):
            self._begin()
            while self.ending is None:
                self.turn(TURN_NS)
            self.ended_ns = clock.mono_ns()
            self.note(f"stopping: {self.ending.reason}")
            stop_in_order(self)
            self.tally.poll()
        return self.ending

    def _begin(self) -> None:
        limits = self.request.settings.processes
        self._heart.begin(self._spec(_SELF), clock.mono_ns())
        self._heart.ready(clock.mono_ns())
        early, beside = self.session.early, self.beside
        for plan in early:
            self._start(plan)
        if early:
            names = {plan.name for plan in early}
            if not self._wait(
                lambda: names <= beside.ports.keys(), limits.ready_max_ns, "the venues"
            ):
                return
            self._log_time("venues listen")
        plans = self.session.plans(beside.ports, self.request.name)
        self.cores = assign(plans, limits.cores_min)
        self.say(self.cores.said)
        for plan in plans:
            if self.ending is None:
                self._start(plan)
        if not self._wait(
            lambda: all(map(self._is_ready, plans)), limits.ready_max_ns, "all processes"
        ):
            return
        self._log_time("all processes are ready")
        wanted = set(self.watch.needed()) if early else set()
        self._wait(
            lambda: wanted <= beside.subscribed,
            limits.ready_max_ns,
            "subscriptions",
            is_fatal=False,
        )
        self._log_time("run time begins")
        self._start_clock()
        self.trading.operator_active("started")
        self.worth()  # remembers the cash at the start
        self._await_trust(limits.trust_max_ns)

    def _log_time(self, what: str) -> None:
        """How far the start is, for whoever wonders where the time goes."""
        self.ground.log(f"{(clock.mono_ns() - self.began_ns) / clock.SECOND_NS:.2f} s: {what}")

    def _start_clock(self) -> None:
        """Run time begins: the venues and the segment are told the same moment."""
        start_ns = clock.mono_ns() + CLOCK_LEAD_NS
        if self.ending is None:
            self.beside.send("start", start_ns)
        self.clock.start(start_ns)

    def _await_trust(self, limit_ns: int) -> None:
        began_ns = clock.mono_ns()

        def trusted() -> bool:
            feeds = self.watch.needed()
            return bool(feeds) and all(feed.is_trusted for feed in feeds.values())

        if self._wait(trusted, limit_ns, "trust", is_fatal=False):
            self.counted_from = "all feeds are trusted"
        else:
            missing = [name for name, feed in self.watch.needed().items() if not feed.is_trusted]
            self.counted_from = (
                f"{limit_ns // clock.SECOND_NS} s after the start"
                f" (not trusted: {', '.join(missing) or 'no feeds'})"
            )
        self.counted_from_ns = clock.mono_ns()
        waited = (self.counted_from_ns - began_ns) / clock.SECOND_NS
        if self.ending is None:
            self.note(f"trading; time counts from now: {self.counted_from} ({waited:.1f} s)")

    def _wait(
        self, holds: Callable[[], bool], limit_ns: int, what: str, *, is_fatal: bool = True
    ) -> bool:
        """Turn until something holds. False: the run is ending, or time is up (which ends it if
        `is_fatal`).
        """
        until_ns = clock.mono_ns() + limit_ns
        while self.ending is None:
            if holds():
                return True
            if clock.mono_ns() >= until_ns:
                if is_fatal:
                    self.end(f"{what} not ready after {limit_ns // clock.SECOND_NS} s", FAILED)
                return False
            self.turn(5 * clock.MS_NS)
        return False

    def end(self, reason: str, code: int) -> None:
        """The run is to end; the first reason stays."""
        if self.ending is None:
            self.ending = Ending(reason, code)

    def turn(self, wait_ns: int) -> None:
        for key, _ in self.selector.select(wait_ns / clock.SECOND_NS):
            key.data()
        now_ns = clock.mono_ns()
        self._heart.turn(0)
        self._heart.beat(now_ns)
        self.clock.follow(now_ns)
        self.tally.poll()
        self.commands.turn()
        for line in self.ground.alerts.new():
            self.note(line, is_logged=True)
        if self.ending is None:
            self._start_due(now_ns)
            self._look_after(now_ns)
            self.roll.turn(now_ns)
            self._check_end(now_ns)
        self.tick(self)

    def _check_end(self, now_ns: int) -> None:
        seconds = self.request.seconds
        counted_ns = now_ns - self.counted_from_ns if self.counted_from_ns else 0
        if seconds is not None and counted_ns >= seconds * clock.SECOND_NS:
            self.end(f"{seconds:g} s are over", DONE)
        if self.beside.is_ended and self.tally.open_intents() == 0:
            self.end("the recorded data ended", DONE)

    def _look_after(self, now_ns: int) -> None:
        """What came back is lifted; what hangs is killed and comes back as any other death."""
        for line in self.watch.gate_news():
            self.note(line)
        for name in list(self.trading.lowered):
            if name in self.children.by_name and self._is_ready(self.plans[name]):
                self.trading.lift(name)
                self.note(f"{name} is back: trading state {self.trading.text}")
        for name, died_ns in list(self._waiting_for_trust.items()):
            feed = self.watch.feeds().get(name)
            if feed is not None and feed.is_trusted:
                del self._waiting_for_trust[name]
                self.note(
                    f"feed {name} trusted again after {(now_ns - died_ns) / clock.SECOND_NS:.2f} s"
                )
        self._kill_hanging(now_ns)

    def _kill_hanging(self, now_ns: int) -> None:
        """No beat for too long: killed, so that it comes back as after any other death."""
        limits = self.request.settings.processes
        for name, child in list(self.children.by_name.items()):
            is_built = self._is_built(self.plans[name])
            limit_ns = limits.hang_max_ns if is_built else limits.ready_max_ns
            beat_ns = max(self.watch.role(child.spec.role, "beat_ns"), child.started_ns)
            if now_ns - beat_ns > limit_ns and not child.is_killed:
                child.is_killed = True
                self.note(f"{name} does not beat for {limit_ns // clock.MS_NS} ms: killed")
                self.children.kill(child)

    def _is_built(self, plan: Plan) -> bool:
        """It loops."""
        return (
            self.watch.role(plan.role, "epoch") == self._epochs.get(plan.name)
            and self.watch.role(plan.role, "ready_ns") != 0
        )

    def _is_ready(self, plan: Plan) -> bool:
        """It loops; the gateway has also asked both venues what we hold."""
        started_ns = self.watch.role(plan.role, "started_ns")
        is_reconciled = plan.kind != "gateway" or self.watch.gate("reconciled_ns") >= started_ns
        return is_reconciled and self._is_built(plan)

    def _start(self, plan: Plan) -> None:
        """Grant an epoch and start the process."""
        self.plans[plan.name] = plan
        self._epochs[plan.name] = self._epochs.get(plan.name, 0) + 1
        words = self.ground.segment.words
        word_store(words, LIVE_EPOCH_AT + plan.role, self._epochs[plan.name])
        if plan.name in self.children.helpers.early:
            self.beside.add(plan.name, self.children.start_early(plan.kind, self._spec(plan)))
            return
        try:
            self.children.start(plan.kind, self._spec(plan))
        except NurseryDied as error:
            self.end(str(error), FAILED)

    def _spec(self, plan: Plan) -> RoleSpec:
        place = self.cores.of(plan.name)
        fds = {name: Fd(self.ground.fds[name]) for name in plan.fds}
        fds |= {name: Fd(fd) for name, fd in plan.extra_fds.items()}
        return RoleSpec(
            name=plan.name,
            role=plan.role,
            epoch=self._epochs.get(plan.name, 1),
            segment=self.request.name,
            run_id=self.ground.run_id,
            supervisor_pid=os.getpid(),
            log=str(self.ground.log_path),
            build=plan.build,
            cores=place.cores,
            is_alone=place.is_alone,
            is_hot=plan.is_hot,
            does_outlive=plan.does_outlive,
            restarts=self.restarts.restarts(plan.name),
            leftovers=self.ground.leftovers,
            fds=fds,
            params=plan.params,
        )

    def _start_due(self, now_ns: int) -> None:
        for name, at_ns in list(self._due.items()):
            if now_ns >= at_ns:
                del self._due[name]
                self._start(self.plans[name])

    def _gone(self, spec: RoleSpec) -> None:
        """At once: nothing of it counts any more."""
        word_store(self.ground.segment.words, LIVE_EPOCH_AT + spec.role, 0)

    def _died(self, death: Death) -> None:
        if death.was_asked or self.ending is not None:
            return
        if death.name != NURSERY and self.children.is_nursery_dead():
            return  # it takes every child with it, and tells for itself
        if death.code == REFUSED:
            self.end(f"{death.name} refused to start: {self.ground.last_words(death.name)}", FAILED)
            return
        verdict = self.restarts.died(death.name, death.kind, death.at_ns)
        line = f"{death.name} died ({death.how})"
        if verdict.at_ns is None:
            self.note(f"{line}: the run ends")
            self.trading.halt_for(death.name)
            self.end(verdict.reason, FAILED)
            return
        self.trading.lower(death.name, verdict.state)
        self._due[death.name] = verdict.at_ns
        plan = self.plans[death.name]
        if plan.role >= FEED_ROLE:
            self._waiting_for_trust[plan.name.removeprefix("feed ")] = death.at_ns
        wait_ms = (verdict.at_ns - death.at_ns) // clock.MS_NS
        self.note(f"{line}: {verdict.reason}; restart {verdict.restarts} in {wait_ms} ms")

    def note(self, text: str, *, is_logged: bool = False) -> None:
        """Something happened: kept for status, told to whoever watches, written to the log."""
        self.events.append((clock.epoch_ns(), text))
        if not is_logged:
            self.ground.log(text)
        self.say(text)

    def worth(self) -> Worth:
        """What the run has made so far, and of what."""
        gained_e6 = 0
        for account, row in self.watch.cash().items():
            start_e6 = self._start_e6.setdefault(account, int(row["start_e6"]))
            gained_e6 += int(row["cash_e6"]) - start_e6
        return worth(self.watch, self.tally, gained_e6, clock.mono_ns())

    def _interrupted(self, name: str, times: int) -> None:
        """A signal: the run ends in order; a second one hurries it."""
        self.end(f"interrupted by {name}", DONE)
        if times == 2:
            self.ending = Ending(f"interrupted twice, by {name}", INTERRUPTED)

    def status(self) -> dict[str, Any]:
        """The state of the run as one plain dict."""
        return status(self)


_SELF = Plan(name="supervisor", kind="supervisor", role=SUPERVISOR, build="")
