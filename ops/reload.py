"""Other settings for a running engine: what tightens holds at once, what loosens only when halted,
and some only from the next start on. Says of every key that changed what became of it.

The engine and the gateway hear of it as a PARAMETERS row (of strategies: a STRATEGY row each) on
the control ring; a process that is started later is told the new settings with its start. The
signer's caps stay those of the run's start, so no limit that they follow from can be raised above
what it was then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ops.config import ConfigError, Loaded, Source
from ops.config_read import Mistakes, Told
from ops.config_together import check_together
from ops.cores import is_pinned
from ops.desk_limits import desk_params, for_cores
from ops.identity import announce, parameters_row
from ops.setting_kinds import EITHER, RESTART, UP
from ops.settings import Settings, built, entry_of
from ops.strategy_rows import strategy_rows
from shm_layout import (
    GATEWAY,
    K_PARAMETERS,
    K_STRATEGY,
    PARAMETERS,
    bell_ring,
    cell,
)

if TYPE_CHECKING:
    from ops.supervisor import Supervisor

AS_STARTED = frozenset(  # what the signer's caps follow from (ops/desk_limits.py)
    {("limits", "order_max"), ("limits", "market_max"), ("limits", "total_max")}
)
NOT_RUNNING = "wanted as it is: it changes with the next start only"
NOT_HALTED = "looser, wanted after a halt only (arb-supervisor halt)"


@dataclass(frozen=True, slots=True)
class Change:
    """One key that is told otherwise now. `why_not` is empty if it may change."""

    section: str
    key: str
    was: Told
    now: Told
    is_tighter: bool
    why_not: str

    def row(self) -> dict[str, Any]:
        """As plain data."""
        found: dict[str, Any] = {"section": self.section, "key": self.key}
        found |= {"was": self.was.written, "now": self.now.written, "from": self.now.where}
        found["way"] = "tighter" if self.is_tighter else "looser"
        return found | ({"why": self.why_not} if self.why_not else {})


def changes(running: Loaded, told: Loaded, started: Loaded, *, is_halted: bool) -> list[Change]:
    """Every key that differs, in the order of the tables."""
    found = []
    for name, now in told.told.items():
        was = running.told[name]
        if was.value == now.value:
            continue
        safer = entry_of(*name).metadata["safer"]
        is_known = safer not in (RESTART, EITHER)
        is_tighter = is_known and (now.value > was.value) == (safer == UP)
        why_not = ""
        if safer == RESTART:
            why_not = NOT_RUNNING
        elif name in AS_STARTED and now.value > started.told[name].value:
            why_not = f"wanted at most {started.told[name].written}, with which the signer started"
        elif not is_tighter and not is_halted:
            why_not = NOT_HALTED
        found.append(Change(*name, was, now, is_tighter, why_not))
    return found


def mixed(running: Loaded, found: list[Change]) -> Loaded:
    """What runs, with the changes that may be. Raises ConfigError if that contradicts itself."""
    told = dict(running.told)
    told |= {(each.section, each.key): each.now for each in found if not each.why_not}
    mistakes = Mistakes()
    check_together(told, mistakes)
    if mistakes.lines:
        raise ConfigError("\n".join(mistakes.lines))
    sections = built({name: found.value for name, found in told.items()})
    settings = replace(running.settings, **sections)
    try:
        desk_params(settings)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Loaded(settings, told)


class Reloader:
    """Of one run: where its settings come from, and what runs now."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._started = self._running = source.first
        self._number = 1  # of the PARAMETERS row that the run began with

    def reload(self, run: Supervisor) -> dict[str, Any]:
        """Read again and put in force what may be. `error` instead if the files are wrong: then
        nothing has changed.
        """
        is_halted = run.trading.is_halted_by_operator
        try:
            told = self._source.read()
            found = changes(self._running, told, self._started, is_halted=is_halted)
            self._running = mixed(self._running, found)
        except ConfigError as error:
            return {"error": str(error)}
        applied = [each for each in found if not each.why_not]
        if applied:
            self._put(run, self._running.settings)
        names = ", ".join(f"{each.section}.{each.key}" for each in applied) or "nothing"
        run.note(f"reload by command: {names} changed, {len(found) - len(applied)} refused")
        return {
            "applied": [each.row() for each in applied],
            "refused": [each.row() for each in found if each.why_not],
            "state": run.trading.text,
        }

    def _put(self, run: Supervisor, settings: Settings) -> None:
        settings = for_cores(settings, is_pinned(settings.processes.cores_min))
        _adopt(run, settings)
        segment = run.ground.segment
        self._number += 1
        row = parameters_row(settings, number=self._number)
        assert row[cell(PARAMETERS, "number")] == self._number
        segment.write("parameters", 0, row)
        announce(segment, K_PARAMETERS, row)
        for which, body in enumerate(strategy_rows(settings, number=self._number)):
            segment.write("strategies", which, body)
            announce(segment, K_STRATEGY, body)
        bell_ring(segment.words, segment.at("bells", GATEWAY), run.ground.fds["gateway"])


def _adopt(run: Supervisor, settings: Settings) -> None:
    """What is started from now on is told these. The signer keeps its caps."""
    run.request = replace(run.request, settings=settings)
    for name, plan in run.plans.items():
        if plan.kind != "signer" and hasattr(plan.params, "settings"):
            told = replace(plan.params, settings=settings)
            run.plans[name] = replace(plan, params=told)
