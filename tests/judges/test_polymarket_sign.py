"""`polymarket-client` signs random orders: its ids and signatures are ours, bit for bit."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.eip712 import (
    EXCHANGE,
    EXCHANGE_V3,
    NEG_RISK_EXCHANGE,
    SALT_MAX,
    Order,
    OrderSigner,
    checksum_address,
)
from tests.judges.conftest import PythonOf
from tests.judges.hearing import HERE

pytestmark = [pytest.mark.judges, pytest.mark.timeout(600)]

FAST, PLAIN = "polymarket-client with coincurve", "polymarket-client"
FILE = "polymarket_sign_judge.py"
ORDERS = 2_000 if os.environ.get("ARB_TEST_SHORT") else 10_000
ORDERS_PLAIN = 300  # its own code in Python takes ten times as long
JUDGE_MAX_S = 300.0
SEED = 20261121
KEY = bytes.fromhex("4c" * 32)
EXCHANGES = (EXCHANGE, NEG_RISK_EXCHANGE, EXCHANGE_V3)
VERSIONS = ("2", "2", "3")
Case = tuple[int, OrderSigner, Order]  # exchange, account, order


def word(pick: random.Random) -> bytes:
    """Metadata or a builder's code: mostly none."""
    return pick.randbytes(32) if pick.random() < 0.3 else bytes(32)


def amount(pick: random.Random) -> int:
    """Of any length, extremes among them."""
    return pick.choice((1, 2**63 - 1, pick.randrange(1, 10**6), pick.randrange(1, 10**13)))


def case(pick: random.Random, number: int) -> Case:
    """Signature types and exchanges in turn, so that every pair of them comes; all else random."""
    kind, exchange = number % 4, number // 4 % 3
    funder = checksum_address(pick.randbytes(20)) if kind else None
    account = OrderSigner(
        KEY, signature_type=kind, funder=funder, metadata=word(pick), builder=word(pick)
    )
    order = Order(
        salt=pick.choice((1, SALT_MAX, pick.randrange(1, SALT_MAX))),
        token_id=pick.choice((1, 2**256 - 1, pick.getrandbits(256), pick.getrandbits(64))),
        maker_e6=amount(pick),
        taker_e6=amount(pick),
        side=pick.randrange(2),
        stamp_ms=pick.choice((0, pick.randrange(1, 2**42))),
    )
    return exchange, account, order


def told(one: Case) -> dict[str, Any]:
    """The order as the client holds it before it signs."""
    exchange, account, order = one
    return {
        "chain_id": account.chain_id, "builder": "0x" + account.builder.hex(),
        "exchange_address": EXCHANGES[exchange], "expiration": 0, "maker": account.maker,
        "maker_amount": order.maker_e6, "metadata": "0x" + account.metadata.hex(),
        "order_type": "FAK", "salt": order.salt, "side": ("BUY", "SELL")[order.side],
        "signature_type": account.signature_type, "signer": account.signer,
        "taker_amount": order.taker_e6, "timestamp": order.stamp_ms,
        "token_id": str(order.token_id), "protocol_version": VERSIONS[exchange],
    }  # fmt: skip


def ours(one: Case) -> list[str]:
    """Our id and signature."""
    exchange, account, order = one
    digest, signature = account.sign(order, exchange=exchange)
    assert account.digest(order, exchange=exchange) == digest
    return ["0x" + digest.hex(), "0x" + signature.hex()]


def judge(python: Path, cases: list[Case]) -> list[list[str]]:
    """What the client makes of them, in one process of its own."""
    given = {"key": "0x" + KEY.hex(), "orders": [told(one) for one in cases]}
    done = subprocess.run(
        [str(python), str(HERE / FILE)], input=json.dumps(given), capture_output=True, text=True,
        timeout=JUDGE_MAX_S, check=False, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[list[str]] = json.loads(done.stdout)
    return answers


def differences(cases: list[Case], answers: list[list[str]]) -> list[str]:
    """One line for each order in which one of us is alone."""
    assert len(answers) == len(cases)
    found = []
    for number, (one, theirs) in enumerate(zip(cases, answers, strict=True)):
        mine = ours(one)
        found += [
            f"order {number} of seed {SEED}: {name}: ours {mine[at]}, theirs {theirs[at]}"
            for at, name in enumerate(("id", "signature"))
            if mine[at] != theirs[at]
        ]
    return found


def make(count: int) -> list[Case]:
    """The first so many of the seed."""
    pick = random.Random(SEED)
    return [case(pick, number) for number in range(count)]


def test_ten_thousand_random_orders_are_signed_as_the_official_client_does(
    client_python: PythonOf,
) -> None:
    cases = make(ORDERS)
    kinds = {(exchange, account.signature_type) for exchange, account, _ in cases}
    assert len(kinds) == 12
    assert differences(cases, judge(client_python(FAST), cases)) == []


def test_the_clients_own_curve_in_python_signs_the_same(client_python: PythonOf) -> None:
    cases = make(ORDERS_PLAIN)
    assert differences(cases, judge(client_python(PLAIN), cases)) == []


@pytest.fixture(name="answers", scope="module")
def _answers(client_python: PythonOf) -> list[list[str]]:
    return judge(client_python(FAST), make(24))


@pytest.mark.parametrize("name", Order._fields)
def test_a_single_other_field_is_noticed(answers: list[list[str]], name: str) -> None:
    cases = make(24)
    exchange, account, order = cases[7]
    other = 1 - order.side if name == "side" else getattr(order, name) ^ 2
    cases[7] = exchange, account, order._replace(**{name: other})
    found = differences(cases, answers)
    assert [line.partition(":")[0] for line in found] == [f"order 7 of seed {SEED}"] * 2
