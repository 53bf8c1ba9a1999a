"""A settled market is paid out once, journalled, and told to everyone, whatever it pays."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.intake import Intake
from gateway.memory import Memory
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
        "k": "settle", "instrument": KALSHI, "value": value_e6, "yes": HELD_E6, "no": 0,
        "paid": paid_e6, "ns": 5,
    }]  # fmt: skip
    assert accounts.cash[KALSHI].cash_e6 == CASH_E6 + paid_e6
    slot, other = (scene.segment.read("positions", i) for i in (KALSHI, POLY))
    assert slot is not None and other is not None
    assert slot["yes_e6"] == 0 and other["no_e6"] == HELD_E6
