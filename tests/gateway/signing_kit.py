"""What the signer's tests share: throw-away keys in private files, a market, clocks by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.eip712 import OrderSigner
from gateway.order_amounts import amounts_e6
from gateway.policy import GATEWAY_RIGHTS, Caps, ClientRights
from gateway.pool import PoolParams
from gateway.signer import Signer, SignerParams
from gateway.signing import OrderFields, Signed, SigningClient
from shm_layout import (
    BODY,
    CHANNEL,
    E6,
    INSTRUMENT,
    NONE_NS,
    PAIR,
    QUOTE,
    ST_ACTIVE,
    VENUES,
    Segment,
    cell,
    uint256_to_cells,
)
from tests.conftest import REFERENCE

POLYMARKET = VENUES.index("polymarket")
POLYMARKET_KEY = bytes.fromhex("11" * 32)
KALSHI_ID = "8f9c2f3a-1111-4222-8333-0123456789ab"
ORDERS_PATH = "/trade-api/v2/portfolio/events/orders"
WALL_NS = 1_790_000_000_000_000_000
MS_NS, SECOND_NS = 1_000_000, 1_000_000_000
YES_ID, NO_ID = 2**255 + 12345, 2**254 + 999
GRID_CENT = [E6, 10_000]
GRID_FINE = [40_000, 1_000, 960_000, 10_000, E6, 1_000]


def vectors(name: str) -> Any:
    """A JSON file of the reference fixtures, None where it is not on this machine."""
    path = REFERENCE / "fixtures" / name
    return json.loads(path.read_text()) if path.exists() else None


def rows_of(found: Any, key: str) -> list[Any]:
    """Cases to parametrise over; a single skipped one where the fixtures are absent."""
    if found is None:
        return [pytest.param(None, marks=pytest.mark.skip("reference fixtures are not here"))]
    return [pytest.param(row, id=str(row.get("id", i))) for i, row in enumerate(found[key])]


def write_private(path: Path, raw: bytes, mode: int = 0o600) -> str:
    """A file of secrets with the given mode."""
    path.write_bytes(raw)
    path.chmod(mode)
    return str(path)


def ed25519_pem(seed: int = 7) -> bytes:
    """An unencrypted PKCS#8 Ed25519 key, always the same."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def body_of(record: np.dtype[np.void], **values: int | list[int]) -> Any:
    """A slot body of BODY cells with the given fields."""
    body = np.zeros(BODY, np.int64)
    for name, value in values.items():
        at = cell(record, name)
        found = value if isinstance(value, list) else [value]
        body[at : at + len(found)] = found
    return body


def write_market(segment: Segment, slot: int = 3, **changes: int | list[int]) -> None:
    """A Polymarket instrument row."""
    row: dict[str, int | list[int]] = {
        "index": slot, "generation": 1, "venue": POLYMARKET, "live": 1,
        "token_yes": uint256_to_cells(YES_ID), "token_no": uint256_to_cells(NO_ID),
    }  # fmt: skip
    segment.write("instruments", slot, body_of(INSTRUMENT, **(row | changes)))


def write_quote(segment: Segment, slot: int = 3, **changes: int | list[int]) -> None:
    """A quote with bid 0.44, ask 0.45 and the facts of an ordinary market."""
    row: dict[str, int | list[int]] = {
        "instrument": slot, "generation": 1, "number": 1, "status": ST_ACTIVE, "tick_epoch": 5,
        "settlement_e6": NONE_NS, "grid": GRID_CENT, "size_step_e6": 10_000, "size_min_e6": 10_000,
        "notional_step_e6": 10_000, "notional_min_e6": E6, "bids": [440_000, 100 * E6],
        "asks": [450_000, 100 * E6],
    }  # fmt: skip
    segment.write("quotes", slot, body_of(QUOTE, **(row | changes)))


def write_pair(segment: Segment, b: int = 3, *, approved: int = 1, same: int = 1) -> None:
    """The pair of this market with instrument 0."""
    cells = body_of(PAIR, index=b, a=0, b=b, approved=approved, same=same)
    segment.write("pairs", b, cells)


class Desk:
    """A signer and one client in one process, both clocks set by hand."""

    def __init__(
        self, folder: Path, *, rights: ClientRights = GATEWAY_RIGHTS, caps: Caps | None = None
    ) -> None:
        self.wall_ns, self.now_ns = WALL_NS, 50 * SECOND_NS
        self.main, self.channel = Segment.private(), Segment.private(CHANNEL)
        write_market(self.main)
        write_quote(self.main)
        write_pair(self.main)
        self.params = SignerParams(
            clients=(rights,),
            kalshi_key_file=write_private(folder / "kalshi.pem", ed25519_pem()),
            kalshi_key_id=KALSHI_ID,
            polymarket_key_file=write_private(
                folder / "polymarket.key", POLYMARKET_KEY.hex().encode()
            ),
            caps=caps or Caps(),
            hide_memory=False,
        )
        self.signer = self.new_signer()
        self.client = self.new_client()
        self.answers: list[Signed | None] = []

    def clock(self) -> int:
        return self.wall_ns

    def new_signer(self, **changes: Any) -> Signer:
        params = dataclasses.replace(self.params, **changes)
        return Signer(self.main, [self.channel], params, 1, self.clock)

    def new_client(self) -> SigningClient:
        return SigningClient(
            self.channel, self.main, clock=self.clock, kalshi_key_id=KALSHI_ID
        )

    def pass_time(self, ns: int) -> None:
        self.wall_ns += ns
        self.now_ns += ns

    def turn(self) -> None:
        """The client orders, the signer answers, the client takes the answers."""
        self.client.pump(self.now_ns)
        self.signer.step(self.now_ns)
        self.client.pump(self.now_ns)

    def order(self, **changes: int) -> OrderFields:
        """A legal BUY of 10 YES at 0.45, with changes; amounts follow price and size."""
        row = {"instrument": 3, "generation": 1, "side": 0, "price_e6": 450_000,
               "size_e6": 10 * E6, "salt": 77, "stamp_ms": self.wall_ns // MS_NS,
               "tick_epoch": 5, "token": 0}  # fmt: skip
        row |= {k: v for k, v in changes.items() if k in row}
        maker_e6, taker_e6 = amounts_e6(row["side"], row["price_e6"], row["size_e6"]) or (1, 1)
        row["maker_e6"] = changes.get("maker_e6", maker_e6)
        row["taker_e6"] = changes.get("taker_e6", taker_e6)
        return OrderFields(**row)

    def ask_order(self, **changes: int) -> Signed:
        """Ask, let the signer answer, and hand over the answer."""
        answers: list[Signed | None] = []
        assert self.client.request_order(
            self.order(**changes), then=answers.append
        ) is not None
        self.turn()
        assert answers and answers[0] is not None
        return answers[0]

    def ask_headers(self, method: str, path: str, stamp_ms: int | None = None) -> Signed:
        """The same for one Kalshi signature."""
        answers: list[Signed | None] = []
        ticket = self.client.request_headers(
            method, path, then=answers.append, stamp_ms=stamp_ms
        )
        assert ticket is not None
        self.turn()
        assert answers and answers[0] is not None
        return answers[0]


def pool_params(**changes: int) -> PoolParams:
    """The account of POLYMARKET_KEY."""
    address = OrderSigner(POLYMARKET_KEY).address
    return PoolParams(maker=address, signer=address, owner="owner-key", **changes)
