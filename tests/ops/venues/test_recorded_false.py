"""The format `dual_crypto_false_arb`, rule by rule on made-up files, and whole on the real ones."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from ops.venues import false_pairs
from ops.venues.recorded import RecordingError, load
from ops.venues.recorded_false import SIZE_E6
from ops.venues.recorded_script import RecordedScript
from ops.venues.script import ASK, BID, BookSet, Event, LevelSet, SpotTrade, StatusChange
from tests.conftest import recorded

HEAD = (
    "timestamp_utc,plataforma_a,plataforma_b,activo,titulo_a,titulo_b,price_yes_a,price_yes_b,"
    "fecha_a,url_b\n"
)
SPOT_HEAD = "timestamp_utc,asset,price_usd,change_1h_pct\n"
SAME = "KXBTCD-26JUL0112-T57999.99"  # but for the source
OTHER = "KXBTCD-26JUL0217-T58249.99"
T0 = 1_782_889_200_000 * 10**6  # 2026-07-01T07:00:00Z
MINUTE = 60 * 10**9


def row(minute: int, ticker: str, kalshi: str, polymarket: str = "0.735", **more: str) -> str:
    title = more.get("title", "Will the price of Bitcoin be above $58,000 on July 1?")
    at = f"2026-07-01T{7 + minute // 60:02}:{minute % 60:02}:00+00:00"
    return (
        f'{at},Polymarket,{more.get("b", "Kalshi")},BTC,"{title}",Bitcoin price,{polymarket},'
        f"{kalshi},2026-07-01,https://kalshi.com/markets/{ticker}\n"
    )


def script_of(folder: Path, *rows: str, spot: str = "") -> RecordedScript:
    (folder / "cross_arb_x.csv").write_text(HEAD + "".join(rows))
    (folder / "prices_x.csv").write_text(SPOT_HEAD + spot)
    return load([folder])


def of_market(script: RecordedScript, market: int) -> list[Event]:
    return [e for e in script.events() if getattr(e, "market", None) == market]


def test_a_pair_says_what_keeps_its_markets_apart(tmp_path: Path) -> None:
    script = script_of(tmp_path, row(0, SAME, "0.1"), row(0, OTHER, "0.2"))
    assert [[each.field for each in pair.differs] for pair in script.pairs] == [
        ["source"],
        ["strike", "date", "hour", "source"],
    ]
    strike, date, hour, source = script.pairs[1].differs
    assert strike[1:] == ("58,250", "58,000") and date[1:] == ("2026-07-02", "2026-07-01")
    assert hour[1:] == ("17:00 EDT", "12:00 EDT")
    assert "BRTI" in source.a and "Binance BTCUSDT" in source.b


def test_two_questions_that_are_one_differ_in_nothing() -> None:
    """The negative control of the test above."""
    asked = false_pairs.kalshi(SAME)
    assert false_pairs.differences(asked, asked) == ()


def test_a_price_that_never_moves_is_told_as_stale(tmp_path: Path) -> None:
    rows = [row(0, SAME, "0.1"), row(12, SAME, "0.2")]
    script = script_of(tmp_path, *rows)
    quote = script.pairs[0].differs[-1]
    assert quote.field == "quote" and quote.b == "stale: 0.735 in all 2 polls"
    assert script.counts["quotes_frozen"] == 1
    moved = script_of(tmp_path, rows[0], row(12, SAME, "0.2", "0.745"))
    assert [each.field for each in moved.pairs[0].differs] == ["source"]


def test_sizes_and_spreads_are_invented_around_the_price(tmp_path: Path) -> None:
    script = script_of(tmp_path, row(0, SAME, "0.1"), row(0, OTHER, "0.045"))
    assert of_market(script, 0) == [
        BookSet(T0, 0, ((90_000, SIZE_E6),), ((110_000, SIZE_E6),)),
    ]
    assert of_market(script, 1) == [
        BookSet(T0, 1, ((730_000, SIZE_E6),), ((740_000, SIZE_E6),)),
    ]
    assert of_market(script, 2) == [
        BookSet(T0, 2, ((40_000, SIZE_E6),), ((50_000, SIZE_E6),)),
    ]
    assert script.counts["books_invented"] == 3


def test_polymarkets_tick_is_fine_where_its_price_is(tmp_path: Path) -> None:
    script = script_of(tmp_path, row(0, SAME, "0.1", "0.9245"))
    assert script.markets[1].price_ranges == ((0, 1_000_000, 1_000),)
    (book,) = of_market(script, 1)
    assert isinstance(book, BookSet)
    assert (book.bids[0][0], book.asks[0][0]) == (924_000, 925_000)


def test_a_market_that_a_poll_does_not_list_has_no_book(tmp_path: Path) -> None:
    script = script_of(
        tmp_path, row(0, SAME, "0.1"), row(12, OTHER, "0.2"), row(24, SAME, "0.3"),
        row(24, OTHER, "0.2"),
    )  # fmt: skip
    late, again = T0 + 12 * MINUTE, T0 + 24 * MINUTE
    assert of_market(script, 0)[1:] == [
        LevelSet(late, 0, BID, 90_000, 0), LevelSet(late, 0, ASK, 110_000, 0),
        LevelSet(again, 0, BID, 290_000, SIZE_E6), LevelSet(again, 0, ASK, 310_000, SIZE_E6),
    ]  # fmt: skip
    assert of_market(script, 2) == [
        BookSet(T0, 2, (), ()),
        LevelSet(late, 2, BID, 190_000, SIZE_E6), LevelSet(late, 2, ASK, 210_000, SIZE_E6),
    ]  # fmt: skip
    assert script.counts["book_unknown"] == 1


def test_a_market_closes_when_it_is_asked_and_says_nothing_after(tmp_path: Path) -> None:
    five_hours = 300
    script = script_of(
        tmp_path, row(0, "KXBTCD-26JUL0104-T57999.99", "0.1"), row(five_hours, OTHER, "0.1")
    )
    assert of_market(script, 0)[1:] == [StatusChange(T0 + 60 * MINUTE, 0, "closed")]


def test_spot_is_sorted_and_begins_with_the_first_poll(tmp_path: Path) -> None:
    spot = (
        "2026-07-01T06:59:59+00:00,BTC,58563.0,\n2026-07-01T07:02:00+00:00,BTC,58000.25,\n"
        "2026-07-01T07:01:00+00:00,BTC,58001.0,\n2026-07-01T07:01:00+00:00,SOL,73.5,\n"
    )
    script = script_of(tmp_path, row(0, SAME, "0.1"), spot=spot)
    trades = [each for each in script.events() if isinstance(each, SpotTrade)]
    assert [(each.at_epoch_ns, each.price_e8, each.trade_id) for each in trades] == [
        (T0 + MINUTE, 5_800_100_000_000, 1), (T0 + 2 * MINUTE, 5_800_025_000_000, 2),
    ]  # fmt: skip
    assert (script.counts["spot_before"], script.counts["out_of_order"]) == (1, 1)


@pytest.mark.parametrize(
    "line, wanted",
    [
        (row(0, "KXBTCD-26JUL0199-T1.99", "0.1"), "a ticker such as"),
        (row(0, "KXBTC-26JUL0112-B58000", "0.1"), "a ticker such as"),
        (row(0, SAME, "0.1", title="Bitcoin up?"), "a title such as"),
        (row(0, SAME, "1"), "prices between 0 and 1"),
        (row(0, SAME, "cheap"), "a decimal number"),
        (row(0, SAME, "0.1", b="Predictit"), "Polymarket and Kalshi"),
        (row(0, SAME, "0.1") + row(0, SAME, "0.2"), f"one price of {SAME} in a poll"),
        ("2026-07-01T07:00:00+00:00,Polymarket\n", "10 columns"),
    ],
)
def test_what_cannot_be_read_names_its_line(tmp_path: Path, line: str, wanted: str) -> None:
    with pytest.raises(RecordingError, match=re.escape(wanted)) as caught:
        script_of(tmp_path, line)
    assert caught.value.line in (2, 3) and caught.value.file.name == "cross_arb_x.csv"


def test_the_recording_as_a_whole() -> None:
    """Figures of the data's README: 88 polls, 29 frozen Polymarket markets; none is a true pair."""
    script = load([recorded("dual_crypto_false_arb")])
    assert Counter(each.venue for each in script.markets) == {"kalshi": 318, "polymarket": 29}
    assert len(script.pairs) == 745 and all(pair.differs for pair in script.pairs)
    fields = Counter(each.field for pair in script.pairs for each in pair.differs)
    assert fields == {"source": 745, "quote": 745, "strike": 698, "hour": 684, "date": 409}
    assert script.counts == {
        "quotes_frozen": 29, "out_of_order": 8, "spot_before": 2128, "books_invented": 3373,
        "book_unknown": 281, "polls_after_close": 116, "events": len(script.recorded), "cuts": 0,
    }  # fmt: skip
    assert script.products == ("BTC-USD", "ETH-USD")
    assert load([recorded("dual_crypto_false_arb")]).digest == script.digest
