"""What comes off an edge, part by part, the model's fair values, and what each strategy does: three
tables of `arb-top`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ops import top_view
from ops.inspector_fair import AHEAD, OPEN, Fair
from ops.inspector_pairs import Pair, Way
from ops.inspector_strategies import Strategy, most
from ops.inspector_view import View
from ops.top_view import Column, Table, cents, money, price
from shm_layout import int_to_text


@dataclass(frozen=True, slots=True)
class Edge:
    """One way of a pair."""

    pair: Pair
    way: Way


def percent(value_e6: int | None) -> str:
    """A share with one place, or without from 1,000 % on; "-" if not known."""
    if value_e6 is None:
        return "-"
    return f"{value_e6 / 1e4:.1f} %" if abs(value_e6) < 10_000_000 else f"{value_e6 // 10_000:,} %"


def dollars(value_e8: int | None) -> str:
    """An index in dollars and cents; "-" if not known."""
    return "-" if value_e8 is None else int_to_text(round(value_e8, -6), 8, 2)


def _said(title: str, of: Callable[[Any], str], rank: int = 0, least: int | None = None) -> Column:
    return Column(title, of, of, right=False, rank=rank, least=least)


def _figure(
    title: str, of: Callable[[Any], int | None], show: Callable[[Any], str], rank: int = 0
) -> Column:
    def key(row: Any) -> tuple[bool, int]:
        found = of(row)
        return found is not None, found or 0

    return Column(title, lambda row: show(of(row)), key, rank=rank)


def _off(title: str, name: str, rank: int = 0) -> Column:
    """A part of what comes off, as a loss."""

    def part(row: Edge) -> int | None:
        return None if row.way.edge_e6 is None else -int(getattr(row.way.off, name))

    return _figure(title, part, cents, rank)


def _fees(row: Edge) -> int | None:
    fees_e6 = row.way.fees_e6
    return None if fees_e6 is None else -fees_e6


def _number(row: Edge) -> int:
    return row.pair.index


def _fair(title: str, name: str, show: Callable[[Any], str], rank: int = 0) -> Column:
    def cell(row: Fair) -> int | None:
        found: int | None = getattr(row, name)
        return found

    return _figure(title, cell, show, rank)


EDGES = Table(
    "edges",
    lambda view: [Edge(pair, way) for pair in view.pairs for way in pair.ways],
    (
        _figure("#", _number, str, rank=5),
        _said("a", lambda row: str(row.pair.ticker_a), least=16),
        _said("b", lambda row: str(row.pair.ticker_b), rank=6, least=16),
        _said("way", lambda row: str(row.way.text)),
        _figure("gross", lambda row: row.way.gross_e6, cents),
        _figure("fees", _fees, cents, rank=1),
        _off("dead zone", "dead_zone_e6"),
        _off("delay", "delay_e6", rank=2),
        _off("hurdle", "hurdle_e6", rank=3),
        _off("capital", "capital_e6", rank=2),
        _figure("left", lambda row: row.way.left_e6, cents),
        _figure("wanted", lambda row: row.way.wanted_e6, cents, rank=4),
        _figure("a year", lambda row: row.way.year_e6, percent, rank=2),
        _said("why not", lambda row: str(row.way.why), least=18),
    ),
    style=lambda row: "bold green" if row.way.pays_e6 and not row.way.why else "",
    note="what comes off a contract, what is left of it, and what keeps it from being taken",
)


def window(row: Fair) -> str:
    """Where a window stands: "opens in 30 s", "open, 30 s left", "closed", "paid 1"."""
    if row.settlement_e6 is not None:
        return f"paid {int_to_text(row.settlement_e6, 6)}"
    left = "" if row.left_s is None else f"{row.left_s} s"
    words = {AHEAD: f"opens in {left}", OPEN: f"open, {left} left" if left else OPEN}
    return words.get(row.phase, row.phase)


FAIRS = Table(
    "fair",
    lambda view: view.fairs,
    (
        _fair("#", "index", str, rank=5),
        _said("venue", lambda row: str(row.venue), rank=3),
        _said("ticker", lambda row: str(row.ticker), least=16),
        _said("series", lambda row: str(row.series), rank=2),
        _said("window", window, rank=1),
        _fair("strike", "strike_e8", dollars),
        _fair("expected", "mean_e8", dollars, rank=1),
        _said("index", lambda row: str(row.source), rank=3),
        _fair("ticks", "known", str, rank=2),
        _fair("basis", "basis_e8", dollars, rank=4),
        _fair("a year", "sigma_e6", percent, rank=2),
        _fair("usual", "usual_e6", percent, rank=4),
        _fair("bid", "bid_e6", price),
        _fair("fair", "fair_e6", price),
        _fair("ask", "ask_e6", price),
        _said("why not", lambda row: str(row.why), rank=1),
    ),
    style=lambda row: "yellow" if row.why else "",
    note="the model's fair value of YES beside the touch",
)


def edge_rows(view: View) -> list[dict[str, Any]]:
    """The ways of all pairs as plain values, in 1e-6 dollars a contract; None: a side is absent."""
    return [
        {
            "pair": pair.index, "way": way.text, "gross_e6": way.gross_e6, "fees_e6": way.fees_e6,
            "dead_zone_e6": way.off.dead_zone_e6, "delay_e6": way.off.delay_e6,
            "hurdle_e6": way.off.hurdle_e6, "capital_e6": way.off.capital_e6,
            "left_e6": way.left_e6, "wanted_e6": way.wanted_e6, "year_e6": way.year_e6,
            "why": way.why,
        }
        for pair in view.pairs
        for way in pair.ways
    ]  # fmt: skip


def _switch(row: Strategy) -> str:
    return "-" if row.is_on is None else "on" if row.is_on else "off"


def _count(title: str, name: str, show: Callable[[Any], str] = str, rank: int = 0) -> Column:
    return _figure(title, lambda row: int(getattr(row, name)), show, rank)


STRATEGIES = Table(
    "strategies",
    lambda view: view.strategies,
    (
        _said("strategy", lambda row: str(row.name)),
        _said("switch", _switch),
        _count("looks", "looks", lambda value: f"{value:,}", rank=2),
        _count("fires", "fires", lambda value: f"{value:,}"),
        _count("orders", "orders", lambda value: f"{value:,}"),
        _count("at stake", "spent_e6", money, rank=1),
        _count("expected", "expected_e6", money),
        _said("stops at", lambda row: most(row.gates), rank=1, least=12),
        _said("now", lambda row: most(row.now), rank=2, least=12),
    ),
    style=lambda row: "dim" if not row.is_on else "bold green" if row.orders else "",
    note="where each stops, in all markets that may be traded alone",
)
TABLES = (*top_view.TABLES, EDGES, FAIRS, STRATEGIES)
