"""The throw-away authority: trusted by who is given it, by nobody else."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from ops.venues.tls import TlsPaths, make_tls


def handshake(server: TlsPaths, client: ssl.SSLContext, name: str) -> str | None:
    """The protocol two ends agree on over a socket pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.cert, server.key)
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            context.wrap_socket(far, server_side=True).close()
        except ssl.SSLError:
            far.close()

    worker = threading.Thread(target=serve)
    worker.start()
    try:
        with client.wrap_socket(near, server_hostname=name) as link:
            return link.version()
    finally:
        worker.join(10)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_with_the_authority_gets_through(tls: TlsPaths, name: str) -> None:
    client = ssl.create_default_context(cafile=str(tls.ca))
    assert handshake(tls, client, name) == "TLSv1.3"


def test_another_authority_is_not_trusted(tls: TlsPaths, tmp_path: Path) -> None:
    other = make_tls(tmp_path)
    client = ssl.create_default_context(cafile=str(other.ca))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls, client, "localhost")


def test_another_name_is_not_trusted(tls: TlsPaths) -> None:
    client = ssl.create_default_context(cafile=str(tls.ca))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tls, client, "example.com")


def test_the_key_is_for_its_owner_alone(tls: TlsPaths) -> None:
    assert stat.S_IMODE(tls.key.stat().st_mode) == 0o600
