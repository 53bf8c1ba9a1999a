"""The trust word of a quote: 0 = trade on it, else the bits say why not. And when a link is silent.

`word` is plain Python, and `book.py` compiles the same function (njit) into its kernels: there is
one definition. Bits that events raise and lower (no snapshot, gap, silent link, drift) are
remembered; bits that the book itself shows are derived at each publish, so they cannot be left
over: crossed, market not open, best price other than the venue's.
"""

from __future__ import annotations

from shm_layout import CROSSED, NOT_OPEN, REST_MISMATCH, ST_ACTIVE

NO_CLAIM = -1  # the venue did not say what it takes for the best price


def word(
    remembered: int, status: int, best_bid: int, best_ask: int, claim_bid: int, claim_ask: int
) -> int:
    """The trust word. Prices are any ordered numbers; an empty side is below or above all others.

    Locked (bid = ask) counts as crossed: neither happens in a book that is whole (kalshi.md 14).
    """
    trust = remembered
    if best_bid >= best_ask:
        trust |= CROSSED
    if status != ST_ACTIVE:
        trust |= NOT_OPEN
    if claim_bid not in (NO_CLAIM, best_bid) or claim_ask not in (NO_CLAIM, best_ask):
        trust |= REST_MISMATCH
    return trust


class LinkWatch:
    """How long the link has said nothing at all: data, pong and heartbeat all count.

    Quiet is not stale: a market may be silent for minutes while the venue answers our pings, so
    only the link's age is judged here. Pure: times come in.
    """

    def __init__(self, *, silent_ns: int, dead_ns: int) -> None:
        assert 0 < silent_ns < dead_ns, (silent_ns, dead_ns)
        self._silent_ns = silent_ns
        self._dead_ns = dead_ns
        self.heard_ns = 0
        self.is_up = False
        self.is_silent = False

    def opened(self, now_ns: int) -> None:
        """A new connection; its age starts now."""
        self.heard_ns, self.is_up, self.is_silent = now_ns, True, False

    def closed(self) -> None:
        """No connection: nothing to watch, the books lost their snapshots anyway."""
        self.is_up = self.is_silent = False

    def spoke(self, now_ns: int) -> bool:
        """Anything came in. True if the link had been called silent until now."""
        self.heard_ns = now_ns
        was, self.is_silent = self.is_silent, False
        return was

    def fell_silent(self, now_ns: int) -> bool:
        """True once, when the link has become silent."""
        if not self.is_up or self.is_silent or now_ns - self.heard_ns <= self._silent_ns:
            return False
        self.is_silent = True
        return True

    def is_dead(self, now_ns: int) -> bool:
        """True if only a new connection helps."""
        return self.is_up and now_ns - self.heard_ns > self._dead_ns
