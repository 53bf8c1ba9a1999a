"""Warming compiles every kernel of the room, and attach can ask each file what it was compiled
for."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import engine
from engine import warm
from shm_layout import LAYOUT_HASH, LayoutError, Segment

ROOM = Path(engine.__file__).parent


def test_every_file_with_a_kernel_tells_its_layout() -> None:
    files = [file for file in ROOM.rglob("*.py") if "@njit" in file.read_text()]
    with_kernels = [".".join(file.relative_to(ROOM).with_suffix("").parts) for file in files]
    told = {importlib.import_module(f"engine.{name}").layout_hash for name in with_kernels}
    assert told == set(warm.KERNEL_HASHES) and len(told) == len(with_kernels) > 10
    assert all(each() == LAYOUT_HASH for each in warm.KERNEL_HASHES)


def test_a_kernel_of_another_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "KERNEL_HASHES", (*warm.KERNEL_HASHES, lambda: LAYOUT_HASH ^ 1))
    with pytest.raises(LayoutError, match="compiled for"):
        warm.check_hashes()


def test_after_warming_a_detector_compiles_nothing_more() -> None:
    from engine import decide, kernels

    warm.warm(Segment.private())
    for kernel in (kernels.live_step, kernels.wait_step, kernels.catch_up, decide.decide_touched):
        assert len(kernel.signatures) == 1, kernel
