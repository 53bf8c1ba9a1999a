"""`polymarket-client` judges the simulated Polymarket: it cannot tell it from the real one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from ops.venues import signatures
from ops.venues.tls import TlsPaths
from tests.judges import broken, polymarket_claims
from tests.judges.conftest import PythonOf
from tests.judges.hearing import CONDITION, NEG_CONDITION, POSITION_CONDITION, TOKENS, Heard
from tests.judges.polymarket_claims import EXCHANGES, WALLETS, Wallet, fee_e6
from tests.ops.venues import rig

pytestmark = [pytest.mark.judges, pytest.mark.timeout(600)]

CLIENT, FILE = "polymarket-client", "polymarket_client_judge.py"
Keep = Callable[[Heard], Heard]


@pytest.fixture(scope="module")
def heard(client_python: PythonOf, tls: TlsPaths, keep: Keep) -> Heard:
    return keep(polymarket_claims.run(CLIENT, client_python(CLIENT), FILE, tls))


def test_it_makes_its_key(heard: Heard) -> None:
    made = heard.answer("create")
    assert made["type"] == "EOA"
    assert made["credentials"]["key"] in heard.answer("fetch_api_keys")
    assert ("polymarket", "POST", "/auth/api-key", 200) in heard.requests
    assert heard.answer("get_closed_only_mode") is False


def test_a_market_and_its_books_are_read(heard: Heard) -> None:
    market = heard.answer("get_market")
    assert market["condition_id"] == CONDITION
    assert market["outcomes"]["yes"]["token_id"] == TOKENS[0]
    assert market["outcomes"]["no"]["token_id"] == TOKENS[1]
    polymarket_claims.check_books(heard)
    assert heard.answer("get_midpoint") == "0.495"
    assert heard.answer("get_spread") == "0.05"
    assert heard.answer("get_price BUY") == "0.47", "the best bid: what BUY means there"


def test_balances_and_allowances_are_read(heard: Heard) -> None:
    money = heard.answer("collateral before")
    assert money["balance"] == rig.e6("1000")
    assert set(money["allowances"]) >= EXCHANGES
    assert heard.answer("shares before")["balance"] == 0


def test_an_order_rests_is_read_and_canceled(heard: Heard) -> None:
    made = heard.answer("GTC buy")
    assert (made["ok"], made["status"], made["trade_ids"]) == (True, "live", [])
    order = heard.answer("get_order")
    assert (order["id"], order["price"], order["size_matched"]) == (made["order_id"], "0.4", "0")
    assert [row["id"] for row in heard.answer("open orders")] == [made["order_id"]]
    assert heard.answer("cancel_order") == {"canceled": [made["order_id"]], "not_canceled": {}}
    again = heard.answer("cancel_order again")
    assert again["canceled"] == [] and set(again["not_canceled"]) == {made["order_id"]}


def test_an_immediate_buy_spends_its_budget_and_settles(heard: Heard) -> None:
    taken = heard.answer("FAK buy")
    assert (taken["status"], taken["making_amount"], taken["taking_amount"]) == (
        "matched",
        "10.4",
        "20",
    )
    assert len(taken["trade_ids"]) == 1 and taken["transactions_hashes"] == []
    (transaction,) = heard.answer("settlement")
    assert transaction.startswith("0x") and len(transaction) == 66
    sold = heard.answer("FAK sell")
    assert (sold["making_amount"], sold["taking_amount"]) == ("5", "2.35")


def test_refusals_are_its_typed_errors(heard: Heard) -> None:
    for label, text in (
        ("FOK refused", "order couldn't be fully filled"),
        ("post-only that crosses", "crosses book"),
        ("the same again", "Duplicated."),
    ):
        call = heard.refusal(label)
        assert call["error"][0] == "RequestRejectedError", label
        assert call["fields"]["status"] == 400 and text in call["text"], label
    assert heard.refusal("off the tick")["error"][0] == "UserInputError", "refused by itself"


def test_batches_and_all_ways_to_cancel(heard: Heard) -> None:
    first, second = heard.answer("post_orders")
    assert [one["status"] for one in (first, second)] == ["live", "live"]
    open_ids = {row["id"] for row in heard.answer("three open")}
    gtd = heard.answer("GTD buy")["order_id"]
    assert open_ids == {gtd, first["order_id"], second["order_id"]}
    (expiring,) = [row for row in heard.answer("three open") if row["id"] == gtd]
    assert expiring["order_type"] == "GTD" and expiring["expires_at"]
    other = heard.answer("neg-risk buy")["order_id"]
    assert heard.answer("cancel_market_orders")["canceled"] == [other]
    assert set(heard.answer("cancel_all")["canceled"]) == open_ids
    assert heard.answer("none open") == []


def test_trades_and_money_agree_with_the_venues_own_log(heard: Heard) -> None:
    sold, bought = heard.answer("account trades")
    assert bought["id"] in heard.answer("FAK buy")["trade_ids"]
    assert (bought["side"], bought["size"], bought["price"]) == ("BUY", "20", "0.52")
    assert (sold["side"], sold["size"], sold["price"]) == ("SELL", "5", "0.47")
    spent_e6, gained_e6 = polymarket_claims.spent_e6(heard)
    fees_e6 = fee_e6("20", "0.52") + fee_e6("5", "0.47")
    assert spent_e6 == rig.e6("10.4") - rig.e6("2.35") + fees_e6
    assert gained_e6 == rig.e6("15")
    assert heard.counts["fills"] == 3, "one of them of the second protocol"
    assert heard.outcomes["matched"] == 3 and heard.outcomes["live"] == 5
    ids = {row[1] for row in heard.rows if row[4] == "live"}
    assert heard.answer("GTC buy")["order_id"] in ids


def test_a_position_of_the_second_protocol_is_signed_for_exchange_v3(heard: Heard) -> None:
    bought = heard.answer("second-protocol buy")
    assert (bought["status"], bought["making_amount"], bought["taking_amount"]) == (
        "matched",
        "5.2",
        "10",
    )
    assert 0 < heard.answer("second-protocol shares")["balance"] <= rig.e6("10")


def test_gamma_and_the_data_api_are_read(heard: Heard) -> None:
    conditions = {row["condition_id"] for row in heard.answer("list_markets")}
    assert conditions == {CONDITION, NEG_CONDITION, POSITION_CONDITION}
    assert len(heard.answer("list_events")) == 3
    (position,) = heard.answer("positions")
    assert position["asset_id"] == TOKENS[0] and Decimal(position["current_size"]) == 15
    assert Decimal(heard.answer("portfolio value")["value"]) > 0
    assert {row["side"] for row in heard.answer("public trades")} == {"BUY", "SELL"}
    assert len(heard.answer("activity")) == 2


def test_heartbeats_are_answered_and_a_stale_one_is_told_so(heard: Heard) -> None:
    assert heard.answer("heartbeat")["heartbeat_id"]
    assert heard.answer("next heartbeat")["heartbeat_id"]
    stale = heard.refusal("stale heartbeat")
    assert stale["error"][0] == "OrderHeartbeatMismatchError"


@pytest.mark.parametrize("wallet", WALLETS[1:], ids=lambda wallet: wallet.name)
def test_every_kind_of_wallet_trades(
    client_python: PythonOf, tls: TlsPaths, keep: Keep, wallet: Wallet
) -> None:
    """The client finds out itself which wallet of its key it was given."""
    python = client_python(CLIENT)
    found = keep(polymarket_claims.run(CLIENT, python, FILE, tls, wallet=wallet, short=True))
    assert found.answer("create")["type"] == wallet.name
    assert found.answer("GTC buy")["status"] == "live"
    assert found.answer("FAK buy")["status"] == "matched"
    assert found.answer("cancel_all")["canceled"] == [found.answer("GTC buy")["order_id"]]
    shares = Decimal(found.answer("FAK buy")["taking_amount"])
    assert found.answer("shares after")["balance"] == shares * 10**6


def test_a_wrong_key_of_the_balance_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.rename(monkeypatch, "/balance-allowance", "balance", "amount")
    python = client_python(CLIENT)
    found = polymarket_claims.run(CLIENT, python, FILE, tls, short=True)
    assert found.refusal("collateral after")["error"][0] == "UnexpectedResponseError"
    with pytest.raises(AssertionError, match="UnexpectedResponseError"):
        found.answer("collateral after")


def test_a_signature_check_that_refuses_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue expects another text under the signature that asks for a key."""
    monkeypatch.setattr(signatures, "CLOB_MESSAGE", "This message attests something else")
    with pytest.raises(AssertionError, match="Invalid L1 Request headers"):
        polymarket_claims.run(CLIENT, client_python(CLIENT), FILE, tls, short=True)
