"""`polymarket-client` judges the simulated Polymarket's sockets: both channels over TLS."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from ops.venues.script import ASK, BID, Event, IndexTick, LevelSet, MarketTrade
from ops.venues.tls import TlsPaths
from tests.judges import broken, hearing, polymarket_claims
from tests.judges.conftest import PythonOf
from tests.judges.hearing import POLY, TOKENS, Heard
from tests.ops.venues import rig

pytestmark = [pytest.mark.judges, pytest.mark.timeout(600)]

CLIENT, FILE = "polymarket-client", "polymarket_streams_judge.py"
MARKET = ("book", "price_change", "last_trade_price", "best_bid_ask")
USER = ("order", "trade", "CANCELLATION")  # the answer to a cancel comes before its frame
PRICES = ("subscribe", "update")
STEP_NS, SECOND_NS = 300 * rig.MS, 1_000 * rig.MS
PRICE_E8 = 80_000 * 10**8
Keep = Callable[[Heard], Heard]


def run(client_python: PythonOf, tls: TlsPaths, *, seconds: float = 150) -> Heard:
    events: list[tuple[int, Event]] = [
        (step * STEP_NS, event)
        for step in range(1, 700)
        for event in (
            LevelSet(0, POLY, BID, rig.e6("0.48"), rig.e6(str(step))),
            LevelSet(0, POLY, BID, rig.e6("0.49"), rig.e6(str(step % 2))),
            MarketTrade(0, POLY, rig.e6("0.48"), rig.e6("1"), ASK),
        )
    ]
    events += [
        (second * SECOND_NS, IndexTick(0, "btcusd", PRICE_E8 + second * 10**8))
        for second in range(-70, 210)
    ]
    more: dict[str, Any] = {"market": MARKET, "user": USER, "seconds": seconds}
    more |= {"spot": PRICES, "mean": PRICES}
    python = client_python(CLIENT)
    made = hearing.script(*events, indices=("btcusd",))
    return polymarket_claims.run(CLIENT, python, FILE, tls, more=more, made=made)


@pytest.fixture(scope="module")
def heard(client_python: PythonOf, tls: TlsPaths, keep: Keep) -> Heard:
    return keep(run(client_python, tls))


def payloads(heard: Heard, label: str) -> list[dict[str, Any]]:
    return [call["answer"]["payload"] for call in heard.calls if call["call"] == label]


def series(heard: Heard, label: str) -> dict[int, Decimal]:
    """The prices of one channel by second: first the history, then what came live."""
    (before,) = payloads(heard, f"{label} subscribe")
    rows = [*before["data"], *payloads(heard, f"{label} update")]
    stamps = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    return {
        int(stamp.timestamp()): Decimal(row["value"])
        for stamp, row in zip(stamps, rows, strict=True)
    }


def test_every_kind_of_market_event_is_understood(heard: Heard) -> None:
    for kind in MARKET:
        assert payloads(heard, f"market {kind}"), f"no {kind} was heard"
    assert not [call for call in heard.calls if call["call"] == "not heard in time"]


def test_the_first_books_are_whole_and_mirror_each_other(heard: Heard) -> None:
    first: dict[str, dict[str, Any]] = {}
    for book in payloads(heard, "market book"):
        first.setdefault(book["asset_id"], book)
    assert set(first) == set(TOKENS)
    yes, no = (first[token] for token in TOKENS)
    asks = {(Decimal(row["price"]), Decimal(row["size"])) for row in yes["asks"]}
    assert asks == {(1 - Decimal(row["price"]), Decimal(row["size"])) for row in no["bids"]}


def test_every_change_names_the_touch_it_leaves(heard: Heard) -> None:
    rows = [row for one in payloads(heard, "market price_change") for row in one["price_changes"]]
    assert {row["asset_id"] for row in rows} == set(TOKENS), "both tokens show each change"
    for row in rows:
        assert Decimal(row["best_bid"]) < Decimal(row["best_ask"])


def test_the_user_channel_tells_its_orders_and_its_trade(heard: Heard) -> None:
    orders = [(one["id"], one["order_event_type"]) for one in payloads(heard, "user order")]
    resting = heard.answer("GTC buy")["order_id"]
    assert (resting, "PLACEMENT") in orders and (resting, "CANCELLATION") in orders
    trades = payloads(heard, "user trade")
    assert {one["id"] for one in trades} == set(heard.answer("FAK buy")["trade_ids"])
    assert trades[0]["status"] == "MATCHED"


def test_prices_come_with_their_history_and_go_on(heard: Heard) -> None:
    """One value a second, each a dollar more: so the mean of the last 60 is 29.5 behind."""
    spot, mean = series(heard, "spot"), series(heard, "mean")
    assert len(spot) > 60 and mean
    assert {later - earlier for earlier, later in pairwise(sorted(spot))} == {1}
    assert {later - earlier for earlier, later in pairwise(spot.values())} == {1}
    assert {spot[stamp] - value for stamp, value in mean.items()} == {Decimal("29.5")}


def test_a_wrong_key_of_the_frames_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.rename_in_frames(monkeypatch, "asset_id", "asset")
    found = run(client_python, tls, seconds=5)
    with pytest.raises(AssertionError):
        test_every_kind_of_market_event_is_understood(found)
