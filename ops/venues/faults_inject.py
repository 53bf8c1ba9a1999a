"""The faults of one venue while it runs: which message is hit, and what becomes of it.

`Injector` sits between a venue and its sockets (wire.py), its REST (faults_rest.py) and its
script (faults_events.py). A message is hit by the first fault of the plan that wants it. What was
done is counted as `fault_<kind>` and kept as a row of the log, so that a test can compare it with
what was noticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import Any

import orjson

from ops.venues import faults_frames as frames
from ops.venues.faults import ANSWERED, BYTES, FRAME, REFUSED, REST, SHAKE, Fault, Plan
from ops.venues.faults_live import Item, Link, Live, Raw
from ops.venues.numerals import MS_NS
from ops.venues.script import MarketSpec
from ops.venues.session import FaultRow, Later, RunClock, VenueLog

WHAT_MAX = 200  # of a message, in the log
PONGS = (b"PONG",)  # keep-alives in text: a frozen venue still sends them


@dataclass(slots=True)
class Shake:
    """What happens to a handshake. `status` None: it is accepted."""

    status: HTTPStatus | None = None
    body: str = ""
    is_mute: bool = False
    close_code: int = 0
    close_ns: int = 0


@dataclass(slots=True)
class _Pending:
    """Of one connection: a frame that waits for its neighbour, frames that are late."""

    held: bytes | None = None
    waiting: deque[tuple[int, Item]] = field(default_factory=deque)


class Injector:
    """The faults of one venue. `later` runs something after machine ns and flushes."""

    def __init__(
        self,
        venue: str,
        plan: Plan = (),
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        markets: Iterable[MarketSpec] = (),
        seed: int = 0,
    ) -> None:
        self.venue = venue
        self._clock = clock
        self._log = log
        self._later = later
        self.names = [names_of(market) for market in markets]
        self._random = Random(f"{seed}/{venue}")
        self._live: list[Live] = []
        self._pending: dict[Link, _Pending] = {}
        self._closed: set[Link] = set()  # by a storm, and not yet gone
        for fault in plan:
            if fault.venue == venue:
                self.arm(fault)

    @property
    def is_idle(self) -> bool:
        """No fault is left. What is late already still comes."""
        return not self._live

    def arm(self, fault: Fault) -> None:
        """Add a fault. One with `on` waits for `call`, one with a time for that time."""
        assert fault.venue == self.venue, f"a fault of {fault.venue} at {self.venue}"
        names = next((names for names in self.names if fault.market in names), [fault.market])
        words = tuple(name.encode() for name in names) if fault.market else ()
        due_ns = None if fault.on else self._clock.mono_ns()
        self._live.append(Live(fault, words=words, due_ns=due_ns))

    def call(self, name: str) -> None:
        """What waits for this name begins now."""
        for live in self._live:
            if live.due_ns is None and live.fault.on == name:
                live.due_ns = self._clock.mono_ns()

    def clear(self) -> None:
        """Nothing new goes wrong from now on."""
        self._live.clear()

    def lost(self, link: Link) -> None:
        """A connection is gone, and with it what it still should have sent."""
        self._pending.pop(link, None)
        self._closed.discard(link)

    # ---- which one

    def listed(self, market: MarketSpec) -> None:
        """A market is new."""
        self.names.append(names_of(market))

    def of(self, where: str) -> list[Live]:
        """The faults that strike there now, as the plan orders them. One that is to come must cost
        nothing: to pad every frame to 2 MiB for it would stop the venue."""
        if not self._live:
            return []
        now_ns = self._clock.mono_ns()
        return [
            live for live in self._live if where in live.fault.where and self._is_due(live, now_ns)
        ]

    def _begin_ns(self, live: Live) -> int | None:
        """The machine stamp from which it is due, None: not known yet."""
        fault, clock = live.fault, self._clock
        if live.again_ns is not None:
            return live.again_ns
        if fault.at_ms is None and fault.machine_ms is None:
            return live.due_ns
        if not clock.is_running:
            return None
        if fault.machine_ms is not None:
            return clock.due_ns(clock.begin_epoch_ns) + fault.machine_ms * MS_NS
        return clock.due_ns(clock.begin_epoch_ns + (fault.at_ms or 0) * MS_NS)

    def _is_due(self, live: Live, now_ns: int) -> bool:
        begin_ns = self._begin_ns(live)
        return begin_ns is not None and now_ns >= begin_ns

    def take(self, live: Live, *, connection: int, what: bytes, key: str = "") -> bool:
        """Whether this matching message (with an order of that key) is hit by a fault of `of`.
        Counts it if so.
        """
        fault, now_ns, begin_ns = live.fault, self._clock.mono_ns(), self._begin_ns(live)
        assert begin_ns is not None, "asked of a fault that is not due"
        live.seen += 1
        nth = live.seen - fault.after
        if nth <= 0:
            return False
        if live.until_ns is None and fault.for_ms is not None:
            live.until_ns = (now_ns if fault.after else begin_ns) + fault.for_ms * MS_NS
        if live.until_ns is not None and now_ns >= live.until_ns:
            self._over(live, live.until_ns)
            return False
        if (nth - 1) % fault.every:
            return False
        live.hits += 1
        if live.hits == fault.hits_max:
            self._over(live, now_ns)
        shown = what[:WHAT_MAX].decode("utf-8", "replace")
        status = fault.status or 0
        self._log.fault(FaultRow(self.venue, fault.kind, now_ns, connection, shown, key, status))
        return True

    def _over(self, live: Live, over_ns: int) -> None:
        if not live.renew(over_ns):
            self._live.remove(live)

    # ---- frames

    def frames(self, link: Link, text: bytes) -> Sequence[Item]:
        """What goes out on this connection instead of this frame."""
        if not self._live and link not in self._pending:
            return (text,)
        items = self._hit(link, text)
        pending = self._pending.get(link)
        if pending is None:
            return items
        if pending.held is not None and items:
            items = [*items, pending.held]
            pending.held = None
        if pending.waiting and items:  # they do not overtake
            due_ns = pending.waiting[-1][0]
            for item in items:
                self._wait(link, item, due_ns)
            return ()
        if not pending.waiting and pending.held is None:
            del self._pending[link]
        return items

    def _hit(self, link: Link, text: bytes) -> Sequence[Item]:
        for live in self.of(FRAME):
            if live.wants_frame(link, text):
                made = self._made(live, link, text)
                if made is not None and self.take(live, connection=link.number, what=text):
                    return made()
        return (text,)

    def _made(self, live: Live, link: Link, text: bytes) -> Callable[[], Sequence[Item]] | None:
        """How to do this fault to this frame, None: it cannot be done to it."""
        fault = live.fault
        if fault.kind in frames.SPOILED:
            spoiled = frames.spoil(fault, text)
            return None if spoiled is None else lambda: (spoiled,)
        if fault.kind == "freeze" and text in PONGS:
            return None
        if fault.kind == "reorder" and (found := self._pending.get(link)) and found.held:
            return None
        return lambda: _DEEDS[fault.kind](self, fault, link, text)

    def _gap(self, fault: Fault, link: Link, text: bytes) -> Sequence[Item]:
        return ()

    def _duplicate(self, fault: Fault, link: Link, text: bytes) -> Sequence[Item]:
        return (text, text)

    def _reorder(self, fault: Fault, link: Link, text: bytes) -> Sequence[Item]:
        self._pending.setdefault(link, _Pending()).held = text
        return ()

    def _half_open(self, fault: Fault, link: Link, text: bytes) -> Sequence[Item]:
        link.is_deaf = True
        return ()

    def _cut(self, fault: Fault, link: Link, text: bytes) -> Sequence[Item]:
        data = frames.whole(text)
        return (Raw(data[: self._random.randrange(1, len(data))], is_last=True),)

    def _delay(self, fault: Fault, link: Link, text: bytes) -> Sequence[Item]:
        self._wait(link, text, self._clock.mono_ns() + (fault.delay_ms or 0) * MS_NS)
        return ()

    def _bomb(self, fault: Fault, link: Link, text: bytes) -> Sequence[Item]:
        if fault.how == "deflate":
            return (Raw(frames.deflated(fault.bytes, is_http=False)),)
        return (frames.nested(text, fault.depth),)

    def _wait(self, link: Link, item: Item, due_ns: int) -> None:
        """Send it at that stamp, and not before what waits already."""
        waiting = self._pending.setdefault(link, _Pending()).waiting
        if waiting:
            due_ns = max(due_ns, waiting[-1][0])
        waiting.append((due_ns, item))
        self._later(max(0, due_ns - self._clock.mono_ns()), lambda: self._release(link))

    def _release(self, link: Link) -> None:
        pending = self._pending.get(link)
        if pending and pending.waiting:
            link.put(pending.waiting.popleft()[1])
            if not pending.waiting and pending.held is None:
                del self._pending[link]

    # ---- connections

    def heard(self, link: Link) -> None:
        """Bytes came in: a socket may go deaf or be closed even where nothing is sent."""
        for live in self.of(FRAME) + self.of(SHAKE):
            fault = live.fault
            if fault.kind not in ("half_open", "close_storm") or fault.channel or fault.market:
                continue
            if link.is_deaf or link in self._closed or not link.path:
                continue
            if not live.wants_frame(link, b""):
                continue
            if self.take(live, connection=link.number, what=b"bytes"):
                if fault.kind == "half_open":
                    link.is_deaf = True
                else:
                    self._closed.add(link)
                    link.close(fault.code, "storm")

    def shake(self, link: Link, path: str) -> Shake:
        """A handshake for `path` was read."""
        for live in self.of(SHAKE):
            fault = live.fault
            fits = path.startswith(fault.path) and fault.connection in (0, link.number)
            if fits and self.take(live, connection=link.number, what=path.encode()):
                if fault.kind == "status":
                    status = HTTPStatus(fault.status or 0)
                    return Shake(status, orjson.dumps(status_body(fault)).decode())
                if fault.kind == "silence":
                    return Shake(is_mute=True)
                return Shake(close_code=fault.code, close_ns=(fault.delay_ms or 1) * MS_NS)
        return Shake()

    def close_later(self, link: Link, shake: Shake) -> None:
        """Of a storm: the connection just accepted is closed soon."""
        self._later(shake.close_ns, lambda: link.close(shake.close_code, "storm"))

    # ---- requests

    def request(
        self, method: str, path: str, *, body: bytes | None, asked: bytes = b"", key: str = ""
    ) -> Fault | None:
        """The fault that hits this request; before it is handled (`body` None), or its answer.
        `asked`: its own body; `key`: of the order in it.
        """
        stage = REFUSED if body is None else ANSWERED
        return self._asked(stage, method, path, asked=asked, body=body or b"", key=key)

    def arrives(self, method: str, path: str, asked: bytes) -> Fault | None:
        """The fault that hits the bytes of a request before they are understood."""
        return self._asked(BYTES, method, path, asked=asked)

    def _asked(
        self, stage: str, method: str, path: str, *, asked: bytes, body: bytes = b"", key: str = ""
    ) -> Fault | None:
        for live in self.of(REST):
            fault = live.fault
            if fault.stage != stage or not fault.path or not path.startswith(fault.path):
                continue
            if fault.method not in ("", method):
                continue
            named = path.encode() + asked
            if live.words and not any(word in named for word in live.words):
                continue
            is_spoiled = stage == ANSWERED and fault.kind in frames.SPOILED
            if is_spoiled and frames.spoil(fault, body) is None:
                continue
            what = f"{method} {path} {fault.market}".rstrip()
            if self.take(live, connection=0, what=what.encode(), key=key):
                return fault
        return None

    def place(self, size: int) -> int:
        """Where to cut a message of `size` bytes."""
        return self._random.randrange(1, max(2, size))

    def noise(self) -> bytes:
        """Bytes that are no answer."""
        return b"\x00" + self._random.randbytes(64)


Deed = Callable[[Injector, Fault, Link, bytes], Sequence[Item]]
_DEEDS: dict[str, Deed] = {
    "gap": Injector._gap,
    "freeze": Injector._gap,
    "duplicate": Injector._duplicate,
    "reorder": Injector._reorder,
    "half_open": Injector._half_open,
    "cut": Injector._cut,
    "delay": Injector._delay,
    "bomb": Injector._bomb,
}


def status_body(fault: Fault) -> dict[str, Any]:
    """What a refused request is told."""
    if fault.body is not None or (fault.status or 0) < HTTPStatus.BAD_REQUEST:
        return fault.body or {}
    return {"error": HTTPStatus(fault.status or 0).phrase.lower()}


def names_of(market: MarketSpec) -> list[str]:
    """Everything a market is called in frames."""
    names = (market.ticker, market.condition_id, market.token_yes, market.token_no)
    return [name for name in names if name]
