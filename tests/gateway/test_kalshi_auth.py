"""Kalshi signatures, verified independently; keys in each form that the venue's users have."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.hmac_auth import SecretError
from gateway.kalshi_auth import KalshiSigner, signing_path, signing_text
from ops.venues.signatures import KalshiVerifier
from tests.gateway.signing_kit import ed25519_pem, rows_of, vectors

FOUND = vectors("kalshi/auth/signing_strings.json")
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM, RAW = serialization.Encoding.PEM, serialization.NoEncryption()
PKCS1, PKCS8 = serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8
KEYS = {
    "rsa pkcs1": RSA.private_bytes(PEM, PKCS1, RAW),
    "rsa pkcs8": RSA.private_bytes(PEM, PKCS8, RAW),
    "ed25519 pkcs8": ed25519_pem(),
}
PATH = "/trade-api/v2/portfolio/events/orders"


@pytest.mark.parametrize("row", rows_of(FOUND, "cases"))
def test_the_signed_text_is_stamp_method_and_path(row: dict[str, Any]) -> None:
    text = signing_text(int(row["timestamp"]), row["method"], signing_path(row["url"]))
    assert text.decode() == row["signed_text"]


@pytest.mark.parametrize("name", KEYS)
def test_the_venue_takes_the_signature_and_no_other_text_for_it(name: str) -> None:
    signer = KalshiSigner(KEYS[name])
    verifier = KalshiVerifier(signer.public_pem())
    signature = signer.sign(1_703_123_456_789, "POST", PATH).decode()
    assert len(signature) == (88 if name.startswith("ed25519") else 344)
    assert verifier.is_valid(signature, "1703123456789", "POST", PATH)
    assert not verifier.is_valid(signature, "1703123456790", "POST", PATH)
    assert not verifier.is_valid(signature, "1703123456789", "DELETE", PATH)
    assert not verifier.is_valid(signature, "1703123456789", "POST", PATH + "/1")


def test_a_key_that_the_venue_does_not_take_is_refused_without_quoting_it() -> None:
    locked = serialization.BestAvailableEncryption(b"x")
    wrong = {
        "ECPrivateKey": ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, PKCS8, RAW),
        "unencrypted": RSA.private_bytes(PEM, PKCS8, locked),
        "RSA 3072": rsa.generate_private_key(65537, 3072).private_bytes(PEM, PKCS8, RAW),
        "PEM": b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n",
    }
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    wrong["wanted"] = public.public_bytes(PEM, form)
    for says, pem in wrong.items():
        with pytest.raises(SecretError, match=says) as caught:
            KalshiSigner(pem)
        assert "secret" not in str(caught.value)


def test_a_signer_does_not_print_its_key() -> None:
    signer = KalshiSigner(ed25519_pem())
    assert repr(signer) == "KalshiSigner(key redacted)"
