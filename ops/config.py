"""Settings: a complete profile, overlaid by --config FILE, then by variables, then by flags.

The profiles beside this file (`profiles/*.toml`) hold every key with its meaning (ops/settings.py
their form). Variables are ARB_SECTION_KEY, and ASSET and INTERVAL for the keys of [updown]; lists
are written with commas there, and what else begins with ARB_ is refused. Only this module reads
files and the environment. Every mistake of all of them is told at once, a line each: where, which
key, what was found, what was wanted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ops.config_read import Layer, Mistakes, Told, file_layer, flags_layer, variables_layer
from ops.config_together import check_together
from ops.desk_limits import desk_params
from ops.settings import MARKETS, SECTIONS, Edge, Limits, Risk, Settings, Spot, Updown, built

__all__ = [
    "MARKETS",
    "PROFILES",
    "SECTIONS",
    "ConfigError",
    "Edge",
    "Limits",
    "Loaded",
    "Risk",
    "Settings",
    "Source",
    "Spot",
    "Updown",
    "load",
    "loaded",
    "profiles",
    "source",
]  # fmt: skip
PROFILES = Path(__file__).resolve().parent / "profiles"
NOTHING: Mapping[str, str] = MappingProxyType({})


class ConfigError(Exception):
    """Settings are not what they must be: a line for each mistake."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and by section and key what was written and where."""

    settings: Settings
    told: Mapping[tuple[str, str], Told]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a run's settings come from, so that they can be read again; `first`: as it began."""

    profile: str
    config: Path | None
    environment: Mapping[str, str]
    flags: Mapping[tuple[str, str], tuple[str, Any]]
    first: Loaded

    def read(self) -> Loaded:
        """As they are told now. Raises ConfigError."""
        return loaded(self.profile, self.config, self.environment, self.flags)


def source(
    profile: str,
    config: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[tuple[str, str], tuple[str, Any]],
) -> Source:
    """Read for the first time. Raises ConfigError."""
    told = MappingProxyType(dict(environment))
    return Source(profile, config, told, flags, loaded(profile, config, told, flags))


def profiles() -> list[str]:
    """Names of the profiles that come with the program."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load(
    profile: str, config: Path | None = None, environment: Mapping[str, str] = NOTHING
) -> Settings:
    """The settings alone. Raises ConfigError."""
    return loaded(profile, config, environment).settings


def loaded(
    profile: str,
    config: Path | None = None,
    environment: Mapping[str, str] = NOTHING,
    flags: Mapping[tuple[str, str], tuple[str, Any]] = MappingProxyType({}),
) -> Loaded:
    """Everything from the profile to the flags (by section and key: the flag, its value)."""
    if profile not in profiles():
        raise ConfigError(f"profile: found {profile!r}, wanted one of {', '.join(profiles())}")
    mistakes = Mistakes()
    path = PROFILES / f"{profile}.toml"
    layers = [file_layer(path, mistakes, is_whole=True)]
    if config is not None:
        layers.append(file_layer(config, mistakes))
    layers.append(variables_layer(environment, mistakes))
    layers.append(flags_layer(flags, mistakes))
    told = _merged(layers)
    check_together(told, mistakes)
    if mistakes.lines:
        raise ConfigError("\n".join(mistakes.lines))
    files = (str(path),) if config is None else (str(path), str(config))
    return Loaded(_built(profile, files, told), told)


def _merged(layers: list[Layer]) -> dict[tuple[str, str], Told]:
    found: dict[tuple[str, str], Told] = {}
    for section, kind in SECTIONS.items():  # in the order of the tables, whatever a file's is
        for entry in dataclasses.fields(kind):
            name = section, entry.metadata["key"]
            for layer in layers:
                if name in layer:
                    found[name] = layer[name]
    return found


def _built(profile: str, files: tuple[str, ...], told: Mapping[tuple[str, str], Told]) -> Settings:
    sections = built({name: found.value for name, found in told.items()})
    settings = Settings(profile=profile, files=files, **sections)
    try:
        desk_params(settings)
    except ValueError as error:
        raise ConfigError(f"{' + '.join(files)}: {error}") from error
    return settings
