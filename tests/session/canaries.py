"""Looks for secrets wherever a running engine could have left them: memory of its processes, their
arguments and environment, files, shared segments.

A needle is half of a secret in one of the forms in which code holds it (text, raw, the other byte
order of big numbers), so that what is cut in two is found too.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CHUNK_BYTES = 1 << 24
PART_BYTES = 1 << 15
OVERLAP_BYTES = 256  # longer than any needle

Needles = dict[str, bytes]  # what it is -> a text that only this secret has


def _halves(name: str, raw: bytes) -> Needles:
    half = len(raw) // 2
    assert half >= 15, name
    return {f"{name}, first half": raw[:half], f"{name}, second half": raw[half:]}


def _forms(name: str, raw: bytes) -> Needles:
    """A number of 32 bytes as code keeps it."""
    return (
        _halves(f"{name} raw", raw)
        | _halves(f"{name} raw, lowest byte first", raw[::-1])
        | _halves(f"{name} as digits", raw.hex().encode())
        | _halves(f"{name} as capital digits", raw.hex().upper().encode())
        | _halves(f"{name} as base64", base64.b64encode(raw))
    )


def private_keys(kalshi_file: Path, polymarket_file: Path) -> Needles:
    """Of both venues, from their files."""
    pem = kalshi_file.read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, Ed25519PrivateKey)
    seed = key.private_bytes_raw()
    text = b"".join(line for line in pem.splitlines() if not line.startswith(b"-"))
    polymarket = binascii.unhexlify(polymarket_file.read_text().strip())
    return (
        _halves("kalshi PEM", text[-44:])  # what comes before is the same in every key
        | _forms("kalshi key", seed)
        | _forms("polymarket key", polymarket)
    )


def api_secrets(file: Path) -> Needles:
    """Of Polymarket's API, from their file."""
    found = json.loads(file.read_text())
    raw = base64.urlsafe_b64decode(found["secret"])
    return (
        _halves("API secret", found["secret"].encode())
        | _halves("API secret raw", raw)
        | _halves("API passphrase", found["passphrase"].encode())
        | {"API key": found["api_key"].encode()}
    )


@dataclass
class Scanner:
    """Which needles stand where. Pages that are mapped from a file and cannot be written are read
    once, whoever maps them. Most of a child's memory is as its parent left it: memory is looked
    through in parts, and of equal parts one.
    """

    needles: Needles
    unreadable: list[str] = field(default_factory=list)
    bytes_read: int = 0
    _mapped: dict[tuple[str, ...], set[str]] = field(default_factory=dict)
    _parts: dict[int, set[str]] = field(default_factory=dict)  # by hash, of 64 bits

    def within(self, raw: bytes) -> set[str]:
        """Those in these bytes."""
        return {name for name, needle in self.needles.items() if needle in raw}

    def process(self, pid: int) -> set[str]:
        """Those in a process: arguments, environment, every readable page."""
        place = Path(f"/proc/{pid}")
        found = self.within((place / "cmdline").read_bytes())
        found |= self.within((place / "environ").read_bytes())
        with (place / "mem").open("rb", buffering=0) as memory:
            for line in (place / "maps").read_text().splitlines():
                span, rights, *source = line.split(maxsplit=5)
                if rights[0] != "r" or (source[-1:] and source[-1] in ("[vvar]", "[vsyscall]")):
                    continue
                first, end = (int(text, 16) for text in span.split("-"))
                key = (str(end - first), *source)
                is_file = len(source) == 4 and source[3].startswith("/") and rights[1] == "-"
                if is_file and key in self._mapped:
                    found |= self._mapped[key]
                    continue
                here = self._pages(memory, first, end)
                if is_file:
                    self._mapped[key] = here
                found |= here
        return found

    def _part(self, raw: bytes) -> set[str]:
        here = self._parts.get(key := hash(raw))
        if here is None:
            here = self._parts[key] = self.within(raw)
        return here

    def _pages(self, memory: Iterable[bytes], first: int, end: int) -> set[str]:
        found: set[str] = set()
        at = first
        while at < end:
            try:
                memory.seek(at)  # type: ignore[attr-defined]
                raw = memory.read(min(CHUNK_BYTES, end - at))  # type: ignore[attr-defined]
            except OSError as error:  # a page behind the end of its file
                self.unreadable.append(f"{at:x}: {error.strerror}")
                return found
            if not raw:
                return found
            self.bytes_read += len(raw)
            for part in range(0, len(raw), PART_BYTES):
                found |= self._part(raw[part : part + PART_BYTES + OVERLAP_BYTES])
            at += len(raw) if at + len(raw) >= end else max(len(raw) - OVERLAP_BYTES, 1)
        return found

    def files(self, paths: Iterable[Path]) -> dict[str, set[str]]:
        """Those in files, by file; links are not followed."""
        found = {}
        for path in paths:
            if path.is_file() and not path.is_symlink() and (here := self.within(_bytes(path))):
                found[str(path)] = here
        return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # it was there a moment ago
        return b""


def below(folder: Path) -> Iterator[Path]:
    """Every file of a folder, links to folders not followed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from below(path)
        else:
            yield path
