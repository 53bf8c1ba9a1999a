"""The desk's numbers, and what the signer may sign, from the settings."""

from __future__ import annotations

import dataclasses

from ops.config import load
from ops.desk_limits import SIGNED_TIMES, desk_params, signed_caps
from shm_layout import E6


def test_small_limits_make_small_caps() -> None:
    settings = load("testing")
    small = dataclasses.replace(
        settings.limits, order_max_e6=5 * E6, market_max_e6=20 * E6, event_max_e6=20 * E6,
        venue_max_e6=50 * E6, total_max_e6=50 * E6,
    )  # fmt: skip
    caps = signed_caps(dataclasses.replace(settings, limits=small))
    assert (caps.order_e6, caps.token_e6, caps.total_e6) == (
        5 * E6, SIGNED_TIMES * 20 * E6, SIGNED_TIMES * 50 * E6
    )  # fmt: skip
    assert signed_caps(settings).total_e6 > caps.total_e6


def test_a_market_limit_above_the_total_is_cut_to_it() -> None:
    settings = load("testing")
    odd = dataclasses.replace(settings.limits, market_max_e6=settings.limits.total_max_e6)
    caps = signed_caps(dataclasses.replace(settings, limits=odd))
    assert caps.token_e6 == caps.total_e6


def test_how_far_a_bet_may_be_from_the_desks_own_reading_is_told() -> None:
    settings = load("testing", None, {"ARB_GATEWAY_FORMULA_OFF_MAX": "0.2"})
    told = desk_params(settings)
    assert (told.fair_off_e6, told.formula_off_e6) == (50_000, 200_000)
