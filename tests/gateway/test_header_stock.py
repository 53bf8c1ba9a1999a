"""Header sets: each given once, at most 2 s after its stamp, their stamps distinct."""

from __future__ import annotations

from gateway.header_stock import (
    AHEAD_MAX_MS,
    HEADER_LIFE_NS,
    IDLE_NS,
    RENEW_NS,
    RESERVE_LIFE_NS,
    RETRY_NS,
    HeaderStock,
    header_bytes,
    header_dict,
)

MS_NS = 1_000_000


def filled(count: int = 3, *, until_ns: int | None = None) -> HeaderStock:
    stock = HeaderStock("POST", "/p", count, is_vital=True, until_ns=until_ns)
    for i in range(count):
        stock.add(i * MS_NS, b"set %d" % i)
    return stock


def test_a_set_is_given_once_the_oldest_first() -> None:
    stock = filled()
    assert [stock.take(0) for _ in range(4)] == [b"set 0", b"set 1", b"set 2", None]


def test_a_set_is_given_up_to_two_seconds_after_its_stamp_and_not_later() -> None:
    assert filled(1).take(HEADER_LIFE_NS) == b"set 0"
    assert filled(1).take(HEADER_LIFE_NS + 1) is None
    stock = filled()
    assert stock.take(HEADER_LIFE_NS + MS_NS + 1) == b"set 2"
    assert stock.is_fresh(0) is False


def test_freshness_and_count_follow_the_age() -> None:
    stock = filled()
    assert stock.is_fresh(HEADER_LIFE_NS + 2 * MS_NS) and stock.count(HEADER_LIFE_NS + MS_NS) == 2
    assert not stock.is_fresh(HEADER_LIFE_NS + 2 * MS_NS + 1)


def test_an_unwind_may_take_older_sets_while_the_venue_takes_them() -> None:
    stock = filled()
    late_ns = HEADER_LIFE_NS + 3 * MS_NS
    assert stock.take(late_ns) is None
    assert stock.take(late_ns, for_unwind=True) == b"set 2"  # the newest of the old
    assert stock.take(RESERVE_LIFE_NS + 2 * MS_NS, for_unwind=True) is None
    assert filled().take(late_ns, for_unwind=True) == b"set 2"


def test_old_sets_are_dropped_without_being_asked_for() -> None:
    stock = filled()
    stock.age(HEADER_LIFE_NS + 3 * MS_NS)
    assert stock.count(HEADER_LIFE_NS + 3 * MS_NS) == 0
    stock.age(RESERVE_LIFE_NS + 3 * MS_NS)
    assert stock.take(RESERVE_LIFE_NS, for_unwind=True) is None


def test_what_ages_is_ordered_anew_before_it_is_stale() -> None:
    stock = filled()
    assert stock.missing(RENEW_NS - 1) == 0
    assert stock.missing(RENEW_NS + 2 * MS_NS) == 3
    stock.in_flight = 2
    assert stock.missing(RENEW_NS + 2 * MS_NS) == 1


def test_after_a_refusal_it_waits() -> None:
    stock = HeaderStock("POST", "/p", 2, is_vital=True)
    stock.hold_off(5)
    assert stock.missing(5 + RETRY_NS - 1) == 0 and stock.missing(5 + RETRY_NS) == 2


def test_a_stock_made_by_asking_ends_when_nobody_asks() -> None:
    stock = filled(until_ns=IDLE_NS)
    assert stock.missing(IDLE_NS) == 3 and stock.missing(IDLE_NS + 1) == 0
    assert stock.is_idle(IDLE_NS + 1) and not stock.is_idle(IDLE_NS)
    assert not filled().is_idle(10**18)


def test_stamps_are_distinct_and_never_far_ahead_of_the_clock() -> None:
    stock = HeaderStock("POST", "/p", 1, is_vital=True)
    stamps = [stock.next_stamp_ms(1000) for _ in range(AHEAD_MAX_MS + 2)]
    assert stamps[:3] == [1000, 1001, 1002]
    assert stamps[-2:] == [1000 + AHEAD_MAX_MS, None]
    assert stock.next_stamp_ms(1001) == 1001 + AHEAD_MAX_MS


def test_a_clock_set_back_does_not_end_the_refills() -> None:
    stock = HeaderStock("POST", "/p", 1, is_vital=True)
    assert stock.next_stamp_ms(1_000_000) == 1_000_000
    assert stock.next_stamp_ms(5) == 5


def test_header_lines_are_the_venues_three() -> None:
    lines = header_bytes("id", b"c2ln", 17)
    assert lines == (
        b"KALSHI-ACCESS-KEY: id\r\nKALSHI-ACCESS-SIGNATURE: c2ln\r\nKALSHI-ACCESS-TIMESTAMP: 17\r\n"
    )
    assert header_dict(lines)["KALSHI-ACCESS-TIMESTAMP"] == "17"
