"""What Kalshi may make our file remember, ask and look at: bounded, whatever it sends."""

from __future__ import annotations

import pytest

from feeds import book
from feeds.kalshi import ANSWER_NS, TRIES_MAX
from feeds.kalshi_life import SIDS_MAX
from shm_layout import GAP
from tests.feeds.kalshi_line import BOOK, line


def test_only_the_four_channels_asked_for_count_as_subscribed() -> None:
    made = line()
    made.kalshi.closed(1)
    made.kalshi.opened(2)
    for sid in range(1, 9):
        made.give({"type": "subscribed", "msg": {"channel": "trade", "sid": sid}})
    made.give({"type": "subscribed", "msg": {"channel": "fill", "sid": 9}})
    assert not made.kalshi.is_subscribed
    for sid, channel in enumerate(("orderbook_delta", "ticker", "market_lifecycle_v2"), 10):
        made.give({"type": "subscribed", "msg": {"channel": channel, "sid": sid}})
    assert made.kalshi.is_subscribed


def test_subscriptions_whose_numbers_are_followed_are_bounded() -> None:
    made = line()
    for seq in (1, 5):  # the second time each has a hole
        for sid in range(100, 100 + 4 * SIDS_MAX):
            frame = {"type": "trade", "sid": sid, "seq": seq, "msg": {"market_ticker": "B"}}
            made.give(frame)
    assert made.rig.counted("gaps") == SIDS_MAX


def test_books_of_markets_that_are_over_are_not_asked_for() -> None:
    made = line("A", "B")
    made.snapshot("A")
    made.snapshot("B")
    made.lifecycle("settled", ticker="B", result="yes")
    made.delta("yes", "0.47", "1.00", seq=made.seq + 5)
    (asked,) = made.sent()
    assert asked["params"]["market_tickers"] == ["A"]
    made.snapshot("A")
    for _ in range(3 * TRIES_MAX):
        made.recv_ns += ANSWER_NS + 1
        made.kalshi.tick(made.recv_ns)
    assert not made.kalshi.must_reconnect and made.sent() == []


def test_numbers_that_began_anew_cost_a_look_at_the_books_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 1,000 markets each of them took 0.9 ms, which is more than they are apart."""
    made, marked = line("A", "B"), list[int]()
    made.snapshot("A")
    made.snapshot("B", seq=50)
    mark = book.mark

    def counted(*args: int) -> None:
        marked.append(1)
        mark(*args)

    monkeypatch.setattr(book, "mark", counted)
    for seq in range(1, 41):
        made.delta("yes", "0.47", "1.00", seq=seq)
    assert made.rig.trust(0) & GAP and len(marked) <= 1 and made.rig.counted("gaps") >= 40


def test_what_only_the_second_look_at_a_snapshot_refuses_breaks_its_book_alone() -> None:
    made = line("A", "B")
    made.snapshot("A")
    made.snapshot("B")
    for odd in (b"1e999", b'"\xff"', b'"\\ud800"'):
        made.seq += 1
        made.give(
            b'{"type":"orderbook_snapshot","sid":%d,"seq":%d,"msg":{"market_ticker":"A",'
            b'"market_id":%s,"yes_dollars_fp":[["0.47","3.00"]]}}' % (BOOK, made.seq, odd)
        )
        assert made.rig.trust(0) & GAP and made.rig.trust(1) == 0
    assert made.rig.counted("bad_frames") == 3
