"""The life of Kalshi's markets: what a change of status does, and which events the life-cycle
channel tells of it.

Opening at open_time and closing at close_time are told to nobody; re-activating an inactive market
cancels what rests there (kalshi.md 12, AsyncAPI of autumn 2026).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ops.venues.fees import KalshiFeeTerms
from ops.venues.kalshi_account import KalshiAccount
from ops.venues.kalshi_desk import VENUE, KalshiDesk
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_order import money_e6
from ops.venues.kalshi_reads import KalshiReads
from ops.venues.kalshi_ws import KalshiHub
from ops.venues.numerals import ONE_E6, SECOND_NS, count2, dollars4, dollars6, iso_us
from ops.venues.script import StatusChange
from ops.venues.session import VenueLog

CHANNEL = "market_lifecycle_v2"
ACTIVE, INACTIVE, FINALIZED, INITIALIZED = "active", "inactive", "finalized", "initialized"
# Response words after which nobody trades any more.
OVER = frozenset({"closed", "determined", "disputed", "amended", FINALIZED})
Ranges = tuple[tuple[int, int, int], ...]


class KalshiLife:
    """Carries out status changes, and what else becomes of markets and events."""

    def __init__(
        self,
        *,
        account: KalshiAccount,
        desk: KalshiDesk,
        reads: KalshiReads,
        hub: KalshiHub,
        log: VenueLog,
    ) -> None:
        self._account = account
        self._desk = desk
        self._reads = reads
        self._hub = hub
        self._log = log
        self._events: set[str] = set()

    def change(self, market: KalshiMarket, event: StatusChange) -> None:
        """The script says so."""
        before, market.status = market.status, event.status
        run_ns = event.at_epoch_ns
        if event.status in OVER:
            self._desk.cancel_market(market, run_ns, "CloseCancel")
        if event.status == INITIALIZED:
            self.created(market)
        if event.strike_e8 is not None:
            market.strike_e8 = event.strike_e8
            told = {"strike_type": market.strike_type, "floor_strike": event.strike_e8 / 10**8}
            self._tell(market, "metadata_updated", **told)
        if event.settlement_e6 is not None and market.settlement_e6 is None:
            self._determined(market, event.settlement_e6, event.final_e8, run_ns)
        if event.status == FINALIZED:
            self._tell(market, "settled", settled_ts=run_ns // SECOND_NS)
            self._settle(market, run_ns)
        elif event.status == INACTIVE:
            self._tell(market, "deactivated", is_deactivated=True)
        elif event.status == ACTIVE and before == INACTIVE:
            self._desk.cancel_market(market, run_ns, "HaltCancel")
            self._tell(market, "activated", is_deactivated=False)

    def _tell(self, market: KalshiMarket, event_type: str, **told: Any) -> None:
        message = {"market_ticker": market.ticker, "event_type": event_type, **told}
        self._hub.publish(CHANNEL, CHANNEL, market.ticker, message)

    def created(self, market: KalshiMarket) -> None:
        """A market is new; so is its event, with its first market."""
        spec, event = market.spec, market.event_json()
        if market.event_ticker not in self._events:
            self._events.add(market.event_ticker)
            message = {
                "event_ticker": market.event_ticker,
                "exchange_index": spec.exchange_index,
                "title": event["title"],
                "subtitle": event["sub_title"],
                "collateral_return_type": event["collateral_return_type"],
                "series_ticker": market.series_ticker,
            }
            self._hub.publish(CHANNEL, "event_lifecycle", market.ticker, message)
        about = market.json()
        copied = ("title", "yes_sub_title", "no_sub_title", "rules_primary", "rules_secondary",
                  "can_close_early", "event_ticker", "strike_type")  # fmt: skip
        metadata: dict[str, Any] = {"name": spec.title, **{key: about[key] for key in copied}}
        metadata["expected_expiration_ts"] = spec.close_epoch_ns // SECOND_NS
        for key in ("floor_strike", "custom_strike"):
            if key in about:
                metadata[key] = about[key]
        self._tell(
            market,
            "created",
            exchange_index=spec.exchange_index,
            open_ts=spec.open_epoch_ns // SECOND_NS,
            close_ts=spec.close_epoch_ns // SECOND_NS,
            price_level_structure=market.structure,
            price_ranges=market.price_ranges(),
            additional_metadata=metadata,
        )

    # ---- the end

    def _determined(
        self, market: KalshiMarket, value_e6: int, final_e8: int | None, run_ns: int
    ) -> None:
        market.settlement_e6 = value_e6
        market.final_e8 = final_e8
        market.settled_epoch_ns = run_ns
        self._tell(
            market,
            "determined",
            result=market.result,
            determination_ts=run_ns // SECOND_NS,
            settlement_value=dollars4(value_e6),
        )

    def _settle(self, market: KalshiMarket, run_ns: int) -> None:
        value_e6 = market.settlement_e6
        position = self._account.positions.get(market.ticker)
        if value_e6 is None or position is None or position.net_e6 == 0:
            return
        held = replace(position)
        self._account.settle(market, value_e6, run_ns)
        self._log.count(VENUE, "settlements")
        unit_e6 = value_e6 if held.net_e6 > 0 else ONE_E6 - value_e6
        paid_e6 = money_e6(unit_e6, abs(held.net_e6))
        yes_e6, no_e6 = max(0, held.net_e6), max(0, -held.net_e6)
        self._reads.settlement(
            {
                "ticker": market.ticker,
                "exchange_index": market.spec.exchange_index,
                "event_ticker": market.event_ticker,
                "market_result": market.result,
                "yes_count_fp": count2(yes_e6),
                "yes_total_cost_dollars": dollars6(held.cost_e6 if yes_e6 else 0),
                "no_count_fp": count2(no_e6),
                "no_total_cost_dollars": dollars6(held.cost_e6 if no_e6 else 0),
                "revenue": paid_e6 // 10_000,  # whole cents, as `value` is
                "settled_time": iso_us(run_ns),
                "fee_cost": dollars6(held.fees_e6),
                "value": value_e6 * 100 // ONE_E6,
            }
        )
        self._desk.tape.position_changed(market)

    # ---- what no script says: tests and faults do

    def regrid(self, market: KalshiMarket, price_ranges: Ranges) -> None:
        """The price grid changes mid-life."""
        market.spec = replace(market.spec, price_ranges=price_ranges)
        structure = {"price_level_structure": market.structure}
        self._tell(
            market,
            "price_level_structure_updated",
            **structure,
            price_ranges=market.price_ranges(),
        )

    def move_close(self, market: KalshiMarket, close_epoch_ns: int) -> None:
        """The market will close at another time."""
        market.spec = replace(market.spec, close_epoch_ns=close_epoch_ns)
        self._tell(market, "close_date_updated", close_ts=close_epoch_ns // SECOND_NS)

    def override_fees(
        self, markets: list[KalshiMarket], kind: str | None, multiplier_e6: int | None
    ) -> None:
        """An event's fees differ from its series' from now on; None: as the series has them."""
        first = markets[0]
        for market in markets:
            market.fee_override = (kind, multiplier_e6)
            market.fee_terms = KalshiFeeTerms(
                kind=kind or market.spec.fee_kind,
                rate_e6=market.spec.fee_rate_e6,
                multiplier_e6=(
                    market.spec.fee_multiplier_e6 if multiplier_e6 is None else multiplier_e6
                ),
            )
        message = {"event_ticker": first.event_ticker, **first.fee_override_json()}
        self._hub.publish(CHANNEL, "event_fee_update", first.ticker, message)
