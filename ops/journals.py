"""Where the gateways' journals lie: a folder a run in the state folder, named by when it began, so
that what a run did can be read after it has ended, however it ended. The last few are kept.
"""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

FOLDER = "journal"
KEPT = 8  # runs, the one that begins among them; 16 MiB each while it runs, then what it wrote
_NAME = re.compile(r"\d{8}T\d{9}Z")


def fresh(state_dir: Path, epoch_ns: int) -> Path:
    """The folder of a run that begins now; its gateway makes it. The oldest beyond KEPT go."""
    moment = datetime.fromtimestamp(epoch_ns // 10**9, UTC)
    name = f"{moment:%Y%m%dT%H%M%S}{epoch_ns // 10**6 % 1000:03d}Z"
    for old in kept(state_dir)[: -(KEPT - 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return state_dir / FOLDER / name


def kept(state_dir: Path) -> list[Path]:
    """The journals of this and earlier runs, oldest first."""
    found = (state_dir / FOLDER).glob("*Z")
    return sorted(
        path for path in found
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )  # fmt: skip


def newest(state_dir: Path) -> Path:
    """The journal of the last run. Raises LookupError: there is none."""
    found = kept(state_dir)
    if not found:
        raise LookupError(f"{state_dir / FOLDER}: found no journal, wanted one")
    return found[-1]
