"""The last gate's rules for a bet in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gateway.intent import REASONED, Intent, Leg
from gateway.params import DeskParams
from gateway.ports import Market
from shm_layout import BUY, E6, INDEX, NO_INSTRUMENT, REASONS, SPOT, cell

PRICE_MAX_NS, AHEAD_MAX_NS = 3 * 10**9, 10**9
R = {name: place for place, name in enumerate(REASONS)}
_X = {
    name: cell(SPOT, name) for name in ("epoch", "trust", "recv_ns", "last_e8", "bid_e8", "ask_e8")
}
_VALUE = cell(INDEX, "value_e8")


class Pair(Protocol):
    """The row of a pair, or of one market: then b is none."""

    @property
    def same(self) -> int: ...
    @property
    def approved(self) -> int: ...
    @property
    def a(self) -> int: ...
    @property
    def b(self) -> int: ...


class Price(NamedTuple):
    """What a bet was valued with, as it stands now. `cells`: of the slot, None if it could not be
    read; `alive_epoch` as of a quote."""

    cells: list[int] | None
    alive_epoch: int


class Look(Protocol):
    """Of a leg: itself, its market, and what it costs at its limit."""

    @property
    def leg(self) -> Leg: ...
    @property
    def market(self) -> Market | None: ...
    @property
    def cost_e6(self) -> int: ...


def bet(
    intent: Intent, looks: Sequence[Look], pair: Pair | None, price: Price | None,
    params: DeskParams, now_ns: int,
) -> int:  # fmt: skip
    """One leg on the one market of its row, worth more than it costs, on a price as it was."""
    if pair is None or len(looks) != 1 or pair.b != NO_INSTRUMENT:
        return R["edge_gone"]
    leg, told = looks[0].leg, dict(zip(REASONED, intent.reasons, strict=True))
    if pair.a != leg.instrument or not 0 < told["fair_e6"] < E6:
        return R["edge_gone"]
    pays_e6 = told["fair_e6"] if leg.side == BUY else E6 - told["fair_e6"]
    left_e6 = pays_e6 * leg.size_e6 // E6 - looks[0].cost_e6
    if left_e6 <= 0 or left_e6 < params.edge_min_e6 * leg.size_e6 // E6:
        return R["edge_gone"]
    market = looks[0].market
    assert market is not None
    return _price(told, market, price, params, now_ns)


def _price(
    told: dict[str, int], market: Market, price: Price | None, params: DeskParams, now_ns: int
) -> int:
    """The price that fair value came from: of that market, alive, trusted, fresh, where it was."""
    slot = told["spot_slot"]
    if slot < 0 or slot not in (market.index_slot, market.spot_slot):
        return R["untrusted"]
    if price is None or price.cells is None:
        return R["stale"]
    cells = price.cells
    if price.alive_epoch == 0 or not price.alive_epoch == cells[_X["epoch"]] == told["spot_epoch"]:
        return R["epoch"]
    value = cells[_VALUE] if slot == market.index_slot else _middle(cells)
    if cells[_X["trust"]] or value <= 0:
        return R["untrusted"]
    if not -AHEAD_MAX_NS <= now_ns - cells[_X["recv_ns"]] <= PRICE_MAX_NS:
        return R["stale"]
    was = told["spot_e8"]
    return 0 if was > 0 and abs(value - was) <= was // E6 * params.price_move_e6 else R["moved"]


def _middle(cells: Sequence[int]) -> int:
    bid, ask = cells[_X["bid_e8"]], cells[_X["ask_e8"]]
    return (bid + ask) // 2 if 0 < bid < ask < 10**15 else cells[_X["last_e8"]]
