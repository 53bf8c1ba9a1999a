"""The desk's limits: what a PARAMETERS row changes, and when."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from gateway.intake import adopted
from gateway.memory import P_ORDER
from gateway.params import DeskParams
from gateway.throttle import OrderRate
from shm_layout import ACTIVE, BODY, K_PARAMETERS, PARAMETERS, REASONS, ring_append
from tests.gateway.rig import PARAMS, Rig, kalshi_filled, play, poly_filled, running
from tests.gateway.scene import body
from tests.gateway.test_desk_successor import lives

SHARED = [f.name for f in fields(DeskParams) if f.name in (PARAMETERS.names or ())]


def row_of(params: DeskParams, **changed: int) -> list[int]:
    """A PARAMETERS body with the desk's own numbers."""
    told = {name: getattr(params, name) for name in SHARED} | changed
    return list(body(PARAMETERS, **told).tolist())


def test_a_row_says_everything_that_both_know_and_nothing_else_changes() -> None:
    assert len(SHARED) >= 18 and {"asset_max_e6", "loss_cap_e6", "time_cap_ns"} <= set(SHARED)
    assert adopted(PARAMS, row_of(PARAMS)) == PARAMS
    for name in SHARED:
        value = getattr(PARAMS, name) - 1
        if value > 0:
            found = adopted(PARAMS, row_of(PARAMS, **{name: value}))
            names = [field.name for field in fields(PARAMS)]
            changed = [each for each in names if getattr(found, each) != getattr(PARAMS, each)]
            assert changed == [name]


def test_a_row_that_makes_no_sense_is_refused_and_a_threshold_of_nothing_is_one_millionth() -> None:
    with pytest.raises(ValueError, match=r"order_max_e6: found .*, wanted at most"):
        adopted(PARAMS, row_of(PARAMS, order_max_e6=PARAMS.market_max_e6 + 1))
    assert adopted(PARAMS, row_of(PARAMS, edge_min_e6=0)).edge_min_e6 == 1


def test_other_rates_hold_for_what_was_already_counted() -> None:
    rate = OrderRate(4, 100, 1_000)
    rate.add(3, 1)
    assert rate.has(1, 2) and not rate.has(2, 2)
    rate.limit(3, 100, 1_000)
    assert not rate.has(1, 2)
    rate.limit(5, 100, 1_000)
    assert rate.has(2, 2) and not rate.has(3, 2)


def tell(rig: Rig, params: DeskParams, **changed: int) -> None:
    """A row on the control ring, as the supervisor puts it there."""
    segment = rig.scene.segment
    ring, entries = segment.at("control_ring"), segment.entries("control_ring")
    row = np.array(row_of(params, **changed), np.int64)
    ring_append(segment.words, ring, entries, K_PARAMETERS, row, BODY)
    rig.scene.ring(rig.eventfd)


async def _tightened_and_loosened(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        rig.kalshi.script = [kalshi_filled("10.00")]
        rig.poly.script = [poly_filled("5", "10")]
        tell(rig, PARAMS, order_max_e6=1_000_000)
        end = await rig.end_of(rig.fire())
        assert end["reason"] == REASONS.index("limit_order") and not rig.kalshi.orders
        tell(rig, PARAMS)
        end = await rig.end_of(rig.fire())
        assert end["reason"] == REASONS.index("done"), rig.reported()


async def _reloaded_while_it_started(tmp_path: Path) -> None:
    async with lives(tmp_path) as (rig, replace):
        for number, most_e6 in ((1, PARAMS.order_max_e6), (2, 1_000_000)):
            row = np.array(row_of(PARAMS, number=number, order_max_e6=1_000_000), np.int64)
            rig.scene.segment.write("parameters", 0, row)
            await replace()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert rig.desk.unwinder.params.order_max_e6 == most_e6
            assert rig.desk.memory.cells[P_ORDER] == most_e6


def test_a_reload_that_spec_and_control_cursor_both_missed_holds(tmp_path: Path) -> None:
    """The first row is the run's own: its spec has that."""
    play(_reloaded_while_it_started, tmp_path)


def test_a_row_on_the_control_ring_tightens_and_loosens_the_running_desk(tmp_path: Path) -> None:
    play(_tightened_and_loosened, tmp_path)
