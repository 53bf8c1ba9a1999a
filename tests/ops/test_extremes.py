"""All-time lows and highs as they are told, and of which indices they are."""

from __future__ import annotations

from ops.config import load
from ops.extremes import by_slot, extremes_of
from ops.model_role import habits_of
from tests.ops.test_assets import TEN

SLOTS = {
    "coinbase": {"BTC-USD": 0, "ETH-USD": 1}, "binance": {"BTCUSDT": 2}, "kraken": {"BTC/USD": 3},
    "coingecko": {"bitcoin": 4}, "cfbenchmarks": {"BRTI": 5, "ETHUSD_RTI": 6},
    "polybolt": {"btcusd": 7},
}  # fmt: skip


def test_they_are_of_every_index_of_their_coin_and_of_no_exchanges_product() -> None:
    told = extremes_of(["bitcoin=67.81..126198.07"], TEN)
    assert told == {"BTC": (67.81, 126_198.07)}
    assert by_slot(told, SLOTS) == dict.fromkeys((2, 5, 7), (67.81, 126_198.07))


def test_settings_become_habits_and_no_profile_has_any() -> None:
    for profile in ("conservative", "moderate", "aggressive", "testing"):
        plain = habits_of(load(profile), SLOTS)
        assert (plain.is_time_twice, plain.extremes) == (False, {})
    environment = {
        "ARB_FAIR_TIME_COUNTED_TWICE": "1", "ARB_FAIR_EXTREMES": "ETH=0.42..4953.73",
        "ARB_FAIR_EXTREMES_DAYS": "7",
    }  # fmt: skip
    found = habits_of(load("testing", None, environment), SLOTS)
    assert (found.is_time_twice, found.late_s) == (True, 7 * 86_400)
    assert found.extremes == {6: (0.42, 4_953.73)}
