"""Racing connections on loopback: real sockets, a venue that cuts, falls silent and refuses."""

from __future__ import annotations

from pathlib import Path

import orjson

from feeds.lane import MUTE_NS
from feeds.session import State
from shm_layout import GAP, NO_SNAPSHOT, POLLED, TICK_EPOCH
from tests.feeds.stage import SECOND_NS, TICKER, Stage, play


def trusts(on: Stage) -> list[int]:
    """The trust words published since the last call."""
    return [int(entry["trust"]) for entry in on.entries()]


def delta(seq: int, ts_ms: int, price: str) -> str:
    message = {"market_ticker": TICKER, "price_dollars": price, "delta_fp": "5.00", "side": "yes",
               "ts_ms": ts_ms}  # fmt: skip
    frame = {"type": "orderbook_delta", "sid": len("orderbook_delta"), "seq": seq, "msg": message}
    return orjson.dumps(frame).decode()


async def both(on: Stage) -> None:
    await on.until(lambda: all(lane.is_live for lane in on.feed.shards[0].lanes))
    await on.live()
    on.entries()


def test_two_connections_race_and_the_second_says_nothing(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await both(on)
        first, second = on.venue.sockets
        await first.send(delta(2, 1_788_702_600_001, "0.4800"))
        await on.until(lambda: on.best_bid_e6() == 480_000)
        published = on.counted("published")
        await second.send(delta(2, 1_788_702_600_001, "0.4800"))
        await on.until(lambda: on.counted("laggards") == 1)
        assert on.counted("published") == published
        await second.send(delta(3, 1_788_702_600_002, "0.4900"))
        await on.until(lambda: on.best_bid_e6() == 490_000)
        assert on.counted("gaps") == on.counted("reconnects") == 0

    play(tmp_path, act, lanes=2)


def test_a_cut_connection_leaves_no_hole_while_another_is_whole(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await both(on)
        for turn in range(4):
            on.venue.sockets[turn].transport.abort()
            await on.connected(turn + 3)
            await both_again(on)
        assert on.counted("reconnects") == 4

    async def both_again(on: Stage) -> None:
        await on.until(lambda: all(lane.is_live for lane in on.feed.shards[0].lanes))
        assert on.trust() == 0 and set(trusts(on)) <= {0}

    play(tmp_path, act, lanes=2)


def test_with_one_connection_the_same_cut_is_a_hole(tmp_path: Path) -> None:
    """The negative control."""

    async def act(on: Stage) -> None:
        await both(on)
        on.venue.sockets[0].transport.abort()
        await on.connected(2)
        await on.live()
        assert any(trusts(on))

    play(tmp_path, act, lanes=1)


def test_one_connection_that_must_go_is_replaced_without_a_hole(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await both(on)
        old = on.lane
        old.venue.must_reconnect = True  # type: ignore[misc]
        await on.until(lambda: on.counted("recycled") == 1)
        assert on.lane is not old and set(trusts(on)) <= {0} and on.trust() == 0
        await on.until(lambda: old.session.state is State.STOPPED)
        assert len(on.venue.sockets) == 2 and on.counted("reconnects") == 0
        await on.venue.sockets[1].send(delta(2, 1_788_702_600_001, "0.4800"))
        await on.until(lambda: on.best_bid_e6() == 480_000)

    play(tmp_path, act, lanes=1)


def test_facts_need_not_be_read_again_while_a_rival_listened(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await both(on)
        on.venue.answers.clear()
        on.venue.sockets[0].transport.abort()
        await on.connected(3)
        await on.until(lambda: all(lane.is_live for lane in on.feed.shards[0].lanes))
        assert not any(trust & TICK_EPOCH for trust in trusts(on))
        on.venue.answers.set()

    play(tmp_path, act, lanes=2)


def test_books_are_polled_while_the_venue_accepts_nobody(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await both(on)
        assert on.counted("polls") == 0
        on.venue.refuses = True
        for socket in on.venue.sockets:
            socket.transport.abort()
        await on.until(lambda: not on.feed.shards[0].is_live)
        on.clock.now_ns += 3 * SECOND_NS
        await on.until(lambda: on.trust() & POLLED and on.best_bid_e6() == 450_000)
        assert on.counted("polls") >= 1  # what REST said, and nobody knows about the tick grid
        on.venue.refuses = False
        await on.live()
        assert on.best_bid_e6() == 470_000

    play(tmp_path, act, lanes=2)


def test_a_feed_that_is_too_slow_says_so_and_asks_for_whole_books(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await both(on)
        unread = [400_000]
        on.lane._connection.backlog_bytes = lambda: unread[0]  # type: ignore[method-assign]
        on.feed.step(on.clock())
        assert on.trust() == 0  # a burst may be gone by the next step
        on.feed.step(on.clock())
        assert on.trust() == GAP and on.counted("behind") == 1
        for _ in range(5):
            on.feed.step(on.clock())
        assert on.counted("behind") == 1 and on.counted("resyncs") == 1
        unread[0] = 0
        await on.until(lambda: on.venue.asked[-1]["cmd"] == "update_subscription")
        await on.venue.sockets[0].send(snapshot(2))
        await on.live()

    def snapshot(seq: int) -> str:
        message = {"market_ticker": TICKER, "yes_dollars_fp": [["0.4700", "3.00"]]}
        frame = {"type": "orderbook_snapshot", "sid": 15, "seq": seq, "msg": message}
        return orjson.dumps(frame).decode()

    play(tmp_path, act, lanes=1)


def test_a_connection_that_says_it_ends_is_untrusted_from_that_word_on(tmp_path: Path) -> None:
    """Its books stand still from then on, while the replacement is opened."""

    async def act(on: Stage) -> None:
        await both(on)
        frame = {"type": "error", "msg": {"code": 25, "msg": "buffer overflow"}}
        await on.venue.sockets[0].send(orjson.dumps(frame).decode())
        await on.until(lambda: on.counted("recycled") == 1)
        assert trusts(on)[0] == GAP
        await on.live()

    play(tmp_path, act, lanes=1)


def test_a_frame_that_makes_our_own_code_raise_costs_its_link_not_the_feed(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await both(on)
        frame = on.lane.venue.frame

        def broken(payload: bytes, recv_ns: int, last: bool) -> None:
            frame(payload, recv_ns, last)
            raise LookupError("a fault of ours")

        on.lane.venue.frame = broken  # type: ignore[method-assign,assignment]
        await on.venue.sockets[0].send(delta(2, 1_788_702_600_001, "0.4800"))
        await on.until(lambda: on.counted("reconnects") == 1)
        assert any("LookupError" in line for line in on.feed.errors)
        on.lane.venue.frame = frame  # type: ignore[method-assign]
        await on.live()
        assert NO_SNAPSHOT in trusts(on) and on.counted("bad_frames") == 1
        told = [line for line in on.feed.news()[0] if "fault" in line]
        assert told and all("LookupError in test_lanes.py" in line for line in told)

    play(tmp_path, act, lanes=1)


def test_a_connection_that_is_accepted_and_hears_nothing_is_replaced(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        on.venue.is_mute = True
        await on.until(lambda: on.lane.session.state is State.SNAPSHOTS)
        first = on.lane
        for _ in range(MUTE_NS // SECOND_NS):
            assert first.ailment(on.clock.now_ns) == ""
            on.clock.now_ns += SECOND_NS
            first._connection.ping()
            heard = first.heard_ns
            await on.until(lambda heard=heard: first.heard_ns > heard)  # type: ignore[misc]
        on.venue.is_mute = False
        on.clock.now_ns += 1
        await on.until(lambda: on.counted("recycled") == 1)
        await on.live()
        assert on.lane is not first and on.counted("reconnects") == 0

    play(tmp_path, act, lanes=1)
