"""What comes off an edge, and fair values, as `arb-top` and `status` show them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import numpy as np
import pytest

import shm_layout as shm
from engine import cells as c
from engine import decide, memory
from engine.strategies.table import GATE_BITS, GATES, REFERENCE, row_of
from ops.inspector import Inspector
from ops.inspector_pairs import HELD_BACK, NO_CLOSE, UNPRICED, WAITS, YEAR_S, _off
from ops.inspector_view import View
from ops.top_model import EDGES, FAIRS, STRATEGIES, edge_rows, window
from ops.top_view import Wish, lines, ordered
from tests.ops.top_scene import body, fill, instrument, quote

E6, E8, SECOND = shm.E6, shm.E8, 10**9
DAY_NS = 86_400 * SECOND
RUN_0 = 1_800_000_000 * SECOND


def mono_ns() -> int:
    """It stands: no beat grows old while a busy machine looks."""
    return 5_000 * SECOND


@pytest.fixture
def segment() -> Iterator[shm.Segment]:
    made = shm.Segment.create(f"arb-test-model-{uuid.uuid4().hex[:10]}")
    yield made
    made.unlink()


def scene(segment: shm.Segment, now_ns: int, **parameters: int) -> None:
    """The scene of test_top, its pair 0 with closes in a day and terms of the model."""
    fill(segment, now_ns)
    segment.write("run_clock", 0, body(shm.RUN_CLOCK, begin_epoch_ns=RUN_0, speed_e6=E6))
    for index, bid in ((0, 510_000), (1, 600_000)):
        quote(segment, index, bid, bid + 10_000, now_ns, close_epoch_ns=RUN_0 + DAY_NS)
    values = {"edge_min_e6": 5_000, "size_max_e6": 20 * E6, "delay_max_ns": SECOND,
              "price_high_e6": E6, "spread_max_e6": E6} | parameters  # fmt: skip
    segment.write("parameters", 0, body(shm.PARAMETERS, number=1, **values))


def pair(segment: shm.Segment, **more: int) -> None:
    row = body(shm.PAIR, **{"generation": 1, "a": 0, "b": 1, "a_generation": 1,
                            "b_generation": 1, "same": 1, "approved": 1,
                            "delay_max_ns": SECOND} | more)  # fmt: skip
    segment.write("pairs", 0, row)


def terms(segment: shm.Segment, until_ns: int, generation: int = 1) -> None:
    row = body(shm.TERMS, generation=generation, number=1, valid_until_ns=until_ns,
               dead_zone_e6=[20_000, 30_000], delay_cost_e6=7_000)  # fmt: skip
    segment.write("terms", 0, row)


def seen(segment: shm.Segment) -> View:
    return Inspector(segment.name, mono_ns).look()


def test_every_part_that_comes_off_is_shown_and_sums_up(segment: shm.Segment) -> None:
    now_ns = mono_ns()
    scene(segment, now_ns, hurdle_e6=1_000, hurdle_year_e6=100_000)
    pair(segment, needs_terms=1, hurdle_e6=-1)
    terms(segment, now_ns + 60 * SECOND)
    row = edge_rows(seen(segment))[0]
    # bought at 0.52, sold at 0.60: 8 cents gross; 7 and 5 % of p(1-p): 1.7472 and 1.2 cents
    assert (row["gross_e6"], row["fees_e6"]) == (80_000, 17_472 + 12_000)
    assert (row["dead_zone_e6"], row["delay_e6"], row["hurdle_e6"]) == (20_000, 0, 1_000)
    assert row["capital_e6"] == 274  # 10 % a year for a day, rounded up
    assert row["left_e6"] == 80_000 - 29_472 - 20_000 - 1_000 - 274
    earned, locked = 80_000 - 29_472 - 20_000, E6 - (80_000 - 29_472)
    assert row["year_e6"] == earned * E6 * YEAR_S // (locked * 86_400) and row["why"] == ""
    head, found = lines(EDGES, ordered(EDGES, seen(segment), Wish()), 200, Wish())
    assert "dead zone" in head and "-2.00c" in found[0][0] and "+2.92c" in found[0][0]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("none", WAITS),
        ("old", WAITS),
        ("other", WAITS),
        ("delay", HELD_BACK),
        ("close", NO_CLOSE),
        ("on no index", UNPRICED),
    ],
)
def test_why_a_pair_does_not_trade_at_all_is_said(
    segment: shm.Segment, spoil: str, why: str
) -> None:
    now_ns = mono_ns()
    scene(segment, now_ns, hurdle_year_e6=100_000)
    pair(segment, needs_terms=int(spoil != "on no index"))
    if spoil == "on no index":
        quote(segment, 1, 600_000, 610_000, now_ns, taker_delay_ns=1, close_epoch_ns=RUN_0 + DAY_NS)
    elif spoil != "none":
        until_ns = now_ns - 1 if spoil == "old" else now_ns + 60 * SECOND
        terms(segment, until_ns, generation=9 if spoil == "other" else 1)
    if spoil == "delay":
        quote(segment, 1, 600_000, 610_000, now_ns, taker_delay_ns=2 * SECOND)
    if spoil == "close":
        quote(segment, 1, 600_000, 610_000, now_ns, close_epoch_ns=-1)
    if spoil == "delay":
        assert seen(segment).pairs[0].ways[0].seconds is None
    ways = seen(segment).pairs[0].ways
    assert [way.off.why for way in ways] == [why, why] and not any(way.pays_e6 for way in ways)


@pytest.mark.parametrize(
    ("why", "spoil"),
    [
        ("", {}),
        ("not approved", {"approved": 0}),
        ("a: gap", {"trust": shm.GAP}),
        ("a: closed", {"status": shm.ST_CLOSED}),
        ("a: crossed", {"bids": [530_000, E6, *[shm.NO_BID_E6, 0] * 4]}),
        ("a side is absent", {"asks": [shm.NO_ASK_E6, 0] * 5}),
        ("below 6.00c", {"edge_min_e6": 60_000}),
        ("no legal size", {"size_max_e6": 9_999}),
        ("a: beyond the band", {"price_low_e6": 520_001}),
        ("a: wide spread", {"spread_max_e6": 9_999}),
        ("a: thin touch", {"liquidity_min_e6": 13 * E6 + 1}),  # 25 at 0.52
    ],
)
def test_each_way_says_what_keeps_it_from_being_taken(
    segment: shm.Segment, why: str, spoil: dict[str, int | list[int]]
) -> None:
    """Five cents are left, and nothing was to be seen of why nobody took them."""
    now_ns = mono_ns()
    names = {of: set(shm.RECORDS[of].names or ()) for of in ("pair", "quote", "parameters")}
    told = {of: {k: v for k, v in spoil.items() if k in known} for of, known in names.items()}
    scene(segment, now_ns, **told["parameters"])
    quote(segment, 0, 510_000, 520_000, now_ns, close_epoch_ns=RUN_0 + DAY_NS, **told["quote"])
    pair(segment, **({} if "edge_min_e6" in spoil else told["pair"]))
    view = seen(segment)
    row = view.pairs[0].ways[0]
    assert row.why == edge_rows(view)[0]["why"] == why
    head, found = lines(EDGES, ordered(EDGES, view, Wish()), 100, Wish())
    assert "why not" in head and why in found[0][0] and (found[0][1] == "bold green") == (not why)
    _, (narrow, *_) = lines(EDGES, ordered(EDGES, view, Wish()), 80, Wish())
    assert narrow[0].endswith(why)


def test_what_is_shown_is_what_the_detector_takes_off() -> None:
    """The detector's own function in plain Python, over its own memory."""
    for needs, number, valid, delay, rate in (
        (0, 0, 0, 0, 0), (1, 1, 5, 0, 0), (1, 1, 5, 9, 50_000), (1, 0, 5, 0, 0), (1, 1, -5, 0, 0),
        (0, 1, 5, 9, 0), (0, 0, 5, 9, 0),
    ):  # fmt: skip
        mem = memory.fresh()
        closes = RUN_0 + 3 * DAY_NS
        values = {"delay_max_ns": 10, "hurdle_year_e6": rate, "hurdle_e6": 900}
        parameters = body(shm.PARAMETERS, **values)
        row = body(shm.PAIR, b=1, hurdle_e6=400, delay_max_ns=10, needs_terms=needs)
        told = body(shm.TERMS, number=number, valid_until_ns=1_000 + valid,
                    dead_zone_e6=[20_000, 30_000], delay_cost_e6=7_000)  # fmt: skip
        books = [body(shm.QUOTE, close_epoch_ns=closes, taker_delay_ns=delay * i) for i in (0, 1)]
        for at, cells in (
            (memory.PARAMETERS_AT, parameters), (memory.PAIR_AT, row), (memory.TERMS_AT, told),
            (memory.QUOTE_AT, books[0]), (memory.QUOTE_AT + shm.BODY, books[1]),
        ):  # fmt: skip
            mem[at : at + shm.BODY] = cells
        mem[memory.META + memory.M_NOW], mem[memory.META + memory.M_RUN] = 1_000, RUN_0
        for direction in (0, 1):
            taken = take_off(mem, direction)
            off = _off(
                row.view(shm.PAIR)[0], np.concatenate(books), direction,
                parameters.view(shm.PARAMETERS)[0], told.view(shm.TERMS)[0], 1_000, RUN_0,
            )  # fmt: skip
            assert (taken < 0) == bool(off.why), (needs, number, valid)
            assert taken < 0 or taken == off.sum_e6


def take_off(mem: shm.Words, direction: int) -> int:
    """`take_off` with its inner kernels in plain Python too."""
    inner = decide.time_hurdle
    decide.take_off.py_func.__globals__["time_hurdle"] = inner.py_func
    try:
        return int(decide.take_off.py_func(mem, 0, direction))
    finally:
        decide.take_off.py_func.__globals__["time_hurdle"] = inner


def test_fair_values_are_shown_with_what_they_come_from(segment: shm.Segment) -> None:
    now_ns = mono_ns()
    scene(segment, now_ns)
    instrument(segment, 0, 0, "KXBTC15M-26NOV211215-00", "Bitcoin up or down?")
    rule = body(shm.INSTRUMENT, generation=1, live=1, settlement_rule=1,
                ticker=shm.text_to_cells("KXBTC15M-X", 8))  # fmt: skip
    segment.write("instruments", 0, rule)
    (found,) = seen(segment).fairs
    assert (found.why, found.fair_e6, found.bid_e6) == ("no terms", None, 510_000)
    told = {"generation": 1, "number": 1, "valid_until_ns": now_ns + 60 * SECOND,
            "strike_e8": 80_000 * E8, "mean_e8": 80_010 * E8, "sigma_e12": 89_036_000, "count": 7,
            "usual_e12": 71_229_000, "fair_e6": 561_234, "basis_e8": -5 * E8}  # fmt: skip
    segment.write("market_terms", 0, body(shm.MARKET_TERMS, **told))
    (found,) = seen(segment).fairs
    assert (found.fair_e6, found.why, found.known) == (561_234, "", 7)
    assert found.source == "relay"
    assert found.sigma_e6 == pytest.approx(500_000, abs=20)
    assert found.usual_e6 == pytest.approx(400_000, abs=20)
    head, rows = lines(FAIRS, [found], 160, Wish())
    for text in ("80000.00", "80010.00", "-5.00", "50.0 %", "40.0 %", "0.5612"):
        assert text in rows[0][0], head
    for changed, why in (
        ({"valid_until_ns": now_ns - 1}, "expired"),
        ({"strike_e8": -1, "fair_e6": -1}, "strike not known"),
        ({"generation": 2}, "no terms"),
        ({"ladder_e6": 1_040_000}, "ladder sums to 1.040000"),
        ({"ladder_e6": E6}, ""),
        ({"ladder_e6": -1}, ""),
    ):
        segment.write("market_terms", 0, body(shm.MARKET_TERMS, **(told | changed)))
        (found,) = seen(segment).fairs
        assert found.why == why
    for usual in (0, shm.NONE_NS):  # no history, and not even σ is known
        segment.write("market_terms", 0, body(shm.MARKET_TERMS, **(told | {"usual_e12": usual})))
        assert seen(segment).fairs[0].usual_e6 is None
    segment.write("market_terms", 0, body(shm.MARKET_TERMS, **(told | {"source": 1})))
    assert seen(segment).fairs[0].source == "composite"
    assert json.dumps(edge_rows(seen(segment)))
    assert shm.cell(shm.MARKET_TERMS, "fair_e6") == c.MT_FAIR


def test_where_a_window_stands_is_shown(segment: shm.Segment) -> None:
    now_ns, ticker = mono_ns(), "KXBTC15M-26NOV211215-00"
    scene(segment, now_ns)
    instrument(segment, 0, 0, ticker, "Bitcoin up or down?")

    def stands(*, opens_in_s: int, closes_in_s: int, **more: int) -> str:
        row = body(
            shm.INSTRUMENT, generation=1, live=1, settlement_rule=1,
            ticker=shm.text_to_cells(ticker, 8), open_epoch_ns=RUN_0 + opens_in_s * SECOND,
        )  # fmt: skip
        segment.write("instruments", 0, row)
        close_ns = RUN_0 + closes_in_s * SECOND
        quote(segment, 0, 510_000, 520_000, now_ns, close_epoch_ns=close_ns, **more)
        segment.write("run_clock", 0, body(shm.RUN_CLOCK, begin_epoch_ns=RUN_0, speed_e6=0))
        (found,) = seen(segment).fairs
        assert found.series == "kalshi btc 15m"
        return window(found)

    assert stands(opens_in_s=60, closes_in_s=960) == "opens in 60 s"
    ahead = {"generation": 1, "number": 1, "valid_until_ns": now_ns + 60 * SECOND,
             "strike_e8": -1, "fair_e6": 500_000}  # fmt: skip
    segment.write("market_terms", 0, body(shm.MARKET_TERMS, **ahead))
    (found,) = seen(segment).fairs
    assert (found.fair_e6, found.strike_e8, found.why) == (500_000, None, "")
    assert stands(opens_in_s=-60, closes_in_s=840) == "open, 840 s left"
    assert stands(opens_in_s=-960, closes_in_s=-60) == "closed"
    paid = {"status": shm.ST_SETTLED, "settlement_e6": 500_000}
    assert stands(opens_in_s=-960, closes_in_s=-60, **paid) == "paid 0.500000"
    paid["generation"] = 2
    assert stands(opens_in_s=-960, closes_in_s=-60, **paid) == "open", "of another market"


def test_what_is_of_the_market_that_had_the_number_before_is_not_shown(
    segment: shm.Segment,
) -> None:
    scene(segment, mono_ns())
    held = len(seen(segment).positions)
    pair(segment)
    shown = len(seen(segment).pairs)
    row = body(shm.INSTRUMENT, generation=2, live=1, ticker=shm.text_to_cells("KX-NEXT", 8))
    segment.write("instruments", 0, row)
    assert (len(seen(segment).pairs), len(seen(segment).positions)) == (shown - 1, held - 1)


def test_each_strategy_shows_its_switch_its_orders_and_where_it_stops(
    segment: shm.Segment,
) -> None:
    now_ns = mono_ns()
    scene(segment, now_ns)
    for which, (name, told) in enumerate(REFERENCE.items()):
        row = body(shm.STRATEGY, which=which, values=row_of(name, told))
        segment.write("strategies", which, row)
    at = segment.at("tallies", 1)  # momentum
    counts = {"fires": 2, "trades": 70, "edge": 28}
    for gate, count in counts.items():
        shm.word_store(segment.words, at + GATES.index(gate), count)
    for name, value in (("orders", 2), ("spent_e6", 30 * E6), ("expected_e6", 1_500_000)):
        shm.word_store(segment.words, at + shm.cell(shm.TALLY, name), value)
    for pair_row, (age_ns, gate) in enumerate(((SECOND, "trades"), (9 * SECOND, "edge"))):
        told_at = segment.at("refusals", pair_row)
        shm.word_store(segment.words, told_at + shm.cell(shm.REFUSAL, "at_ns"), now_ns - age_ns)
        packed = GATES.index(gate) << GATE_BITS
        shm.word_store(segment.words, told_at + shm.cell(shm.REFUSAL, "gates"), packed)
    rows = seen(segment).strategies
    assert [row.name for row in rows] == list(REFERENCE)
    assert [row.is_on for row in rows] == [bool(told["on"]) for told in REFERENCE.values()]
    found = rows[1]
    assert (found.looks, found.fires, found.orders) == (100, 2, 2)
    assert found.gates == {"trades": 70, "edge": 28}
    assert found.now == {"trades": 1}  # what was looked at nine seconds ago is not now
    assert rows[0].looks == 0 and not rows[0].gates
    shown = [cell.strip() for cell in lines(STRATEGIES, [found], 200, Wish())[1][0][0].split("  ")]
    assert {"momentum", "on", "30.00", "1.50", "trades 71 %, edge 28 %"} <= set(shown)
