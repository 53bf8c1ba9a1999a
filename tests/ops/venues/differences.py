"""How an answer of the simulated Polymarket differs from a fixture: ids, hashes and stamps by
shape, everything else by value.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.conftest import REFERENCE


def fixture_rows(name: str) -> list[dict[str, Any]]:
    """A file of Polymarket's fixtures, empty where the reference is absent."""
    path = REFERENCE / "fixtures" / "polymarket" / name
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return rows


# Values that no other venue can repeat: ids, hashes, stamps, shortened texts, counters.
BY_SHAPE = {
    "id", "orderID", "order_id", "taker_order_id", "owner", "maker_address", "transaction_hash",
    "hash", "timestamp", "match_time", "last_update", "question_id", "questionID", "description",
    "startDate", "creationDate", "spread", "lastTradePrice", "bestBid",
}  # fmt: skip
PLACEHOLDERS = {
    "0x<order hash>": r"0x[0-9a-f]{64}\Z",
    "<uuid>": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z",
    "<uuid to use next>": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z",
}


def differences(wanted: Any, found: Any, where: str = "", *, extra: bool = False) -> list[str]:
    """What sets `found` apart. `extra`: more keys than the fixture kept are no difference."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return _keys(wanted, found, where, extra)
    if isinstance(wanted, list) and isinstance(found, list):
        if any(isinstance(one, str) and one.startswith("<rows") for one in wanted):
            return []
        if len(wanted) != len(found):
            return [f"{where}: {len(found)} entries, wanted {len(wanted)}"]
        pairs = enumerate(zip(wanted, found, strict=True))
        return [
            line
            for at, (a, b) in pairs
            for line in differences(a, b, f"{where}[{at}]", extra=extra)
        ]
    if isinstance(wanted, str) and "<" in wanted:
        return _placeholder(wanted, found, where)
    name = where.rpartition(".")[2].partition("[")[0]
    if name in BY_SHAPE:
        same = type(wanted) is type(found) or {type(wanted), type(found)} == {int, float}
        return [] if same and bool(found) == bool(wanted) else [f"{where}: kind of {found!r}"]
    return [] if wanted == found else [f"{where}: {found!r}, wanted {wanted!r}"]


def _keys(wanted: dict[str, Any], found: dict[str, Any], where: str, extra: bool) -> list[str]:
    hashes = [key for key in found if key.startswith("0x")]
    if hashes and "0x<order hash>" in wanted:
        found = {"0x<order hash>": found[hashes[0]]}
    lines = [f"{where}.{key}: missing" for key in wanted.keys() - found.keys()]
    if not extra:
        lines += [f"{where}.{key}: not in the fixture" for key in found.keys() - wanted.keys()]
    for key in wanted.keys() & found.keys():
        lines += differences(wanted[key], found[key], f"{where}.{key}", extra=extra)
    return lines


def _placeholder(wanted: str, found: Any, where: str) -> list[str]:
    pattern = re.escape(wanted)
    for text, form in PLACEHOLDERS.items():
        pattern = pattern.replace(re.escape(text), form.removesuffix(r"\Z"))
    if "<" in pattern and wanted not in PLACEHOLDERS:
        return [] if isinstance(found, str) and found else [f"{where}: {found!r}"]
    good = isinstance(found, str) and re.fullmatch(pattern, found)
    return [] if good else [f"{where}: {found!r}, wanted {wanted!r}"]
