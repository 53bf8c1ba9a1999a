"""What the gateway reads from the segment beside the last look: its doorbell, quotes and tables
from slots, the run's identity. No decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np

from gateway.facts import less_had
from gateway.memory import M_CONTROL, M_INTENTS, Memory
from gateway.params import DeskParams
from gateway.ports import Market
from shm_layout import (
    BODY,
    CONTROL,
    E6,
    ENTRY,
    GATEWAY,
    HEADER,
    INSTRUMENT,
    INSTRUMENTS_MAX,
    LEGS_MAX,
    LINE,
    NO_INSTRUMENT,
    PAIR,
    PAIRS_MAX,
    PARAMETERS,
    QUOTE,
    READ,
    ST_SETTLED,
    VENUES,
    Segment,
    bell_arm,
    bell_disarm,
    cell,
    cells_to_text,
    cells_to_uint256,
    feed_alive,
    ring_read,
    ring_tail,
    rings_pending,
    rings_wait,
    slot_load,
    word_load,
)

_I = {name: cell(INSTRUMENT, name) for name in INSTRUMENT.names or ()}
_STATUS, _VALUE, _GENERATION = (
    cell(QUOTE, name) for name in ("status", "settlement_e6", "generation")
)
_SHARED = {
    field.name: cell(PARAMETERS, field.name)
    for field in fields(DeskParams)
    if field.name in (PARAMETERS.names or ())
}
_NUMBER = cell(PARAMETERS, "number")
_P = {name: cell(PAIR, name) for name in PAIR.names or ()}
_PAIR = ("index", "same", "approved", "barred")
SPIN_NS = 10_000


def market_of(row: list[int]) -> Market:
    """An INSTRUMENT body as its venue knows it."""
    yes = cells_to_uint256(row[_I["token_yes"] : _I["token_yes"] + 4])
    no = cells_to_uint256(row[_I["token_no"] : _I["token_no"] + 4])
    condition = cells_to_uint256(row[_I["condition"] : _I["condition"] + 4])
    return Market(
        instrument=row[_I["index"]],
        generation=row[_I["generation"]],
        venue=VENUES[row[_I["venue"]]],
        account=row[_I["account"]],
        event=row[_I["event"]],
        ticker=cells_to_text(row[_I["ticker"] : _I["ticker"] + 8]),
        exchange_index=row[_I["exchange_index"]],
        condition=f"0x{condition:064x}",
        token_yes=str(yes),
        token_no=str(no),
        feed=row[_I["feed"]],
        asset=row[_I["asset"]],
        is_live=bool(row[_I["live"]]),
        index_slot=row[_I["index_slot"]],
        spot_slot=row[_I["spot_slot"]],
        rule=row[_I["settlement_rule"]],
        cap_e8=row[_I["cap_e8"]],
    )


class PairRow(NamedTuple):
    """What the last look needs of a PAIR. `legs`: instrument and generation of each market, in the
    order in which an intent has them; `barred`: a bit for each direction that is never opened.
    """

    number: int
    same: int
    approved: int
    barred: int
    legs: tuple[tuple[int, int], ...]


def pair_of(row: list[int]) -> PairRow:
    """A PAIR body."""
    number, same, approved, barred = (row[_P[name]] for name in _PAIR)
    return PairRow(number, same, approved, barred, legs_of(row))


def legs_of(row: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Instrument and generation of each market of a PAIR body: one, two, or with `more` of a set
    three or four.
    """
    count = 1 if row[_P["b"]] == NO_INSTRUMENT else 2 + min(max(row[_P["more"]], 0), LEGS_MAX - 2)
    return tuple((row[_P[name]], row[_P[f"{name}_generation"]]) for name in "abcd"[:count])


def adopted(params: DeskParams, row: Sequence[int]) -> DeskParams:
    """`params` with what a PARAMETERS body says of the fields that both have. Raises ValueError as
    DeskParams does.
    """
    told = {name: row[place] for name, place in _SHARED.items()}
    return replace(params, **told | {"edge_min_e6": max(told["edge_min_e6"], 1)})


class Intake:
    """Bell and slots of the gateway. Intents are read from the tail at its start: the cursors stand
    in the desk's memory, where the last look moves them.
    """

    def __init__(self, segment: Segment, eventfd: int, memory: Memory | None = None) -> None:
        self.segment, self.eventfd = segment, eventfd
        words = self._words = segment.words
        names = ("intents", "control_ring")
        self._rings = np.array([segment.at(name) for name in names], np.int64)
        self._entries = np.array([segment.entries(name) for name in names], np.int64)
        self.memory = memory or Memory()
        self._cursors = self.memory.words[M_INTENTS : M_CONTROL + 1]
        self._cursors[:] = [ring_tail(words, at) for at in self._rings]
        self._bell = segment.at("bells", GATEWAY)
        self._quotes, self._had = segment.at("quotes"), segment.at("had")
        self._out = np.zeros(ENTRY, np.int64)
        self._body = np.zeros(BODY, np.int64)
        self.start = int(self._cursors[0])

    @property
    def run_id(self) -> int:
        """The run's id, from the header."""
        return int(word_load(self._words, self.segment.at("header") + cell(HEADER, "run_id")))

    def newest(self, params: DeskParams) -> DeskParams:
        """With what the newest reload says, also of one while this gateway was starting, which both
        its spec and its control cursor missed."""
        at = self.segment.at("parameters")
        if slot_load(self._words, at, self._body, BODY) <= 0 or self._body[_NUMBER] <= 1:
            return params  # the run has those it began with
        params = adopted(params, self._body.tolist())
        self.memory.adopt(params)
        return params

    @property
    def epoch(self) -> int:
        """The epoch granted to the gateway; 0: none."""
        first = self.segment.at("control") + cell(CONTROL, "live_epoch")
        return int(word_load(self._words, first + GATEWAY))

    def before(self) -> Iterator[list[int]]:
        """Bodies of the intents that were in the ring when we started and are still there, oldest
        first.
        """
        at, entries = int(self._rings[0]), int(self._entries[0])
        for place in range(max(self.start - entries // 2, 0), self.start):
            if ring_read(self._words, at, entries, place, self._out, BODY) == READ:
                yield self._out[LINE:].tolist()

    def spin(self) -> bool:
        """Look for up to 10 µs inside the kernel; then arm the bell and look once more. True:
        something is there.
        """
        found = rings_wait(
            self._words, self._rings, self._entries, self._cursors, 2, self._bell, SPIN_NS, 0
        )
        if found:
            return True
        bell_arm(self._words, self._bell)
        if rings_pending(self._words, self._rings, self._entries, self._cursors, 2):
            bell_disarm(self._words, self._bell)
            return True
        return False

    def awake(self) -> None:
        """After a wake: the bell need not ring while we work."""
        bell_disarm(self._words, self._bell)

    def quote(self, instrument: int) -> list[int] | None:
        """The cells of an instrument's quote slot, less what paper orders had of its levels; None:
        never written, or torn at every try.
        """
        if not 0 <= instrument < INSTRUMENTS_MAX:
            return None
        at = self._quotes + instrument * ENTRY
        if slot_load(self._words, at, self._body, BODY) <= 0:
            return None
        quote: list[int] = self._body.tolist()
        if slot_load(self._words, self._had + instrument * ENTRY, self._body, BODY) > 0:
            less_had(quote, self._body.tolist())
        return quote

    def alive(self, feed: int, now_ns: int, beat_max_ns: int) -> int:
        """Live epoch of a feed; 0: dead, or its heartbeat is late."""
        return int(feed_alive(self._words, feed, now_ns, beat_max_ns))

    def settlement_e6(self, instrument: int, generation: int) -> int | None:
        """What YES pays, once the market has settled. The quote may still be another market's that
        had the slot before."""
        quote = self.quote(instrument)
        if quote is None or quote[_GENERATION] != generation:
            return None
        if quote[_STATUS] != ST_SETTLED or not 0 <= quote[_VALUE] <= E6:
            return None
        return quote[_VALUE]

    def markets(self) -> list[Market]:
        """Every instrument row that is written."""
        return [market_of(row) for row in self._table("instruments", INSTRUMENTS_MAX)]

    def pairs(self) -> list[PairRow]:
        """Every pair row that is written."""
        return [pair_of(row) for row in self._table("pairs", PAIRS_MAX)]

    def _table(self, block: str, count: int) -> Iterator[list[int]]:
        for index in range(count):
            at = self.segment.at(block, index)
            if slot_load(self._words, at, self._body, BODY) > 0:
                yield self._body.tolist()
