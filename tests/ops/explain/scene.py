"""A run of our own making: a journal, and venues that book every fill with their own code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import journal as j
from ops import journals
from ops.clock import SECOND_NS
from ops.venues.kalshi_account import Position
from ops.venues.polymarket_account import PolymarketAccount
from ops.venues.script import ASK, BID
from shm_layout import (
    BUY,
    E6,
    FLAG_TRUE_UP,
    FLAG_UNWIND,
    KIND_CROSS_VENUE,
    KIND_MODEL,
    ORIGIN_DESK,
    ORIGIN_DETECTOR,
    P_DONE,
    P_REJECTED,
    S_CONFIRMED,
    S_FAILED,
    S_MATCHED,
    SELL,
    intent_id,
    reason,
)

RUN = 7
BEGAN_NS = 1_790_000_000 * SECOND_NS
KALSHI, POLY = 0, 1
SET = 2, 3, 4  # outcomes of one question at Kalshi
YES, NO = "111", "222"  # tokens of Polymarket's market
CASH_E6 = 1_000 * E6
MARKETS = (
    {"k": "market", "instrument": 0, "generation": 1, "venue": "kalshi", "ticker": "KX-A",
     "yes": "0", "no": "0", "account": 0, "shard": 2, "nets": True},
    {"k": "market", "instrument": 1, "generation": 1, "venue": "polymarket", "ticker": "slug-a",
     "yes": YES, "no": NO, "account": 1, "shard": 0, "nets": False},
    *({"k": "market", "instrument": number, "generation": 1, "venue": "kalshi",
       "ticker": f"KX-{number}", "yes": "0", "no": "0", "account": 0, "shard": 2, "nets": True}
      for number in SET),
)  # fmt: skip
UNSENT: dict[str, int] = {"filled_e6": 0, "open_e6": 0, "notional_e6": 0, "fee_e6": 0}


@dataclass
class Leg:
    """One order of an intent; prices in YES terms. `fills`: (price, size, fee) in 1e-6."""

    market: int
    side: int
    limit_e6: int
    size_e6: int
    fills: list[tuple[int, int, int]] = field(default_factory=list)
    fails: bool = False  # at Polymarket: its trades are taken back


class World:
    """Venues and journal of one run."""

    def __init__(self) -> None:
        self.now_ns, self.counters = SECOND_NS, {ORIGIN_DETECTOR: 0, ORIGIN_DESK: 0}
        self.kalshi, self.kalshi_cash_e6 = Position(), CASH_E6
        self.set = {number: Position() for number in SET}
        self.poly = PolymarketAccount(cash_e6=CASH_E6, address="")
        self.orders: dict[str, dict[str, dict[str, int]]] = {"kalshi": {}, "polymarket": {}}
        self.settled: dict[str, dict[str, int]] = {"kalshi": {}, "polymarket": {}}
        self.records: list[dict[str, Any]] = [
            {"k": "clock", "run": RUN, "part": [SECOND_NS, BEGAN_NS, E6]},
            {"k": "opened", "run": RUN, "ns": 1, "held": [],
             "cash": [[0, "kalshi", 2, CASH_E6], [1, "polymarket", 0, CASH_E6]]},
            *MARKETS,
        ]  # fmt: skip

    def intent(self, *legs: Leg, parent: int = 0, completes: bool = False, is_seen: bool = True,
               fair_e6: int = 0) -> int:  # fmt: skip
        """Send it, have it filled as its legs say, and end it. Its number. `fair_e6`: of a bet."""
        origin = ORIGIN_DESK if parent else ORIGIN_DETECTOR
        self.counters[origin] += 1
        number = intent_id(origin, 1, self.counters[origin])
        flags = FLAG_UNWIND | (FLAG_TRUE_UP if completes else 0) if parent else 0
        begin_ns = self._pass(1_000)
        kind = KIND_MODEL if fair_e6 else KIND_CROSS_VENUE
        head = [number, parent, kind, 4, 0, flags, 0, begin_ns + 300, begin_ns, 0, 0, 5_000,
                begin_ns + 100]  # fmt: skip
        placings = [self._placing(leg) for leg in legs]
        keys = [f"{number:x}-{place}" for place in range(len(legs))]
        self.records.append({
            "k": "order", "run": RUN, "taken_ns": begin_ns + 400, "intent": head,
            "orders": [
                [place, int(leg.market == POLY), leg.market, 1, leg.side, leg.limit_e6,
                 leg.size_e6, key]
                for place, (leg, key) in enumerate(zip(legs, keys, strict=True))
            ],
            "placings": placings, "costs": [0] * len(legs),
        })  # fmt: skip
        if is_seen:
            self.records.append(_seen(number, begin_ns, legs))
        if is_seen and fair_e6:
            self.records[-1]["bet"] = {
                "strategy": 9, "fair_e6": fair_e6, "sure_e6": 700_000, "spot_e8": 80_000 * 10**8,
            }  # fmt: skip
        for leg, key, placing in zip(legs, keys, placings, strict=True):
            self._fill(leg, key, placing)
        why = "one_legged" if len({sum(f[1] for f in leg.fills) for leg in legs}) > 1 else "done"
        self._note({"k": "end", "intent": number, "why": reason(why)})
        return number

    def settle(self, value_e6: int) -> None:
        """Both markets pay out."""
        held_e6 = self.kalshi.net_e6
        self.kalshi_cash_e6 += self.kalshi.settle(value_e6, 0)
        self.settled["kalshi"]["KX-A"] = value_e6
        yes_e6, no_e6 = max(held_e6, 0), max(-held_e6, 0)
        told = {"k": "settle", "generation": 1, "value": value_e6, "paid": 0}
        self._note({**told, "instrument": KALSHI, "yes": yes_e6, "no": no_e6})
        for token, unit_e6 in ((YES, value_e6), (NO, E6 - value_e6)):
            self.poly.redeem(token, unit_e6, 0)
            self.settled["polymarket"][token] = unit_e6
        self._note({**told, "instrument": POLY, "yes": 0, "no": 0})

    def settle_set(self, winner: int) -> None:
        """One outcome of the set wins (0: none)."""
        for number, position in self.set.items():
            value_e6, held_e6 = E6 * (number == winner), position.net_e6
            self.kalshi_cash_e6 += position.settle(value_e6, 0)
            self.settled["kalshi"][f"KX-{number}"] = value_e6
            self._note({"k": "settle", "generation": 1, "value": value_e6, "paid": 0,
                        "instrument": number, "yes": max(held_e6, 0), "no": max(-held_e6, 0)})

    def told(self) -> dict[str, Any]:
        """As the venues tell it at the end (ops/venues/told.py)."""
        names = {"KX-A": self.kalshi} | {f"KX-{n}": each for n, each in self.set.items()}
        nets_e6 = {name: each.net_e6 for name, each in names.items() if each.net_e6}
        return {
            "kalshi": {
                "orders": self.orders["kalshi"], "start_e6": {"2": CASH_E6},
                "cash_e6": {"2": self.kalshi_cash_e6}, "settled_e6": self.settled["kalshi"],
                "held_e6": nets_e6,
            },
            "polymarket": {
                "orders": self.orders["polymarket"], "start_e6": {"0": CASH_E6},
                "cash_e6": {"0": self.poly.cash_e6}, "settled_e6": self.settled["polymarket"],
                "held_e6": {name: size for name, size in self.poly.tokens_e6.items() if size},
            },
        }  # fmt: skip

    def write(self, state_dir: Path, *, is_told: bool = True) -> Path:
        """The run's folder, as an engine leaves it."""
        folder = journals.fresh(state_dir, BEGAN_NS)
        journal = j.Journal(folder, file_bytes=4 * j.RECORD_MAX_BYTES)
        for record in self.records:
            assert journal.append(record)
        journal.close()
        if is_told:
            (folder / "venues.json").write_text(json.dumps({"accounts": self.told()}))
        return folder

    # ---- one order

    def _pass(self, ns: int) -> int:
        self.now_ns += ns
        return self.now_ns

    def _note(self, record: dict[str, Any]) -> None:
        self.records.append({**record, "ns": self._pass(1_000)})

    def _placing(self, leg: Leg) -> list[int]:
        """[token, side, price]: at Polymarket what is held is sold, else the other is bought."""
        if leg.market != POLY:
            return [0, leg.side, leg.limit_e6]
        held_e6 = self.poly.tokens_e6.get(YES if leg.side == SELL else NO, 0)
        sells = held_e6 >= leg.size_e6
        if leg.side == SELL:
            return [0, SELL, leg.limit_e6] if sells else [1, BUY, E6 - leg.limit_e6]
        return [1, SELL, E6 - leg.limit_e6] if sells else [0, BUY, leg.limit_e6]

    def _fill(self, leg: Leg, key: str, placing: list[int]) -> None:
        venue = "polymarket" if leg.market == POLY else "kalshi"
        told = self.orders[venue].setdefault(key, dict(UNSENT))
        for number, (price_e6, size_e6, fee_e6) in enumerate(leg.fills):
            unit_e6 = E6 - price_e6 if placing[0] else price_e6
            notional_e6 = unit_e6 * size_e6 // E6
            self._book(leg, placing, price_e6, size_e6, notional_e6, fee_e6)
            trade = {"k": "trade", "key": key, "trade": f"t{number}", "size": size_e6,
                     "notional": notional_e6, "fee": fee_e6}  # fmt: skip
            self._note({**trade, "settled": S_MATCHED})
            if leg.fails:
                self._book(leg, placing, price_e6, -size_e6, -notional_e6, -fee_e6)
                self._note({**trade, "settled": S_FAILED})
                continue
            self._note({**trade, "settled": S_CONFIRMED})
            told["filled_e6"] += size_e6
            told["notional_e6"] += notional_e6
            told["fee_e6"] += fee_e6
        placed, why = (P_DONE, 0) if leg.fills else (P_REJECTED, reason("venue_rejected"))
        self._note({
            "k": "out", "key": key, "placed": placed, "why": why, "cum": None, "exact": False,
            "vid": f"venue-{key}", "text": "", "ack": self.now_ns,
        })  # fmt: skip

    def _book(
        self, leg: Leg, placing: list[int], price_e6: int, size_e6: int, notional_e6: int,
        fee_e6: int,
    ) -> None:  # fmt: skip
        """In the venue's own code; a negative size takes a fill back."""
        token, side, _ = placing
        if leg.market != POLY:
            position = self.set.get(leg.market, self.kalshi)
            moved_e6 = position.book(BID if side == BUY else ASK, price_e6, size_e6, fee_e6, 0)
            self.kalshi_cash_e6 += moved_e6 - fee_e6
            return
        sign = 1 if side == BUY else -1
        self.poly.move(
            NO if token else YES, shares_e6=sign * size_e6, cash_e6=-sign * notional_e6,
            fee_e6=fee_e6,
        )  # fmt: skip


def _seen(number: int, begin_ns: int, legs: tuple[Leg, ...]) -> dict[str, Any]:
    """What it was decided on: just the levels it asked for."""
    rows = []
    for leg in legs:
        levels = [[leg.limit_e6, leg.size_e6]]
        quote = {
            "number": 5, "trust": 0, "bids": levels if leg.side == SELL else [],
            "asks": levels if leg.side == BUY else [], "fee_kind": 2, "fee_rate_e6": 70_000,
            "fee_exponent": 1, "fee_unit_e6": 100, "fee_mode": 0,
        }  # fmt: skip
        rows.append({"look": quote, "book": None, "same": True, "fee": 0, "worst": 0})
    sent = [begin_ns + 500 + 10 * place for place in range(len(legs))]
    return {"k": "seen", "intent": number, "profit": 1, "fees": 2, "put": begin_ns + 450,
            "sent": sent, "legs": rows}  # fmt: skip
