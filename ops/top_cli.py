"""The command `arb-top`: quotes, pairs with what comes off their edges, fair values, strategies,
processes, orders, positions, latency of a running engine.

Reads shared memory and writes nothing; any number may run at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, NoReturn

from ops.console import err, out

if TYPE_CHECKING:
    from ops.top_view import Table

EXITS = """exit codes:
    0  done
    2  wrong usage
    3  what is there is not an engine of this build (--once, --json)
    4  no engine is running (--once, --json)"""
EXAMPLES = """examples:
  arb-top
  arb-top --once --view pairs --filter BTC
  arb-top --json | jq '.pairs[] | select(.ways[].pays_e6 > 0)'
"""
USAGE, REFUSED, ABSENT = 2, 3, 4
NAMES = (
    "quotes", "pairs", "processes", "orders", "positions", "latency", "edges", "fair", "strategies",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, no usage text."""
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = _Parser(
        prog="arb-top", description="Watches a running engine. It only reads; keys: press ?.",
        epilog=f"{EXAMPLES}\n{EXITS}", formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    top.add_argument("--name", default=os.environ.get("ARB_NAME", "arb"),
                     help="the engine's segment (default: $ARB_NAME, else arb)")  # fmt: skip
    top.add_argument("--once", action="store_true", help="print everything once, as plain text")
    top.add_argument("--json", action="store_true", help="print everything once, as one object")
    top.add_argument("--view", choices=NAMES, action="append",
                     help="only this (repeatable; the screen: the first)")  # fmt: skip
    top.add_argument("--filter", default="", metavar="TEXT", help="rows that hold TEXT (--once)")
    top.add_argument("--sort", metavar="COLUMN", help="column to sort by (--once)")
    top.add_argument("--reverse", action="store_true", help="turn the order round (--once)")
    top.add_argument("--interval", type=_interval, default=0.5, metavar="SECONDS",
                     help="between pictures (default 0.5, at least 0.1)")  # fmt: skip
    return top


def _interval(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,6})?", text) or not 0.1 <= float(text) <= 60:
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted 0.1 to 60 seconds")
    return float(text)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code of `EXITS`."""
    asked = parser().parse_args(arguments)
    is_once = asked.once or asked.json
    if not is_once and not all(f.isatty() for f in (sys.stdin, sys.stdout, sys.stderr)):
        err("arb-top: input, output and error are not all a terminal: use --once or --json")
        return USAGE
    from ops import cache

    cache.use()
    from ops import clock
    from ops.inspector import Inspector

    inspector = Inspector(asked.name, clock.mono_ns)
    if is_once:
        return _once(asked, inspector)
    from ops.top import Top

    chosen = asked.view[0] if asked.view else ""
    return Top(inspector.look, asked.name, asked.interval, chosen=chosen).run() or 0


def _once(asked: argparse.Namespace, inspector: object) -> int:
    from ops.inspector import Absent, Inspector
    from ops.top_model import TABLES, edge_rows
    from ops.top_view import Wish, once
    from shm_layout import LayoutError

    assert isinstance(inspector, Inspector)
    try:
        view = inspector.look()
    except Absent as error:
        return _fail(asked, str(error), ABSENT)
    except LayoutError as error:
        return _fail(asked, str(error), REFUSED)
    wanted = asked.view or NAMES
    if asked.json:
        found = dataclasses.asdict(view) | {"edges": edge_rows(view)}
        keys = {"latency": "latencies", "fair": "fairs"}
        for name in set(NAMES) - set(wanted):
            found.pop(keys.get(name, name))
        if "positions" not in wanted:
            found.pop("cash")
        out(json.dumps(found))
        return 0
    tables = [table for table in TABLES if table.name in wanted]
    wish = Wish(None, asked.reverse, asked.filter)
    if asked.sort is not None:
        place = _column(tables, asked.sort)
        if place is None:
            titles = sorted({column.title for table in tables for column in table.columns})
            err(f"arb-top: --sort: found {asked.sort!r}, wanted one of: {', '.join(titles)}")
            return USAGE
        tables, wish = [tables[place[0]]], Wish(place[1], asked.reverse, asked.filter)
    width = shutil.get_terminal_size((200, 24)).columns if sys.stdout.isatty() else 200
    out(once(view, tables, width, wish))
    return 0


def _column(tables: list[Table], title: str) -> tuple[int, int] | None:
    """(table, column) of the first column of that title."""
    for i, table in enumerate(tables):
        for j, column in enumerate(table.columns):
            if column.title == title:
                return i, j
    return None


def _fail(asked: argparse.Namespace, text: str, code: int) -> int:
    if asked.json:
        out(json.dumps({"error": text}))
    err(f"arb-top: {text}")
    return code


if __name__ == "__main__":
    sys.exit(main())
