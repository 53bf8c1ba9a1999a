"""What is left of a run for a checker: the journal, what the venues say, the engine's last word.

`Keeper` holds on to the journal while the engine runs (its folder goes with the run); `gather`
reads everything once the engine has ended. All of it is plain data, so that a checker can be shown
that it sees each kind of wrong. A suite does:

    witness, keeper = Witness.of(engine), Keeper(engine.state_dir)
    ... the run; keeper.poll() once it trades, and now and then if it writes more than one file ...
    halt, wait until no intent is open, stop, witness.to_the_end(engine, seconds)
    assert violations(gather(engine.state_dir, keeper, witness, ended_ns, down_ns)) == []
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gateway import journal
from ops.roles import VENUES_TOLD
from shm_layout import (
    ACCOUNTS_MAX,
    FLAG_UNWIND,
    INSTRUMENTS_MAX,
    VENUES,
    Segment,
    cells_to_text,
    cells_to_uint256,
)
from tests.session.deaths import untrusted_of, untrusted_prices
from tests.session.witness import Witness

KEPT = "kept"


class Sent(NamedTuple):
    """One order as the journal had it before its bytes left."""

    key: str
    intent: int
    leg: int
    venue: str
    instrument: int
    size_e6: int
    taken_ns: int
    parent: int
    is_unwind: bool


class Read(NamedTuple):
    """One order request as its venue read it. `outcome` "fault_…": a fault kept it from the
    venue's desk."""

    venue: str
    key: str
    read_ns: int
    answered_ns: int
    outcome: str


class Fault(NamedTuple):
    """One fault that a venue did (ops/venues/session.py)."""

    venue: str
    kind: str
    mono_ns: int
    connection: int
    what: str
    key: str
    status: int


class Placed(NamedTuple):
    """What a venue says became of one order: contracts, price x size, fee, all in 1e-6."""

    filled_e6: int
    open_e6: int
    notional_e6: int = 0
    fee_e6: int = 0


Cash = Mapping[tuple[str, int], int]  # (venue, shard) -> 1e-6 dollars
Held = Mapping[tuple[str, str], int]  # (venue, ticker or token) -> 1e-6 contracts


@dataclass(frozen=True)
class Evidence:
    """Everything a checker reads. `records`: of this run, oldest first. `intents`, `terminals`: as
    its rings showed them; `is_whole`: nothing of them was missed. `down_ns`: when the gateway was
    not there. `ended_ns`: until when the venues were watched. `untrusted`: opening orders on
    untrusted quotes or prices, in words.
    """

    records: list[dict[str, Any]]
    damage: str
    reads: list[Read]
    faults: list[Fault]
    placed: Mapping[str, Placed]
    venue_cash: Cash
    venue_held: Held
    desk_cash: Cash
    desk_held: Held
    intents: frozenset[int]
    terminals: list[tuple[int, str]]
    is_whole: bool
    ended_ns: int
    down_ns: tuple[tuple[int, int], ...] = ()
    untrusted: list[str] = field(default_factory=list)

    @property
    def sent(self) -> list[Sent]:
        """Every order of the journal."""
        return [order for record in self.records for order in _orders(record)]


def _orders(record: Mapping[str, Any]) -> Iterable[Sent]:
    if record["k"] != "order":
        return
    intent, parent, *_ = record["intent"]
    is_unwind = bool(record["intent"][5] & FLAG_UNWIND)
    for leg, venue, instrument, _, _, _, size_e6, key in record["orders"]:
        yield Sent(
            key, intent, leg, VENUES[venue], instrument, size_e6, record["taken_ns"], parent,
            is_unwind,
        )  # fmt: skip


class Keeper:
    """Keeps the journal files of an engine under test, also when its run folder is removed: a
    second name for each file, in the same state folder.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.folder = state_dir / KEPT
        self.folder.mkdir(exist_ok=True)

    def poll(self) -> None:
        """Call it now and then while the engine runs, and once it trades at the latest."""
        for path in self._state_dir.glob("**/journal-*.bin"):
            kept = self.folder / path.name
            if path.parent != self.folder and not kept.exists():
                os.link(path, kept)

    def records(self) -> tuple[list[dict[str, Any]], str]:
        """Every record, and what is wrong with the files; empty: nothing."""
        records: list[dict[str, Any]] = []
        for path in journal.files(self.folder):
            found = journal.read(path)
            records += found.records
            if found.damage:
                return records, found.damage
        return records, ""


def gather(
    state_dir: Path,
    keeper: Keeper,
    witness: Witness,
    ended_ns: int,
    down_ns: Iterable[tuple[int, int]] = (),
) -> Evidence:
    """Of a run that has ended in order: its venues have written what they know."""
    witness.poll()
    records, damage = keeper.records()
    told = json.loads((state_dir / "log" / VENUES_TOLD).read_bytes())
    accounts = told["accounts"]
    desk_cash, desk_held = _desk(witness.segment)
    return Evidence(
        records=records,
        damage=damage,
        reads=[Read(*row) for row in told["reads"]],
        faults=[Fault(**row) for row in told["faults"]],
        placed={
            key: Placed(**order)
            for account in accounts.values()
            for key, order in account["orders"].items()
        },
        venue_cash={
            (venue, int(shard)): cash_e6
            for venue, account in accounts.items()
            for shard, cash_e6 in account["cash_e6"].items()
        },
        venue_held={
            (venue, name): held_e6
            for venue, account in accounts.items()
            for name, held_e6 in account["held_e6"].items()
        },
        desk_cash=desk_cash,
        desk_held=desk_held,
        intents=frozenset(witness.intents),
        terminals=list(witness.terminals),
        is_whole=not witness.lost,
        ended_ns=ended_ns,
        down_ns=tuple(down_ns),
        untrusted=[] if witness.lost else untrusted_of(witness) + untrusted_prices(witness),
    )


def _desk(segment: Segment) -> tuple[Cash, Held]:
    """Cash and holdings as the gateway last told them, named as the venues name them."""
    cash, held = {}, {}
    for account in range(ACCOUNTS_MAX):
        row = segment.read("cash", account)
        if row is not None and row["used"]:
            venue = VENUES[int(row["venue"])]
            cash[venue, int(row["exchange_index"])] = int(row["cash_e6"])
    for index in range(INSTRUMENTS_MAX):
        market, row = segment.read("instruments", index), segment.read("positions", index)
        if market is None:
            break
        if row is None:
            continue
        venue, yes_e6, no_e6 = VENUES[int(market["venue"])], int(row["yes_e6"]), int(row["no_e6"])
        if market["condition"].any():
            for name, held_e6 in (("token_yes", yes_e6), ("token_no", no_e6)):
                if held_e6:
                    held[venue, str(cells_to_uint256(market[name].tolist()))] = held_e6
        elif yes_e6 != no_e6:
            held[venue, cells_to_text(market["ticker"].tolist())] = yes_e6 - no_e6
    return cash, held
