"""One connection of a feed, call by call: what a silent link is worth."""

from __future__ import annotations

import orjson

from feeds.feed import Feed, FeedParams, _Owner
from feeds.kalshi import CHANNELS
from feeds.lane import PAUSE_BYTES, Lane
from feeds.session import State
from feeds.update import SECOND_NS
from shm_layout import LINK_SILENT, TICK_EPOCH, Segment
from tests.feeds.rig import OPEN, Market, write_instrument

LATE_NS = 12 * SECOND_NS


def made(lanes: int = 1) -> Feed:
    """A feed of two Kalshi markets that connects nowhere; its first lane has fallen silent."""
    segment = Segment.private()
    for index, name in enumerate("AB"):
        write_instrument(segment, Market(name, index=index))
    params = FeedParams(venue="kalshi", feed=0, ws_url="ws://x/", rest_url="http://x/", lanes=lanes)
    feed = Feed(segment, params, 1, lambda: 10)
    for local in range(2):
        feed.publisher.set_facts(local, OPEN, 10)
    lane = feed.shards[0].lanes[0]
    lane.venue.opened(10)
    for sid, channel in enumerate(CHANNELS, 1):
        give(lane, {"type": "subscribed", "msg": {"channel": channel, "sid": sid}})
    for seq, name in enumerate("AB", 1):
        sides = {"yes_dollars_fp": [["0.40", "3.00"]], "no_dollars_fp": [["0.42", "3.00"]]}
        give(lane, {"type": "orderbook_snapshot", "sid": 1, "seq": seq,
                    "msg": {"market_ticker": name, **sides}})  # fmt: skip
    assert trusts(feed) == [0, 0]
    lane.session.state = State.LIVE
    lane._link.opened(11)
    lane.step(LATE_NS // 4)
    assert trusts(feed) == [LINK_SILENT] * 2
    return feed


def give(lane: Lane, frame: dict[str, object], *, last: bool = True) -> None:
    lane.on_text(memoryview(orjson.dumps(frame)), LATE_NS, last)


def delta(lane: Lane, name: str, seq: int, *, last: bool) -> None:
    message = {"market_ticker": name, "price_dollars": "0.40", "delta_fp": "1.00", "side": "yes",
               "ts_ms": 5}  # fmt: skip
    give(lane, {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": message}, last=last)


def trusts(feed: Feed) -> list[int]:
    return [feed.shards[0].seats[0].trust(local) for local in range(2)]


def test_silence_ends_with_the_whole_backlog_not_with_its_first_frame() -> None:
    feed = made()
    lane, unread = feed.shards[0].lanes[0], [PAUSE_BYTES + 1]
    lane._connection.backlog_bytes = lambda: unread[0]  # type: ignore[method-assign]
    delta(lane, "A", 3, last=False)
    assert trusts(feed) == [LINK_SILENT] * 2
    delta(lane, "A", 4, last=True)
    lane.on_alive(LATE_NS, True)
    assert trusts(feed) == [LINK_SILENT] * 2, "more is unread"
    unread[0] = PAUSE_BYTES
    lane.on_alive(LATE_NS, False)
    assert trusts(feed) == [LINK_SILENT] * 2
    delta(lane, "B", 5, last=True)
    assert trusts(feed) == [0, 0]


def test_a_silent_rival_hears_nothing_so_facts_are_doubted_and_read() -> None:
    feed = made(lanes=2)
    shard = feed.shards[0]
    second, owner = shard.lanes[1], _Owner(feed, shard)
    assert not shard.lanes[0].is_heard
    feed._facts_due.clear()
    owner.opened(second, LATE_NS)
    owner.subscribed(second)
    assert second.seat.trust(0) & TICK_EPOCH and feed._facts_due.is_set()


def test_facts_read_during_a_silence_count_for_nothing_so_they_are_read_after_it() -> None:
    feed = made()
    lane = feed.shards[0].lanes[0]
    feed._facts_due.clear()
    lane.on_alive(LATE_NS, True)
    assert lane.is_heard and feed._facts_due.is_set()
