"""How venues bear being asked: back-off of reads after 429, a circuit breaker for each endpoint,
in time moved by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.health import ORDERS, SECOND_NS, WAITS_S, Health, endpoint_of
from gateway.link import Answer
from gateway.reconcile import VenueReader
from gateway.throttle import Bucket

T0 = 10**15
OPEN_NS = 2 * SECOND_NS


def answer(status: int = 0, error: str = "", at_ns: int = T0, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, b"{}", error, at_ns, named)


def waits(count: int, chance: int) -> list[float]:
    """Seconds of so many back-offs in a row; `chance`: what is drawn, of a thousand."""
    health, now_ns, found = Health(chance=lambda n: n * chance // 1000), T0, []
    for _ in range(count):
        health.heard("/a", answer(429, at_ns=now_ns))
        found.append(health.wait_ns(0, now_ns) / SECOND_NS)
        now_ns += health.wait_ns(0, now_ns)
        assert health.wait_ns(0, now_ns) == 0
    return found


def test_reads_back_off_4_8_16_32_64_s_and_no_further() -> None:
    assert waits(7, 0) == [4, 8, 16, 32, 64, 64, 64]


@pytest.mark.parametrize("chance", [1, 500, 999])
def test_a_part_of_a_wait_is_left_to_chance(chance: int) -> None:
    for found, whole in zip(waits(5, chance), WAITS_S, strict=True):
        assert 0.75 * whole <= found < whole


def test_an_answer_ends_the_back_off_and_many_refusals_at_once_are_one() -> None:
    health = Health()
    for _ in range(20):
        health.heard("/a", answer(429))
    assert health.wait_ns(0, T0) == 4 * SECOND_NS and health.refused == 20
    health.heard("/b", answer(200, at_ns=T0 + 5 * SECOND_NS))
    health.heard("/a", answer(429, at_ns=T0 + 6 * SECOND_NS))
    assert health.wait_ns(0, T0 + 6 * SECOND_NS) == 4 * SECOND_NS


def test_the_venue_may_ask_for_more_but_not_for_ever() -> None:
    health = Health()
    health.heard("/a", answer(429, retry_after="9"))
    assert health.wait_ns(0, T0) == 9 * SECOND_NS
    health = Health()
    health.heard("/a", answer(429, retry_after="86400"))
    assert health.wait_ns(0, T0) == 64 * SECOND_NS


def test_429_opens_no_circuit() -> None:
    health = Health(failures_max=3)
    for _ in range(50):
        health.heard("/a", answer(429))
        health.heard(ORDERS, answer(429))
    assert health.allows("/a", T0) and health.allows(ORDERS, T0) and not health.opened


def test_orders_that_are_refused_for_their_rate_make_no_read_wait() -> None:
    health = Health()
    health.heard(ORDERS, answer(429))
    assert health.wait_ns(0, T0) == 0


ILL = {"500": answer(500), "503": answer(503), "408": answer(408), "timeout": answer(0, "timeout")}
WELL = {"200": answer(200), "400": answer(400), "404": answer(404), "409": answer(409)}


@pytest.mark.parametrize("ill", ILL.values(), ids=ILL)
def test_5xx_and_timeouts_in_a_row_open_the_circuit_of_their_endpoint_alone(ill: Answer) -> None:
    health = Health(failures_max=3, open_ns=OPEN_NS)
    for _ in range(2):
        health.heard("/a", ill)
    assert health.allows("/a", T0)
    health.heard("/a", ill)
    assert not health.allows("/a", T0 + OPEN_NS - 1) and health.opened == 1
    assert health.allows("/b", T0) and health.allows(ORDERS, T0)


@pytest.mark.parametrize("well", WELL.values(), ids=WELL)
def test_an_answer_between_failures_keeps_it_closed(well: Answer) -> None:
    health = Health(failures_max=3)
    for _ in range(10):
        health.heard("/a", ILL["500"])
        health.heard("/a", ILL["500"])
        health.heard("/a", well)
    assert health.allows("/a", T0)


def test_what_is_no_failure_of_the_venue_opens_nothing() -> None:
    health = Health(failures_max=1)
    for error in ("reset", "closing", "no signature: gone", "garbage: x"):
        health.heard("/a", answer(0, error))
    assert health.allows("/a", T0)


def test_an_open_circuit_lets_one_probe_through_and_its_answer_decides() -> None:
    health = Health(failures_max=1, open_ns=OPEN_NS)
    health.heard(ORDERS, ILL["503"])
    assert not health.allows(ORDERS, T0) and health.is_open
    probe_ns = T0 + OPEN_NS
    assert health.allows(ORDERS, probe_ns)
    health.sent(ORDERS)
    assert not health.allows(ORDERS, probe_ns), "one alone"
    health.heard(ORDERS, answer(503, at_ns=probe_ns))
    assert not health.allows(ORDERS, probe_ns + OPEN_NS - 1) and health.opened == 1
    health.sent(ORDERS)
    health.heard(ORDERS, answer(201, at_ns=probe_ns + OPEN_NS))
    assert health.allows(ORDERS, probe_ns + OPEN_NS) and not health.is_open


def test_endpoints_are_bounded_and_an_order_of_its_own_is_none() -> None:
    order = "0x" + "ab" * 32
    assert endpoint_of(f"/data/order/{order}") == "/data/order/*"
    assert endpoint_of("/trade-api/v2/portfolio/positions") == "/trade-api/v2/portfolio/positions"
    health = Health()
    for number in range(1000):
        health.heard(f"/{number}", answer(200))
    assert len(health._breakers) <= 65


def test_reads_keep_to_the_budget_that_the_venue_reports() -> None:
    health = Health(reads=Bucket(rate=200, burst=200, reserve=0))
    assert [health.wait_ns(10, T0) for _ in range(20)] == [0] * 20
    assert health.wait_ns(10, T0) == 10 * SECOND_NS // 200 + 1
    assert health.wait_ns(10, T0 + SECOND_NS // 20) == 0


class Stand:
    """A reader between a venue that answers as told and a clock that moves when it sleeps."""

    def __init__(self, answers: Sequence[int], health: Health) -> None:
        self.now_ns, self.answers, self.asked_ns = T0, list(answers), list[int]()
        venue: Any = self
        self.reader = VenueReader(venue, venue, lambda: self.now_ns, health, self._sleep)

    read_cost = 0

    async def _sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND_NS)

    async def read(self, path: str, query: str) -> bytes:
        return b""

    async def request(self, wire: bytes) -> Answer:
        self.asked_ns.append(self.now_ns)
        if not self.answers[0]:
            await asyncio.Event().wait()
        return answer(self.answers.pop(0), at_ns=self.now_ns)

    def get(self) -> Answer:
        return asyncio.run(self.reader.get("/data/orders"))


def test_a_read_waits_out_the_back_off_and_is_then_asked_once() -> None:
    stand = Stand([429, 429, 200, 200], Health())
    assert [stand.get().status for _ in range(4)] == [429, 429, 200, 200]
    seconds = [(ns - T0) / SECOND_NS for ns in stand.asked_ns]
    assert seconds == [0, 4, 12, 12]


def test_no_read_goes_to_an_endpoint_whose_circuit_is_open() -> None:
    stand = Stand([500] * 3 + [200], Health(failures_max=3, open_ns=OPEN_NS))
    for _ in range(3):
        stand.get()
    for _ in range(10):
        assert "is open" in stand.get().error
    assert len(stand.asked_ns) == 3
    stand.now_ns += OPEN_NS
    assert stand.get().status == 200 and len(stand.asked_ns) == 4


def test_a_probe_that_is_given_up_is_no_probe_any_more() -> None:
    stand = Stand([500], Health(failures_max=1, open_ns=OPEN_NS))
    stand.get()
    stand.now_ns += OPEN_NS

    async def give_up() -> None:
        task = asyncio.ensure_future(stand.reader.get("/data/orders"))
        while len(stand.asked_ns) < 2:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    stand.answers.append(0)  # never comes
    asyncio.run(give_up())
    stand.answers = [200]
    assert stand.get().status == 200


def test_a_bucket_is_what_the_venue_reports_and_no_fuller_than_before() -> None:
    bucket = Bucket(rate=100, burst=100, reserve=20)
    bucket.take(90, T0)
    larger = bucket.replaced(1200, 1200)
    assert (larger.rate, larger.burst, larger.reserve) == (1200, 1200, 20)
    assert not larger.has(1091, T0) and larger.has(1110, T0, urgent=True)
    smaller = bucket.replaced(10, 10)
    assert (smaller.burst, smaller.reserve) == (10, 5) and not smaller.has(1, T0, urgent=True)


def test_what_is_left_by_the_venues_word_only_lowers_a_bucket() -> None:
    bucket = Bucket(rate=40, burst=60, reserve=10)
    bucket.told(20, T0)
    assert bucket.has(10, T0) and not bucket.has(11, T0) and bucket.has(20, T0, urgent=True)
    bucket.told(55, T0)
    assert not bucket.has(11, T0)
    bucket.told(-5, T0)
    assert not bucket.has(1, T0, urgent=True)


def test_too_many_requests_holds_a_bucket_empty_for_as_long_as_the_venue_asks() -> None:
    bucket = Bucket(rate=40, burst=60, reserve=0)
    bucket.empty(T0, 3 * SECOND_NS)
    assert not bucket.has(1, T0 + 3 * SECOND_NS, urgent=True)
    assert bucket.has(40, T0 + 4 * SECOND_NS)
