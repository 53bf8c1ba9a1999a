"""`kalshi-python-sync` judges the simulated Kalshi: it cannot tell it from the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ops.venues.tls import TlsPaths
from tests.judges import broken
from tests.judges.conftest import PythonOf
from tests.judges.hearing import SHARD2, TICKER, Heard, hear, script
from tests.ops.venues import rig

pytestmark = [pytest.mark.judges, pytest.mark.timeout(600)]

CLIENT, FILE = "kalshi-python-sync", "kalshi_judge.py"
KEY = rig.KalshiKey()
BASE = "/trade-api/v2"
Form = serialization.PrivateFormat


def pem(key: rig.KalshiKey, form: Form = Form.PKCS8) -> str:
    plain = serialization.NoEncryption()
    return key.key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


def run(
    python: Path,
    tls: TlsPaths,
    *,
    key: rig.KalshiKey = KEY,
    short: bool = False,
    form: Form = Form.PKCS8,
    **options: Any,
) -> Heard:
    given = {
        "key_id": rig.KEY_ID,
        "pem": pem(key, form),
        "ticker": TICKER,
        "shard2": SHARD2,
        "short": short,
        "series": TICKER.partition("-")[0],
        "begin_s": rig.BEGIN_NS // 10**9,
    }
    options.setdefault("key", key)
    # A Monday: on Thursdays the venue pauses, whatever day the test runs.
    options.setdefault("made", script(begin_ns=rig.BEGIN_NS))
    return hear(CLIENT, python, FILE, tls, venue="kalshi", given=given, **options)


@pytest.fixture(scope="module")
def heard(
    client_python: PythonOf, tls: TlsPaths, keep: Callable[[Heard], Heard]
) -> Iterator[Heard]:
    yield keep(run(client_python(CLIENT), tls))


def refused(heard: Heard, label: str) -> tuple[str, int, str]:
    """(type of the exception, status, code) of a refusal."""
    call = heard.refusal(label)
    body = call["fields"]["body"]
    code = broken.code_of(body)
    return call["error"][0], call["fields"]["status"], code


def test_the_balance_is_whole_and_by_shard(heard: Heard) -> None:
    balance = heard.answer("get_balance")
    assert balance["balance_dollars"] == "1010.0000"
    assert balance["balance"] == 101_000, "cents"
    shards = {row["exchange_index"]: row["balance"] for row in balance["balance_breakdown"]}
    assert shards == {0: "1000.0000", 2: "10.0000"}


def test_the_exchange_tells_its_state_and_limits(heard: Heard) -> None:
    status = heard.answer("get_exchange_status")
    assert status["exchange_active"] and status["trading_active"]
    assert {row["exchange_index"] for row in status["exchange_index_statuses"]} == {0, 1, 2, 3}
    assert heard.answer("get_exchange_schedule")["schedule"]["standard_hours"]
    assert heard.answer("get_user_data_timestamp")["as_of_time"]
    limits = heard.answer("get_account_api_limits")
    assert limits["write"]["refill_rate"] == limits["read"]["refill_rate"] > 0
    assert heard.answer("get_account_endpoint_costs")["endpoint_costs"]


def test_markets_and_events_are_listed(heard: Heard) -> None:
    markets = {row["ticker"]: row for row in heard.answer("get_markets")["markets"]}
    assert set(markets) == {TICKER, SHARD2}
    assert markets[SHARD2]["exchange_index"] == 2
    assert heard.answer("get_market")["market"]["price_ranges"] == [
        {"start": "0.0000", "end": "1.0000", "step": "0.0100"}
    ]
    assert heard.answer("get_event")["event"]["series_ticker"] == TICKER.partition("-")[0]
    assert refused(heard, "get_market unknown")[:2] == ("NotFoundException", 404)
    series = TICKER.partition("-")[0]
    assert heard.answer("get_series")["series"]["fee_type"] == "quadratic"
    assert series in {row["ticker"] for row in heard.answer("get_series_list")["series"]}
    assert len(heard.answer("get_events")["events"]) == 2
    assert heard.answer("get_series_fee_changes") == {"series_fee_change_arr": []}


def test_prints_and_candles_are_read(heard: Heard) -> None:
    assert heard.answer("get_trades")["trades"] == [], "nobody has traded yet"
    prints = heard.answer("get_trades after")["trades"]
    told = [(row["yes_price_dollars"], row["count_fp"]) for row in prints]
    assert told == [("0.4700", "5.50"), ("0.5300", "5.00"), ("0.5200", "20.00")], "newest first"
    (candle,) = heard.answer("get_market_candlesticks")["candlesticks"]
    assert candle["yes_bid"]["open_dollars"] == "0.4700"
    assert candle["yes_ask"]["open_dollars"] == "0.5200"


def test_the_orderbook_is_two_lists_of_bids_worst_first(heard: Heard) -> None:
    yes = [["0.4600", "100.00"], ["0.4700", "30.00"]]
    no = [["0.4000", "1000.00"], ["0.4700", "50.50"], ["0.4800", "20.00"]]
    book = heard.answer("get_market_orderbook")["orderbook_fp"]
    assert book == {"yes_dollars": yes, "no_dollars": no}
    top = heard.answer("get_market_orderbook depth 1")["orderbook_fp"]
    assert top == {"yes_dollars": yes[-1:], "no_dollars": no[-1:]}
    both = heard.answer("get_market_orderbooks")["orderbooks"]
    assert [row["ticker"] for row in both] == [TICKER, SHARD2]
    assert both[0]["orderbook_fp"] == book


def test_an_order_rests_is_amended_decreased_and_canceled(heard: Heard) -> None:
    made = heard.answer("create resting")
    assert (made["fill_count"], made["remaining_count"]) == ("0.00", "10.00")
    order = heard.answer("get_order")["order"]
    assert order["order_id"] == made["order_id"]
    assert (order["status"], order["yes_price_dollars"]) == ("resting", "0.4000")
    assert heard.answer("amend_order_v2")["remaining_count"] == "8.00"
    assert heard.answer("decrease_order_v2 by")["remaining_count"] == "6.00"
    assert heard.answer("decrease_order_v2 to")["remaining_count"] == "3.00"
    assert heard.answer("get_order_queue_position")["queue_position_fp"] == "0.00"
    (place,) = heard.answer("get_order_queue_positions")["queue_positions"]
    assert place["order_id"] == made["order_id"]
    bound = heard.answer("get_portfolio_resting_order_total_value")
    assert bound["total_resting_order_value"] == 123, "cents: 3 at 0.41"
    (resting,) = heard.answer("get_orders resting")["orders"]
    assert resting["remaining_count_fp"] == "3.00"
    assert resting["yes_price_dollars"] == "0.4100"
    assert heard.answer("cancel_order_v2")["reduced_by"] == "3.00"
    again = refused(heard, "cancel_order_v2 again")
    assert again == ("NotFoundException", 404, "not_found")


def test_immediate_orders_fill_at_resting_prices(heard: Heard) -> None:
    bought = heard.answer("create IOC filled")
    assert (bought["fill_count"], bought["remaining_count"]) == ("25.00", "0.00")
    assert bought["average_fill_price"] == "0.5220", "20 at 0.52 and 5 at 0.53"
    sold = heard.answer("create IOC ask")
    assert (sold["fill_count"], sold["average_fill_price"]) == ("5.50", "0.4700")
    nothing = heard.answer("create IOC unfilled")
    assert (nothing["fill_count"], nothing["remaining_count"]) == ("0.00", "0.00")
    assert nothing["average_fill_price"] is None


@pytest.mark.parametrize(
    ("label", "kind", "status", "code"),
    [
        ("create FOK", "ConflictException", 409, "fill_or_kill_insufficient_resting_volume"),
        ("create again", "ConflictException", 409, "order_already_exists"),
        ("create off the grid", "BadRequestException", 400, "invalid_price"),
        ("create too dear", "BadRequestException", 400, "insufficient_balance"),
        ("create post-only", "BadRequestException", 400, "invalid_order"),
        ("cancel on shard 0", "NotFoundException", 404, "not_found"),
    ],
)
def test_a_refusal_is_the_clients_typed_exception(
    heard: Heard, label: str, kind: str, status: int, code: str
) -> None:
    assert refused(heard, label) == (kind, status, code)


def test_a_batch_answers_order_by_order(heard: Heard) -> None:
    first, second, off = heard.answer("batch_create_orders_v2")["orders"]
    assert first["order_id"] and second["order_id"]
    assert not off["order_id"] and off["error"]["code"] == "invalid_price"
    gone = heard.answer("batch_cancel_orders_v2")["orders"]
    assert [row["order_id"] for row in gone] == [first["order_id"], second["order_id"]]
    assert [row["reduced_by"] for row in gone] == ["1.00", "1.00"]


def test_shard_2_has_its_own_orders(heard: Heard) -> None:
    assert heard.answer("create on shard 2")["remaining_count"] == "5.00"
    assert heard.answer("cancel on shard 2")["reduced_by"] == "5.00"
    moved = heard.answer("intra_exchange_instance_transfer")["transfer_id"]
    (row,) = heard.answer("get_intra_exchange_instance_transfers")["transfers"]
    assert (row["transfer_id"], row["amount"]) == (moved, "5.0000")


def test_a_group_of_orders_lives_is_triggered_and_reset(heard: Heard) -> None:
    group = heard.answer("create_order_group")["order_group_id"]
    order = heard.answer("create in group")
    assert order["remaining_count"] == "5.00"
    assert [row["id"] for row in heard.answer("get_order_groups")["order_groups"]] == [group]
    one = heard.answer("get_order_group")
    assert one["orders"] == [order["order_id"]] and one["is_auto_cancel_enabled"] is not None
    for label in ("update_order_group_limit", "trigger_order_group", "reset_order_group"):
        heard.answer(label)
    heard.refusal("create in a triggered group")
    assert heard.answer("create after the reset")["remaining_count"] == "5.00"
    heard.answer("delete_order_group")


def test_fills_positions_and_cash_agree_with_the_venues_own_log(heard: Heard) -> None:
    fills = heard.answer("get_fills")["fills"]
    assert len(fills) == heard.counts["fills"] == 3
    assert {fill["is_taker"] for fill in fills} == {True}
    (position,) = heard.answer("get_positions")["market_positions"]
    assert position["position_fp"] == "19.50", "25 bought, 5.5 sold"
    money, fees = Decimal(0), Decimal(0)
    for fill in fills:
        sign = -1 if fill["book_side"] == "bid" else 1
        money += sign * Decimal(fill["count_fp"]) * Decimal(fill["yes_price_dollars"])
        fees += Decimal(fill["fee_cost"])
    before = Decimal(heard.answer("get_balance")["balance_dollars"])
    assert Decimal(heard.answer("get_balance after")["balance_dollars"]) == before + money - fees
    rows = {row["order_id"]: row for row in heard.answer("get_orders")["orders"]}
    assert {fill["order_id"] for fill in fills} <= set(rows)
    heard.answer("cancel_all_orders")
    assert heard.outcomes["filled"] == 2 and heard.outcomes["unfilled"] == 2


@pytest.mark.parametrize("form", [Form.PKCS8, Form.TraditionalOpenSSL], ids=["PKCS8", "PKCS1"])
def test_an_rsa_key_signs_as_well(
    client_python: PythonOf, tls: TlsPaths, keep: Callable[[Heard], Heard], form: Form
) -> None:
    key = rig.KalshiKey(rsa.generate_private_key(public_exponent=65_537, key_size=2048))
    found = keep(run(client_python(CLIENT), tls, key=key, short=True, form=form))
    test_the_balance_is_whole_and_by_shard(found)
    assert found.answer("cancel_order_v2")["reduced_by"] == "10.00"


def test_a_wrong_key_of_the_balance_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken.rename(monkeypatch, f"{BASE}/portfolio/balance", "balance_dollars", "balance_usd")
    with pytest.raises(AssertionError, match="balance_dollars"):
        test_the_balance_is_whole_and_by_shard(run(client_python(CLIENT), tls, short=True))


def test_a_venue_that_takes_no_signature_turns_the_judge_red(
    client_python: PythonOf, tls: TlsPaths
) -> None:
    """The venue knows another key than the client signs with."""
    found = run(client_python(CLIENT), tls, short=True, accounts=rig.accounts(rig.KalshiKey()))
    expected = ("UnauthorizedException", 401, "authentication_error")
    assert refused(found, "get_balance") == expected
    with pytest.raises(AssertionError, match="UnauthorizedException"):
        test_the_balance_is_whole_and_by_shard(found)
