"""The journal of a run, read by a successor."""

from __future__ import annotations

import pytest

from gateway.recovery import past_of
from shm_layout import BUY, E6, SELL

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
