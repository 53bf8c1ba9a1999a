"""The state of a run as the segment shows it: processes, trust by feed, positions, histograms.
Reads only.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ops.identity import Identity
from ops.process import counters_at, histogram_at
from ops.tally import Hedge
from ops.trading import TEXT
from shm_layout import (
    COUNTERS,
    DETECTOR,
    ENTRY,
    FEED_ROLE,
    GATE,
    GATEWAY,
    HISTOGRAM_CELLS,
    HISTOGRAMS,
    LINE,
    LIVE_EPOCH_AT,
    NO_INSTRUMENT,
    PAIR,
    QUOTE,
    REASONS,
    ROLE,
    SIGNER,
    SPOT,
    ST_ACTIVE,
    ST_UNKNOWN,
    VENUES,
    Segment,
    cell,
    kind_of_role,
    percentile,
    word_load,
)

_RECORD = {"quotes": QUOTE, "spot": SPOT}


def hedge_of(pair: np.void) -> Hedge:
    """A row of the pairs as what is held is matched by it."""
    legs = tuple(int(pair[name]) for name in "abcd"[: 2 + int(pair["more"])])
    return Hedge(legs, bool(pair["same"]), int(pair["barred"]), bool(pair["needs_terms"]))


@dataclass(frozen=True, slots=True)
class FeedState:
    """How far one feed may be traded on. `trusted` of `total` instruments (spot products, where it
    has no instrument), beside `resting` ones of markets that its venue says are not open.
    """

    trusted: int
    total: int
    resting: int
    is_live: bool
    is_optional: bool = False  # nobody waits for it

    @property
    def is_trusted(self) -> bool:
        """Something of it may be traded on."""
        return self.is_live and self.trusted > 0


class Watch:
    """Reads of one segment."""

    def __init__(self, segment: Segment, identity: Identity) -> None:
        self.segment = segment
        self._gate_told = ""
        self.renew(identity)

    def renew(self, identity: Identity) -> None:
        """The tables are others now."""
        self.identity = identity
        views = [body.view(PAIR)[0] for body in identity.pairs]
        self._slots = {
            (feed, "quotes"): self._places("quotes", instruments)
            for feed, instruments in identity.instruments_of.items()
        }
        self._slots |= {
            (VENUES.index(name), "spot"): self._places("spot", tuple(products.values()))
            for name, products in identity.products.items()
        }
        self.pairs = [  # what nobody approved is not sure
            hedge_of(pair) for pair in views if pair["b"] != NO_INSTRUMENT and pair["approved"]
        ]

    def role(self, role: int, name: str) -> int:
        """One cell of a role's row."""
        at = self.segment.at("roles", role) + cell(ROLE, name)
        return int(word_load(self.segment.words, at))

    def counter(self, role: int, name: str) -> int:
        """A role's counter by name; 0 where that kind of role has none of it."""
        names = COUNTERS.get(kind_of_role(role), ())
        if name not in names:
            return 0
        at = counters_at(self.segment, role) + names.index(name)
        return int(word_load(self.segment.words, at))

    def is_blocked(self, role: int) -> bool:
        """A feed whose venue refuses it for good."""
        return self.counter(role, "blocked") > 0 and not self.role(role, "connected")

    def gate(self, name: str) -> int:
        """One cell of the gateway's gate."""
        return int(word_load(self.segment.words, self.segment.at("gate") + cell(GATE, name)))

    def gate_text(self) -> str:
        """The gateway's own trading state, as people read it."""
        return f"{TEXT[self.gate('state')]} ({REASONS[self.gate('reason')]})"

    def gate_news(self) -> list[str]:
        """What the gateway made of its trading state since the last look, once it was ACTIVE: it
        halts by itself, and nobody else tells."""
        found, before = self.gate_text(), self._gate_told
        if found == before or not (before or found.startswith("ACTIVE")):
            return []
        self._gate_told = found
        return [f"gateway: trading state {found}"] if before else []

    def feed_index(self, name: str) -> int:
        """Number of a feed by its venue's name."""
        return VENUES.index(name)

    def live_epoch(self, role: int) -> int:
        """The epoch granted to the process in that row; 0: none lives."""
        return int(word_load(self.segment.words, LIVE_EPOCH_AT + role))

    def feeds(self) -> dict[str, FeedState]:
        """Every feed this run has data for."""
        found = {VENUES[feed]: self._feed(feed, "quotes") for feed in self.identity.instruments_of}
        for name in self.identity.products:
            found[name] = self._feed(VENUES.index(name), "spot")
        return found

    def needed(self) -> dict[str, FeedState]:
        """Those that a run waits for."""
        return {name: feed for name, feed in self.feeds().items() if not feed.is_optional}

    def _places(self, block: str, slots: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """First cell of the body of each slot."""
        return self.segment.at(block) + LINE + ENTRY * np.array(slots, np.int64)

    def _feed(self, feed: int, block: str) -> FeedState:
        """Epoch and trust of thousands of quotes are looked at many times a second while a run
        starts, so each word is read once, not its slot: they may be of two moments, which a
        count of what is trusted survives."""
        epoch = self.live_epoch(FEED_ROLE + feed)
        at, words, record = self._slots[feed, block], self.segment.words, _RECORD[block]
        of_epoch = words[at + cell(record, "epoch")] == epoch
        trusted = int(np.count_nonzero(of_epoch & (words[at + cell(record, "trust")] == 0)))
        resting = 0
        if block == "quotes":
            status = words[at + cell(QUOTE, "status")]
            is_shut = (status != ST_UNKNOWN) & (status != ST_ACTIVE)
            resting = int(np.count_nonzero(of_epoch & is_shut))
        return FeedState(
            trusted=trusted if epoch else 0,
            total=len(at) - resting,
            resting=resting,
            is_live=epoch != 0,
            is_optional=VENUES[feed] in self.identity.optional,
        )

    def trusted_ratio(self, feed: int) -> float | None:
        """Trusted instrument-seconds over all; None before the first."""
        whole = self.counter(FEED_ROLE + feed, "instrument_ns")
        return self.counter(FEED_ROLE + feed, "trusted_ns") / whole if whole else None

    def histogram(self, role: int, name: str) -> dict[str, int | None]:
        """Percentiles of one of a role's histograms, ns."""
        names = HISTOGRAMS.get(kind_of_role(role), ())
        at = histogram_at(role, names.index(name))
        words = self.segment.words
        cells = np.fromiter(
            (word_load(words, at + i) for i in range(HISTOGRAM_CELLS)), np.int64, HISTOGRAM_CELLS
        )
        read = functools.partial(percentile, cells, 0)
        most = int(cells[3]) if cells[0] else None
        return {
            "count": int(cells[0]),
            "p50": read(500),
            "p99": read(990),
            "p999": read(999),
            "max": most,
        }

    def stages(self, feeds: Mapping[str, FeedState]) -> dict[str, dict[str, int | None]]:
        """Every histogram with something in it, by role and name."""
        roles = {name: FEED_ROLE + VENUES.index(name) for name in feeds}
        roles |= {"detector": DETECTOR, "gateway": GATEWAY, "signer": SIGNER}
        found: dict[str, dict[str, int | None]] = {}
        for title, role in roles.items():
            for name in HISTOGRAMS.get(kind_of_role(role), ()):
                figures = self.histogram(role, name)
                if figures["count"]:
                    found[f"{title}.{name}"] = figures
        return found

    def held(self) -> dict[int, np.void]:
        """The gateway's row of every instrument in which something is held, by number."""
        count = len(self.identity.instruments)
        rows = ((i, self.segment.read("positions", i)) for i in range(count))
        return {i: row for i, row in rows if row is not None and (row["yes_e6"] or row["no_e6"])}

    def cash(self) -> dict[int, Any]:
        """The gateway's row of every account it has written."""
        rows = ((a.index, self.segment.read("cash", a.index)) for a in self.identity.accounts)
        return {index: row for index, row in rows if row is not None}
