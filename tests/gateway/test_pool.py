"""The pool of signed orders: what it keeps; an entry is used once and only while it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.eip712 import OrderSigner
from gateway.order_amounts import pool_size_e6
from gateway.policy import Caps
from gateway.pool import CAP_HOLD_NS, HOLD_NS, OrderPool, PooledOrder
from gateway.signing import LOST_NS
from ops.venues.signatures import order_hashes, order_signer
from shm_layout import BUY, E6, NO_ASK_E6, NO_BID_E6, SELL
from tests.gateway.signing_kit import (
    GRID_FINE,
    POLYMARKET_KEY,
    SECOND_NS,
    Desk,
    pool_params,
    write_market,
    write_quote,
)

ADDRESS = OrderSigner(POLYMARKET_KEY).address
TURNS = 2000


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def make_pool(desk: Desk, **changes: Any) -> OrderPool:
    few = {"levels": 1, "reach_e6": 0, "order_max_e6": 5 * E6, "shown_max_e6": 5 * E6}
    settings = few | {"in_flight_max": 6, "per_turn": 3} | changes
    return OrderPool(
        desk.client, desk.main, params=pool_params(**settings), clock=desk.clock
    )


def turn(desk: Desk, pool: OrderPool) -> int:
    desk.client.pump(desk.now_ns)
    asked = pool.pump(desk.now_ns)
    desk.signer.step(desk.now_ns)
    desk.client.pump(desk.now_ns)
    return asked


def fill(desk: Desk, pool: OrderPool) -> int:
    """Turns until nothing more is ordered; the number of entries."""
    for _ in range(128):  # every row has been looked at once
        turn(desk, pool)
    for _ in range(TURNS):
        if not turn(desk, pool) and not turn(desk, pool):
            return len(pool)
    raise AssertionError("the pool never comes to rest")


def take(
    pool: OrderPool, desk: Desk, price_e6: int, size_e6: int, *, token: int = 0, side: int = BUY,
    tick_epoch: int = 5, instrument: int = 3,
) -> PooledOrder | None:  # fmt: skip
    return pool.take_order(instrument, token, side, price_e6, size_e6, tick_epoch, desk.now_ns)


def keys(pool: OrderPool) -> set[tuple[int, int]]:
    """(token, price) of everything kept."""
    return {(key[1], key[3]) for key in pool._entries}


def test_it_keeps_buys_of_both_tokens_around_the_touch(desk: Desk) -> None:
    pool = make_pool(desk)
    assert fill(desk, pool) > 30
    yes = {(0, price) for price in (440_000, 450_000, 460_000)}
    no = {(1, E6 - price) for price in (430_000, 440_000, 450_000)}  # NO ask = 1 − YES bid
    assert keys(pool) == yes | no
    assert {key[2] for key in pool._entries} == {BUY}


def test_every_kept_size_is_one_of_the_rule_between_minimum_and_cap(desk: Desk) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    for _, _, _, price_e6, size_e6 in pool._entries:
        assert pool_size_e6(price_e6, size_e6, 10_000, 10_000) == size_e6
        assert E6 <= price_e6 * size_e6 // E6 <= 5 * E6
    sizes = sorted(key[4] for key in pool._entries if key[1] == 0 and key[3] == 450_000)
    wanted = {pool_size_e6(450_000, s, 10_000, 10_000) for s in range(10_000, 11_111_112, 10_000)}
    assert sizes == sorted(s for s in wanted if s * 450_000 >= E6 * E6)


def test_any_wanted_size_finds_an_entry_by_the_rule(desk: Desk) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    for wanted_e6 in (2_777_777, 3 * E6, 7_123_456, 11_111_111):
        size_e6 = pool_size_e6(450_000, wanted_e6, 10_000, 10_000)
        assert take(pool, desk, 450_000, size_e6) is not None
    assert (pool.hits, pool.misses) == (4, 0)


def test_a_body_is_a_signed_fak_whose_hash_the_venue_finds_too(desk: Desk) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    entry = take(pool, desk, 560_000, 7_500_000, token=1)
    assert entry is not None
    found = orjson.loads(entry.body)
    assert found["orderType"] == "FAK" and found["owner"] == "owner-key"
    assert (found["deferExec"], found["postOnly"]) == (False, False)
    order = found["order"]
    assert (order["makerAmount"], order["takerAmount"]) == ("4200000", "7500000")
    body: dict[str, int | str | bytes] = dict(order)
    names = ("tokenId", "makerAmount", "takerAmount", "timestamp")
    body |= {name: int(order[name]) for name in names}
    body |= {"side": 0, "metadata": bytes(32), "builder": bytes(32)}
    hashes = order_hashes(body, neg_risk=False)
    signature = bytes.fromhex(order["signature"][2:])
    assert hashes[1] == entry.hash
    assert order_signer(body, signature, neg_risk=False, hashes=hashes) == ADDRESS.lower()
    assert b" " not in entry.body and b"'" not in entry.body


def test_an_entry_is_given_once_and_replaced(desk: Desk) -> None:
    pool = make_pool(desk)
    count = fill(desk, pool)
    first = take(pool, desk, 450_000, 10 * E6)
    assert first is not None and len(pool) == count - 1
    assert take(pool, desk, 450_000, 10 * E6) is None
    assert fill(desk, pool) == count
    second = take(pool, desk, 450_000, 10 * E6)
    assert second is not None and second.hash != first.hash and second.salt != first.salt


def test_a_changed_tick_epoch_empties_the_market_and_fills_it_anew(desk: Desk) -> None:
    pool = make_pool(desk)
    count = fill(desk, pool)
    write_quote(desk.main, tick_epoch=6, grid=GRID_FINE)
    turn(desk, pool)
    assert pool.dropped >= count and len(pool) < 10
    fill(desk, pool)
    assert {entry.tick_epoch for entry in pool._entries.values()} == {6}
    # the signer still counts what was dropped: it never expires at the venue
    assert desk.signer.policy.held.total_e6 > sum(
        key[3] * key[4] // E6 for key in pool._entries
    )


def test_an_entry_of_another_tick_epoch_is_not_given_even_before_the_pool_has_seen_it(
    desk: Desk,
) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    assert take(pool, desk, 450_000, 10 * E6, tick_epoch=6) is None
    assert pool.hits == 0 and pool.dropped == 1
    assert take(pool, desk, 450_000, 8 * E6) is not None  # the control


def test_an_entry_of_another_generation_is_not_given(desk: Desk) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    write_market(desk.main, generation=2)
    assert take(pool, desk, 450_000, 10 * E6) is None
    write_quote(desk.main, generation=2)
    fill(desk, pool)
    assert {entry.generation for entry in pool._entries.values()} == {2}


def test_a_moved_touch_adds_levels_and_keeps_the_old_ones(desk: Desk) -> None:
    pool = make_pool(desk)
    before = fill(desk, pool)
    write_quote(desk.main, bids=[500_000, E6], asks=[510_000, E6])
    after = fill(desk, pool)
    assert after > before and (0, 450_000) in keys(pool) and (0, 510_000) in keys(pool)
    asked = desk.client.asked
    write_quote(desk.main)
    assert fill(desk, pool) == after and desk.client.asked == asked


def test_a_side_without_a_touch_is_not_kept(desk: Desk) -> None:
    pool = make_pool(desk)
    write_quote(desk.main, bids=[NO_BID_E6, 0])
    fill(desk, pool)
    assert {token for token, _ in keys(pool)} == {0}
    before = len(pool)
    write_quote(desk.main, asks=[NO_ASK_E6, 0], bids=[NO_BID_E6, 0])
    assert fill(desk, pool) == before


def test_levels_end_at_the_edges_of_the_grid(desk: Desk) -> None:
    pool = make_pool(desk, levels=4)
    write_quote(desk.main, bids=[10_000, E6], asks=[20_000, E6])
    fill(desk, pool)
    assert min(price for token, price in keys(pool) if token == 0) == 10_000
    assert max(price for token, price in keys(pool) if token == 1) == 990_000


def test_the_touch_comes_first(desk: Desk) -> None:
    pool = make_pool(desk, levels=5)
    while len(pool) < 6:
        turn(desk, pool)
    assert keys(pool) == {(0, 450_000)}


def test_a_miss_is_signed_on_demand_and_counted(desk: Desk) -> None:
    pool = make_pool(desk)
    size_e6 = 10_200_000  # legal, in no bucket
    assert take(pool, desk, 450_000, size_e6) is None
    assert take(pool, desk, 450_000, size_e6) is None  # asked again: still one request
    assert (pool.misses, desk.client.in_flight) == (1, 1)
    desk.turn()
    entry = take(pool, desk, 450_000, size_e6)
    assert entry is not None and (pool.hits, pool.misses) == (1, 1)


def test_a_sell_is_signed_on_demand(desk: Desk) -> None:
    pool = make_pool(desk)
    assert take(pool, desk, 440_000, 7_330_000, side=SELL) is None
    desk.turn()
    entry = take(pool, desk, 440_000, 7_330_000, side=SELL)
    assert entry is not None
    order = orjson.loads(entry.body)["order"]
    assert (order["side"], order["makerAmount"], order["takerAmount"]) == (
        "SELL", "7330000", "3225200"
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"instrument": 9}, {"instrument": -1}, {"size_e6": 10_100_000}, {"price_e6": 0}]
)
def test_what_cannot_be_ordered_is_not(desk: Desk, wrong: dict[str, int]) -> None:
    pool = make_pool(desk)
    asked = {"price_e6": 450_000, "size_e6": 10 * E6} | wrong
    assert take(pool, desk, **asked) is None
    assert desk.client.asked == 0


def test_a_refusal_for_good_does_not_stop_the_others(desk: Desk) -> None:
    write_quote(desk.main, asks=[455_000, E6])  # a touch off the grid: the signer refuses it
    pool = make_pool(desk)
    assert fill(desk, pool) > 0
    refused = desk.client.refused["price"]
    assert (1, 560_000) in keys(pool) and fill(desk, pool) and refused > 0
    assert desk.client.refused["price"] == refused


def test_a_cap_stops_refills_for_a_while_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path, caps=Caps(order_e6=5 * E6, token_e6=9 * E6, total_e6=9 * E6))
    pool = make_pool(desk)
    for _ in range(300):
        turn(desk, pool)
    asked = desk.client.asked
    assert sum(desk.client.refused.values()) <= 6 and len(pool) > 1
    desk.pass_time(CAP_HOLD_NS)
    turn(desk, pool)
    assert desk.client.asked > asked
    told = [row.message for row in caplog.records if "alert: " in row.message]
    assert told == [
        f"alert: gateway: the signer refuses orders: {cap} is reached"
        for cap in ("cap_token", "cap_total") if desk.client.refused.get(cap)
    ]  # fmt: skip


def test_a_dead_signer_is_not_flooded_and_the_pool_fills_when_it_is_back(desk: Desk) -> None:
    pool = make_pool(desk)
    for _ in range(300):
        desk.client.pump(desk.now_ns)
        pool.pump(desk.now_ns)
    assert desk.client.asked == 6
    desk.pass_time(LOST_NS + 1)
    desk.client.pump(desk.now_ns)
    assert desk.client.lost == 6
    desk.pass_time(HOLD_NS)
    desk.signer = desk.new_signer()
    assert fill(desk, pool) > 30


def test_it_never_holds_more_than_its_limit(desk: Desk) -> None:
    pool = make_pool(desk, entries_max=10)
    for _ in range(400):
        turn(desk, pool)
    assert 10 <= len(pool) <= 16 and pool.full > 0


def test_refills_leave_room_under_the_caps_for_orders_on_demand(desk: Desk) -> None:
    pool = make_pool(desk, token_stop_e6=20 * E6)
    fill(desk, pool)

    def signed_e6() -> list[int]:
        entries = pool._entries.items()
        return [sum(kept.maker_e6 for key, kept in entries if key[1] == t) for t in (0, 1)]

    assert all(20 * E6 <= each < 26 * E6 for each in signed_e6())
    assert take(pool, desk, 450_000, 10_200_000) is None
    desk.turn()
    entry = take(pool, desk, 450_000, 10_200_000)
    assert entry is not None
    for key in list(pool._entries)[:8]:  # what is used up makes room again
        taken = pool.take_order(*key, 5, desk.now_ns)
        assert taken is not None
        pool.spent(taken.hash)
    pool.spent(entry.hash)
    fill(desk, pool)
    assert all(20 * E6 <= each < 32 * E6 for each in signed_e6())


def test_no_refill_above_the_total(desk: Desk) -> None:
    pool = make_pool(desk, total_stop_e6=20 * E6)
    for _ in range(300):
        turn(desk, pool)
    assert 20 * E6 <= desk.signer.policy.held.total_e6 < 40 * E6 and pool.full > 0


def test_only_orders_that_were_taken_and_are_over_are_reported_spent(desk: Desk) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    entry = take(pool, desk, 450_000, 10 * E6)
    assert entry is not None
    before_e6 = desk.signer.policy.held.total_e6
    pool.spent(entry.hash)
    pool.spent(entry.hash)
    pool.spent(bytes(32))
    desk.turn()
    assert before_e6 - desk.signer.policy.held.total_e6 == 4_500_000
    assert desk.client.refused == {}


def test_a_market_that_ends_loses_its_entries(desk: Desk) -> None:
    pool = make_pool(desk)
    fill(desk, pool)
    write_market(desk.main, live=0)
    for _ in range(128):
        turn(desk, pool)
    assert len(pool) == 0


def test_a_turn_is_bounded(desk: Desk) -> None:
    for slot in range(40):
        write_market(desk.main, slot)
        write_quote(desk.main, slot)
    pool = make_pool(desk)
    assert max(turn(desk, pool) for _ in range(500)) <= 3
    desk.pass_time(SECOND_NS)
    assert len({key[0] for key in pool._entries}) > 20


def test_the_rule_can_be_the_detectors(desk: Desk) -> None:
    pool = OrderPool(
        desk.client, desk.main, params=pool_params(levels=0), clock=desk.clock,
        size_rule=lambda price, size, notional_step, size_step: 3 * E6 if size >= 3 * E6 else 0,
    )  # fmt: skip
    for _ in range(200):
        turn(desk, pool)
    assert {key[4] for key in pool._entries} == {3 * E6}


def test_params_that_cannot_be_are_refused_and_the_api_key_does_not_print() -> None:
    with pytest.raises(ValueError, match="per_turn"):
        pool_params(per_turn=0)
    with pytest.raises(ValueError, match="levels"):
        pool_params(levels=-1)
    assert "owner-key" not in repr(pool_params())
