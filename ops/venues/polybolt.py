"""The simulated price relays of Polymarket on one port: PolyBolt at /ws, the older RTDS at any
other path.

PolyBolt as its documents and SDK had it in October 2026 (spot.md 5.1): credentials first, a
snapshot with each new subscription, `seq` per connection and channel, close codes 4001 to 4008.
"""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson
from websockets.frames import Opcode
from websockets.http11 import Request

from ops.venues.faults_events import Server
from ops.venues.indices import Lagged
from ops.venues.numerals import MS_NS, spot8
from ops.venues.price_tape import SPOT, PriceTape, Print
from ops.venues.rtds import Rtds
from ops.venues.script import Event, IndexTick
from ops.venues.session import Bucket, Later, RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from ops.venues.wire import Link, WsServer

VENUE = "polybolt"
PATH = "/ws"
CHANNELS = ("price.crypto", "price.crypto.twap", "price.equity", "price.equity.twap")
TWAP_S = 60  # the only window there is
PROVIDERS = ("chainlink", "pyth")
PAIRS_MAX, FRAME_MAX_BYTES, AUTH_MAX, SUBSCRIBES_PER_S = 64, 64 << 10, 8, 20
BAD_AUTH, MISSED_PONGS, DRAINING, POLICY = 4001, 4002, 4003, 4008
BACKLOG_MAX_BYTES = 1 << 20  # beyond it frames are dropped, and said so; the venue's is unknown
LAG_NS = 1_400 * MS_NS  # from observation to publication, median (spot.md 5.2)
_Key = tuple[str, str, str]  # channel, symbol, provider


class _Client:
    """One PolyBolt connection."""

    def __init__(self, now_ns: int) -> None:
        self.is_authed = False
        self.auths = 0
        self.subs: dict[_Key, None] = {}
        self.seqs: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.frames = Bucket(tokens_per_s=SUBSCRIBES_PER_S, burst=SUBSCRIBES_PER_S, now_ns=now_ns)
        self.missed = 0
        self.has_ponged = True  # since the last ping

    def control(self, opcode: Opcode, payload: bytes) -> None:
        """A pong shows that somebody reads."""
        self.has_ponged |= opcode is Opcode.PONG


class Polybolt:
    """A venue of its own: the port, both relays, and the tape they print."""

    def __init__(
        self,
        spec: VenuesSpec,
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
    ) -> None:
        accounts = spec.accounts
        self._credentials = (
            accounts.polymarket_api_key,
            accounts.polymarket_secret,
            accounts.polymarket_passphrase,
        )
        self._clock = clock
        self._log = log
        self._later = later
        self._on_subscribed = on_subscribed
        self._ping_ns = spec.polybolt_ping_ns
        self._clients: dict[Link, _Client] = {}
        names = tuple(name for name in spec.script.indices if name.islower())
        self._tape = PriceTape(names)
        self._lagged = Lagged()
        self.rtds = Rtds(self._tape, clock=clock, silent_ns=spec.rtds_silent_ns)
        self.server = WsServer(venue=VENUE, hub=self, log=log)

    # ---- a venue

    @property
    def servers(self) -> Sequence[Server]:
        return (self.server,)

    def apply(self, event: Event) -> None:
        """A tick is published `LAG_NS` after its stamp."""
        if not isinstance(event, IndexTick):
            return
        self._lagged.release(event.at_epoch_ns)
        due_ns = event.at_epoch_ns + LAG_NS
        for printed in self._tape.prints(event):
            self._lagged.add(due_ns, partial(self._print, printed))

    def _print(self, printed: Print) -> None:
        self._tape.keep(printed)
        self.rtds.publish(printed)
        if printed.window_s in (SPOT, TWAP_S):
            channel = CHANNELS[0] if printed.window_s == SPOT else CHANNELS[1]
            for link, client in self._clients.items():
                for wanted, symbol, provider in client.subs:
                    if (wanted, symbol) == (channel, printed.symbol):
                        self._send(link, client, channel, _update(printed, provider))

    def flush(self) -> None:
        self.server.flush()

    async def listen(self, context: ssl.SSLContext) -> dict[str, int]:
        port = await self.server.listen(context)
        self._later(self._ping_ns, self._ping)
        return {"ws": port}

    async def close(self) -> None:
        self.server.close()

    def drain(self) -> None:
        """The server is about to restart: everyone is to come back a little later (4003)."""
        for link in list(self._clients):
            link.close(DRAINING, "draining")

    def _ping(self) -> None:
        """Every 25 s; two pings without a pong end the connection."""
        self._later(self._ping_ns, self._ping)
        for link, client in list(self._clients.items()):
            client.missed = 0 if client.has_ponged else client.missed + 1
            client.has_ponged = False
            if client.missed >= 2:
                link.close(MISSED_PONGS, "pong timeout")
                continue
            link.ping(b"")

    # ---- the Hub protocol

    def on_open(self, link: Link, request: Request) -> None:
        if request.path.partition("?")[0] == PATH:
            client = self._clients[link] = _Client(self._clock.mono_ns())
            link.on_control = client.control
        else:
            self.rtds.opened(link)

    def on_close(self, link: Link) -> None:
        self._clients.pop(link, None)
        self.rtds.closed(link)

    def on_text(self, link: Link, text: str) -> None:
        client = self._clients.get(link)
        if client is None:
            if self.rtds.text(link, text):
                self._on_subscribed()
            return
        try:
            message = orjson.loads(text) if len(text) <= FRAME_MAX_BYTES else None
        except orjson.JSONDecodeError:
            message = None
        handlers = {
            "auth": self._auth,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "ping": self._pong,
        }
        op = message.get("op") if isinstance(message, dict) else None
        handler = handlers.get(op) if isinstance(op, str) else None
        if handler is None or not isinstance(message, dict):
            self._violation(link, "bad frame")
            return
        rid = message.get("rid")
        handler(link, client, message, {"rid": rid} if isinstance(rid, str) else {})

    def _violation(self, link: Link, reason: str) -> None:
        """A client's bug: it must not come back at once."""
        self._log.count(VENUE, "violations")
        link.close(POLICY, reason)

    # ---- operations

    def _auth(
        self, link: Link, client: _Client, message: dict[str, Any], rid: dict[str, str]
    ) -> None:
        client.auths += 1
        if client.auths > AUTH_MAX:
            link.queue(orjson.dumps({"op": "error", **rid, "code": "auth_attempts"}))
            link.flush()
            link.close(BAD_AUTH, "auth attempts")
            return
        told = message.get("auth")
        told = told if isinstance(told, dict) else {}
        found = tuple(told.get(name) for name in ("apiKey", "secret", "passphrase"))
        client.is_authed = found == self._credentials
        self._log.count(VENUE, "auths" if client.is_authed else "auths_refused")
        if client.is_authed:
            link.queue(orjson.dumps({"op": "authed", **rid}))
        else:
            link.queue(orjson.dumps({"op": "error", **rid, "code": "auth_invalid"}))

    def _subscribe(
        self, link: Link, client: _Client, message: dict[str, Any], rid: dict[str, str]
    ) -> None:
        if not client.frames.pay(1, self._clock.mono_ns()):
            link.queue(orjson.dumps({"op": "error", "code": "rate_limited", **rid}))
            return
        rows = message.get("subscriptions")
        if not isinstance(rows, list) or not rows:
            self._violation(link, "subscriptions")
            return
        for row in rows:
            channel = row.get("channel") if isinstance(row, dict) else None
            key = self._key(row) if isinstance(row, dict) else None
            code = ""
            if not client.is_authed:
                code = "auth_required"
            elif key is None:
                code = "bad_filter"
            elif key not in client.subs and len(client.subs) >= PAIRS_MAX:
                code = "sub_limit"
            if code or key is None:
                told = {"op": "error", "code": code, "channel": channel, **rid}
                link.queue(orjson.dumps(told))
                continue
            link.queue(orjson.dumps({"op": "subscribed", "channel": channel, **rid}))
            if key not in client.subs:
                client.subs[key] = None
                self._snapshot(link, client, key)
                self._on_subscribed()

    def _key(self, row: dict[str, Any]) -> _Key | None:
        """What a row asks for; None: its filter is bad. Symbols are lower case, "btcusd"."""
        channel, told = row.get("channel"), row.get("filter")
        if channel not in CHANNELS or not isinstance(told, dict):
            return None
        symbol, provider = told.get("symbol"), told.get("provider", PROVIDERS[0])
        if "equity" in channel or symbol not in self._tape.symbols or provider not in PROVIDERS:
            return None
        if channel.endswith("twap") and told.get("window_seconds") != TWAP_S:
            return None
        return channel, str(symbol), str(provider)

    def _unsubscribe(
        self, link: Link, client: _Client, message: dict[str, Any], rid: dict[str, str]
    ) -> None:
        rows = message.get("subscriptions")
        for row in rows if isinstance(rows, list) else ():
            key = self._key(row) if isinstance(row, dict) else None
            if key is not None:
                client.subs.pop(key, None)
                link.queue(orjson.dumps({"op": "unsubscribed", "channel": key[0], **rid}))

    def _pong(
        self, link: Link, client: _Client, message: dict[str, Any], rid: dict[str, str]
    ) -> None:
        link.queue(orjson.dumps({"op": "pong", **rid}))

    # ---- frames

    def _snapshot(self, link: Link, client: _Client, key: _Key) -> None:
        channel, symbol, provider = key
        is_twap = channel.endswith("twap")
        history = self._tape.history(symbol, TWAP_S if is_twap else SPOT)
        rows = [{"timestamp": each.stamp_ms, **_value(each)} for each in history]
        window = {"window_seconds": TWAP_S} if is_twap else {}
        payload = {"symbol": symbol, **window, "source": provider, "data": rows}
        self._send(link, client, channel, payload, snapshot=True)

    def _send(
        self,
        link: Link,
        client: _Client,
        channel: str,
        payload: dict[str, Any],
        *,
        snapshot: bool = False,
    ) -> None:
        """One numbered frame; to who reads too slowly, none, and the next says how many."""
        client.seqs[channel] += 1
        if link.backlog_bytes() > BACKLOG_MAX_BYTES:
            client.dropped[channel] += 1
            self._log.count(VENUE, "dropped")
            return
        frame: dict[str, Any] = {
            "v": 1,
            "channel": channel,
            "seq": client.seqs[channel],
            "ts": self._clock.run_ns() // MS_NS,
        }
        if snapshot:
            frame["snapshot"] = True
        if client.dropped[channel]:
            frame["dropped"] = client.dropped.pop(channel)
        link.queue(orjson.dumps({**frame, "payload": payload}))


def _value(printed: Print) -> dict[str, Any]:
    """The float is for display; the text is exact, and no E18."""
    return {"value": printed.value_e8 / 10**8, "full_accuracy_value": spot8(printed.value_e8, 8)}


def _update(printed: Print, provider: str) -> dict[str, Any]:
    payload = {"symbol": printed.symbol, **_value(printed), "timestamp": printed.stamp_ms}
    if printed.window_s != SPOT:
        payload["window_seconds"] = printed.window_s
    return {**payload, "source": provider}
