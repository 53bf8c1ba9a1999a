"""A C reference called over the same words as ours."""

from __future__ import annotations

import ctypes

import numpy as np

import shm_layout as shm


class Reference:
    """A library of bench/csource whose functions take and return 64-bit integers and addresses."""

    def __init__(self, library: ctypes.CDLL, words: shm.Words) -> None:
        self._library = library
        self._base = words.ctypes.data

    def call(self, name: str, *args: int | shm.Words) -> int:
        """One C function; arrays go as addresses. Cells of the segment are named by `place`."""
        function = getattr(self._library, name)
        function.restype = ctypes.c_int64
        plain = [arg.ctypes.data if isinstance(arg, np.ndarray) else arg for arg in args]
        return int(function(*map(ctypes.c_int64, plain)))

    def place(self, cell: int) -> int:
        """Address of a cell."""
        return self._base + 8 * cell
