"""Polymarket's L2 headers against the official client's, and files of secrets that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.hmac_auth import ApiSecrets, L2Auth, SecretError, load_api_secrets, read_private
from tests.gateway.signing_kit import rows_of, vectors, write_private

FOUND = vectors("polymarket/signing_vectors.json")
SECRETS = {
    "api_key": "key-1", "secret": "yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc=",
    "passphrase": "pass-1", "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
}  # fmt: skip


@pytest.mark.parametrize("row", rows_of(FOUND, "l2_hmac"))
def test_the_hmac_is_over_the_exact_bytes(row: dict[str, Any]) -> None:
    auth = L2Auth(ApiSecrets(**(SECRETS | {"secret": row["secret"]})))
    body = (row["body"] or "").encode()
    args = row["method"], row["request_path"], body, row["timestamp"]
    assert auth.signature(*args).decode() == row["signature"]
    headers = auth.headers(*args)
    assert headers == {
        "POLY_ADDRESS": SECRETS["address"], "POLY_SIGNATURE": row["signature"],
        "POLY_TIMESTAMP": str(row["timestamp"]), "POLY_API_KEY": "key-1",
        "POLY_PASSPHRASE": "pass-1",
    }  # fmt: skip
    assert auth.header_bytes(*args).endswith(b"\r\n")


def test_another_byte_is_another_signature() -> None:
    auth = L2Auth(ApiSecrets(**SECRETS))
    right = auth.signature("POST", "/order", b"{}", 1_790_000_000)
    assert right != auth.signature("POST", "/order", b"{ }", 1_790_000_000)
    assert right != auth.signature("POST", "/orders", b"{}", 1_790_000_000)
    assert right != auth.signature("DELETE", "/order", b"{}", 1_790_000_000)
    assert right != auth.signature("POST", "/order", b"{}", 1_790_000_001)


def test_secrets_are_read_from_a_private_file_and_do_not_print(tmp_path: Path) -> None:
    path = write_private(tmp_path / "api.json", orjson.dumps(SECRETS))
    found = load_api_secrets(path)
    assert (found.api_key, found.secret) == (SECRETS["api_key"], SECRETS["secret"])
    for text in (repr(found), str(found), repr(L2Auth(found))):
        assert SECRETS["secret"] not in text and "pass-1" not in text and "key-1" not in text


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"not json", "JSON object"),
        (b"[]", "exactly the keys"),
        (orjson.dumps({"api_key": "a"}), "exactly the keys"),
        (orjson.dumps(SECRETS | {"secret": 5}), "secret: wanted a text"),
        (orjson.dumps(SECRETS | {"passphrase": "a\r\nX: y"}), "passphrase: wanted one line"),
    ],
)
def test_a_wrong_file_of_secrets_is_refused_without_quoting_it(
    tmp_path: Path, raw: bytes, says: str
) -> None:
    path = write_private(tmp_path / "api.json", raw)
    with pytest.raises(SecretError, match=says) as caught:
        load_api_secrets(path)
    assert "yMnKy8" not in str(caught.value)


def test_a_file_others_can_read_or_reach_by_a_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_private(path, b"x", mode=0o640)
    with pytest.raises(SecretError, match="mode: found 0640, wanted 0600"):
        read_private(str(path))
    path.chmod(0o600)
    assert read_private(str(path)) == b"x"
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(SecretError, match="cannot open"):
        read_private(str(tmp_path / "link"))
    with pytest.raises(SecretError, match="cannot open"):
        read_private(str(tmp_path / "missing"))
    with pytest.raises(SecretError, match="regular file"):
        read_private(str(tmp_path))
