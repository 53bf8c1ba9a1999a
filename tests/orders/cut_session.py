# ruff: noqa: E402, I001  (the kernel cache comes before numba)
"""`python -m tests.orders.cut_session` is `arb-supervisor` with the script of the cut cases."""

from __future__ import annotations

import sys

from ops import cache

cache.use()

from ops import clock
from ops.session import Request
from ops.sim import SimSession
from ops.venues.script import Script
from tests.orders.cut_cases import CutScript


class CutSession(SimSession):
    """The simulated session of one seed's cases."""

    @staticmethod
    def make_script(request: Request) -> Script:
        """A gap for each case."""
        return CutScript(request.seed, clock.epoch_ns() // clock.MS_NS * clock.MS_NS)


if __name__ == "__main__":
    from ops import sim
    from ops.supervisor_cli import main

    sim.SimSession = CutSession  # type: ignore[misc]
    sys.exit(main())
