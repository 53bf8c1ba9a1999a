"""The whole gateway over real TLS sockets against scripted venues: what goes where, in which
order, and what follows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import journal as j
from gateway.kalshi import CREATE
from gateway.reception import WAITING_MAX
from shm_layout import (
    ACTIVE,
    BUY,
    FLAG_UNWIND,
    GATE,
    HALTED,
    K_TERMINAL,
    KILL,
    P_DONE,
    P_SENT,
    REASONS,
    SELL,
    cell,
    cells_to_text,
    word_load,
    word_store,
)
from tests.gateway.rig import (
    FAK_NONE,
    PARAMS,
    SIZE,
    kalshi_filled,
    play,
    poly_filled,
    running,
)
from tests.gateway.scene import KALSHI, POLY
from tests.gateway.venue_double import HOLD, Seen


def test_both_legs_are_sent_before_either_answers_and_the_journal_has_them_first(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            journalled: list[list[str]] = []

            def look(seen: Seen) -> None:
                records = j.read(j.files(rig.folder)[-1]).records
                orders = [order for r in records if r["k"] == "order" for order in r["orders"]]
                journalled.append([order[-1] for order in orders])

            rig.kalshi.on_order = rig.poly.on_order = look
            rig.kalshi.script, rig.poly.script = [HOLD, (500, {})], [HOLD, (500, {})]
            number = rig.fire()
            await rig.until(lambda: bool(rig.kalshi.orders and rig.poly.orders))
            assert not rig.ended(number)
            order, other = rig.kalshi.orders[0], rig.poly.orders[0]
            assert (order.path, other.path) == (CREATE, "/order")
            keys = {str(order.json["client_order_id"]), str(other.json["hash"])}
            assert len(journalled) == 2 and all(set(found) == keys for found in journalled)
            sent = rig.legs(number)
            assert [(r["venue"], r["side"], r["placed"]) for r in sent] == [
                (KALSHI, BUY, P_SENT),
                (POLY, SELL, P_SENT),
            ]
            assert all(r["recv_ns"] < r["decide_ns"] <= r["taken_ns"] <= r["send_ns"] for r in sent)

    play(story, tmp_path)


def test_a_filled_pair_is_done_with_exact_positions_cash_and_one_last_word(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [kalshi_filled("10.00")]
            rig.poly.script = [poly_filled("5", "10")]
            number = rig.fire()
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"], end["worst_e6"]) == ("done", SIZE, 0)
            assert rig.kalshi.orders[0].json == {
                "ticker": "KX-1",
                "time_in_force": "immediate_or_cancel",
                "exchange_index": 2,
                "self_trade_prevention_type": "taker_at_cross",
                "side": "bid",
                "count": "10.00",
                "price": "0.4200",
                "client_order_id": f"{7:016x}-{number:016x}-0",
            }
            wanted = {"token": 1, "side": BUY, "price": 500_000, "size": SIZE}
            assert rig.poly.orders[0].json.items() >= wanted.items(), "nothing held: buy NO at 1-p"
            kalshi, poly = (rig.desk.accounts.position(i) for i in (KALSHI, POLY))
            assert (kalshi.yes_e6, poly.no_e6) == (SIZE, SIZE)
            cash = rig.desk.accounts.cash
            assert cash[KALSHI].cash_e6 == 500_000_000 - 4_200_000 - 170_000
            assert cash[POLY].cash_e6 == 500_000_000 - 5_000_000 - 125_000
            row = rig.scene.segment.read("positions", POLY)
            assert row is not None and (row["position_e6"], row["no_e6"]) == (-SIZE, SIZE)
            last = rig.legs(number)[-1]
            assert last["placed"] == P_DONE and last["ack_ns"] > last["send_ns"]
            key = cells_to_text(rig.legs(number)[0]["order_key"].tolist())
            assert key == f"{7:016x}-{number:016x}-0"
            assert rig.signer.used == [(1).to_bytes(32, "big")], (
                "a filled order's signature is spent"
            )
            at = rig.scene.segment.at("gate") + cell(GATE, "answered_through")
            assert word_load(rig.scene.segment.words, at) == number
            assert len(rig.ended(number)) == 1

    play(story, tmp_path)


@pytest.mark.parametrize("missed", [KALSHI, POLY])
def test_what_one_leg_missed_goes_back_to_the_venue_market_and_side_that_was_filled(
    tmp_path: Path, missed: int
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            if missed == POLY:
                rig.kalshi.script = [kalshi_filled("10.00"), kalshi_filled("10.00", "0.4000")]
                rig.poly.script = [FAK_NONE]
            else:
                rig.kalshi.script = [kalshi_filled("0.00")]
                rig.poly.script = [poly_filled("5", "10"), poly_filled("10", "4.8")]
            number = rig.fire()
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"]) == ("one_legged", 0)
            double = rig.poly if missed == KALSHI else rig.kalshi
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert len(rig.kalshi.orders) + len(rig.poly.orders) == 3 and len(double.orders) == 2
            again = double.orders[1].json
            if missed == POLY:
                assert (again["side"], again["ticker"], again["count"], again["price"]) == (
                    "ask",
                    "KX-1",
                    "10.00",
                    "0.4000",
                )
            else:
                wanted = {"token": 1, "side": SELL, "price": 480_000, "size": SIZE}
                assert again.items() >= wanted.items(), "the NO that was bought is sold"
            child = rig.children(number)[-1]
            assert child["flags"] & FLAG_UNWIND and child["placed"] == P_DONE
            assert len(rig.ended(int(child["intent"]))) == 1
            for instrument in (KALSHI, POLY):
                position = rig.desk.accounts.position(instrument)
                assert (position.yes_e6, position.no_e6) == (0, 0)
            assert rig.desk.accounts.day_loss_e6 > 0
            assert rig.gate == (ACTIVE, "done"), "within its caps nothing halts"

    play(story, tmp_path)


def test_a_partial_leg_gives_back_only_the_difference(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [kalshi_filled("10.00"), kalshi_filled("6.00", "0.4000")]
            rig.poly.script = [poly_filled("2", "4")]
            number = rig.fire()
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"]) == ("one_legged", 4_000_000)
            assert end["worst_e6"] > 0
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert rig.kalshi.orders[1].json["count"] == "6.00"
            kalshi, poly = (rig.desk.accounts.position(i) for i in (KALSHI, POLY))
            assert (kalshi.yes_e6, poly.no_e6) == (4_000_000, 4_000_000)

    play(story, tmp_path)


def test_refusals_with_200_and_400_end_the_intent_with_their_reason(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [(400, {"error": {"code": "insufficient_balance"}})]
            refused = {"success": True, "errorMsg": "invalid amounts", "orderID": "", "status": ""}
            rig.poly.script = [(200, refused)]
            end = await rig.end_of(rig.fire())
            assert REASONS[end["reason"]] == "cash" and end["filled_e6"] == 0
            assert not rig.signer.used, "a refused order is not spent: it may still be cash"

    play(story, tmp_path)


def test_a_slow_answer_holds_nothing_else_up(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [HOLD, kalshi_filled("10.00")]
            rig.poly.script = [poly_filled("5", "10"), poly_filled("4.9", "9.8")]
            first = rig.fire()
            await rig.until(lambda: len(rig.kalshi.orders) == 1)
            rig.kalshi.script = [(400, {"code": "invalid_price"}), *rig.kalshi.script]
            rig.kalshi.script.insert(0, kalshi_filled("10.00"))
            second = rig.fire(sell_e6=490_000, size_e6=10_000_000)
            await rig.until(lambda: len(rig.legs(second)) >= 3)
            assert not rig.ended(first)
            rig.kalshi.release.set()

    play(story, tmp_path)


def test_no_bid_left_within_the_time_cap_halts_naming_leg_size_and_cost(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [FAK_NONE]
            number = rig.fire()
            rig.scene.quote(KALSHI, bid=0, ask=420_000)
            await rig.end_of(number)
            rig.scene.skew_ns += PARAMS.time_cap_ns + 1
            await rig.until(lambda: rig.gate == (HALTED, "one_legged"))
            named = [
                r for r in rig.scene.reports() if r["kind"] == K_TERMINAL and r["parent"] == number
            ]
            assert [(r["instrument"], r["side"], r["asked_e6"], r["worst_e6"]) for r in named] == [
                (KALSHI, BUY, SIZE, 4_200_000)
            ]
            rig.scene.beat()
            assert REASONS[(await rig.end_of(rig.fire(sell_e6=490_000)))["reason"]] == "halted"

    play(story, tmp_path)


def test_the_kill_word_stops_intents_and_unwinds_alike(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            words, at = rig.scene.segment.words, rig.scene.segment.at("kill") + cell(KILL, "word")
            rig.kalshi.script, rig.poly.script = [HOLD, (400, {})], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: bool(rig.kalshi.orders and rig.poly.orders))
            word_store(words, at, 1)
            rig.kalshi.release.set()
            await rig.end_of(number)
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert [len(rig.kalshi.orders), len(rig.poly.orders)] == [1, 1]
            again = rig.fire(sell_e6=490_000)
            assert REASONS[(await rig.end_of(again))["reason"]] == "killed"

    play(story, tmp_path)


def test_a_detector_that_runs_away_gets_no_more_than_so_many_waiting_intents(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.signer.is_empty = True
            legs = rig.scene.leg(KALSHI, BUY, 420_000), rig.scene.leg(POLY, SELL, 500_000)
            numbers = [rig.scene.intent(*legs, age_ns=10**10) for _ in range(WAITING_MAX + 8)]
            rig.scene.beat()
            rig.scene.ring(rig.eventfd)
            await rig.until(lambda: bool(rig.ended(numbers[-1])))
            assert len(rig.desk.reception.waiting) == WAITING_MAX
            for number in numbers[-8:]:
                assert [REASONS[end["reason"]] for end in rig.ended(number)] == ["no_signature"]

    play(story, tmp_path)


def test_an_order_that_is_not_signed_yet_waits_and_is_judged_anew(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.signer.is_empty = True
            number = rig.scene.intent(
                rig.scene.leg(KALSHI, BUY, 420_000),
                rig.scene.leg(POLY, SELL, 500_000),
                age_ns=10**10,
            )
            rig.scene.beat()
            rig.scene.ring(rig.eventfd)
            await rig.until(lambda: bool(rig.desk.reception.waiting))
            assert not rig.ended(number) and not rig.kalshi.orders
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            rig.scene.beat()
            rig.signer.is_empty = False
            rig.scene.ring(rig.eventfd)
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"

    play(story, tmp_path)
