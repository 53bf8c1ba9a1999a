"""Polymarket's two kinds of rate limit (reference section 10, documentation of July 2026).

Per signer: token buckets for orders and for cancels, told in `Poly-RateLimit-*` headers. Per
address, at the edge: sliding windows by path. The venue slows a caller down before it refuses;
here the excess is refused at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ops.venues.numerals import SECOND_NS
from ops.venues.polymarket_gate import seconds_left_text
from ops.venues.rest import Answer

# tier: orders per s, their burst, cancels per s, their burst. The three highest tiers' cancels are
# not told; all others have twice their orders.
TIERS = {
    "standard": (40, 60, 80, 120),
    "copper": (60, 90, 120, 180),
    "bronze": (80, 120, 160, 240),
    "silver": (200, 300, 400, 600),
    "gold": (400, 600, 800, 1200),
    "platinum": (450, 675, 900, 1350),
    "diamond": (525, 787, 1050, 1574),
    "elite": (600, 900, 1200, 1800),
}
_MINUTES = 600
# (method, path) or the path's first part: windows of (requests, seconds).
_EDGE: dict[tuple[str, str], tuple[tuple[int, int], ...]] = {
    ("POST", "/order"): ((5000, 10), (120_000, _MINUTES)),
    ("DELETE", "/order"): ((5000, 10), (120_000, _MINUTES)),
    ("POST", "/orders"): ((2000, 10), (21_000, _MINUTES)),
    ("DELETE", "/orders"): ((2000, 10), (15_000, _MINUTES)),
    ("DELETE", "/cancel-all"): ((250, 10),),
    ("DELETE", "/cancel-market-orders"): ((1500, 10),),
    ("GET", "/book"): ((1500, 10),),
    ("GET", "/price"): ((1500, 10),),
    ("GET", "/midpoint"): ((1500, 10),),
    ("POST", "/books"): ((500, 10),),
    ("POST", "/prices"): ((500, 10),),
    ("POST", "/midpoints"): ((500, 10),),
    ("GET", "/tick-size"): ((200, 10),),
    ("GET", "/data/orders"): ((500, 10),),
    ("GET", "/data/trades"): ((500, 10),),
    ("POST", "/auth/api-key"): ((100, 10),),
    ("GET", "/auth/derive-api-key"): ((100, 10),),
    ("GET", "/balance-allowance"): ((200, 10),),
    ("GET", "/balance-allowance/update"): ((50, 10),),
}
_ALL: tuple[tuple[int, int], ...] = ((9000, 10),)


class SignedBucket:
    """A token bucket whose balance may fall below nothing. In machine time; a token is 1e9
    units.
    """

    def __init__(self, *, tokens_per_s: int, burst: int, now_ns: int) -> None:
        self.tokens_per_s = tokens_per_s
        self.burst = burst
        self._units = burst * SECOND_NS
        self._at_ns = now_ns

    def _refill(self, now_ns: int) -> None:
        gained = (now_ns - self._at_ns) * self.tokens_per_s
        self._units = min(self.burst * SECOND_NS, self._units + gained)
        self._at_ns = now_ns

    def left(self, now_ns: int) -> int:
        """Whole tokens now, rounded down; negative after a charge beyond the balance."""
        self._refill(now_ns)
        return self._units // SECOND_NS

    def charge(self, tokens: int, now_ns: int) -> None:
        """Take `tokens` whatever is left."""
        self._refill(now_ns)
        self._units -= tokens * SECOND_NS

    def wait_ns(self, tokens: int, now_ns: int) -> int:
        """How long until `tokens` are there; 0: they are."""
        self._refill(now_ns)
        missing = tokens * SECOND_NS - self._units
        return max(0, -(-missing // self.tokens_per_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`refusal` None: the request goes on and its answer gets `headers`."""

    headers: dict[str, str]
    refusal: Answer | None = None


class SignerLimits:
    """One signer's two buckets. Orders must be covered; a cancel needs one token and may overdraw.

    `orders_per_s`: a tier's rate, or any other for tests; the burst is one and a half seconds of
    it, cancels have twice of both. `is_warning`: nothing is refused, what would be is marked, as
    from 2026-07-24 to 2026-08-06.
    """

    def __init__(self, *, orders_per_s: int, now_ns: int, is_warning: bool = False) -> None:
        named = [name for name, rates in TIERS.items() if rates[0] == orders_per_s]
        self.tier = named[0] if named else "custom"
        order_burst, cancels_per_s = orders_per_s * 3 // 2, orders_per_s * 2
        self._orders = SignedBucket(tokens_per_s=orders_per_s, burst=order_burst, now_ns=now_ns)
        self._cancels = SignedBucket(
            tokens_per_s=cancels_per_s, burst=order_burst * 2, now_ns=now_ns
        )
        self._is_warning = is_warning

    def orders(self, count: int, *, now_ns: int, epoch_ns: int) -> Verdict:
        """All of a batch or nothing."""
        return self._pay(self._orders, count, count, now_ns, epoch_ns)

    def cancels(self, count: int, *, now_ns: int, epoch_ns: int) -> Verdict:
        """`count` may exceed what is left: the balance goes below nothing."""
        return self._pay(self._cancels, 1, count, now_ns, epoch_ns)

    def _pay(
        self, bucket: SignedBucket, needed: int, cost: int, now_ns: int, epoch_ns: int
    ) -> Verdict:
        wait_ns = bucket.wait_ns(needed, now_ns)
        if not wait_ns or self._is_warning:
            bucket.charge(cost, now_ns)
        headers = {
            "Poly-RateLimit-Remaining": str(bucket.left(now_ns)),
            "Poly-RateLimit-Reset": str((epoch_ns + wait_ns) // SECOND_NS),
            "Poly-RateLimit-Tier": self.tier,
        }
        if not wait_ns:
            return Verdict(headers=headers)
        if self._is_warning:
            return Verdict(headers={**headers, "Poly-RateLimit-Warning": "true"})
        headers["Retry-After"] = seconds_left_text(wait_ns)
        return Verdict(headers=headers, refusal=too_many(headers))


class EdgeLimits:
    """Sliding windows per path, as one address sees them."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, int], deque[int]] = {}

    def refuses(self, method: str, path: str, now_ns: int) -> Answer | None:
        """Count a request; its refusal if a window is full."""
        full_ns = 0
        windows = [(("", "", seconds), most, seconds) for most, seconds in _ALL]
        for most, seconds in _EDGE.get((method, path), ()):
            windows.append(((method, path, seconds), most, seconds))
        found = []
        for key, most, seconds in windows:
            seen = self._seen.setdefault(key, deque())
            start_ns = now_ns - seconds * SECOND_NS
            while seen and seen[0] <= start_ns:
                seen.popleft()
            if len(seen) >= most:
                full_ns = max(full_ns, seen[0] - start_ns)
            found.append(seen)
        if full_ns:
            return too_many({"Retry-After": seconds_left_text(full_ns)})
        for seen in found:
            seen.append(now_ns)
        return None


def too_many(headers: dict[str, str]) -> Answer:
    """The venue's 429."""
    return Answer(429, {"error": "Too Many Requests"}, headers)
