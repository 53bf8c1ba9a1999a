"""What a run's profit is made of, from positions, reports and terms that the test writes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from ops.config import load
from ops.identity import identify, row
from ops.tally import Tally, matched_e6
from ops.watch import Watch
from ops.worth import Worth, worth
from ops.worth_text import profit_line, profit_parts
from shm_layout import (
    BODY,
    E6,
    K_LEG,
    MARKET_TERMS,
    ORIGIN_DETECTOR,
    PAIR,
    POSITION,
    QUOTE,
    REPORT,
    ST_ACTIVE,
    ST_SETTLED,
    Segment,
    intent_id,
    ring_append,
)
from tests.ops.fakes import FakeScript

NOW = 1_000
KALSHI, POLYMARKET = 0, 1  # YES of both means the same


class Held:
    """A pair's two markets; what is held of them and what is known of their worth."""

    def __init__(self) -> None:
        self.segment = Segment.private()
        self.watch = Watch(self.segment, identify(FakeScript(), load("testing")))
        self.tally = Tally.of(self.segment)
        self._count = 0

    def hold(
        self, index: int, *, yes: int = 0, no: int = 0, cost: int, generation: int = 1
    ) -> None:
        """Contracts, and their cost in cents."""
        body = row(
            POSITION, instrument=index, generation=generation, position_e6=(yes - no) * E6,
            yes_e6=yes * E6, no_e6=no * E6, cost_e6=cost * 10_000,
        )  # fmt: skip
        self.segment.write("positions", index, body)

    def trade(self, index: int, contracts: int, fee_e6: int, generation: int = 1) -> None:
        """A report of a fill."""
        self._count += 1
        body = row(
            REPORT, intent=intent_id(ORIGIN_DETECTOR, 1, self._count), leg=0, instrument=index,
            generation=generation, filled_e6=contracts * E6, fee_e6=fee_e6, send_ns=1,
        )  # fmt: skip
        at, entries = self.segment.at("reports"), self.segment.entries("reports")
        ring_append(self.segment.words, at, entries, K_LEG, body, BODY)
        self.tally.poll()

    def fair(self, index: int, fair_e6: int, **more: int) -> None:
        told = {"generation": 1, "valid_until_ns": NOW} | more
        body = row(MARKET_TERMS, instrument=index, fair_e6=fair_e6, **told)
        self.segment.write("market_terms", index, body)

    def settled(self, index: int, yes_e6: int, status: int = ST_SETTLED) -> None:
        told = row(QUOTE, generation=1, status=status, settlement_e6=yes_e6)
        self.segment.write("quotes", index, told)

    def worth(self, gained_e6: int = 0) -> Worth:
        found = worth(self.watch, self.tally, gained_e6, NOW)
        held = {i: int(r["position_e6"]) for i, r in self.watch.held().items()}
        whole_e6 = sum(min(r["yes_e6"], r["no_e6"]) for r in self.watch.held().values())
        worst_e6 = gained_e6 + matched_e6(self.watch.pairs, held) + int(whole_e6)
        assert found.worst_e6 == worst_e6, "the parts are the whole, whatever they are"
        return found


@pytest.fixture
def held() -> Held:
    return Held()


def told(found: Worth, **wanted: Any) -> None:
    """Those parts; all others are 0."""
    assert asdict(found) == asdict(Worth(**wanted))


def test_a_complete_pair_is_sure_and_nothing_of_it_is_open(held: Held) -> None:
    """100 at 40 cents and 100 at 55, a cent of fees each: 3 dollars, whatever happens."""
    held.hold(KALSHI, yes=100, cost=4_000)
    held.hold(POLYMARKET, no=100, cost=5_500)
    held.trade(KALSHI, 100, E6)
    held.trade(POLYMARKET, 100, E6)
    told(held.worth(-97 * E6), sure_e6=3 * E6)


def test_two_positions_of_one_side_are_no_pair(held: Held) -> None:
    held.hold(KALSHI, yes=100, cost=4_000)
    held.hold(POLYMARKET, yes=100, cost=5_500)
    found = held.worth(-95 * E6)
    assert (found.sure_e6, found.open_cost_e6, found.open_markets) == (0, 95 * E6, 2)


def test_what_is_beyond_the_pair_is_open_at_its_share_of_the_cost(held: Held) -> None:
    """30 of 100 contracts have no other leg: 30 % of cost and fees."""
    held.hold(KALSHI, yes=100, cost=4_000)
    held.hold(POLYMARKET, no=70, cost=3_850)
    held.trade(KALSHI, 100, E6)
    held.fair(KALSHI, 450_000)
    found = held.worth(-79_500_000)
    assert found.open_cost_e6 == 12_300_000
    assert found.sure_e6 == 70 * E6 - 38_500_000 - 28_700_000
    assert found.open_worth_e6 == 30 * 449_999 and found.unknown_cost_e6 == 0


@pytest.mark.parametrize(
    ("yes", "no", "fair_e6", "worth_e6"),
    [(10, 0, 600_000, 5_999_990), (0, 10, 600_000, 3_999_990), (10, 0, 0, 0), (0, 10, E6, 0)],
)
def test_a_bet_is_worth_its_fair_value_rounded_against_us(
    held: Held, yes: int, no: int, fair_e6: int, worth_e6: int
) -> None:
    held.hold(KALSHI, yes=yes, no=no, cost=500)
    held.fair(KALSHI, fair_e6)
    told(held.worth(-5 * E6), open_cost_e6=5 * E6, open_worth_e6=worth_e6, open_markets=1)


@pytest.mark.parametrize(
    "terms", [{"fair_e6": -1}, {"valid_until_ns": NOW - 1}, {"generation": 2}], ids=str
)
def test_without_a_fair_value_that_counts_it_is_unknown(held: Held, terms: dict[str, int]) -> None:
    """No price, told too long ago, of the market that has the number next."""
    held.hold(KALSHI, yes=10, cost=500)
    held.fair(KALSHI, terms.pop("fair_e6", 600_000), **terms)
    wanted = {"open_cost_e6": 5 * E6, "unknown_cost_e6": 5 * E6}
    told(held.worth(-5 * E6), **wanted, open_markets=1, unknown_markets=1)


def test_what_has_settled_and_is_not_booked_is_worth_what_it_pays(held: Held) -> None:
    held.hold(KALSHI, no=10, cost=500)
    held.fair(KALSHI, 600_000)
    held.settled(KALSHI, 0)
    assert held.worth(-5 * E6).open_worth_e6 == 10 * E6
    held.settled(KALSHI, 0, ST_ACTIVE)
    assert held.worth(-5 * E6).open_worth_e6 == 3_999_990, "not settled: fair value"


def test_a_bet_that_took_another_back_is_closed_and_not_open(held: Held) -> None:
    """50 of 100 sold back at a gain of 5 dollars; each trade paid a cent a contract."""
    held.hold(KALSHI, yes=50, cost=2_000)
    held.trade(KALSHI, 100, E6)
    held.trade(KALSHI, 50, 500_000)
    held.fair(KALSHI, 500_000)
    found = held.worth(-16_500_000)  # -40, +25, -1.50
    assert found.closed_e6 == 4 * E6 and found.open_cost_e6 == 20_500_000
    assert found.open_worth_e6 == 50 * 499_999


def test_nothing_held_is_closed_alone(held: Held) -> None:
    held.trade(KALSHI, 100, E6)
    told(held.worth(7 * E6), closed_e6=7 * E6)


def test_both_tokens_of_one_market_are_sure(held: Held) -> None:
    held.hold(POLYMARKET, yes=30, no=20, cost=2_400)
    found = held.worth(-24 * E6)
    assert (found.open_cost_e6, found.sure_e6) == (24 * E6 * 10 // 50, 20 * E6 - 19_200_000)


def test_fees_of_the_market_that_had_the_number_before_are_not_of_this_one(held: Held) -> None:
    held.trade(KALSHI, 100, 50 * E6)
    held.hold(KALSHI, yes=10, cost=500, generation=2)
    assert held.worth(-5 * E6).open_cost_e6 == 5 * E6
    held.trade(KALSHI, 10, 70_000, generation=2)
    assert held.worth(-5 * E6).open_cost_e6 == 5_070_000


def test_what_both_legs_may_lose_is_told_beside_what_is_sure(held: Held) -> None:
    """Two indices: near the strike neither leg of the complete pair pays."""
    held.watch.identity.pairs[0].view(PAIR)[0]["needs_terms"] = 1
    held.watch.renew(held.watch.identity)
    held.hold(KALSHI, yes=100, cost=4_000)
    held.hold(POLYMARKET, no=70, cost=3_850)
    found = held.worth(-78_500_000)
    assert (found.sure_e6, found.apart_e6) == (70 * E6 - 66_500_000, 70 * E6)
    assert profit_line(asdict(found)).startswith("closed $0.00 · sure $3.50 if $70.00 of two ")
    assert profit_parts(asdict(found))[1].endswith("but for $70.00 that pairs of two indices pay: "
                                                   "there both may lose")  # fmt: skip


def test_people_read_each_part() -> None:
    found = asdict(Worth(closed_e6=-3_940_000, sure_e6=21_820_000))
    assert profit_line(found) == "closed -$3.94 · sure $21.82 · nothing open"
    found |= {"open_cost_e6": 120 * E6, "open_worth_e6": 90 * E6, "open_markets": 2}
    assert profit_line(found).endswith("· open cost $120.00, worth $90.00")
    assert profit_parts(found)[-1] == "open cost $120.00, worth $90.00 at fair value"
    found |= {"unknown_cost_e6": 20 * E6, "unknown_markets": 1}
    assert profit_line(found).endswith("worth $90.00, $20.00 of it unknown")
    found |= {"unknown_markets": 2}
    assert profit_line(found).endswith("· open cost $120.00, $20.00 of it unknown")


def test_a_pair_that_nobody_approved_makes_nothing_sure() -> None:
    """Two bets may hold both its markets: who says that they pay a dollar together?"""
    sure = []
    for approved in (1, 0):
        held = Held()
        held.watch.identity.pairs[0].view(PAIR)[0]["approved"] = approved
        held.watch.renew(held.watch.identity)
        held.hold(KALSHI, yes=10, cost=400)
        held.hold(POLYMARKET, no=10, cost=500)
        sure.append(held.worth().sure_e6)
    assert sure == [1 * E6, 0]
