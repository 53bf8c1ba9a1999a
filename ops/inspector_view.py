"""What the inspector found at one moment, as plain values. Money, prices and sizes in 1e-6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.inspector_fair import Fair
from ops.inspector_pairs import Pair
from ops.inspector_strategies import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One instrument with its touch. None: absent side or time; ages in ns."""

    index: int
    venue: str
    ticker: str
    title: str
    bid_e6: int | None
    bid_size_e6: int
    ask_e6: int | None
    ask_size_e6: int
    age_ns: int | None
    number: int
    status: str
    trust: tuple[str, ...]  # why it may not be traded on; empty: it may

    @property
    def is_trusted(self) -> bool:
        """It may be traded on."""
        return not self.trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One role's line. `health`: ok, late, starting, dead, blocked (its venue refuses it)."""

    role: int
    name: str
    pid: int
    health: str
    core: int | None
    beat_age_ns: int | None
    worst_loop_ns: int
    loops: int
    restarts: int
    is_connected: bool
    link_age_ns: int | None  # of a feed: since anything was heard; None: not connected, no feed
    counters: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The last word on one order. Prices and sizes in 1e-6; `age_ns` since its report."""

    intent: int
    leg: int
    venue: str
    ticker: str
    side: str
    limit_e6: int
    asked_e6: int
    filled_e6: int
    fee_e6: int
    placed: str
    settled: str
    reason: str
    send_to_ack_ns: int | None
    age_ns: int
    stamp_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What is held of one instrument, signed in YES terms. `worth_e6`: at our fair value now, or
    at what it settled at (ops/worth.py); None: not known."""

    index: int
    venue: str
    ticker: str
    position_e6: int
    cost_e6: int
    fees_e6: int
    unknown_e6: int
    worth_e6: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cash:
    """One pot of money."""

    account: int
    venue: str
    cash_e6: int
    reserved_e6: int
    start_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One histogram, ns."""

    process: str
    name: str
    count: int
    p50_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything at one moment (`at_ns`, CLOCK_MONOTONIC)."""

    name: str
    at_ns: int
    run_id: int
    mode: str
    seconds: float
    run_epoch_ns: int
    state: str  # the effective one
    supervisor_state: str
    gate: str
    kill: int
    quotes: tuple[Quote, ...]
    pairs: tuple[Pair, ...]
    fairs: tuple[Fair, ...]
    strategies: tuple[Strategy, ...]
    processes: tuple[Process, ...]
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    cash: tuple[Cash, ...]
    latencies: tuple[Latency, ...]
    paper: Mapping[str, Any] | None  # what became of paper orders; None: this run has none
