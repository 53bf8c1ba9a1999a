"""Builds each role of the engine from what its process was told: the only place that knows all
rooms at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops.process import RoleSpec
from shm_layout import Segment

ROOMS: tuple[str, ...] = ("engine.detector", "gateway.signer", "ops.venues.serve")
Built = Any  # a StepRole, LoopRole or CallRole of ops/process.py


def build(spec: RoleSpec, segment: Segment) -> Built:
    """The role of a spec."""
    return BUILDERS[spec.name.split()[0]](spec, segment)


def _detector(spec: RoleSpec, segment: Segment) -> Built:
    from ops.waits import DetectorRole

    return DetectorRole(spec, segment)


BUILDERS: dict[str, Callable[[RoleSpec, Segment], Built]] = {"detector": _detector}
