"""Whether `use_yes_price` was heeded: what one connection found out, all know."""

from __future__ import annotations

from feeds.kalshi import Kalshi
from shm_layout import DRIFT
from tests.feeds.test_kalshi_life import Told, told

WRONG = {"yes_dollars_fp": [["0.40", "3"]], "no_dollars_fp": [["0.58", "3"]]}  # 0.40 to 0.42


def whole(made: Told, lane: int, sides: dict[str, list[list[str]]] = WRONG) -> None:
    """The next numbered book."""
    seq = made.lanes[lane]._stream.seq + 1
    made.give(lane, {"type": "orderbook_snapshot", "sid": 1, "seq": seq,
                     "msg": {"market_ticker": "A", **sides}})  # fmt: skip


def tickers(made: Told, lane: int, *, bid: str = "0.40", ask: str = "0.42") -> None:
    for _ in range(3):
        made.give(lane, {"type": "ticker", "sid": 2, "msg": {
            "market_ticker": "A", "yes_bid_dollars": bid, "yes_ask_dollars": ask}})  # fmt: skip


def found_out() -> Told:
    """The first connection has the wrong scale; the second was told nothing yet."""
    made = told()
    made.lanes[1].closed(made.now_ns)
    whole(made, 0)
    tickers(made, 0)
    assert made.rig.trust(0) & DRIFT and made.lanes[0].must_reconnect
    return made


def test_the_heir_of_one_that_was_found_out_is_suspect_from_its_first_book_on() -> None:
    made = found_out()
    made.lanes[1] = Kalshi(made.seats[1])
    made.open(1)
    made.lanes[0].closed(made.now_ns)
    whole(made, 1)
    assert made.rig.trust(0) & DRIFT
    tickers(made, 1)
    assert made.rig.trust(0) & DRIFT and not made.lanes[1].must_reconnect, "it would not help"


def test_it_is_trusted_once_a_ticker_agrees() -> None:
    made = found_out()
    made.lanes[1] = Kalshi(made.seats[1])
    made.open(1)
    assert made.seats[1].trust(0) == DRIFT
    tickers(made, 1)
    assert made.rig.trust(0) == 0
    assert made.seats[0].trust(0) == DRIFT, "the other one is still on the wrong scale"


def test_a_connection_that_stands_is_suspect_too_until_a_ticker_agrees() -> None:
    made = told()
    whole(made, 0)
    tickers(made, 0)
    assert made.seats[1].trust(0) == 0
    made.lanes[1].tick(made.now_ns)
    assert made.seats[1].trust(0) == DRIFT and made.rig.trust(0) == DRIFT
    tickers(made, 1)
    assert made.rig.trust(0) == 0


def test_at_half_a_dollar_both_scales_agree_and_nothing_is_proven() -> None:
    made = found_out()
    made.lanes[1] = Kalshi(made.seats[1])
    made.open(1)
    whole(made, 1, {"yes_dollars_fp": [["0.40", "3"]], "no_dollars_fp": [["0.50", "3"]]})
    tickers(made, 1, ask="0.50")
    assert made.seats[1].trust(0) == DRIFT
