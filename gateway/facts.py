"""What fees, sizes and plans need of a quote's cells."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ports import Facts
from shm_layout import BUY, E6, HAD, LEVELS, NO_ASK_E6, NO_BID_E6, QUOTE, cell

_Q = {name: cell(QUOTE, name) for name in QUOTE.names or ()}
_BIDS, _ASKS, _GRID, _DELAY = (_Q[name] for name in ("bids", "asks", "grid", "taker_delay_ns"))
_FACTS_AT = tuple(
    _Q[name]
    for name in (
        "fee_rate_e6", "fee_exponent", "fee_kind", "fee_unit_e6", "fee_mode", "size_min_e6",
        "size_step_e6", "notional_min_e6", "notional_step_e6",
    )
)  # fmt: skip
FACTS_FROM, FACTS_TO = _DELAY, _GRID + 6  # all cells of a quote that facts are made of


_HAD_GENERATION, _HAD_BIDS, _HAD_ASKS = (cell(HAD, n) for n in ("generation", "bids", "asks"))


def less_had(quote: list[int], had: Sequence[int]) -> None:
    """Take off a quote's cells what paper orders hold of its levels (cells of a HAD): its venue
    goes on showing it.
    """
    if quote[_Q["generation"]] != had[_HAD_GENERATION]:
        return
    sides = (_BIDS, _HAD_BIDS, NO_BID_E6), (_ASKS, _HAD_ASKS, NO_ASK_E6)
    for at, first, nothing in sides:
        held = had[first : first + _HAD_ASKS - _HAD_BIDS]
        taken = dict(zip(held[::2], held[1::2], strict=True))
        shown = [(quote[at + 2 * i], quote[at + 2 * i + 1]) for i in range(LEVELS)]
        left = [(price, size - taken.get(price, 0)) for price, size in shown]
        left = [level for level in left if level[1] > 0]
        left += [(nothing, 0)] * (LEVELS - len(left))
        quote[at : at + 2 * LEVELS] = [each for level in left for each in level]


def facts_of(quote: Sequence[int]) -> Facts:
    """The market facts of a quote's cells."""
    cells = [quote[at] for at in _FACTS_AT]
    return Facts._make((*cells, tuple(quote[_GRID : _GRID + 6]), quote[_DELAY]))


def levels_of(quote: Sequence[int], side: int) -> tuple[tuple[int, int], ...]:
    """What a leg on `side` would take, best first: asks for a BUY, bids for a SELL; (price_e6,
    size_e6).
    """
    at = _ASKS if side == BUY else _BIDS
    pairs = [(quote[at + 2 * i], quote[at + 2 * i + 1]) for i in range(LEVELS)]
    return tuple(pair for pair in pairs if pair[1] > 0 and 0 < pair[0] < E6)
