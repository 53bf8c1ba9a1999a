"""The gateway's own file: an order is written here before its first byte leaves.

Files and frames are those of gateway/journal_files.py, mapped into memory. The link to a frame is
made after the bytes have left that it is about. Orders are cells (gateway/order_record.py) put
there by one kernel call, all other records are JSON. A store into the page cache survives the death
of the process, not of the machine: a thread of its own syncs at most `sync_ns` behind and then
makes the page in use and the next one writable again (MADV_POPULATE_WRITE; after a sync the first
store to a page faults: p50 17 -> 52 us). A failed sync is final: the kernel marks the pages clean,
so it is never tried again and `failed` stays set. Where only the next file could not be made (the
disk is full), `again` tries once more; records that came meanwhile are kept for it, orders are not:
what has no record was not sent.

Recovery keeps the longest valid prefix. A frame that a death left unfinished is wiped out and
written over. Past damage nothing is ever written: `failed` is set from the beginning.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterable
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
    direct,
    put_order,
    seal,
)
from gateway.journal_files import (
    FIRST,
    FRAME,
    HEAD,
    HEAD_BYTES,
    MAGIC,
    RECORD_MAX_BYTES,
    Recovered,
    files,
    link,
    padded,
    read,
    walk,
)
from shm_layout import Words

__all__ = [
    "FRAME", "HEAD", "HEAD_BYTES", "RECORD_MAX_BYTES", "Journal", "JournalError", "Recovered",
    "files", "read", "walk",
]  # fmt: skip
_LENGTH = struct.Struct("<I")
_LINK_AT = 8 * J_LINK
FILE_BYTES = 16 << 20
FILES_MAX = 10_000
KEPT_MAX = 10_000  # records that wait for the next file
PAGE = mmap.PAGESIZE
POPULATE_WRITE = (
    23  # MADV_POPULATE_WRITE, Linux 5.14; the mmap module of Python 3.11 has no name for it
)
_LIBC = ctypes.CDLL(None)
_MADVISE = _LIBC.madvise
_FALLOCATE = _LIBC.fallocate
PUNCH_HOLE = 0x03  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE


class JournalError(Exception):
    """The journal cannot be used. Names the file, what was found and what was wanted."""


class Journal:
    """Appends records; one per folder and process. `failed` not empty: no order may be sent any
    more.
    """

    def __init__(
        self, folder: Path, *, file_bytes: int = FILE_BYTES, sync_ns: int = 5_000_000
    ) -> None:
        """Recover what is there and open for appending; starts no thread. Raises JournalError.

        `recovered`: every record of the valid prefix, oldest first. `damage`: not empty if more
        stands behind it that cannot be read; `failed` then says so, and nothing is written.
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
        self._put = direct(put_order, *[self._state] * 4, 0)
        self._cells = self._state.data
        self._raw = self._cells.cast("B")
        self._fd = -1
        self._synced = 0
        self._linked = 0  # where the last frame begins whose link is not made yet
        self._file_bytes = file_bytes
        self._sync_s = sync_ns / 1e9
        self._folder = folder
        self._wake = threading.Event()  # set to end the thread
        self._syncing = threading.Lock()  # a sync and a change of file never overlap
        self._stopping = False
        self._is_stuck = False  # all that failed is a change of file
        self._kept: list[dict[str, Any]] = []
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
        """Take in what is there and map the file to go on in; none past damage."""
        self.path = self._folder
        place, last = FIRST, None
        for path, found in walk(self._folder):
            self.recovered += found.records
            self.damage, place, last = found.damage, found.next_file, (path, found)
        self._number = place.number - 1
        self._cells[J_SEQUENCE] = place.sequence
        self._raw[_LINK_AT : _LINK_AT + 16] = place.chain
        if self.damage:
            self.failed = f"damaged: {self.damage}"
        elif last is None:
            self._start_file()
        else:
            path, found = last
            self._map(path, found.end)
            if found.torn_bytes:  # front first: what is left of it never looks whole
                size = found.torn_bytes
                self._map_of[found.end : found.end + size] = bytes(size)

    def _start_file(self) -> None:
        """Preallocate and map the next file. It gets its name when it is whole: whenever we die,
        there is no journal file without its head.
        """
        number = self._number + 1
        if number > FILES_MAX:
            raise JournalError(f"{self._folder}: {FILES_MAX} files, the limit")
        path = self._folder / f"journal-{number:06d}.bin"
        made = path.with_suffix(".new")
        chain = bytes(self._raw[_LINK_AT : _LINK_AT + 16])
        head = HEAD.pack(MAGIC, number, self._cells[J_SEQUENCE], self._file_bytes, chain)
        fd = os.open(made, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _reserve(fd, self._file_bytes, path)
            os.pwrite(fd, head, 0)
            os.fsync(fd)
            made.rename(path)
        except JournalError:
            made.unlink()
            raise
        finally:
            os.close(fd)
        folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._number = number
        self._map(path, HEAD_BYTES)

    def _map(self, path: Path, end: int) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        size = os.fstat(self._fd).st_size
        _reserve(self._fd, size, path)  # a closed journal's unused part was given back
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
            return self._keep(record)
        payload = orjson.dumps(record)
        length = len(payload)
        if length > RECORD_MAX_BYTES:
            self.failed = f"record of {length} bytes, at most {RECORD_MAX_BYTES}"
            return False
        self.link()
        if self._cells[J_END] + padded(length) > self._cells[J_SIZE] and not self._rotate():
            return self._keep(record)
        at = self._cells[J_END] + FRAME.size
        self._map_of[at : at + length] = payload
        seal(self._file, self._state, length)
        self.records += 1
        self.link()  # now, so that the next order does not wait for it
        return True

    def put_order(self, words: Words, memory: Words, taken_ns: int) -> int:
        """Write the orders of the intent that was judged last, in one kernel call. 0: bytes may
        leave; else the reason why not: `killed` (the record is there) or `journal`.
        """
        if self.failed:
            return R_JOURNAL
        if self._linked != self._cells[J_END]:
            self.link()
        why = self._put(words, memory, self._file, self._state, taken_ns)
        if why == R_JOURNAL and self._rotate():
            why = self._put(words, memory, self._file, self._state, taken_ns)
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
        self._raw[_LINK_AT : _LINK_AT + 16] = link(chain, payload)
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
            old_fd, old_map, number, path = self._fd, self._map_of, self._number, self.path
            try:
                self._start_file()
            except (JournalError, OSError) as error:
                self._fd, self._map_of, self._number, self.path = old_fd, old_map, number, path
                self.failed, self._is_stuck = str(error), True
                return False
            old_map.close()
            os.close(old_fd)
        return True

    def _keep(self, record: dict[str, Any]) -> bool:
        """A record that cannot be written now, for `again`. Always False."""
        if self._is_stuck:
            self._kept.append(record)
            self._is_stuck = len(self._kept) < KEPT_MAX
        return False

    def again(self) -> bool:
        """Where all that failed is a change of file: try it again, and write what came meanwhile.
        False: it is as it was, `failed` says why.
        """
        if not self._is_stuck:
            return not self.failed
        self.failed, self._is_stuck = "", False
        if self._rotate():
            kept, self._kept = self._kept, []
            for record in kept:
                self.append(record)
        return not self.failed

    def sync(self) -> None:
        """Bring everything to the disk now. A failure is final."""
        with self._syncing:
            self._sync()

    def _sync(self) -> None:
        if self.failed:
            return
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
        while not self._stopping:
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
        if self._fd >= 0:
            self._map_of.close()
            self._give_back()
            os.close(self._fd)
        os.close(self._lock_fd)
        self._lock_fd = -1

    def _give_back(self) -> None:
        """The file keeps its size, the disk gets back what was not used. Where a file system cannot
        do it nothing happens.
        """
        end = (self._cells[J_END] + PAGE - 1) // PAGE * PAGE
        left = self._cells[J_SIZE] - end
        if left > 0:
            _FALLOCATE(self._fd, PUNCH_HOLE, ctypes.c_long(end), ctypes.c_long(left))


def _reserve(fd: int, size: int, path: Path) -> None:
    """Blocks for every byte: a full disk is an error here, not a SIGBUS later."""
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        raise JournalError(f"{path}: cannot reserve {size} bytes: {error.strerror}") from error
