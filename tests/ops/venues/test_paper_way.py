"""A paper order meets the book of the moment at which a real one would have been matched."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from ops.venues.paper_way import Latencies
from ops.venues.script import BookSet, Listing
from tests.ops.venues.kalshi_desk_rig import Desk
from tests.ops.venues.paper_office import HELD, KALSHI, LISTED, POLY, PaperOffice
from tests.ops.venues.polymarket_office import Office
from tests.ops.venues.rig import ASKS, BIDS, DELAYED_YES, MARKETS, MS, e6, levels

DEARER = levels(("0.55", "10"), ("0.56", "50"))
FULL = 10**9  # ns: by then everything is answered


def count(office: PaperOffice, venue: str) -> dict[str, int]:
    """What is counted of its orders, in contracts."""
    return {
        name.removesuffix("_e6"): value // 1_000_000
        for name, value in office.told.counts[venue].items() if name.endswith("_e6")
    }  # fmt: skip


def filled(answer: tuple[int, Any]) -> str:
    """Of a Kalshi answer that accepted."""
    assert answer[0] == 201, answer
    return str(answer[1]["fill_count"])


def test_an_order_is_handled_when_it_would_be_there_and_not_before() -> None:
    office = PaperOffice()
    sent = office.buy_kalshi("0.5200", "4.00")
    office.advance(49 * MS)
    assert sent not in office.answers
    office.advance(MS)
    assert filled(office.answers[sent]) == "4.00"


@pytest.mark.parametrize(("moves_at_ms", "got"), [(49, "0.00"), (51, "4.00")])
def test_what_counts_is_the_book_of_then(moves_at_ms: int, got: str) -> None:
    office = PaperOffice()
    office.show(moves_at_ms, KALSHI, BIDS, DEARER)
    sent = office.buy_kalshi("0.5200", "4.00")
    office.advance(FULL)
    assert filled(office.answers[sent]) == got
    moved = {"moved": 4} if got == "0.00" else {"got": 4}
    assert count(office, "kalshi") == {"claimed": 4, **moved}


def test_an_order_without_a_way_to_go_gets_the_book_it_was_sent_on() -> None:
    """The negative control: so an engine would fill that knows of no delay."""
    office = PaperOffice({"kalshi": (0,), "polymarket": (0,)})
    office.show(1, KALSHI, BIDS, DEARER)
    sent = office.buy_kalshi("0.5200", "4.00")
    office.advance(FULL)
    assert filled(office.answers[sent]) == "4.00"


@pytest.mark.parametrize(("moves_at_ms", "got_e6"), [(30, 0), (69, 0), (71, e6("10"))])
def test_the_venue_holds_takers_back_after_the_way(moves_at_ms: int, got_e6: int) -> None:
    """10 ms of way, and 60 of the market's own."""
    office = PaperOffice()
    office.show(moves_at_ms, HELD, BIDS, DEARER)
    order = {"buy": True, "maker": "5.20", "taker": "10", "token": DELAYED_YES}
    sent = office.buy_polymarket(**order)
    office.advance(FULL)
    assert office.answers[sent][1]["status"] == "delayed"
    assert office.account.tokens_e6.get(DELAYED_YES, 0) == got_e6
    assert count(office, "polymarket") == {
        "claimed": 10, **({"got": 10} if got_e6 else {"moved": 10})
    }  # fmt: skip


def test_a_held_order_meets_nothing_where_the_book_is_doubted_by_then() -> None:
    office = PaperOffice()
    office.see(30, HELD, False)
    office.buy_polymarket(buy=True, maker="5.20", taker="10", token=DELAYED_YES)
    office.advance(FULL)
    assert office.account.tokens_e6.get(DELAYED_YES, 0) == 0
    assert count(office, "polymarket") == {"claimed": 10, "unknown": 10}


def test_two_orders_on_their_way_share_what_is_there() -> None:
    office = PaperOffice()
    first, second = (office.buy_kalshi("0.5200", "8.00") for _ in range(2))
    office.advance(FULL)
    assert [filled(office.answers[each]) for each in (first, second)] == ["8.00", "2.00"]
    assert count(office, "kalshi") == {"claimed": 16, "taken": 6, "got": 10}
    third = office.buy_kalshi("0.5200", "8.00")
    office.show(1_000, KALSHI, BIDS, ASKS)  # the venue goes on to show what we have taken
    office.advance(FULL)
    assert filled(office.answers[third]) == "0.00"


@pytest.mark.parametrize("market", [POLY, KALSHI])
def test_a_book_that_nobody_may_trust_by_then_fills_nothing(market: int) -> None:
    office = PaperOffice()
    office.see(5, market, False)
    office.see(900, market, True)
    if market == KALSHI:
        sent = office.buy_kalshi("0.5200", "4.00")
        office.advance(500 * MS)
        assert filled(office.answers[sent]) == "0.00"
        refused = office.buy_kalshi("0.5200", "4.00", time_in_force="fill_or_kill")
    else:
        sent = office.buy_polymarket(buy=True, maker="5.20", taker="10")
        office.advance(500 * MS)
        status, body = office.answers[sent]
        assert status == 400 and "no orders found to match" in body["error"]
        refused = office.buy_polymarket(buy=True, maker="5.20", taker="10", order_type="FOK")
    office.advance(200 * MS)
    assert office.answers[refused][0] in (400, 409), "as an order that cannot fill"
    assert count(office, "kalshi" if market == KALSHI else "polymarket").keys() == {
        "claimed", "unknown"
    }  # fmt: skip
    office.advance(FULL)
    again = office.buy_kalshi("0.5200", "4.00")
    office.advance(FULL)
    assert filled(office.answers[again]) == "4.00"


def test_what_brings_no_order_finds_every_book_shut() -> None:
    """A request that names no market of ours, several orders in one: nothing is matched blindly."""
    office = PaperOffice()
    office.advance(MS)
    assert office.way is not None
    office.way.look()
    book = office.kalshi.markets[MARKETS[0].ticker].book
    assert office.way.meet(None, lambda: book.plan(0, e6("0.99"), e6("1")).takes) == []


def test_a_market_that_closed_by_then_takes_no_order_and_pays_when_it_settles() -> None:
    office = PaperOffice()
    held = office.buy_kalshi("0.5200", "4.00")
    office.advance(100 * MS)
    assert filled(office.answers[held]) == "4.00"
    late = office.buy_kalshi("0.5300", "4.00")
    office.change(120, KALSHI, "closed")
    office.change(300, KALSHI, "finalized", 1_000_000)
    office.advance(100 * MS)
    assert office.answers[late][0] == 409
    before_e6 = office.kalshi.account.cash_e6[0]
    office.advance(200 * MS)
    assert office.way is not None
    office.way.look()
    assert office.kalshi.account.cash_e6[0] == before_e6 + e6("4")


def test_a_market_that_is_listed_while_the_run_goes_on_can_be_traded() -> None:
    office = PaperOffice()
    spec, number = replace(MARKETS[0], ticker="KXNEXT-26JAN"), len(LISTED)
    office.kalshi.apply(Listing(office.now_ns, number, spec))
    assert office.way is not None
    office.way.add(number, spec)
    before = office.buy_kalshi("0.5200", "4.00", ticker=spec.ticker)
    office.advance(FULL)
    assert filled(office.answers[before]) == "0.00", "of its book nothing is known"
    office.kalshi.apply(BookSet(office.now_ns, number, BIDS, ASKS))
    after = office.buy_kalshi("0.5200", "4.00", ticker=spec.ticker)
    office.advance(FULL)
    assert filled(office.answers[after]) == "4.00"


def test_what_is_held_of_a_level_is_told_with_the_fill_and_untold_with_the_level() -> None:
    office = PaperOffice()
    sent = office.buy_kalshi("0.5300", "14.00")
    office.advance(49 * MS)
    assert not any(map(any, office.told.held.values()))
    office.advance(MS)
    assert filled(office.answers[sent]) == "14.00"
    assert office.told.held[KALSHI] == ([], [(e6("0.52"), e6("10")), (e6("0.53"), e6("4"))])
    assert office.way is not None
    office.show(60, KALSHI, BIDS, levels(("0.52", "3"), ("0.54", "9")))
    office.advance(20 * MS)
    office.way.look()
    assert office.told.held[KALSHI] == ([], [(e6("0.52"), e6("3"))])


def test_an_order_that_its_venue_refuses_has_had_nothing() -> None:
    """Of the book it could have: its cash, or all or nothing, said no."""
    office = PaperOffice()
    none = office.buy_kalshi("0.5200", "20.00", time_in_force="fill_or_kill")
    dear = office.buy_polymarket(buy=True, maker="1060", taker="2000")
    office.advance(FULL)
    assert [office.answers[each][0] for each in (none, dear)] == [409, 400]
    assert count(office, "kalshi") == {"claimed": 10, "refused": 10}
    assert "got" not in count(office, "polymarket") and "refused" in count(office, "polymarket")
    assert not any(map(any, office.told.held.values()))


def test_orders_are_counted_once_with_how_they_filled_and_what_they_waited() -> None:
    office = PaperOffice()
    for size in ("4.00", "8.00", "2.00"):
        office.buy_kalshi("0.5200", size)
    order = {"buy": True, "maker": "5.20", "taker": "10", "token": DELAYED_YES}
    office.buy_polymarket(**order)
    office.buy_polymarket(buy=True, maker="53.00", taker="100")  # 30 are there
    office.advance(FULL)
    told = office.told.counts
    assert [told["kalshi"][name] for name in ("orders", "full", "partial")] == [3, 1, 1]
    assert [told["polymarket"][name] for name in ("orders", "full", "partial")] == [2, 1, 1]
    assert sorted(office.told.waits) == [
        ("held", 60 * MS), *[("kalshi", 50 * MS)] * 3, *[("polymarket", 10 * MS)] * 2
    ]  # fmt: skip


def test_a_dear_limit_pays_what_the_book_shows_and_takes_the_side_it_asks_for() -> None:
    office = PaperOffice()
    bought = office.buy_kalshi("0.9900", "12.00")
    office.advance(FULL)
    sold = office.buy_kalshi("0.0100", "12.00", side="ask")
    office.advance(FULL)
    prices = [office.answers[each][1]["average_fill_price"] for each in (bought, sold)]
    assert prices == ["0.5216", "0.4700"], "10 at the touch and 2 behind it; the bids hold 30"


def test_fees_are_those_of_the_simulated_venues_to_the_unit() -> None:
    office, kalshi, polymarket = PaperOffice(), Desk(), Office(MARKETS[2])
    polymarket.book(BIDS, ASKS)
    office.buy_kalshi("0.5300", "17.50")
    office.buy_polymarket(buy=True, maker="10.60", taker="20")
    office.advance(FULL)
    kalshi.create("bid", "0.5300", "17.50")
    polymarket.post(buy=True, maker="10.60", taker="20")
    assert office.kalshi.account.cash_e6[0] == kalshi.venue.account.cash_e6[0] < e6("1000")
    assert office.account.cash_e6 == polymarket.account.cash_e6 < e6("1000")
    assert office.account.fees_e6 == polymarket.account.fees_e6 > 0


# ---- the chance in it


def test_each_wait_is_one_that_was_measured_and_a_seed_is_a_sequence() -> None:
    measured = {"kalshi": (3, 5, 5, 9), "polymarket": (7,)}
    one, twin, other = (Latencies(measured, seed) for seed in (1, 1, 2))
    drawn = [one.draw_ns("kalshi") for _ in range(400)]
    assert set(drawn) == {3, 5, 9}
    assert 150 < drawn.count(5) < 250, "what was measured twice comes twice as often"
    assert [twin.draw_ns("kalshi") for _ in range(400)] == drawn
    assert [other.draw_ns("kalshi") for _ in range(400)] != drawn
    assert one.draw_ns("polymarket") == 7


def history(seed: int) -> list[Any]:
    """A busy half minute: what every order got."""
    measured = {"kalshi": tuple(range(MS, 90 * MS, MS)), "polymarket": (10 * MS, 80 * MS)}
    office, chance = PaperOffice(measured, seed), random.Random(11)
    for at_ms in range(20, 3_000, 20):
        touch = 500_000 + 10_000 * chance.randrange(5)
        asks = tuple((touch + 10_000 * i, chance.randrange(1, 30) * 1_000_000) for i in range(3))
        office.show(at_ms, chance.randrange(3), BIDS, asks)
    for _ in range(100):
        if chance.randrange(2):
            office.buy_kalshi("0.5300", f"{chance.randrange(1, 20)}.00")
        else:
            shares = chance.randrange(5, 20) * 100
            made = {"maker": f"{shares * 53 // 100 / 100:.2f}", "taker": f"{shares // 100}"}
            office.buy_polymarket(buy=True, salt=len(office.answers) + 1000 * shares, **made)
        office.advance(chance.randrange(5, 40) * MS)
    office.advance(FULL)
    fills = [fill["fill_count"] for status, fill in office.answers.values() if status == 201]
    return [fills, office.kalshi.account.cash_e6, office.account.cash_e6,
            office.told.counts]


def test_equal_seeds_give_equal_fills_and_another_seed_gives_others() -> None:
    first = history(1)
    assert history(1) == first
    assert history(2) != first, "the chance is in it"
