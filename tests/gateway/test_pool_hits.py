"""What the detector wants is signed already: scripted touches move, the engine's own rule chooses
price and size, and the pool is asked before it can have seen the change.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.edge import cross_venue, side_of_b
from gateway.look import place
from gateway.policy import Caps
from gateway.pool import OrderPool
from shm_layout import BODY, BUY, E6, FEE_QUADRATIC, LEVELS, QUOTE, Words, cell, slot_load
from tests.gateway.signing_kit import GRID_CENT, SECOND_NS, Desk, pool_params, write_quote
from tests.gateway.test_pool import turn
from tests.gateway.test_pool_plan import write_position

KALSHI, POLYMARKET = 0, 3
EDGE_MIN_E6 = 5_000
CENTS = range(15, 86)
MOVES = 600
PAUSE = 40  # turns between two intents: the detector's cooldown is longer
CAPS = Caps(order_e6=1_000 * E6, token_e6=10**6 * E6, total_e6=10**7 * E6)


class Market:
    """Both books around one value in cents, as they are written; the newest of both at hand."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.chance = desk, random.Random(seed)
        self.rows: Words = np.zeros(2 * BODY, np.int64)
        self.cents = {KALSHI: 50, POLYMARKET: 50}
        self.held = [0, 0]
        for instrument in self.cents:
            self.quote(instrument, 50)

    def size_e6(self) -> int:
        """Of a level: 50 to 260 contracts, some with hundredths."""
        whole = self.chance.randint(50, 260) * E6
        return whole + (self.chance.randint(1, 99) * 10_000 if self.chance.random() < 0.2 else 0)

    def quote(self, instrument: int, cents: int) -> None:
        """New levels around a value."""
        self.cents[instrument] = cents
        sizes = [self.size_e6() for _ in range(2 * LEVELS)]
        bids = [(cents - 1 - i) * 10_000 for i in range(LEVELS)]
        asks = [(cents + 1 + i) * 10_000 for i in range(LEVELS)]
        self.write(instrument, bids, asks, sizes)

    def write(self, instrument: int, bids: list[int], asks: list[int], sizes: list[int]) -> None:
        """The slot, and our own copy of it."""
        told: dict[str, Any] = {
            "bids": [x for pair in zip(bids, sizes, strict=False) for x in pair],
            "asks": [x for pair in zip(asks, sizes[LEVELS:], strict=True) for x in pair],
            "fee_kind": FEE_QUADRATIC, "fee_rate_e6": 70_000, "fee_exponent": 1, "fee_unit_e6": 10,
            "grid": GRID_CENT, "size_step_e6": 10_000, "size_min_e6": 5 * E6,
            "notional_step_e6": 10_000 if instrument == POLYMARKET else 0,
        }  # fmt: skip
        write_quote(self.desk.main, instrument, **told)
        at = BODY * (instrument == POLYMARKET)
        slot_load(self.desk.main.words, self.desk.main.at("quotes", instrument),
                  self.rows[at : at + BODY], BODY)  # fmt: skip

    def move(self) -> None:
        """One venue follows news by up to 12 cents and the other sleeps, or follows it at last;
        or both stay and a level is another."""
        one = self.chance.choice((KALSHI, POLYMARKET))
        if self.cents[KALSHI] != self.cents[POLYMARKET]:
            sleeper = one if self.chance.random() < 0.5 else KALSHI + POLYMARKET - one
            self.quote(sleeper, self.cents[KALSHI + POLYMARKET - sleeper])
            return
        by = self.chance.choice((-1, 0, 1, *(self.chance.randint(-12, 12) for _ in range(4))))
        self.quote(one, min(max(self.cents[one] + by, CENTS[0]), CENTS[-1]))

    def wanted(self) -> tuple[int, int, int, int, int] | None:
        """What the detector would send now: token, side, price and size of Polymarket's leg, and
        the direction. None: nothing pays."""
        for direction in (0, 1):
            size_e6, _, limit_e6, *_ = cross_venue(
                self.rows, 0, BODY, 1, direction, EDGE_MIN_E6, 0, 1_000 * E6, 0
            )
            if size_e6:
                side = side_of_b(direction, 1)
                return *place(0, side, limit_e6, size_e6, *self.held), size_e6, direction
        return None

    def filled(self, token: int, side: int, size_e6: int, direction: int) -> None:
        """Both levels are as much smaller, and we hold it."""
        self.held[token] += size_e6 if side == BUY else -size_e6
        write_position(self.desk, yes_e6=self.held[0], no_e6=self.held[1])
        for instrument, buys in ((KALSHI, direction == 0), (POLYMARKET, direction == 1)):
            at = BODY * (instrument == POLYMARKET)
            row = self.rows[at : at + BODY]
            side_at = cell(QUOTE, "asks" if buys else "bids")
            levels = [tuple(row[i : i + 2]) for i in range(side_at, side_at + 2 * LEVELS, 2)]
            left_e6, after = size_e6, []
            for price_e6, shown_e6 in levels:
                taken_e6 = min(left_e6, shown_e6)
                left_e6 -= taken_e6
                if shown_e6 > taken_e6:
                    after += [int(price_e6), int(shown_e6 - taken_e6)]
            after += [(E6 if buys else 0), 0] * (LEVELS - len(after) // 2)
            row[side_at : side_at + 2 * LEVELS] = after
            self.desk.main.write("quotes", instrument, row.copy())


def played(desk: Desk, seed: int, **changes: Any) -> tuple[int, int]:
    """(hits, misses) of a story."""
    settings = {"shown_max_e6": CAPS.order_e6, "token_stop_e6": CAPS.token_e6} | changes
    params = pool_params(total_stop_e6=CAPS.total_e6, **settings)
    pool = OrderPool(desk.client, desk.main, params=params, clock=desk.clock)
    market = Market(desk, seed)

    def pause() -> None:
        for _ in range(PAUSE):
            turn(desk, pool)
            desk.pass_time(SECOND_NS // 1000)

    for _ in range(4):
        pause()
    for _ in range(MOVES):
        market.move()
        while (wanted := market.wanted()) is not None:
            token, side, price_e6, size_e6, direction = wanted
            order = (POLYMARKET, token, side, price_e6, size_e6, 5, desk.now_ns)
            if pool.take_order(*order) is None:
                pause()
                assert pool.take_order(*order) is not None, order
                pool.hits -= 1
            market.filled(token, side, size_e6, direction)
            pause()
        pause()
    return pool.hits, pool.misses


@pytest.mark.parametrize("seed", [1, 2])
def test_the_entry_is_there_before_the_change_was_seen(tmp_path: Path, seed: int) -> None:
    hits, misses = played(Desk(tmp_path, caps=CAPS), seed)
    assert hits + misses > 150
    assert misses <= (hits + misses) // 100, (hits, misses)


@pytest.mark.parametrize("changes", [{"reach_e6": 0}, {"shown_max_e6": 25 * E6}])
def test_a_pool_that_reaches_less_far_misses(tmp_path: Path, changes: dict[str, int]) -> None:
    """The control: the story asks for far prices and large sizes."""
    hits, misses = played(Desk(tmp_path, caps=CAPS), 1, **changes)
    assert misses > (hits + misses) // 100, (hits, misses)
