"""Kraken's frames through the venue's file: trades, and a book that is shown only while proven."""

from __future__ import annotations

import random
import zlib
from typing import Any

import orjson
import pytest

from feeds.kraken import DEPTH, TRIES_MAX, Kraken
from feeds.kraken_book import Book, digits
from feeds.spot_handler import NUMBERS_MAX
from feeds.update import SECOND_NS
from shm_layout import BUY, DRIFT, E8, NO_ASK_E6, NO_SNAPSHOT, NOT_OPEN, REST_MISMATCH, SELL, VENUES
from tests.feeds.spot_line import SLOT, Line, recorded

FRAMES = {row["id"]: row["raw"].encode() for row in recorded("kraken_v2.jsonl")}
SNAPSHOT = FRAMES["kr-book-snap-crc"]
STAMP = "2026-08-10T14:23:11.053094Z"
STAMP_NS = 1_786_371_791_053_094_000
PRODUCTS = ("BTC/USD", "ETH/USD")


def line() -> Line:
    return Line(Kraken, PRODUCTS, VENUES.index("kraken"))


def trade(number: int, kind: str = "update", **rest: Any) -> bytes:
    row = {"symbol": "BTC/USD", "side": "buy", "price": 64668.9, "qty": 0.00122657,
           "ord_type": "limit", "trade_id": number, "timestamp": STAMP, **rest}  # fmt: skip
    return orjson.dumps({"channel": "trade", "type": kind, "data": [row]})


def ack(channel: str, symbol: str) -> dict[str, Any]:
    result = {"channel": channel, "symbol": symbol, "snapshot": True}
    return {"method": "subscribe", "result": result, "success": True}


class Sender:
    """The venue's side of a book by its document: whole levels as text, changes and checksum."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.sides: dict[str, dict[int, str]] = {"bids": {}, "asks": {}}
        for name, sign in (("bids", -1), ("asks", 1)):
            for step in range(1, 40):
                self.sides[name][453_000 + sign * step * 3] = self._size()

    def _size(self) -> str:
        return f"{self._chance.randrange(1, 10**6) / 10**5:.8f}"

    def best(self, name: str, depth: int = DEPTH) -> list[tuple[int, str]]:
        side = self.sides[name]
        return [(price, side[price]) for price in sorted(side, reverse=name == "bids")[:depth]]

    def checksum(self) -> int:
        text = ""
        for name in ("asks", "bids"):
            for price, size in self.best(name):
                text += f"{price}" + size.replace(".", "").lstrip("0")
        return zlib.crc32(text.encode())

    def frame(self, kind: str, told: dict[str, list[tuple[int, str]]]) -> bytes:
        rows = ",".join(
            f'"{name}":[' + ",".join(
                f'{{"price":{price / 10:.1f},"qty":{size}}}' for price, size in levels) + "]"
            for name, levels in told.items())  # fmt: skip
        stamp = f',"timestamp":"{STAMP}"' if kind == "update" else ""
        row = f'{{"symbol":"BTC/USD",{rows},"checksum":{self.checksum()}{stamp}}}'
        return f'{{"channel":"book","type":"{kind}","data":[{row}]}}'.encode()

    def snapshot(self) -> bytes:
        return self.frame("snapshot", {name: self.best(name) for name in self.sides})

    def update(self) -> bytes:
        """One level changed, removed or added within the depth; beyond it, one moves in silence."""
        chance, name = self._chance, self._chance.choice(("bids", "asks"))
        side, before = self.sides[name], dict(self.best(name))
        price = chance.choice(list(before))
        silent = chance.choice(self.best(name, 20)[DEPTH:])[0]
        del side[silent]
        away = 1 if name == "asks" else -1
        side[silent + away] = self._size()
        while len(side) < 40:
            side[(max if name == "asks" else min)(side) + 3 * away] = self._size()
        move = chance.randrange(3)
        if move == 0:
            side[price] = self._size()
        elif move == 1:
            del side[price]
        else:
            side[price - 1 if name == "asks" else price + 1] = self._size()
        after = dict(self.best(name))
        far = list(after)[-1]
        gone = [p for p in before if p not in after and (p < far if name == "asks" else p > far)]
        told = [(p, "0.00000000") for p in gone]
        told += [(p, size) for p, size in after.items() if before.get(p) != size]
        return self.frame("update", {name: told, "asks" if name == "bids" else "bids": []})


def test_both_channels_are_asked_for_and_each_answer_counts() -> None:
    made = line()
    trades, books = (message["params"] for message in made.said())
    assert trades == {"channel": "trade", "symbol": list(PRODUCTS), "snapshot": True}
    assert books == {"channel": "book", "symbol": list(PRODUCTS), "depth": DEPTH}
    answers = [ack(channel, symbol) for channel in ("trade", "book") for symbol in PRODUCTS]
    for answer in answers:
        assert not made.venue.is_subscribed
        made.give(answer)
    assert made.venue.is_subscribed


@pytest.mark.parametrize(("side", "taker"), [("buy", BUY), ("sell", SELL)])
def test_a_trade_is_a_slot_and_an_entry_exact_to_the_digit(side: str, taker: int) -> None:
    made = line()
    made.give(trade(7, side=side))
    (entry,) = made.entries()
    assert entry.tobytes() == made.spot().tobytes()
    names = ("trust", "last_e8", "size_e8", "taker_side", "trade_id", "event_epoch_ns")
    assert made.cells(*names) == [0, 6_466_890_000_000, 122_657, taker, 7, STAMP_NS]


def test_hours_of_sizes_that_never_come_again_take_no_more_memory_than_a_minute_of_them() -> None:
    made = line()
    for number in range(1, NUMBERS_MAX + 1_000):
        made.give(trade(number, qty=1 + number / 10**8))
    assert made.counted("trades") == NUMBERS_MAX + 999
    assert len(made.venue._numbers._seen) <= NUMBERS_MAX


def test_the_newest_trade_of_a_snapshot_is_the_baseline_and_the_rest_is_history() -> None:
    made = line()
    rows = [orjson.loads(trade(number))["data"][0] for number in (8, 9, 7)]
    made.give({"channel": "trade", "type": "snapshot", "data": rows})
    assert [int(entry["trade_id"]) for entry in made.entries()] == [9]
    for number in (9, 10, 12):
        made.give(trade(number))
    assert (made.counted("duplicates"), made.counted("gaps")) == (1, 1)


def test_the_official_example_agrees_and_shows_its_touch() -> None:
    made = line()
    made.give(SNAPSHOT)
    assert (made.counted("mismatch"), made.counted("tickers_agreed")) == (0, 1)
    assert made.cells("bid_e8", "bid_size_e8", "ask_e8", "ask_size_e8") == [
        4_528_350_000_000, 10_000_000, 4_528_520_000_000, 100_000,
    ]  # fmt: skip
    assert made.trust() == NO_SNAPSHOT, "a quote without a trade is no snapshot of spot"


@pytest.mark.parametrize(
    ("was", "now"),
    [(b"0.10000000", b"0.10000001"), (b"0.10000000", b"0.1"), (b"45281.0", b"45281"),
     (b"45276.6", b"45276.7")],
)  # fmt: skip
def test_one_digit_of_one_level_changed_is_a_mismatch(was: bytes, now: bytes) -> None:
    made = line()
    made.give(trade(7))
    made.give(trade(7, symbol="ETH/USD"))
    made.give(SNAPSHOT.replace(was, now, 1))
    assert made.counted("mismatch") == 1
    assert made.trust() == REST_MISMATCH and made.trust(SLOT + 1) == 0, "of that product alone"
    made.said()
    made.venue.tick(20)
    methods = [(m["method"], m["params"]["symbol"]) for m in made.said()]
    assert methods == [("unsubscribe", ["BTC/USD"]), ("subscribe", ["BTC/USD"])]
    assert made.counted("resyncs") == 1


def test_a_broken_book_is_silent_until_a_snapshot_that_agrees() -> None:
    made, sender = line(), Sender(1)
    made.give(trade(7))
    made.give(sender.snapshot())
    lost = sender.update()
    while lost == (found := sender.update()):
        pass
    made.give(found)
    assert made.trust() == REST_MISMATCH
    made.entries()
    made.give(sender.update())
    assert made.entries() == [] and made.counted("mismatch") == 1, "changes of no book"
    made.give(sender.snapshot())
    assert made.trust() == 0 and made.counted("tickers_agreed") == 2


def test_books_that_never_agree_end_the_session() -> None:
    made, bad = line(), SNAPSHOT.replace(b"0.10000000", b"0.2", 1)
    made.give(bad)
    for tries in range(TRIES_MAX + 1):
        assert not made.venue.must_reconnect
        made.venue.tick((tries + 1) * 10 * SECOND_NS)
    assert made.venue.must_reconnect


@pytest.mark.parametrize("seed", range(5))
def test_every_update_keeps_the_book_and_its_checksum(seed: int) -> None:
    made, sender = line(), Sender(seed)
    made.give(trade(7))
    made.give(sender.snapshot())
    for _ in range(300):
        made.give(sender.update())
        assert made.trust() == 0
        (bid, bid_size), (ask, ask_size) = sender.best("bids", 1)[0], sender.best("asks", 1)[0]
        found = made.cells("bid_e8", "bid_size_e8", "ask_e8", "ask_size_e8")
        sizes = [int(size.replace(".", "")) for size in (bid_size, ask_size)]
        assert found == [bid * E8 // 10, sizes[0], ask * E8 // 10, sizes[1]]
    assert made.counted("mismatch") == 0


def test_without_the_cut_to_the_depth_the_checksum_turns_red() -> None:
    """The control of the test above: a book that forgets to cut keeps levels that fell out."""
    sender, book = Sender(0), Book(10_000)
    wrong = 0

    def take(frame: bytes) -> int:
        (row,) = orjson.loads(frame)["data"]
        for side, name in ((book.bids, "bids"), (book.asks, "asks")):
            side.apply(
                (round(level["price"] * 10), round(level["qty"] * 10**8),
                 digits(f"{level['price']:.1f}", f"{level['qty']:.8f}"))
                for level in row[name]
            )  # fmt: skip
        return int(book.checksum() != row["checksum"])

    assert take(sender.snapshot()) == 0
    for _ in range(300):
        wrong += take(sender.update())
    assert wrong > 0


def test_a_lost_link_forgets_the_books() -> None:
    made, sender = line(), Sender(1)
    made.give(trade(7))
    made.give(sender.snapshot())
    made.venue.closed(50)
    assert made.trust() == NO_SNAPSHOT
    made.venue.opened(60)
    made.give(sender.update())
    assert made.counted("tickers_checked") == 1, "no snapshot yet"


def test_maintenance_closes_every_product_until_it_is_over() -> None:
    made = line()
    made.give(trade(7))
    status = {"channel": "status", "type": "update", "data": [{"system": "maintenance"}]}
    made.give(status)
    assert made.trust() == NOT_OPEN
    status["data"] = [{"system": "online"}]
    made.give(status)
    assert made.trust() == 0


def test_a_zero_quote_is_no_market() -> None:
    made = Line(Kraken, ("ANETx/USD",), VENUES.index("kraken"))
    made.give(FRAMES["kr-ticker-zero"])
    assert made.cells("ask_e8", "ask_size_e8", "event_epoch_ns") == [NO_ASK_E6, 0, 0]


def test_a_refused_subscription_is_counted_and_stays_unanswered() -> None:
    made = line()
    made.give({"method": "subscribe", "success": False, "error": "Currency pair not supported X"})
    assert made.counted("bad_frames") == 1 and not made.venue.is_subscribed


@pytest.mark.parametrize(
    "rest",
    [{"price": "x"}, {"price": 0}, {"price": -1}, {"qty": None}, {"qty": 0}, {"side": "up"},
     {"trade_id": "7"}, {"trade_id": -7}, {"timestamp": "noon"}, {"price": [1]}, {"qty": 1e-9}],
)  # fmt: skip
def test_an_odd_trade_is_dropped_and_counted(rest: dict[str, Any]) -> None:
    made = line()
    made.give(trade(7, **rest))
    assert made.entries() == [] and made.counted("bad_frames") == 1


@pytest.mark.parametrize(
    "raw",
    [b"{", b"{}", b"[]", b"\xff", b"[" * 5_000, b'{"channel":"book","data":1}',
     SNAPSHOT.replace(b"45283.5", b"-45283.5"), SNAPSHOT.replace(b'"checksum"', b'"sum"')],
)  # fmt: skip
def test_what_is_no_frame_is_counted(raw: bytes) -> None:
    made = line()
    made.give(raw)
    assert made.entries() == [] and made.counted("bad_frames") == 1


def test_every_frame_of_the_archive_comes_out_as_expected() -> None:
    made = line()
    for row in recorded("kraken_v2.jsonl"):
        if row["dir"] == "in":
            made.give(row["raw"].encode())
    assert made.counted("bad_frames") == made.counted("unknown_keys") == 0
    assert made.cells("trade_id", "last_e8") == [104950594, 6_466_890_000_000]
    assert made.counted("mismatch") == 1, "an update of another day's book on the example"


def test_fields_that_drift_are_told_and_end_trust() -> None:
    made = line()
    made.give(trade(7))
    renamed = trade(8).replace(b'"price"', b'"px"')
    for _ in range(3):
        assert made.trust() == 0, "single ones occur"
        made.give(renamed)
    assert made.trust() == DRIFT
    assert any("schema drift: trade:" in told for told in made.publisher.notices.alerts)


def test_the_id_of_a_connection_is_no_number_to_refuse() -> None:
    made = line()
    status = {"system": "online", "api_version": "v2", "connection_id": 10**18 + 1}
    made.give({"channel": "status", "type": "update", "data": [status]})
    assert made.counted("oversize") == 0 and made.publisher.notices.alerts == []
