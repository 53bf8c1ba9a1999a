# ruff: noqa: E402, I001  (the kernel cache comes before numba)
"""`python -m tests.session.lossy` is `arb-supervisor` at a venue that loses one frame on the way.

The frame is one change of a level in the middle of the data: the venue counts it, nobody gets it.
"""

from __future__ import annotations

import sys
from typing import Any

from ops import cache

cache.use()

import dataclasses

from ops.process import RoleSpec
from ops.session import Plan
from ops.sim import SimSession
from ops.venues.wire import Link
from shm_layout import Segment

LOST = 20_000  # which of the changes


class LossyLink(Link):
    """Forgets one frame in the life of the process."""

    seen = 0

    def queue(self, text: bytes) -> None:
        """All but one."""
        if b'"orderbook_delta"' in text[:40]:
            LossyLink.seen += 1
            if LossyLink.seen == LOST:
                return
        super().queue(text)


class LossySession(SimSession):
    """The simulated session with its venues built here."""

    @property
    def venues(self) -> Plan:
        """The same process with another link."""
        return dataclasses.replace(super().venues, build="tests.session.lossy:build")


def build(spec: RoleSpec, segment: Segment) -> Any:
    """Of the venues' process alone."""
    from ops import roles
    from ops.venues import wire

    wire.Link = LossyLink  # type: ignore[misc]
    return roles.build(spec, segment)


if __name__ == "__main__":
    from ops import sim
    from ops.supervisor_cli import main

    sim.SimSession = LossySession  # type: ignore[misc]
    sys.exit(main())
