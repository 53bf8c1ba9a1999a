"""Reads settings from a file, from variables and from flags into layers; mistakes are gathered."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ops.setting_kinds import (
    DECIMAL,
    DECIMAL_TEXT,
    DECIMALS,
    NUMBER,
    TIME_MAX_MS,
    WORD,
    Kind,
)
from ops.settings import SECTIONS, entry_of, keys_of
from ops.strategy_settings import GROUP

SHOWN = 60  # characters of what was found
PREFIX = "ARB_"
SHORT_NAMES = {"ASSET": ("updown", "assets"), "INTERVAL": ("updown", "intervals")}
VARIABLES = SHORT_NAMES | {
    f"{PREFIX}{section}_{key}".replace(".", "_").upper(): (section, key)
    for section in SECTIONS
    for key in keys_of(section)
}
# The program's variables beside its settings. ARB_SUPERVISOR_PID is none of them: the supervisor
# tells it to its forkserver alone, so from outside it is refused.
OWN = (
    "ARB_NAME",  # the segment's name (ops/launch.py, ops/top_cli.py)
    "ARB_PYTHON",  # the interpreter that .venv is made with (ops/run)
    "ARB_STATE_DIR",  # the folder for compiled kernels and logs (ops/cache.py)
)
OF_TESTS = "ARB_TEST_"  # what only tests and `bench calibration` read begins so
_HEAD = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(#.*)?")
_ASSIGNED = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*=""")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class Told:
    """One value: in the setting's own unit, as it was written, and where."""

    value: Any
    written: str
    where: str


@dataclass(slots=True)
class Mistakes:
    """A line each, in the order found."""

    lines: list[str] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        """`where`: a file with its line, or a variable."""
        self.lines.append(f"{where}: {text}")


Layer = dict[tuple[str, str], Told]


def file_layer(path: Path, mistakes: Mistakes, *, is_whole: bool = False) -> Layer:
    """What a file says. `is_whole`: a profile, which has every key."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        mistakes.add(str(path), f"cannot be read: {error.strerror}")
        return {}
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        mistakes.add(f"{path}:{line}", f"found byte 0x{raw[error.start]:02x}, wanted UTF-8")
        return {}
    lines = _lines(text)
    try:
        found = _flat(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        _not_toml(path, lines, str(error), mistakes)
        return {}
    places = {name: f"{path}:{each[0]}" for name, each in lines.items()}
    layer = _layer(found, places, str(path), mistakes)
    if is_whole:
        for section in SECTIONS:
            for key in keys_of(section):
                if key not in found.get(section, {}):
                    mistakes.add(str(path), f"{section}.{key}: missing: a profile is complete")
    return layer


def _lines(text: str) -> dict[tuple[str, str], list[int]]:
    """Line numbers of each (section, key), and of each section as (section, "")."""
    found: dict[tuple[str, str], list[int]] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := _HEAD.fullmatch(line):
            section = head[1]
            found.setdefault((section, ""), []).append(number)
        elif assigned := _ASSIGNED.match(line):
            found.setdefault((section, assigned[1]), []).append(number)
    return found


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    """Sections by their whole name: [strategies.latency] is "strategies.latency"."""
    inner = found.pop(GROUP, {})
    if not isinstance(inner, dict):
        return found | {GROUP: inner}
    return found | {f"{GROUP}.{name}": keys for name, keys in inner.items()}


def _not_toml(
    path: Path, lines: Mapping[tuple[str, str], list[int]], text: str, mistakes: Mistakes
) -> None:
    """Of a key that stands twice the parser says least; both lines are named instead."""
    twice = {name: each for name, each in lines.items() if len(each) > 1}
    for (section, key), each in twice.items():
        name = f"{section}.{key}" if key else f"[{section}]"
        others = " and ".join(map(str, each[1:]))
        mistakes.add(f"{path}:{each[0]}", f"{name}: found again in line {others}, wanted once")
    if not twice:
        at = _AT_LINE.search(text)
        where = f"{path}:{at[1]}" if at else str(path)
        mistakes.add(where, f"not TOML: {_AT_LINE.sub('', text)}")


def _layer(
    found: Mapping[str, Any],
    places: Mapping[tuple[str, str], str],
    whole: str,
    mistakes: Mistakes,
) -> Layer:
    """File keys and units to settings' values."""
    layer: Layer = {}
    for section, keys in found.items():
        group, _, name = section.rpartition(".")
        if section not in SECTIONS:
            where = places.get((section, ""), places.get((group, name), whole))
            mistakes.add(where, f"{section}: unknown section, {_hint(section, SECTIONS, '[{}]')}")
            continue
        if not isinstance(keys, dict):
            where = places.get((group, name), whole)
            mistakes.add(where, f"{section}: found {_shown(keys)}, wanted a section [{section}]")
            continue
        for key, value in keys.items():
            where = places.get((section, key), whole)
            if key not in keys_of(section):
                mistakes.add(where, f"{section}.{key}: unknown key, {_near_key(section, key)}")
                continue
            told = _told(section, key, value, where, mistakes)
            if told is not None:
                layer[section, key] = told
    return layer


def _near_key(section: str, key: str) -> str:
    homes = [f"[{name}]" for name in SECTIONS if key in keys_of(name)]
    return f"it is a key of {' and '.join(homes)}" if homes else _hint(key, keys_of(section), "{}")


def _hint(found: str, known: Iterable[str], form: str) -> str:
    """The nearest name, else all of them."""
    names = list(known)
    near = difflib.get_close_matches(found, names, 1, 0.7)
    if near:
        return f"did you mean {form.format(near[0])}?"
    return f"wanted one of {', '.join(form.format(name) for name in names)}"


def _shown(found: object) -> str:
    text = repr(found)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _told(section: str, key: str, found: object, where: str, mistakes: Mistakes) -> Told | None:
    entry = entry_of(section, key)
    kind: Kind = entry.metadata["kind"]
    low, high = entry.metadata["low"], entry.metadata["high"]
    value: Any = None
    if kind.form == WORD:
        wanted = f"{kind.wanted}, {low} to {high} of them, none twice"
        is_list = isinstance(found, list) and all(isinstance(each, str) for each in found)
        if is_list and isinstance(found, list) and low <= len(found) <= high:
            value = tuple(found) if len(set(found)) == len(found) else None
    elif kind.form == DECIMALS:
        wanted = f"{kind.wanted}, {low} to {high} of them, each up to {TIME_MAX_MS}"
        value = _times(kind, found, low, high)
    else:
        wanted = f"{kind.wanted}, from {low} to {high}"
        value = _number(kind, found)
        if value is not None and not low * kind.unit <= value <= high * kind.unit:
            value = None
    if value is None:
        mistakes.add(where, f"{section}.{key}: found {_shown(found)}, wanted {wanted}")
        return None
    return Told(value, ", ".join(found) if isinstance(found, list) else str(found), where)


def _times(kind: Kind, found: object, low: int, high: int) -> tuple[int, ...] | None:
    """A list of measured times; None: not written as such."""
    if not isinstance(found, list) or not low <= len(found) <= high:
        return None
    if not all(isinstance(each, str) and DECIMAL.fullmatch(each) for each in found):
        return None
    values = tuple(int(Decimal(each) * kind.unit) for each in found)
    return values if max(values) <= TIME_MAX_MS * kind.unit else None


def _number(kind: Kind, found: object) -> int | None:
    """In the setting's own integer; None: not written as its kind is."""
    if kind.form == DECIMAL_TEXT:
        if not isinstance(found, str) or DECIMAL.fullmatch(found) is None:
            return None
        return int(Decimal(found) * kind.unit)
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    return found * kind.unit


def variables_layer(environment: Mapping[str, str], mistakes: Mistakes) -> Layer:
    """ARB_LIMITS_SIZE_MAX=50 is [limits] size_max = "50"; ASSET=btc is [updown] assets. Whatever
    else begins with ARB_ is a mistake, but for the program's own and its tests' variables."""
    layer: Layer = {}
    for name, text in environment.items():
        found, where = VARIABLES.get(name), f"variable {name}"
        if found is None:
            is_ours = name.upper().startswith(PREFIX)
            if is_ours and name not in OWN and not name.startswith(OF_TESTS):
                mistakes.add(where, _not_a_variable(name.upper().removeprefix(PREFIX)))
            continue
        section, key = found
        if found in layer:
            mistakes.add(where, f"{section}.{key}: found also in {layer[found].where}, wanted once")
            continue
        told = _told(section, key, _parsed(entry_of(section, key), text), where, mistakes)
        if told is not None:
            layer[found] = told
    return layer


def _not_a_variable(told: str) -> str:
    """What is wrong with a variable of this name, less its ARB_."""
    if told in {known.replace(".", "_").upper() for known in (*SECTIONS, GROUP)}:
        return f"found a section without a key, wanted {PREFIX}SECTION_KEY"
    if near := _near_variables(told):
        return f"unknown variable, did you mean {' or '.join(near)}?"
    own = ", ".join(OWN)
    return f"unknown variable, wanted {PREFIX}SECTION_KEY of a setting, {own} or {OF_TESTS}…"


def _near_variables(told: str) -> list[str]:
    """Those that end with what was told, else contain it (the nearest three); else the nearest of
    the same key, else of any."""
    known = {name.removeprefix(PREFIX): name for name in (*VARIABLES, *OWN)}
    ends = [each for each in known if f"_{each}".endswith(f"_{told}")]
    holds = ends or [each for each in known if f"_{told}_" in f"_{each}_"]
    near = difflib.get_close_matches(told, holds, 3, 0.0)
    if not near:
        keys = {name.removeprefix(PREFIX): key.upper() for name, (_, key) in VARIABLES.items()}
        same = [each for each, key in keys.items() if told.endswith(f"_{key}")]
        near = difflib.get_close_matches(told, same, 1, 0.6)
    return [known[each] for each in near or difflib.get_close_matches(told, known, 1, 0.7)]


def _parsed(entry: dataclasses.Field[Any], text: str) -> object:
    """A variable's text as a file would hold it."""
    form = entry.metadata["kind"].form
    if form == NUMBER and re.fullmatch("-?[0-9]{1,18}", text):
        return int(text)
    if form in (WORD, DECIMALS):
        return [each.strip() for each in text.split(",")] if text.strip() else text
    return text


def flags_layer(flags: Mapping[tuple[str, str], tuple[str, Any]], mistakes: Mistakes) -> Layer:
    """Keys for which the command line has a flag of its own."""
    layer: Layer = {}
    for (section, key), (flag, value) in flags.items():
        told = _told(section, key, value, flag, mistakes)
        if told is not None:
            layer[section, key] = told
    return layer
