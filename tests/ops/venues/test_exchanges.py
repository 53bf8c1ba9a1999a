"""One path of prices at every exchange: later, beside, on its own grid, and always the same."""

from __future__ import annotations

from itertools import pairwise

from ops.venues.exchanges import BP_E8, Exchange, exchanges, spread
from ops.venues.script import BID, Event, ExchangeTrade, SpotTrade
from tests.ops.venues.rig import BEGIN_NS, MS

LISTED = {"BTC-USD": ("BTC/USD", 10_000_000)}


def trade(at_ms: int, number: int, product: str = "BTC-USD") -> SpotTrade:
    return SpotTrade(BEGIN_NS + at_ms * MS, product, 8_000_012_000_000, 10**8, BID, number)


def events(count: int = 200) -> list[Event]:
    return [trade(7 * number, number) for number in range(count)]


def test_one_digest_is_one_set_of_tapes_and_another_is_another() -> None:
    first, second, other = (exchanges(("BTC-USD",), digest) for digest in ("a", "a", "b"))
    assert first == second != other
    assert [exchange.venue for exchange in first] == ["binance", "kraken", "coingecko"]


def test_an_exchange_that_lists_nothing_of_a_script_is_left_out() -> None:
    assert exchanges(("DOGE-USD",), "a") == ()
    (only,) = exchanges(("ETH-USD", "DOGE-USD"), "a", ("kraken",))
    assert only.listed == {"ETH-USD": ("ETH/USD", 1_000_000)}


def test_the_stream_is_whole_ascending_and_each_trade_later_by_the_exchanges_delay() -> None:
    made = exchanges(("BTC-USD",), "a")
    found = list(spread(events(), made))
    assert all(a.at_epoch_ns <= b.at_epoch_ns for a, b in pairwise(found))
    assert [event for event in found if isinstance(event, SpotTrade)] == events()
    for exchange in made:
        theirs = [event for event in found if isinstance(event, ExchangeTrade)
                  and event.venue == exchange.venue]  # fmt: skip
        assert [event.trade_id for event in theirs] == list(range(200))
        assert exchange.delay_ns % MS == 0
        late = {event.at_epoch_ns - trade(7 * event.trade_id, 0).at_epoch_ns for event in theirs}
        assert late == {exchange.delay_ns}


def test_prices_lie_on_the_grid_and_within_the_basis() -> None:
    (binance, *_) = exchanges(("BTC-USD",), "a")
    for second in range(0, 3_000, 10):
        found = binance.shown(trade(second * 1_000, 1))
        assert found is not None and found.price_e8 % 1_000_000 == 0
        away_bp = (found.price_e8 - 8_000_012_000_000) * 10_000 / 8_000_012_000_000
        assert -8.5 <= away_bp <= -3


def test_the_basis_of_usdt_moves_slowly_both_ways() -> None:
    exchange = Exchange(venue="x", listed=LISTED, basis_e8=5 * BP_E8, swing_e8=2 * BP_E8,
                        period_ns=1_000)  # fmt: skip
    found = [exchange.basis_at_e8(at) for at in range(0, 1_001, 250)]
    assert found == [7 * BP_E8, 5 * BP_E8, 3 * BP_E8, 5 * BP_E8, 7 * BP_E8]


def test_what_is_not_listed_does_not_happen_there() -> None:
    exchange = Exchange(venue="x", listed=LISTED)
    found = list(spread([trade(1, 1, "ETH-USD")], (exchange,)))
    assert found == [trade(1, 1, "ETH-USD")]
