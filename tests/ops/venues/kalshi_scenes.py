"""Each recorded or composed body of Kalshi's REST, and how to bring the simulated venue into the
situation in which it must answer the same: one row a file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops.venues.script import ASK, MarketTrade, StatusChange
from tests.ops.venues.kalshi_alike import SHARDED, Answer, Scene, words
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.kalshi_stages import (
    ORDERS,
    SECOND,
    TAKEN,
    TENNIS,
    book,
    bought,
    buy,
    cancel,
    cancelled_late,
    cancelled_twice,
    create,
    epoch_ns,
    flooded,
    late,
    listed_orders,
    rested,
    resting_read,
    spec,
    spoilt,
    stale_read,
    tennis,
    twice,
    two_of_a_batch,
)
from tests.ops.venues.rig import MS, e6

TAPERED = ((0, 100_000, 1_000), (100_000, 900_000, 10_000), (900_000, 1_000_000, 1_000))


# ---- market data


BITCOIN = "KXBTC15M-26SEP061000-00"
STRIKE_E8 = 7_980_071_000_000


def bitcoin(ticker: str = BITCOIN, **changes: Any) -> Desk:
    """A window of the 15-minute chain, at its ten o'clock."""
    told = {
        "title": "BTC price up in next 15 mins?",
        "exchange_index": 2,
        "price_ranges": TAPERED,
        "strike_e8": STRIKE_E8,
        "strike_type": "greater_or_equal",
        "round_digits": 2,
        "index": "BRTI",
        "open_epoch_ns": epoch_ns("2026-09-06T13:45:00Z"),
        "close_epoch_ns": epoch_ns("2026-09-06T14:00:00Z"),
        **changes,
    }
    begin_ns = told["open_epoch_ns"] + 300 * SECOND
    cash = {0: e6("1000"), 2: e6("500.1275")}
    return Desk(
        markets=(spec(ticker, **told),), has_books=False, begin_ns=begin_ns, cash_kalshi_e6=cash
    )


def sold() -> Desk:
    """Ten NO bought at 0.48 (order_create_v2_request)."""
    desk = bitcoin()
    book(desk, (("0.52", "100"),), ())
    body = {
        "ticker": BITCOIN,
        "client_order_id": "c-0001",
        "side": "ask",
        "count": "10.00",
        "price": "0.5200",
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
        "exchange_index": 2,
    }
    assert desk.call("POST", ORDERS, body)[0] == 201
    return desk


def sold_order() -> Answer:
    desk = sold()
    order_id = desk.get("/portfolio/orders")["orders"][0]["order_id"]
    return desk.call("GET", f"/portfolio/orders/{order_id}")


def settled() -> Answer:
    desk = sold()
    at_ns = epoch_ns("2026-09-06T14:00:06Z")
    desk.venue.apply(StatusChange(at_ns, 0, "finalized", e6("1"), final_e8=7_981_234_000_000))
    return desk.call("GET", "/portfolio/settlements")


def quoted() -> Desk:
    desk = bitcoin()
    desk.venue.apply(MarketTrade(desk.begin_ns, 0, e6("0.51"), e6("15230.75"), ASK))
    book(desk, (("0.51", "120.5"),), (("0.52", "88"),))
    return desk


def finalized() -> Answer:
    desk = quoted()
    book(desk, (), ())
    at_ns = epoch_ns("2026-09-06T14:00:06Z")
    desk.venue.apply(StatusChange(at_ns, 0, "finalized", e6("1"), final_e8=7_981_234_000_000))
    return desk.call("GET", f"/markets/{BITCOIN}")


def july() -> Answer:
    ticker = "KXBTC15M-26JUL290015-15"
    desk = bitcoin(
        ticker,
        strike_e8=6_365_003_000_000,
        open_epoch_ns=epoch_ns("2026-07-29T04:00:00Z"),
        close_epoch_ns=epoch_ns("2026-07-29T04:15:00Z"),
    )
    desk.venue.apply(MarketTrade(desk.begin_ns, 0, e6("0.5"), e6("3413404"), ASK))
    at_ns = epoch_ns("2026-07-29T04:15:06Z")
    desk.venue.apply(StatusChange(at_ns, 0, "finalized", e6("1"), final_e8=6_365_321_000_000))
    return desk.call("GET", f"/markets/{ticker}")


def fed() -> Desk:
    market = spec(
        "KXFED-27APR-T4.25",
        title="Above 4.25%",
        strike_e8=425_000_000,
        strike_type="greater",
        open_epoch_ns=epoch_ns("2025-10-13T14:00:00Z"),
        close_epoch_ns=epoch_ns("2027-04-28T17:55:00Z"),
    )
    desk = Desk(markets=(market,), has_books=False)
    bids = (("0.27", "31.54"), ("0.12", "0.47"), ("0.11", "97.22"), ("0.10", "5"))
    asks = (("0.28", "20"), ("0.29", "25"), ("0.30", "11"), ("0.31", "1"))
    book(desk, bids, asks)
    desk.venue.apply(MarketTrade(desk.begin_ns, 0, e6("0.28"), e6("10155.43"), ASK))
    return desk


def golf() -> Answer:
    """Thirteen trades: the first page has twelve, the newest first."""
    ticker = "KXPGATOUR-USO26-JDAY"
    desk = Desk(markets=(spec(ticker),), has_books=False)
    for size in ("1", *["10"] * 11, "7.77"):
        desk.wait(MS)
        desk.venue.apply(MarketTrade(desk.clock.run_ns(), 0, e6("0.03"), e6(size), 0))
    return desk.call("GET", "/markets/trades", query=f"ticker={ticker}&limit=12")


def one_trade() -> Answer:
    desk = bitcoin("KXBTC15M-26SEP261900-00")
    desk.venue.apply(MarketTrade(desk.begin_ns, 0, e6("0.77"), e6("8.94"), 0))
    return desk.call("GET", "/markets/trades")


def two_candles() -> Answer:
    """A minute with trades after another one, and one without."""
    desk = bitcoin()
    minute = 60 * SECOND
    desk.venue.apply(MarketTrade(desk.begin_ns - minute, 0, e6("0.10"), e6("1"), ASK))
    for price in ("0.10", "0.12"):
        book(desk, ((price, "5"),), (("0.13", "5"),))
        desk.venue.apply(MarketTrade(desk.clock.run_ns(), 0, e6(price), e6("2"), ASK))
    desk.wait(minute)
    book(desk, (), ())
    desk.wait(MS)
    series = f"/series/KXBTC15M/markets/{BITCOIN}/candlesticks"
    begin_s = desk.begin_ns // SECOND + 1
    query = f"start_ts={begin_s}&end_ts={begin_s + 300}&period_interval=1"
    return desk.call("GET", series, query=query)


def read(stage: Callable[[], Desk], path: str, query: str = "") -> Callable[[], Answer]:
    """Set the stage, then GET."""
    return lambda: stage().call("GET", path, query=query)


def post(stage: Callable[[], Desk], **changes: Any) -> Callable[[], Answer]:
    return lambda: create(stage(), **changes)


def basic() -> Desk:
    return tennis(spec={"kalshi_tier": "basic"})


def poor() -> Desk:
    """The demo account: 100 dollars and nothing else."""
    desk = tennis(cash_kalshi_e6={0: e6("100")})
    for number in (1, 2):
        assert buy(desk, "0.99", f"c-{number}")[0] == 201
    return desk


def without_v1(body: Any) -> Any:
    """The order routes of V1 are gone since June 2026."""
    rows = [
        row
        for row in body["endpoint_costs"]
        if row["method"] == "GET" or "/portfolio/orders" not in row["path"]
    ]
    return {**body, "endpoint_costs": rows}


SHOWN = words(
    "previous_price_dollars previous_yes_ask_dollars previous_yes_bid_dollars "
    "volume_24h_fp open_interest_fp latest_expiration_time updated_time title "
    "yes_sub_title no_sub_title expected_expiration_time created_time open_time "
    "close_time settlement_timer_seconds last_price_dollars volume_fp can_close_early "
    "custom_strike"
)
PROSE = words(
    "subtitle early_close_condition occurrence_datetime expiration_time rules_primary "
    "rules_secondary"
)
# the composed windows leave their rules empty; the venue tells them (ops/sources.py reads them)
WITHOUT_RULES = SHOWN - {"custom_strike", "volume_fp"} | {"rules_primary"}
EXTRA = words("exchange_index settlement_bounds_type yes_ask_size_fp yes_bid_size_fp floor_strike")
WHOLE = frozenset(Desk().venue.markets["KXCRYPTO-26JAN-B"].json()) | {
    "settlement_value_dollars",
    "settlement_ts",
}
ORDER_KEYS = SHARDED | {"client_order_id"}

REST = {
    "order_create_resting_201": Scene(play=post(tennis), status=201),
    "order_create_ioc_filled_201": Scene(play=lambda: buy(tennis(), "0.52", TAKEN), status=201),
    "order_cancel_200": Scene(
        play=lambda: cancel(*rested()), added=frozenset({"client_order_id"})
    ),
    "order_get_resting": Scene(play=resting_read, added=SHARDED),
    "order_get_stale_after_cancel": Scene(play=stale_read, added=SHARDED),
    "orders_list": Scene(
        play=listed_orders,
        added=SHARDED | {"self_trade_prevention_type"},
        varies=frozenset({"side", "action"}),  # deprecated; of a V1 sale in this recording
    ),
    "fills": Scene(play=read(bought, "/portfolio/fills", "limit=10"), added=SHARDED),
    "positions": Scene(play=read(bought, "/portfolio/positions"), added=SHARDED),
    "settlements_empty": Scene(play=read(tennis, "/portfolio/settlements", "limit=10")),
    "balance_single_shard": Scene(play=read(poor, "/portfolio/balance")),
    "account_limits_basic": Scene(play=read(basic, "/account/limits")),
    "account_endpoint_costs": Scene(play=read(basic, "/account/endpoint_costs"), trim=without_v1),
    "exchange_status_sharded": Scene(play=read(tennis, "/exchange/status")),
    "exchange_status_min": Scene(
        play=read(tennis, "/exchange/status"),
        added=frozenset({"intra_exchange_transfers_active", "exchange_index_statuses"}),
    ),
    "series_fee_changes_empty": Scene(play=read(tennis, "/series/fee_changes")),
    "market_structured_linear_cent": Scene(
        play=read(tennis, f"/markets/{TENNIS}"), added=EXTRA, absent=PROSE | {"custom_strike"},
        varies=SHOWN,
    ),
    "markets_last_page": Scene(
        play=read(tennis, "/markets", f"tickers={TENNIS}"), added=EXTRA,
        absent=PROSE | {"custom_strike"}, varies=SHOWN,
    ),
    "market_kxfed_live_partial": Scene(
        play=read(fed, "/markets/KXFED-27APR-T4.25"), added=WHOLE, absent=PROSE,
        varies=SHOWN - {"last_price_dollars", "volume_fp", "close_time", "open_time"},
        pick=lambda body: body["market"],
    ),
    "market_kxbtc15m_settled_partial": Scene(
        play=july, added=WHOLE, pick=lambda body: body["market"]
    ),
    "orderbook_two_sided": Scene(play=read(tennis, f"/markets/{TENNIS}/orderbook")),
    "orderbook_kxfed_live_depth3": Scene(
        play=read(fed, "/markets/KXFED-27APR-T4.25/orderbook", "depth=3")
    ),
    "trades_page": Scene(play=golf),
    "trade_kxbtc15m_live": Scene(play=one_trade, pick=lambda body: body["trades"][0]),
    "candlesticks_kxbtc15m_live": Scene(
        play=two_candles, pick=lambda body: body["candlesticks"],
        varies=words(
        "open_dollars high_dollars low_dollars close_dollars mean_dollars "
        "previous_dollars open_interest_fp volume_fp"
    ),
    ),
}  # fmt: skip
ERRORS = {
    "400_insufficient_balance": Scene(
        play=post(tennis, price="0.9900", count="10099.00"), status=400
    ),
    "400_invalid_price": Scene(play=post(tennis, price="0.5150", post_only=True), status=400),
    "400_numeric_count_flat_shape": Scene(play=post(tennis, count=1, price=0.01), status=400),
    "400_limit_over_max_msg_shape": Scene(play=read(tennis, "/markets", "limit=1001"), status=400),
    "401_bad_signature": Scene(play=spoilt(**{"KALSHI-ACCESS-SIGNATURE": "AAAA"}), status=401),
    "401_missing_signature": Scene(play=spoilt(**{"KALSHI-ACCESS-SIGNATURE": ""}), status=401),
    "401_unknown_key": Scene(play=spoilt(**{"KALSHI-ACCESS-KEY": "someone"}), status=401),
    "401_timestamp_expired": Scene(play=late, status=401),
    "404_cancel_already_canceled": Scene(play=cancelled_twice, status=404),
    "404_cancel_executed": Scene(play=cancelled_late, status=404),
    "409_duplicate_client_order_id": Scene(play=twice, status=409),
    "409_fok_insufficient_resting_volume": Scene(
        play=post(tennis, price="0.5200", count="4.00", time_in_force="fill_or_kill"), status=409
    ),
    "410_v1_create_order": Scene(
        play=lambda: tennis().call("POST", "/portfolio/orders", {}), status=410
    ),
    "429_nested": Scene(play=flooded(), status=429),
    "429_string": Scene(play=flooded(kalshi_short_429=True), status=429),
}
COMPOSED = {
    "order_read_current": Scene(play=sold_order),
    "fill_current": Scene(play=lambda: sold().call("GET", "/portfolio/fills")),
    "settlement_current": Scene(play=settled),
    "balance_sharded": Scene(
        play=lambda: sold().call("GET", "/portfolio/balance"),
        varies=frozenset({"balance", "balance_dollars", "portfolio_value"}),
    ),
    "batch_create_v2_response": Scene(play=two_of_a_batch, status=201),
    "event_kxbtc15m": Scene(
        play=read(bitcoin, "/events/KXBTC15M-26SEP061000"),
        varies=frozenset({"sub_title", "markets"}),
    ),
    "series_kxbtc15m": Scene(
        play=read(bitcoin, "/series/KXBTC15M"),
        varies=frozenset({"frequency", "title", "category", "categories", "tags"}),
    ),
    "market_kxbtc15m_active": Scene(
        play=read(quoted, f"/markets/{BITCOIN}"), varies=WITHOUT_RULES
    ),
    "market_kxbtc15m_finalized": Scene(play=finalized, varies=WITHOUT_RULES),
}
