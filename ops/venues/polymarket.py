"""The simulated Polymarket: the script's events become book changes, frames, resolutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ops.venues.numerals import ONE_E6
from ops.venues.polymarket_account import PolymarketAccount
from ops.venues.polymarket_desk import PolymarketDesk
from ops.venues.polymarket_gate import EngineGate, Place
from ops.venues.polymarket_keys import KeyRing
from ops.venues.polymarket_market import FINE_TICK_E6, YES, PolymarketMarket
from ops.venues.polymarket_order import Signer
from ops.venues.polymarket_supply import Supply
from ops.venues.polymarket_trades import VENUE, Office, TradeTerms
from ops.venues.polymarket_wallets import wallets_of
from ops.venues.polymarket_ws import PolymarketHub
from ops.venues.script import (
    BID,
    BookSet,
    ConnectionCut,
    Event,
    LevelSet,
    Listing,
    MarketSpec,
    MarketTrade,
    StatusChange,
)
from ops.venues.session import Ids, Later, RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from ops.venues.wire import WsServer

# Beyond these prices the venue trades on the fine tick (documentation of 2026).
_FINE_ABOVE_E6 = 960_000
_FINE_BELOW_E6 = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader:
    """One EOA: whom it may sign for, what it owns, who takes its orders. `wallet`: the maker
    address that its rows in the Data API name.
    """

    signer: Signer
    account: PolymarketAccount
    desk: PolymarketDesk
    wallet: str


class Polymarket:
    """Markets, traders and channels. `markets` are keyed by their index in the script.

    `account` and `desk` are the session's own trader's. Any other EOA may have API keys; it owns
    nothing and, being new, must use its deposit wallet.
    """

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
        self.later = later
        self._spec = spec
        self.terms = spec.polymarket
        whole = {
            ticker
            for one in spec.script.sets
            if one.venue == VENUE and not one.is_augmented
            for ticker in one.tickers
        }
        self._by_index = {
            index: PolymarketMarket(market, index, is_whole=market.ticker in whole)
            for index, market in markets.items()
        }
        self.markets = list(self._by_index.values())
        self.by_token = {token: one for one in self.markets for token in one.tokens}
        self.by_condition = {market.condition_id: market for market in self.markets}
        self.keys = KeyRing(spec.accounts)
        self.supply = Supply([market.tokens for market in self.markets])
        self.gate = EngineGate(
            clock=clock.mono_ns,
            restart_ns=spec.polymarket.restart_ns,
            post_only_ns=spec.polymarket.post_only_ns,
            place=Place(
                country=spec.polymarket.country,
                region=spec.polymarket.region,
                is_blocked=spec.polymarket.is_blocked,
            ),
        )
        for after_ns in spec.polymarket.restarts_ns:
            later(after_ns, self.gate.restart)
        self.hub = PolymarketHub(
            markets=self.by_token,
            known=self.keys.shown,
            later=later,
            on_subscribed=on_subscribed,
        )
        self.server = WsServer(venue=VENUE, hub=self.hub, log=log)
        self._traders: dict[str, Trader] = {}
        own = self.trader(spec.accounts.polymarket_address.lower())
        self.account, self.desk = own.account, own.desk

    # ---- traders

    def trader(self, address: str) -> Trader:
        """The trader of a lower-case EOA."""
        found = self._traders.get(address)
        if found is None:
            found = self._traders[address] = self._new_trader(address)
        return found

    def trader_of_wallet(self, wallet: str) -> Trader | None:
        """Whose lower-case wallet (or EOA) this is, None: nobody's known here."""
        for address, trader in self._traders.items():
            signer = trader.signer
            if wallet == address or any(signer.may(kind, wallet) for kind in (1, 2, 3)):
                return trader
        return None

    def _new_trader(self, address: str) -> Trader:
        spec, accounts = self._spec, self._spec.accounts
        is_own = not self._traders
        account = PolymarketAccount(
            cash_e6=accounts.cash_polymarket_e6 if is_own else 0,
            address=address,
            allowance_e6=spec.polymarket.allowance_e6 if is_own else None,
            state=spec.polymarket.account_state if is_own else "",
        )
        funder = accounts.polymarket_funder.lower() if is_own else ""
        is_new = spec.polymarket.is_new if is_own else True
        signer = Signer(address=address, funder=funder, is_new=is_new, wallets=wallets_of(address))
        office = Office(
            account=account,
            supply=self.supply,
            hub=self.hub,
            clock=self.clock,
            log=self.log,
            later=self.later,
            ids=Ids(VENUE if is_own else f"{VENUE}/{address}"),
        )
        terms = TradeTerms(
            mined_ns=spec.polymarket_mined_ns,
            confirmed_ns=spec.polymarket_confirmed_ns,
            failed_e6=spec.polymarket.failed_e6,
            retrying_e6=spec.polymarket.retrying_e6,
            seed=spec.polymarket.seed,
        )
        desk = PolymarketDesk(office, terms)
        wallet = funder or (min(signer.wallets[3]) if is_new else address)
        return Trader(signer=signer, account=account, desk=desk, wallet=wallet)

    # ---- the script

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
        elif isinstance(event, Listing):
            self._list(event)
        elif isinstance(event, ConnectionCut):
            self.log.count(VENUE, "cuts")
            self.server.flush()
            self.hub.cut(self.server)
        self.desk.expire(event.at_epoch_ns)

    def _list(self, event: Listing) -> None:
        market = PolymarketMarket(event.spec, event.market)
        self._by_index[event.market] = market
        self.markets.append(market)
        self.by_token.update(dict.fromkeys(market.tokens, market))
        self.by_condition[market.condition_id] = market
        self.supply.add(market.tokens)

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
        if market.is_known:
            self.hub.book(market, is_first=False)  # the venue refreshes whole books after trades

    def _retick(self, market: PolymarketMarket, run_ns: int) -> None:
        """The tick becomes fine when the price nears an end; it does not come back."""
        if not self._spec.polymarket_dynamic_tick or market.tick_e6 <= FINE_TICK_E6:
            return
        bid, ask = market.touch(YES)
        if bid > _FINE_ABOVE_E6 or (ask < _FINE_BELOW_E6 and bid < ONE_E6):
            old, market.tick_e6 = market.tick, FINE_TICK_E6
            self.hub.tick_size(market, old, run_ns)

    def _status(self, event: StatusChange) -> None:
        market, run_ns = self._by_index[event.market], event.at_epoch_ns
        was_early, market.status = market.is_early, event.status
        if event.strike_e8 is not None:
            market.strike_e8 = event.strike_e8
        if event.final_e8 is not None:
            market.final_e8 = event.final_e8
        if was_early and market.is_open:
            self.hub.new_market(market, run_ns)
        if event.settlement_e6 is not None and market.settlement_e6 is None:
            self._settle(market, event.settlement_e6, run_ns)

    def _settle(self, market: PolymarketMarket, value_e6: int, run_ns: int) -> None:
        market.settlement_e6 = value_e6
        market.settled_epoch_ns = run_ns
        self.desk.cancel_where(market.condition_id, status="CANCELED_MARKET_RESOLVED")
        paid_e6 = 0
        for token, unit_e6 in zip(market.tokens, (value_e6, ONE_E6 - value_e6), strict=True):
            shares_e6, got_e6 = self.account.redeem(token, unit_e6, run_ns)
            self.supply.redeem(token, shares_e6, got_e6)
            paid_e6 += got_e6
        if paid_e6:
            self.log.count(VENUE, "settlements")
        self.hub.resolved(market, run_ns)
