"""Numbers and times as the venues write them, from and to integers in 1e-6. No float on the way.

Kept apart from the engine's own text code on purpose: a mistake shared by both sides would stay
unseen.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

ONE_E6 = 1_000_000
MS_NS = 1_000_000
SECOND_NS = 1_000_000_000


def _digits(value_e6: int, decimals: int) -> str:
    step = 10 ** (6 - decimals)
    whole, rest = divmod(abs(value_e6) // step, 10**decimals)
    sign = "-" if value_e6 < 0 and (whole or rest) else ""
    return f"{sign}{whole}.{rest:0{decimals}d}"


@lru_cache(maxsize=1 << 14)
def dollars4(value_e6: int) -> str:
    """Kalshi price or balance: four decimals, the rest cut off ("0.5200")."""
    return _digits(value_e6, 4)


def dollars6(value_e6: int) -> str:
    """Kalshi cost or fee: six decimals ("0.017500")."""
    return _digits(value_e6, 6)


@lru_cache(maxsize=1 << 16)
def count2(value_e6: int) -> str:
    """Kalshi count: two decimals ("10.00")."""
    return _digits(value_e6, 2)


@lru_cache(maxsize=1 << 16)
def plain(value_e6: int) -> str:
    """Polymarket number: no needless digit ("0.5", "100", "112.35955")."""
    whole, rest = divmod(abs(value_e6), ONE_E6)
    sign = "-" if value_e6 < 0 else ""
    return f"{sign}{whole}.{rest:06d}".rstrip("0") if rest else f"{sign}{whole}"


def spot8(value_e8: int, decimals: int) -> str:
    """Coinbase price or size, given in 1e-8, with at least `decimals` decimals and none cut."""
    whole, rest = divmod(value_e8, 10**8)
    digits = f"{rest:08d}".rstrip("0").ljust(decimals, "0")
    return f"{whole}.{digits}" if digits else str(whole)


def parse_e6(text: object) -> int | None:
    """A plain decimal string in 1e-6. None: not a string, not a decimal, or finer than 1e-6."""
    if not isinstance(text, str) or len(text) > 24:
        return None
    body = text.removeprefix("-")
    whole, dot, rest = body.partition(".")
    if len(rest) > 6 and rest[6:].strip("0"):
        return None
    if not (whole or rest) or (dot and not rest) or not (whole + rest).isascii():
        return None
    if not (whole + rest).isdigit():
        return None
    value = int(whole or "0") * ONE_E6 + int(rest[:6].ljust(6, "0"))
    return -value if body is not text else value


def iso_us(epoch_ns: int) -> str:
    """RFC 3339 in UTC with microseconds, as both venues and Coinbase write it."""
    seconds, rest = divmod(epoch_ns, SECOND_NS)
    return f"{_to_the_second(seconds)}.{rest // 1000:06d}Z"


def iso_s(epoch_ns: int) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return _to_the_second(epoch_ns // SECOND_NS) + "Z"


@lru_cache(maxsize=64)
def _to_the_second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
