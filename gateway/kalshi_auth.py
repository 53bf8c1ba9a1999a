"""Kalshi's request signature: time, method and path, not the body (so a signed set is cash until
it is stale).

RSA keys sign RSASSA-PSS (SHA-256, MGF1-SHA-256, salt 32), Ed25519 keys plainly; which one is a
property of the parsed key, not of the PEM label. Headers live about 5 s at the venue (demo,
2026-06-11); ours at most 2.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gateway.hmac_auth import SecretError

RSA_BITS_MIN, RSA_BITS_MAX = (
    2048,
    2048,
)  # what the venue issues; a longer signature has no room in a reply
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
_SHA256 = hashes.SHA256()


def signing_path(url: str) -> str:
    """The path that is signed: from the host root, without query string. Takes a URL or a path."""
    rest = url.split("://", 1)[1] if "://" in url else url
    path = rest[rest.find("/") :] if "/" in rest else "/"
    return path.split("?", 1)[0]


def signing_text(stamp_ms: int, method: str, path: str) -> bytes:
    """Exactly the bytes that are signed."""
    return f"{stamp_ms}{method.upper()}{path}".encode()


class KalshiSigner:
    """Signs for one key. Lives in the signer process alone; its repr names no key.

    `pem`: PKCS#1 or PKCS#8, unencrypted. Raises SecretError if it is not an RSA-2048 or Ed25519
    key.
    """

    def __init__(self, pem: bytes) -> None:
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
            text = "Kalshi key: wanted an unencrypted PEM (PKCS#1 or PKCS#8)"
            raise SecretError(text) from None  # the library's text may quote the file
        if isinstance(key, RSAPrivateKey):
            if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
                raise SecretError(
                    f"Kalshi key: found RSA {key.key_size}, wanted RSA {RSA_BITS_MIN}"
                )
        elif not isinstance(key, Ed25519PrivateKey):
            raise SecretError(f"Kalshi key: found {type(key).__name__}, wanted RSA or Ed25519")
        self._key: RSAPrivateKey | Ed25519PrivateKey = key

    def __repr__(self) -> str:
        return "KalshiSigner(key redacted)"

    def public_pem(self) -> bytes:
        """The public half, as the venue stores it."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def sign(self, stamp_ms: int, method: str, path: str) -> bytes:
        """Signature in standard base64 with padding: 344 bytes for RSA, 88 for Ed25519."""
        text = signing_text(stamp_ms, method, path)
        key = self._key
        if isinstance(key, Ed25519PrivateKey):
            return base64.b64encode(key.sign(text))
        return base64.b64encode(key.sign(text, _PSS, _SHA256))
