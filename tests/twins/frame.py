"""The journal's check in plain Python."""

from __future__ import annotations

import struct

MASK = (1 << 64) - 1


def check_of(frame: bytes) -> int:
    """The 32 bits in the head of a whole frame (padded to cells), which themselves do not count."""
    length, _ = struct.unpack_from("<II", frame)
    cells = [length, *struct.unpack_from(f"<{len(frame) // 8 - 1}Q", frame, 8)]
    check = 0x41524A524E4C32
    for cell in cells:
        check = (check ^ cell) * 0x2545F4914F6CDD1D & MASK
        check ^= check >> 29
    return (check ^ check >> 32) & 0xFFFFFFFF
