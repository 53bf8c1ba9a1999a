"""The format `dual_nba_mvp_l2`, rule by rule on made-up files, and as a whole on the real ones."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import process_time

import pytest

from ops.venues.recorded import load
from ops.venues.recorded_script import RecordedScript
from ops.venues.script import ASK, BID, BookSet, Event, LevelSet, MarketTrade
from tests.conftest import recorded
from tests.offline_edges import Books

HEAD = "timestamp,event_type,price,side,size,best_bid,best_ask\n"
TICKER = "KXNBAMVP-26-SGIL"
MAPPING = {
    "ASSET_ID_MAPPING": {"Polymarket": {"11": "Shai_YES", "22": "Shai_NO"}, "Kalshi": {}},
    "POLYMARKET_KALSHI_MAPPING": {"11": TICKER, "22": f"Inverse-{TICKER}"},
}
T0 = 1_767_472_800_000  # 2026-01-03T20:40:00Z in ms
MS = 1_000_000


def at(ms: int) -> str:
    return f"2026-01-03T20:40:{ms // 1000:02}.{ms % 1000:03}000+00:00"


def events_of(folder: Path, kalshi: str = "", yes: str = "", no: str = "") -> RecordedScript:
    kalshi = kalshi or "2026-01-03T20:40:50.000000Z,price_change,0.01,BUY,1,,\n"
    (folder / "Kalshi_Shai.csv").write_text(HEAD + kalshi)
    (folder / "Polymarket_Shai_YES.csv").write_text(HEAD + yes)
    with gzip.open(folder / "Polymarket_Shai_NO.csv.gz", "wt") as file:
        file.write(HEAD + no)
    (folder / "mapping.json").write_text(json.dumps(MAPPING))
    return load([folder])


def of_market(script: RecordedScript, market: int) -> list[Event]:
    return [e for e in script.events() if getattr(e, "market", None) == market]


def test_kalshi_sizes_are_changes_and_book_rows_take_the_next_time(tmp_path: Path) -> None:
    script = events_of(
        tmp_path,
        kalshi=",book,0.7600,BUY,5,0.7600,0.78\n"
        ",book,0.78,SELL,7,0.7600,0.78\n"
        ",book,0.7700,BUY,49,0.7700,0.78\n"
        ",book,0.78,SELL,799,0.7700,0.78\n"
        "2026-01-03T20:40:01.153603Z,price_change,0.77,BUY,-9,0.77,0.78\n"
        "2026-01-03T20:40:02.343141Z,price_change,0.79,SELL,30,0.77,0.78\n",
    )
    assert of_market(script, 0) == [
        BookSet((T0 + 1153) * MS, 0, ((770_000, 49_000_000),), ((780_000, 799_000_000),)),
        LevelSet((T0 + 1153) * MS, 0, BID, 770_000, 40_000_000),
        LevelSet((T0 + 2343) * MS, 0, ASK, 790_000, 30_000_000),
    ]
    assert script.counts["book_without_time"] == 2


def test_a_change_below_zero_empties_the_level_and_is_counted(tmp_path: Path) -> None:
    script = events_of(
        tmp_path,
        kalshi=",book,0.7700,BUY,49,0.7700,0.78\n"
        ",book,0.78,SELL,799,0.7700,0.78\n"
        "2026-01-03T20:40:01Z,price_change,0.77,BUY,-50,,\n"
        "2026-01-03T20:40:02Z,price_change,0.70,BUY,-50,,\n"
        "2026-01-03T20:40:03Z,price_change,0.77,BUY,3,,\n",
    )
    assert of_market(script, 0)[1:] == [
        LevelSet((T0 + 1000) * MS, 0, BID, 770_000, 0),
        LevelSet((T0 + 3000) * MS, 0, BID, 770_000, 3_000_000),
    ]
    assert script.counts["level_below_zero"] == 2


def test_an_early_kalshi_sell_row_holds_the_no_price(tmp_path: Path) -> None:
    script = events_of(
        tmp_path,
        kalshi="2026-01-03T20:40:01Z,price_change,0.3600,SELL,10,,\n"
        "2026-01-03T20:40:02Z,price_change,0.64,SELL,10,,\n"
        "2026-01-03T20:40:03Z,price_change,0.33999999999999997,SELL,10,,\n"
        "2026-01-03T20:40:04Z,price_change,0.3600,BUY,10,,\n",
    )
    prices = [(e.side, e.price_e6) for e in of_market(script, 0) if isinstance(e, LevelSet)]
    assert prices == [(ASK, 640_000), (ASK, 640_000), (ASK, 340_000), (BID, 360_000)]
    assert script.counts["no_price_converted"] == 1
    assert script.counts["price_rounded"] == 1


def test_polymarket_sizes_are_totals_and_rows_are_sorted_by_ms(tmp_path: Path) -> None:
    yes = (
        f"{at(10)},book,0.73,BUY,45,0.73,0.74\n{at(10)},book,0.74,SELL,381.27,0.73,0.74\n"
        f"{at(30)},price_change,0.72,BUY,168.16,0.73,0.74\n"
        f"{at(20)},price_change,0.72,BUY,181.41,0.73,0.74\n"
        f"{at(30)},price_change,0.74,SELL,0,0.73,0.75\n"
    )
    script = events_of(tmp_path, yes=yes)
    assert of_market(script, 1) == [
        BookSet((T0 + 10) * MS, 1, ((730_000, 45_000_000),), ((740_000, 381_270_000),)),
        LevelSet((T0 + 20) * MS, 1, BID, 720_000, 181_410_000),
        LevelSet((T0 + 30) * MS, 1, BID, 720_000, 168_160_000),
        LevelSet((T0 + 30) * MS, 1, ASK, 740_000, 0),
    ]
    assert script.counts["out_of_order"] == 1


def test_a_polymarket_book_after_a_trade_keeps_the_depth_and_a_later_one_does_not(
    tmp_path: Path,
) -> None:
    def two(ms: int, bid: str, ask: str) -> str:
        return f"{at(ms)},book,{bid},BUY,10,{bid},{ask}\n{at(ms)},book,{ask},SELL,20,{bid},{ask}\n"

    yes = (
        two(0, "0.50", "0.52")
        + f"{at(10)},price_change,0.49,BUY,30,,\n{at(10)},price_change,0.51,SELL,40,,\n"
        + f"{at(20)},price_change,0.50,BUY,5,,\n"
        + two(20, "0.50", "0.52")  # the stamp of the row before: nothing was missed
        + two(900, "0.50", "0.52")
    )
    script = events_of(tmp_path, yes=yes)
    books = [event for event in of_market(script, 1) if isinstance(event, BookSet)]
    assert books[1].bids == ((500_000, 10_000_000), (490_000, 30_000_000))
    assert books[1].asks == ((520_000, 20_000_000),)  # 0.51 lay before the touch
    assert books[2].bids == ((500_000, 10_000_000),)
    assert (script.counts["book_replaced"], script.counts["book_refreshed"]) == (2, 1)


def test_trades_of_both_tokens_are_prints_in_yes_terms(tmp_path: Path) -> None:
    script = events_of(
        tmp_path,
        yes=f"{at(5)},last_trade_price,0.34,BUY,23.52941,,\n",
        no=f"{at(7)},last_trade_price,0.54,SELL,0.04,,\n"
        "1767472801,last_trade_price,0.135,BUY,716.015361,,\n",
    )
    assert of_market(script, 1) == [
        MarketTrade((T0 + 5) * MS, 1, 340_000, 23_529_410, BID),
        MarketTrade((T0 + 7) * MS, 1, 460_000, 40_000, BID),
        MarketTrade((T0 + 1000) * MS, 1, 865_000, 716_015_361, ASK),
    ]


def test_the_no_file_is_compared_and_not_applied(tmp_path: Path) -> None:
    row = f"{at(5)},price_change,0.40,BUY,7,,\n"
    mirror = f"{at(5)},price_change,0.60,SELL,7,,\n"
    script = events_of(tmp_path, yes=row, no=mirror)
    assert len(of_market(script, 1)) == 1
    assert script.counts["mirror_disagreements"] == 0
    script = events_of(tmp_path, yes=row, no=mirror.replace("0.60", "0.61"))
    assert len(of_market(script, 1)) == 1
    assert script.counts["mirror_disagreements"] == 2


@pytest.fixture(scope="module")
def script() -> RecordedScript:
    return load([recorded("dual_nba_mvp_l2")])


def test_the_real_recording_is_one_script_with_everything_corrected_counted(
    script: RecordedScript,
) -> None:
    assert script.counts == {
        "book_without_time": 69,
        "out_of_order": 5,
        "level_below_zero": 283,
        "mirror_disagreements": 0,
        "book_replaced": 88,
        "book_refreshed": 242,
        "price_rounded": 2573,
        "no_price_converted": 743,
        "events": 30796,
        "cuts": 0,
    }
    assert script.digest == "532543ed77c3b4d8f1cf67cd1d27a7d98a2eccad335effd58291f48d2084151e"


def test_the_table_gives_what_the_files_lack(script: RecordedScript) -> None:
    kalshi = [spec for spec in script.markets if spec.venue == "kalshi"]
    polymarket = [spec for spec in script.markets if spec.venue == "polymarket"]
    assert {spec.ticker for spec in kalshi} == {
        "KXNBAMVP-26-NJOK",
        "KXNBAMVP-26-LDON",
        "KXNBAMVP-26-SGIL",
    }
    assert {(spec.fee_kind, spec.fee_rate_e6) for spec in kalshi} == {("quadratic", 70_000)}
    assert {(spec.fee_kind, spec.fee_rate_e6) for spec in polymarket} == {("polymarket", 50_000)}
    ticks = {spec.title.split()[0]: spec.price_ranges[0][2] for spec in polymarket}
    assert ticks == {"Nikola": 10_000, "Luka": 1_000, "Shai": 10_000}
    assert all(spec.neg_risk and spec.status == "active" for spec in polymarket)
    assert all(re.fullmatch("0x[0-9a-f]{64}", spec.condition_id) for spec in polymarket)
    tokens = {token for spec in polymarket for token in (spec.token_yes, spec.token_no)}
    mapping = json.loads(next(recorded("dual_nba_mvp_l2").glob("*.json")).read_bytes())
    assert tokens == set(mapping["ASSET_ID_MAPPING"]["Polymarket"])
    assert [pair.hurdle_e6 for pair in script.pairs] == [0, 0, 0]
    end = script.end_epoch_ns or 0
    assert all(spec.open_epoch_ns < end < spec.close_epoch_ns for spec in script.markets)


def test_no_book_but_one_moment_is_crossed(script: RecordedScript) -> None:
    """Taking early SELL rows as they stand would cross 258 books of one market."""
    books = Books()
    crossed: Counter[str] = Counter()
    for event in script.events():
        market = books.apply(event)
        if market is not None and not books.is_sane(market):
            crossed[script.markets[market].ticker] += 1
    assert dict(crossed) == {"nba-mvp-2026-shai-gilgeous-alexander": 1}


@pytest.mark.parametrize(
    ("name", "equal", "rows"),
    [("Jokic", 6_921, 6_923), ("Shai", 10_498, 10_508), ("Luka", 2_598, 2_598)],
)
def test_the_books_agree_with_the_best_prices_polymarket_sent(
    script: RecordedScript, name: str, equal: int, rows: int
) -> None:
    """An oracle of its own: `best_bid` and `best_ask` are the venue's, used nowhere else."""
    path = recorded("dual_nba_mvp_l2") / f"Polymarket_{name}_YES.csv.gz"
    with gzip.open(path, "rt") as file:
        told = [row for row in csv.DictReader(file) if row["best_bid"]]
    ticker = {"Jokic": "nikola-jokic", "Shai": "shai-gilgeous", "Luka": "luka"}[name]
    market = next(at for at, spec in enumerate(script.markets) if ticker in spec.ticker)
    touches: dict[int, tuple[Decimal, Decimal]] = {}
    books = Books()
    for event in script.events():
        if books.apply(event) == market:
            bids, asks = books.sides[market]
            touch = Decimal(max(bids, default=0)), Decimal(min(asks, default=10**6))
            touches[event.at_epoch_ns] = touch  # after the last event of a ms
    last_of_ms = {row["timestamp"]: row for row in told}
    agree = 0
    for stamp, row in last_of_ms.items():
        epoch_ns = _ns(stamp)
        agree += touches[epoch_ns] == (
            Decimal(row["best_bid"]) * 10**6,
            Decimal(row["best_ask"]) * 10**6,
        )
    assert (agree, len(last_of_ms)) == (equal, rows)


def _ns(stamp: str) -> int:
    since = datetime.fromisoformat(stamp) - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return since // timedelta(milliseconds=1) * MS


def test_loading_is_quick() -> None:
    folder = recorded("dual_nba_mvp_l2")
    begun = process_time()
    load([folder])
    assert process_time() - begun < 5  # 0.6 s on an idle core, 1.1 on a shared one
