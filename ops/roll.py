"""Windows come and go while a run goes on: what the catalog proposes becomes rows of the tables,
and what is settled, booked and named by nobody is forgotten.

The supervisor's part, for it alone writes those tables. A number (the slot of an instrument) stays
with its feed for good and is used again with the next generation; before that, no order and no
position names it. Two windows of one beginning that the registry pairs become a pair.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops import clock
from ops.identity import (
    Account,
    Identity,
    Row,
    Said,
    announce,
    bet_row,
    instrument_row,
    may_be_alone,
    pair_row,
)
from ops.proposal import ProposalError, Window, window_of
from ops.series import Pairing, Series, Table
from shm_layout import (
    INSTRUMENT,
    INSTRUMENTS_MAX,
    K_INSTRUMENT,
    K_PAIR,
    NO_INSTRUMENT,
    PAIR,
    PAIRS_MAX,
    ST_SETTLED,
    VENUES,
    Segment,
    cells_to_text,
    run_epoch_ns,
)

if TYPE_CHECKING:
    from ops.supervisor import Supervisor

LOOK_NS = clock.SECOND_NS // 4  # between looks at what has settled
REST_NS = 300 * clock.SECOND_NS  # run time settled and named by nobody: trades are final by then
SPARE = 96  # more instruments than at the start, of each feed: FeedParams.spare
_HELD = ("position_e6", "unknown_e6", "open_e6", "yes_e6", "no_e6", "lone_e6", "redeem_e6")


@dataclass(slots=True)
class Live:
    """A window that is followed. `free_ns`: run time since which nobody names it, 0: somebody
    does. `is_overdue`: it should have settled, and has not."""

    window: Window
    series: Series
    index: int
    free_ns: int = 0
    is_overdue: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.series.venue} {self.window.ticker}"


@dataclass(slots=True)
class Counts:
    """Since the start."""

    listed: int = 0
    forgotten: int = 0
    reused: int = 0
    refused: int = 0


class Roll:
    """Of one run. `tell` gets the tables as they are now; `note` a line for people."""

    def __init__(
        self,
        segment: Segment,
        identity: Identity,
        table: Table,
        *,
        rest_ns: int = REST_NS,
        is_forced: bool = False,
        tell: Callable[[Identity], None],
        note: Callable[[str], None],
    ) -> None:
        self._segment, self._table, self._rest_ns = segment, table, rest_ns
        self._is_forced, self._tell, self._note = is_forced, tell, note
        self._rows: list[Row] = list(identity.instruments)
        self._pairs: list[Row] = list(identity.pairs)
        self._said: list[Said] = list(identity.said)
        self.identity = identity
        self.live: dict[tuple[str, str], Live] = {}  # by venue and ticker
        self._known = {_name(row): int(row.view(INSTRUMENT)[0]["index"]) for row in self._rows}
        self._places = dict.fromkeys(identity.instruments_of, SPARE)  # that no number has yet
        self._free: dict[int, deque[int]] = {feed: deque() for feed in self._places}
        self._free_pairs: deque[int] = deque()
        # both numbers -> the pair's; of those the run began with, what may be traded alone
        self._pair_of: dict[tuple[int, int], int] = {
            (int(p["a"]), NO_INSTRUMENT): int(p["index"])
            for p in (body.view(PAIR)[0] for body in identity.pairs)
            if p["b"] == NO_INSTRUMENT
        }
        self._looked_ns = 0
        self.counts = Counts()

    # ---- what comes

    def propose(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """A proposal of the catalog: `instrument` and `generation`, or `error` with one line."""
        try:
            window, series = window_of(told, self._table)
            live = self._take(window, series)
        except ProposalError as error:
            self.counts.refused += 1
            return {"error": str(error)}
        generation = int(self._rows[live.index].view(INSTRUMENT)[0]["generation"])
        return {"instrument": live.index, "generation": generation}

    def _take(self, window: Window, series: Series) -> Live:
        found = self.live.get((series.venue, window.ticker))
        if found is not None and found.window.open_s == window.open_s:
            return found
        if found is not None:
            other = f"also that of the window of {found.window.open_s}"
            raise ProposalError(f"proposal: ticker: found {window.ticker!r}, {other}")
        account = self._account(window, series)
        feed = VENUES.index(series.venue)
        if feed not in self._places:
            raise ProposalError(f"proposal: {window.ticker}: no feed of {series.venue} is running")
        index, generation = self._number(window, series, feed)
        event = self._event(window, series)
        asset = self._asset(series)
        spec = window.spec(series)
        row = instrument_row(
            index, spec, event, asset, (account,), self.identity.products, generation=generation
        )
        if index == len(self._rows):
            self._rows.append(row)
        self._rows[index] = row
        live = Live(window, series, index)
        self.live[series.venue, window.ticker] = live
        self.counts.listed += 1
        self._publish("instruments", K_INSTRUMENT, index, row)
        for pairing in self._table.pairings:
            self._join(pairing, live)
        if self.identity.has_bets and may_be_alone(row):
            self._leave_alone(live)
        self._changed()
        return live

    def _account(self, window: Window, series: Series) -> Account:
        place = VENUES.index(series.venue), window.exchange_index
        for account in self.identity.accounts:
            if (account.venue, account.exchange_index) == place:
                return account
        found = f"found {window.exchange_index}"
        raise ProposalError(f"proposal: exchange_index: {found}, wanted an account of ours")

    def _number(self, window: Window, series: Series, feed: int) -> tuple[int, int]:
        """The number of the window and its generation. One that the run began with keeps both."""
        known = self._known.get((series.venue, window.ticker))
        if known is not None:
            return known, int(self._rows[known].view(INSTRUMENT)[0]["generation"])
        if self._free[feed]:
            index = self._free[feed].popleft()
            self.counts.reused += 1
            return index, int(self._rows[index].view(INSTRUMENT)[0]["generation"]) + 1
        if self._places[feed] == 0 or len(self._rows) >= INSTRUMENTS_MAX:
            raise ProposalError(f"proposal: {window.ticker}: no number is left")
        self._places[feed] -= 1
        return len(self._rows), 1

    def _event(self, window: Window, series: Series) -> int:
        """Windows of one asset, length and beginning are one event, on whichever venue."""
        for other in self.live.values():
            is_same = (other.series.asset, other.series.interval, other.window.open_s) == (
                series.asset, series.interval, window.open_s
            )  # fmt: skip
            if is_same:
                return int(self._rows[other.index].view(INSTRUMENT)[0]["event"])
        taken = {int(r["event"]) for r in map(_view, self._rows) if r["live"]}
        return next(number for number in range(len(taken) + 1) if number not in taken)

    def _asset(self, series: Series) -> int:
        known = self.identity.assets.get(series.asset)
        if known is None:
            known = max(int(_view(row)["asset"]) for row in self._rows) + 1
            assets = {**self.identity.assets, series.asset: known}
            self.identity = dataclasses.replace(self.identity, assets=assets)
        return known

    def _join(self, pairing: Pairing, live: Live) -> None:
        """The pair of this window and the other venue's of the same beginning, if it is there."""
        if live.series not in (pairing.a, pairing.b):
            return
        series = pairing.b if live.series == pairing.a else pairing.a
        other = next(
            (one for one in self.live.values()
             if one.series == series and one.window.open_s == live.window.open_s), None,
        )  # fmt: skip
        if other is None:
            return
        a, b = (live, other) if live.series == pairing.a else (other, live)
        index, generation = self._pair_number()
        if index >= PAIRS_MAX:
            self._note(f"{a.window.ticker} and {b.window.ticker} are no pair: no number is left")
            return
        body = pair_row(
            index, self._rows[a.index], self._rows[b.index], generation=generation,
            is_approved=pairing.is_approved or self._is_forced,
            waits=False if self._is_forced else pairing.has_dead_zone or None,
        )  # fmt: skip
        said = Said(a.name, b.name, pairing.is_approved or self._is_forced, ())
        self._put_pair((a.index, b.index), body, said)

    def _leave_alone(self, live: Live) -> None:
        """The model may trade this window alone."""
        if (live.index, NO_INSTRUMENT) in self._pair_of:
            return
        index, generation = self._pair_number()
        if index >= PAIRS_MAX:
            self._note(f"{live.window.ticker} is not bet on: no number is left")
            return
        body = bet_row(index, self._rows[live.index], generation=generation)
        said = Said(live.name, "", True, ())
        self._put_pair((live.index, NO_INSTRUMENT), body, said)

    def _pair_number(self) -> tuple[int, int]:
        """The number of the next pair and its generation; PAIRS_MAX: none is left."""
        if not self._free_pairs:
            return len(self._pairs), 1
        index = self._free_pairs.popleft()
        return index, int(self._pairs[index].view(PAIR)[0]["generation"]) + 1

    def _put_pair(self, legs: tuple[int, int], body: Row, said: Said) -> None:
        index = int(body.view(PAIR)[0]["index"])
        if index == len(self._pairs):
            self._pairs.append(body)
            self._said.append(said)
        self._pairs[index], self._said[index] = body, said
        self._pair_of[legs] = index
        self._publish("pairs", K_PAIR, index, body)

    # ---- what goes

    def turn(self, now_ns: int) -> None:
        """Forget what is over. Call it often; it looks a few times a second."""
        if now_ns - self._looked_ns < LOOK_NS or not self.live:
            return
        self._looked_ns = now_ns
        run_ns = int(run_epoch_ns(self._segment.words, now_ns))
        for live in self.live.values():
            self._look_overdue(live, run_ns)
        over = [live for live in self.live.values() if self._is_over(live, run_ns)]
        for live in over:
            self._forget(live)
        if over:
            self._changed()

    def _is_over(self, live: Live, run_ns: int) -> bool:
        if not self._is_settled(live) or self._is_named(live):
            live.free_ns = 0
            return False
        live.free_ns = live.free_ns or run_ns
        return run_ns - live.free_ns >= self._rest_ns

    def _look_overdue(self, live: Live, run_ns: int) -> None:
        """It is said once, and `status` goes on saying it: what is held of it stays exposure."""
        late_s = run_ns // clock.SECOND_NS - live.window.close_s
        was_overdue = live.is_overdue
        live.is_overdue = late_s > live.series.settles_s and not self._is_settled(live)
        if live.is_overdue and not was_overdue:
            self._note(f"{live.name} closed {late_s} s ago and has not settled")

    def told(self) -> dict[str, Any]:
        """For `status`: counts since the start, and the windows that should have settled with what
        is held of each, in YES terms."""
        rows = []
        for live in self.live.values():
            if live.is_overdue:
                row = self._segment.read("positions", live.index)
                generation = _view(self._rows[live.index])["generation"]
                is_its = row is not None and row["generation"] == generation
                rows.append({
                    "venue": live.series.venue, "market": live.window.ticker,
                    "close_s": live.window.close_s,
                    "position_e6": int(row["position_e6"]) if row is not None and is_its else 0,
                })  # fmt: skip
        return {"followed": len(self.live), **dataclasses.asdict(self.counts), "overdue": rows}

    def _is_settled(self, live: Live) -> bool:
        quote = self._segment.read("quotes", live.index)
        generation = _view(self._rows[live.index])["generation"]
        if quote is None or quote["generation"] != generation:
            return False
        return bool(quote["status"] == ST_SETTLED and quote["settlement_e6"] >= 0)

    def _is_named(self, live: Live) -> bool:
        """A position, or an order of it that is under way. What cannot be read is named."""
        row = self._segment.read("positions", live.index)
        if row is None:  # never written, or just being
            at = self._segment.at("positions", live.index)
            return bool(self._segment.words[at])
        is_its = row["generation"] == _view(self._rows[live.index])["generation"]
        return bool(is_its and any(row[name] for name in _HELD))

    def _forget(self, live: Live) -> None:
        """Its pairs first: nobody looks at them without their legs."""
        for legs, index in list(self._pair_of.items()):
            if live.index in legs:
                body = self._pairs[index].copy()
                body.view(PAIR)[0]["approved"] = 0
                self._pairs[index] = body
                self._publish("pairs", K_PAIR, index, body)
                self._free_pairs.append(index)
                del self._pair_of[legs]
        row = self._rows[live.index].copy()
        row.view(INSTRUMENT)[0]["live"] = 0
        self._rows[live.index] = row
        self._publish("instruments", K_INSTRUMENT, live.index, row)
        name = live.series.venue, live.window.ticker
        del self.live[name]
        self._known.pop(name, None)
        self._free[VENUES.index(live.series.venue)].append(live.index)
        self.counts.forgotten += 1

    # ---- the tables

    def _publish(self, block: str, kind: int, index: int, body: Row) -> None:
        """The slot, then the ring: who reads the ring finds the slot."""
        self._segment.write(block, index, body)
        announce(self._segment, kind, body)

    def _changed(self) -> None:
        feeds: dict[int, tuple[int, ...]] = {}
        for row in map(_view, self._rows):
            feed = int(row["feed"])
            feeds[feed] = (*feeds.get(feed, ()), int(row["index"]))
        self.identity = dataclasses.replace(
            self.identity, instruments=tuple(self._rows), pairs=tuple(self._pairs),
            instruments_of=feeds, said=tuple(self._said),
        )  # fmt: skip
        self._tell(self.identity)


def _view(row: Row) -> Any:
    return row.view(INSTRUMENT)[0]


def _name(row: Row) -> tuple[str, str]:
    found = _view(row)
    return VENUES[int(found["venue"])], cells_to_text(found["ticker"].tolist())


def roll_of(run: Supervisor) -> Roll:
    """Of a run whose session names the series it follows (none: every proposal is refused)."""

    def tell(identity: Identity) -> None:
        run.session.identity = identity
        run.watch.renew(identity)

    identity = run.session.identity
    return Roll(
        run.ground.segment, identity, identity.series,
        is_forced=run.request.force_approve, tell=tell, note=run.note,
    )  # fmt: skip
