"""What the forkserver loads before it forks: kernels compiled and called, libraries imported. No
thread, no loop, no key.

Imported by multiprocessing's forkserver as its preload module, which swallows ImportErrors: a child
looks at `READY` (ops/process.py). First of all it ties its life to the supervisor's and leaves the
terminal's process group, so that Ctrl-C reaches the supervisor alone.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

READY = False
SUPERVISOR = "ARB_SUPERVISOR_PID"
LIBRARIES = (
    "asyncio", "ssl", "uvloop", "orjson", "msgspec", "picows", "httptools", "aiohttp",
    "setproctitle", "multiprocessing.connection",
    "cryptography.x509", "coincurve", "sha3",
)  # fmt: skip


def prepare() -> None:
    """Load everything a child needs. Runs in the forkserver only."""
    import ctypes
    import importlib

    ctypes.CDLL(None).prctl(
        1, signal.SIGKILL, 0, 0, 0
    )  # as ops.process.tie_to_parent, before numba is there
    if os.getppid() != int(os.environ[SUPERVISOR]):
        os._exit(6)
    os.setpgid(0, 0)
    from setproctitle import setproctitle

    setproctitle("arb: nursery")
    from ops import cache

    cache.use()
    from ops import warm

    warm.call_all()
    for name in (*LIBRARIES, "ops.process"):
        importlib.import_module(name)
    from ops import roles

    roles.preload()
    gc.collect()
    gc.freeze()  # a child's collector never writes to the pages it shares with its siblings
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        sys.stderr.write(f"nursery: found {threads} threads after the preload, wanted 1\n")
        os._exit(1)


if SUPERVISOR in os.environ:
    try:
        prepare()
    except ImportError as error:  # the forkserver would swallow it
        sys.stderr.write(f"arb: nursery: {error}\n")
        raise
    READY = True
