"""Which process runs on which core, when there are enough of them. Pure but for one question to the
kernel.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


class Placed(Protocol):
    """What the assignment looks at."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process may run; empty: anywhere."""

    cores: tuple[int, ...] = ()
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class Cores:
    """The plan of a run, and one line that says what it is."""

    places: Mapping[str, Place]
    rest: Place
    said: str

    def of(self, name: str) -> Place:
        """A process's place."""
        return self.places.get(name, self.rest)


HOT = ("detector", "gateway", "feed")  # in this order, as far as the cores go
HOUSEKEEPING = 2  # left to everything else


def available() -> tuple[int, ...]:
    """Cores this process may use."""
    return tuple(sorted(os.sched_getaffinity(0)))


def is_pinned(cores_min: int, cores: tuple[int, ...] | None = None) -> bool:
    """Whether detector and gateway get a core each."""
    count = len(available() if cores is None else cores)
    return count >= cores_min and count >= HOUSEKEEPING + 2


def assign(plans: Iterable[Placed], cores_min: int, cores: tuple[int, ...] | None = None) -> Cores:
    """One core each for the detector, the gateway and the feeds, highest first; the first two are
    for the rest.
    """
    found = available() if cores is None else cores
    if len(found) < cores_min:
        said = f"not pinned: {len(found)} cores, wanted {cores_min} (waiting processes sleep)"
        return Cores({}, Place(), said)
    free = list(found[HOUSEKEEPING:])
    hot = sorted((p for p in plans if p.kind in HOT), key=lambda p: HOT.index(p.kind))
    places = {}
    for plan in hot:
        if free:
            places[plan.name] = Place((free.pop(),), True)
    rest = Place(tuple(found[:HOUSEKEEPING]) + tuple(free))
    said = "pinned: " + ", ".join(f"{name} on {place.cores[0]}" for name, place in places.items())
    return Cores(places, rest, said)
