"""The state of a run as one plain dict: what `status`, the live screen and a line now and then
show.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ops import clock
from ops.index_rows import index_rows
from ops.inspector_strategies import strategies_of
from ops.paper_rows import paper_rows
from ops.refused import refused_pairs
from ops.refused_text import best, sums
from ops.sim_spot import FALLBACK
from ops.standing_rows import standing_rows
from ops.terms_rows import fair_rows, terms_rows
from ops.todo_rows import todo_rows
from ops.trading import TEXT
from ops.usage import Used
from ops.worth import rows
from shm_layout import COUNTERS, DETECTOR, FEED_ROLE, GATEWAY, NURSERY, SUPERVISOR, VENUES

if TYPE_CHECKING:
    from ops.supervisor import Supervisor

REFUSED_MAX = 100  # pairs told: an answer has a limit


def status(run: Supervisor) -> dict[str, Any]:
    """Everything a person asks first. Times in seconds or as named."""
    now_ns = clock.mono_ns()
    supervisor, gate = f"{run.trading.text} ({run.trading.reason})", run.watch.gate_text()
    refused = refused_pairs(run.watch.segment, run.watch.identity)
    worth = run.worth()
    return {
        "running": True,
        "mode": run.session.mode,
        "pid": os.getpid(),
        "segment": run.request.name,
        "seconds": round((now_ns - run.began_ns) / clock.SECOND_NS, 1),
        "state": TEXT[min(run.trading.state, run.watch.gate("state"))],  # in force: the lower one
        "supervisor": supervisor,
        "gate": gate,
        "killed": run.commands.is_killed,
        **standing_rows(run.watch.segment, run.watch.identity.instruments),
        "todo": todo_rows(run.watch.segment, run.watch.identity.instruments),
        "venues": venues(run),
        "counts_from": run.counted_from or None,
        "ending": run.ending.reason if run.ending else None,
        "cores": run.cores.said,
        "waiting": waiting(run),
        "processes": processes(run, now_ns),
        "feeds": feeds(run),
        "indices": index_rows(run.watch.segment, run.watch.identity.products),
        "fair": fair_rows(run.watch.segment, run.watch.identity, now_ns),
        "windows": run.roll.told(),
        "terms": terms_rows(run.watch.segment, run.watch.identity, now_ns),
        "strategies": [asdict(row) for row in strategies_of(run.watch.segment, now_ns)],
        "edges": run.watch.counter(DETECTOR, "edges"),
        "intents": len(run.tally.lives),
        "orders": run.tally.orders,
        "pool": pool(run),
        "fills": run.tally.fills,
        "one_legged": run.tally.one_legged,
        "bets": run.tally.bets(),
        "paper": paper_rows(run.watch.segment) if run.session.mode == "paper" else None,
        "refusals": refusals(run),
        "refused_edges": sums(refused),
        "refused_pairs": best(refused, REFUSED_MAX),
        "profit_e6": worth.worst_e6,
        "profit": rows(worth),
        "tick_to_order_ns": run.tally.tick_to_order(),
        "events": [{"epoch_ms": at // clock.MS_NS, "text": text} for at, text in run.events],
    }


def processes(run: Supervisor, now_ns: int) -> list[dict[str, Any]]:
    """One row a process, dead ones that will come back included."""
    rows = [_row(run, "supervisor", SUPERVISOR, os.getpid(), now_ns)]
    rows.append(_row(run, "nursery", NURSERY, run.children.helpers.nursery_pid, now_ns))
    for plan in run.plans.values():
        child = run.children.by_name.get(plan.name)
        rows.append(_row(run, plan.name, plan.role, child.pid if child else 0, now_ns))
    return rows


def _row(run: Supervisor, name: str, role: int, pid: int, now_ns: int) -> dict[str, Any]:
    used = run.usage.of(pid, now_ns) if pid else Used()
    beat_ns, looked_ns = run.watch.role(role, "beat_ns"), clock.mono_ns()
    is_current = run.watch.role(role, "pid") == pid
    return {
        "name": name,
        "pid": pid or None,
        "beat_age_ms": max(looked_ns - beat_ns, 0) // clock.MS_NS
        if beat_ns and is_current
        else None,
        "restarts": run.restarts.restarts(name),
        "cpu_percent": used.cpu_percent,
        "rss_mib": used.rss_mib,
        "own_mib": used.own_mib,
        "worst_loop_us": run.watch.role(role, "worst_loop_ns") // 1000 if is_current else None,
        "core": run.watch.role(role, "core") if is_current else None,
        "ready": bool(run.watch.role(role, "ready_ns")) if is_current else name == "nursery",
    }


def feeds(run: Supervisor) -> dict[str, dict[str, Any]]:
    """Trust by feed that has data."""
    found = {}
    for name, feed in run.watch.feeds().items():
        role = FEED_ROLE + run.watch.feed_index(name)
        heard_ns = run.watch.role(role, "connected")
        found[name] = {
            "trusted": feed.trusted,
            "instruments": feed.total,
            "not_open": feed.resting,
            "stands_by": name == FALLBACK and not feed.trusted,
            "live": feed.is_live,
            "connected": heard_ns > 0,
            "link_age_ms": (clock.mono_ns() - heard_ns) // clock.MS_NS if heard_ns > 1 else None,
            "blocked": run.watch.is_blocked(role),
            "frames": run.watch.counter(role, "frames"),
            "quotes": run.watch.counter(role, "published"),
            "gaps": run.watch.counter(role, "gaps"),
            "trusted_ratio": run.watch.trusted_ratio(run.watch.feed_index(name)),
        }
    return found


def venues(run: Supervisor) -> dict[str, dict[str, Any]]:
    """How the venues bear being asked, by the gateway: of those that want to be left alone."""
    bits = {name: run.watch.gate(name) for name in ("circuits", "backoffs")}
    return {
        name: {"circuit_open": bool(bits["circuits"] >> place & 1),
               "reads_wait": bool(bits["backoffs"] >> place & 1)}
        for place, name in enumerate(VENUES)
        if (bits["circuits"] | bits["backoffs"]) >> place & 1
    }  # fmt: skip


def refusals(run: Supervisor) -> dict[str, int]:
    """Why what paid was not sent: the gateway's reasons by intent, the detector's (prefixed) by
    decision.
    """
    found = dict(sorted(run.tally.refusals.items()))
    for name in COUNTERS["detector"]:
        if name.startswith("refused_") and (count := run.watch.counter(DETECTOR, name)):
            found[name.replace("refused_", "detector_")] = count
    return found


def pool(run: Supervisor) -> dict[str, Any]:
    """Orders of the opening legs that go by a signature of their own: signed ahead (`hits`), or on
    demand (`misses`); BUYs that take more than the touch apart (`walking`).
    """
    names = {"hits": "pool_hits", "misses": "pool_misses", "walking": "pool_walks"}
    found: dict[str, Any] = {k: run.watch.counter(GATEWAY, name) for k, name in names.items()}
    asked = found["hits"] + found["misses"]
    return found | {"hit_ratio": round(found["hits"] / asked, 6) if asked else None}


def waiting(run: Supervisor) -> dict[str, str]:
    """How each kind of process waits in this run."""
    spin_us = run.request.settings.processes.spin_ns // 1000
    is_alone = run.cores.of("detector").is_alone
    return {
        "detector": "spins on its own core" if is_alone else f"spins {spin_us} us, then futex",
        "gateway": "eventfd in epoll",
        "feeds": "epoll",
    }
