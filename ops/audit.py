"""What a journal's files are worth: every frame's check, its place in the sequence, its chain.

Reads as a gateway's recovery does (gateway/journal_files.py), changes nothing, and may be asked
while a gateway writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.journal_files import Recovered, files, parse, walk

READS_MAX = 3  # what a gateway is writing just now may look torn: damage stays where it is


class AuditError(Exception):
    """There is nothing to verify: one line with what was found and wanted."""


def verify(path: Path) -> dict[str, Any]:
    """A journal's folder, or one file of it alone. `_ns`: machine time. Raises AuditError."""
    try:
        found = _read(path)
        for _ in range(READS_MAX - 1):
            again = found if not found[-1][1].damage else _read(path)
            if again[-1][1].damage == found[-1][1].damage:
                break
            found = again
        names = files(path) if path.is_dir() else [path]
    except OSError as error:
        raise AuditError(f"{error.filename}: cannot be read: {error.strerror}") from error
    rows = [_row(file, told) for file, told in found]
    stamps = [stamp for row in rows for stamp in (row["begin_ns"], row["end_ns"]) if stamp]
    return {
        "journal": str(path),
        "whole": not found[-1][1].damage,
        "damage": found[-1][1].damage or None,
        "records": sum(row["records"] for row in rows),
        "orders": sum(row["orders"] for row in rows),
        "last_sequence": found[-1][1].sequence - 1,
        "span_s": round((max(stamps) - min(stamps)) / 1e9, 3) if stamps else None,
        "files": rows,
        "files_not_read": len(names) - len(rows),
    }


def _read(path: Path) -> list[tuple[Path, Recovered]]:
    if not path.is_dir():
        return [(path, parse(path.read_bytes(), path))]
    found = walk(path)
    if not found:
        raise AuditError(f"{path}: found no journal-NNNNNN.bin, wanted a journal's folder")
    return found


def _row(file: Path, told: Recovered) -> dict[str, Any]:
    stamps = [record.get("taken_ns") or record.get("ns") or 0 for record in told.records]
    stamps = [stamp for stamp in stamps if stamp]
    return {
        "file": file.name,
        "records": len(told.records),
        "orders": sum(len(r["orders"]) for r in told.records if r.get("k") == "order"),
        "bytes": told.end,
        "first_sequence": told.sequence - len(told.records),
        "last_sequence": told.sequence - 1,
        "begin_ns": min(stamps, default=0),
        "end_ns": max(stamps, default=0),
        "torn_bytes": told.torn_bytes,
        "damage": told.damage or None,
        "frames_behind": told.behind,
    }


def text(found: dict[str, Any]) -> str:
    """For people: a line a file, then what it comes to."""
    rows = [("file", "records", "orders", "bytes", "sequence", "span", "")]
    rows += [
        (
            row["file"], f"{row['records']:,}", f"{row['orders']:,}", f"{row['bytes']:,}",
            f"{row['first_sequence']:,} to {row['last_sequence']:,}" if row["records"] else "none",
            f"{(row['end_ns'] - row['begin_ns']) / 1e9:.1f} s", _state(row),
        )
        for row in found["files"]
    ]  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(6)]
    lines = [f"journal {found['journal']}"]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:6], widths[1:], strict=True)]
        lines.append("  ".join((row[0].ljust(widths[0]), *cells, row[6])).rstrip())
    if found["damage"]:
        lines.append(f"DAMAGED: {found['damage']}")
    if found["files_not_read"]:
        lines.append(f"files behind the damage, not read: {found['files_not_read']}")
    verdict = "whole" if found["whole"] else "what stands before the damage"
    lines.append(
        f"{verdict}: {found['records']:,} records, {found['orders']:,} orders,"
        f" last sequence {found['last_sequence']:,}"
    )
    return "\n".join(lines)


def _state(row: dict[str, Any]) -> str:
    if row["damage"]:
        return f"damaged at byte {row['bytes']:,}, {row['frames_behind']:,} whole frames behind it"
    if row["torn_bytes"]:
        return f"ends in a frame never finished ({row['torn_bytes']:,} bytes)"
    return "whole"
