"""The signer's client: tickets, header stock, what it does when nobody answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.header_stock import HEADER_LIFE_NS, RESERVE_LIFE_NS, RETRY_NS, header_dict
from gateway.policy import FEED_RIGHTS
from gateway.signing import IN_FLIGHT_MAX, LOST_NS, STOCKS_MAX, Signed, SigningClient
from ops.venues.signatures import KalshiVerifier
from shm_layout import SIGNER, bell_arm, word_load
from tests.gateway.signing_kit import (
    KALSHI_ID,
    MS_NS,
    ORDERS_PATH,
    SECOND_NS,
    Desk,
)

BALANCE = "/trade-api/v2/portfolio/balance"


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def taken(desk: Desk, count: int) -> list[dict[str, str]]:
    """Header sets taken one after the other until there are no more."""
    found = [desk.client.take_headers("POST", ORDERS_PATH, desk.now_ns) for _ in range(count)]
    return [header_dict(lines) for lines in found if lines is not None]


def test_every_set_is_valid_distinct_and_given_once(desk: Desk) -> None:
    desk.client.keep("POST", ORDERS_PATH, 8)
    assert not desk.client.fresh(desk.now_ns)
    desk.turn()
    assert desk.client.fresh(desk.now_ns)
    sets = taken(desk, 9)
    assert len(sets) == 8 and not desk.client.fresh(desk.now_ns)
    assert len({row["KALSHI-ACCESS-TIMESTAMP"] for row in sets}) == 8
    assert len({row["KALSHI-ACCESS-SIGNATURE"] for row in sets}) == 8
    assert desk.signer._kalshi is not None
    verifier = KalshiVerifier(desk.signer._kalshi.public_pem())
    for row in sets:
        stamp, text = row["KALSHI-ACCESS-TIMESTAMP"], row["KALSHI-ACCESS-SIGNATURE"]
        assert verifier.is_valid(text, stamp, "POST", ORDERS_PATH)
        assert row["KALSHI-ACCESS-KEY"] == KALSHI_ID
        assert 0 <= int(stamp) - desk.wall_ns // MS_NS < 8


def test_what_was_taken_is_refilled_with_later_stamps(desk: Desk) -> None:
    desk.client.keep("POST", ORDERS_PATH, 2)
    desk.turn()
    first = taken(desk, 2)
    desk.pass_time(MS_NS)
    desk.turn()
    stamps = [int(row["KALSHI-ACCESS-TIMESTAMP"]) for row in first + taken(desk, 2)]
    assert stamps == sorted(set(stamps)) and len(stamps) == 4


def test_a_set_is_never_older_than_two_seconds(desk: Desk) -> None:
    desk.client.keep("POST", ORDERS_PATH, 2)
    desk.turn()
    desk.pass_time(HEADER_LIFE_NS + MS_NS)
    assert desk.client.stocked("POST", ORDERS_PATH, desk.now_ns) == 1  # stamped 1 ms ahead
    desk.pass_time(1)
    assert not desk.client.fresh(desk.now_ns) and taken(desk, 2) == []


def test_age_counts_from_the_stamp_even_when_the_answer_comes_late(desk: Desk) -> None:
    desk.client.keep("POST", ORDERS_PATH, 1)
    desk.client.pump(desk.now_ns)
    desk.signer.step(desk.now_ns)
    desk.pass_time(HEADER_LIFE_NS)
    desk.client.poll()
    assert desk.client.stocked("POST", ORDERS_PATH, desk.now_ns) == 1
    assert desk.client.stocked("POST", ORDERS_PATH, desk.now_ns + 1) == 0


def test_an_ageing_stock_is_renewed_before_it_is_stale(desk: Desk) -> None:
    desk.client.keep("POST", ORDERS_PATH, 3)
    for _ in range(100):  # ten seconds
        desk.turn()
        assert desk.client.fresh(desk.now_ns)
        desk.pass_time(100 * MS_NS)
    assert desk.client.asked < 3 * 12  # about once a second and set, not every turn


def test_without_a_signer_freshness_ends_but_an_unwind_still_has_headers(desk: Desk) -> None:
    desk.client.keep("POST", ORDERS_PATH, 2)
    desk.turn()
    desk.pass_time(HEADER_LIFE_NS + 2 * MS_NS)
    desk.client.pump(desk.now_ns)
    assert not desk.client.fresh(desk.now_ns)
    take = desk.client.take_headers
    assert take("POST", ORDERS_PATH, desk.now_ns) is None
    assert take("POST", ORDERS_PATH, desk.now_ns, for_unwind=True) is not None
    desk.pass_time(RESERVE_LIFE_NS)
    assert take("POST", ORDERS_PATH, desk.now_ns, for_unwind=True) is None


def test_a_path_that_is_not_kept_is_ordered_by_asking_and_forgotten_again(desk: Desk) -> None:
    assert desk.client.take_headers("GET", BALANCE, desk.now_ns) is None
    desk.turn()
    assert desk.client.take_headers("GET", BALANCE, desk.now_ns) is not None
    assert desk.client.fresh(desk.now_ns)  # it is not vital
    for _ in range(80):
        desk.pass_time(100 * MS_NS)
        desk.turn()
    asked = desk.client.asked
    desk.pass_time(10 * SECOND_NS)
    desk.turn()
    assert desk.client.asked == asked and desk.client.stocked("GET", BALANCE, desk.now_ns) == 0


def test_paths_that_are_asked_for_are_limited(desk: Desk) -> None:
    for i in range(STOCKS_MAX + 5):
        path = f"/trade-api/v2/portfolio/orders/a{i}"
        desk.client.take_headers("GET", path, desk.now_ns)
    assert desk.client.in_flight == STOCKS_MAX


def test_a_refused_set_is_not_asked_for_again_at_once(desk: Desk) -> None:
    desk.client.keep("POST", "/not/allowed", 2)
    for _ in range(5):
        desk.turn()
    assert desk.client.refused == {"path": 2}
    desk.pass_time(RETRY_NS)
    desk.turn()
    assert desk.client.refused == {"path": 4}


def test_requests_without_an_answer_are_limited_and_given_up(desk: Desk) -> None:
    answers: list[Signed | None] = []
    for _ in range(IN_FLIGHT_MAX):
        assert desk.client.request_headers("POST", ORDERS_PATH, then=answers.append) is not None
    assert desk.client.request_headers("POST", ORDERS_PATH, then=answers.append) is None
    desk.client.pump(desk.now_ns)
    desk.client.pump(desk.now_ns + LOST_NS)
    assert answers == []
    desk.client.pump(desk.now_ns + LOST_NS + 1)
    assert answers == [None] * IN_FLIGHT_MAX and desk.client.lost == IN_FLIGHT_MAX
    while desk.signer.step(desk.now_ns):  # what comes too late is nobody's
        pass
    desk.client.pump(desk.now_ns)
    assert len(answers) == IN_FLIGHT_MAX and desk.client.unknown == IN_FLIGHT_MAX


def test_a_restarted_client_takes_no_answer_of_its_predecessor(desk: Desk) -> None:
    old: list[Any] = []
    new: list[Any] = []
    desk.client.request_headers("POST", ORDERS_PATH, then=old.append)
    desk.client = desk.new_client()
    desk.client.request_headers("DELETE", ORDERS_PATH + "/x-1", then=new.append)
    desk.turn()
    assert old == [] and len(new) == 1 and desk.client.unknown == 1
    assert desk.signer._kalshi is not None
    verifier = KalshiVerifier(desk.signer._kalshi.public_pem())
    text, stamp = new[0].signature.decode(), str(new[0].stamp_ms)
    assert verifier.is_valid(text, stamp, "DELETE", ORDERS_PATH + "/x-1")


def test_a_client_that_slept_through_a_ring_goes_on_and_counts_it(desk: Desk) -> None:
    other = desk.new_client()
    for _ in range(600 // 20):
        for _ in range(20):
            assert other.request_headers("POST", ORDERS_PATH, then=lambda signed: None) is not None
        desk.signer.step(desk.now_ns)
        other.pump(desk.now_ns)
    desk.client.pump(desk.now_ns)
    assert desk.client.gaps == 1
    assert desk.ask_headers("POST", ORDERS_PATH).refused == 0


def test_a_request_rings_the_signers_bell(desk: Desk) -> None:
    bell = desk.main.at("bells", SIGNER)
    bell_arm(desk.main.words, bell)
    desk.client.keep("POST", ORDERS_PATH, 1)
    desk.client.pump(desk.now_ns)
    assert word_load(desk.main.words, bell) == 0


def test_a_feed_awaits_one_set(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rights=FEED_RIGHTS)

    async def session(client: SigningClient) -> dict[str, str]:
        asked = asyncio.create_task(client.headers("GET", "/trade-api/ws/v2"))
        while not desk.signer.step(desk.now_ns):
            await asyncio.sleep(0)
        return await asked

    found = asyncio.run(session(desk.client))
    assert set(found) == {
        "KALSHI-ACCESS-KEY", "KALSHI-ACCESS-SIGNATURE", "KALSHI-ACCESS-TIMESTAMP"
    }  # fmt: skip


def test_a_feed_that_asks_for_more_than_its_right_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path, rights=FEED_RIGHTS)

    async def session() -> None:
        asked = asyncio.create_task(desk.client.headers("POST", ORDERS_PATH))
        while not desk.signer.step(desk.now_ns):
            await asyncio.sleep(0)
        await asked

    with pytest.raises(PermissionError, match="path"):
        asyncio.run(session())


def test_a_feed_whose_signer_is_dead_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.signing.WAIT_S", 0.01)
    with pytest.raises(TimeoutError, match="no answer"):
        asyncio.run(desk.client.headers("POST", ORDERS_PATH))
    assert desk.client.in_flight == 0
