"""The last gate's rules for a bet in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import NamedTuple, Protocol

from gateway.intent import REASONED, Intent, Leg
from gateway.params import DeskParams
from gateway.ports import Market
from shm_layout import BUY, E6, INDEX, MARKET_TERMS, QUOTE, REASONS, SPOT, cell
from tests.gateway.scene import POINT_RULE
from tests.twins.fair import at_a_point

PRICE_MAX_NS, AHEAD_MAX_NS = 3 * 10**9, 10**9
R = {name: place for place, name in enumerate(REASONS)}
_X = {name: cell(SPOT, name) for name in SPOT.names or ()}
_M = {name: cell(MARKET_TERMS, name) for name in MARKET_TERMS.names or ()}
_Q = {name: cell(QUOTE, name) for name in ("bids", "asks")}
_VALUE = cell(INDEX, "value_e8")


class Pair(Protocol):
    """The row of a pair, a set, or one market: instrument and generation of each."""

    @property
    def same(self) -> int: ...
    @property
    def approved(self) -> int: ...
    @property
    def barred(self) -> int: ...
    @property
    def legs(self) -> Sequence[tuple[int, int]]: ...


class Price(NamedTuple):
    """What a bet was valued with, as it stands now. `cells`: of the slot, None if it could not be
    read; `alive_epoch` as of a quote; `terms`: what the model last said of the market, likewise.
    `is_formula`: the strategy counts with its own."""

    cells: list[int] | None
    alive_epoch: int
    terms: list[int] | None = None
    is_formula: bool = False


class Look(Protocol):
    """Of a leg: itself, its market and quote, and what it costs at its limit."""

    @property
    def leg(self) -> Leg: ...
    @property
    def market(self) -> Market | None: ...
    @property
    def quote(self) -> list[int] | None: ...
    @property
    def cost_e6(self) -> int: ...


def bet(
    intent: Intent, looks: Sequence[Look], pair: Pair | None, price: Price | None,
    params: DeskParams, now_ns: int,
) -> int:  # fmt: skip
    """One leg on the one market of its row, worth more than it costs, on a price as it was."""
    if pair is None or len(looks) != 1 or len(pair.legs) != 1:
        return R["edge_gone"]
    leg, told = looks[0].leg, dict(zip(REASONED, intent.reasons, strict=True))
    if pair.legs[0] != (leg.instrument, leg.generation) or not 0 < told["fair_e6"] < E6:
        return R["edge_gone"]
    pays_e6 = told["fair_e6"] if leg.side == BUY else E6 - told["fair_e6"]
    left_e6 = pays_e6 * leg.size_e6 // E6 - looks[0].cost_e6
    if left_e6 <= 0 or left_e6 < params.edge_min_e6 * leg.size_e6 // E6:
        return R["edge_gone"]
    market = looks[0].market
    assert market is not None
    if why := _price(told, market, price, params, now_ns):
        return why
    assert price is not None and looks[0].quote is not None
    bid_e6, ask_e6 = looks[0].quote[_Q["bids"]], looks[0].quote[_Q["asks"]]
    middle = (max(bid_e6, 0) + min(ask_e6, E6)) / 2 / E6
    return _fair(told, leg, market, price, middle, params, now_ns)


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


def _fair(
    told: dict[str, int], leg: Leg, market: Market, price: Price, middle: float,
    params: DeskParams, now_ns: int,
) -> int:  # fmt: skip
    """The bet claims little more than the model's terms make of its price, in which the market's
    middle has its share; so it has in what the model may be off by."""
    if price.terms is None or price.cells is None:
        return R["stale"]
    terms = {name: price.terms[at] for name, at in _M.items()}
    if terms["valid_until_ns"] < now_ns:
        return R["stale"]
    if (terms["instrument"], terms["generation"]) != (leg.instrument, leg.generation):
        return R["generation"]
    if terms["spot_slot"] != told["spot_slot"]:
        return R["untrusted"]
    chance = _chance(terms, market.rule, told["spot_e8"], price.cells[_X["event_epoch_ns"]])
    if chance is None:
        return R["off_model"]
    share = terms["market_e6"] / E6
    chance = chance * (1 - share) + middle * share
    most_e6 = params.formula_off_e6 if price.is_formula else params.fair_off_e6
    most_e6 = most_e6 * (E6 - terms["market_e6"]) // E6
    if leg.side == BUY:
        return R["off_model"] if told["fair_e6"] > floor(chance * E6) + most_e6 else 0
    return R["off_model"] if told["fair_e6"] < ceil(chance * E6) - most_e6 else 0


def _chance(terms: dict[str, int], rule: int, price_e8: int, stamp_ns: int) -> float | None:
    """That YES wins at this price, of a market that settles on a point (other rules: as the model
    says them, tests/engine/test_pricing.py). None: not known."""
    spot, sigma = (price_e8 + terms["basis_e8"]) / 1e8, terms["sigma_e12"] / 1e12
    strike, seconds = terms["strike_e8"] / 1e8, (terms["close_epoch_ns"] - stamp_ns) / 1e9
    is_told = min(spot, sigma, strike, seconds) > 0 <= terms["basis_sd_e8"]
    if rule != POINT_RULE or not is_told or seconds >= 315_360_000:
        return None
    return at_a_point(spot, sigma, seconds, strike, terms["basis_sd_e8"] / 1e8)
