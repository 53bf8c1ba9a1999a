"""Parse: from a frame's bytes to the published quote, at most a third of nautilus_trader's time for
a Polymarket change, a tenth for a whole book, half of cryptofeed's for a spot trade.

Topology: two rounds of figures. Beside a peer: one core, no socket; the same frames (a spot trade
in the form the peer speaks) are handed to our venue's file and to the peer's handler, which runs in
an interpreter and an environment of its own, in turn, round by round; wall time. Beside the floor:
a bare picows server writes the frames joined, and the client reads them with our connection and
venue file, or with picows and msgspec's typed decode of the same types and nothing else; CPU time
of the client's process, so that the server's share of a core does not count. Goal: 1.5 times.
Cores: 1, and 1 for the server.
What would make it lie: our frames all end their buffer here, so that each is published, which on a
busy wire is rarer; nautilus_trader handles the row of the other token too, which our feed knows to
be the mirror (it is what the venue sends, and what each makes of it); cryptofeed's callback is
empty, ours has rung a ring and a doorbell by then; no TLS. What each published last is compared
with the stream's own last touch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import picows

import shm_layout as shm
from bench import harness, parse_streams
from bench.environments import Client, Missing, python_of
from bench.parse_streams import CONDITION, NO, YES, Stream
from feeds import binance, coinbase, polymarket_frames
from feeds.binance import Binance
from feeds.coinbase import Coinbase
from feeds.connection import Connection as Wire
from feeds.polymarket import Polymarket
from feeds.publisher import Publisher
from feeds.update import Instrument, MarketFacts
from shm_layout import E6, E8, ST_ACTIVE, VENUES

FLOOR_GOAL = 1.5
PEERS = Path(__file__).resolve().parent / "peers"
NAUTILUS = Client(
    name="nautilus_trader", package="nautilus_trader[polymarket]==1.231.0", pythons=("3.12", "3.13")
)
CRYPTOFEED = Client(name="cryptofeed", package="cryptofeed==2.4.1", pythons=("3.11", "3.12"))
CHUNK_BYTES = 1 << 16  # frames joined into one write of the floor's server
READY_S = 30.0
Act = Callable[[bytes | memoryview, int], object]


class Venue(Protocol):
    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None: ...


class Ours:
    """A venue file of ours on a segment nobody reads, and the touch it published last."""

    def __init__(self, stream: str) -> None:
        self.segment = shm.Segment.private()
        venue = stream.partition("_")[0]
        self._is_book = venue == "polymarket"
        self._is_trade = stream.endswith("trade")
        feed = VENUES.index(venue)
        self.venue: Venue
        if self._is_book:
            one = Instrument(
                local=0, index=0, generation=1, ticker="bench", condition=int(CONDITION, 16),
                token_yes=int(YES), token_no=int(NO),
            )  # fmt: skip
            publisher = Publisher(self.segment, feed=feed, epoch=1, now_ns=1, instruments=(one,))
            facts = MarketFacts(status=ST_ACTIVE, grid=((E6, 10_000),))
            publisher.set_facts(0, facts, 1)
            polymarket = Polymarket(publisher)
            polymarket.opened(1)
            polymarket.frame(parse_streams.first_books(), 1, True)
            self.venue = polymarket
            return
        publisher = Publisher(self.segment, feed=feed, epoch=1, now_ns=1, products=(0,))
        if venue == "binance":
            self.venue = Binance(publisher, ("BTCUSDT",))
        else:
            self.venue = Coinbase(publisher, ("BTC-USD",))

    def left(self) -> tuple[Decimal, ...]:
        """The touch in the slot: bid, its size, ask, its size; of a trade price and size."""
        if self._is_book:
            quote = self.segment.read("quotes", 0)
            assert quote is not None and quote["trust"] == 0, "the stream must leave a trusted book"
            cells = [*quote["bids"][:2], *quote["asks"][:2]]
            return tuple(Decimal(int(value)) / E6 for value in cells)
        spot = self.segment.read("spot", 0)
        assert spot is not None
        names = ("last_e8", "size_e8") if self._is_trade else ("bid_e8", "ask_e8")
        return tuple(Decimal(int(spot[name])) / E8 for name in names)

    def play(self, frames: list[bytes]) -> int:
        """All frames through the venue's file; ns they took."""
        frame, now = self.venue.frame, harness.now
        views = [memoryview(each) for each in frames]
        start = now()
        for view in views:
            frame(view, now(), True)
        return now() - start


# ---- beside a peer


class Peer:
    """A peer's handler in its own interpreter."""

    def __init__(self, python: Path, script: str, streams: dict[str, Stream]) -> None:
        self._process = subprocess.Popen(
            [str(python), script], cwd=PEERS, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        market = {
            "condition_id": CONDITION, "question": "bench", "minimum_tick_size": "0.01",
            "end_date_iso": "2027-01-01T00:00:00Z", "maker_base_fee": 0, "taker_base_fee": 0,
            "minimum_order_size": 5,
        }  # fmt: skip
        frames = {name: [f.decode() for f in each.theirs] for name, each in streams.items()}
        self._ask({"market": market, "tokens": [YES, NO], "streams": frames})

    def _ask(self, message: dict[str, Any] | str) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        text = message if isinstance(message, str) else json.dumps(message)
        process.stdin.write(text + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, f"the peer ended with exit code {process.wait(READY_S)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def play(self, stream: str) -> tuple[int, tuple[Decimal, ...]]:
        """One round: ns it took, and the touch it published last."""
        answer = self._ask(stream)
        return answer["took_ns"], tuple(Decimal(text) for text in answer["left"])

    def close(self) -> None:
        """Its input ends, and so does it."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


@contextlib.contextmanager
def peer(client: Client, script: str, streams: dict[str, Stream]) -> Iterator[Peer | None]:
    """The running peer; None, with a word on standard error, if it cannot be had here."""
    try:
        python = python_of(client, say=_say)
    except Missing as missing:
        _say(str(missing))
        yield None
        return
    made = Peer(python, script, streams)
    try:
        yield made
    finally:
        made.close()


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr)  # noqa: T201


def beside(
    client: Client, script: str, streams: dict[str, Stream], rounds: int
) -> dict[str, dict[str, object]]:
    """ns a frame of ours and of the peer, round by round in turn, and how many times ours it is."""
    found: dict[str, dict[str, object]] = {}
    with peer(client, script, streams) as theirs:
        for name, stream in streams.items():
            wanted = tuple(Decimal(text) for text in stream.left)
            count = len(stream.ours)
            took: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds + 1):
                ours = Ours(name)  # a trade of a round before would be a duplicate
                took[0].append(ours.play(stream.ours) / count)
                assert ours.left() == wanted, (name, ours.left(), wanted)
                if theirs is not None:
                    peer_ns, left = theirs.play(name)
                    assert left == wanted, (name, left, wanted)
                    took[1].append(peer_ns / count)
            ours_ns = _median(took[0][1:])
            found[name] = {"ours_ns": round(ours_ns)}
            if theirs is not None:
                theirs_ns = _median(took[1][1:])
                found[name] |= {
                    "peer": client.package, "peer_ns": round(theirs_ns),
                    "ours_to_peer_ratio": round(ours_ns / theirs_ns, 3),
                    "times_faster": round(theirs_ns / ours_ns, 1),
                }  # fmt: skip
    return found


def _median(values: list[float]) -> float:
    return float(np.median(values))


# ---- beside the floor


class _Server(picows.WSListener):
    def __init__(self, streams: dict[str, list[bytes]]) -> None:
        super().__init__()
        self._streams = streams

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.TEXT:
            transport.disconnect(False)
            return
        frames, joined = self._streams[frame.get_payload_as_utf8_text()], bytearray()
        for each in frames:
            head = bytes([0x81, len(each)]) if len(each) < 126 else (
                bytes([0x81, 126]) + len(each).to_bytes(2, "big")
            )  # fmt: skip
            joined += head + each
        for at in range(0, len(joined), CHUNK_BYTES):
            transport.underlying_transport.write(bytes(joined[at : at + CHUNK_BYTES]))


async def _serve(conn: Connection, streams: dict[str, list[bytes]]) -> None:
    server = await picows.ws_create_server(lambda _: _Server(streams), "127.0.0.1", 0)
    conn.send(server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, conn.recv)
    server.close()


def _serve_process(conn: Connection, streams: dict[str, list[bytes]]) -> None:
    asyncio.run(_serve(conn, streams))


class _Sink:
    """What the floor and ours share: count frames, tell when all are in. CPU time from the first
    frame to the last."""

    def __init__(self, act: Act, count: int) -> None:
        self._act, self._count = act, count
        self._seen = 0
        self._started_ns = 0
        self.took_ns = 0
        self.done = asyncio.Event()

    def on_text(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One frame."""
        if not self._seen:
            self._started_ns = time.process_time_ns()
        self._seen += 1
        self._act(payload, recv_ns)
        if self._seen == self._count:
            self.took_ns = time.process_time_ns() - self._started_ns
            self.done.set()

    def on_alive(self, recv_ns: int, last: bool) -> None:
        """No pings in so short a time."""

    def on_oversize(self) -> None:
        """The streams hold none."""


class _Floor(picows.WSListener):
    def __init__(self, sink: _Sink) -> None:
        super().__init__()
        self._on_text = sink.on_text

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self._on_text(frame.get_payload_as_memoryview(), 0, True)


async def _round(url: str, name: str, sink: _Sink, *, is_floor: bool) -> float:
    """CPU ns a frame of one pass of the stream."""
    async with asyncio.timeout(READY_S):
        if is_floor:
            transport, _ = await picows.ws_connect(lambda: _Floor(sink), url)
            transport.send(picows.WSMsgType.TEXT, name.encode())
            await sink.done.wait()
            transport.disconnect(False)
        else:
            wire = Wire(url, ca_file=None, sink=sink, clock=harness.now)
            await wire.open({})
            wire.send(name.encode())
            await sink.done.wait()
            wire.drop()
    return sink.took_ns


class _Trade(msgspec.Struct):
    stream: str
    data: binance.Trade


class _Ticker(msgspec.Struct):
    stream: str
    data: binance.BookTicker


DECODERS = {  # each decodes the whole frame
    "polymarket_change": polymarket_frames.DECODER,
    "polymarket_snapshot": polymarket_frames.DECODER,
    "binance_trade": msgspec.json.Decoder(_Trade),
    "binance_ticker": msgspec.json.Decoder(_Ticker),
    "coinbase_trade": coinbase.DECODER,
}


def _ending(venue: Venue) -> Act:
    """Our venue file, each frame the end of its buffer."""
    return lambda payload, recv_ns: venue.frame(payload, recv_ns, True)


def _decoding(decode: Callable[[bytes | memoryview], object]) -> Act:
    """The floor."""
    return lambda payload, recv_ns: decode(payload)


async def _over_sockets(
    port: int, streams: dict[str, Stream], rounds: int
) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    url = f"ws://127.0.0.1:{port}/"
    for name, stream in streams.items():
        decode = DECODERS[name].decode
        count, wanted = len(stream.ours), tuple(Decimal(text) for text in stream.left)
        took: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds + 1):
            ours = Ours(name)
            sink = _Sink(_ending(ours.venue), count)
            took[0].append(await _round(url, name, sink, is_floor=False) / count)
            assert ours.left() == wanted, (name, ours.left(), wanted)
            sink = _Sink(_decoding(decode), count)
            took[1].append(await _round(url, name, sink, is_floor=True) / count)
        ours_ns, floor_ns = _median(took[0][1:]), _median(took[1][1:])
        found[name] = {
            "ours_ns": round(ours_ns), "floor_ns": round(floor_ns),
            "ours_to_floor_ratio": round(ours_ns / floor_ns, 2),
        }  # fmt: skip
    return found


def beside_floor(streams: dict[str, Stream], rounds: int) -> dict[str, dict[str, object]]:
    """CPU a frame over a loopback socket: ours, and the floor, in turn."""
    context = multiprocessing.get_context("spawn")
    conn, theirs = context.Pipe()
    frames = {name: stream.ours for name, stream in streams.items()}
    process = context.Process(target=_serve_process, args=(theirs, frames), daemon=True)
    process.start()
    try:
        assert conn.poll(READY_S), "the floor's server did not start"
        return asyncio.run(_over_sockets(conn.recv(), streams, rounds))
    finally:
        conn.send("stop")
        process.join(READY_S)
        process.kill()


# ---- the bench

GOALS = {"polymarket_change": 3.0, "polymarket_snapshot": 10.0, "binance_trade": 2.0,
         "binance_ticker": 2.0, "coinbase_trade": 2.0}  # fmt: skip


def run(quick: bool) -> dict[str, object]:
    """Two tables, and what falls short of the goals."""
    count, rounds = (2_000, 3) if quick else (20_000, 7)
    streams = {name: getattr(parse_streams, name)(count) for name in GOALS}
    books = {name: each for name, each in streams.items() if name.startswith("polymarket")}
    spots = {name: each for name, each in streams.items() if name not in books}
    peers = beside(NAUTILUS, "nautilus_polymarket.py", books, rounds)
    peers |= beside(CRYPTOFEED, "cryptofeed_spot.py", spots, rounds)
    floor = beside_floor(streams, rounds)
    short = [
        f"{name} {row['times_faster']} times, wanted {GOALS[name]}"
        for name, row in peers.items()
        if "times_faster" in row and float(str(row["times_faster"])) < GOALS[name]
    ]
    short += [
        f"{name} {row['ours_to_floor_ratio']} of the floor, wanted {FLOOR_GOAL}"
        for name, row in floor.items()
        if float(str(row["ours_to_floor_ratio"])) > FLOOR_GOAL
    ]
    return {
        "beside_peers": peers,
        "beside_floor": floor,
        "verdict": "fail: " + "; ".join(short) if short else "pass: all goals met",
    }
