"""`arb-supervisor explain [ID]`: flags, output, exit code. Nothing heavy is imported before it is
needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.console import err, out
from ops.figures import mode_said

if TYPE_CHECKING:
    from ops.explain.past import Run

REFUSED, DIFFERS, DAMAGED = 3, 6, 7
TRIES_MAX = 5  # a running gateway's books and its journal are read until neither moved in between
TEXT = """tells what became of an intent, or of all of a run, and where each cent went

ID is an intent's number, the id of an order, or what its venue calls that order. Shown are both
books at the decision with the trust word of each, every term of the edge, the stages, every change
of each order, what was expected and what came of it; unwinds under the intent whose leg they close.

Without ID (or with --all): every intent, then a table of all orders and the sum, which must be what
cash and contracts changed by as the venues say (of a run that goes on: as the gateway's books say).
What has not settled counts at the outcome that is worst for all that is held: a matched pair is
worth a dollar, a contract alone nothing.

Reads the newest journal of the state folder, also while its engine runs, or the one of --journal
(the last 8 runs' are kept in journal/). An intent of which nothing was sent is not journalled: it
is known only as long as a running engine's rings hold it."""


def add(commands: Any, exits: str) -> None:
    """The command and its flags."""
    explain = commands.add_parser(
        "explain", help="what became of an intent, and where each cent went", description=TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  arb-supervisor explain 1152922604118474753\n"
        f"  arb-supervisor explain --all --json\n\n{exits}",
    )  # fmt: skip
    explain.add_argument("id", nargs="?", metavar="ID", help="of an intent or an order")
    explain.add_argument("--all", action="store_true", help="every intent (the default)")
    explain.add_argument("--table", action="store_true", help="only the table and the sum")
    explain.add_argument("--journal", type=Path, metavar="PATH", help="folder or file")
    explain.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(asked: argparse.Namespace) -> int:
    """The exit code."""
    from ops import cache, journals

    if asked.id is not None and (asked.all or asked.table):
        flag = "--all" if asked.all else "--table"
        err(f"arb-supervisor: explain: found ID {asked.id!r} beside {flag}, wanted one of them")
        return 2
    try:
        path = asked.journal or journals.newest(cache.state_dir())
    except LookupError as error:
        return _refused(str(error))
    if not path.exists():
        return _refused(f"{path}: cannot be read: found nothing, wanted a journal's folder or file")
    cache.use()  # before numba
    from ops.explain.past import ExplainError, read

    try:
        past = read(path)
        code = _everything(asked, past) if asked.id is None else _one(asked, past)
    except ExplainError as error:
        return _refused(str(error))
    if past.damage:
        err(f"arb-supervisor: explain: damaged, told is what stands before it: {past.damage}")
        return DAMAGED
    return code


def _one(asked: argparse.Namespace, past: Run) -> int:
    from ops import cache
    from ops.explain import live, text
    from ops.explain.past import ExplainError
    from ops.explain.whole import one

    try:
        number = past.find(asked.id)
    except ExplainError:
        segment = live.attached(cache.state_dir(), past.run_id) if asked.id.isdigit() else None
        refused = live.refused(segment, int(asked.id)) if segment is not None else None
        if refused is None:
            raise
        out(json.dumps({"refused": refused}) if asked.json else
            "\n".join(text.refused_lines(refused)))  # fmt: skip
        return 0
    found = one(past, number)
    if asked.json:
        out(json.dumps(found | {"mode": past.mode}))
        return 0
    _say_mode(past)
    for intent in found["intents"]:
        out("\n".join(text.intent_lines(intent)))
    if found["family"]["unwinds"]:
        out(text.family_line(found["family"]))
    return 0


def _everything(asked: argparse.Namespace, past: Run) -> int:
    from ops.explain import text

    found = _held_against(past)
    if asked.json:
        out(json.dumps(found | {"mode": past.mode}))
    else:
        _say_mode(past)
        out(f"journal {found['journal']}")
        for intent in () if asked.table else found["intents"]:
            out("\n".join(text.intent_lines(intent)) + "\n")
        out("\n".join(text.whole_lines(found)))
    if found["differences"]:
        count = len(found["differences"])
        err(f"arb-supervisor: explain: {count} differences to {found['books']['of']}")
        return DIFFERS
    return 0


def _say_mode(past: Run) -> None:
    if past.mode == "paper":
        out(mode_said(past.mode))


def _held_against(past: Run) -> dict[str, Any]:
    """Of a run that goes on, the gateway's books: read while nothing was journalled."""
    from ops import cache
    from ops.explain import live
    from ops.explain.past import read
    from ops.explain.whole import everything

    segment = live.attached(cache.state_dir(), past.run_id) if past.told is None else None
    if segment is None:
        return everything(past)
    for _ in range(TRIES_MAX):
        books, again = live.books(segment), read(past.journal)
        if again.records == past.records:
            break
        past = again
    return everything(past, books)


def _refused(text: str) -> int:
    err(f"arb-supervisor: {text}")
    return REFUSED
