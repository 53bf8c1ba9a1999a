"""What flattening would bring: walked through what is shown, fees taken off, never more than is
held.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.ports import NO, YES
from ops.flatten_plan import _row
from ops.operator_cli import difference_line, dollars, plan_lines
from tests.gateway.scene import KALSHI, Scene

CAP_E6 = 50_000


def quote(**more: Any) -> list[int]:
    scene = Scene()
    scene.quote(KALSHI, bid=400_000, ask=420_000, **more)
    found = scene.segment.read("quotes", KALSHI)
    assert found is not None
    return [int(cell) for cell in memoryview(found.tobytes()).cast("q")]


def test_a_yes_is_sold_at_the_bid_and_a_no_at_what_is_left_of_the_ask() -> None:
    yes, no = (_row(token, 10_000_000, quote(), CAP_E6) for token in (YES, NO))
    assert (yes["holds"], yes["touch_e6"], yes["order_e6"]) == ("YES", 400_000, 10_000_000)
    assert (no["holds"], no["touch_e6"], no["order_e6"]) == ("NO", 420_000, 10_000_000)
    assert yes["cash_e6"] == 4_000_000 - yes["fee_e6"] and yes["fee_e6"] > 0
    assert no["cash_e6"] == 5_800_000 - no["fee_e6"] and no["fee_e6"] > 0
    assert yes["worst_e6"] == 4_000_000 - 500_000 and yes["unshown_e6"] == 0


def test_what_the_book_does_not_show_brings_nothing() -> None:
    found = _row(YES, 10_000_000, quote(size=4_000_000), CAP_E6)
    assert found["order_e6"] == 4_000_000 and found["unshown_e6"] == 6_000_000
    assert found["cash_e6"] == 1_600_000 - found["fee_e6"]


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (None, "no book is shown"),
        (quote(size=0), "no book is shown"),
        (quote(trust=2), "not trusted now: waited for"),
        (quote(size_min_e6=20_000_000), "too little for an order, or nothing within the loss cap"),
    ],
)
def test_why_nothing_can_be_ordered_is_said(cells: list[int] | None, why: str) -> None:
    assert _row(YES, 10_000_000, cells, CAP_E6)["why"] == why


def test_the_texts_name_what_is_held_and_what_differs() -> None:
    row = {"venue": "kalshi", "ticker": "KX-1"} | _row(YES, 10_000_000, quote(), CAP_E6)
    shown = {"rows": [row], "cash_e6": 3_800_000, "worst_e6": 3_500_000, "worth_e6": 0,
             "cost_e6": -3_800_000}  # fmt: skip
    first, *_, last = plan_lines(shown)
    assert first.startswith("kalshi KX-1: 10.00 YES: first order 10.00 at 0.40")
    assert plan_lines(shown | {"mode": "paper"})[0] == "PAPER: no order is real"
    assert last == "pays at least $0.00 if kept to settlement: flatten gains $3.80"
    told = {"venue": "kalshi", "instrument": 3, "ours_e6": [1, 0], "theirs_e6": [0, 0],
            "order": None}  # fmt: skip
    assert difference_line(told) == (
        "kalshi instrument 3: ours YES 0.000001 NO 0.00, the venue's YES 0.00 NO 0.00"
    )
    assert [dollars(value) for value in (0, -1, 1_500_000)] == ["0.00", "-0.000001", "1.50"]
