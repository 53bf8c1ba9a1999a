"""Whether a venue still speaks the way we learned it: schema drift, found cheaply.

An unknown key is additive: counted, told once, kept as a sample, and nothing else. A field we need
that is missing, of another type or on another scale is drift: from that frame on no quote of the
venue may be traded on (DRIFT), because nobody can say what its next frame means.

It holds for every connection of the feed, and ends only with a new one (or a restart) on which the
drifted types are heard as they should be: GOOD_FRAMES of each, or none at all for QUIET_NS. The
first is proof; the second is safe because the quote is whole without them (books start from fresh
snapshots) and the very frame that drifts again raises DRIFT before it changes a book. Connections
are given up for it ever more seldom, and after RELAPSES_MAX no more: then a person has to look, and
restart the feed.

Looking means decoding a frame a second time without types. It is done for the first frames of each
type, for each length not met before, for one frame in LOOK_EACH, and for very long ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson

from feeds.levels import COUNTER
from feeds.limits import LEVEL_MAX_BYTES, crowded, excess
from feeds.notices import clean
from feeds.seat import Seat
from feeds.update import SECOND_NS, TextError, exact
from shm_layout import DRIFT

FIRST_FRAMES = 8  # of each type
LOOK_EACH = 128
LOOK_MASK = LOOK_EACH - 1
LENGTHS = 4_096  # longer frames are of lists: their lengths say nothing
GOOD_FRAMES = 3
QUIET_NS = 2 * SECOND_NS
RETRY_NS, RETRY_MAX_NS = SECOND_NS, 60 * SECOND_NS
RELAPSES_MAX = 8
CALM_NS = 600 * SECOND_NS  # without drift for so long: the relapses are forgotten
ODD_MAX = 3  # frames in a row: single ones occur (spot.md 2.1)
KEYS_MAX = 256  # unknown keys, drifted types and fields remembered

Strange = Callable[[object], tuple[str, list[str]]]  # a decoded frame: its type, its unknown keys


class Sentinel:
    """Of one venue. `strange` finds what a decoded frame has that nobody told us about."""

    def __init__(self, seat: Seat, name: str, strange: Strange) -> None:
        self._publisher, self._name, self._strange = seat, name, strange
        self._drift = seat.notices.drift
        self._firsts: dict[object, int] = {}
        self._keys: set[tuple[str, str]] = set()
        self._fields: set[tuple[str, str]] = set()
        self._streaks: dict[tuple[str, str], int] = {}
        self._good: dict[str, int] = {}  # drifted types, and how often they came well since
        self._is_new = False  # on a connection that was opened after the drift
        self._since_ns = self._odd_at = 0
        self._number = self._drift.number  # drifts of the venue this connection has heeded
        self.lengths: Final = bytearray(LENGTHS)  # 1: a frame of that length was looked at
        self.is_drifted = False
        self.wants_reconnect = False

    # ---- looking

    def is_first(self, kind: object) -> bool:
        """True for the first few frames of a type."""
        seen = self._firsts.get(kind, 0)
        self._firsts[kind] = seen + 1
        return seen < FIRST_FRAMES

    def wants(self, seen: int, size: int) -> bool:
        """True if frame number `seen`, `size` bytes long, should be looked at. The venues' hot
        paths spell this out."""
        if size >= LENGTHS:
            return not seen & LOOK_MASK or size > LEVEL_MAX_BYTES
        return not seen & LOOK_MASK or not self.lengths[size]

    def look(self, payload: bytes | memoryview) -> bool:
        """Decode it without types. False: it breaks a limit and must not be used; counted."""
        size, frame, beyond = len(payload), None, crowded(payload)
        if not beyond:
            try:
                frame = orjson.loads(payload)
            except orjson.JSONDecodeError:
                return True  # a frame that is no JSON is counted where it is decoded
            beyond = excess(frame)
        if beyond:
            self._publisher.count("oversize")
            self._publisher.notices.alert(f"{self._name}: refused: {beyond}")
            return False
        if size < LENGTHS:
            self.lengths[size] = 1
        kind, keys = self._strange(frame)
        for key in keys:
            self.unknown(kind, key, payload)
        return True

    def unknown(self, kind: str, key: str, payload: bytes | memoryview) -> None:
        """A key (or, as the key that names it, a type) that nobody told us about: counted, and told
        once."""
        kind, key = clean(kind), clean(key)
        self._publisher.count("unknown_keys")
        if (kind, key) in self._keys or len(self._keys) >= KEYS_MAX:
            return
        self._keys.add((kind, key))
        if self._publisher.notices.alert(f"{self._name}: unknown key {key} in {kind}"):
            self._publisher.notices.sample(f"{self._name}-{kind}-unknown-{key}", payload)

    # ---- drift

    def drift(
        self, kind: str, field: str, how: str, payload: bytes | memoryview, now_ns: int
    ) -> None:
        """A field we need is not what it was: no quote of this venue may be traded on."""
        shared, kind, field = self._drift, clean(kind), clean(field)
        if not self.is_drifted:
            self._publisher.count("drifts")
            is_calm = now_ns - shared.last_ns > CALM_NS
            shared.relapses = 0 if shared.number == 0 or is_calm else shared.relapses + 1
        shared.number += 1
        shared.is_on, shared.last_ns = True, now_ns
        if len(shared.kinds) < KEYS_MAX:
            shared.kinds.add(kind)
        self.tell(kind, field, how, payload)
        self._heed(now_ns)

    def _heed(self, now_ns: int) -> None:
        """The venue has drifted, here or on another of its connections."""
        self._number = self._drift.number
        self.is_drifted, self._is_new, self._since_ns = True, False, now_ns
        self._publisher.mark(raised=DRIFT, now_ns=now_ns)

    def tell(self, kind: str, field: str, how: str, payload: bytes | memoryview) -> None:
        """Say which field has drifted, once, and keep the frame that showed it."""
        if (kind, field) in self._fields:
            return
        if len(self._fields) < KEYS_MAX:
            self._fields.add((kind, field))
        self._publisher.count("drifted_fields")
        told = f"{self._name}: schema drift: {kind}: {field}: {how[:120]}; no new trades there"
        notices = self._publisher.notices
        if notices.alert(told, is_grave=True):
            notices.sample(f"{self._name}-{kind}-drift-{field}", payload, is_grave=True)

    def streak(self, kind: str, field: str, is_odd: bool, limit: int) -> bool:
        """Count what is odd only if it lasts. True when it has come `limit` times in a row."""
        key = (kind, field)
        if not is_odd:
            self._streaks[key] = 0
            return False
        self._streaks[key] = self._streaks.get(key, 0) + 1
        return self._streaks[key] >= limit

    def lasts(self, number: int) -> bool:
        """Frame `number` of this connection cannot be used. Of frames without a sequence single
        odd ones occur; True: this is the third in a row, and the venue another than we know."""
        if number != self._odd_at + 1:
            self.streak("frames", "odd", False, ODD_MAX)
        self._odd_at = number
        return self.streak("frames", "odd", True, ODD_MAX)

    def refused(self, kind: str, error: str, payload: bytes | memoryview, now_ns: int) -> None:
        """The typed decoder refused a frame of a known type; `error` is its own line. Of bytes that
        are no JSON, or beyond a limit, it says nothing about the schema."""
        try:
            if crowded(payload) or excess(orjson.loads(payload)):
                return
        except orjson.JSONDecodeError:
            return
        how, _, path = error.partition(" - at ")
        field = path.strip("`").removeprefix("$").lstrip(".")
        if how.startswith("Object missing required field"):
            field = ".".join(part for part in (field, how.split("`")[-2]) if part)
        self.drift(kind, field or "?", how, payload, now_ns)

    def well(self, kind: str) -> None:
        """A frame of that type was as it should be. Called while there is drift."""
        if kind in self._good:
            self._good[kind] += 1

    # ---- its end

    def opened(self, now_ns: int) -> None:
        """A new connection; its books are empty. What has drifted must prove itself."""
        self.wants_reconnect = False
        self._streaks.clear()
        if self._drift.is_on or self.is_drifted:
            self._heed(now_ns)
            self._is_new = True
            self._good = dict.fromkeys(self._drift.kinds, 0)

    def step(self, now_ns: int) -> None:
        """Every tick."""
        shared = self._drift
        if self._number != shared.number:
            self._heed(now_ns)
        if not self.is_drifted:
            return
        waited_ns = now_ns - self._since_ns
        if not self._is_new:
            pause_ns = min(RETRY_NS << min(shared.relapses, 16), RETRY_MAX_NS)
            if waited_ns >= pause_ns and shared.relapses <= RELAPSES_MAX:
                self.wants_reconnect = True
        elif waited_ns >= QUIET_NS or all(n >= GOOD_FRAMES for n in self._good.values()):
            self.is_drifted = shared.is_on = False
            shared.kinds.clear()
            self._publisher.mark(lowered=DRIFT, now_ns=now_ns)


def is_number(text: str) -> bool:
    """Whether a price or size that was refused is a decimal: if not, it is what has drifted."""
    try:
        exact(text, 6)
    except TextError:
        return False
    return True


assert {"drifts", "drifted_fields", "unknown_keys", "oversize"} <= COUNTER.keys()
