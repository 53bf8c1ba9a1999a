"""The last gate in plain Python, rule by rule: what the compiled one must answer.

`Look` and `Standing` are what the kernels read themselves; here they are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple, Protocol

from gateway.accounts import Accounts
from gateway.facts import levels_of
from gateway.intent import Intent, Leg
from gateway.params import DeskParams
from gateway.ports import NO, YES, Facts, Market, Placing
from gateway.throttle import Bucket, OrderRate
from shm_layout import (
    ACTIVE,
    BUY,
    E6,
    FEE_NONE,
    FEE_QUADRATIC,
    FLAG_REDUCE,
    FLAG_TRUE_UP,
    FLAG_UNWIND,
    HALTED,
    KIND_MODEL,
    QUOTE,
    REASONS,
    REDUCING,
    SELL,
    cell,
)
from tests.twins.guard_bet import Pair, Price, bet
from tests.twins.guard_edge import is_barred, pays_for_sure

_NUMBER, _EPOCH, _TRUST, _RECV, _INSTRUMENT, _GENERATION, _TICK_EPOCH = (
    cell(QUOTE, name)
    for name in ("number", "epoch", "trust", "recv_ns", "instrument", "generation", "tick_epoch")
)
SIZE_MAX_E6 = 10**12
AHEAD_MAX_NS = 10**9  # a frame may come after the look began
R = {name: place for place, name in enumerate(REASONS)}


class Fee(Protocol):
    """Fee of `size_e6` contracts of a token bought at `price_e6`."""

    def __call__(self, price_e6: int, size_e6: int, facts: Facts) -> int: ...


class Look(NamedTuple):
    """One leg as it stands now. `quote`: cells of the slot, None if it could not be read.
    `alive_epoch`: the live epoch of its feed, 0 if dead or its heartbeat is late."""

    leg: Leg
    market: Market | None
    quote: list[int] | None
    alive_epoch: int
    placing: Placing | None
    bucket: Bucket | None
    order_cost: int
    facts: Facts | None
    cost_e6: int
    is_blocked: bool = False


class Standing(NamedTuple):
    """What the desk knows beside the legs. `state`: the effective state; `sent`: legs sent lately
    on this pair.
    """

    state: int
    is_paused: bool
    pair: Pair | None
    unhedged_e6: int
    open_intents: int
    is_duplicate: bool
    journal_failed: bool
    price: Price | None = None


def is_on_grid(price_e6: int, grid: Sequence[int]) -> bool:
    """Whether a price lies on up to three (end_e6, step_e6) ranges ascending from 0. No grid:
    no.
    """
    start_e6 = 0
    for i in range(0, len(grid), 2):
        end_e6, step_e6 = grid[i], grid[i + 1]
        if end_e6 <= start_e6 or step_e6 <= 0:
            return False
        if start_e6 <= price_e6 <= end_e6 and (price_e6 - start_e6) % step_e6 == 0:
            return True
        start_e6 = end_e6
    return False


def unit_e6(leg: Leg) -> int:
    """What a contract costs in the dearer form: BUY p, SELL 1−p; no price at all stays none."""
    return min(leg.limit_e6 if leg.side == BUY else E6 - leg.limit_e6, 2**62)


def cost_e6(leg: Leg, fee: Fee, facts: Facts) -> int:
    """The most a leg can cost in cash with its fee, rounded up: the dearer form."""
    price_e6 = unit_e6(leg)
    return -(-price_e6 * leg.size_e6 // E6) + fee(price_e6, leg.size_e6, facts)


def worst_cost_e6(look: Look, fee: Fee) -> int:
    """The most a leg can cost: its cost at the limit and what rounding adds to its fee. A budget
    (a token bought where notional steps are kept) buys more at better prices: its fee stays below
    rate × budget, and without an exponent below that of the finest tick's contracts.
    """
    leg, facts, placing = look.leg, look.facts, look.placing
    if facts is None or placing is None:
        return look.cost_e6
    known = facts.fee_kind in (FEE_NONE, FEE_QUADRATIC)
    rate = facts.rate_e6 if known else max(facts.rate_e6, 70_000)
    exponent = facts.exponent if facts.fee_kind == FEE_QUADRATIC else 1
    unit = facts.fee_unit_e6 if known else max(facts.fee_unit_e6, 10_000)
    if facts.fee_kind == FEE_NONE:
        rate, unit = 0, 1
    at_limit = fee(unit_e6(leg), leg.size_e6, facts)
    if placing.side == BUY and facts.notional_step_e6 > 0:
        budget_e6 = ceil(Fraction(placing.price_e6 * leg.size_e6, E6))
        most_e6 = budget_e6 if exponent > 0 else budget_e6 * 10_000
        out_of_reach = not 0 <= rate <= E6 or most_e6 > SIZE_MAX_E6
        on_all = 10**15 if out_of_reach else ceil(Fraction(rate * most_e6, E6))
        return look.cost_e6 + max(on_all - at_limit, 0) + unit
    return look.cost_e6 + unit


def check(
    intent: Intent,
    looks: Sequence[Look],
    standing: Standing,
    accounts: Accounts,
    rate: OrderRate,
    params: DeskParams,
    legal_size: Legal,
    fee: Fee,
    now_ns: int,
) -> int:
    """0: every rule holds now; else the reason of the first that does not."""
    if why := _state(intent, standing, looks):
        return why
    age_ns = now_ns - intent.decide_ns
    is_young = -AHEAD_MAX_NS <= age_ns <= params.signal_age_max_ns and now_ns <= intent.expires_ns
    if not intent.flags & FLAG_UNWIND and not is_young:
        return R["stale"]
    opens = not intent.flags & (FLAG_UNWIND | FLAG_REDUCE)
    for look in looks:
        why = _quote(look, intent.flags, params, now_ns)
        if why := why or _form(look, params, legal_size, opens):
            return why
    costs_e6 = [worst_cost_e6(look, fee) for look in looks]
    if intent.flags & FLAG_REDUCE and not intent.flags & FLAG_UNWIND:
        if not all(_reduces(look.leg, accounts) for look in looks):
            return R["reduce_only"]
    elif opens and is_barred(intent, standing.pair):
        return R["edge_gone"]
    elif opens and intent.kind == KIND_MODEL:
        if why := bet(intent, looks, standing.pair, standing.price, params, now_ns):
            return why
    elif opens and (why := pays_for_sure(intent, looks, standing.pair, params)):
        return why
    if why := _limits(intent, looks, costs_e6, standing, accounts, params):
        return why
    return _room(intent, looks, rate, now_ns)


def _state(intent: Intent, standing: Standing, looks: Sequence[Look]) -> int:
    """Kill word, trading state, pair, shape."""
    if standing.state < HALTED:
        return R["killed"]
    if standing.journal_failed:
        return R["journal"]
    if intent.flags & FLAG_UNWIND:
        return 0 if len(looks) == 1 else R["edge_gone"]
    needed = REDUCING if intent.flags & FLAG_REDUCE else ACTIVE
    if not standing.state >= needed:
        return R["halted"] if standing.state == HALTED else R["reduce_only"]
    if standing.is_paused or standing.pair is None or not standing.pair.approved:
        return R["paused_pair"]
    return R["duplicate"] if standing.is_duplicate else 0


def _quote(look: Look, flags: int, params: DeskParams, now_ns: int) -> int:
    """The slot as it is now against the one decided on."""
    leg, quote = look.leg, look.quote
    if look.market is None or look.market.generation != leg.generation:
        return R["generation"]
    if quote is None or quote[_INSTRUMENT] != leg.instrument:
        return R["stale"]
    if quote[_GENERATION] != leg.generation:
        return R["generation"]
    if quote[_TICK_EPOCH] != leg.tick_epoch:
        return R["tick"]
    if flags & FLAG_UNWIND and not flags & FLAG_TRUE_UP:
        return 0  # on whatever is shown, within the loss cap (DESIGN section 4)
    if not look.alive_epoch == quote[_EPOCH] == leg.quote_epoch:
        return R["epoch"]
    if quote[_TRUST] != 0:
        return R["untrusted"]
    if not -AHEAD_MAX_NS <= now_ns - quote[_RECV] <= params.quote_age_max_ns:
        return R["stale"]
    if quote[_NUMBER] == leg.quote_number:
        return 0
    shown_e6 = 0
    for price_e6, size_e6 in levels_of(quote, leg.side):
        if price_e6 <= leg.limit_e6 if leg.side == BUY else price_e6 >= leg.limit_e6:
            shown_e6 += size_e6
    return 0 if shown_e6 >= leg.size_e6 else R["moved"]


def _form(look: Look, params: DeskParams, legal_size: Legal, opens: bool) -> int:
    """Block and band of what opens, grid, lots and minimums, in terms of the token that will be
    traded.
    """
    leg, facts, placing = look.leg, look.facts, look.placing
    if facts is None or placing is None:
        return R["stale"]
    if opens and look.is_blocked:
        return R["blocked"]
    if opens and not params.price_low_e6 <= leg.limit_e6 <= params.price_high_e6:
        return R["band"]
    if not is_on_grid(leg.limit_e6, facts.grid):
        return R["tick"]
    if not 0 < facts.size_min_e6 <= leg.size_e6:
        return R["minimum"]
    if leg.size_e6 > SIZE_MAX_E6:
        return R["lot"]
    buys = placing.side == BUY
    if buys and placing.price_e6 * leg.size_e6 < facts.notional_min_e6 * E6:
        return R["minimum"]
    if legal_size(leg.size_e6, placing.price_e6, buys, facts) != leg.size_e6:
        return R["lot"]
    return 0


def _reduces(leg: Leg, accounts: Accounts) -> bool:
    """Whether a leg only shrinks the net position of its instrument, counting what is in flight as
    filled.
    """
    net_e6 = accounts.position(leg.instrument).net_e6
    return net_e6 >= leg.size_e6 if leg.side == SELL else -net_e6 >= leg.size_e6


def _closes(leg: Leg, accounts: Accounts) -> bool:
    """Whether a leg only sells what is held and not already being sold: it brings cash in."""
    yes_e6, no_e6 = accounts.free_tokens(leg.instrument)
    return (yes_e6 if leg.side == SELL else no_e6) >= leg.size_e6


def _limits(
    intent: Intent,
    looks: Sequence[Look],
    costs_e6: Sequence[int],
    standing: Standing,
    accounts: Accounts,
    params: DeskParams,
) -> int:
    """Cash and every cap, counting what is in flight as filled. Reducing orders need only cash."""
    needs: dict[int, int] = {}
    for look, cost in zip(looks, costs_e6, strict=True):
        assert look.market is not None
        account = look.market.account
        needs[account] = needs.get(account, 0) + (0 if _closes(look.leg, accounts) else cost)
    for account, need_e6 in needs.items():
        if need_e6 and not accounts.cash_free(account) >= need_e6:
            return R["cash"]
    if intent.flags & (FLAG_UNWIND | FLAG_REDUCE):
        return 0
    if not accounts.day_loss_e6 < params.day_max_e6:
        return R["limit_day"]
    if not standing.open_intents < params.intents_open_max:
        return R["limit_rate"]
    if intent.kind == KIND_MODEL:
        lost_e6 = accounts.day_loss_e6 + standing.unhedged_e6
        lost_e6 += at_risk(accounts, looks[0].leg.instrument)
        if not lost_e6 + costs_e6[0] <= params.day_max_e6:
            return R["limit_day"]
    elif not standing.unhedged_e6 + sum(costs_e6) - min(costs_e6) <= params.unhedged_max_e6:
        return R["limit_unhedged"]
    for place, (look, cost) in enumerate(zip(looks, costs_e6, strict=True)):
        if not cost <= params.order_max_e6:
            return R["limit_order"]
        own, event, venue, total = exposure(accounts, look.leg.instrument)
        beside = _beside(looks, costs_e6, place)
        if not own + cost <= params.market_max_e6:
            return R["limit_market"]
        if not event + cost + beside[0] <= params.event_max_e6:
            return R["limit_event"]
        asset = asset_exposure(accounts, look.leg.instrument)
        if not asset + cost + beside[2] <= params.asset_max_e6:
            return R["limit_asset"]
        if not venue + cost + beside[1] <= params.venue_max_e6:
            return R["limit_venue"]
        if not total + sum(costs_e6) <= params.total_max_e6:
            return R["limit_total"]
    return 0


def _beside(looks: Sequence[Look], costs_e6: Sequence[int], place: int) -> tuple[int, int, int]:
    """What the intent's other legs add to this leg's event, venue and asset."""
    own = looks[place].market
    event = venue = asset = 0
    for i, (look, cost) in enumerate(zip(looks, costs_e6, strict=True)):
        if i == place or own is None or look.market is None:
            continue
        event += cost if look.market.event == own.event else 0
        venue += cost if look.market.venue == own.venue else 0
        asset += cost if look.market.asset == own.asset else 0
    return event, venue, asset


def _room(intent: Intent, looks: Sequence[Look], rate: OrderRate, now_ns: int) -> int:
    """Rate budgets of all legs, before any is sent. Unwinds may use the
    reserves.
    """
    urgent = bool(intent.flags & FLAG_UNWIND)
    if not urgent and not rate.has(len(looks), now_ns):
        return R["limit_rate"]
    needs: dict[int, int] = {}
    for look in looks:
        needs[look.leg.venue] = needs.get(look.leg.venue, 0) + look.order_cost
    for look in looks:
        if look.bucket is None or not look.bucket.has(needs[look.leg.venue], now_ns, urgent=urgent):
            return R["limit_rate"]
    return 0


def exposure(accounts: Accounts, instrument: int) -> tuple[int, int, int, int]:
    """Worst cost of what is held and in flight, counted afresh: of the instrument, its event, its
    venue, everything.
    """
    market, known = accounts.markets[instrument], _known(accounts)
    return (
        sum(cost for other, cost in known if other.instrument == instrument),
        sum(cost for other, cost in known if other.event == market.event),
        sum(cost for other, cost in known if other.venue == market.venue),
        sum(cost for _, cost in known),
    )


def at_risk(accounts: Accounts, instrument: int) -> int:
    """What bets have at risk in all markets, and all that is in this one."""
    bets = staked(accounts)
    here = max(exposure(accounts, instrument)[0], bets.get(instrument, 0))
    return sum((bets | {instrument: here}).values())


def staked(accounts: Accounts) -> dict[int, int]:
    """What bets hold, held until a pair's leg closed it, and have in flight, by market."""
    found = Counter({number: held.staked_e6 for number, held in accounts.positions.items()})
    found.update(accounts.covered_e6)
    for booking in accounts.flights.values():
        order = booking.order
        part = Fraction(booking.cost_e6 * order.unresolved_e6(), order.size_e6)
        found[order.instrument] += ceil(part) if order.is_bet else 0
    return found


def asset_exposure(accounts: Accounts, instrument: int) -> int:
    """The same of all markets of an instrument's asset."""
    asset = accounts.markets[instrument].asset
    return sum(cost for other, cost in _known(accounts) if other.asset == asset)


def _known(accounts: Accounts) -> list[tuple[Market, int]]:
    """Every market that something is held or in flight in, with its worst cost."""
    costs = [(number, p.cost_e6 + p.open_fee_e6) for number, p in accounts.positions.items()]
    for booking in accounts.flights.values():
        order = booking.order
        part = Fraction(booking.cost_e6 * order.unresolved_e6(), order.size_e6)
        costs.append((order.instrument, ceil(part)))
    return [(accounts.markets[number], cost) for number, cost in costs]


def place(
    nets: bool, side: int, limit_e6: int, size_e6: int, yes_free_e6: int, no_free_e6: int
) -> Placing:
    """A leg as its venue will see it."""
    if nets:
        return Placing(YES, side, limit_e6)
    held_e6 = yes_free_e6 if side == SELL else no_free_e6
    if side == SELL:
        ways = (Placing(YES, SELL, limit_e6), Placing(NO, BUY, E6 - limit_e6))
    else:
        ways = (Placing(NO, SELL, E6 - limit_e6), Placing(YES, BUY, limit_e6))
    return ways[held_e6 < size_e6]


class Legal(Protocol):
    """The largest size at most `wanted_e6` that may be ordered; `is_buy` of the token."""

    def __call__(self, wanted_e6: int, price_e6: int, is_buy: bool, facts: Facts) -> int: ...
