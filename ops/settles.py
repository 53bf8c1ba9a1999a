"""What a market settles on, as cells of its row: rule, window, index and the spot that leads it.

The rule itself is engine/fair_rules.py's, from the market's own fields and its date; a market whose
rule, index or window is not known has none of these, and so no fair value.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.fair_rules import NO_RULE, Rule, kalshi_rule, polymarket_rule
from ops.assets import index_of
from ops.clock import SECOND_NS
from ops.venues.script import MarketSpec
from shm_layout import INSTRUMENT, NONE_NS, Words

LEADS = "coinbase"  # the exchange whose trades come first and without USDT's basis
_INTERVALS = {300: "5m", 900: "15m", 14_400: "4h"}
Slots = Mapping[str, Mapping[str, int]]


def rule_of(market: MarketSpec) -> Rule:
    """The settlement rule of a market; NO_RULE where a field that decides it is not told."""
    if not market.index:
        return NO_RULE
    if market.venue == "kalshi":
        series = market.ticker.split("-")[0]
        return kalshi_rule(series, market.strike_type, market.round_digits)
    length_s = (market.close_epoch_ns - market.open_epoch_ns) // SECOND_NS
    twap_s = market.twap_ns // SECOND_NS or None
    open_s = market.open_epoch_ns // SECOND_NS
    return polymarket_rule(_INTERVALS.get(length_s, ""), open_s, twap_s)


def settles_cells(market: MarketSpec, products: Slots) -> dict[str, int]:
    """Cells of INSTRUMENT. `products`: slot of each feed's products and indices."""
    index_slot = next(
        (slots[market.index] for slots in products.values() if market.index in slots), NONE_NS
    )
    is_heard = index_slot != NONE_NS
    rule = rule_of(market) if is_heard else NO_RULE
    product = f"{index_of(market.index).asset}-USD" if is_heard else ""
    return {
        "settlement_rule": rule.cell,
        "open_epoch_ns": market.open_epoch_ns,
        "index_slot": index_slot,
        "spot_slot": products.get(LEADS, {}).get(product, NONE_NS),
    }


def needs_terms(a: Words, b: Words) -> int:
    """PAIR.needs_terms: 1 if both legs settle on an index, each on its own average of it."""
    rows = (a.view(INSTRUMENT)[0], b.view(INSTRUMENT)[0])
    return int(all(row["settlement_rule"] != 0 for row in rows))
