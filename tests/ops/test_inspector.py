"""The inspector reads a live segment, never writes it, and outlives the engine that made it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import shm_layout as shm
from ops.inspector import Absent, Inspector, clean
from tests.ops import top_scene as scene

NOW_NS = 5_000_000_000_000
E6 = shm.E6


@pytest.fixture
def segment() -> Iterator[shm.Segment]:
    """A real one, filled by the scene at NOW_NS."""
    made = shm.Segment.create(f"arb-insp-{uuid.uuid4().hex[:10]}", run_id=42)
    scene.fill(made, NOW_NS)
    yield made
    made.unlink()


@pytest.fixture
def inspector(segment: shm.Segment) -> Inspector:
    return Inspector(segment.name, lambda: NOW_NS)


def test_quotes_carry_touch_age_and_why_they_are_not_trusted(inspector: Inspector) -> None:
    quotes = inspector.look().quotes
    assert [quote.ticker for quote in quotes] == list(scene.TICKERS)
    first, _, gapped, one_sided = quotes
    assert (first.venue, first.bid_e6, first.ask_e6) == ("kalshi", 510_000, 520_000)
    assert (first.bid_size_e6, first.ask_size_e6) == (40 * E6, 25 * E6)
    assert first.age_ns == 12_000_000 and first.is_trusted and first.status == "active"
    assert gapped.trust == ("gap", "link_silent")
    assert one_sided.bid_e6 is None and one_sided.ask_e6 == 260_000


def test_a_quote_of_a_dead_feed_or_an_old_epoch_says_so(
    segment: shm.Segment, inspector: Inspector
) -> None:
    live = shm.LIVE_EPOCH_AT + shm.FEED_ROLE
    shm.word_store(segment.words, live, 0)
    shm.word_store(segment.words, live + 1, 2)
    quotes = inspector.look().quotes
    assert quotes[0].trust == ("feed dead",) and quotes[1].trust == ("old epoch",)


def test_a_quote_of_another_generation_is_no_quote(
    segment: shm.Segment, inspector: Inspector
) -> None:
    scene.quote(segment, 0, 510_000, 520_000, NOW_NS, generation=2)
    quote = inspector.look().quotes[0]
    assert quote.trust == ("no quote",) and quote.bid_e6 is None


def test_a_pair_shows_the_edge_each_way_after_both_fees(inspector: Inspector) -> None:
    paying, other = inspector.look().pairs
    buy, sell = paying.ways
    assert (buy.text, sell.text) == ("buy a, sell b", "sell a, buy b")
    # 0.60 - 0.52 = 8 c; 25 contracts: Kalshi 0.07·25·0.52·0.48 = 0.4368, Polymarket
    # 0.05·25·0.6·0.4 = 0.30; 0.7368 / 25 = 2.9472 c a contract
    assert (buy.edge_e6, buy.size_e6) == (80_000 - 29_472, 25 * E6)
    assert buy.pays_e6 == 20 * E6  # size_max
    assert sell.edge_e6 is not None and sell.edge_e6 < 0 and sell.pays_e6 == 0
    assert paying.best_e6 == buy.edge_e6
    assert other.ways[0].edge_e6 is None  # no bid at b to sell to
    assert not other.is_approved and other.is_same


def test_a_set_shows_what_all_its_legs_leave_and_a_barred_way_pays_nothing(
    segment: shm.Segment, inspector: Inspector
) -> None:
    """Three outcomes of one venue at 30 cents: bought they leave 10 cents less three fees."""
    for index, ticker in ((5, "KX-B"), (6, "KX-C"), (7, "KX-D")):
        scene.instrument(segment, index, 0, ticker, "one of three")
        facts = {"fee_rate_e6": 70_000, "fee_unit_e6": 100, "fee_mode": shm.ROUND_UP}
        scene.quote(segment, index, 290_000, 300_000, NOW_NS, notional_min_e6=0,
                    notional_step_e6=0, **facts)  # fmt: skip
    row = {"a": 5, "b": 6, "c": 7, "more": 1, "a_generation": 1, "b_generation": 1,
           "c_generation": 1, "generation": 1, "index": 2, "approved": 1,
           "hurdle_e6": 1_000}  # fmt: skip
    for barred in (0, 1):
        segment.write("pairs", 2, scene.body(shm.PAIR, **row, barred=barred))
        found = inspector.look().pairs[2]
        assert (found.ticker_a, found.ticker_b, found.legs) == ("KX-B", "KX-C + KX-D", 3)
        buy, sell = found.ways
        assert (buy.text, sell.text) == ("buy all 3", "sell all 3")
        # 0.07·25·0.3·0.7 = 0.3675 of each, 4.41 c a contract of all three
        assert buy.edge_e6 == 100_000 - 44_100 and buy.gross_e6 == 100_000
        assert buy.pays_e6 == (0 if barred else 20 * E6)
        assert buy.off.why == ("not sure" if barred else "")
        assert sell.edge_e6 is not None and sell.edge_e6 < 0 and found.is_set
        assert (buy.sure_e6, sell.sure_e6) == (E6, 2 * E6), "and so much stands still"
        assert (buy.off.hurdle_e6, sell.off.hurdle_e6) == (1_000, 2_000)


def test_processes_are_ok_late_or_dead(inspector: Inspector) -> None:
    found = {process.name: process for process in inspector.look().processes}
    assert {name: process.health for name, process in found.items()} == {
        "supervisor": "ok", "detector": "ok", "gateway": "late", "feed kalshi": "ok",
        "feed polymarket": "ok", "feed coinbase": "dead",
    }  # fmt: skip
    assert found["detector"].counters["intents"] == 17
    assert found["detector"].core == 1 and found["gateway"].core is None
    assert found["feed polymarket"].restarts == 2
    assert found["gateway"].beat_age_ns == 900_000_000


def test_orders_positions_cash_and_latency_are_decoded(inspector: Inspector) -> None:
    view = inspector.look()
    sides = {(order.venue, order.side, order.reason) for order in view.orders}
    assert sides == {("kalshi", "BUY", "done"), ("polymarket", "SELL", "partial")}
    assert view.orders[0].send_to_ack_ns == 800_000 and view.orders[0].age_ns == 2 * 10**9
    assert [held.position_e6 for held in view.positions] == [20 * E6, -15 * E6]
    assert [pot.cash_e6 for pot in view.cash] == [989_250_500] * 2
    (latency,) = view.latencies
    assert (latency.process, latency.name, latency.count) == ("gateway", "tick_to_order", 1000)
    assert 500_000 <= latency.p50_ns <= 520_000 and latency.max_ns == 1_000_000


def test_a_position_is_worth_its_fair_value_where_one_counts(
    segment: shm.Segment, inspector: Inspector
) -> None:
    assert [held.worth_e6 for held in inspector.look().positions] == [None, None]
    for number, generation in ((0, 1), (1, 2)):
        terms = scene.body(shm.MARKET_TERMS, instrument=number, generation=generation,
                           fair_e6=600_000, valid_until_ns=NOW_NS)  # fmt: skip
        segment.write("market_terms", number, terms)
    worth = [held.worth_e6 for held in inspector.look().positions]
    assert worth == [20 * 599_999, None], "the other's are of the market that has the number next"


@pytest.mark.parametrize(
    ("control", "gate", "kill", "state"),
    [(2, 2, 0, "ACTIVE"), (2, 1, 0, "REDUCING"), (0, 2, 0, "HALTED"), (2, 2, 5, "KILLED")],
)
def test_the_effective_state_is_the_worst(
    segment: shm.Segment, inspector: Inspector, control: int, gate: int, kill: int, state: str
) -> None:
    for block, value in (("control", control), ("gate", gate), ("kill", kill)):
        shm.word_store(segment.words, segment.at(block), value)
    assert inspector.look().state == state


def test_looking_changes_not_one_byte(segment: shm.Segment, inspector: Inspector) -> None:
    before = segment.words.tobytes()
    inspector.look()
    assert segment.words.tobytes() == before
    assert inspector._segment is not None and not inspector._segment.words.flags.writeable


def test_a_slot_torn_at_every_try_keeps_its_last_value(
    segment: shm.Segment, inspector: Inspector
) -> None:
    first = inspector.look()
    at = segment.at("quotes", 0)
    shm.word_store(segment.words, at, shm.word_load(segment.words, at) + 1)
    assert inspector.look().quotes == first.quotes


def test_the_engine_may_end_and_another_begin(segment: shm.Segment) -> None:
    inspector = Inspector(segment.name, lambda: NOW_NS)
    assert inspector.look().run_id == 42
    segment.unlink()
    with pytest.raises(Absent, match=f"no engine named '{segment.name}' is running"):
        inspector.look()
    again = shm.Segment.create(segment.name, run_id=43)
    try:
        view = inspector.look()
        assert view.run_id == 43 and view.quotes == () and view.state == "HALTED"
    finally:
        again.unlink()


def test_a_replaced_segment_is_seen_even_without_a_look_between(segment: shm.Segment) -> None:
    inspector = Inspector(segment.name, lambda: NOW_NS)
    inspector.look()
    segment.unlink()
    again = shm.Segment.create(segment.name, run_id=43)
    try:
        assert inspector.look().run_id == 43
    finally:
        again.unlink()


def test_a_foreign_segment_is_refused_and_left_alone() -> None:
    name = f"arb-insp-{uuid.uuid4().hex[:10]}"
    path = Path("/dev/shm") / name
    path.touch(0o600)
    os.truncate(path, shm.MAIN.bytes)
    try:
        with pytest.raises(shm.LayoutError, match="magic: found 0"):
            Inspector(name, lambda: NOW_NS).look()
        assert path.exists()
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("\x1b[31mred", "·[31mred"), ("a\r\nb", "a··b"), ("\u202eabc", "·abc"),
     ("\x9b2J", "·2J"), ("\x7f\x00", "··"), ("é 漢 🏀", "é 漢 🏀"), ("\u200b", "·")],
)  # fmt: skip
def test_venue_text_is_made_harmless(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_titles_cannot_inject_escape_codes(inspector: Inspector) -> None:
    title = inspector.look().quotes[3].title
    assert all(c.isprintable() for c in title)
    assert "RED" in title and "\x1b" not in title
