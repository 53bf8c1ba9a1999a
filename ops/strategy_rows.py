"""What each strategy is told, as rows of the segment's block `strategies`."""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.strategies.table import STRATEGIES, row_of
from ops.config import Settings
from shm_layout import BODY, STRATEGY, Words


def strategy_rows(settings: Settings, *, number: int) -> tuple[Words, ...]:
    """A STRATEGY of each, in the order of the table. `number`: of the PARAMETERS beside it."""
    rows = []
    for which, name in enumerate(STRATEGIES):
        body = np.zeros(BODY, np.int64)
        view = body.view(STRATEGY)[0]
        view["number"], view["which"] = number, which
        view["values"] = row_of(name, dataclasses.asdict(settings.strategies[name]))
        rows.append(body)
    return tuple(rows)
