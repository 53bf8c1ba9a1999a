"""Kalshi's token buckets: what a tier refills and what a call costs.

Buckets are per account, READ and WRITE apart, refilled continuously (docs "Rate Limits and Tiers",
copy of 2026-07-17; tiers of 2026-09-26). The burst is one second of refill, as seen on demo Basic
2026-06-11; newer docs say two or three. Costs as demo told them on 2026-06-11, without the order
routes of V1 that are gone. A refusal has no Retry-After and no penalty.
"""

from __future__ import annotations

from typing import Any

from ops.venues.kalshi_auth import error_body
from ops.venues.session import Bucket

BASE = "/trade-api/v2"
COST = 10
CHEAP = 2
TIERS = {  # tokens a second: read, write
    "basic": (200, 100),
    "advanced": (300, 300),
    "expert": (600, 600),
    "premier": (1200, 1200),
    "paragon": (2000, 2000),
    "prime": (4800, 4800),
    "prestige": (12000, 9600),
}
ENDPOINT_COSTS = (
    ("POST", "/account/api_usage_level/upgrade", 30),
    ("GET", "/cfbenchmarks", 150),
    ("GET", "/cfbenchmarks/*endpoint", 150),
    ("POST", "/communications/quotes", CHEAP),
    ("DELETE", "/communications/quotes/:quote_id", CHEAP),
    ("GET", "/margin/balance", 5),
    ("PUT", "/multivariate_event_collections/:collection_ticker/lookup", CHEAP),
    ("DELETE", "/portfolio/events/orders/:order_id", CHEAP),
    ("DELETE", "/portfolio/events/orders/batched", CHEAP),
    ("GET", "/portfolio/orders/:order_id", CHEAP),
)
TOO_MANY = error_body("too_many_requests", "too many requests")  # seen live 2026-09-26
TOO_MANY_SHORT = {"error": "too many requests"}  # as the docs of July 2026 have it


class KalshiLimits:
    """Both buckets of one account. `tokens_per_s` above 0: both refills instead of the tier's."""

    def __init__(self, *, tier: str, tokens_per_s: int, now_ns: int) -> None:
        assert tier in TIERS, f"tier is {tier!r}, wanted one of {sorted(TIERS)}"
        read, write = TIERS[tier]
        self._tier = tier
        self.read = _bucket(tokens_per_s or read, now_ns)
        self.write = _bucket(tokens_per_s or write, now_ns)

    def json(self) -> dict[str, Any]:
        """GET /account/limits."""
        return {
            "grants": [],
            "read": _rate(self.read),
            "usage_tier": self._tier,
            "write": _rate(self.write),
        }


def costs_json() -> dict[str, Any]:
    """GET /account/endpoint_costs."""
    rows = [{"cost": cost, "method": way, "path": BASE + at} for way, at, cost in ENDPOINT_COSTS]
    return {"default_cost": COST, "endpoint_costs": rows}


def _bucket(tokens_per_s: int, now_ns: int) -> Bucket:
    return Bucket(tokens_per_s=tokens_per_s, burst=tokens_per_s, now_ns=now_ns)


def _rate(bucket: Bucket) -> dict[str, int]:
    return {"bucket_capacity": bucket.burst, "refill_rate": bucket.tokens_per_s}
