"""Settings as people and programs read them: section, key, value as written, where it came from."""

from __future__ import annotations

import json

from ops.config import Loaded

HEADS = ("section", "key", "value", "from")


def as_table(found: Loaded) -> str:
    """A line for each key."""
    rows = [(section, key, each.written, each.where) for (section, key), each in found.told.items()]
    widths = [max(len(row[place]) for row in [HEADS, *rows]) for place in range(2)]
    widths.append(max(len(row[2]) for row in rows if len(row[2]) < 40))
    lines = []
    for row in [HEADS, *rows]:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[3]]))
    return "\n".join(lines)


def as_json(found: Loaded) -> str:
    """One object: `settings` has an object for each key."""
    rows = [
        dict(zip(HEADS, (section, key, each.written, each.where), strict=True))
        for (section, key), each in found.told.items()
    ]
    told = found.settings
    return json.dumps({"profile": told.profile, "files": list(told.files), "settings": rows})
