"""The simulated Polymarket: the script's events become book changes, frames, resolutions."""

from __future__ import annotations

from collections.abc import Callable

from ops.venues.numerals import ONE_E6
from ops.venues.polymarket_account import PolymarketAccount
from ops.venues.polymarket_desk import VENUE, Later, PolymarketDesk
from ops.venues.polymarket_market import FINE_TICK_E6, YES, PolymarketMarket
from ops.venues.polymarket_ws import PolymarketHub
from ops.venues.script import (
    BID,
    BookSet,
    ConnectionCut,
    Event,
    LevelSet,
    MarketSpec,
    MarketTrade,
    StatusChange,
)
from ops.venues.session import RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from ops.venues.wire import WsServer

# Beyond these prices the venue trades on the fine tick (documentation of 2026).
_FINE_ABOVE_E6 = 960_000
_FINE_BELOW_E6 = 40_000


class Polymarket:
    """Markets, account, desk and channels. `markets` are keyed by their index in the script."""

    def __init__(
        self,
        spec: VenuesSpec,
        markets: dict[int, MarketSpec],
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
    ) -> None:
        self.clock = clock
        self.log = log
        self._has_dynamic_tick = spec.polymarket_dynamic_tick
        self._by_index = {
            index: PolymarketMarket(market, index) for index, market in markets.items()
        }
        self.markets = list(self._by_index.values())
        self.by_token = {token: one for one in self.markets for token in one.tokens}
        self.by_condition = {market.condition_id: market for market in self.markets}
        accounts = spec.accounts
        self.accounts = accounts
        self.account = PolymarketAccount(
            cash_e6=accounts.cash_polymarket_e6, api_key=accounts.polymarket_api_key
        )
        credentials = (
            accounts.polymarket_api_key,
            accounts.polymarket_secret,
            accounts.polymarket_passphrase,
        )
        self.hub = PolymarketHub(
            markets=self.by_token, credentials=credentials, on_subscribed=on_subscribed
        )
        self.server = WsServer(venue=VENUE, hub=self.hub, log=log)
        self.later = later
        self.desk = PolymarketDesk(
            account=self.account,
            hub=self.hub,
            clock=clock,
            log=log,
            later=later,
            mined_ns=spec.polymarket_mined_ns,
            confirmed_ns=spec.polymarket_confirmed_ns,
        )

    def flush(self) -> None:
        """Send everything queued: one write per connection."""
        self.server.flush()

    def apply(self, event: Event) -> None:
        """One event of the script, at its own run time."""
        if isinstance(event, LevelSet):
            self._level(event)
        elif isinstance(event, BookSet):
            self._book(event)
        elif isinstance(event, MarketTrade):
            self._trade(event)
        elif isinstance(event, StatusChange):
            self._status(event)
        elif isinstance(event, ConnectionCut):
            self.log.count(VENUE, "cuts")
            self.server.flush()
            self.hub.cut(self.server)
        self.desk.expire(event.at_epoch_ns)

    def again(self, market: int) -> None:
        """The whole book of a market once more, unasked."""
        self.hub.book(self._by_index[market], is_first=False)

    def _book(self, event: BookSet) -> None:
        market, run_ns = self._by_index[event.market], event.at_epoch_ns
        is_first, market.is_known = not market.is_known, True
        fills = market.book.set_book(event.bids, event.asks)
        market.touched(run_ns)
        self._retick(market, run_ns)
        self.hub.book(market, is_first=is_first)
        self.desk.filled_resting(market, fills, run_ns)

    def _level(self, event: LevelSet) -> None:
        market, run_ns = self._by_index[event.market], event.at_epoch_ns
        if not market.is_known:
            market.is_known = True
            self.hub.book(market, is_first=True)
        changes, later, fills = market.book.set_level(event.side, event.price_e6, event.size_e6)
        self.hub.changes(market, changes + later, run_ns)
        self._retick(market, run_ns)
        if fills:
            self.desk.filled_resting(market, fills, run_ns)

    def _trade(self, event: MarketTrade) -> None:
        market, run_ns = self._by_index[event.market], event.at_epoch_ns
        side = "BUY" if event.taker_side == BID else "SELL"
        self.hub.last_trade(market, YES, event.price_e6, event.size_e6, side, run_ns)
        fills, changes = market.book.trade(event.price_e6, event.size_e6, event.taker_side)
        self.hub.changes(market, changes, run_ns)
        self.desk.filled_resting(market, fills, run_ns)

    def _retick(self, market: PolymarketMarket, run_ns: int) -> None:
        """The tick becomes fine when the price nears an end; it does not come back."""
        if not self._has_dynamic_tick or market.tick_e6 <= FINE_TICK_E6:
            return
        bid, ask = market.touch(YES)
        if bid > _FINE_ABOVE_E6 or (ask < _FINE_BELOW_E6 and bid < ONE_E6):
            old, market.tick_e6 = market.tick, FINE_TICK_E6
            self.hub.tick_size(market, old, run_ns)

    def _status(self, event: StatusChange) -> None:
        market, run_ns = self._by_index[event.market], event.at_epoch_ns
        market.status = event.status
        if event.settlement_e6 is not None and market.settlement_e6 is None:
            market.settlement_e6 = event.settlement_e6
            market.settled_epoch_ns = run_ns
            self.desk.cancel_where(market.condition_id, status="CANCELED_MARKET_RESOLVED")
            if self.account.redeem(market.tokens, event.settlement_e6):
                self.log.count(VENUE, "settlements")
            self.hub.resolved(market, run_ns)
