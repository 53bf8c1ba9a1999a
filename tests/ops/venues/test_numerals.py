"""Numbers on the wire are exact and in the venue's own form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.venues import numerals


@pytest.mark.parametrize(
    ("value_e6", "kalshi", "count", "polymarket"),
    [
        (520_000, "0.5200", "0.52", "0.52"),
        (1_000_000, "1.0000", "1.00", "1"),
        (0, "0.0000", "0.00", "0"),
        (-15_000_000, "-15.0000", "-15.00", "-15"),
        (112_359_550, "112.3595", "112.35", "112.35955"),
        (-5, "0.0000", "0.00", "-0.000005"),
    ],
)
def test_each_form_is_as_the_venue_writes_it(
    value_e6: int, kalshi: str, count: str, polymarket: str
) -> None:
    assert numerals.dollars4(value_e6) == kalshi
    assert numerals.count2(value_e6) == count
    assert numerals.plain(value_e6) == polymarket


@given(st.integers(-(10**15), 10**15))
def test_a_plain_number_reads_back_as_itself(value_e6: int) -> None:
    assert numerals.parse_e6(numerals.plain(value_e6)) == value_e6


@pytest.mark.parametrize("text", ["", ".", "1.", "abc", "1e3", "0.0000001", "--1", " 1", 1, None])
def test_what_is_no_decimal_is_none(text: object) -> None:
    assert numerals.parse_e6(text) is None


def test_times_carry_microseconds() -> None:
    assert numerals.iso_us(1_781_159_387_354_803_000) == "2026-06-11T06:29:47.354803Z"


def test_spot_numbers_keep_every_digit() -> None:
    assert numerals.spot8(7_947_126_000_000, 2) == "79471.26"
    assert numerals.spot8(7_947_100_000_000, 2) == "79471.00"
    assert numerals.spot8(97_133_855, 8) == "0.97133855"
