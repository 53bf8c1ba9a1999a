"""The answer of `status` as text for people. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.figures import dollars, mode_said
from ops.paper_text import paper_lines
from ops.refused_text import texts
from ops.worth_text import profit_parts

COLUMNS = (
    ("name", "process"), ("pid", "pid"), ("beat_age_ms", "beat ms"), ("worst_loop_us", "worst us"),
    ("cpu_percent", "cpu %"), ("rss_mib", "MiB"), ("own_mib", "own MiB"), ("core", "core"),
    ("restarts", "restarts"),
)  # fmt: skip


def pooled(found: Mapping[str, Any]) -> str:
    """How many orders were signed before they were wanted."""
    ratio = found["hit_ratio"]
    share = "" if ratio is None else f" ({100 * ratio:.1f} %)"
    return (
        f"{found['hits']:,} of {found['hits'] + found['misses']:,} one-level orders{share},"
        f" {found['walking']:,} walking BUYs apart"
    )


def text(found: Mapping[str, Any]) -> str:
    """State, processes, feeds, waiting, what happened."""
    refusals = found.get("refusals", {})
    reasons = ", ".join(f"{name} {count:,}" for name, count in refusals.items())
    lines = [
        f"{'KILLED, ' if found.get('killed') else ''}{found['state']}: supervisor"
        f" {found['supervisor']}, gate {found['gate']}, {mode_said(found['mode'])},"
        f" {found['seconds']:.0f} s, pid {found['pid']}, segment {found['segment']}",
        f"{found['edges']} edges, {found['intents']} intents, {found['orders']} orders,"
        f" {found['fills']} fills, {found['one_legged']} one-legged",
        *(f"paper orders: {line}" for line in paper_lines(found.get("paper") or {})),
        *(["profit: " + "; ".join(profit_parts(found["profit"]))] if "profit" in found else []),
        *([f"refused by reason: {reasons}"] if reasons else []),
        *_standing(found),
        *_venues(found),
        *_todo(found),
        *([f"signed ahead: {pooled(found['pool'])}"] if "pool" in found else []),
        f"cores: {found['cores']}",
        *(f"waiting: {role}: {how}" for role, how in found["waiting"].items()),
        "",
        *_table(
            [
                [title for _, title in COLUMNS],
                *([_cell(row[key]) for key, _ in COLUMNS] for row in found["processes"]),
            ]
        ),
        "",
    ]
    for name, feed in found["feeds"].items():
        ratio = feed["trusted_ratio"]
        share = "" if ratio is None else f", {100 * ratio:.1f} % of the time"
        quiet = feed.get("link_age_ms")
        heard = "" if quiet is None else f", heard {quiet} ms ago"
        link = f"connected{heard}" if feed["connected"] else "not connected"
        link = "blocked by the venue" if feed.get("blocked") else link
        if feed["stands_by"]:
            lines.append(f"feed {name}: stands by until a spot stream is down")
            continue
        shut = f" ({feed['not_open']} more not open)" if feed["not_open"] else ""
        lines.append(
            f"feed {name}: {feed['trusted']} of {feed['instruments']} trusted{shut}{share}, {link},"
            f" {feed['frames']} frames, {feed['gaps']} gaps"
        )
    if "refused_edges" in found:
        shown = texts(found["refused_edges"], found["refused_pairs"])
        lines += [f"refused: {line}" for line in shown]
    for row in found.get("indices", ()):
        mean = f"mean of {row['mean_count']} s {row['mean']}" if row["mean"] else "no mean"
        doubt = "" if row["trusted"] else ", not trusted"
        lines.append(f"index {row['index']}: {row['value'] or '-'}, {mean}{doubt}")
    lines += _windows(found)
    lines += _strategies(found)
    if found["events"]:
        lines += ["", *(event["text"] for event in found["events"][-12:])]
    return "\n".join(lines)


def _windows(found: Mapping[str, Any]) -> list[str]:
    """Windows of series: how many came and went, where each stands that has begun."""
    told = found.get("windows", {})
    if not told.get("followed"):
        return []
    lines = [
        f"windows: {told['followed']} followed, {told['listed']} listed,"
        f" {told['forgotten']} forgotten, {told['refused']} proposals refused"
    ]
    for row in found.get("fair", ()):
        if not row["series"] or row["phase"] in ("ahead", "settled"):
            continue
        strike = "strike not known"
        if row["strike_e8"] is not None:
            strike = f"strike {dollars(row['strike_e8'] // 100)}"
        left = "" if row["left_s"] is None else f", {row['left_s']} s left"
        lines.append(f"window {row['venue']} {row['ticker']}: {row['phase']}{left}, {strike}")
    return lines + [
        f"not settled: {row['venue']} {row['market']}, closed at {row['close_s']},"
        f" held {'-' if row['position_e6'] < 0 else ''}{_contracts(abs(row['position_e6']))} YES"
        for row in told["overdue"]
    ]


def _strategies(found: Mapping[str, Any]) -> list[str]:
    """Those that are on and had a market to look at."""
    return [
        f"strategy {row['name']}: {row['orders']:,} orders, {row['fires']:,} of {row['looks']:,}"
        f" looks with a side, {dollars(row['spent_e6'])} at stake,"
        f" {dollars(row['expected_e6'])} expected"
        for row in found.get("strategies", ())
        if row["is_on"] and row["looks"]
    ]


def _standing(found: Mapping[str, Any]) -> list[str]:
    """What an operator must look at before `resume` (rows of ops/standing_rows.py)."""
    return [
        f"one leg alone: {row['venue']} {row['market']},"
        f" {'bought' if row['lone_e6'] > 0 else 'sold'} {_contracts(abs(row['lone_e6']))}"
        f" contracts that cost {dollars(row['cost_e6'])}, of intent {row['intent']}"
        for row in found.get("standing", ())
    ] + [
        f"blocked: {row['venue']} {row['market']} after {row['mismatches']} legs alone,"
        " until resume"
        for row in found.get("blocked", ())
    ]


def _venues(found: Mapping[str, Any]) -> list[str]:
    """Venues that want to be left alone."""
    lines = []
    for name, row in found.get("venues", {}).items():
        if row["circuit_open"]:
            lines.append(f"circuit open: {name}: no opening orders after 5xx or timeouts")
        if row["reads_wait"]:
            lines.append(f"reads wait: {name}: too many requests (429)")
    return lines


def _todo(found: Mapping[str, Any]) -> list[str]:
    """What is to be done on the chain (rows of ops/todo_rows.py)."""
    lines = []
    for row in found.get("todo", ()):
        size = "" if row["size_e6"] is None else f" {_contracts(row['size_e6'])} YES and NO"
        worth = f"{row['do']} {row['venue']} {row['market']}:{size} for {dollars(row['worth_e6'])}"
        lines.append(f"to do: {worth}")
    return lines


def _contracts(size_e6: int) -> str:
    whole, part = divmod(size_e6, 1_000_000)
    return f"{whole:,}" + (f".{part:06d}".rstrip("0") if part else "")


def _cell(value: object) -> str:
    return "-" if value is None or value == -1 else str(value)


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
