"""The hosts around the CLOB: Data API (both versions), the web host's geoblock, the relayer.

Data rows speak of wallets, in block-time seconds and without fees (reference section 16). Version 1
has camelCase keys and plain lists as third-party clients read them (announced off for 2026-10-24);
version 2 snake_case, `data` and `pagination` (polymarket-client 0.14.0, models/data).
"""

from __future__ import annotations

import re
from typing import Any

from ops.venues.numerals import ONE_E6, SECOND_NS, iso_s, parse_e6
from ops.venues.polymarket import Polymarket, Trader
from ops.venues.polymarket_faces import prices_e6
from ops.venues.polymarket_gamma import event_slug
from ops.venues.polymarket_market import YES, PolymarketMarket, number
from ops.venues.polymarket_public import error_answer
from ops.venues.rest import Answer, Call, Routes
from ops.venues.signatures import is_position_id

ROWS_MAX = 1000
Row = dict[str, Any]
_WORDS = re.compile(r"(?<!^)(?=[A-Z])")


class DataRest:
    """Reads by wallet address (`user`): any wallet of a known EOA, or the EOA itself."""

    def __init__(self, venue: Polymarket, routes: Routes) -> None:
        self._venue = venue
        add = routes.add
        for name, rows in (
            ("positions", self._positions),
            ("trades", self._trades),
            ("activity", self._activity),
        ):
            add("GET", f"/{name}", self._of_user(rows, is_v2=False))
            add("GET", f"/v2/{name}", self._of_user(rows, is_v2=True))
        add("GET", "/value", self._value)
        add("GET", "/v2/value", self._value_v2)
        add("GET", "/api/geoblock", lambda _: Answer(200, venue.gate.place.body()))
        add("GET", "/deployed", self._deployed)

    def _trader(self, call: Call) -> Trader | None:
        user = call.query.get("user") or call.query.get("wallet") or call.query.get("proxy_wallet")
        return self._venue.trader_of_wallet(user.lower()) if user else None

    def _of_user(self, rows_of: Any, *, is_v2: bool) -> Any:
        def handler(call: Call) -> Answer:
            trader = self._trader(call)
            if trader is None and "user" not in call.query and not is_v2:
                return error_answer("required query param 'user' not provided")
            rows: list[Row] = rows_of(trader, call) if trader else []
            text = call.query.get("limit", "")
            rows = rows[: min(int(text) if text.isdecimal() else ROWS_MAX, ROWS_MAX)]
            if not is_v2:
                return Answer(200, rows)
            page = {"next_cursor": None, "has_more": False}
            return Answer(200, {"data": [_snake(row) for row in rows], "pagination": page})

        return handler

    # ---- rows

    def _positions(self, trader: Trader, call: Call) -> list[Row]:
        account = trader.account
        return [
            self._position(trader, market, outcome)
            for market in self._venue.markets
            for outcome, token in enumerate(market.tokens)
            if account.tokens_e6.get(token, 0)
            and call.query.get("market") in (None, market.condition_id)
        ]

    def _position(self, trader: Trader, market: PolymarketMarket, outcome: int) -> Row:
        account, token = trader.account, market.tokens[outcome]
        size_e6 = account.tokens_e6[token]
        cost_e6 = account.cost_e6.get(token, 0)
        price_e6 = prices_e6(market)[outcome]
        value_e6 = size_e6 * price_e6 // ONE_E6
        opposite = market.tokens[1 - outcome]
        return {
            "proxyWallet": trader.wallet,
            "asset": token,
            "conditionId": market.condition_id,
            "size": number(size_e6),
            "avgPrice": number(cost_e6 * ONE_E6 // size_e6),
            "initialValue": number(cost_e6),
            "currentValue": number(value_e6),
            "cashPnl": number(value_e6 - cost_e6),
            "percentPnl": number((value_e6 - cost_e6) * 100 * ONE_E6 // cost_e6) if cost_e6 else 0,
            "totalBought": number(size_e6),
            "realizedPnl": 0,
            "percentRealizedPnl": 0,
            "curPrice": number(price_e6),
            "redeemable": market.settlement_e6 is not None,
            "mergeable": account.tokens_e6.get(opposite, 0) > 0,
            **_names(market, outcome),
            "oppositeOutcome": market.outcomes[1 - outcome],
            "oppositeAsset": opposite,
            "endDate": iso_s(market.spec.close_epoch_ns)[:10],
            "negativeRisk": market.spec.neg_risk,
        }

    def _trades(self, trader: Trader, call: Call) -> list[Row]:
        """Trades that did not fail; our own side of each, makers too unless `takerOnly` (the
        default).
        """
        query = call.query
        taker_only = "false" not in (query.get("takerOnly"), query.get("taker_only"))
        rows = []
        for row in reversed(trader.account.trades.values()):
            is_maker = row["trader_side"] == "MAKER"
            if row["status"] != "FAILED" and not (is_maker and taker_only):
                rows.append(self._trade(trader, row["maker_orders"][0] if is_maker else row, row))
        return rows

    def _trade(self, trader: Trader, own: Row, row: Row) -> Row:
        market = self._venue.by_token[own["asset_id"]]
        return {
            "proxyWallet": trader.wallet,
            "side": own["side"],
            "asset": own["asset_id"],
            "conditionId": market.condition_id,
            "size": number(parse_e6(own.get("matched_amount") or own.get("size")) or 0),
            "price": number(parse_e6(own["price"]) or 0),
            "timestamp": int(row["match_time"]),
            **_names(market, market.outcome_of(own["asset_id"])),
            "name": "",
            "pseudonym": "",
            "bio": "",
            "profileImage": "",
            "profileImageOptimized": "",
            "transactionHash": row["transaction_hash"],
        }

    def _activity(self, trader: Trader, call: Call) -> list[Row]:
        """Trades and redemptions, newest first."""
        rows: list[Row] = []
        for own in trader.account.trades.values():
            if own["status"] == "FAILED":
                continue
            is_maker = own["trader_side"] == "MAKER"
            row = self._trade(trader, own["maker_orders"][0] if is_maker else own, own)
            row["usdcSize"] = round(row["size"] * row["price"], 6)
            rows.append({**row, "type": "TRADE"})
        for run_ns, token, shares_e6, paid_e6 in trader.account.redeemed:
            market = self._venue.by_token[token]
            rows.append(
                {
                    "proxyWallet": trader.wallet,
                    "timestamp": run_ns // SECOND_NS,
                    "conditionId": market.condition_id,
                    "type": "REDEEM",
                    "size": number(shares_e6),
                    "usdcSize": number(paid_e6),
                    "transactionHash": "",
                    "price": 0,
                    "asset": token,
                    "side": "",
                    **_names(market, market.outcome_of(token)),
                }
            )
        return sorted(rows, key=lambda row: -int(row["timestamp"]))

    def _value(self, call: Call) -> Answer:
        trader = self._trader(call)
        if trader is None:
            return Answer(200, [])
        total_e6 = 0
        for market in self._venue.markets:
            for token, price_e6 in zip(market.tokens, prices_e6(market), strict=True):
                total_e6 += trader.account.tokens_e6.get(token, 0) * price_e6 // ONE_E6
        return Answer(200, [{"user": trader.wallet, "value": number(total_e6)}])

    def _value_v2(self, call: Call) -> Answer:
        """One object in the envelope; an unknown wallet has nothing (polymarket-client 0.14.0)."""
        found = self._value(call).body
        value = found[0]["value"] if found else 0
        return Answer(200, {"data": {"proxy_wallet": call.query.get("user"), "value": value}})

    # ---- the relayer

    def _deployed(self, call: Call) -> Answer:
        """Whether a wallet's contract is on chain: those of known owners are."""
        address = call.query.get("address", "").lower()
        if not address:
            return error_answer("address is required")
        return Answer(200, {"deployed": self._venue.trader_of_wallet(address) is not None})


def _names(market: PolymarketMarket, outcome: int) -> Row:
    return {
        "title": market.spec.title,
        "slug": market.spec.ticker,
        "icon": "",
        "eventSlug": event_slug(market),
        "outcome": market.outcomes[outcome],
        "outcomeIndex": YES if outcome == YES else 1,
    }


# Keys that version 2 calls otherwise than by writing them with underscores.
_V2_NAMES = {
    "asset": "token_id",
    "oppositeAsset": "opposite_token_id",
    "curPrice": "current_price",
    "cashPnl": "unrealized_pnl",
    "initialValue": "entry_cost_usdc",
    "negativeRisk": "negative_risk",
}


def _snake(row: Row) -> Row:
    """A version 1 row as version 2 shows it."""
    made = {_V2_NAMES.get(key) or _WORDS.sub("_", key).lower(): row[key] for key in row}
    if "redeemable" not in row:
        if "type" in row:
            made["is_combo"] = is_position_id(int(row["asset"])) and int(row["asset"]) >> 248 == 3
        return made
    size, pnl = made.pop("size"), made["unrealized_pnl"]
    made.update(
        current_size=size,
        total_size=size,
        entry_fees_usdc=0,
        total_cost_usdc=made["entry_cost_usdc"],
        total_pnl=pnl,
        status="REDEEMABLE" if row["redeemable"] else "OPEN",
        archived=False,
        verified=True,
    )
    return made
