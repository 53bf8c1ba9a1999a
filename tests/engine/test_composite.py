"""The index from its exchanges: median, age, gate, and none where too few are left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.composite import AGE_MAX_NS, ERROR, composite_e8
from shm_layout import E8, NO_ASK_E6, NO_BID_E6, NONE_NS
from tests.twins import composite as twin

NOW = 10**15
Quote = tuple[int, int, int]


def of(*quotes: Quote) -> int:
    """The composite of (bid, ask, stamp)."""
    columns = np.array(quotes, np.int64).reshape(-1, 3).T.copy()
    return int(composite_e8(columns[0], columns[1], columns[2], NOW))


def at(dollars: float, age_ns: int = 0, half: float = 0.5) -> Quote:
    """A quote around a price."""
    return round((dollars - half) * E8), round((dollars + half) * E8), NOW - age_ns


def test_the_middle_of_three_or_more_is_the_index() -> None:
    assert of(at(100.0), at(103.0), at(101.0)) == 101 * E8
    assert of(at(100.0), at(103.0), at(101.0), at(102.0)) == 101.5 * E8


@pytest.mark.parametrize(
    "lost",
    [at(102.0, AGE_MAX_NS + 1), at(102.0, -1), at(110.0), at(80.0),
     (NO_BID_E6, 102 * E8, NOW), (102 * E8, NO_ASK_E6, NOW), (103 * E8, 102 * E8, NOW),
     (0, 0, NOW)],
)  # fmt: skip
def test_what_is_old_far_off_or_half_does_not_count(lost: Quote) -> None:
    assert of(at(100.0), at(101.0), at(102.0), lost) == 101 * E8
    assert of(at(100.0), at(101.0), lost) == NONE_NS, "two are too few"


def test_at_the_edge_of_age_and_gate_it_still_counts() -> None:
    assert of(at(100.0), at(100.0, AGE_MAX_NS), at(105.0)) == 100 * E8
    assert of(at(100.0), at(100.0), at(105.1)) == NONE_NS


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**14) | st.integers(9_500 * E8, 10_500 * E8),
            st.integers(0, 10**14) | st.integers(9_500 * E8, 10_500 * E8),
            st.integers(NOW - 2 * AGE_MAX_NS, NOW + 1),
        ),
        max_size=12,
    )
)
def test_it_is_that_of_plain_python(quotes: list[Quote]) -> None:
    assert of(*quotes) == twin.composite_e8(quotes, NOW)


def test_its_error_is_the_references() -> None:
    assert 0.5e-4 <= ERROR <= 1e-4
