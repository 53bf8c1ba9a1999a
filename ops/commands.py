"""What the supervisor does when an operator says something over the control socket, and what it
does about a kill word that somebody has set.

`flatten` and `reconcile` go to the gateway through the control ring; its answer comes on the
reports ring and is kept here, by the command's number, until it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.commands import FLATTEN, RECONCILE, RESUME, End, Row, answer_of
from ops.flatten_plan import plan
from ops.process import counters_at
from ops.tally import RingReader
from shm_layout import (
    CANCELLER,
    COUNTERS,
    HEADER,
    K_COMMAND,
    K_LEG,
    KILL,
    KILL_AT,
    ORIGIN_OPERATOR,
    REASONS,
    REPORT,
    VENUES,
    cell,
    cells_to_text,
    intent_parts,
    reason,
    ring_tail,
    word_load,
    word_store,
)

if TYPE_CHECKING:
    from ops.ground import Ground
    from ops.identity import Identity
    from ops.reload import Reloader
    from ops.supervisor import Supervisor

ANSWERS_MAX = 8  # the newest are kept
ROWS_MAX = 1_000  # of one answer
KILLED = "the kill word is set: lift it first with `arb-supervisor resume --halted`"


def kill_place(ground: Ground, identity: Identity) -> dict[str, Any]:
    """Where the kill word lies, for ops/kill_word.py: byte offsets from the table."""
    segment = ground.segment
    counters, names = counters_at(segment, CANCELLER), COUNTERS["canceller"]
    cells = {
        "run_at": segment.at("header") + cell(HEADER, "run_id"),
        "word_at": KILL_AT + cell(KILL, "word"),
        "set_ns_at": KILL_AT + cell(KILL, "set_ns"),
        "set_pid_at": KILL_AT + cell(KILL, "set_pid"),
        "cancels_at": counters + names.index("cancels"),
        "failures_at": counters + names.index("failures"),
    }
    found: dict[str, Any] = {name: 8 * at for name, at in cells.items()}
    return found | {
        "segment": segment.name, "run_id": ground.run_id, "reason": reason("killed"),
        "venues": len({account.venue for account in identity.accounts}),
    }  # fmt: skip


@dataclass(slots=True)
class Answer:
    """Of one command, so far. `orders`: the newest report of each order of it."""

    command: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    orders: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    end: End | None = None

    def told(self) -> dict[str, Any]:
        """As plain data; money and contracts in 1e-6."""
        return {
            "command": self.command,
            "is_done": self.end is not None,
            "reason": REASONS[self.end.why] if self.end is not None else None,
            "rows": self.rows,
            "orders": list(self.orders.values()),
        }


class Commands:
    """Of one run. `is_killed`: the kill word was set when it was last looked at."""

    def __init__(self, run: Supervisor) -> None:
        self._run = run
        self._answers: dict[int, Answer] = {}
        self._reader: RingReader | None = None  # while an answer is waited for
        self.is_killed = False
        self.reloader: Reloader | None = None  # of a run whose settings can be read again

    def take(self, command: str) -> dict[str, Any]:
        """One command of COMMANDS (ops/control.py); its answer."""
        run = self._run
        if command == "plan":
            return {"killed": self.is_killed, **plan(run)}
        if command in ("flatten", "reconcile"):
            return self._ask(command)
        if command == "reload":
            assert self.reloader is not None
            return self.reloader.reload(run)
        if command == "answers":
            self.turn()
            return {str(number): answer.told() for number, answer in self._answers.items()}
        if command == "stop":
            run.end("stopped by command", 0)
        elif command == "halt":
            run.trading.operator_halt("halted by command")
            run.note("halted by command")
        elif command == "resume":
            run.trading.operator_active("resumed by command")
            self._lift()
            run.note("resumed by command")
        elif command == "lift":
            run.trading.operator_halt("the kill word was lifted by command")
            self._lift()
            run.note("the kill word was lifted by command; halted")
        return run.status()

    def _lift(self) -> None:
        """The kill word is cleared, and the gateway clears what it raised by itself."""
        word_store(self._run.ground.segment.words, KILL_AT, 0)
        self.is_killed = False
        self._run.ground.tell(RESUME)

    def _ask(self, command: str) -> dict[str, Any]:
        run = self._run
        if self.is_killed and command == "flatten":
            return {"error": KILLED}
        if command == "flatten":
            run.trading.operator_halt("flatten by command")
        if self._reader is None:
            segment = run.ground.segment
            self._reader = RingReader(segment, "reports")
            self._reader.position = int(ring_tail(segment.words, segment.at("reports")))
        number = run.ground.tell(FLATTEN if command == "flatten" else RECONCILE)
        self._answers[number] = Answer(command)
        while len(self._answers) > ANSWERS_MAX:
            del self._answers[min(self._answers)]
        run.note(f"{command} by command")
        return {"number": number, "state": run.trading.text}

    def turn(self) -> None:
        """Look at the kill word, and for answers."""
        self._look_at_word()
        if self._reader is None:
            return
        for kind, body in self._reader.drain():
            if kind == K_COMMAND:
                number, row = answer_of(body)
                self._row(number, row)
            elif kind == K_LEG:
                self._order(body.view(REPORT)[0])
        if all(answer.end is not None for answer in self._answers.values()):
            self._reader = None

    def _look_at_word(self) -> None:
        words = self._run.ground.segment.words
        is_set = int(word_load(words, KILL_AT)) != 0
        if is_set and not self.is_killed:
            pid = int(word_load(words, KILL_AT + cell(KILL, "set_pid")))
            who = f"killed by process {pid}" if pid else "killed"
            self._run.trading.operator_halt(who)
            self._run.note(f"{who}: nothing leaves until `arb-supervisor resume`")
        self.is_killed = is_set

    def _row(self, number: int, row: Row | End) -> None:
        answer = self._answers.get(number)
        if answer is None:
            return
        if isinstance(row, End):
            answer.end = row
            text = f"{answer.command}: {REASONS[row.why]}, {row.rows} rows told"
            self._run.note(text)
        elif len(answer.rows) < ROWS_MAX:
            answer.rows.append({
                "venue": VENUES[row.venue], "instrument": row.instrument, "account": row.account,
                "ours_e6": list(row.ours), "theirs_e6": list(row.theirs), "order": row.key or None,
                "is_dust": self._is_dust(row),
            })  # fmt: skip

    def _is_dust(self, row: Row) -> bool:
        """Whether the venue takes no order for so little."""
        quote = None
        if row.instrument >= 0:
            quote = self._run.ground.segment.read("quotes", row.instrument)
        return quote is not None and max(row.theirs) < int(quote["size_min_e6"])

    def _order(self, row: Any) -> None:
        intent = int(row["intent"])
        answer = self._answers.get(int(row["parent"]))
        if answer is None or intent_parts(intent)[0] != ORIGIN_OPERATOR:
            return
        answer.orders[intent, int(row["leg"])] = {
            "intent": intent, "venue": VENUES[int(row["venue"])],
            "instrument": int(row["instrument"]), "key": cells_to_text(row["order_key"]),
            "asked_e6": int(row["asked_e6"]), "filled_e6": int(row["filled_e6"]),
            "cash_e6": int(row["cash_e6"]), "fee_e6": int(row["fee_e6"]),
            "limit_e6": int(row["limit_e6"]),
        }  # fmt: skip
