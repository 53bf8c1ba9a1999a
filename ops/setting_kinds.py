"""How settings are written, what one unit of each kind is, and what a change of one needs."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ops.clock import MS_NS, SECOND_NS

DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
WORD, DECIMAL_TEXT, NUMBER = "list", "decimal", "number"  # forms of a value in a file
DECIMALS = "decimals"  # and a list of decimal texts
# what a change in a running engine must do to be one for the safer; EITHER: no way is (only when
# halted), RESTART: none may be
DOWN, UP, EITHER, RESTART = "down", "up", "either", "restart"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a key is written, and what one unit of it is in the setting's own integer."""

    wanted: str
    unit: int
    form: str = NUMBER


DOLLARS = Kind('dollars as decimal text such as "0.01"', 1_000_000, DECIMAL_TEXT)
CONTRACTS = Kind('contracts as decimal text such as "100"', 1_000_000, DECIMAL_TEXT)
FACTOR = Kind('a number as decimal text such as "1.0"', 1_000_000, DECIMAL_TEXT)
MS = Kind("whole milliseconds", MS_NS)
SECONDS = Kind("whole seconds", SECOND_NS)
US = Kind("whole microseconds", 1_000)
COUNT = Kind("a whole number", 1)
# at most six places are written: 1e-6 of the strike is 7 cents of a bitcoin
FRACTION = Kind('a share of the strike as decimal text such as "0.000441"', 10**9, DECIMAL_TEXT)
PPM_SECOND = Kind('millionths of the strike a second as text such as "7.35"', 10**6, DECIMAL_TEXT)
NAMES = Kind("a list of texts", 1, WORD)
TIMES = Kind('a list of milliseconds as decimal text such as "12.5"', MS_NS, DECIMALS)
TIME_MAX_MS = 60_000  # of each of TIMES


def key(
    name: str, kind: Kind, low: int | Decimal, high: int | Decimal, safer: str = RESTART
) -> Any:
    """One setting: its key in the file, how it is written, the least and the most in file units (of
    a list: entries). `safer`: where lower (DOWN) or higher (UP) values only tighten, it may change
    while the engine runs; EITHER: it may change, but says nothing of tighter; RESTART: never.
    """
    told = {"key": name, "kind": kind, "low": low, "high": high, "safer": safer}
    return dataclasses.field(metadata=told)
