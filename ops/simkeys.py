"""Throw-away identities of a simulated session: private halves as 0600 files in the run folder,
public halves for the venues.

Kalshi takes RSA and Ed25519 keys (reference kalshi.md section 2); Ed25519 is made and signs ten
times faster. The signer reads its files after the fork; no other process is told their content.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from coincurve import PrivateKey
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from sha3 import keccak_256


@dataclass(frozen=True, slots=True, kw_only=True)
class SimKeys:
    """Where the private halves lie, and everything public. Secrets do not print."""

    kalshi_key_file: Path
    kalshi_key_id: str
    kalshi_public_pem: bytes
    polymarket_key_file: Path
    polymarket_address: str
    polymarket_api_file: Path
    polymarket_api_key: str
    polymarket_secret: str = field(repr=False)
    polymarket_passphrase: str = field(repr=False)


def write_private(path: Path, raw: bytes) -> None:
    """A new file only its owner reads. Fails if it exists."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(raw)


def address_of(public: bytes) -> str:
    """Checksummed Ethereum address (EIP-55) of an uncompressed public key, first byte left out."""
    text = keccak_256(public).digest()[-20:].hex()
    digits = keccak_256(text.encode()).hexdigest()
    return "0x" + "".join(
        c.upper() if int(d, 16) >= 8 else c for c, d in zip(text, digits, strict=False)
    )


def make_keys(folder: Path) -> SimKeys:
    """New keys for one session, written into `folder` (0700)."""
    kalshi = ed25519.Ed25519PrivateKey.generate()
    pem = kalshi.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = kalshi.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    wallet = PrivateKey()
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    keys = SimKeys(
        kalshi_key_file=folder / "kalshi.pem",
        kalshi_key_id=str(uuid.uuid4()),
        kalshi_public_pem=public,
        polymarket_key_file=folder / "polymarket.key",
        polymarket_address=address_of(wallet.public_key.format(compressed=False)[1:]),
        polymarket_api_file=folder / "polymarket.api",
        polymarket_api_key=str(uuid.uuid4()),
        polymarket_secret=secret,
        polymarket_passphrase=secrets.token_hex(32),
    )
    write_private(keys.kalshi_key_file, pem)
    write_private(keys.polymarket_key_file, wallet.to_hex().encode())
    api = {
        "api_key": keys.polymarket_api_key,
        "secret": secret,
        "passphrase": keys.polymarket_passphrase,
        "address": keys.polymarket_address,
    }
    write_private(keys.polymarket_api_file, json.dumps(api).encode())
    return keys
