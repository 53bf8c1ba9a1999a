"""What passes between a venue's file and the feed: identities, market facts, numbers as exact ints.

Text becomes a number once: a price or size is looked up by its bytes, and only a text not seen
lately is parsed (0.05 us against 0.7). No float on the way.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import msgspec

from feeds.limits import FRAME_MAX_BYTES as FRAME_MAX_BYTES
from feeds.limits import NUMBER_MAX as NUMBER_MAX
from shm_layout import (
    E6,
    FEE_UNKNOWN,
    NONE_NS,
    ROUND_UP,
    ST_UNKNOWN,
    LayoutError,
    text_to_int,
)

NUMBERS_MAX = 1 << 16  # texts remembered, 180 bytes each; full, the memory starts anew
SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
GRID_RANGES = 3  # the quote has room for three; a finer grid than that is refused, not guessed
STAMP_MAX_MS = 4_102_444_800_000  # the year 2100: what is later is nonsense


# What decoding bytes of a venue can raise: bytes that are no UTF-8 are no DecodeError to msgspec.
UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class FeedError(Exception):
    """Bytes of a venue, an answer of its REST or a parameter of a feed is not what it must be."""


class TextError(FeedError):
    """A text that should be a decimal number, and is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable thing of this feed's venue. `local`: its place in this feed's books."""

    local: int
    index: int
    generation: int
    ticker: str
    condition: int
    token_yes: int
    token_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """What stands beside the quotes, read per market and never assumed. Units: 1e-6 dollars or
    contracts, ns of run time; NONE_NS: the venue does not say.

    `grid`: (end, step) of up to three price ranges, ascending from 0. `fee_rate_e6`: rate x
    multiplier. `open_epoch_ns` is for the feed alone (when to ask again). `is_end_close`: at
    `close_epoch_ns` no more orders are taken; else it is only when to ask.
    """

    status: int = ST_UNKNOWN
    grid: tuple[tuple[int, int], ...] = ()
    open_epoch_ns: int = NONE_NS
    close_epoch_ns: int = NONE_NS
    is_end_close: bool = True
    strike_e8: int = NONE_NS
    settlement_e6: int = NONE_NS
    taker_delay_ns: int = 0
    size_min_e6: int = 10_000
    size_step_e6: int = 10_000
    notional_min_e6: int = 0
    notional_step_e6: int = 0
    fee_kind: int = FEE_UNKNOWN
    fee_rate_e6: int = 0
    fee_exponent: int = 1
    fee_unit_e6: int = 100
    fee_mode: int = ROUND_UP


class Numbers:
    """Decimal text to int in 1/10**decimals, remembered: `most` texts, then anew. Raises FeedError
    for anything else."""

    def __init__(self, decimals: int, most: int = NUMBERS_MAX) -> None:
        self._decimals, self._most = decimals, most
        self._seen: dict[str, int] = {}
        self.get: Final = self._seen.get  # the fast path: None means `parse`

    def parse(self, text: str) -> int:
        """The exact value; a text seen before costs one look-up."""
        found = self._seen.get(text)
        if found is None:
            if len(self._seen) >= self._most:
                self._seen.clear()
            try:
                found = text_to_int(text, self._decimals)
            except LayoutError as error:
                raise TextError(str(error)) from error
            self._seen[text] = found
        return found


def exact(text: str, decimals: int) -> int:
    """A JSON number or decimal string as an int in 1/10**decimals. Zeros beyond are dropped.

    Raises FeedError. An exponent is refused: no venue sends one, and guessing is not parsing.
    """
    try:
        return text_to_int(text.strip('"'), decimals)
    except LayoutError as error:
        raise TextError(str(error)) from error


def raw_text(raw: msgspec.Raw) -> str:
    """What stands in a JSON value that was not decoded. Raises TextError: nobody has looked yet at
    whether its bytes are UTF-8."""
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise TextError(f"text: found {bytes(raw)[:40]!r}, wanted UTF-8") from error


_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def epoch_ns_of(text: str) -> int:
    """ISO 8601 UTC text to ns since 1970, to the digit given. Raises FeedError.

    Gamma writes "2026-09-28 17:46:27+00" in places; Coinbase up to nine digits of a second.
    """
    whole, point, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))] if point else ""
    zone = rest[len(digits) :] if point else ""
    try:
        at = datetime.datetime.fromisoformat(whole + zone)
    except ValueError as error:
        raise FeedError(f"time: found {text[:40]!r}, wanted ISO 8601") from error
    if at.tzinfo is None:
        raise FeedError(f"time: found {text[:40]!r}, wanted a zone")
    gone = at - _EPOCH
    seconds = gone.days * 86_400 + gone.seconds
    if seconds * 1000 > STAMP_MAX_MS:
        raise FeedError(f"time: found {text[:40]!r}, wanted one before 2100")
    return seconds * SECOND_NS + int(digits[:9].ljust(9, "0"))


def known_ns_of(text: str | None) -> int:
    """The same, or NONE_NS where the venue does not say: no text, or a time before 1970 (the zero
    time of a server in Go is the year 1). Raises FeedError."""
    epoch_ns = epoch_ns_of(text) if text else NONE_NS
    return epoch_ns if epoch_ns >= 0 else NONE_NS


def grid_cells(grid: tuple[tuple[int, int], ...]) -> list[int]:
    """The six cells of QUOTE.grid. Raises FeedError if the grid does not fit or does not ascend."""
    if len(grid) > GRID_RANGES:
        raise FeedError(f"grid: found {len(grid)} ranges, wanted at most {GRID_RANGES}")
    cells, end_before = [0] * (2 * GRID_RANGES), 0
    for place, (end_e6, step_e6) in enumerate(grid):
        if not end_before < end_e6 <= E6 or not 0 < step_e6 <= end_e6 - end_before:
            raise FeedError(f"grid: found {grid}, wanted ascending ends up to 1e6 with steps")
        cells[2 * place], cells[2 * place + 1] = end_e6, step_e6
        end_before = end_e6
    return cells


class Books(Protocol):
    """What a venue's file may do to the books (publisher.py does it)."""

    trades: int


class Venue(Protocol):
    """One venue's file: bytes in, calls on the publisher, messages to send back. No I/O.

    `outbox` holds what must go to the venue after the call; the connection empties it.
    """

    outbox: list[bytes]

    def opened(self, now_ns: int) -> None:
        """The link is up: put the subscription into the outbox."""

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One whole text message; `last`: the received buffer ends with it. Never raises."""

    def closed(self, now_ns: int) -> None:
        """The link is gone, and with it every subscription and snapshot."""

    def tick(self, now_ns: int) -> None:
        """Called every <= 50 ms: heartbeats due, requests that were not answered."""

    @property
    def is_subscribed(self) -> bool:
        """True once the venue has acknowledged every subscription."""

    @property
    def must_reconnect(self) -> bool:
        """True if asking again has not helped: only a new connection will."""

    @property
    def wants_facts(self) -> bool:
        """True if a frame said that facts changed without saying how; reading it lowers it."""


NEVER_NS = -1  # of `Ends.ended`: do not come back


@runtime_checkable
class Ends(Protocol):
    """A venue's file that knows its venue's close codes. `is_refused`: the venue has said no for
    good; the link is dropped, and `ended` says what then."""

    is_refused: bool

    def ended(self, code: int) -> int:
        """How long to stay away after a close with this code (0: none was said), in ns: 0 leaves it
        to the session, NEVER_NS is for what no new connection mends. Called after `closed`."""
