"""The parts of a run's profit (ops/worth.py) as people read them. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping

from ops.figures import dollars


def profit_line(found: Mapping[str, int]) -> str:
    """The parts in one line."""
    told = f"closed {dollars(found['closed_e6'])} · sure {dollars(found['sure_e6'])}"
    told += f" if {dollars(found['apart_e6'])} of two indices pay" if found["apart_e6"] else ""
    return f"{told} · open {_open(found)}" if found["open_markets"] else f"{told} · nothing open"


def profit_parts(found: Mapping[str, int]) -> list[str]:
    """The parts, a line each, and what they are."""
    return [
        f"closed {dollars(found['closed_e6'])}: settled, or given back",
        f"sure {dollars(found['sure_e6'])}: pairs that are complete, whatever happens"
        + _apart(found),
        f"open {_open(found, ' at fair value')}" if found["open_markets"] else "nothing is open",
    ]


def _apart(found: Mapping[str, int]) -> str:
    """What a dead zone may take of what is called sure."""
    if not found["apart_e6"]:
        return ""
    apart = dollars(found["apart_e6"])
    return f", but for {apart} that pairs of two indices pay: there both may lose"


def _open(found: Mapping[str, int], how: str = "") -> str:
    parts = [f"cost {dollars(found['open_cost_e6'])}"]
    if found["open_markets"] > found["unknown_markets"]:
        parts.append(f"worth {dollars(found['open_worth_e6'])}{how}")
    if found["unknown_markets"]:
        parts.append(f"{dollars(found['unknown_cost_e6'])} of it unknown")
    return ", ".join(parts)
