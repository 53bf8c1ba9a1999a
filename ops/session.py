"""What a run consists of: which processes, in which order, on which tables. The supervisor runs it
without knowing venues.

`Session` is what a mode offers (ops/sim.py for `sim`, ops/paper.py for `paper`); tests offer one of
small fake processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ops.config import Settings
from ops.identity import Identity
from ops.venues.faults import Plan as Faults
from ops.venues.script import Timeline


class SessionError(Exception):
    """What was asked for cannot be run: one line that says what was found and what was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    settings: Settings
    name: str  # of the segment
    state_dir: Path
    seconds: float | None = None
    seed: int = 1
    replay: tuple[Path, ...] = ()
    speed_e6: int = 1_000_000
    from_epoch_ns: int | None = None
    gap_max_ns: int | None = None
    faults: Faults = ()  # what the simulated venues do wrong
    force_approve: bool = False  # pairs whose markets differ are traded: simulated venues only


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One process of a run. `kind` is its row in ops/restarts.py; `fds` names descriptors the
    supervisor made.
    """

    name: str
    kind: str
    role: int
    build: str
    params: Any = None
    is_hot: bool = False
    does_outlive: bool = False
    fds: tuple[str, ...] = ()
    extra_fds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuesLog:
    """What the simulated venues kept: when each order was read, by key, and their own counts."""

    read_ns: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Session(Protocol):
    """One run of one mode."""

    mode: str
    seed: int | None
    script_hash: str
    identity: Identity
    channels: tuple[str, ...]  # suffixes of the private segments to make
    timeline: Timeline
    end_epoch_ns: int | None

    @property
    def early(self) -> tuple[Plan, ...]:
        """The processes everything else talks to; each says "ready" on its pipe (ops/beside.py)."""
        ...

    def plans(self, ports: Mapping[str, Any], segment: str) -> tuple[Plan, ...]:
        """Every other process, in starting order. `ports`: what each early one said, by its
        name.
        """
        ...
