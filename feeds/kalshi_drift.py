"""What shows in Kalshi's frames that a field is not what it was (kalshi.md 13, 14).

The typed decoder finds what is missing or of another type; here is what only the values show. None
of it occurs in 260,000 recorded deltas (May 2026), so one is enough, but for levels below zero.
"""

from __future__ import annotations

from typing import Final

import msgspec
import orjson

from feeds.kalshi_frames import Delta, Frame, Snapshot, Ticker, strange
from feeds.levels import BAD_LEVEL, IDLE, NEGATIVE, UNSTAMPED
from feeds.seat import Seat
from feeds.sentinel import Sentinel, is_number
from feeds.update import FeedError, Numbers
from shm_layout import DRIFT, E6, GAP, NO_SNAPSHOT

NEGATIVES_MAX: Final = 3  # of a connection: each is healed by a snapshot
BARE_MAX: Final = 3  # deltas without a time, of a connection on which they had one
MIRRORED_MAX: Final = 3  # tickers in a row that name the mirror of our ask
Payload = bytes | memoryview


class Scale:
    """Whether `use_yes_price` was heeded: by default NO levels carry NO prices. A book read on the
    wrong scale shows the mirror of its ask, and tickers say so. A connection is suspect until one
    agrees; while any other was found out, so is each that has not heard one that agrees: it may be
    the same server."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self._known = seat, seat.notices
        self.forget()

    def forget(self) -> None:
        """A new connection counts anew."""
        self._mirrored = 0
        self._is_found = self._is_proven = False
        self._is_heeded = self._known.is_mirrored  # its first books are marked already

    @property
    def is_suspect(self) -> bool:
        """True while its books may be on the wrong scale."""
        return self._is_found or (self._known.is_mirrored and not self._is_proven)

    def heard(self, is_same: bool, is_mirror: bool) -> bool:
        """A ticker, over a book with both sides: it names our touch, or our ask's mirror (at 0.5
        that is the same, and says nothing). True: found out, and no connection was before."""
        if is_same:
            self._mirrored = 0
            if not is_mirror:
                self._is_proven, self._is_found, self._known.is_mirrored = True, False, False
            return False
        self._mirrored = self._mirrored + 1 if is_mirror else 0
        if self._mirrored < MIRRORED_MAX or self._is_found:
            return False
        is_first = not self._known.is_mirrored
        self._is_found = self._known.is_mirrored = True
        return is_first

    def heed(self, now_ns: int, *, is_drifted: bool) -> None:
        """Mark its books. `is_drifted`: they stay marked for another reason."""
        if self.is_suspect:
            self._is_heeded = True
            if len(self._seat.having(DRIFT)) < self._seat.count_max:
                self._seat.mark(raised=DRIFT, now_ns=now_ns)
        elif self._is_heeded:
            self._is_heeded = False
            if not is_drifted:
                self._seat.mark(lowered=DRIFT, now_ns=now_ns)


def touch_named(frame: Ticker, seat: Seat, local: int, prices: Numbers) -> tuple[bool, bool] | None:
    """Whether a ticker names the touch of that book (-1: none of ours), and whether the mirror of
    its ask; counted. None where they cannot be compared: only two sides can, of a whole book."""
    told = frame.msg
    if local < 0 or seat.trust(local) & (NO_SNAPSHOT | GAP):
        return None
    bid_e6, ask_e6 = seat.touch(local)
    if not told.yes_bid_dollars or not told.yes_ask_dollars or bid_e6 <= 0 or ask_e6 >= E6:
        return None
    told_ask_e6 = prices.parse(told.yes_ask_dollars)
    is_same = (prices.parse(told.yes_bid_dollars), told_ask_e6) == (bid_e6, ask_e6)
    seat.count("tickers_checked")
    seat.count("tickers_agreed", int(is_same))
    return is_same, told_ask_e6 == E6 - ask_e6


def unheeded(sentinel: Sentinel, payload: Payload) -> None:
    """The server ignores `use_yes_price`."""
    how = "NO prices on the NO side: use_yes_price was not heeded"
    sentinel.tell("orderbook_snapshot", "msg.no_dollars_fp", how, payload)


def scaled(sentinel: Sentinel, kind: str, field: str, payload: Payload, recv_ns: int) -> None:
    """A level that no book has."""
    how = "found a price outside of 0 to 1 or a size beyond any, wanted dollars, contracts"
    sentinel.drift(kind, field, how, payload, recv_ns)


def of_delta(
    sentinel: Sentinel, told: int, *, was_stamped: bool, payload: Payload, recv_ns: int
) -> None:
    """`told`: what the book said to a delta."""
    kind = "orderbook_delta"
    if told & BAD_LEVEL:
        scaled(sentinel, kind, "msg.price_dollars", payload, recv_ns)
    elif told & IDLE:
        sentinel.drift(kind, "msg.delta_fp", "found 0, wanted a change", payload, recv_ns)
    elif told & NEGATIVE and sentinel.streak(kind, "negative", True, NEGATIVES_MAX):
        how = f"found {NEGATIVES_MAX} that take a level below 0, wanted contracts"
        sentinel.drift(kind, "msg.delta_fp", how, payload, recv_ns)
    elif told & UNSTAMPED and was_stamped and sentinel.streak(kind, "bare", True, BARE_MAX):
        sentinel.drift(kind, "msg.ts_ms", "found none, wanted a time", payload, recv_ns)


def of_snapshot(
    sentinel: Sentinel, frame: Snapshot, sizes: list[int], payload: Payload, recv_ns: int
) -> bool:
    """True if it is no book we can read. An absent key is an empty side, unless another key that
    nobody knows has come in its place. Raises FeedError if that cannot be seen."""
    kind, message = "orderbook_snapshot", frame.msg
    if message.yes is not msgspec.UNSET or message.no is not msgspec.UNSET:
        how = "found cents, a form that ended on 2026-03-12"
        sentinel.drift(kind, "msg.yes", how, payload, recv_ns)
        return True
    if sizes and min(sizes) <= 0:
        how = f"found a size of {min(sizes)}e-6, wanted more than 0"
        sentinel.drift(kind, "msg.yes_dollars_fp", how, payload, recv_ns)
        return True
    for field, levels in (
        ("yes_dollars_fp", message.yes_dollars_fp),
        ("no_dollars_fp", message.no_dollars_fp),
    ):
        if not levels:
            try:
                keys = strange(orjson.loads(payload))[1]
            except orjson.JSONDecodeError as error:  # in what the typed decoder skipped
                raise FeedError(f"{kind}: {error}") from error
            if keys:
                how = f"found {keys[0]}, wanted {field}"
                sentinel.drift(kind, f"msg.{field}", how, payload, recv_ns)
                return True
    return False


def of_text(
    sentinel: Sentinel, frame: Frame, error: Exception, payload: Payload, recv_ns: int
) -> None:
    """A text that is no number: which field it is, is found by trying each."""
    texts: list[tuple[str, str]] = []
    if isinstance(frame, Delta):
        texts = [(name, getattr(frame.msg, name)) for name in ("price_dollars", "delta_fp")]
    elif isinstance(frame, Ticker):
        names = ("yes_bid_dollars", "yes_ask_dollars")
        texts = [(name, getattr(frame.msg, name)) for name in names]
    elif isinstance(frame, Snapshot):
        texts = [("yes_dollars_fp", text) for pair in frame.msg.yes_dollars_fp for text in pair]
        texts += [("no_dollars_fp", text) for pair in frame.msg.no_dollars_fp for text in pair]
    field = next((name for name, text in texts if not is_number(text)), "a number")
    kind = type(frame).__struct_config__.tag
    sentinel.drift(str(kind), f"msg.{field}", str(error), payload, recv_ns)
