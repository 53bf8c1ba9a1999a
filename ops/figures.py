"""Figures as people read them. Imports nothing."""

from __future__ import annotations

from collections.abc import Mapping


def dollars(value_e6: int) -> str:
    """Signed dollars and cents, rounded towards minus infinity."""
    cents = value_e6 // 10_000
    return f"{'-' if cents < 0 else ''}${abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def mode_said(mode: str) -> str:
    """The mode of a run as people must not overlook it."""
    return {"paper": "PAPER: no order is real"}.get(mode, mode)


def microseconds(figures: Mapping[str, int | None]) -> str:
    """p50 p99 p99.9 max of a set of figures."""
    if not figures["count"]:
        return "none"
    shown = " · ".join(
        f"{title} {(figures[key] or 0) / 1000:,.0f}"
        for key, title in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max"))
    )
    return f"{shown} µs  ({figures['count']})"
