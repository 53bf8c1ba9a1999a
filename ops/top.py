"""The live screen of `arb-top`: panes over one `View`, drawn a few times a second, never writing.

Small terminals show one pane at a time (keys 1 to 9), large ones all at once (`z` zooms). Venue
text was made harmless by the inspector and is drawn as plain text, never as markup.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Grid
from textual.events import Resize
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Input, Static

from ops.inspector import Absent
from ops.inspector_view import View
from ops.paper_text import paper_brief
from ops.top_model import TABLES
from ops.top_view import Table, Wish, headline, lines, ordered
from shm_layout import LayoutError

ALL_WIDTH, ALL_HEIGHT = 140, 45  # from this size on, all panes are shown at once
KEYS = "1-9 pane  / filter  s sort  r turn  space pause  z zoom  q quit"
HELP = """1 to 9      quotes, pairs, processes, orders, positions, latency, edges, fair, strategies
tab         next pane          z   one pane or all (large terminals)
/           keep rows that hold a text; Enter keeps it, Escape clears it
s, S        sort by the next, the previous column   r   turn it round
space, p    pause: the engine goes on, the picture stays
arrows, page up, page down, home, end   scroll
?           this help          q   quit"""
BRIGHT = {"ACTIVE": "bold green", "REDUCING": "bold yellow"}


class Pane(Widget, can_focus=True):
    """One table: what fits of it, from `offset` on."""

    def __init__(self, table: Table) -> None:
        super().__init__(id=table.name)
        self.table = table
        self.border_title = f"{table.name}: {table.note}" if table.note else table.name
        self.wish = Wish()
        self.offset_rows = 0
        self.shown_rows = 1
        self._rows: list[Any] = []
        self._view: View | None = None

    def show(self, view: View | None, text: str = "") -> None:
        """Take a new picture, or the filter's text."""
        self._view = view
        self.wish = Wish(self.wish.sort, self.wish.reverse, text)
        self._refilled()

    def sort_by(self, step: int) -> None:
        """Order by the next column; beyond the last is the table's own order."""
        count = len(self.table.columns)
        now = -1 if self.wish.sort is None else self.wish.sort
        place = (now + 1 + step) % (count + 1) - 1
        sort = None if place < 0 else place
        self.wish = Wish(sort, self.wish.reverse, self.wish.filter)
        self._refilled()

    def turn(self) -> None:
        """The other way round."""
        self.wish = Wish(self.wish.sort, not self.wish.reverse, self.wish.filter)
        self._refilled()

    def scroll(self, rows: int) -> None:
        """Move the window, within the rows there are."""
        last = max(len(self._rows) - self.shown_rows, 0)
        self.offset_rows = min(max(self.offset_rows + rows, 0), last)
        self.border_subtitle = self._place()
        self.refresh()

    def _refilled(self) -> None:
        self._rows = [] if self._view is None else ordered(self.table, self._view, self.wish)
        self.scroll(0)

    def on_resize(self, _: Resize) -> None:
        """As many rows as there is room for."""
        self.shown_rows = max(self.content_size.height - 1, 1)
        self.scroll(0)

    def render(self) -> Text:
        """Head and rows."""
        size: Size = self.content_size
        window = slice(self.offset_rows, self.offset_rows + self.shown_rows)
        if not self._rows:
            return Text("nothing here" + (" with that text" if self.wish.filter else ""), "dim")
        head, body = lines(self.table, self._rows, size.width, self.wish, window)
        text = Text(head, "bold underline", no_wrap=True, end="")
        for line, style in body:
            text.append("\n")
            text.append(line, style or "not bold not underline")
        return text

    def _place(self) -> str:
        """Which rows are seen, of how many."""
        last = min(self.offset_rows + self.shown_rows, len(self._rows))
        return f"{self.offset_rows + 1}-{last} of {len(self._rows)}" if self._rows else ""


class Top(App[int]):
    """The screen. `look` gives a View or raises Absent or LayoutError. `chosen`: the pane that is
    shown alone at first; empty: all that fit.
    """

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #head, #keys { height: 1; padding: 0 1; }
    #paper { display: none; padding: 0 1; height: auto; }
    #keys { color: $text-muted; }
    #help { display: none; padding: 0 1; border: round $accent; height: auto; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    #panes { grid-size: 1; height: 1fr; }
    #panes.all { grid-size: 2 5; }
    Pane { border: round $panel-lighten-2; padding: 0 1; display: none; }
    Pane:focus { border: round $accent; }
    .all Pane, Pane.chosen { display: block; }
    """
    BINDINGS: ClassVar = [
        *(Binding(str(i + 1), f"pane('{t.name}')", t.name) for i, t in enumerate(TABLES)),
        Binding("slash", "filter", "filter"),
        Binding("s", "sort(1)", "sort"),
        Binding("S", "sort(-1)", "sort back"),
        Binding("r", "turn", "turn"),
        Binding("space,p", "pause", "pause"),
        Binding("z", "zoom", "zoom"),
        Binding("question_mark", "help", "help"),
        Binding("escape", "clear", "clear"),
        Binding("up,k", "rows(-1)", "up"),
        Binding("down,j", "rows(1)", "down"),
        Binding("pageup", "page(-1)", "page up"),
        Binding("pagedown", "page(1)", "page down"),
        Binding("home", "rows(-1000000)", "first"),
        Binding("end", "rows(1000000)", "last"),
        Binding("tab", "next(1)", "next", priority=True),
        Binding("shift+tab", "next(-1)", "previous", priority=True),
        Binding("q,ctrl+c", "leave", "quit", priority=False),
    ]

    def __init__(
        self, look: Callable[[], View], name: str, interval_s: float = 0.5, *, chosen: str = ""
    ) -> None:
        super().__init__()
        self._look, self._name, self._interval_s = look, name, interval_s
        self._view: View | None = None
        self._said = f"no engine named {name!r} is running"
        self._filter = ""
        self._chosen = chosen or TABLES[0].name
        self.is_paused = False
        self.is_zoomed = bool(chosen)

    def compose(self) -> ComposeResult:
        """One line of state, the panes, one line of keys."""
        yield Static(id="head", markup=False)
        yield Static(id="paper", markup=False)
        yield Static(HELP, id="help", markup=False)
        with Grid(id="panes"):
            for table in TABLES:
                yield Pane(table)
        yield Input(id="filter", placeholder="rows that hold …", compact=True)
        yield Static(KEYS, id="keys", markup=False)

    def on_mount(self) -> None:
        """The first picture at once, then on."""
        self._arrange()
        self.take()
        self.set_interval(self._interval_s, self.take)

    def on_resize(self, _: Resize) -> None:
        """One pane or all."""
        self._arrange()

    def take(self) -> None:
        """A new picture, unless paused."""
        if self.is_paused:
            return
        try:
            self._view, self._said = self._look(), ""
        except Absent as error:
            self._said = f"{error}; waiting for one"
        except LayoutError as error:
            self._said = f"refused: {error}"
        self._draw()

    def _draw(self) -> None:
        for pane in self.query(Pane):
            pane.show(self._view, self._filter)
        self.query_one("#head", Static).update(self._headline())
        told = paper_brief((self._view and self._view.paper) or {})
        paper = self.query_one("#paper", Static)
        paper.display = bool(told)
        paper.update("\n".join(f"paper: {line}" for line in told))

    def _headline(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        if self.is_paused:
            text.append("PAUSED ", "bold reverse")
        if self._filter:
            text.append(f"filter {self._filter!r} ", "reverse")
        if self._said:
            text.append(self._said, "bold yellow")
            if self._view is not None:
                text.append(" · below: its last state", "dim")
        elif self._view is not None:
            state, rest = headline(self._view).split(" ", 1)
            text.append(state, BRIGHT.get(state, "bold red"))
            text.append(f" {rest}")
        return text

    def _arrange(self) -> None:
        large = self.size.width >= ALL_WIDTH and self.size.height >= ALL_HEIGHT
        self.query_one("#panes").set_class(large and not self.is_zoomed, "all")
        for pane in self.query(Pane):
            pane.set_class(pane.id == self._chosen, "chosen")
        self._pane().focus()

    def _pane(self) -> Pane:
        return self.query_one(f"#{self._chosen}", Pane)

    def action_pane(self, name: str) -> None:
        """Choose a pane."""
        self._chosen = name
        self._arrange()

    def action_next(self, step: int) -> None:
        """The pane beside it."""
        names = [table.name for table in TABLES]
        self.action_pane(names[(names.index(self._chosen) + step) % len(names)])

    def action_sort(self, step: int) -> None:
        """Order the chosen pane by another column."""
        self._pane().sort_by(step)

    def action_turn(self) -> None:
        """Turn the chosen pane's order round."""
        self._pane().turn()

    def action_rows(self, rows: int) -> None:
        """Scroll."""
        self._pane().scroll(rows)

    def action_page(self, pages: int) -> None:
        """Scroll by what is shown."""
        self._pane().scroll(pages * self._pane().shown_rows)

    def action_pause(self) -> None:
        """Hold the picture, or go on."""
        self.is_paused = not self.is_paused
        self.take()
        self._draw()

    def action_zoom(self) -> None:
        """One pane or all, where all fit."""
        self.is_zoomed = not self.is_zoomed
        self._arrange()

    def action_help(self) -> None:
        """Show or hide the keys."""
        shown = self.query_one("#help")
        shown.display = not shown.display

    def action_filter(self) -> None:
        """Ask for the text."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.value = self._filter
        field.focus()

    def action_clear(self) -> None:
        """No filter, no help."""
        self.query_one("#help").display = False
        self._filtered("")

    def action_leave(self) -> None:
        """Exit code 0."""
        self.exit(0)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Rows follow while it is typed."""
        if event.input.display:
            self._filter = event.value
            self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep it."""
        self._filtered(event.value)

    def _filtered(self, text: str) -> None:
        self._filter = text
        self.query_one("#filter", Input).display = False
        self._draw()
        self._arrange()
