"""Text becomes exact ints or an error; nothing in between."""

from __future__ import annotations

import pytest
from msgspec import Raw

from feeds.update import (
    FeedError,
    Numbers,
    TextError,
    epoch_ns_of,
    exact,
    grid_cells,
    known_ns_of,
    raw_text,
)
from shm_layout import NONE_NS


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5200", 520_000), ("-50.00", -50_000_000), ("0", 0), ("0.000001", 1),
     ("686.31", 686_310_000), ("0.5000000000", 500_000), ("47509.38", 47_509_380_000)],
)  # fmt: skip
def test_a_decimal_text_is_exact(text: str, value: int) -> None:
    numbers = Numbers(6)
    assert numbers.get(text) is None
    assert numbers.parse(text) == value == numbers.get(text)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1_000", "1e3", "NaN", "Infinity", "0.-10000", "\u0661", "0.0000001", "1\n", "--1",
     "99999999999999999999", "+1", ".5", "0x1"],
)  # fmt: skip
def test_anything_else_is_an_error_and_is_not_remembered(text: str) -> None:
    numbers = Numbers(6)
    with pytest.raises(FeedError, match="number"):
        numbers.parse(text)
    assert numbers.get(text) is None


def test_the_memory_of_texts_is_bounded() -> None:
    numbers = Numbers(2, 10)
    assert [numbers.parse(f"{i}") for i in range(100)] == [100 * i for i in range(100)]
    assert sum(numbers.get(f"{i}") is not None for i in range(100)) <= 10


@pytest.mark.parametrize(
    ("text", "decimals", "value"),
    [
        ("79800.71", 8, 7_980_071_000_000),
        ('"1.0000"', 6, 1_000_000),
        ("1", 0, 1),
        ("0.07", 6, 70_000),
    ],
)
def test_a_json_number_is_exact(text: str, decimals: int, value: int) -> None:
    assert exact(text, decimals) == value


@pytest.mark.parametrize("text", ["1e-2", "null", "true", "0.071234567"])
def test_a_json_number_that_would_have_to_be_guessed_is_an_error(text: str) -> None:
    with pytest.raises(FeedError):
        exact(text, 6)


@pytest.mark.parametrize(
    ("text", "seconds", "rest"),
    [
        ("2026-09-06T14:00:00Z", 1_788_703_200, 0),
        ("2026-05-13T21:51:32.145616+00:00", 1_778_709_092, 145_616_000),
        ("2014-11-07T08:19:28.464459123Z", 1_415_348_368, 464_459_123),
        ("2026-09-28 17:46:27+00", 1_790_617_587, 0),
        ("0001-01-01T00:00:00.000000Z", -62_135_596_800, 0),
        ("2026-06-11T06:29:47.42784Z", 1_781_159_387, 427_840_000),
    ],
)
def test_a_time_is_exact_to_the_digit(text: str, seconds: int, rest: int) -> None:
    assert epoch_ns_of(text) == seconds * 10**9 + rest


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00",
                                  "9999-01-01T00:00:00Z"])  # fmt: skip
def test_a_time_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(FeedError, match="time"):
        epoch_ns_of(text)


def test_a_grid_fills_its_six_cells() -> None:
    tapered = ((100_000, 1_000), (900_000, 10_000), (1_000_000, 1_000))
    assert grid_cells(tapered) == [100_000, 1_000, 900_000, 10_000, 1_000_000, 1_000]
    assert grid_cells(((1_000_000, 10_000),)) == [1_000_000, 10_000, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "grid",
    [
        ((100, 1),) * 4,
        ((500_000, 10_000), (400_000, 10_000)),
        ((1_000_000, 0),),
        ((1_000_001, 10_000),),
        ((0, 10_000),),
        ((1_000_000, -1),),
    ],
)
def test_a_grid_that_does_not_fit_is_refused(grid: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(FeedError, match="grid"):
        grid_cells(grid)


def test_a_value_left_undecoded_is_text_or_one_clear_error() -> None:
    assert raw_text(Raw(b"0.50")) == "0.50" and raw_text(Raw()) == ""
    with pytest.raises(TextError, match="UTF-8"):
        raw_text(Raw(b'"\xff"'))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("1970-01-01T00:00:01Z", 10**9), ("", NONE_NS), (None, NONE_NS),
     ("0001-01-01T00:00:00Z", NONE_NS), ("1969-12-31T23:59:59.5Z", NONE_NS)],
)  # fmt: skip
def test_a_time_before_1970_is_one_that_the_venue_does_not_say(
    text: str | None, wanted: int
) -> None:
    assert known_ns_of(text) == wanted
