"""Rows of the `dual_nba_mvp_l2` CSV files as exact numbers in YES terms.

- Kalshi `size` is a signed change; Polymarket `size` is the level's new total.
- Kalshi `SELL` at p is a NO bid at 1 − p, so a YES ask at p. Until 2025-12-13 the recorder wrote
  the NO price itself there, as Kalshi sent it ("0.3600", four decimals), later its own 1 − p
  ("0.64", "0.22999999999999998"). Taken alike, 258 of 525 books of KXNBAMVP-26-SGIL would be
  crossed; told apart by the four decimals none is. Counted as `no_price_converted`.
- Prices with float dust are rounded to the tick (`price_rounded`); other prices off it are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ops.venues.recorded_lines import Numbers, RecordingError, epoch_ms, lines, shown
from ops.venues.script import ASK, BID

COLUMNS = b"timestamp,event_type,price,side,size,best_bid,best_ask"
_SIDES = {b"BUY": BID, b"SELL": ASK}


@dataclass(frozen=True, slots=True)
class Row:
    """One row, or the two rows of a `book`. `epoch_ms` None: the row has no time."""

    epoch_ms: int | None
    kind: str  # "book", "change", "trade"
    levels: tuple[tuple[int, int, int], ...]  # side, price_e6, size_e6


class RowReader:
    """Reads files of both venues and counts what it corrected."""

    def __init__(self) -> None:
        self._numbers = Numbers()
        self._converted = 0

    @property
    def counts(self) -> dict[str, int]:
        """Corrections so far."""
        return {"price_rounded": self._numbers.rounded, "no_price_converted": self._converted}

    def kalshi(self, path: Path, step_e6: int) -> list[Row]:
        """Rows whose size is a signed change (in a `book`: the size)."""
        return self._read(path, step_e6, is_kalshi=True)

    def polymarket(self, path: Path, step_e6: int) -> list[Row]:
        """Rows whose size is the new total."""
        return self._read(path, step_e6, is_kalshi=False)

    def _read(self, path: Path, step_e6: int, *, is_kalshi: bool) -> list[Row]:
        rows: list[Row] = []
        half: Row | None = None  # the first row of a `book`
        number = 0
        for number, line in lines(path):
            if number == 1:
                if line.strip() != COLUMNS:
                    raise RecordingError(path, 1, shown(line), shown(COLUMNS))
                continue
            try:
                row = self._row(line, step_e6, is_kalshi)
            except ValueError as error:
                raise RecordingError(path, number, shown(line), str(error)) from error
            if half is not None:
                if row.kind == "book" and row.levels[0][0] != half.levels[0][0]:
                    row = Row(row.epoch_ms, "book", half.levels + row.levels)
                else:
                    rows.append(half)  # a book of one side
                half = None
            if row.kind == "book" and len(row.levels) == 1:
                half = row
            else:
                rows.append(row)
        if not number:
            raise RecordingError(path, 1, "an empty file", shown(COLUMNS))
        return rows if half is None else [*rows, half]

    def _row(self, line: bytes, step_e6: int, is_kalshi: bool) -> Row:
        fields = line.split(b",")
        if len(fields) != 7:
            raise ValueError("7 columns")
        stamp, kind, price_text, side_text, size_text = fields[:5]
        side = _SIDES.get(side_text)
        if side is None:
            raise ValueError("side BUY or SELL")
        if kind not in (b"book", b"price_change", b"last_trade_price"):
            raise ValueError("event_type book, price_change or last_trade_price")
        if not stamp and not (kind == b"book" and is_kalshi):
            raise ValueError("a timestamp")
        at_ms = epoch_ms(stamp.decode("ascii")) if stamp else None
        size_e6 = self._numbers.e6(size_text)
        if size_e6 < 0 and not (kind == b"price_change" and is_kalshi):
            raise ValueError("a size of zero or more")
        if kind == b"last_trade_price":
            return Row(at_ms, "trade", ((side, self._numbers.e6(price_text), size_e6),))
        price_e6 = self._numbers.price_e6(price_text, step_e6)
        if is_kalshi and side == ASK and len(price_text) == 6 and price_text[:2] == b"0.":
            self._converted += 1
            price_e6 = 1_000_000 - price_e6
        return Row(at_ms, "book" if kind == b"book" else "change", ((side, price_e6, size_e6),))
