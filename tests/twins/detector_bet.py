"""Bets of the plain detector: when one market is looked at, and what becomes of a choice.

The choice itself is the compiled one (its own plain forms: tests/twins/choice.py, fair.py), made
on a memory that saw the same entries and the same intents; episodes, limits, sizes and the bytes of
the intent are written anew here.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from engine import kernels
from engine import memory as m
from engine.accounts import reserve
from engine.house import choose_bet, note_bet
from engine.strategies import select as s
from shm_layout import BET, BODY, INTENT, Segment, Words, cell
from tests.twins import basket, fees
from tests.twins.detector_money import Money, Row
from tests.twins.detector_rows import book_of, worst_fee
from tests.twins.edge import E6, token

REASONS = (
    "strategy", "fair_e6", "sure_e6", "off_e6", "spot_slot", "spot_number", "spot_epoch", "spot_e8",
)  # fmt: skip
WORDS = Segment.private().words


class Bets(Money):
    """What of the detector is about one market alone."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.state = self.alive = 0
        self.counter, self.epoch = 0, 0
        self.mem = m.fresh()
        self.out = np.zeros(s.OUT_CELLS, np.int64)
        self.pairs: dict[int, Row] = {}
        self.quotes: dict[int, Row] = {}
        self.spots: dict[int, Row] = {}
        self.told: dict[int, tuple[int, int]] = {}  # price, receipt: markets were decided then
        self.feed_epoch: Row = defaultdict(int)  # type: ignore[arg-type]
        self.since: dict[tuple[int, int], int] = {}
        self.cool: dict[tuple[int, int], int] = defaultdict(int)
        self.limited: set[int] = set()
        self.orders: list[int] = []
        self.intents: list[bytes] = []

    def tradable(self, number: int, generation: int) -> bool:
        raise NotImplementedError

    def off(self, pair: Row, direction: int) -> int | None:
        raise NotImplementedError

    def may_open(self, pair: int, direction: int, since: int) -> bool:
        raise NotImplementedError

    def watch(self, ring: int, kind: int, body: Words) -> None:
        """The memory in which choices are made sees every entry."""
        kernels.apply_entry(self.mem, ring, kind, body)

    def alone(self) -> list[int]:
        """Rows of one market, as the kernel's lists run: from the last one down."""
        return sorted((p for p, row in self.pairs.items() if row["b"] < 0), reverse=True)

    def touch_bets(self, instrument: int) -> None:
        for pair in self.alone():
            if self.pairs[pair]["a"] == instrument:
                self.touch(pair, False)

    def spot(self, row: Row, feed: int) -> None:
        slot = row["product"]
        if not 0 <= slot < 32:
            return
        value = row.get("value_e8", row.get("last_e8", 0))
        if "bid_e8" in row and 0 < row["bid_e8"] < row["ask_e8"] < 10**15:
            value = (row["bid_e8"] + row["ask_e8"]) // 2
        self.feed_epoch[feed] = row["epoch"]  # type: ignore[index]
        self.spots[slot] = row | {"price": value}
        told, at = self.told.get(slot, (0, 0))
        every = self.parameters["fair_every_ns"]
        is_time = 0 < every <= row["recv_ns"] - at
        if is_time or abs(value - told) > told // E6 * self.parameters["fair_move_e6"]:
            self.told[slot] = value, row["recv_ns"]
            for pair in self.alone():
                terms = self.market_terms.get(self.pairs[pair]["a"], {"spot_slot": 0})
                if terms["spot_slot"] == slot:
                    self.touch(pair, True)

    def has_terms(self, instrument: int) -> bool:
        """The model has spoken of this very market, of late, and knows its strike."""
        terms, row = self.market_terms.get(instrument), self.instruments[instrument]
        if not terms or terms["number"] <= 0 or row["live"] != 1:
            return False
        is_its = terms["generation"] == row["generation"]
        return is_its and terms["valid_until_ns"] >= self.now and terms["strike_e8"] > 0

    def choose(self, pair: int, off: int) -> bool:
        for place, value in (
            (m.M_NOW, self.now), (m.M_RUN, self.run), (m.M_STATE, self.state),
            (m.M_ALIVE, self.alive),
        ):  # fmt: skip
            self.mem[m.META + place] = value
        least = max(self.parameters["edge_min_e6"], self.pairs[pair]["edge_min_e6"])
        args = pair, off, least, self.parameters["size_max_e6"], self.out
        return bool(choose_bet(self.mem, *args) >= 0)

    def bet(self, number: int, by_quote: bool) -> None:
        """Decide one market."""
        pair, side = self.pairs[number], -1
        if pair["approved"] == 1 and self.tradable(pair["a"], pair["a_generation"]):
            off = self.off(pair, 0)
            if off is not None and self.choose(number, off):
                side = int(self.out[s.X_SIDE])
        for direction in (0, 1):
            if direction != side:
                self.since.pop((number, direction), None)
        if side < 0:
            return
        since = self.since.setdefault((number, side), self.run)
        if self.may_open(number, side, since):
            self.order(pair, side, by_quote)

    def order(self, pair: Row, side: int, by_quote: bool) -> None:
        p, quote = self.parameters, self.quotes[pair["a"]]
        book, out = book_of(quote), self.out
        size, limit = int(out[s.X_SIZE]), int(out[s.X_LIMIT])
        edge, profit, fee = int(out[s.X_EDGE]), int(out[s.X_PROFIT]), int(out[s.X_FEE])
        if not p["price_low_e6"] <= limit <= p["price_high_e6"]:
            return
        if not self.is_open_book(book, side):
            return
        price = token(limit, side)
        unit = price + max(
            fees.fee(price, E6, *book.fee_terms[:2], 1, 0), worst_fee(book, price, E6, price)
        )
        spare = 2 * book.fee_terms[2] + 2
        room = min(*self.bet_room(self.instruments[pair["a"]], unit, spare), self.calm(pair, size))
        if room < size:
            least = max(p["edge_min_e6"], pair["edge_min_e6"])
            found = basket.basket(
                [(book, side)], token(int(out[s.X_FAIR]), side), least, int(out[s.X_OFF]), room,
                bool(p["switches"] & 1),
            )  # fmt: skip
            size, edge, profit = found[:3]
            if size == 0:
                self.limited.add(pair["index"])
                return
            (limit,), (fee,) = found[3], found[4]
            price = token(limit, side)
        if price * size // E6 < p["intent_min_e6"]:
            self.limited.add(pair["index"])
            return
        self.counter += 1
        cost = -(-price * size // E6)
        cash = cost + worst_fee(book, price, size, cost) + book.fee_terms[2]
        row: Row = {
            "id": 1 << 60 | self.epoch << 40 | self.counter, "kind": 3, "pair": pair["index"],
            "direction": side, "leg_count": 1, "flags": 0 if by_quote else 2,
            "trigger": pair["a"], "decide_ns": self.now,
            "expires_ns": self.now + p["signal_age_max_ns"], "edge_e6": edge,
            "profit_e6": profit, "fees_e6": fee,
            "venue_0": self.instruments[pair["a"]]["venue"], "instrument_0": pair["a"],
            "generation_0": quote["generation"], "side_0": side, "limit_e6_0": limit,
            "size_e6_0": size, "cash_e6_0": cash, "quote_number_0": quote["number"],
            "quote_epoch_0": quote["epoch"], "tick_epoch_0": quote["tick_epoch"],
        }  # fmt: skip
        slot = self.market_terms[pair["a"]]["spot_slot"]
        spot = self.spots[slot]
        newest = spot if spot["recv_ns"] > quote["recv_ns"] else quote
        row |= {name: newest[name] for name in ("recv_ns", "event_epoch_ns", "publish_ns")}
        told = (out[s.X_STRATEGY], out[s.X_FAIR], out[s.X_CONFIDENCE], out[s.X_OFF], slot)
        reasons = dict(
            zip(REASONS, (*told, spot["number"], spot["epoch"], spot["price"]), strict=True)
        )
        self.write(row, {name: int(value) for name, value in reasons.items()})
        self.orders.append(self.run)
        self.market_orders[pair["a"]].append(self.run)
        self.cool[pair["index"], side] = self.run + p["cooldown_ns"]
        note_bet(WORDS, self.mem, pair["a"], reasons["strategy"], cash, profit)

    def write(self, row: Row, reasons: Row) -> None:
        """The intent as bytes, in flight from now on."""
        body = np.zeros(BODY, np.int64)
        for record, cells in ((INTENT, row), (BET, reasons)):
            for name, value in cells.items():
                body[cell(record, name)] = value
        self.fly(row)
        assert reserve(self.mem, body)
        self.intents.append(body.tobytes())
