"""What the CLOB's REST tells of a market beside its book: /clob-markets, /markets and the sampled
lists. Keys as captured on 2026-09-28 (and short keys of August 2026).
"""

from __future__ import annotations

import hashlib
from typing import Any

from ops.venues.numerals import ONE_E6, SECOND_NS, iso_s
from ops.venues.polymarket_market import YES, PolymarketMarket, number
from ops.venues.polymarket_series import series_of
from ops.venues.signatures import is_position_id

_DAY_NS = 86_400 * SECOND_NS
CRYPTO_RATE_E6 = 70_000
_COINS = {"btc": "Bitcoin", "eth": "Ethereum", "sol": "Solana"}


def version_of(market: PolymarketMarket) -> str:
    """The protocol of a market's tokens: position ids are "v2"."""
    return "v2" if is_position_id(int(market.tokens[YES])) else "v1"


def question_id(market: PolymarketMarket) -> str:
    """A question id, the same in every answer."""
    return "0x" + hashlib.sha256(f"question of {market.condition_id}".encode()).hexdigest()


def group_id(market: PolymarketMarket) -> str:
    """Of the neg-risk event a market is an answer of; "": it is none."""
    if not market.spec.neg_risk:
        return ""
    return "0x" + hashlib.sha256(f"neg-risk event {market.spec.event}".encode()).hexdigest()


def request_id(market: PolymarketMarket) -> str:
    """Of a market as an answer of its neg-risk event; "": it is none."""
    if not market.spec.neg_risk:
        return ""
    return "0x" + hashlib.sha256(f"answer {market.condition_id}".encode()).hexdigest()


def prices_e6(market: PolymarketMarket) -> tuple[int, int]:
    """What both tokens are worth: the middle, or what they were settled at."""
    value_e6 = market.settlement_e6
    middle_e6 = sum(market.touch(YES)) // 2 if value_e6 is None else value_e6
    return middle_e6, ONE_E6 - middle_e6


def clob_json(market: PolymarketMarket) -> dict[str, Any]:
    """GET /clob-markets/{condition}: `fd` are the fee terms, `itode` the taker delay (absent where
    takers are not held, or for whole seconds: those `seconds_delay` tells).
    """
    spec = market.spec
    row: dict[str, Any] = {
        "c": market.condition_id,
        "t": [
            {"t": token, "o": name}
            for token, name in zip(market.tokens, market.outcomes, strict=True)
        ],
        "mos": number(spec.size_min_e6),
        "mts": number(market.tick_e6),
        "mbf": 1000,
        "tbf": 1000,
        "ao": market.is_open,
        "nr": spec.neg_risk,
        "fd": {"r": number(spec.fee_rate_e6), "e": spec.fee_exponent, "to": True},
        "v": version_of(market),
    }
    if 0 < spec.taker_delay_ns < SECOND_NS:
        row["itode"] = True
    return row


def tokens_json(market: PolymarketMarket) -> list[dict[str, Any]]:
    """Both tokens with price and winner."""
    value_e6 = market.settlement_e6
    return [
        {
            "token_id": token,
            "outcome": name,
            "price": number(price_e6),
            "winner": value_e6 is not None and price_e6 == ONE_E6,
        }
        for token, name, price_e6 in zip(
            market.tokens, market.outcomes, prices_e6(market), strict=True
        )
    ]


def market_json(market: PolymarketMarket) -> dict[str, Any]:
    """GET /markets/{condition} of the CLOB. `end_date_iso` names the day only."""
    spec, series = market.spec, series_of(market.spec.ticker)
    return {
        "enable_order_book": not market.is_closed,
        "active": True,
        "closed": market.is_closed,
        "archived": False,
        "accepting_orders": market.is_open,
        "accepting_order_timestamp": iso_s(spec.open_epoch_ns),
        "minimum_order_size": number(spec.size_min_e6),
        "minimum_tick_size": number(market.tick_e6),
        "condition_id": market.condition_id,
        "question_id": question_id(market),
        "question": spec.title,
        "description": series.rule if series else "",
        "market_slug": spec.ticker,
        "end_date_iso": iso_s(spec.close_epoch_ns // _DAY_NS * _DAY_NS),
        "game_start_time": None,
        "seconds_delay": seconds_delay(market),
        "fpmm": "",
        "maker_base_fee": 1000,
        "taker_base_fee": 1000,
        "notifications_enabled": True,
        "neg_risk": spec.neg_risk,
        "neg_risk_market_id": group_id(market),
        "neg_risk_request_id": request_id(market),
        "rewards": {"rates": None, "min_size": 50, "max_spread": 4.5},
        "is_50_50_outcome": False,
        "tokens": tokens_json(market),
        "tags": tags_of(market),
    }


def simplified_json(market: PolymarketMarket) -> dict[str, Any]:
    """A row of /simplified-markets and /sampling-simplified-markets."""
    row = market_json(market)
    keys = ("condition_id", "rewards", "tokens", "active", "closed", "archived", "accepting_orders")
    return {key: row[key] for key in keys}


def seconds_delay(market: PolymarketMarket) -> int:
    """Whole seconds that takers are held: sports only, crypto's `itode` is shorter (reference
    section 8).
    """
    return market.spec.taker_delay_ns // SECOND_NS


def tags_of(market: PolymarketMarket) -> list[str]:
    """Names of the market's topics."""
    series = series_of(market.spec.ticker)
    if series is not None and series.is_twap:
        names = ("Crypto", _COINS.get(series.asset, series.asset.upper()), "Crypto Prices")
        return ["Up or Down", "Hide From New", "Recurring", *names, series.recurrence.upper()]
    return ["Crypto"] if market.spec.fee_rate_e6 == CRYPTO_RATE_E6 else []
