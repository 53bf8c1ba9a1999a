"""The averages of an index: Kalshi's minute and the TWAP's, exact."""

from __future__ import annotations

import json

from ops.venues.indices import Seconds, mean_e8
from ops.venues.numerals import SECOND_NS
from tests.conftest import reference


def test_kalshis_minute_ends_before_its_stamp_and_the_twaps_with_it() -> None:
    seconds = Seconds()
    for second in range(1_000, 1_100):
        seconds.add(second * SECOND_NS, second)
        seconds.add(second * SECOND_NS + 200_000_000, 7)  # inside a second: in no average
    assert seconds.before(1_090) == list(range(1_030, 1_090))
    assert seconds.upto(1_090) == list(range(1_031, 1_091))
    assert seconds.before(1_010) == list(range(1_000, 1_010))
    assert seconds.before(1_000) == []


def test_memory_is_bounded() -> None:
    seconds = Seconds()
    for second in range(1_000):
        seconds.add(second * SECOND_NS, second)
    assert seconds.between(0, 1_000) == list(range(820, 1_000))


def test_means_are_exact_and_halves_go_up() -> None:
    assert mean_e8([1, 2]) == 2
    assert mean_e8([100, 200, 300], 8) == 200
    cents = [249_281 * 10**6, 249_282 * 10**6]
    assert mean_e8(cents, 2) == 249_282 * 10**6
    assert mean_e8([10**14] * 59 + [10**14 + 60]) == 10**14 + 1


def test_the_reference_minute_gives_the_reference_settlement() -> None:
    """The tape of spot.md: the close-inclusive mean is the one that is wrong."""
    expected = json.loads(reference("fixtures/spot/kalshi_brti_close_expected.json").read_text())
    seconds = Seconds()
    for line in reference("fixtures/spot/kalshi_brti_close_derived.jsonl").read_text().splitlines():
        data = json.loads(json.loads(json.loads(line)["raw"])["msg"]["data"])
        value_e8 = int(data["value"].replace(".", "")) * 10**6
        seconds.add(data["time"] * 10**6, value_e8)
    close_s = expected["close_ts_ms"] // 1000
    minute = seconds.before(close_s)
    assert len(minute) == 60
    assert mean_e8(minute, 2) == e8(expected["settlement_rounded_2"])
    assert mean_e8(minute) == e8(expected["settlement_mean_exact"][:14])
    wrong = mean_e8(seconds.upto(close_s))
    assert wrong == e8(expected["mean_of_close_inclusive_window"][:14])
    assert wrong != mean_e8(minute)


def e8(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole + rest.ljust(8, "0"))
