"""The signer: the only process that holds private keys. No network; it answers requests and blocks.

Each client has a private segment with two rings and a row of rights. Every request gets exactly one
reply, signed or refused by name; refusals are counted. Keys are read after the fork, from private
files, and are never printed; core dumps and debuggers are shut out.
"""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gateway.eip712 import SALT_MAX, Order, OrderSigner
from gateway.hmac_auth import SecretError, read_private
from gateway.kalshi_auth import KalshiSigner
from gateway.policy import Asked, Caps, ClientRights, OrderPolicy
from gateway.signing import (
    FORGET,
    HEADERS,
    L1_AUTH,
    METHODS,
    ORDER,
    PATH_BYTES,
    REFUSALS,
    SIGNATURE_BYTES,
    SPENT,
)
from shm_layout import (
    BODY,
    COUNTERS,
    ENTRY,
    HISTOGRAMS_MAX,
    K_SIGN,
    K_SIGNED,
    LINE,
    READ,
    ROLE,
    SIGN,
    SIGNED,
    SIGNER,
    Segment,
    bell_arm,
    bell_disarm,
    bell_ring,
    cell,
    histogram_add,
    ring_adopt,
    ring_append,
    ring_read,
    ring_tail,
    word_add,
    word_load,
    word_store,
    word_wait,
)

BLOCK_NS = 20_000_000  # of one idle turn: heartbeats stay fresh
BURST = 32  # requests of each client a step answers at most
SWEEP_NS = 1_000_000_000  # how often settled windows are looked for
MS_NS = 1_000_000
PR_SET_DUMPABLE = 4

_HEAD = len(Asked._fields)
_PATH_AT = cell(SIGN, "path") * 8
_DIGEST_AT, _SIGNATURE_AT = cell(SIGNED, "digest") * 8, cell(SIGNED, "signature") * 8
_BYTES = cell(SIGNED, "bytes")
_COUNT_AT = {name: cell(ROLE, "counters") + i for i, name in enumerate(COUNTERS["signer"])}
_REFUSED = {name: i for i, name in enumerate(REFUSALS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerParams:
    """Files of keys (None: that venue is not traded), the account's form, caps, a row a channel.

    `kalshi_key_id` stands in the headers and is not secret: the clients need it. `hide_memory` is
    off only where a test shares the process.
    """

    clients: tuple[ClientRights, ...]
    kalshi_key_file: str | None = None
    kalshi_key_id: str = ""
    polymarket_key_file: str | None = None
    chain_id: int = 137
    signature_type: int = 0
    funder: str | None = None
    caps: Caps = field(default_factory=Caps)
    skew_max_ms: int = 2_000
    hide_memory: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.skew_max_ms <= 5_000:
            raise ValueError(f"skew_max_ms: found {self.skew_max_ms}, wanted 1 to 5000")


def hide_memory() -> None:
    """No core dump, no debugger for this process. Raises OSError if the kernel refuses."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE, 0)")


def load_polymarket_key(path: str) -> bytes:
    """32 bytes from a private file of 64 hex digits, 0x allowed. Raises SecretError."""
    text = read_private(path).decode("ascii", "replace").strip().removeprefix("0x")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SecretError(f"{path}: wanted 64 hex digits")
    return key


class _Line(NamedTuple):
    """One client's rings."""

    channel: Segment
    rights: ClientRights
    requests: int
    replies: int
    entries: int


class Signer:
    """The role. `clock` is wall time in ns since the epoch (stamps are checked against it),
    `mono` the monotonic clock (optional: without it no histogram is kept)."""

    def __init__(
        self,
        segment: Segment,
        channels: list[Segment],
        params: SignerParams,
        epoch: int,
        clock: Callable[[], int],
        mono: Callable[[], int] | None = None,
    ) -> None:
        assert len(channels) == len(params.clients), (len(channels), len(params.clients))
        if params.hide_memory:
            hide_memory()
        self._main, self._params, self._clock, self._mono = segment, params, clock, mono
        self.epoch = epoch
        self._kalshi, self._polymarket = _load_keys(params)
        self._lines = [
            _Line(c, rights, c.at("requests"), c.at("replies"), c.entries("requests"))
            for c, rights in zip(channels, params.clients, strict=True)
        ]
        self._in, self._reply = np.zeros(ENTRY, np.int64), np.zeros(BODY, np.int64)
        self._in_bytes = self._in[LINE:].view(np.uint8)
        self._bytes = self._reply.view(np.uint8)
        self._cursors = [self._resume(line) for line in self._lines]
        self._bell = segment.at("bells", SIGNER)
        self._row = segment.at("roles", SIGNER)
        self._histogram = segment.at("histograms", SIGNER * HISTOGRAMS_MAX)
        # a predecessor's orders are still out there: its counter goes on
        carried_e6 = max(int(word_load(segment.words, self._count_at("outstanding_e6"))), 0)
        ordering = [place for place, line in enumerate(self._lines) if line.rights.may_order]
        assert len(ordering) <= 1, "whose tickets are older is known of one ring alone"
        first = self._cursors[ordering[0]] if ordering else 0
        self.policy = OrderPolicy(segment, params.caps, carried_e6=carried_e6, first=first)
        self._swept_ns = 0
        self._answers: dict[int, Callable[[ClientRights, Asked], str]] = {
            ORDER: self._order,
            HEADERS: self._headers,
            L1_AUTH: self._l1,
            SPENT: self._spent,
            FORGET: self._forget,
        }

    def __repr__(self) -> str:
        return f"Signer({len(self._lines)} clients, keys redacted)"

    def step(self, now_ns: int) -> int:
        """Answer what is asked, client after client, a bounded number each. Returns how many."""
        done = 0
        for _ in range(BURST):
            turn = sum(self._answer_next(i) for i in range(len(self._lines)))
            if not turn:
                break
            done += turn
        if now_ns - self._swept_ns >= SWEEP_NS:
            self._swept_ns = now_ns
            self.policy.sweep()
            self._publish_outstanding()
        return done

    def wait(self, block_ns: int) -> bool:
        """Block on our bell until a request is there, at most so long. True if one is."""
        words = self._main.words
        bell_arm(words, self._bell)  # pairs with the fence of the client's bell_ring
        if not self._is_asked():
            word_wait(words, self._bell, 1, block_ns)
        bell_disarm(words, self._bell)
        return self._is_asked()

    def idle(self) -> None:
        """One bounded wait."""
        self.wait(BLOCK_NS)

    def close(self) -> None:
        """Let go of the keys."""
        self._kalshi = self._polymarket = None

    def _is_asked(self) -> bool:
        return any(
            ring_tail(line.channel.words, line.requests) > cursor
            for line, cursor in zip(self._lines, self._cursors, strict=True)
        )

    def _resume(self, line: _Line) -> int:
        """Where a predecessor stopped: after the last ticket it answered, if the ring holds it."""
        words = line.channel.words
        replies = ring_adopt(words, line.replies, line.entries)
        tail = int(ring_tail(words, line.requests))
        cursor = 0
        if replies > 0:
            got = ring_read(words, line.replies, line.entries, replies - 1, self._in, BODY)
            assert got == READ, got  # we are its only writer
            cursor = int(self._in[LINE]) + 1
        return max(0, tail - line.entries, min(cursor, tail))

    def _answer_next(self, index: int) -> int:
        """Answer one request of one client. 0: it asks nothing."""
        line, cursor = self._lines[index], self._cursors[index]
        words = line.channel.words
        got = ring_read(words, line.requests, line.entries, cursor, self._in, BODY)
        if got != READ:
            if got < 0:  # it wrote more than a ring ahead: only a client that is out of its mind
                self._count("laps")
                tail = int(ring_tail(words, line.requests))
                self._cursors[index] = max(cursor + 1, tail - line.entries // 2)
            return 0
        self._cursors[index] = cursor + 1
        began_ns = self._mono() if self._mono else 0
        asked = Asked(*self._in[LINE : LINE + _HEAD].tolist())
        self._count("requests")
        self._reply[:] = 0
        answer = self._answers.get(asked.what)
        if answer is None or self._in[0] != K_SIGN:
            self._count("bad")
            refused = "what"
        else:
            refused = answer(line.rights, asked)
        if refused:
            self._reply[:] = 0
            self._count("refused")
        self._reply[:4] = (cursor, asked.what, _REFUSED[refused], asked.stamp_ms)
        ring_append(words, line.replies, line.entries, K_SIGNED, self._reply, BODY)
        if line.rights.bell_role >= 0:
            bell = self._main.at("bells", line.rights.bell_role)
            bell_ring(self._main.words, bell, line.rights.bell_fd)
        if self._mono:
            histogram_add(self._main.words, self._histogram, self._mono() - began_ns)
        return 1

    def _headers(self, rights: ClientRights, asked: Asked) -> str:
        if not 0 <= asked.method < len(METHODS):
            return "path"
        raw = self._in_bytes[_PATH_AT : _PATH_AT + PATH_BYTES].tobytes()
        path = raw.rstrip(b"\0").decode("ascii", "replace")
        method = METHODS[asked.method]
        if not rights.allows(method, path):
            return "path"
        if not self._is_now(asked.stamp_ms):
            return "stamp"
        if self._kalshi is None:
            return "key"
        self._put(self._kalshi.sign(asked.stamp_ms, method, path))
        self._count("headers")
        return ""

    def _order(self, rights: ClientRights, asked: Asked) -> str:
        if not rights.may_order:
            return "client"
        if self._polymarket is None:
            return "key"
        if not self._is_now(asked.stamp_ms):
            return "stamp"
        refused, market = self.policy.judge(asked)
        if refused or market is None:
            return refused
        token_id = market.tokens[asked.token]
        order = Order(
            asked.salt, token_id, asked.maker_e6, asked.taker_e6, asked.side, asked.stamp_ms
        )
        digest, signature = self._polymarket.sign(order, exchange=market.exchange)
        self.policy.signed(asked)
        self._publish_outstanding()  # before the reply: what leaves is always counted
        self._put(signature, digest)
        self._count("orders")
        return ""

    def _l1(self, rights: ClientRights, asked: Asked) -> str:
        if not rights.may_l1:
            return "client"
        if self._polymarket is None:
            return "key"
        if not 0 <= asked.salt <= SALT_MAX:
            return "salt"
        if not self._is_now(asked.stamp_ms):
            return "stamp"
        stamp_s = asked.stamp_ms // 1000
        digest, signature = self._polymarket.clob_auth(timestamp_s=stamp_s, nonce=asked.salt)
        self._put(signature, digest)
        return ""

    def _spent(self, rights: ClientRights, asked: Asked) -> str:
        if not rights.may_order:
            return "client"
        if not self.policy.held.spend(asked.salt):
            return "unknown"
        self._publish_outstanding()
        return ""

    def _forget(self, rights: ClientRights, asked: Asked) -> str:
        """A gateway has found every order that those before it sent; what else was signed for them
        was in their memory alone. `salt`: its first ticket."""
        if not rights.may_order:
            return "client"
        self.policy.forget(min(asked.salt, asked.ticket))
        self._publish_outstanding()
        return ""

    def _put(self, signature: bytes, digest: bytes = b"") -> None:
        """Write both into the reply."""
        assert len(signature) <= SIGNATURE_BYTES, len(signature)
        self._reply[_BYTES] = len(signature)
        end = _SIGNATURE_AT + len(signature)
        self._bytes[_SIGNATURE_AT:end] = np.frombuffer(signature, np.uint8)
        self._bytes[_DIGEST_AT : _DIGEST_AT + len(digest)] = np.frombuffer(digest, np.uint8)

    def _is_now(self, stamp_ms: int) -> bool:
        return abs(stamp_ms - self._clock() // MS_NS) <= self._params.skew_max_ms

    def _publish_outstanding(self) -> None:
        at = self._count_at("outstanding_e6")
        word_store(self._main.words, at, self.policy.outstanding_e6)

    def _count_at(self, name: str) -> int:
        return self._row + _COUNT_AT[name]

    def _count(self, name: str) -> None:
        word_add(self._main.words, self._row + _COUNT_AT[name], 1)


def _load_keys(params: SignerParams) -> tuple[KalshiSigner | None, OrderSigner | None]:
    """Raises SecretError naming the file and what is wrong with it, never what stands in it."""
    kalshi = polymarket = None
    if params.kalshi_key_file is not None:
        kalshi = KalshiSigner(read_private(params.kalshi_key_file))
    if params.polymarket_key_file is not None:
        key = load_polymarket_key(params.polymarket_key_file)
        try:
            polymarket = OrderSigner(
                key,
                chain_id=params.chain_id,
                signature_type=params.signature_type,
                funder=params.funder,
            )
        except ValueError as error:
            raise SecretError(f"{params.polymarket_key_file}: {error}") from None
    return kalshi, polymarket
