"""Faults on demand: what the simulated venues do wrong, as data.

A plan is a tuple of `Fault`. Each names a venue, a kind, what it may hit, when it begins and how
long it lasts. `ops/venues/faults_example.toml` shows every kind, `faults_all.toml` does each of
them again and again; `faults_inject.py` does them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

DRIFTS = ("renamed", "missing", "retyped", "rescaled", "zero", "added")
BOMBS = ("nested", "deflate")
# Where a request is cut: its bytes come and none is read; `bytes` of them are read (more than there
# are: any number); it is carried out and not answered; its answer breaks off (the default).
POINTS = ("unread", "bytes", "executed", "reply")
MS_MAX = 7 * 86_400_000
BYTES_MAX = 1 << 28
PLAN_MAX = 1_000

EVERY_KIND = Path(__file__).with_name("faults_all.toml")

# Where a kind strikes: frames of a socket, answers of REST, handshakes, events of the script.
FRAME, REST, SHAKE, EVENT = "frame", "rest", "shake", "event"
EVERYWHERE = frozenset({FRAME, REST})
# Stages of a request.
BYTES, REFUSED, ANSWERED = "bytes", "refused", "answered"
# kind: (where, the arguments it takes beside venue, kind, time and target)
KINDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "gap": (frozenset({FRAME}), frozenset()),
    "duplicate": (frozenset({FRAME}), frozenset()),
    "reorder": (frozenset({FRAME}), frozenset()),
    "freeze": (frozenset({FRAME}), frozenset()),
    "half_open": (EVERYWHERE, frozenset()),
    "cut": (EVERYWHERE, frozenset({"point", "bytes"})),
    "delay": (EVERYWHERE, frozenset({"delay_ms"})),
    "stale_clock": (EVERYWHERE, frozenset({"offset_ms"})),
    "wrong_tick": (EVERYWHERE, frozenset({"offset_e6"})),
    "drift": (EVERYWHERE, frozenset({"field", "how", "factor"})),
    "oversize": (EVERYWHERE, frozenset({"bytes"})),
    "bomb": (EVERYWHERE, frozenset({"how", "bytes", "depth"})),
    "status": (
        frozenset({REST, SHAKE}),
        frozenset({"status", "body", "retry_after_s", "executed"}),
    ),
    "garbage": (frozenset({REST}), frozenset({"executed"})),
    "late": (frozenset({REST}), frozenset({"delay_ms"})),
    "silence": (frozenset({REST, SHAKE}), frozenset()),
    "close_storm": (frozenset({SHAKE}), frozenset({"code", "delay_ms"})),
    "burst": (frozenset({EVENT}), frozenset({"times"})),
    "crossed": (frozenset({EVENT}), frozenset()),
    "second_snapshot": (frozenset({EVENT}), frozenset()),
    "shut": (frozenset({EVENT}), frozenset({"delay_ms"})),
}
NEEDED = {
    "delay": ("delay_ms",),
    "stale_clock": ("offset_ms",),
    "drift": ("field", "how"),
    "status": ("path", "status"),
    "silence": ("path",),
    "garbage": ("path",),
    "late": ("path", "delay_ms"),
    "shut": ("delay_ms",),
}
_ARGUMENTS = frozenset().union(*(given for _, given in KINDS.values()))
_LIMITS = {  # field: (least, most)
    "at_ms": (0, MS_MAX),
    "machine_ms": (0, MS_MAX),
    "after": (0, 10**9),
    "for_ms": (1, MS_MAX),
    "again_ms": (1, MS_MAX),
    "count": (1, 10**9),
    "every": (1, 10**9),
    "connection": (0, 10**6),
    "delay_ms": (1, MS_MAX),
    "offset_ms": (-MS_MAX, MS_MAX),
    "offset_e6": (1, 9_999),
    "factor": (2, 10**6),
    "bytes": (1, BYTES_MAX),
    "depth": (1, 10**6),
    "times": (1, 10_000),
    "status": (200, 599),
    "retry_after_s": (0, 3_600),
    "code": (1_000, 4_999),
}


class FaultError(Exception):
    """A fault or a file of faults is refused: one line with where, found and wanted."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault. Raises FaultError.

    When (at most one of the first three; none: at once): `at_ms` of run time from the script's
    first instant, `machine_ms` of machine time from the start, `on` a name that somebody calls.
    Then `after` matching ones are let through, and of the rest each `every`-th is hit, until
    `count` were hit or `for_ms` of machine time have passed (neither: one is hit). `again_ms` of
    machine time after that it begins anew, for ever.

    What: `connection` counts the venue's sockets from 1; `channel` is what the frame says it is
    (its type); `market` any name of a market, which the frame holds; `path` the beginning of the
    path of the request or of the socket's handshake, without it no request of REST is hit. A
    request with a `market` is hit only if its path or body names it.

    `offset_ms`: added to the stamps in frames. `offset_e6`: added to a price. `how`: what happens
    to `field`, or what kind of bomb. `factor`: of a rescaled field. `bytes`: of an oversize frame,
    or of what a bomb becomes. `times`: frames of a burst. `code`: of a close frame. `executed`: the
    request is carried out before it gets this answer. `point`: where a request is cut. `delay_ms`
    of a shut port of REST: how long it takes no connections; of a late request: how long after it
    came it is carried out, whether anybody still waits or not.
    """

    venue: str
    kind: str
    at_ms: int | None = None
    machine_ms: int | None = None
    on: str = ""
    after: int = 0
    for_ms: int | None = None
    again_ms: int | None = None
    count: int | None = None
    every: int = 1
    connection: int = 0
    channel: str = ""
    market: str = ""
    path: str = ""
    method: str = ""
    delay_ms: int | None = None
    offset_ms: int | None = None
    offset_e6: int = 300
    field: str = ""
    how: str = ""
    factor: int = 100
    bytes: int = 2 << 20
    depth: int = 100_000
    times: int = 100
    status: int | None = None
    body: dict[str, Any] | None = None
    retry_after_s: int | None = None
    code: int = 1001
    executed: bool = False
    point: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(f"kind: found {self.kind!r}, wanted one of {', '.join(KINDS)}")
        for name, (low, high) in _LIMITS.items():
            found = getattr(self, name)
            if found is not None and not low <= found <= high:
                raise FaultError(f"{name}: found {found}, wanted {low} to {high}")
        given = [name for name in ("at_ms", "machine_ms", "on") if getattr(self, name)]
        if len(given) > 1:
            raise FaultError(f"{given[1]}: found beside {given[0]}, wanted at most one of them")
        for name in NEEDED.get(self.kind, ()):
            if getattr(self, name) in (None, ""):
                raise FaultError(f"{name}: missing, a {self.kind} needs it")
        wanted = {"drift": DRIFTS, "bomb": BOMBS}.get(self.kind, ())
        if self.how and self.how not in wanted:
            choice = ", ".join(wanted) or "none"
            raise FaultError(f"how: found {self.how!r}, wanted one of {choice}")
        if self.point and self.point not in POINTS:
            wanted_points = ", ".join(POINTS)
            raise FaultError(f"point: found {self.point!r}, wanted one of {wanted_points}")

    @property
    def where(self) -> frozenset[str]:
        return KINDS[self.kind][0]

    @property
    def stage(self) -> str:
        """When it strikes a request: as its bytes come, before it is carried out, or at its
        answer.
        """
        if self.kind == "cut" and self.point in ("unread", "bytes"):
            return BYTES
        is_refused = self.kind in ("status", "garbage") and not self.executed
        return REFUSED if is_refused or self.kind in ("half_open", "late") else ANSWERED

    @property
    def hits_max(self) -> int | None:
        """How many it hits, None: as many as there are until its time is over."""
        return 1 if self.count is None and self.for_ms is None else self.count


Plan = tuple[Fault, ...]
_TYPED = re.compile(r"Expected `([^`]+)`, got `[^`]+` - at `\$\.(\w+)`")
_FIELDS = tuple(entry.name for entry in msgspec.structs.fields(Fault))


def load(path: Path) -> Plan:
    """The plan of a file, TOML or (ending in .json) JSON: a list `fault` of tables with the fields
    of `Fault`. Raises FaultError.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise FaultError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise FaultError(f"{path}: not {kind}: {error}") from error
    if not isinstance(found, dict) or set(found) != {"fault"}:
        shown = ", ".join(found) if isinstance(found, dict) else type(found).__name__
        raise FaultError(f"{path}: found {shown or 'nothing'}, wanted a list of tables 'fault'")
    rows = found["fault"]
    if not isinstance(rows, list) or not 0 < len(rows) <= PLAN_MAX:
        raise FaultError(f"{path}: fault: wanted a list of 1 to {PLAN_MAX} tables")
    return tuple(_decoded(f"{path}: fault {number}", row) for number, row in enumerate(rows, 1))


def _decoded(where: str, row: object) -> Fault:
    if not isinstance(row, dict):
        raise FaultError(f"{where}: found {row!r}, wanted a table")
    for key in row:
        if key not in _FIELDS:
            raise FaultError(f"{where}: found {key!r}, wanted one of {', '.join(_FIELDS)}")
    kind = row.get("kind")
    if isinstance(kind, str) and kind in KINDS:
        taken = KINDS[kind][1]
        for key in row:
            if key in _ARGUMENTS and key not in taken:
                wanted = ", ".join(sorted(taken)) or "none"
                raise FaultError(f"{where}: found {key!r}, a {kind} takes {wanted}")
    try:
        return msgspec.convert(row, Fault, strict=True)
    except FaultError as error:
        raise FaultError(f"{where}: {error}") from None
    except msgspec.ValidationError as error:
        if typed := _TYPED.fullmatch(str(error)):
            wanted, key = typed.groups()
            raise FaultError(f"{where}: {key}: found {row[key]!r}, wanted {wanted}") from None
        raise FaultError(f"{where}: {error}") from None


def check(plan: Plan, *, markets: dict[str, set[str]]) -> None:
    """That every venue and market of a plan is in the session (`markets`: names by venue). Raises
    FaultError.
    """
    for number, fault in enumerate(plan, 1):
        if fault.venue not in markets:
            wanted = ", ".join(sorted(markets))
            raise FaultError(
                f"fault {number}: venue: found {fault.venue!r}, wanted one of {wanted}"
            )
        if fault.market and fault.market not in markets[fault.venue]:
            raise FaultError(
                f"fault {number}: market: found {fault.market!r}, wanted a ticker, condition or "
                f"token of {fault.venue} in this session"
            )
