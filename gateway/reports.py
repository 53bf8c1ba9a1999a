"""What the gateway tells the others: report entries, the order, position and cash slots, its gate
word and counts.

The only writer of those blocks. Reports come before what they allow: a leg's report with the
resulting position and cash before the intent's terminal report, and `answered_through` only after
an intent's first report.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gateway.accounts import Accounts
from gateway.commands import End, Row, answer_cells
from gateway.holding import Position
from gateway.intent import Intent
from gateway.order import Order
from shm_layout import (
    ACTIVE,
    BODY,
    CASH,
    COUNTERS,
    DETECTOR,
    ENTRY,
    GATE,
    GATEWAY,
    HALTED,
    HISTOGRAMS,
    HISTOGRAMS_MAX,
    K_ACCOUNT,
    K_COMMAND,
    K_LEG,
    K_TERMINAL,
    LINE,
    ORDERS_MAX,
    POSITION,
    READ,
    REPORT,
    ROLE,
    VENUES,
    Segment,
    bell_ring,
    cell,
    histogram_add,
    ring_adopt,
    ring_append,
    ring_read,
    ring_tail,
    slot_store,
    text_to_cells,
    word_add,
    word_load,
    word_store,
)

_R = {name: cell(REPORT, name) for name in REPORT.names or ()}
_P = {name: cell(POSITION, name) for name in POSITION.names or ()}
_C = {name: cell(CASH, name) for name in CASH.names or ()}
_KEY_AT = _R["order_key"]
_R_PARENT, _R_PAIR, _R_DIRECTION, _R_FLAGS, _R_KIND, _R_TAKEN = (
    _R[n] for n in ("parent", "pair", "direction", "flags", "intent_kind", "taken_ns")
)
_R_DECIDE, _R_RECV, _R_PUBLISH, _R_EVENT, _R_REPORT = (
    _R[n] for n in ("decide_ns", "recv_ns", "publish_ns", "event_epoch_ns", "report_ns")
)
KEY_BYTES = 64


class Reports:
    """Everything the gateway publishes into the main segment."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._words = segment.words
        self._ring, self._entries = segment.at("reports"), segment.entries("reports")
        ring_adopt(self._words, self._ring, self._entries)
        # what a predecessor left, until the venues have said what is held: its slots stay till then
        self._before: dict[int, Position] | None = None
        self._bell = segment.at("bells", DETECTOR)
        self._gate = segment.at("gate")
        role = segment.at("roles", GATEWAY)
        self._counters = {
            name: role + cell(ROLE, "counters") + place
            for place, name in enumerate(COUNTERS["gateway"])
        }
        first = GATEWAY * HISTOGRAMS_MAX
        self._histograms = {
            name: segment.at("histograms", first + place)
            for place, name in enumerate(HISTOGRAMS["gateway"])
        }
        self._slots: dict[tuple[int, int], int] = {}
        self._orders = 0
        self._body = np.zeros(BODY, np.int64)

    # ---- counts

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter of the gateway's row."""
        word_add(self._words, self._counters[name], by)

    def counted(self, name: str) -> int:
        """A counter's value."""
        return int(word_load(self._words, self._counters[name]))

    def observe(self, name: str, duration_ns: int) -> None:
        """Add to a histogram; negative durations (a stamp is missing) are left out."""
        if duration_ns >= 0:
            histogram_add(self._words, self._histograms[name], duration_ns)

    # ---- gate

    def gate(self, state: int, why: int, now_ns: int) -> None:
        """Publish the gateway's own trading state."""
        assert HALTED <= state <= ACTIVE
        values = (("reason", why), ("since_ns", now_ns), ("state", state))
        for name, value in values:
            word_store(self._words, self._gate + cell(GATE, name), value)

    def gate_now(self) -> int:
        """The reason as it stands: a predecessor's, before our own first word. It is written before
        the state: who dies between the two has halted.
        """
        return int(word_load(self._words, self._gate + cell(GATE, "reason")))

    def reconciled(self, now_ns: int) -> None:
        """Both venues have answered what we hold."""
        word_store(self._words, self._gate + cell(GATE, "reconciled_ns"), now_ns)

    def health(self, circuits: int, backoffs: int) -> None:
        """A bit for each venue: opening orders are refused; reads back off."""
        for name, value in (("circuits", circuits), ("backoffs", backoffs)):
            word_store(self._words, self._gate + cell(GATE, name), value)

    def looked(self, now_ns: int) -> None:
        """The venues' figures are ours, as far as they can be compared."""
        word_store(self._words, self._gate + cell(GATE, "looked_ns"), now_ns)

    def answered(self, intent: int) -> None:
        """`answered_through`: an intent up to this one without a report was not sent."""
        word_store(self._words, self._gate + cell(GATE, "answered_through"), intent)

    def answered_through(self) -> int:
        """What a predecessor left; 0 at first."""
        return int(word_load(self._words, self._gate + cell(GATE, "answered_through")))

    # ---- reports

    def ended_ids(self) -> set[int]:
        """Intents whose last word is still in the ring."""
        tail, found = int(ring_tail(self._words, self._ring)), set()
        out = np.zeros(ENTRY, np.int64)
        for place in range(max(tail - self._entries, 0), tail):
            got = ring_read(self._words, self._ring, self._entries, place, out, BODY)
            if got == READ and out[LINE + _R["kind"]] == K_TERMINAL:
                found.add(int(out[LINE + _R["intent"]]))
        return found

    def leg(
        self, intent: Intent, order: Order, accounts: Accounts, taken_ns: int, now_ns: int
    ) -> None:
        """One leg as it stands, with the position and cash that result."""
        filled = order.folded
        values = {
            "kind": K_LEG, "intent": intent.id, "leg": order.leg, "reason": order.reason,
            "venue": order.venue, "instrument": order.instrument, "generation": order.generation,
            "side": order.side, "placed": order.placed, "settled": order.settled,
            "asked_e6": order.size_e6, "filled_e6": filled.filled_e6, "cash_e6": order.cash_e6,
            "fee_e6": filled.fee_e6, "limit_e6": order.limit_e6, "send_ns": order.send_ns,
            "ack_ns": order.ack_ns,
        }  # fmt: skip
        body = self._start(intent, values, taken_ns, now_ns)
        self._account(body, order.instrument, accounts)
        key = order.key.encode()[:KEY_BYTES].decode(errors="ignore")
        body[_KEY_AT : _KEY_AT + 8] = text_to_cells(key, 8)
        self._append(K_LEG, body)
        slot = self._slots.get((order.intent, order.leg))
        if slot is None:
            slot = self._orders % ORDERS_MAX
            self._orders += 1
            self._slots[order.intent, order.leg] = slot
            if len(self._slots) > 2 * ORDERS_MAX:
                self._slots.pop(next(iter(self._slots)))
        slot_store(self._words, self._segment.at("orders", slot), body, BODY)
        self.publish(order.instrument, accounts, now_ns)

    def terminal(
        self,
        intent: Intent,
        why: int,
        *,
        matched_e6: int,
        worst_e6: int,
        send_ns: int,
        ack_ns: int,
        taken_ns: int,
        now_ns: int,
    ) -> None:
        """The one last word on an intent. `matched_e6` contracts that every leg filled; `worst_e6`
        cost of what some have alone.
        """
        values = {
            "kind": K_TERMINAL, "intent": intent.id, "leg": -1, "reason": why, "venue": -1,
            "instrument": -1, "filled_e6": matched_e6, "worst_e6": worst_e6, "send_ns": send_ns,
            "ack_ns": ack_ns, "asked_e6": intent.legs[0].size_e6 if intent.legs else 0,
            "account": -1,
        }  # fmt: skip
        self._append(K_TERMINAL, self._start(intent, values, taken_ns, now_ns))

    def abandoned(
        self, intent: Intent, order: Order, size_e6: int, cost_e6: int, why: int, now_ns: int
    ) -> None:
        """A leg that stays alone: which instrument and side, how much, and what it cost."""
        values = {
            "kind": K_TERMINAL, "intent": intent.id, "leg": order.leg, "reason": why,
            "venue": order.venue, "instrument": order.instrument, "generation": order.generation,
            "side": order.side, "asked_e6": size_e6, "worst_e6": cost_e6, "account": -1,
        }  # fmt: skip
        self._append(K_TERMINAL, self._start(intent, values, 0, now_ns))

    def gone(self, intent_id: int, why: int, now_ns: int) -> None:
        """The last word on an intent whose content is lost."""
        self._body[:] = 0
        values = {
            "kind": K_TERMINAL, "intent": intent_id, "leg": -1, "reason": why, "venue": -1,
            "instrument": -1, "account": -1, "report_ns": now_ns, "pair": -1,
        }  # fmt: skip
        for name, value in values.items():
            self._body[_R[name]] = value
        self._append(K_TERMINAL, self._body)

    def account(self, instrument: int, accounts: Accounts, now_ns: int) -> None:
        """Position and cash of an instrument as they stand, outside any intent."""
        market = accounts.markets[instrument]
        self._body[:] = 0
        self._body[_R["kind"]], self._body[_R["report_ns"]] = K_ACCOUNT, now_ns
        self._body[_R["instrument"]] = instrument
        self._body[_R["generation"]] = market.generation
        self._body[_R["venue"]] = VENUES.index(market.venue)
        self._account(self._body, instrument, accounts)
        self._append(K_ACCOUNT, self._body)
        self.publish(instrument, accounts, now_ns)

    def cash(self, account: int, accounts: Accounts, now_ns: int) -> None:
        """Cash of an account row alone (instrument −1)."""
        row = accounts.cash[account]
        self._body[:] = 0
        values = {
            "kind": K_ACCOUNT, "report_ns": now_ns, "instrument": -1, "account": account,
            "venue": VENUES.index(row.venue), "cash_free_e6": accounts.cash_told(account),
        }  # fmt: skip
        for name, value in values.items():
            self._body[_R[name]] = value
        self._append(K_ACCOUNT, self._body)
        self._cash_slot(account, accounts, now_ns)

    def answer(self, number: int, row: Row | End, now_ns: int, place: int = -1) -> None:
        """A row of the answer to an operator's command, or its end."""
        self._body[:] = answer_cells(number, row, now_ns, place)
        self._append(K_COMMAND, self._body)

    def _start(
        self, intent: Intent, values: Mapping[str, int], taken_ns: int, now_ns: int
    ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        cells = [0] * BODY
        for name, value in values.items():
            cells[_R[name]] = value
        cells[_R_PARENT], cells[_R_PAIR], cells[_R_DIRECTION] = (
            intent.parent,
            intent.pair,
            intent.direction,
        )
        cells[_R_FLAGS], cells[_R_KIND], cells[_R_TAKEN] = intent.flags, intent.kind, taken_ns
        cells[_R_DECIDE], cells[_R_RECV] = intent.decide_ns, intent.recv_ns
        cells[_R_PUBLISH], cells[_R_EVENT] = intent.publish_ns, intent.event_epoch_ns
        cells[_R_REPORT] = now_ns
        self._body[:] = cells
        return self._body

    def _account(
        self,
        body: np.ndarray[tuple[int], np.dtype[np.int64]],
        instrument: int,
        accounts: Accounts,
    ) -> None:
        position = accounts.position(instrument)
        if self._before is not None:  # found so far: too little must not pass for nothing held
            position = max(
                position, self._before.get(instrument, position), key=lambda each: each.cost_e6
            )
        account = accounts.markets[instrument].account
        body[_R["position_e6"]] = position.net_e6
        body[_R["position_cost_e6"]] = position.cost_e6 + position.open_fee_e6
        body[_R["account"]] = account
        body[_R["cash_free_e6"]] = accounts.cash_told(account)

    def _append(self, kind: int, body: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        ring_append(self._words, self._ring, self._entries, kind, body, BODY)
        bell_ring(self._words, self._bell, -1)

    # ---- slots

    def publish(self, instrument: int, accounts: Accounts, now_ns: int) -> None:
        """The position slot of an instrument and the cash slot of its account."""
        if self._before is not None:
            return
        position, market = accounts.position(instrument), accounts.markets[instrument]
        standing, left = accounts.standing, accounts.standing.left_in(instrument)
        values = {
            "instrument": instrument, "generation": market.generation,
            "position_e6": position.net_e6, "cost_e6": position.cost_e6,
            "fees_e6": position.fees_e6, "unknown_e6": accounts.unknown_e6(instrument),
            "open_e6": accounts.open_e6(instrument), "mark_ns": now_ns,
            "yes_e6": position.yes_e6, "no_e6": position.no_e6,
            "day_loss_e6": accounts.day_loss_e6,
            "mismatches": standing.mismatches[instrument],
            "blocked": int(standing.is_blocked(instrument)), "lone_e6": left.size_e6,
            "lone_cost_e6": left.cost_e6, "lone_intent": left.intent,
            "redeem_e6": accounts.redeem_e6.get(instrument, 0),
            "cost_no_e6": position.cost_no_e6, "open_fee_e6": position.open_fee_e6,
        }  # fmt: skip
        slot_store(
            self._words, self._segment.at("positions", instrument), _filled(values, _P), BODY
        )
        self._cash_slot(market.account, accounts, now_ns)

    def starts(self, accounts: Accounts) -> dict[int, int]:
        """The run's first cash by account row, as a predecessor left it in the slots."""
        rows = ((account, self._segment.read("cash", account)) for account in accounts.cash)
        return {account: int(row["start_e6"]) for account, row in rows if row is not None}

    def left(self, accounts: Accounts) -> tuple[dict[int, Position], int, int]:
        """What a predecessor left in the position slots: what it held by instrument and had cost,
        the loss realised on the run day, and the machine time of the newest slot; 0: there is none.
        Until `opened` its slots stay as they are: who dies before leaves them to the next.
        """
        held: dict[int, Position] = {}
        loss_e6 = newest_ns = 0
        for instrument in accounts.markets:
            row = self._segment.read("positions", instrument)
            if row is None:
                continue
            if row["generation"] == accounts.markets[instrument].generation:
                no_e6 = int(row["cost_no_e6"])
                held[instrument] = Position(
                    int(row["yes_e6"]), int(row["no_e6"]), int(row["cost_e6"]) - no_e6, no_e6,
                    open_fee_e6=int(row["open_fee_e6"]),
                )  # fmt: skip
            if int(row["mark_ns"]) > newest_ns:
                newest_ns, loss_e6 = int(row["mark_ns"]), int(row["day_loss_e6"])
        self._before = held
        return held, loss_e6, newest_ns

    def opened(self) -> None:
        """The accounts say what is held: from now on the slots are ours."""
        self._before = None

    def _cash_slot(self, account: int, accounts: Accounts, now_ns: int) -> None:
        row = accounts.cash[account]
        values = {
            "account": account, "venue": VENUES.index(row.venue),
            "exchange_index": row.exchange_index, "cash_e6": row.cash_e6,
            "reserved_e6": row.cash_e6 - accounts.cash_free(account), "start_e6": row.start_e6,
            "at_ns": now_ns, "used": 1,
        }  # fmt: skip
        slot_store(self._words, self._segment.at("cash", account), _filled(values, _C), BODY)


def _filled(
    values: Mapping[str, int], places: Mapping[str, int]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A body with these fields."""
    cells = [0] * BODY
    for name, value in values.items():
        cells[places[name]] = value
    return np.array(cells, np.int64)
