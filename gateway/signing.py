"""The signer's client: asks over a private segment, keeps Kalshi header sets, never sees a key.

Two single-producer rings: ours carries requests, the signer's the replies. A request's ticket is
its place in the requests ring, so a restarted signer goes on after the last ticket it answered and
a restarted client does not mistake its predecessor's answers for its own. A signed order or header
set is cash: it stays in this process and that segment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gateway.header_stock import IDLE_NS, MS_NS, HeaderStock, header_bytes, header_dict
from shm_layout import (
    BODY,
    ENTRY,
    K_SIGN,
    K_SIGNED,
    LINE,
    READ,
    SIGN,
    SIGNED,
    SIGNER,
    Segment,
    Words,
    bell_ring,
    cell,
    ring_adopt,
    ring_append,
    ring_read,
    ring_tail,
)

ORDER, HEADERS, L1_AUTH, SPENT, FORGET = range(1, 6)  # `what`; the last two want no signature
METHODS = ("GET", "POST", "DELETE", "PUT")
PATH_BYTES = 8 * 16
SIGNATURE_BYTES = 8 * 46
REFUSALS = (  # `refused` of a reply; 0 = signed
    "", "what", "client", "path", "stamp", "key", "instrument", "generation", "token", "side",
    "price", "tick", "size", "amount", "salt", "cap_order", "cap_token", "cap_total", "unknown",
)  # fmt: skip

IN_FLIGHT_MAX = 128  # a quarter of a ring: neither side can lap the other
LOST_NS = 2_000_000_000  # a request without an answer for so long is given up and counted
STOCKS_MAX = 64
WAIT_S, POLL_S = 5.0, 0.002

_SIGN = {name: cell(SIGN, name) for name in SIGN.names or ()}
_SIGNED = {name: cell(SIGNED, name) for name in SIGNED.names or ()}
_PATH_AT = _SIGN["path"] * 8
_DIGEST_AT, _SIGNATURE_AT = (_SIGNED[name] * 8 for name in ("digest", "signature"))


class Signed(NamedTuple):
    """An answer. `refused` indexes REFUSALS (0: signed); `digest` is an order's id; the signature
    of headers is base64 text."""

    ticket: int
    what: int
    refused: int
    stamp_ms: int
    digest: bytes
    signature: bytes


Then = Callable[[Signed | None], None]  # called with the answer, or None when it was given up


class OrderFields(NamedTuple):
    """A Polymarket order to be signed. `token` 0 YES, 1 NO; side and price are that token's;
    `maker_e6`, `taker_e6` by `eip712.amounts_e6`; `salt` was never used before."""

    instrument: int
    generation: int
    side: int
    price_e6: int
    size_e6: int
    maker_e6: int
    taker_e6: int
    salt: int
    stamp_ms: int
    tick_epoch: int
    token: int


_ORDER_AT = _SIGN["instrument"]
assert [_SIGN[name] - _ORDER_AT for name in OrderFields._fields] == list(range(11))


class _Asked:
    """A request without an answer. `since_ns` counts from the first `pump` that saw it."""

    __slots__ = ("since_ns", "then")

    def __init__(self, then: Then) -> None:
        self.then, self.since_ns = then, -1


class SigningClient:
    """One process's line to the signer. `clock`: wall time in ns since the epoch, for stamps.

    `pump` is called each turn. Counts: `asked`, `lost`, `gaps`, `unknown`, `refused` by name.
    """

    def __init__(
        self, channel: Segment, main: Segment, *, clock: Callable[[], int], kalshi_key_id: str = ""
    ) -> None:
        self._main_words, self._clock, self._key_id = main.words, clock, kalshi_key_id
        self._words = channel.words
        self._requests, self._replies = channel.at("requests"), channel.at("replies")
        self._entries = channel.entries("requests")
        self._bell = main.at("bells", SIGNER)
        ring_adopt(self._words, self._requests, self._entries)
        self._first = int(ring_tail(self._words, self._requests))  # the first ticket of our own
        self._is_forgetting = False
        self._cursor = int(ring_tail(self._words, self._replies))
        self._body, self._out = np.zeros(BODY, np.int64), np.zeros(ENTRY, np.int64)
        self._body_bytes = self._body.view(np.uint8)
        self._out_bytes = self._out[LINE:].view(np.uint8)
        self._pending: dict[int, _Asked] = {}
        self._stocks: dict[tuple[str, str], HeaderStock] = {}
        self._now_ns = 0
        self.asked = self.lost = self.gaps = self.unknown = 0
        self.refused: dict[str, int] = {}

    @property
    def in_flight(self) -> int:
        """Requests without an answer yet."""
        return len(self._pending)

    def request_headers(
        self, method: str, path: str, *, then: Then, stamp_ms: int | None = None
    ) -> int | None:
        """Ask for one Kalshi signature; `path` without query. The ticket; None: too many asked."""
        raw = path.encode()
        assert len(raw) <= PATH_BYTES and method in METHODS, (method, path)
        body = self._fresh_body(HEADERS)
        body[_SIGN["stamp_ms"]] = self._clock() // MS_NS if stamp_ms is None else stamp_ms
        body[_SIGN["method"]] = METHODS.index(method)
        self._body_bytes[_PATH_AT : _PATH_AT + len(raw)] = np.frombuffer(raw, np.uint8)
        return self._send(then)

    def request_order(self, order: OrderFields, *, then: Then) -> int | None:
        """Ask for a signed Polymarket order. The ticket; None: too many asked."""
        self._fresh_body(ORDER)[_ORDER_AT : _ORDER_AT + 11] = order
        return self._send(then)

    def request_l1(self, *, nonce: int, stamp_s: int, then: Then) -> int | None:
        """Ask for the signature that creates or derives a Polymarket API key (cold)."""
        body = self._fresh_body(L1_AUTH)
        body[_SIGN["salt"]], body[_SIGN["stamp_ms"]] = nonce, stamp_s * 1000
        return self._send(then)

    def report_spent(self, salt: int) -> int | None:
        """Tell the signer that the venue has surely used up the order with this salt."""
        self._fresh_body(SPENT)[_SIGN["salt"]] = salt
        return self._send(_ignore)

    def forget_before(self) -> None:
        """Have the signer told, until it has heard: what it signed for those before us is gone with
        their memory. Only once every order that they sent is known.
        """
        self._is_forgetting = True

    def _forget(self) -> None:
        self._fresh_body(FORGET)[_SIGN["salt"]] = self._first
        self._is_forgetting = self._send(self._heard) is None

    def _heard(self, answer: Signed | None) -> None:
        self._is_forgetting = answer is None

    def _fresh_body(self, what: int) -> Words:
        self._body[:] = 0
        self._body[_SIGN["what"]] = what
        return self._body

    def _send(self, then: Then) -> int | None:
        if len(self._pending) >= IN_FLIGHT_MAX:
            return None
        ticket = int(ring_tail(self._words, self._requests))
        self._body[_SIGN["ticket"]] = ticket
        ring_append(self._words, self._requests, self._entries, K_SIGN, self._body, BODY)
        bell_ring(self._main_words, self._bell, -1)
        self._pending[ticket] = _Asked(then)
        self.asked += 1
        return ticket

    def poll(self) -> int:
        """Take every answer that is there and call its `then`. Returns how many."""
        taken = 0
        while True:
            got = ring_read(
                self._words, self._replies, self._entries, self._cursor, self._out, BODY
            )
            if got == READ:
                self._cursor += 1
                taken += 1
                if self._out[0] == K_SIGNED:
                    self._deliver(self._reply())
            elif got < 0:  # lapped: this client slept through a whole ring
                self.gaps += 1
                self._cursor = int(ring_tail(self._words, self._replies))
            else:
                return taken

    def _reply(self) -> Signed:
        ticket, what, refused, stamp_ms, count = self._out[LINE : LINE + 5].tolist()
        raw = self._out_bytes
        signature = raw[_SIGNATURE_AT : _SIGNATURE_AT + count].tobytes()
        digest = raw[_DIGEST_AT : _DIGEST_AT + 32].tobytes()
        return Signed(ticket, what, refused, stamp_ms, digest, signature)

    def _deliver(self, signed: Signed) -> None:
        asked = self._pending.pop(signed.ticket, None)
        if signed.refused:
            name = REFUSALS[signed.refused]
            self.refused[name] = self.refused.get(name, 0) + 1
        if asked is None:
            self.unknown += 1
        else:
            asked.then(signed)

    def _give_up(self, now_ns: int) -> None:
        late = []
        for ticket, asked in self._pending.items():
            if asked.since_ns < 0:
                asked.since_ns = now_ns
            elif now_ns - asked.since_ns > LOST_NS:
                late.append(ticket)
        for ticket in late:
            self.lost += 1
            self._pending.pop(ticket).then(None)

    async def headers(self, method: str, path: str) -> dict[str, str]:
        """One header set for cold use, such as a feed's handshake. Raises TimeoutError (no answer)
        or PermissionError (refused): both are OSError, so a connection's back-off covers them."""
        answers: list[Signed | None] = []
        ticket = self.request_headers(method, path, then=answers.append)
        if ticket is None:
            raise TimeoutError("signer: too many requests without an answer")
        loop = asyncio.get_running_loop()
        until_s = loop.time() + WAIT_S
        while self.poll() >= 0 and not answers:
            if loop.time() > until_s:
                self._pending.pop(ticket, None)
                raise TimeoutError(f"signer: no answer in {WAIT_S} s")
            await asyncio.sleep(POLL_S)
        signed = answers[0]
        if signed is None:
            raise TimeoutError("signer: the request was given up")
        if signed.refused:
            raise PermissionError(f"signer refused {method} {path}: {REFUSALS[signed.refused]}")
        return header_dict(header_bytes(self._key_id, signed.signature, signed.stamp_ms))

    def keep(self, method: str, path: str, count: int, *, is_vital: bool = True) -> None:
        """Keep `count` fresh sets of this (method, path). `is_vital`: `fresh` needs one of it."""
        assert 0 < count <= 32 and method in METHODS
        self._stocks[method, path] = HeaderStock(method, path, count, is_vital=is_vital)

    def take_headers(
        self, method: str, path: str, now_ns: int, *, for_unwind: bool = False
    ) -> bytes | None:
        """Header lines that nobody gets again, at most 2 s after their stamp. None: none is fresh.

        A (method, path) that is not kept is ordered by asking: None now, there in a moment.
        `for_unwind`: when the signer is gone, also what is up to 4.5 s old (the venue takes ±5 s).
        """
        self._now_ns = now_ns
        stock = self._stocks.get((method, path))
        if stock is None:
            if len(self._stocks) >= STOCKS_MAX:
                return None
            stock = HeaderStock(method, path, 1, is_vital=False, until_ns=now_ns + IDLE_NS)
            self._stocks[method, path] = stock
        elif stock.until_ns is not None:
            stock.until_ns = now_ns + IDLE_NS
        lines = stock.take(now_ns, for_unwind=for_unwind)
        if lines is None:
            self._refill(stock, now_ns)
        return lines

    def fresh(self, now_ns: int) -> bool:
        """True if each vital (method, path) has a set that may be used now."""
        return all(s.is_fresh(now_ns) for s in self._stocks.values() if s.is_vital)

    def stocked(self, method: str, path: str, now_ns: int) -> int:
        """How many sets of it may be used now."""
        stock = self._stocks.get((method, path))
        return 0 if stock is None else stock.count(now_ns)

    def pump(self, now_ns: int) -> int:
        """One turn: answers in, stale sets out, refills ordered. Returns the work done."""
        self._now_ns = now_ns
        done = self.poll()
        if self._pending:
            self._give_up(now_ns)
        if self._is_forgetting:
            self._forget()
        idle = []
        for key, stock in self._stocks.items():
            stock.age(now_ns)
            done += self._refill(stock, now_ns)
            if stock.is_idle(now_ns):
                idle.append(key)
        for key in idle:
            del self._stocks[key]
        return done

    def _refill(self, stock: HeaderStock, now_ns: int) -> int:
        missing = stock.missing(now_ns)
        if missing <= 0:
            return 0
        wall_ns = self._clock()
        for count in range(missing):
            stamp_ms = stock.next_stamp_ms(wall_ns // MS_NS)
            if stamp_ms is None:
                return count
            then = self._shelve(stock, now_ns + stamp_ms * MS_NS - wall_ns)
            asked = self.request_headers(stock.method, stock.path, stamp_ms=stamp_ms, then=then)
            if asked is None:
                return count
            stock.in_flight += 1
        return missing

    def _shelve(self, stock: HeaderStock, stamp_ns: int) -> Then:
        def then(signed: Signed | None) -> None:
            stock.in_flight -= 1
            if signed is None or signed.refused:
                stock.hold_off(self._now_ns)
            else:
                lines = header_bytes(self._key_id, signed.signature, signed.stamp_ms)
                stock.add(stamp_ns, lines)

        return then


def _ignore(_signed: Signed | None) -> None:
    """For requests whose answer changes nothing here."""
