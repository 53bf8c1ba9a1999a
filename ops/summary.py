"""What a run came to: one dict with the keys that `--json` promises, and the same as a table for
people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ops import clock
from ops.figures import dollars, microseconds, mode_said
from ops.paper_rows import paper_rows
from ops.paper_text import paper_lines
from ops.refused import refused_pairs
from ops.refused_text import sums, texts
from ops.sim_spot import FALLBACK
from ops.status import pool, refusals, waiting
from ops.status_text import pooled
from ops.tally import percentiles, wire_to_order_ns
from ops.worth import rows
from ops.worth_text import profit_parts
from shm_layout import DETECTOR, E6, FEED_ROLE

if TYPE_CHECKING:
    from ops.supervisor import Supervisor

KEYS = (
    "mode", "seed", "script_hash", "seconds", "first_order_s", "venues", "edges", "intents",
    "refusals", "refused_pairs", "orders", "pool", "fills", "one_legged", "bets", "profit_e6",
    "profit", "fees_e6", "tick_to_order_ns", "wire_to_order_ns", "stages_ns", "waiting", "paper",
    "exit_reason",
)  # fmt: skip


def summary(run: Supervisor) -> dict[str, Any]:
    """The contract of `--json`: exactly KEYS. Money in 1e-6 dollars, `_ns` nanoseconds, None where
    there is nothing.
    """
    tally, watch, log, worth = run.tally, run.watch, run.beside.log, run.worth()
    counted_ns = run.ended_ns - run.counted_from_ns if run.counted_from_ns else 0
    first_ns = tally.first_send_ns - run.began_ns if tally.first_send_ns else None
    venues = {}
    for name in watch.feeds():
        feed = watch.feed_index(name)
        role = FEED_ROLE + feed
        venues[name] = {
            "frames": watch.counter(role, "frames"),
            "quotes": watch.counter(role, "published"),
            "gaps": watch.counter(role, "gaps"),
            "trusted_ratio": _rounded(watch.trusted_ratio(feed)),
        }
    found = {
        "mode": run.session.mode,
        "seed": run.session.seed,
        "script_hash": run.session.script_hash,
        "seconds": round(counted_ns / clock.SECOND_NS, 3),
        "first_order_s": None if first_ns is None else round(first_ns / clock.SECOND_NS, 3),
        "venues": venues,
        "edges": watch.counter(DETECTOR, "edges"),
        "intents": len(tally.lives),
        "refusals": refusals(run),
        "refused_pairs": refused_pairs(watch.segment, watch.identity),
        "orders": tally.orders,
        "pool": pool(run),
        "fills": tally.fills,
        "one_legged": tally.one_legged,
        "bets": tally.bets(),
        "profit_e6": worth.worst_e6,
        "profit": rows(worth),
        "fees_e6": tally.fees_e6,
        "tick_to_order_ns": percentiles(tally.tick_to_order_ns()),
        "wire_to_order_ns": percentiles(wire_to_order_ns(tally, log.read_ns, run.clock.due_ns)),
        "stages_ns": watch.stages(watch.feeds()),
        "waiting": waiting(run),
        "paper": paper_rows(watch.segment) if run.session.mode == "paper" else None,
        "exit_reason": run.ending.reason if run.ending else "",
    }
    assert tuple(found) == KEYS
    return found


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 6)


def lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The summary as (title, text), for a table."""
    hedged, pairs = found["one_legged"], found["refused_pairs"]
    seed = "recorded" if found["seed"] is None else f"seed {found['seed']}"
    shown = [
        *([("mode", mode_said(found["mode"]))] if found["paper"] is not None else []),
        ("ended", f"{found['exit_reason']}  ({found['seconds']:.1f} s counted)"),
        ("script", f"{seed} · {found['script_hash'][:16]}"),
    ]
    for name, venue in found["venues"].items():
        ratio = venue["trusted_ratio"]
        trust = "" if ratio is None else f" · trusted {100 * ratio:.1f} %"
        trust = " · asked while a spot stream is down" if name == FALLBACK and not ratio else trust
        text = (
            f"{venue['frames']:,} frames · {venue['quotes']:,} quotes · {venue['gaps']} gaps{trust}"
        )
        shown.append((name, text))
    refused = ", ".join(f"{name} {count:,}" for name, count in found["refusals"].items()) or "none"
    first, bets = found["first_order_s"], found["bets"]
    shown += [
        ("edges", f"{found['edges']:,}"),
        ("intents", f"{found['intents']:,}"),
        ("refused", refused),
        *(("refused edges", text) for text in texts(sums(pairs), pairs)),
        ("orders", f"{found['orders']:,} · {found['fills']:,} filled · {hedged} one-legged"),
        *([("model bets", bets_text(bets))] if bets["intents"] else []),
        *((name, strategy_text(row)) for name, row in bets["strategies"].items()),
        ("signed ahead", pooled(found["pool"])),
        ("first order", "none" if first is None else f"{first:.2f} s after the start"),
        (
            "profit",
            f"{dollars(found['profit_e6'])} at the worst, after {dollars(found['fees_e6'])} fees:",
        ),
        *(("", text) for text in profit_parts(found["profit"])),
        ("tick-to-order", microseconds(found["tick_to_order_ns"])),
        ("wire-to-order", microseconds(found["wire_to_order_ns"])),
        ("waiting", ", ".join(f"{role} {kind}" for role, kind in found["waiting"].items())),
    ]
    return shown + [("paper orders", line) for line in paper_lines(found["paper"] or {})]


def bets_text(bets: Mapping[str, Any]) -> str:
    """What the model took in one market alone."""
    return (
        f"{bets['intents']:,} · {bets['fills']:,} filled,"
        f" {bets['filled_e6'] // E6:,} contracts worth {dollars(bets['fair_e6'])} at fair value"
        " when they were decided on"
    )


def strategy_text(row: Mapping[str, int]) -> str:
    """What a strategy's bets came to."""
    return (
        f"{row['intents']:,} bets · {row['fills']:,} filled,"
        f" {dollars(row['expected_e6'])} expected ·"
        f" {dollars(row['realised_e6'])} realised on {row['settled_e6'] // E6:,}"
        f" of {row['filled_e6'] // E6:,} contracts settled"
    )


def faults_done(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str]]:
    """What the simulated venues did wrong on demand, a line a venue; `counts` as they tell them."""
    found = []
    for venue, by_name in counts.items():
        done = {
            name.removeprefix("fault_"): count
            for name, count in sorted(by_name.items())
            if name.startswith("fault_") and count
        }
        if done:
            text = ", ".join(f"{kind} {count:,}" for kind, count in done.items())
            found.append(("faults", f"{venue}: {text}"))
    return found
