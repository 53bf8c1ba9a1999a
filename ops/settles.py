"""What a market settles on, as cells of its row: rule, window, index and the spot that leads it.

The rule itself is engine/fair_rules.py's, from the market's own fields and its date; a market whose
rule, index or window is not known has none of these, and so no fair value.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.exchanges import Exchange
from engine.fair_rules import NO_RULE, Rule, kalshi_rule, polymarket_rule
from ops.assets import BINANCE, index_of
from ops.clock import SECOND_NS
from ops.sim_index import CF, POLYBOLT
from ops.sim_spot import FALLBACK
from ops.venues.exchanges import LISTED
from ops.venues.script import MarketSpec
from shm_layout import INSTRUMENT, NONE_NS, Words

LEADS = "coinbase"  # the exchange whose trades come first and without USDT's basis
_INTERVALS = {300: "5m", 900: "15m", 14_400: "4h"}
_HOURLY_S, _DAILY_S = 3_600, range(23 * 3_600, 25 * 3_600 + 1)  # candles; noon to noon Eastern
RELAYS = (CF, POLYBOLT)
UNHEARD = -2  # INSTRUMENT.index_slot: an index is named that nothing tells; NONE_NS: none is named
Slots = Mapping[str, Mapping[str, int]]


def rule_of(market: MarketSpec) -> Rule:
    """The settlement rule of a market; NO_RULE where a field that decides it is not told."""
    if not market.index:
        return NO_RULE
    if market.venue == "kalshi":
        series = market.ticker.split("-")[0]
        return kalshi_rule(series, market.strike_type, market.round_digits)
    length_s = (market.close_epoch_ns - market.open_epoch_ns) // SECOND_NS
    if index_of(market.index).source == BINANCE:
        interval = "hourly" if length_s == _HOURLY_S else "daily" if length_s in _DAILY_S else ""
        return polymarket_rule(interval, 0, None)
    twap_s = None if market.twap_ns is None else market.twap_ns // SECOND_NS
    open_s = market.open_epoch_ns // SECOND_NS
    return polymarket_rule(_INTERVALS.get(length_s, ""), open_s, twap_s)


def settles_cells(market: MarketSpec, products: Slots) -> dict[str, int]:
    """Cells of INSTRUMENT. `products`: slot of each feed's products and indices."""
    index_slot = next(
        (slots[market.index] for slots in products.values() if market.index in slots),
        UNHEARD if market.index else NONE_NS,
    )
    is_heard = index_slot >= 0
    rule = rule_of(market) if is_heard else NO_RULE
    product = f"{index_of(market.index).asset}-USD" if is_heard else ""
    return {
        "settlement_rule": rule.cell,
        "open_epoch_ns": market.open_epoch_ns,
        "index_slot": index_slot,
        "spot_slot": products.get(LEADS, {}).get(product, NONE_NS),
        "cap_e8": market.cap_e8 or 0,
    }


def stand_ins(products: Slots) -> dict[int, tuple[Exchange, ...]]:
    """Of each index that a relay tells, the exchanges that trade its coin: those in dollars, and
    those in USDT, whose difference must be known before they count."""
    coins: dict[str, list[Exchange]] = {}
    for feed, listed in (("coinbase", {}), *LISTED.items()):
        for name, slot in products.get(feed, {}).items():
            if feed != FALLBACK:
                product = next((own for own, (of, _) in listed.items() if of == name), name)
                coin = product.removesuffix("-USD")
                coins.setdefault(coin, []).append(Exchange(slot, not name.endswith("USDT")))
    return {
        slot: tuple(coins[index_of(name).asset])
        for feed in RELAYS
        for name, slot in products.get(feed, {}).items()
        if index_of(name).asset in coins
    }


def needs_terms(a: Words, b: Words) -> int:
    """PAIR.needs_terms: 1 if a leg settles on an index. Where the other leg does not, or its rule
    is not known, the model has no terms of the pair: nobody says what is sure, and it waits for
    ever."""
    return int(any(row.view(INSTRUMENT)[0]["index_slot"] != NONE_NS for row in (a, b)))
