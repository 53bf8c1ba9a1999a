"""Sign: a whole Polymarket order costs about 33 µs, an official client 400 to 6,000; on the hot
path only a dict look-up is left, and an order's id costs 100 ns in its kernel.

Topology: one process, one thread; each official client under its own interpreter, in its own
environment (`environments.py`), one after the other. Our digest and signature beside theirs of the
same orders; Kalshi header sets with RSA-2048 and Ed25519 keys beside theirs; the L2 HMAC over a
whole body; a request through both rings and the policy (an order on demand), and what the desk
pays: taking a pooled order (a pool hit), taking a header set, an order's id.
Cores: 1.
What would make it lie: signatures that differ (Polymarket's must be ours bit for bit, Kalshi's must
verify, else it stops); clients with and without a C library for the curve (both are shown); a busy
neighbour (p50 is compared, not means).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from numba import njit

import shm_layout as shm
from bench import harness, sign_peers
from gateway.eip712 import Order, OrderSigner
from gateway.hmac_auth import ApiSecrets, L2Auth
from gateway.kalshi_auth import KalshiSigner
from gateway.order_record import ID_BYTES, ID_CELLS, order_id, put_id
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
ID_GOAL_NS = 100
RUN_ID = 0x1234_5678_9ABC_DEF0


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
        account = PoolParams(maker=address, signer=address, owner="owner", levels=0, reach_e6=0)
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
        "on_demand_ns": harness.spread(asked),
        "pool_hit_ns": harness.spread(took_order[count // 10 :]),
        "take_headers_ns": harness.spread(took_set[count // 10 :]),
    }


@njit(cache=True)
def _ids(cells: shm.Words, count: int) -> None:
    for i in range(count):
        put_id(cells, 0, RUN_ID, i, i & 1)


def _order_id(batches: int) -> dict[str, object]:
    """ns of one id: in its kernel, called from Python, and as text."""
    cells, batch = np.zeros(ID_CELLS, np.int64), 1_000

    def compiled(count: int) -> None:
        _ids(cells, count)

    def plain(count: int) -> None:
        for i in range(count):
            order_id(RUN_ID, i, i & 1)

    ours, theirs = harness.side_by_side(compiled, plain, batch, batches)
    wanted = order_id(RUN_ID, batch - 1, batch - 1 & 1)
    assert cells.tobytes()[:ID_BYTES].decode() == wanted, cells.tobytes()
    median = float(np.median(ours))
    return {
        "order_id_kernel_ns": harness.spread(ours),
        "order_id_python_ns": harness.spread(theirs),
        "order_id_goal_informative": f"{median:.0f} ns, goal {ID_GOAL_NS}",
    }


def _polymarket(count: int) -> dict[str, object]:
    """Our signatures beside the official clients'."""
    eoa = OrderSigner(KEY)
    deposit = OrderSigner(KEY, signature_type=3, funder="0x" + "ab" * 20)
    ours = times(lambda i: eoa.sign(order(i), exchange=0), count)
    figures: dict[str, object] = {
        "order_ns": harness.spread(ours),
        "order_deposit_wallet_ns": harness.spread(
            times(lambda i: deposit.sign(order(i), exchange=0), count)
        ),
    }
    median = float(np.median(ours))
    figures["goal_informative"] = f"an order in {median / 1000:.0f} µs, goal {GOAL_NS // 1000} µs"
    orders = [order(i) for i in range(max(count // 20, 20))]
    for client, took in sign_peers.polymarket(KEY, eoa, orders).items():
        figures[f"order by {client}, ns"] = harness.spread(took)
        figures[f"order beside {client}_ratio"] = harness.ratio(ours, took)
    return figures


def _kalshi(count: int) -> dict[str, object]:
    """Header sets of both kinds of key beside the official client's."""
    pems = {
        "rsa": kalshi_pem(rsa.generate_private_key(65537, 2048)),
        "ed25519": kalshi_pem(ed25519.Ed25519PrivateKey.generate()),
    }
    theirs = sign_peers.kalshi(pems, PATH, count)
    figures: dict[str, object] = {}
    for kind, pem in pems.items():
        signer = KalshiSigner(pem)
        ours = times(lambda i, s=signer: s.sign(i, "POST", PATH), count)  # type: ignore[misc]
        figures[f"kalshi_{kind}_ns"] = harness.spread(ours)
        if kind in theirs:
            figures[f"kalshi {kind} by {sign_peers.KALSHI}, ns"] = harness.spread(theirs[kind])
            figures[f"kalshi_{kind}_ratio"] = harness.ratio(ours, theirs[kind])
    return figures


def run(quick: bool) -> dict[str, object]:
    """Every signature that the engine makes, the official clients', and what is left of them on the
    hot path.
    """
    count = 300 if quick else 3_000
    figures = _polymarket(count) | _kalshi(count // 3)
    address = OrderSigner(KEY).address
    secrets = ApiSecrets(api_key="k", secret=SECRET, passphrase="p", address=address)
    l2, body = L2Auth(secrets).path("POST", "/order"), b"x" * 800
    took = times(lambda i: l2.header_bytes(body, i), count)
    figures["l2_hmac_ns"] = harness.spread(took)
    with tempfile.TemporaryDirectory(prefix="arb-bench-") as folder:
        figures |= _on_the_path(Path(folder), count)
    return figures | _order_id(count // 3)
