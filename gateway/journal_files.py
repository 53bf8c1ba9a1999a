"""What stands in the files of a journal: the longest valid prefix, and why it ends where it does.

Preallocated files `journal-NNNNNN.bin`: a 64-byte head, then frames:

    length u32 · check u32 · sequence u64 · chain 16 bytes · payload · zeros to 8 bytes

The check (gateway/frame.py) covers length, sequence, chain and payload; `chain` is BLAKE2b of the
frame before this one with its chain as key, so a frame of another file or another past does not
fit. A head carries sequence and chain of its first frame, so files do not fit either if one is
missing or ends too early.

What follows the prefix is zeros; or one frame that a process or machine left unfinished when it
died, which is an end like any other: no byte of its orders left, or the venues know of them (a
machine's last 5 ms); or it is damage. It counts as unfinished only if no whole frame stands behind
it, it is the last of the last file, and a death can have left it so: its first cell, stored last,
is not there, or a sector of it (disks write 512 bytes whole or not at all) is not. All else is
damage: orders may be behind it that nobody knows about, and nothing behind it is read.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from gateway.frame import check_of
from gateway.order_record import O_LEGS, order_bytes, order_record
from shm_layout import Words

MAGIC = b"ARBJRNL2"
HEAD = struct.Struct(
    "<8sqqq16s"
)  # magic, number of the file, first sequence, bytes, chain of the first frame
HEAD_BYTES = 64
FRAME = struct.Struct("<IIQ16s")
RECORD_MAX_BYTES = 64 << 10
SECTOR = 512
_LOW = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file's first frame stands in the journal, or the frame behind its last one: number of
    the file, sequence, chain.
    """

    number: int
    sequence: int
    chain: bytes


FIRST = Place(1, 1, b"\0" * 16)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The valid prefix of one file. `end` is the byte where it stops, `sequence` and `chain` are
    those of a frame that would follow. `damage` is empty or says what stands there; `torn_bytes`: a
    frame that was never finished stands there; `behind`: whole frames behind the damage.
    """

    records: list[dict[str, Any]]
    number: int
    end: int
    sequence: int
    chain: bytes
    damage: str
    torn_bytes: int = 0
    behind: int = 0

    @property
    def next_file(self) -> Place:
        """Where the file behind this one begins."""
        return Place(self.number + 1, self.sequence, self.chain)


def files(folder: Path) -> list[Path]:
    """The journal files of a folder, oldest first."""
    return sorted(folder.glob("journal-[0-9][0-9][0-9][0-9][0-9][0-9].bin"))


def walk(folder: Path) -> list[tuple[Path, Recovered]]:
    """The files of a folder up to the first that is damaged, oldest first. Raises OSError."""
    found: list[tuple[Path, Recovered]] = []
    place, paths = FIRST, files(folder)
    for path in paths:
        told = parse(path.read_bytes(), path, place, is_last=path == paths[-1])
        found.append((path, told))
        if told.damage:
            break
        place = told.next_file
    return found


def read(path: Path) -> Recovered:
    """The valid prefix of a journal file, also while another process writes it. Raises OSError."""
    return parse(path.read_bytes(), path)


def parse(
    raw: bytes, path: Path, place: Place | None = None, *, is_last: bool = True
) -> Recovered:
    """The valid prefix of a file's bytes. `place`: where it must begin; None: wherever it says."""
    fault = _head_fault(raw, place)
    if fault:
        place = place or FIRST
        said = f"{path}: {fault}"
        return Recovered([], place.number, HEAD_BYTES, place.sequence, place.chain, said)
    _, number, sequence, size, chain = HEAD.unpack_from(raw)
    whole = raw[:size] + bytes(-len(raw[:size]) % 8)
    cells: Words = np.frombuffer(whole, np.int64)
    used = len(whole.rstrip(b"\0"))
    records: list[dict[str, Any]] = []
    at, damage = HEAD_BYTES, ""
    while at < used and not damage:
        length, payload = _payload(whole, at)
        damage = _fault(cells, at, payload, sequence, chain)
        if not damage:
            try:
                records.append(_record(payload))
            except ValueError as error:
                damage = f"record: {error}"
                break
            chain, sequence = link(chain, payload), sequence + 1
            at += padded(length)
    torn_bytes = behind = 0
    if damage:
        behind = _whole_behind(cells, at, used, sequence)
        if is_last and not behind and _is_torn(cells, at, used):
            damage, torn_bytes = "", used - at
    if not damage and len(raw) != size:
        damage = f"file: found {len(raw)} bytes, wanted {size}"
    damage = f"{path} at byte {at}: {damage}" if damage else ""
    return Recovered(records, number, at, sequence, chain, damage, torn_bytes, behind)


def _head_fault(raw: bytes, place: Place | None) -> str:
    """What is wrong with the head of a file, or nothing."""
    if len(raw) < HEAD_BYTES:
        return f"head: found {len(raw)} bytes, wanted at least {HEAD_BYTES}"
    magic, *begins, size, chain = HEAD.unpack_from(raw)
    if magic != MAGIC:
        return f"head: found {magic!r}, wanted {MAGIC!r}"
    if size % 8 or size < 2 * RECORD_MAX_BYTES:
        return f"head: found a size of {size} bytes, wanted {2 * RECORD_MAX_BYTES} or more"
    if raw[HEAD.size : HEAD_BYTES].strip(b"\0"):
        return "head: found bytes behind it, wanted zeros"
    if place is not None and begins != [place.number, place.sequence]:
        found, wanted = "number {}, sequence {}".format(*begins), place
        return (
            f"head: found {found}, wanted number {wanted.number}, sequence {wanted.sequence}: "
            "a file is missing, or the one before ends early"
        )
    if place is not None and chain != place.chain:
        return "head: its chain does not follow the file before it"
    return ""


def _payload(raw: bytes, at: int) -> tuple[int, bytes]:
    length = int.from_bytes(raw[at : at + 4], "little")
    return length, raw[at + FRAME.size : at + FRAME.size + min(length, RECORD_MAX_BYTES)]


def _fault(cells: Words, at: int, payload: bytes, sequence: int, chain: bytes) -> str:
    """What is wrong with the frame at this byte, or nothing."""
    if at + FRAME.size > cells.nbytes:
        return "found bytes behind the last frame, wanted zeros"
    length, check, found, linked = FRAME.unpack_from(cells.data, at)
    if not 0 < length <= RECORD_MAX_BYTES or len(payload) < length:
        return f"length: found {length}, wanted 1 to {min(RECORD_MAX_BYTES, len(payload))}"
    if check_of(cells, at // 8, length) != check:
        return "check: the frame is torn or changed"
    if found != sequence:
        return f"sequence: found {found}, wanted {sequence}"
    if linked != chain:
        return "chain: the frame does not follow the one before it"
    return ""


def _is_torn(cells: Words, at: int, used: int) -> bool:
    """Whether a death in the middle of one store can have left what stands at this byte."""
    first = int(cells[at // 8])
    if first == 0:
        return used - at <= FRAME.size + RECORD_MAX_BYTES
    length = first & _LOW
    end = at + padded(length)
    if not 0 < length <= RECORD_MAX_BYTES or not used <= end <= cells.nbytes:
        return False
    if _looks_whole(cells, at, used, length):
        return False  # nothing is missing: a changed length makes it seem so
    sectors = range(at // SECTOR * SECTOR + SECTOR, end, SECTOR)
    return any(not cells[of // 8 : min(of + SECTOR, end) // 8].any() for of in sectors)


def _looks_whole(cells: Words, at: int, used: int, length: int) -> bool:
    """Whether the payload, by its own content, ends before or elsewhere than its frame says."""
    begin = (at + FRAME.size) // 8
    found = cells[begin : -(-used // 8)]
    if found.tobytes().startswith(b"{"):
        return found.tobytes().rstrip(b"\0").endswith(b"}")
    return len(found) > O_LEGS and found[O_LEGS] != 0 and length != order_bytes(int(found[O_LEGS]))


def _whole_behind(cells: Words, at: int, used: int, sequence: int) -> int:
    """Frames of this journal, whole by length, check and sequence, behind the one at this byte."""
    place, end, found, size = at // 8 + 1, -(-used // 8), 0, len(cells)
    lengths, numbers = cells[place : end - 1] & _LOW, cells[place + 1 : end]
    likely = (lengths > 0) & (lengths <= RECORD_MAX_BYTES)
    likely &= (numbers >= sequence) & (numbers < sequence + size)
    for near in np.flatnonzero(likely).tolist():
        length, number = int(lengths[near]), place + near
        if number + padded(length) // 8 > size:
            continue
        found += check_of(cells, number, length) == int(cells[number]) >> 32 & _LOW
    return found


def link(chain: bytes, payload: bytes) -> bytes:
    """What the frame behind this one carries as its chain."""
    return hashlib.blake2b(payload, digest_size=16, key=chain).digest()


def _record(payload: bytes) -> dict[str, Any]:
    """A record in words. Raises ValueError if it is none."""
    if payload.startswith(b"{"):
        found: dict[str, Any] = orjson.loads(payload)
        return found
    return order_record(payload)


def padded(length: int) -> int:
    """Bytes of a frame with a payload so long."""
    return FRAME.size + (length + 7 & ~7)
