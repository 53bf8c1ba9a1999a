"""Polymarket's rate limits: the signer's two buckets with their headers, the edge's windows."""

from __future__ import annotations

from typing import Any

import pytest

from ops.venues.polymarket_limits import TIERS, EdgeLimits, SignerLimits
from ops.venues.spec import PolymarketTerms
from tests.ops.venues.polymarket_office import SECOND, Office
from tests.ops.venues.rig import poly_order

GTC: dict[str, Any] = {"buy": True, "maker": "4", "taker": "10", "order_type": "GTC"}


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_gives_its_burst_and_then_its_rate(tier: str) -> None:
    rate, burst, cancels, cancel_burst = TIERS[tier]
    limits = SignerLimits(orders_per_s=rate, now_ns=0)
    assert (limits.tier, burst, cancels, cancel_burst) == (
        tier, rate * 3 // 2, rate * 2, rate * 3 // 2 * 2,
    )  # fmt: skip
    assert limits.orders(burst, now_ns=0, epoch_ns=0).refusal is None
    refused = limits.orders(1, now_ns=0, epoch_ns=0)
    assert refused.refusal is not None and refused.refusal.status == 429
    assert limits.orders(rate, now_ns=SECOND, epoch_ns=0).refusal is None
    assert limits.orders(1, now_ns=SECOND, epoch_ns=0).refusal is not None
    assert limits.cancels(cancel_burst, now_ns=SECOND, epoch_ns=0).refusal is None


def test_a_cancel_of_many_overdraws_and_the_next_waits() -> None:
    limits = SignerLimits(orders_per_s=40, now_ns=0)
    first = limits.cancels(200, now_ns=0, epoch_ns=7 * SECOND)
    assert first.refusal is None
    assert first.headers["Poly-RateLimit-Remaining"] == "-80"
    second = limits.cancels(1, now_ns=0, epoch_ns=7 * SECOND)
    assert second.refusal is not None
    assert second.headers["Retry-After"] == "2"
    assert second.headers["Poly-RateLimit-Reset"] == "8"
    assert limits.cancels(1, now_ns=2 * SECOND, epoch_ns=0).refusal is None


def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    office = Office(orders_per_s=10)
    batch = [poly_order(**GTC) for _ in range(15)]
    status, _, headers = office.answer("POST", "/orders", batch)
    assert (status, headers["Poly-RateLimit-Remaining"]) == (200, "0")
    status, body, headers = office.answer("POST", "/orders", batch[:2])
    assert (status, body) == (429, {"error": "Too Many Requests"})
    assert headers["Retry-After"] == "1"
    assert office.log.counts["polymarket"]["refused_rate"] == 1
    office.advance(SECOND // 5)
    assert office.answer("POST", "/order", poly_order(**GTC))[0] == 200


def test_cancel_all_costs_one_and_one_each() -> None:
    office = Office()
    for _ in range(3):
        office.post(**GTC)
    _, body, headers = office.answer("DELETE", "/cancel-all")
    assert len(body["canceled"]) == 3
    assert headers["Poly-RateLimit-Remaining"] == str(1800 - 4)
    assert headers["Poly-RateLimit-Tier"] == "elite"


def test_a_warning_refuses_nothing() -> None:
    office = Office(orders_per_s=1, terms=PolymarketTerms(is_warning=True))
    assert office.answer("POST", "/order", poly_order(**GTC))[0] == 200
    status, _, headers = office.answer("POST", "/order", poly_order(**GTC))
    assert (status, headers["Poly-RateLimit-Warning"]) == (200, "true")


def test_the_edge_counts_each_path_in_a_sliding_window() -> None:
    edge = EdgeLimits()
    for at in range(200):
        assert edge.refuses("GET", "/tick-size", at) is None
    refused = edge.refuses("GET", "/tick-size", 200)
    assert refused is not None and (refused.status, refused.headers) == (429, {"Retry-After": "10"})
    assert edge.refuses("GET", "/neg-risk", 200) is None
    assert edge.refuses("GET", "/tick-size", 10 * SECOND) is None, "the oldest has left"
    assert edge.refuses("GET", "/tick-size", 10 * SECOND) is not None


def test_the_edge_is_before_the_key_and_benches_have_none() -> None:
    office = Office()
    for _ in range(100):
        office.call("POST", "/auth/api-key", headers={})
    status, body = office.call("POST", "/auth/api-key", headers={})
    assert (status, body) == (429, {"error": "Too Many Requests"})
    assert office.log.counts["polymarket"]["refused_edge"] == 1
    free = Office(orders_per_s=1_000_000)
    assert {free.call("POST", "/auth/api-key", headers={})[0] for _ in range(150)} == {401}
