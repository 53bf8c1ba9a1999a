"""What the death of each process means, as a table, and when it comes back. Pure: time comes in.

DESIGN section 1, "Dying". The supervisor asks `Restarts.died` and does what the verdict says.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RESTART, END_RUN = "restart", "end run"
STAY, REDUCE, HALT = "stay", "reduce", "halt"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind of process is to the run.

    `state`: what its death does to the trading state until it is back. `back_when`: what must hold
    before the state is lifted again ("ready" or "reconciled").
    """

    then: str
    state: str
    back_when: str
    why: str


MEANINGS: dict[str, Meaning] = {
    "feed": Meaning(RESTART, STAY, "ready", "its quotes are untradable, the rest goes on"),
    "detector": Meaning(RESTART, REDUCE, "ready", "nothing new is decided; the desk unwinds"),
    "signer": Meaning(RESTART, REDUCE, "ready", "the last headers are kept for unwinds"),
    "gateway": Meaning(RESTART, HALT, "reconciled", "what is on the wire must be found out first"),
    "canceller": Meaning(RESTART, STAY, "ready", "it only acts when the supervisor is gone"),
    "model": Meaning(RESTART, STAY, "ready", "terms lose their validity by themselves"),
    "catalog": Meaning(RESTART, STAY, "ready", "it only proposes"),
    "recorder": Meaning(RESTART, STAY, "ready", "the tape says where it is incomplete"),
    "exporter": Meaning(RESTART, STAY, "ready", "nobody trades on it"),
    "venues": Meaning(END_RUN, HALT, "ready", "a simulated world cannot be resumed"),
    "paper": Meaning(END_RUN, HALT, "ready", "what it held is known to nobody else"),
    "nursery": Meaning(END_RUN, HALT, "ready", "every child dies with it"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about one death. `at_ns`: when to start it again; None: never, the run ends."""

    state: str
    at_ns: int | None
    restarts: int
    reason: str


@dataclass(slots=True)
class _History:
    deaths_ns: list[int] = field(default_factory=list)
    restarts: int = 0


class Restarts:
    """The histories of all processes. `limit` restarts in `window_ns`, then the run ends."""

    def __init__(self, *, limit: int, window_ns: int, backoff_ns: int, backoff_max_ns: int) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._backoff_ns = backoff_ns
        self._backoff_max_ns = backoff_max_ns
        self._histories: dict[str, _History] = {}

    def died(self, name: str, kind: str, now_ns: int) -> Verdict:
        """The process `name` of `kind` died. The first death within a window waits one back-off."""
        meaning = MEANINGS[kind]
        history = self._histories.setdefault(name, _History())
        if meaning.then == END_RUN:
            return Verdict(meaning.state, None, history.restarts, f"{name} died: {meaning.why}")
        history.deaths_ns = [at for at in history.deaths_ns if now_ns - at < self._window_ns]
        history.deaths_ns.append(now_ns)
        recent = len(history.deaths_ns)
        if recent > self._limit:
            seconds = self._window_ns // 1_000_000_000
            why = f"{name} died {recent} times within {seconds} s (limit {self._limit})"
            return Verdict(HALT, None, history.restarts, why)
        history.restarts += 1
        wait_ns = min(self._backoff_ns << min(recent - 1, 40), self._backoff_max_ns)
        return Verdict(meaning.state, now_ns + wait_ns, history.restarts, meaning.why)

    def restarts(self, name: str) -> int:
        """How often it has been started again in this run."""
        history = self._histories.get(name)
        return history.restarts if history else 0


def lowest(states: list[str]) -> str:
    """Of what several deaths ask for at once, the most careful."""
    for state in (HALT, REDUCE):
        if state in states:
            return state
    return STAY
