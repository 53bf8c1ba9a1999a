"""Random books of two venues for tests of what is promised about any decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from hypothesis import strategies as st

from ops.venues.fees import KalshiFeeTerms, KalshiOrderFee, polymarket_fee_e6
from shm_layout import BUY, E6, SELL
from tests.twins.edge import Answer, Book, token

LOT_E6 = 10_000
CENTS = (E6, 10_000, 0, 0, 0, 0)
KALSHI_RATES = (0, 17_500, 35_000, 70_000, 105_000)
POLYMARKET_RATES = (0, 40_000, 50_000, 70_000)


@dataclass(frozen=True)
class Case:
    """One question to the decision."""

    a: Book
    b: Book
    same: int
    direction: int
    edge_min: int
    off: int
    cap: int
    walk_budget: int = 0

    @property
    def sides(self) -> tuple[int, int]:
        """Side of each leg."""
        side = BUY if self.direction == 0 else SELL
        other = SELL if side == BUY else BUY
        return side, other if self.same else side

    @property
    def units_e6(self) -> int:
        """What rounding two fees can take."""
        return self.a.fee_terms[2] + self.b.fee_terms[2]

    def with_leg(self, leg: int, book: Book) -> Case:
        """Another book on one leg."""
        return replace(self, a=book) if leg == 0 else replace(self, b=book)


def mirrored(book: Book) -> Book:
    """The same market with YES and NO changed over."""
    return replace(
        book,
        bids=tuple((E6 - price, size) for price, size in book.asks),
        asks=tuple((E6 - price, size) for price, size in book.bids),
    )  # fmt: skip


@st.composite
def books(draw: st.DrawFn, *, near_e6: int, is_kalshi: bool) -> Book:
    """A book whose touch lies within some cents of a price, in cents or in tenths of them."""
    tick = draw(st.sampled_from((10_000, 10_000, 1_000)))
    middle = near_e6 + draw(st.integers(-1, 1)) * 10_000
    middle = min(max(middle, 30_000), E6 - 30_000) // tick * tick
    grid = CENTS if tick == 10_000 else (E6, 1_000, 0, 0, 0, 0)

    def ladder(sign: int) -> tuple[tuple[int, int], ...]:
        price, levels = middle + sign * tick * draw(st.integers(1, 2)), []
        for _ in range(draw(st.sampled_from((1, 2, 3, 5, 5, 5, 0)))):
            if not 0 < price < E6:
                break
            lots = draw(st.integers(1_000, 10**5) | st.integers(1, 10**6) | st.just(10**8))
            levels.append((price, lots * LOT_E6))
            price += sign * tick * draw(st.integers(1, 3))
        return tuple(levels)

    bids, asks = ladder(-1), ladder(1)
    if is_kalshi:
        kind = draw(st.sampled_from((2, 2, 2, 3, 4, 0)))
        return Book(bids, asks, kind=kind, rate=draw(st.sampled_from(KALSHI_RATES)), grid=grid)
    return Book(
        bids, asks, rate=draw(st.sampled_from(POLYMARKET_RATES)), unit=10, mode=1, grid=grid,
        notional_min=E6, notional_step=10_000,
    )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn, *, walks: bool = True) -> Case:
    """Two books near each other, often with an edge, of every mix of venues."""
    near = draw(st.integers(5, 95)) * 10_000
    venues = draw(st.sampled_from(((1, 0), (1, 0), (0, 1), (1, 1), (0, 0))))
    same, direction = draw(st.integers(0, 1)), draw(st.integers(0, 1))
    gap = draw(st.integers(4, 16) | st.integers(-2, 30)) * 10_000
    a = draw(books(near_e6=near, is_kalshi=bool(venues[0])))
    other = near - gap if direction else near + gap
    b = draw(books(near_e6=other if same else E6 - other, is_kalshi=bool(venues[1])))
    return Case(
        a, b, same, direction, draw(st.sampled_from((0, 0, 1, 5_000, 20_000))),
        draw(st.sampled_from((0, 0, 3_000))),
        draw(st.sampled_from((10**12, 10**12, 10**9, 10**7, 12_345_678))),
        draw(st.integers(0, 1)) if walks else 0,
    )  # fmt: skip


def charged_e6(book: Book, fills: list[tuple[int, int]]) -> tuple[int, bool]:
    """What the venue takes for fills of a bought token (price, size), by its own Decimal code; and
    whether a fill's fee was too small for Kalshi to give rounding back. Of an unknown kind: the
    most that any known one takes.
    """
    if book.mode == 1:
        shares, cost = sum(size for _, size in fills), sum(price * size for price, size in fills)
        fee = polymarket_fee_e6(shares_e6=shares, cost_e6=cost // E6, rate_e6=book.rate, exponent=1)
        return fee, False
    rate = book.fee_terms[0]
    order, total, is_small = KalshiOrderFee(KalshiFeeTerms(rate_e6=rate)), 0, False
    for price, size in fills:
        fee = order.charge_e6(price, size, -price * size // E6, is_taker=True)
        is_small |= fee < 100
        total += fee
    return total, is_small


def taken(book: Book, side: int, size: int) -> list[tuple[int, int]]:
    """Fills (token price, size) of taking so many contracts from what a book shows. Raises
    AssertionError if it does not show as many."""
    fills, left = [], size
    for price, shown in book.asks if side == BUY else book.bids:
        take = min(shown, left)
        if take:
            fills.append((token(price, side), take))
        left -= take
    assert left == 0, f"{left} contracts more than the book holds"
    return fills


def result_e6(case: Case, answer: Answer, *, at_limits: bool) -> tuple[Fraction, bool]:
    """What an answer leaves whatever happens, in 1e-6 dollars, by the venues' own fees: filled as
    the books show, or everything at its limit. And whether a fill's fee was too small (see above).
    """
    size, total, is_small = answer[0], Fraction(answer[0]), False
    for leg, (book, side) in enumerate(zip((case.a, case.b), case.sides, strict=True)):
        fills = taken(book, side, size)
        if at_limits:
            fills = [(token(answer[1 + leg], side), size)]
        fee, small = charged_e6(book, fills)
        total -= sum(Fraction(price * amount, E6) for price, amount in fills) + fee
        is_small |= small
    return total, is_small

