# ruff: noqa: T201 - a process that answers on standard output
"""Throw-away identities of a simulated session: private halves as 0600 files in the run folder,
public halves for the venues.

Kalshi takes RSA and Ed25519 keys (reference kalshi.md section 2); Ed25519 is made and signs ten
times faster. They are made in a process of their own, which ends: no other but the signer, which
reads its files after the fork, ever holds a private key, not even for a moment. API secrets lie in
a file that the gateway, the canceller, the index feed and the simulated venue read for themselves.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MADE_MAX_S = 60.0
FILES = ("kalshi.pem", "polymarket.key", "polymarket.api")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimKeys:
    """Where the private halves and the API secrets lie, and everything public."""

    kalshi_key_file: Path
    kalshi_key_id: str
    kalshi_public_pem: bytes
    polymarket_key_file: Path
    polymarket_address: str
    polymarket_api_file: Path


def write_private(path: Path, raw: bytes) -> None:
    """A new file only its owner reads. Fails if it exists."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(raw)


def make_keys(folder: Path) -> SimKeys:
    """New keys for one session, written into `folder` (0700) by a process of their own."""
    command = [sys.executable, "-m", "ops.simkeys", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, text=True, check=True,
        timeout=MADE_MAX_S,
    )  # fmt: skip
    told: dict[str, str] = json.loads(done.stdout)
    kalshi, polymarket, api = (folder / name for name in FILES)
    return SimKeys(
        kalshi_key_file=kalshi,
        kalshi_key_id=told["kalshi_key_id"],
        kalshi_public_pem=told["kalshi_public_pem"].encode(),
        polymarket_key_file=polymarket,
        polymarket_address=told["polymarket_address"],
        polymarket_api_file=api,
    )


def _address_of(public: bytes) -> str:
    """Checksummed Ethereum address (EIP-55) of an uncompressed public key, first byte left out."""
    from sha3 import keccak_256

    text = keccak_256(public).digest()[-20:].hex()
    digits = keccak_256(text.encode()).hexdigest()
    return "0x" + "".join(
        c.upper() if int(d, 16) >= 8 else c for c, d in zip(text, digits, strict=False)
    )


def _make(folder: Path) -> dict[str, Any]:
    """Write the files; what is public of them."""
    from coincurve import PrivateKey
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    kalshi, wallet = ed25519.Ed25519PrivateKey.generate(), PrivateKey()
    pem = kalshi.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = kalshi.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    address = _address_of(wallet.public_key.format(compressed=False)[1:])
    api = {
        "api_key": str(uuid.uuid4()),
        "secret": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "passphrase": secrets.token_hex(32),
        "address": address,
    }
    texts = (pem, wallet.to_hex().encode(), json.dumps(api).encode())
    for name, raw in zip(FILES, texts, strict=True):
        write_private(folder / name, raw)
    return {
        "kalshi_key_id": str(uuid.uuid4()),
        "kalshi_public_pem": public.decode(),
        "polymarket_address": address,
    }


if __name__ == "__main__":
    print(json.dumps(_make(Path(sys.argv[1]))))
