"""Polymarket's trade rows, of REST and of the user channel (reference, section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.ports import Fill, Market, Sighting, VenueError
from shm_layout import S_CONFIRMED, S_FAILED, S_MATCHED, S_MINED, LayoutError, text_to_int

TRADE_STATES: dict[str, int] = {
    "MATCHED": S_MATCHED,
    "MATCHED_NOT_BROADCASTED": S_MATCHED,
    "RETRYING": S_MATCHED,
    "MINED": S_MINED,
    "CONFIRMED": S_CONFIRMED,
    "FAILED": S_FAILED,
}


def trade_fills(row: dict[str, Any]) -> list[Fill]:
    """A trade row: one fill for the taker's order and one for each maker's. The caller keeps those
    that are its own.
    """
    trade = str(row.get("id") or "")
    word = str(row.get("status") or "").upper().removeprefix("TRADE_STATUS_")
    settled = TRADE_STATES.get(word)
    if not trade or settled is None:
        raise VenueError(f"polymarket trade: found id {trade!r} and status {word[:40]!r}")
    makers = [maker for maker in row.get("maker_orders") or () if isinstance(maker, dict)]
    size_e6 = amount(row.get("size"))
    asset, buys = row.get("asset_id"), row.get("side") == "BUY"
    priced = [_maker(maker, asset, buys) for maker in makers]
    if sum(matched_e6 for matched_e6, _ in priced) == size_e6:
        notional_e6 = sum(part_e6 for _, part_e6 in priced)
    else:
        notional_e6 = times(row.get("price"), size_e6, buys)
    fills = [Fill(str(row.get("taker_order_id") or ""), trade, size_e6, notional_e6, None, settled)]
    for maker in makers:
        matched_e6 = amount(maker.get("matched_amount"))
        own_e6 = times(maker.get("price"), matched_e6, maker.get("side") == "BUY")
        fills.append(Fill(str(maker.get("order_id")), trade, matched_e6, own_e6, 0, settled))
    return fills


def open_order(row: dict[str, Any], markets: Sequence[Market]) -> Sighting:
    """A row of GET /data/orders."""
    key = str(row.get("id") or "")
    return _sighting("order", key, (key,), row, row.get("original_size"), markets)


def own_trade(row: dict[str, Any], markets: Sequence[Market], owner: str) -> Sighting:
    """A row of GET /data/trades. The top level is the taker's; where we were the maker, the orders
    of our key count, or any if none names its owner.
    """
    keys: tuple[str, ...] = (str(row.get("taker_order_id") or ""),)
    if row.get("trader_side") == "MAKER":
        makers = [maker for maker in row.get("maker_orders") or () if isinstance(maker, dict)]
        own = [maker for maker in makers if maker.get("owner") == owner] or makers
        keys = tuple(str(maker.get("order_id") or "") for maker in own)
        row = {**row, **(own[0] if len(own) == 1 else {})}
    size = row.get("matched_amount") or row.get("size")
    return _sighting("fill", str(row.get("id") or ""), keys, row, size, markets)


def _sighting(
    what: str, name: str, keys: tuple[str, ...], row: dict[str, Any], size: object,
    markets: Sequence[Market],
) -> Sighting:  # fmt: skip
    token = str(row.get("asset_id") or "")
    own = (market for market in markets if market.venue == "polymarket")
    market = next((m for m in own if token in (m.token_yes, m.token_no)), None)
    where = market.ticker if market is not None else f"token {token}"
    text = (
        f"{what} at polymarket: {where} {row.get('outcome')}, {row.get('side')} {size} at"
        f" {row.get('price')}, order {' / '.join(keys)}"
    )
    return Sighting(name, keys, text[:300], market.instrument if market is not None else -1)


def _maker(maker: dict[str, Any], asset: object, buys: bool) -> tuple[int, int]:
    """(size, what the taker paid or got): a maker on the other token gives the taker 1 − its
    price.
    """
    matched_e6 = amount(maker.get("matched_amount"))
    same = maker.get("asset_id") == asset
    part_e6 = times(maker.get("price"), matched_e6, buys if same else not buys)
    return matched_e6, part_e6 if same else matched_e6 - part_e6


def times(price: object, size_e6: int, up: bool) -> int:
    """price × size, rounded up for a payer and down for a receiver. A price can be a ratio of 16
    digits.
    """
    try:
        product = text_to_int(str(price), 18) * size_e6
    except LayoutError as error:
        raise VenueError(f"polymarket price: {error}") from error
    return -(-product // 10**18) if up else product // 10**18


def amount(text: object) -> int:
    if not isinstance(text, str):
        raise VenueError(f"polymarket amount: found {text!r}, wanted a decimal string")
    try:
        return text_to_int(text, 6)
    except LayoutError as error:
        raise VenueError(f"polymarket amount: {error}") from error
