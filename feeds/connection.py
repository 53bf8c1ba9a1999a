"""The one file of this room that touches a WebSocket: picows, TLS, limits, pings, fragments.

picows hands over each frame where it lies in the receive buffer and says which one the buffer ends
with (`last_in_buffer`). Its own pong is switched off: a ping it answers itself would swallow the
last frame of a buffer, and with it the moment to publish.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import logging
import ssl
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import picows
from picows import WSCloseCode, WSMsgType

from feeds.limits import (
    CONTROLS_MAX,
    FRAGMENTS_MAX,
    FRAME_MAX_BYTES,
    HANDSHAKE_S,
    HEADER_MAX_BYTES,
)
from feeds.update import SECOND_NS, FeedError

_TEXT = WSMsgType.TEXT
_LOG = logging.getLogger("feeds.connection")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False


class Sink(Protocol):
    """Who is told what comes in. None of it may raise; what does, ends the link."""

    def on_text(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One whole text message; the memory is valid only during the call."""

    def on_alive(self, recv_ns: int, last: bool) -> None:
        """A pong or another control frame."""

    def on_oversize(self) -> None:
        """A message beyond the limit: the link is being closed with 1009."""


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later, host name checked, trusting `ca_file` (None: the system's authorities).

    Not `create_default_context`: that honours SSLKEYLOGFILE.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise FeedError(f"ca_file {ca_file}: cannot read: {error}") from error
    return context


class _Listener(picows.WSListener):
    """Passes frames on; joins fragments; answers pings; closes a link that breaks a limit.

    picows closes for a frame beyond its limit as well, but hands it over all the same if the rest
    of it comes in before the link is gone: hence the look at each size here, and `is_over`.
    """

    def __init__(self, sink: Sink, clock: Callable[[], int], limit: int) -> None:
        super().__init__()
        self._sink = sink
        self._on_text = sink.on_text
        self._clock = clock
        self._limit = limit
        self._parts: list[bytes] = []
        self._controls = self._controls_ns = 0
        self.is_over = False  # closed for a broken limit: nothing more is passed on
        self.close_code = 0

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        recv_ns = self._clock()
        if (
            frame.msg_type == _TEXT
            and frame.fin
            and frame.payload_size <= self._limit
            and not self._parts
            and not self.is_over
        ):
            last = frame.last_in_buffer == 1  # a bool: the kernels are compiled for one type
            self._on_text(frame.get_payload_as_memoryview(), recv_ns, last)
        elif not self.is_over:
            self._rare(transport, frame, recv_ns)

    def _rare(self, transport: picows.WSTransport, frame: picows.WSFrame, recv_ns: int) -> None:
        last, kind = frame.last_in_buffer == 1, frame.msg_type
        if kind in (WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.BINARY):
            self._fragment(transport, frame, recv_ns, last)
            return
        if recv_ns - self._controls_ns >= SECOND_NS:
            self._controls, self._controls_ns = 0, recv_ns
        self._controls += 1
        if self._controls > CONTROLS_MAX:
            self._refuse(transport, WSCloseCode.POLICY_VIOLATION)
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self.close_code = int.from_bytes(frame.get_payload_as_bytes()[:2], "big")
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        self._sink.on_alive(recv_ns, last)

    def _fragment(
        self, transport: picows.WSTransport, frame: picows.WSFrame, recv_ns: int, last: bool
    ) -> None:
        is_next = frame.msg_type == WSMsgType.CONTINUATION
        if is_next is not bool(self._parts):
            self._refuse(transport, WSCloseCode.PROTOCOL_ERROR)
            return
        self._parts.append(frame.get_payload_as_bytes())
        size = sum(len(part) for part in self._parts)
        if size > self._limit or len(self._parts) > FRAGMENTS_MAX:
            self._sink.on_oversize()
            self._refuse(transport, WSCloseCode.MESSAGE_TOO_BIG)
        elif frame.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._sink.on_text(whole, recv_ns, last)
        else:
            self._sink.on_alive(recv_ns, last)

    def _refuse(self, transport: picows.WSTransport, code: WSCloseCode) -> None:
        self.is_over = True
        self._parts.clear()
        transport.send_close(code)
        transport.disconnect(False)


class Refused(FeedError):
    """The handshake was answered with this HTTP status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Connection:
    """One WebSocket at a time. `open`, then `closed` until it ends; `send`, `ping`, `drop`."""

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None,
        sink: Sink,
        clock: Callable[[], int],
        limit_bytes: int = FRAME_MAX_BYTES,
    ) -> None:
        self._url = url
        self._context = tls_context(ca_file) if url.startswith("wss:") else None
        self._sink = sink
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._transport: picows.WSTransport | None = None
        self._listener: _Listener | None = None

    async def open(self, headers: Mapping[str, str]) -> None:
        """Connect, bounded in time; no proxy, no redirect. Raises FeedError if it does not work,
        Refused where the venue answered with a status."""
        listener = self._listener = _Listener(self._sink, self._clock, self._limit_bytes)
        try:
            async with asyncio.timeout(2 * HANDSHAKE_S):
                self._transport, _ = await picows.ws_connect(
                    lambda: listener,
                    self._url,
                    ssl_context=self._context,
                    websocket_handshake_timeout=HANDSHAKE_S,
                    logger_name=_LOG,
                    enable_auto_pong=False,
                    max_frame_size=self._limit_bytes,
                    extra_headers=dict(headers),
                    max_redirects=0,
                )
        except picows.WSInvalidStatusError as error:
            status = int(error.response.status) if error.response is not None else 0
            raise Refused(f"{self._url}: handshake: HTTP {status}", status) from error
        except (OSError, TimeoutError, picows.WSError, ssl.SSLError) as error:
            raise FeedError(f"{self._url}: {type(error).__name__}: {error}") from error
        self._check_headers()

    def _check_headers(self) -> None:
        assert self._transport is not None
        response = self._transport.response
        for name, value in response.headers.items() if response is not None else ():
            size = len(name) + len(value)
            if size > HEADER_MAX_BYTES:
                self.drop()
                self._transport = None
                raise FeedError(
                    f"{self._url}: header {name[:40]!r}: found {size} bytes,"
                    f" wanted at most {HEADER_MAX_BYTES}"
                )

    async def closed(self) -> BaseException | None:
        """Return once the connection is gone, whoever ended it. What our own sink raised is
        returned (picows ends the link for it): a fault of ours, and of this one link. How a link
        broke otherwise does not matter: the session reconnects, and this is None."""
        transport = self._transport
        if transport is None:
            return None
        gone = asyncio.ensure_future(transport.wait_disconnected())
        try:
            await asyncio.wait((gone,))
        finally:
            gone.cancel()
            self._transport = None
        error = gone.exception()
        if isinstance(error, picows.WSProtocolError):
            was_seen = self._listener is not None and self._listener.is_over
            if error.code == WSCloseCode.MESSAGE_TOO_BIG and not was_seen:
                self._sink.on_oversize()
        return None if isinstance(error, OSError | picows.WSError) else error

    @property
    def close_code(self) -> int:
        """The code with which the venue closed the last connection; 0: it said none."""
        return self._listener.close_code if self._listener is not None else 0

    def backlog_bytes(self) -> int:
        """What has come in and we have not read yet: more than a little means that we are slow."""
        if self._transport is None:
            return 0
        found = array.array("i", (0,))
        try:
            socket = self._transport.underlying_transport.get_extra_info("socket")
            fcntl.ioctl(socket.fileno(), termios.FIONREAD, found)
        except (AttributeError, OSError, ValueError):  # closed meanwhile
            return 0
        return found[0]

    def send(self, text: bytes) -> None:
        """Send one text frame; nothing if the link is gone (the session will subscribe anew)."""
        if self._transport is not None:
            self._transport.send(WSMsgType.TEXT, text)

    def ping(self) -> None:
        """Ask for a pong: it shows that the link lives while the markets are quiet."""
        if self._transport is not None:
            self._transport.send_ping()

    def drop(self) -> None:
        """Close from our side, without waiting for the venue. Nothing more is passed on."""
        if self._listener is not None:
            self._listener.is_over = True
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.GOING_AWAY)
            self._transport.disconnect(False)
