"""A process that loads while the nursery does, on the other core: the simulated venues, whose
libraries no other role needs.

Not a child of the nursery but of the supervisor itself, with the same ties. It imports its module,
then waits on its pipe for a `RoleSpec` and becomes that role; the pipe stays its own.
"""

from __future__ import annotations

import importlib
import os
import signal
from dataclasses import replace
from multiprocessing.connection import Connection


def main(conn: Connection, supervisor_pid: int, name: str, module: str) -> None:
    """Target of the process. Ends it."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # as ops.process.tie_to_parent
    if os.getppid() != supervisor_pid:
        os._exit(6)
    os.setpgid(0, 0)  # Ctrl-C reaches the supervisor alone
    from setproctitle import setproctitle

    setproctitle(f"arb: {name}")
    importlib.import_module(module)
    from ops import process

    try:
        spec = conn.recv()
    except EOFError:
        os._exit(6)
    process.become(replace(spec, conn=conn))
