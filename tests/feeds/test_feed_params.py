"""What a feed is told: refused where it makes no sense, and followed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from feeds import params
from feeds.feed import Feed, FeedParams
from feeds.polymarket_check import BookCheck
from feeds.update import FeedError
from shm_layout import Segment
from tests.feeds.loopback import LIMIT_S, until
from tests.feeds.rig import Clock, Market, write_instrument

SECOND_NS = 10**9
GOOD: dict[str, Any] = {
    "venue": "kalshi", "feed": 0, "ws_url": "wss://x/y", "rest_url": "https://x"
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "field_name"),
    [
        ({"venue": "nyse"}, "venue"),
        ({"feed": 12}, "feed"),
        ({"feed": -1}, "feed"),
        ({"ws_url": "https://x"}, "ws_url"),
        ({"rest_url": ""}, "rest_url"),
        ({"rest_url": "ftp://x"}, "rest_url"),
        ({"gamma_url": "x"}, "gamma_url"),
        ({"products": {"BTC-USD": 0}}, "products"),
        ({"venue": "coinbase", "products": {}}, "products"),
        ({"venue": "coinbase", "products": {"BTC-USD": 32}}, "products"),
        ({"ping_ns": 0}, "ping_ns"),
        ({"ping_ns": 3 * SECOND_NS}, "ping_ns"),
        ({"venue": "binance", "products": {"BTCUSDT": 0}, "ping_ns": SECOND_NS // 3}, "ping_ns"),
        ({"link_silent_ns": 20 * SECOND_NS}, "link_silent_ns"),
        ({"backoff_base_ns": 0}, "backoff_base_ns"),
        ({"backoff_base_ns": 11 * SECOND_NS}, "backoff_base_ns"),
        ({"facts_ns": 1}, "facts_ns"),
        ({"options": {"streams": 1}}, "options"),
        ({"taker_delay_ns": -1}, "taker_delay_ns"),
        ({"check_ns": SECOND_NS - 1}, "check_ns"),
    ],
)
def test_a_wrong_parameter_is_named(changed: dict[str, Any], field_name: str) -> None:
    with pytest.raises(FeedError, match=f"^{field_name}: found"):
        FeedParams(**GOOD | changed)


def test_good_parameters_are_taken() -> None:
    FeedParams(**GOOD)
    FeedParams(venue="coinbase", feed=3, ws_url="wss://x", products={"BTC-USD": 0})
    FeedParams(venue="binance", feed=4, ws_url="wss://x", products={"BTCUSDT": 0},
               ping_ns=SECOND_NS // 2)  # fmt: skip


def test_a_venue_without_a_sequence_has_its_books_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[BookCheck] = []

    async def turn(check: BookCheck) -> list[str]:
        turns.append(check)
        return []

    monkeypatch.setattr(BookCheck, "turn", turn)
    monkeypatch.setattr(params, "CHECK_MIN_NS", 1)
    segment, stop = Segment.private(), asyncio.Event()
    write_instrument(segment, Market("m", index=0, token_yes=1, token_no=2))
    told = {"venue": "polymarket", "ws_url": "ws://127.0.0.1:9", "rest_url": "http://127.0.0.1:9"}
    feed = Feed(segment, FeedParams(**GOOD | told | {"check_ns": 1_000_000}), 5, Clock())

    async def main() -> None:
        task = asyncio.create_task(feed.main(stop))
        await until(lambda: len(turns) >= 3)
        stop.set()
        await asyncio.wait_for(task, LIMIT_S)

    asyncio.run(main())
    assert len(set(turns)) == 1
