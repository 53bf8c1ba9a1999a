"""What every recording goes through: recognising, refusing, beginning, cutting, joining."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.venues.recorded import RecordingError, load
from ops.venues.recorded_lines import Numbers, epoch_ms, lines, scaled, shown
from ops.venues.recorded_script import Recording, script_of
from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    ConnectionCut,
    Cut,
    Event,
    LevelSet,
    MarketSpec,
    StatusChange,
    TickerPrint,
)
from tests.conftest import recorded

MS = 1_000_000
SECOND = 10**9


def recording(name: str, events: list[Event], venue: str = "kalshi") -> Recording:
    spec = MarketSpec(venue=venue, ticker=name, title=name, event="e", status="initialized")
    return Recording(Path(name), (spec,), (), (), events, {"events_read": len(events)})


def book(at: int, *levels: tuple[int, int], market: int = 0, seq: int | None = None) -> BookSet:
    return BookSet(at, market, levels, (), seq)


def test_events_before_the_beginning_make_the_first_book() -> None:
    events: list[Event] = [
        StatusChange(0, 0, "active"),
        book(0, (400_000, 5), (390_000, 6), seq=1),
        LevelSet(1 * SECOND, 0, BID, 400_000, 0, 2),
        LevelSet(1 * SECOND, 0, ASK, 450_000, 7, 3),
        LevelSet(1 * SECOND, 0, BID, 395_000, 8, 4),
        TickerPrint(1 * SECOND, 0, ()),
        LevelSet(3 * SECOND, 0, BID, 390_000, 9, 5),
    ]
    script = script_of(
        [recording("A", events)], from_epoch_ns=2 * SECOND, gap_max_ns=None, speed_e6=1_000_000
    )
    assert list(script.events()) == [
        BookSet(2 * SECOND, 0, ((395_000, 8), (390_000, 6)), ((450_000, 7),), 4),
        LevelSet(3 * SECOND, 0, BID, 390_000, 9, 5),
    ]
    assert script.timeline.begin_epoch_ns == 2 * SECOND
    assert script.end_epoch_ns == 3 * SECOND
    assert script.markets[0].status == "active"
    assert script.counts == {"events_read": 7, "events": 2, "cuts": 0}


def test_a_beginning_before_the_data_is_that_of_the_data() -> None:
    given = [recording("A", [book(5 * SECOND), book(6 * SECOND)])]
    script = script_of(given, from_epoch_ns=1, gap_max_ns=None, speed_e6=1_000_000)
    assert script.timeline.begin_epoch_ns == 5 * SECOND
    assert len(list(script.events())) == 2


def test_a_beginning_after_the_data_is_refused_and_says_where_the_data_ends() -> None:
    given = [recording("A", [book(5 * SECOND), book(6 * SECOND)])]
    script_of(given, from_epoch_ns=6 * SECOND, gap_max_ns=None, speed_e6=1_000_000)
    with pytest.raises(RecordingError, match="data's end, 1970-01-01T00:00:06"):
        script_of(given, from_epoch_ns=6 * SECOND + 1, gap_max_ns=None, speed_e6=1_000_000)


def test_a_silence_of_everything_is_cut_to_its_longest_allowed_length() -> None:
    a = recording("A", [book(0), book(20 * SECOND)])
    b = recording("B", [book(4 * SECOND), book(25 * SECOND)], "polymarket")
    script = script_of(
        [a, b], from_epoch_ns=None, gap_max_ns=5 * SECOND, speed_e6=2_000_000
    )  # fmt: skip
    assert script.timeline.cuts == (Cut(9 * SECOND, 20 * SECOND),)
    assert script.timeline.offset_ns(25 * SECOND) == (25 - 11) * SECOND // 2
    assert [event.at_epoch_ns for event in script.events()] == [
        0,
        4 * SECOND,
        20 * SECOND,
        25 * SECOND,
    ]


def test_no_silence_is_cut_without_being_told() -> None:
    given = [recording("A", [book(0), book(900 * SECOND)])]
    script = script_of(given, from_epoch_ns=None, gap_max_ns=None, speed_e6=1_000_000)
    assert script.timeline.cuts == ()


def test_recordings_follow_each_other_by_time_with_a_new_connection_between() -> None:
    late = recording("late", [book(9 * SECOND, seq=1)])
    early = recording("early", [book(1 * SECOND, seq=1), book(2 * SECOND, seq=2)])
    script = script_of([late, early], from_epoch_ns=None, gap_max_ns=None, speed_e6=1_000_000)
    assert [spec.ticker for spec in script.markets] == ["early", "late"]
    assert list(script.events()) == [
        book(1 * SECOND, seq=1),
        book(2 * SECOND, seq=2),
        ConnectionCut(2 * SECOND + MS, "kalshi"),
        book(9 * SECOND, market=1, seq=1),
    ]
    assert script.counts["events_read"] == 3


def test_one_market_in_two_recordings_is_refused() -> None:
    given = [recording("A", [book(0)]), recording("A", [book(9)])]
    with pytest.raises(RecordingError, match="market A, also in"):
        script_of(given, from_epoch_ns=None, gap_max_ns=None, speed_e6=1_000_000)


def test_the_script_arrives_in_another_process_as_it_was_sent() -> None:
    events: list[Event] = [
        book(0, (1, 2), seq=3),
        LevelSet(1, 0, ASK, 4, 5, None),
        LevelSet(2, 0, BID, 4, 0, 7),
        TickerPrint(3, 0, (("volume_fp", "1.00"), ("dollar_volume", 3))),
        LevelSet(4, 0, BID, 4, 1, 0),
    ]
    script = script_of(
        [recording("A", events)], from_epoch_ns=None, gap_max_ns=1, speed_e6=3_000_000
    )
    assert pickle.loads(pickle.dumps(script)) == script
    assert pickle.loads(pickle.dumps(script)).timeline.segments == script.timeline.segments


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "absent", "found nothing, wanted a folder"),
        (lambda folder: _written(folder / "file.csv", b"x\n"), "found a file, wanted the folder"),
        (lambda folder: folder, "no known format, wanted a recording of format dual_nba_mvp_l2"),
    ],
)
def test_a_path_that_is_no_recording_is_named(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path)
    with pytest.raises(RecordingError, match=words) as caught:
        load([path])
    assert str(path) in str(caught.value)


def test_the_same_recording_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "control.ndjson").write_bytes(b'{"event_type":"watch_market"}\n')
    with pytest.raises(RecordingError, match="the same recording twice"):
        load([tmp_path, tmp_path / "."])


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_file_cut_inside_a_line_names_the_line(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.csv", b"one\ntwo\nthr")
    with pytest.raises(RecordingError, match="end inside a line: b'thr'") as caught:
        list(lines(path))
    assert (caught.value.file, caught.value.line) == (path, 3)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_file_cut_inside_gzip_is_refused_after_the_lines_before(
    tmp_path: Path, kept: float
) -> None:
    text = b"".join(b"line %d %d\n" % (n, n * 7919 % 1009) for n in range(20_000))
    whole = gzip.compress(text)
    path = _written(tmp_path / "a.gz", whole[: int(len(whole) * kept)])
    with pytest.raises(RecordingError, match="damaged or cut gzip") as caught:
        list(lines(path))
    assert caught.value.file == path


@pytest.mark.parametrize("damage", [b"not gzip at all\n", b"\x1f\x8b\x08"])
def test_a_file_that_only_claims_to_be_gzip_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = _written(tmp_path / "a.gz", damage)
    with pytest.raises(RecordingError, match="gzip"):
        list(lines(path))


@pytest.mark.parametrize(
    ("text", "step_e6", "price_e6", "rounded"),
    [
        (b"0.22999999999999998", 10_000, 230_000, 1),
        (b"0.5700000000000001", 10_000, 570_000, 1),
        (b"0.07999999999999996", 10_000, 80_000, 1),
        (b"0.4800", 10_000, 480_000, 0),
        (b"0.131", 1_000, 131_000, 0),
        (b"0", 10_000, 0, 0),
        (b"1", 10_000, 1_000_000, 0),
    ],
)
def test_prices_are_exact_and_float_dust_is_counted(
    text: bytes, step_e6: int, price_e6: int, rounded: int
) -> None:
    numbers = Numbers()
    assert numbers.price_e6(text, step_e6) == price_e6
    assert numbers.rounded == rounded
    assert numbers.price_e6(text, step_e6) == price_e6  # remembered
    assert numbers.rounded == 2 * rounded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"0.225", "a multiple of 0.01"),
        (b"0.22999", "a multiple of 0.01"),
        (b"1.01", "between 0 and 1"),
        (b"-0.01", "between 0 and 1"),
        (b"nan", "decimal number"),
        (b"", "decimal number"),
        (b"0,5", "decimal number"),
        (b"1e99", "decimal number below"),
        ("½".encode(), "decimal number"),
    ],
)
def test_a_wrong_price_is_refused_not_rounded(text: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Numbers().price_e6(text, 10_000)


def test_sizes_are_exact_in_both_directions() -> None:
    numbers = Numbers()
    assert numbers.e6(b"23.52941") == 23_529_410
    assert numbers.e6(b"-500") == -500_000_000
    assert numbers.e6("686.31") == 686_310_000
    assert numbers.e6("157578.99") == 157_578_990_000
    with pytest.raises(ValueError, match="at most 6 decimals"):
        numbers.e6(b"0.0000001")
    assert scaled("81117.21", 10**8) == 8_111_721_000_000
    with pytest.raises(ValueError, match="multiple"):
        scaled("0.123456789", 10**8)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2025-12-13T17:11:30.721254Z", 1_765_645_890_721),
        ("2025-12-13T17:23:59.34102Z", 1_765_646_639_341),
        ("2025-12-08T03:13:33.255000+00:00", 1_765_163_613_255),
        ("2025-12-10T09:08:17+00:00", 1_765_357_697_000),
        ("1765357697", 1_765_357_697_000),
        ("1970-01-01T00:00:00.001999Z", 1),
    ],
)
def test_times_are_cut_to_whole_ms(text: str, ms: int) -> None:
    assert epoch_ms(text) == ms


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        epoch_ms("2025-12-13T17:11:30")


def test_foreign_text_in_a_message_is_short_and_cannot_act_on_a_terminal() -> None:
    assert "\x1b" not in shown(b"\x1b[31mred")
    assert "\x1b" not in shown("\x1b[31mred")
    assert len(shown(b"x" * 5000)) < 100


@pytest.fixture
def nba(tmp_path: Path) -> Path:
    """A copy of the real recording to damage."""
    source = recorded("dual_nba_mvp_l2")
    folder = tmp_path / "nba"
    folder.mkdir()
    for file in source.iterdir():
        shutil.copyfile(file, folder / file.name)
    return folder


def test_a_real_file_cut_in_gzip_is_refused(nba: Path) -> None:
    path = nba / "Polymarket_Shai_YES.csv.gz"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RecordingError, match="damaged or cut gzip") as caught:
        load([nba])
    assert caught.value.file == path.resolve()


def test_a_real_file_cut_inside_a_line_is_refused(nba: Path) -> None:
    path = nba / "Kalshi_Luka.csv.gz"
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(text[:-20]))
    with pytest.raises(RecordingError, match="inside a line") as caught:
        load([nba])
    assert caught.value.line == text.count(b"\n")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"0.1200,BUY,-500", b"0.1200,BUY,lots", "wanted a decimal number"),
        (b"0.1200,BUY,-500", b"0.1250,BUY,-500", "wanted a multiple of 0.01"),
        (b"0.1200,BUY,-500", b"0.1200,HOLD,-500", "wanted side BUY or SELL"),
        (b"price_change,0.1200,BUY,-500", b"price_changed,0.12,BUY,-5", "wanted event_type"),
        (b"0.1200,BUY,-500,", b"0.1200,BUY,-500,,", "wanted 7 columns"),
        (b"2025-12-13T17:11:30.721254Z", b"", "wanted a timestamp"),
        (b"2025-12-13T17:11:30.721254Z", b"yesterday", "yesterday"),
    ],
)
def test_a_bad_number_names_file_line_and_what_was_wanted(
    nba: Path, old: bytes, new: bytes, words: str
) -> None:
    path = nba / "Kalshi_Jokic.csv.gz"
    text = gzip.decompress(path.read_bytes())
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new, 1)))
    with pytest.raises(RecordingError, match=words) as caught:
        load([nba])
    assert (caught.value.file, caught.value.line) == (path.resolve(), 4)


def test_an_empty_file_is_refused(nba: Path) -> None:
    path = nba / "Polymarket_Jokic_YES.csv.gz"
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(RecordingError, match="found an empty file, wanted b'timestamp,"):
        load([nba])


def test_a_missing_file_of_an_event_is_named(nba: Path) -> None:
    (nba / "Polymarket_Luka_NO.csv.gz").unlink()
    with pytest.raises(RecordingError, match="no Polymarket_Luka_NO"):
        load([nba])


def test_an_event_without_any_file_is_left_out(nba: Path) -> None:
    for file in nba.glob("*Luka*"):
        file.unlink()
    script = load([nba])
    assert len(script.pairs) == 2
    assert not any("luka" in spec.ticker for spec in script.markets)


def test_a_damaged_mapping_is_refused(nba: Path) -> None:
    path = next(nba.glob("*.json"))
    mapping = json.loads(path.read_bytes())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(RecordingError, match="damaged or cut JSON"):
        load([nba])
    del mapping["ASSET_ID_MAPPING"]["Polymarket"]
    path.write_text(json.dumps(mapping))
    with pytest.raises(RecordingError, match="token ids and tickers"):
        load([nba])
