"""The official clients sign beside us, each under its own interpreter in its own environment.

What they make is compared with ours (Polymarket) or verified with the public key (Kalshi's RSA
signatures are salted).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.environments import CLIENTS, Missing, python_of
from gateway.eip712 import CHAIN_ID, EXCHANGE, ZERO_WORD, Order, OrderSigner
from gateway.kalshi_auth import KalshiSigner
from ops.venues.signatures import KalshiVerifier

PEERS = Path(__file__).resolve().parent / "peers"
PEER_MAX_S = 120.0
SIGNERS = {
    "polymarket-client": "polymarket_client_sign.py",
    "polymarket-client with coincurve": "polymarket_client_sign.py",
    "py-clob-client-v2": "clob_client_sign.py",
}
KALSHI = "kalshi-python-sync"

Answer = dict[str, dict[str, list[Any]]]


def say(text: str) -> None:
    """A word to whoever waits."""
    print(f"bench: {text}", file=sys.stderr)  # noqa: T201


def ask(client: str, script: str, told: Mapping[str, object]) -> Answer | None:
    """The peer's answer; None, with a word on standard error, if it cannot be had here."""
    try:
        python = python_of(CLIENTS[client], say=say)
    except Missing as missing:
        say(str(missing))
        return None
    done = subprocess.run(
        [str(python), script], cwd=PEERS, input=json.dumps(told), capture_output=True, text=True,
        timeout=PEER_MAX_S, check=False, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, f"{client}: {done.stderr[-2000:]}"
    answer: Answer = json.loads(done.stdout)
    return answer


def polymarket_items(account: OrderSigner, orders: list[Order]) -> list[dict[str, object]]:
    """Orders as both clients hold them before they sign."""
    zero = "0x" + ZERO_WORD.hex()
    return [
        {
            "chain_id": CHAIN_ID, "builder": zero, "exchange_address": EXCHANGE, "expiration": 0,
            "maker": account.maker, "maker_amount": one.maker_e6, "metadata": zero,
            "order_type": "FAK", "salt": one.salt, "side": ("BUY", "SELL")[one.side],
            "signature_type": account.signature_type, "signer": account.signer,
            "taker_amount": one.taker_e6, "timestamp": one.stamp_ms,
            "token_id": str(one.token_id), "protocol_version": "2",
        }
        for one in orders
    ]  # fmt: skip


def polymarket(key: bytes, account: OrderSigner, orders: list[Order]) -> dict[str, list[float]]:
    """ns a signature by client. Every one of them must be ours, bit for bit."""
    wanted = ["0x" + account.sign(one, exchange=0)[1].hex() for one in orders]
    told = {"key": "0x" + key.hex(), "items": polymarket_items(account, orders)}
    found = {}
    for client, script in SIGNERS.items():
        answer = ask(client, script, told)
        if answer is not None:
            assert answer["order"]["left"] == wanted, f"{client}: other bytes"
            found[client] = [float(took) for took in answer["order"]["took_ns"]]
    return found


def kalshi(pems: Mapping[str, bytes], path: str, count: int) -> dict[str, list[float]]:
    """ns a header set by kind of key. Every signature must be good."""
    told = {"pems": {kind: pem.decode() for kind, pem in pems.items()}, "items": [path] * count}
    answer = ask(KALSHI, "kalshi_sign.py", told)
    found = {}
    for kind, one in (answer or {}).items():
        verifier = KalshiVerifier(KalshiSigner(pems[kind]).public_pem())
        for line in one["left"][:: max(count // 20, 1)]:
            stamp, _, signature = line.partition(" ")
            assert verifier.is_valid(signature, stamp, "POST", path), f"{KALSHI}: {kind}"
        found[kind] = [float(took) for took in one["took_ns"]]
    return found
