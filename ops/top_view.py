"""A `View` as tables of text: columns, order, filter, and what fits a width. Pure; shared by the
live screen and `--once`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from ops.inspector_pairs import Pair
from ops.inspector_view import Order, Process, View
from ops.paper_text import paper_brief
from shm_layout import int_to_text

Row = Any  # a record of ops/inspector_view.py; each table knows its own


@dataclass(frozen=True, slots=True)
class Column:
    """How one value is shown and ordered. `rank`: the higher, the sooner it is left out when the
    width is short; `least`: cells it may be cut to, None: it is never cut."""

    title: str
    cell: Callable[[Row], str]
    key: Callable[[Row], Any]
    right: bool = True
    rank: int = 0
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of row. `note`: what its figures are; `sort`: the column it is ordered by at first,
    None: as the view has them."""

    name: str
    rows: Callable[[View], Sequence[Row]]
    columns: tuple[Column, ...]
    style: Callable[[Row], str] = lambda _: ""
    note: str = ""
    sort: int | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked of a table: column to sort by (None: the table's own), turned round,
    and the text that rows must hold."""

    sort: int | None = None
    reverse: bool = False
    filter: str = ""


def price(value_e6: int | None) -> str:
    """Dollars with four places; "-" if absent."""
    return "-" if value_e6 is None else int_to_text(round(value_e6, -2), 6, 4)


def money(value_e6: int) -> str:
    """Dollars and cents, rounded down."""
    return int_to_text(value_e6 // 10_000 * 10_000, 6, 2)


def size(value_e6: int) -> str:
    """Contracts, as many places as they have, at most two."""
    text = int_to_text(value_e6 // 10_000 * 10_000, 6, 2)
    return text.rstrip("0").rstrip(".")


def contracts(value_e6: int) -> str:
    """Whole contracts from ten on, rounded down; "-" for none."""
    return (
        str(value_e6 // 1_000_000)
        if value_e6 >= 10_000_000
        else size(value_e6)
        if value_e6
        else "-"
    )


def cents(value_e6: int | None) -> str:
    """An edge in cents with a sign and two places, rounded down."""
    if value_e6 is None:
        return "-"
    return ("+" if value_e6 >= 0 else "") + int_to_text(value_e6 // 100, 2) + "c"


def age(value_ns: int | None) -> str:
    """A duration in its best unit."""
    if value_ns is None:
        return "-"
    value = max(value_ns, 0)
    for limit, unit, name in (
        (10**3, 1, "ns"), (10**6, 10**3, "us"), (10**9, 10**6, "ms"), (100 * 10**9, 10**9, "s"),
        (6000 * 10**9, 60 * 10**9, "min"), (10**30, 3600 * 10**9, "h"),
    ):  # fmt: skip
        if value < limit:
            shown = value / unit
            return f"{shown:.1f} {name}" if unit > 1 and shown < 10 else f"{int(shown)} {name}"
    return "-"


def _text(title: str, name: str, rank: int = 0, least: int | None = None) -> Column:
    def value(row: Row) -> str:
        return str(getattr(row, name))

    return Column(title, value, value, right=False, rank=rank, least=least)


def _number(title: str, name: str, show: Callable[[Any], str] = str, rank: int = 0) -> Column:
    def key(row: Row) -> tuple[bool, int]:
        value = getattr(row, name)
        return value is not None, value or 0

    return Column(title, lambda row: show(getattr(row, name)), key, rank=rank)


def _trust(row: Row) -> str:
    return ", ".join(row.trust) or "ok"


def _way(
    title: str, direction: int, name: str, show: Callable[[Any], str], rank: int = 0
) -> Column:
    """A figure of one of a pair's two ways."""

    def key(row: Pair) -> tuple[bool, int]:
        found = getattr(row.ways[direction], name)
        return found is not None, found or 0

    return Column(title, lambda row: show(getattr(row.ways[direction], name)), key, rank=rank)


def _counters(row: Process) -> str:
    shown = [f"{name} {count}" for name, count in row.counters.items() if count]
    return " ".join(shown)


QUOTES = Table(
    "quotes",
    lambda view: view.quotes,
    (
        _number("#", "index", rank=3),
        _text("venue", "venue"),
        _text("ticker", "ticker", least=20),
        _number("bid", "bid_e6", price),
        _number("size", "bid_size_e6", contracts, rank=2),
        _number("ask", "ask_e6", price),
        _number("size", "ask_size_e6", contracts, rank=2),
        _number("age", "age_ns", age),
        Column("trust", _trust, lambda row: len(row.trust), right=False),
        _text("status", "status", rank=4),
        _number("number", "number", rank=5),
        _text("title", "title", rank=6, least=12),
    ),
    style=lambda row: "" if row.is_trusted else "yellow",
)
PAIRS = Table(
    "pairs",
    lambda view: view.pairs,
    (
        _number("#", "index", rank=5),
        _text("venue", "venue_a", rank=4),
        _text("a", "ticker_a", least=22),
        _text("venue", "venue_b", rank=4),
        _text("b", "ticker_b", least=22),
        _text("b is", "relation", rank=3),
        _way("buy a", 0, "edge_e6", cents),
        _way("pays", 0, "pays_e6", contracts, rank=1),
        _way("sell a", 1, "edge_e6", cents),
        _way("pays", 1, "pays_e6", contracts, rank=1),
        _way("size buy", 0, "size_e6", contracts, rank=6),
        _way("size sell", 1, "size_e6", contracts, rank=6),
        _text("detector", "word", rank=8),
        Column("best", lambda row: cents(row.best_e6),
               lambda row: (row.best_e6 is not None, row.best_e6 or 0), rank=7),
    ),
    style=lambda row: (
        "bold green" if any(way.pays_e6 and not way.why for way in row.ways) else ""
    ),
    note="edge a contract after fees, and contracts it pays for",
)  # fmt: skip

PROCESSES = Table(
    "processes",
    lambda view: view.processes,
    (
        _text("process", "name"),
        _number("pid", "pid"),
        _text("health", "health"),
        _number("beat", "beat_age_ns", age),
        _number("link", "link_age_ns", age, rank=2),
        _number("worst loop", "worst_loop_ns", lambda v: age(v or None)),
        _number("core", "core", lambda v: "-" if v is None else str(v), rank=2),
        _number("restarts", "restarts", rank=1),
        _number("loops", "loops", rank=3),
        Column("counters", _counters, _counters, right=False, rank=4, least=20),
    ),
    style=lambda row: {
        "dead": "bold red",
        **dict.fromkeys(("late", "starting", "blocked"), "yellow"),
    }.get(row.health, ""),
)


def _filled(row: Order) -> str:
    return f"{size(row.filled_e6)}/{size(row.asked_e6)}"


ORDERS = Table(
    "orders",
    lambda view: view.orders,
    (
        _number("age", "age_ns", age),
        _text("venue", "venue"),
        _text("ticker", "ticker", least=16),
        _text("side", "side"),
        _number("limit", "limit_e6", price),
        Column("filled", _filled, lambda row: row.filled_e6),
        _text("placed", "placed", rank=1),
        _text("settled", "settled", rank=3),
        _text("reason", "reason"),
        _number("to ack", "send_to_ack_ns", age, rank=2),
        _number("fee", "fee_e6", price, rank=4),
    ),
    style=lambda row: "yellow" if row.placed == "unknown" else "",
)
POSITIONS = Table(
    "positions",
    lambda view: (*view.positions, *view.cash),
    (
        _text("venue", "venue"),
        Column("what", lambda row: getattr(row, "ticker", f"cash, account {_account(row)}"),
               lambda row: getattr(row, "ticker", ""), right=False, least=20),
        Column("held", lambda row: size(row.position_e6) if _is_held(row) else money(row.cash_e6),
               lambda row: row.position_e6 if _is_held(row) else row.cash_e6),
        Column("cost", lambda row: money(row.cost_e6) if _is_held(row) else "",
               lambda row: row.cost_e6 if _is_held(row) else 0),
        Column("worth", lambda row: _worth(row), lambda row: getattr(row, "worth_e6", 0) or 0),
        Column("fees", lambda row: price(row.fees_e6) if _is_held(row) else "",
               lambda row: row.fees_e6 if _is_held(row) else 0, rank=1),
        Column("unknown", lambda row: size(row.unknown_e6) if _is_held(row) else "",
               lambda row: row.unknown_e6 if _is_held(row) else 0, rank=2),
        Column("reserved", lambda row: "" if _is_held(row) else money(row.reserved_e6),
               lambda row: 0 if _is_held(row) else row.reserved_e6, rank=1),
        Column("since start", lambda row: "" if _is_held(row) else _signed(row),
               lambda row: 0 if _is_held(row) else row.cash_e6 - row.start_e6, rank=1),
    ),
)  # fmt: skip


def _is_held(row: Row) -> bool:
    """A position; else a pot of cash."""
    return hasattr(row, "position_e6")


def _worth(row: Row) -> str:
    return "" if not _is_held(row) else "-" if row.worth_e6 is None else money(row.worth_e6)


def _account(row: Row) -> int:
    return int(getattr(row, "account", 0))


def _signed(row: Row) -> str:
    change = row.cash_e6 - row.start_e6
    return ("+" if change >= 0 else "") + money(change)


LATENCY = Table(
    "latency",
    lambda view: view.latencies,
    (
        _text("process", "process"),
        _text("from to", "name"),
        _number("count", "count"),
        _number("p50", "p50_ns", age),
        _number("p99", "p99_ns", age),
        _number("p99.9", "p999_ns", age),
        _number("max", "max_ns", age),
    ),
)
TABLES = (QUOTES, PAIRS, PROCESSES, ORDERS, POSITIONS, LATENCY)


def ordered(table: Table, view: View, asked: Wish) -> list[Row]:
    """The rows that hold the filter's text, in the order asked for."""
    rows = list(table.rows(view))
    if asked.filter:
        needle = asked.filter.casefold()
        rows = [
            row for row in rows
            if any(needle in column.cell(row).casefold() for column in table.columns)
        ]  # fmt: skip
    sort = table.sort if asked.sort is None else asked.sort
    if sort is not None:
        rows.sort(key=table.columns[sort].key)
    return rows[::-1] if asked.reverse != table.reverse else rows


def lines(
    table: Table, rows: Sequence[Row], width: int, asked: Wish, window: slice = slice(None)
) -> tuple[str, list[tuple[str, str]]]:
    """(head, [(line, style)] of the rows in `window`) no wider than `width`: columns are left out
    by rank, then cut. Widths follow all rows, so that scrolling moves no column."""
    columns = list(table.columns)
    cells = {id(column): [column.cell(row) for row in rows] for column in columns}
    titles = {id(c): _title(c, i, table, asked) for i, c in enumerate(table.columns)}
    needs = {
        id(c): max([cell_len(titles[id(c)]), *(cell_len(text) for text in cells[id(c)])])
        for c in columns
    }
    least = {
        id(c): needs[id(c)] if c.least is None else min(needs[id(c)], c.least) for c in columns
    }
    while sum(least[id(c)] + 2 for c in columns) - 2 > width and any(c.rank for c in columns):
        columns.remove(max(columns, key=lambda c: c.rank))
    room = width - (sum(least[id(c)] + 2 for c in columns) - 2)
    widths = _shared(columns, least, needs, room)

    def joined(texts: Sequence[str]) -> str:
        fitted = [_fit(t, widths[id(c)], c.right) for t, c in zip(texts, columns, strict=True)]
        return set_cell_size("  ".join(fitted), width).rstrip()

    head = joined([titles[id(c)] for c in columns])
    shown = range(len(rows))[window]
    body = [joined([cells[id(c)][i] for c in columns]) for i in shown]
    return head, [(text, table.style(rows[i])) for text, i in zip(body, shown, strict=True)]


def _shared(
    columns: Sequence[Column], least: dict[int, int], needs: dict[int, int], room: int
) -> dict[int, int]:
    """Widths: the room that is left goes cell by cell to the narrowest column that was cut."""
    widths = dict(least)
    for _ in range(room):
        cut = [id(c) for c in columns if widths[id(c)] < needs[id(c)]]
        if not cut:
            break
        widths[min(cut, key=widths.__getitem__)] += 1
    return widths


def _title(column: Column, index: int, table: Table, asked: Wish) -> str:
    sort = table.sort if asked.sort is None else asked.sort
    if index != sort:
        return column.title
    return column.title + ("▼" if asked.reverse != table.reverse else "▲")


def _fit(text: str, width: int, right: bool) -> str:
    """Padded, or cut in the middle: tickers differ at their ends."""
    found = cell_len(text)
    if found > width:
        tail = max((width - 1) // 2, 0)
        end = text[-tail:] if tail else ""
        return set_cell_size(set_cell_size(text, width - 1 - cell_len(end)) + "…" + end, width)
    return " " * (width - found) + text if right else text + " " * (width - found)


def headline(view: View) -> str:
    """The state in one line of at most 80 columns."""
    shut = sum("not_open" in quote.trust for quote in view.quotes)  # as the supervisor counts
    trusted = sum(quote.is_trusted for quote in view.quotes)
    paying = sum(any(way.pays_e6 for way in pair.ways) for pair in view.pairs)
    ill = [process.name for process in view.processes if process.health != "ok"]
    parts = [
        f"{view.state}",
        view.mode.upper() if view.mode == "paper" else view.mode,
        f"{view.seconds:.0f} s",
        f"trusted {trusted}/{len(view.quotes) - shut}",
        f"paying {paying}/{len(view.pairs)}",
    ]
    if view.gate != view.supervisor_state:
        parts.insert(1, f"supervisor {view.supervisor_state}, gate {view.gate}")
    if view.kill:
        parts.insert(1, f"kill word {view.kill}")
    if ill:
        parts.append(f"ill: {', '.join(ill)}")
    orders = [process.counters["orders"] for process in view.processes if process.name == "gateway"]
    parts += [f"orders {count}" for count in orders]
    return " · ".join(parts)


def once(view: View, tables: Sequence[Table], width: int, asked: Wish) -> str:
    """Everything as plain text, every row."""
    parts = [headline(view), *(f"paper: {line}" for line in paper_brief(view.paper or {}))]
    for table in tables:
        rows = ordered(table, view, asked)
        head, body = lines(table, rows, width, asked)
        parts += ["", f"{table.name} ({len(rows)})" + (f": {table.note}" if table.note else "")]
        parts += [head, *(text for text, _ in body)] if rows else []
    return "\n".join(parts)
