"""nautilus_trader's Polymarket adapter judges the simulated Polymarket: market data and an order.

Its live node connects by itself, follows the book of one token over the market channel, sends one
order and learns of the fill over the user channel.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ops.venues.script import ASK, BID, LevelSet, MarketTrade
from ops.venues.tls import TlsPaths
from tests.judges import broken, hearing
from tests.judges.conftest import PythonOf
from tests.judges.hearing import CONDITION, POLY, TOKENS, Heard, hear
from tests.ops.venues import rig

pytestmark = [pytest.mark.judges, pytest.mark.timeout(600)]

CLIENT, FILE = "nautilus_trader", "nautilus_judge.py"
STEP_NS = 500 * rig.MS
STEPS = 620  # the last beyond the longest start and hearing: who hears decides when to end
Keep = Callable[[Heard], Heard]


def moving_script() -> rig.ToyScript:
    """The touch changes by two levels at each step, with a print."""
    events = [
        (step * STEP_NS, event)
        for step in range(1, STEPS)
        for event in (
            LevelSet(0, POLY, BID, rig.e6("0.48"), rig.e6(str(5 + step))),
            LevelSet(0, POLY, ASK, rig.e6("0.53"), rig.e6(str(70 + step))),
            MarketTrade(0, POLY, rig.e6("0.48"), rig.e6("1"), ASK),
        )
    ]
    return hearing.script(*events)


def run(client_python: PythonOf, tls: TlsPaths, *, seconds: float = 150) -> Heard:
    """`seconds`: when to stop if not everything wanted has been heard."""
    given = {
        "key": rig.POLY_KEY,
        "wallet": rig.POLY_ADDRESS,
        "tokens": TOKENS,
        "condition": CONDITION,
        "credentials": {
            "api_key": rig.API_KEY,
            "secret": rig.POLY_SECRET,
            "passphrase": "phrase",
        },
        "deltas": 6,
        "seconds": seconds,
    }
    return hear(
        CLIENT,
        client_python(CLIENT),
        FILE,
        tls,
        venue="polymarket",
        given=given,
        made=moving_script(),
        polymarket_plain_ws=True,
        polymarket_mined_ns=200 * rig.MS,
    )


@pytest.fixture(scope="module")
def heard(client_python: PythonOf, tls: TlsPaths, keep: Keep) -> Heard:
    return keep(run(client_python, tls))


def all_of(heard: Heard, label: str) -> list[Any]:
    """What was noted under a label, in order."""
    return [call["answer"] for call in heard.calls if call["call"] == label]


def size_of(levels: list[list[str]], price: str) -> Decimal:
    """The size at a price; 0: no such level."""
    found = [Decimal(size) for level, size in levels if Decimal(level) == Decimal(price)]
    return sum(found, Decimal(0))


def test_the_instrument_is_what_the_market_is(heard: Heard) -> None:
    instrument = heard.answer("instrument")
    assert instrument["raw_symbol"] == TOKENS[0]
    assert instrument["outcome"] == "Yes"
    assert Decimal(instrument["price_increment"]) == Decimal("0.01")
    assert Decimal(instrument["taker_fee"]) == Decimal("0.07"), "from Gamma's fee schedule"


def test_the_book_follows_the_script_level_by_level(heard: Heard) -> None:
    books = all_of(heard, "book")
    assert len(books) >= 6
    for book in books:
        assert size_of(book["bids"], "0.46") == 100 and size_of(book["asks"], "0.60") == 1000
        assert size_of(book["bids"], "0.47") == 30
    bids = [size_of(book["bids"], "0.48") for book in books]
    asks = [size_of(book["asks"], "0.53") for book in books]
    assert bids == sorted(bids) and bids[-1] > bids[0], "the size at the touch grows by steps"
    assert {bid - 5 for bid in bids if bid} & {ask - 70 for ask in asks if ask > 70}
    assert size_of(books[0]["asks"], "0.52") == 20, "the snapshot before our order"
    assert size_of(books[-1]["asks"], "0.52") == 10, "what our order took is gone"


def test_quotes_and_trades_are_heard(heard: Heard) -> None:
    quotes = all_of(heard, "quote")
    assert {(quote["bid_price"], quote["ask_price"]) for quote in quotes} == {("0.48", "0.52")}
    trades = [(one["price"], Decimal(one["size"])) for one in all_of(heard, "trade")]
    assert ("0.48", Decimal(1)) in trades, "a print between others"
    assert ("0.52", Decimal(10)) in trades, "our own"


def test_its_order_is_accepted_and_filled(heard: Heard) -> None:
    assert heard.answer("OrderAccepted")["venue_order_id"] == heard.rows[0][1]
    fill = heard.answer("OrderFilled")
    assert Decimal(fill["last_qty"]) == 10 and fill["last_px"] == "0.52"
    assert fill["liquidity_side"] == "TAKER"
    (position,) = heard.answer("positions")
    assert Decimal(position["signed_qty"]) == 10
    assert heard.outcomes == {"matched": 1} and heard.counts["fills"] == 1
    assert heard.answer("account")["pUSD"].startswith("1000.000000")


def test_it_used_both_channels(heard: Heard) -> None:
    assert heard.counts["connections"] == 2
    said = [json.loads(row[2]) for row in heard.requests if row[1] == "SEND" and "{" in row[2]]
    assert {one["type"] for one in said} == {"market", "user"}
    assert [one["assets_ids"] for one in said if one["type"] == "market"] == [[TOKENS[0]]]


def test_a_wrong_key_of_an_orders_answer_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.rename(monkeypatch, "/order", "success", "ok")
    found = run(client_python, tls, seconds=10)
    test_the_instrument_is_what_the_market_is(found)
    with pytest.raises(AssertionError, match="OrderAccepted"):
        test_its_order_is_accepted_and_filled(found)


def test_a_wrong_key_of_the_frames_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.rename_in_frames(monkeypatch, "asset_id", "asset")
    found = run(client_python, tls, seconds=7)
    test_the_instrument_is_what_the_market_is(found)
    with pytest.raises(AssertionError):
        test_the_book_follows_the_script_level_by_level(found)
