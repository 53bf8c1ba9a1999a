"""What the pool plans to keep, from the book and from what is held; and what comes back to it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gateway.order_amounts import pool_size_e6
from gateway.pool_plan import room_for
from shm_layout import BUY, E6, NO_INSTRUMENT, PAIR, POSITION, SELL
from tests.gateway.signing_kit import Desk, body_of, write_market, write_pair, write_quote
from tests.gateway.test_pool import fill, keys, make_pool, take, turn

TOUCH = {(0, 450_000), (1, 560_000)}  # token, price


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_sizes_go_up_to_what_the_book_shows_on_that_side(desk: Desk) -> None:
    """An ask of 300 stands beside one of 100: each price gets sizes for it, at most 120 dollars."""
    write_quote(desk.main, asks=[450_000, 100 * E6, 460_000, 300 * E6], bids=[440_000, 2 * E6])
    pool = make_pool(desk, shown_max_e6=120 * E6)
    fill(desk, pool)
    most = [max(k[4] for k in pool._entries if k[1] == token) for token in (0, 1)]
    assert 200 * E6 <= most[0] <= 120 * E6 * E6 // 440_000, "120 dollars at most"
    assert most[1] <= 5 * E6 * E6 // 550_000, "the bids show little"
    for wanted_e6 in (33 * E6, 77_770_000, 100 * E6):
        size_e6 = pool_size_e6(450_000, wanted_e6, 10_000, 10_000)
        assert take(pool, desk, 450_000, size_e6) is not None


def test_a_level_that_breathes_begins_no_new_plan_and_one_that_doubles_does(desk: Desk) -> None:
    pool = make_pool(desk, shown_max_e6=120 * E6)
    before = fill(desk, pool)
    asked = desk.client.asked
    write_quote(desk.main, asks=[450_000, 97 * E6])
    assert fill(desk, pool) == before and desk.client.asked == asked
    write_quote(desk.main, asks=[450_000, 140 * E6])
    assert fill(desk, pool) > before, "and one that doubles does"


def write_position(desk: Desk, *, yes_e6: int = 0, no_e6: int = 0, generation: int = 1) -> None:
    """What the desk says we hold."""
    cells = body_of(POSITION, instrument=3, generation=generation, yes_e6=yes_e6, no_e6=no_e6)
    desk.main.write("positions", 3, cells)


def test_room_is_rounded_up_and_by_a_half_at_most() -> None:
    found = [room_for(size * E6) // E6 for size in (0, 1, 2, 3, 4, 5, 6, 7, 9, 100, 128, 129, 190)]
    assert found == [0, 1, 2, 3, 4, 6, 6, 8, 12, 128, 128, 192, 192]
    assert room_for(1) == E6 and room_for(-1) == 0


def test_sells_of_what_is_held_are_kept_for_the_same_legs(desk: Desk) -> None:
    """A leg SELL at 0.44 buys NO at 0.56, or sells the YES that is held, at 0.44."""
    pool = make_pool(desk)
    fill(desk, pool)
    assert {key[2] for key in pool._entries} == {BUY}
    write_position(desk, yes_e6=4 * E6)
    fill(desk, pool)
    sells = [key for key in pool._entries if key[2] == SELL]
    assert sells and {key[1] for key in sells} == {0} and max(key[4] for key in sells) <= 4 * E6
    size_e6 = pool_size_e6(560_000, 4 * E6, 10_000, 10_000)
    entry = take(pool, desk, 440_000, size_e6, side=SELL)
    assert entry is not None
    found = orjson.loads(entry.body)["order"]
    assert (found["side"], found["makerAmount"]) == ("SELL", str(size_e6))
    assert int(found["takerAmount"]) == 440_000 * size_e6 // E6
    write_position(desk, no_e6=4 * E6)
    fill(desk, pool)
    assert {key[1] for key in pool._entries if key[2] == SELL} == {0, 1}, "and NO, once it is held"


def test_a_position_of_another_market_sells_nothing(desk: Desk) -> None:
    pool = make_pool(desk)
    write_position(desk, yes_e6=4 * E6, generation=2)
    fill(desk, pool)
    assert {key[2] for key in pool._entries} == {BUY}


def test_an_entry_that_was_not_sent_can_be_taken_again(desk: Desk) -> None:
    pool = make_pool(desk)
    count = fill(desk, pool)
    first = take(pool, desk, 450_000, 10 * E6)
    assert first is not None
    signed, held = pool.signed, desk.signer.policy.held
    pool.unsent(first.hash)
    assert fill(desk, pool) == count and pool.signed == signed
    again = take(pool, desk, 450_000, 10 * E6)
    assert again is not None and again.hash == first.hash
    assert again.salt in held.orders
    pool.spent(again.hash)
    turn(desk, pool)
    assert again.salt not in held.orders, "it counted until it was used up"


@pytest.mark.parametrize("change", ["tick epoch", "generation", "replaced"])
def test_an_entry_that_was_not_sent_does_not_come_back_where_it_may_not_be_used(
    desk: Desk, change: str
) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    first = take(pool, desk, 450_000, 10 * E6)
    assert first is not None
    if change == "tick epoch":
        write_quote(desk.main, tick_epoch=6)
    elif change == "generation":
        write_market(desk.main, generation=2)
        write_quote(desk.main, generation=2)
    fill(desk, pool)
    pool.unsent(first.hash)
    assert first.hash not in {entry.hash for entry in pool._entries.values()}


def test_a_market_in_no_approved_pair_is_signed_at_its_touch_alone(desk: Desk) -> None:
    write_pair(desk.main, approved=0)
    pool = make_pool(desk, reach_e6=100_000)
    fill(desk, pool)
    assert keys(pool) == {(0, 450_000), (1, 560_000)}
    write_pair(desk.main)
    fill(desk, pool)
    paying = {(0, 450_000 - cent) for cent in range(0, 100_001, 10_000)}
    assert paying < keys(pool) and (0, 460_000) in keys(pool)
    assert (0, 470_000) not in keys(pool), "away from paying only what is near"


def test_a_market_that_may_be_bet_on_is_planned_like_a_paired_one(desk: Desk) -> None:
    write_pair(desk.main, approved=0)
    alone = body_of(PAIR, index=9, a=3, b=NO_INSTRUMENT, approved=1, same=1)
    desk.main.write("pairs", 9, alone)
    pool = make_pool(desk, reach_e6=100_000)
    fill(desk, pool)
    paying = {(0, 450_000 - cent) for cent in range(0, 100_001, 10_000)}
    assert paying < keys(pool)
    assert pool._markets.known[3].gap_e6 == -E6, "there is no other book to be near to"


def test_a_market_in_a_set_keeps_sizes_that_the_other_legs_take_too(desk: Desk) -> None:
    """25 contracts at 0.45 and at 0.37, where a contract is the step: 125 steps of 0.2 are none of
    the ladder."""
    write_market(desk.main, 4)
    write_quote(desk.main, 4, bids=[360_000, 100 * E6], asks=[370_000, 100 * E6])
    wanted = {(3, 0, BUY, 450_000, 25 * E6), (4, 0, BUY, 370_000, 25 * E6)}
    pool = make_pool(desk, order_max_e6=25 * E6)
    fill(desk, pool)
    assert wanted & pool._entries.keys() == {(4, 0, BUY, 370_000, 25 * E6)}
    desk.main.write("pairs", 9, body_of(PAIR, index=9, a=3, b=4, approved=1))
    fill(desk, pool)
    assert wanted <= pool._entries.keys()


def test_what_is_nearest_to_paying_goes_first(desk: Desk) -> None:
    """Two markets of the same book; what the second is paired with bids beyond its ask."""
    for slot in (5, 6):
        write_market(desk.main, slot)
        write_quote(desk.main, slot)
    write_quote(desk.main, 0, bids=[470_000, E6], asks=[480_000, E6])
    body = body_of(PAIR, index=6, a=0, b=6, approved=1, same=1)
    desk.main.write("pairs", 6, body)
    desk.main.write("pairs", 5, body_of(PAIR, index=5, a=9, b=5, approved=1, same=1))
    write_pair(desk.main, approved=0)
    pool = make_pool(desk)
    beyond: list[int] = []
    while len(beyond) < 10:
        turn(desk, pool)
        beyond = [key[0] for key in pool._entries if (key[1], key[3]) not in TOUCH]
    assert beyond.count(6) > 2 * beyond.count(5), "a turn's worth may follow a touch at once"
    assert {key[0] for key in pool._entries} == {3, 5, 6}, "each touch came before that"


def test_it_is_ready_once_the_first_plan_of_each_pair_is_through(desk: Desk) -> None:
    pool = make_pool(desk)
    turn(desk, pool)
    assert not pool.is_ready
    fill(desk, pool)
    assert pool.is_ready


def test_likely_are_new_entries_of_the_touch_and_then_all_of_it_again_and_again(
    desk: Desk,
) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    touch = {e.hash for e in pool._entries.values() if (e.key[1], e.key[3]) in TOUCH}
    first = [each.hash for _ in range(40) for each in pool.likely(3)]
    assert set(first) == touch and first.count(first[0]) > 1
    entry = take(pool, desk, 450_000, 10 * E6)
    assert entry is not None
    fill(desk, pool)
    newest = pool.likely(1)[0]
    assert newest.key == entry.key and newest.hash != entry.hash


def test_every_market_of_a_set_is_planned_and_its_gap_is_that_of_all(desk: Desk) -> None:
    """Asks of 0.45 + 0.20 + 0.30 leave 5 cents of a dollar; bids of 0.44 + 0.19 + 0.29 none."""
    for slot in (5, 6):
        write_market(desk.main, slot)
    write_quote(desk.main, 5, bids=[190_000, E6], asks=[200_000, E6])
    write_quote(desk.main, 6, bids=[290_000, E6], asks=[300_000, E6])
    row = body_of(PAIR, index=9, a=3, b=5, more=1, c=6, approved=1, same=0)
    write_pair(desk.main, approved=0)
    desk.main.write("pairs", 9, row)
    pool = make_pool(desk, reach_e6=100_000)
    fill(desk, pool)
    known = pool._markets.known
    assert all(known[number].is_paired for number in (3, 5, 6))
    assert known[3].gap_e6 == known[5].gap_e6 == known[6].gap_e6 == 50_000
