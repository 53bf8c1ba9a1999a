"""What the desk tells of itself now and then: counts that others keep, and how its venues bear
being asked.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.journal import Journal
from gateway.line import VenueLine
from gateway.reports import Reports

log = logging.getLogger("gateway")


@dataclass(slots=True, kw_only=True)
class Vitals:
    """One owner: the desk."""

    lines: Mapping[int, VenueLine]
    journal: Journal
    reports: Reports
    _told: dict[str, int] = field(default_factory=dict)

    def tick(self, now_ns: int) -> None:
        """Counters, the bits of the gate, and what is for the log."""
        lines = self.lines.values()
        for name, value in (
            ("fsyncs", self.journal.syncs),
            ("reconnects", sum(line.pool.connects for line in lines)),
            ("circuits", sum(line.health.opened for line in lines)),
            ("backoffs", sum(line.health.refused for line in lines)),
        ):
            if value != self._told.get(name, 0):
                self.reports.count(name, value - self._told.get(name, 0))
                self._told[name] = value
        circuits = backoffs = 0
        for number, line in self.lines.items():
            circuits |= line.health.is_open << number
            backoffs |= line.health.is_slow(now_ns) << number
            for text in line.health.news:
                log.warning("alert: gateway: %s", text)
            line.health.news.clear()
        self.reports.health(circuits, backoffs)
