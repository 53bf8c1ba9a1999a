"""A fault that is not over, and the connection that it hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ops.venues.faults import Fault
from ops.venues.numerals import MS_NS

# How venues say what a frame is: Kalshi, Polymarket and Coinbase, Binance (two ways), Kraken.
_TYPES = (b'type":"%b"', b'"e":"%b"', b'@%b"')
_CHANNEL = b'{"channel":"%b"'  # at the beginning: elsewhere it is an answer to a command


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes put on the wire as they are. `is_last`: then the connection is gone."""

    data: bytes
    is_last: bool = False


Item = bytes | Raw


class Link(Protocol):
    """A connection as a fault sees it (wire.py has the real one)."""

    number: int
    path: str
    is_deaf: bool

    def put(self, item: Item) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Live:
    """A fault that is not over. `due_ns` None: somebody must call its name."""

    def __init__(self, fault: Fault, *, words: tuple[bytes, ...], due_ns: int | None) -> None:
        self.fault = fault
        self.words = words
        self.types = tuple(form % fault.channel.encode() for form in _TYPES if fault.channel)
        self.first = _CHANNEL % fault.channel.encode()
        self.due_ns = due_ns
        self.again_ns: int | None = None  # when it begins the next time
        self.until_ns: int | None = None
        self.seen = self.hits = 0

    def renew(self, over_ns: int) -> bool:
        """It was over at that stamp: whether it begins anew."""
        if self.fault.again_ms is None:
            return False
        self.again_ns = over_ns + self.fault.again_ms * MS_NS
        self.until_ns, self.seen, self.hits = None, 0, 0
        return True

    def wants_frame(self, link: Link, text: bytes) -> bool:
        fault = self.fault
        return (
            fault.connection in (0, link.number)
            and link.path.startswith(fault.path)
            and (not self.types or text.startswith(self.first) or self._is_of_type(text))
            and (not self.words or any(word in text for word in self.words))
        )

    def _is_of_type(self, text: bytes) -> bool:
        return any(one in text for one in self.types)
