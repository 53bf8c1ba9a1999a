"""Recorded files as whole lines and exact numbers; whatever is not that is a `RecordingError`."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

_DUST = Decimal("1e-9")  # what float arithmetic left on a price; more than that is a wrong price
_E6 = Decimal(1_000_000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN_CHARS = 60


class RecordingError(Exception):
    """A recording that cannot be used: file, line, what was found, what was wanted."""

    def __init__(self, file: Path, line: int, found: str, wanted: str) -> None:
        super().__init__(file, line, found, wanted)
        self.file, self.line, self.found, self.wanted = file, line, found, wanted

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" if self.line else str(self.file)
        return f"{where}: found {self.found}, wanted {self.wanted}"


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line without its end). A file cut inside a line or gzip is an error."""
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    found = f"the file's end inside a line: {shown(line)}"
                    raise RecordingError(path, number, found, "a whole line")
                yield number, line[:-1]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        found = f"damaged or cut gzip ({error})"
        raise RecordingError(path, 0, found, "all of it") from error
    except OSError as error:
        raise RecordingError(path, 0, str(error.strerror or error), "a readable file") from error


def _open(path: Path) -> io.BufferedIOBase:
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.GzipFile(path), 1 << 18)
    return path.open("rb")


def shown(text: bytes | str) -> str:
    """Foreign text for a message: its beginning, with nothing a terminal would act on."""
    return repr(text[:_SHOWN_CHARS]) if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]!r}…"


class Numbers:
    """Decimal text to ints, exactly, remembered per text (a recording repeats few of them).

    The methods raise ValueError saying what was wanted; the reader that knows file and line turns
    it into a `RecordingError`. No float on the way.
    """

    def __init__(self) -> None:
        self.rounded = 0  # prices that had to be moved to the grid
        self._e6: dict[bytes | str, int] = {}
        self._grid: dict[tuple[bytes, int], tuple[int, bool]] = {}

    def e6(self, text: bytes | str) -> int:
        """`text` in 1e-6, exact; a finer number is refused."""
        value = self._e6.get(text)
        if value is None:
            scaled = _decimal(text) * _E6
            value = int(scaled)
            if scaled != value:
                raise ValueError("a number of at most 6 decimals")
            self._e6[text] = value
        return value

    def price_e6(self, text: bytes, step_e6: int) -> int:
        """A price in [0, 1] on the grid of `step_e6`; float dust (up to 1e-9) is rounded off."""
        known = self._grid.get((text, step_e6))
        if known is None:
            price = _decimal(text)
            value = round(price * _E6 / step_e6) * step_e6
            off = abs(price - Decimal(value) / _E6)
            if not 0 <= value <= 1_000_000:
                raise ValueError("a price between 0 and 1")
            if off > _DUST:
                raise ValueError(f"a multiple of {Decimal(step_e6) / _E6}")
            known = self._grid[text, step_e6] = value, off != 0
        value, was_rounded = known
        self.rounded += was_rounded
        return value


def _decimal(text: bytes | str) -> Decimal:
    try:
        value = Decimal(text.decode("ascii") if isinstance(text, bytes) else text)
    except (InvalidOperation, UnicodeDecodeError) as error:
        raise ValueError("a decimal number") from error
    if not value.is_finite() or abs(value) >= Decimal("1e12"):
        raise ValueError("a decimal number below 1e12")
    return value


def scaled(value: Decimal | int | str, unit: int) -> int:
    """`value` × `unit` as an exact int (prices of spot in 1e-8: unit 10**8); else ValueError."""
    number = _decimal(str(value)) * unit
    if number != int(number):
        raise ValueError(f"a multiple of 1/{unit}")
    return int(number)


def epoch_ms(text: str) -> int:
    """ISO 8601 with a zone, or Unix seconds in digits, as ms since 1970, cut to whole ms."""
    if text.isdigit():
        return int(text) * 1000
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time with its zone")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
