"""One connection to a venue, from being made to being lost: at most one request outstanding.

Bytes go straight to the transport, the answer through httptools to the caller. Whatever ends a
request without a whole answer (timeout, reset, too long, garbage) is one answer with `error` set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

REPLY_NS = 2_000_000_000  # how long a request waits for its whole answer
RETRY_AFTER, LIMITS = "retry-after", "poly-ratelimit-"
Clock = Callable[[], int]
OnFree = Callable[["Link"], None] | None


@dataclass(slots=True)
class Answer:
    """An HTTP answer; `error` not empty: there is none, and nothing is known of the request.
    `headers`: those about rate limits, their names in small letters.
    """

    status: int = 0
    body: bytes = b""
    error: str = ""
    ack_ns: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_after_ns(self) -> int:
        """How long the venue asks to be left alone; 0: it does not say, or not in seconds."""
        told = self.headers.get(RETRY_AFTER, "")
        is_number = told.isascii() and told.isdigit() and len(told) < 6
        return int(told) * 1_000_000_000 if is_number else 0


Then = Callable[[Answer], None]


class Link(asyncio.Protocol):
    """One connection, from being made to being lost. Made anew for each connect."""

    def __init__(
        self,
        clock: Clock,
        reply_max_bytes: int,
        on_free: OnFree = None,
        reply_max_ns: int = REPLY_NS,
    ) -> None:
        """`on_free` is told each time it could take a request (again)."""
        self._clock = clock
        self._reply_max_ns = reply_max_ns
        self._reply_max = reply_max_bytes
        self._on_free = on_free
        self._transport: asyncio.Transport | None = None
        self._then: Then | None = None
        self._parser: httptools.HttpResponseParser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._size = 0
        self._whole: Answer | None = None
        self._fault = ""
        self.sent_ns = 0
        self.used_ns = 0
        self.is_open = False
        self.is_listed = False  # among its pool's free links

    @property
    def is_free(self) -> bool:
        """Open with nothing outstanding."""
        return self.is_open and self._then is None

    def send(self, wire: bytes, then: Then) -> int:
        """Write a request; returns the stamp after the write. The link must be free."""
        transport = self._transport
        assert self.is_open and self._then is None and transport is not None
        self._then = then
        transport.write(wire)
        now_ns = self.sent_ns = self.used_ns = self._clock()
        return now_ns

    def expire(self, now_ns: int) -> bool:
        """End a request that has waited too long; the connection goes with it. True if it did."""
        if self._then is None or now_ns - self.sent_ns < self._reply_max_ns:
            return False
        self.drop("timeout")
        return True

    def drop(self, why: str, whole: Answer | None = None) -> None:
        """Close now; an outstanding request ends with its whole answer, else with this error."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()
        self._end(whole or Answer(error=why, ack_ns=self._clock()))

    def _end(self, answer: Answer) -> None:
        then, self._then = self._then, None
        if then is not None:
            then(answer)
        self.offer()

    def offer(self) -> None:
        """Say that it is free, if it is."""
        if self._on_free is not None and self.is_open and self._then is None:
            self._on_free(self)

    # ---- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's TLS one is no subclass
        self.is_open = True
        self.used_ns = self._clock()

    def data_received(self, data: bytes) -> None:
        if self._then is None:
            self.drop("bytes without a request")
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fault = f"garbage: {error}"[:200]
        whole, self._whole = self._whole, None
        if self._fault:  # a whole answer counts; the connection does not
            self.drop(self._fault, whole)
        elif whole is not None:
            self._parser = httptools.HttpResponseParser(self)
            self._end(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._transport = None
        self._end(Answer(error="reset", ack_ns=self._clock()))

    # ---- called by the parser

    def on_message_begin(self) -> None:
        if self._whole is not None:
            self._fault = "bytes behind an answer"
        self._body.clear()
        self._headers = {}
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if name[:1] in b"PpRr":
            told = name.decode("latin-1").lower()
            if told == RETRY_AFTER or told.startswith(LIMITS):
                self._headers[told] = value.decode("latin-1").strip()

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._reply_max:
            self._body.append(part)
        else:
            self._fault = f"answer of more than {self._reply_max} bytes"

    def on_message_complete(self) -> None:
        if self._fault:
            return
        self.used_ns = self._clock()
        status, body = self._parser.get_status_code(), b"".join(self._body)
        self._whole = Answer(status, body, "", self.used_ns, self._headers)
        if not self._parser.should_keep_alive():
            self._fault = "closed by the venue"
