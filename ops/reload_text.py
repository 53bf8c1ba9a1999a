"""What became of a reload, as people read it. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lines(answer: Mapping[str, Any]) -> list[str]:
    """A line for each key that changed, then one for each that was refused."""
    found = [
        f"{row['section']}.{row['key']}: {row['was']} -> {row['now']} ({row['way']}, {row['from']})"
        for row in answer["applied"]
    ]
    found += [
        f"refused: {row['section']}.{row['key']}: found {row['now']} in {row['from']}"
        f" where {row['was']} runs, {row['why']}"
        for row in answer["refused"]
    ]
    return found or ["nothing differs from what runs"]
