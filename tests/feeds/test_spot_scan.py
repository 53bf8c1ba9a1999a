"""A scanned trade or touch leaves what typed decoding leaves: slot, ring and counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import spot_scan
from feeds.binance import Binance
from feeds.coinbase import Coinbase
from feeds.publisher import Publisher
from feeds.scan import FALL
from feeds.scan_object import Members
from feeds.spot_scan import DONE, NOTHING
from shm_layout import SPOT, VENUES, Segment
from tests.conftest import REFERENCE

CELLS = [name for name in (SPOT.names or ()) if name != "publish_ns"]
COUNTED = ("trades", "duplicates", "gaps", "bad_frames", "unknown_keys", "published", "changes")
MAKE: dict[str, Callable[[Publisher], Binance | Coinbase]] = {
    "binance": lambda publisher: Binance(publisher, ("BTCUSDT", "ETHUSDT")),
    "coinbase": lambda publisher: Coinbase(publisher, ("BTC-USD", "ETH-USD")),
}
SCAN = {"binance": spot_scan.binance, "coinbase": spot_scan.coinbase}


class Line:
    def __init__(self, venue: str) -> None:
        self.segment = Segment.private()
        feed = VENUES.index(venue)
        self.publisher = Publisher(self.segment, feed=feed, epoch=1, now_ns=1, products=(0, 1))
        self.handler = MAKE[venue](self.publisher)
        self.handler.opened(1)

    def left(self) -> Any:
        rows = [self.segment.read("spot", slot) for slot in (0, 1)]
        return (
            [[row[name].tolist() for name in CELLS] for row in rows if row is not None],
            {name: self.publisher.counted(name) for name in COUNTED},
            self.handler.must_reconnect,
        )


def both(venue: str, frames: list[bytes]) -> tuple[Any, Any]:
    """What frames leave if they are scanned, and if they are decoded."""
    scanned, decoded = Line(venue), Line(venue)
    for recv_ns, raw in enumerate(frames, 2):
        scanned.handler.frame(memoryview(raw), recv_ns, True)
        decoded.handler.frame(raw, recv_ns, True)
    return scanned.left(), decoded.left()


TEXTS = st.sampled_from([
    "76650.01", "0.18343000", "1", "0", "0.000000001", "-1", "1e3", "", "1234567890", "0.-10000",
])  # fmt: skip
NUMBERS = st.sampled_from([1, 2, 3, 5, 2**53 + 1, -1, 1.5, "2", None])
TIMES = st.sampled_from([
    "2026-05-13T21:51:32.145616Z", "2026-05-13T21:51:32Z", "0001-01-01T00:00:00Z", "", "x",
    "2026-02-30T00:00:00.1Z",
])  # fmt: skip
STAMPS = st.sampled_from([1_790_877_850_001, 1_790_877_850_002, 0, 10**14, "1"])
SYMBOLS = st.sampled_from(["BTCUSDT", "BTCUSDT", "ETHUSDT", "XRPUSDT", 5])
PRODUCTS = st.sampled_from(["BTC-USD", "BTC-USD", "ETH-USD", "XRP-USD", ""])
TRADES = st.fixed_dictionaries(
    {"e": st.just("trade"), "E": STAMPS, "s": SYMBOLS, "t": NUMBERS, "p": TEXTS, "q": TEXTS,
     "T": STAMPS, "m": st.sampled_from([True, False, None]), "M": st.booleans()},
    optional={"X": st.just("new")},
)  # fmt: skip
TOUCHES = st.fixed_dictionaries(
    {"u": NUMBERS, "s": SYMBOLS, "b": TEXTS, "B": TEXTS, "a": TEXTS, "A": TEXTS},
    optional={"E": STAMPS},
)
BINANCE = st.one_of(
    st.builds(lambda d: {"stream": "btcusdt@trade", "data": d}, TRADES),
    st.builds(lambda d: {"stream": "btcusdt@bookTicker", "data": d}, TOUCHES),
    st.builds(lambda d, s: {"stream": s, "data": d}, TRADES, st.sampled_from(["", "trade", "x@y"])),
)
MATCHES = st.fixed_dictionaries(
    {"type": st.sampled_from(["match", "match", "last_match", "new"]), "trade_id": NUMBERS,
     "maker_order_id": st.just("4c2aa376"), "side": st.sampled_from(["buy", "sell", "hold"]),
     "size": TEXTS, "price": TEXTS, "product_id": PRODUCTS, "sequence": NUMBERS, "time": TIMES},
    optional={"taker_order_id": st.just("x"), "new": st.just("1")},
)  # fmt: skip
TICKERS = st.fixed_dictionaries(
    {"type": st.just("ticker"), "sequence": NUMBERS, "product_id": PRODUCTS, "best_bid": TEXTS,
     "best_ask": TEXTS, "time": TIMES},
    optional={"best_bid_size": TEXTS, "best_ask_size": TEXTS, "open_24h": TEXTS,
              "trade_id": NUMBERS},
)  # fmt: skip
CONTENT = {"binance": BINANCE, "coinbase": st.one_of(MATCHES, TICKERS)}


@st.composite
def frames(draw: Any, venue: str) -> bytes:
    """A frame: as the venue sends it, or damaged."""
    raw = orjson.dumps(draw(CONTENT[venue]))
    damage = draw(st.sampled_from(["none", "none", "none", "cut", "byte", "spaces"]))
    if damage == "cut":
        raw = raw[: draw(st.integers(0, len(raw)))]
    elif damage == "byte":
        at = draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
    elif damage == "spaces":
        raw = raw.replace(b",", b" , ") + b"\n"
    return raw


@pytest.mark.parametrize("venue", ["binance", "coinbase"])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_scanned_and_decoded_frames_leave_the_same(venue: str, data: st.DataObject) -> None:
    run = data.draw(st.lists(frames(venue), min_size=1, max_size=5))
    scanned, decoded = both(venue, run)
    assert scanned == decoded, run


def code(venue: str, frame: Any) -> int:
    line = Line(venue)
    names = {"binance": ("BTCUSDT",), "coinbase": ("BTC-USD", "ETC-GBP")}[venue]
    raw = frame if isinstance(frame, bytes) else orjson.dumps(frame)
    memory = spot_scan.memory_of(names)
    words, state = line.publisher.words, line.publisher.state
    return int(SCAN[venue](words, state, memory, memoryview(raw), 5))


def test_the_captured_frames_of_the_reference_are_scanned() -> None:
    codes: dict[str, set[int]] = {}
    for venue, file in (("binance", "binance_spot.jsonl"), ("coinbase", "coinbase_exchange.jsonl")):
        path = REFERENCE / "fixtures/spot" / file
        if not path.exists():
            pytest.skip(f"reference {file} is not on this machine (set ARB_TEST_REFERENCE)")
        for each in map(orjson.loads, path.read_text().splitlines()):
            if each.get("dir") == "in":
                codes.setdefault(each["kind"], set()).add(code(venue, each["raw"].encode()))
    assert codes["trade(combined)"] >= {DONE}, "the other has a stamp of microseconds"
    assert codes["match"] & {DONE, NOTHING}


def test_an_unknown_key_is_left_to_the_types() -> None:
    match = {"type": "match", "trade_id": 1, "side": "buy", "size": "1", "price": "1",
             "product_id": "BTC-USD", "time": "2026-05-13T21:51:32Z"}  # fmt: skip
    assert code("coinbase", match) == DONE
    assert code("coinbase", {**match, "new": "1"}) == FALL
    assert code("coinbase", {key: match[key] for key in reversed(match)}) == FALL


def test_the_other_side_would_be_seen() -> None:
    """Negative control: the comparison has teeth."""
    trade = {"type": "match", "trade_id": 1, "side": "buy", "size": "1", "price": "1",
             "product_id": "BTC-USD", "time": "2026-05-13T21:51:32Z"}  # fmt: skip
    bought, _ = both("coinbase", [orjson.dumps(trade)])
    _, sold = both("coinbase", [orjson.dumps(trade | {"side": "sell"})])
    assert bought != sold


def test_a_table_knows_the_places_of_its_members() -> None:
    table = Members(b=0, a=1)
    assert table.bits("a") == 2 and table.at("a") == 2 and table.cells == 4
