"""The simulated Polymarket without sockets: its routes are called by hand, its clock is moved by
the test, and what a link would be sent is kept.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from eth_account import Account
from eth_account.messages import encode_typed_data
from multidict import MultiDict
from websockets.datastructures import Headers
from websockets.http11 import Request

from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_rest import AroundRest, PolymarketRest
from ops.venues.rest import Call
from ops.venues.script import ASK, BookSet, Event, Level, MarketSpec, MarketTrade
from ops.venues.session import RunClock, VenueLog
from ops.venues.signatures import l2_signature
from ops.venues.spec import PolymarketTerms, VenuesSpec
from tests.ops.venues.rig import (
    API_KEY,
    BEGIN_NS,
    MARKETS,
    MS,
    POLY_ADDRESS,
    POLY_KEY,
    POLY_SECRET,
    KalshiKey,
    P,
    accounts,
    e6,
    levels,
    poly_order,
    script_of,
)

KEY = KalshiKey()
SECOND = 1_000_000_000
OTHER_KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
OTHER_ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
_CLOB_AUTH = {
    "ClobAuth": [
        {"name": name, "type": kind}
        for name, kind in (
            ("address", "address"),
            ("timestamp", "string"),
            ("nonce", "uint256"),
            ("message", "string"),
        )
    ]
}


class Heard:
    """Stands for a connection: it keeps what it is sent."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.closed: int | None = None

    def queue(self, text: bytes) -> None:
        self.texts.append(text)

    def close(self, code: int, reason: str) -> None:
        self.closed = code

    def abort(self) -> None:
        self.closed = 1006

    def frames(self) -> list[Any]:
        """The JSON messages so far, arrays taken apart."""
        found: list[Any] = []
        for text in self.texts:
            if text[:1] in (b"{", b"["):
                frame = orjson.loads(text)
                found += frame if isinstance(frame, list) else [frame]
        return found


class Office:
    """One venue. `now_ns` is both clocks' machine time; `advance` moves it and runs what is due."""

    def __init__(
        self,
        *markets: MarketSpec,
        terms: PolymarketTerms | None = None,
        orders_per_s: int = 600,
        dynamic_tick: bool = False,
        **account: Any,
    ) -> None:
        self.now_ns = BEGIN_NS
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        script = script_of()
        clock = RunClock(script.timeline, mono=lambda: self.now_ns, wall=lambda: self.now_ns)
        clock.start(BEGIN_NS)
        spec = VenuesSpec(
            script=script,
            accounts=accounts(KEY, **account),
            tls_cert="",
            tls_key="",
            polymarket=terms or PolymarketTerms(),
            polymarket_dynamic_tick=dynamic_tick,
        )
        self.log = VenueLog()
        self.venue = Polymarket(
            spec,
            dict(enumerate(markets or (MARKETS[P],))),
            clock=clock,
            log=self.log,
            later=self._later,
            on_subscribed=lambda: None,
        )
        self.clob = PolymarketRest(self.venue, orders_per_s=orders_per_s, heartbeat_ns=10 * SECOND)
        self.around = AroundRest(self.venue)
        self.account = self.venue.account

    # ---- time

    def _later(self, delay_ns: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now_ns + delay_ns, next(self._order), what))

    def advance(self, by_ns: int) -> None:
        """Let machine and run time pass."""
        until_ns = self.now_ns + by_ns
        while self._due and self._due[0][0] <= until_ns:
            self.now_ns, _, what = heapq.heappop(self._due)
            what()
        self.now_ns = until_ns

    # ---- the script

    def apply(self, *events: Event) -> None:
        for event in events:
            self.venue.apply(event)

    def book(self, bids: tuple[Level, ...], asks: tuple[Level, ...], market: int = 0) -> None:
        self.apply(BookSet(self.now_ns, market, bids, asks))

    def quote(self, bid: str, ask: str, size: str = "1000", market: int = 0) -> None:
        """One level a side."""
        self.book(levels((bid, size)), levels((ask, size)), market)

    def printed(self, price: str, size: str = "1", side: int = ASK, market: int = 0) -> None:
        self.apply(MarketTrade(self.now_ns, market, e6(price), e6(size), side))

    # ---- REST

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        gamma: bool = False,
    ) -> tuple[int, Any]:
        """(status, body) as JSON makes it; signed with the session's key unless told otherwise."""
        status, found, _ = self.answer(
            method, path, body, query=query, headers=headers, gamma=gamma
        )
        return status, found

    def answer(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        gamma: bool = False,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """The same with the answer's own headers."""
        raw = b"" if body is None else orjson.dumps(body)
        if headers is None:
            headers = self.signed(method, path, raw)
        call = Call(method, path, MultiDict(query or {}), headers, raw, self.now_ns)
        rest = self.around if gamma else self.clob
        found = rest.routes.find(method, path)
        if found is None:
            answer = rest.not_found(call)
        else:
            handler, call.params = found
            answer = handler(call)
        made = None if answer.body is None else orjson.loads(orjson.dumps(answer.body))
        return answer.status, made, answer.headers

    def signed(
        self,
        method: str,
        path: str,
        raw: bytes,
        *,
        address: str = POLY_ADDRESS,
        creds: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """L2 headers at the office's time."""
        own = {"apiKey": API_KEY, "secret": POLY_SECRET, "passphrase": "phrase"}
        known = creds or own
        stamp = str(self.now_ns // SECOND)
        return {
            "POLY_ADDRESS": address,
            "POLY_SIGNATURE": l2_signature(known["secret"], stamp, method, path, raw),
            "POLY_TIMESTAMP": stamp,
            "POLY_API_KEY": known["apiKey"],
            "POLY_PASSPHRASE": known["passphrase"],
        }

    def post(self, **order: Any) -> tuple[int, Any]:
        """POST /order with an order of `rig.poly_order`."""
        return self.call("POST", "/order", poly_order(**order))

    def gamma(self, path: str, **query: str) -> Any:
        """The body of a read that must succeed, on the port beside the CLOB's."""
        status, body = self.call("GET", path, query=query, headers={}, gamma=True)
        assert status == 200, body
        return body

    # ---- channels

    def listen(self, *tokens: str, custom: bool = False) -> Heard:
        """A market connection that has subscribed."""
        link = self.open("/ws/market")
        first = {"type": "market", "assets_ids": list(tokens), "custom_feature_enabled": custom}
        self.say(link, first)
        return link

    def user(self) -> Heard:
        """A user connection for the whole account."""
        link = self.open("/ws/user")
        auth = {"apiKey": API_KEY, "secret": POLY_SECRET, "passphrase": "phrase"}
        self.say(link, {"auth": auth, "type": "user"})
        return link

    def open(self, path: str) -> Heard:
        link: Any = Heard()
        self.venue.hub.on_open(link, Request(path, Headers()))
        heard: Heard = link
        return heard

    def say(self, link: Heard, message: Any) -> None:
        known: Any = link
        self.venue.hub.on_text(known, orjson.dumps(message).decode())


def l1_headers(
    key: str = POLY_KEY, address: str = POLY_ADDRESS, *, nonce: int = 0
) -> dict[str, str]:
    """Headers that ask for an API key."""
    text = "This message attests that I control the given wallet"
    message = {"address": address, "timestamp": "1", "nonce": nonce, "message": text}
    domain = {"name": "ClobAuthDomain", "version": "1", "chainId": 137}
    signed = Account.sign_message(encode_typed_data(domain, _CLOB_AUTH, message), key)
    return {
        "POLY_ADDRESS": address,
        "POLY_SIGNATURE": "0x" + signed.signature.hex().removeprefix("0x"),
        "POLY_TIMESTAMP": "1",
        "POLY_NONCE": str(nonce),
    }


def epoch_ns(text: str) -> int:
    """Epoch nanoseconds of an RFC 3339 time."""
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()) * SECOND


def window(condition: str, slug: str, tokens: tuple[str, str], **changes: Any) -> MarketSpec:
    """An Up or Down market in place of the rig's."""
    return replace(
        MARKETS[P], ticker=slug, event=slug, condition_id=condition, token_yes=tokens[0],
        token_no=tokens[1], outcomes=("Up", "Down"), **changes,
    )  # fmt: skip


def office_of(count: int) -> Office:
    """A venue with `count` markets m0, m1, …"""
    specs = [
        replace(
            MARKETS[P], ticker=f"m{at}", event=f"e{at}", condition_id=f"0x{at:064x}",
            token_yes=str(10**40 + 2 * at), token_no=str(10**40 + 2 * at + 1),
        )
        for at in range(count)
    ]  # fmt: skip
    return Office(*specs)


__all__ = ["MS", "SECOND", "Heard", "Office", "epoch_ns", "l1_headers", "office_of", "window"]
