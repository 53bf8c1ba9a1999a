"""The engine's own feed processes for `fire`: the loop of ops/process.py with the role of
ops/roles.py on a segment of this run; and the floor, a process that only takes frames.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web

from bench.fire_streams import PRODUCTS, condition, tickers, tokens
from ops import process
from ops.process import RoleSpec
from shm_layout import (
    BODY,
    COUNTERS,
    E8,
    FEED_ROLE,
    INSTRUMENT,
    RUN_CLOCK,
    VENUES,
    Segment,
    cell,
    text_to_cells,
    uint256_to_cells,
    word_store,
)

WIRES = {"kalshi": "/trade-api/ws/v2", "polymarket": "/ws/market", "coinbase": "/",
         "binance": "/stream"}  # fmt: skip
_SILENT_NS, _DEAD_NS = 20 * 10**9, 120 * 10**9  # the sender answers no ping while it makes frames
FRAMES, CONNECTED = (COUNTERS["feed"].index(name) for name in ("frames", "recycled"))


def slots(feed: str) -> list[int]:
    """Numbers of a feed's quotes or spot slots."""
    if feed in PRODUCTS:
        first = len(PRODUCTS["coinbase"]) if feed == "binance" else 0
        return list(range(first, first + len(PRODUCTS[feed])))
    first = len(tickers()) if feed == "polymarket" else 0
    return list(range(first, first + len(tickers())))


def write_instruments(segment: Segment) -> None:
    """The supervisor's part: a row for each market."""
    for feed in ("kalshi", "polymarket"):
        pairs = tokens() if feed == "polymarket" else [(0, 0)] * len(tickers())
        rows = zip(slots(feed), tickers(), pairs, strict=True)
        for number, (index, ticker, (yes, no)) in enumerate(rows):
            body = np.zeros(BODY, np.int64)
            row = body.view(INSTRUMENT)[0]
            row["index"], row["generation"], row["live"] = index, 1, 1
            row["feed"], row["ticker"] = VENUES.index(feed), text_to_cells(ticker, 8)
            row["condition"] = uint256_to_cells(condition(number) if yes else 0)
            row["token_yes"], row["token_no"] = uint256_to_cells(yes), uint256_to_cells(no)
            segment.write("instruments", index, body)


def write_clock(segment: Segment, begin_ms: int, mono_base_ns: int) -> None:
    """Run time, at machine time `mono_base_ns`, is `begin_ms`."""
    body = np.zeros(BODY, np.int64)
    values = {"begin_epoch_ns": begin_ms * 10**6, "mono_base_ns": mono_base_ns,
              "speed_e6": 1_000_000}  # fmt: skip
    for name, value in values.items():
        body[cell(RUN_CLOCK, name)] = value
    segment.write("run_clock", 0, body)


# ---- facts of the markets


def _facts(request: web.Request) -> web.Response:
    """What each venue's REST says about its markets."""
    ranges = [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}]
    last = request.path.rsplit("/", 1)[1]
    if request.path.startswith("/trade-api"):
        markets = [{"ticker": ticker, "event_ticker": "E", "status": "active",
                    "open_time": "2026-09-06T11:00:00Z", "close_time": "2026-09-07T12:00:00Z",
                    "price_ranges": ranges} for ticker in tickers()]  # fmt: skip
        told: dict[str, Any] = {
            "orderbooks": {"orderbooks": []},
            "markets": {"markets": markets, "cursor": ""},
            "events": {"events": [{"event_ticker": "E", "series_ticker": "S"}]},
            "S": {"series": {"fee_type": "quadratic", "fee_multiplier": 1}},
        }
        return web.json_response(told.get(last, {}), status=200 if last in told else 404)
    if last.startswith("0x"):
        return web.json_response({"mts": 0.01, "ao": True, "fd": {"r": 0.07, "e": 1}})
    wanted = request.query.getall("condition_ids")
    is_open = request.query.get("closed") == "false"
    rows = [{"conditionId": each, "closed": False, "endDate": "2026-09-07T12:00:00Z"}
            for each in wanted if is_open]  # fmt: skip
    return web.json_response(rows)


async def serve_facts() -> tuple[web.AppRunner, str]:
    """A REST server in this process, and its address."""

    async def answer(request: web.Request) -> web.Response:
        return _facts(request)

    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


# ---- processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a feed finds its venue."""

    ws_port: int
    rest_url: str
    ca: Path


def role(spec: RoleSpec, segment: Segment) -> Any:
    """The engine's role (RoleSpec.build)."""
    from feeds.feed import Feed, FeedParams
    from ops import clock
    from ops.roles import FeedRole

    place: Place = spec.params
    row_is_books = spec.name not in PRODUCTS
    params = FeedParams(
        venue=spec.name, feed=VENUES.index(spec.name), ca_file=place.ca,
        ws_url=f"wss://127.0.0.1:{place.ws_port}{WIRES[spec.name]}",
        rest_url=place.rest_url if row_is_books else "",
        products=dict(zip(PRODUCTS.get(spec.name, ()), slots(spec.name), strict=False)),
        link_silent_ns=_SILENT_NS, link_dead_ns=_DEAD_NS, check_ns=3_600 * 10**9,
    )  # fmt: skip
    log = Path(spec.log)
    return FeedRole(spec.name, lambda: Feed(segment, params, spec.epoch, clock.mono_ns), log)


class _Floor:
    """Takes frames from the same wire with the same client and counts them."""

    def __init__(self, spec: RoleSpec, segment: Segment) -> None:
        self._place: Place = spec.params
        self._url = f"wss://127.0.0.1:{self._place.ws_port}{WIRES['kalshi']}"
        self._words = segment.words
        self._at = process.counters_at(segment, spec.role)
        self._stop = asyncio.Event()
        self._seen = 0

    async def main(self) -> None:
        """Until stopped."""
        import picows

        from feeds.connection import tls_context

        floor = self

        class Listener(picows.WSListener):
            def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
                floor._seen += 1

        context = tls_context(self._place.ca)
        transport, _ = await picows.ws_connect(Listener, self._url, ssl_context=context)
        word_store(self._words, self._at + CONNECTED, 1)
        while not self._stop.is_set():
            word_store(self._words, self._at + FRAMES, self._seen)
            await asyncio.sleep(0.02)
        transport.disconnect(False)

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def close(self) -> None:
        """Closed with its loop."""


def floor(spec: RoleSpec, segment: Segment) -> Any:
    """Delivery of frames and nothing else (RoleSpec.build)."""
    return _Floor(spec, segment)


def _become(spec: RoleSpec, parent_pid: int) -> None:
    process.tie_to_parent(parent_pid)
    process.become(spec)


def start(
    feed: str, segment: Segment, place: Place, folder: Path, *, core: int = -1, build: str = "role"
) -> SpawnProcess:
    """A feed's process; it is ready when its quotes are trusted."""
    context = multiprocessing.get_context("spawn")
    conn, theirs = context.Pipe()
    spec = RoleSpec(
        name=feed, role=FEED_ROLE + VENUES.index(feed), epoch=1, segment=segment.name, run_id=1,
        supervisor_pid=os.getpid(), log=str(folder / f"{feed}.log"),
        build=f"bench.fire_feed:{build}", cores=(core,) if core >= 0 else (), params=place,
        conn=theirs,
    )  # fmt: skip
    made = context.Process(target=_become, args=(spec, os.getpid()), daemon=True)
    made.start()
    conn.close()
    return made


def spot_left(row: Any) -> list[int]:
    """What fire_streams tells of a product, from its slot."""
    return [int(row["last_e8"]), int(row["size_e8"]), int(row["trade_id"])]


assert E8 == 10**8
