"""The desk's own numbers from the settings: the last gate checks them again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from gateway.params import DeskParams

if TYPE_CHECKING:
    from gateway.policy import Caps
    from ops.config import Settings


SIGNED_TIMES = 150  # dollars signed for a dollar that may be at risk: one size of many is used


def for_cores(settings: Settings, is_pinned: bool) -> Settings:
    """How old a signal may be follows the cores: 2 ms where detector and gateway spin on their own,
    50 ms where they share (testing profile)."""
    if not is_pinned:
        return settings
    age_ns = settings.edge.signal_age_pinned_ns
    edge = dataclasses.replace(settings.edge, signal_age_max_ns=age_ns)
    return dataclasses.replace(settings, edge=edge)


def signed_caps(settings: Settings) -> Caps:
    """How much the signer signs at most, from what may be at risk at most: small limits make a
    small pool.
    """
    from gateway.policy import Caps  # with numba, which must not come before its cache

    limits = settings.limits
    total_e6 = max(SIGNED_TIMES * limits.total_max_e6, limits.order_max_e6)
    token_e6 = max(SIGNED_TIMES * limits.market_max_e6, limits.order_max_e6)
    return Caps(
        order_e6=limits.order_max_e6, token_e6=min(token_e6, total_e6), total_e6=total_e6
    )


def desk_params(settings: Settings) -> DeskParams:
    """Raises ValueError naming the field if the desk would refuse them."""
    edge, limits = settings.edge, settings.limits
    return DeskParams(
        order_max_e6=limits.order_max_e6,
        market_max_e6=limits.market_max_e6,
        event_max_e6=limits.event_max_e6,
        asset_max_e6=limits.asset_max_e6,
        venue_max_e6=limits.venue_max_e6,
        total_max_e6=limits.total_max_e6,
        day_max_e6=limits.day_max_e6,
        unhedged_max_e6=limits.unhedged_max_e6,
        orders_per_second=limits.orders_per_second,
        orders_per_minute=limits.orders_per_minute,
        orders_per_day=limits.orders_per_day,
        edge_min_e6=max(edge.edge_min_e6, 1),
        price_low_e6=edge.price_low_e6,
        price_high_e6=edge.price_high_e6,
        beat_max_ns=edge.beat_max_ns,
        quote_age_max_ns=edge.quote_age_max_ns,
        signal_age_max_ns=edge.signal_age_max_ns,
        loss_cap_e6=limits.loss_cap_e6,
        time_cap_ns=limits.time_cap_ns,
        connect_max_ns=settings.gateway.connect_max_ns,
        reply_max_ns=settings.gateway.reply_max_ns,
        mismatches_max=limits.mismatches_max,
        circuit_failures=settings.gateway.circuit_failures,
        circuit_open_ns=settings.gateway.circuit_open_ns,
        drift_ns=settings.gateway.drift_ns,
        fair_off_e6=settings.gateway.fair_off_e6,
        formula_off_e6=settings.gateway.formula_off_e6,
    )
