"""What we have: tokens or net contracts per instrument, cash per account, what is in flight. Folds
fills once.

A leg not yet answered, or unknown, counts as filled at its worst cost. On a venue that nets
(Kalshi: one signed position a market) a trade first closes the other side; elsewhere YES and NO
tokens are held apart. What the last look needs of it stands in the desk's memory: whoever changes a
number here tells it at once (`refresh`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.holding import Position, counted_e6, fill
from gateway.memory import Memory
from gateway.order import Order
from gateway.ports import NO, YES, Held, Market
from gateway.standing import Standing
from shm_layout import BUY, P_UNKNOWN

DAY_NS = 86_400_000_000_000


@dataclass(slots=True)
class Cash:
    """One account row. `start_e6`: what the venue said when the gateway reconciled; `paid_ns`: when
    a settled market last paid."""

    account: int
    venue: str
    exchange_index: int
    cash_e6: int = 0
    start_e6: int = 0
    paid_ns: int = 0


@dataclass(slots=True)
class Booking:
    """An order in flight: its worst cost in cash, and whether the detector has reserved it too."""

    order: Order
    cost_e6: int
    is_ours: bool


class Accounts:
    """All positions and cash of this gateway. One owner: the desk."""

    def __init__(
        self, markets: Sequence[Market], nets: Mapping[str, bool], memory: Memory | None = None
    ) -> None:
        self.memory = memory or Memory()
        self.standing = Standing(self.memory)
        self.markets = {market.instrument: market for market in markets}
        self.known: tuple[Market, ...] = ()
        self.nets = dict(nets)
        self.positions: dict[int, Position] = {}
        self.cash: dict[int, Cash] = {}
        self.flights: dict[tuple[int, int], Booking] = {}
        self.realized_day_e6 = 0
        self._day = -1
        # by event, until nothing of it is held: the result so far, and what of it the day has
        self._settled_e6: dict[int, int] = {}
        self._counted_e6: dict[int, int] = {}
        # by instrument, until nothing of its event is held: what bets had at risk in it and a
        # pair's leg closed; the pair's other leg stands alone in its place
        self.covered_e6: dict[int, int] = {}
        self.redeem_e6: dict[int, int] = {}  # paid by settled markets, not fetched yet
        for market in markets:
            self.add_market(market)

    def add_market(self, market: Market) -> None:
        """Know a market; its position and cash stay if they are there, unless the number was
        another market's. `known`: those that the venues are asked about."""
        number, was = market.instrument, self.markets.get(market.instrument)
        if was is not None and was.generation != market.generation:
            self.positions.pop(number, None)
            self.redeem_e6.pop(number, None)
            self.covered_e6.pop(number, None)
            self.standing.forget(number)
        self.markets[number] = market
        if was is not None and was.event != market.event:
            self._count_settled(was.event)
        self.known = tuple(each for each in self.markets.values() if each.is_live)
        self.cash.setdefault(
            market.account, Cash(market.account, market.venue, market.exchange_index)
        )
        self.memory.market(market)
        self.refresh(None if was is not None and was.account != market.account else number)

    def refresh(self, instrument: int | None = None) -> None:
        """Tell the desk's memory how an instrument and its account stand. None: all of them."""
        if instrument is None:
            for known in self.markets:
                self.refresh(known)
            return
        market = self.markets[instrument]
        self._count_settled(market.event)
        self._uncover(market.event)
        position = self.positions.get(instrument) or Position()
        cost_e6 = position.cost_e6 + position.open_fee_e6
        (yes_free_e6, no_free_e6) = self.free_tokens(instrument)
        cash_e6 = self.cash[market.account].cash_e6
        for booking in self.flights.values():
            order = booking.order
            if self.markets[order.instrument].account != market.account:
                continue
            open_cost_e6 = _open_cost(booking)
            cash_e6 -= open_cost_e6
            if order.instrument == instrument:
                cost_e6 += open_cost_e6
        free = {"yes_free_e6": yes_free_e6, "no_free_e6": no_free_e6}
        self.memory.held(instrument, **free, net_e6=position.net_e6)
        self.memory.exposure(instrument, cost_e6)
        self.memory.staked(instrument, self._staked_e6(instrument))
        self.memory.cash(market.account, cash_e6)
        self.memory.day_loss(self.day_loss_e6)

    def _staked_e6(self, instrument: int) -> int:
        """What bets have at risk in a market, held, covered and in flight."""
        position = self.positions.get(instrument) or Position()
        return (
            position.staked_e6
            + self.covered_e6.get(instrument, 0)
            + sum(
                _open_cost(booking)
                for booking in self.flights.values()
                if booking.order.is_bet and booking.order.instrument == instrument
            )
        )

    def _uncover(self, event: int) -> None:
        """Once nothing of an event is held or in flight, bets have nothing at risk in it."""
        covered = [number for number in self.covered_e6 if self._is_in(number, event)]
        if not covered or self._is_open(event):
            return
        for number in covered:
            del self.covered_e6[number]
            self.memory.staked(number, self._staked_e6(number))

    def _is_open(self, event: int) -> bool:
        held = (number for number, row in self.positions.items() if row.cost_e6 > 0)
        flying = (booking.order.instrument for booking in self.flights.values())
        return any(self._is_in(number, event) for number in (*held, *flying))

    def position(self, instrument: int) -> Position:
        """The position of an instrument, made empty if there is none."""
        found = self.positions.get(instrument)
        if found is None:
            found = self.positions[instrument] = Position()
        return found

    def start(
        self,
        cash_e6: Mapping[int, int],
        held: Sequence[Held],
        starts: Mapping[int, int],
        left: Mapping[int, Position] | None = None,
        bets: Mapping[int, Position] | None = None,
    ) -> None:
        """Take what a venue says. `starts`: the run's first cash, where a predecessor left it;
        `left`: its positions; `bets`: what bets alone opened, by market. Holdings whose cost is not
        known, as it left others, count at the worst: a dollar each.
        """
        for account, amount_e6 in cash_e6.items():
            row = self.cash[account]
            row.cash_e6, row.start_e6 = amount_e6, starts.get(account, amount_e6)
        for found in held:
            position = self.position(found.instrument)
            position.yes_e6, position.no_e6 = found.yes_e6, found.no_e6
            position.cost_yes_e6, position.cost_no_e6 = found.yes_e6, found.no_e6
            opened, was = (bets or {}).get(found.instrument), (left or {}).get(found.instrument)
            position.bet_e6 = opened.bet_e6 if opened is not None else 0
            if opened is not None and found.yes_e6 + found.no_e6 > 0:
                position.open_fee_e6 = opened.open_fee_e6
            if was is not None and (was.yes_e6, was.no_e6) == (found.yes_e6, found.no_e6):
                position.cost_yes_e6, position.cost_no_e6 = was.cost_yes_e6, was.cost_no_e6
                position.open_fee_e6 = was.open_fee_e6
        self.refresh()

    def cover(self, bets: Mapping[int, Position]) -> None:
        """Once every venue has said what is held: of what bets alone opened, by market, all that
        is not there counts as closed by a pair's leg while anything of its event is held."""
        for number, opened in bets.items():
            closed_e6 = opened.bet_e6 - self.position(number).staked_e6
            if closed_e6 > 0:
                self.covered_e6[number] = closed_e6
                self.refresh(number)

    # ---- in flight

    def reserve(self, order: Order, cost_e6: int, *, is_ours: bool) -> None:
        """Count an order at its worst until it is final. `is_ours`: the detector does not reserve
        it.
        """
        self.flights[order.intent, order.leg] = Booking(order, cost_e6, is_ours)
        self.refresh(order.instrument)

    def release(self, order: Order) -> bool:
        """The order is final: only what it filled counts. False: it was released before."""
        was_there = self.flights.pop((order.intent, order.leg), None) is not None
        if was_there:
            self.refresh(order.instrument)
        return was_there

    def free_tokens(self, instrument: int) -> tuple[int, int]:
        """(YES, NO) held and not already being sold; on a venue that nets, buying one sells the
        other.
        """
        position = self.positions.get(instrument) or Position()
        free = [position.yes_e6, position.no_e6]
        for booking in self.flights.values():
            order, token = booking.order, booking.order.placing.token
            if order.instrument != instrument:
                continue
            if order.placing.side != BUY:
                free[token] -= order.unresolved_e6()
            elif self.nets[self.markets[instrument].venue]:
                free[NO if token == YES else YES] -= order.unresolved_e6()
        return max(free[YES], 0), max(free[NO], 0)

    def cash_free(self, account: int) -> int:
        """Cash that no order in flight may still need."""
        return self.cash[account].cash_e6 - self._reserved(account, all_of_them=True)

    def cash_told(self, account: int) -> int:
        """Cash as the detector must see it: without what is unknown or reserved by us alone."""
        return self.cash[account].cash_e6 - self._reserved(account, all_of_them=False)

    def _reserved(self, account: int, *, all_of_them: bool) -> int:
        total_e6 = 0
        for booking in self.flights.values():
            order = booking.order
            counts = all_of_them or booking.is_ours or order.placed == P_UNKNOWN
            if counts and self.markets[order.instrument].account == account:
                total_e6 += _open_cost(booking)
        return total_e6

    def unknown_e6(self, instrument: int) -> int:
        """Contracts of an instrument whose outcome is unknown."""
        return sum(
            booking.order.unresolved_e6()
            for booking in self.flights.values()
            if booking.order.instrument == instrument and booking.order.placed == P_UNKNOWN
        )

    def open_e6(self, instrument: int) -> int:
        """Contracts in flight, unknown ones among them."""
        return sum(
            booking.order.unresolved_e6()
            for booking in self.flights.values()
            if booking.order.instrument == instrument
        )

    def exposure(self, instrument: int) -> tuple[int, int, int, int]:
        """Worst cost of what is held and in flight: of the instrument, its event, its venue,
        everything.
        """
        return self.memory.exposures(instrument)

    @property
    def day_loss_e6(self) -> int:
        """Realised loss of this run day, 0 or more."""
        return max(-self.realized_day_e6, 0)

    def roll_day(self, run_epoch_ns: int) -> None:
        """A new run day starts a new loss."""
        day = run_epoch_ns // DAY_NS
        if day != self._day:
            self._day, self.realized_day_e6 = day, 0
            self.memory.day_loss(0)

    def take_day(
        self,
        run_epoch_ns: int,
        loss_e6: int,
        settled: Mapping[int, int] | None = None,
        held: Mapping[int, Position] | None = None,
        gone: Mapping[int, int] | None = None,
    ) -> None:
        """Go on with the loss a predecessor had realised this run day. `settled`: results so far of
        events of which it still held something; `held`: its positions; `gone`: what YES pays of
        those that its venue has settled and paid since, by instrument: their results come to their
        events' now, their cash is in the venue's figure. What was booked before the venues' figures
        came is no result: what was held, and what it had cost, was not known.
        """
        self._day, self.realized_day_e6 = run_epoch_ns // DAY_NS, -loss_e6
        self._settled_e6, self._counted_e6 = dict(settled or {}), {}
        rows = [(number, row) for number, row in (held or {}).items() if row.cost_e6 > 0]
        for event, result_e6 in self._settled_e6.items():
            left = [row for number, row in rows if self._is_in(number, event)]
            self._counted_e6[event] = counted_e6(result_e6, left)
        for number, row in rows:
            if number in (gone or {}):
                self._add_result(number, row, row.paid_e6((gone or {})[number]))
        for event in list(self._settled_e6):
            self._count_settled(event)
        self.memory.day_loss(self.day_loss_e6)

    def lose_ahead(self, instrument: int, loss_e6: int) -> None:
        """A pair was completed for more than a dollar: its loss counts today, not again when its
        event settles.
        """
        event = self.markets[instrument].event
        self.realized_day_e6 -= loss_e6
        self._settled_e6[event] = self._settled_e6.get(event, 0) + loss_e6
        self.memory.day_loss(self.day_loss_e6)

    # ---- fills

    def is_gone(self, order: Order) -> bool:
        """Whether another market has the number of the order's market by now."""
        return self.markets[order.instrument].generation != order.generation

    def fold(self, order: Order) -> int:
        """Book what the order's evidence says beyond what is booked. Idempotent. Returns the cash
        moved without fees. Of a market that is gone nothing is held any more: only what it costs is
        booked, and what it brings when the venue shows it.
        """
        to = order.booked()
        size_e6 = to.filled_e6 - order.folded.filled_e6
        notional_e6 = to.notional_e6 - order.folded.notional_e6
        fee_e6 = to.fee_e6 - order.folded.fee_e6
        if not (size_e6 or notional_e6 or fee_e6):
            return 0
        order.folded = to
        market, buys = self.markets[order.instrument], order.placing.side == BUY
        if self.is_gone(order):
            moved_e6 = -notional_e6 if buys else notional_e6
            lost_e6 = min(moved_e6 - fee_e6, 0)
            self.cash[market.account].cash_e6 += lost_e6
            self.realized_day_e6 += lost_e6
            self.refresh(order.instrument)
            return moved_e6
        position, nets = self.position(order.instrument), self.nets[market.venue]
        amounts, staked_e6 = (size_e6, notional_e6, fee_e6), position.staked_e6
        moved_e6, realized_e6 = fill(
            position, nets, order.placing.token, buys, amounts, order.is_bet
        )
        self.realized_day_e6 += realized_e6
        if not order.is_bet and (closed_e6 := staked_e6 - position.staked_e6) > 0:
            covered_e6 = self.covered_e6.get(order.instrument, 0)
            self.covered_e6[order.instrument] = covered_e6 + closed_e6
        self.cash[market.account].cash_e6 += moved_e6 - fee_e6
        self.refresh(order.instrument)
        return moved_e6

    def settle(self, instrument: int, value_e6: int) -> int:
        """Pay out a settled market: YES at `value_e6`, NO at the rest. Returns the cash; 0:
        nothing held. Of its result the day has at once what `counted_e6` says.
        """
        position = self.positions.pop(instrument, None)
        if position is None or not (position.yes_e6 or position.no_e6):
            return 0
        paid_e6 = position.paid_e6(value_e6)
        market = self.markets[instrument]
        self.cash[market.account].cash_e6 += paid_e6
        if paid_e6 and not self.nets[market.venue]:
            self.redeem_e6[instrument] = self.redeem_e6.get(instrument, 0) + paid_e6
        self._add_result(instrument, position, paid_e6)
        self.refresh(instrument)
        return paid_e6

    def _add_result(self, instrument: int, position: Position, paid_e6: int) -> None:
        event, result_e6 = self.markets[instrument].event, paid_e6 - position.cost_e6
        result_e6 -= position.open_fee_e6
        self._settled_e6[event] = self._settled_e6.get(event, 0) + result_e6

    def settled_e6(self, event: int) -> int:
        """The result so far of an event of which something is still held; else 0."""
        return self._settled_e6.get(event, 0)

    def _count_settled(self, event: int) -> None:
        """Bring the day up to what counts of an event's result now, if some of it has settled."""
        if event not in self._settled_e6:
            return
        left = [
            position
            for number, position in self.positions.items()
            if self._is_in(number, event) and position.cost_e6 > 0
        ]
        now_e6 = counted_e6(self._settled_e6[event], left)
        self.realized_day_e6 += now_e6 - self._counted_e6.get(event, 0)
        self._counted_e6[event] = now_e6
        if not left:
            del self._settled_e6[event], self._counted_e6[event]

    def _is_in(self, instrument: int, event: int) -> bool:
        """Whether an instrument is one of an event's."""
        market = self.markets.get(instrument)
        return market is not None and market.event == event


def _open_cost(booking: Booking) -> int:
    """The worst cost of what may still fill, pro rata, rounded up."""
    order = booking.order
    return -(-booking.cost_e6 * order.unresolved_e6() // order.size_e6)
