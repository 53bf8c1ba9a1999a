"""The matching engine gives what is shown and no more, and never loses the script."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.venues.book import Budget, Change, MarketBook, Resting, Take
from ops.venues.script import ASK, BID
from tests.ops.venues.rig import ASKS, BIDS, e6


def book() -> MarketBook:
    made = MarketBook()
    made.set_book(BIDS, ASKS)
    return made


def test_levels_come_best_first() -> None:
    assert book().levels(BID) == list(BIDS)
    assert book().levels(ASK) == list(ASKS)
    assert (book().best_e6(BID), book().best_e6(ASK)) == (e6("0.47"), e6("0.52"))
    assert MarketBook().best_e6(BID) is None


def test_a_taker_gets_each_makers_price_up_to_its_limit() -> None:
    made = book()
    plan = made.plan(BID, e6("0.55"), e6("40"))
    assert plan.takes == [Take(e6("0.52"), e6("10")), Take(e6("0.53"), e6("30"))]
    assert plan.is_full
    assert made.take(plan) == [
        Change(ASK, e6("0.52"), e6("10"), 0),
        Change(ASK, e6("0.53"), e6("50.5"), e6("20.5")),
    ]
    assert made.plan(BID, e6("0.52"), e6("1")).takes == []


def test_a_budget_buys_more_shares_at_a_better_price() -> None:
    plan = book().plan(BID, e6("0.60"), 0, budget=Budget(e6("10.60"), is_no=False))
    assert [take.price_e6 for take in plan.takes] == [e6("0.52"), e6("0.53")]
    assert plan.size_e6 == e6("10") + e6("5.40") * 1_000_000 // e6("0.53")
    assert plan.is_full


def test_a_no_budget_pays_the_complement() -> None:
    plan = book().plan(ASK, e6("0.46"), 0, budget=Budget(e6("5.30"), is_no=True))
    assert plan.takes == [Take(e6("0.47"), e6("10"))]


def test_a_level_stays_taken_until_its_next_event() -> None:
    made = book()
    made.take(made.plan(BID, e6("0.52"), e6("10")))
    assert made.best_e6(ASK) == e6("0.53")
    made.set_level(ASK, e6("0.53"), e6("7"))
    assert made.shown_e6(ASK, e6("0.52")) == 0, "another level's event must not give it back"
    first, later, fills = made.set_level(ASK, e6("0.52"), e6("4"))
    assert first == [Change(ASK, e6("0.52"), 0, e6("4"))]
    assert (later, fills) == ([], [])


def test_the_change_after_an_overlay_is_from_what_was_shown() -> None:
    made = book()
    made.take(made.plan(BID, e6("0.52"), e6("3")))
    first, _, _ = made.set_level(ASK, e6("0.52"), e6("12"))
    assert first == [Change(ASK, e6("0.52"), e6("7"), e6("12"))]


def test_a_new_book_clears_every_overlay() -> None:
    made = book()
    made.take(made.plan(BID, e6("0.60"), e6("500")))
    made.set_book(BIDS, ASKS)
    assert made.levels(ASK) == list(ASKS)


def test_our_order_waits_behind_what_was_there() -> None:
    made = book()
    order = Resting("a", BID, e6("0.47"), e6("5"))
    assert made.rest(order) == [Change(BID, e6("0.47"), e6("30"), e6("35"))]
    assert made.trade(e6("0.47"), e6("20"), ASK) == ([], [])
    fills, _ = made.trade(e6("0.47"), e6("12"), ASK)
    assert fills == [Take(e6("0.47"), e6("2"), order)]
    assert order.leaves_e6 == e6("3")


def test_size_that_leaves_ahead_of_us_moves_us_up() -> None:
    made = book()
    order = Resting("a", BID, e6("0.47"), e6("5"))
    made.rest(order)
    made.set_level(BID, e6("0.47"), e6("1"))
    fills, _ = made.trade(e6("0.47"), e6("3"), ASK)
    assert fills == [Take(e6("0.47"), e6("2"), order)]


def test_a_print_through_our_price_fills_us_whole() -> None:
    made = book()
    order = Resting("a", BID, e6("0.48"), e6("5"))
    made.rest(order)
    fills, changes = made.trade(e6("0.47"), e6("50"), ASK)
    assert fills == [Take(e6("0.48"), e6("5"), order)]
    assert changes == [Change(BID, e6("0.48"), e6("5"), 0)]
    assert made.orders == {}


def test_new_size_that_crosses_our_order_trades_with_it() -> None:
    made = book()
    order = Resting("a", BID, e6("0.50"), e6("5"))
    made.rest(order)
    first, later, fills = made.set_level(ASK, e6("0.49"), e6("8"))
    assert first == [Change(ASK, e6("0.49"), 0, e6("8"))]
    assert fills == [Take(e6("0.50"), e6("5"), order)]
    assert later[-1] == Change(BID, e6("0.50"), e6("5"), 0)
    assert made.shown_e6(ASK, e6("0.49")) == e6("3")


def test_a_taker_stops_at_our_own_order_unless_told_to_pass() -> None:
    made = book()
    own = Resting("a", ASK, e6("0.52"), e6("5"))
    made.rest(own)
    plan = made.plan(BID, e6("0.53"), e6("20"))
    assert plan.takes == [Take(e6("0.52"), e6("10"))]
    assert plan.own == [own]
    assert plan.stopped
    passing = made.plan(BID, e6("0.53"), e6("20"), cancel_own=True)
    assert passing.size_e6 == e6("20")
    assert not passing.stopped


def test_cancelling_gives_the_size_back_to_nobody() -> None:
    made = book()
    made.rest(Resting("a", BID, e6("0.49"), e6("5")))
    assert made.cancel("a") == [Change(BID, e6("0.49"), e6("5"), 0)]
    assert made.levels(BID) == list(BIDS)


_PRICES = st.integers(1, 20).map(lambda cents: cents * 50_000 - 10_000)
_SIZES = st.integers(0, 50).map(lambda lots: lots * 10_000)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("level"), st.sampled_from((BID, ASK)), _PRICES, _SIZES),
        st.tuples(st.just("take"), st.sampled_from((BID, ASK)), _PRICES, _SIZES),
        st.tuples(st.just("rest"), st.sampled_from((BID, ASK)), _PRICES, _SIZES),
        st.tuples(st.just("trade"), st.sampled_from((BID, ASK)), _PRICES, _SIZES),
    ),
    max_size=40,
)


class Shown:
    """What a subscriber believes: built from changes alone."""

    def __init__(self) -> None:
        self.sizes: dict[tuple[int, int], int] = {}

    def apply(self, changes: list[Change]) -> None:
        for change in changes:
            key = (change.side, change.price_e6)
            assert self.sizes.get(key, 0) == change.old_e6
            self.sizes[key] = change.new_e6

    def levels(self, side: int) -> dict[int, int]:
        return {price: size for (at, price), size in self.sizes.items() if at == side and size}


@settings(max_examples=150, deadline=None)
@given(_STEPS)
def test_changes_alone_rebuild_what_is_shown_and_sizes_are_conserved(
    steps: list[tuple[str, int, int, int]],
) -> None:
    made, shown = MarketBook(), Shown()
    rested = filled = 0
    for number, (kind, side, price_e6, size_e6) in enumerate(steps):
        fills: list[Take] = []
        if kind == "level":
            first, later, fills = made.set_level(side, price_e6, size_e6)
            shown.apply(first + later)
        elif kind == "trade" and size_e6:
            fills, changes = made.trade(price_e6, size_e6, side)
            shown.apply(changes)
        elif kind == "take":
            before = dict(made.levels(1 - side))
            plan = made.plan(side, price_e6, size_e6)
            assert plan.size_e6 <= size_e6
            for take in plan.takes:
                assert take.size_e6 <= before[take.price_e6]
                assert take.price_e6 <= price_e6 if side == BID else take.price_e6 >= price_e6
            shown.apply(made.take(plan))
        elif kind == "rest" and size_e6 and not made.plan(side, price_e6, size_e6).takes:
            rested += size_e6
            shown.apply(made.rest(Resting(str(number), side, price_e6, size_e6)))
        filled += sum(take.size_e6 for take in fills)
        for side_now in (BID, ASK):
            assert dict(made.levels(side_now)) == shown.levels(side_now)
            prices = [price for price, _ in made.levels(side_now)]
            assert prices == sorted(prices, reverse=side_now == BID)
        assert rested == filled + sum(order.leaves_e6 for order in made.orders.values())
