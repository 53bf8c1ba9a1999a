"""What the legs of an intent filled against each other: what is whole, and what is alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.order import Order
from shm_layout import BUY, E6, reason

if TYPE_CHECKING:
    from gateway.ledger import Work

DONE, PARTIAL, NOTHING = reason("done"), reason("partial"), reason("nothing_filled")
ONE_LEGGED = reason("one_legged")


def beyond(amounts_e6: Sequence[int]) -> list[int]:
    """Each amount without the least of them."""
    least_e6 = min(amounts_e6)
    return [amount_e6 - least_e6 for amount_e6 in amounts_e6]


def lone_of(work: Work, sizes_e6: Sequence[int], dust_e6: int) -> list[int]:
    """Of contracts that each leg has alone those that matter, else 0."""
    legs = zip(work.orders, sizes_e6, strict=True)
    return [size if is_lone(order, work, size, dust_e6) else 0 for order, size in legs]


def is_lone(order: Order, work: Work, size_e6: int, dust_e6: int) -> bool:
    """Whether an imbalance matters: at least an orderable size, worth more than dust at the leg's
    worst price.
    """
    unit_e6 = order.limit_e6 if order.side == BUY else E6 - order.limit_e6
    return size_e6 >= work.facts[order.leg].size_min_e6 and size_e6 * unit_e6 > dust_e6 * E6


def lone_cost_e6(work: Work) -> int:
    """What the contracts that legs have alone did cost, with the dearest leg's price."""
    excess = sum(work.alone_e6)
    unit = max(
        -(-cost * E6 // leg.size_e6) for cost, leg in zip(work.costs_e6, work.orders, strict=True)
    )
    return -(-excess * unit // E6)


def verdict(work: Work, dust_e6: int) -> int:
    """Why an intent whose outcomes are all known ended as it did."""
    filled = [order.folded.filled_e6 for order in work.orders]
    if not any(filled):
        return next((order.reason for order in work.orders if order.reason), NOTHING)
    if any(lone_of(work, work.alone_e6, dust_e6)):
        return ONE_LEGGED
    wanted: Sequence[int] = [order.size_e6 for order in work.orders]
    return DONE if min(filled) >= min(wanted) else PARTIAL
