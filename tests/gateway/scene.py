"""A gateway's world on memory of this process: two instruments, one pair, quotes, intents, and
what it reports.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.charge import fee_of
from engine.fees import fee
from engine.sizes import legal_size
from gateway.accounts import Accounts
from gateway.hmac_auth import ApiSecrets
from gateway.intake import Intake
from gateway.memory import Memory
from gateway.throttle import Bucket
from shm_layout import (
    ACTIVE,
    BODY,
    COMMAND,
    CONTROL,
    ENTRY,
    FEE_QUADRATIC,
    FEED_ROLE,
    GATE,
    GATEWAY,
    INSTRUMENT,
    INTENT,
    K_COMMAND,
    K_INTENT,
    LEG,
    LEVELS,
    LINE,
    NO_ASK_E6,
    NO_BID_E6,
    NONE_NS,
    ORIGIN_DETECTOR,
    PAIR,
    QUOTE,
    READ,
    REPORT,
    ROLE,
    ROUND_DOWN,
    ROUND_UP,
    ST_ACTIVE,
    Segment,
    bell_ring,
    cell,
    intent_id,
    ring_append,
    ring_read,
    text_to_cells,
    uint256_to_cells,
    word_store,
)

__all__ = ["KALSHI", "POLY", "SECRETS", "Entry", "Scene", "Signer", "fee", "fee_of", "legal_size"]
KALSHI, POLY = 0, 1  # instruments, venue numbers, feeds and accounts alike
SET = 2, 3, 4  # instruments of a set of three, row 1 of the pairs
EPOCH, RUN = 5, 7
LOOK_NS = 2_000_000
POINT_RULE = 1 | 1 << 4 | 31 << 8 | 1 << 16  # at least the strike, at one point in time, exactly
SECRETS = ApiSecrets(api_key="key", secret="c2VjcmV0", passphrase="pass", address="0xaa")
KALSHI_FACTS = {
    "fee_rate_e6": 70_000,
    "fee_unit_e6": 100,
    "fee_mode": ROUND_UP,
    "notional_min_e6": 0,
    "notional_step_e6": 0,
}
POLY_FACTS = {
    "fee_rate_e6": 50_000,
    "fee_unit_e6": 10,
    "fee_mode": ROUND_DOWN,
    "notional_min_e6": 1_000_000,
    "notional_step_e6": 10_000,
}


class Entry(NamedTuple):
    """A pooled order: its body names what was asked for."""

    body: bytes
    hash: bytes
    made: tuple[()] = ()


class Signer:
    """Header sets and pool entries without a signer: bodies say which token, side, price and size
    they are.
    """

    def __init__(self) -> None:
        self.is_dead = False
        self.is_empty = False
        self.count = 0
        self.used: list[bytes] = []
        self.given_back: list[bytes] = []

    def take_headers(
        self, method: str, path: str, now_ns: int, *, for_unwind: bool = False
    ) -> bytes | None:
        return None if self.is_dead else b"KALSHI-ACCESS-KEY: k\r\n"

    async def headers(self, method: str, path: str) -> dict[str, str]:
        return {"KALSHI-ACCESS-KEY": "k"}

    def take_order(
        self,
        instrument: int,
        token: int,
        side: int,
        price_e6: int,
        size_e6: int,
        tick_epoch: int,
        now_ns: int,
        generation: int | None = None,
    ) -> Entry | None:
        if self.is_dead or self.is_empty:
            return None
        self.count += 1
        number = self.count.to_bytes(32, "big")
        body = (
            f'{{"token":{token},"side":{side},"price":{price_e6},"size":{size_e6},'
            f'"instrument":{instrument},"hash":"0x{number.hex()}"}}'
        )
        return Entry(body.encode(), number)

    def spent(self, order_hash: bytes) -> None:
        self.used.append(order_hash)

    def likely(self, most: int) -> list[Entry]:
        return []

    @property
    def is_ready(self) -> bool:
        return True

    def unsent(self, order_hash: bytes) -> None:
        self.given_back.append(order_hash)


def body(record: np.dtype[np.void], **values: Any) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A record's cells with these fields; a sequence fills consecutive cells."""
    cells = np.zeros(BODY, np.int64)
    for name, value in values.items():
        at = cell(record, name)
        if isinstance(value, Sequence):
            cells[at : at + len(value)] = value
        else:
            cells[at] = value
    return cells


class Scene:
    """Instrument 0 at Kalshi, 1 at Polymarket, one pair of the same question; both feeds alive.
    `set_at`: at that venue also the three outcomes SET of one question.
    """

    def __init__(self, set_at: int = -1) -> None:
        self.segment = Segment.private()
        self.skew_ns = 0
        self._passed_ns = self._seen_ns = time.monotonic_ns()
        self.venue_of = {KALSHI: KALSHI, POLY: POLY}
        if set_at >= 0:
            self.venue_of |= dict.fromkeys(SET, set_at)
        self.numbers = dict.fromkeys(self.venue_of, 0)
        self.counter = 0
        self.read_to = 0
        words = self.segment.words
        control = self.segment.at("control")
        word_store(words, control + cell(CONTROL, "trading_state"), ACTIVE)
        word_store(words, self.segment.at("header") + 5, RUN)
        epochs = control + cell(CONTROL, "live_epoch")
        for role in (FEED_ROLE, FEED_ROLE + 1, GATEWAY):
            word_store(words, epochs + role, EPOCH)
        self._tables()
        self.beat()
        self.quote(KALSHI, bid=400_000, ask=420_000)
        self.quote(POLY, bid=500_000, ask=520_000)

    def clock(self) -> int:
        """The machine's time, moved on by `skew_ns`. From one look to the next no more than LOOK_NS
        pass: while the machine lets us wait, time stands still.
        """
        seen_ns = time.monotonic_ns()
        self._passed_ns += min(seen_ns - self._seen_ns, LOOK_NS)
        self._seen_ns = seen_ns
        return self._passed_ns + self.skew_ns

    def _tables(self) -> None:
        names = {KALSHI: "KX-1", POLY: "slug-1"}
        for i, venue in self.venue_of.items():
            ticker = names.get(i, f"SET-{i}")
            row = body(
                INSTRUMENT,
                index=i,
                generation=1,
                venue=venue,
                feed=venue,
                event=3,
                live=1,
                account=venue,
                exchange_index=2,
                condition=uint256_to_cells(12),
                token_yes=uint256_to_cells(111),
                token_no=uint256_to_cells(222),
                settlement_rule=POINT_RULE,
                ticker=text_to_cells(ticker, 8),
            )
            self.segment.write("instruments", i, row)
        self.segment.write(
            "pairs", 0,
            body(PAIR, index=0, generation=1, a=0, b=1, a_generation=1, b_generation=1, same=1,
                 approved=1),
        )  # fmt: skip
        if SET[0] in self.venue_of:
            a, b, c = SET
            row = body(PAIR, index=1, generation=1, a=a, b=b, c=c, more=1, approved=1,
                       a_generation=1, b_generation=1, c_generation=1)  # fmt: skip
            self.segment.write("pairs", 1, row)

    def tell(self, memory: Memory, cash_e6: int = 500_000_000) -> Accounts:
        """What a desk would tell its memory at the start, with so much cash at each venue; its
        gate is open.
        """
        gate = self.segment.at("gate") + cell(GATE, "state")
        word_store(self.segment.words, gate, ACTIVE)
        intake = Intake(self.segment, -1, memory)
        accounts = Accounts(intake.markets(), {"kalshi": True, "polymarket": False}, memory)
        accounts.start({KALSHI: cash_e6, POLY: cash_e6}, [], {})
        for pair in intake.pairs():
            memory.pair(*pair)
        for venue in (KALSHI, POLY):
            bucket = Bucket(rate=1_000, burst=1_000, reserve=10)
            memory.venue(venue, nets=venue == KALSHI, order_cost=1, bucket=bucket)
        return accounts

    def beat(self) -> None:
        """Both feeds' heartbeats, now."""
        for feed in (0, 1):
            at = self.segment.at("roles", FEED_ROLE + feed) + cell(ROLE, "beat_ns")
            word_store(self.segment.words, at, self.clock())

    def quote(
        self, instrument: int, *, bid: int, ask: int, size: int = 100_000_000, **more: int
    ) -> None:
        """Publish a quote of one level a side; 0: that side is empty."""
        self.numbers[instrument] += 1
        bids = [bid or NO_BID_E6, size if bid else 0] + [NO_BID_E6, 0] * (LEVELS - 1)
        asks = [ask or NO_ASK_E6, size if ask else 0] + [NO_ASK_E6, 0] * (LEVELS - 1)
        values: dict[str, Any] = {
            "instrument": instrument,
            "generation": 1,
            "number": self.numbers[instrument],
            "epoch": EPOCH,
            "status": ST_ACTIVE,
            "tick_epoch": 1,
            "recv_ns": self.clock(),
            "publish_ns": self.clock(),
            "settlement_e6": NONE_NS,
            "size_min_e6": 10_000,
            "size_step_e6": 10_000,
            "fee_kind": FEE_QUADRATIC,
            "fee_exponent": 1,
            "grid": [1_000_000, 10_000, 0, 0, 0, 0],
            "bids": bids,
            "asks": asks,
        }
        values |= KALSHI_FACTS if self.venue_of[instrument] == KALSHI else POLY_FACTS
        self.segment.write("quotes", instrument, body(QUOTE, **(values | more)))

    def leg(
        self, instrument: int, side: int, limit_e6: int, size_e6: int = 10_000_000
    ) -> tuple[int, ...]:
        """LEG cells, decided on the newest quote."""
        venue, number = self.venue_of[instrument], self.numbers[instrument]
        return venue, instrument, 1, side, limit_e6, size_e6, 0, number, EPOCH, 1

    def intent(
        self, *legs: tuple[int, ...], flags: int = 0, age_ns: int = 50_000_000, **more: int
    ) -> int:
        """Append an intent to the ring and ring the bell; its id."""
        self.counter += 1
        number = intent_id(ORIGIN_DETECTOR, EPOCH, self.counter)
        now_ns = self.clock()
        fields: dict[str, Any] = {
            "id": number,
            "pair": 0,
            "leg_count": len(legs),
            "flags": flags,
            "trigger": 0,
            "decide_ns": now_ns,
            "recv_ns": now_ns - 5_000,
            "publish_ns": now_ns - 3_000,
            "expires_ns": now_ns + age_ns,
        }
        cells = body(INTENT, **(fields | more))
        for place, leg in enumerate(legs):
            at = cell(INTENT, f"{LEG[0]}_{place}")
            cells[at : at + len(LEG)] = leg
        words = self.segment.words
        ring_append(
            words,
            self.segment.at("intents"),
            self.segment.entries("intents"),
            K_INTENT,
            cells,
            BODY,
        )
        return number

    def ring(self, eventfd: int) -> None:
        """Wake the gateway."""
        bell_ring(self.segment.words, self.segment.at("bells", GATEWAY), eventfd)

    def resume(self) -> None:
        """The supervisor's word for the gateway."""
        words, ring = self.segment.words, self.segment.at("control_ring")
        cells = body(COMMAND, command=2)
        ring_append(words, ring, self.segment.entries("control_ring"), K_COMMAND, cells, BODY)

    def reports(self) -> list[np.void]:
        """Everything reported so far, oldest first."""
        out = np.zeros(ENTRY, np.int64)
        found = []
        for place in range(100_000):
            words, entries = self.segment.words, self.segment.entries("reports")
            if ring_read(words, self.segment.at("reports"), entries, place, out, BODY) != READ:
                break
            found.append(out[LINE:].copy().view(REPORT)[0])
        return found
