"""The journal of a run, read by a successor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.ledger import Work
from gateway.recovery import ONE_LEGGED, TakeUp, past_of, recover
from shm_layout import BUY, E6, FLAG_UNWIND, P_DONE, S_CONFIRMED, SELL
from tests.gateway.test_late import ledger

RUN, INTENT = 7, 5
ORDER = {
    "k": "order", "run": RUN, "taken_ns": 1, "intent": [INTENT, *[0] * 12],
    "orders": [
        [0, 0, 0, 1, BUY, 420_000, 10 * E6, "a"], [1, 1, 1, 1, SELL, 500_000, 10 * E6, "b"],
    ],
    "placings": [[0, 0, 420_000], [1, 0, 500_000]], "costs": [5 * E6, 6 * E6],
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "each"), [([0, 3 * E6], [0, 3 * E6]), (4 * E6, [4 * E6, 0]), (-3 * E6, [0, 3 * E6])]
)
def test_what_was_given_up_is_read_as_any_version_told_it(
    told: int | list[int], each: list[int]
) -> None:
    """Before there were sets it was one number: what the first of two legs had more."""
    records = [ORDER, {"k": "left", "intent": INTENT, "e6": told, "as": 6}]
    past = past_of(records, RUN, lambda _: None)
    assert past.given_up == {INTENT: each} and past.works[INTENT].is_lone


OUTS = [
    {"k": "out", "key": key, "placed": P_DONE, "why": 0, "vid": key, "exact": True, "ns": 2,
     "cum": [filled_e6, filled_e6 // 2, 0]}
    for key, filled_e6 in (("a", 10 * E6), ("b", 0))
]  # fmt: skip


@pytest.mark.parametrize("is_left", [False, True])
@pytest.mark.parametrize("is_gone", [False, True])
def test_of_markets_that_are_gone_nothing_is_alone(*, is_gone: bool, is_left: bool) -> None:
    """A gateway that began anew blocked the window that has the number now, and went on giving the
    leg of the one before back there."""
    records = [ORDER, *OUTS, {"k": "end", "intent": INTENT, "why": ONE_LEGGED}]
    if is_left:
        records.append({"k": "left", "intent": INTENT, "e6": [10 * E6, 0], "as": 6})
    past, book, taken = past_of(records, RUN, lambda _: None), ledger(), list[str]()
    for market in list(book.accounts.markets.values()) if is_gone else ():
        book.accounts.add_market(replace(market, generation=2))
    past.mismatched *= 3

    def heard(name: str) -> TakeUp:
        return lambda *_: taken.append(name)

    recover(past, book, heard("take_up"), heard("stand"), 1)
    assert taken == ([] if is_gone else ["stand" if is_left else "take_up"])
    standing, work = book.accounts.standing, book.works[INTENT]
    assert [standing.is_blocked(number) for number in (0, 1)] == [not is_gone] * 2
    assert work.is_lone is not is_gone and work.handed_e6 == [10 * E6, 0]


@pytest.mark.parametrize("tries", [0, 1])
def test_a_leg_whose_reply_never_came_is_given_back_once(tries: int) -> None:
    """Its fill was known from a trade, so its predecessor gave it back; the successor that heard
    the last word on it later gave all of it back again. Without a try nobody has yet: then it is
    handed on with that word."""
    trade = {"k": "trade", "key": "a", "vid": "", "trade": "t", "size": 10 * E6, "ns": 2,
             "notional": 4_200_000, "fee": 0, "settled": S_CONFIRMED}  # fmt: skip
    unwind = ORDER | {
        "intent": [INTENT + 1, INTENT, 0, 0, 0, FLAG_UNWIND, *[0] * 7], "costs": [E6],
        "orders": [[0, 0, 0, 1, SELL, 400_000, 10 * E6, "c"]], "placings": [[0, 1, 400_000]],
    }  # fmt: skip
    records = [ORDER, trade, OUTS[1], {"k": "end", "intent": INTENT, "why": ONE_LEGGED}]
    past, book = past_of(records + [unwind] * tries, RUN, lambda _: None), ledger()
    taken = list[tuple[Sequence[int], int]]()

    def take_up(_: Work, alone: Sequence[int], found: Sequence[Work], __: int) -> None:
        taken.append((alone, len(found)))

    recover(past, book, take_up, take_up, 1)
    assert taken == [([10 * E6, 0], 1)] * tries and not book.works[INTENT].is_known
    assert list(book.works[INTENT].handed_e6) == [10 * E6, 0] * tries


def test_what_settled_is_read_back_by_event_and_by_market() -> None:
    told = {"k": "settle", "instrument": 1, "generation": 2, "value": E6, "yes": E6, "no": 0,
            "paid": E6, "ns": 3}  # fmt: skip
    start = {"k": "start", "run": RUN, "cash": [], "held": []}
    records = [
        {**told, "event": 8, "event_e6": -9}, start, told,
        {**told, "generation": 1, "event": 3, "event_e6": -5},
        {**told, "event": 3, "event_e6": -7},
    ]  # fmt: skip
    past = past_of(records, RUN, lambda _: None)
    assert past.settled[3] == ((1, 2), -7) and 8 not in past.settled, "another run's"
    assert past.paid == {(1, 1): (E6, 0, E6), (1, 2): (E6, 0, E6)}
