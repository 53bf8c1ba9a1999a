# ruff: noqa: E402  (the kernel cache comes before numba)
"""`python -m tests.session.outsider` is `arb-supervisor` that tells, in the file ARB_TEST_TOLD,
what another client of the same account needs; `Outsider` is one, at Kalshi's REST.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops import cache, clock

cache.use()

from gateway.kalshi import CREATE
from gateway.kalshi_auth import KalshiSigner
from ops.session import Plan
from ops.sim import SimSession


class OutsiderSession(SimSession):
    """The simulated session; it tells."""

    def plans(self, ports: Mapping[str, Any], segment: str) -> tuple[Plan, ...]:
        """The same processes."""
        told = {
            "port": ports["venues"]["kalshi"]["rest"], "ca": str(self._tls.ca),
            "key": str(self._keys.kalshi_key_file), "key_id": self._keys.kalshi_key_id,
        }  # fmt: skip
        Path(os.environ["ARB_TEST_TOLD"]).write_text(json.dumps(told))
        return super().plans(ports, segment)


class Outsider:
    """Another client of the account, with its key."""

    def __init__(self, told: Path) -> None:
        found = json.loads(told.read_text())
        context = ssl.create_default_context(cafile=found["ca"])
        self._link = http.client.HTTPSConnection("localhost", found["port"], context=context)
        self._signer = KalshiSigner(Path(found["key"]).read_bytes())
        self._key_id = found["key_id"]

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One signed request; the answer's object. Not refused."""
        stamp_ms = clock.epoch_ns() // clock.MS_NS
        headers = {
            "KALSHI-ACCESS-KEY": self._key_id,
            "KALSHI-ACCESS-TIMESTAMP": str(stamp_ms),
            "KALSHI-ACCESS-SIGNATURE": self._signer.sign(stamp_ms, method, path).decode(),
            "Content-Type": "application/json",
        }
        self._link.request(method, path, json.dumps(body) if body else None, headers)
        answer = self._link.getresponse()
        raw = answer.read()
        assert answer.status < 300, (answer.status, raw)
        return json.loads(raw) if raw else None

    def order(self, ticker: str, shard: int, price: str, count: str, life: str) -> Any:
        """A bid of its own: the venue's answer."""
        return self.ask("POST", CREATE, {
            "ticker": ticker, "side": "bid", "count": count, "price": price,
            "time_in_force": life, "self_trade_prevention_type": "taker_at_cross",
            "exchange_index": shard, "client_order_id": f"outsider-{clock.mono_ns()}",
        })  # fmt: skip


if __name__ == "__main__":
    from ops import sim
    from ops.supervisor_cli import main

    sim.SimSession = OutsiderSession  # type: ignore[misc]
    sys.exit(main())
