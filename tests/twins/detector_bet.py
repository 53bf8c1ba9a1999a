"""Bets of the plain detector: when one market is looked at, and what becomes of a choice.

The choice is the plain house's (tests/twins/house.py), of markets that settle on a point, at least
the strike: other rules have plain forms of their own (tests/twins/fair.py).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict

import numpy as np

from engine.strategies.table import REFERENCE, STRATEGIES
from shm_layout import BET, BODY, INTENT, K_INTENT, K_STRATEGY, KIND_MODEL, STRATEGY, Words, cell
from tests.twins import basket, fees
from tests.twins.choice import Case
from tests.twins.detector_money import Money, Row, was_sent
from tests.twins.detector_rows import book_of, row_of, worst_fee
from tests.twins.edge import BUY, E6, SELL, token
from tests.twins.house import UNKNOWN, Choice, House
from tests.twins.strategies import Market

REASONS = (
    "strategy", "fair_e6", "sure_e6", "off_e6", "spot_slot", "spot_number", "spot_epoch", "spot_e8",
)  # fmt: skip
POINT_RULE = 1 | 1 << 4 | 31 << 8 | 1 << 16
PRICE_MAX_NS = 3 * 10**9


class Bets(Money, ABC):
    """What of the detector is about one market alone."""

    def __init__(self) -> None:
        super().__init__()
        self.state = self.alive = 0
        self.counter, self.epoch = 0, 0
        self.house = House(REFERENCE)
        self.strategy_of: dict[int, str] = {}  # by intent
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

    @abstractmethod
    def tradable(self, number: int, generation: int) -> bool: ...

    @abstractmethod
    def off(self, pair: Row, direction: int) -> int | None: ...

    @abstractmethod
    def may_open(self, pair: int, direction: int, since: int) -> bool: ...

    @abstractmethod
    def touch_all(self) -> None: ...

    def watch(self, kind: int, body: Words) -> None:
        """What concerns the house alone."""
        if kind == K_STRATEGY:
            self.house.told(row_of(STRATEGY, body))
            self.touch_all()
        elif kind == K_INTENT and body[cell(INTENT, "kind")] == KIND_MODEL:
            row, bet = row_of(INTENT, body), row_of(BET, body)
            name = STRATEGIES[bet["strategy"]]
            self.strategy_of[row["id"]] = name
            self.house.stake(row["instrument_0"], name, row["cash_e6_0"], self.run)

    def land(self, intent: int, report: Row) -> None:
        flight = self.flights[intent]
        super().land(intent, report)
        if flight["kind"] == KIND_MODEL:
            name = self.strategy_of[intent]
            self.house.end(flight, name, report, was_sent=was_sent(report))
        if report["reason"] != UNKNOWN:
            for leg in range(flight["leg_count"]):
                self.settle(flight[f"instrument_{leg}"])

    def hold(self, instrument: int, position: int, cost: int) -> None:
        """What a report says is held."""
        self.held[instrument] = position, cost
        self.settle(instrument)

    def settle(self, instrument: int) -> None:
        """Where nothing of an event is held, nor is anything in flight, nothing is at stake."""
        event = self.instruments[instrument]["event"]
        if self.exposure("event", event) == 0:
            for number, row in self.instruments.items():
                if row["event"] == event:
                    self.house.settle(number)

    def lapped(self, feed: int) -> None:
        """Entries of its ring were lost (that of no feed: nothing of spot)."""
        for slot, spot in self.spots.items():
            if spot["feed"] == feed:
                self.house.lose(slot)

    def alone(self) -> list[int]:
        """Rows of one market, as the kernel's lists run: from the last one down."""
        return sorted((p for p, row in self.pairs.items() if row["b"] < 0), reverse=True)

    def touch_bets(self, instrument: int) -> None:
        """Its terms are new; without a strike nobody bets."""
        for pair in self.alone() if self.market_terms[instrument]["strike_e8"] > 0 else []:
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
        if "trade_id" in row:
            before = self.spots.get(slot, {"feed": 0, "epoch": 0})
            self.house.trade(row, (before["feed"], before["epoch"]) == (feed, row["epoch"]))
        self.spots[slot] = row | {"price": value, "feed": feed}
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

    def is_usable(self, slot: int) -> bool:
        """The newest price of a slot may be priced with."""
        spot = self.spots.get(slot)
        if not spot or spot["price"] <= 0 or spot["trust"] or not self.alive >> spot["feed"] & 1:
            return False
        is_its = spot["epoch"] == self.feed_epoch[spot["feed"]]  # type: ignore[index]
        return is_its and self.now - spot["recv_ns"] <= PRICE_MAX_NS

    def strays(self, terms: Row, index: int, spot: Row) -> bool:
        """What leads is further from its index than basis and the coin's own move explain."""
        if not self.is_usable(index):
            return False
        tick, age = self.spots[index], spot["event_epoch_ns"] - self.spots[index]["event_epoch_ns"]
        off = abs(spot["price"] + terms["basis_e8"] - tick["price"]) / tick["price"]
        sigma = terms["sigma_e12"] / 1e12 * math.sqrt(1 + max(age, 0) / 1e9)
        return off > 3 * terms["basis_sd_e8"] / tick["price"] + 4 * sigma

    def market(self, instrument: int) -> Market | None:
        """What strategies see; None: it has no fair value now."""
        row = self.instruments[instrument]
        if not self.has_terms(instrument) or row["settlement_rule"] != POINT_RULE:
            return None
        terms = self.market_terms[instrument]
        slot, close = terms["spot_slot"], terms["close_epoch_ns"]
        if slot not in (row["index_slot"], row["spot_slot"]):
            return None
        if not self.is_usable(slot) or self.run >= close or terms["sigma_e12"] <= 0:
            return None
        spot = self.spots[slot]
        if spot["price"] + terms["basis_e8"] <= 0 or spot["event_epoch_ns"] >= close:
            return None
        if slot != row["index_slot"] and self.strays(terms, row["index_slot"], spot):
            return None
        has_flow = self.is_usable(row["spot_slot"])
        quote = self.quotes[instrument]
        shown = self.house.show(row, quote, terms, spot, self.run, has_flow)
        if self.house.params["cross_timeframe"]["on"] == 1 and shown.trigger & 4:
            shown = self.house.compare(shown, instrument, self.beside(instrument), self.now)
        return shown

    def beside(self, instrument: int) -> list[int]:
        """Markets of its venue that are valued with the same price."""
        slot, venue = (
            self.market_terms[instrument]["spot_slot"], self.instruments[instrument]["venue"],
        )  # fmt: skip
        rows = [self.pairs[pair]["a"] for pair in self.alone()]
        of = {i: self.market_terms.get(i, {"spot_slot": 0})["spot_slot"] for i in rows}
        return [i for i in rows if of[i] == slot and self.instruments[i]["venue"] == venue]

    def choose(self, pair: int, off: int) -> Choice | None:
        p, instrument = self.parameters, self.pairs[pair]["a"]
        account, held = self.instruments[instrument]["account"], self.held.get(instrument, (0, 0))
        held_here = self.exposure("index", instrument)
        staked = max(held_here, self.house.stakes().get(instrument, 0))  # a pair may have closed it
        room = min(p["market_max_e6"] - held_here, p["order_max_e6"])
        case = Case(
            run_ns=self.run, held=BUY if held[0] > 0 else SELL if held[0] < 0 else -1,
            bankroll=max(self.cash[account] - self.reserved("account", account), 0),
            room=max(room, 0), cap=p["size_max_e6"], walk_budget=bool(p["switches"] & 1),
            staked=staked + self.beside_at_stake(instrument),
        )  # fmt: skip
        least = max(p["edge_min_e6"], self.pairs[pair]["edge_min_e6"])
        return self.house.choose(instrument, self.market(instrument), off, least, case)

    def beside_at_stake(self, instrument: int) -> int:
        """Of bets in other markets of its asset."""
        asset = self.instruments[instrument]["asset"]
        return sum(
            cash for (at, _), cash in self.house.at_stake.items()
            if at != instrument and self.instruments[at]["asset"] == asset
        )  # fmt: skip

    def bet(self, number: int, by_quote: bool) -> None:
        """Decide one market."""
        pair, side, found = self.pairs[number], -1, None
        if pair["approved"] == 1 and self.tradable(pair["a"], pair["a_generation"]):
            off = self.off(pair, 0)
            found = None if off is None else self.choose(number, off)
            side = found.side if found else -1
        for direction in (0, 1):
            if direction != side:
                self.since.pop((number, direction), None)
        if found is None:
            return
        since = self.since.setdefault((number, side), self.run)
        if self.may_open(number, side, since):
            self.order(pair, found, by_quote)

    def order(self, pair: Row, chosen: Choice, by_quote: bool) -> None:
        p, quote, side = self.parameters, self.quotes[pair["a"]], chosen.side
        book, size, limit = book_of(quote), chosen.size, chosen.limit
        edge, profit, fee = chosen.edge, chosen.profit, chosen.fee
        if not p["price_low_e6"] <= limit <= p["price_high_e6"]:
            return
        if not self.is_open_book(book, side):
            return
        price = token(limit, side)
        unit = price + max(
            fees.fee(price, E6, *book.fee_terms[:2], 1, 0), worst_fee(book, price, E6, price)
        )
        spare = 2 * book.fee_terms[2] + 2
        rooms = self.bet_room(self.instruments[pair["a"]], unit, spare, self.house.stakes())
        room = min(*rooms, self.calm(pair, size))
        if room < size:
            least = max(p["edge_min_e6"], pair["edge_min_e6"])
            found = basket.basket(
                [(book, side)], token(chosen.fair, side), least, chosen.off, room,
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
        which = STRATEGIES.index(chosen.strategy)
        told = which, chosen.fair, chosen.confidence, chosen.off, slot
        reasons = dict(
            zip(REASONS, (*told, spot["number"], spot["epoch"], spot["price"]), strict=True)
        )
        self.write(row, reasons)
        self.orders.append(self.run)
        self.ordered(pair["a"])
        self.cool[pair["index"], side] = self.run + p["cooldown_ns"]
        self.strategy_of[row["id"]] = chosen.strategy
        self.house.stake(pair["a"], chosen.strategy, cash, self.run)

    def write(self, row: Row, reasons: Row) -> None:
        """The intent as bytes, in flight from now on."""
        body = np.zeros(BODY, np.int64)
        for record, cells in ((INTENT, row), (BET, reasons)):
            for name, value in cells.items():
                body[cell(record, name)] = value
        self.fly(row)
        self.written[row["id"]] = self.run
        self.intents.append(body.tobytes())
