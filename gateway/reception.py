"""Intents come in; each gets exactly one last word: sent and later ended by the ledger, or refused
here with a reason.

An order that is not signed yet is being signed: its intent waits, at most until it expires, and is
judged anew as a whole.
`answered_through` never passes one that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.dispatch import Dispatcher
from gateway.intent import Intent, from_cells
from gateway.memory import INTENT_AT
from gateway.reports import Reports
from shm_layout import BODY, intent_parts, reason

STALE, LAPPED, RATE = reason("stale"), reason("lapped"), reason("limit_rate")
NO_SIGNATURE = reason("no_signature")
COUNTED = {STALE: "stale", NO_SIGNATURE: "no_signature", RATE: "rate_limited"}
INTENT = slice(INTENT_AT, INTENT_AT + BODY)
GONE_MAX = 1024  # lost intents answered one by one
WAITING_MAX = 32  # intents that wait for a signature: a detector that runs away gets no more


@dataclass(slots=True)
class Reception:
    """`last_id`: the newest intent taken; `before`: bodies of those there at our start."""

    dispatcher: Dispatcher
    reports: Reports
    clock: Callable[[], int]
    before: Callable[[], Iterable[list[int]]]
    last_id: int
    waiting: list[Intent] = field(default_factory=list)

    def take(self, why: int, taken_ns: int) -> None:
        """One entry of the intents ring, judged: `why` 0 or the reason it is refused for. It
        stands in the desk's memory.
        """
        if not why:
            why = self.dispatcher.fire(taken_ns)[1]
        intent = from_cells(self.dispatcher.memory.cells[INTENT].tolist())
        self.reports.count("intents")
        self._fill_gap(intent.id, taken_ns)
        self.last_id = intent.id
        if why:
            self._refuse(intent, why, taken_ns)
        self._answered()
        self.reports.observe("decide_to_take", taken_ns - intent.decide_ns)
        self.reports.observe("recv_to_publish", intent.publish_ns - intent.recv_ns)
        self.reports.observe("publish_to_decide", intent.decide_ns - intent.publish_ns)

    def retry(self) -> None:
        """Those that waited for a signature."""
        if not self.waiting:
            return
        waiting, self.waiting = self.waiting, []
        now_ns = self.clock()
        for intent in waiting:
            if why := self.dispatcher.send(intent, now_ns)[1]:
                self._refuse(intent, why, now_ns)
        self._answered()

    def answer_gone(self, last_end: tuple[int, int] = (0, 0)) -> None:
        """Intents from before our start that no predecessor answered were not sent: say so. Those
        that were sent, or have their last word, get no second one. `last_end`: the intent whose end
        was journalled last, and why: its predecessor may have died before it could say so.
        """
        now_ns, answered = self.clock(), self.last_id
        spoken = self.reports.ended_ids()
        if last_end[0] and last_end[0] not in spoken:
            self.reports.gone(*last_end, now_ns)
        for body in self.before():
            number = from_cells(body).id
            if number > answered and number not in spoken and not self._is_sent(number):
                self.reports.gone(number, STALE, now_ns)
            self.last_id = max(self.last_id, number)
        self._answered()

    def _is_sent(self, number: int) -> bool:
        """The ledger has its last word, or will."""
        return number in self.dispatcher.ledger.works

    def _refuse(self, intent: Intent, why: int, now_ns: int) -> None:
        """Not sent: it waits for its signature, or this is its last word."""
        is_early = now_ns < intent.expires_ns and len(self.waiting) < WAITING_MAX
        if why == NO_SIGNATURE and is_early:
            self.waiting.append(intent)
            return
        self.reports.count("refused")
        if why in COUNTED:
            self.reports.count(COUNTED[why])
        self.reports.terminal(
            intent,
            why,
            matched_e6=0,
            worst_e6=0,
            send_ns=0,
            ack_ns=0,
            taken_ns=now_ns,
            now_ns=now_ns,
        )

    def _fill_gap(self, number: int, now_ns: int) -> None:
        """Ids of one detector are consecutive: those between were lapped, and never sent."""
        same = intent_parts(number)[:2] == intent_parts(self.last_id)[:2]
        if not same or number <= self.last_id:
            return
        for lost in range(max(self.last_id + 1, number - GONE_MAX), number):
            if self._is_sent(lost):
                continue
            self.reports.count("lapped")
            self.reports.gone(lost, LAPPED, now_ns)

    def _answered(self) -> None:
        oldest = min((intent.id for intent in self.waiting), default=self.last_id + 1)
        self.reports.answered(min(self.last_id, oldest - 1))
