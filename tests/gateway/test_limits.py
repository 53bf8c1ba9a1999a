"""A venue's limits and its health as the desk feels them: opening orders wait for a circuit, those
that reduce do not; buckets are what the venues report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.health import ORDERS
from gateway.kalshi import LIMITS
from gateway.reconcile import BUDGETS_NS
from shm_layout import GATE, REASONS, cell, word_load
from tests.gateway.rig import FAK_NONE, Rig, kalshi_filled, play, poly_filled, running
from tests.gateway.scene import KALSHI, POLY
from tests.gateway.test_transport import HEAD, one_answer


def bits(rig: Rig, name: str) -> int:
    """A mask of the gate."""
    return int(word_load(rig.scene.segment.words, rig.scene.segment.at("gate") + cell(GATE, name)))


def test_a_circuit_that_is_open_refuses_opening_orders_for_its_time_and_then_probes(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            health = rig.desk.lines[KALSHI].health
            health.failures_max, health.open_ns = 1, 20 * 10**9
            rig.kalshi.script, rig.poly.script = [(503, {})], [FAK_NONE]
            number = rig.fire()
            await rig.until(lambda: health.is_open)
            rig.scene.skew_ns += 1_600_000_000  # past the read lag: it never arrived
            await rig.end_of(number)
            await rig.until(lambda: not rig.desk.accounts.flights)
            assert bits(rig, "circuits") == 1 << KALSHI and rig.desk.reports.counted("circuits")
            asked = len(rig.kalshi.orders), len(rig.poly.orders)
            refused = rig.fire(sell_e6=490_000)
            assert REASONS[(await rig.end_of(refused))["reason"]] == "circuit"
            assert (len(rig.kalshi.orders), len(rig.poly.orders)) == asked
            rig.scene.skew_ns += health.open_ns
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            probe = rig.fire()
            assert REASONS[(await rig.end_of(probe))["reason"]] == "done"
            await rig.until(lambda: bits(rig, "circuits") == 0)

    play(story, tmp_path)


def test_a_lone_leg_is_given_back_through_an_open_circuit(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            health = rig.desk.lines[KALSHI].health
            rig.kalshi.script = [kalshi_filled("10.00"), kalshi_filled("10.00", "0.4000")]
            rig.poly.script = [FAK_NONE]
            rig.kalshi.on_order = lambda _: open_it(health)
            rig.fire()
            await rig.until(lambda: len(rig.kalshi.orders) == 2)
            assert rig.kalshi.orders[1].json["side"] == "ask"
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert rig.desk.accounts.position(KALSHI).yes_e6 == 0

    def open_it(health: Any) -> None:
        health._breaker(ORDERS).until_ns = 1 << 62

    play(story, tmp_path)


def test_buckets_are_what_the_venue_reports(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            assert any(seen.path == LIMITS for seen in rig.kalshi.seen)
            told = {"read": {"refill_rate": 300, "bucket_capacity": 600},
                    "write": {"refill_rate": 30, "bucket_capacity": 90}}  # fmt: skip
            venue = rig.desk.lines[KALSHI].venue
            rig.kalshi.reads[LIMITS] = (200, told)
            found = await venue.budget(rig.desk.resolver.readers[KALSHI])
            assert found == (300, 600, 30, 90)
            seen = len([one for one in rig.kalshi.seen if one.path == LIMITS])
            resolver = rig.desk.resolver
            resolver.step(resolver.asked_ns + BUDGETS_NS - 1)
            assert rig.desk.lines[KALSHI].bucket.rate != 30
            resolver.step(resolver.asked_ns + BUDGETS_NS)  # they are asked anew, now and then
            await rig.until(lambda: rig.desk.lines[KALSHI].bucket.rate == 30)
            assert len([one for one in rig.kalshi.seen if one.path == LIMITS]) == seen + 1

    play(story, tmp_path)


def test_what_an_answer_says_is_left_bounds_the_next_orders(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            line = rig.desk.lines[POLY]
            assert line.bucket.has(500, rig.scene.clock())
            answer = (await one_answer(HEAD + b"poly-ratelimit-remaining: 12\r\n"
                                       b"Retry-After: 3\r\nContent-Length: 2\r\n\r\n{}"))[0][0]
            assert answer.headers == {"poly-ratelimit-remaining": "12", "retry-after": "3"}
            answer.ack_ns = rig.scene.clock()
            line.bucket.rate = 1
            rig.desk.dispatcher._told_limits(POLY, answer)
            assert line.bucket.has(12, answer.ack_ns, urgent=True)
            assert not line.bucket.has(13, answer.ack_ns, urgent=True)
            answer.status = 429
            rig.desk.dispatcher._told_limits(POLY, answer)
            assert not line.bucket.has(1, answer.ack_ns + 3 * 10**9, urgent=True)
            number = rig.fire()
            assert REASONS[(await rig.end_of(number))["reason"]] == "limit_rate"

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("headers", "left"),
    [({}, None), ({"poly-ratelimit-remaining": "7"}, 7),
     ({"poly-ratelimit-remaining": "-3"}, -3), ({"poly-ratelimit-remaining": "x"}, None)],
)  # fmt: skip
def test_polymarket_tells_what_is_left_in_a_header(
    tmp_path: Path, headers: dict[str, str], left: int | None
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            assert rig.desk.lines[POLY].venue.orders_left(headers) == left
            assert rig.desk.lines[KALSHI].venue.orders_left(headers) is None

    play(story, tmp_path)
