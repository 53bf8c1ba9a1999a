"""Certificates for the simulated venues, made once."""

from __future__ import annotations

import pytest

from ops.venues.tls import TlsPaths, make_tls


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsPaths:
    return make_tls(tmp_path_factory.mktemp("tls"))
