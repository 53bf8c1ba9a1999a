"""A feed waits for its venue as long as a busy machine needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from feeds import connection, rest
from tests.feeds.loopback import LIMIT_S


@pytest.fixture(autouse=True, scope="module")
def _patient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "HANDSHAKE_S", LIMIT_S)
        patch.setattr(rest, "CONNECT_S", LIMIT_S)
        patch.setattr(rest, "TOTAL_S", LIMIT_S)
        yield
