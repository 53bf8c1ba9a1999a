"""What the desk may do: every limit has a number, none means "unlimited"."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gateway.throttle import STAMPS_MAX

LIMIT_MAX_E6 = 10**12  # a million dollars: above it a limit is a typing error
BURST = 150  # balances that are asked for at once at Polymarket, beside the cash
BALANCES, WITHIN_NS = 200, 10_000_000_000  # so many it answers in so long (reference, section 10)
LOOKS_NS = WITHIN_NS // (BALANCES // (BURST + 1))  # from one look at its figures to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskParams:
    """Limits in 1e-6 dollars at worst cost, times in machine ns. Small by default: raising one is
    a decision.

    `day_max_e6`: realised loss a run day, for a bet with what all bets have at risk.
    `unhedged_max_e6`: worst cost of what one leg alone may hold. `loss_cap_e6`: what a lone leg may
    lose per contract when its pair is completed or it is given back, fees included; `time_cap_ns`:
    how long that may take. `mismatches_max`: lone legs of a market, then it is blocked. `dust_e6`:
    an imbalance worth less is left and counted.
    `price_move_e6`: share of itself by which the price behind a bet may have moved since.
    `fair_off_e6`: dollars a contract by which a bet's fair value may flatter it beside what the
    model's terms make of it; `formula_off_e6`: the same where the strategy counts with its own.
    `*_reserve`: venue tokens that only unwinds may use. `circuit_failures` in a row open a
    venue's circuit for `circuit_open_ns`; `drift_ns`: from one look at the venues' figures to the
    next.
    """

    order_max_e6: int = 25_000_000
    market_max_e6: int = 100_000_000
    event_max_e6: int = 200_000_000
    asset_max_e6: int = 300_000_000
    venue_max_e6: int = 500_000_000
    total_max_e6: int = 1_000_000_000
    day_max_e6: int = 20_000_000
    unhedged_max_e6: int = 50_000_000
    orders_per_second: int = 10
    orders_per_minute: int = 120
    orders_per_day: int = 5_000
    edge_min_e6: int = 1
    price_low_e6: int = 10_000
    price_high_e6: int = 990_000
    beat_max_ns: int = 250_000_000
    quote_age_max_ns: int = 60_000_000_000
    signal_age_max_ns: int = 50_000_000
    duplicate_ns: int = 1_000_000_000
    price_move_e6: int = 20
    fair_off_e6: int = 50_000
    formula_off_e6: int = 250_000
    loss_cap_e6: int = 50_000
    time_cap_ns: int = 250_000_000
    mismatches_max: int = 3
    unwind_tries_max: int = 8
    dust_e6: int = 200_000
    query_tries_max: int = 20
    query_gap_ns: int = 500_000_000
    delay_grace_ns: int = 500_000_000
    intents_open_max: int = 32
    links_per_venue: int = 6
    connect_max_ns: int = 1_000_000_000
    reply_max_ns: int = 2_000_000_000
    circuit_failures: int = 5
    circuit_open_ns: int = 2_000_000_000
    drift_ns: int = 30_000_000_000
    kalshi_tokens_per_second: int = 100
    kalshi_tokens_burst: int = 100
    kalshi_reserve: int = 20
    kalshi_reads_per_second: int = 200
    kalshi_reads_burst: int = 200
    polymarket_orders_per_second: int = 40
    polymarket_orders_burst: int = 60
    polymarket_reserve: int = 10

    def __post_init__(self) -> None:
        """Raises ValueError naming the field, what was found and what was wanted."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or not value > 0:
                raise ValueError(f"{field.name}: found {value!r}, wanted a whole number above 0")
            if field.name.endswith("_max_e6") and value > LIMIT_MAX_E6:
                raise ValueError(f"{field.name}: found {value}, wanted at most {LIMIT_MAX_E6}")
            if field.name.startswith("orders_per_") and value > STAMPS_MAX:
                raise ValueError(f"{field.name}: found {value}, wanted at most {STAMPS_MAX}")
        for low, high in (
            ("order_max_e6", "market_max_e6"),
            ("market_max_e6", "total_max_e6"),
            ("event_max_e6", "total_max_e6"),
            ("asset_max_e6", "total_max_e6"),
            ("venue_max_e6", "total_max_e6"),
            ("unhedged_max_e6", "total_max_e6"),
            ("price_low_e6", "price_high_e6"),
            ("kalshi_reserve", "kalshi_tokens_burst"),
            ("polymarket_reserve", "polymarket_orders_burst"),
        ):
            if getattr(self, low) > getattr(self, high):
                found = f"{getattr(self, low)} above {getattr(self, high)}"
                raise ValueError(f"{low}: found {found}, wanted at most {high}")
        if self.price_high_e6 >= 1_000_000:
            raise ValueError(f"price_high_e6: found {self.price_high_e6}, wanted below 1000000")
