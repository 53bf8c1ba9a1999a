"""The second driver of the simulated venues: recorded data, recognised by content.

Each format is one class; `FORMATS` lists them. All venues of a recording share one clock, the one
they were recorded on, and are never re-based.
"""

from __future__ import annotations

from pathlib import Path

from ops.venues.recorded_false import DualCryptoFalseArb
from ops.venues.recorded_kalshi import KalshiBtc15m
from ops.venues.recorded_lines import RecordingError
from ops.venues.recorded_nba import DualNbaMvp
from ops.venues.recorded_script import RecordedScript, script_of

__all__ = ["FORMATS", "RecordedScript", "RecordingError", "load"]

FORMATS = (DualNbaMvp, DualCryptoFalseArb, KalshiBtc15m)


def load(
    paths: list[Path],
    *,
    from_epoch_ns: int | None = None,
    gap_max_ns: int | None = None,
    speed_e6: int = 1_000_000,
) -> RecordedScript:
    """The recordings in `paths` (folders, or folders of such folders) as one script.

    `from_epoch_ns`: where the session begins; None or before the data: with its first event.
    `gap_max_ns`: the longest silence of all venues together that is played; None: all of them.
    RecordingError says which file and line, what was found and what was wanted.
    """
    folders = [folder for path in paths for folder in _folders(path)]
    for at, folder in enumerate(folders):
        if folder in folders[:at]:
            raise RecordingError(folder, 0, "the same recording twice", "each once")
    if not folders:
        raise RecordingError(Path(), 0, "no path", "at least one recording")
    recordings = [_format(folder)(folder).load() for folder in folders]
    return script_of(
        recordings, from_epoch_ns=from_epoch_ns, gap_max_ns=gap_max_ns, speed_e6=speed_e6
    )


def _folders(path: Path) -> list[Path]:
    if not path.exists():
        raise RecordingError(path, 0, "nothing", "a folder with a recording")
    if not path.is_dir():
        raise RecordingError(path, 0, "a file", "the folder of the recording")
    if _known(path):
        return [path.resolve()]
    inner = sorted(each for each in path.iterdir() if each.is_dir() and _known(each))
    if not inner:
        names = " or ".join(each.name for each in FORMATS)
        raise RecordingError(path, 0, "no known format", f"a recording of format {names}")
    return [each.resolve() for each in inner]


def _known(folder: Path) -> bool:
    return any(each.recognises(folder) for each in FORMATS)


def _format(
    folder: Path,
) -> type[DualNbaMvp] | type[DualCryptoFalseArb] | type[KalshiBtc15m]:
    return next(each for each in FORMATS if each.recognises(folder))
