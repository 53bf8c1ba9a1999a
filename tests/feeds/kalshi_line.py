"""A Kalshi connection without a socket: frames as the venue sends them, and recorded sessions.

The recordings carry the NO price of NO levels; a subscription with `use_yes_price` gets the YES
price, so frames are rebuilt with it, exactly (whole 1e-6).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from feeds.kalshi import CHANNELS, Kalshi
from shm_layout import E6, int_to_text, text_to_int
from tests.feeds.rig import Market, Rig, rig

SID = {channel: sid for sid, channel in enumerate(CHANNELS, 1)}
BOOK = SID["orderbook_delta"]


def yes_price(text: str) -> str:
    """1 - p as text."""
    return int_to_text(E6 - text_to_int(text, 6), 6, 4)


def raw(frame: dict[str, Any]) -> bytes:
    """A frame as bytes: they end in a newline."""
    return orjson.dumps(frame) + b"\n"


class Line:
    """A Kalshi venue file on a rig, already subscribed."""

    def __init__(self, made: Rig) -> None:
        self.rig = made
        self.kalshi = Kalshi(made.publisher)
        self.seq = 0
        self.recv_ns = 1_000
        self.open()

    def open(self) -> list[dict[str, Any]]:
        """Connect; the subscriptions are acknowledged. Returns what was sent."""
        self.seq = 0
        self.kalshi.opened(self.recv_ns)
        sent = self.sent()
        for channel, sid in SID.items():
            self.give({"type": "subscribed", "id": 1, "msg": {"channel": channel, "sid": sid}})
        return sent

    def sent(self) -> list[dict[str, Any]]:
        """What went back to the venue since the last call."""
        messages = [orjson.loads(message) for message in self.kalshi.outbox]
        self.kalshi.outbox.clear()
        return messages

    def give(self, frame: dict[str, Any] | bytes, *, last: bool = True) -> None:
        self.recv_ns += 1
        payload = frame if isinstance(frame, bytes) else raw(frame)
        self.kalshi.frame(memoryview(payload), self.recv_ns, last)

    def numbered(self, kind: str, message: Any, *, seq: int | None = None, **rest: Any) -> None:
        """A frame of the book's subscription with the next number (or `seq`)."""
        self.seq = self.seq + 1 if seq is None else seq
        last = rest.pop("last", True)
        self.give({"type": kind, "sid": BOOK, "seq": self.seq, "msg": message, **rest}, last=last)

    def snapshot(
        self, ticker: str = "A", yes: Any = (("0.4700", "3.00"),), no: Any = (("0.5200", "1.00"),),
        **rest: Any,
    ) -> None:  # fmt: skip
        """A whole book; None leaves a side's key out."""
        message = {"market_ticker": ticker, "market_id": "x"}
        message |= {} if yes is None else {"yes_dollars_fp": yes}
        message |= {} if no is None else {"no_dollars_fp": no}
        self.numbered("orderbook_snapshot", message, **rest)

    def delta(
        self, side: str, price: str, change: str, *, ticker: str = "A", ts_ms: int = 1_000,
        **rest: Any,
    ) -> None:  # fmt: skip
        message = {"market_ticker": ticker, "market_id": "x", "price_dollars": price,
                   "delta_fp": change, "side": side, "ts": "t", "ts_ms": ts_ms}  # fmt: skip
        self.numbered("orderbook_delta", message, **rest)

    def ticker(self, bid: str, ask: str, ticker: str = "A") -> None:
        message = {"market_ticker": ticker, "yes_bid_dollars": bid, "yes_ask_dollars": ask}
        self.give({"type": "ticker", "sid": SID["ticker"], "msg": message})

    def lifecycle(self, event: str, *, ticker: str = "A", seq: int = 1, **rest: Any) -> None:
        message = {"market_ticker": ticker, "event_type": event, **rest}
        sid = SID["market_lifecycle_v2"]
        self.give({"type": "market_lifecycle_v2", "sid": sid, "seq": seq, "msg": message})


def line(*tickers: str) -> Line:
    return Line(rig(*(Market(ticker) for ticker in tickers or ("A",))))


class Recorded(NamedTuple):
    """One recorded frame as it comes over a connection of ours."""

    kind: str
    seq: int
    recv_ns: int
    payload: bytes


def recorded_frames(folder: Path) -> Iterator[Recorded]:
    """A session in the order it was received: (local_recv_ns, sequence), tickers first."""
    rows = []
    for path in sorted((*folder.glob("orderbook_*.gz"), *folder.glob("ticker_*.gz"))):
        with gzip.open(path) as lines:
            for number, text in enumerate(lines):
                row = orjson.loads(text)
                rows.append((row["local_recv_ns"], row["sequence_number"] or 0, number, row))
    rows.sort(key=lambda each: each[:3])
    for recv_ns, seq, _, row in rows:
        kind, message = row["event_type"], row["payload_json"]
        if "no_dollars_fp" in message:
            message["no_dollars_fp"] = [[yes_price(p), n] for p, n in message["no_dollars_fp"]]
        if kind == "orderbook_delta" and message["side"] == "no":
            message["price_dollars"] = yes_price(message["price_dollars"])
        frame = {"type": kind, "sid": SID["ticker" if kind == "ticker" else CHANNELS[0]]}
        frame |= {"msg": message} if kind == "ticker" else {"seq": seq, "msg": message}
        yield Recorded(kind, seq, recv_ns, raw(frame))


def replay(frames: list[Recorded]) -> Line:
    """Give a recorded session to a fresh feed; a sequence that starts anew is a new connection."""
    tickers = {orjson.loads(each.payload)["msg"]["market_ticker"]: None for each in frames}
    made = line(*tickers)
    seen = False
    for each in frames:
        if each.kind == "orderbook_snapshot" and each.seq == 1 and seen:
            made.kalshi.closed(each.recv_ns)
            made.open()
        seen |= each.kind != "ticker"
        made.kalshi.frame(memoryview(each.payload), each.recv_ns, True)
    made.kalshi.tick(frames[-1].recv_ns)
    return made
