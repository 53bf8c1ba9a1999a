"""What a run did, counted from rings that the test writes."""

from __future__ import annotations

from typing import Any

import pytest

from ops.identity import row
from ops.tally import Hedge, Tally, matched_e6, percentiles, wire_to_order_ns
from shm_layout import (
    BET,
    BODY,
    BUY,
    FLAG_TIMER,
    INTENT,
    K_ACCOUNT,
    K_INTENT,
    K_LEG,
    K_TERMINAL,
    KIND_MODEL,
    ORIGIN_DESK,
    ORIGIN_DETECTOR,
    QUOTE,
    REPORT,
    SELL,
    ST_SETTLED,
    Segment,
    intent_id,
    reason,
    ring_append,
    text_to_cells,
)

E6 = 1_000_000


class Run:
    """A segment, its tally, and the gateway's and detector's part."""

    def __init__(self) -> None:
        self.segment = Segment.private()
        self.tally = Tally.of(self.segment)

    def _append(self, ring: str, kind: int, body: Any) -> None:
        at, entries = self.segment.at(ring), self.segment.entries(ring)
        ring_append(self.segment.words, at, entries, kind, body, BODY)

    def intent(self, counter: int, **cells: int) -> int:
        number = intent_id(ORIGIN_DETECTOR, 1, counter)
        self._append("intents", K_INTENT, row(INTENT, id=number, leg_count=2, **cells))
        return number

    def leg(self, intent: int, leg: int, *, key: str = "", **cells: int) -> None:
        body = row(REPORT, intent=intent, leg=leg, order_key=text_to_cells(key, 8), **cells)
        self._append("reports", K_LEG, body)

    def end(self, intent: int, why: str = "done") -> None:
        self._append("reports", K_TERMINAL, row(REPORT, intent=intent, leg=-1, reason=reason(why)))


@pytest.fixture
def run() -> Run:
    return Run()


def test_a_whole_intent_is_two_orders_two_fills_and_its_fees_once(run: Run) -> None:
    number = run.intent(1, recv_ns=100, decide_ns=150)
    for leg in (0, 1):
        run.leg(number, leg, send_ns=200 + leg, filled_e6=0, fee_e6=0)
        run.leg(number, leg, send_ns=200 + leg, filled_e6=4 * E6, fee_e6=30)
        run.leg(number, leg, send_ns=200 + leg, filled_e6=5 * E6, fee_e6=40)
    run.end(number)
    run.tally.poll()
    tally = run.tally
    assert (tally.orders, tally.fills, tally.fees_e6, tally.filled_e6) == (2, 2, 80, 10 * E6)
    assert (tally.one_legged, tally.open_intents(), tally.first_send_ns) == (0, 0, 200)
    assert tally.tick_to_order_ns() == [101]
    assert not tally.refusals


def test_an_intent_whose_answer_is_read_first_is_not_open_for_ever(run: Run) -> None:
    """It is written after the intents were read, and answered before the reports are."""
    intents = run.tally.intents
    run.end(number := intent_id(ORIGIN_DETECTOR, 1, 1), "limit_rate")
    run.tally.poll()
    assert run.intent(1, recv_ns=100, flags=FLAG_TIMER) == number
    run.tally.poll()
    assert (run.tally.open_intents(), len(run.tally.lives), intents.lost) == (0, 1, 0)
    assert run.tally.refusals == {"limit_rate": 1} and run.tally.lives[number].is_timer


def test_a_bet_is_one_order_never_one_legged_and_apart_from_pairs(run: Run) -> None:
    for counter, side, fair_e6 in ((1, 0, 600_000), (2, 1, 700_000)):
        number = intent_id(ORIGIN_DETECTOR, 1, counter)
        cells = row(INTENT, id=number, kind=KIND_MODEL, leg_count=1, side_0=side, recv_ns=100)
        cells.view(BET)[0]["fair_e6"] = fair_e6
        run._append("intents", K_INTENT, cells)
        run.leg(number, 0, send_ns=200 + counter, filled_e6=5 * E6, fee_e6=40)
        run.end(number, "partial")
    run.tally.poll()
    tally = run.tally
    assert (tally.orders, tally.fills, tally.one_legged, tally.open_intents()) == (2, 2, 0, 0)
    assert tally.tick_to_order_ns() == [] and tally.tick_to_order_ns(of_bets=True) == [101, 102]
    found = tally.bets()
    assert (found["intents"], found["orders"], found["fills"]) == (2, 2, 2)
    assert found["filled_e6"] == 10 * E6
    assert found["fair_e6"] == 3 * E6 + 1_500_000, "what is sold is worth the other outcome"
    assert found["tick_to_order_ns"]["count"] == 2
    assert wire_to_order_ns(tally, {"": 5}, lambda _: 0) == []


def test_a_strategy_is_told_what_its_bets_are_expected_to_bring_and_what_they_brought(
    run: Run,
) -> None:
    """Bought at 0.60 what is worth 0.70, half of it filled; sold at 0.60 what is worth 0.50."""
    bets = ((1, BUY, 700_000, 1, 0), (2, SELL, 500_000, 0, 1), (3, BUY, 700_000, 1, 2))
    for counter, side, fair_e6, strategy, instrument in bets:
        number = intent_id(ORIGIN_DETECTOR, 1, counter)
        body = row(
            INTENT, id=number, kind=KIND_MODEL, leg_count=1, side_0=side, size_e6_0=10 * E6,
            instrument_0=instrument, generation_0=1, profit_e6=900_001,
        )  # fmt: skip
        body.view(BET)[0]["fair_e6"], body.view(BET)[0]["strategy"] = fair_e6, strategy
        run._append("intents", K_INTENT, body)
        if counter < 3:
            run.leg(number, 0, send_ns=200, filled_e6=5 * E6)
        run.end(number, "partial" if counter < 3 else "stale")
    run.tally.poll()
    found = run.tally.bets()["strategies"]
    assert list(found) == ["distance_fade", "momentum"]
    momentum = found["momentum"]
    assert (momentum["intents"], momentum["orders"], momentum["fills"]) == (2, 1, 1)
    assert (momentum["filled_e6"], momentum["expected_e6"]) == (5 * E6, 450_000)
    assert momentum["settled_e6"] == momentum["realised_e6"] == 0
    settled = {"generation": 1, "status": ST_SETTLED}
    run.segment.write("quotes", 0, row(QUOTE, settlement_e6=E6, **settled))
    run.segment.write("quotes", 1, row(QUOTE, settlement_e6=E6, **settled | {"generation": 2}))
    run.tally.poll()
    run.segment.write("quotes", 0, row(QUOTE, generation=2))  # the slot is another market's now
    run.segment.write("quotes", 1, row(QUOTE, settlement_e6=E6, **settled))
    run.tally.poll()
    found = run.tally.bets()["strategies"]
    # won: 0.30 more a contract than fair value; lost: all that NO was worth
    assert found["momentum"]["realised_e6"] == 450_000 + 5 * 300_000
    assert found["distance_fade"]["realised_e6"] == 450_000 - 5 * 500_000
    assert found["momentum"]["settled_e6"] == 5 * E6 and not run.tally.waiting


def test_a_bet_of_which_only_reports_were_seen_is_still_one(run: Run) -> None:
    number = intent_id(ORIGIN_DETECTOR, 1, 9)
    run.leg(number, 0, send_ns=200, filled_e6=5 * E6, intent_kind=KIND_MODEL)
    run.end(number)
    run.tally.poll()
    assert (run.tally.one_legged, run.tally.bets()["fills"]) == (0, 1)


def test_unequal_legs_are_one_legged_once_the_intent_has_ended(run: Run) -> None:
    number = run.intent(1, recv_ns=100)
    run.leg(number, 0, send_ns=200, filled_e6=5 * E6)
    run.leg(number, 1, send_ns=201, filled_e6=0)
    run.tally.poll()
    assert run.tally.one_legged == 0
    run.end(number, "one_legged")
    run.tally.poll()
    assert run.tally.one_legged == 1


def test_a_refused_intent_is_counted_by_its_reason_and_is_no_order(run: Run) -> None:
    for counter, why in enumerate(("stale", "moved", "stale"), start=1):
        run.end(run.intent(counter, recv_ns=100), why)
    run.tally.poll()
    assert run.tally.refusals == {"stale": 2, "moved": 1}
    assert run.tally.orders == 0
    assert run.tally.tick_to_order_ns() == []


def test_a_second_last_word_changes_nothing(run: Run) -> None:
    number = run.intent(1)
    run.end(number, "stale")
    run.end(number, "moved")
    run.tally.poll()
    assert run.tally.refusals == {"stale": 1}


def test_timers_and_half_sent_intents_have_no_tick_to_order(run: Run) -> None:
    timer = run.intent(1, recv_ns=100, flags=FLAG_TIMER)
    half = run.intent(2, recv_ns=100)
    for number, legs in ((timer, (0, 1)), (half, (0,))):
        for leg in legs:
            run.leg(number, leg, send_ns=300)
    run.tally.poll()
    assert run.tally.tick_to_order_ns() == []


def test_an_unwind_is_an_order_but_no_intent_of_the_detector(run: Run) -> None:
    run.leg(intent_id(ORIGIN_DESK, 1, 1), 0, send_ns=300, filled_e6=E6, fee_e6=7)
    run.tally.poll()
    assert (run.tally.orders, run.tally.fees_e6, len(run.tally.lives)) == (1, 7, 0)


def test_account_reports_are_not_legs(run: Run) -> None:
    run._append("reports", K_ACCOUNT, row(REPORT, intent=0, filled_e6=E6))
    run.tally.poll()
    assert run.tally.orders == 0


def test_entries_that_lapped_the_tally_are_counted(run: Run) -> None:
    entries = run.segment.entries("intents")
    for counter in range(1, entries + 100):
        run.intent(counter)
    run.tally.poll()
    assert run.tally.lost == 99 + entries // 2
    assert len(run.tally.lives) == entries // 2


def test_wire_to_order_is_the_later_leg_after_the_frame_was_due(run: Run) -> None:
    whole = run.intent(1, recv_ns=100, event_epoch_ns=5_000)
    unread = run.intent(2, recv_ns=100, event_epoch_ns=5_000)
    for number in (whole, unread):
        run.leg(number, 0, send_ns=200, key=f"{number}-a")
        run.leg(number, 1, send_ns=201, key=f"{number}-b")
    run.tally.poll()
    read = {f"{whole}-a": 10_400, f"{whole}-b": 10_700, f"{unread}-a": 10_100}
    assert wire_to_order_ns(run.tally, read, lambda epoch_ns: epoch_ns + 5_000) == [700]


def test_percentiles_are_exact_ranks() -> None:
    values = list(range(1, 1001))
    assert percentiles(values[::-1]) == {
        "count": 1000, "p50": 500, "p99": 990, "p999": 999, "max": 1000,
    }  # fmt: skip
    assert percentiles([7])["p999"] == 7
    assert percentiles([]) == {"count": 0, "p50": None, "p99": None, "p999": None, "max": None}


SAME, TEAMS, LADDER = Hedge((0, 1), True), Hedge((0, 1), False), Hedge((0, 1), True, barred=2)
OUTCOMES, SOME = Hedge((0, 1, 2), False), Hedge((0, 1, 2), False, barred=1)
WORTH: dict[str, tuple[list[Hedge], dict[int, int], int]] = {
    "yes here, no there": ([SAME], {0: 5 * E6, 1: -5 * E6}, 5 * E6),
    "unequal": ([SAME], {0: 5 * E6, 1: -3 * E6}, 3 * E6),
    "both yes is no pair": ([SAME], {0: 5 * E6, 1: 5 * E6}, 0),
    "opposite polarity": ([TEAMS], {0: 5 * E6, 1: 5 * E6}, 5 * E6),
    "opposite polarity, no sides": ([TEAMS], {0: -2 * E6, 1: -5 * E6}, 2 * E6),
    "opposite polarity, one of each": ([TEAMS], {0: 2 * E6, 1: -5 * E6}, 0),
    "alone": ([SAME], {0: 5 * E6}, 0),
    "a contract counts once": (
        [SAME, Hedge((0, 2), True)], {0: 5 * E6, 1: -4 * E6, 2: -4 * E6}, 5 * E6,
    ),
    "nothing": ([], {}, 0),
    "one of three wins": ([OUTCOMES], {0: 5 * E6, 1: 4 * E6, 2: 6 * E6}, 4 * E6),
    "two of three lose": ([OUTCOMES], {0: -5 * E6, 1: -4 * E6, 2: -6 * E6}, 8 * E6),
    "two of three are no set": ([OUTCOMES], {0: 5 * E6, 1: 4 * E6}, 0),
    "of each side is no set": ([OUTCOMES], {0: 5 * E6, 1: 4 * E6, 2: -6 * E6}, 0),
    "none of three need win": ([SOME], {0: 5 * E6, 1: 4 * E6, 2: 6 * E6}, 0),
    "at most one of three wins": ([SOME], {0: -5 * E6, 1: -5 * E6, 2: -5 * E6}, 10 * E6),
    "the weaker strike bought": ([LADDER], {0: 5 * E6, 1: -5 * E6}, 5 * E6),
    "the weaker strike sold may lose both": ([LADDER], {0: -5 * E6, 1: 5 * E6}, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(WORTH))
def test_what_is_held_is_worth_its_worst(case: str) -> None:
    pairs, held, wanted = WORTH[case]
    assert matched_e6(pairs, held) == wanted
