"""Kalshi frames as a recorder wrote them (NDJSON), in recorded order, numbers exact."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ops.venues.recorded_lines import Numbers, RecordingError, lines, shown
from ops.venues.script import ASK, BID, Level

FINEST_STEP_E6 = 1_000  # tapered_deci_cent: 0.001 near 0 and 1, 0.01 between
# Fields of a ticker that Kalshi removed in 2026, and those the venue stamps itself.
_TICKER_LEFT_OUT = {
    *("no_ask", "no_bid", "yes_ask", "yes_bid", "no_ask_size_fp", "no_bid_size_fp"),
    *("market_ticker", "market_id", "ts", "ts_ms", "time"),
}


class Snapshot(NamedTuple):
    """A whole book in YES terms, best first."""

    recv_ns: int
    seq: int
    market: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class Delta(NamedTuple):
    """A signed change of one level in YES terms."""

    recv_ns: int
    seq: int
    market: int
    side: int
    price_e6: int
    change_e6: int


class Ticker(NamedTuple):
    """A ticker; `seq` is 0 because Kalshi numbers none."""

    recv_ns: int
    seq: int
    market: int
    fields: tuple[tuple[str, str | int], ...]


Frame = Snapshot | Delta | Ticker


def records(path: Path, parse: Callable[[bytes], Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of an NDJSON file."""
    for number, line in lines(path):
        try:
            record = parse(line)
        except ValueError as error:
            raise RecordingError(path, number, f"{shown(line)} ({error})", "JSON") from error
        if not isinstance(record, dict):
            raise RecordingError(path, number, shown(line), "a JSON object")
        yield number, record


def exact_json(line: bytes) -> Any:
    """JSON with its numbers as Decimal, digit by digit as they are written."""
    return json.loads(line, parse_float=Decimal)


def frames_of(folder: Path, index: dict[str, int], numbers: Numbers) -> list[Frame]:
    """All frames of a session by (receive time, sequence); of one time the unnumbered first."""
    found: list[Frame] = []
    readers: dict[str, Callable[[dict[str, Any], int, Numbers], Frame]] = {
        "orderbook_snapshot": _snapshot,
        "orderbook_delta": _delta,
        "ticker": _ticker,
    }
    for kind, reader in readers.items():
        paths = sorted([*folder.glob(f"{kind}*.ndjson"), *folder.glob(f"{kind}*.ndjson.gz")])
        if not paths:
            raise RecordingError(folder, 0, f"no {kind}_*.ndjson.gz", "at least one")
        for path in paths:
            for number, record in records(path, orjson.loads):
                try:
                    found.append(reader(record, index[record["market_ticker"]], numbers))
                except (KeyError, TypeError, ValueError) as error:
                    wanted = f"a {kind} of a watched market ({type(error).__name__}: {error})"
                    raise RecordingError(path, number, _brief(record), wanted) from error
    if not found:
        raise RecordingError(folder, 0, "no frames", "at least one")
    found.sort(key=lambda frame: (frame.recv_ns, frame.seq))
    return found


def _brief(record: dict[str, Any]) -> str:
    return shown(f"{record.get('market_ticker')} {record.get('payload_json')}")


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is no whole number")
    return value


def _snapshot(record: dict[str, Any], market: int, numbers: Numbers) -> Snapshot:
    payload = record["payload_json"]

    def levels(key: str) -> list[tuple[int, int]]:
        rows = payload.get(key, [])  # the key is absent when the side is empty
        return [
            (numbers.price_e6(price.encode(), FINEST_STEP_E6), numbers.e6(size))
            for price, size in rows
        ]

    bids = sorted(levels("yes_dollars_fp"), reverse=True)
    asks = sorted((1_000_000 - price, size) for price, size in levels("no_dollars_fp"))
    recv_ns, seq = _whole(record["local_recv_ns"]), _whole(record["sequence_number"])
    return Snapshot(recv_ns, seq, market, tuple(bids), tuple(asks))


def _delta(record: dict[str, Any], market: int, numbers: Numbers) -> Delta:
    payload = record["payload_json"]
    price_e6 = numbers.price_e6(payload["price_dollars"].encode(), FINEST_STEP_E6)
    side = {"yes": BID, "no": ASK}[payload["side"]]
    return Delta(
        _whole(record["local_recv_ns"]),
        _whole(record["sequence_number"]),
        market,
        side,
        price_e6 if side == BID else 1_000_000 - price_e6,
        numbers.e6(payload["delta_fp"]),
    )


def _ticker(record: dict[str, Any], market: int, numbers: Numbers) -> Ticker:
    payload = record["payload_json"]
    for key in ("yes_bid_dollars", "yes_ask_dollars"):
        numbers.e6(payload[key])
    fields = tuple((key, value) for key, value in payload.items() if key not in _TICKER_LEFT_OUT)
    for key, value in fields:
        if not isinstance(value, str | int):
            raise ValueError(f"{key} is {value!r}, neither text nor a whole number")
    return Ticker(_whole(record["local_recv_ns"]), 0, market, fields)
