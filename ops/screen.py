"""The one live screen of a running engine, drawn from `status` a few times a second; a plain line
where there is no terminal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ops import clock
from ops.figures import microseconds, mode_said
from ops.paper_text import paper_brief
from ops.worth_text import profit_line

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

    from ops.supervisor import Supervisor

SCREEN_NS = 250 * clock.MS_NS
LINE_NS = 5 * clock.SECOND_NS
EVENTS_SHOWN = 6


class Shown(Protocol):
    """What the supervisor ticks; `say` gets lines."""

    def tick(self, run: Supervisor) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


class Lines:
    """No terminal: what happens, and one line of state now and then."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next_ns = 0

    def say(self, text: str) -> None:
        """At once."""
        self._write(text)

    def tick(self, run: Supervisor) -> None:
        """A line every few seconds once it trades."""
        now_ns = clock.mono_ns()
        if run.counted_from_ns and run.ending is None and now_ns >= self._next_ns:
            if self._next_ns:
                self._write(one_line(run.status()))
            self._next_ns = now_ns + LINE_NS

    def close(self) -> None:
        """Nothing to undo."""


class Screen:
    """A terminal: the whole state, redrawn in place; what happens scrolls above it."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._console = console
        self._next_ns = 0
        self._is_on = False

    def say(self, text: str) -> None:
        """One line above the picture."""
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._console.print(f"[dim]arb[/dim] {_plain(text)}", highlight=False)

    def tick(self, run: Supervisor) -> None:
        """Redraw when it is time."""
        now_ns = clock.mono_ns()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + SCREEN_NS
        with contextlib.suppress(OSError):
            if not self._is_on:
                self._live.start()
                self._is_on = True
            self._live.update(picture(run.status()), refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        if self._is_on:
            self._is_on = False
            with contextlib.suppress(OSError):
                self._live.stop()


def one_line(found: Mapping[str, Any]) -> str:
    """The state in one plain line."""
    trust = " ".join(
        f"{name} {feed['trusted']}/{feed['instruments']}"
        for name, feed in found["feeds"].items()
        if not feed["stands_by"]
    )
    state = found["state"]
    why = "" if found["supervisor"].startswith(state) else f", gate {found['gate']}"
    paper = f"{mode_said(found['mode'])} · " if found["mode"] == "paper" else ""
    p50 = found["tick_to_order_ns"]["p50"]
    speed = f" · tick-to-order p50 {p50 / 1000:,.0f} us" if p50 else ""
    return (
        f"{paper}{found['seconds']:.0f} s {state}{why} · trusted {trust} · {found['edges']} edges"
        f" · {found['orders']} orders · {found['fills']} fills"
        f" · {profit_line(found['profit'])}{speed}"
    )


def picture(found: Mapping[str, Any]) -> Group:
    """The state as a rich renderable."""
    from rich.console import Group
    from rich.text import Text

    state = found["state"]
    colour = {"ACTIVE": "green", "REDUCING": "yellow", "HALTED": "red"}[state]
    head = Text.assemble(
        (f" {state} ", f"bold reverse {colour}"),
        f"  {mode_said(found['mode'])} · {found['seconds']:.0f} s"
        f" · supervisor {found['supervisor']} · gate {found['gate']}",
    )
    money = Text.assemble(
        ("edges ", "dim"), f"{found['edges']:,}  ", ("intents ", "dim"), f"{found['intents']:,}  ",
        ("orders ", "dim"), f"{found['orders']:,}  ", ("fills ", "dim"), f"{found['fills']:,}  ",
        ("one-legged ", "dim"), f"{found['one_legged']:,}",
    )  # fmt: skip
    profit = Text.assemble(("profit ", "dim"), (profit_line(found["profit"]), "bold"))
    speed = Text.assemble(("tick-to-order ", "dim"), microseconds(found["tick_to_order_ns"]))
    events = [Text(f"  {event['text']}", style="dim") for event in found["events"][-EVENTS_SHOWN:]]
    paper = [Text(f"paper: {line}") for line in paper_brief(found.get("paper") or {})]
    return Group(
        head, money, profit, *paper, speed, _feeds(found["feeds"]),
        _processes(found["processes"]), *events,
    )  # fmt: skip


def _feeds(feeds: Mapping[str, Mapping[str, Any]]) -> Table:
    table = _table("feed", "trusted", "ratio", "frames", "quotes", "gaps")
    for name, feed in feeds.items():
        is_whole = feed["live"] and feed["trusted"] == feed["instruments"]
        style = "green" if is_whole else "yellow" if feed["live"] and feed["trusted"] else "red"
        ratio = feed["trusted_ratio"]
        share = f"[{style}]{feed['trusted']}/{feed['instruments']}[/]"
        table.add_row(
            name,
            "stands by" if feed["stands_by"] else share,
            "" if ratio is None else f"{100 * ratio:.1f} %",
            f"{feed['frames']:,}",
            f"{feed['quotes']:,}",
            f"{feed['gaps']:,}",
        )
    return table


def _processes(rows: list[Mapping[str, Any]]) -> Table:
    table = _table("process", "pid", "beat ms", "worst us", "cpu %", "MiB", "own MiB", "restarts")
    for row in rows:
        style = "red" if row["pid"] is None else "yellow" if (row["beat_age_ms"] or 0) > 250 else ""
        table.add_row(
            row["name"],
            "dead" if row["pid"] is None else str(row["pid"]),
            _text(row["beat_age_ms"]),
            _text(row["worst_loop_us"]),
            _text(row["cpu_percent"]),
            _text(row["rss_mib"]),
            _text(row["own_mib"]),
            str(row["restarts"]),
            style=style,
        )
    return table


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _text(value: object) -> str:
    return "" if value is None else f"{value:,}"


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
