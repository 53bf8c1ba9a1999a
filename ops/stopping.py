"""The way down: the detector first, then what is on the wire is finished, then the rest; the venues
last, with their log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ops import clock
from ops.children import Child

if TYPE_CHECKING:
    from ops.supervisor import Supervisor

ORDER = (
    ("gateway",),
    ("feed", "model", "catalog", "recorder", "exporter"),
    ("canceller", "signer"),
)
STEP_NS = 5 * clock.MS_NS


def stop_in_order(run: Supervisor) -> None:
    """Every child ends; who does not is killed, and that is noted."""
    limit_ns = run.request.settings.processes.stop_max_ns
    assert run.ending is not None
    run.trading.operator_halt("stopping")
    _stop(run, ("detector",), limit_ns)
    if run.ending.code == 0 and _has(run, "gateway"):
        _turn_until(run, lambda: run.tally.open_intents() == 0, limit_ns)
    for kinds in ORDER:
        _stop(run, kinds, limit_ns)
    beside = run.beside
    beside.send("stop")
    _turn_until(
        run,
        lambda: all(beside.has_told(name) or not _runs_as(run, name) for name in beside.names),
        limit_ns,
    )
    _stop(run, tuple({child.kind for child in run.children.by_name.values()}), limit_ns)


def _has(run: Supervisor, kind: str) -> bool:
    return any(child.kind == kind for child in run.children.by_name.values())


def _runs_as(run: Supervisor, name: str) -> bool:
    return name in run.children.by_name


def _stop(run: Supervisor, kinds: tuple[str, ...], limit_ns: int) -> None:
    going = [child for child in run.children.by_name.values() if child.kind in kinds]

    def are_gone() -> bool:
        return not any(_runs(run, child) for child in going)

    for child in going:
        run.children.ask_to_stop(child)
    _turn_until(run, are_gone, limit_ns)
    for child in going:
        if _runs(run, child):
            run.note(
                f"{child.spec.name} did not stop within {limit_ns // clock.SECOND_NS} s: killed"
            )
            run.children.kill(child)
    _turn_until(run, are_gone, limit_ns)


def _runs(run: Supervisor, child: Child) -> bool:
    return run.children.by_name.get(child.spec.name) is child


def _turn_until(run: Supervisor, holds: Callable[[], bool], limit_ns: int) -> None:
    """A second signal ends the patience: what is left is killed by the ground's close."""
    until_ns = clock.mono_ns() + limit_ns
    while not holds() and clock.mono_ns() < until_ns and run.interrupts.times < 2:
        run.turn(STEP_NS)
