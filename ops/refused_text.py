"""Refused edges summed up and as people read them (rows of ops/refused.py). Imports nothing
heavy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
SHOWN = 5  # pairs in a text for people
UNTRUSTED = "untrusted quote"


def sums(rows: Sequence[Row]) -> dict[str, Any]:
    """How many edges of how many pairs were refused, and why: each field in which a pair differs
    counts all of its edges. `forced`: pairs that differ and are traded all the same.
    """
    why: Counter[str] = Counter()
    for row in rows:
        why.update(dict.fromkeys(row["differs"], row["edges"]))
        why[UNTRUSTED] += row["untrusted"]
    return {
        "edges": sum(row["edges"] + row["untrusted"] for row in rows),
        "pairs": sum(row["best_e6"] is not None for row in rows),
        "reasons": {name: count for name, count in why.most_common() if count},
        "forced": sum(row["approved"] and bool(row["differs"]) for row in rows),
    }


def best(rows: Sequence[Row], most: int) -> list[Row]:
    """Those with a refused edge, the best first."""
    found = [row for row in rows if row["best_e6"] is not None]
    return sorted(found, key=lambda row: (-row["best_e6"], row["pair"]))[:most]


def texts(told: Row, rows: Sequence[Row]) -> list[str]:
    """Lines for people: `sums`, then the best of the pairs; none if there is nothing to say."""
    lines = []
    if told["edges"]:
        why = ", ".join(f"{name} {count:,}" for name, count in told["reasons"].items())
        lines.append(f"{told['edges']:,} edges of {told['pairs']} pairs: {why}")
    if told["forced"]:
        lines.append(f"none of {told['forced']} pairs whose markets differ: --force-approve")
    return lines + [_text(row) for row in best(rows, SHOWN)]


def _text(row: Row) -> str:
    why = [f"{name} {a} | {b}" for name, (a, b) in row["differs"].items() if row["edges"]]
    if row["untrusted"]:
        why.append(
            f"{row['untrusted']} with an {UNTRUSTED} ({', '.join(row['trust']) or 'dead feed'})"
        )
    count = row["edges"] + row["untrusted"]
    return f"{row['a']} | {row['b']}: {count} up to {row['best_e6'] / 10**6:.4f}: {'; '.join(why)}"
