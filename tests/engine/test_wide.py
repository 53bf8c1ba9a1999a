"""Wide products against Python's own integers, up to the limit and one past it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.wide import (
    DIVISOR_LARGE_MAX,
    DIVISOR_MAX,
    REFUSED,
    WIDE_MAX,
    mul_div_ceil,
    mul_div_floor,
    parts,
    product,
    wide_add,
    wide_div,
    wide_div_large,
    wide_scale,
)

factors = st.integers(0, WIDE_MAX) | st.sampled_from([0, 1, 10**9 - 1, 10**9, WIDE_MAX - 1])
WHOLE = 10**18


@settings(max_examples=300, deadline=None)
@given(factors, factors)
def test_a_product_is_exact_up_to_the_limit(a: int, b: int) -> None:
    hi, lo = product(a, b)
    assert 0 <= lo < WHOLE and hi * WHOLE + lo == a * b


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1) | st.integers(1, 10**6))
def test_parts_are_those_of_divmod(a: int, by: int) -> None:
    assert parts(a, by) == divmod(a, by)


@settings(max_examples=300, deadline=None)
@given(factors, factors, st.integers(1, DIVISOR_MAX))
def test_a_division_is_exact_or_refused(a: int, b: int, divisor: int) -> None:
    down, up = mul_div_floor(a, b, divisor), mul_div_ceil(a, b, divisor)
    if a * b // WHOLE >= divisor:  # the quotient would not fit
        assert down == up == REFUSED
    else:
        assert down == a * b // divisor and up == -(-a * b // divisor)


@settings(max_examples=300, deadline=None)
@given(factors, factors, st.integers(1, DIVISOR_LARGE_MAX) | st.just(DIVISOR_LARGE_MAX))
def test_a_large_division_is_exact(hi: int, lo: int, divisor: int) -> None:
    lo = min(lo, WHOLE - 1)
    up, down, rest = wide_div_large(hi, lo, divisor)
    assert (up * WHOLE + down, rest) == divmod(hi * WHOLE + lo, divisor) and down < WHOLE
    assert wide_div_large(hi, lo, 0) == (REFUSED, REFUSED, REFUSED)
    assert wide_div_large(hi, lo, DIVISOR_LARGE_MAX + 1) == (REFUSED, REFUSED, REFUSED)
    assert wide_div_large(-1, lo, divisor) == (REFUSED, REFUSED, REFUSED)


@settings(max_examples=300, deadline=None)
@given(factors, factors, st.integers(0, 10**12) | st.just(10**12))
def test_scaling_rounds_up_the_last_place(hi: int, lo: int, factor: int) -> None:
    lo = min(lo, WHOLE - 1)
    up, down = wide_scale(hi, lo, factor)
    assert up * WHOLE + down == -(-(hi * WHOLE + lo) * factor // 10**12) and down < WHOLE
    assert wide_scale(hi, lo, 10**12 + 1) == (REFUSED, REFUSED)


@settings(max_examples=100, deadline=None)
@given(factors, factors, factors, factors)
def test_a_sum_carries(a: int, b: int, x: int, y: int) -> None:
    hi, lo = wide_add(*product(a // 8, b), *product(x // 8, y))
    assert hi * WHOLE + lo == a // 8 * b + x // 8 * y and lo < WHOLE


def test_out_of_range_is_refused_and_never_wrapped() -> None:
    for a, b in ((WIDE_MAX + 1, 1), (1, WIDE_MAX + 1), (-1, 1), (1, -1), (2**62, 2**62)):
        assert product(a, b) == (REFUSED, REFUSED)
        assert mul_div_floor(a, b, 7) == REFUSED
    assert wide_div(5, 0, 5) == (REFUSED, REFUSED)
    assert wide_div(0, 5, 0) == (REFUSED, REFUSED)
    assert wide_div(0, 5, DIVISOR_MAX + 1) == (REFUSED, REFUSED)
    assert wide_div(-1, 5, 3) == (REFUSED, REFUSED)


def test_plain_int64_would_have_wrapped() -> None:
    """Negative control: p·(1−p)·size at 37 contracts is past int64, and is exact here."""
    price, size = 500_000, 37_000_000
    spread = price * (1_000_000 - price)
    assert spread * size > 2**63 - 1
    hi, lo = product(spread, size)
    assert hi * WHOLE + lo == spread * size
