"""The bodies (`msg`) of Kalshi's market-data frames."""

from __future__ import annotations

from typing import Any

import orjson

from ops.venues.kalshi_market import KalshiMarket, ascending
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, count2, dollars4, iso_us
from ops.venues.script import ASK, BID


def snapshot_body(market: KalshiMarket, use_yes_price: bool) -> bytes:
    """A whole book, ascending; the key of an empty side is absent."""
    message: dict[str, Any] = {
        "market_ticker": market.ticker,
        "market_id": market.market_id,
    }
    yes, no = market.book.levels(BID), market.no_bids()
    if yes:
        message["yes_dollars_fp"] = ascending(yes)
    if no:
        asks = market.book.levels(ASK)[::-1] if use_yes_price else no
        message["no_dollars_fp"] = ascending(asks)
    return orjson.dumps(message)


def delta_body(
    market: KalshiMarket,
    side: int,
    price_e6: int,
    delta_e6: int,
    run_ns: int,
    *,
    use_yes_price: bool,
    client_order_id: str,
) -> bytes:
    """One level changed; an own order's change says so."""
    shown_e6 = price_e6 if side == BID or use_yes_price else ONE_E6 - price_e6
    own = ""
    if client_order_id:
        name = orjson.dumps(client_order_id).decode()
        own = f',"client_order_id":{name},"subaccount":0'
    return (
        f'{{"market_ticker":"{market.ticker}","market_id":"{market.market_id}",'
        f'"price_dollars":"{dollars4(shown_e6)}",'
        f'"delta_fp":"{count2(delta_e6)}",'
        f'"side":"{"no" if side == ASK else "yes"}"{own},'
        f'"ts":"{iso_us(run_ns)}","ts_ms":{run_ns // MS_NS}}}'
    ).encode()


def ticker_body(market: KalshiMarket, run_ns: int) -> bytes:
    """Touch, last trade and totals of one market."""
    quotes = market.quotes()
    return orjson.dumps(
        {
            "market_id": market.market_id,
            "market_ticker": market.ticker,
            "price_dollars": dollars4(market.last_e6),
            "yes_bid_dollars": quotes["yes_bid_dollars"],
            "yes_ask_dollars": quotes["yes_ask_dollars"],
            "volume_fp": count2(market.volume_e6),
            "open_interest_fp": count2(market.open_interest_e6),
            "dollar_volume": market.volume_e6 // ONE_E6,
            "dollar_open_interest": market.open_interest_e6 // ONE_E6,
            "yes_bid_size_fp": quotes["yes_bid_size_fp"],
            "yes_ask_size_fp": quotes["yes_ask_size_fp"],
            "last_trade_size_fp": count2(market.last_size_e6),
            "ts": run_ns // SECOND_NS,
            "ts_ms": run_ns // MS_NS,
            "time": iso_us(run_ns),
        }
    )
