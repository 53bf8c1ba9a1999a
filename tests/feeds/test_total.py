"""No frame makes a handler raise, whatever it holds: an exception would end the feed's process.

Every venue's file is given real frames with parts replaced, cut, damaged and doubled, and bytes
that are no frame at all; the same seeded ones each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import orjson
import pytest

from feeds.binance import Binance
from feeds.cfbenchmarks import CfBenchmarks
from feeds.coinbase import Coinbase
from feeds.coinbase_advanced import CoinbaseAdvanced
from feeds.kalshi import Kalshi
from feeds.kraken import Kraken
from feeds.polybolt import Credentials, Polybolt
from feeds.polymarket import Polymarket
from feeds.publisher import Publisher
from feeds.rtds import Rtds
from feeds.seat import Seat
from feeds.update import MS_NS, Venue
from shm_layout import VENUES, Segment
from tests.feeds.index_rig import index_rig
from tests.feeds.rig import Market, rig

FRAMES = 1_500  # of each venue
_DATA = '{"id":"BRTI","time":1791159235000,"value":"64000.10"}'
_STAMP = "2026-09-21T00:00:00.000000Z"

# Frames of our market, with every part that a handler reads.
CORPUS: dict[str, list[object]] = {
    "kalshi": [
        {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}},
        {"type": "subscribed", "id": 1, "msg": {"channel": "trade", "sid": 3}},
        {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": {
            "market_ticker": "A", "market_id": "x", "yes_dollars_fp": [["0.4700", "3.00"]],
            "no_dollars_fp": [["0.5200", "1.00"]]}},
        {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": {
            "market_ticker": "A", "market_id": "x", "yes_dollars_fp": [["0.4700", "3.00"]]}},
        {"type": "orderbook_delta", "sid": 1, "seq": 2, "msg": {
            "market_ticker": "A", "market_id": "x", "price_dollars": "0.4700", "delta_fp": "1.00",
            "side": "yes", "ts": "t", "ts_ms": 1_000}},
        {"type": "ticker", "sid": 2, "msg": {
            "market_ticker": "A", "yes_bid_dollars": "0.47", "yes_ask_dollars": "0.52"}},
        {"type": "trade", "sid": 3, "seq": 1, "msg": {"market_ticker": "A"}},
        *({"type": "market_lifecycle_v2", "sid": 4, "seq": 1, "msg": {
            "market_ticker": "A", "event_type": event, "close_ts": 1_790_000_000,
            "floor_strike": 79800.71, "result": "yes", "settlement_value": "1.0000",
            "price_ranges": [{"start": "0", "end": "1", "step": "0.01"}]}}
          for event in ("activated", "settled", "close_date_updated", "metadata_updated",
                        "price_level_structure_updated", "created")),
        {"type": "event_fee_update", "sid": 4, "seq": 1, "msg": {"event_ticker": "A"}},
        {"type": "error", "id": 1, "sid": 1, "seq": 3, "msg": {"code": 25, "msg": "overflow"}},
        {"type": "ok", "id": 1, "sid": 1, "seq": 3},
    ],
    "polymarket": [
        [{"event_type": "book", "asset_id": "111", "bids": [{"price": "0.45", "size": "10"}],
          "asks": [{"price": "0.55", "size": "5"}], "timestamp": "1790877850652",
          "tick_size": "0.01"}],
        {"event_type": "book", "asset_id": "111", "bids": [{"price": "0.45", "size": "10"}],
         "asks": [], "timestamp": "1790877850652"},
        {"event_type": "price_change", "market": "0x1", "timestamp": "1790877850700",
         "price_changes": [
             {"asset_id": "111", "price": "0.45", "size": "9", "side": "BUY", "hash": "h",
              "best_bid": "0.45", "best_ask": "0.55"},
             {"asset_id": "222", "price": "0.55", "size": "9", "side": "SELL", "hash": "h",
              "best_bid": "0.45", "best_ask": "0.55"}]},
        {"event_type": "last_trade_price", "asset_id": "111", "price": "0.45", "size": "1"},
        {"event_type": "tick_size_change", "asset_id": "111", "new_tick_size": "0.001"},
        {"event_type": "best_bid_ask", "asset_id": "111", "best_bid": "0.45", "best_ask": "0.55",
         "timestamp": "1790877850800"},
        {"event_type": "market_resolved", "winning_asset_id": "111", "assets_ids": ["111", "222"]},
        {"event_type": "new_market", "assets_ids": ["111", "222"]},
    ],
    "coinbase": [
        {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": ["BTC-USD"]}]},
        {"type": "match", "trade_id": 10, "maker_order_id": "m", "taker_order_id": "t",
         "side": "sell", "size": "0.1", "price": "100", "product_id": "BTC-USD", "sequence": 1,
         "time": _STAMP},
        {"type": "ticker", "sequence": 2, "product_id": "BTC-USD", "price": "100",
         "best_bid": "99", "best_bid_size": "1", "best_ask": "101", "best_ask_size": "1",
         "time": _STAMP, "trade_id": 10},
        {"type": "heartbeat", "last_trade_id": 11, "product_id": "BTC-USD", "time": _STAMP},
        {"type": "error", "message": "no", "reason": "x"},
    ],
    "coinbase_advanced": [
        {"channel": "market_trades", "timestamp": _STAMP, "sequence_num": 1, "events": [
            {"type": "update", "trades": [
                {"trade_id": "12", "product_id": "BTC-USD", "price": "100", "size": "0.1",
                 "side": "BUY", "time": _STAMP}]}]},
        {"channel": "ticker", "timestamp": _STAMP, "sequence_num": 2, "events": [
            {"type": "update", "tickers": [
                {"product_id": "BTC-USD", "price": "100", "best_bid": "99", "best_ask": "101",
                 "best_bid_quantity": "1", "best_ask_quantity": "1"}]}]},
        {"channel": "heartbeats", "timestamp": _STAMP, "sequence_num": 3, "events": [
            {"current_time": _STAMP, "heartbeat_counter": 1}]},
        {"channel": "subscriptions", "sequence_num": 4, "events": [{"subscriptions": {}}]},
    ],
    "binance": [
        {"stream": "btcusdt@trade", "data": {
            "e": "trade", "E": 1_790_000_000_000, "s": "BTCUSDT", "t": 5, "p": "100.1", "q": "0.1",
            "T": 1_790_000_000_000, "m": True, "M": True}},
        {"stream": "btcusdt@bookTicker", "data": {
            "u": 7, "s": "BTCUSDT", "b": "99", "B": "1", "a": "101", "A": "2"}},
        {"u": 7, "s": "BTCUSDT", "b": "99", "B": "1", "a": "101", "A": "2"},
        {"e": "serverShutdown", "E": 1}, {"result": None, "id": 1},
        {"code": 2, "msg": "Invalid request", "id": 1},
    ],
    "kraken": [
        {"channel": "trade", "type": "update", "data": [
            {"symbol": "BTC/USD", "side": "buy", "price": 100.1, "qty": 0.1, "ord_type": "market",
             "trade_id": 4, "timestamp": _STAMP}]},
        {"channel": "book", "type": "snapshot", "data": [
            {"symbol": "BTC/USD", "bids": [{"price": 99.1, "qty": 1.0}],
             "asks": [{"price": 101.1, "qty": 1.0}], "checksum": 1}]},
        {"channel": "book", "type": "update", "data": [
            {"symbol": "BTC/USD", "bids": [], "asks": [{"price": 101.2, "qty": 0}], "checksum": 2,
             "timestamp": _STAMP}]},
        {"channel": "ticker", "type": "update", "data": [
            {"symbol": "BTC/USD", "bid": 99.1, "bid_qty": 1, "ask": 101.1, "ask_qty": 1}]},
        {"channel": "status", "type": "update", "data": [{"system": "maintenance"}]},
        {"method": "subscribe", "success": True, "result": {
            "channel": "book", "symbol": "BTC/USD"}},
        {"channel": "heartbeat"},
    ],
    "cfbenchmarks": [
        {"type": "subscribed", "id": 1, "msg": {"channel": "cfbenchmarks_value", "sid": 1}},
        {"type": "cfbenchmarks_value", "sid": 1, "seq": 1, "sending_ts_ms": 1_791_159_235_005,
         "msg": {"index_id": "BRTI", "received_at": 1_791_159_235_001, "data": _DATA,
                 "avg_60s_data": {"value": "64000.1", "window_size": 60,
                                  "window_start_ts_ms": 1_791_159_175_000,
                                  "window_end_ts_exclusive": 1_791_159_235_000}}},
        {"type": "cfbenchmarks_value_5hz", "sid": 2, "seq": 1, "sending_ts_ms": 1_791_159_235_205,
         "msg": {"index_id": "BRTI", "value_usd": "64000.2", "source_ts_ms": 1_791_159_235_200}},
        {"type": "error", "id": 2, "msg": {"code": 1, "msg": "no"}},
    ],
    "polybolt": [
        {"op": "authed", "rid": "a1"}, {"op": "subscribed", "channel": "price.crypto"},
        {"channel": "price.crypto", "v": 1, "seq": 1, "ts": 1_791_159_235_100, "payload": {
            "symbol": "btcusd", "source": "chainlink", "timestamp": 1_791_159_235_000,
            "full_accuracy_value": "64000.10"}},
        {"channel": "price.crypto.twap", "v": 1, "seq": 1, "ts": 1_791_159_235_100, "payload": {
            "symbol": "btcusd", "source": "chainlink", "window_seconds": 60,
            "timestamp": 1_791_159_235_000, "full_accuracy_value": "64000.10"}},
        {"op": "error", "code": "bad_filter", "channel": "price.crypto"},
    ],
    "rtds": [
        {"topic": "crypto_prices_chainlink", "type": "update", "timestamp": 1_791_159_235_100,
         "payload": {"symbol": "btc/usd", "timestamp": 1_791_159_235_000, "value": 64000.1,
                     "full_accuracy_value": "64000100000000000000000"}},
        {"topic": "crypto_prices_twap_sixty", "type": "update", "timestamp": 1_791_159_235_100,
         "payload": {"symbol": "btc/usd", "timestamp": 1_791_159_235_000, "window_s": 60,
                     "full_accuracy_value": "64000100000000000000000"}},
        {"statusCode": 400, "body": {"message": "no"}},
    ],
}  # fmt: skip
ODD = [
    b"null", b"true", b"[]", b"{}", b"0", b"-1", b"1e999", b"-0.5", b"1.5e3", b"NaN", b'""',
    b'"0"', b'"-1"', b'"1e3"', b'"0.0000001"', b'"\xff"', b'"\\ud800"', b'"\\u0000"', b'"no"',
    b'"missing required field"', b'"`"', b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59Z"',
    b'"' + b"9" * 50 + b'"', b'"' + b"1" * 5_000 + b'"', str(2**63).encode(), str(2**64).encode(),
    str(2**53 + 1).encode(), b"9" * 400, b"[" * 40 + b"]" * 40, b"[" * 3_000, b'{"a":' * 20 + b"1",
    b'[["0.5","1"],["0.5"]]', b'{"\xff":1}', b'[{"price":"0.5"}]', b'"2026-13-01T00:00:00Z"',
]  # fmt: skip


def spot(make: Callable[[Seat, Sequence[str]], Venue], product: str, venue: str) -> Venue:
    publisher = Publisher(
        Segment.private(), feed=VENUES.index(venue), epoch=4, now_ns=1, products=(0,)
    )
    return make(publisher, (product,))


MAKE: dict[str, Callable[[], Venue]] = {
    "kalshi": lambda: Kalshi(rig(Market("A"), Market("B")).publisher),
    "polymarket": lambda: Polymarket(
        rig(Market("m", token_yes=111, token_no=222), Market("n", token_yes=3)).publisher
    ),
    "coinbase": lambda: spot(Coinbase, "BTC-USD", "coinbase"),
    "coinbase_advanced": lambda: spot(CoinbaseAdvanced, "BTC-USD", "coinbase"),
    "binance": lambda: spot(Binance, "BTCUSDT", "binance"),
    "kraken": lambda: spot(Kraken, "BTC/USD", "kraken"),
    "cfbenchmarks": lambda: CfBenchmarks(index_rig("BRTI").publisher, ("BRTI",)),
    "polybolt": lambda: Polybolt(
        index_rig("btcusd").publisher, ("btcusd",),
        Credentials(api_key="", secret="", passphrase=""), seed=1,
    ),
    "rtds": lambda: Rtds(index_rig("btcusd").publisher, ("btcusd",)),
}  # fmt: skip


def places(frame: object) -> list[tuple[list[object] | dict[str, object], int | str]]:
    """Every container of a frame with each of its keys or places."""
    found: list[tuple[list[object] | dict[str, object], int | str]] = []
    if isinstance(frame, dict):
        found += [(frame, key) for key in frame]
        found += [each for value in frame.values() for each in places(value)]
    elif isinstance(frame, list):
        found += [(frame, place) for place in range(len(frame))]
        found += [each for value in frame for each in places(value)]
    return found


def mutated(frame: object, chance: Random) -> bytes:
    """A frame with some of it replaced by what nobody expects, then perhaps cut or damaged."""
    copy = orjson.loads(orjson.dumps(frame))
    marks: list[bytes] = []
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        holder, key = chance.choice(places(copy))
        what = chance.randrange(6)
        if what == 0 and isinstance(holder, dict):
            del holder[key]  # type: ignore[arg-type]
        elif what == 1 and isinstance(holder, dict):
            holder[f"{key}_v2"] = holder.pop(key)  # type: ignore[arg-type]
        elif what == 2 and isinstance(holder, list):
            holder *= chance.choice((2, 3, 50))
        else:
            marks.append(chance.choice(ODD))
            holder[key] = f"#{len(marks) - 1}#"  # type: ignore[index]
        if not places(copy):
            break
    raw = bytearray(orjson.dumps(copy))
    for place, odd in enumerate(marks):
        raw = raw.replace(f'"#{place}#"'.encode(), odd, 1)
    if chance.random() < 0.2 and raw:
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    if chance.random() < 0.1:
        del raw[chance.randrange(len(raw) + 1) :]
    return bytes(raw)


def frames(name: str, count: int) -> list[bytes]:
    chance, corpus = Random(name), CORPUS[name]
    found = [mutated(chance.choice(corpus), chance) for _ in range(count)]
    found += [bytes(chance.randrange(256) for _ in range(chance.randrange(40))) for _ in range(50)]
    found += [*ODD, b"", b"PONG", b"[" + b",".join(ODD) + b"]"]
    return found


def play(venue: Venue, given: Sequence[bytes]) -> None:
    """Give them all, with a step now and then and a new connection now and then."""
    now_ns = 1_000
    venue.opened(now_ns)
    for number, payload in enumerate(given):
        now_ns += MS_NS
        venue.frame(memoryview(payload) if number % 7 else payload, now_ns, bool(number % 3))
        if number % 20 == 0:
            venue.tick(now_ns)
        if number % 100 == 99:
            venue.closed(now_ns)
            venue.opened(now_ns)
        venue.outbox.clear()


@pytest.mark.parametrize("name", CORPUS)
def test_no_frame_makes_a_handler_raise(name: str) -> None:
    play(MAKE[name](), frames(name, FRAMES))


@pytest.mark.parametrize("name", CORPUS)
def test_the_frames_are_read_so_far_that_a_fault_would_show(name: str) -> None:
    """The negative control: frames as they are reach the books or the slots."""
    venue = MAKE[name]()
    seat = getattr(venue, "_publisher", None) or getattr(venue, "_seat", None)
    assert isinstance(seat, Publisher)
    before = seat.counted("published")
    play(venue, [orjson.dumps(each) for each in CORPUS[name]])
    assert seat.counted("published") > before, name
