"""Polymarket's L2 headers: an HMAC over the exact bytes sent, made at send. And how a file of
secrets is read.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from binascii import b2a_base64
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import orjson

SECRET_BYTES_MAX = 16_384
URLSAFE = bytes.maketrans(b"+/", b"-_")


class Hash(Protocol):
    """One of hashlib's."""

    def copy(self) -> Hash: ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class SecretError(Exception):
    """A file of keys or secrets is not what it must be. Names file and field, never what stands in
    it.
    """


def read_private(path: str) -> bytes:
    """A file that only this user can read. Raises SecretError if it is a link, of another owner,
    or open to others.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError as error:
        raise SecretError(f"{path}: cannot open: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise SecretError(f"{path}: type: wanted a regular file")
        if found.st_uid != os.geteuid():
            raise SecretError(f"{path}: owner: found uid {found.st_uid}, wanted {os.geteuid()}")
        if found.st_mode & 0o077:
            raise SecretError(f"{path}: mode: found {stat.S_IMODE(found.st_mode):04o}, wanted 0600")
        if found.st_size > SECRET_BYTES_MAX:
            raise SecretError(f"{path}: size: wanted at most {SECRET_BYTES_MAX} bytes")
        return os.read(fd, SECRET_BYTES_MAX)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ApiSecrets:
    """What signs private Polymarket requests. `address` is the EOA that owns the key, for every
    signature type.
    """

    api_key: str
    secret: str
    passphrase: str
    address: str

    def __repr__(self) -> str:
        return f"ApiSecrets({self.address}, redacted)"


def load_api_secrets(path: str) -> ApiSecrets:
    """Secrets from a private JSON file {"api_key","secret","passphrase","address"}. Raises
    SecretError.
    """
    try:
        found = orjson.loads(read_private(path))
    except orjson.JSONDecodeError:
        raise SecretError(f"{path}: wanted a JSON object") from None  # its text may be a secret
    names = ("api_key", "secret", "passphrase", "address")
    if not isinstance(found, dict) or set(found) != set(names):
        raise SecretError(f"{path}: wanted exactly the keys {', '.join(names)}")
    for name in names:
        if not (isinstance(found[name], str) and found[name].isascii() and found[name]):
            raise SecretError(f"{path}: {name}: wanted a text")
        if any(c in found[name] for c in "\r\n\0"):
            raise SecretError(f"{path}: {name}: wanted one line")
    return ApiSecrets(**found)


class L2Auth:
    """Makes L2 headers for one API key (about 3 µs each: nothing is signed ahead, the stamp must
    be fresh).
    """

    def __init__(self, secrets: ApiSecrets) -> None:
        try:
            self._key = base64.urlsafe_b64decode(secrets.secret)
        except binascii.Error:
            raise SecretError("secret: wanted base64url") from None
        if not self._key:
            raise SecretError("secret: wanted base64url")
        self._secrets = secrets
        self._head = (
            f"POLY_ADDRESS: {secrets.address}\r\nPOLY_API_KEY: {secrets.api_key}\r\n"
            f"POLY_PASSPHRASE: {secrets.passphrase}\r\nPOLY_TIMESTAMP: "
        ).encode()
        # RFC 2104 in two halves, begun ahead: the key is not hashed again for each request
        padded = (sha256(self._key).digest() if len(self._key) > 64 else self._key).ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in padded))

    def __repr__(self) -> str:
        return "L2Auth(redacted)"

    def path(self, method: str, path: str) -> L2Path:
        """What makes the headers of this path; `path` without the query string."""
        return L2Path(f"{method}{path}".encode(), self._head, self._inner, self._outer)

    def signature(self, method: str, path: str, body: bytes, epoch_s: int) -> bytes:
        """base64url of the HMAC. `body` exactly as sent, b"" for none, and never with a ' in it:
        one official client hashes that as another byte.
        """
        return self.path(method, path).signature(body, epoch_s)

    def header_bytes(self, method: str, path: str, body: bytes, epoch_s: int) -> bytes:
        """The five header lines, each ended, ready to stand in a request."""
        return self.path(method, path).header_bytes(body, epoch_s)

    def headers(self, method: str, path: str, body: bytes, epoch_s: int) -> dict[str, str]:
        """The same as a dict, for cold requests."""
        lines = self.header_bytes(method, path, body, epoch_s).decode().splitlines()
        return dict(line.split(": ", 1) for line in lines)


class L2Path:
    """Headers of one method and path. What all requests of a second share is made once."""

    __slots__ = ("_begun", "_head", "_inner", "_lines", "_outer", "_path", "_second")

    def __init__(self, path: bytes, head: bytes, inner: Hash, outer: Hash) -> None:
        self._path, self._head, self._inner, self._outer = path, head, inner, outer
        self._second, self._begun, self._lines = -1, inner, b""

    def __repr__(self) -> str:
        return "L2Path(redacted)"

    def begin(self, epoch_s: int) -> None:
        """Make what a second's requests share, ahead of the first of them."""
        if epoch_s != self._second:
            self._second, self._begun = epoch_s, self._inner.copy()
            self._begun.update(b"%d%b" % (epoch_s, self._path))
            self._lines = b"%b%d\r\nPOLY_SIGNATURE: " % (self._head, epoch_s)

    def signature(self, body: bytes, epoch_s: int) -> bytes:
        """As `L2Auth.signature`."""
        if epoch_s != self._second:
            self.begin(epoch_s)
        inner, outer = self._begun.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        return b2a_base64(outer.digest(), newline=False).translate(URLSAFE)

    def header_bytes(self, body: bytes, epoch_s: int) -> bytes:
        """As `L2Auth.header_bytes`."""
        signature = self.signature(body, epoch_s)
        return self._lines + signature + b"\r\n"
