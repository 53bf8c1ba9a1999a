"""Feed frame: a Kalshi delta goes from bytes to a published quote in at most 3 µs, p50.

Topology: one process, one core, no socket: the bytes of a seeded stream of deltas (two sides, the
ten best cents of each, one market, sizes that repeat as real ones do) are handed to the venue's
file one by one, each ending its buffer, so that every frame is decoded, applied and published to a
slot and a ring nobody reads. Beside it: decoding alone and the kernel call alone.
Cores: 1.
What would make it lie: no socket, no TLS and no picows callback in the path (about 1 µs more on the
wire path); texts that repeat more than real ones; a
warm cache, as the stream touches twenty levels; deltas below the five shown levels, which are
applied and not published (their share is printed). The last book is compared with a plain one.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import orjson

import shm_layout as shm
from bench import harness
from feeds import book
from feeds.kalshi import CHANNELS, Kalshi
from feeds.kalshi_frames import DECODER
from feeds.publisher import Publisher
from feeds.update import Instrument, MarketFacts
from shm_layout import ASK, BID, E6, ST_ACTIVE, int_to_text

GOAL_NS = 3_000
TICKER = "KXBTC15M-26SEP061000-00"
SEED = 7
START_E6 = 100 * E6
STAMP_MS = 1_788_702_600_000


def stream(count: int) -> tuple[list[bytes], dict[int, dict[int, int]]]:
    """Frames of `count` deltas, and the book they end in: side to price to size."""
    draw = random.Random(SEED)
    cents = {BID: range(40, 50), ASK: range(51, 61)}
    levels = {side: dict.fromkeys((c * 10_000 for c in prices), START_E6)
              for side, prices in cents.items()}  # fmt: skip
    frames = []
    for seq in range(2, count + 2):
        side = draw.choice((BID, ASK))
        price_e6 = draw.choice(cents[side]) * 10_000
        size_e6 = draw.randrange(1, 400) * E6
        if draw.random() < 0.15:
            size_e6 += draw.randrange(100) * 10_000
        if levels[side][price_e6] > 1_000 * E6:
            size_e6 = -size_e6
        levels[side][price_e6] += size_e6
        message = {
            "market_ticker": TICKER, "market_id": "ac93216c-6f8c-4532-9d29-97b0e0ad9968",
            "price_dollars": int_to_text(price_e6, 6, 4), "delta_fp": int_to_text(size_e6, 6, 2),
            "side": "yes" if side == BID else "no", "ts": "2026-09-06T13:50:00.000000Z",
            "ts_ms": STAMP_MS + seq,
        }  # fmt: skip
        frame = {"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": message}
        frames.append(orjson.dumps(frame) + b"\n")
    return frames, levels


def subscribed(publisher: Publisher) -> Kalshi:
    """A venue file with its subscription acknowledged and its first book in."""
    venue = Kalshi(publisher)
    venue.opened(1)
    for sid, channel in enumerate(CHANNELS, 1):
        reply = {"type": "subscribed", "id": 1, "msg": {"channel": channel, "sid": sid}}
        venue.frame(orjson.dumps(reply), 1, True)
    sides = {
        "yes_dollars_fp": [[f"0.{cent}00", "100.00"] for cent in range(40, 50)],
        "no_dollars_fp": [[f"0.{cent}00", "100.00"] for cent in range(51, 61)],
    }
    snapshot = {"type": "orderbook_snapshot", "sid": 1, "seq": 1,
                "msg": {"market_ticker": TICKER, **sides}}  # fmt: skip
    venue.frame(orjson.dumps(snapshot), 1, True)
    return venue


def each(act: Callable[[int], object], count: int) -> list[int]:
    """ns of each of `count` calls, stamps included."""
    took, now = [], harness.now
    for i in range(count):
        start = now()
        act(i)
        took.append(now() - start)
    return took


def top(levels: dict[int, int], side: int) -> list[tuple[int, int]]:
    """The five best levels of a plain book."""
    return sorted(levels.items(), reverse=side == BID)[:5]


def run(quick: bool) -> dict[str, object]:
    """Service time of a frame and of its two parts, in ns."""
    count = 20_000 if quick else 100_000
    warm = count // 10
    segment = shm.Segment.private()
    one = Instrument(
        local=0, index=0, generation=1, ticker=TICKER, condition=0, token_yes=0, token_no=0
    )
    publisher = Publisher(segment, feed=0, epoch=1, now_ns=1, instruments=(one,))
    publisher.set_facts(0, MarketFacts(status=ST_ACTIVE, grid=((E6, 10_000),)), 1)
    frames, levels = stream(count)
    venue = subscribed(publisher)
    views = [memoryview(frame) for frame in frames]
    now = harness.now
    frame_ns = each(lambda i: venue.frame(views[i], now(), True), count)
    quote = segment.read("quotes", 0)
    assert quote is not None and int(quote["trust"]) == 0, "the stream must leave a trusted book"
    for name, side in (("bids", BID), ("asks", ASK)):
        cells = [int(value) for value in quote[name]]
        assert list(zip(cells[::2], cells[1::2], strict=True)) == top(levels[side], side), name
    published = publisher.counted("published")
    words, state = publisher.words, publisher.state
    stamp = STAMP_MS * 10**6
    decode_ns = each(lambda i: DECODER.decode(views[i]), count)
    kernel_ns = each(
        lambda i: book.change(words, state, 0, BID, 490_000, E6, True, i, stamp, i, True), count
    )
    stamps_ns = each(lambda i: None, count)
    frame = harness.spread(frame_ns[warm:])
    cost_ns = float(np.median(stamps_ns[warm:]))
    return {
        "frame_ns": frame,
        "decode_ns": harness.spread(decode_ns[warm:]),
        "kernel_ns": harness.spread(kernel_ns[warm:]),
        "stamping_ns_informative": round(cost_ns),
        "published_share": round(published / count, 3),
        "goal_ns": GOAL_NS,
        "verdict": "pass" if frame["p50"] - cost_ns <= GOAL_NS else "fail",
    }
