"""`arb-supervisor audit verify [PATH]`: flags, output, exit code. Nothing heavy is imported before
it is needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ops.console import err, out

REFUSED, DAMAGED = 3, 7
VERIFY = """checks every frame of a journal: check, sequence, chain, over all its files

A frame that a death left unfinished at the very end is no damage (a gateway writes over it).
Damage is: a gateway of that journal never trades again.

PATH is a journal's folder, or one of its files alone. Without it: the newest of the state folder,
which keeps the journals of the last 8 runs in journal/, also of the one that runs."""


def add(commands: Any, exits: str) -> None:
    """`audit` and its own commands."""
    raw = argparse.RawDescriptionHelpFormatter
    example = "example:\n  arb-supervisor audit verify"
    audit = commands.add_parser(
        "audit", help="check the journal of a run", description="Checks the journal of a run.",
        formatter_class=raw, epilog=f"{example}\n\n{exits}",
    )  # fmt: skip
    kinds = audit.add_subparsers(
        dest="audit", required=True, metavar="COMMAND", parser_class=type(audit)
    )
    verify = kinds.add_parser(
        "verify", help="every frame of every file", description=VERIFY, formatter_class=raw,
        epilog=f"{example}\n  arb-supervisor audit verify --json DIR\n\n{exits}",
    )  # fmt: skip
    verify.add_argument("path", type=Path, nargs="?", metavar="PATH", help="folder or file")
    verify.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(asked: argparse.Namespace) -> int:
    """The exit code."""
    from ops import cache, journals

    try:
        path = asked.path or journals.newest(cache.state_dir())
    except LookupError as error:
        return _refused(str(error))
    cache.use()  # before numba
    from ops import audit

    try:
        found = audit.verify(path)
    except audit.AuditError as error:
        return _refused(str(error))
    out(json.dumps(found) if asked.json else audit.text(found))
    return 0 if found["whole"] else DAMAGED


def _refused(text: str) -> int:
    err(f"arb-supervisor: {text}")
    return REFUSED
