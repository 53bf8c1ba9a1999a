"""The processes beside the children: venues that were started early, each at the end of a pipe.

ops/venues/serve.py has the protocol. What they say is kept here until somebody asks.
"""

from __future__ import annotations

import contextlib
import selectors
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any

from ops.session import VenuesLog
from ops.tally import KEY_BYTES


class Beside:
    """Their pipes. `ports`: of each that listens, by its name; `subscribed`: venues whose market
    data somebody has asked for; `is_ended`: the data of one are over.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._conns: dict[str, Connection] = {}
        self._told: dict[str, VenuesLog] = {}
        self.ports: dict[str, Any] = {}
        self.subscribed: set[str] = set()
        self.is_ended = False

    def add(self, name: str, conn: Connection) -> None:
        """Listen to one more."""
        self._conns[name] = conn
        self._selector.register(conn, selectors.EVENT_READ, lambda: self._hear(name))

    def send(self, *message: Any) -> None:
        """To each of them. One that is dead does not hear it: its pidfd tells."""
        for conn in self._conns.values():
            _send(conn, *message)

    def has_told(self, name: str) -> bool:
        """Whether it has said its last word, its log."""
        return name in self._told

    @property
    def names(self) -> tuple[str, ...]:
        """In the order they were started."""
        return tuple(self._conns)

    @property
    def log(self) -> VenuesLog:
        """What all of them kept, as one. An order is read by one of them."""
        read_ns: dict[str, int] = {}
        counts: dict[str, Counter[str]] = {}
        for told in self._told.values():
            read_ns |= told.read_ns
            for venue, found in told.counts.items():
                counts.setdefault(venue, Counter()).update(found)
        return VenuesLog(read_ns=read_ns, counts=counts)

    def _hear(self, name: str) -> None:
        conn = self._conns[name]
        try:
            kind, *values = conn.recv()
        except (EOFError, OSError):
            self._selector.unregister(conn)
            return
        if kind == "ready":
            self.ports[name] = values[0]
        elif kind == "subscribed":
            self.subscribed.add(values[0])
        elif kind == "end":
            self.is_ended = True
        elif kind == "listed":
            for other in self._conns.values():
                if other is not conn:
                    _send(other, "event", *values)
        elif kind == "log":
            rows, counts = values
            read_ns = {row[1][:KEY_BYTES]: row[2] for row in rows}
            self._told[name] = VenuesLog(read_ns=read_ns, counts=counts)


def _send(conn: Connection, *message: Any) -> None:
    with contextlib.suppress(OSError):
        conn.send(message)
