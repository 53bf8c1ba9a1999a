"""A run as its journal tells it: every intent with its orders, what it saw, what came of it.

Reads what a gateway's recovery reads (gateway/recovery.py) and the records beside it; changes
nothing, and may be asked while a gateway writes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.journal_files import parse, walk
from gateway.ledger import Work
from gateway.order import Order
from gateway.recovery import past_of
from shm_layout import FLAG_UNWIND, INSTRUMENTS_MAX, VENUES, intent_parts

TOLD = "venues.json"  # what the venues say, beside the journal of a run that ended in order
ORIGINS = {1: "detector", 2: "desk", 3: "operator"}


class ExplainError(Exception):
    """There is nothing to explain: one line with what was found, wanted, and where."""


@dataclass(frozen=True, slots=True)
class Market:
    """Who an instrument is. `nets`: its venue keeps one signed position a market."""

    instrument: int
    venue: str
    ticker: str
    tokens: tuple[str, str]
    account: tuple[str, int]  # venue and shard: where its cash lies
    nets: bool

    def holding(self, token: int) -> tuple[str, str]:
        """What its venue calls a token held: (venue, ticker or token)."""
        return self.venue, self.ticker if self.nets else self.tokens[token]


@dataclass(slots=True, kw_only=True)
class Run:
    """Everything of one journal. `notes`: answers and trades of each order, as they came; `told`:
    what the venues say of the run, None: they have not.
    """

    journal: Path
    records: int
    damage: str
    run_id: int
    works: dict[int, Work]
    markets: dict[int, Market] = field(default_factory=dict)
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ends: dict[int, dict[str, Any]] = field(default_factory=dict)
    left: dict[int, dict[str, Any]] = field(default_factory=dict)
    settled_e6: dict[int, int] = field(default_factory=dict)
    opened: list[dict[str, Any]] = field(default_factory=list)
    clock: list[tuple[int, int, int]] = field(default_factory=list)
    told: dict[str, Any] | None = None
    children: dict[int, list[int]] = field(default_factory=dict)
    mode: str = ""  # of the run; "": its gateway died before it wrote that down

    def orders(self) -> Iterator[tuple[Work, Order]]:
        """Every order, oldest intent first."""
        for work in self.works.values():
            for order in work.orders:
                yield work, order

    def roots(self) -> list[int]:
        """Intents that are nobody's unwind."""
        return [number for number, work in self.works.items() if self.parent(work) is None]

    def parent(self, work: Work) -> int | None:
        """The intent whose leg this one gives back or completes."""
        number = work.intent.parent
        return number if work.intent.flags & FLAG_UNWIND and number in self.works else None

    def family(self, root: int) -> list[int]:
        """An intent and all its unwinds, as they were sent."""
        return [root, *self.children.get(root, ())]

    def epoch_ns(self, machine_ns: int) -> int:
        """Run time at a machine stamp; 0: not known."""
        known = [part for part in self.clock if part[0] <= machine_ns] or self.clock
        if not known:
            return 0
        base_ns, begin_ns, speed_e6 = known[-1]
        return begin_ns + (machine_ns - base_ns) * speed_e6 // 1_000_000 if base_ns else begin_ns

    def find(self, text: str) -> int:
        """The intent that a text names: by its number, by the id of an order of it, by what the
        venue calls that order, or by the number under which a leg of it was given up. Raises
        ExplainError.
        """
        if text.isascii() and text.isdigit() and int(text) in self.works:
            return int(text)
        for number, left in self.left.items():
            if text == str(left.get("as")):
                return number
        for work, order in self.orders():
            if text in (order.key, order.venue_id):
                return work.intent.id
        raise ExplainError(
            f"{self.journal}: found no {text[:80]!r} among {len(self.works):,} intents"
            f"{self._span()} and {len(self.notes):,} orders, wanted an intent's number, an order's"
            " id or what its venue calls it (intents that sent nothing are not journalled)"
        )

    def _span(self) -> str:
        if not self.works:
            return ""
        return f" ({min(self.works)} to {max(self.works)})"


def read(path: Path) -> Run:
    """A journal's folder, or one file of it alone. Raises ExplainError."""
    try:
        found = walk(path) if path.is_dir() else [(path, parse(path.read_bytes(), path))]
    except OSError as error:
        raise ExplainError(f"{error.filename}: cannot be read: {error.strerror}") from error
    if not found:
        raise ExplainError(f"{path}: found no journal-NNNNNN.bin, wanted a journal's folder")
    records = [record for _, told in found for record in told.records]
    runs = {record["run"] for record in records if record.get("k") in ("opened", "order")}
    if len(runs) > 1:
        raise ExplainError(f"{path}: found {len(runs)} runs, wanted the journal of one")
    run_id = runs.pop() if runs else 0
    past = past_of(records, run_id, lambda _: None)
    run = Run(
        journal=path, records=len(records), damage=found[-1][1].damage, run_id=run_id,
        works=past.works, clock=sorted(past.run_times),
        told=_told((path if path.is_dir() else path.parent) / TOLD),
    )  # fmt: skip
    _take_in(run, records)
    return run


def _take_in(run: Run, records: list[dict[str, Any]]) -> None:
    """What recovery has no need of. A number is another market's after its window (its generation
    is higher then): here each market has a number of its own.
    """
    for _, order in run.orders():
        order.instrument = _own(order.instrument, order.generation)
    notes: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        kind = record.get("k")
        if kind in ("out", "trade"):
            notes[record["key"]].append(record)
        elif kind == "mode":
            run.mode = record["mode"]
        elif kind == "market":
            market = _market(record)
            run.markets[market.instrument] = market
        elif kind == "settle":
            number = _own(record["instrument"], record["generation"])
            run.settled_e6[number] = record["value"]
        elif kind == "opened":
            run.opened.append(record)
        elif kind in ("seen", "end", "left"):
            into = {"seen": run.seen, "end": run.ends, "left": run.left}[kind]
            into[record["intent"]] = record
    for work, order in run.orders():
        run.notes[order.key] = notes[order.key]
        if order.instrument not in run.markets:
            run.markets[order.instrument] = _unnamed(order)
        if order.leg == 0 and (parent := run.parent(work)) is not None:
            run.children.setdefault(parent, []).append(work.intent.id)


def _own(instrument: int, generation: int) -> int:
    return instrument + (generation - 1) * INSTRUMENTS_MAX


def _market(record: dict[str, Any]) -> Market:
    return Market(
        instrument=_own(record["instrument"], record["generation"]),
        venue=record["venue"],
        ticker=record["ticker"],
        tokens=(record["yes"], record["no"]),
        account=(record["venue"], record["shard"]),
        nets=record["nets"],
    )


def _unnamed(order: Order) -> Market:
    """Its gateway died before it wrote who that is."""
    venue, name = VENUES[order.venue], f"instrument {order.instrument}"
    is_netted = order.placing.token == 0 and order.placing.side == order.side
    return Market(order.instrument, venue, name, (name, f"{name} NO"), (venue, 0), is_netted)


def _told(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())["accounts"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise ExplainError(f"{path}: found {error!r}, wanted what the venues say") from error
    return found


def name_of(number: int) -> str:
    """An intent's number in words."""
    origin, epoch, counter = intent_parts(number)
    return f"{ORIGINS.get(origin, str(origin))} {epoch}, number {counter}"
