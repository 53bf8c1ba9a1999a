"""A small session for the tests of the simulated venues: script, keys, clients, the process."""

from __future__ import annotations

import base64
import itertools
import json
import multiprocessing
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from eth_account import Account
from eth_account.messages import encode_typed_data

from ops.venues import serve, signatures
from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    Event,
    LevelSet,
    MarketSpec,
    MarketTrade,
    PairSpec,
    SetSpec,
    SpotTrade,
    StatusChange,
    Timeline,
)
from ops.venues.spec import Accounts, VenuesSpec
from ops.venues.tls import TlsPaths

BEGIN_NS = 1_790_000_000_000_000_000
MS = 1_000_000
POLY_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
POLY_ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
POLY_SECRET = base64.urlsafe_b64encode(b"s" * 32).decode()
API_KEY = "9180014b-33c8-9240-a14b-bdca11c0a465"
KEY_ID = "7d2f3c0e-0001-4000-8000-000000000001"
TICKER = "KXTEST-26JAN-A"
SHARD2 = "KXCRYPTO-26JAN-B"
TOKEN_YES = "12011180738199585495906106358594076885211968479491067303871379760861383877631"
TOKEN_NO = "89435415234172173118754473157588029226460926450310014396990827057806580603933"
CONDITION = "0xa52f1552d5739ee1f1aeda03c88ed700e0800eaee26b6d6fdab9fc425d6b6e25"
DELAYED_YES, DELAYED_NO = "111", "222"
DELAYED_CONDITION = "0x" + "11" * 32

K, K2, P, PD = range(4)
MARKETS = (
    MarketSpec(venue="kalshi", ticker=TICKER, title="A", event="a"),
    MarketSpec(
        venue="kalshi",
        ticker=SHARD2,
        title="B",
        event="b",
        exchange_index=2,
        strike_e8=7_980_071_000_000,
        price_ranges=((0, 100_000, 1_000), (100_000, 900_000, 10_000), (900_000, 1_000_000, 1_000)),
    ),
    MarketSpec(
        venue="polymarket",
        ticker="test-market",
        title="A",
        event="a",
        condition_id=CONDITION,
        token_yes=TOKEN_YES,
        token_no=TOKEN_NO,
        size_min_e6=5_000_000,
        fee_kind="polymarket",
        fee_rate_e6=70_000,
    ),
    MarketSpec(
        venue="polymarket",
        ticker="held-market",
        title="D",
        event="d",
        condition_id=DELAYED_CONDITION,
        token_yes=DELAYED_YES,
        token_no=DELAYED_NO,
        size_min_e6=5_000_000,
        fee_kind="polymarket",
        fee_rate_e6=50_000,
        taker_delay_ns=60 * MS,
    ),
)


def e6(text: str) -> int:
    """ "0.52" as 520000."""
    whole, _, rest = text.partition(".")
    return int(whole) * 1_000_000 + int(rest.ljust(6, "0") or 0)


def levels(*pairs: tuple[str, str]) -> tuple[tuple[int, int], ...]:
    return tuple((e6(price), e6(size)) for price, size in pairs)


BIDS = levels(("0.47", "30"), ("0.46", "100"))
ASKS = levels(("0.52", "10"), ("0.53", "50.5"), ("0.60", "1000"))


def books(at_ns: int = BEGIN_NS) -> list[Event]:
    """Every market of MARKETS gets BIDS and ASKS."""
    return [BookSet(at_ns, index, BIDS, ASKS) for index in range(len(MARKETS))]


@dataclass(frozen=True, kw_only=True)
class ToyScript:
    """A script from a list of events."""

    made: tuple[Event, ...]
    markets: tuple[MarketSpec, ...] = MARKETS
    pairs: tuple[PairSpec, ...] = ()
    sets: tuple[SetSpec, ...] = ()
    products: tuple[str, ...] = ("BTC-USD",)
    indices: tuple[str, ...] = ()
    timeline: Timeline = field(default_factory=lambda: Timeline(begin_epoch_ns=BEGIN_NS))
    digest: str = "0" * 64
    counts: dict[str, int] = field(default_factory=dict)
    end_epoch_ns: int | None = None

    def events(self) -> Iterator[Event]:
        return iter(self.made)


def script_of(*events: Event, **changes: Any) -> ToyScript:
    """The books of all markets, then `events`."""
    return ToyScript(made=(*books(), *events), **changes)


class KalshiKey:
    """Signs requests the way a client does."""

    def __init__(self, key: RSAPrivateKey | Ed25519PrivateKey | None = None) -> None:
        self.key = key or Ed25519PrivateKey.generate()

    def public_pem(self) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def sign(self, text: str) -> str:
        if isinstance(self.key, Ed25519PrivateKey):
            raw = self.key.sign(text.encode())
        else:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            raw = self.key.sign(text.encode(), pss, hashes.SHA256())
        return base64.b64encode(raw).decode()

    def headers(self, method: str, path: str, *, now_ms: int | None = None) -> dict[str, str]:
        stamp = str(time.time_ns() // MS if now_ms is None else now_ms)
        return {
            "KALSHI-ACCESS-KEY": KEY_ID,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": self.sign(stamp + method + path),
        }


def accounts(key: KalshiKey, **changes: Any) -> Accounts:
    base = Accounts(
        kalshi_key_id=KEY_ID,
        kalshi_public_pem=key.public_pem(),
        polymarket_address=POLY_ADDRESS,
        polymarket_api_key=API_KEY,
        polymarket_secret=POLY_SECRET,
        polymarket_passphrase="phrase",
        cash_kalshi_e6={0: e6("1000"), 2: e6("10")},
        cash_polymarket_e6=e6("1000"),
    )
    return replace(base, **changes)


_SALTS = itertools.count(1)
_TYPES = {
    "Order": [
        {"name": name, "type": kind}
        for kind, name in (part.split() for part in signatures.ORDER_TYPE[6:-1].split(","))
    ]
}


def poly_order(
    *,
    buy: bool,
    maker: str,
    taker: str,
    token: str = TOKEN_YES,
    order_type: str = "FAK",
    salt: int | None = None,
    post_only: bool = False,
    expiration: str = "0",
    key: str = POLY_KEY,
    address: str = POLY_ADDRESS,
    owner: str = API_KEY,
    contract: str = signatures.EXCHANGE,
) -> dict[str, Any]:
    """The body of POST /order, signed by eth-account. `maker` and `taker` are amounts as text."""
    order = {
        "salt": next(_SALTS) if salt is None else salt,
        "maker": address,
        "signer": address,
        "tokenId": int(token),
        "makerAmount": e6(maker),
        "takerAmount": e6(taker),
        "side": 0 if buy else 1,
        "signatureType": 0,
        "timestamp": 1_790_000_000_000,
        "metadata": b"\0" * 32,
        "builder": b"\0" * 32,
    }
    domain = {
        "name": "Polymarket CTF Exchange",
        "version": "2",
        "chainId": 137,
        "verifyingContract": contract,
    }
    signed = Account.sign_message(encode_typed_data(domain, _TYPES, order), key)
    sent: dict[str, Any] = {
        name: str(value) if name.endswith(("Id", "Amount", "timestamp")) else value
        for name, value in order.items()
    }
    sent.update(side="BUY" if buy else "SELL", metadata="0x" + "00" * 32, builder="0x" + "00" * 32)
    sent.update(expiration=expiration, signature="0x" + signed.signature.hex().removeprefix("0x"))
    body: dict[str, Any] = {"order": sent, "owner": owner, "orderType": order_type}
    return {**body, "deferExec": False, "postOnly": post_only}


def poly_headers(method: str, path: str, body: str = "") -> dict[str, str]:
    stamp = str(time.time_ns() // 1_000_000_000)
    signature = signatures.l2_signature(POLY_SECRET, stamp, method, path, body.encode())
    return {
        "POLY_ADDRESS": POLY_ADDRESS,
        "POLY_SIGNATURE": signature,
        "POLY_TIMESTAMP": stamp,
        "POLY_API_KEY": API_KEY,
        "POLY_PASSPHRASE": "phrase",
    }


class Session:
    """The venues running beside the test, and its end of the pipe."""

    def __init__(self, spec: VenuesSpec, tls: TlsPaths, *, own_process: bool = False) -> None:
        self.conn, child = multiprocessing.Pipe()
        self._worker: threading.Thread | Any
        if own_process:
            self._worker = multiprocessing.get_context("spawn").Process(
                target=serve.run, args=(child, spec)
            )
        else:
            self._worker = threading.Thread(target=serve.run, args=(child, spec))
        self.requests: list[tuple[str, str, str, int]] = []
        self._worker.start()
        self.context = ssl.create_default_context(cafile=str(tls.ca))
        self.ports: dict[str, dict[str, int]] = self.expect("ready")[1]

    def expect(self, word: str, seconds: float = 60.0) -> tuple[Any, ...]:
        """The next message, which must begin with `word`."""
        assert self.conn.poll(seconds), f"no message in {seconds} s, wanted {word}"
        message: tuple[Any, ...] = self.conn.recv()
        assert message[0] == word, message
        return message

    def faults(self) -> list[Any]:
        """Rows of the faults that were done so far; whatever else is told first is passed over."""
        self.conn.send(("faults",))
        while (message := self.conn.recv())[0] != "faults":
            continue
        found: list[Any] = message[1]
        return found

    def start(self) -> int:
        """Let the script run from now; the stamp."""
        stamp = time.monotonic_ns()
        self.conn.send(("start", stamp))
        return stamp

    def url(self, venue: str, kind: str, path: str) -> str:
        scheme = "wss" if kind == "ws" else "https"
        return f"{scheme}://127.0.0.1:{self.ports[venue][kind]}{path}"

    def stop(self) -> tuple[list[Any], dict[str, dict[str, int]]]:
        """End the venues: (log rows, counts); `requests` gets what was kept of them."""
        self.conn.send(("stop",))
        while True:
            message = self.conn.recv()
            if message[0] == "requests":
                self.requests = message[1]
            if message[0] == "log":
                break
        self._worker.join(60)
        assert not self._worker.is_alive()
        return message[1], message[2]


def session(
    tmp: TlsPaths, key: KalshiKey, script: ToyScript, *, own_process: bool = False, **options: Any
) -> Session:
    """Start a session for `script`. Kalshi's reads do not lag unless `options` say so."""
    options.setdefault("kalshi_read_lag_ns", 0)
    accounts_of = options.pop("accounts", None) or accounts(key)
    spec = VenuesSpec(
        script=script,
        accounts=accounts_of,
        tls_cert=str(tmp.cert),
        tls_key=str(tmp.key),
        **options,
    )
    return Session(spec, tmp, own_process=own_process)


def shape(value: Any) -> Any:
    """The keys and kinds of a message, so that frames can be compared with recorded ones."""
    if isinstance(value, dict):
        return {key: shape(found) for key, found in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "null" if value is None else type(value).__name__


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


__all__ = ["ASK", "BID", "Connection", "LevelSet", "MarketTrade", "SpotTrade", "StatusChange"]
