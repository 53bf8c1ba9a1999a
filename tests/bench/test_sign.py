"""The bench of signatures: its own figures without a peer, and peers that sign otherwise."""

from __future__ import annotations

import pytest

from bench import sign, sign_peers
from gateway.eip712 import OrderSigner


def test_without_a_client_our_own_figures_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_peers, "ask", lambda *_: None)
    found = sign._polymarket(40) | sign._kalshi(10) | sign._order_id(10)
    names = {"order_ns", "kalshi_rsa_ns", "kalshi_ed25519_ns", "order_id_kernel_ns"}
    assert names <= found.keys() and not [name for name in found if name.endswith("_ratio")]


def test_a_client_that_makes_other_bytes_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    account, orders = OrderSigner(sign.KEY), [sign.order(i) for i in range(3)]
    right = ["0x" + account.sign(one, exchange=0)[1].hex() for one in orders]
    answer = {"order": {"took_ns": [1, 1, 1], "left": right}}
    monkeypatch.setattr(sign_peers, "ask", lambda *_: answer)
    assert set(sign_peers.polymarket(sign.KEY, account, orders)) == set(sign_peers.SIGNERS)
    answer["order"]["left"] = [*right[:2], right[0]]
    with pytest.raises(AssertionError, match="other bytes"):
        sign_peers.polymarket(sign.KEY, account, orders)
