"""What a busy machine takes is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.ops.rig import until
from tests.session.held import Held, waited_ns

SPIN = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


@contextmanager
def child(code: str, *arguments: str) -> Iterator[int]:
    """Its pid; it is gone afterwards."""
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def test_two_that_want_one_core_hold_each_other_up() -> None:
    if not waited_ns(os.getpid()):
        pytest.skip("this kernel does not count who waits for a processor")
    core = str(min(os.sched_getaffinity(0)))
    with child(SPIN, core) as one, child(SPIN, core) as other:
        held = Held([one])
        until(lambda: held.seconds() > 0.5, 60, "half a second")
        known = held.seconds()
        assert known > 0.5 and waited_ns(other) > 0
    assert held.seconds() >= known, "what a process has waited stays when it is gone"
