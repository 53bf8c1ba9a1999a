"""RTDS, Polymarket's older public price relay, with its traps (spot.md 5.2, live probes of August
and September 2026).

`filters` is a string. One with a blank in it, or with a list of symbols, brings history at most and
then nothing. An unknown topic kills its whole batch. Without a text PING the stream falls silent
after some minutes. No PING is answered, and nothing is ever closed.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson

from ops.venues.numerals import MS_NS
from ops.venues.price_tape import SPOT, PriceTape, Print
from ops.venues.session import RunClock
from ops.venues.wire import Link

# Topic -> the window of its series; None: the Binance relay, whose prices this world does not have.
TOPICS: dict[str, int | None] = {
    "crypto_prices": None,
    "crypto_prices_chainlink": SPOT,
    "crypto_prices_twap_thirty": 30,
    "crypto_prices_twap_sixty": 60,
}
_ANY, _NOTHING = "", "none"
_TYPES = ("update", "*")


class _Client:
    """One connection: what it hears by topic (a symbol, any, nothing), and when it last pinged."""

    def __init__(self, number: int, now_ns: int) -> None:
        name = hashlib.sha256(f"rtds {number}".encode()).digest()[:13]
        self.name = base64.b64encode(name).decode()
        self.heard: dict[str, str] = {}
        self.pinged_ns = now_ns


class Rtds:
    """Subscriptions and frames of all its connections."""

    def __init__(self, tape: PriceTape, *, clock: RunClock, silent_ns: int) -> None:
        self._tape = tape
        self._clock = clock
        self._silent_ns = silent_ns
        self._clients: dict[Link, _Client] = {}
        self._opened = 0

    def opened(self, link: Link) -> None:
        """A new connection."""
        self._opened += 1
        self._clients[link] = _Client(self._opened, self._clock.mono_ns())

    def closed(self, link: Link) -> None:
        """It is gone."""
        self._clients.pop(link, None)

    def text(self, link: Link, text: str) -> bool:
        """One message of a client. True: it subscribed to something."""
        client = self._clients[link]
        if text == "PING":
            client.pinged_ns = self._clock.mono_ns()
            return False
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
        rows = message.get("subscriptions") if isinstance(message, dict) else None
        if not isinstance(rows, list) or not rows or message.get("action") != "subscribe":
            return False
        for row in rows:
            refused = _refusal(row)
            if refused:
                link.queue(orjson.dumps({"body": {"message": refused}, "statusCode": 401}))
                return False
        for row in rows:
            self._subscribe(link, client, row["topic"], row.get("filters") or "")
        return True

    def _subscribe(self, link: Link, client: _Client, topic: str, filters: str) -> None:
        """An empty frame, the history, and from now on updates. A topic's first filter holds."""
        symbol, hears = _symbol(filters)
        client.heard.setdefault(topic, hears)
        link.queue(b"")
        window = TOPICS[topic]
        if window is None or symbol == _NOTHING:
            return
        for name in self._tape.symbols:
            if symbol in (_ANY, slashed(name)):
                link.queue(orjson.dumps(self._history(topic, name, window)))

    def _history(self, topic: str, symbol: str, window: int) -> dict[str, Any]:
        """Chainlink's comes under the name of another topic, and without the exact value."""
        points = self._tape.history(symbol, window)[-60:]
        if window == SPOT:
            rows: list[dict[str, Any]] = [
                {"timestamp": each.stamp_ms, "value": each.value_e8 / 10**8} for each in points
            ]
            payload: dict[str, Any] = {"data": rows, "symbol": slashed(symbol)}
            topic = "crypto_prices"
        else:
            rows = [
                {
                    "full_accuracy_value": e18(each.value_e8),
                    "timestamp": each.stamp_ms,
                    "value": each.value_e8 / 10**8,
                }
                for each in points
            ]
            payload = {"data": rows, "symbol": slashed(symbol), "window_s": window}
        stamp_ms = self._clock.run_ns() // MS_NS
        return {"payload": payload, "timestamp": stamp_ms, "topic": topic, "type": "subscribe"}

    def publish(self, printed: Print) -> None:
        """One value to everyone who hears it."""
        topic = next(name for name, window in TOPICS.items() if window == printed.window_s)
        symbol, now_ns = slashed(printed.symbol), self._clock.mono_ns()
        for link, client in self._clients.items():
            is_awake = now_ns - client.pinged_ns <= self._silent_ns
            if is_awake and client.heard.get(topic) in (_ANY, symbol):
                link.queue(orjson.dumps(self._update(client, topic, symbol, printed)))

    def _update(self, client: _Client, topic: str, symbol: str, printed: Print) -> dict[str, Any]:
        payload = {
            "full_accuracy_value": e18(printed.value_e8),
            "symbol": symbol,
            "timestamp": printed.stamp_ms,
            "value": printed.value_e8 / 10**8,
        }
        if printed.window_s != SPOT:
            payload["window_s"] = printed.window_s
        return {
            "connection_id": client.name,
            "payload": payload,
            "timestamp": self._clock.run_ns() // MS_NS,
            "topic": topic,
            "type": "update",
        }


def _refusal(row: Any) -> str:
    """Why a subscription kills its batch; "" if it does not."""
    topic = row.get("topic") if isinstance(row, dict) else None
    kind = row.get("type", "") if isinstance(row, dict) else ""
    if topic in TOPICS and kind in _TYPES and isinstance(row.get("filters", ""), str):
        return ""
    lost = f"topic: {topic} and type: {kind} not found"
    rpc = f"rpc error: code = NotFound desc = {lost}"
    return f"leger GetTopics error: {rpc}, status: {rpc}, message: {lost}"


def _symbol(filters: str) -> tuple[str, str]:
    """(whose history comes, whose updates come) for the text of a filter."""
    if not filters:
        return _ANY, _ANY
    try:
        found = orjson.loads(filters)
    except orjson.JSONDecodeError:
        return _NOTHING, _NOTHING
    symbol = found.get("symbol") if isinstance(found, dict) else None
    if not isinstance(symbol, str) or "," in symbol:
        return _NOTHING, _NOTHING
    return symbol, symbol if " " not in filters else _NOTHING


def slashed(symbol: str) -> str:
    """ "btcusd" as RTDS names it: "btc/usd"."""
    return f"{symbol.removesuffix('usd')}/usd"


def e18(value_e8: int) -> str:
    """The integer text of the Chainlink topics."""
    return str(value_e8 * 10**10)
