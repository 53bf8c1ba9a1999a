"""The simulated Kalshi: the script's events become book changes, frames, life-cycle steps and
payouts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ops.venues.book import Change
from ops.venues.kalshi_account import KalshiAccount
from ops.venues.kalshi_auth import KalshiGate
from ops.venues.kalshi_changes import KalshiChanges
from ops.venues.kalshi_desk import VENUE, KalshiDesk
from ops.venues.kalshi_exchange import KalshiExchange, PausedBooks
from ops.venues.kalshi_groups import KalshiGroups
from ops.venues.kalshi_index import KalshiIndices
from ops.venues.kalshi_life import KalshiLife
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_reads import KalshiReads
from ops.venues.kalshi_reply import Reply
from ops.venues.kalshi_tape import KalshiTape
from ops.venues.kalshi_transfers import KalshiTransfers
from ops.venues.kalshi_ws import KalshiHub
from ops.venues.rest import Answer
from ops.venues.script import (
    BookSet,
    ConnectionCut,
    Event,
    IndexTick,
    LevelSet,
    Listing,
    MarketSpec,
    MarketTrade,
    StatusChange,
    TickerPrint,
)
from ops.venues.session import Ids, RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from ops.venues.wire import WsServer


class Kalshi:
    """Markets, account, order desk and channels. `markets` are keyed by their index in the
    script.
    """

    def __init__(
        self,
        spec: VenuesSpec,
        markets: dict[int, MarketSpec],
        *,
        clock: RunClock,
        log: VenueLog,
        on_subscribed: Callable[[], None],
    ) -> None:
        ids = self._ids = Ids(VENUE)
        exclusive = {
            ticker
            for one in spec.script.sets
            if one.venue == VENUE and one.is_exclusive
            for ticker in one.tickers
        }
        self.clock = clock
        self.log = log
        self._by_index = {
            index: KalshiMarket(
                market,
                ids.named(f"market/{market.ticker}"),
                is_exclusive=market.ticker in exclusive,
            )
            for index, market in markets.items()
        }
        self.markets = {market.ticker: market for market in self._by_index.values()}
        accounts = spec.accounts
        self.gate = KalshiGate(
            key_id=accounts.kalshi_key_id, public_pem=accounts.kalshi_public_pem, clock=clock
        )
        self.account = KalshiAccount(accounts.cash_kalshi_e6)
        self.reads = KalshiReads(self.account, lag_ns=spec.kalshi_read_lag_ns, clock=clock)
        self.hub = KalshiHub(
            gate=self.gate, markets=self.markets, clock=clock, on_subscribed=on_subscribed
        )
        self.indices = KalshiIndices(self.hub, spec.script.indices)
        self.server = WsServer(venue=VENUE, hub=self.hub, log=log)
        self.exchange = KalshiExchange(clock=clock, has_pause=spec.kalshi_has_pause)
        self.tape = KalshiTape(account=self.account, reads=self.reads, hub=self.hub, ids=ids)
        self.groups = KalshiGroups(
            account=self.account, ids=ids, clock=clock, tell=self.tape.group_changed
        )
        self.desk = KalshiDesk(
            account=self.account, markets=self.markets, tape=self.tape, exchange=self.exchange,
            groups=self.groups, ids=ids, clock=clock, log=log,
        )  # fmt: skip
        self.changes = KalshiChanges(self.desk)
        self.life = KalshiLife(
            account=self.account, desk=self.desk, reads=self.reads, hub=self.hub, log=log
        )
        self.transfers = KalshiTransfers(
            account=self.account, reads=self.reads, ids=ids, clock=clock
        )
        self._now_ns = 0
        self._seq: int | None = None
        self._paused = PausedBooks()
        self._is_trading = True
        self._quoted: set[KalshiMarket] = set()

    def flush(self) -> None:
        """Send everything queued: one write per connection."""
        self.pass_time(self.clock.run_ns())
        if self._quoted:
            quoted, self._quoted = self._quoted, set()
            run_ns = self.clock.run_ns()
            for market in quoted:
                self.tape.candles.quoted(market, run_ns)
        self.hub.flush_tickers()
        self.server.flush()
        dropped = self.hub.drop_slow()
        if dropped:
            self.log.count(VENUE, "subscriptions_overflowed", dropped)
            self.server.flush()

    def apply(self, event: Event) -> None:
        """One event of the script, at its own run time."""
        self.pass_time(event.at_epoch_ns)
        if not self._is_trading and self._waits(event):
            return
        if isinstance(event, LevelSet):
            self._level(event)
        elif isinstance(event, BookSet):
            self._book(event)
        elif isinstance(event, MarketTrade):
            self._trade(event)
        elif isinstance(event, TickerPrint):
            self._ticker(event)
        elif isinstance(event, IndexTick):
            self.indices.tick(event)
        elif isinstance(event, StatusChange):
            self._status(event)
        elif isinstance(event, Listing):
            self._list(event)
        elif isinstance(event, ConnectionCut):
            self._cut()

    def answered(self, read_ns: int, reply: Reply) -> Answer:
        """One row of the log for the answer to an order."""
        self.log.order(VENUE, reply.key, read_ns, self.clock.mono_ns(), reply.outcome)
        return Answer(reply.status, reply.body, is_order=True)

    def pass_time(self, run_ns: int) -> None:
        """What time alone brings: expiries, transfers, the beginning and the end of a pause."""
        if run_ns <= self._now_ns:
            return
        self._now_ns = run_ns
        self.desk.expire(run_ns)
        self.transfers.pass_time()
        is_trading = self.exchange.is_trading(run_ns)
        if is_trading == self._is_trading:
            return
        self._is_trading = is_trading
        self.log.count(VENUE, "resumed" if is_trading else "paused")
        if not is_trading:
            self.desk.pause(run_ns)
            return
        for event in self._paused.take():
            self.apply(replace(event, at_epoch_ns=run_ns))

    def _waits(self, event: Event) -> bool:
        """While nobody may trade, books stand still and nothing is printed. A recording that has
        the venue's own numbers had its pause already.
        """
        if isinstance(event, BookSet | LevelSet):
            waits = event.venue_seq is None and self._by_index[event.market].is_known
            if waits:
                self._paused.keep(event)
            return waits
        return isinstance(event, MarketTrade)

    def again(self, market: int) -> None:
        """The whole book of a market once more, unasked."""
        self.hub.book(self._by_index[market])

    def _step(self, venue_seq: int | None) -> int:
        """By how much the recorded number grew; a hole in the recording stays one."""
        if venue_seq is None:
            return 1
        before, self._seq = self._seq, venue_seq
        return 1 if before is None or venue_seq <= before else venue_seq - before

    def _book(self, event: BookSet) -> None:
        market = self._by_index[event.market]
        step = self._step(event.venue_seq)
        market.numbered(event.venue_seq)
        market.is_known = True
        fills = market.book.set_book(event.bids, event.asks)
        self._quoted.add(market)
        self.hub.book(market, step=step)
        self.desk.filled_resting(market, fills, event.at_epoch_ns)

    def _level(self, event: LevelSet) -> None:
        market = self._by_index[event.market]
        step = self._step(event.venue_seq)
        if not market.is_known and event.venue_seq is None:
            market.is_known = True
            self.hub.book(market)
        market.numbered(event.venue_seq)
        changes, later, fills = market.book.set_level(event.side, event.price_e6, event.size_e6)
        if not changes and event.venue_seq is not None:
            changes = [Change(event.side, event.price_e6, 0, 0)]
        held = not later and len(changes) == 1
        if not held or not self.hub.hold(market, changes[0], event.at_epoch_ns):
            self._deltas(market, changes, event.at_epoch_ns, step=step)
        self._deltas(market, later, event.at_epoch_ns)
        self.desk.filled_resting(market, fills, event.at_epoch_ns)

    def _deltas(
        self, market: KalshiMarket, changes: list[Change], run_ns: int, *, step: int = 1
    ) -> None:
        self._quoted.add(market)
        for change in changes:
            size_e6 = change.new_e6 - change.old_e6
            self.hub.delta(market, change.side, change.price_e6, size_e6, run_ns, step=step)

    def _trade(self, event: MarketTrade) -> None:
        market = self._by_index[event.market]
        price_e6, size_e6, side = event.price_e6, event.size_e6, event.taker_side
        self.tape.printed(market, price_e6, size_e6, side, event.at_epoch_ns)
        fills, changes = market.book.trade(price_e6, size_e6, side)
        self._deltas(market, changes, event.at_epoch_ns)
        self.desk.filled_resting(market, fills, event.at_epoch_ns)

    def _ticker(self, event: TickerPrint) -> None:
        market = self._by_index[event.market]
        market.has_tickers = True
        message = {"market_id": market.market_id, "market_ticker": market.ticker}
        self.hub.publish("ticker", "ticker", market.ticker, {**message, **dict(event.fields)})

    def _status(self, event: StatusChange) -> None:
        self.life.change(self._by_index[event.market], event)

    def _list(self, event: Listing) -> None:
        spec = event.spec
        market = KalshiMarket(spec, self._ids.named(f"market/{spec.ticker}"))
        self._by_index[event.market] = self.markets[spec.ticker] = market
        self.life.created(market)

    def _cut(self) -> None:
        self._seq = None
        for market in self._by_index.values():
            if market.venue_seq is not None:
                market.venue_seq = None
                market.is_known = False
        self.log.count(VENUE, "cuts")
        self.server.flush()
        self.hub.cut(self.server)
