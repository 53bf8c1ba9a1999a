"""Signer: a whole Polymarket order costs about 33 µs; on the hot path only a dict look-up is left.

Topology: one process, one thread. Our digest and signature beside `eth-account` signing the same
typed data (the named reference: the usual Python path), Kalshi header signatures with RSA-2048 and
Ed25519 keys, the L2 HMAC over a whole body, a request through both rings and the policy, and what
the desk pays: taking a pooled order and taking a header set.
Cores: 1.
What would make it lie: a curve library other than libsecp256k1 (the reference falls back to pure
Python, ten times slower, without coincurve); orders that differ between the sides (the reference's
signatures must be ours, bit for bit, or it stops); a busy neighbour (p50 is compared, not means).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from eth_account import Account

import shm_layout as shm
from bench import harness
from gateway.eip712 import CHAIN_ID, EXCHANGE, ORDER_TYPE, ZERO_WORD, Order, OrderSigner
from gateway.hmac_auth import ApiSecrets, L2Auth
from gateway.kalshi_auth import KalshiSigner
from gateway.policy import GATEWAY_RIGHTS
from gateway.pool import OrderPool, PoolParams
from gateway.signer import Signer, SignerParams
from gateway.signing import SigningClient

GOAL_NS = 33_000  # DESIGN, measured on a 2-core x86-64 VM
KEY = bytes.fromhex("11" * 32)
TOKEN = 2**255 + 12345
WALL_NS = 1_790_000_000_000_000_000
PATH = "/trade-api/v2/portfolio/events/orders"
SECRET = "yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc="
FIELDS = [dict(zip(("type", "name"), f.split(), strict=True)) for f in ORDER_TYPE[6:-1].split(",")]


def times(work: Callable[[int], object], count: int) -> list[float]:
    """ns of each call with 0, 1, 2 …, the first tenth dropped."""
    took = []
    for i in range(count):
        start = harness.now()
        work(i)
        took.append(float(harness.now() - start))
    return took[count // 10 :]


def order(i: int) -> Order:
    """The i-th order: only its salt differs."""
    return Order(1 + i, TOKEN, 4_500_000, 10_000_000, 0, WALL_NS // 1_000_000)


def by_eth_account(i: int, address: str) -> bytes:
    """The same order signed by the usual library."""
    found = order(i)
    message = {
        "salt": found.salt, "maker": address, "signer": address, "tokenId": found.token_id,
        "makerAmount": found.maker_e6, "takerAmount": found.taker_e6, "side": 0,
        "signatureType": 0, "timestamp": found.stamp_ms, "metadata": ZERO_WORD,
        "builder": ZERO_WORD,
    }  # fmt: skip
    domain = {"name": "Polymarket CTF Exchange", "version": "2", "chainId": CHAIN_ID,
              "verifyingContract": EXCHANGE}  # fmt: skip
    signed = Account.sign_typed_data(
        KEY, domain_data=domain, message_types={"Order": FIELDS}, message_data=message
    )
    return bytes(signed.signature)


def kalshi_pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """PKCS#8."""
    form, raw = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, raw)


class Rig:
    """Signer, client and pool in one process over private memory, with one market."""

    def __init__(self, folder: Path) -> None:
        self.main, self.channel = shm.Segment.private(), shm.Segment.private(shm.CHANNEL)
        self._write_market()
        for name, raw in (("k", kalshi_pem(ed25519.Ed25519PrivateKey.generate())),
                          ("p", KEY.hex().encode())):  # fmt: skip
            path = folder / name
            path.write_bytes(raw)
            path.chmod(0o600)
        params = SignerParams(
            clients=(GATEWAY_RIGHTS,), kalshi_key_file=str(folder / "k"), hide_memory=False,
            polymarket_key_file=str(folder / "p"),
        )  # fmt: skip
        clock = self.clock
        self.now_ns = 0
        self.signer = Signer(self.main, [self.channel], params, 1, clock)
        self.client = SigningClient(self.channel, self.main, clock=clock, kalshi_key_id="id")
        address = OrderSigner(KEY).address
        account = PoolParams(maker=address, signer=address, owner="owner", levels=0)
        self.pool = OrderPool(self.client, self.main, params=account, clock=clock)

    def clock(self) -> int:
        """Wall time: a few milliseconds each turn, so that header stamps stay distinct."""
        return WALL_NS + self.now_ns

    def _write_market(self) -> None:
        def body(record: np.dtype[np.void], **values: int | list[int]) -> shm.Words:
            out = np.zeros(shm.BODY, np.int64)
            for name, value in values.items():
                found = value if isinstance(value, list) else [value]
                out[shm.cell(record, name) : shm.cell(record, name) + len(found)] = found
            return out

        tokens = shm.uint256_to_cells(TOKEN)
        row = body(
            shm.INSTRUMENT, index=0, generation=1, venue=shm.VENUES.index("polymarket"), live=1,
            token_yes=tokens, token_no=tokens,
        )  # fmt: skip
        quote = body(
            shm.QUOTE, generation=1, tick_epoch=1, settlement_e6=-1, grid=[shm.E6, 10_000],
            size_step_e6=10_000, size_min_e6=10_000, notional_step_e6=10_000,
            notional_min_e6=shm.E6, bids=[440_000, shm.E6], asks=[450_000, shm.E6],
        )  # fmt: skip
        self.main.write("instruments", 0, row)
        self.main.write("quotes", 0, quote)

    def turn(self, _: int = 0) -> None:
        """Pool, client and signer once."""
        self.now_ns += 3_000_000
        self.client.pump(self.now_ns)
        self.pool.pump(self.now_ns)
        self.signer.step(self.now_ns)
        self.client.pump(self.now_ns)


def _on_the_path(folder: Path, count: int) -> dict[str, object]:
    """What a signature costs through the rings, and what the desk pays for one made ahead."""
    rig = Rig(folder)
    answers: list[object] = []
    for _ in range(2_000):
        rig.turn()
    assert len(rig.pool) > 20, len(rig.pool)
    took_order, took_set = [], []
    rig.client.keep("POST", PATH, 2)
    for _ in range(count):
        rig.turn()
        key = next(iter(rig.pool._entries))
        start = harness.now()
        entry = rig.pool.take_order(*key, 1, rig.now_ns)
        took_order.append(float(harness.now() - start))
        assert entry is not None
        answers.append(entry.hash)
        start = harness.now()
        lines = rig.client.take_headers("POST", PATH, rig.now_ns)
        took_set.append(float(harness.now() - start))
        assert lines is not None
        rig.pool.spent(entry.hash)
    assert len(set(answers)) == count

    def ask(i: int) -> None:
        assert rig.pool.request_now(0, 0, 1, 450_000, 10_000_000 + 20_000 * i, 1) is not None
        rig.signer.step(rig.now_ns)
        rig.client.poll()

    before = rig.pool.signed
    asked = times(ask, min(count, 500))
    assert rig.pool.signed - before == min(count, 500)
    return {
        "request_to_answer_ns": harness.spread(asked),
        "take_order_ns": harness.spread(took_order[count // 10 :]),
        "take_headers_ns": harness.spread(took_set[count // 10 :]),
    }


def run(quick: bool) -> dict[str, object]:
    """Every signature that the engine makes, and what is left of them on the hot path."""
    count = 300 if quick else 3_000
    eoa = OrderSigner(KEY)
    deposit = OrderSigner(KEY, signature_type=3, funder="0x" + "ab" * 20)
    for i in range(3):
        assert eoa.sign(order(i), exchange=0)[1] == by_eth_account(i, eoa.address), "other bytes"
    ours = times(lambda i: eoa.sign(order(i), exchange=0), count)
    usual = times(lambda i: by_eth_account(i, eoa.address), count // 10)
    l2 = L2Auth(ApiSecrets(api_key="k", secret=SECRET, passphrase="p", address=eoa.address))
    body = b"x" * 800
    figures: dict[str, object] = {
        "order_ns": harness.spread(ours),
        "order_deposit_wallet_ns": harness.spread(
            times(lambda i: deposit.sign(order(i), exchange=0), count)
        ),
        "order_eth_account_ns": harness.spread(usual),
        "order_ratio": harness.ratio(ours, usual),
        "l2_hmac_ns": harness.spread(
            times(lambda i: l2.header_bytes("POST", "/order", body, i), count)
        ),
    }
    keys = {
        "kalshi_rsa_ns": KalshiSigner(kalshi_pem(rsa.generate_private_key(65537, 2048))),
        "kalshi_ed25519_ns": KalshiSigner(kalshi_pem(ed25519.Ed25519PrivateKey.generate())),
    }
    for name, signer in keys.items():
        took = times(lambda i, s=signer: s.sign(i, "POST", PATH), count // 3)  # type: ignore[misc]
        figures[name] = harness.spread(took)
    with tempfile.TemporaryDirectory(prefix="arb-bench-") as folder:
        figures |= _on_the_path(Path(folder), count)
    median = float(np.median(ours))
    figures["goal_informative"] = f"an order in {median / 1000:.0f} µs, goal {GOAL_NS // 1000} µs"
    return figures
