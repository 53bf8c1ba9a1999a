"""The live segment as plain values for people and programs: read-only, and it outlives any engine.

`Inspector.look()` attaches when a segment of that name is there, sees when it is replaced or gone,
and decodes everything into one `View`. It maps the segment without write access and takes no lock:
nothing it does can be felt by the engine. A slot that is torn at every try keeps its last value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

import shm_layout as shm
from ops.had import less
from ops.inspector_fair import Fair, fair_of
from ops.inspector_pairs import Pair, pair_of
from ops.inspector_strategies import strategies_of
from ops.inspector_view import Cash, Latency, Order, Position, Process, Quote, View
from ops.inspector_why import first_unfit
from ops.paper_rows import paper_rows
from ops.worth import held_worth_e6

SHM = Path("/dev/shm")
STATE = {shm.HALTED: "HALTED", shm.REDUCING: "REDUCING", shm.ACTIVE: "ACTIVE"}
MODES = ("sim", "paper", "live")
LATE_NS = 250_000_000  # a heartbeat older than this is no heartbeat (DESIGN section 1)


class Absent(Exception):
    """No engine of that name runs; the text says what was looked for."""


def clean(text: str) -> str:
    """Venue text made harmless for a terminal: what is not printable (escape codes, control and
    direction characters) becomes a middle dot."""
    return "".join(c if c.isprintable() else "·" for c in text)


def _name_in(cells: shm.Words) -> str:
    """A name of a market, made harmless. Thousands of them are asked for again with every look."""
    return _made_harmless(cells.tobytes())


@lru_cache(maxsize=4 * shm.INSTRUMENTS_MAX)
def _made_harmless(raw: bytes) -> str:
    return clean(shm.cells_to_text(np.frombuffer(raw, np.int64)))


class Inspector:
    """Looks at /dev/shm/`name` again and again; `clock` is CLOCK_MONOTONIC."""

    def __init__(self, name: str, clock: Callable[[], int]) -> None:
        self.name = name
        self._clock = clock
        self._segment: shm.Segment | None = None
        self._file = (0, 0)
        self._held: dict[str, dict[int, tuple[int, np.void]]] = {}  # block: index: sequence, row

    def look(self) -> View:
        """The engine now. Raises Absent if none runs, LayoutError if what is there is not ours."""
        segment = self._attached()
        now_ns = self._clock()
        header = segment.table("header")[0]
        identities = dict(self._rows("instruments", shm.INSTRUMENTS_MAX))
        words = segment.words
        began_ns = int(segment.table("roles")[shm.SUPERVISOR]["started_ns"])
        control, gate = segment.table("control")[0], segment.table("gate")[0]
        state = int(shm.state_of(words))
        quotes, bodies = self._quotes(identities, now_ns)
        mode = int(header["mode"])
        return View(
            name=self.name,
            at_ns=now_ns,
            run_id=int(header["run_id"]),
            mode=MODES[mode] if 0 <= mode < len(MODES) else str(mode),
            seconds=(now_ns - began_ns) / 1e9 if began_ns else 0.0,
            run_epoch_ns=int(shm.run_epoch_ns(words, now_ns)),
            state=STATE.get(state, "KILLED"),
            supervisor_state=STATE.get(int(control["trading_state"]), "?"),
            gate=STATE.get(int(gate["state"]), "?"),
            kill=int(segment.table("kill")[0]["word"]),
            quotes=quotes,
            pairs=self._pairs(identities, bodies, quotes, now_ns),
            fairs=self._fairs(identities, bodies, now_ns),
            strategies=strategies_of(segment, now_ns),
            processes=self._processes(now_ns),
            orders=self._orders(identities, now_ns),
            positions=self._positions(identities, now_ns),
            cash=self._cash(),
            latencies=self._latencies(),
            paper=paper_rows(segment) if MODES[mode : mode + 1] == ("paper",) else None,
        )

    def _attached(self) -> shm.Segment:
        try:
            found = (SHM / self.name).stat()
        except (FileNotFoundError, ValueError) as error:
            self._segment = None
            raise Absent(f"no engine named {self.name!r} is running") from error
        file = (found.st_dev, found.st_ino)
        if self._segment is None or file != self._file:
            self._segment, self._held = None, {}
            self._segment, self._file = shm.Segment.attach(self.name), file
        return self._segment

    def _rows(self, block: str, count: int) -> Iterator[tuple[int, np.void]]:
        """The written slots of a block; a busy one as it was last seen. Only those that were
        written since the last look are read."""
        segment, held = self._segment, self._held.setdefault(block, {})
        assert segment is not None
        first, cells = segment.at(block), segment.layout.blocks[block].cells_each
        sequences = segment.words[first : first + count * cells : cells].tolist()
        for index, sequence in enumerate(sequences):
            seen, row = held.get(index, (0, None))
            if sequence != seen and (found := segment.read(block, index)) is not None:
                row = found
                held[index] = sequence, row
            if row is not None:
                yield index, row

    def _label(self, identities: dict[int, np.void], index: int) -> tuple[str, str]:
        """(venue, ticker) of an instrument, or its number if nobody has said who it is."""
        row = identities.get(index)
        if row is None:
            return "?", f"#{index}"
        return venue_of(int(row["venue"])), _name_in(row["ticker"])

    def _quotes(
        self, identities: dict[int, np.void], now_ns: int
    ) -> tuple[tuple[Quote, ...], dict[int, np.void]]:
        assert self._segment is not None
        bodies = dict(self._rows("quotes", shm.INSTRUMENTS_MAX))
        for index, had in self._rows("had", shm.INSTRUMENTS_MAX):
            if index in bodies:
                bodies[index] = less(bodies[index], had)
        alive = [
            int(shm.feed_alive(self._segment.words, feed, now_ns, LATE_NS))
            for feed in range(shm.FEEDS_MAX)
        ]
        quotes = [
            _quote(index, row, bodies.get(index), alive, now_ns)
            for index, row in identities.items()
            if row["live"]
        ]
        return tuple(quotes), bodies

    def _fairs(
        self, identities: dict[int, np.void], bodies: dict[int, np.void], now_ns: int
    ) -> tuple[Fair, ...]:
        assert self._segment is not None
        run_ns = int(shm.run_epoch_ns(self._segment.words, now_ns))
        terms = dict(self._rows("market_terms", shm.INSTRUMENTS_MAX))
        return tuple(
            fair_of(
                row, self._label(identities, index), terms.get(index), bodies.get(index), now_ns,
                run_ns,
            )
            for index, row in identities.items()
            if row["live"] and row["settlement_rule"]
        )

    def _pairs(
        self,
        identities: dict[int, np.void],
        bodies: dict[int, np.void],
        quotes: tuple[Quote, ...],
        now_ns: int,
    ) -> tuple[Pair, ...]:
        assert self._segment is not None
        trusts = {quote.index: quote.trust for quote in quotes}
        for index, row in self._rows("positions", shm.INSTRUMENTS_MAX):
            if row["blocked"] and _is_of(identities, index, row["generation"]):
                trusts[index] = (*trusts.get(index, ()), "blocked until resume")
        run_ns = int(shm.run_epoch_ns(self._segment.words, now_ns))
        parameters = dict(self._rows("parameters", 1)).get(0)
        terms = dict(self._rows("terms", shm.PAIRS_MAX))
        paying = self._segment.table("refusals")["pays"]
        return tuple(
            pair_of(
                row,
                paying=int(paying[index]),
                labels=[self._label(identities, int(row[leg])) for leg in _legs(row)],
                quotes=[bodies.get(int(row[leg])) for leg in _legs(row)],
                parameters=parameters,
                terms=terms.get(index),
                now_ns=now_ns,
                run_epoch_ns=run_ns,
                unfit=first_unfit(
                    (identities.get(at), bodies.get(at), trusts.get(at, ()), run_ns)
                    for at in (int(row[leg]) for leg in _legs(row))
                ),
            )
            for index, row in self._rows("pairs", shm.PAIRS_MAX)
            if row["b"] != shm.NO_INSTRUMENT  # of one market the fair values tell
            and all(
                _is_of(identities, int(row[leg]), row[f"{leg}_generation"]) for leg in _legs(row)
            )
        )

    def _processes(self, now_ns: int) -> tuple[Process, ...]:
        assert self._segment is not None
        table = self._segment.table("roles")
        live = self._segment.table("control")[0]["live_epoch"]
        return tuple(
            _process(role, table[role], int(live[role]), now_ns)
            for role in range(shm.ROLES_MAX)
            if table[role]["pid"]
        )

    def _orders(self, identities: dict[int, np.void], now_ns: int) -> tuple[Order, ...]:
        orders = []
        for _, row in self._rows("orders", shm.ORDERS_MAX):
            venue, ticker = self._label(identities, int(row["instrument"]))
            sent_ns, ack_ns = int(row["send_ns"]), int(row["ack_ns"])
            stamp_ns = int(row["report_ns"])
            orders.append(
                Order(
                    intent=int(row["intent"]),
                    leg=int(row["leg"]),
                    venue=venue,
                    ticker=ticker,
                    side="BUY" if row["side"] == shm.BUY else "SELL",
                    limit_e6=int(row["limit_e6"]),
                    asked_e6=int(row["asked_e6"]),
                    filled_e6=int(row["filled_e6"]),
                    fee_e6=int(row["fee_e6"]),
                    placed=_name(shm.PLACED, int(row["placed"])),
                    settled=_name(shm.SETTLED_AXIS, int(row["settled"])),
                    reason=_name(shm.REASONS, int(row["reason"])),
                    send_to_ack_ns=ack_ns - sent_ns if ack_ns > sent_ns > 0 else None,
                    age_ns=now_ns - stamp_ns,
                    stamp_ns=stamp_ns,
                )
            )
        return tuple(sorted(orders, key=lambda order: -order.stamp_ns))

    def _positions(self, identities: dict[int, np.void], now_ns: int) -> tuple[Position, ...]:
        held, segment = [], self._segment
        assert segment is not None
        for index, row in self._rows("positions", shm.INSTRUMENTS_MAX):
            venue, ticker = self._label(identities, index)
            money = {
                name: int(row[name]) for name in ("position_e6", "cost_e6", "fees_e6", "unknown_e6")
            }
            if any(money.values()) and _is_of(identities, index, row["generation"]):
                worth_e6 = None
                if size_e6 := money["position_e6"]:
                    generation = int(row["generation"])
                    worth_e6 = held_worth_e6(segment, index, generation, size_e6, now_ns)
                held.append(
                    Position(index=index, venue=venue, ticker=ticker, worth_e6=worth_e6, **money)
                )
        return tuple(held)

    def _cash(self) -> tuple[Cash, ...]:
        return tuple(
            Cash(
                account=index,
                venue=venue_of(int(row["venue"])),
                cash_e6=int(row["cash_e6"]),
                reserved_e6=int(row["reserved_e6"]),
                start_e6=int(row["start_e6"]),
            )
            for index, row in self._rows("cash", shm.ACCOUNTS_MAX)
        )

    def _latencies(self) -> tuple[Latency, ...]:
        segment, found = self._segment, []
        assert segment is not None
        table = segment.table("roles")
        for role in range(shm.ROLES_MAX):
            process = _process_name(role, table[role])
            for place, name in enumerate(shm.HISTOGRAMS.get(shm.kind_of_role(role), ())):
                at = segment.at("histograms", role * shm.HISTOGRAMS_MAX + place)
                shares = [shm.percentile(segment.words, at, q) for q in (500, 990, 999, 1000)]
                p50, p99, p999, most = shares
                if p50 is None or p99 is None or p999 is None or most is None:
                    continue
                count = int(shm.word_load(segment.words, at))
                found.append(
                    Latency(process=process, name=name, count=count, p50_ns=p50, p99_ns=p99,
                            p999_ns=p999, max_ns=most)
                )  # fmt: skip
        return tuple(found)


def venue_of(number: int) -> str:
    """A venue's name, or its number if this build does not know it."""
    return _name(shm.VENUES, number)


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


def _legs(row: np.void) -> str:
    """The fields that name the markets of a pair or a set."""
    return "abcd"[: 2 + int(row["more"])]


def _is_of(identities: dict[int, np.void], index: int, generation: int) -> bool:
    """Whether a record of that generation speaks of the market whose number it is now. Where nobody
    has said who it is: yes."""
    row = identities.get(index)
    return row is None or bool(row["generation"] == generation)


def _quote(
    index: int, identity: np.void, body: np.void | None, alive: list[int], now_ns: int
) -> Quote:
    """The touch with every reason not to trade on it: the feed's own and the reader's."""
    why: list[str] = []
    bid, ask, sizes = None, None, (0, 0)
    age_ns, number, status = None, 0, "unknown"
    if body is None or body["generation"] != identity["generation"]:
        why.append("no quote")
    else:
        bid, ask = int(body["bids"][0]), int(body["asks"][0])
        sizes = int(body["bids"][1]), int(body["asks"][1])
        age_ns, number = now_ns - int(body["publish_ns"]), int(body["number"])
        status = _name(shm.MARKET_STATUS, int(body["status"]))
        trust = int(body["trust"])
        why += [name for i, name in enumerate(shm.TRUST) if trust >> i & 1]
        feed = int(identity["feed"])
        live = alive[feed] if 0 <= feed < len(alive) else 0
        if live == 0:
            why.append("feed dead")
        elif live != int(body["epoch"]):
            why.append("old epoch")
    return Quote(
        index=index,
        venue=venue_of(int(identity["venue"])),
        ticker=_name_in(identity["ticker"]),
        title=_name_in(identity["title"]),
        bid_e6=None if bid is None or bid == shm.NO_BID_E6 else bid,
        bid_size_e6=sizes[0],
        ask_e6=None if ask is None or ask == shm.NO_ASK_E6 else ask,
        ask_size_e6=sizes[1],
        age_ns=age_ns,
        number=number,
        status=status,
        trust=tuple(why),
    )


def _process_name(role: int, row: np.void) -> str:
    return clean(shm.cells_to_text(row["name"])) or (
        f"feed {role - shm.FEED_ROLE}" if role >= shm.FEED_ROLE else shm.ROLES[role]
    )


def _process(role: int, row: np.void, live_epoch: int, now_ns: int) -> Process:
    beat_ns = int(row["beat_ns"])
    age_ns = max(now_ns - beat_ns, 0) if beat_ns else None  # it may beat while we look
    has_epoch = role not in (shm.SUPERVISOR, shm.NURSERY)  # these two are granted none
    if has_epoch and live_epoch == 0:
        health = "dead"
    elif has_epoch and row["ready_ns"] == 0:
        health = "starting"
    else:
        health = "ok" if age_ns is None or age_ns <= LATE_NS else "late"
    names = shm.COUNTERS.get(shm.kind_of_role(role), ())
    counters = {name: int(row["counters"][i]) for i, name in enumerate(names)}
    heard_ns = int(row["connected"])
    if health == "ok" and counters.get("blocked") and not row["connected"]:
        health = "blocked"
    return Process(
        role=role,
        name=_process_name(role, row),
        pid=int(row["pid"]),
        health=health,
        core=None if row["core"] < 0 else int(row["core"]),
        beat_age_ns=age_ns,
        worst_loop_ns=int(row["worst_loop_ns"]),
        loops=int(row["loops"]),
        restarts=int(row["restarts"]),
        is_connected=bool(row["connected"]),
        link_age_ns=max(now_ns - heard_ns, 0) if heard_ns > 1 else None,
        counters=counters,
    )
