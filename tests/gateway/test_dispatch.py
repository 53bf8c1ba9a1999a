"""Between the last look and the bytes: the kill word, missing signatures and connections, and that
what was taken for legs that do not leave is given back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway import journal as j
from gateway.ports import Request
from shm_layout import KILL, P_REJECTED, REASONS, cell, word_store
from tests.gateway.rig import LIFE_NS, kalshi_filled, play, poly_filled, running
from tests.gateway.scene import KALSHI, POLY

POOL_COUNTERS = ("pool_hits", "pool_misses", "pool_walks")


def test_a_kill_word_after_the_last_look_stops_both_legs_and_no_successor_looks_for_them(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            words = rig.scene.segment.words
            at = rig.scene.segment.at("kill") + cell(KILL, "word")
            venue = rig.desk.lines[KALSHI].venue
            prepare = venue.prepare

            def killed_meanwhile(*args: Any) -> Request | None:
                word_store(words, at, 1)
                return prepare(*args)

            venue.prepare = killed_meanwhile  # type: ignore[method-assign,assignment]
            number = rig.fire()
            assert REASONS[(await rig.end_of(number))["reason"]] == "killed"
            assert not rig.kalshi.orders and not rig.poly.orders
            assert not rig.desk.accounts.flights and not rig.legs(number)
            records = j.read(j.files(rig.folder)[-1]).records[-4:]
            assert [record["k"] for record in records] == ["order", "out", "out", "end"]
            assert {record["placed"] for record in records[1:3]} == {P_REJECTED}
            assert {record["key"] for record in records[1:3]} == {
                order[-1] for order in records[0]["orders"]
            }
            assert all(rig.desk.lines[venue].pool.free_count == 3 for venue in (KALSHI, POLY))

    play(story, tmp_path)


def test_a_kill_word_between_the_legs_holds_the_second_back_and_it_is_known_not_sent(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            words, at = rig.scene.segment.words, rig.scene.segment.at("kill")
            take = rig.desk.lines[KALSHI].pool.take

            def frozen_after_it() -> Any:
                link = take()
                assert link is not None
                send = link.send

                def sends(*args: Any) -> int:
                    stamp_ns = send(*args)
                    word_store(words, at + cell(KILL, "word"), 1)
                    return stamp_ns

                link.send = sends  # type: ignore[method-assign]
                return link

            rig.desk.lines[KALSHI].pool.take = frozen_after_it  # type: ignore[method-assign]
            rig.kalshi.script = [kalshi_filled("10.00")]
            number = rig.fire()
            assert REASONS[(await rig.end_of(number))["reason"]] == "one_legged"
            assert len(rig.kalshi.orders) == 1 and not rig.poly.orders
            held_back = [leg for leg in rig.legs(number) if leg["venue"] == POLY][-1]
            assert held_back["placed"] == P_REJECTED and not held_back["send_ns"]
            assert REASONS[held_back["reason"]] == "killed"
            assert not rig.desk.accounts.flights
            assert rig.desk.lines[POLY].pool.free_count == 3

    play(story, tmp_path)


@pytest.mark.parametrize("lacks", ["headers", "order"])
def test_connections_of_legs_that_are_not_signed_go_back(tmp_path: Path, lacks: str) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            if lacks == "headers":
                rig.signer.take_headers = lambda *_, **__: None  # type: ignore[method-assign]
            else:
                rig.signer.is_empty = True
            for _ in range(5):
                number = rig.fire()
                await rig.until(lambda: bool(rig.desk.reception.waiting))
                rig.scene.skew_ns += LIFE_NS
                assert REASONS[(await rig.end_of(number))["reason"]] == "stale"
            del rig.signer.__dict__["take_headers" if lacks == "headers" else "is_empty"]
            rig.signer.is_empty = False
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "done"

    play(story, tmp_path)


def test_a_signed_order_whose_other_leg_has_no_headers_is_not_used_up(tmp_path: Path) -> None:
    """Finding 12: an intent that waited burnt an order at every turn."""

    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.signer.take_headers = lambda *_, **__: None  # type: ignore[method-assign]
            number = rig.fire()
            await rig.until(lambda: rig.signer.count >= 3)  # taken, and tried again
            rig.scene.skew_ns += LIFE_NS
            assert REASONS[(await rig.end_of(number))["reason"]] == "stale"
            taken = [number.to_bytes(32, "big") for number in range(1, rig.signer.count + 1)]
            assert taken and rig.signer.given_back == taken
            assert rig.desk.reports.counted("pool_misses") == 0
            del rig.signer.__dict__["take_headers"]
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "done"
            assert rig.signer.given_back == taken, "what was sent is not given back"
            assert rig.desk.reports.counted("pool_hits") == 1

    play(story, tmp_path)


@pytest.mark.parametrize(("sell_e6", "name"), [(500_000, "pool_misses"), (490_000, "pool_walks")])
def test_an_order_signed_on_demand_is_counted_once_and_a_walking_one_apart(
    tmp_path: Path, sell_e6: int, name: str
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.signer.is_empty = True
            number = rig.fire(sell_e6=sell_e6)
            await rig.until(lambda: rig.desk.reports.counted(name) == 1)
            rig.desk.step(rig.scene.clock())  # it waits, is tried again, and still is one
            rig.signer.is_empty = False
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"
            counted = {n: rig.desk.reports.counted(n) for n in POOL_COUNTERS}
            assert counted == dict.fromkeys(POOL_COUNTERS, 0) | {name: 1}

    play(story, tmp_path)


def test_a_walking_buy_that_was_signed_ahead_is_counted_apart_too(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            for sell_e6, name in ((500_000, "pool_hits"), (490_000, "pool_walks")):
                rig.kalshi.script = [kalshi_filled("10.00")]
                rig.poly.script = [poly_filled("5", "10")]
                await rig.end_of(rig.fire(sell_e6=sell_e6))
                assert rig.desk.reports.counted(name) == 1

    play(story, tmp_path)


def test_two_intents_in_one_turn_take_two_connections_each_and_the_third_finds_none(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            for double in (rig.kalshi, rig.poly):
                double.script = [(500, {})] * 4
            scene, numbers = rig.scene, []
            scene.beat()
            for cents in (50, 49, 48, 47):
                legs = scene.leg(KALSHI, 0, 420_000), scene.leg(POLY, 1, cents * 10_000)
                numbers.append(scene.intent(*legs))
            scene.ring(rig.eventfd)
            await rig.until(lambda: len(rig.kalshi.orders) == 3 and len(rig.poly.orders) == 3)
            end = await rig.end_of(numbers[3])
            assert REASONS[end["reason"]] == "no_connection"

    play(story, tmp_path)
