"""The gateway's own file: an order is written here before its first byte leaves.

Preallocated files `journal-NNNNNN.bin`, mapped into memory. A file is a 64-byte head, then frames:

    length u32 · CRC32 u32 · sequence u64 · chain 16 bytes · payload · zeros to 8 bytes

The CRC covers length, sequence, chain and payload; `chain` is BLAKE2b of the frame before it with
this payload, so a frame of another file or another past does not fit. A store into the page cache
survives the death of the process, not of the machine: a thread of its own syncs at most `sync_ns`
behind and then makes the page in use and the next one writable again (MADV_POPULATE_WRITE; after a
sync the first store to a page faults: p50 17 -> 52 us). A failed sync is final: the kernel marks
the pages clean, so it is never tried again and `failed` stays set.

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
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

MAGIC = b"ARBJRNL1"
HEAD = struct.Struct(
    "<8sqqq16s"
)  # magic, number of the file, first sequence, bytes, chain before the first frame
HEAD_BYTES = 64
FRAME = struct.Struct("<IIQ16s")
CHECKED = struct.Struct("<IQ16s")
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
    records: list[dict[str, Any]] = []
    at, damage = HEAD_BYTES, ""
    while at + FRAME.size <= size:
        length, crc, found, link = FRAME.unpack_from(raw, at)
        if length == 0 and crc == 0 and found == 0:
            break
        payload = raw[at + FRAME.size : at + FRAME.size + length]
        damage = _fault(length, crc, found, link, payload, sequence, chain)
        if damage:
            damage = f"{path} at byte {at}: {damage}"
            break
        records.append(orjson.loads(payload))
        chain, sequence = link, sequence + 1
        at += _padded(length)
    if not damage and raw[at:].strip(b"\0"):
        damage = f"{path} at byte {at}: found bytes behind the end, wanted zeros"
    return Recovered(records, number, at, sequence, chain, damage)


def _fault(
    length: int, crc: int, found: int, link: bytes, payload: bytes, sequence: int, chain: bytes
) -> str:
    """What is wrong with a frame, or nothing."""
    if length > RECORD_MAX_BYTES or len(payload) < length:
        return f"length: found {length}, wanted at most {min(RECORD_MAX_BYTES, len(payload))}"
    if zlib.crc32(payload, zlib.crc32(CHECKED.pack(length, found, link))) != crc:
        return "CRC: the frame is torn or changed"
    if found != sequence:
        return f"sequence: found {found}, wanted {sequence}"
    if link != _link(chain, payload):
        return "chain: the frame does not follow the one before it"
    return ""


def _link(chain: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16, key=chain).digest()


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
        self._number, self._sequence, self._chain = number, sequence, chain
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
        head = HEAD.pack(MAGIC, self._number, self._sequence, self._file_bytes, self._chain)
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
        self._size = size
        self.path = path
        self._end = self._synced = end
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
        if self._end + _padded(length) > self._size and not self._rotate():
            return False
        sequence, chain = self._sequence, _link(self._chain, payload)
        crc = zlib.crc32(payload, zlib.crc32(CHECKED.pack(length, sequence, chain)))
        frame = FRAME.pack(length, crc, sequence, chain) + payload
        self._map_of[self._end : self._end + len(frame)] = frame
        self._end += _padded(length)
        self._sequence, self._chain = sequence + 1, chain
        self.records += 1
        return True

    def extend(self, records: Iterable[dict[str, Any]]) -> bool:
        """Append several; False if any failed."""
        return all(self.append(record) for record in records)

    def _rotate(self) -> bool:
        """Sync the full file and go on in the next: slow, once in tens of thousands of records."""
        with self._syncing:
            self._sync()
            if self.failed:
                return False
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
        end = self._end
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
        start = self._end // PAGE * PAGE
        if start < self._size:
            first = ctypes.addressof(ctypes.c_char.from_buffer(self._map_of, start))
            length = min(2 * PAGE, self._size - start)
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
            if self._synced != self._end:
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
        self._map_of.close()
        os.close(self._fd)
        os.close(self._lock_fd)
        self._lock_fd = -1
