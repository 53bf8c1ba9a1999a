"""`py-clob-client-v2` judges the simulated Polymarket: it cannot tell it from the real one."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ops.venues import signatures
from ops.venues.tls import TlsPaths
from tests.judges import broken, polymarket_claims
from tests.judges.conftest import PythonOf
from tests.judges.hearing import CONDITION, TOKENS, Heard
from tests.judges.polymarket_claims import EXCHANGES, WALLETS, Wallet, fee_e6
from tests.ops.venues import rig

pytestmark = [pytest.mark.judges, pytest.mark.timeout(600)]

CLIENT, FILE = "py-clob-client-v2", "clob_client_judge.py"
Keep = Callable[[Heard], Heard]


@pytest.fixture(scope="module")
def heard(client_python: PythonOf, tls: TlsPaths, keep: Keep) -> Heard:
    return keep(polymarket_claims.run(CLIENT, client_python(CLIENT), FILE, tls))


def test_a_key_is_made_and_derived_again(heard: Heard) -> None:
    made = heard.answer("create_api_key")
    assert made["api_key"] and heard.answer("derive_api_key") == made
    assert made["api_key"] in heard.answer("get_api_keys")["apiKeys"]
    assert heard.answer("get_closed_only_mode") == {"closed_only": False}


def test_the_venue_says_what_it_is(heard: Heard) -> None:
    assert heard.answer("get_ok") == "OK"
    assert heard.answer("get_version") == 2
    assert abs(heard.answer("get_server_time") - time.time()) < 600


def test_books_ticks_and_market_facts_are_read(heard: Heard) -> None:
    polymarket_claims.check_books(heard)
    yes = heard.answer("get_order_book yes")
    assert heard.answer("book hash") == yes["hash"], "the client counts the same hash"
    assert heard.answer("get_order_books") == [yes, heard.answer("get_order_book no")]
    assert heard.answer("get_tick_size") == "0.01"
    assert heard.answer("get_neg_risk") is False
    assert heard.answer("get_neg_risk of a neg-risk market") is True
    assert heard.answer("get_midpoint") == {"mid": "0.495"}
    assert heard.answer("get_spread") == {"spread": "0.05"}
    assert heard.answer("get_price") == {"price": "0.47"}
    market = heard.answer("get_market")
    assert market["condition_id"] == CONDITION
    assert [one["token_id"] for one in market["tokens"]] == list(TOKENS)
    info = heard.answer("get_clob_market_info")
    assert [one["t"] for one in info["t"]] == list(TOKENS)
    assert info["fd"] == {"r": "0.07", "e": 1, "to": True}


def test_balances_and_allowances_are_read(heard: Heard) -> None:
    money = heard.answer("collateral before")
    assert money["balance"] == str(rig.e6("1000"))
    assert set(money["allowances"]) >= EXCHANGES
    assert heard.answer("shares before")["balance"] == "0"


def test_an_order_rests_is_read_and_canceled(heard: Heard) -> None:
    made = heard.answer("GTC buy")
    assert (made["success"], made["errorMsg"], made["status"]) == (True, "", "live")
    order = heard.answer("get_order")
    assert (order["id"], order["price"], order["size_matched"]) == (made["orderID"], "0.4", "0")
    assert heard.answer("open orders") == [order]
    assert heard.answer("cancel_order") == {"canceled": [made["orderID"]], "not_canceled": {}}
    assert heard.refusal("get_order after")["fields"]["status_code"] == 404


@pytest.mark.parametrize(
    ("label", "making", "taking"),
    [
        ("FAK buy", "10.4", "20"),
        ("FOK buy", "10.6", "20"),
        ("FAK sell", "5", "2.35"),
        ("GTC sell that takes", "10", "4.7"),
    ],
)
def test_an_order_that_takes_is_matched_and_mined(
    heard: Heard, label: str, making: str, taking: str
) -> None:
    """The client itself polls /data/trades for the transaction of each match."""
    taken = heard.answer(label)
    assert (taken["status"], taken["makingAmount"], taken["takingAmount"]) == (
        "matched",
        making,
        taking,
    )
    assert len(taken["tradeIDs"]) == len(taken["transactionsHashes"]) == 1


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("FOK refused", "order couldn't be fully filled. FOK orders are fully filled or killed."),
        ("post-only that crosses", "invalid post-only order: order crosses book"),
        ("too small", "lower than the minimum: 5"),
        ("signed for the other exchange", "invalid signature"),
        ("the same again", "is invalid. Duplicated."),
    ],
)
def test_a_refusal_has_the_venues_words(heard: Heard, label: str, text: str) -> None:
    call = heard.refusal(label)
    assert call["error"][0] == "PolyApiException"
    assert call["fields"]["status_code"] == 400
    assert text in call["fields"]["error_msg"]["error"]


def test_batches_and_all_ways_to_cancel(heard: Heard) -> None:
    first, second = (row["orderID"] for row in heard.answer("post_orders"))
    gtd, other = heard.answer("GTD buy")["orderID"], heard.answer("neg-risk buy")["orderID"]
    assert {row["id"] for row in heard.answer("four open")} == {first, second, gtd, other}
    assert heard.answer("cancel_market_orders")["canceled"] == [other]
    assert heard.answer("cancel_orders")["canceled"] == [first]
    assert set(heard.answer("cancel_all")["canceled"]) == {second, gtd}
    assert heard.answer("none open") == []


def test_trades_and_money_agree_with_the_venues_own_log(heard: Heard) -> None:
    trades = heard.answer("trades")
    matched = ("GTC sell that takes", "FAK sell", "FOK buy", "FAK buy")
    ids = [heard.answer(label)["tradeIDs"][0] for label in matched]
    assert [row["id"] for row in trades] == ids, "newest first"
    assert {row["trader_side"] for row in trades} == {"TAKER"}
    spent_e6, gained_e6 = polymarket_claims.spent_e6(heard)
    fees_e6 = sum(
        fee_e6(shares, price)
        for shares, price in (("20", "0.52"), ("20", "0.53"), ("5", "0.47"), ("10", "0.47"))
    )
    assert spent_e6 == rig.e6("21") - rig.e6("7.05") + fees_e6
    assert gained_e6 == rig.e6("25")
    assert heard.counts["fills"] == heard.outcomes["matched"] == len(trades) + 1
    assert heard.outcomes["live"] == 5


def test_a_position_of_the_second_protocol_is_signed_for_exchange_v3(heard: Heard) -> None:
    bought = heard.answer("second-protocol buy")
    assert (bought["status"], bought["makingAmount"], bought["takingAmount"]) == (
        "matched",
        "5.2",
        "10",
    )


def test_heartbeats_are_answered_and_a_stale_one_is_told_so(heard: Heard) -> None:
    first, second = (heard.answer(label) for label in ("heartbeat", "next heartbeat"))
    assert first["heartbeat_id"] != second["heartbeat_id"]
    stale = heard.refusal("stale heartbeat")["fields"]
    assert stale["status_code"] == 400
    assert stale["error_msg"]["heartbeat_id"] == second["heartbeat_id"], "the one to use"


@pytest.mark.parametrize("wallet", WALLETS[1:], ids=lambda wallet: wallet.name)
def test_every_signature_type_trades(
    client_python: PythonOf, tls: TlsPaths, keep: Keep, wallet: Wallet
) -> None:
    python = client_python(CLIENT)
    found = keep(polymarket_claims.run(CLIENT, python, FILE, tls, wallet=wallet, short=True))
    assert found.answer("GTC buy")["status"] == "live"
    assert found.answer("FAK buy")["status"] == "matched"
    assert found.answer("cancel_all")["canceled"] == [found.answer("GTC buy")["orderID"]]
    taken = found.answer("FAK buy")["takingAmount"]
    assert found.answer("shares after")["balance"] == str(rig.e6(taken))


def test_a_wrong_key_of_the_tick_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.rename(monkeypatch, "/tick-size", "minimum_tick_size", "tick")
    with pytest.raises(AssertionError, match="minimum_tick_size"):
        polymarket_claims.run(CLIENT, client_python(CLIENT), FILE, tls, short=True)


def test_a_signature_check_that_refuses_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue expects another text under the signature that asks for a key."""
    monkeypatch.setattr(signatures, "CLOB_MESSAGE", "This message attests something else")
    python = client_python(CLIENT)
    with pytest.raises(AssertionError):
        found = polymarket_claims.run(CLIENT, python, FILE, tls, short=True)
        test_a_key_is_made_and_derived_again(found)
