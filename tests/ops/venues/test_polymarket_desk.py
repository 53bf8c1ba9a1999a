"""Polymarket's order rules without sockets: shape, signature, precision, budget, delay,
settlement.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ops.venues import signatures
from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_desk import NO_FUNDS, NO_MATCH, NOT_FILLED
from ops.venues.polymarket_faces import clob_json, market_json
from ops.venues.polymarket_market import book_hash
from ops.venues.polymarket_order import (
    OrderError,
    Posted,
    Signer,
    read_order,
)
from ops.venues.script import ASK, BID, BookSet, LevelSet, MarketTrade, StatusChange
from ops.venues.session import RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from tests.conftest import reference
from tests.ops.venues.rig import (
    API_KEY,
    ASKS,
    BEGIN_NS,
    BIDS,
    CONDITION,
    DELAYED_NO,
    DELAYED_YES,
    MARKETS,
    MS,
    PD,
    POLY_ADDRESS,
    TOKEN_NO,
    TOKEN_YES,
    KalshiKey,
    P,
    accounts,
    e6,
    poly_order,
    script_of,
    shape,
)

KEY = KalshiKey()


class Desk:
    """A Polymarket with the books of the rig; delayed work waits in `due` until the test lets
    it run.
    """

    def __init__(self, **changes: Any) -> None:
        script = script_of()
        clock = RunClock(script.timeline, mono=lambda: 0, wall=lambda: BEGIN_NS)
        spec = VenuesSpec(script=script, accounts=accounts(KEY, **changes), tls_cert="", tls_key="")
        self.due: list[tuple[int, Callable[[], None]]] = []
        self.log = VenueLog()
        listed = {index: market for index, market in enumerate(MARKETS) if index in (P, PD)}
        self.venue = Polymarket(
            spec,
            listed,
            clock=clock,
            log=self.log,
            later=lambda delay_ns, what: self.due.append((delay_ns, what)),
            on_subscribed=lambda: None,
        )
        for index in listed:
            self.venue.apply(BookSet(BEGIN_NS, index, BIDS, ASKS))
        funder = spec.accounts.polymarket_funder.lower()
        self.signer = Signer(address=POLY_ADDRESS.lower(), funder=funder)
        self.account = self.venue.account

    def read(self, body: Any) -> Posted:
        return read_order(body, self.venue.by_token, api_key=API_KEY, signer=self.signer)

    def post(self, **order: Any) -> tuple[dict[str, Any], str]:
        return self.venue.desk.post(self.read(poly_order(**order)))

    def refusal(self, **order: Any) -> str:
        with pytest.raises(OrderError) as caught:
            self.post(**order)
        return str(caught.value)

    def held(self, token: str) -> int:
        return self.account.tokens_e6.get(token, 0)

    def run_due(self) -> None:
        due, self.due = self.due, []
        for _, what in due:
            what()


def test_a_fak_buy_spends_its_budget_at_the_makers_price() -> None:
    desk = Desk()
    answer, outcome = desk.post(buy=True, maker="5.40", taker="10")  # 0.54 limit, asked at 0.52
    shares_e6 = e6("10") + e6("0.20") * 1_000_000 // e6("0.53")
    assert outcome == "matched"
    assert answer["status"] == "matched"
    assert e6(answer["takingAmount"]) == shares_e6 > e6("10")
    assert desk.held(TOKEN_YES) == shares_e6
    spent_e6 = e6(answer["makingAmount"])
    assert e6("5.399999") <= spent_e6 <= e6("5.40")
    assert desk.account.cash_e6 == e6("1000") - spent_e6 - desk.account.fees_e6
    assert desk.account.fees_e6 == 181_300  # 0.07 x 10.377358 x p(1-p), cut at 1e-5


def test_a_fak_takes_what_is_shown_and_kills_the_rest() -> None:
    desk = Desk()
    answer, outcome = desk.post(buy=True, maker="104", taker="200")
    assert (outcome, answer["takingAmount"], answer["makingAmount"]) == ("partial", "10", "5.2")
    assert desk.refusal(buy=True, maker="1.04", taker="2") == NO_MATCH


def test_a_fok_is_filled_whole_or_refused() -> None:
    desk = Desk()
    assert desk.refusal(buy=True, maker="104", taker="200", order_type="FOK") == NOT_FILLED
    assert desk.held(TOKEN_YES) == 0
    answer, _ = desk.post(buy=True, maker="5.20", taker="10", order_type="FOK")
    assert answer["takingAmount"] == "10"


def test_buying_no_is_the_mirror_of_selling_yes() -> None:
    desk = Desk()
    answer, _ = desk.post(buy=True, maker="10.60", taker="20", token=TOKEN_NO)
    assert answer["takingAmount"] == "20"
    assert desk.held(TOKEN_NO) == e6("20")
    assert desk.venue.by_token[TOKEN_NO].book.shown_e6(BID, e6("0.47")) == e6("10")


def test_a_gtc_buy_gets_its_shares_and_pays_less() -> None:
    desk = Desk()
    answer, _ = desk.post(buy=True, maker="5.5", taker="10", order_type="GTC")
    assert (answer["takingAmount"], answer["makingAmount"]) == ("10", "5.2")


def test_a_gtc_rests_reserves_and_can_be_cancelled() -> None:
    desk = Desk()
    answer, outcome = desk.post(buy=True, maker="4", taker="10", order_type="GTC")
    assert (outcome, answer["status"]) == ("live", "live")
    assert desk.account.free_cash_e6() == e6("996")
    assert desk.venue.by_token[TOKEN_YES].book.shown_e6(BID, e6("0.4")) == e6("10")
    found = desk.venue.desk.cancel([answer["orderID"], "0xno"])
    assert found["canceled"] == [answer["orderID"]]
    assert list(found["not_canceled"]) == ["0xno"]
    assert desk.account.free_cash_e6() == e6("1000")


def test_a_resting_order_is_filled_as_a_maker_without_fee() -> None:
    desk = Desk()
    desk.post(buy=True, maker="5.2", taker="10", token=TOKEN_NO, order_type="GTC")
    desk.venue.apply(MarketTrade(BEGIN_NS + MS, P, e6("0.50"), e6("4"), BID))
    assert desk.held(TOKEN_NO) == e6("4"), "NO at 0.52 rests as YES offered at 0.48"
    assert desk.account.cash_e6 == e6("1000") - e6("2.08")
    assert list(desk.account.trades.values())[-1]["trader_side"] == "MAKER"


def test_a_sell_needs_the_token_and_pays_its_fee_from_the_proceeds() -> None:
    desk = Desk()
    sell = {"buy": False, "maker": "10", "taker": "4.7"}
    assert desk.refusal(**sell) == NO_FUNDS
    desk.post(buy=True, maker="5.20", taker="10")
    cash_e6, fees_e6 = desk.account.cash_e6, desk.account.fees_e6
    answer, _ = desk.post(**sell)
    assert (answer["makingAmount"], answer["takingAmount"]) == ("10", "4.7")
    assert desk.account.cash_e6 == cash_e6 + e6("4.70") - (desk.account.fees_e6 - fees_e6)
    assert desk.held(TOKEN_YES) == 0


def test_the_fee_must_be_covered_too() -> None:
    desk = Desk(cash_polymarket_e6=e6("5.20"))
    assert desk.refusal(buy=True, maker="5.20", taker="10") == NO_FUNDS
    desk = Desk(cash_polymarket_e6=e6("5.40"))
    assert desk.post(buy=True, maker="5.20", taker="10")[1] == "matched"


def test_the_same_hash_is_refused_even_after_a_kill() -> None:
    desk = Desk()
    body = poly_order(buy=True, maker="1.02", taker="2", order_type="FAK")
    posted = desk.read(body)
    with pytest.raises(OrderError, match="no orders found"):
        desk.venue.desk.post(posted)
    with pytest.raises(OrderError, match=f"order {posted.order_id} is invalid. Duplicated."):
        desk.venue.desk.post(posted)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (
            {"buy": True, "maker": "5.205", "taker": "10"},
            "invalid amounts, the market buy orders maker amount supports a max accuracy of 2"
            " decimals, taker amount a max of 4 decimals",
        ),
        (
            {"buy": True, "maker": "5.2", "taker": "10.00001"},
            "invalid amounts, the market buy orders maker amount supports a max accuracy of 2"
            " decimals, taker amount a max of 4 decimals",
        ),
        (
            {"buy": True, "maker": "5.00001", "taker": "10", "order_type": "GTC"},
            "invalid amounts, the buy orders maker amount supports a max accuracy of 4 decimals,"
            " taker amount a max of 2 decimals",
        ),
        ({"buy": True, "maker": "0.52", "taker": "1"}, "invalid amount for a marketable BUY order"),
        ({"buy": True, "maker": "5.05", "taker": "10"}, "Price (0.505) breaks minimum tick size"),
        ({"buy": True, "maker": "10", "taker": "10"}, "Price (1) breaks minimum tick size rule"),
        (
            {"buy": True, "maker": "0.8", "taker": "2", "order_type": "GTC"},
            "Size (2) lower than the minimum: 5",
        ),
        ({"buy": True, "maker": "2000", "taker": "4000"}, NO_FUNDS),
        (
            {"buy": True, "maker": "5.2", "taker": "10", "order_type": "GTC", "post_only": True},
            "invalid post-only order: order crosses book",
        ),
        (
            {"buy": True, "maker": "4", "taker": "10", "order_type": "GTD", "expiration": "5"},
            "invalid expiration",
        ),
        (
            {"buy": True, "maker": "5.2", "taker": "10", "contract": signatures.NEG_RISK_EXCHANGE},
            "invalid signature",
        ),
        ({"buy": True, "maker": "5.2", "taker": "10", "token": "12345"}, "does not exist"),
        (
            {"buy": True, "maker": "5.2", "taker": "10", "order_type": "IOC"},
            "Invalid order payload",
        ),
    ],
)
def test_a_refusal_says_what_the_venue_says(order: dict[str, Any], text: str) -> None:
    desk = Desk()
    assert text in desk.refusal(**order)
    assert desk.account.cash_e6 == e6("1000")
    assert desk.account.tokens_e6 == {}


def test_a_held_back_taker_meets_the_book_as_it_is_then() -> None:
    desk = Desk()
    answer, outcome = desk.post(buy=True, maker="5.20", taker="10", token=DELAYED_YES)
    assert (outcome, answer["status"]) == ("delayed", "delayed")
    assert desk.due[0][0] == MARKETS[PD].taker_delay_ns
    assert desk.held(DELAYED_YES) == 0
    assert desk.account.free_cash_e6() < e6("1000") - e6("5.20")
    refused = desk.venue.desk.cancel([answer["orderID"]])
    assert "pending/delayed" in refused["not_canceled"][answer["orderID"]]
    desk.venue.apply(LevelSet(BEGIN_NS + MS, PD, ASK, e6("0.52"), e6("4")))
    desk.run_due()
    assert desk.held(DELAYED_YES) == e6("4")
    assert desk.account.open == {}


def test_a_held_back_taker_can_find_nothing() -> None:
    desk = Desk()
    desk.post(buy=True, maker="5.30", taker="10", token=DELAYED_NO)
    desk.venue.apply(BookSet(BEGIN_NS + MS, PD, (), ()))
    desk.run_due()
    assert desk.held(DELAYED_NO) == 0
    assert desk.account.free_cash_e6() == e6("1000")
    assert desk.log.counts["polymarket"]["delayed_unmatched"] == 1


def test_what_does_not_take_is_not_held_back() -> None:
    desk = Desk()
    answer, _ = desk.post(buy=True, maker="4", taker="10", token=DELAYED_YES, order_type="GTC")
    assert answer["status"] == "live"


def test_a_trade_lives_until_it_is_confirmed() -> None:
    desk = Desk()
    answer, _ = desk.post(buy=True, maker="5.20", taker="10")
    trade = desk.account.trades[answer["tradeIDs"][0]]
    seen = [trade["status"]]
    for _ in range(2):
        desk.run_due()
        seen.append(trade["status"])
    assert seen == ["MATCHED", "MINED", "CONFIRMED"]
    assert desk.due == []


@pytest.mark.parametrize(("value", "paid"), [("1", "10"), ("0", "0"), ("0.5", "5")])
def test_a_resolution_pays_the_tokens_and_ends_the_market(value: str, paid: str) -> None:
    desk = Desk()
    desk.post(buy=True, maker="5.20", taker="10")
    desk.post(buy=True, maker="4", taker="10", order_type="GTC")
    cash_e6 = desk.account.cash_e6
    desk.venue.apply(StatusChange(BEGIN_NS + MS, P, "finalized", e6(value)))
    assert desk.account.cash_e6 == cash_e6 + e6(paid)
    assert desk.account.open == {}
    assert "does not exist" in desk.refusal(buy=True, maker="5.20", taker="10")


def test_answers_and_rows_have_the_recorded_shapes() -> None:
    path = reference("fixtures/polymarket/rest_clob.json")
    recorded = {row["name"]: row["body"] for row in json.loads(path.read_text())}
    desk = Desk()
    matched, _ = desk.post(buy=True, maker="5.20", taker="10")
    assert shape(matched) == shape(recorded["post_order_matched"])
    live, _ = desk.post(buy=True, maker="4", taker="10", order_type="GTC")
    assert shape(live) == shape(recorded["post_order_live"])
    trade = shape(next(iter(desk.account.trades.values())))
    wanted = shape(recorded["trade_taker_mint"])
    assert trade == wanted
    market = desk.venue.by_condition[CONDITION]
    book = market.book_json(0)
    assert shape(book) == shape(recorded["book"])
    clob = shape(clob_json(market))
    assert set(recorded["clob_market"]) - set(clob) == {"itode"}, "only where takers are held"
    resolved = shape(recorded["market_resolved"])
    assert set(market_json(market)) == set(resolved)


def test_the_book_hash_is_the_official_clients() -> None:
    path = reference("fixtures/polymarket/amounts_fees_books.json")
    for case in json.loads(path.read_text())["book_hashes"]["cases"]:
        assert book_hash(case["book"]) == case["sha1"]
