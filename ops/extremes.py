"""All-time lows and highs of coins, as an operator tells them: "BTC=67.81..126198.07" in dollars.
Pure.

What is laid over the chance of a target beyond them is engine/tilt.py's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ops.assets import AssetError, Assets, index_of

Extremes = Mapping[str, tuple[float, float]]
_DOLLARS = r"([0-9]{1,9}(?:\.[0-9]{1,8})?)"
_TOLD = re.compile(rf"([^=]{{2,40}})={_DOLLARS}\.\.{_DOLLARS}", re.ASCII)


def extremes_of(told: Sequence[str], known: Assets) -> Extremes:
    """Low and high in dollars by symbol; a coin by any of its names. Raises AssetError."""
    found: dict[str, tuple[float, float]] = {}
    for text in told:
        parts = _TOLD.fullmatch(text)
        low, high = (float(parts[2]), float(parts[3])) if parts else (0.0, 0.0)
        if parts is None or not 0 < low < high:
            raise AssetError(f'found {text!r}, wanted coin, low and high: "BTC=67.81..126198.07"')
        symbol = known.symbol(parts[1])
        if symbol in found:
            raise AssetError(f"found {symbol} twice, wanted once")
        found[symbol] = low, high
    return found


def by_slot(
    extremes: Extremes, products: Mapping[str, Mapping[str, int]]
) -> dict[int, tuple[float, float]]:
    """The same by the slot of each index that a market may settle on."""
    found = {}
    for slots in products.values():
        for name, slot in slots.items():
            try:
                symbol = index_of(name).asset
            except AssetError:
                continue  # an exchange's product: no market settles on it
            if symbol in extremes:
                found[slot] = extremes[symbol]
    return found
