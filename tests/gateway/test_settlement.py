"""A settled market is paid out once, journalled, and told to everyone, whatever it pays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.intake import Intake
from gateway.memory import I_KNOWN, Memory
from gateway.ports import Held
from gateway.reports import Reports
from gateway.settlement import settle
from shm_layout import ST_SETTLED
from tests.gateway.scene import KALSHI, POLY, Scene

HELD_E6, CASH_E6 = 10_000_000, 500_000_000


@pytest.mark.parametrize(("value_e6", "paid_e6"), [(0, 0), (1_000_000, HELD_E6)])
def test_what_is_held_is_gone_from_the_slot_also_if_it_paid_nothing(
    value_e6: int, paid_e6: int
) -> None:
    """A leg that lost stood in its slot, and in the detector's books, for ever."""
    scene, memory, records = Scene(), Memory(), list[dict[str, Any]]()
    accounts, reports = scene.tell(memory), Reports(scene.segment)
    intake = Intake(scene.segment, -1)
    held = [Held(KALSHI, HELD_E6, 0), Held(POLY, 0, HELD_E6)]
    accounts.start({KALSHI: CASH_E6, POLY: CASH_E6}, held, {})
    for instrument in (KALSHI, POLY):
        reports.account(instrument, accounts, 1)
    scene.quote(KALSHI, bid=0, ask=0, status=ST_SETTLED, settlement_e6=value_e6)
    settle(accounts, intake, reports, records.append, 5)
    settle(accounts, intake, reports, records.append, 6)
    assert records == [{
        "k": "settle", "instrument": KALSHI, "generation": 1, "value": value_e6, "yes": HELD_E6,
        "no": 0, "paid": paid_e6, "ns": 5, "event": 3, "event_e6": paid_e6 - HELD_E6,
    }]  # fmt: skip
    assert accounts.cash[KALSHI].cash_e6 == CASH_E6 + paid_e6
    assert (accounts.cash[KALSHI].paid_ns, accounts.cash[POLY].paid_ns) == (5, 0)
    slot, other = (scene.segment.read("positions", i) for i in (KALSHI, POLY))
    assert slot is not None and other is not None
    assert slot["yes_e6"] == 0 and other["no_e6"] == HELD_E6


def test_the_result_of_the_market_that_had_the_slot_before_pays_nothing() -> None:
    scene, memory, records = Scene(), Memory(), list[dict[str, Any]]()
    accounts, reports = scene.tell(memory), Reports(scene.segment)
    intake = Intake(scene.segment, -1)
    accounts.start({KALSHI: CASH_E6, POLY: CASH_E6}, [Held(KALSHI, HELD_E6, 0)], {})
    scene.quote(KALSHI, bid=0, ask=0, status=ST_SETTLED, settlement_e6=1_000_000, generation=7)
    settle(accounts, intake, reports, records.append, 5)
    assert records == [] and accounts.cash[KALSHI].cash_e6 == CASH_E6
    assert intake.settlement_e6(KALSHI, 7) == 1_000_000


def test_a_number_that_another_market_has_now_begins_with_nothing() -> None:
    scene, memory = Scene(), Memory()
    accounts = scene.tell(memory)
    accounts.redeem_e6[POLY] = 5
    accounts.standing.mismatch([POLY] * 1_000)
    accounts.position(POLY).fees_e6 = 3
    market = accounts.markets[POLY]
    accounts.add_market(replace(market, is_live=False))
    assert accounts.known == (accounts.markets[KALSHI],), "the venues are not asked about it"
    assert not memory.cells[memory.row(POLY) + I_KNOWN], "and nothing is sent there"
    assert accounts.redeem_e6 and accounts.standing.is_blocked(POLY)
    accounts.add_market(replace(market, generation=market.generation + 1))
    assert memory.cells[memory.row(POLY) + I_KNOWN]
    assert not accounts.redeem_e6 and not accounts.standing.is_blocked(POLY)
    assert accounts.position(POLY).fees_e6 == 0 and len(accounts.known) == 2
