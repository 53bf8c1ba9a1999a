"""The compiled last look against the plain rules: seeded breaks of every kind, several at once,
with numbers at the edges of a cell; and every reason is reached.
"""

from __future__ import annotations

import copy
import random
from dataclasses import replace

from gateway.order import Order
from gateway.ports import NO, YES, Placing
from shm_layout import (
    BODY,
    BUY,
    FLAG_REDUCE,
    FLAG_TRUE_UP,
    FLAG_UNWIND,
    KIND_MODEL,
    MARKET_TERMS,
    NO_INSTRUMENT,
    QUOTE,
    REASONS,
    SELL,
    cell,
)
from tests.gateway.guard_case import (
    INDEX_SLOT,
    NOW,
    PRICE,
    SEGMENT,
    SIZE,
    Case,
    Row,
    a_set,
    bet,
    case,
    fresh,
)
from tests.gateway.scene import KALSHI, POLY, fee
from tests.twins.guard import place, worst_cost_e6

CASES, SEED = 2_000, 20261121
EDGES = (
    -(2**63), -(10**15), -(10**12) - 1, -1, 0, 1, 99, 100, 10_000, 10**6 - 1, 10**6, 10**6 + 1,
    10**12, 10**12 + 1, 10**15, NOW - 1, NOW, NOW + 10**9, NOW + 10**9 + 1, 2**62, 2**63 - 1,
)  # fmt: skip
QUOTE_CELLS = (
    "instrument", "generation", "number", "epoch", "trust", "tick_epoch", "recv_ns", "size_min_e6",
    "size_step_e6", "notional_min_e6", "notional_step_e6", "fee_kind", "fee_rate_e6",
    "fee_exponent", "fee_unit_e6", "fee_mode", "grid", "bids", "asks",
)  # fmt: skip
LEG_CELLS = (
    "generation", "side", "limit_e6", "size_e6", "quote_number", "quote_epoch", "tick_epoch",
)  # fmt: skip
TERMS = (
    "instrument", "generation", "valid_until_ns", "spot_slot", "strike_e8", "close_epoch_ns",
    "basis_e8", "basis_sd_e8", "sigma_e12",
)  # fmt: skip
SMALL = -(10**15), -1, 0, 1, 100, 10**12, 10**15  # what no sum of ours is too long for
LIMITS = (
    "order_max_e6", "market_max_e6", "event_max_e6", "asset_max_e6", "venue_max_e6", "total_max_e6",
    "unhedged_max_e6", "day_max_e6", "edge_min_e6",
)  # fmt: skip
NEVER_HERE = {  # of the desk's other parts, or of the wire
    "partial", "nothing_filled", "one_legged", "lapped", "no_signature", "no_connection",
    "venue_rejected", "unknown_outcome", "circuit", "foreign",
}  # fmt: skip


def placed(c: Case, leg_at: int) -> None:
    """The leg as its venue sees it, by what is held."""
    look = c.looks[leg_at]
    held = c.accounts.free_tokens(look.leg.instrument)
    leg, nets = look.leg, look.leg.venue == KALSHI
    c.looks[leg_at] = look._replace(placing=place(nets, leg.side, leg.limit_e6, leg.size_e6, *held))


def break_quote(c: Case, chance: random.Random, leg_at: int) -> None:
    at = cell(QUOTE, chance.choice(QUOTE_CELLS)) + chance.choice((0, 0, 0, 1, 2))
    quote = list(c.looks[leg_at].quote or [])
    quote[at] = chance.choice((*EDGES, quote[at] + 1, quote[at] - 1, quote[at] * 2))
    quote[at] = max(min(quote[at], 2**63 - 1), -(2**63))
    c.looks[leg_at] = fresh(c.looks[leg_at]._replace(quote=quote))


def break_leg(c: Case, chance: random.Random, leg_at: int) -> None:
    name = chance.choice(LEG_CELLS)
    was = getattr(c.looks[leg_at].leg, name)
    values = [was + 1, was - 1, was + 10_000, was - 10_000, *EDGES]
    leg = c.looks[leg_at].leg._replace(**{name: chance.choice(values)})
    c.looks[leg_at] = fresh(c.looks[leg_at]._replace(leg=leg))
    c.intent = c.intent._replace(legs=tuple(look.leg for look in c.looks))


def break_standing(c: Case, chance: random.Random, _leg_at: int) -> None:
    changed: dict[str, object] = chance.choice([
        {"state": chance.choice((-1, 0, 1, 2))}, {"is_paused": True}, {"journal_failed": True},
        {"pair": chance.choice((None, *wrong_rows(c)))}, {"is_duplicate": True},
        {"unhedged_e6": chance.choice((0, 44_749_989, 44_749_990, 44_749_991, 10**12))},
        {"open_intents": chance.choice((31, 32))},
    ])  # fmt: skip
    c.standing = c.standing._replace(**changed)  # type: ignore[arg-type]


def break_money(c: Case, chance: random.Random, leg_at: int) -> None:
    worst_e6 = min(worst_cost_e6(c.looks[leg_at], fee), 2**62)
    what = chance.randrange(6)
    if what == 0:
        times = chance.choice((1, len(c.looks)))
        venue = c.looks[leg_at].leg.venue
        c.accounts.cash[venue].cash_e6 = times * worst_e6 + chance.choice((-1, 0, 1))
    elif what == 1:
        name = chance.choice(LIMITS)
        limit_e6 = chance.choice((worst_e6, worst_e6 - 1, 9_621_000, 9_620_710, 9_620_709, 50_400))
        c.params = copy.copy(c.params)  # limits that no settings would allow
        object.__setattr__(c.params, name, max(limit_e6, 1))
    elif what == 2:
        own = c.looks[leg_at].leg.instrument
        position = c.accounts.position(chance.choice((own, own, 9)))
        position.cost_yes_e6 = chance.choice(
            (95_629_300, 94_749_990, 94_749_991, 190_379_290, 290_379_291, 490_379_291, 10**12)
        )
        position.bet_e6 = position.cost_yes_e6 % 3 * 7_814_650
    elif what == 3:
        c.accounts.realized_day_e6 = -chance.choice((0, 19_999_999, 20_000_000))
    elif what == 4:
        c.sent = chance.choice((8, 9, 10))
    else:
        bucket = c.looks[leg_at].bucket
        if bucket is not None:
            bucket.level_n = chance.choice((0, 21, 30, 30 * 10**9 - 1, 30 * 10**9, 21 * 10**9))
            bucket.at_ns = chance.choice((0, NOW - 1, NOW, NOW + 1, NOW - 10**8, 1))


def break_holdings(c: Case, chance: random.Random, leg_at: int) -> None:
    look = c.looks[leg_at].leg
    position = c.accounts.position(look.instrument)
    amount_e6 = chance.choice((SIZE - 1, SIZE, SIZE + 1, 10 * SIZE))
    if chance.random() < 0.5:
        position.yes_e6 = amount_e6
    else:
        position.no_e6 = amount_e6
    if chance.random() < 0.3:
        token = chance.choice((YES, NO))
        placing = Placing(token, SELL, 500_000)
        order = Order(77, 0, look.venue, look.instrument, 1, SELL, 500_000, 4, placing)
        c.accounts.reserve(order, chance.choice((0, 3, 5_000_000)), is_ours=False)


def break_intent(c: Case, chance: random.Random, _leg_at: int) -> None:
    flags = chance.choice((FLAG_REDUCE, FLAG_UNWIND | FLAG_REDUCE, FLAG_UNWIND | FLAG_TRUE_UP, 0))
    expires_ns = chance.choice((c.intent.expires_ns, NOW, NOW - 1, *EDGES))
    decide_ns = chance.choice((c.intent.decide_ns, NOW - 50_000_000, NOW - 50_000_001, *EDGES))
    c.intent = c.intent._replace(flags=flags, expires_ns=expires_ns, decide_ns=decide_ns)


def break_look(c: Case, chance: random.Random, leg_at: int) -> None:
    changed: dict[str, object] = chance.choice(
        [
            {"quote": None},
            {"alive_epoch": 0},
            {"alive_epoch": 6},
            {"market": None},
            {"bucket": None},
            {"is_blocked": True},
        ]
    )
    venue = c.looks[leg_at].leg.venue
    of_venue = "alive_epoch" in changed or "bucket" in changed
    for at, look in enumerate(c.looks):
        if at == leg_at or (of_venue and look.leg.venue == venue):
            c.looks[at] = look._replace(**changed)  # type: ignore[arg-type]


def break_price(c: Case, chance: random.Random, _leg_at: int) -> None:
    """What a bet says it was decided on, or the price as it is now."""
    if not c.intent.reasons or c.standing.price is None or c.standing.price.cells is None:
        return
    what = chance.randrange(6)
    if what >= 4:
        break_terms(c, chance)
    elif what == 0:
        name = chance.choice(("fair_e6", "spot_slot", "spot_epoch", "spot_e8"))
        near = {"fair_e6": (420_000, 439_999, 440_000, 460_000), "spot_slot": (INDEX_SLOT, 3),
                "spot_epoch": (0, 6), "spot_e8": (PRICE + 160_000_000, PRICE + 170_000_000)}
        c.told(**{name: chance.choice((*near[name], *EDGES))})
    elif what == 1:
        name = chance.choice(("epoch", "trust", "recv_ns", "last_e8", "bid_e8", "ask_e8"))
        c.price(**{name: chance.choice((*EDGES, PRICE, NOW - 3 * 10**9, NOW - 3 * 10**9 - 1))})
    elif what == 2:
        c.price(bid_e8=0, last_e8=chance.choice((PRICE, PRICE + 160_000_000, PRICE - 161_000_000)))
    else:
        price = c.standing.price
        changed = chance.choice(({"cells": None}, {"alive_epoch": 0}, {"alive_epoch": 6}))
        c.standing = c.standing._replace(price=price._replace(**changed))


def break_terms(c: Case, chance: random.Random) -> None:
    """What the model last said of a bet's market."""
    assert c.standing.price is not None
    name = chance.choice(TERMS)
    was = (c.standing.price.terms or [0] * BODY)[cell(MARKET_TERMS, name)]
    if chance.random() < 0.1:
        c.standing = c.standing._replace(price=c.standing.price._replace(terms=None))
    elif c.standing.price.terms is not None:
        near = was + 1, was - 1, was + 2 * 10**9, was - 10**10, was * 2, was // 2
        c.terms(**{name: chance.choice((*near, *SMALL))})
        price = c.standing.price._replace(is_formula=chance.random() < 0.3)
        c.standing = c.standing._replace(price=price)


def break_row(c: Case, chance: random.Random, _leg_at: int) -> None:
    """A row of the other sort, or of another market; an intent of the other kind."""
    if chance.random() < 0.3:
        c.intent = c.intent._replace(direction=chance.choice((0, 1, 1, 2, -1)))
        return
    rows = Row(), Row(b=NO_INSTRUMENT), Row(a=1, b=NO_INSTRUMENT)
    if chance.random() < 0.5:
        c.standing = c.standing._replace(pair=chance.choice(rows))
    elif c.intent.reasons:
        c.intent = c.intent._replace(kind=chance.choice((0, 1, KIND_MODEL)))


BREAKS = (
    break_quote, break_quote, break_leg, break_leg, break_standing, break_money, break_money,
    break_holdings, break_intent, break_price, break_price, break_row,
)  # fmt: skip


def wrong_rows(c: Case) -> list[Row]:
    """Rows that are not quite that of the intent."""
    row = c.standing.pair
    assert isinstance(row, Row)
    return [
        replace(row, approved=0), replace(row, same=1 - row.same), replace(row, barred=1),
        replace(row, barred=2), replace(row, generation=2), replace(row, a=row.b, b=row.a),
        replace(row, more=()), replace(row, more=(row.a, *row.more)), replace(row, b=row.a),
    ]  # fmt: skip


def broken(chance: random.Random) -> Case:
    """A case with up to four things changed."""
    is_bet, is_set = chance.random() < 0.3, chance.random() < 0.4
    c = bet() if is_bet else case()
    if is_set and not is_bet:
        c = a_set(chance.choice((2, 3, 4)), chance.choice((0, 1)), chance.choice((KALSHI, POLY)))
    elif is_bet:
        c.intent = c.intent._replace(flags=chance.choice((0, 0, 0, FLAG_REDUCE)))
    elif chance.random() < 0.2:
        c.drop(chance.choice((KALSHI, POLY)))
        flags = chance.choice((FLAG_UNWIND | FLAG_REDUCE, FLAG_REDUCE, 0))
        c.intent = c.intent._replace(flags=flags)
    elif chance.random() < 0.1:
        c.standing = c.standing._replace(pair=Row(same=0))
        leg = c.looks[POLY].leg._replace(side=BUY)
        c.looks[POLY] = fresh(c.looks[POLY]._replace(leg=leg))
        c.intent = c.intent._replace(legs=(c.looks[KALSHI].leg, leg))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 4))):
        chance.choice(BREAKS)(c, chance, chance.randrange(len(c.looks)))
    if chance.random() < 0.1:
        break_look(c, chance, chance.randrange(len(c.looks)))
    for leg_at in range(len(c.looks)):
        placed(c, leg_at)
    return c


def test_the_compiled_gate_says_what_the_plain_rules_say() -> None:
    chance, reached = random.Random(SEED), set[str]()
    for number in range(CASES):
        subject = broken(chance)
        plain, compiled = subject.plain(), subject.compiled(SEGMENT)
        found = f"compiled {REASONS[compiled]}, plain {REASONS[plain]}"
        assert plain == compiled, f"seed {SEED}, case {number}: {found}"
        reached.add(REASONS[plain])
    assert reached == set(REASONS) - NEVER_HERE
