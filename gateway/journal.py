"""The gateway's own file: an order is written here before its first byte leaves.

Preallocated files `journal-NNNNNN.bin`, mapped into memory. A file is a 64-byte head, then frames:

    length u32 · check u32 · sequence u64 · chain 16 bytes · payload · zeros to 8 bytes

The check (gateway/frame.py) covers length, sequence, chain and payload; `chain` is BLAKE2b of the
frame before this one with its chain as key, so a frame of another file or another past does not
fit, and the link to a frame is made after the bytes have left that it is about. Orders are cells
(gateway/order_record.py) put there by one kernel call, all other records are JSON. A store into
the page cache survives the death of the process, not of the machine: a thread of its own syncs at
most `sync_ns` behind and then makes the page in use and the next one writable again
(MADV_POPULATE_WRITE; after a sync the first store to a page faults: p50 17 -> 52 us). A failed sync
is final: the kernel marks the pages clean, so it is never tried again and `failed` stays set.

Recovery keeps the longest valid prefix. What follows it must be zeros; if it is not, `damage` says
where, nothing behind it is read, and nothing is appended to that file again.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import mmap
import os
import struct
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from gateway.frame import (
    J_END,
    J_LINK,
    J_SEQUENCE,
    J_SIZE,
    JOURNAL_CELLS,
    R_JOURNAL,
    check_of,
    put_order,
    seal,
)
from gateway.order_record import order_record
from shm_layout import Words

MAGIC = b"ARBJRNL2"
HEAD = struct.Struct(
    "<8sqqq16s"
)  # magic, number of the file, first sequence, bytes, chain of the first frame
HEAD_BYTES = 64
FRAME = struct.Struct("<IIQ16s")
_LENGTH = struct.Struct("<I")
_LINK_AT = 8 * J_LINK
RECORD_MAX_BYTES = 64 << 10
FILE_BYTES = 16 << 20
FILES_MAX = 10_000
PAGE = mmap.PAGESIZE
POPULATE_WRITE = (
    23  # MADV_POPULATE_WRITE, Linux 5.14; the mmap module of Python 3.11 has no name for it
)
_MADVISE = ctypes.CDLL(None).madvise


class JournalError(Exception):
    """The journal cannot be used. Names the file, what was found and what was wanted."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The valid prefix of one file. `end` is where it stops; `damage` is empty or says what stands
    there.
    """

    records: list[dict[str, Any]]
    number: int
    end: int
    sequence: int
    chain: bytes
    damage: str


def read(path: Path) -> Recovered:
    """The valid prefix of a journal file, also while another process writes it. Raises
    JournalError on a bad head.
    """
    raw = path.read_bytes()
    if len(raw) < HEAD_BYTES:
        raise JournalError(f"{path}: found {len(raw)} bytes, wanted at least {HEAD_BYTES}")
    magic, number, sequence, size, chain = HEAD.unpack_from(raw)
    if magic != MAGIC or size != len(raw):
        raise JournalError(
            f"{path}: found {magic!r} of {size} bytes, wanted {MAGIC!r} of {len(raw)}"
        )
    cells: Words = np.frombuffer(raw, np.int64)
    records: list[dict[str, Any]] = []
    at, damage = HEAD_BYTES, ""
    while at + FRAME.size <= size:
        length, check, found, _ = FRAME.unpack_from(raw, at)
        if length == 0 and check == 0 and found == 0:
            break
        payload = raw[at + FRAME.size : at + FRAME.size + length]
        damage = _fault(cells, at, payload, sequence, chain)
        if damage:
            damage = f"{path} at byte {at}: {damage}"
            break
        records.append(_record(payload))
        chain, sequence = _link(chain, payload), sequence + 1
        at += _padded(length)
    if not damage and raw[at:].strip(b"\0"):
        damage = f"{path} at byte {at}: found bytes behind the end, wanted zeros"
    return Recovered(records, number, at, sequence, chain, damage)


def _fault(cells: Words, at: int, payload: bytes, sequence: int, chain: bytes) -> str:
    """What is wrong with the frame at this byte, or nothing."""
    length, check, found, link = FRAME.unpack_from(cells.data, at)
    if length > RECORD_MAX_BYTES or len(payload) < length:
        return f"length: found {length}, wanted at most {min(RECORD_MAX_BYTES, len(payload))}"
    if check_of(cells, at // 8, length) != check:
        return "check: the frame is torn or changed"
    if found != sequence:
        return f"sequence: found {found}, wanted {sequence}"
    if link != chain:
        return "chain: the frame does not follow the one before it"
    return ""


def _link(chain: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16, key=chain).digest()


def _record(payload: bytes) -> dict[str, Any]:
    """A record in words."""
    if payload.startswith(b"{"):
        found: dict[str, Any] = orjson.loads(payload)
        return found
    return order_record(payload)


def _padded(length: int) -> int:
    return FRAME.size + (length + 7 & ~7)


def files(folder: Path) -> list[Path]:
    """The journal files of a folder, oldest first."""
    return sorted(folder.glob("journal-[0-9][0-9][0-9][0-9][0-9][0-9].bin"))


class Journal:
    """Appends records; one per folder and process. `failed` not empty: no order may be sent any
    more.
    """

    def __init__(
        self, folder: Path, *, file_bytes: int = FILE_BYTES, sync_ns: int = 5_000_000
    ) -> None:
        """Recover what is there and open for appending; starts no thread. Raises JournalError.

        `recovered`: every record of the valid prefix, oldest first. `damage`: not empty if it ends
        early; the caller decides whether it may trade then. New records go to a fresh file in that
        case.
        """
        if file_bytes % PAGE or file_bytes < 2 * RECORD_MAX_BYTES:
            raise JournalError(
                f"file_bytes: found {file_bytes}, wanted whole pages and 128 KiB or more"
            )
        self.failed = ""
        self.damage = ""
        self.records = 0
        self.syncs = 0
        self.recovered: list[dict[str, Any]] = []
        self._state: Words = np.zeros(JOURNAL_CELLS, np.int64)
        self._cells = self._state.data
        self._raw = self._cells.cast("B")
        self._linked = 0  # where the last frame begins whose link is not made yet
        self._file_bytes = file_bytes
        self._sync_s = sync_ns / 1e9
        self._folder = folder
        self._wake = threading.Event()  # set to end the thread
        self._syncing = threading.Lock()  # a sync and a change of file never overlap
        self._stopping = False
        self._thread: threading.Thread | None = None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock_fd)
            raise JournalError(f"{folder}: another gateway writes here") from error
        self._open_last()

    def _open_last(self) -> None:
        paths = files(self._folder)
        number, sequence, chain, end = 0, 1, b"\0" * 16, 0
        for place, path in enumerate(paths):
            found = read(path)
            follows = place == 0 or (found.number == number + 1)
            self.recovered += found.records
            number, sequence, chain, end = found.number, found.sequence, found.chain, found.end
            self.damage = found.damage or (
                "" if follows else f"{path}: a file before it is missing"
            )
            if self.damage:
                number = max(int(later.stem[-6:]) for later in paths)
                end = 0
                break
        self._number = number
        self._cells[J_SEQUENCE] = sequence
        self._raw[_LINK_AT : _LINK_AT + 16] = chain
        if end:
            self._map(paths[-1], end)
        else:
            self._start_file()

    def _start_file(self) -> None:
        """Preallocate and map the next file."""
        self._number += 1
        if self._number > FILES_MAX:
            raise JournalError(f"{self._folder}: {FILES_MAX} files, the limit")
        path = self._folder / f"journal-{self._number:06d}.bin"
        chain = bytes(self._raw[_LINK_AT : _LINK_AT + 16])
        head = HEAD.pack(MAGIC, self._number, self._cells[J_SEQUENCE], self._file_bytes, chain)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(
                fd, 0, self._file_bytes
            )  # a full disk is an error here, not a SIGBUS later
            os.pwrite(fd, head, 0)
            os.fsync(fd)
        except OSError as error:
            path.unlink()
            raise JournalError(
                f"{path}: cannot reserve {self._file_bytes} bytes: {error.strerror}"
            ) from error
        finally:
            os.close(fd)
        self._map(path, HEAD_BYTES)

    def _map(self, path: Path, end: int) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        size = os.fstat(self._fd).st_size
        self._map_of = mmap.mmap(self._fd, size)
        self._file: Words = np.frombuffer(self._map_of, np.int64)
        self._cells[J_SIZE] = size
        self.path = path
        self._cells[J_END] = self._linked = self._synced = end
        self._populate()

    def append(self, record: dict[str, Any]) -> bool:
        """Write one record; it is in the page cache when this returns. False: it failed, and
        `failed` says why.
        """
        if self.failed:
            return False
        payload = orjson.dumps(record)
        length = len(payload)
        if length > RECORD_MAX_BYTES:
            self.failed = f"record of {length} bytes, at most {RECORD_MAX_BYTES}"
            return False
        self.link()
        if self._cells[J_END] + _padded(length) > self._cells[J_SIZE] and not self._rotate():
            return False
        at = self._cells[J_END] + FRAME.size
        self._map_of[at : at + length] = payload
        seal(self._file, self._state, length)
        self.records += 1
        return True

    def put_order(self, words: Words, memory: Words, taken_ns: int) -> int:
        """Write the orders of the intent that was judged last, in one kernel call. 0: bytes may
        leave; else the reason why not: `killed` (the record is there) or `journal`.
        """
        if self.failed:
            return R_JOURNAL
        if self._linked != self._cells[J_END]:
            self.link()
        why = int(put_order(words, memory, self._file, self._state, taken_ns))
        if why == R_JOURNAL and self._rotate():
            why = int(put_order(words, memory, self._file, self._state, taken_ns))
        self.records += why != R_JOURNAL
        return why

    def link(self) -> None:
        """Make what the next frame carries of the last one; once the bytes have left. Twice is
        harmless.
        """
        at, end = self._linked, self._cells[J_END]
        if at == end:
            return
        (length,) = _LENGTH.unpack_from(self._map_of, at)
        payload = self._map_of[at + FRAME.size : at + FRAME.size + length]
        chain = bytes(self._raw[_LINK_AT : _LINK_AT + 16])
        self._raw[_LINK_AT : _LINK_AT + 16] = _link(chain, payload)
        self._linked = end

    def extend(self, records: Iterable[dict[str, Any]]) -> bool:
        """Append several; False if any failed."""
        return all(self.append(record) for record in records)

    def _rotate(self) -> bool:
        """Sync the full file and go on in the next: slow, once in tens of thousands of records."""
        with self._syncing:
            self._sync()
            if self.failed:
                return False
            self.link()
            old_fd, old_map = self._fd, self._map_of
            try:
                self._start_file()
            except (JournalError, OSError) as error:
                self.failed = str(error)
                return False
            old_map.close()
            os.close(old_fd)
        return True

    def sync(self) -> None:
        """Bring everything to the disk now. A failure is final."""
        with self._syncing:
            self._sync()

    def _sync(self) -> None:
        end = self._cells[J_END]
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self.failed = f"{self.path}: fdatasync: {error.strerror}"
            return
        self.syncs += 1
        self._synced = end
        self._populate()

    def _populate(self) -> None:
        """Make the page in use and the next one writable without changing them; older kernels just
        fault later. Through ctypes, which lets the desk's thread run meanwhile: `mmap.madvise`
        keeps the interpreter's lock (seen with 3.11).
        """
        start, size = self._cells[J_END] // PAGE * PAGE, self._cells[J_SIZE]
        if start < size:
            first = ctypes.addressof(ctypes.c_char.from_buffer(self._map_of, start))
            length = min(2 * PAGE, size - start)
            _MADVISE(ctypes.c_void_p(first), ctypes.c_size_t(length), POPULATE_WRITE)

    def start(self) -> None:
        """Start the thread that syncs."""
        assert self._thread is None
        self._thread = threading.Thread(target=self._keep_synced, name="journal", daemon=True)
        self._thread.start()

    def _keep_synced(self) -> None:
        """Looks by itself every `sync_ns`: a wake-up by `append` would ask for the interpreter's
        lock just when the bytes that the record is about are to leave.
        """
        while not self._stopping and not self.failed:
            if self._synced != self._cells[J_END]:
                self.sync()
            self._wake.wait(self._sync_s)

    def close(self) -> None:
        """Sync a last time and let go of the file and the folder. Twice is harmless."""
        if self._lock_fd < 0:
            return
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(2.0)
        if not self.failed:
            self.sync()
        self._file = np.zeros(0, np.int64)  # its view would keep the mapping
        self._map_of.close()
        os.close(self._fd)
        os.close(self._lock_fd)
        self._lock_fd = -1
