"""What must hold of every order after a run, whatever failed when: one checker for all suites.

`violations(evidence)` is empty for a run in order; each line of it begins with the name of what
was broken. The rules are written against what venues and journal say of each other, not against
how the gateway works.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from ops.venues.faults import KINDS, REST
from shm_layout import P_DONE, P_REJECTED, P_UNKNOWN, REASONS, S_FAILED
from tests.orders.evidence import Evidence, Fault, Placed, Sent

WAIT_NS, WAITS_MAX = 4_000_000_000, 4  # what a 429 makes reads wait, and how often it doubles
AGAIN_NS = 5_000_000_000  # a refusal so soon after a wait doubles it
RESOLVE_NS = 10_000_000_000  # of the venue's health, until an unknown order is found
READ_NS = 1_000_000_000  # what is refused sooner was not asked for: reads lag by about a second
PROOFS = frozenset((400, 401, 403, 404, 405, 409, 410, 413, 422, 425, 429))  # nothing was done
BODIES = frozenset(("bomb", "delay", "drift", "oversize"))  # these leave the status as it was
TAKEN = frozenset(("filled", "partial", "unfilled", "resting", "matched", "delayed", "live"))
UNSENT = REASONS.index("killed")  # the record stood, and no byte left
FINAL = (P_DONE, P_REJECTED)
NOTHING = Placed(0, 0)
TOO_MANY = 429


def violations(evidence: Evidence) -> list[str]:
    """Every broken rule, in words; empty: none."""
    return [f"{name}: {text}" for name, rule in RULES.items() for text in rule(evidence)]


def unjournalled(evidence: Evidence) -> Iterator[str]:
    """No order at a venue without an earlier record."""
    if evidence.damage:
        yield f"the journal is damaged: {evidence.damage}"
    taken_ns = {order.key: order.taken_ns for order in evidence.sent}
    for read in evidence.reads:
        if not read.key:
            continue
        if read.key not in taken_ns:
            yield f"{read.venue} read {read.key}, of which there is no record"
        elif read.read_ns < taken_ns[read.key]:
            yield f"{read.venue} read {read.key} before its record"
    for key in evidence.placed.keys() - taken_ns.keys():
        yield f"{key} was carried out, and there is no record of it"


def doubled(evidence: Evidence) -> Iterator[str]:
    """At most one order of each leg of each intent, sent once."""
    keys = defaultdict(list)
    for order in evidence.sent:
        keys[order.intent, order.leg].append(order.key)
    for name, found in keys.items():
        if len(found) > 1:
            yield f"leg {name}: {len(found)} orders, {found}"
    legs = Counter(order.key for order in evidence.sent)
    for key, count in legs.items():
        if count > 1:
            yield f"{key} stands for {count} legs"
    reads = Counter(read.key for read in evidence.reads if read.key)
    for key, count in reads.items():
        if count > 1:
            yield f"{key} was read {count} times"


def misbooked(evidence: Evidence) -> Iterator[str]:
    """What is booked of each order is what its venue did of it, and nothing of it is open."""
    notes = _notes(evidence)
    for order in evidence.sent:
        booked_e6 = _booked_e6(notes[order.key])
        found = evidence.placed.get(order.key, NOTHING)
        if found.open_e6:
            yield f"{order.key} still has {found.open_e6}e-6 open at {order.venue}"
        if booked_e6 != found.filled_e6:
            yield (f"{order.key}: {booked_e6}e-6 booked, {order.venue} filled {found.filled_e6}e-6")


def unproven(evidence: Evidence) -> Iterator[str]:
    """Nothing is booked as refused unless the venue said so, or was asked and did not know it."""
    notes = _notes(evidence)
    faults: dict[str, Fault] = {fault.key: fault for fault in evidence.faults if fault.key}
    outcomes = {read.key: read.outcome for read in evidence.reads}
    for order in evidence.sent:
        refused = [note for note in notes[order.key] if note.get("placed") == P_REJECTED]
        if not refused or refused[0]["why"] == UNSENT:
            continue
        if evidence.placed.get(order.key, NOTHING).filled_e6:
            yield f"{order.key} was booked as refused, and {order.venue} had filled it"
            continue
        fault = faults.get(order.key)
        if fault is not None and fault.status in PROOFS:
            continue
        if fault is None and order.key in outcomes:
            continue  # the venue's own answer
        said = outcomes.get(order.key, "fault_")
        says_no = said not in TAKEN and not said.startswith("fault_")
        if fault is not None and fault.kind in BODIES and says_no:
            continue  # its own status, above a body that nobody can read
        if refused[0]["ns"] - order.taken_ns < READ_NS:
            basis = f"a {fault.kind} {fault.status or ''}" if fault else "nothing"
            yield f"{order.key} was booked as refused at once, on {basis.strip()}"


def apart(evidence: Evidence) -> Iterator[str]:
    """Cash and holdings are the venues' own at the end."""
    for title, ours, theirs in (
        ("cash", evidence.desk_cash, evidence.venue_cash),
        ("held", evidence.desk_held, evidence.venue_held),
    ):
        for name in sorted({*ours, *theirs}, key=str):
            here_e6, there_e6 = ours.get(name, 0), theirs.get(name, 0)
            if here_e6 != there_e6:
                yield f"{title} {name}: ours {here_e6}e-6, the venue's {there_e6}e-6"


def unresolved(evidence: Evidence) -> Iterator[str]:
    """What became of an order is known within 10 s in which its venue (and the gateway) is well."""
    notes = _notes(evidence)
    for order in evidence.sent:
        found = notes[order.key]
        final_ns = _final_ns(order, found)
        unknown = [note["ns"] for note in found if note.get("placed") == P_UNKNOWN]
        if final_ns is not None and not unknown:
            continue
        begin_ns = min(unknown, default=order.taken_ns)
        end_ns = evidence.ended_ns if final_ns is None else final_ns
        well_ns = _well_ns(evidence, order.venue, begin_ns, end_ns)
        if well_ns > RESOLVE_NS:
            what = "and is still unknown" if final_ns is None else "until it was found"
            yield f"{order.key}: {well_ns / 1e9:.1f} s of {order.venue}'s health {what}"


def unanswered(evidence: Evidence) -> Iterator[str]:
    """One last word on every intent."""
    words = Counter(intent for intent, _ in evidence.terminals)
    ends = Counter(record["intent"] for record in evidence.records if record["k"] == "end")
    for title, counts in (("reports", words), ("records", ends)):
        for intent, count in counts.items():
            if count > 1:
                yield f"intent {intent}: {count} terminal {title}"
    sent = {order.intent for order in evidence.sent}
    for intent in sent - ends.keys():
        yield f"intent {intent} was sent and has not ended"
    if evidence.is_whole:
        for intent in (sent | evidence.intents) - words.keys():
            yield f"intent {intent} got no terminal report"


def untrusted(evidence: Evidence) -> Iterator[str]:
    """No opening order on a quote that was not to be trusted."""
    yield from evidence.untrusted


RULES: dict[str, Callable[[Evidence], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (
        unjournalled, doubled, misbooked, unproven, apart, unresolved, unanswered, untrusted,
    )
}  # fmt: skip


# ---- what the journal says of one order


def _notes(evidence: Evidence) -> defaultdict[str, list[dict[str, Any]]]:
    """Answers and trades of each order, oldest first."""
    notes: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in evidence.records:
        if record["k"] in ("out", "trade"):
            notes[record["key"]].append(record)
    return notes


def _booked_e6(notes: Sequence[dict[str, Any]]) -> int:
    """Contracts: its trades once they account for all of it, else its best answer."""
    trades = {note["trade"]: note for note in notes if note["k"] == "trade"}
    good_e6 = sum(note["size"] for note in trades.values() if note["settled"] != S_FAILED)
    bad_e6 = sum(note["size"] for note in trades.values() if note["settled"] == S_FAILED)
    answers = [note["cum"][0] for note in notes if note["k"] == "out" and note["cum"]]
    booked_e6: int = max(good_e6, max(answers, default=0) - bad_e6)
    return booked_e6


def _final_ns(order: Sent, notes: Sequence[dict[str, Any]]) -> int | None:
    """When its outcome was known for good; None: never."""
    filled: dict[str, int] = {}
    known_ns = None
    for note in notes:
        if note["k"] == "trade":
            filled[note["trade"]] = note["size"]
            is_final = sum(filled.values()) >= order.size_e6
        else:
            is_final = note["placed"] in FINAL
        if is_final and known_ns is None:
            known_ns = note.get("ns", order.taken_ns)
    return known_ns


def _waits(evidence: Evidence, venue: str) -> Iterator[tuple[int, int]]:
    """When a venue wanted no reads. Of several refusals at once the first counts."""
    since_ns, wait_ns, step = 0, 0, 0
    for fault in sorted(evidence.faults, key=lambda fault: fault.mono_ns):
        if fault.venue != venue or fault.status != TOO_MANY or fault.key:
            continue
        if fault.mono_ns < since_ns + wait_ns // 2:
            continue
        is_again = fault.mono_ns < since_ns + wait_ns + AGAIN_NS
        step = min(step + 1, WAITS_MAX) if is_again else 0
        since_ns, wait_ns = fault.mono_ns, WAIT_NS << step
        yield since_ns, since_ns + wait_ns


def _well_ns(evidence: Evidence, venue: str, begin_ns: int, end_ns: int) -> int:
    """The longest time within these bounds in which neither a request failed at the venue nor did
    it want to be left alone, nor the gateway was away."""
    ill = [
        fault.mono_ns
        for fault in evidence.faults
        if fault.venue == venue and (REST in KINDS[fault.kind][0] or fault.kind == "shut")
    ]
    away = sorted([*evidence.down_ns, *_waits(evidence, venue)])
    for from_ns, to_ns in away:
        ill += [from_ns, to_ns]
    stamps = [begin_ns, *sorted(ns for ns in ill if begin_ns < ns < end_ns), end_ns]
    return max(
        (
            late_ns - early_ns
            for early_ns, late_ns in pairwise(stamps)
            if not any(from_ns <= early_ns and late_ns <= to_ns for from_ns, to_ns in away)
        ),
        default=0,
    )
