"""Gamma's rows of the simulated Polymarket: markets and events with JSON inside strings and two
forms of time (reference section 15; keys as captured on 2026-09-28 and 2026-08-15).
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any

import orjson

from ops.venues.numerals import SECOND_NS, iso_s, iso_us, plain
from ops.venues.polymarket_faces import (
    CRYPTO_RATE_E6,
    group_id,
    prices_e6,
    question_id,
    request_id,
    seconds_delay,
    version_of,
)
from ops.venues.polymarket_market import YES, PolymarketMarket, number
from ops.venues.polymarket_series import HOUR_NS, Series, series_of

# priceToBeat shows about a minute after the window opens.
PRICE_SHOWN_NS = 60 * SECOND_NS
_RESOLVER = "0x65070BE91477460D8A7AeEb94ef92fe056C2f2A7"
_SPORTS_RATE_E6 = 50_000


def window_start_ns(market: PolymarketMarket) -> int:
    """`eventStartTime`: when the window that is asked about begins."""
    series = series_of(market.spec.ticker)
    if series is None:
        return market.spec.open_epoch_ns
    if series.start_epoch_ns is not None:
        return series.start_epoch_ns
    return market.spec.close_epoch_ns - (24 if series.recurrence == "daily" else 1) * HOUR_NS


def market_row(market: PolymarketMarket) -> dict[str, Any]:
    """One Gamma market. `startDate` is when the row was made, `eventStartTime` the window."""
    spec, series = market.spec, series_of(market.spec.ticker)
    prices = [plain(price) for price in prices_e6(market)]
    bid, ask = market.touch(YES)
    created = iso_us(spec.open_epoch_ns)
    row: dict[str, Any] = {
        "id": str(market.number),
        "question": spec.title,
        "conditionId": market.condition_id,
        "slug": spec.ticker,
        "resolutionSource": series.source if series else "",
        "endDate": iso_s(spec.close_epoch_ns),
        "startDate": created,
        "description": series.rule if series else "",
        "outcomes": orjson.dumps(market.outcomes).decode().replace(",", ", "),
        "outcomePrices": orjson.dumps(prices).decode().replace(",", ", "),
        "active": True,
        "closed": market.is_closed,
        "archived": False,
        "restricted": True,
        "questionID": question_id(market),
        "enableOrderBook": True,
        "orderPriceMinTickSize": number(market.tick_e6),
        "orderMinSize": number(spec.size_min_e6),
        "umaResolutionStatus": "resolved" if market.settlement_e6 is not None else "",
        "clobTokenIds": orjson.dumps(market.tokens).decode().replace(",", ", "),
        "makerBaseFee": 1000,
        "takerBaseFee": 1000,
        "acceptingOrders": market.is_open,
        "negRisk": spec.neg_risk,
        "acceptingOrdersTimestamp": iso_s(spec.open_epoch_ns),
        "rewardsMinSize": 50,
        "rewardsMaxSpread": 4.5,
        "automaticallyResolved": market.settlement_e6 is not None,
        "clearBookOnStart": series is not None and not series.is_twap,
        "rfqEnabled": False,
        "eventStartTime": iso_s(window_start_ns(market)),
        "holdingRewardsEnabled": False,
        **_fees(market),
        "version": version_of(market),
        "secondsDelay": seconds_delay(market),
        "spread": number(ask - bid),
        "bestBid": number(bid),
        "bestAsk": number(ask),
        "lastTradePrice": number(market.last_e6),
    }
    if spec.neg_risk:
        row["negRiskMarketID"], row["negRiskRequestID"] = group_id(market), request_id(market)
        row["negRiskOther"] = False
    if row["version"] == "v2":
        row["positionIds"] = list(market.tokens)
        del row["clobTokenIds"]
    if market.settlement_e6 is not None:
        row["closedTime"] = _spaced(market.settled_epoch_ns)
    row.update(_resolution(market, series))
    return row


def _fees(market: PolymarketMarket) -> dict[str, Any]:
    """Fee terms by the rate's kind: crypto, sports, others (rebates of October 2026)."""
    rate_e6 = market.spec.fee_rate_e6
    kind, rebate = "general_fees", 0.25
    if rate_e6 == CRYPTO_RATE_E6:
        kind, rebate = "crypto_fees_v2", 0.2
    elif rate_e6 == _SPORTS_RATE_E6:
        kind, rebate = "sports_fees_v2", 0.15
    return {
        "feesEnabled": rate_e6 > 0,
        "feeType": kind,
        "feeSchedule": {
            "exponent": market.spec.fee_exponent,
            "rate": number(rate_e6),
            "takerOnly": True,
            "rebateRate": rebate,
        },
    }


def _resolution(market: PolymarketMarket, series: Series | None) -> dict[str, Any]:
    if series is not None and series.is_twap:
        config = series.config()
        return {
            "umaResolutionStatuses": "[]",
            "makerRebatesFeeShareBps": 10000,
            "cryptoMarketConfigId": config["id"],
            "cryptoMarketConfig": config,
        }
    proposed = ["proposed", "proposed"] if market.settlement_e6 is not None else []
    return {
        "resolvedBy": _RESOLVER,
        "customLiveness": 600,
        "umaResolutionStatuses": orjson.dumps(proposed).decode().replace(",", ", "),
    }


def event_id(slug: str) -> str:
    """An event's id: the same for one slug in every answer."""
    return str(100_000 + zlib.crc32(slug.encode()) % 900_000)


def event_slug(market: PolymarketMarket) -> str:
    """A window is its own event; other markets' events are the script's."""
    return market.spec.ticker if series_of(market.spec.ticker) else market.spec.event


def event_stub(market: PolymarketMarket) -> dict[str, Any]:
    """The entry of a market row's `events`."""
    series, slug = series_of(market.spec.ticker), event_slug(market)
    return {
        "id": event_id(slug),
        "startTime": iso_s(window_start_ns(market)),
        "seriesSlug": series.slug if series else "",
    }


def event_row(slug: str, markets: list[PolymarketMarket], run_ns: int) -> dict[str, Any]:
    """One Gamma event with its markets."""
    first, rows = markets[0], [market_row(market) for market in markets]
    series = series_of(first.spec.ticker)
    is_closed = all(market.is_closed for market in markets)
    is_settled = all(market.settlement_e6 is not None for market in markets)
    event: dict[str, Any] = {
        "id": event_id(slug),
        "ticker": slug,
        "slug": slug,
        "title": first.spec.title,
        "description": rows[0]["description"],
        "resolutionSource": rows[0]["resolutionSource"],
        "startDate": rows[0]["startDate"],
        "creationDate": rows[0]["startDate"],
        "endDate": rows[0]["endDate"],
        "active": True,
        "closed": is_closed,
        "archived": False,
        "restricted": True,
        "enableOrderBook": True,
        "negRisk": first.spec.neg_risk,
        "markets": rows,
        "series": [series.body()] if series else [],
        "automaticallyResolved": is_settled,
        "seriesSlug": series.slug if series else "",
        "version": rows[0]["version"],
    }
    if first.spec.neg_risk:
        event |= {
            "enableNegRisk": True,
            "negRiskAugmented": not all(market.is_whole for market in markets),
            "negRiskMarketID": group_id(first),
        }
    if is_settled:
        event["closedTime"] = iso_s(max(market.settled_epoch_ns for market in markets))
    if series:
        event["eventMetadata"] = _metadata(first, run_ns)
        if series.is_twap:
            event["startTime"] = iso_s(window_start_ns(first))
    return event


def _metadata(market: PolymarketMarket, run_ns: int) -> dict[str, float]:
    """Prices of a window: what is to beat shows a minute late, what it ended at when settled."""
    found: dict[str, float] = {}
    if market.final_e8 is not None:
        found["finalPrice"] = market.final_e8 / 1e8
    if market.strike_e8 is not None and run_ns >= window_start_ns(market) + PRICE_SHOWN_NS:
        found["priceToBeat"] = market.strike_e8 / 1e8
    return found


def _spaced(epoch_ns: int) -> str:
    """`closedTime` of a market: "2026-09-28 17:46:27+00"."""
    return datetime.fromtimestamp(epoch_ns // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S+00")
