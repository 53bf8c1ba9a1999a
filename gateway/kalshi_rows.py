"""Rows of Kalshi's reads and private frames: orders, fills, positions (reference, section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.order import E_FINISH, E_REST
from gateway.ports import Fill, Held, Market, Outcome, Sighting, UserEvent, VenueError
from shm_layout import E6, S_CONFIRMED, LayoutError, text_to_int


def order_row(row: dict[str, Any]) -> Outcome:
    """An order as reads and `user_orders` show it: exact costs and fees of all its fills. Fees that
    it does not tell are unknown. Raises VenueError where it does not tell what filled cost."""
    filled_e6 = e6(row.get("fill_count_fp"), "fill_count_fp")
    costs, fees = (
        [row[f"{who}_{name}"] for who in ("taker", "maker") if row.get(f"{who}_{name}") is not None]
        for name in ("fill_cost_dollars", "fees_dollars")
    )
    if filled_e6 and not costs:
        raise VenueError(f"kalshi order: found no fill cost in {str(row)[:120]}")
    cost_e6 = sum(e6(each, "fill_cost_dollars") for each in costs)
    fee_e6 = sum(e6(each, "fees_dollars") for each in fees) if fees or not filled_e6 else None
    # cost is in dollars of the outcome bought: an ask buys NO
    notional_e6 = filled_e6 - cost_e6 if row.get("book_side") == "ask" else cost_e6
    event = E_REST if row.get("status") == "resting" else E_FINISH
    is_exact = fee_e6 is not None
    name = str(row.get("order_id") or "")
    return Outcome(event, 0, filled_e6, notional_e6, fee_e6, is_exact, name)


def fill_of(row: dict[str, Any]) -> Fill:
    """A fill, of a read or a frame. Raises VenueError."""
    size_e6 = e6(row.get("count_fp"), "count_fp")
    price_e6 = e6(row.get("yes_price_dollars"), "yes_price_dollars")
    trade = row.get("trade_id") or row.get("fill_id")
    if not trade:
        raise VenueError(f"kalshi fill: found no trade_id in {str(row)[:120]}")
    fee = row.get("fee_cost")
    fee_e6 = None if fee is None else e6(fee, "fee_cost")
    notional_e6 = price_e6 * size_e6 // E6  # exact: 4 by 2 decimals
    name = str(row.get("order_id") or "")
    return Fill(key_of(row), str(trade), size_e6, notional_e6, fee_e6, S_CONFIRMED, name)


def held_of(rows: Sequence[dict[str, Any]], markets: Sequence[Market]) -> list[UserEvent]:
    """Positions of markets that we trade."""
    held: list[UserEvent] = []
    for row in rows:
        ticker = row.get("market_ticker") or row.get("ticker")
        instrument = next((m.instrument for m in markets if m.ticker == ticker), None)
        if instrument is not None:
            net_e6 = e6(row.get("position_fp"), "position_fp")
            held.append(Held(instrument, max(net_e6, 0), max(-net_e6, 0)))
    return held


def sighting_of(row: dict[str, Any], markets: Sequence[Market]) -> Sighting:
    """An open order, or a fill (with `fill_id`)."""
    ticker, trade = row.get("ticker") or row.get("market_ticker"), row.get("fill_id")
    keys = tuple(str(row[name]) for name in ("client_order_id", "order_id") if row.get(name))
    size = row.get("count_fp") if trade else row.get("remaining_count_fp")
    text = (
        f"{'fill' if trade else 'order'} at kalshi: {ticker}, {row.get('book_side')} {size} at"
        f" {row.get('yes_price_dollars')}, order {' / '.join(keys)}"
    )
    instrument = next((m.instrument for m in markets if m.ticker == ticker), -1)
    return Sighting(str(trade or (keys or ("",))[0]), keys, text[:300], instrument)


def key_of(row: dict[str, Any]) -> str:
    """The name that we know an order by."""
    return str(row.get("client_order_id") or row.get("order_id") or "")


def e6(text: object, field: str) -> int:
    """Decimal text to 1e-6. Raises VenueError."""
    if not isinstance(text, str):
        raise VenueError(f"kalshi {field}: found {text!r}, wanted a decimal string")
    try:
        return text_to_int(text, 6)
    except LayoutError as error:
        raise VenueError(f"kalshi {field}: {error}") from error
