"""The canceller: cancels everything at both venues, without event loop, desk or supervisor.

It blocks on the kill word. Set, or the supervisor gone: one cancel-all at each venue, over fresh
TLS connections, in a thread each, a few bounded tries. It holds the API secrets and, through its
own channel, Kalshi headers at most 2 s old; addresses are looked up ahead. It has a session of its
own (made by ops) and outlives a dead supervisor by at most 5 s. Both cancels are idempotent: trying
again is safe.
"""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass

from gateway.hmac_auth import L2Auth, load_api_secrets
from gateway.signing import SigningClient
from shm_layout import (
    CANCELLER,
    COUNTERS,
    HEADER,
    KILL,
    KILL_AT,
    ROLE,
    Segment,
    cell,
    word_add,
    word_load,
    word_wait,
)

BLOCK_NS = 50_000_000
HEADERS_KEPT = 4  # one for each try and one to spare
WATCH_NS = 250_000_000
JOIN_S = 0.05
KALSHI_PATH = "/trade-api/v2/portfolio/events/orders"
POLYMARKET_PATH = "/cancel-all"
SECOND_NS = 1_000_000_000
SET_AT = KILL_AT + cell(KILL, "set_ns")  # set again, it cancels again
_COUNT_AT = {n: cell(ROLE, "counters") + i for i, n in enumerate(COUNTERS["canceller"])}


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellerParams:
    """Where to cancel. An empty host: nothing is traded there. `ca_file` None: the system's.

    `limit_s` bounds all tries at one venue together; with the notice of a death it stays under 5 s.
    """

    kalshi_host: str = ""
    kalshi_port: int = 443
    kalshi_key_id: str = ""
    polymarket_host: str = ""
    polymarket_port: int = 443
    secrets_file: str | None = None
    ca_file: str | None = None
    tries: int = 3
    try_s: float = 1.2
    limit_s: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.tries <= 5 or not 0 < self.try_s <= self.limit_s <= 4.0:
            raise ValueError(f"canceller: found {self.tries} tries of {self.try_s} s in "
                             f"{self.limit_s} s, wanted 1 to 5 within 4 s")  # fmt: skip
        if self.polymarket_host and self.secrets_file is None:
            raise ValueError("canceller: polymarket_host wants secrets_file")


class Target:
    """One venue: where it is and how a DELETE is signed. `sign` gives header lines for one try."""

    def __init__(
        self, name: str, host: str, port: int, path: str, sign: Callable[[], bytes | None]
    ) -> None:
        self.name, self.host, self.port, self.path, self.sign = name, host, port, path, sign
        self.addresses: list[str] = []

    def look_up(self) -> None:
        """Remember the host's addresses: no name server is asked when it matters."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError:
            return  # the last ones are kept; without any, the name itself is tried
        self.addresses = list(dict.fromkeys(str(row[4][0]) for row in found))

    def delete(
        self, tls: ssl.SSLContext, lines: bytes, timeout_s: float, attempt: int
    ) -> int:
        """One DELETE on a connection of its own. Its status, 0: no answer."""
        place = self.addresses[attempt % len(self.addresses)] if self.addresses else self.host
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        connection.default_port = 443  # as the venue knows it: no port in the Host line
        try:
            raw = socket.create_connection((place, self.port), timeout_s)
            connection.sock = tls.wrap_socket(raw, server_hostname=self.host)
            headers = dict(line.split(": ", 1) for line in lines.decode().splitlines())
            connection.request("DELETE", self.path, headers=headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


class Canceller:
    """The role: `run()` blocks until the supervisor is gone or `stop()` is called.

    `clock`: wall ns since the epoch (stamps); `mono`: monotonic ns. Attributes for the log:
    `results` (venue → last status, 0 none).
    """

    def __init__(
        self,
        segment: Segment,
        channel: Segment,
        params: CancellerParams,
        epoch: int,
        clock: Callable[[], int],
        mono: Callable[[], int],
    ) -> None:
        self._words, self._params, self._clock, self._mono = segment.words, params, clock, mono
        self.epoch = epoch
        self._row = segment.at("roles", CANCELLER)
        self._client = SigningClient(
            channel, segment, clock=clock, kalshi_key_id=params.kalshi_key_id
        )
        self._tls = ssl.create_default_context(cafile=params.ca_file)
        self._lock = threading.Lock()  # around the client, while the venues' threads run
        self._targets: list[Target] = []
        self._add_targets()
        self._handled = self._handled_ns = 0  # the kill word that has been acted on, when set
        self._stop, self._breath = threading.Event(), threading.Event()
        self._supervisor_fd = _watch_creator(segment)
        self.results: dict[str, int] = {}

    def _add_targets(self) -> None:
        params = self._params
        if params.kalshi_host:
            self._client.keep("DELETE", KALSHI_PATH, HEADERS_KEPT)
            target = Target(
                "kalshi", params.kalshi_host, params.kalshi_port, KALSHI_PATH, self._kalshi_lines
            )
            self._targets.append(target)
        if params.polymarket_host:
            assert params.secrets_file is not None
            auth = L2Auth(load_api_secrets(params.secrets_file))

            def lines() -> bytes:
                return auth.header_bytes(
                    "DELETE", POLYMARKET_PATH, b"", self._clock() // SECOND_NS
                )

            target = Target(
                "polymarket", params.polymarket_host, params.polymarket_port, POLYMARKET_PATH, lines
            )
            self._targets.append(target)
        for target in self._targets:
            target.look_up()

    def __repr__(self) -> str:
        return f"Canceller({[target.name for target in self._targets]}, secrets redacted)"

    def run(self) -> None:
        """Turn after turn until told to stop or the supervisor is dead and all is cancelled."""
        while not self._stop.is_set() and self.turn(self._mono()):
            self.wait()

    def stop(self) -> None:
        """End soon. May be called from a signal handler or another thread."""
        self._stop.set()

    def turn(self, now_ns: int) -> bool:
        """Look once. False: the supervisor is gone, everything was cancelled, nothing is left."""
        self._refresh(now_ns)
        word = int(word_load(self._words, KILL_AT))
        if self.is_orphan():
            self.cancel_all()  # again even after a kill: who knows what went out since
            return False
        set_ns = int(word_load(self._words, SET_AT))
        if word and (not self._handled or set_ns != self._handled_ns):
            self._count("kills")
            self.cancel_all()
        self._handled, self._handled_ns = word, set_ns
        return True

    def wait(self) -> None:
        """Block until the kill word changes, at most 50 ms: headers age and supervisors die."""
        word_wait(self._words, KILL_AT, self._handled & 0xFFFFFFFF, BLOCK_NS)

    def is_orphan(self) -> bool:
        """True once the process that made the segment is gone."""
        if self._supervisor_fd is None:
            return True
        poll = select.poll()
        poll.register(self._supervisor_fd, select.POLLIN)
        return bool(poll.poll(0))

    def cancel_all(self) -> dict[str, int]:
        """Cancel at every venue at once, within `limit_s`. Status by venue, 0: not confirmed."""
        until_ns = self._mono() + int(self._params.limit_s * SECOND_NS)
        self.results = {target.name: 0 for target in self._targets}
        threads = [
            threading.Thread(target=self._cancel, args=(target, until_ns), daemon=True)
            for target in self._targets
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and self._mono() < until_ns:
            for thread in threads:
                thread.join(JOIN_S)
            with self._lock:
                self._client.pump(self._mono())  # fresh headers for the next try
        for status in self.results.values():
            self._count("cancels" if 200 <= status < 300 else "failures")
        return self.results

    def _cancel(self, target: Target, until_ns: int) -> None:
        """In its own thread: try until the venue says yes, a few times, never past the limit."""
        tried = 0
        while tried < self._params.tries:
            left_s = (until_ns - self._mono()) / SECOND_NS
            if left_s <= 0:
                return
            lines = target.sign()
            if lines is not None:
                timeout_s = min(self._params.try_s, left_s)
                status = target.delete(self._tls, lines, timeout_s, tried)
                tried += 1
                if status:
                    self.results[target.name] = status
                if 200 <= status < 300:
                    return
            self._breath.wait(JOIN_S)  # time for a fresh signature

    def _kalshi_lines(self) -> bytes | None:
        with self._lock:
            return self._client.take_headers(
                "DELETE", KALSHI_PATH, self._mono(), for_unwind=True
            )

    def _refresh(self, now_ns: int) -> None:
        with self._lock:
            if self._client.pump(now_ns):
                self._count("refreshes")

    def close(self) -> None:
        """Let go of the watch on the supervisor."""
        if self._supervisor_fd is not None:
            os.close(self._supervisor_fd)
            self._supervisor_fd = None

    def _count(self, name: str) -> None:
        word_add(self._words, self._row + _COUNT_AT[name], 1)


def _watch_creator(segment: Segment) -> int | None:
    """A pidfd of the segment's creator. None: that process is gone (its pid may be another's)."""
    at = segment.at("header")
    pid = int(word_load(segment.words, at + cell(HEADER, "creator_pid")))
    started = int(word_load(segment.words, at + cell(HEADER, "creator_start")))
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            found = int(file.read().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError):
        found = -1
    if found != started:
        os.close(fd)
        return None
    return fd
