"""What no single key can show: keys that contradict each other, names that nothing goes by."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace

from gateway.params import BALANCES, BURST, LOOKS_NS, WITHIN_NS
from ops import series
from ops.assets import AssetError, Assets
from ops.config_read import Mistakes, Told
from ops.extremes import extremes_of
from ops.settings import INTERVALS
from ops.strategy_settings import GROUP, STRATEGIES

S_NS, MS_NS = 1_000_000_000, 1_000_000
Values = MutableMapping[tuple[str, str], Told]
ORDER = (  # section.key at most section.key, or below it
    ("edge.price_low", "below", "edge.price_high"),
    ("limits.order_max", "at most", "limits.market_max"),
    ("limits.market_max", "at most", "limits.total_max"),
    ("limits.event_max", "at most", "limits.total_max"),
    ("limits.asset_max", "at most", "limits.total_max"),
    ("limits.venue_max", "at most", "limits.total_max"),
    ("limits.unhedged_max", "at most", "limits.total_max"),
    ("limits.orders_per_second", "at most", "limits.orders_per_minute"),
    ("limits.orders_per_minute", "at most", "limits.orders_per_day"),
    ("risk.intent_min", "at most", "limits.market_max"),
    ("processes.backoff_ms", "at most", "processes.backoff_max_ms"),
    ("strategies.settlement_sniper.left_min_ms", "below",
     "strategies.settlement_sniper.left_max_ms"),
    ("strategies.certainty.z_low", "at most", "strategies.certainty.z_middle"),
    ("strategies.certainty.z_middle", "at most", "strategies.certainty.z_high"),
    ("strategies.certainty.cap_low", "at most", "strategies.certainty.cap_middle"),
    ("strategies.certainty.cap_middle", "at most", "strategies.certainty.cap"),
    *((f"{GROUP}.{name}.cap", "at most", f"{GROUP}.{name}.total") for name in STRATEGIES),
)  # fmt: skip


def _name(text: str) -> tuple[str, str]:
    section, _, key = text.rpartition(".")
    return section, key


def check_together(told: Values, mistakes: Mistakes) -> None:
    """Adds mistakes; names of assets become their symbols. A key that is missing was told."""
    for low_name, how, high_name in ORDER:
        low, high = told.get(_name(low_name)), told.get(_name(high_name))
        if low is None or high is None:
            continue
        if low.value > high.value or (how == "below" and low.value == high.value):
            other = f"{high.written!r} of {high_name} ({high.where})"
            mistakes.add(low.where, f"{low_name}: found {low.written!r}, wanted {how} {other}")
    _check_looks(told, mistakes)
    _check_assets(told, mistakes)
    intervals = told.get(("updown", "intervals"))
    for each in intervals.value if intervals is not None else ():
        if intervals is not None and each not in INTERVALS:
            wanted = f"wanted one of {', '.join(INTERVALS)}"
            mistakes.add(intervals.where, f"updown.intervals: found {each!r}, {wanted}")


def _check_looks(told: Values, mistakes: Mistakes) -> None:
    every = told.get(("gateway", "drift_check_ms"))
    if every is not None and every.value < LOOKS_NS:
        why = f"a look may read {BURST + 1} balances of polymarket, which allows {BALANCES}"
        wanted = f"wanted {LOOKS_NS // MS_NS} or more: {why} in {WITHIN_NS // S_NS} s"
        mistakes.add(every.where, f"gateway.drift_check_ms: found {every.written!r}, {wanted}")


def _check_assets(told: Values, mistakes: Mistakes) -> None:
    tracked, others = told.get(("assets", "tracked")), told.get(("assets", "others"))
    chosen = told.get(("updown", "assets"))
    if tracked is None or others is None or chosen is None:
        return
    try:
        known = Assets(tracked.value, others.value)
    except AssetError as error:
        mistakes.add(tracked.where, f"assets.tracked: {error}")
        return
    extremes = told.get(("fair", "extremes"))
    if extremes is not None:
        try:
            extremes_of(extremes.value, known)
        except AssetError as error:
            mistakes.add(extremes.where, f"fair.extremes: {error}")
    followed = [name.upper() for name in series.NAMES]
    symbols = []
    for each in chosen.value:
        try:
            symbol = known.symbol(each)
        except AssetError as error:
            mistakes.add(chosen.where, f"updown.assets: {error}")
            continue
        if symbol not in followed:
            wanted = f"wanted one that has such markets: {', '.join(followed)}"
            mistakes.add(chosen.where, f"updown.assets: found {each!r}, {wanted}")
        symbols.append(symbol)
    told["updown", "assets"] = replace(chosen, value=tuple(dict.fromkeys(symbols)))
