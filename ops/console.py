"""What commands write for people and programs. The only place that does.

A reader that is gone (a closed pipe or terminal) stops nothing: the run goes on in order.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO


def out(text: str) -> None:
    """A line on standard output."""
    _write(sys.stdout, text)


def err(text: str) -> None:
    """A line on standard error."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
