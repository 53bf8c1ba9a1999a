"""The registry of series: names, beginnings, pairs, and the days when clocks change."""

from __future__ import annotations

import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from ops.series import TABLE, Series, SeriesError, load

HOUR = 3_600


def utc(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text + "+00:00").timestamp())


def series(name: str) -> Series:
    found = load().find(name)
    assert found is not None, name
    return found


def test_every_asset_has_its_lengths_and_the_quarter_hours_pair() -> None:
    table = load()
    assert len(table.series) == 4 + 4 * 4
    assert {one.interval for one in table.series if one.venue == "kalshi"} == {"15m"}
    pairs = {(one.a.name, one.b.name) for one in table.pairings}
    assert ("kalshi btc 15m", "polymarket btc 15m") in pairs and len(pairs) == 4
    assert all(one.has_dead_zone and one.is_approved for one in table.pairings)


def test_names_are_those_that_the_venues_were_seen_to_use() -> None:
    """polymarket.md 15: slugs of 2026-09-28; kalshi.md 15."""
    noon = utc("2026-09-28T16:00")
    assert series("polymarket btc 15m").slug(noon) == f"btc-updown-15m-{noon}"
    assert series("polymarket xrp 5m").slug(noon) == f"xrp-updown-5m-{noon}"
    hourly = series("polymarket btc 1h").slug(noon)
    assert hourly == "bitcoin-up-or-down-september-28-2026-12pm-et"
    assert series("kalshi eth 15m").slug(noon) == "KXETH15M"


def test_windows_follow_one_another_without_a_gap() -> None:
    for one in load().series:
        for day in ("2026-06-01T00:00", "2026-03-08T00:00", "2026-11-01T00:00"):
            found = list(one.windows(utc(day) + 77, 30 * HOUR))
            assert found[0][0] <= utc(day) + 77 < found[0][1]
            assert all(a[1] == b[0] for a, b in pairwise(found))
            for open_s, close_s in found:
                assert one.begins(open_s) == one.begins(close_s - 1) == open_s, (one.name, open_s)


def test_a_window_is_known_by_its_venue_its_name_and_its_beginning() -> None:
    table, noon = load(), utc("2026-09-28T16:00")
    for venue, ticker, name in (
        ("kalshi", "KXBTC15M-26SEP281215-15", "kalshi btc 15m"),
        ("polymarket", f"eth-updown-5m-{noon}", "polymarket eth 5m"),
        ("polymarket", "bitcoin-up-or-down-september-28-2026-12pm-et", "polymarket btc 1h"),
    ):
        found = table.of(venue, ticker, noon)
        assert found is not None and found.name == name
    assert table.of("polymarket", f"eth-updown-5m-{noon}", noon + 300) is None
    assert table.of("polymarket", "KXBTC15M-26SEP281215-15", noon) is None
    assert table.of("kalshi", "KXBTC15MX-26SEP281215-15", noon) is None


def test_the_hour_that_comes_twice_is_not_asked_for_by_its_name() -> None:
    hourly = series("polymarket btc 1h")
    first = utc("2026-11-01T05:00")  # 1 am, summer time; an hour later it is 1 am again
    assert hourly.slug(first).endswith("november-1-2026-1am-et")
    assert hourly.slug(first + HOUR) == ""
    assert hourly.slug(first + 2 * HOUR).endswith("november-1-2026-2am-et")
    quarters = series("polymarket btc 15m")
    assert len({quarters.slug(first + at) for at in range(0, 3 * HOUR, 900)}) == 12


def test_a_window_of_four_hours_is_one_hour_off_on_two_days_a_year() -> None:
    long = series("polymarket btc 4h")
    lengths = {
        day: [(b - a) // HOUR for a, b in long.windows(utc(day), 10 * HOUR)][:2]
        for day in ("2026-06-01T04:00", "2026-11-01T04:00", "2026-03-08T05:00")
    }
    assert list(lengths.values()) == [[4, 4], [5, 4], [3, 4]]


def test_a_choice_keeps_only_whole_pairs() -> None:
    table = load().chosen(("btc",), ("5m", "15m"))
    assert [one.name for one in table.series] == [
        "kalshi btc 15m", "polymarket btc 5m", "polymarket btc 15m",
    ]  # fmt: skip
    assert [one.a.asset for one in table.pairings] == ["btc"]
    assert load().chosen(("btc",), ("5m",)).pairings == ()


SERIES = """[[series]]
venue = "kalshi"
intervals = ["15m"]
find = "series"
grid = "utc"
strike = "venue"
ticker = "KX{ASSET}15M"
assets = { btc = "BRTI" }
"""
PAIR = """[[pair]]
a = "kalshi"
b = "polymarket"
interval = "15m"
assets = ["btc"]
dead_zone = true
approved = true
"""
MISTAKES = {
    "not TOML": ("[[series", "series"),
    "unknown venue": (SERIES.replace('"kalshi"', '"kalshy"'), "venue: found 'kalshy'"),
    "unknown key": (SERIES + "lenght = 3\n", "found the key 'lenght'"),
    "missing key": (SERIES.replace('strike = "venue"\n', ""), "strike: found nothing"),
    "unknown length": (SERIES.replace('["15m"]', '["7m"]'), "intervals: found ['7m']"),
    "length no text": (SERIES.replace('["15m"]', "[15]"), "intervals: found [15]"),
    "unknown asset": (SERIES.replace("btc =", "shib ="), "assets: found"),
    "index no text": (SERIES.replace('"BRTI"', "3"), "assets: found"),
    "unknown name": (SERIES.replace("{ASSET}", "{COIN}"), "ticker: found"),
    "ticker no text": (SERIES.replace('"KX{ASSET}15M"', "15"), "ticker: found 15"),
    "twice": (SERIES + SERIES, "found kalshi btc 15m twice"),
    "no table": ("series = 3\n", "series: found 3"),
    "no such leg": (SERIES + PAIR, "b: found 'polymarket' 'btc' '15m'"),
    "one venue": (SERIES + PAIR.replace('"polymarket"', '"kalshi"'), "wanted two venues"),
    "no boolean": (SERIES + PAIR.replace("dead_zone = true", 'dead_zone = "no"'), "dead_zone"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_found_and_wanted(name: str, tmp_path: Path) -> None:
    text, said = MISTAKES[name]
    path = tmp_path / "series.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SeriesError) as error:
        load(path)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_the_table_itself_is_read_without_a_word() -> None:
    assert load(TABLE) == load()
