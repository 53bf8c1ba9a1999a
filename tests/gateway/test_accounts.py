"""Positions and cash: against plain bookkeeping by hand, with a seeded comparison to the simulated
venue's own rule.
"""

from __future__ import annotations

import random

import pytest

from gateway.accounts import Accounts
from gateway.holding import Position
from gateway.memory import M_DAY_LOSS, M_STAKED, STAKED_AT
from gateway.order import E_FINISH, E_LOSE, E_SEND, Order
from gateway.ports import NO, YES, Fill, Held, Market, Outcome, Placing
from ops.venues.kalshi_account import Position as VenuePosition
from shm_layout import BUY, S_CONFIRMED, S_FAILED, S_MATCHED, SELL

ONE = 1_000_000
MARKETS = [
    Market(0, 1, "kalshi", 0, 3, "KX", 2, "", "0", "0", 0),
    Market(1, 1, "polymarket", 1, 3, "slug", 0, "", "1", "2", 1),
    Market(2, 1, "polymarket", 1, 4, "other", 0, "", "3", "4", 1),
]


def accounts(cash: int = 100 * ONE) -> Accounts:
    found = Accounts(MARKETS, {"kalshi": True, "polymarket": False})
    found.start({0: cash, 1: cash}, [], {})
    return found


def filled(
    book: Accounts, instrument: int, token: int, side: int, size: int, price: int, fee: int = 0,
    intent: int = 1, *, is_bet: bool = False
) -> Order:  # fmt: skip
    """An order that filled all of `size` at `price`, folded."""
    order = Order(
        intent, 0, instrument, instrument, 1, side, price, size, Placing(token, side, price)
    )
    order.move(E_SEND)
    order.is_bet = is_bet
    order.learn(Outcome(E_FINISH, 0, size, price * size // ONE, fee, True))
    book.fold(order)
    return order


def test_what_opening_cost_in_fees_is_at_risk_too() -> None:
    book = accounts()
    filled(book, 1, YES, BUY, 10 * ONE, 400_000, 50_000)
    assert book.exposure(1) == (4_050_000,) * 4
    filled(book, 1, YES, SELL, 4 * ONE, 400_000, 20_000)
    assert book.exposure(1) == (2_430_000,) * 4, "its share is in the result by then"


def test_tokens_are_held_apart() -> None:
    book = accounts()
    filled(book, 1, YES, BUY, 10 * ONE, 400_000, 50_000)
    filled(book, 1, NO, BUY, 4 * ONE, 500_000, 20_000)
    position = book.position(1)
    assert (position.yes_e6, position.no_e6, position.net_e6) == (10 * ONE, 4 * ONE, 6 * ONE)
    assert position.cost_e6 == 6 * ONE
    assert book.cash[1].cash_e6 == 94 * ONE - 70_000
    filled(book, 1, YES, SELL, 10 * ONE, 450_000, 10_000)
    assert book.position(1).yes_e6 == 0 and book.position(1).cost_yes_e6 == 0
    assert book.realized_day_e6 == 500_000 - 10_000 - 50_000, "and what buying them cost in fees"


def test_a_netting_venue_closes_first() -> None:
    book = accounts()
    filled(book, 0, YES, BUY, 10 * ONE, 400_000)
    filled(book, 0, YES, SELL, 15 * ONE, 600_000)
    position = book.position(0)
    assert (position.yes_e6, position.no_e6, position.cost_no_e6) == (0, 5 * ONE, 2 * ONE)
    assert book.cash[0].cash_e6 == (100 - 4 + 6 - 2) * ONE
    assert book.realized_day_e6 == 2 * ONE


def test_netting_agrees_with_the_simulated_venues_own_rule() -> None:
    """500 seeded fills; the venue's code was written by others and shares nothing with ours."""
    seed = 20261121
    chance = random.Random(seed)
    book, theirs, cash = accounts(10**12), VenuePosition(), 10**12
    for number in range(500):
        side, price = chance.choice((BUY, SELL)), chance.randrange(1, 100) * 10_000
        size = chance.randrange(1, 5_000) * 10_000
        filled(book, 0, YES, side, size, price, intent=number)
        cash += theirs.book(side, price, size, 0, 0)
        assert book.position(0).net_e6 == theirs.net_e6, f"seed {seed}, fill {number}"
        assert book.cash[0].cash_e6 == cash, f"seed {seed}, fill {number}"


def test_folding_twice_books_once() -> None:
    book = accounts()
    order = filled(book, 1, YES, BUY, 10 * ONE, 400_000)
    assert book.fold(order) == 0 and book.position(1).yes_e6 == 10 * ONE


@pytest.mark.parametrize("instrument", [0, 1])
def test_exact_amounts_correct_averages(instrument: int) -> None:
    book = accounts()
    order = Order(
        1, 0, instrument, instrument, 1, BUY, 400_000, 10 * ONE, Placing(YES, BUY, 400_000)
    )
    order.move(E_SEND)
    order.learn(Outcome(E_FINISH, 0, 10 * ONE, 4 * ONE, 170_000))
    book.fold(order)
    order.learn(Outcome(E_FINISH, 0, 10 * ONE, 3_950_000, 168_000, True))
    assert book.fold(order) == 50_000
    assert book.cash[instrument].cash_e6 == 100 * ONE - 3_950_000 - 168_000
    assert book.position(instrument).cost_yes_e6 == 3_950_000


def test_a_failed_trade_reopens_what_it_had_closed() -> None:
    book = accounts()
    filled(book, 1, YES, BUY, 10 * ONE, 400_000)
    sale = Order(2, 0, 1, 1, 1, SELL, 450_000, 10 * ONE, Placing(YES, SELL, 450_000), key="k")
    sale.move(E_SEND)
    trade = Fill("k", "t", 10 * ONE, 4_500_000, 0, S_MATCHED)
    sale.trade(trade)
    book.fold(sale)
    assert book.position(1).yes_e6 == 0
    sale.trade(Fill("k", "t", 10 * ONE, 4_500_000, 0, S_FAILED))
    book.fold(sale)
    assert book.position(1).yes_e6 == 10 * ONE and book.cash[1].cash_e6 == 96 * ONE


def test_unknown_is_reserved_for_everyone_in_flight_only_for_us() -> None:
    book = accounts()
    order = Order(1, 0, 0, 0, 1, BUY, 400_000, 10 * ONE, Placing(YES, BUY, 400_000))
    order.move(E_SEND)
    book.reserve(order, 4_200_000, is_ours=False)
    assert (book.cash_free(0), book.cash_told(0)) == (95_800_000, 100 * ONE)
    order.learn(Outcome(E_LOSE, 1))
    assert (book.cash_free(0), book.cash_told(0)) == (95_800_000, 95_800_000)
    assert (book.unknown_e6(0), book.open_e6(0)) == (10 * ONE, 10 * ONE)


def test_tokens_being_sold_are_not_free() -> None:
    book = accounts()
    book.start({}, [Held(1, 10 * ONE, 0)], {})
    sale = Order(2, 0, 1, 1, 1, SELL, 450_000, 7 * ONE, Placing(YES, SELL, 450_000))
    sale.move(E_SEND)
    book.reserve(sale, 0, is_ours=False)
    assert book.free_tokens(1) == (3 * ONE, 0)


@pytest.mark.parametrize(("instrument", "free"), [(0, (0, 3 * ONE)), (1, (0, 10 * ONE))])
def test_where_the_venue_nets_tokens_are_sold_by_buying_the_others(
    instrument: int, free: tuple[int, int]
) -> None:
    """Else two buys under way would both count as paid by the same holding."""
    book = accounts()
    book.start({}, [Held(instrument, 0, 10 * ONE)], {})
    more = Order(2, 0, instrument, instrument, 1, BUY, 450_000, 7 * ONE, Placing(YES, BUY, 450_000))
    more.move(E_SEND)
    book.reserve(more, 0, is_ours=False)
    assert book.free_tokens(instrument) == free


def test_exposure_counts_instrument_event_venue_and_all() -> None:
    book = accounts()
    filled(book, 0, YES, BUY, 10 * ONE, 400_000)
    filled(book, 1, YES, BUY, 10 * ONE, 300_000)
    filled(book, 2, NO, BUY, 10 * ONE, 200_000)
    assert book.exposure(1) == (3 * ONE, 7 * ONE, 5 * ONE, 9 * ONE)


def test_settlement_pays_the_value_to_yes_and_the_rest_to_no() -> None:
    book = accounts()
    book.start({}, [Held(1, 10 * ONE, 4 * ONE)], {})
    assert book.settle(1, 750_000) == 8_500_000
    assert book.settle(1, 750_000) == 0 and book.cash[1].cash_e6 == 108_500_000


def test_holdings_of_unknown_cost_count_a_dollar_each() -> None:
    book = accounts()
    book.start({}, [Held(0, 10 * ONE, 0)], {})
    assert book.position(0).cost_e6 == 10 * ONE


def test_the_runs_first_cash_survives_a_restart() -> None:
    book = Accounts(MARKETS, {"kalshi": True, "polymarket": False})
    book.start({0: 90 * ONE}, [], {0: 100 * ONE})
    assert (book.cash[0].cash_e6, book.cash[0].start_e6) == (90 * ONE, 100 * ONE)


def test_a_new_day_starts_a_new_loss() -> None:
    book = accounts()
    book.roll_day(1)
    filled(book, 1, YES, BUY, 10 * ONE, 400_000)
    filled(book, 1, YES, SELL, 10 * ONE, 300_000)
    assert book.day_loss_e6 == ONE
    book.roll_day(86_400_000_000_000)
    assert book.day_loss_e6 == 0


def test_a_late_trade_of_a_finished_order_is_booked() -> None:
    book = accounts()
    order = filled(book, 0, YES, BUY, 4 * ONE, 400_000)
    order.trade(Fill("", "a", 4 * ONE, 1_600_000, 10, S_CONFIRMED))
    order.trade(Fill("", "b", 1 * ONE, 400_000, 5, S_CONFIRMED))
    book.fold(order)
    assert book.position(0).yes_e6 == 5 * ONE


def test_the_fees_of_opening_count_when_what_they_opened_is_closed() -> None:
    book = accounts()
    filled(book, 0, YES, BUY, 10 * ONE, 400_000, 60_000)
    assert book.realized_day_e6 == 0
    filled(book, 0, YES, SELL, 5 * ONE, 400_000, 20_000)
    assert book.realized_day_e6 == -20_000 - 30_000
    filled(book, 0, YES, SELL, 10 * ONE, 400_000, 40_000)
    assert book.realized_day_e6 == -50_000 - 20_000 - 30_000, "half of it opens the other side"
    assert book.position(0).open_fee_e6 == 20_000


@pytest.mark.parametrize("first", [0, 1])  # the leg that loses, the one that wins
def test_a_settled_pair_is_a_result_when_both_its_legs_are_paid(first: int) -> None:
    book = accounts()
    filled(book, 0, YES, BUY, 10 * ONE, 400_000, 50_000)
    filled(book, 1, NO, BUY, 10 * ONE, 500_000, 50_000)
    book.settle(first, 0)
    assert book.realized_day_e6 == 0, "its other leg is still held"
    book.settle(1 - first, 0)
    assert book.realized_day_e6 == 10 * ONE - 9 * ONE - 100_000


def test_a_leg_alone_that_settles_against_us_is_a_loss() -> None:
    book = accounts()
    filled(book, 2, YES, BUY, 10 * ONE, 400_000, 50_000)
    book.settle(2, 0)
    assert book.day_loss_e6 == 4 * ONE + 50_000


def test_what_was_not_known_to_be_held_is_sold_without_a_result() -> None:
    """A lost sale found after a restart, before the venue has said what we hold."""
    book = accounts()
    filled(book, 1, YES, SELL, 10 * ONE, 450_000, 10_000)
    assert book.realized_day_e6 <= 0


def test_a_successor_goes_on_with_the_days_loss_and_the_costs_it_finds() -> None:
    book = accounts()
    filled(book, 1, YES, BUY, 10 * ONE, 400_000)
    filled(book, 1, YES, SELL, 10 * ONE, 900_000)
    held = [Held(0, 10 * ONE, 0), Held(1, 3 * ONE, 0)]
    book.start({}, held, {}, {0: Position(10 * ONE, 0, 4 * ONE), 1: Position(2 * ONE, 0, ONE)})
    assert book.position(0).cost_yes_e6 == 4 * ONE
    assert book.position(1).cost_yes_e6 == 3 * ONE, "not what it had: the worst"
    book.take_day(86_400_000_000_000, 7 * ONE)
    book.roll_day(86_400_000_000_001)
    assert book.day_loss_e6 == 7 * ONE
    book.roll_day(2 * 86_400_000_000_000)
    assert book.day_loss_e6 == 0


def test_what_bets_opened_is_at_risk_until_it_is_closed_whatever_else_is_held() -> None:
    book = accounts()
    filled(book, 0, YES, BUY, 10 * ONE, 400_000, 60_000, is_bet=True)
    filled(book, 0, YES, BUY, 10 * ONE, 300_000, 40_000)  # a leg of a pair
    position = book.position(0)
    assert position.staked_e6 == 4_060_000
    filled(book, 0, YES, SELL, 10 * ONE, 350_000)  # given back: it need not have been the bet's
    assert position.staked_e6 == position.cost_e6 + position.open_fee_e6 == 3_550_000
    filled(book, 0, YES, SELL, 10 * ONE, 350_000)
    assert position.staked_e6 == 0
    filled(book, 0, YES, BUY, 10 * ONE, 300_000)
    assert position.staked_e6 == 0, "nothing of the bet is left"
    filled(book, 0, YES, SELL, 20 * ONE, 300_000, is_bet=True)
    assert (position.no_e6, position.staked_e6) == (10 * ONE, 7 * ONE), "what it opened itself"


def test_a_bet_that_a_pairs_leg_closed_is_at_risk_until_nothing_of_its_event_is_held() -> None:
    book = accounts()
    staked = book.memory.cells[STAKED_AT : STAKED_AT + 3]
    filled(book, 0, YES, BUY, 10 * ONE, 400_000, 60_000, is_bet=True)
    filled(book, 1, YES, BUY, 10 * ONE, 550_000)  # both legs of a pair: this one stands alone
    filled(book, 0, YES, SELL, 10 * ONE, 420_000)
    assert book.position(0).cost_e6 == 0 and staked.tolist() == [4_060_000, 0, 0]
    assert book.memory.cells[M_STAKED] == 4_060_000
    filled(book, 2, YES, BUY, ONE, 500_000)
    book.settle(2, 0)
    assert staked.tolist() == [4_060_000, 0, 0], "another event's end is not its own"
    book.settle(1, 0)
    assert staked.tolist() == [0, 0, 0] and book.memory.cells[M_STAKED] == 0
    filled(book, 0, YES, BUY, 10 * ONE, 400_000, is_bet=True)
    filled(book, 0, YES, SELL, 10 * ONE, 420_000, is_bet=True)
    assert staked.tolist() == [0, 0, 0], "what a bet closes itself is over"


def test_what_a_pairs_leg_closed_is_known_after_a_restart() -> None:
    book, bets = accounts(), {0: Position(10 * ONE, bet_e6=4 * ONE), 2: Position(bet_e6=ONE)}
    book.start({}, [Held(1, 10 * ONE, 0)], {}, {}, bets)
    book.cover(bets)
    staked = book.memory.cells[STAKED_AT : STAKED_AT + 3]
    assert staked.tolist() == [4 * ONE, 0, 0], "nothing of the other's event is held"
    book.settle(1, ONE)
    assert staked.tolist() == [0, 0, 0]


def test_a_trade_of_a_bet_that_fails_is_at_risk_no_more() -> None:
    book = accounts()
    order = filled(book, 1, YES, BUY, 10 * ONE, 400_000, is_bet=True)
    order.trade(Fill("", "a", 10 * ONE, 4 * ONE, 0, S_MATCHED))
    order.trade(Fill("", "a", 10 * ONE, 4 * ONE, 0, S_FAILED))
    book.fold(order)
    assert book.position(1).staked_e6 == 0


@pytest.mark.parametrize(("value", "end"), [(ONE, 4_560_000), (0, 3_560_000)])
@pytest.mark.parametrize("has_successor", [False, True])
def test_a_loss_that_nothing_left_can_make_good_counts_at_once(
    value: int, end: int, *, has_successor: bool
) -> None:
    """A small leg that settles hours later, or never, held it back."""
    book = accounts()
    filled(book, 0, YES, BUY, 10 * ONE, 400_000, 50_000)
    filled(book, 1, NO, BUY, ONE, 510_000)
    book.settle(0, 0)
    assert book.day_loss_e6 == book.memory.cells[M_DAY_LOSS] == 4_050_000 - 490_000
    if has_successor:
        left, settled = {1: Position(0, ONE, 0, 510_000)}, {3: book.settled_e6(3)}
        book = accounts()
        book.start({}, [Held(1, 0, ONE)], {}, left)
        book.take_day(0, 3_560_000, settled, left)
        assert book.day_loss_e6 == book.memory.cells[M_DAY_LOSS] == 3_560_000
    book.settle(1, value)
    assert book.day_loss_e6 == book.memory.cells[M_DAY_LOSS] == end
    assert book.settled_e6(3) == 0, "the next event of this number begins with nothing"


def test_what_is_left_of_an_event_can_be_sold_too() -> None:
    book = accounts()
    filled(book, 0, YES, BUY, 10 * ONE, 400_000)
    filled(book, 1, NO, BUY, 8 * ONE, 500_000)
    book.settle(0, 0)
    assert book.day_loss_e6 == 0, "NO may bring as much"
    filled(book, 1, NO, SELL, 8 * ONE, 300_000)
    assert book.day_loss_e6 == 4 * ONE + 1_600_000


def test_a_successor_counts_no_loss_of_a_pair_whose_winning_leg_is_to_come() -> None:
    left = {1: Position(0, 10 * ONE, 0, 5 * ONE)}
    book = accounts()
    book.start({}, [Held(1, 0, 10 * ONE)], {}, left)
    book.take_day(0, 0, {3: -4 * ONE}, left)
    assert book.realized_day_e6 == 0
    book.settle(1, 0)
    assert book.realized_day_e6 == ONE


def test_what_was_gone_when_a_successor_came_makes_nothing_good() -> None:
    book = accounts()
    book.take_day(0, 3_560_000, {3: -4_050_000}, {1: Position(0, ONE, 0, 510_000)})
    assert book.day_loss_e6 == book.memory.cells[M_DAY_LOSS] == 4_050_000


@pytest.mark.parametrize(("value", "loss"), [(0, 3_580_000), (ONE, 4_580_000)])
def test_what_was_paid_while_nobody_was_there_has_its_result_all_the_same(
    value: int, loss: int
) -> None:
    """NO, a contract for 51 cents and 2 of fees, beside a lost leg of its event."""
    book, left = accounts(), {1: Position(0, ONE, 0, 510_000, open_fee_e6=20_000)}
    book.take_day(0, 3_580_000, {3: -4_050_000}, left, {1: value})
    assert book.day_loss_e6 == book.memory.cells[M_DAY_LOSS] == loss
    assert book.settled_e6(3) == 0


def test_a_loss_of_an_event_of_which_nothing_had_settled_before_counts_too() -> None:
    book = accounts()
    book.take_day(0, ONE, {}, {0: Position(400 * ONE, 0, 200 * ONE)}, {0: 0})
    assert book.day_loss_e6 == 201 * ONE


def test_both_tokens_of_a_market_keep_what_they_cost() -> None:
    book = accounts()
    left = {1: Position(10 * ONE, 4 * ONE, 4 * ONE, 3 * ONE, open_fee_e6=ONE)}
    book.start({}, [Held(1, 10 * ONE, 4 * ONE)], {}, left)
    position = book.position(1)
    assert (position.cost_yes_e6, position.cost_no_e6) == (4 * ONE, 3 * ONE)
    assert position.open_fee_e6 == ONE
