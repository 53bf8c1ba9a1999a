"""What each strategy can be told: a section `[strategies.NAME]` each. Names, order and parameters
are those of engine/strategies/table.py.

Shares are of the bankroll (the cash of the market's account), distances shares of the strike.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ops.setting_kinds import (
    COUNT,
    DOLLARS,
    DOWN,
    EITHER,
    FACTOR,
    FRACTION,
    MS,
    PPM_SECOND,
    UP,
    key,
)

GROUP = "strategies"  # before the dot of a section's name
DAY_MS = 86_400_000
LEAST = Decimal("0.000001")  # of what is divided by


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What all of them have."""

    on: int = key("on", COUNT, 0, 1, DOWN)
    edge_min_e6: int = key("edge_min", DOLLARS, 0, 1, UP)
    confidence_min_e6: int = key("confidence_min", FACTOR, 0, 1, UP)
    fair: int = key("fair_theirs", COUNT, 0, 1, DOWN)
    cap_e6: int = key("cap", FACTOR, 0, 1, DOWN)
    total_e6: int = key("total", FACTOR, 0, 1, DOWN)
    cooldown_ns: int = key("cooldown_ms", MS, 0, DAY_MS, UP)
    orders_max: int = key("orders_max", COUNT, 0, 1_000_000, DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceFade(Strategy):
    """Spot clearly off the strike, quotes lag."""

    distance_min_e9: int = key("distance_min", FRACTION, 0, 1, UP)
    scale_e9: int = key("scale", FRACTION, LEAST, 1, EITHER)
    confident_e9: int = key("confident", FRACTION, LEAST, 1, UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Momentum(Strategy):
    """Strong one-sided flow, quotes lag."""

    fraction_min_e6: int = key("fraction_min", FACTOR, 0, 1, UP)
    distance_min_e9: int = key("distance_min", FRACTION, 0, 1, UP)
    trades_min: int = key("trades_min", COUNT, 0, 8_192, UP)
    velocity_min_e12: int = key("velocity_min", PPM_SECOND, 0, 1_000_000, UP)
    price_max_e6: int = key("price_max", DOLLARS, 0, 1, DOWN)
    theirs_e6: int = key("theirs", FACTOR, 0, 1, DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementSniper(Strategy):
    """Late and far from the strike."""

    left_min_ns: int = key("left_min_ms", MS, 0, DAY_MS, UP)
    left_max_ns: int = key("left_max_ms", MS, 0, DAY_MS, DOWN)
    distance_min_e9: int = key("distance_min", FRACTION, 0, 1, UP)
    reversal_max_e12: int = key("reversal_max", PPM_SECOND, 0, 1_000_000, DOWN)
    confidence_e6: int = key("confidence", FACTOR, 0, 1, DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Strategy):
    """Spot has traded, quotes have not followed."""

    confidence_e6: int = key("confidence", FACTOR, 0, 1, DOWN)
    moved_min_e6: int = key("moved_min", FACTOR, 0, 1, UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty(Strategy):
    """Many deviations off the strike, still cheap."""

    z_low_e6: int = key("z_low", FACTOR, 0, 100, UP)
    z_middle_e6: int = key("z_middle", FACTOR, 0, 100, UP)
    z_high_e6: int = key("z_high", FACTOR, 0, 100, UP)
    cap_low_e6: int = key("cap_low", FACTOR, 0, 1, DOWN)
    cap_middle_e6: int = key("cap_middle", FACTOR, 0, 1, DOWN)
    confidence_e6: int = key("confidence", FACTOR, 0, 1, DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvexityFade(Strategy):
    """Near the strike, no trend: back to fair value."""

    distance_max_e9: int = key("distance_max", FRACTION, 0, 1, DOWN)
    left_min_ns: int = key("left_min_ms", MS, 0, DAY_MS, UP)
    trend_e6: int = key("trend", FACTOR, 0, 1, DOWN)
    confidence_e6: int = key("confidence", FACTOR, 0, 1, DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Misalignment(Strategy):
    """The tick that became the strike was off the mean price around it."""

    elapsed_max_ns: int = key("elapsed_max_ms", MS, 0, DAY_MS, DOWN)
    shift_min_e6: int = key("shift_min", FACTOR, 0, 1, UP)
    confidence_e6: int = key("confidence", FACTOR, 0, 1, DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtremeBuyer(Strategy):
    """The losing side, cheap, with time left."""

    z_min_e6: int = key("z_min", FACTOR, 0, 100, UP)
    left_min_ns: int = key("left_min_ms", MS, 0, DAY_MS, UP)
    price_max_e6: int = key("price_max", DOLLARS, 0, 1, DOWN)
    trend_e6: int = key("trend", FACTOR, 0, 1, DOWN)
    confidence_e6: int = key("confidence", FACTOR, 0, 1, DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossTimeframe(Strategy):
    """Windows of three lengths whose volatilities do not lie on one line."""

    outlier_min_e6: int = key("outlier_min", FACTOR, 0, 10, UP)
    confidence_e6: int = key("confidence", FACTOR, 0, 1, DOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEdge(Strategy):
    """Our fair value against the executable price."""

    sigma_error_e6: int = key("sigma_error", FACTOR, 0, 10, UP)
    fair_error_e6: int = key("fair_error", FACTOR, LEAST, 1, UP)


STRATEGIES: dict[str, type[Strategy]] = {
    "distance_fade": DistanceFade,
    "momentum": Momentum,
    "settlement_sniper": SettlementSniper,
    "latency": Latency,
    "certainty": Certainty,
    "convexity_fade": ConvexityFade,
    "misalignment": Misalignment,
    "extreme_buyer": ExtremeBuyer,
    "cross_timeframe": CrossTimeframe,
    "model_edge": ModelEdge,
}
