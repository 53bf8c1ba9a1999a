"""The format `kalshi_btc15m_ws_coinbase`: what README of the data promises holds for our stream."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from time import process_time

import pytest

from ops.venues.recorded import RecordingError, load
from ops.venues.recorded_script import RecordedScript
from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    ConnectionCut,
    Event,
    LevelSet,
    SpotTrade,
    StatusChange,
    TickerPrint,
)
from tests.conftest import recorded
from tests.offline_edges import Books

FORMAT = "kalshi_btc15m_ws_coinbase"
FIRST, SECOND, THIRD = "20260511T121730Z", "20260513T215130Z", "20260514T043808Z_reconnect"
MS = 1_000_000


@lru_cache(maxsize=3)
def session(name: str) -> RecordedScript:
    return load([recorded(FORMAT) / name])


def checked(events: Iterable[Event]) -> Counter[str]:
    """Gaps in the numbers, levels below zero, and tickers that the book agrees with.

    A ticker is compared if both its sides are there: bid above 0, ask below 1.
    """
    found: Counter[str] = Counter()
    books = Books()
    last = 0
    for event in events:
        books.apply(event)
        match event:
            case ConnectionCut():
                last = 0
            case BookSet(_, _, _, _, seq) | LevelSet(_, _, _, _, _, seq):
                assert seq is not None
                found["gaps"] += seq != last + 1
                found["below_zero"] += isinstance(event, LevelSet) and event.size_e6 < 0
                last = seq
            case TickerPrint(_, market, fields):
                told = dict(fields)
                bid, ask = (_e6(told[key]) for key in ("yes_bid_dollars", "yes_ask_dollars"))
                if bid > 0 and ask < 1_000_000:
                    bids, asks = books.sides[market]
                    found["tickers"] += 1
                    found["agree"] += (max(bids, default=0), min(asks, default=10**6)) == (bid, ask)
    return found


def _e6(text: str | int) -> int:
    value = Fraction(str(text)) * 1_000_000
    assert value.denominator == 1
    return value.numerator


EXPECTED = [(FIRST, 596, 646), (SECOND, 680, 794), (THIRD, 718, 831)]


@pytest.mark.parametrize(("name", "agree", "tickers"), EXPECTED)
def test_the_stream_has_no_gap_no_negative_level_and_agrees_with_the_tickers(
    name: str, agree: int, tickers: int
) -> None:
    script = session(name)
    found = checked(script.events())
    assert (found["gaps"], found["below_zero"]) == (0, 0)
    assert (found["agree"], found["tickers"]) == (agree, tickers)
    assert "level_below_zero" not in script.counts


def test_a_dropped_delta_turns_the_check_red() -> None:
    events = list(session(FIRST).events())
    at = next(n for n, event in enumerate(events) if n > 20_000 and isinstance(event, LevelSet))
    assert checked([*events[:at], *events[at + 1 :]])["gaps"] == 1


def test_dropped_deltas_with_numbers_closed_up_are_seen_by_the_tickers() -> None:
    """The other half of the check: totals that are not applied spoil the agreement."""
    events = list(session(FIRST).events())
    kept = [
        event
        for n, event in enumerate(events)
        if not (isinstance(event, LevelSet) and 20_000 < n < 24_000)
    ]
    found = checked(kept)
    assert found["agree"] < 596
    assert found["tickers"] == 646


@pytest.mark.parametrize(("name", "agree", "tickers"), EXPECTED)
def test_every_recorded_frame_is_an_event_in_recorded_order(
    name: str, agree: int, tickers: int
) -> None:
    """Read again with nothing but json: the same frames, by (receive time, number)."""
    folder = recorded(FORMAT) / name
    rows = []
    for path in sorted([*folder.glob("orderbook_*.gz"), *folder.glob("ticker_*.gz")]):
        with gzip.open(path) as file:
            for line in file:
                record = json.loads(line)
                rows.append((record["local_recv_ns"], record["sequence_number"] or 0))
    rows.sort()
    script = session(name)
    ours = [
        (event.at_epoch_ns, event.venue_seq or 0 if not isinstance(event, TickerPrint) else 0)
        for event in script.events()
        if isinstance(event, BookSet | LevelSet | TickerPrint)
    ]
    assert ours == [(at - at % MS, seq) for at, seq in rows]


def test_markets_have_strike_grid_and_life() -> None:
    script = session(SECOND)
    first, second = script.markets
    assert first.ticker == "KXBTC15M-26MAY131800-00"
    assert first.strike_e8 is not None
    assert first.close_epoch_ns - first.open_epoch_ns == 900 * 10**9
    assert first.close_epoch_ns == second.open_epoch_ns
    assert (first.status, second.status) == ("active", "initialized")
    assert first.price_ranges[0] == (0, 100_000, 1_000)
    changes = [event for event in script.events() if isinstance(event, StatusChange)]
    assert [(change.market, change.status, change.settlement_e6) for change in changes] == [
        (0, "closed", None),
        (1, "active", None),
        (0, "finalized", 0),
    ]
    assert changes[0].at_epoch_ns == first.close_epoch_ns


@pytest.mark.parametrize(("name", "cuts"), [(FIRST, 1), (SECOND, 1), (THIRD, 2)])
def test_each_new_connection_of_the_recorder_is_a_cut_in_the_silence_before_it(
    name: str, cuts: int
) -> None:
    events = list(session(name).events())
    where = [n for n, event in enumerate(events) if isinstance(event, ConnectionCut)]
    assert len(where) == cuts
    for n in where:
        kalshi = (BookSet, LevelSet, TickerPrint)
        after = next(event for event in events[n:] if isinstance(event, kalshi))
        before = next(event for event in reversed(events[:n]) if isinstance(event, kalshi))
        assert isinstance(after, BookSet)
        assert after.venue_seq == 1
        assert after.at_epoch_ns - before.at_epoch_ns > 13 * 10**9
        assert events[n].at_epoch_ns == before.at_epoch_ns + MS


def test_the_emptied_book_at_the_close_and_the_one_sided_one_are_books() -> None:
    events = [event for event in session(THIRD).events() if isinstance(event, BookSet)]
    assert [(len(event.bids), len(event.asks)) for event in events] == [
        (115, 86),
        (197, 0),
        (0, 0),
        (93, 115),
    ]


def test_spot_trades_are_exact_with_a_side_by_the_tick_rule() -> None:
    script = session(FIRST)
    trades = [event for event in script.events() if isinstance(event, SpotTrade)]
    assert len(trades) == script.counts["spot_size_assumed"] == 6590
    assert trades[0].price_e8 == 8_111_721_000_000
    assert trades[0].trade_id == 1_016_363_899
    side, last = BID, trades[0].price_e8
    for trade in trades:
        if trade.price_e8 != last:
            side = BID if trade.price_e8 > last else ASK
        assert trade.taker_side == side
        last = trade.price_e8


def test_a_ticker_keeps_its_text_and_leaves_out_what_kalshi_no_longer_sends() -> None:
    first = next(event for event in session(FIRST).events() if isinstance(event, TickerPrint))
    fields = dict(first.fields)
    assert fields["yes_bid_dollars"] == "0.6800"
    assert fields["volume_fp"] == "73675.58"
    assert not {"yes_bid", "no_ask", "ts_ms", "market_ticker"} & set(fields)


def test_a_session_may_begin_in_the_middle() -> None:
    whole = session(FIRST)
    begin = whole.timeline.begin_epoch_ns + 300 * 10**9
    part = load([recorded(FORMAT) / FIRST], from_epoch_ns=begin)
    first = next(part.events())
    assert isinstance(first, BookSet)
    rest = [event for event in whole.events() if event.at_epoch_ns >= begin]
    assert list(part.events())[1:] == rest
    numbers = [event.venue_seq for event in rest if isinstance(event, LevelSet)]
    assert first.venue_seq is not None
    assert numbers[0] == first.venue_seq + 1


@pytest.mark.parametrize(
    ("name", "digest"),
    [(FIRST, "10504a09fbc952db"), (SECOND, "b610e64f586aa2b1"), (THIRD, "e7d960cd5175385f")],
)
def test_the_sessions_have_their_names(name: str, digest: str) -> None:
    assert session(name).digest[:16] == digest


def test_loading_is_quick() -> None:
    begun = process_time()
    load([recorded(FORMAT) / SECOND])
    assert process_time() - begun < 10  # 1.4 s on an idle core, 3 on a shared one


def small(folder: Path, **parts: str) -> Path:
    """A made-up session of one snapshot and one delta, with `parts` replaced."""
    watch = {
        "event_type": "watch_market",
        "local_recv_ns": 1,
        "payload_json": {
            "market_ticker": "M-1",
            "close_time": "2026-05-11T12:30:00Z",
            "strike": 81087.33,
        },
    }
    base = {"market_ticker": "M-1", "local_recv_ns": 1_778_502_000_000_000_000}
    snapshot = {"yes_dollars_fp": [["0.4000", "5.00"]], "no_dollars_fp": [["0.5000", "6.00"]]}
    delta = {"side": "no", "price_dollars": "0.5000", "delta_fp": "-7.00"}
    prices = {"yes_bid_dollars": "0.4000", "yes_ask_dollars": "0.5000"}
    files = {
        "control": json.dumps(watch, separators=(",", ":")) + "\n",
        "orderbook_snapshot_h12": json.dumps(
            base | {"sequence_number": 1, "payload_json": snapshot}
        )
        + "\n",
        "orderbook_delta_h12": json.dumps(base | {"sequence_number": 2, "payload_json": delta})
        + "\n",
        "ticker_h12": json.dumps(base | {"sequence_number": None, "payload_json": prices}) + "\n",
    }
    for name, text in (files | parts).items():
        (folder / f"{name}.ndjson").write_text(text)
    return folder


def test_a_level_below_zero_is_emptied_and_counted(tmp_path: Path) -> None:
    script = load([small(tmp_path)])
    *_, last = script.events()
    assert isinstance(last, LevelSet)
    assert (last.side, last.price_e6, last.size_e6) == (ASK, 500_000, 0)
    assert script.counts["level_below_zero"] == 1


@pytest.mark.parametrize(
    ("part", "text", "words"),
    [
        ("orderbook_delta_h12", '{"market_ticker": "M-1"\n', "wanted JSON"),
        ("orderbook_delta_h12", "[1]\n", "wanted a JSON object"),
        ("orderbook_delta_h12", '{"market_ticker": "X"}\n', "of a watched market"),
        ("orderbook_delta_h12", '{"market_ticker": "M-1"}\n', "payload_json"),
        ("ticker_h12", '{"market_ticker": "M-1", "payload_json": {}}\n', "yes_bid_dollars"),
        ("coinbase_matches", '{"local_recv_ns": 5, "trade_id": "7"}\n', "price"),
        ("control", '{"event_type":"watch_market","payload_json":{}}\n', "watch_market"),
    ],
)
def test_damaged_records_are_refused_by_name(
    tmp_path: Path, part: str, text: str, words: str
) -> None:
    with pytest.raises(RecordingError, match=words) as caught:
        load([small(tmp_path, **{part: text})])
    assert caught.value.file.name == f"{part}.ndjson"


def test_a_missing_kind_of_file_is_named(tmp_path: Path) -> None:
    small(tmp_path)
    (tmp_path / "ticker_h12.ndjson").unlink()
    with pytest.raises(RecordingError, match="no ticker_"):
        load([tmp_path])
