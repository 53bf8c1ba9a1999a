"""What stands in the journal before the first byte of an intent's orders leaves: cells, not text,
so that a kernel can put them there in one call.

Head, then one row a leg: the leg as it was wanted, as its venue will see it, its worst cost, and
the hash it goes by; zeros where it goes by our own id, which follows from run, intent and leg.
"""

from __future__ import annotations

import struct
from typing import Any

from numba import njit

from shm_layout import INTENT, LAYOUT_HASH, LEG, LEGS_MAX, Words, cell

ORDER_RECORD = 1  # first cell; the text of the other records begins with a brace
INTENT_HEAD = (
    "id", "parent", "kind", "pair", "direction", "flags", "trigger", "decide_ns", "recv_ns",
    "event_epoch_ns", "expires_ns", "edge_e6", "publish_ns",
)  # fmt: skip
INTENT_HEAD_AT = tuple(cell(INTENT, name) for name in INTENT_HEAD)
O_KIND, O_RUN, O_TAKEN, O_LEGS, O_INTENT = range(5)
O_LEG = O_INTENT + len(INTENT_HEAD)
OL_TOKEN, OL_SIDE, OL_PRICE, OL_COST, OL_HASH = range(len(LEG), len(LEG) + 5)
HASH_CELLS = 4
LEG_ROW = OL_HASH + HASH_CELLS
RECORD_CELLS_MAX = O_LEG + LEGS_MAX * LEG_ROW
_ROW = ("venue", "instrument", "generation", "side", "limit_e6", "size_e6")
_ROW_AT = tuple(LEG.index(name) for name in _ROW)
ID_BYTES = 35  # of an order's id: 16 digits, a dash, 16 digits, a dash, one digit
ID_CELLS = 5


def order_id(run_id: int, intent: int, leg: int) -> str:
    """The client's id of an order: a pure function of run, intent and leg (none negative)."""
    return f"{run_id:016x}-{intent:016x}-{leg}"


def order_bytes(legs: int) -> int:
    """Length of the record of an intent with so many legs."""
    return 8 * (O_LEG + legs * LEG_ROW)


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def digits(cells: Words, at: int, first: int, value: int) -> None:
    """Sixteen hex digits from byte `first` on, the highest first."""
    for i in range(16):
        nibble = value >> (60 - 4 * i) & 15
        letter = nibble + (48 if nibble < 10 else 87)
        cells[at + (first + i) // 8] |= letter << 8 * ((first + i) % 8)


@njit(cache=True)
def put_id(cells: Words, at: int, run_id: int, intent: int, leg: int) -> None:
    """`order_id` as ID_BYTES bytes of ASCII in ID_CELLS cells from `at` on, then zeros."""
    for i in range(ID_CELLS):
        cells[at + i] = 0
    digits(cells, at, 0, run_id)
    digits(cells, at, 17, intent)
    for place, letter in ((16, 45), (33, 45), (34, 48 + leg)):
        cells[at + place // 8] |= letter << 8 * (place % 8)


def order_record(payload: bytes) -> dict[str, Any]:
    """The record in words. Raises ValueError if it is not one."""
    cells = struct.unpack(f"<{len(payload) // 8}q", payload[: len(payload) // 8 * 8])
    legs = cells[O_LEGS] if len(cells) > O_LEGS else 0
    if cells[:1] != (ORDER_RECORD,) or not 1 <= legs <= LEGS_MAX:
        raise ValueError(f"order record: found {cells[:4]}, wanted kind {ORDER_RECORD} and legs")
    if len(payload) != order_bytes(legs):
        raise ValueError(f"order record: found {len(payload)} bytes for {legs} legs")
    run_id, intent = cells[O_RUN], cells[O_INTENT:O_LEG]
    rows = [cells[O_LEG + i * LEG_ROW : O_LEG + (i + 1) * LEG_ROW] for i in range(legs)]
    orders = []
    for leg, row in enumerate(rows):
        digest = struct.pack("<4q", *row[OL_HASH:LEG_ROW])
        key = "0x" + digest.hex() if any(digest) else order_id(run_id, intent[0], leg)
        orders.append([leg, *(row[at] for at in _ROW_AT), key])
    return {
        "k": "order",
        "run": run_id,
        "taken_ns": cells[O_TAKEN],
        "intent": list(intent),
        "orders": orders,
        "placings": [list(row[OL_TOKEN : OL_PRICE + 1]) for row in rows],
        "costs": [row[OL_COST] for row in rows],
    }
