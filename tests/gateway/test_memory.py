"""The numbers kept for the last look are those that counting afresh gives, whatever happened in
between; and the compiled budgets are the plain ones.
"""

from __future__ import annotations

import random

import pytest

from gateway.accounts import Accounts
from gateway.guard import bucket_has, rate_has
from gateway.memory import (
    ACCOUNTS_AT,
    I_NET,
    I_NO_FREE,
    I_YES_FREE,
    M_DAY_LOSS,
    M_STAKED,
    RATE_AT,
    STAKED_AT,
    V_COST,
    Memory,
)
from gateway.order import E_FINISH, E_LOSE, E_SEND, Order
from gateway.params import DeskParams
from gateway.ports import NO, YES, Held, Market, Outcome, Placing
from gateway.throttle import DAY_NS, RATE_CELLS, SECOND_NS, STAMPS_MAX, Bucket, OrderRate
from shm_layout import BUY, REASONS, SELL
from tests.gateway.scene import KALSHI, POLY
from tests.gateway.test_look import Line
from tests.twins.guard import exposure, staked

ONE, SEED = 1_000_000, 20261121
MARKETS = [
    Market(number, 1, venue, account, event, f"M{number}", 0, "", "1", "2", account)
    for number, (venue, account, event) in enumerate(
        [("kalshi", 0, 3), ("polymarket", 1, 3), ("polymarket", 1, 4), ("kalshi", 2, 4)]
    )
]


def agree(book: Accounts, text: str) -> None:
    """Every number of the memory against the accounts, counted afresh."""
    memory, bets = book.memory, staked(book)
    assert memory.cells[M_STAKED] == sum(bets.values()), text
    assert memory.cells[M_DAY_LOSS] == book.day_loss_e6, text
    for account in book.cash:
        assert memory.cells[ACCOUNTS_AT + account] == book.cash_free(account), text
    for number in book.markets:
        row, position = memory.row(number), book.position(number)
        held = memory.cells[row + I_YES_FREE], memory.cells[row + I_NO_FREE]
        assert held == book.free_tokens(number), text
        assert memory.cells[row + I_NET] == position.net_e6, text
        assert memory.exposures(number) == exposure(book, number), text
        assert memory.cells[STAKED_AT + number] == bets.get(number, 0), text


def happen(book: Accounts, chance: random.Random, orders: list[Order], number: int) -> None:
    """One thing that changes the accounts."""
    what = chance.randrange(8)
    if what < 3 or not orders:
        instrument, token = chance.randrange(4), chance.choice((YES, NO))
        token = YES if instrument in (0, 3) else token
        side, price = chance.choice((BUY, SELL)), chance.randrange(1, 100) * 10_000
        placing, size = Placing(token, side, price), chance.randrange(1, 900) * 10_000
        order = Order(number, 0, 0, instrument, 1, side, price, size, placing, key=str(number))
        order.move(E_SEND)
        order.is_bet = chance.random() < 0.5
        book.reserve(order, price * size // ONE + 17, is_ours=chance.random() < 0.5)
        orders.append(order)
    elif what < 6:
        order = orders.pop(chance.randrange(len(orders)))
        filled = chance.choice((0, order.size_e6 // 2, order.size_e6))
        notional = order.placing.price_e6 * filled // ONE
        event = chance.choice((E_FINISH, E_FINISH, E_LOSE))
        order.learn(Outcome(event, 0, filled, notional, filled // 1_000, True))
        book.fold(order)
        if order.is_final:
            book.release(order)
        else:
            orders.append(order)
    elif what == 6:
        book.settle(chance.randrange(4), chance.choice((0, ONE // 2, ONE)))
    else:
        instrument = chance.randrange(4)
        book.start({0: 10**12}, [Held(instrument, number * 10_000, 0)], {})


def test_after_anything_the_numbers_are_those_counted_afresh() -> None:
    chance, orders = random.Random(SEED), list[Order]()
    book = Accounts(MARKETS, {"kalshi": True, "polymarket": False})
    book.start({0: 10**12, 1: 10**12, 2: 10**12}, [], {})
    for number in range(1, 800):
        happen(book, chance, orders, number)
        agree(book, f"seed {SEED}, event {number}")
    book.add_market(Market(1, 2, "kalshi", 2, 9, "moved", 0, "", "1", "2", 0))
    agree(book, "a market that became another")
    book.roll_day(DAY_NS)
    agree(book, "a new day")


def test_the_compiled_rate_is_the_plain_one() -> None:
    chance, memory = random.Random(SEED), Memory()
    rate = OrderRate(3, 7, 11, cells=memory.cells[RATE_AT : RATE_AT + RATE_CELLS])
    now_ns, answers = 10**15, set[bool]()
    for _ in range(3_000):
        now_ns += chance.choice((0, 1, SECOND_NS // 3, SECOND_NS, 9 * SECOND_NS, DAY_NS // 9))
        count = chance.randrange(1, 5)
        found = rate.has(count, now_ns)
        assert rate_has(memory.words, count, now_ns) == found, f"seed {SEED}"
        answers.add(found)
        if found:
            rate.add(count, now_ns)
    assert answers == {True, False}


def test_the_compiled_bucket_is_the_plain_one() -> None:
    chance, memory, answers = random.Random(SEED), Memory(), set[bool]()
    for _ in range(3_000):
        rate, burst = chance.choice((1, 100, 10**6)), chance.choice((1, 60, 10**6))
        bucket = Bucket(rate=rate, burst=burst, reserve=chance.randrange(burst))
        bucket.level_n = chance.randrange(-(10**9), burst * 10**9)
        bucket.at_ns = chance.choice((0, 1, 10**15, 10**15 - 10**6, 10**15 + 5))
        memory.venue(1, nets=False, order_cost=chance.choice((1, 10)), bucket=bucket)
        now_ns, orders, urgent = 10**15, chance.randrange(1, 4), chance.random() < 0.5
        cost = orders * memory.cells[memory.venue_row(1) + V_COST]
        compiled = bucket_has(memory.words, 1, orders, urgent, now_ns)
        assert compiled == bucket.has(cost, now_ns, urgent=urgent), f"seed {SEED}, {bucket}"
        answers.add(compiled)
    assert answers == {True, False}


@pytest.mark.parametrize("counts", [(0, 1, 1), (1, 1, STAMPS_MAX + 1)])
def test_a_rate_that_cannot_be_kept_is_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="order rate"):
        OrderRate(*counts)
    with pytest.raises(ValueError, match="orders_per_day"):
        DeskParams(orders_per_day=STAMPS_MAX + 1)


def test_the_same_legs_again_are_a_duplicate_in_each_direction_by_itself() -> None:
    line = Line()

    def fire(direction: int, sell_e6: int) -> str:
        scene, memory = line.scene, line.memory
        buy, sell = (KALSHI, POLY) if direction == 0 else (POLY, KALSHI)
        limits = {buy: (BUY, 420_000), sell: (SELL, sell_e6)}
        legs = [scene.leg(number, *limits[number]) for number in (KALSHI, POLY)]
        scene.intent(*legs, direction=direction, age_ns=10**10)
        why = line.take()
        if why == 0:
            memory.sent(0, direction, [*legs[0], *legs[1]], 2, scene.clock())
        return REASONS[why]

    assert [fire(0, 500_000), fire(1, 490_000)] == ["done", "done"]
    assert [fire(0, 500_000), fire(1, 490_000)] == ["duplicate", "duplicate"]
    assert fire(0, 480_000) == "done", "another limit is another intent"
    line.scene.skew_ns += DeskParams().duplicate_ns
    assert fire(1, 490_000) == "done", "not for ever"
