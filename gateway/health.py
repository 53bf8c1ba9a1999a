"""How a venue bears being asked. Pure: time and chance are arguments.

Reads that it answers with 429 back off together: 4, 8, 16, 32, 64 s, a part of it left to chance.
That opens no circuit: a breaker, one for each endpoint, is for 5xx and timeouts. Open, it lets
nothing through for a stated time, then one request as a probe: its answer closes it, its failure
opens it again. Orders that reduce never ask it: they go, and their answers count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.link import Answer
from gateway.throttle import Bucket

ORDERS = "orders"  # the endpoint of every order
WAITS_S = (4, 8, 16, 32, 64)
SECOND_NS = 1_000_000_000
JITTER = 4  # up to a fourth of a wait is left off by chance
ENDPOINTS_MAX = 64  # what comes beyond shares one
ID_CHARS = 24  # a longer part of a path names one thing, not an endpoint
TOO_MANY, REQUEST_TIMEOUT, ILL = 429, 408, 500
NEWS_MAX = 64


@dataclass(slots=True)
class Breaker:
    """Of one endpoint. `until_ns` 0: closed."""

    failures: int = 0
    until_ns: int = 0
    is_probing: bool = False

    def allows(self, now_ns: int) -> bool:
        """Whether a request may go; of an open one whose time is over: one."""
        return not self.until_ns or (now_ns >= self.until_ns and not self.is_probing)


@dataclass(slots=True, kw_only=True)
class Health:
    """Of one venue. `failures_max` in a row open a circuit for `open_ns`; `chance(n)`: 0 to n − 1.
    `reads`: what its reads may cost; None: no such budget. `opened` and `refused` count; `news` is
    for the log.
    """

    name: str = ""
    failures_max: int = 5
    open_ns: int = 2 * SECOND_NS
    chance: Callable[[int], int] = lambda _: 0
    reads: Bucket | None = None
    slow_until_ns: int = 0
    slow_step: int = 0
    opened: int = 0
    refused: int = 0
    news: list[str] = field(default_factory=list)
    _breakers: dict[str, Breaker] = field(default_factory=dict)

    def _breaker(self, endpoint: str) -> Breaker:
        found = self._breakers.get(endpoint)
        if found is None:
            name = endpoint if len(self._breakers) < ENDPOINTS_MAX else ""
            found = self._breakers.setdefault(name, Breaker())
        return found

    def allows(self, endpoint: str, now_ns: int) -> bool:
        """Whether a request may go to an endpoint now."""
        return self._breaker(endpoint).allows(now_ns)

    def sent(self, endpoint: str) -> None:
        """A request has left."""
        breaker = self._breaker(endpoint)
        breaker.is_probing = breaker.until_ns > 0

    def heard(self, endpoint: str, answer: Answer) -> None:
        """What came of it."""
        breaker, now_ns = self._breaker(endpoint), answer.ack_ns
        breaker.is_probing = False
        if answer.status == TOO_MANY:
            if endpoint != ORDERS:
                self._slow(now_ns, answer.retry_after_ns)
        elif answer.error == "timeout" or answer.status >= ILL or answer.status == REQUEST_TIMEOUT:
            self._failed(endpoint, breaker, answer)
        elif not answer.error:
            if breaker.until_ns:
                self._tell(f"circuit of {endpoint} closed")
            breaker.failures = breaker.until_ns = 0
            if endpoint != ORDERS:
                self.slow_step = 0

    def _failed(self, endpoint: str, breaker: Breaker, answer: Answer) -> None:
        breaker.failures += 1
        if breaker.failures < self.failures_max:
            return
        if not breaker.until_ns:
            self.opened += 1
            found = answer.error or str(answer.status)
            self._tell(f"circuit of {endpoint} open after {breaker.failures} failures ({found})")
        breaker.until_ns = answer.ack_ns + self.open_ns

    def _slow(self, now_ns: int, retry_after_ns: int) -> None:
        """Those that were on their way say nothing new."""
        self.refused += 1
        if now_ns < self.slow_until_ns:
            return
        whole_ns = WAITS_S[min(self.slow_step, len(WAITS_S) - 1)] * SECOND_NS
        self.slow_step += 1
        wait_ns = max(whole_ns - self.chance(whole_ns // JITTER), retry_after_ns)
        self.slow_until_ns = now_ns + min(wait_ns, WAITS_S[-1] * SECOND_NS)
        self._tell(f"reads wait {wait_ns / SECOND_NS:.1f} s: too many requests")

    def wait_ns(self, cost: int, now_ns: int) -> int:
        """How long a read must wait; 0: it may go, and what it costs is taken."""
        if now_ns < self.slow_until_ns:
            return self.slow_until_ns - now_ns
        if self.reads is None or not cost:
            return 0
        if self.reads.has(cost, now_ns):
            self.reads.take(cost, now_ns)
            return 0
        return cost * SECOND_NS // self.reads.rate + 1

    def is_slow(self, now_ns: int) -> bool:
        """Whether reads back off."""
        return now_ns < self.slow_until_ns

    @property
    def is_open(self) -> bool:
        """Whether opening orders are refused, or go one at a time."""
        return self._breaker(ORDERS).until_ns > 0

    def _tell(self, text: str) -> None:
        if len(self.news) < NEWS_MAX:
            self.news.append(f"{self.name}: {text}")


def endpoint_of(path: str) -> str:
    """A path without what names one order."""
    return "/".join(part if len(part) <= ID_CHARS else "*" for part in path.split("/"))
