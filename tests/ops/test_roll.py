"""Windows come and go in the tables: proposed, paired, settled, forgotten, and their numbers used
again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ops.identity import identify, publish
from ops.proposal import Window
from ops.roll import LOOK_NS, SPARE, Roll
from ops.series import NO_SERIES, load
from ops.sim_windows import series as followed
from ops.status_text import text
from ops.venues.world import make_world
from shm_layout import (
    BODY,
    E6,
    INSTRUMENT,
    K_INSTRUMENT,
    K_PAIR,
    PAIR,
    POSITION,
    QUOTE,
    RUN_CLOCK,
    ST_ACTIVE,
    ST_SETTLED,
    Segment,
    cells_to_text,
)
from tests.ops.test_identity import HEDGED, SETTINGS
from tests.ops.test_todo_rows import REST

SECOND = 10**9
BEGIN_S = 1_795_000_400 // 900 * 900
REST_S = 300
WORLD = make_world(7, begin_epoch_ns=(BEGIN_S + 60) * SECOND)


def body_of(record: np.dtype[np.void], **values: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    body = np.zeros(BODY, np.int64)
    for name, value in values.items():
        body.view(record)[0][name] = value
    return body


class Stage:
    """A supervisor's tables in the seeded world, whose run time stands where it is put."""

    def __init__(self, **more: Any) -> None:
        self.segment, self.now_ns, self.said = Segment.private(), SECOND, list[str]()
        has_bets = more.pop("bets", False)
        told_by = {"cfbenchmarks": ("BRTI",), "polybolt": ("btcusd",)} if has_bets else {}
        self.first = identify(WORLD, SETTINGS if has_bets else HEDGED, told_by)
        publish(self.segment, self.first)
        self.identity = self.first
        told: dict[str, Any] = {"rest_ns": REST_S * SECOND, **more}
        table = told.pop("table", followed(WORLD, SETTINGS.updown))
        self.roll = Roll(
            self.segment, self.first, table, tell=self.take, note=self.said.append, **told
        )
        self.run(BEGIN_S)

    def take(self, identity: Any) -> None:
        self.identity = identity

    def run(self, at_s: int) -> None:
        clock = body_of(RUN_CLOCK, begin_epoch_ns=at_s * SECOND, speed_e6=E6)
        self.segment.write("run_clock", 0, clock)
        self.now_ns += LOOK_NS
        self.roll.turn(self.now_ns)

    def propose(self, window: Window) -> dict[str, Any]:
        return self.roll.propose(window.told())

    def row(self, index: int) -> Any:
        row = self.segment.read("instruments", index)
        assert row is not None
        return row

    def pair(self, index: int) -> Any:
        row = self.segment.read("pairs", index)
        assert row is not None
        return row

    def settle(self, index: int, value_e6: int = E6) -> None:
        """The feed's part."""
        generation = int(self.row(index)["generation"])
        quote = body_of(
            QUOTE, instrument=index, generation=generation, number=1, status=ST_SETTLED,
            settlement_e6=value_e6,
        )  # fmt: skip
        self.segment.write("quotes", index, quote)

    def hold(self, index: int, **held: int) -> None:
        """The gateway's part."""
        generation = int(self.row(index)["generation"])
        row = body_of(POSITION, instrument=index, generation=generation, **held)
        self.segment.write("positions", index, row)


def kalshi(open_s: int, **more: Any) -> Window:
    window = Window(
        series="kalshi btc 15m", ticker=f"KXBTC15M-{open_s}-00", open_s=open_s,
        close_s=open_s + 900, title="BTC up?", exchange_index=2,
        strike_type="greater_or_equal", round_digits=2,
    )  # fmt: skip
    return replace(window, **more)


def polymarket(open_s: int, minutes: int = 15, **more: Any) -> Window:
    window = Window(
        series=f"polymarket btc {minutes}m", ticker=f"btc-updown-{minutes}m-{open_s}",
        open_s=open_s, close_s=open_s + 60 * minutes, title="Bitcoin Up or Down",
        condition_id="0x" + f"{open_s:064x}", token_yes=str(open_s), token_no=str(open_s + 1),
        twap_s=60,
    )  # fmt: skip
    return replace(window, **more)


LATER_S = BEGIN_S + 10 * 900  # a window that the world has not listed at the start


# ------------------------------------------------------------------------------- what comes


def test_a_new_window_is_a_row_of_the_table_and_an_entry_of_the_ring() -> None:
    stage = Stage()
    before = stage.segment.words[stage.segment.at("control_ring")]
    answer = stage.propose(kalshi(LATER_S))
    index = len(stage.first.instruments)
    assert answer == {"instrument": index, "generation": 1}
    row = stage.row(index)
    assert row["live"] == 1 and row["venue"] == 0 and row["exchange_index"] == 2
    assert cells_to_text(row["ticker"]) == f"KXBTC15M-{LATER_S}-00"
    assert stage.segment.words[stage.segment.at("control_ring")] == before + 1
    assert len(stage.identity.instruments) == index + 1
    assert stage.identity.instruments_of[0][-1] == index
    assert row["account"] == next(
        a.index for a in stage.identity.accounts if (a.venue, a.exchange_index) == (0, 2)
    )


def test_what_is_proposed_again_changes_nothing() -> None:
    stage = Stage()
    first = stage.propose(kalshi(LATER_S))
    tail = stage.segment.words[stage.segment.at("control_ring")]
    assert stage.propose(kalshi(LATER_S)) == first
    assert stage.segment.words[stage.segment.at("control_ring")] == tail


def test_a_window_that_the_run_began_with_keeps_its_number() -> None:
    stage = Stage()
    spec = next(m for m in WORLD.markets if m.ticker.startswith("btc-updown-5m-") and m.index)
    number = WORLD.markets.index(spec)
    open_s = spec.open_epoch_ns // SECOND
    window = polymarket(
        open_s, 5, condition_id=spec.condition_id, token_yes=spec.token_yes,
        token_no=spec.token_no,
    )  # fmt: skip
    assert stage.propose(window) == {"instrument": number, "generation": 1}
    assert len(stage.identity.instruments) == len(stage.first.instruments)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_windows_of_one_beginning_become_a_pair_that_waits_for_its_terms(
    order: tuple[int, int],
) -> None:
    stage, windows = Stage(), (kalshi(LATER_S), polymarket(LATER_S))
    numbers = {at: stage.propose(windows[at])["instrument"] for at in order}
    pair = stage.pair(len(stage.first.pairs))
    assert (pair["a"], pair["b"]) == (numbers[0], numbers[1]) and pair["same"] == 1
    assert (pair["approved"], pair["needs_terms"], pair["generation"]) == (1, 1, 1)
    assert stage.row(numbers[0])["event"] == stage.row(numbers[1])["event"] == pair["event"]
    assert stage.row(numbers[0])["asset"] == stage.row(numbers[1])["asset"]
    assert stage.identity.said[-1].a.startswith("kalshi KXBTC15M-")


def test_windows_of_other_beginnings_or_lengths_are_no_pair_and_another_event() -> None:
    stage = Stage()
    windows = (kalshi(LATER_S), polymarket(LATER_S + 900), polymarket(LATER_S, 5))
    numbers = [stage.propose(window)["instrument"] for window in windows]
    assert stage.segment.read("pairs", len(stage.first.pairs)) is None
    events = {int(stage.row(number)["event"]) for number in numbers}
    assert len(events) == 3
    known = {int(row.view(INSTRUMENT)[0]["event"]) for row in stage.first.instruments}
    assert not events & known


def test_force_approves_without_terms() -> None:
    stage = Stage(is_forced=True)
    for window in (kalshi(LATER_S), polymarket(LATER_S)):
        stage.propose(window)
    pair = stage.pair(len(stage.first.pairs))
    assert (pair["approved"], pair["needs_terms"]) == (1, 0)


WRONG = {
    "another series": (kalshi(LATER_S, series="kalshi doge 15m"), "series: found"),
    "no beginning": (kalshi(LATER_S + 1, close_s=LATER_S + 901), "open_s: found"),
    "another end": (kalshi(LATER_S, close_s=LATER_S + 901), "close_s: found"),
    "another name": (polymarket(LATER_S, ticker="btc-updown-15m-7"), "ticker: found"),
    "another series' name": (kalshi(LATER_S, ticker="KXETH15M-1-00"), "ticker: found"),
    "a shard without money": (kalshi(LATER_S, exchange_index=9), "exchange_index: found 9"),
    "no tokens": (polymarket(LATER_S, token_no=""), "two tokens"),
    "one token twice": (polymarket(LATER_S, token_no=str(LATER_S)), "two tokens"),
    "no condition": (polymarket(LATER_S, condition_id="0x12"), "two tokens"),
    "a text that is none": (kalshi(LATER_S, title=3), "title: found '3'"),
    "a text too long": (kalshi(LATER_S, title="x" * 65), "title: found"),
    "a number that is none": (kalshi(LATER_S, close_s="1"), "close_s: found '1'"),
    "no digits": (kalshi(LATER_S, round_digits=None), "settlement: found strike_type 'gr"),
    "too many digits": (kalshi(LATER_S, round_digits=99), "round_digits 99"),
    "no comparison": (kalshi(LATER_S, strike_type=""), "settlement: found strike_type ''"),
    "no boolean": (kalshi(LATER_S, neg_risk=2), "neg_risk: found '2'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_the_registry_does_not_bear_out_is_refused_in_one_line(name: str) -> None:
    window, said = WRONG[name]
    stage = Stage()
    answer = stage.propose(window)
    assert said in answer["error"] and "\n" not in answer["error"], answer
    assert stage.roll.counts.refused == 1 and len(stage.roll.identity.instruments) == 26


def test_a_proposal_with_other_keys_is_refused() -> None:
    stage, told = Stage(), kalshi(LATER_S).told()
    assert "keys" in stage.roll.propose({**told, "more": 1})["error"]
    del told["title"]
    assert "title" in stage.roll.propose(told)["error"]


def test_without_a_registry_everything_is_refused() -> None:
    assert "series" in Stage(table=NO_SERIES).propose(kalshi(LATER_S))["error"]


def test_a_name_that_two_windows_have_is_refused_for_the_second() -> None:
    """Kalshi's name of the hour that comes twice in November."""
    stage = Stage()
    stage.propose(kalshi(LATER_S, ticker="KXBTC15M-26NOV010130-30"))
    answer = stage.propose(kalshi(LATER_S + 3_600, ticker="KXBTC15M-26NOV010130-30"))
    assert f"also that of the window of {LATER_S}" in answer["error"]


# -------------------------------------------------------------------------------- what goes


def test_a_settled_window_is_forgotten_when_nobody_has_named_it_for_the_rest() -> None:
    stage = Stage()
    index = stage.propose(kalshi(LATER_S))["instrument"]
    stage.settle(index)
    stage.run(LATER_S + 1_000)
    stage.run(LATER_S + 1_000 + REST_S - 1)
    assert stage.row(index)["live"] == 1
    stage.run(LATER_S + 1_000 + REST_S)
    row = stage.row(index)
    assert (row["live"], row["generation"]) == (0, 1) and stage.roll.live == {}


@pytest.mark.parametrize(
    "name", ["position_e6", "unknown_e6", "open_e6", "yes_e6", "no_e6", "lone_e6", "redeem_e6"]
)
def test_what_a_position_or_an_order_names_stays(name: str) -> None:
    stage = Stage()
    index = stage.propose(polymarket(LATER_S))["instrument"]
    stage.settle(index)
    stage.hold(index, **{name: -1})
    stage.run(LATER_S + 1_000)
    stage.run(LATER_S + 9_000)
    assert stage.row(index)["live"] == 1
    stage.hold(index)
    stage.run(LATER_S + 9_100)
    stage.run(LATER_S + 9_100 + REST_S)
    assert stage.row(index)["live"] == 0


def test_what_is_not_settled_stays() -> None:
    stage = Stage()
    index = stage.propose(kalshi(LATER_S))["instrument"]
    stage.segment.write("quotes", index, body_of(QUOTE, generation=1, status=ST_ACTIVE))
    for _ in range(3):
        stage.run(LATER_S + 99_000)
    assert stage.row(index)["live"] == 1


def test_a_window_that_never_settles_stays_and_is_said_once() -> None:
    stage, late_s = Stage(), 300
    index = stage.propose(kalshi(LATER_S))["instrument"]
    stage.segment.write("quotes", index, body_of(QUOTE, generation=1, status=ST_ACTIVE))
    stage.hold(index, position_e6=-3 * E6)
    stage.run(LATER_S + 900 + late_s)
    assert stage.said == [] and stage.roll.told()["overdue"] == []
    for more_s in (1, 2, 99_000):
        stage.run(LATER_S + 900 + late_s + more_s)
    ticker = f"KXBTC15M-{LATER_S}-00"
    assert stage.said == [f"kalshi {ticker} closed {late_s + 1} s ago and has not settled"]
    told = stage.roll.told()
    assert (told["followed"], told["listed"], told["forgotten"]) == (1, 1, 0)
    assert told["overdue"] == [
        {"venue": "kalshi", "market": ticker, "close_s": LATER_S + 900, "position_e6": -3 * E6}
    ]
    lines = text(REST | {"windows": told}).splitlines()
    assert f"not settled: kalshi {ticker}, closed at {LATER_S + 900}, held -3 YES" in lines
    assert stage.row(index)["live"] == 1
    stage.settle(index)
    stage.run(LATER_S + 200_000)
    assert stage.roll.told()["overdue"] == []


def test_a_number_is_used_again_by_its_feed_alone_with_the_next_generation() -> None:
    stage = Stage()
    index = stage.propose(kalshi(LATER_S))["instrument"]
    stage.propose(polymarket(LATER_S))
    stage.settle(index)
    stage.run(LATER_S + 1_000)
    stage.run(LATER_S + 1_000 + REST_S)
    pair = stage.pair(len(stage.first.pairs))
    assert pair["approved"] == 0, "its pair ends with it"
    other = stage.propose(polymarket(LATER_S + 900))["instrument"]
    assert other == index + 2 and stage.roll.counts.reused == 0
    again = stage.propose(kalshi(LATER_S + 900))
    assert again == {"instrument": index, "generation": 2}
    row = stage.row(index)
    assert (row["live"], row["generation"]) == (1, 2)
    pair = stage.pair(len(stage.first.pairs))
    assert (pair["approved"], pair["generation"]) == (1, 2)
    assert (pair["a"], pair["a_generation"], pair["b"], pair["b_generation"]) == (
        index, 2, other, 1,
    )  # fmt: skip


def test_the_result_and_the_position_of_the_market_before_do_not_count() -> None:
    stage = Stage()
    index = stage.propose(kalshi(LATER_S))["instrument"]
    stage.settle(index)
    stage.run(LATER_S + 1_000)
    stage.run(LATER_S + 1_000 + REST_S)
    stage.hold(index, position_e6=5)  # of generation 1: a late word
    stage.propose(kalshi(LATER_S + 900))
    stage.run(LATER_S + 9_000)
    stage.run(LATER_S + 9_000 + REST_S)
    assert stage.row(index)["live"] == 1, "the quote is still that of the market before"
    stage.settle(index)
    stage.run(LATER_S + 10_000)
    stage.run(LATER_S + 10_000 + REST_S)
    assert stage.row(index)["live"] == 0, "and so is the position"


def test_numbers_end_where_a_feed_has_no_place_left() -> None:
    stage = Stage()
    found = [stage.propose(polymarket(LATER_S + 300 * at, 5)) for at in range(SPARE + 1)]
    assert all("instrument" in answer for answer in found[:-1])
    assert "no number is left" in found[-1]["error"]
    assert "instrument" in stage.propose(kalshi(LATER_S)), "the other feed has its own"


def test_a_coin_that_the_run_did_not_begin_with_is_another_asset() -> None:
    stage = Stage(table=load())
    window = polymarket(LATER_S, series="polymarket sol 15m", ticker=f"sol-updown-15m-{LATER_S}")
    index = stage.propose(window)["instrument"]
    assets = {int(row.view(INSTRUMENT)[0]["asset"]) for row in stage.first.instruments}
    assert int(stage.row(index)["asset"]) not in assets
    assert stage.identity.assets["sol"] == int(stage.row(index)["asset"])


def test_the_kinds_of_entries_follow_the_slots() -> None:
    """A reader of the ring finds the slot: both are the same row."""
    stage = Stage()
    for window in (kalshi(LATER_S), polymarket(LATER_S)):
        stage.propose(window)
    words, ring = stage.segment.words, stage.segment.at("control_ring")
    kinds = []
    for position in range(int(words[ring]) - 3, int(words[ring])):
        at = ring + 16 + position % stage.segment.entries("control_ring") * 64
        kinds.append(int(words[at + 1]))
        of = {K_INSTRUMENT: (INSTRUMENT, "instruments"), K_PAIR: (PAIR, "pairs")}
        record, block = of[kinds[-1]]
        row = words[at + 8 : at + 64].view(record)[0]
        slot = stage.segment.read(block, int(row["index"]))
        assert slot is not None and row.tobytes() == slot.tobytes()
    assert kinds == [K_INSTRUMENT, K_INSTRUMENT, K_PAIR]
