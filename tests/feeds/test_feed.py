"""The whole role on loopback: connect, live, cut, silent, oversize, stop."""

from __future__ import annotations

import contextlib
from pathlib import Path

import orjson
from websockets.exceptions import ConnectionClosed

from feeds.session import State
from feeds.update import FeedError
from shm_layout import (
    E6,
    LINK_SILENT,
    NO_SNAPSHOT,
    NOT_OPEN,
    ST_ACTIVE,
    ST_CLOSED,
    ST_INITIALIZED,
    TICK_EPOCH,
)
from tests.feeds.stage import SECOND_NS, SERIES, Stage, play


def test_a_feed_becomes_live_and_stops_with_nothing_to_trade_on(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        assert on.trust() == NO_SNAPSHOT | NOT_OPEN
        await on.live()
        row = on.segment.read("quotes", 0)
        assert row is not None and int(row["epoch"]) == 5 and int(row["status"]) == ST_ACTIVE
        assert int(row["fee_rate_e6"]) == 70_000 and list(row["grid"][:2]) == [E6, 10_000]
        assert on.venue.headers == ["GET /ws"]

    after = play(tmp_path, act)
    assert after.trust() == NO_SNAPSHOT and after.lane.session.state is State.STOPPED


def test_a_cut_link_is_opened_again_and_its_books_come_anew(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        for lost in range(1, 4):
            on.venue.sockets[-1].transport.abort()
            await on.connected(lost + 1)
            await on.live()
            assert on.counted("reconnects") == lost
        assert on.counted("gaps") == 0

    play(tmp_path, act)


def test_after_a_cut_nothing_is_trusted_on_facts_from_before_it(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.venue.answers.clear()
        on.venue.step = "0.0010"  # told on the wire while nobody listened
        on.venue.sockets[-1].transport.abort()
        await on.connected(2)
        await on.until(lambda: on.lane.session.state is State.LIVE)
        assert on.trust() == TICK_EPOCH and on.tick_e6() == 10_000
        on.venue.answers.set()
        await on.live()
        assert on.tick_e6() == 1_000

    play(tmp_path, act)


def test_facts_asked_for_before_a_cut_do_not_count_after_it(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.venue.answers.clear()
        asked = on.venue.asked_facts
        on.feed._facts_due.set()
        await on.until(lambda: on.venue.asked_facts > asked)  # its answer says what was before
        on.venue.step = "0.0010"
        on.venue.sockets[-1].transport.abort()
        await on.connected(2)
        await on.until(lambda: on.lane.session.state is State.LIVE)
        on.venue.answers.set()

        def is_trusted() -> bool:
            assert on.trust() == TICK_EPOCH or on.tick_e6() == 1_000
            return on.trust() == 0

        await on.until(is_trusted)

    play(tmp_path, act)


def test_a_venue_that_is_away_is_tried_again_after_longer_and_longer_delays(
    tmp_path: Path,
) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        backoff, delays = on.lane._backoff, []
        ask = backoff.delay_ns

        def delay_ns() -> int:
            delays.append(ask())
            return delays[-1]

        backoff.delay_ns = delay_ns  # type: ignore[method-assign]
        on.lane._connection._url = "wss://127.0.0.1:9/ws"
        on.venue.sockets[-1].transport.abort()
        await on.until(lambda: len(delays) >= 6)
        assert delays[0] <= 1_000_000 and max(delays[4:]) > 4_000_000
        assert "127.0.0.1:9" in on.feed.errors[0] and on.trust() == NO_SNAPSHOT

    play(tmp_path, act)


def test_a_silent_link_is_untrusted_and_a_pong_heals_it(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.clock.now_ns += 2 * SECOND_NS + 1
        on.feed.step(on.clock())
        assert on.trust() == LINK_SILENT and on.counted("link_silent") == 1
        assert on.feed.publisher._told_connected == 0
        await on.until(lambda: on.trust() == 0)  # the ping of that step was answered
        assert len(on.venue.sockets) == 1

    play(tmp_path, act)


def test_quiet_is_not_stale(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        for _ in range(20):
            heard = on.lane._link.heard_ns
            on.clock.now_ns += SECOND_NS
            await on.until(lambda heard=heard: on.lane._link.heard_ns > heard)  # type: ignore[misc]
            assert on.trust() == 0
        assert on.counted("link_silent") == 0

    play(tmp_path, act)


def test_a_link_that_stays_silent_is_replaced(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.clock.now_ns += 11 * SECOND_NS
        on.feed.step(on.clock())
        await on.until(lambda: len(on.venue.sockets) == 2)
        await on.live()

    play(tmp_path, act)


def test_a_subscription_that_is_not_acknowledged_ends_the_link(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        on.venue.is_quiet = True
        await on.until(lambda: on.venue.asked)
        for _ in range(6):
            on.clock.now_ns += SECOND_NS
            on.feed.step(on.clock())
        on.venue.is_quiet = False
        await on.until(lambda: len(on.venue.sockets) >= 2)
        await on.live()

    play(tmp_path, act)


def test_a_message_beyond_the_limit_costs_the_link_not_the_feed(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        with contextlib.suppress(ConnectionClosed):
            await on.venue.sockets[-1].send("x" * ((1 << 20) + 1))
        await on.until(lambda: len(on.venue.sockets) == 2)
        await on.live()
        assert on.counted("oversize") == 1

    play(tmp_path, act)


def test_an_error_of_the_venue_costs_the_link_not_the_feed(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        frame = {"type": "error", "msg": {"code": 25, "msg": "buffer overflow"}}
        await on.venue.sockets[-1].send(orjson.dumps(frame).decode())
        await on.until(lambda: len(on.venue.sockets) == 2)
        await on.live()

    play(tmp_path, act)


def test_a_market_that_opens_is_noticed_though_no_event_says_so(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        on.venue.status = "initialized"
        await on.until(lambda: on.feed.publisher.status(0) == ST_INITIALIZED)
        assert on.trust() & NOT_OPEN
        on.venue.status = "active"
        await on.live()

    play(tmp_path, act, facts_ns=600 * SECOND_NS)


def test_a_market_closes_by_the_run_clock(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        on.venue.close_time = "2026-09-06T13:50:00Z"  # where the run clock stands
        await on.until(lambda: on.feed.publisher.status(0) == ST_CLOSED)
        assert on.trust() & NOT_OPEN

    play(tmp_path, act)


def test_facts_that_cannot_be_read_are_counted_and_asked_for_again(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        terms = SERIES["series"].pop("fee_multiplier")
        try:
            await on.until(lambda: on.counted("rest_errors") >= 1)
            assert on.trust() & NOT_OPEN and "fee_multiplier" in on.feed.errors[0]
        finally:
            SERIES["series"]["fee_multiplier"] = terms
        await on.live()

    play(tmp_path, act)


def test_headers_that_do_not_come_are_tried_again(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        good = on.lane._headers
        assert good is not None
        failed: list[int] = []

        async def sometimes(method: str, path: str) -> dict[str, str]:
            failed.append(1)
            if len(failed) < 3:
                raise FeedError("signer: no answer")
            return await good(method, path)

        on.lane._headers = sometimes
        await on.live()
        on.venue.sockets[-1].transport.abort()
        await on.until(lambda: len(failed) >= 3)
        await on.live()

    play(tmp_path, act)


def test_trusted_time_and_frames_reach_the_role_row(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.clock.now_ns += SECOND_NS
        on.feed.step(on.clock())
        assert on.counted("trusted_ns") >= SECOND_NS
        assert on.counted("instrument_ns") >= on.counted("trusted_ns")
        assert on.counted("frames") >= 5 and on.counted("snapshots") == 1

    play(tmp_path, act)
