"""What the engine counts on of a quote: what its venue shows less what paper orders had of it."""

from __future__ import annotations

import numpy as np

from gateway.facts import less_had
from shm_layout import QUOTE


def less(quote: np.void, had: np.void | None) -> np.void:
    """A QUOTE less a HAD; None: nothing was had."""
    if had is None:
        return quote
    cells = cells_of(quote)
    less_had(cells, cells_of(had))
    left: np.void = np.array(cells, np.int64).view(QUOTE)[0]
    return left


def cells_of(row: np.void) -> list[int]:
    """The cells of a record."""
    return memoryview(row.tobytes()).cast("q").tolist()
